"""What set-up says while it works, and the one sentence that it stops with."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

MEGABYTE = 1_000_000
_SECONDS_BETWEEN_LINES = 10.0


class SetupError(Exception):
    """Set-up cannot go on; the text is one sentence that says what is missing and what to do."""


def say(text: str) -> None:
    """Print one line of progress."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def step(name: str) -> Iterator[None]:
    """Announce a step, and say how long it took when it ends well."""
    say(f"set-up: {name} ...")
    started = time.monotonic()
    yield
    say(f"set-up: {name}: done in {time.monotonic() - started:.0f} s")


class Progress:
    """Shows how far a download is: one changing line on a terminal, a line every ten seconds elsewhere."""

    def __init__(self, *, label: str, total: int, done: int = 0) -> None:
        self._label = label
        self._total = total
        self._first = done
        self._started = time.monotonic()
        self._shown = self._started
        self._terminal = sys.stdout.isatty()

    def at(self, done: int) -> None:
        """Show that `done` bytes are there, if it is time to."""
        now = time.monotonic()
        if now - self._shown < (0.2 if self._terminal else _SECONDS_BETWEEN_LINES):
            return
        self._shown = now
        speed = (done - self._first) / MEGABYTE / max(now - self._started, 0.001)
        text = f"  {self._label}: {done / MEGABYTE:.0f} of {self._total / MEGABYTE:.0f} MB ({done * 100 // max(self._total, 1)} %), {speed:.1f} MB/s"
        sys.stdout.write(f"\r{text:<78}" if self._terminal else text + "\n")
        sys.stdout.flush()

    def end(self) -> None:
        """Clear the changing line."""
        if self._terminal:
            sys.stdout.write("\r" + " " * 79 + "\r")
            sys.stdout.flush()
