"""Job: the records of a manifest's files from bronze to silver, through the quality gate."""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.spark.run import SparkRun


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point on every engine."""
    with SparkRun.from_args(argv) as run:
        run.refine()


if __name__ == "__main__":
    main()
