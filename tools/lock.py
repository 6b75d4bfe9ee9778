"""`make lock`: renews every lock file from the short lists that people edit; the only tool that resolves versions."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tools.artifacts import LOCK, Artifact, read_lock
from tools.console import SetupError, say, step
from tools.download import fetch_whole
from tools.installation import ROOT
from tools.node import NODE, NPM
from tools.repository import find_repository, user_settings

UV_VERSION = "0.13.9"
"""The resolver; it is installed when this runs, because nothing else needs it."""

_HEADER = "# Artifacts that set-up fetches from the user's Maven mirror or Maven Central: coordinates and hashes, no addresses. `make lock` renews the hashes.\n"


def main() -> int:
    """Renew the lock files.

    Returns:
        Exit code: 0 done, 1 something could not be resolved.
    """
    try:
        with step("Python locks"):
            _lock_python(ROOT)
        with step("Node lock"):
            _run([str(NODE), str(NPM), "install", "--package-lock-only", "--omit-lockfile-registry-resolved", "--no-audit", "--no-fund"])
        with step("Maven lock"):
            LOCK.write_text(render([_hashed(artifact) for artifact in read_lock()]))
    except SetupError as error:
        sys.stderr.write(f"lock: {error}\n")
        return 1
    say("lock: done; read the difference before you commit it")
    return 0


def render(artifacts: list[Artifact]) -> str:
    """Text of a Maven lock file."""
    blocks = [
        f'\n[[artifact]]\nuse = "{artifact.use}"\ngroup = "{artifact.group}"\nname = "{artifact.name}"\nversion = "{artifact.version}"\n'
        f'kind = "{artifact.kind}"\nsha256 = "{artifact.sha256}"\nsize = {artifact.size}\n'
        for artifact in artifacts
    ]
    return _HEADER + "".join(blocks)


def _lock_python(root: Path) -> None:
    if importlib.util.find_spec("uv") is None:
        _run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"uv=={UV_VERSION}"])
    common = ("--generate-hashes", "--custom-compile-command", "make lock", "--quiet")
    for source, options in {
        "requirements.in": ("--universal", "--python-version", "3.11"),
        "tools/java25.in": ("--universal", "--python-version", "3.11"),
        "tools/spark40.in": ("--universal", "--python-version", "3.11"),
        "benchmarks/requirements.in": ("--universal", "--python-version", "3.11"),
        "jobs/requirements.in": ("--python-version", "3.11", "--python-platform", "x86_64-manylinux2014"),
        "lambdas/requirements.in": ("--python-version", "3.13", "--python-platform", "x86_64-manylinux2014"),
    }.items():
        _run([sys.executable, "-m", "uv", "pip", "compile", source, "-o", str(root / Path(source).with_suffix(".txt")), *options, *common])


def _hashed(artifact: Artifact) -> Artifact:
    if artifact.sha256 and artifact.size:
        return artifact
    # A new version: its hash and size are left out by hand, and filled in from one whole download.
    repository = find_repository(user_settings())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / artifact.file_name
        fetch_whole(artifact.path, repository=repository, to=file)
        with file.open("rb") as content:
            return replace(artifact, sha256=hashlib.file_digest(content, "sha256").hexdigest(), size=file.stat().st_size)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        raise SetupError(f"this failed: {' '.join(command)}")


if __name__ == "__main__":
    sys.exit(main())
