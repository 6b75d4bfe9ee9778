"""Processes of ours: identity that survives a reused pid, their children, and an end that leaves nothing behind."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

import psutil

_LOOK_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class ProcessId:
    """A process that cannot be mistaken for another one that got its pid later.

    Attributes:
        pid: Number of the process.
        started: When it started, seconds since 1970, as the operating system tells it.
    """

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Identity of a running process.

        Raises:
            psutil.NoSuchProcess: It is gone.
        """
        return cls(pid=pid, started=psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The process, if it still runs; a zombie or another process with its number does not count."""
        with contextlib.suppress(psutil.Error):
            found = psutil.Process(self.pid)
            if abs(found.create_time() - self.started) < 1 and found.status() != psutil.STATUS_ZOMBIE:
                return found
        return None

    def is_running(self) -> bool:
        """Whether it still runs."""
        return self.process() is not None


def end(identity: ProcessId, *, mark: str, grace_seconds: float) -> None:
    """End a process, its descendants and everything that carries its mark: a request first, then force for what is left.

    Args:
        identity: The process; if it has ended already, what it left behind is ended.
        mark: `NAME=value` in the environment of everything that belongs to it.
        grace_seconds: How long it may take to end by itself.
    """
    process = identity.process()
    family = {} if process is None else {member.pid: member for member in [process, *_descendants(process)]}
    if process is not None:
        with contextlib.suppress(psutil.Error):
            process.terminate()
        deadline = time.monotonic() + grace_seconds
        while identity.is_running() and time.monotonic() < deadline:
            family |= {member.pid: member for member in _descendants(process)}
            time.sleep(_LOOK_SECONDS)
    family |= {member.pid: member for member in marked(mark)}
    _, alive = psutil.wait_procs(list(family.values()), timeout=0)
    for member in alive:
        with contextlib.suppress(psutil.Error):
            member.kill()
    psutil.wait_procs(alive, timeout=5)


def marked(mark: str) -> list[psutil.Process]:
    """Our user's processes that carry a mark in their environment."""
    name, _, value = mark.partition("=")
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(name) == value and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return process.children(recursive=True)
    return []
