"""Downloads that every checkout of one person shares: `~/.cache/lakehouse`, written by one process at a time for each entry."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.console import say


def default_folder() -> Path:
    """`$XDG_CACHE_HOME/lakehouse`, or `~/.cache/lakehouse` on every system."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "lakehouse"


@dataclass(frozen=True, kw_only=True)
class Store:
    """Files and unpacked folders by name. An entry appears whole or not at all, because it is renamed into place.

    Attributes:
        folder: Where it is.
    """

    folder: Path

    def entry(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return an entry, made first if it is not there.

        Args:
            name: File or folder name; it must change with the content, so it holds a version or a hash.
            make: Makes the entry at the path that it gets. That path survives a failure under the same name, so a download can go on from there.
        """
        target = self.folder / name
        if target.exists():
            return target
        with self.lock(name):
            if target.exists():
                return target
            partial = self.folder / f"{name}.partial"
            if partial.is_dir():
                shutil.rmtree(partial)
            make(partial)
            partial.rename(target)
        return target

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock of one entry; waits for another process that has it. The system lets go of it when a process dies."""
        locks = self.folder / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / name).open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                say(f"  another set-up is fetching {name}, waiting for it")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def link(target: Path, at: Path) -> None:
    """Make `at` a symbolic link to `target`, in one step, whatever was there before."""
    at.parent.mkdir(parents=True, exist_ok=True)
    if at.is_symlink() and at.readlink() == target:
        return
    if at.is_dir() and not at.is_symlink():
        shutil.rmtree(at)
    fresh = at.with_name(at.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(at)
