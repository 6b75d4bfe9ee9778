"""The net under job runs of EMR Serverless that no pipeline waits for."""

from __future__ import annotations

from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from constructs_lib.arns import ACCOUNT, PARTITION, rule_arn
from constructs_lib.functions import PlatformFunction
from constructs_lib.order import after
from lakehouse.naming import Names

RULE = "serverless-backstop"
"""Last part of the rule's name."""


class ServerlessBackstop(Construct):
    """Rule that hands the notifier every job run of an application that failed, but for those of pipelines, which tell of their runs themselves.

    A run that was cancelled is nobody's news: somebody cancelled it. A function and not the topic is what the rule calls, as EventBridge sends to an
    encrypted topic only under a key that admits it from any account.
    """

    def __init__(self, scope: Construct, id: str, *, names: Names, application_id: str, notifier: PlatformFunction) -> None:
        """
        Args:
            names: Names of the environment; what its own roles started are the runs of its pipelines.
            application_id: The application.
            notifier: Function that is called with the event.
        """
        super().__init__(scope, id)
        name = f"{names.prefix}-{RULE}"
        rule = events.CfnRule(
            self,
            "Resource",
            name=name,
            description="Job runs of EMR Serverless that failed and that no pipeline started",
            event_pattern={
                "source": ["aws.emr-serverless"],
                "detail-type": ["EMR Serverless Job Run State Change"],
                "detail": {
                    "applicationId": [application_id],
                    "state": ["FAILED"],
                    "createdBy": [{"anything-but": {"prefix": f"arn:{PARTITION}:sts::{ACCOUNT}:assumed-role/{names.prefix}-"}}],
                },
            },
            targets=[{"id": "notifier", "arn": notifier.function_arn}],
        )
        permission = lambda_.CfnPermission(
            self,
            "Permission",
            action="lambda:InvokeFunction",
            function_name=notifier.function_name,
            principal="events.amazonaws.com",
            source_arn=rule_arn(name),
        )
        after(permission, notifier.resource)
        after(rule, notifier.resource)
