"""What every custom resource owes CloudFormation: one answer at its pre-signed address in any case, for silence blocks a stack for an hour."""

from __future__ import annotations

import json
import logging
import threading
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

RESERVE_SECONDS = 5
"""Before the function is stopped, CloudFormation is told that it failed."""

MAX_REASON = 1000
"""Longest reason, in characters; CloudFormation takes 4 KB for a whole answer."""

ATTEMPTS = 3
TIMEOUT_SECONDS = 10

log = logging.getLogger(__name__)


class Context(Protocol):
    """What Lambda says of an invocation."""

    @property
    def log_stream_name(self) -> str:
        """Where its log is."""
        ...

    def get_remaining_time_in_millis(self) -> int:
        """Time that is left."""
        ...


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What CloudFormation is told.

    Attributes:
        physical_id: Stable id of the resource; another one makes CloudFormation delete the former.
        data: Attributes of the resource.
    """

    physical_id: str
    data: dict[str, str] = field(default_factory=dict[str, str])


def serve(event: Mapping[str, Any], context: Context, *, answer: Callable[[], Answer], id_after_failure: str) -> None:
    """Answer a request by *answer*, by its error if it raises, and by a failure if time runs out.

    Args:
        event: The request.
        context: Lambda's context.
        answer: Does what is asked; what it raises is the reason of a failure.
        id_after_failure: Physical id to fail with.
    """
    response = Response(event, log_stream=context.log_stream_name)
    late = threading.Timer(
        max(context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS, 0),
        lambda: response.fail(physical_id=id_after_failure, reason="the function ran out of time: deploy again"),
    )
    late.daemon = True
    late.start()
    try:
        done = answer()
    except Exception as error:
        log.exception("the request failed")
        response.fail(physical_id=id_after_failure, reason=f"{type(error).__name__}: {error}")
    else:
        response.succeed(physical_id=done.physical_id, data=done.data)
    finally:
        late.cancel()


class Response:
    """The answer to one request; only the first that is given is sent."""

    def __init__(self, event: Mapping[str, Any], *, log_stream: str) -> None:
        """
        Args:
            event: The request.
            log_stream: Where its log is, for the reason.
        """
        self._event = event
        self._log_stream = log_stream
        self._lock = threading.Lock()
        self._is_sent = False

    def succeed(self, *, physical_id: str, data: Mapping[str, str]) -> None:
        """Answer that it is done."""
        self._send({"Status": "SUCCESS", "PhysicalResourceId": physical_id, "Data": dict(data), "Reason": f"log stream {self._log_stream}"})

    def fail(self, *, physical_id: str, reason: str) -> None:
        """Answer that it cannot be done."""
        cut = reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 1] + "…"
        self._send({"Status": "FAILED", "PhysicalResourceId": physical_id, "Reason": f"{cut} (log stream {self._log_stream})"})

    def _send(self, answer: Mapping[str, Any]) -> None:
        with self._lock:
            if self._is_sent:
                return
            self._is_sent = True
            same = {name: self._event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
            self._put(json.dumps({**same, **answer}).encode())

    def _put(self, body: bytes) -> None:
        # The signature covers an empty content type.
        request = urllib.request.Request(  # noqa: S310 - the address comes from CloudFormation
            self._event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": "", "Content-Length": str(len(body))}
        )
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 - as above
                    return
            except OSError:
                if attempt == ATTEMPTS:
                    raise
                log.warning("CloudFormation could not be reached", exc_info=True, extra={"attempt": attempt})
