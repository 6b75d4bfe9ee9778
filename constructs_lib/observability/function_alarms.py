"""Alarms on the functions that everything else relies on."""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct

from constructs_lib.observability.alert_topics import AlertTopicNames
from constructs_lib.observability.watching import Watch, alarm
from constructs_lib.signals import Signal
from lakehouse.naming import Names

LAST_TRY = 3
"""State machines and EventBridge call a function three times, within less than five minutes."""


class FunctionAlarms(Construct):
    """Two alarms for each function: a call failed, and calls keep failing.

    Attributes:
        alarms: The alarms by the function's purpose, and those of calls that keep failing by `<purpose>-keeps-failing`.
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
            name: alarm(self, watch, topics)
            for purpose, function in functions.items()
            for name, watch in _watches(names, purpose=purpose, function=function).items()
        }


def _watches(names: Names, *, purpose: str, function: str) -> dict[str, Watch]:
    id_ = "".join(part.capitalize() for part in purpose.split("-"))

    def errors(minutes: int) -> Signal:
        return Signal(namespace="AWS/Lambda", name="Errors", dimensions={"FunctionName": function}, statistic="Sum", minutes=minutes)

    return {
        purpose: Watch(
            id=id_,
            name=f"{names.prefix}-{purpose}-errors",
            severity="warning",
            signal=errors(5),
            threshold=1,
            text=f"The function {function} fails; its calls are tried again. Next: lake status --env {names.env}, then read its log group.",
        ),
        f"{purpose}-keeps-failing": Watch(
            id=f"{id_}KeepsFailing",
            name=f"{names.prefix}-{purpose}-keeps-failing",
            severity="critical",
            signal=errors(10),
            threshold=LAST_TRY,
            text=f"The function {function} failed {LAST_TRY} times, after which nobody calls it again: the end of a run may be unrecorded or untold. "
            f"Next: lake runs --env {names.env}, then read its log group.",
        ),
    }
