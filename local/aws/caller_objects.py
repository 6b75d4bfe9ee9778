"""Objects in S3 read and written by a service on behalf of its caller: with the caller's permissions for object, bucket and key."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from local.aws import door, guard, seam

HOST = {"host": "localhost"}
"""Header of a request that never leaves the process."""

_SECONDS = 120
_NOT_FOUND = 404
_GOOD = frozenset({200, 204, 206, 416})  # an empty object has no first byte

_app = seam.module("app")


class RefusedError(Exception):
    """The caller may not do it; the text is S3's or IAM's."""


class NoSuchObjectError(Exception):
    """The object or its bucket does not exist."""


def get(key: str, bucket: str, name: str, *, via: str, first_byte: bool = False) -> bytes:
    """Read an object as the holder of an access key.

    Raises:
        RefusedError: The caller may not.
        NoSuchObjectError: There is no such object.
    """
    return _call(key, "GET", bucket, name, via=via, headers={"range": "bytes=0-0"} if first_byte else {})


def put(key: str, bucket: str, name: str, data: bytes, *, via: str, headers: Mapping[str, str]) -> None:
    """Write an object as the holder of an access key.

    Raises:
        RefusedError: The caller may not.
        NoSuchObjectError: There is no such bucket.
    """
    _call(key, "PUT", bucket, name, via=via, data=data, headers={**headers, "content-length": str(len(data))})


def split(address: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` address, without a slash at the end."""
    bucket, _, name = address.split("://", 1)[-1].partition("/")
    return bucket, name.rstrip("/")


def _call(key: str, method: str, bucket: str, name: str, *, via: str, headers: Mapping[str, str], data: bytes = b"") -> bytes:
    path = f"/{bucket}/{name}"
    sent = {**HOST, **headers, "authorization": door.authorization(key, "s3")}
    denied = door.authorize_request(key, scope="s3", headers=sent, method=method, path=path, body=data, via=via)
    if denied:
        raise RefusedError(str(denied))
    handler = _app.SERVICE_HANDLERS["s3"]
    status, _, body = guard.as_service(_app.call_service_handler_sync, handler, method, path, sent, data, {}, _SECONDS, key=key, via=via)
    content = _bytes(body)
    if status in _GOOD:
        return content
    code, message = _problem(content)
    if status == _NOT_FOUND:
        raise NoSuchObjectError(f"{code}: {message}")
    raise RefusedError(message if code == "AccessDenied" else f"{code}: {message}")


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _problem(content: bytes) -> tuple[str, str]:
    try:
        root = ET.fromstring(content)  # noqa: S314 - our own server's answer
    except ET.ParseError:
        return "InternalError", content[:200].decode("utf-8", "replace")
    return root.findtext("Code") or "InternalError", root.findtext("Message") or ""
