"""Metrics that the platform emits: names, units and dimensions for emitters, alarms and dashboards.

Action: cloudwatch:PutMetricData (resource `*`, condition `cloudwatch:namespace` = `Lakehouse`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from lakehouse.errors import TerminalError, TransientError
from lakehouse.naming import METRICS_NAMESPACE

Unit = Literal["Count", "Seconds", "Percent", "Bytes"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric: its name and unit; the dimensions are those of `DIMENSIONS`."""

    name: str
    unit: Unit


ENVIRONMENT = "Environment"
PIPELINE = "Pipeline"
DIMENSIONS = (ENVIRONMENT, PIPELINE)
"""Dimensions of every metric below, in this order."""

RUNS_STARTED = Metric(name="RunsStarted", unit="Count")
RUNS_SUCCEEDED = Metric(name="RunsSucceeded", unit="Count")
RUNS_FAILED = Metric(name="RunsFailed", unit="Count")
RUNS_TIMED_OUT = Metric(name="RunsTimedOut", unit="Count")
RUNS_SKIPPED = Metric(name="RunsSkipped", unit="Count")
RUN_DURATION = Metric(name="RunDuration", unit="Seconds")
ROWS_IN = Metric(name="RowsIn", unit="Count")
ROWS_SILVER = Metric(name="RowsSilver", unit="Count")
ROWS_SUPERSEDED = Metric(name="RowsSuperseded", unit="Count")
ROWS_QUARANTINED = Metric(name="RowsQuarantined", unit="Count")
FILES_LOADED = Metric(name="FilesLoaded", unit="Count")
FILES_SKIPPED = Metric(name="FilesSkipped", unit="Count")
FILES_REJECTED = Metric(name="FilesRejected", unit="Count")

RUN_METRICS = (
    RUNS_STARTED,
    RUNS_SUCCEEDED,
    RUNS_FAILED,
    RUNS_TIMED_OUT,
    RUNS_SKIPPED,
    RUN_DURATION,
    ROWS_IN,
    ROWS_SILVER,
    ROWS_SUPERSEDED,
    ROWS_QUARANTINED,
    FILES_LOADED,
    FILES_SKIPPED,
    FILES_REJECTED,
)
"""Everything that the run recorder emits."""


_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


class MetricsDeniedError(TerminalError):
    """The caller's role may not send metrics: a fault of the deployment."""


class MetricsOutageError(TransientError):
    """CloudWatch could not take metrics now."""


class MetricsEmitter:
    """Sends metrics of one environment."""

    def __init__(self, *, client: Any, env: str, namespace: str = METRICS_NAMESPACE) -> None:
        """
        Args:
            client: boto3 CloudWatch client.
            env: Environment.
            namespace: CloudWatch namespace.
        """
        self._client = client
        self._env = env
        self._namespace = namespace

    def emit(self, values: Mapping[Metric, float], *, pipeline: str, at: datetime) -> None:
        """Send some metrics of a pipeline in one call.

        Args:
            values: Value of each metric; nothing is sent if there are none.
            pipeline: Pipeline.
            at: When it was so.

        Raises:
            MetricsDeniedError: The role may not do so; the text names the action.
            MetricsOutageError: CloudWatch did not take them, for whatever other reason.
        """
        dimensions = [{"Name": ENVIRONMENT, "Value": self._env}, {"Name": PIPELINE, "Value": pipeline}]
        data = [
            {"MetricName": metric.name, "Unit": metric.unit, "Value": float(value), "Timestamp": at, "Dimensions": dimensions}
            for metric, value in values.items()
        ]
        if not data:
            return
        try:
            self._client.put_metric_data(Namespace=self._namespace, MetricData=data)
        except Exception as error:  # the SDK has no one base class for answers and for the lack of one
            kind = MetricsDeniedError if _code(error) in _DENIED else MetricsOutageError
            raise kind(f"{type(error).__name__}: {error}") from error


def _code(error: Exception) -> str:
    # Errors of the way to AWS have a response too, and it is None.
    response: Mapping[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
