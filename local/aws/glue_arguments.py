"""Glue's job arguments: which ones Glue itself reads, which it gives to the script, and which the laptop does not serve."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

GLUE_VERSIONS = {"6.0": "Spark 4.1.1"}
"""Glue versions that run here, with the Spark that they are."""

COMMAND = "glueetl"
"""The one kind of job that runs here: Spark, batch."""

FORMATS = frozenset({"iceberg"})
"""Values of `--datalake-formats` that work here."""

DEFAULT_LOG_GROUP = "/aws-glue/jobs/logs-v2"
"""Where Glue's continuous logging writes unless the job says otherwise."""

SERVED = frozenset(
    {
        "--conf", "--extra-jars", "--extra-py-files", "--datalake-formats", "--continuous-log-logGroup", "--continuous-log-logStreamPrefix",
        "--enable-continuous-cloudwatch-log", "--enable-continuous-log-filter", "--enable-metrics", "--enable-observability-metrics",
        "--enable-job-insights", "--enable-auto-scaling", "--enable-s3-parquet-optimized-committer", "--job-language",
        "--custom-logGroup-prefix", "--job-bookmark-option", "--TempDir", "--enable-spark-ui", "--spark-event-logs-path",
    }
)  # fmt: skip
"""Arguments that Glue reads and that mean here what they mean there, or whose effect (metrics, scaling) is on the page of known differences."""

NOT_SERVED = frozenset(
    {
        "--additional-python-modules", "--python-modules-installer-option", "--auto-scale-within-microbatch", "--class",
        "--continuous-log-conversionPattern", "--custom-logStream-prefix", "--customer-driver-env-vars",
        "--customer-executor-env-vars", "--disable-proxy-v2", "--enable-glue-datacatalog", "--enable-lakeformation-fine-grained-access",
        "--enable-rename-algorithm-v2", "--enable-spark-ui-legacy-path", "--executor-cores", "--extra-files", "--job-bookmark-from",
        "--job-bookmark-to", "--scriptLocation", "--use-postgres-driver", "--user-jars-first",
        "--write-shuffle-files-to-s3", "--write-shuffle-spills-to-s3", "--enable-lakeformation-permissions", "--glue-fgac-table-format",
    }
)  # fmt: skip
"""Arguments that Glue reads and that have no effect here yet: a job that sets one is refused."""

PASSED_ON = frozenset({"--job-bookmark-option", "--TempDir"})
"""Arguments that Glue reads and gives to the script all the same."""

RESERVED = frozenset({"--JOB_NAME", "--JOB_RUN_ID", "--JOB_ID"})
"""Arguments that Glue sets."""

LARGEST = 260 * 1024
"""Most that the arguments of a job may take together, in bytes."""

_CHAIN = re.compile(r"\s+--conf\s+")


class InvalidJobError(ValueError):
    """A job or its arguments are refused; the text is what the caller gets."""


@dataclass(frozen=True, kw_only=True)
class JobArguments:
    """Arguments of one run, sorted out.

    Attributes:
        py_files: `--extra-py-files`, S3 addresses.
        jars: `--extra-jars`, S3 addresses.
        conf: `--conf`, unchained.
        formats: `--datalake-formats`.
        log_group: Log group of the driver's log.
        log_stream_prefix: What the names of its streams start with; the run's id unless the job says otherwise.
        event_logs: Where Spark's event logs go, an S3 folder; empty if the job keeps none.
        script: What the script gets, flat, in Glue's order.
    """

    py_files: tuple[str, ...]
    jars: tuple[str, ...]
    conf: Mapping[str, str]
    formats: frozenset[str]
    log_group: str
    log_stream_prefix: str
    event_logs: str
    script: tuple[str, ...]


def merged(default: Mapping[str, str], run: Mapping[str, str], fixed: Mapping[str, str]) -> dict[str, str]:
    """Arguments of a run: the job's defaults, over them the run's, over them those that nobody may override."""
    return {**default, **run, **fixed}


