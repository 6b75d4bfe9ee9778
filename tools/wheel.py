"""`make wheel`: the wheel for other teams, the same bytes from the same sources."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tools.console import SetupError, say
from tools.installation import ROOT

EPOCH = "1577836800"
"""Time stamp of everything in the wheel: 2020-01-01, because a build's own time would change its bytes."""


def build_wheel(root: Path, *, to: Path) -> Path:
    """Build the wheel, with nothing fetched.

    Args:
        root: The checkout.
        to: Folder for the wheel.

    Returns:
        The wheel.

    Raises:
        SetupError: The build failed, or what it carries is not there.
    """
    if not (root / "constructs_lib" / "_bundled" / "python").is_dir():
        raise SetupError("the packages that functions carry are missing: run `make setup`")
    to.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(to)],
        cwd=root,
        env=os.environ | {"SOURCE_DATE_EPOCH": EPOCH},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SetupError(f"the wheel was not built:\n{done.stdout}{done.stderr}")
    (wheel,) = to.glob("lakehouse_constructs-*.whl")
    return wheel


def main() -> int:
    """Build the wheel into `dist/`.

    Returns:
        Exit code: 0 done, 1 failed.
    """
    try:
        for old in (ROOT / "dist").glob("lakehouse_constructs-*.whl"):
            old.unlink()
        wheel = build_wheel(ROOT, to=ROOT / "dist")
    except SetupError as error:
        sys.stderr.write(f"wheel: {error}\n")
        return 1
    say(f"wheel: {wheel.relative_to(ROOT)}, {wheel.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
