"""How every alarm of the platform is made."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from constructs_lib.observability.alert_topics import AlertTopicNames
from constructs_lib.signals import Signal


@dataclass(frozen=True, kw_only=True)
class Watch:
    """A metric and when it is too high.

    Attributes:
        id: Construct id of the alarm.
        name: Name of the alarm.
        severity: Which topic is told.
        signal: What is watched.
        threshold: Least value that raises the alarm.
        text: What has happened and what to do next.
    """

    id: str
    name: str
    severity: str
    signal: Signal
    threshold: float
    text: str


def alarm(scope: Construct, watch: Watch, topics: AlertTopicNames) -> cloudwatch.CfnAlarm:
    """An alarm that tells a topic once a period is too high; no data is no alarm.

    Args:
        scope: What it belongs to.
        watch: What is watched.
        topics: Topics of alerts.
    """
    signal = watch.signal
    # The L2 alarm is six calls into the CDK: metric, period, alarm, and three for its action, as an SnsAction wants the topic as a construct.
    return cloudwatch.CfnAlarm(
        Construct(scope, watch.id),
        "Resource",
        alarm_actions=[topics.arn(watch.severity)],
        alarm_description=watch.text,
        alarm_name=watch.name,
        comparison_operator="GreaterThanOrEqualToThreshold",
        dimensions=[{"name": name, "value": value} for name, value in sorted(signal.dimensions.items())],
        evaluation_periods=1,
        metric_name=signal.name,
        namespace=signal.namespace,
        period=signal.minutes * 60,
        statistic=signal.statistic,
        threshold=watch.threshold,
        treat_missing_data="notBreaching",
    )
