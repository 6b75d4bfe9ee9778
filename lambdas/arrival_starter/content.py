"""What a file version holds: the SHA-256 of its bytes, from S3's own checksum if it has one, else read in pieces while there is time.

A file that is too large for the time is told apart by S3's entity tag. That never takes different bytes for the same; but the same bytes, put
again, may get another tag (they do under a KMS key), and are then loaded again, which changes no row of silver.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from lakehouse.claims import TAG
from lakehouse.errors import TerminalError
from lambdas.arrival_starter.arrival import FileArrival

PIECE_BYTES = 1024 * 1024
"""Read at a time, so that memory does not grow with the file."""

_GONE = frozenset({"404", "NoSuchKey", "NoSuchVersion"})
_FORBIDDEN = frozenset({"403", "AccessDenied"})
_ARCHIVED = "InvalidObjectState"


@dataclass(frozen=True, kw_only=True)
class Content:
    """What is known of the bytes of a file version.

    Attributes:
        size: Bytes.
        digest: Equal digests mean equal bytes; None if the version is gone or archived, which the job reports.
        sha256: Hex digest for the manifest, None if the bytes were not read.
    """

    size: int
    digest: str | None
    sha256: str | None


def content_of(client: Any, arrival: FileArrival, *, has_time: Callable[[], bool]) -> Content:
    """Look at a file version.

    Args:
        client: boto3 S3 client.
        arrival: The version.
        has_time: Whether there is still time for reading; asked before each piece.

    Raises:
        TerminalError: The function may not read it.
    """
    version = {"Bucket": arrival.bucket, "Key": arrival.key, "VersionId": arrival.version_id}
    unread = Content(size=arrival.size, digest=None, sha256=None)
    try:
        head = client.head_object(**version, ChecksumMode="ENABLED")
        size = int(head["ContentLength"])
        checksum = head.get("ChecksumSHA256")
        if checksum and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" and "-" not in checksum:
            digest = base64.b64decode(checksum).hex()
            return Content(size=size, digest=digest, sha256=digest)
        digest = _read(client, version, has_time) if has_time() else None
        if digest is None:
            return Content(size=size, digest=f"{TAG}{head['ETag'].strip(chr(34))}/{size}", sha256=None)
    except client.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _GONE or code == _ARCHIVED:
            return unread
        if code in _FORBIDDEN:
            raise TerminalError(
                f"this function may not read s3://{arrival.bucket}/{arrival.key}: its role needs s3:GetObject, s3:GetObjectVersion and,"
                " for a customer key, kms:Decrypt"
            ) from error
        raise
    return Content(size=size, digest=digest, sha256=digest)


def _read(client: Any, version: dict[str, str], has_time: Callable[[], bool]) -> str | None:
    """SHA-256 of the bytes, or None if there was no time to read them all."""
    digest = hashlib.sha256()
    with closing(client.get_object(**version)["Body"]) as body:
        for piece in body.iter_chunks(PIECE_BYTES):
            if not has_time():
                return None
            digest.update(piece)
    return digest.hexdigest()
