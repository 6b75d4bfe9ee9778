"""The Sparks beside Glue's, of EMR's releases: `python -m tools.spark_releases` installs them; the platform does at their first use.

They are no part of set-up: half a gigabyte for who never runs EMR. Once installed, they need no network.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from tools.artifacts import read_lock
from tools.console import SetupError, step
from tools.installation import ROOT
from tools.jars import install_jars
from tools.packages import pip_install
from tools.spark_classes import prepare_spark
from tools.store import Store, default_folder, link

RELEASES = {"4.0": "spark40.txt"}
"""Series of Spark -> requirements file of its Python package; its jars have the use `spark-<series>` in the Maven lock file."""

_CLASSES = "classes.jsa"


def main() -> int:
    """Install what is not there, and prepare it for fast starts.

    Returns:
        Exit code: 0 done, 1 something cannot be had (said in one sentence).
    """
    store = Store(folder=default_folder())
    try:
        for series in RELEASES:
            if not is_installed(ROOT, series):
                with step(f"Spark {series}"):
                    install(ROOT, store, series)
            if not (_folder(ROOT, series) / _CLASSES).exists():
                prepare_spark(ROOT, series)
    except SetupError as error:
        sys.stderr.write(f"\nset-up: {error}\n")
        return 1
    return 0


def is_installed(root: Path, series: str) -> bool:
    """Whether the Spark that the lock files name is there."""
    stamp = _folder(root, series) / "installed"
    return stamp.is_file() and stamp.read_text() == _wanted(root, series)


def install(root: Path, store: Store, series: str) -> None:
    """Bring a Spark and its jars to `.cache/spark-<series>`.

    Raises:
        SetupError: Something cannot be had.
    """
    folder, requirements = _folder(root, series), (root / "tools" / RELEASES[series]).read_text()
    for made_of_another in ("installed", _CLASSES):
        (folder / made_of_another).unlink(missing_ok=True)

    def make(to: Path) -> None:
        pip_install(Path(sys.executable), root=root, requirements=requirements, label=f"Spark {series}", options=("--target", str(to)))

    name = f"spark-{series}-{sys.platform}-{hashlib.sha256(requirements.encode()).hexdigest()[:12]}"
    link(store.entry(name, make), folder / "python")
    install_jars(store, use=f"spark-{series}", folder=folder / "jars")
    (folder / "installed").write_text(_wanted(root, series))


def _folder(root: Path, series: str) -> Path:
    return root / ".cache" / f"spark-{series}"


def _wanted(root: Path, series: str) -> str:
    jars = [jar.sha256 for jar in read_lock() if jar.use == f"spark-{series}"]
    return hashlib.sha256("\n".join([(root / "tools" / RELEASES[series]).read_text(), *jars]).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
