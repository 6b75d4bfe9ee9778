"""Job: one row of a group, from a table of a database to a table of bronze."""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.spark.row_run import RowRun


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point on Glue, which alone has connections to databases."""
    with RowRun.from_args(argv) as run:
        run.extract()


if __name__ == "__main__":
    main()
