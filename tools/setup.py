"""Entry of `make setup`: finds a Python that is new enough and hands over; runs on any Python 3, with nothing installed."""

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
TESTED = ("3.11", "3.12", "3.13")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def newer_python() -> str:
    """Path of a Python that is new enough, other than the one that runs this; empty if the PATH has none."""
    for version in reversed(TESTED):
        candidate = shutil.which("python" + version)
        # A pyenv shim exists for versions that are not selected, so only running it tells.
        if candidate and subprocess.call([candidate, "-c", "import ensurepip"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            return candidate
    return ""


def main() -> int:
    """Check the platform and the Python, then set up.

    Returns:
        Exit code: 0 done, 1 something is missing (said in one sentence), 130 interrupted.
    """
    if os.name != "posix":
        sys.stderr.write("set-up: this project runs on Linux and macOS; on Windows use WSL\n")
        return 1
    if sys.version_info < OLDEST:
        found = newer_python()
        if found:
            os.execv(found, [found, os.path.abspath(__file__)] + sys.argv[1:])
        sys.stderr.write(
            "set-up: Python 3.11 or newer is needed, and %s is %d.%d: install one (tested: %s), or name it: make %s PYTHON=/path/to/python3\n"
            % (sys.executable, sys.version_info[0], sys.version_info[1], ", ".join(TESTED), "setup")
        )
        return 1
    sys.path[0] = ROOT
    from tools.installation import install

    return install(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
