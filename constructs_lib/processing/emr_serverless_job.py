"""A Spark job on EMR Serverless."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import ACCOUNT, arn
from constructs_lib.checks import require, require_one_of, require_range
from constructs_lib.orchestration.emr_serverless_step import EmrServerlessStep
from constructs_lib.permissions import allow, service_principal, service_principal_conditions
from constructs_lib.processing.emr_serverless_application import RELEASES
from constructs_lib.processing.event_logs import event_log_address
from constructs_lib.processing.job_arguments import check_arguments
from constructs_lib.processing.job_code import CodeAssets, JobCode
from constructs_lib.processing.job_logs import JobLogs
from constructs_lib.processing.serverless_size import ServerlessSize, check_heaps
from constructs_lib.processing.spark_settings import ICEBERG_SETTINGS, submit_parameters
from constructs_lib.storage.data_lake import LakeBuckets

MAX_TIMEOUT_MINUTES = 7 * 24 * 60
PACKAGES = "packages"
"""Folder on the workers that the archive of Python packages is unpacked to."""

_OWNED = {"--JOB_RUN_ID": "nothing, the job finds it", "--log_stream": "nothing, the construct fills it in"}
_NO_GROUPS = "CloudWatch Logs knows no resource for finding log groups."


class EmrServerlessJob(Construct):
    """PySpark script that runs on an EMR Serverless application, as a role that may read its code and write its log until granted more.

    EMR Serverless has no resource for a job: this is its role, its code and what starts a run; `step` makes it a step of a pipeline. It runs once a start: Step
    Functions alone tries again.

    Attributes:
        job_name: Its name, which every run carries.
        role: Role that it runs as.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        application_id: str,
        code: JobCode,
        logs: JobLogs,
        arguments: Mapping[str, str] | None = None,
        release: str = "emr-spark-8.0.0",
        size: ServerlessSize | None = None,
        timeout_minutes: int = 60,
        queue_minutes: int = 60,
        settings: Mapping[str, str] | None = None,
        extra_jars: Sequence[Path] = (),
        tags: Mapping[str, str] | None = None,
        event_logs: LakeBuckets | None = None,
    ) -> None:
        """
        Args:
            name: Name of the job.
            application_id: Application that it runs on, such as `EmrServerlessApplication.application_id`.
            code: Its script, bundle and packages.
            logs: Log groups; runs write to the one of what jobs print.
            arguments: Arguments by name with their `--`; nothing secret, as everybody who sees a run sees them.
            release: Release of the application.
            size: Workers of a run; None takes the defaults of `ServerlessSize`.
            timeout_minutes: Longest run; the service's own default is twelve hours.
            queue_minutes: Longest that a run waits for its turn, as the application has it.
            settings: Spark settings besides those that Iceberg needs; they win.
            extra_jars: Java archives, such as a JDBC driver.
            tags: Tags of every run, by which its cost is told.
            event_logs: Lake whose logs bucket keeps what Spark's UI shows of each run, and with it what driver and executors print; None keeps nothing there.
        """
        super().__init__(scope, id)
        require_one_of(release, RELEASES, name="release")
        require_range(timeout_minutes, name="timeout_minutes", at_least=1, at_most=MAX_TIMEOUT_MINUTES, why="seven days")
        arguments = dict(arguments if arguments is not None else {})
        check_arguments(arguments, owned=_OWNED, engine="EMR Serverless")
        size = size if size is not None else ServerlessSize()
        check_heaps(settings or {}, memory_gb=size.worker.memory_gb, worker="a worker")
        for jar in extra_jars:
            require(
                jar.is_file() and jar.suffix == ".jar",
                f"{jar} is no Java archive: give the path of a .jar that exists when the stack is synthesized",
            )
        self.job_name = name
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=service_principal("emr-serverless.amazonaws.com", conditions=service_principal_conditions(account=ACCOUNT)),
            description=f"Runs {name}",
        )
        assets = CodeAssets.of(self)
        script, bundle = assets.file(code.script), assets.file(code.bundle, code.bundle_hash)
        packages = assets.file(code.packages.path, code.packages.content_hash)
        jars = [assets.file(jar) for jar in extra_jars]
        assets.grants.read(self.role, [script, bundle, packages, *jars])
        logs.output.grants.write(self.role)
        allow(
            self.role,
            actions=["logs:DescribeLogStreams"],
            resources=[logs.output.log_group_arn, f"{logs.output.log_group_arn}:*"],
            because=_NO_GROUPS,
        )
        allow(self.role, actions=["logs:DescribeLogGroups"], resources=[arn("logs", "*")], because=_NO_GROUPS)
        self._step = EmrServerlessStep(
            name="job",
            timeout_minutes=timeout_minutes,
            job_name=name,
            application_id=application_id,
            role_arn=self.role.role_arn,
            script=script,
            arguments={**arguments, "--log_stream": f"{name}/applications/{application_id}/jobs/JOB_RUN_ID/SPARK_DRIVER/stdout"},
            submit_parameters=submit_parameters(
                {**ICEBERG_SETTINGS, **_environment(release), **size.settings(), **(settings or {})},
                py_files=[bundle],
                archives=[f"{packages}#{PACKAGES}"],
                jars=[*RELEASES[release].jars, *jars],
            ),
            log_group=logs.output.log_group_name,
            queue_minutes=queue_minutes,
            tags=dict(tags or {}),
            event_logs=None if event_logs is None else event_log_address(self.role, event_logs, job=name),
            event_log_key=None if event_logs is None else event_logs.key_arn,
        )

    def step(self, name: str) -> EmrServerlessStep:
        """The job as a step of a pipeline.

        Args:
            name: Name of the step.
        """
        return self._step.called(name)


def _environment(release: str) -> dict[str, str]:
    """Interpreter and Python path of driver and executors; Spark puts the path before its own."""
    python = RELEASES[release].python
    chosen = (
        {}
        if python is None
        else {
            "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": python,
            "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": python,
            "spark.executorEnv.PYSPARK_PYTHON": python,
        }
    )
    return {
        **chosen,
        "spark.emr-serverless.driverEnv.PYTHONPATH": f"./{PACKAGES}",
        "spark.executorEnv.PYTHONPATH": f"./{PACKAGES}",
    }
