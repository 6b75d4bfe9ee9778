"""Job: a gold table, computed by a transform of `jobs.transforms`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from lakehouse.errors import RunFailed
from lakehouse.spark.run import SparkRun, Transform


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point on every engine."""
    with SparkRun.from_args(argv) as run:
        run.publish(transform_called(run.arguments.transform))


def transform_called(name: str | None) -> Transform:
    """The transform `<domain>.<function>`.

    Raises:
        RunFailed: There is none of that name.
    """
    domain, _, function = (name or "").partition(".")
    try:
        module = import_module(f"jobs.transforms.{domain}")
        return getattr(module, function)
    except (ImportError, AttributeError) as error:
        raise RunFailed(
            "job_failed", f"there is no transform {name!r}: write it as a function of jobs/transforms/<domain>.py ({error})"
        ) from error


if __name__ == "__main__":
    main()
