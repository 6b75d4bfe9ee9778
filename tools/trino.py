"""Trino's server, unpacked to what Athena's SQL needs: `lib`, `bin` and two of its 60 plugins."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath

from tools.console import SetupError

KEPT = ("lib", "bin", "plugin/iceberg", "plugin/hive")
"""Folders that are kept, relative to the archive's one top folder."""


def unpack_trino(archive: Path, to: Path) -> None:
    """Unpack the kept folders of a Trino server archive.

    Args:
        archive: The `tar.gz`, with one top folder.
        to: Folder to make; `to/lib`, `to/bin` and so on stand in it.

    Raises:
        SetupError: The archive lacks one of the folders.
    """
    # Equal jars are stored once: a plugin's jar may be a hard link to one of a plugin that is left out, so links are followed by hand.
    sources: dict[str, list[str]] = {}
    with tarfile.open(archive, "r|gz") as members:
        for member in members:
            inside = _inside(member.name)
            if inside and (member.isfile() or member.islnk()):
                sources.setdefault(member.linkname if member.islnk() else member.name, []).append(inside)
    with tarfile.open(archive, "r|gz") as members:
        for member in members:
            wanted = sources.get(member.name, [])
            content = members.extractfile(member) if wanted and member.isfile() else None
            if content is None:
                continue
            first = to / wanted[0]
            first.parent.mkdir(parents=True, exist_ok=True)
            with content, first.open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
            first.chmod(member.mode & 0o755 | 0o644)
            for other in wanted[1:]:
                (to / other).parent.mkdir(parents=True, exist_ok=True)
                (to / other).hardlink_to(first)
    missing = [folder for folder in KEPT if not (to / folder).is_dir()]
    if missing:
        raise SetupError(
            f"{archive.name} has no folder {', '.join(missing)}: tools/maven.lock names an archive that is laid out differently"
        )


def _inside(name: str) -> str:
    """Path below the top folder if it is kept, else an empty string."""
    path = PurePosixPath(*PurePosixPath(name).parts[1:])
    return str(path) if any(path.is_relative_to(folder) for folder in KEPT) and ".." not in path.parts else ""
