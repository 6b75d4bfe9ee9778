"""What a file version holds: the SHA-256 of its bytes, from S3's own checksum if it has one, else read in pieces."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import TerminalError
from lambdas.arrival_starter.arrival import FileArrival

PIECE_BYTES = 1024 * 1024
"""Read at a time, so that memory does not grow with the file."""

MAX_READ_BYTES = 2 * 1024**3
"""Larger files without a checksum are told apart by S3's entity tag: reading them would outlast the function."""

_TAG = "etag:"
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


def content_of(client: Any, arrival: FileArrival) -> Content:
    """Look at a file version.

    Args:
        client: boto3 S3 client.
        arrival: The version.

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
        if size > MAX_READ_BYTES:
            return Content(size=size, digest=f"{_TAG}{head['ETag'].strip(chr(34))}/{size}", sha256=None)
        digest = _read(client.get_object(**version)["Body"])
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


def is_sha256(digest: str | None) -> bool:
    """Whether a digest is a SHA-256, not an entity tag."""
    return digest is not None and not digest.startswith(_TAG)


def _read(body: Any) -> str:
    digest = hashlib.sha256()
    for piece in body.iter_chunks(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()
