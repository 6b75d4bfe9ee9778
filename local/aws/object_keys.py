"""S3: objects under a customer key need the caller's permission for the key, besides the permission for the object."""

from __future__ import annotations

import contextvars
from typing import Any

from local.aws import door, guard, key_use, seam

_SSE = "x-amz-server-side-encryption"
_KEY = "x-amz-server-side-encryption-aws-kms-key-id"

_kms = seam.module("services.kms")
_s3 = seam.module("services.s3")

_method: contextvars.ContextVar[str] = contextvars.ContextVar("lake_s3_method", default="")


def register() -> None:
    """Ask KMS where S3 resolves the encryption of a write, and where it serves a read."""
    door.add_check(_note_method)
    seam.replace("services.s3._resolve_sse_write_headers", _resolve_sse_write_headers)
    seam.replace("services.s3._check_sse_read_headers", _check_sse_read_headers)
    seam.replace("services.s3._check_sse_c_copy_source", _check_sse_c_copy_source)
    seam.replace("services.s3._check_sse_c_part", _check_sse_c_part)
    for name in ("_stored_sse_headers", "_bucket_default_sse_headers"):
        seam.original(f"services.s3.{name}")


def _note_method(request: door.Request) -> None:
    if request.service == "s3":
        _method.set(request.method)


def _resolve_sse_write_headers(headers: dict[str, str], bucket_name: str) -> Any:
    if headers.get(_SSE) == "aws:kms" and not headers.get(_KEY):
        # AWS falls back to the bucket's key, or to aws/s3; MiniStack refuses the request.
        headers = {**headers, _KEY: _s3._bucket_default_sse_headers(bucket_name).get(_KEY) or "alias/aws/s3"}
    stored, error = seam.original("services.s3._resolve_sse_write_headers")(headers, bucket_name)
    if error is None:
        error = _refusal(stored, "kms:GenerateDataKey", f"arn:aws:s3:::{bucket_name}")
    return (None, error) if error is not None else (stored, None)


def _check_sse_read_headers(headers: dict[str, str], stored: Any) -> Any:
    answer = seam.original("services.s3._check_sse_read_headers")(headers, stored)
    if _method.get() == "HEAD" and headers.get("x-amz-checksum-mode", "").upper() != "ENABLED":
        return answer  # HEAD needs the key for the checksum only
    return answer or _refusal(_s3._stored_sse_headers(stored), "kms:Decrypt")


def _check_sse_c_copy_source(headers: dict[str, str], stored: Any) -> Any:
    return seam.original("services.s3._check_sse_c_copy_source")(headers, stored) or _refusal(
        _s3._stored_sse_headers(stored), "kms:Decrypt"
    )


def _check_sse_c_part(headers: dict[str, str], upload: Any) -> Any:
    # A part needs kms:GenerateDataKey and the completion kms:Decrypt: AWS asks both of whoever uploads parts.
    stored = _s3._stored_sse_headers(upload)
    return (
        seam.original("services.s3._check_sse_c_part")(headers, upload)
        or _refusal(stored, "kms:GenerateDataKey")
        or _refusal(stored, "kms:Decrypt")
    )


def _refusal(stored: dict[str, str] | None, action: str, context_arn: str = "") -> Any:
    caller = guard.caller.get()
    key_id = (stored or {}).get(_KEY, "")
    if not caller or not stored or not stored.get(_SSE, "").startswith("aws:kms") or not key_id or "alias/aws/" in key_id:
        return None  # MiniStack's own write, SSE-S3, or the AWS managed key, which is open to every caller S3 lets in
    record = _kms._resolve_key(key_id)
    if record is None:
        return _s3._error("KMS.NotFoundException", f"Key '{key_id}' does not exist", 400)
    if not key_use.is_usable(key_id):
        return _s3._error("KMS.DisabledException", f"{record['Arn']} is disabled.", 400)
    context: dict[str, Any] = {"kms:EncryptionContextKeys": ["aws:s3:arn"]}
    if context_arn:
        context["kms:EncryptionContext:aws:s3:arn"] = context_arn
    denied = key_use.ask(caller, key_id=key_id, actions=(action,), service="s3", context=context)
    return _s3._error("AccessDenied", str(denied), 403) if denied else None
