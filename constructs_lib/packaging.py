"""Code of functions and jobs as zip files that depend on nothing but the code: no Docker, no download, no clock."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import lakehouse
from constructs_lib.checks import require

BUNDLED = Path(__file__).parent / "_bundled"
"""What the wheel carries: `python` (third-party packages for functions, put there by set-up), `emr` (those for jobs on EMR), `roots` (certificates that
jobs trust databases by), `jobs` and `lambdas`."""

AUTHORING_ONLY = ("lakehouse/contracts/compiler/", "lakehouse/pipelines/", "lakehouse/environments/")
"""Parts of the library that only people who write contracts need; they import what no deployed code has."""

SPARK_ONLY = ("lakehouse/spark/",)
"""Parts of the library that need pyspark."""

JOBS_ONLY = ("lakehouse/objects/", "lakehouse/job_runs.py")
"""Parts of the library for jobs, tools and importers: no function moves files or waits for a job, and none is deployed anew when they change."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_READ_ONLY_FILE = 0o100644 << 16


@dataclass(frozen=True, kw_only=True)
class CodeBundle:
    """A zip file of code.

    Attributes:
        path: The file, in a folder of this process.
        content_hash: SHA-256 over names and contents of what is inside, the same whichever zlib packed it.
    """

    path: Path
    content_hash: str


@cache
def function_bundle() -> CodeBundle:
    """Code of every function of the platform: `lambdas`, the library without Spark, and bundled packages."""
    files = {
        **_tree(_deployed("lambdas"), "lambdas/"),
        **_without(_library(), (*AUTHORING_ONLY, *SPARK_ONLY, *JOBS_ONLY)),
        **_packages(BUNDLED / "python", of="functions"),
    }
    return _zip("functions", files)


@cache
def job_bundle() -> CodeBundle:
    """Code that every job imports: `jobs` with its transforms and the library, which trusts databases by the authorities of RDS."""
    return _zip("jobs", {**_tree(_deployed("jobs"), "jobs/"), **_without(_library(), AUTHORING_ONLY), **_authorities()})


@cache
def job_packages() -> CodeBundle:
    """Third-party packages that jobs need and the Python of EMR lacks; unpacked on the workers, as they hold data files."""
    return _zip("packages", _packages(BUNDLED / "emr", of="jobs on EMR"))


def job_script(name: str) -> Path:
    """Entry point of one of the platform's own jobs.

    Raises:
        InvalidProps: There is no such job.
    """
    folder = _deployed("jobs")
    path = folder / f"{name}.py"
    scripts = sorted(entry.stem for entry in folder.glob("*.py") if entry.stem != "__init__")
    require(path.is_file(), f"there is no job {name!r}: the jobs are {', '.join(scripts)}")
    return path


def write_file(name: str, content: str) -> CodeBundle:
    """A generated text as a file that an asset can carry."""
    digest = hashlib.sha256(content.encode()).hexdigest()
    path = _workspace() / f"{digest[:16]}-{name}"
    path.write_text(content, encoding="utf-8")
    return CodeBundle(path=path, content_hash=digest)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def zip_files(name: str, files: dict[str, Path]) -> CodeBundle:
    """Files as an archive that is the same, byte for byte, whichever zlib there is: they are stored as they are."""
    return _zip(name, files, compression=zipfile.ZIP_STORED)


def _zip(name: str, files: dict[str, Path], *, compression: int = zipfile.ZIP_DEFLATED) -> CodeBundle:
    contents = {inside: path.read_bytes() for inside, path in sorted(files.items())}
    for inside in contents:
        require(
            not inside.endswith((".so", ".pyd", ".dylib")),
            f"{inside} is a native library, which works on one platform and Python only: use a pure Python package, or list the package in the job's "
            "`--additional-python-modules` so that Glue installs its own build",
        )
    digest = _digest(contents)
    path = _workspace() / f"{name}-{digest[:16]}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, content in contents.items():
            entry = zipfile.ZipInfo(inside, date_time=_EPOCH)
            entry.compress_type = compression
            entry.external_attr = _READ_ONLY_FILE
            archive.writestr(entry, content, compresslevel=1)
    return CodeBundle(path=path, content_hash=digest)


def _digest(contents: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for inside, content in contents.items():
        digest.update(f"{len(inside)}:{inside}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def _library() -> dict[str, Path]:
    return _tree(Path(lakehouse.__file__).parent, "lakehouse/")


def _deployed(name: str) -> Path:
    """Folder of code that is deployed and never imported here: part of the wheel, else beside this package in a checkout."""
    bundled, checkout = BUNDLED / name, Path(__file__).parent.parent / name
    folder = bundled if bundled.is_dir() else checkout
    require(
        folder.is_dir(),
        f"the code of {name} is neither at {bundled} nor at {checkout}: install the wheel of the project again, or check it out whole",
    )
    return folder


def _packages(folder: Path, *, of: str) -> dict[str, Path]:
    """Third-party packages; without them everything would fail at its first import."""
    files = _tree(folder, "")
    require(bool(files), f"the packages of {of} are not at {folder}: run `make setup` in the checkout, or install the wheel again")
    return files


def _authorities() -> dict[str, Path]:
    """Certificates that `lakehouse.spark` trusts databases by."""
    files = _tree(BUNDLED / "roots", "lakehouse/")
    require(
        bool(files), f"the authorities of RDS are not at {BUNDLED / 'roots'}: run `make setup` in the checkout, or install the wheel again"
    )
    return files


def _tree(folder: Path, prefix: str) -> dict[str, Path]:
    return {
        prefix + path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in {".pyc", ".md"} and not path.name.startswith(".")
    }


def _without(files: dict[str, Path], parts: Iterable[str]) -> dict[str, Path]:
    return {inside: path for inside, path in files.items() if not inside.startswith(tuple(parts))}


@cache
def _workspace() -> Path:
    """Folder of this process, gone with it: the CDK copies what it needs into its output."""
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-synth-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
