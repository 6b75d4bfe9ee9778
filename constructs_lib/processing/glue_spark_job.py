"""A Spark job on Glue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import job_arn
from constructs_lib.checks import require, require_one_of, require_range
from constructs_lib.permissions import acknowledge
from constructs_lib.processing.bookmarks import check_bookmarked
from constructs_lib.processing.event_logs import event_log_arguments
from constructs_lib.processing.glue_job import (
    LOGS_ENCRYPTED,
    MAX_TIMEOUT_MINUTES,
    GlueJobGrants,
    bookmark_option,
    check_glue_arguments,
    connect,
    glue_role,
    report,
)
from constructs_lib.processing.job_code import CodeAssets, JobCode
from constructs_lib.processing.job_logs import JobLogs
from constructs_lib.processing.security_configuration import SecurityConfiguration
from constructs_lib.processing.serverless_size import GLUE_MEMORY_GB, check_heaps
from constructs_lib.processing.spark_settings import ICEBERG_SETTINGS, conf_argument
from constructs_lib.storage.data_lake import LakeBuckets

GLUE_VERSIONS = ("5.0", "5.1", "6.0")
"""Releases that run Spark on Python 3.11 or later."""

WORKER_TYPES = ("G.1X", "G.2X", "G.4X", "G.8X", "G.12X", "G.16X", "R.1X", "R.2X", "R.4X", "R.8X")
"""Worker types of batch Spark jobs; G.1X is one DPU (4 vCPU, 16 GB)."""

MIN_WORKERS = 2
"""One worker is the driver."""

MAX_WORKERS = 299

FLEX_WORKER_TYPES = ("G.1X", "G.2X")
"""Worker types that Glue runs on spare capacity."""


@dataclass(frozen=True, kw_only=True)
class SparkSize:
    """How large a job is.

    Attributes:
        worker_type: One of Glue's worker types.
        workers: Number of workers, the driver included.
    """

    worker_type: str = "G.1X"
    workers: int = 2

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: Glue has no such worker, or the number is out of range.
        """
        require_one_of(self.worker_type, WORKER_TYPES, name="worker_type")
        require_range(self.workers, name="workers", at_least=MIN_WORKERS, at_most=MAX_WORKERS, why="one of them is the driver")


GLUE_SMALL = SparkSize(worker_type="G.1X", workers=2)
GLUE_MEDIUM = SparkSize(worker_type="G.1X", workers=5)
GLUE_LARGE = SparkSize(worker_type="G.1X", workers=10)
GLUE_HUGE = SparkSize(worker_type="G.2X", workers=20)
"""Sizes for up to half a gigabyte of input, ten, a hundred, and more."""


