"""Errors of the platform, one tree.

LakehouseError
├── TerminalError            a retry cannot help
│   ├── ConfigurationError   what a person wrote is wrong: every fault at once, each with file, place and fix
│   └── RunFailed            a run stops for a reason that the audit names
└── TransientError           the same call may succeed later
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class LakehouseError(Exception):
    """Base of every error that this platform raises on purpose."""


class TerminalError(LakehouseError):
    """A retry cannot help: somebody has to change something."""


class TransientError(LakehouseError):
    """The same call may succeed later."""


@dataclass(frozen=True, kw_only=True, order=True)
class Fault:
    """One thing that is wrong in a file that a person wrote.

    Attributes:
        file: Path of the file, relative to the project.
        line: Line of the offending value, from 1; 0 if the file as a whole is meant.
        place: Dotted path of the key, such as `schema[0].properties[3].logicalType`.
        problem: What is wrong and what was found.
        fix: What to write instead.
    """

    file: str
    line: int
    place: str
    problem: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.place}: {self.problem}. Fix: {self.fix}"


class ConfigurationError(TerminalError):
    """Faults in contracts, pipeline specs or environment files, all of them at once.

    Attributes:
        faults: The faults, sorted by file and line.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        count = len(self.faults)
        super().__init__("\n".join([f"{count} fault{'s' if count != 1 else ''} found:", *(f"  {fault}" for fault in self.faults)]))


class RunFailed(TerminalError):
    """A run stops; its text starts with the reason code, which the audit keeps.

    Attributes:
        reason: Code of the closed list in docs/cli.md, such as `quality_gate`.
        message: Sentence for people.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        self.message = message
        super().__init__(f"{reason}: {message}")
