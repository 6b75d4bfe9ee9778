"""Metrics as plain data: an alarm needs no object of the CDK to watch one, and each such object is a call into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A metric of CloudWatch and how it is read.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        dimensions: Its dimensions.
        statistic: How values of a period become one, such as `Sum`.
        minutes: Length of a period.
    """

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str
    minutes: int = 5

    def metric(self) -> cloudwatch.Metric:
        """The same for the CDK's own constructs."""
        return cloudwatch.Metric(
            namespace=self.namespace,
            metric_name=self.name,
            dimensions_map=dict(self.dimensions),
            statistic=self.statistic,
            period=Duration.minutes(self.minutes),
        )