class GlueSparkJob(Construct):
    """Glue job that runs a PySpark script on Iceberg tables, as a role that may read its code and write its log until granted more.

    Step Functions alone retries it (Glue's own retries would hide a failure from the audit), and runs queue when the account is at its limit.

    Attributes:
        job_name: Its name.
        job_arn: Its ARN.
        role: Role that it runs as.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        code: JobCode,
        logs: JobLogs,
        security_configuration: SecurityConfiguration,
        arguments: Mapping[str, str] | None = None,
        description: str = "",
        glue_version: str = "6.0",
        size: SparkSize | None = None,
        timeout_minutes: int = 60,
        max_concurrent_runs: int = 1,
        settings: Mapping[str, str] | None = None,
        execution_class: Literal["STANDARD", "FLEX"] = "STANDARD",
        bookmark: str = "disable",
        auto_scaling: bool = False,
        connections: Sequence[str] = (),
        extra_jars: Sequence[Path] = (),
        event_logs: LakeBuckets | None = None,
    ) -> None:
        """
        Args:
            name: Name of the job.
            code: Its script and bundle.
            logs: Log groups that it writes to.
            security_configuration: What encrypts what it leaves behind.
            arguments: Default arguments by name with their `--`; nothing secret, as everybody who sees the job sees them.
            description: Sentence for people.
            glue_version: Glue release, which settles Spark and Python.
            size: Worker type and number; None takes the defaults of `SparkSize`.
            timeout_minutes: Longest run; Glue's own default is eight hours.
            max_concurrent_runs: Most runs at a time.
            settings: Spark settings besides those that Iceberg needs; they win.
            execution_class: `FLEX` runs on spare capacity, which is cheaper, starts later and may be taken away.
            bookmark: `enable` lets Glue remember what it read; `pause` reads by it and leaves it as it is. Either is for scripts that read through DynamicFrames,
                each with a `transformation_ctx` of its own that is written out, and that commit; others are refused.
            auto_scaling: Whether Glue takes workers away that a run does not need; `size` is then the most.
            connections: Names of Glue connections, whose network the job runs in.
            extra_jars: Java archives, such as a JDBC driver.
            event_logs: Lake whose logs bucket keeps what Spark's UI shows of each run; None keeps nothing of it. Plans hold literals of statements, so a job that
                must leave no trace of what it looked for has none.
        """
        super().__init__(scope, id)
        require_one_of(glue_version, GLUE_VERSIONS, name="glue_version")
        require_range(timeout_minutes, name="timeout_minutes", at_least=1, at_most=MAX_TIMEOUT_MINUTES, why="seven days, Glue's longest")
        require_range(max_concurrent_runs, name="max_concurrent_runs", at_least=1)
        arguments = arguments if arguments is not None else {}
        check_glue_arguments(arguments)
        size = size if size is not None else SparkSize()
        require_one_of(execution_class, ("FLEX", "STANDARD"), name="execution_class")
        require(
            execution_class == "STANDARD" or size.worker_type in FLEX_WORKER_TYPES,
            f"Glue runs FLEX on workers of {' and '.join(FLEX_WORKER_TYPES)}, got {size.worker_type}: take one of them, or execution_class STANDARD",
        )
        check_heaps(settings or {}, memory_gb=GLUE_MEMORY_GB[size.worker_type], worker=f"a worker of type {size.worker_type}")
        bookmark_argument = bookmark_option(bookmark, max_concurrent_runs=max_concurrent_runs)
        if bookmark != "disable":
            check_bookmarked(code.script)
        self.role = glue_role(self, name)
        script, files = stage_code(scope, self.role, code, extra_jars)
        report(self.role, logs)
        connect(self.role, connections)
        self.resource = glue.CfnJob(
            self,
            "Resource",
            name=name,
            description=description or None,
            role=self.role.role_arn,
            command={"name": "glueetl", "pythonVersion": "3", "scriptLocation": script},
            default_arguments={
                "--job-language": "python",
                "--datalake-formats": "iceberg",
                "--enable-metrics": "true",
                "--enable-observability-metrics": "true",
                **event_log_arguments(self.role, event_logs, job=name),
                "--job-bookmark-option": bookmark_argument,
                "--custom-logGroup-prefix": logs.prefix,
                **files,
                **({"--enable-auto-scaling": "true"} if auto_scaling else {}),
                "--conf": conf_argument({**ICEBERG_SETTINGS, **(settings or {})}),
                **arguments,
            },
            connections={"connections": list(connections)} if connections else None,
            execution_class=execution_class,
            execution_property={"maxConcurrentRuns": max_concurrent_runs},
            glue_version=glue_version,
            job_run_queuing_enabled=True,
            max_retries=0,
            number_of_workers=size.workers,
            security_configuration=security_configuration.name,
            timeout=timeout_minutes,
            worker_type=size.worker_type,
        )
        acknowledge(self.resource, "AwsSolutions-GL1", reason=LOGS_ENCRYPTED)
        self.job_name = name
        self.job_arn = job_arn(name)
        self.grants = GlueJobGrants(name)

    def metric_failed_tasks(self) -> cloudwatch.Metric:
        """Spark tasks that failed, summed over five minutes."""
        return cloudwatch.Metric(
            namespace="Glue",
            metric_name="glue.driver.aggregate.numFailedTasks",
            dimensions_map={"JobName": self.job_name, "JobRunId": "ALL", "Type": "count"},
            statistic="Sum",
        )


def stage_code(scope: Construct, role: iam.Role, code: JobCode, extra_jars: Sequence[Path]) -> tuple[str, dict[str, str]]:
    """Stage the code of a Spark job and let its role read it.

    Args:
        scope: What the job belongs to.
        role: Role of the job.
        code: Its script and bundle.
        extra_jars: Java archives that it needs besides.

    Returns:
        Address of the script, and the arguments by which Glue finds the rest.

    Raises:
        InvalidProps: An archive is none.
    """
    for jar in extra_jars:
        require(
            jar.is_file() and jar.suffix == ".jar",
            f"{jar} is no Java archive: give the path of a .jar that exists when the stack is synthesized",
        )
    assets = CodeAssets.of(scope)
    script, bundle = assets.file(code.script), assets.file(code.bundle, code.bundle_hash)
    jars = [assets.file(jar) for jar in extra_jars]
    assets.grants.read(role, [script, bundle, *jars])
    return script, {"--extra-py-files": bundle, **({"--extra-jars": ",".join(jars)} if jars else {})}
