"""Lint, format, types and import rules: everything that reads the code without running it."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.console import say
from tools.installation import ROOT


def commands(root: Path) -> dict[str, tuple[str, ...]]:
    """Command line of each check, by name."""
    tools = root / ".venv" / "bin"
    return {
        "ruff check": (str(tools / "ruff"), "check", "--quiet", "."),
        "ruff format": (str(tools / "ruff"), "format", "--check", "--quiet", "."),
        "pyright": (str(tools / "pyright"), "--warnings"),
        "import-linter": (str(tools / "lint-imports"), "--no-logo"),
    }


def run_checks(root: Path) -> bool:
    """Run every check, two at a time, and print what failed.

    Returns:
        Whether all of them hold.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        return all(list(pool.map(lambda named: _run(*named, root=root), commands(root).items())))


def main() -> int:
    """Run the checks.

    Returns:
        Exit code: 0 if all of them hold, else 1.
    """
    return 0 if run_checks(ROOT) else 1


def _run(name: str, command: tuple[str, ...], *, root: Path) -> bool:
    started = time.monotonic()
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if done.returncode == 0:
        say(f"check: {name}: holds ({seconds:.0f} s)")
        return True
    say(f"{done.stdout}{done.stderr}\ncheck: {name}: FAILED ({seconds:.0f} s)")
    return False


if __name__ == "__main__":
    sys.exit(main())
