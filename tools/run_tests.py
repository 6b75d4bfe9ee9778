"""`make test`: the checks, then the tests in five parts, two at a time where memory allows it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from tools.checks import run_checks
from tools.console import say
from tools.installation import ROOT

EXIT_INTERRUPTED = 130

NEEDED_GB = 12
"""Memory with which two parts run side by side: each of them may have Spark, and one Trino."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Tests that share a process, and with it one synth, one Spark session, one platform.

    Attributes:
        name: What the reader sees.
        markers: pytest's marker expression.
    """

    name: str
    markers: str


LANES = (
    (
        Part(name="units", markers="not spark and not platform and not e2e and not bulk"),
        Part(name="platform", markers="platform and not e2e"),
        Part(name="spark", markers="spark and not e2e"),
        Part(name="engines", markers="apart"),
    ),
    (Part(name="scenarios", markers="e2e and not apart"),),
)
"""Parts that run one after another, quickest first, so that a fault shows early; the lanes run side by side
and take about as long as each other."""


def main(arguments: list[str]) -> int:
    """Run the checks and every part; with arguments, one pytest over them and nothing else.

    Args:
        arguments: pytest arguments, such as `tests/lambdas -k claims`.

    Returns:
        Exit code: 0 if everything holds, 130 if somebody interrupted it, else 1 (pytest's own with arguments).
    """
    if arguments:
        return subprocess.run(_pytest(arguments), cwd=ROOT, check=False).returncode
    started = time.monotonic()
    failed = [] if run_checks(ROOT) else ["checks"]
    lanes = len(LANES) if psutil.virtual_memory().total >= NEEDED_GB * 1000**3 else 1
    stopped = threading.Event()
    # The parts get Ctrl-C as well, and clean up; only then is it time to go.
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        with ThreadPoolExecutor(max_workers=lanes) as pool:
            failed += [name for names in pool.map(lambda lane: _run(lane, stopped), LANES) for name in names]
    finally:
        signal.signal(signal.SIGINT, before)
    minutes = (time.monotonic() - started) / 60
    if stopped.is_set():
        say(f"test: interrupted ({minutes:.1f} minutes)")
        return EXIT_INTERRUPTED
    say(f"test: {'everything holds' if not failed else 'FAILED: ' + ', '.join(failed)} ({minutes:.1f} minutes)")
    return 1 if failed else 0


def _run(lane: Sequence[Part], stopped: threading.Event) -> list[str]:
    """Run the parts of a lane; each line is shown with the part that it is from.

    Args:
        lane: The parts.
        stopped: Set when no further part shall begin.

    Returns:
        Parts that failed.
    """
    failed: list[str] = []
    for part in lane:
        if stopped.is_set():
            break
        say(f"test: {part.name}")
        with subprocess.Popen(
            _pytest(["-m", part.markers, "-q"]), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                say(f"{part.name:<9} {line.rstrip()}")
        # A part without a test fails too: pytest's exit code 5.
        if process.returncode:
            failed.append(part.name)
    return failed


def _pytest(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
