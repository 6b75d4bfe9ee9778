"""Alarms on the functions that everything else relies on."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from constructs_lib.observability.alert_topics import AlertTopicNames
from constructs_lib.observability.watching import Watch, alarm
from lakehouse.naming import Names


class FunctionAlarms(Construct):
    """An alarm for each function: a call failed.

    Attributes:
        alarms: The alarms by the function's purpose.
    """

    def __init__(self, scope: Construct, id: str, *, names: Names, topics: AlertTopicNames, functions: Mapping[str, str]) -> None:
        """
        Args:
            names: Names of the environment.
            topics: Topics of alerts.
            functions: Function names by purpose.
        """
        super().__init__(scope, id)
        self.alarms = {
            purpose: alarm(
                self,
                Watch(
                    id="".join(part.capitalize() for part in purpose.split("-")),
                    name=f"{names.prefix}-{purpose}-errors",
                    severity="warning",
                    metric=cloudwatch.Metric(
                        namespace="AWS/Lambda",
                        metric_name="Errors",
                        dimensions_map={"FunctionName": function},
                        statistic="Sum",
                        period=Duration.minutes(5),
                    ),
                    threshold=1,
                    text=f"The function {function} fails. Next: lake status --env {names.env}, then read its log group.",
                ),
                topics,
            )
            for purpose, function in functions.items()
        }
