"""A download that goes on where it stopped, shows how far it is, and counts only when its hash is right."""

from __future__ import annotations

import base64
import hashlib
import http.client
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

import certifi

from tools.console import Progress, SetupError, say
from tools.repository import Repository

ATTEMPTS = 6
READ_TIMEOUT_SECONDS = 120
"""The first byte of a large artifact may take half a minute."""

_CHUNK = 1 << 20
_PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416


def download(
    path: str, *, repository: Repository, sha256: str, size: int, to: Path, attempts: int = ATTEMPTS, pause_seconds: float = 1.0
) -> None:
    """Fetch one artifact of a Maven repository.

    Args:
        path: Path of the artifact in the repository.
        repository: Where to fetch from.
        sha256: Hash of the whole file, from the lock file.
        size: Its size in bytes, from the lock file.
        to: File to write; if it holds the start of the artifact, only the rest is fetched.
        attempts: How often to try before giving up; attempts that brought bytes do not count.
        pause_seconds: Pause before the second attempt; it doubles with each.

    Raises:
        SetupError: It cannot be had, or it is not what the lock file says.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    name = path.rsplit("/", 1)[-1]
    left = attempts
    while (had := _size(to)) < size:
        try:
            _fetch(path, repository=repository, size=size, to=to)
        except urllib.error.HTTPError as error:
            if error.code == _RANGE_NOT_SATISFIABLE:
                to.unlink(missing_ok=True)
            elif error.code not in _PASSING_STATUS:
                raise SetupError(_refused(name, repository, error)) from error
            problem = f"HTTP status {error.code}"
        except (urllib.error.URLError, TimeoutError, http.client.HTTPException, ConnectionError, ssl.SSLError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise SetupError(
                    f"{name}: the certificate of {repository.name} is not trusted ({reason.verify_message}); if a proxy of your company stands in between, "
                    "set SSL_CERT_FILE to its certificates"
                ) from error
            problem = str(reason) or type(reason).__name__
        else:
            problem = "the connection closed early"
        if _size(to) >= size:
            break
        left = attempts if _size(to) > had else left - 1
        if not left:
            raise SetupError(
                f"{name}: {repository.name} cannot be reached ({problem}); check the network (or the proxy), then run it again: it goes on where it stopped"
            )
        time.sleep(pause_seconds * 2 ** (attempts - left))
        say(f"  {name}: {problem}; trying again")
    _verify(to, sha256=sha256, size=size, name=name, repository=repository)


def fetch_whole(path: str, *, repository: Repository, to: Path) -> None:
    """Fetch an artifact whose hash and size are not known yet, for the lock file.

    Args:
        path: Path of the artifact in the repository.
        repository: Where to fetch from.
        to: File to write.

    Raises:
        SetupError: It cannot be had.
    """
    try:
        _fetch(path, repository=repository, size=0, to=to)
    except (OSError, http.client.HTTPException) as error:
        raise SetupError(f"{path}: cannot be had from {repository.name} ({error})") from error


def _fetch(path: str, *, repository: Repository, size: int, to: Path) -> None:
    had = _size(to)
    request = urllib.request.Request(f"{repository.address}/{path}", headers={"User-Agent": "lakehouse-setup"})  # noqa: S310
    if had:
        request.add_header("Range", f"bytes={had}-")
    if repository.username:
        secret = base64.b64encode(f"{repository.username}:{repository.password}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {secret}")
    with urllib.request.urlopen(request, timeout=READ_TIMEOUT_SECONDS, context=_trust()) as answer:  # noqa: S310
        # A server that ignores the range sends the whole file from its start.
        goes_on = answer.status == _PARTIAL_CONTENT
        _copy(answer, to=to, append=goes_on, progress=Progress(label=path.rsplit("/", 1)[-1], total=size, done=had if goes_on else 0))


def _copy(answer: IO[bytes], *, to: Path, append: bool, progress: Progress) -> None:
    with to.open("ab" if append else "wb") as file:
        try:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                progress.at(file.tell())
        finally:
            progress.end()


def _verify(file: Path, *, sha256: str, size: int, name: str, repository: Repository) -> None:
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != sha256:
        found_size = _size(file)
        file.unlink()
        raise SetupError(
            f"{name} from {repository.name} is not the file that tools/maven.lock names (sha256 {found[:12]}... of {found_size} bytes, expected {sha256[:12]}... of {size}): "
            "it was thrown away; run it again, and if it stays so, that repository serves another file"
        )


def _refused(name: str, repository: Repository, error: urllib.error.HTTPError) -> str:
    if error.code in {401, 403, 407}:
        return f"{name}: {repository.name} refuses access (HTTP status {error.code}); check its `<server>` entry in your Maven settings"
    return (
        f"{name}: {repository.name} does not have it (HTTP status {error.code}); the mirror in your Maven settings must serve Maven Central"
    )


def _trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        # Python of python.org on macOS finds no certificates of the system.
        context.load_verify_locations(certifi.where())
    return context


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
