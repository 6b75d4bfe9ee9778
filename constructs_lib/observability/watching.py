"""How every alarm of the platform is made."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from constructs_lib.observability.alert_topics import AlertTopicNames


@dataclass(frozen=True, kw_only=True)
class Watch:
    """A metric and when it is too high.

    Attributes:
        id: Construct id of the alarm.
        name: Name of the alarm.
        severity: Which topic is told.
        metric: What is watched.
        threshold: Least value that raises the alarm.
        text: What has happened and what to do next.
    """

    id: str
    name: str
    severity: str
    metric: cloudwatch.IMetric
    threshold: float
    text: str


def alarm(scope: Construct, watch: Watch, topics: AlertTopicNames) -> cloudwatch.Alarm:
    """An alarm that tells a topic once a period is too high; no data is no alarm.

    Args:
        scope: What it belongs to.
        watch: What is watched.
        topics: Topics of alerts.
    """
    made = cloudwatch.Alarm(
        scope,
        watch.id,
        alarm_name=watch.name,
        alarm_description=watch.text,
        metric=watch.metric,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        threshold=watch.threshold,
        evaluation_periods=1,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
    )
    resource = made.node.default_child
    assert isinstance(resource, cloudwatch.CfnAlarm)
    # An SnsAction wants the topic as a construct; its ARN is all that the alarm needs.
    resource.alarm_actions = [topics.arn(watch.severity)]
    return made
