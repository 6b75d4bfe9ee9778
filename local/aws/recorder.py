"""The call record: every authorisation decision as one line of calls.jsonl."""

from __future__ import annotations

import contextvars
import json
import os
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from local.aws import seam

CALLS_FILE = "LAKE_CALLS_FILE"
"""Environment variable that names the record; the platform sets it."""

POLLERS = ("lambda:poll", "lambda:log")
"""Ways of calling that repeat the same call for ever; an unchanged decision of theirs is written once."""

via: contextvars.ContextVar[str] = contextvars.ContextVar("lake_via", default="api")
"""How the call under way came about: `api`, `states:<execution>`, `events:<rule>`, `cloudformation:<type>` ..."""

_responses = seam.module("core.responses")
_lock = threading.Lock()
_repeated: dict[tuple[str, str, str, str], str] = {}
_files: dict[str, TextIO] = {}


def record(*, principal: str, action: str, resource: str, decision: str, **more: Any) -> None:
    """Write one decision.

    Args:
        principal: ARN of the caller, or the service principal.
        action: IAM action, such as `s3:GetObject`.
        resource: ARN that the action was asked on, or `*`.
        decision: `Allow`, `Deny`, `ImplicitDeny` or `AuthError`.
        more: What else a reader may want (statement, reason, condition keys); empty values are left out.
    """
    how = via.get()
    if how.startswith(POLLERS):
        key = (how, principal, action, resource)
        if _repeated.get(key) == decision:
            return
        _repeated[key] = decision
    line = {
        "ts": round(time.time(), 3),
        "via": how,
        "account": _responses.get_account_id(),
        "region": _responses.get_region(),
        "principal": principal,
        "role": role_name(principal),
        "action": action,
        "resource": resource,
        "decision": decision,
        **{name: value for name, value in more.items() if value},
    }
    text = json.dumps(line, default=str) + "\n"
    with _lock:
        _file().write(text)


def role_name(principal: str) -> str:
    """Name of the role behind an assumed-role ARN, or an empty string."""
    return principal.split("/")[1] if ":assumed-role/" in principal else ""


def _file() -> TextIO:
    path = os.environ.get(CALLS_FILE, os.devnull)
    if path not in _files:
        _files[path] = Path(path).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115 - open as long as the server runs
    return _files[path]
