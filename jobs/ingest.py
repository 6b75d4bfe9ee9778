"""Job: the files of a manifest to bronze, nothing left out."""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.spark.run import SparkRun


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point on every engine."""
    with SparkRun.from_args(argv) as run:
        run.ingest()


if __name__ == "__main__":
    main()
