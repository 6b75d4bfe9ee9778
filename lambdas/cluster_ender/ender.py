"""Ends whatever is called after a run, so that no cluster outlives it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from lakehouse.clock import from_text
from lakehouse.emr import Clusters, cluster_name
from lakehouse.errors import TerminalError

SLACK = timedelta(minutes=5)
"""How far the clocks of Step Functions and EMR may be apart."""


class UnknownRequestError(TerminalError):
    """The payload is none that this function understands."""


@dataclass(frozen=True, kw_only=True)
class EndRequest:
    """A run whose clusters are to end.

    Attributes:
        machine: Name of its state machine.
        run_id: The run.
        started_at: When it began; nothing older is looked at.
    """

    machine: str
    run_id: str
    started_at: datetime

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> EndRequest | None:
        """Read a payload of a state machine, or what EventBridge says of the end of an execution.

        Returns:
            The request; None if the execution was given nothing that names a run, so that it never made a cluster.

        Raises:
            UnknownRequestError: It is neither.
        """
        try:
            if event.get("source") != "aws.states":
                return cls(machine=event["machine"], run_id=event["run_id"], started_at=from_text(event["started_at"]))
            detail = cast("dict[str, Any]", event["detail"])
            run_id = _run_of(detail.get("input"))
            if run_id is None:
                return None
            return cls(
                machine=str(detail["stateMachineArn"]).rpartition(":")[2],
                run_id=run_id,
                started_at=datetime.fromtimestamp(int(detail["startDate"]) / 1000, UTC),
            )
        except KeyError as error:
            raise UnknownRequestError(
                f"the payload has no {error}, it has {', '.join(sorted(event))}: pass machine, run_id and started_at"
            ) from error


class ClusterEnder:
    """Ends clusters by the name of their run."""

    def __init__(self, *, clusters: Clusters) -> None:
        """
        Args:
            clusters: Clusters of the account and region.
        """
        self._clusters = clusters

    def end(self, request: EndRequest | None) -> tuple[str, ...]:
        """End what there is; nothing if it is gone already.

        Returns:
            Ids of the clusters that were still there.
        """
        if request is None:
            return ()
        found = self._clusters.live(name=cluster_name(request.machine, request.run_id), created_after=request.started_at - SLACK)
        return self._clusters.end(found)


def _run_of(text: Any) -> str | None:
    try:
        document: object = json.loads(text or "null")
    except ValueError:
        return None
    run_id = cast("dict[str, Any]", document).get("run_id") if isinstance(document, dict) else None
    return run_id if isinstance(run_id, str) else None
