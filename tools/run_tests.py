"""`make test`: the checks, then the tests in three parts, quickest first, so that a fault shows early."""

from __future__ import annotations

import subprocess
import sys
import time

from tools.checks import run_checks
from tools.console import say
from tools.installation import ROOT

PARTS = (
    ("units", "not platform and not e2e"),
    ("laptop platform", "platform and not e2e"),
    ("whole scenarios", "e2e"),
)
"""Name and marker expression of each part. A part is one process: it shares one synth, one Spark session, one platform."""


def main(arguments: list[str]) -> int:
    """Run the checks and every part; with arguments, one pytest over them and nothing else.

    Args:
        arguments: pytest arguments, such as `tests/lambdas -k claims`.

    Returns:
        Exit code: 0 if everything holds, else 1 (pytest's own with arguments).
    """
    if arguments:
        return _pytest(arguments)
    failed: list[str] = []
    started = time.monotonic()
    if not run_checks(ROOT):
        failed.append("checks")
    for name, markers in PARTS:
        say(f"test: {name}")
        # A part without a test fails too: pytest's exit code 5.
        if _pytest(["-m", markers, "-q"]):
            failed.append(name)
    minutes = (time.monotonic() - started) / 60
    say(f"test: {'everything holds' if not failed else 'FAILED: ' + ', '.join(failed)} ({minutes:.1f} minutes)")
    return 1 if failed else 0


def _pytest(arguments: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
