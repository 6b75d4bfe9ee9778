"""Athena's metrics of a query that has ended, for workgroups that publish them: by workgroup, and by workgroup, kind of statement and end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from local.aws import seam

NAMESPACE = "AWS/Athena"
TIMES = {
    "EngineExecutionTime": "EngineExecutionTimeInMillis",
    "QueryPlanningTime": "QueryPlanningTimeInMillis",
    "QueryQueueTime": "QueryQueueTimeInMillis",
    "ServiceProcessingTime": "ServiceProcessingTimeInMillis",
    "TotalExecutionTime": "TotalExecutionTimeInMillis",
}
"""Metric -> entry of the query's statistics, in milliseconds."""

_athena = seam.module("services.athena")
_cloudwatch = seam.module("services.cloudwatch")


def publish(execution: Mapping[str, Any]) -> None:
    """Publish what a query took, if its workgroup wants that.

    Args:
        execution: The query as Athena's API shows it, after its end.
    """
    workgroup = _athena._workgroups.get(execution["WorkGroup"]) or {}
    if str((workgroup.get("Configuration") or {}).get("PublishCloudWatchMetricsEnabled", False)).lower() != "true":
        return
    statistics = execution["Statistics"]
    values = {metric: float(statistics[name]) for metric, name in TIMES.items() if statistics.get(name) is not None}
    if execution["StatementType"] == "DML":
        values["ProcessedBytes"] = float(statistics.get("DataScannedInBytes", 0))
    group = {"WorkGroup": execution["WorkGroup"]}
    apart = {"QueryState": execution["Status"]["State"], "QueryType": execution["StatementType"], **group}
    for dimensions in (group, apart):
        for metric, value in values.items():
            unit = "Bytes" if metric == "ProcessedBytes" else "Milliseconds"
            _cloudwatch._store_datum(NAMESPACE, metric, dimensions, time.time(), unit, value, None, None, None)
