"""Answers CloudFormation at its pre-signed address, exactly once: a custom resource that stays silent blocks a stack for an hour."""

from __future__ import annotations

import json
import logging
import threading
import urllib.request
from collections.abc import Mapping
from typing import Any

MAX_REASON = 1000
"""Longest reason, in characters; CloudFormation takes 4 KB for a whole answer."""

ATTEMPTS = 3
TIMEOUT_SECONDS = 10

log = logging.getLogger(__name__)


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
