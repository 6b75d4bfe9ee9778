"""Third-party packages that Lambda functions and jobs carry: pure Python for the runtimes' Python, the same bytes on every machine."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tools.console import SetupError
from tools.packages import run_pip


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where bundled packages run.

    Attributes:
        name: Its name, for people.
        python: Oldest version of Python there.
        platforms: Its platforms, as wheels name them.
        way_out: What to do with a package that has native code.
    """

    name: str
    python: str
    platforms: tuple[str, ...]
    way_out: str


LAMBDA = Target(
    name="Lambda",
    python="3.13",
    platforms=("manylinux2014_x86_64", "manylinux_2_28_x86_64"),
    way_out="keep it out of the bundle: put it into a Lambda layer, or into a job's `--additional-python-modules`, where Glue installs its own build",
)
"""Lambda functions, and Glue 6.0, whose Python is the same."""

EMR = Target(
    name="EMR",
    python="3.11",
    platforms=("manylinux2014_x86_64", "manylinux_2_28_x86_64"),
    way_out="keep it out of the bundle: build an image of your own for the application, where the package is installed",
)
"""EMR, whose releases have Pythons from 3.11 on."""

NATIVE_SUFFIXES = (".so", ".pyd", ".dylib")

_NOISE = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""Installation records, which no code reads."""


def bundle_packages(requirements: Path, *, to: Path, root: Path, target: Target) -> None:
    """Replace the folder of bundled packages by what a locked requirements file asks for.

    Args:
        requirements: The file, with hashes.
        to: Folder to replace.
        root: The checkout.
        target: Where the packages run: what is not for its Python and platform is not taken.

    Raises:
        SetupError: A package cannot be had, or brings native code.
    """
    text = requirements.read_text()
    with tempfile.TemporaryDirectory(dir=root / ".cache") as folder:
        platforms = [option for platform in target.platforms for option in ("--platform", platform)]
        run_pip(
            [
                *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--require-hashes", "--no-deps"),
                *(
                    "--only-binary=:all:",
                    "--implementation",
                    "cp",
                    "--python-version",
                    target.python,
                    *platforms,
                    "-d",
                    folder,
                    "-r",
                    str(requirements),
                ),
            ],
            root=root,
            label=f"{target.name} packages",
            total=len(re.findall(r"^\S+==", text, re.MULTILINE)),
        )
        unpack_wheels(
            sorted(Path(folder).glob("*.whl")), to=to, requirements=f"{requirements.parent.name}/{requirements.name}", target=target
        )


def unpack_wheels(wheels: list[Path], *, to: Path, requirements: str, target: Target) -> None:
    """Replace a folder by the contents of pure Python wheels.

    Args:
        wheels: The wheels.
        to: Folder to replace.
        requirements: Name of the file that asked for them, for the message.
        target: Where they run.

    Raises:
        SetupError: A wheel brings native code.
    """
    native = [wheel.name for wheel in wheels if _is_native(wheel)]
    if native:
        raise SetupError(
            f"{', '.join(native)} in {requirements} is a native wheel, which runs on one platform and Python only: choose a pure Python package, "
            f"or {target.way_out}"
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
