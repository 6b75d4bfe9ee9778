"""The virtual environment and the Python packages in it, every one pinned with hashes; standard library only."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

from tools.console import SetupError, say

NETWORK_SIGNS = (
    "after connection broken by",
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Name or service not known",
    "nodename nor servname provided",
    "Network is unreachable",
    "Read timed out",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ETIMEDOUT",
)
"""What pip and npm print when the registry cannot be reached."""

_PROGRESS = re.compile(r"^(Collecting|Downloading|Building wheel for|Installing collected packages)")


def install_packages(root: Path) -> None:
    """Make `.venv` if it is not there or broken, and install requirements.txt into it if that changed.

    Args:
        root: The checkout.

    Raises:
        SetupError: This Python cannot make environments, or a package could not be had.
    """
    python = _virtual_environment(root / ".venv")
    requirements = root / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = root / ".venv" / "requirements.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)  # what is half-done is not done, whatever is asked for next
    # Build isolation would fetch build tools without hashes, so they come from the same locked file, first.
    tools = _locked(requirements, names=("setuptools", "wheel"))
    pip_install(python, root=root, requirements=tools, label="build tools")
    pip_install(python, root=root, requirements=requirements.read_text(), label="packages")
    stamp.write_text(wanted)


def pip_install(python: Path, *, root: Path, requirements: str, label: str, options: tuple[str, ...] = ()) -> None:
    """Install locked requirements with pip, showing how far it is.

    Args:
        python: Python whose pip does it.
        root: The checkout; pip's whole output goes to `.cache/pip.log`.
        requirements: Text of a requirements file with a hash for each line.
        label: What is installed, for the reader.
        options: More of pip's options.

    Raises:
        SetupError: pip failed.
    """
    file = root / ".cache" / f"requirements-{label.replace(' ', '-')}.txt"
    file.write_text(requirements)
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--require-hashes",
        "--no-deps",
        "--no-build-isolation",
    ]
    run_pip(
        [*command, *options, "-r", str(file)], root=root, label=label, total=len(re.findall(r"^[A-Za-z0-9]", requirements, re.MULTILINE))
    )


def run_pip(command: list[str], *, root: Path, label: str, total: int) -> None:
    """Run pip, translate its output to progress and its failure to one sentence.

    Args:
        command: The whole command line.
        root: The checkout; pip's whole output goes to `.cache/pip.log`.
        label: What is installed, for the reader.
        total: How many packages there are.

    Raises:
        SetupError: pip failed.
    """
    log = root / ".cache" / "pip.log"
    seen = 0
    lines: list[str] = []
    with (
        log.open("w") as handle,
        subprocess.Popen(
            command, cwd=root, env=_pip_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as pip,
    ):
        if pip.stdout is None:
            raise SetupError("pip gave no output stream")
        for line in pip.stdout:
            handle.write(line)
            lines.append(line.strip())
            if not _PROGRESS.match(line.strip()):
                continue
            if line.startswith("Collecting"):
                seen += 1
                if seen % 20 == 0:
                    say(f"  {label}: {seen} of {total}")
            elif _is_worth_saying(line):
                say(f"  {line.strip()[:110]}")
    if pip.returncode:
        raise SetupError(_why(lines, what=f"{label} could not be installed", log=log))


def _virtual_environment(folder: Path) -> Path:
    python = folder / "bin" / "python"
    if _works(python):
        return python
    if importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            f"{sys.executable} cannot make virtual environments (no `ensurepip`): on Debian or Ubuntu run `sudo apt-get install python3-venv`, then again"
        )
    say(f"  new virtual environment in {folder.name} with Python {sys.version_info.major}.{sys.version_info.minor}")
    try:
        venv.EnvBuilder(with_pip=True, clear=folder.exists(), symlinks=True).create(folder)
    except subprocess.CalledProcessError as error:
        raise SetupError(
            f"{sys.executable} cannot make virtual environments ({error}): on Debian or Ubuntu run `sudo apt-get install python3-venv`"
        ) from error
    return python


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([str(python), "-c", check], check=False, capture_output=True).returncode == 0


def _pip_environment() -> dict[str, str]:
    # A folder of somebody's own wheels or an active environment of theirs must not decide what is installed here.
    dropped = {"PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PYTHONPATH", "PYTHONHOME", "PIP_REQUIRE_VIRTUALENV"}
    return {name: value for name, value in os.environ.items() if name not in dropped} | {"PYTHONUNBUFFERED": "1"}


def _locked(requirements: Path, *, names: tuple[str, ...]) -> str:
    blocks = re.split(r"\n(?=[A-Za-z0-9])", requirements.read_text())
    return "\n".join(block for block in blocks if re.match(rf"({'|'.join(names)})==", block)) + "\n"


def _is_worth_saying(line: str) -> bool:
    large = re.search(r"\((\d+(?:\.\d+)?) MB\)", line)
    return not line.startswith(("Collecting", " ")) or (large is not None and float(large[1]) >= 20)


def _why(lines: list[str], *, what: str, log: Path) -> str:
    text = "\n".join(lines)
    if any(sign in text for sign in NETWORK_SIGNS):
        return f"{what}: the package registry cannot be reached; check the network (or the proxy), then run it again"
    if "No space left on device" in text:
        return f"{what}: no space left on the disk; make room, then run it again"
    errors = [line for line in lines if line.startswith("ERROR:")]
    return f"{what}: {(errors or lines or ['pip said nothing'])[-1]} (all of it: {log})"
