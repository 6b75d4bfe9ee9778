"""S3: objects under a customer key need the caller's permission for the key, besides the permission for the object.

S3 binds what it encrypts to an encryption context: the object's ARN, or the bucket's if the object is under a bucket key. Encryption contexts
that callers add of their own are refused.
"""

from __future__ import annotations

import contextvars
import urllib.parse
import xml.etree.ElementTree as ET
from typing import Any

from local.aws import door, guard, key_use, seam

_SSE = "x-amz-server-side-encryption"
_KEY = "x-amz-server-side-encryption-aws-kms-key-id"
_BUCKET_KEY = "x-amz-server-side-encryption-bucket-key-enabled"
_CONTEXT = "x-amz-server-side-encryption-context"

_kms = seam.module("services.kms")
_s3 = seam.module("services.s3")

_method: contextvars.ContextVar[str] = contextvars.ContextVar("lake_s3_method", default="")
_object: contextvars.ContextVar[str] = contextvars.ContextVar("lake_s3_object", default="")
"""ARN of the object that the request under way is about."""


def register() -> None:
    """Ask KMS where S3 resolves the encryption of a write, and where it serves a read."""
    door.add_check(_note)
    seam.replace("services.s3._resolve_sse_write_headers", _resolve_sse_write_headers)
    seam.replace("services.s3._check_sse_read_headers", _check_sse_read_headers)
    seam.replace("services.s3._check_sse_c_copy_source", _check_sse_c_copy_source)
    seam.replace("services.s3._check_sse_c_part", _check_sse_c_part)
    for name in ("_stored_sse_headers", "_bucket_default_sse_headers", "_parse_bucket_key", "_parse_multipart_form"):
        seam.original(f"services.s3.{name}")
    if _BUCKET_KEY not in _s3._SSE_STORED_HEADERS:  # kept with the object, told with it, not carried to its copies
        _s3._SSE_STORED_HEADERS = (*_s3._SSE_STORED_HEADERS, _BUCKET_KEY)


def denied_write(key: str, bucket: str, name: str, *, via: str = "") -> guard.Denied | None:
    """Whether a caller may use the key under which a bucket puts new objects.

    Args:
        key: Access key of the caller.
        bucket: Bucket.
        name: Key of the object.
        via: How the call came about, for the record.
    """
    default = _s3._bucket_default_sse_headers(bucket) or {}
    bound = bound_arn(f"arn:aws:s3:::{bucket}/{name}", is_bucket_key=_has_bucket_key(bucket))
    return key_use.ask(key, key_id=default.get(_KEY, ""), actions=("kms:GenerateDataKey",), service="s3", context=_bound_to(bound), via=via)


def bound_arn(arn: str, *, is_bucket_key: bool) -> str:
    """What S3 binds the key of an object to: the object, or its bucket if the bucket has a key of its own."""
    return arn.partition("/")[0] if is_bucket_key else arn


def _note(request: door.Request) -> door.Response | None:
    if request.service != "s3":
        return None
    _method.set(request.method)
    bucket, name = _s3._parse_bucket_key(request.path, request.headers)
    content_type = request.headers.get("content-type", "")
    if request.method == "POST" and not name and content_type.startswith("multipart/form-data"):
        name = _posted_name(content_type, request.body)
    _object.set(f"arn:aws:s3:::{bucket}/{name}" if name else "")
    return None


def _posted_name(content_type: str, body: bytes) -> str:
    """Key of the object that a browser's form uploads."""
    fields = {field: (filename, value) for field, filename, _, value in _s3._parse_multipart_form(content_type, body)}
    name = fields.get("key", ("", b""))[1].decode("utf-8", "replace")
    return name.replace("${filename}", fields.get("file", ("", b""))[0] or "")


