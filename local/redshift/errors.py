"""What ends a statement: an error as Redshift words it, or the refusal of what is not served here."""

from __future__ import annotations


class SqlError(Exception):
    """A statement that Redshift itself would refuse; the text is Redshift's, beginning with `ERROR:`."""

    def __init__(self, message: str) -> None:
        super().__init__(message if message.startswith("ERROR:") else f"ERROR: {message}")


class RefusedError(SqlError):
    """A statement that Redshift would run and the laptop does not, because its answer could differ.

    Attributes:
        name: What is refused, as it is written in the statement.
    """

    def __init__(self, name: str, *, instead: str) -> None:
        """
        Args:
            name: What is refused.
            instead: What is served, or what to write instead.
        """
        self.name = name
        super().__init__(f"ERROR: {name} is not served by the laptop platform. {instead}")
