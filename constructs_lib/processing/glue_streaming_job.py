"""A Spark job on Glue that never ends by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import aws_glue as glue
from constructs import Construct

from constructs_lib.arns import job_arn
from constructs_lib.checks import require, require_one_of, require_range
from constructs_lib.permissions import acknowledge
from constructs_lib.processing.event_logs import event_log_arguments
from constructs_lib.processing.glue_job import (
    BOOKMARKS,
    LOGS_ENCRYPTED,
    MAX_TIMEOUT_MINUTES,
    GlueJobGrants,
    check_glue_arguments,
    connect,
    glue_role,
    report,
)
from constructs_lib.processing.glue_spark_job import GLUE_VERSIONS, SparkSize, stage_code
from constructs_lib.processing.job_code import JobCode
from constructs_lib.processing.job_logs import JobLogs
from constructs_lib.processing.security_configuration import SecurityConfiguration
from constructs_lib.processing.serverless_size import GLUE_MEMORY_GB, check_heaps
from constructs_lib.processing.spark_settings import ICEBERG_SETTINGS, conf_argument
from constructs_lib.storage.data_lake import LakeBuckets

STREAMING_WORKER_TYPES = ("G.025X", "G.1X", "G.2X", "G.4X", "G.8X")
"""Worker types of streaming jobs; G.025X, a quarter of a DPU, is for them alone."""


class GlueStreamingJob(Construct):
    """Glue job that reads a stream with Spark's structured streaming and writes Iceberg tables.

    What it has read it keeps in a checkpoint of its own, never in a bookmark, and one run at a time owns the checkpoint. Glue stops a run after `timeout_minutes`,
    at most seven days: whoever starts it starts it again, and it goes on from its checkpoint.

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
        worker_type: str = "G.1X",
        workers: int = 2,
        timeout_minutes: int = 24 * 60,
        settings: Mapping[str, str] | None = None,
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
            worker_type: One of `STREAMING_WORKER_TYPES`.
            workers: Number of workers, the driver included.
            timeout_minutes: Longest run; without one, Glue stops a streaming job at a moment of its own.
            settings: Spark settings besides those that Iceberg needs; they win.
            auto_scaling: Whether Glue takes workers away that the stream does not need; `workers` is then the most.
            connections: Names of Glue connections, whose network the job runs in.
            extra_jars: Java archives, such as a connector.
            event_logs: Lake whose logs bucket keeps what Spark's UI shows of each run; None keeps nothing of it.
        """
        super().__init__(scope, id)
        require_one_of(glue_version, GLUE_VERSIONS, name="glue_version")
        require_range(timeout_minutes, name="timeout_minutes", at_least=1, at_most=MAX_TIMEOUT_MINUTES, why="seven days, Glue's longest")
        require_one_of(worker_type, STREAMING_WORKER_TYPES, name="worker_type")
        if worker_type != "G.025X":
            SparkSize(worker_type=worker_type, workers=workers)
        require(workers >= 2, f"workers must be at least 2 (one of them is the driver), got {workers}")
        check_heaps(settings or {}, memory_gb=GLUE_MEMORY_GB[worker_type], worker=f"a worker of type {worker_type}")
        arguments = arguments if arguments is not None else {}
        check_glue_arguments(arguments)
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
            command={"name": "gluestreaming", "pythonVersion": "3", "scriptLocation": script},
            default_arguments={
                "--job-language": "python",
                "--datalake-formats": "iceberg",
                "--enable-metrics": "true",
                "--enable-observability-metrics": "true",
                **event_log_arguments(self.role, event_logs, job=name),
                "--job-bookmark-option": BOOKMARKS["disable"],
                "--custom-logGroup-prefix": logs.prefix,
                **files,
                **({"--enable-auto-scaling": "true"} if auto_scaling else {}),
                "--conf": conf_argument({**ICEBERG_SETTINGS, **(settings or {})}),
                **arguments,
            },
            connections={"connections": list(connections)} if connections else None,
            execution_property={"maxConcurrentRuns": 1},
            glue_version=glue_version,
            max_retries=0,
            number_of_workers=workers,
            security_configuration=security_configuration.name,
            timeout=timeout_minutes,
            worker_type=worker_type,
        )
        acknowledge(self.resource, "AwsSolutions-GL1", reason=LOGS_ENCRYPTED)
        self.job_name = name
        self.job_arn = job_arn(name)
        self.grants = GlueJobGrants(name)
