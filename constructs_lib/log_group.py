"""A log group under a customer key that forgets after a while."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from constructs_lib.arns import arn, key_arn
from constructs_lib.checks import require, shown
from constructs_lib.permissions import allow

RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""Retentions that CloudWatch Logs knows."""

STREAMS = "Streams are named by the service that writes them; the log group is the limit."
"""Why permissions on log groups end in a star."""


class LogGroup(Construct):
    """Encrypted log group with a retention.

    Attributes:
        resource: The CloudFormation resource, for what has to come after it.
        log_group_name: Its name.
        log_group_arn: Its ARN, without the `:*` of its streams.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        key: kms.IKey,
        retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            name: Name of the log group.
            key: Customer key; its policy must let CloudWatch Logs use it for this name.
            retention_days: Days for which events are kept, one of those that CloudWatch Logs knows.
            removal_policy: What happens to it when the stack goes.
        """
        super().__init__(scope, id)
        require(
            retention_days in RETENTION_DAYS,
            f"retention_days must be one of {', '.join(map(str, RETENTION_DAYS))} (CloudWatch Logs knows no other), got {shown(retention_days)}",
        )
        self.resource = logs.CfnLogGroup(self, "Resource", log_group_name=name, kms_key_id=key_arn(key), retention_in_days=retention_days)
        self.resource.apply_removal_policy(removal_policy)
        self.log_group_name = name
        self.log_group_arn = log_group_arn(name)
        self.grants = LogGroupGrants(name)


class LogGroupGrants:
    """Permissions on a log group."""

    def __init__(self, name: str) -> None:
        self._arn = log_group_arn(name)

    def write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it write streams of events."""
        return allow(
            grantee, actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[self._arn, f"{self._arn}:*"], because=STREAMS
        )

    def read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it read events."""
        return allow(grantee, actions=["logs:FilterLogEvents", "logs:GetLogEvents"], resources=[f"{self._arn}:*"], because=STREAMS)


def log_group_arn(name: str) -> str:
    """ARN of a log group of this account and region by its name."""
    return arn("logs", f"log-group:{name}")
