"""Staging in S3: exact versions, whatever lies under the key by now."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lakehouse.errors import RunFailed
from lakehouse.manifests import ManifestFile
from lakehouse.spark.raw.staging import S3Staging


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        for bucket in ("lake-raw", "lake-logs"):
            client.create_bucket(Bucket=bucket)
        client.put_bucket_versioning(Bucket="lake-raw", VersioningConfiguration={"Status": "Enabled"})
        yield client


def put(s3: Any, content: bytes, *, key: str = "tpch/orders/a file.csv", compression: Any = None, **more: Any) -> ManifestFile:
    version = s3.put_object(Bucket="lake-raw", Key=key, Body=content, Metadata={"from": "producer"}, **more)["VersionId"]
    return ManifestFile(
        bucket="lake-raw", key=key, version_id=version, size=len(content), sha256=None, sequence="1", format="csv", compression=compression
    )


def test_the_version_of_the_manifest_is_read_though_a_newer_one_lies_over_it(s3: Any) -> None:
    old = put(s3, b"old")
    new = put(s3, b"new")
    staging = S3Staging(client=s3, bucket="lake-logs", prefix="staging/run/1/")
    staged = staging.stage([old, new])
    contents = [s3.get_object(Bucket="lake-logs", Key=file.path.removeprefix("s3://lake-logs/"))["Body"].read() for file in staged.files]
    assert contents == [b"old", b"new"]
    assert [file.path for file in staged.files] == ["s3://lake-logs/staging/run/1/00000.csv", "s3://lake-logs/staging/run/1/00001.csv"]


def test_the_name_of_the_copy_tells_the_compression_whatever_the_file_was_called(s3: Any) -> None:
    staged = S3Staging(client=s3, bucket="lake-logs", prefix="p/").stage([put(s3, b"x", key="a.dat", compression="gzip")])
    assert staged.files[0].path.endswith("00000.csv.gz")


def test_copies_are_deleted_and_nothing_else(s3: Any) -> None:
    s3.put_object(Bucket="lake-logs", Key="staging/other", Body=b"")
    staging = S3Staging(client=s3, bucket="lake-logs", prefix="staging/run/1/")
    staging.stage([put(s3, b"x")])
    staging.clear()
    staging.clear()
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket="lake-logs")["Contents"]] == ["staging/other"]


def test_a_version_that_was_deleted_is_told_and_the_others_are_staged(s3: Any) -> None:
    gone, good = put(s3, b"gone"), put(s3, b"good", key="b.csv")
    s3.delete_object(Bucket="lake-raw", Key=gone.key, VersionId=gone.version_id)
    staged = S3Staging(client=s3, bucket="lake-logs", prefix="p/").stage([gone, good])
    assert staged.rejected[gone].reason == "object_gone"
    assert [file.file for file in staged.files] == [good]


class Refusing:
    """S3 that answers every copy with one error code."""

    def __init__(self, s3: Any, code: str) -> None:
        self._s3 = s3
        self._code = code
        self.exceptions = s3.exceptions

    def copy_object(self, **_: Any) -> None:
        raise self._s3.exceptions.ClientError({"Error": {"Code": self._code, "Message": "no"}}, "CopyObject")


def test_an_archived_object_says_how_it_comes_back(s3: Any) -> None:
    file = put(s3, b"x")
    rejection = S3Staging(client=Refusing(s3, "InvalidObjectState"), bucket="lake-logs", prefix="p/").stage([file]).rejected[file]
    assert rejection.reason == "archived_object"
    assert "restore" in rejection.message


def test_a_missing_permission_stops_the_run_and_names_the_file(s3: Any) -> None:
    with pytest.raises(RunFailed, match=r"access_denied: .* may not copy s3://lake-raw/tpch/orders/a file\.csv"):
        S3Staging(client=Refusing(s3, "AccessDenied"), bucket="lake-logs", prefix="p/").stage([put(s3, b"x")])


def test_any_other_error_is_not_taken_for_a_fault_of_the_file(s3: Any) -> None:
    with pytest.raises(s3.exceptions.ClientError):
        S3Staging(client=Refusing(s3, "SlowDown"), bucket="lake-logs", prefix="p/").stage([put(s3, b"x")])
