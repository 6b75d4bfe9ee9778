"""Maven artifacts that the laptop platform needs, by a lock file of coordinates with hashes and no addresses."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).with_name("maven.lock")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One file of a Maven repository.

    Attributes:
        use: What it is for: `spark` and `spark-<series>` (a jar beside that Spark's), `job` (a jar that jobs bring themselves) or `trino` (the server's archive).
        group: Maven group.
        name: Maven artifact.
        version: Its version.
        kind: File kind: `jar`, `tar.gz`.
        sha256: Hash of the file.
        size: Size in bytes.
    """

    use: str
    group: str
    name: str
    version: str
    kind: str = "jar"
    sha256: str = ""
    size: int = 0

    @property
    def file_name(self) -> str:
        """Name of the file."""
        return f"{self.name}-{self.version}.{self.kind}"

    @property
    def path(self) -> str:
        """Path of the file in a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.name}/{self.version}/{self.file_name}"


def read_lock(lock: Path = LOCK) -> tuple[Artifact, ...]:
    """Artifacts of a lock file, in its order."""
    return tuple(Artifact(**entry) for entry in tomllib.loads(lock.read_text())["artifact"])
