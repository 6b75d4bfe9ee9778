"""A Spark job on Glue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.arns import ACCOUNT, job_arn
from constructs_lib.checks import require, require_one_of, require_range
from constructs_lib.log_group import LogGroup
from constructs_lib.permissions import NO_METRIC_RESOURCE, acknowledge, allow, service_principal, service_principal_conditions
from constructs_lib.processing.job_code import CodeAssets, JobCode
from constructs_lib.processing.security_configuration import SecurityConfiguration
from constructs_lib.processing.spark_settings import ICEBERG_SETTINGS, conf_argument

GLUE_VERSIONS = ("5.0", "5.1", "6.0")
"""Releases that run Spark on Python 3.11 or later."""

WORKER_TYPES = ("G.1X", "G.2X", "G.4X", "G.8X", "G.12X", "G.16X", "R.1X", "R.2X", "R.4X", "R.8X")
"""Worker types of batch Spark jobs; G.1X is one DPU (4 vCPU, 16 GB)."""

MIN_WORKERS = 2
"""One worker is the driver."""

MAX_WORKERS = 299
MAX_TIMEOUT_MINUTES = 7 * 24 * 60

_LOGS_ENCRYPTED = (
    "The log groups are encrypted with a customer key by themselves; encryption in the security configuration would move logs to groups that Glue names by "
    "role, with no retention."
)
_SECRET = re.compile(r"passw|passphrase|pwd|secret|token(?!s|iz)|credential|api[-_]?key|access[-_]?key|private[-_]?key", re.IGNORECASE)
"""Names of secrets; `--max_tokens` and `--tokenizer` are none."""

_SECRET_REFERENCE = re.compile(r"[-_](arn|name|id)$", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/@\s:]*:[^/@\s]+@|[?&;](password|pwd|secret|token)=[^&;]", re.IGNORECASE)
"""An address that carries its password: `jdbc:postgresql://user:word@host`, `...;password=word`."""

_OWNED = ("--conf", "--datalake-formats", "--extra-py-files", "--job-language", "--custom-logGroup-prefix")
_GLUE_S_OWN = ("--JOB_ID", "--JOB_NAME", "--JOB_RUN_ID", "--debug", "--endpoint", "--mode")
"""Arguments that Glue sets by itself and asks everybody else never to set."""


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


class JobLogs(Construct):
    """Log groups of the jobs of a pipeline: Glue 5 and later write `<prefix>/output` (what the job prints) and `<prefix>/error` (Spark's own log).

    Attributes:
        prefix: Beginning of both names.
        output: Log group of what jobs print.
        error: Log group of what Spark and the platform log.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        prefix: str,
        key: kms.IKey,
        retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            prefix: Beginning of both names.
            key: Customer key of the logs.
            retention_days: Days for which they are kept.
            removal_policy: What happens to them when the stack goes.
        """
        super().__init__(scope, id)
        self.prefix = prefix
        self.output = LogGroup(
            self, "Output", name=f"{prefix}/output", key=key, retention_days=retention_days, removal_policy=removal_policy
        )
        self.error = LogGroup(self, "Error", name=f"{prefix}/error", key=key, retention_days=retention_days, removal_policy=removal_policy)


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
        """
        super().__init__(scope, id)
        require_one_of(glue_version, GLUE_VERSIONS, name="glue_version")
        require_range(timeout_minutes, name="timeout_minutes", at_least=1, at_most=MAX_TIMEOUT_MINUTES, why="seven days, Glue's longest")
        require_range(max_concurrent_runs, name="max_concurrent_runs", at_least=1)
        arguments = arguments if arguments is not None else {}
        _check_arguments(arguments)
        size = size if size is not None else SparkSize()
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=service_principal("glue.amazonaws.com", conditions=service_principal_conditions(account=ACCOUNT)),
            description=f"Runs {name}",
        )
        code_assets = CodeAssets.of(self)
        script = code_assets.file(code.script)
        bundle = code_assets.file(code.bundle, code.bundle_hash)
        code_assets.grants.read(self.role, [script, bundle])
        logs.output.grants.write(self.role)
        logs.error.grants.write(self.role)
        allow(
            self.role,
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            because=NO_METRIC_RESOURCE,
            conditions={"StringEquals": {"cloudwatch:namespace": "Glue"}},
        )
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
                "--job-bookmark-option": "job-bookmark-disable",
                "--custom-logGroup-prefix": logs.prefix,
                "--extra-py-files": bundle,
                "--conf": conf_argument({**ICEBERG_SETTINGS, **(settings or {})}),
                **arguments,
            },
            execution_class="STANDARD",
            execution_property={"maxConcurrentRuns": max_concurrent_runs},
            glue_version=glue_version,
            job_run_queuing_enabled=True,
            max_retries=0,
            number_of_workers=size.workers,
            security_configuration=security_configuration.name,
            timeout=timeout_minutes,
            worker_type=size.worker_type,
        )
        acknowledge(self.resource, "AwsSolutions-GL1", reason=_LOGS_ENCRYPTED)
        self.job_name = name
        self.job_arn = job_arn(name)
        self.grants = GlueSparkJobGrants(name)

    def metric_failed_tasks(self) -> cloudwatch.Metric:
        """Spark tasks that failed, summed over five minutes."""
        return cloudwatch.Metric(
            namespace="Glue",
            metric_name="glue.driver.aggregate.numFailedTasks",
            dimensions_map={"JobName": self.job_name, "JobRunId": "ALL", "Type": "count"},
            statistic="Sum",
        )


class GlueSparkJobGrants:
    """Permissions on a job."""

    def __init__(self, name: str) -> None:
        self._arn = job_arn(name)

    def run(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it start runs, watch them and stop them."""
        return allow(grantee, actions=["glue:BatchStopJobRun", "glue:GetJobRun", "glue:StartJobRun"], resources=[self._arn])


def _check_arguments(arguments: Mapping[str, str]) -> None:
    for name, value in arguments.items():
        require(name.startswith("--"), f"job arguments start with `--`: write --{name.lstrip('-')} for {name!r}")
        require(name not in _OWNED, f"{name} belongs to the construct: use `settings` for Spark settings, `code` and `logs` for the others")
        require(name not in _GLUE_S_OWN, f"{name} is set by Glue itself: call your own argument something else")
        require(
            not _SECRET.search(name) or bool(_SECRET_REFERENCE.search(name)),
            f"{name} looks like a secret, and job arguments are visible to everybody who may see the job: store it in Secrets Manager, pass its ARN as "
            f"{name}_arn and read it in the job; if it is none, call it something else",
        )
        require(
            not _SECRET_VALUE.search(value),
            f"the value of {name} holds a password, and job arguments are visible to everybody who may see the job: store the address in Secrets Manager, "
            f"pass its ARN as {name}_secret_arn and read it in the job",
        )
