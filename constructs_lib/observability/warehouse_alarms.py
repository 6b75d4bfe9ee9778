"""Alarms on a provisioned warehouse."""

from __future__ import annotations

from constructs import Construct

from constructs_lib.observability.alert_topics import AlertTopicNames
from constructs_lib.observability.watching import Watch, alarm
from constructs_lib.signals import Signal
from lakehouse.naming import Names

MAX_DISK_PERCENT = 85
"""Beyond this much of the nodes' disks, queries that spill begin to fail."""


class WarehouseAlarms(Construct):
    """Two alarms: the cluster does not answer, and its disks fill. A cluster that is paused has no metrics, and raises none.

    Attributes:
        alarms: The alarms by what they watch.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        topics: AlertTopicNames,
        cluster: str,
        health: Signal,
        disk_percent: Signal,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            topics: Topics of alerts.
            cluster: Identifier of the cluster.
            health: 1 while it answers, 0 while it does not.
            disk_percent: How much of its disks is in use.
        """
        super().__init__(scope, id)
        watches = {
            "unhealthy": Watch(
                id="Unhealthy",
                name=f"{names.prefix}-warehouse-unhealthy",
                severity="critical",
                signal=health,
                threshold=1,
                is_below=True,
                text=f"The cluster {cluster} does not answer: loads and queries fail. Next: Redshift restarts it by itself; lake status --env {names.env}.",
            ),
            "disk": Watch(
                id="Disk",
                name=f"{names.prefix}-warehouse-disk",
                severity="warning",
                signal=disk_percent,
                threshold=MAX_DISK_PERCENT,
                text=f"Queries of the cluster {cluster} fill the disks of its nodes. Next: look for queries that spill in sys_query_history, or add nodes.",
            ),
        }
        self.alarms = {name: alarm(self, watch, topics) for name, watch in watches.items()}
