"""Addresses that lend one object for a while: whoever has one may read, or write, without an identity of their own.

Actions, of whoever signs, asked again when the address is used: s3:GetObject or s3:PutObject; on the key of the bucket kms:Decrypt or kms:GenerateDataKey.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lakehouse.clock import Clock, utc_now
from lakehouse.errors import TerminalError

LONGEST_SECONDS = 7 * 24 * 3600
"""Longest that S3 honours an address."""

GET_SECONDS = 3600
PUT_SECONDS = 900


class PresignRefused(TerminalError):
    """An address would not work, or not as long as it says."""


@dataclass(frozen=True, kw_only=True)
class PresignedUrl:
    """An address that lends an object. It is a secret while it works: not for logs, and its `repr` does not show it.

    Attributes:
        url: The address.
        method: GET or PUT.
        headers: Headers that the request has to carry, as they are signed.
        expires_at: When it ends.
        may_end_earlier: Whether it was signed by temporary credentials whose end nobody told, as in a function: it ends when they do.
    """

    url: str = field(repr=False)
    method: str
    headers: Mapping[str, str]
    expires_at: datetime
    may_end_earlier: bool


def presign_get(
    client: Any, *, bucket: str, key: str, version_id: str | None = None, seconds: int = GET_SECONDS, now: Clock = utc_now
) -> PresignedUrl:
    """An address to read an object by; whether there is one shows when it is used.

    Args:
        client: boto3 S3 client that signs with Signature Version 4, such as `lakehouse.aws.client("s3")`.
        bucket: Bucket.
        key: Key.
        version_id: Version; None = the one that readers get then.
        seconds: How long it works.
        now: Gives the present moment.

    Raises:
        PresignRefused: It would not work so long, or not at all.
    """
    version = {} if version_id is None else {"VersionId": version_id}
    return _presigned(client, "get_object", {"Bucket": bucket, "Key": key, **version}, seconds=seconds, now=now)


def presign_put(client: Any, *, bucket: str, key: str, content_type: str, seconds: int = PUT_SECONDS, now: Clock = utc_now) -> PresignedUrl:
    """An address to write an object by, again and again while it works; an object that is there gets a new version.

    Args:
        client: boto3 S3 client that signs with Signature Version 4, such as `lakehouse.aws.client("s3")`.
        bucket: Bucket.
        key: Key.
        content_type: Media type that the writer has to send, and no other.
        seconds: How long it works.
        now: Gives the present moment.

    Raises:
        PresignRefused: It would not work so long, or not at all.
    """
    given = {"Bucket": bucket, "Key": key, "ContentType": content_type}
    return _presigned(client, "put_object", given, seconds=seconds, now=now, headers={"Content-Type": content_type})


def _presigned(
    client: Any, operation: str, given: Mapping[str, str], *, seconds: int, now: Clock, headers: Mapping[str, str] | None = None
) -> PresignedUrl:
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise PresignRefused(f"seconds must be between 1 and {LONGEST_SECONDS} (seven days, S3's limit), got {seconds}")
    signed_at = now()
    url: str = client.generate_presigned_url(operation, Params=dict(given), ExpiresIn=seconds)
    query = parse_qs(urlsplit(url).query)
    if "X-Amz-Algorithm" not in query:
        raise PresignRefused(
            "the client signs addresses the old way (Signature Version 2), which S3 refuses for objects under a KMS key, as all of a lake are: "
            "use lakehouse.aws.client('s3'), or make yours with Config(signature_version='s3v4')"
        )
    # botocore renews credentials that are about to end before it signs: only now is it known which ones signed.
    # The client has no public word for who signs; boto3 itself asks here. Where a botocore lacks it, nobody tells the end.
    credentials: Any = getattr(client, "_get_credentials", lambda: None)()
    is_told = hasattr(credentials, "refresh_needed")
    if is_told and credentials.refresh_needed(refresh_in=seconds):
        raise PresignRefused(
            f"the credentials that sign end before {seconds} seconds are over, and the address would end with them: ask for less, or sign as a role "
            "whose session lasts longer (MaxSessionDuration; a role that a role assumes has one hour at most)"
        )
    return PresignedUrl(
        url=url,
        method="GET" if operation == "get_object" else "PUT",
        headers=dict(headers or {}),
        expires_at=signed_at + timedelta(seconds=seconds),
        may_end_earlier=not is_told and "X-Amz-Security-Token" in query,
    )
