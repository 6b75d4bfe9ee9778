"""Job: every row with a key leaves the tables of a dataset, their past and the raw files."""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.spark.erasure_run import ErasureRun


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point on Glue."""
    ErasureRun.from_args(argv).run()


if __name__ == "__main__":
    main()
