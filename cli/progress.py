"""Progress on stderr: one live line on a terminal, a line now and then elsewhere; stdout stays for data."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from cli.terminal import visible

LINE_SECONDS = 2.0
"""Least time between two lines where there is no terminal: a deployment has hundreds of steps."""


SIGN_SECONDS = 15.0
"""Time after which the same text is written again, so that nobody thinks that all has stopped."""


class Progress:
    """Shows what is going on while a verb works; a context manager.

    On a terminal it is one line that is gone at the end; in a pipe or a log there is a line every two seconds at most.
    """

    def __init__(self, text: str, *, console: Console | None = None) -> None:
        """
        Args:
            text: What is being done, such as `waiting for 9 drops`.
            console: Where to write; stderr if None.
        """
        self._console = console or Console(stderr=True, highlight=False)
        self._text = visible(text)
        self._started = time.monotonic()
        self._told = self._started
        self._live: Status | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = self._console.status(self._text, spinner="dots")
            self._live.start()
        else:
            self._line(self._text)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def update(self, text: str) -> None:
        """Show a new text; the same text again is no news, but on a terminal its seconds go on."""
        text = visible(text)
        if self._live is not None:
            self._live.update(f"{text} ({time.monotonic() - self._started:.0f} s)")
        elif time.monotonic() - self._told >= (LINE_SECONDS if text != self._text else SIGN_SECONDS):
            self._line(f"{text} ({time.monotonic() - self._started:.0f} s)")
        self._text = text

    def note(self, text: str) -> None:
        """Write a line that stays."""
        self._line(visible(text))

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
        self._told = time.monotonic()
