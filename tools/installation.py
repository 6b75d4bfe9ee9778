"""Set-up as a whole: is it current, else make the virtual environment and run the stages in it; standard library only."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.console import SetupError, say, step
from tools.packages import install_packages

ROOT = Path(__file__).resolve().parents[1]
INPUTS = (
    "requirements.txt",
    "package.json",
    "package-lock.json",
    "jobs/requirements.txt",
    "lambdas/requirements.txt",
    "tools/java25.txt",
    "tools/maven.lock",
    "tools/*.py",
)
"""Files whose content decides what set-up installs."""

DISK_GIGABYTES = 5
"""What a first set-up takes at its peak: packages, Node tools, two Javas, Trino's archive and what is unpacked from it."""

EXIT_INTERRUPTED = 130


def install(arguments: list[str], *, root: Path = ROOT) -> int:
    """Bring the checkout up to date with its lock files; touches no network if it already is.

    Args:
        arguments: `--force` runs every stage even if nothing changed.
        root: The checkout.

    Returns:
        Exit code: 0 done, 1 something is missing (said in one sentence), 130 interrupted.
    """
    try:
        (root / ".cache").mkdir(exist_ok=True)
        with _one_at_a_time(root / ".cache" / "setup.lock"):
            if "--force" in arguments or not is_current(root):
                _install(root, arguments)
    except SetupError as error:
        sys.stderr.write(f"\nset-up stopped: {error}\n")
        return 1
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}:
            raise
        where = f" ({error.filename})" if error.filename else ""
        sys.stderr.write(
            f"\nset-up stopped: {error.strerror or error}{where}: make room or writable, then run it again; it goes on where it stopped\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nset-up stopped by you: run it again, it goes on where it stopped\n")
        return EXIT_INTERRUPTED
    return 0


def is_current(root: Path) -> bool:
    """Whether an earlier set-up installed what the lock files now ask for, and all of it is still there."""
    try:
        stamp = json.loads((root / ".cache" / "setup.json").read_text())
    except (OSError, ValueError):
        return False
    return stamp.get("inputs") == inputs_hash(root) and all((root / path).exists() for path in stamp.get("outputs", ["?"]))


def inputs_hash(root: Path) -> str:
    """Hash over the names and contents of everything that decides what is installed, the machine's kind included."""
    digest = hashlib.sha256(f"{sys.platform} {os.uname().machine}".encode())
    for pattern in INPUTS:
        for path in sorted(root.glob(pattern)):
            digest.update(f"\n{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _install(root: Path, arguments: list[str]) -> None:
    free = shutil.disk_usage(root).free / 1e9
    if free < DISK_GIGABYTES and not (root / ".venv").exists():
        raise SetupError(f"{DISK_GIGABYTES} GB of free disk are needed in {root}, and there are {free:.1f}: make room and run it again")
    python = root / ".venv" / "bin" / "python"
    inputs = inputs_hash(root)
    (root / ".cache" / "setup.json").unlink(missing_ok=True)
    with step("Python packages"):
        install_packages(root)
    done = subprocess.run([str(python), "-m", "tools.stages", *arguments], cwd=root, check=False)
    if done.returncode == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    if done.returncode < 0:
        raise SetupError(f"its second half was ended by signal {-done.returncode}; what is done is kept, run it again")
    if done.returncode:
        raise SetupError("see the sentence above; what is done is kept, run it again when that is mended")
    outputs = (root / ".cache" / "outputs.txt").read_text().split("\n")
    stamp = root / ".cache" / "setup.json"
    stamp.with_suffix(".new").write_text(json.dumps({"inputs": inputs, "outputs": [path for path in outputs if path]}, indent=1))
    stamp.with_suffix(".new").rename(stamp)
    say("set-up: complete")


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("set-up: another set-up runs in this checkout, waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
