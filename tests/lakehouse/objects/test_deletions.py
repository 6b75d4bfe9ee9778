"""A folder is emptied after a plan, whole or with every version that is left told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from lakehouse.errors import TerminalError, TransientError
from lakehouse.object_versions import ObjectVersion, VersionsNotDeleted, VersionsRefused, versions_below
from lakehouse.objects.deletions import DeletionPlan, DeletionRefused, delete, plan_deletion
from lakehouse.objects.errors import BucketMissing, ObjectForbidden
from tests.lakehouse.objects.buckets import BUCKET, make_bucket, s3_client

FOLDER = "exports/2026/"


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = s3_client()
        make_bucket(client)
        yield client


def put(s3: Any, *keys: str, bucket: str = BUCKET) -> None:
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"12345")


def fill(count: int) -> None:
    """Objects in the folder, at once: a request for each would take most of a test's time."""
    for number in range(count):
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(BUCKET, f"{FOLDER}{number:04}", b"12345")


def planned(*keys: str) -> DeletionPlan:
    """A plan that these objects go for good."""
    versions = tuple(
        ObjectVersion(key=key, version_id="v", size=1, modified_at=datetime(2026, 1, 1, tzinfo=UTC), is_latest=True, is_marker=False)
        for key in keys
    )
    return DeletionPlan(bucket=BUCKET, folder=FOLDER, which="all", versions=versions)