def parse(arguments: Mapping[str, str], *, job_name: str, run_id: str) -> JobArguments:
    """Sort out the arguments of a run.

    Args:
        arguments: Merged arguments.
        job_name: Name of the job, which the script gets as `--JOB_NAME`.
        run_id: Id of the run, which the script gets as `--JOB_RUN_ID`.

    Raises:
        InvalidJobError: One of them is not served here, or malformed.
    """
    check(arguments)
    formats = frozenset(_listed(arguments.get("--datalake-formats", "")))
    own = {name: value for name, value in arguments.items() if name not in SERVED or name in PASSED_ON}
    given = {"--JOB_NAME": job_name, "--JOB_RUN_ID": run_id, **own}
    return JobArguments(
        py_files=tuple(_listed(arguments.get("--extra-py-files", ""))),
        jars=tuple(_listed(arguments.get("--extra-jars", ""))),
        conf=_conf(arguments.get("--conf", "")),
        formats=formats,
        log_group=_log_group(arguments),
        log_stream_prefix=arguments.get("--continuous-log-logStreamPrefix") or run_id,
        event_logs=_event_logs(arguments),
        script=tuple(part for name, value in given.items() for part in (name, value)),
    )


def check(arguments: Mapping[str, str]) -> None:
    """Refuse arguments that would silently do nothing here, and those that Glue refuses.

    Raises:
        InvalidJobError: With the names.
    """
    refused = sorted(NOT_SERVED & arguments.keys())
    if refused:
        raise InvalidJobError(
            f"the laptop platform does not serve the job argument {', '.join(refused)} yet; of Glue's own it serves {', '.join(sorted(SERVED))}"
        )
    reserved = sorted(RESERVED & arguments.keys())
    if reserved:
        raise InvalidJobError(f"{', '.join(reserved)} is set by Glue itself and must not be given")
    malformed = sorted(name for name in arguments if not name.startswith("--"))
    if malformed:
        raise InvalidJobError(f"the name of a job argument starts with --, got {', '.join(malformed)}")
    size = sum(len(name.encode()) + len(str(value).encode()) for name, value in arguments.items())
    if size > LARGEST:
        raise InvalidJobError(f"job arguments take at most {LARGEST} bytes together, got {size}")
    formats = frozenset(_listed(arguments.get("--datalake-formats", "")))
    if formats - FORMATS:
        raise InvalidJobError(
            f"--datalake-formats {', '.join(sorted(formats - FORMATS))} is not served by the laptop platform; it serves {', '.join(FORMATS)}"
        )
    if arguments.get("--job-language", "python") != "python":
        raise InvalidJobError("--job-language must be python on the laptop platform")
    if arguments.get("--job-bookmark-option", "job-bookmark-disable") != "job-bookmark-disable":
        raise InvalidJobError("--job-bookmark-option must be job-bookmark-disable on the laptop platform: job bookmarks are not served")
    for name in ("--extra-py-files", "--extra-jars"):
        for address in _listed(arguments.get(name, "")):
            if not address.startswith("s3://"):
                raise InvalidJobError(f"{name} takes s3:// addresses, got {address!r}")
    _conf(arguments.get("--conf", ""))
    _event_logs(arguments)


def _log_group(arguments: Mapping[str, str]) -> str:
    """Glue 5 and later write what a job prints to `<prefix>/output`; `--continuous-log-logGroup` is of releases before."""
    prefix = arguments.get("--custom-logGroup-prefix")
    return f"{prefix}/output" if prefix else arguments.get("--continuous-log-logGroup") or DEFAULT_LOG_GROUP


def _event_logs(arguments: Mapping[str, str]) -> str:
    """Where the event logs go; Glue wants both arguments for them."""
    is_wanted, address = arguments.get("--enable-spark-ui") == "true", arguments.get("--spark-event-logs-path", "")
    if is_wanted and not address.startswith("s3://"):
        raise InvalidJobError(f"--enable-spark-ui needs --spark-event-logs-path, an s3:// address, got {address!r}")
    return address if is_wanted else ""


def _conf(text: str) -> dict[str, str]:
    """`a=1 --conf b=2` as a mapping: Glue takes one `--conf`, people chain more behind it."""
    found: dict[str, str] = {}
    for part in _CHAIN.split(text.strip()):
        if not part:
            continue
        name, equals, value = part.partition("=")
        if not equals or not name.startswith("spark."):
            raise InvalidJobError(f"--conf takes spark.<name>=<value>, chained by ' --conf ', got {part!r}")
        found[name.strip()] = value.strip()
    return found


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
