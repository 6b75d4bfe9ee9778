"""The role that people act as when they operate the platform from the command line."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import arn, execution_arn, job_arn
from constructs_lib.log_group import STREAMS
from constructs_lib.permissions import account_principal, allow
from lakehouse.naming import Names


class OperatorRole(Construct):
    """Role that this account's own principals may assume if their own policies let them; it drops files, sees, starts and stops runs, and changes no resource.

    Attributes:
        role: The role; grants of other constructs give it what it may do.
    """

    def __init__(self, scope: Construct, id: str, *, names: Names, pipelines: Sequence[str]) -> None:
        """
        Args:
            names: Names of the environment.
            pipelines: Pipelines that it watches over.
        """
        super().__init__(scope, id)
        self.role = iam.Role(
            self,
            "Role",
            role_name=names.operator_role,
            assumed_by=account_principal(),
            description=f"Operates {names.project} {names.env}: drops files, starts and stops runs, reads runs, logs and tables",
        )
        allow(
            self.role,
            actions=["cloudwatch:DescribeAlarms"],
            resources=["*"],
            because="CloudWatch lists alarms only for whoever may see all of them.",
        )
        allow(
            self.role,
            actions=["cloudformation:DescribeStacks"],
            resources=[arn("cloudformation", f"stack/{names.prefix}-*/*")],
            because="Stacks end in an id that CloudFormation gives; the environment's prefix is the limit.",
        )
        if pipelines:
            allow(
                self.role,
                actions=["glue:GetJobRuns"],
                resources=[job_arn(f"{names.prefix}-*")],
                because="A policy has no room for every job; the environment's prefix is the limit.",
            )
            allow(
                self.role,
                actions=["cloudwatch:GetMetricData"],
                resources=["*"],
                because="CloudWatch knows no resource for reading metrics.",
            )
            allow(
                self.role,
                actions=["states:StopExecution"],
                resources=[execution_arn(f"{names.prefix}-*")],
                because="Executions are named after what started them, and a policy has no room for every machine; the environment's prefix is the limit.",
            )
            allow(
                self.role,
                actions=["logs:FilterLogEvents"],
                resources=[arn("logs", f"log-group:{names.log_group('jobs', pipeline)}/*") for pipeline in pipelines],
                because=STREAMS,
            )
