"""Third-party packages that Lambda functions and jobs carry: pure Python for the runtimes' Python, the same bytes on every machine."""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from tools.console import SetupError
from tools.packages import run_pip

RUNTIME_PYTHON = "3.13"
"""Python of the Lambda and Glue 6.0 runtimes."""

RUNTIME_PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_28_x86_64")
NATIVE_SUFFIXES = (".so", ".pyd", ".dylib")

_NOISE = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""Installation records, which no code reads."""


def bundle_packages(requirements: Path, *, to: Path, root: Path) -> None:
    """Replace the folder of bundled packages by what a locked requirements file asks for.

    Args:
        requirements: The file, with hashes.
        to: Folder to replace.
        root: The checkout.

    Raises:
        SetupError: A package cannot be had, or brings native code.
    """
    text = requirements.read_text()
    with tempfile.TemporaryDirectory(dir=root / ".cache") as folder:
        platforms = [option for platform in RUNTIME_PLATFORMS for option in ("--platform", platform)]
        run_pip(
            [
                *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--require-hashes", "--no-deps"),
                *(
                    "--only-binary=:all:",
                    "--implementation",
                    "cp",
                    "--python-version",
                    RUNTIME_PYTHON,
                    *platforms,
                    "-d",
                    folder,
                    "-r",
                    str(requirements),
                ),
            ],
            root=root,
            label="Lambda packages",
            total=text.count("=="),
        )
        unpack_wheels(sorted(Path(folder).glob("*.whl")), to=to, requirements=requirements.name)


def unpack_wheels(wheels: list[Path], *, to: Path, requirements: str) -> None:
    """Replace a folder by the contents of pure Python wheels.

    Args:
        wheels: The wheels.
        to: Folder to replace.
        requirements: Name of the file that asked for them, for the message.

    Raises:
        SetupError: A wheel brings native code.
    """
    native = [wheel.name for wheel in wheels if _is_native(wheel)]
    if native:
        raise SetupError(
            f"{', '.join(native)} in lambdas/{requirements} is a native wheel, which runs on one platform and Python only: choose a pure Python package, "
            "or keep it out of the bundle: put it into a Lambda layer, or into a job's `--additional-python-modules`, where Glue installs its own build"
        )
    fresh = to.with_name(to.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as content:
            for name in sorted(content.namelist()):
                is_noise = ".dist-info/" in name and name.rsplit("/", 1)[-1] in _NOISE
                # `*.data/` holds commands and headers.
                if not (name.endswith("/") or is_noise or ".data/" in name):
                    content.extract(name, fresh)
    for path in fresh.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(to, ignore_errors=True)
    fresh.rename(to)


def _is_native(wheel: Path) -> bool:
    with zipfile.ZipFile(wheel) as content:
        return not wheel.stem.endswith("-none-any") or any(name.endswith(NATIVE_SUFFIXES) for name in content.namelist())
