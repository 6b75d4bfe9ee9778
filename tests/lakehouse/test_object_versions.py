"""Versions of objects: a table's folder is told from its past, and what is deleted is gone for good."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lakehouse.errors import TerminalError, TransientError
from lakehouse.object_versions import BATCH, ObjectVersion, delete_versions, sort_versions, versions_below

BUCKET, FOLDER = "lake", "tpch/customer/"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield client


def version(key: str, *, hours: float = 48, **changes: Any) -> ObjectVersion:
    plain: dict[str, Any] = {"version_id": "v", "size": 1, "is_latest": True, "is_marker": False}
    return ObjectVersion(key=key, modified_at=NOW - timedelta(hours=hours), **{**plain, **changes})


def test_versions_and_markers_of_a_folder_are_listed_and_those_of_its_neighbour_are_not(s3: Any) -> None:
    for key in (f"{FOLDER}a", f"{FOLDER}a", f"{FOLDER}b", "tpch/customers/a"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    s3.delete_object(Bucket=BUCKET, Key=f"{FOLDER}b")
    found = sorted((one.key, one.is_current, one.is_marker) for one in versions_below(s3, bucket=BUCKET, prefix=FOLDER))
    assert found == [
        (f"{FOLDER}a", False, False),
        (f"{FOLDER}a", True, False),
        (f"{FOLDER}b", False, False),
        (f"{FOLDER}b", False, True),
    ]


def test_deleted_versions_are_gone_and_what_they_hid_is_not_back(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"{FOLDER}kept", Body=b"x")
    for number in range(BATCH // 2 + 1):
        s3.put_object(Bucket=BUCKET, Key=f"{FOLDER}{number}", Body=b"x")
        s3.delete_object(Bucket=BUCKET, Key=f"{FOLDER}{number}")
    doomed = [one for one in versions_below(s3, bucket=BUCKET, prefix=FOLDER) if not one.key.endswith("kept")]
    assert delete_versions(s3, bucket=BUCKET, versions=doomed) == BATCH + 2
    assert [one.key for one in versions_below(s3, bucket=BUCKET, prefix="")] == [f"{FOLDER}kept"]
    assert delete_versions(s3, bucket=BUCKET, versions=doomed) == BATCH + 2, "what is gone is no error"


def test_a_marker_goes_after_what_it_hides() -> None:
    class Recorder:
        calls: list[list[str]] = []  # noqa: RUF012 - of one test

        def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
            self.calls.append([entry["VersionId"] for entry in Delete["Objects"]])
            return {}

    marker, hidden = version("a", version_id="marker", is_marker=True), version("a", version_id="hidden", is_latest=False)
    delete_versions(Recorder(), bucket=BUCKET, versions=[marker, hidden])
    assert Recorder.calls == [["hidden"], ["marker"]]


@pytest.mark.parametrize(("code", "error"), [("AccessDenied", TerminalError), ("SlowDown", TransientError)])
def test_what_s3_does_not_delete_is_told_and_whether_another_try_helps(code: str, error: type[Exception]) -> None:
    class Denying:
        def delete_objects(self, **_: Any) -> dict[str, Any]:
            return {"Errors": [{"Key": "a", "Code": code, "Message": "no"}]}

    with pytest.raises(error, match=rf"S3 did not delete 1 of 1 versions in lake: a: {code}: no"):
        delete_versions(Denying(), bucket=BUCKET, versions=[version("a")])


def test_old_versions_go_before_the_one_that_hides_them() -> None:
    class Recorder:
        named: list[str] = []  # noqa: RUF012 - of one test

        def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
            self.named += [entry["VersionId"] for entry in Delete["Objects"]]
            return {}

    delete_versions(Recorder(), bucket=BUCKET, versions=[version("a", version_id="now"), version("a", version_id="old", is_latest=False)])
    assert Recorder.named == ["old", "now"]


@pytest.mark.parametrize(
    ("one", "where"),
    [
        (version("live"), "kept"),
        (version("live", is_latest=False), "doomed"),
        (version("live", is_marker=True), "doomed"),
        (version("known", hours=0), "doomed"),
        (version("unknown", hours=25), "doomed"),
        (version("unknown", hours=23), "young"),
        (version("unknown", hours=1, is_latest=False), "doomed"),
    ],
)
def test_a_table_s_folder_is_told_from_its_past(one: ObjectVersion, where: str) -> None:
    found = sort_versions([one], live={"live"}, known={"live", "known"}, unknown_before=NOW - timedelta(hours=24))
    assert {name: len(getattr(found, name)) for name in ("kept", "doomed", "young")} == {
        **dict.fromkeys(("kept", "doomed", "young"), 0),
        where: 1,
    }
