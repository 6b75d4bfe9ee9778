"""State outlives the server's death: it is saved while the server runs, and executions that the death interrupted are told of.

MiniStack saves when it is asked to end, which a killed process is not; and it marks interrupted executions FAILED without telling
anybody, so that whoever waits for their end would wait for ever. Between two saves a death still costs what came after the first.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from local.aws import seam

SAVE_SECONDS = 15.0
"""Pause between two saves."""

LISTEN_SECONDS = 60.0
"""Longest that the server may need before it answers."""

_app = seam.module("app")
_persistence = seam.module("core.persistence")
_responses = seam.module("core.responses")
_states = seam.module("services.stepfunctions")


def register() -> None:
    """Tell of interrupted executions."""
    seam.replace("services.stepfunctions.load_persisted_state", _load_persisted_state)
    seam.original("app._build_persistence_save_dict")
    seam.original("core.persistence.save_all")


def start() -> None:
    """Save for ever, in a thread of its own, if state is kept."""
    if _persistence.PERSIST_STATE:
        logging.getLogger(_persistence.logger.name).setLevel(logging.WARNING)
        threading.Thread(target=_save_again_and_again, name="lake-keeping", daemon=True).start()


def _save_again_and_again() -> None:
    seen = 0
    while True:
        time.sleep(SAVE_SECONDS)
        if (calls := _calls()) != seen:
            seen = calls
            _persistence.save_all(_app._build_persistence_save_dict())


def _calls() -> int:
    """Size of the record of calls: nothing changes without one."""
    try:
        return Path(os.environ["LAKE_CALLS_FILE"]).stat().st_size
    except OSError:
        return 0


def _load_persisted_state(data: Any) -> Any:
    result = seam.original("services.stepfunctions.load_persisted_state")(data)
    interrupted = [execution for execution in _states._executions.all_values() if _is_interrupted(execution)]
    if interrupted:
        threading.Thread(target=_tell, args=(interrupted,), name="lake-interrupted", daemon=True).start()
    return result


def _is_interrupted(execution: dict[str, Any]) -> bool:
    return execution.get("error") == "States.ServiceRestart" and not execution.get("_told")


def _tell(interrupted: list[dict[str, Any]]) -> None:
    deadline = time.monotonic() + LISTEN_SECONDS
    while not _listens() and time.monotonic() < deadline:
        time.sleep(0.2)
    for execution in interrupted:
        execution["_told"] = True
        _, _, _, region, account, *_ = execution["executionArn"].split(":")
        with _responses.request_scope(account, region):
            _states._emit_execution_status_event(execution)


def _listens() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((os.environ["BIND_HOST"], int(os.environ["GATEWAY_PORT"]))) == 0
