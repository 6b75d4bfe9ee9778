"""Why a COPY failed, row by row, as Redshift's system views tell it."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.warehouse.data_api import DataApi

MAX_ROWS = 20

_QUERY = (
    "SELECT file_name, line_number, column_name, column_type, error_code, error_message, start_time "
    "FROM sys_load_error_detail ORDER BY start_time DESC LIMIT 20"
)
_OF_FOLDER = (
    "SELECT file_name, line_number, column_name, column_type, error_code, error_message, start_time "
    "FROM sys_load_error_detail WHERE file_name LIKE :folder ORDER BY start_time DESC LIMIT 20"
)
"""SYS views answer in Serverless and provisioned warehouses alike, STL tables do not; a user sees the rows of its own loads."""


@dataclass(frozen=True, kw_only=True)
class LoadError:
    """A row that a COPY could not take.

    Attributes:
        file: `s3://` address.
        line: Line in the file; 0 for formats without lines.
        column: Column, or "".
        type: Type of the column, or "".
        code: Redshift's number of the error.
        message: Redshift's text.
    """

    file: str
    line: int
    column: str
    type: str
    code: int
    message: str

    def __str__(self) -> str:
        column = f", column {self.column}{f' ({self.type})' if self.type else ''}" if self.column else ""
        return f"{self.file}, line {self.line}{column}: {self.message}"


def load_errors(api: DataApi, *, folder: str | None = None) -> list[LoadError]:
    """The newest rows that loads could not take, 20 at most.

    Args:
        api: The warehouse.
        folder: Beginning of the files' addresses; all files otherwise.
    """
    answer = api.execute(_QUERY) if folder is None else api.execute(_OF_FOLDER, parameters={"folder": f"{_escaped(folder)}%"})
    return [
        LoadError(
            file=_text(row["file_name"]),
            line=int(_text(row["line_number"]) or 0),
            column=_text(row["column_name"]),
            type=_text(row["column_type"]),
            code=int(_text(row["error_code"]) or 0),
            message=_text(row["error_message"]),
        )
        for row in answer.records()
    ]


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _escaped(folder: str) -> str:
    """A text in which LIKE finds nothing but the text itself."""
    return folder.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