def _resolve_sse_write_headers(headers: dict[str, str], bucket_name: str) -> Any:
    if headers.get(_CONTEXT):
        return None, _s3._error("NotImplemented", f"{_CONTEXT} is not implemented on the laptop platform", 501)
    if headers.get(_SSE) == "aws:kms" and not headers.get(_KEY):
        # AWS falls back to the bucket's key, or to aws/s3; MiniStack refuses the request.
        headers = {**headers, _KEY: _s3._bucket_default_sse_headers(bucket_name).get(_KEY) or "alias/aws/s3"}
    stored, error = seam.original("services.s3._resolve_sse_write_headers")(headers, bucket_name)
    if error is None and (stored or {}).get(_SSE) == "aws:kms":
        asked = headers.get(_BUCKET_KEY, "").lower()
        if asked == "true" or (not asked and _has_bucket_key(bucket_name)):
            stored = {**stored, _BUCKET_KEY: "true"}
    if error is None:
        error = _refusal(stored, "kms:GenerateDataKey", _object.get())
    return (None, error) if error is not None else (stored, None)


def _check_sse_read_headers(headers: dict[str, str], stored: Any) -> Any:
    answer = seam.original("services.s3._check_sse_read_headers")(headers, stored)
    if _method.get() == "HEAD" and headers.get("x-amz-checksum-mode", "").upper() != "ENABLED":
        return answer  # HEAD needs the key for the checksum only
    return answer or _refusal(_s3._stored_sse_headers(stored), "kms:Decrypt", _object.get())


def _check_sse_c_copy_source(headers: dict[str, str], stored: Any) -> Any:
    source = urllib.parse.unquote(headers.get("x-amz-copy-source", "").lstrip("/").partition("?")[0])
    return seam.original("services.s3._check_sse_c_copy_source")(headers, stored) or _refusal(
        _s3._stored_sse_headers(stored), "kms:Decrypt", f"arn:aws:s3:::{source}"
    )


def _check_sse_c_part(headers: dict[str, str], upload: Any) -> Any:
    # A part needs kms:GenerateDataKey and the completion kms:Decrypt: AWS asks both of whoever uploads parts.
    stored, arn = _s3._stored_sse_headers(upload), f"arn:aws:s3:::{upload['bucket']}/{upload['key']}"
    return (
        seam.original("services.s3._check_sse_c_part")(headers, upload)
        or _refusal(stored, "kms:GenerateDataKey", arn)
        or _refusal(stored, "kms:Decrypt", arn)
    )


def _refusal(stored: dict[str, str] | None, action: str, arn: str) -> Any:
    caller = guard.caller.get()
    key_id = (stored or {}).get(_KEY, "")
    if not caller or not stored or not stored.get(_SSE, "").startswith("aws:kms") or not key_id or "alias/aws/" in key_id:
        return None  # MiniStack's own write, SSE-S3, or the AWS managed key, which is open to every caller S3 lets in
    record = _kms._resolve_key(key_id)
    if record is None:
        return _s3._error("KMS.NotFoundException", f"Key '{key_id}' does not exist", 400)
    if not key_use.is_usable(key_id):
        return _s3._error("KMS.DisabledException", f"{record['Arn']} is disabled.", 400)
    bound = bound_arn(arn, is_bucket_key=stored.get(_BUCKET_KEY) == "true")
    denied = key_use.ask(caller, key_id=key_id, actions=(action,), service="s3", context=_bound_to(bound))
    return _s3._error("AccessDenied", str(denied), 403) if denied else None


def _bound_to(arn: str) -> dict[str, Any]:
    return key_use.encryption_context({"aws:s3:arn": arn})


def _has_bucket_key(bucket: str) -> bool:
    """Whether a bucket's default encryption says that its objects share a bucket key."""
    configured = _s3._bucket_encryption.get(bucket)
    if not configured:
        return False
    found = (element.text for element in ET.fromstring(configured).iter() if element.tag.rpartition("}")[2] == "BucketKeyEnabled")  # noqa: S314 - S3's own
    return next((str(text).lower() == "true" for text in found), False)
