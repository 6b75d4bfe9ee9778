"""Alarms on what queries of a workgroup cost, and on queries that fail."""

from __future__ import annotations

from typing import Protocol

from constructs import Construct

from constructs_lib.checks import require_range
from constructs_lib.observability.alert_topics import AlertTopicNames
from constructs_lib.observability.watching import Watch, alarm
from constructs_lib.signals import Signal
from lakehouse.naming import Names


class WatchedWorkgroup(Protocol):
    """A workgroup, as far as alarms care."""

    @property
    def workgroup_name(self) -> str:
        """Name that queries choose it by."""
        ...

    def scanned_bytes_signal(self, *, minutes: int) -> Signal:
        """Bytes that queries read in a span of time."""
        ...

    def failed_queries_signal(self, *, minutes: int) -> Signal:
        """Queries that failed in a span of time."""
        ...


class WorkgroupAlarms(Construct):
    """Two alarms of a workgroup: its queries together read too much in an hour, and many of them fail.

    One query that reads too much is cut off by the workgroup itself.

    Attributes:
        alarms: The alarms by id.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        workgroup: WatchedWorkgroup,
        topics: AlertTopicNames,
        hourly_scan_mb: int = 100_000,
        failed_queries: int = 10,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            workgroup: Workgroup that is watched.
            topics: Topics of alerts.
            hourly_scan_mb: Data that its queries may read in an hour before somebody is told, in MB.
            failed_queries: Failed queries in five minutes of which somebody is told.
        """
        super().__init__(scope, id)
        require_range(hourly_scan_mb, name="hourly_scan_mb", at_least=1)
        require_range(failed_queries, name="failed_queries", at_least=1)
        name = workgroup.workgroup_name
        next_ = f"Next: lake status --env {names.env}, then look at the recent queries of the workgroup."
        watches = [
            Watch(
                id="Scanned",
                name=f"{names.prefix}-queries-scan-much",
                severity="warning",
                signal=workgroup.scanned_bytes_signal(minutes=60),
                threshold=hourly_scan_mb * 1_000_000,
                text=f"Queries of workgroup {name} read over {hourly_scan_mb} MB in an hour, which is what Athena charges for. {next_}",
            ),
            Watch(
                id="Failed",
                name=f"{names.prefix}-queries-fail",
                severity="warning",
                signal=workgroup.failed_queries_signal(minutes=5),
                threshold=failed_queries,
                text=f"{failed_queries} queries of workgroup {name} or more failed in five minutes. {next_}",
            ),
        ]
        self.alarms = {watch.id: alarm(self, watch, topics) for watch in watches}
