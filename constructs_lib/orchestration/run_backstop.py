"""The net under every state machine: executions that ended badly are recorded and told even if the machine could not do it itself."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from constructs_lib.arns import rule_arn, state_machine_arn
from constructs_lib.functions import PlatformFunction
from constructs_lib.order import after
from lakehouse.naming import Names

RULE = "run-backstop"
"""Last part of the rule's name."""

STATUSES = ("ABORTED", "FAILED", "TIMED_OUT")
"""Ends that nobody wants; a machine that is stopped or runs out of time cannot say so itself."""


class RunBackstop(Construct):
    """Rule that hands every bad end of the environment's machines to the recorder and the notifier, which both do nothing twice."""

    def __init__(self, scope: Construct, id: str, *, names: Names, functions: Sequence[PlatformFunction]) -> None:
        """
        Args:
            names: Names of the environment; its machines are those whose name starts with its prefix and a hyphen, so no other prefix of the account
                may begin like that.
            functions: Functions that are called with the event.
        """
        super().__init__(scope, id)
        name = f"{names.prefix}-{RULE}"
        rule = events.CfnRule(
            self,
            "Resource",
            name=name,
            description="Runs that failed, timed out or were stopped",
            event_pattern={
                "source": ["aws.states"],
                "detail-type": ["Step Functions Execution Status Change"],
                "detail": {"status": list(STATUSES), "stateMachineArn": [{"prefix": f"{state_machine_arn(names.prefix)}-"}]},
            },
            targets=[{"id": f"function{position}", "arn": function.function_arn} for position, function in enumerate(functions)],
        )
        for position, function in enumerate(functions):
            permission = lambda_.CfnPermission(
                self,
                f"Permission{position}",
                action="lambda:InvokeFunction",
                function_name=function.function_name,
                principal="events.amazonaws.com",
                source_arn=rule_arn(name),
            )
            after(permission, function.resource)
            after(rule, function.resource)
