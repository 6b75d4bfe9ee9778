"""The jars that a Spark needs beside its own, from the Maven lock file into a folder of the checkout."""

from __future__ import annotations

from pathlib import Path

from tools.artifacts import read_lock
from tools.download import download
from tools.repository import find_repository, user_settings
from tools.store import Store, link


def install_jars(store: Store, *, use: str, folder: Path) -> None:
    """Fetch the jars of one use and link them into *folder*; jars that are not wanted any more leave it.

    Args:
        store: Where downloads are kept.
        use: Which jars, as the lock file says.
        folder: Where they are to be.

    Raises:
        SetupError: One of them cannot be had.
    """
    repository = find_repository(user_settings())
    wanted = [artifact for artifact in read_lock() if artifact.use == use]
    for jar in wanted:

        def fetch(to: Path, path: str = jar.path, sha256: str = jar.sha256, size: int = jar.size) -> None:
            download(path, repository=repository, sha256=sha256, size=size, to=to)

        link(store.entry(jar.file_name, fetch), folder / jar.file_name)
    for stale in {path.name for path in folder.glob("*.jar")} - {jar.file_name for jar in wanted}:
        (folder / stale).unlink()
