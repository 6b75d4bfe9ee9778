"""What every act of the demo plays on: the console that the reader watches, and `lake`, called as the reader would."""

from __future__ import annotations

import atexit
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lakehouse.errors import TerminalError

ROOT = Path(__file__).resolve().parents[2]

LINE = 150
"""Longest command line that is shown."""

FAILED = 1


class DemoError(TerminalError):
    """What the demo shows is not what it must be, or a verb failed."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a call of `lake` ended.

    Attributes:
        code: Its exit code.
        text: What it printed on stdout.
    """

    code: int
    text: str

    @property
    def document(self) -> Any:
        """Its stdout, read as JSON."""
        return json.loads(self.text)


class Stage:
    """The console, with the time since the demo began."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time since the demo began."""
        return time.monotonic() - self._began

    def title(self, text: str) -> None:
        """Begin a part."""
        self.console.print(f"\n[bold cyan]== {escape(text)}[/bold cyan] [dim]({self.seconds:.0f} s)[/dim]")

    def say(self, text: str) -> None:
        """A line for the reader."""
        self.console.print(escape(text))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows for the reader."""
        grid = Table(*columns, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for row in rows:
            grid.add_row(*(escape(str(value)) for value in row))
        self.console.print(grid)


class Underway:
    """A call of `lake` that goes on while the demo does; it belongs to the reader's terminal, so Ctrl-C ends both."""

    def __init__(self, *, line: str, process: subprocess.Popen[str]) -> None:
        """
        Args:
            line: Its command line, for messages.
            process: The process; what it writes is read at its end.
        """
        self._line, self._process = line, process
        atexit.register(process.terminate)  # a demo that fails leaves nobody behind who waits

    def end(self) -> Answer:
        """Wait for its end.

        Raises:
            DemoError: It failed; the text has what it said.
        """
        text, told = self._process.communicate()
        if self._process.returncode != 0:
            raise DemoError(f"`lake {self._line}` ended with exit code {self._process.returncode}:\n{text}{told}")
        return Answer(code=0, text=text)


class Lake:
    """Calls `lake` as the reader would, and shows each call."""

    def __init__(self, *, stage: Stage) -> None:
        """
        Args:
            stage: Where to show what is called.
        """
        self._stage = stage

    def __call__(self, *arguments: str, is_shown: bool = True, is_passed: bool = False, may_fail: bool = False) -> Answer:
        """Run one verb; its progress goes to stderr.

        Args:
            arguments: The command line after `lake`.
            is_shown: Whether the reader sees the call.
            is_passed: Whether what it prints goes straight to the reader.
            may_fail: Whether exit code 1 is an answer too.

        Raises:
            DemoError: It failed.
        """
        if is_shown:
            self._stage.console.print(f"[bold]$ lake {escape(_shortened(arguments))}[/bold]", soft_wrap=True)
        out = None if is_passed else subprocess.PIPE
        result = subprocess.run([sys.executable, "-m", "cli.main", *arguments], cwd=ROOT, stdout=out, text=True, check=False)
        if result.returncode != 0 and not (may_fail and result.returncode == FAILED):
            raise DemoError(f"`lake {_shortened(arguments)}` ended with exit code {result.returncode}, see above")
        return Answer(code=result.returncode, text=result.stdout or "")

    def begin(self, *arguments: str) -> Underway:
        """Begin a call that goes on while others are made; its progress is not shown."""
        line = _shortened(arguments)
        self._stage.console.print(f"[bold]$ lake {escape(line)} &[/bold]", soft_wrap=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return Underway(line=line, process=process)

    def rows(self, query: str, *, engine: str = "athena") -> list[list[Any]]:
        """Rows that an engine answers."""
        chosen = () if engine == "athena" else ("--engine", engine)
        return self("sql", query, *chosen, "--json").document["rows"]

    def runs(self) -> list[dict[str, Any]]:
        """The newest runs, oldest first."""
        return list(reversed(self("runs", "--json", is_shown=False).document["runs"]))


def _shortened(arguments: Sequence[str], most: int = 4) -> str:
    """A command line with the paths of this checkout made short, and a long list of files cut."""
    words = [_quoted(word.removeprefix(f"{ROOT}/")) for word in arguments]
    files = [word for word in words if word.endswith(".csv")]
    if len(files) > most:
        folder = files[0].rsplit("/", 1)[0]
        first = words.index(files[0])
        words = [*words[:first], f"{folder}/*", *[word for word in words[first:] if word not in files]]
    line = " ".join(words)
    return line if len(line) <= LINE else f"{line[: LINE - 1]}…"


def _quoted(word: str) -> str:
    """As one would type it: double quotes keep the single quotes of SQL legible."""
    return f'"{word}"' if "'" in word and '"' not in word else shlex.quote(word)