def current(s3: Any, bucket: str = BUCKET) -> list[str]:
    return [entry["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket) for entry in page.get("Contents", ())]


def test_a_plan_touches_nothing_and_says_what_would_go(s3: Any) -> None:
    put(s3, f"{FOLDER}a", f"{FOLDER}a", f"{FOLDER}b", "exports/2026-old/a")
    s3.delete_object(Bucket=BUCKET, Key=f"{FOLDER}b")
    plan = plan_deletion(s3, bucket=BUCKET, folder=FOLDER, which="all")
    assert (len(plan.versions), plan.objects, plan.size) == (4, 2, 15)
    assert str(plan) == "4 versions and markers of 2 objects (15 bytes) below s3://lake/exports/2026/ would be gone for good"
    hiding = plan_deletion(s3, bucket=BUCKET, folder=FOLDER, which="current")
    assert str(hiding) == "1 objects (5 bytes) below s3://lake/exports/2026/ would be hidden; their versions stay"
    assert current(s3) == ["exports/2026-old/a", f"{FOLDER}a"]


def test_2500_objects_are_hidden_and_every_version_is_still_there_and_then_gone_for_good(s3: Any) -> None:
    fill(2500)
    put(s3, "exports/a")
    calls: list[int] = []
    s3.meta.events.register("provide-client-params.s3.DeleteObjects", lambda params, **_: calls.append(len(params["Delete"]["Objects"])))
    assert delete(s3, plan_deletion(s3, bucket=BUCKET, folder=FOLDER, which="current")) == 2500
    assert calls == [1000, 1000, 500]
    assert current(s3) == ["exports/a"]
    plan = plan_deletion(s3, bucket=BUCKET, folder=FOLDER, which="all")
    assert (sum(one.is_marker for one in plan.versions), len(plan.versions)) == (2500, 5000)
    assert delete(s3, plan) == 5000
    assert [one.key for one in versions_below(s3, bucket=BUCKET, prefix="")] == ["exports/a"]


def test_what_was_written_since_the_plan_stays(s3: Any) -> None:
    put(s3, f"{FOLDER}a")
    plan = plan_deletion(s3, bucket=BUCKET, folder=FOLDER, which="all")
    put(s3, f"{FOLDER}a", f"{FOLDER}b")
    assert delete(s3, plan) == 1
    assert current(s3) == [f"{FOLDER}a", f"{FOLDER}b"]


def test_an_empty_folder_is_no_fault(s3: Any) -> None:
    assert delete(s3, plan_deletion(s3, bucket=BUCKET, folder=FOLDER, which="all")) == 0


@pytest.mark.parametrize("folder", ["", "/", "exports/2026", "exports"])
def test_what_is_no_folder_is_refused(s3: Any, folder: str) -> None:
    with pytest.raises(DeletionRefused, match="with a slash at its end"):
        plan_deletion(s3, bucket=BUCKET, folder=folder, which="all")


@pytest.mark.parametrize("versioning", ["", "Suspended"])
def test_objects_that_no_version_brings_back_are_not_hidden(s3: Any, versioning: str) -> None:
    make_bucket(s3, "plain", versioning=versioning)
    put(s3, f"{FOLDER}a", bucket="plain")
    with pytest.raises(DeletionRefused, match=r"cannot be hidden: versioning of the bucket is .* they would be gone for good"):
        plan_deletion(s3, bucket="plain", folder=FOLDER, which="current")
    assert delete(s3, plan_deletion(s3, bucket="plain", folder=FOLDER, which="all")) == 1
    assert current(s3, "plain") == []


def test_objects_of_the_time_before_versions_can_be_hidden(s3: Any) -> None:
    make_bucket(s3, "late", versioning="")
    put(s3, f"{FOLDER}a", bucket="late")
    s3.put_bucket_versioning(Bucket="late", VersioningConfiguration={"Status": "Enabled"})
    assert delete(s3, plan_deletion(s3, bucket="late", folder=FOLDER, which="current")) == 1
    assert [one.version_id for one in versions_below(s3, bucket="late", prefix="") if not one.is_marker] == ["null"]


def test_a_bucket_that_is_not_there_or_may_not_be_listed_is_told(s3: Any) -> None:
    with pytest.raises(BucketMissing):
        plan_deletion(s3, bucket="laek", folder=FOLDER, which="all")
    with Stubber(s3) as stub:
        stub.add_client_error("list_object_versions", "AccessDenied", "not you")
        with pytest.raises(ObjectForbidden):
            plan_deletion(s3, bucket=BUCKET, folder=FOLDER, which="all")


def _error(key: str, code: str) -> dict[str, str]:
    return {"Key": key, "VersionId": "v", "Code": code, "Message": "no"}


@pytest.mark.parametrize(
    ("codes", "error", "kind"),
    [
        (("InternalError", "SlowDown"), VersionsNotDeleted, TransientError),
        (("InternalError", "AccessDenied"), VersionsRefused, TerminalError),
    ],
)
def test_an_error_in_one_call_fails_the_whole_and_the_other_calls_are_made(
    codes: tuple[str, str], error: type[Exception], kind: type[Exception]
) -> None:
    plan = planned(*(f"{FOLDER}{number:04}" for number in range(1500)))
    with Stubber(s3_client()) as stub:
        stub.add_response("delete_objects", {"Errors": [_error(f"{FOLDER}0001", codes[0])]}, {"Bucket": BUCKET, "Delete": ANY})
        stub.add_response("delete_objects", {"Errors": [_error(f"{FOLDER}1001", codes[1])]}, {"Bucket": BUCKET, "Delete": ANY})
        with pytest.raises(error, match=rf"S3 did not delete 2 of 1500 versions in lake: {FOLDER}0001: InternalError: no; ") as caught:
            delete(stub.client, plan)
        stub.assert_no_pending_responses()
    assert isinstance(caught.value, kind)
    assert isinstance(caught.value, VersionsNotDeleted | VersionsRefused)
    assert (caught.value.deleted, [one.key for one in caught.value.left]) == (1498, [f"{FOLDER}0001", f"{FOLDER}1001"])


def test_what_a_version_that_s3_keeps_was_hidden_by_stays_too(s3: Any) -> None:
    put(s3, f"{FOLDER}a", f"{FOLDER}b")
    delete(s3, plan_deletion(s3, bucket=BUCKET, folder=FOLDER, which="current"))
    plan = plan_deletion(s3, bucket=BUCKET, folder=FOLDER, which="all")
    marker = next(one for one in plan.versions if one.key == f"{FOLDER}b" and one.is_marker)
    with Stubber(s3) as stub:
        stub.add_response("delete_objects", {"Errors": [_error(f"{FOLDER}a", "AccessDenied")]}, {"Bucket": BUCKET, "Delete": ANY})
        only_b = {"Objects": [{"Key": marker.key, "VersionId": marker.version_id}], "Quiet": True}
        stub.add_response("delete_objects", {}, {"Bucket": BUCKET, "Delete": only_b})
        with pytest.raises(VersionsRefused, match="the marker stays, as what it hides is still there") as caught:
            delete(s3, plan)
    assert (caught.value.deleted, len(caught.value.left)) == (2, 2)


def test_a_call_that_is_refused_whole_is_told_with_what_is_gone_by_then() -> None:
    plan = planned(*(f"{FOLDER}{number:04}" for number in range(1500)))
    with Stubber(s3_client()) as stub:
        stub.add_response("delete_objects", {}, {"Bucket": BUCKET, "Delete": ANY})
        stub.add_client_error("delete_objects", "AccessDenied", "not you", http_status_code=403)
        with pytest.raises(
            VersionsRefused, match=r"S3 did not delete 500 of 1500 versions .*AccessDenied: not you.*and 497 more"
        ) as caught:
            delete(stub.client, plan)
    assert (caught.value.deleted, caught.value.left[0].key) == (1000, f"{FOLDER}1000")
