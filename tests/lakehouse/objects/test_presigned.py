"""Addresses that lend an object are signed the new way, work no longer than S3 honours, and say when they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.session import get_session

from lakehouse.aws import client as platform_client
from lakehouse.objects.presigned import LONGEST_SECONDS, PresignRefused, presign_get, presign_put
from tests.lakehouse.objects.buckets import BUCKET, s3_client

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
V4 = {"signature_version": "s3v4"}


def query_of(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


def session_client(*, left: timedelta) -> Any:
    """A client of a role's session that ends in a while, and that nothing renews."""
    ends = (datetime.now(UTC) + left).isoformat()
    found = {"access_key": "x", "secret_key": "x", "token": "t", "expiry_time": ends}
    core = get_session()
    core._credentials = RefreshableCredentials.create_from_metadata(found, refresh_using=lambda: found, method="test")  # type: ignore[attr-defined]
    return boto3.Session(botocore_session=core, region_name="us-east-1").client("s3", config=Config(**V4))


def test_an_object_is_lent_for_an_hour() -> None:
    lent = presign_get(s3_client(**V4), bucket=BUCKET, key="a ü.csv", version_id="v1", now=lambda: NOW)
    query = query_of(lent.url)
    assert (query["X-Amz-Algorithm"], query["X-Amz-Expires"], query["versionId"]) == (["AWS4-HMAC-SHA256"], ["3600"], ["v1"])
    assert urlsplit(lent.url).path.endswith("/a%20%C3%BC.csv")
    assert (lent.method, dict(lent.headers), lent.expires_at, lent.may_end_earlier) == ("GET", {}, NOW + timedelta(hours=1), False)


def test_a_writer_is_bound_to_the_media_type() -> None:
    lent = presign_put(s3_client(**V4), bucket=BUCKET, key="a.csv", content_type="text/csv", now=lambda: NOW)
    assert query_of(lent.url)["X-Amz-SignedHeaders"] == ["content-type;host"]
    assert not [name for name in query_of(lent.url) if "checksum" in name]  # of a body that is not there yet
    assert (lent.method, dict(lent.headers), lent.expires_at) == ("PUT", {"Content-Type": "text/csv"}, NOW + timedelta(minutes=15))


def test_an_address_is_no_part_of_what_is_logged() -> None:
    lent = presign_get(s3_client(**V4), bucket=BUCKET, key="a")
    assert "X-Amz" not in repr(lent)


@pytest.mark.parametrize("seconds", [0, -1, LONGEST_SECONDS + 1])
def test_a_time_that_s3_does_not_honour_is_refused(seconds: int) -> None:
    assert presign_get(s3_client(**V4), bucket=BUCKET, key="a", seconds=LONGEST_SECONDS).url
    with pytest.raises(PresignRefused, match=f"between 1 and 604800 .* got {seconds}"):
        presign_get(s3_client(**V4), bucket=BUCKET, key="a", seconds=seconds)


def test_the_old_signature_is_refused() -> None:
    with pytest.raises(PresignRefused, match=r"Signature Version 2.*signature_version='s3v4'"):
        presign_get(s3_client(), bucket=BUCKET, key="a")


def test_the_platform_s_own_client_signs_the_new_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    assert presign_get(platform_client.__wrapped__("s3"), bucket=BUCKET, key="a").url


def test_an_address_does_not_outlive_the_session_that_signs() -> None:
    assert presign_get(session_client(left=timedelta(hours=1)), bucket=BUCKET, key="a", seconds=3000).may_end_earlier is False
    with pytest.raises(PresignRefused, match="end before 3700 seconds are over"):
        presign_get(session_client(left=timedelta(hours=1)), bucket=BUCKET, key="a", seconds=3700)


def test_a_session_whose_end_nobody_tells_is_pointed_out() -> None:
    client = boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x", aws_session_token="t", config=Config(**V4)
    )
    assert presign_get(client, bucket=BUCKET, key="a").may_end_earlier is True
