"""What Glue jobs of every kind have in common: their role, their connections, their grants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import ACCOUNT, arn, catalog_arn, job_arn
from constructs_lib.checks import require
from constructs_lib.permissions import NO_METRIC_RESOURCE, allow, service_principal, service_principal_conditions
from constructs_lib.processing.job_arguments import check_arguments
from constructs_lib.processing.job_logs import JobLogs

MAX_TIMEOUT_MINUTES = 7 * 24 * 60
"""Seven days, Glue's longest."""

LOGS_ENCRYPTED = (
    "The log groups are encrypted with a customer key by themselves; encryption in the security configuration would move logs to groups that Glue names by "
    "role, with no retention."
)
"""Why cdk-nag's rule on log encryption is acknowledged."""

BOOKMARKS = {
    "disable": "job-bookmark-disable",
    "enable": "job-bookmark-enable",
    "pause": "job-bookmark-pause",
}
"""Values of `--job-bookmark-option`. A reset is a call of Glue's API (ResetJobBookmark), not a value."""

_OWNED = {
    "--class": "`code`",
    "--conf": "`settings`",
    "--custom-logGroup-prefix": "`logs`",
    "--datalake-formats": "Iceberg, which every Spark job has,",
    "--enable-auto-scaling": "`auto_scaling`",
    "--enable-spark-ui": "`event_logs`",
    "--extra-jars": "`extra_jars`",
    "--extra-py-files": "`code`",
    "--job-bookmark-option": "`bookmark`",
    "--job-language": "Python, which every job is written in,",
    "--spark-event-logs-path": "`event_logs`",
}
_GLUE_S_OWN = ("--JOB_ID", "--JOB_NAME", "--JOB_RUN_ID", "--debug", "--endpoint", "--mode")
"""Arguments that Glue sets by itself and asks everybody else never to set."""

_INTERFACES = "Glue makes the network interfaces of a run, whose ids nobody knows beforehand."
_DESCRIBE = "EC2 knows no resource for describing networks."
_TAGGED = {"ForAllValues:StringEquals": {"aws:TagKeys": ["aws-glue-service-resource"]}}


class GlueJobGrants:
    """Permissions on a Glue job."""

    def __init__(self, name: str) -> None:
        self._arn = job_arn(name)

    def run(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it start runs, watch them and stop them."""
        return allow(grantee, actions=["glue:BatchStopJobRun", "glue:GetJobRun", "glue:StartJobRun"], resources=[self._arn])


def glue_role(scope: Construct, name: str) -> iam.Role:
    """Role of a job, which may do nothing yet."""
    return iam.Role(
        scope,
        "Role",
        assumed_by=service_principal("glue.amazonaws.com", conditions=service_principal_conditions(account=ACCOUNT)),
        description=f"Runs {name}",
    )


def report(role: iam.Role, logs: JobLogs) -> None:
    """Let a job write its logs and Glue's own metrics."""
    logs.output.grants.write(role)
    logs.error.grants.write(role)
    allow(
        role,
        actions=["cloudwatch:PutMetricData"],
        resources=["*"],
        because=NO_METRIC_RESOURCE,
        conditions={"StringEquals": {"cloudwatch:namespace": "Glue"}},
    )


def connect(role: iam.Role, connections: Sequence[str]) -> None:
    """Let a job use connections: read them, and have Glue put the run into their network.

    Args:
        role: Role of the job.
        connections: Names of Glue connections.

    Raises:
        InvalidProps: A name is empty or stands twice.
    """
    require(all(connections), "a name in `connections` is empty: give names of Glue connections")
    require(len(set(connections)) == len(connections), f"`connections` names one twice: {', '.join(connections)}")
    if not connections:
        return
    allow(role, actions=["glue:GetConnection"], resources=[catalog_arn(), *(arn("glue", f"connection/{name}") for name in connections)])
    interfaces = arn("ec2", "network-interface/*")
    allow(
        role,
        actions=[
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcAttribute",
            "ec2:DescribeVpcEndpoints",
        ],
        resources=["*"],
        because=_DESCRIBE,
    )
    allow(
        role,
        actions=["ec2:CreateNetworkInterface"],
        resources=[interfaces, arn("ec2", "security-group/*"), arn("ec2", "subnet/*")],
        because=_INTERFACES,
    )
    allow(role, actions=["ec2:DeleteNetworkInterface"], resources=[interfaces], because=_INTERFACES)
    allow(role, actions=["ec2:CreateTags", "ec2:DeleteTags"], resources=[interfaces], because=_INTERFACES, conditions=_TAGGED)


def bookmark_option(bookmark: str, *, max_concurrent_runs: int) -> str:
    """Value of `--job-bookmark-option`.

    Raises:
        InvalidProps: It is no value of Glue's, or runs side by side would share the bookmark.
    """
    require(
        bookmark in BOOKMARKS,
        f"bookmark must be one of {', '.join(BOOKMARKS)}, got {bookmark!r}"
        + (": call `aws glue reset-job-bookmark --job-name NAME` to begin again" if "reset" in bookmark else ""),
    )
    require(
        bookmark == "disable" or max_concurrent_runs == 1,
        f"runs side by side overwrite each other's bookmark, and max_concurrent_runs is {max_concurrent_runs}: set it to 1, or bookmark to 'disable'",
    )
    return BOOKMARKS[bookmark]


def check_glue_arguments(arguments: Mapping[str, str]) -> None:
    """Refuse arguments that Glue or the construct sets, and secrets.

    Raises:
        InvalidProps: There is one.
    """
    check_arguments(arguments, owned=_OWNED, engine_s_own=_GLUE_S_OWN, engine="Glue")
