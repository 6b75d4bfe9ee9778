"""Python packages that every machine of a cluster gets before its first job."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from constructs_lib.checks import require
from constructs_lib.packaging import CodeBundle, file_hash, zip_files

BOOTSTRAP = Path(__file__).parent / "bootstrap" / "install_packages.sh"
"""The bootstrap action: it installs all packages or fails, and then the cluster does not start."""

TARGET = "/opt/lakehouse/packages"
"""Where jobs find the packages."""

_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+(\[[A-Za-z0-9,._-]+\])?==[^\s;]+(\s*;[^-]+)?(\s+--hash=sha256:[0-9a-f]{64})+")


@dataclass(frozen=True, kw_only=True)
class ClusterPackages:
    """Packages as wheels, for code that is native and cannot go along with the job.

    Attributes:
        folder: Folder with `requirements.txt`, each line `name==version --hash=sha256:…`, and the wheels that it names; `pip download` fills it.
        python: Interpreter of the release that the wheels are for.
    """

    folder: Path
    python: str = "/usr/bin/python3"

    def archive(self) -> CodeBundle:
        """The archive that machines unpack; the same folder gives the same file.

        Raises:
            InvalidProps: Something is not pinned, or has no wheel of its hash.
        """
        requirements = self.folder / "requirements.txt"
        require(requirements.is_file(), f"{requirements} does not exist: write name==version --hash=sha256:… for each package")
        lines = _lines(requirements.read_text(encoding="utf-8"))
        require(bool(lines), f"{requirements} names no package: leave `packages` out instead")
        loose = [line for line in lines if not _REQUIREMENT.fullmatch(line)]
        require(not loose, f"{requirements}: {loose[0] if loose else ''!r} is not pinned: write name==version --hash=sha256:…")
        wheels = sorted(self.folder.glob("*.whl"))
        pinned = {hash_ for line in lines for hash_ in re.findall(r"sha256:([0-9a-f]{64})", line)}
        found = {file_hash(wheel): wheel for wheel in wheels}
        strange = sorted(wheel.name for hash_, wheel in found.items() if hash_ not in pinned)
        require(not strange, f"{', '.join(strange)} has a hash that {requirements} does not name: remove it, or pin it")
        missing = [line.split("==")[0] for line in lines if not set(re.findall(r"sha256:([0-9a-f]{64})", line)) & set(found)]
        require(not missing, f"{self.folder} has no wheel of {', '.join(missing)}: run pip download --require-hashes --only-binary :all:")
        return zip_files("cluster-packages", {path.name: path for path in (requirements, *wheels)})


def archive_sha256(bundle: CodeBundle) -> str:
    """SHA-256 of the file, which a machine checks after it fetched it."""
    return hashlib.sha256(bundle.path.read_bytes()).hexdigest()


def _lines(text: str) -> list[str]:
    """Requirements, each on one line, without comments."""
    joined = re.sub(r"\\\s*\n\s*", " ", text)
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]
