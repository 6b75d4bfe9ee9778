"""What EMR tells EventBridge of its clusters and steps, in the words of its documentation."""

from __future__ import annotations

import contextvars
import json
import logging
import queue
import threading
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from local.aws import seam

log = logging.getLogger("lake.emr")

CLUSTER_MESSAGES = {
    "STARTING": ("INFO", "Amazon EMR cluster {cluster} ({name}) was requested at {now} and is being created."),
    "RUNNING": ("INFO", "Amazon EMR cluster {cluster} ({name}) began running steps at {now}."),
    "WAITING": ("INFO", "Amazon EMR cluster {cluster} ({name}) was created at {now} and is ready for use."),
    "TERMINATED": ("INFO", "Amazon EMR Cluster {cluster} ({name}) has terminated at {now} with a reason of {code}."),
    "TERMINATED_WITH_ERRORS": (
        "CRITICAL", "Amazon EMR Cluster {cluster} ({name}) has terminated with errors at {now} with a reason of {code}.",
    ),
}  # fmt: skip
"""States of a cluster that are told, with severity and message."""

STEP_MESSAGES = {
    "PENDING": ("INFO", "A step was added to Amazon EMR cluster {cluster} ({name}) at {now} and is pending execution."),
    "CANCEL_PENDING": (
        "WARN", "Step {step} ({what}) in Amazon EMR cluster {cluster} ({name}) was cancelled at {now} and is pending cancellation.",
    ),
    "RUNNING": ("INFO", "Step {step} ({what}) in Amazon EMR cluster {cluster} ({name}) started running at {now}."),
    "COMPLETED": ("INFO", "Step {step} ({what}) in Amazon EMR cluster {cluster} ({name}) completed execution at {now}."),
    "CANCELLED": (
        "WARN", "A Cancellation request has succeeded for cluster step {step} ({what}) in Amazon EMR cluster {cluster} ({name}) at {now}.",
    ),
    "FAILED": ("ERROR", "Step {step} ({what}) in Amazon EMR cluster {cluster} ({name}) failed at {now}."),
}  # fmt: skip
"""States of a step that are told, with severity and message."""


def cluster_changed(cluster: Mapping[str, Any]) -> None:
    """Tell the default bus of a cluster's new state, if it is one that EMR tells."""
    status = cluster["Status"]
    if status["State"] not in CLUSTER_MESSAGES:
        return
    severity, message = CLUSTER_MESSAGES[status["State"]]
    reason = {name.lower(): value for name, value in status["StateChangeReason"].items()}
    _put("EMR Cluster State Change", {
        "severity": severity, "stateChangeReason": json.dumps({"code": "", **reason}, separators=(",", ":")), "name": cluster["Name"],
        "clusterId": cluster["Id"], "state": status["State"],
        "message": message.format(cluster=cluster["Id"], name=cluster["Name"], now=_now(), code=reason.get("code", "")),
    })  # fmt: skip


def step_changed(cluster: Mapping[str, Any], step: Mapping[str, Any]) -> None:
    """Tell the default bus of a step's new state, if it is one that EMR tells."""
    state = step["Status"]["State"]
    if state not in STEP_MESSAGES:
        return
    severity, message = STEP_MESSAGES[state]
    names = {"cluster": cluster["Id"], "name": cluster["Name"], "step": step["Id"], "what": step["Name"], "now": _now()}
    _put("EMR Step Status Change", {
        "severity": severity, "actionOnFailure": step["ActionOnFailure"], "stepId": step["Id"], "name": step["Name"],
        "clusterId": cluster["Id"], "state": state, "message": message.format(**names),
    })  # fmt: skip


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())


def _put(kind: str, detail: Mapping[str, Any]) -> None:
    """Have an event put behind those before it: its targets may ask EMR about the very cluster that is changing."""
    _waiting().put((contextvars.copy_context(), kind, detail))


@cache
def _waiting() -> queue.SimpleQueue[tuple[contextvars.Context, str, Mapping[str, Any]]]:
    waiting: queue.SimpleQueue[tuple[contextvars.Context, str, Mapping[str, Any]]] = queue.SimpleQueue()

    def send() -> None:
        while True:
            context, kind, detail = waiting.get()
            context.run(_send, kind, detail)

    threading.Thread(target=send, name="emr-events", daemon=True).start()
    return waiting


def _send(kind: str, detail: Mapping[str, Any]) -> None:
    entry = {"Source": "aws.emr", "DetailType": kind, "Detail": json.dumps(detail), "Resources": []}
    try:
        seam.module("services.eventbridge")._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:
        log.exception("%s of %s was not announced", kind, detail["clusterId"])
