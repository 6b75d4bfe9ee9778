"""Runs a command in a process group of its own and ends the whole group when its owner dies: `python lifeline.py COMMAND...`.

The owner holds the other end of standard input; however the owner ends, the pipe closes. Runs by path, imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 3
"""Time between the request to end and the kill."""


def main(command: list[str]) -> int:
    """Run *command* until it ends or the owner does."""
    os.setpgid(0, 0)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: _end_group(child))
    threading.Thread(target=_watch_owner, args=(child,), daemon=True).start()
    code = child.wait()
    _kill_group_but_self()
    return code if code >= 0 else 128 - code


def _watch_owner(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    _end_group(child)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    timer = threading.Timer(GRACE_SECONDS, lambda: os.killpg(0, signal.SIGKILL))
    timer.daemon = True
    timer.start()


def _kill_group_but_self() -> None:
    """The command is over: what it left behind (Spark's Python workers) must not stay."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
