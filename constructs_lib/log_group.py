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

RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    5: logs.RetentionDays.FIVE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    120: logs.RetentionDays.FOUR_MONTHS,
    150: logs.RetentionDays.FIVE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
    400: logs.RetentionDays.THIRTEEN_MONTHS,
    545: logs.RetentionDays.EIGHTEEN_MONTHS,
    731: logs.RetentionDays.TWO_YEARS,
    1096: logs.RetentionDays.THREE_YEARS,
    1827: logs.RetentionDays.FIVE_YEARS,
    2192: logs.RetentionDays.SIX_YEARS,
    2557: logs.RetentionDays.SEVEN_YEARS,
    2922: logs.RetentionDays.EIGHT_YEARS,
    3288: logs.RetentionDays.NINE_YEARS,
    3653: logs.RetentionDays.TEN_YEARS,
}
"""Retentions that CloudWatch Logs knows, by their days."""

STREAMS = "Streams are named by the service that writes them; the log group is the limit."
"""Why permissions on log groups end in a star."""


class LogGroup:
    """Encrypted log group with a retention.

    It is no construct: the L2 log group has the id, as every construct around it would cost each synth one call into the CDK more.

    Attributes:
        resource: The CDK's log group, for what has to come after it.
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
            scope: What it belongs to.
            id: Construct id of the log group.
            name: Name of the log group.
            key: Customer key; its policy must let CloudWatch Logs use it for this name.
            retention_days: Days for which events are kept, one of those that CloudWatch Logs knows.
            removal_policy: What happens to it when the stack goes.
        """
        require(
            retention_days in RETENTION,
            f"retention_days must be one of {', '.join(map(str, RETENTION))} (CloudWatch Logs knows no other), got {shown(retention_days)}",
        )
        key_arn(key)
        self.resource = logs.LogGroup(
            scope,
            id,
            log_group_name=name,
            encryption_key=key,
            retention=RETENTION[retention_days],
            removal_policy=removal_policy,
        )
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
