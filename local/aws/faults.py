"""Faults on request: a Spark driver is killed at a chosen call of its own, before or after the call takes effect.

For tests of what a crash leaves behind. A test writes the faults into the platform's folder; the server looks for them at
every call of a job's role. It does not slow, garble or refuse calls.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from local.aws import door, guard, seam, spark_runs
from local.engines import host

FILE = "faults.json"
"""Name of the file in the platform's folder that holds the faults still to come."""

_SERVICES = ("s3", "glue", "dynamodb")
_KILLED: door.Response = (503, {"Content-Type": "text/plain"}, b"the caller was killed by a fault that a test asked for")
_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A point at which a driver dies.

    Attributes:
        role: Name of the job's role.
        action: IAM action of the call, such as `s3:PutObject`.
        text: Text that the call's path or body contains; empty = any call of the action.
        when: `before`: the call has no effect; `after`: it takes effect, its reply never arrives.
        skip: Matching calls that pass unharmed first.
    """

    role: str
    action: str
    text: str = ""
    when: Literal["before", "after"] = "before"
    skip: int = 0


def arm(folder: Path, faults: Sequence[Fault]) -> None:
    """Ask for faults; each happens once. An empty sequence takes back those still to come."""
    path = folder / FILE
    if not faults:
        path.unlink(missing_ok=True)
        return
    _write(path, faults)


def pending(folder: Path) -> tuple[Fault, ...]:
    """The faults that have not happened yet."""
    path = folder / FILE
    return tuple(Fault(**fault) for fault in json.loads(path.read_text())) if path.exists() else ()


def register() -> None:
    """Stand in front of the services that jobs call; register after the door."""
    handlers = seam.module("app").SERVICE_HANDLERS
    for service in _SERVICES:
        handlers[service] = _wrap(service, handlers[service])


def _wrap(service: str, handler: door.Handler) -> door.Handler:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> door.Response:
        folder = host.folder()
        if not (folder / FILE).exists():
            return await handler(method, path, headers, body, query)
        key = seam.module("core.router").extract_access_key_id(headers, query)
        role = _role(guard.principal_arn(key)) if key else ""
        action = seam.module("core.iam_actions").extract_iam_action(service, method, path, headers, body, query) or ""
        fault = _due(folder, role=role, action=action, text=path.encode() + b" " + body) if role else None
        if fault is None:
            return await handler(method, path, headers, body, query)
        if fault.when == "after":
            await handler(method, path, headers, body, query)
        spark_runs.kill(role)
        return _KILLED

    return handle


def _due(folder: Path, *, role: str, action: str, text: bytes) -> Fault | None:
    """The fault that this call meets, taken from the list; calls that a fault still lets pass are counted off."""
    with _lock:
        faults = list(pending(folder))
        for position, fault in enumerate(faults):
            if fault.role == role and fault.action == action and fault.text.encode() in text:
                remaining = [*faults[:position], *faults[position + 1 :]]
                if fault.skip:
                    remaining.insert(position, replace(fault, skip=fault.skip - 1))
                arm(folder, remaining)
                return None if fault.skip else fault
    return None


def _role(principal: str) -> str:
    """Name of the role behind `arn:aws:sts::<account>:assumed-role/<role>/<session>`, or nothing."""
    parts = principal.split("/")
    return parts[1] if ":assumed-role" in parts[0] and len(parts) > 1 else ""


def _write(path: Path, faults: Sequence[Fault]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps([asdict(fault) for fault in faults]))
    new.replace(path)
