"""A run's driver log: every line to CloudWatch Logs, written with the job role's own permissions, and to a file of the platform."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import IO, Any

from botocore.exceptions import BotoCoreError, ClientError

BATCH_SECONDS = 1.0
"""Longest that a line waits before it is sent."""

BATCH_LINES = 1000
"""Lines a call; CloudWatch Logs takes 10,000 and 1 MiB."""

LONGEST_LINE = 250_000
"""Characters of a line that are sent; CloudWatch Logs takes 1 MiB in UTF-8."""

DENIED = frozenset({"AccessDeniedException", "AccessDenied"})


class RunLog:
    """Follows a driver's output until it ends.

    Attributes:
        problem: Why lines did not reach CloudWatch Logs, or an empty string; a run goes on without its log, as on Glue.
    """

    def __init__(self, *, logs: Any, group: str, stream: str, copy: Path) -> None:
        """
        Args:
            logs: CloudWatch Logs client with the job role's credentials; None keeps the lines on this machine.
            group: Log group.
            stream: Log stream; made here, and the group too if the role may and it is missing.
            copy: File that gets the same lines.
        """
        self._logs, self._group, self._stream, self._copy = logs, group, stream, copy
        self._waiting: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._sender = threading.Thread(target=self._send_until_ended, daemon=True)
        self.problem = ""

    def follow(self, output: IO[bytes]) -> None:
        """Read *output* to its end; returns when every line was sent."""
        self._sender.start()
        self._copy.parent.mkdir(parents=True, exist_ok=True)
        with self._copy.open("ab", buffering=0) as copy:
            for line in iter(output.readline, b""):
                copy.write(line)
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                if text:
                    with self._lock:
                        self._waiting.append({"timestamp": int(time.time() * 1000), "message": text[:LONGEST_LINE]})
        self._ended.set()
        self._sender.join()

    def text(self) -> bytes:
        """Everything so far."""
        return self._copy.read_bytes() if self._copy.exists() else b""

    def say(self, message: str) -> None:
        """Add a line of the service's own."""
        with self._lock:
            self._waiting.append({"timestamp": int(time.time() * 1000), "message": message})

    def _send_until_ended(self) -> None:
        if self._logs is None or not self._open():
            return
        while not self._ended.wait(BATCH_SECONDS):
            self._send()
        self._send()

    def _open(self) -> bool:
        try:
            try:
                self._logs.create_log_stream(logGroupName=self._group, logStreamName=self._stream)
            except self._logs.exceptions.ResourceNotFoundException:
                self._logs.create_log_group(logGroupName=self._group)
                self._logs.create_log_stream(logGroupName=self._group, logStreamName=self._stream)
        except self._logs.exceptions.ResourceAlreadyExistsException:
            return True
        except (ClientError, BotoCoreError) as error:
            self.problem = str(error)
            return False
        return True

    def _send(self) -> None:
        while True:
            with self._lock:
                batch, self._waiting = self._waiting[:BATCH_LINES], self._waiting[BATCH_LINES:]
            if not batch:
                return
            try:
                self._logs.put_log_events(logGroupName=self._group, logStreamName=self._stream, logEvents=batch)
            except (ClientError, BotoCoreError) as error:
                self.problem = str(error)
                if isinstance(error, ClientError) and error.response["Error"]["Code"] in DENIED:
                    return
