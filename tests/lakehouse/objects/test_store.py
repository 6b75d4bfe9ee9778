"""One object at a time: looked at, read, written under a condition, waited for; and what S3 says no with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import Stubber
from moto import mock_aws

from lakehouse.errors import TerminalError, TransientError
from lakehouse.objects.errors import (
    BucketMissing,
    ObjectArchived,
    ObjectChanged,
    ObjectExists,
    ObjectForbidden,
    ObjectMissing,
    S3Refused,
    S3Unavailable,
    WriteConflict,
)
from lakehouse.objects.store import InvalidDocument, ObjectStore, ObjectTimeout
from lakehouse.polling import Pauses
from tests.lakehouse.objects.buckets import BUCKET, make_bucket, s3_client

KEY = "config/load ü.json"


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = s3_client()
        make_bucket(client)
        yield client


@pytest.fixture
def store(s3: Any) -> ObjectStore:
    return ObjectStore(client=s3, bucket=BUCKET)


@pytest.fixture
def stub() -> Iterator[Stubber]:
    with Stubber(s3_client()) as stub:
        yield stub
        stub.assert_no_pending_responses()


def stubbed(stub: Stubber) -> ObjectStore:
    return ObjectStore(client=stub.client, bucket=BUCKET)


# ---- looking ------------------------------------------------------------------------------------------------------------


def test_an_object_is_told_with_its_notes_and_versions(store: ObjectStore) -> None:
    first = store.write(KEY, b"12345", content_type="text/csv", metadata={"row_count": "7"})
    store.write(KEY, b"1")
    found = store.stat(KEY, version_id=first.version_id)
    assert found is not None
    assert (found.key, found.size, found.etag, found.version_id) == (KEY, 5, first.etag, first.version_id)
    assert (found.content_type, found.storage_class, dict(found.metadata)) == ("text/csv", "STANDARD", {"row_count": "7"})
    assert found.modified_at.tzinfo is not None
    assert not found.is_archived
    current = store.stat(KEY)
    assert current is not None
    assert current.size == 1


def test_no_object_is_none_whether_it_never_was_or_is_deleted(s3: Any, store: ObjectStore) -> None:
    assert store.stat(KEY) is None
    store.write(KEY, b"")
    marker = s3.delete_object(Bucket=BUCKET, Key=KEY)["VersionId"]
    assert store.stat(KEY) is None
    assert store.stat(KEY, version_id=marker) is None


def test_no_bucket_is_an_error_and_not_an_object_that_is_yet_to_come(s3: Any) -> None:
    with pytest.raises(BucketMissing, match="there is no bucket laek: check its name"):
        ObjectStore(client=s3, bucket="laek").stat(KEY)
    with pytest.raises(BucketMissing, match="there is no bucket laek: check its name"):
        ObjectStore(client=s3, bucket="laek").read(KEY)


def test_a_caller_who_may_not_look_at_the_bucket_is_believed_about_the_object(stub: Stubber) -> None:
    stub.add_client_error("head_object", "404", http_status_code=404)
    stub.add_client_error("head_bucket", "403", http_status_code=403)
    stub.add_client_error("head_object", "404", http_status_code=404)
    store = stubbed(stub)
    assert store.stat(KEY) is None
    assert store.stat(KEY) is None  # the bucket is asked for once


@pytest.mark.parametrize(
    ("answer", "is_archived"),
    [
        ({"StorageClass": "DEEP_ARCHIVE"}, True),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="true"'}, True),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="false", expiry-date="Fri, 21 Dec 2026 00:00:00 GMT"'}, False),
        ({"StorageClass": "GLACIER_IR"}, False),
        ({"StorageClass": "INTELLIGENT_TIERING"}, False),
        ({"StorageClass": "INTELLIGENT_TIERING", "ArchiveStatus": "ARCHIVE_ACCESS"}, True),
    ],
)
def test_an_archived_object_is_told_from_one_that_can_be_read(stub: Stubber, answer: dict[str, str], is_archived: bool) -> None:
    stub.add_response("head_object", {"ContentLength": 1, "LastModified": datetime(2026, 1, 1, tzinfo=UTC), "ETag": '"e"', **answer})
    found = stubbed(stub).stat(KEY)
    assert found is not None
    assert found.is_archived is is_archived


@pytest.mark.parametrize(
    ("code", "error", "is_worth_another_try", "said"),
    [
        ("403", ObjectForbidden, False, r"S3 refuses s3://lake/.* lacks a permission .*s3:ListBucket"),
        ("AccessDenied", ObjectForbidden, False, "AccessDenied: not you"),
        ("NoSuchVersion", ObjectMissing, False, "there is no object s3://lake/"),
        ("InvalidObjectState", ObjectArchived, False, "is archived: restore it first"),
        ("SlowDown", S3Unavailable, True, r"S3 could not serve .*SlowDown: not you"),
        ("503", S3Unavailable, True, "try again later"),
        ("InvalidArgument", S3Refused, False, "InvalidArgument: not you"),
    ],
)
def test_what_s3_says_no_with_says_whether_a_retry_helps(
    stub: Stubber, code: str, error: type[Exception], is_worth_another_try: bool, said: str
) -> None:
    stub.add_client_error("get_object", code, "not you")
    with pytest.raises(error, match=said) as caught:
        stubbed(stub).read(KEY)
    assert isinstance(caught.value, TransientError if is_worth_another_try else TerminalError)


def test_an_s3_that_does_not_answer_is_worth_another_try(s3: Any, store: ObjectStore) -> None:
    def unreachable(**_: Any) -> None:
        raise ConnectTimeoutError(endpoint_url="https://s3")

    s3.meta.events.register_first("before-call.s3.HeadObject", unreachable)
    with pytest.raises(S3Unavailable, match="S3 did not answer about s3://lake/"):
        store.stat(KEY)


# ---- reading and writing ------------------------------------------------------------------------------------------------


def test_a_document_is_the_same_bytes_for_the_same_value_and_is_read_again(store: ObjectStore) -> None:
    one = store.write_json(KEY, {"b": [1, None], "a": "ü"}, metadata={"pipeline": "orders"})
    other = store.write_json("copy", {"a": "ü", "b": [1, None]})
    assert one.etag == other.etag
    found = store.read(KEY)
    assert (found.content, found.json()) == ('{"a":"ü","b":[1,null]}'.encode(), {"a": "ü", "b": [1, None]})
    assert (found.etag, found.version_id) == (one.etag, one.version_id)
    stat = store.stat(KEY)
    assert stat is not None
    assert (stat.content_type, dict(stat.metadata)) == ("application/json", {"pipeline": "orders"})
    assert "ü" not in repr(found).removeprefix(f"StoredObject(address='s3://lake/{KEY}'")


def test_what_json_has_no_word_for_is_not_written(store: ObjectStore) -> None:
    with pytest.raises(ValueError, match="JSON"):
        store.write_json(KEY, {"rate": float("nan")})
    with pytest.raises(TypeError, match="datetime"):
        store.write_json(KEY, {"at": datetime(2026, 1, 1, tzinfo=UTC)})
    assert store.stat(KEY) is None


@pytest.mark.parametrize("content", [b"{", b"", b"\xff"])
def test_what_is_no_document_is_named(store: ObjectStore, content: bytes) -> None:
    store.write(KEY, content)
    with pytest.raises(InvalidDocument, match=f"s3://lake/{KEY} is no JSON document: "):
        store.read(KEY).json()


def test_what_is_not_there_is_no_document(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing, match=f"there is no object s3://lake/{KEY}"):
        store.read(KEY)


def test_of_two_who_write_a_new_object_one_succeeds(store: ObjectStore) -> None:
    store.write(KEY, b"first", if_none_match="*")
    with pytest.raises(ObjectExists, match="exists already") as caught:
        store.write(KEY, b"second", if_none_match="*")
    assert (caught.value.code, caught.value.is_repeated) == ("PreconditionFailed", False)
    assert store.read(KEY).content == b"first"


def test_of_two_who_change_an_object_nobody_s_change_is_lost(store: ObjectStore) -> None:
    store.write_json(KEY, {"runs": 1})
    mine, other = store.read(KEY), store.read(KEY)
    store.write_json(KEY, {"runs": 2}, if_match=other.etag)
    with pytest.raises(ObjectChanged, match="is not the object that it was"):
        store.write_json(KEY, {"runs": 7}, if_match=mine.etag)
    assert store.read(KEY).json() == {"runs": 2}


def test_an_object_that_is_gone_has_changed(s3: Any, store: ObjectStore) -> None:
    etag = store.write(KEY, b"1").etag
    s3.delete_object(Bucket=BUCKET, Key=KEY)
    with pytest.raises(ObjectChanged, match="is gone, and was to be written only if it is as it was"):
        store.write(KEY, b"2", if_match=etag)


@pytest.mark.parametrize("condition", [{"if_none_match": "*"}, {"if_match": '"e"'}])
def test_a_write_beside_another_one_may_be_written_again(stub: Stubber, condition: dict[str, Any]) -> None:
    stub.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
    with pytest.raises(WriteConflict, match=r"another write of s3://lake/.* was under way") as caught:
        stubbed(stub).write(KEY, b"1", **condition)
    assert isinstance(caught.value, TransientError)


def test_a_condition_that_failed_after_a_lost_answer_says_so(stub: Stubber) -> None:
    stub.add_client_error("put_object", "PreconditionFailed", http_status_code=412, response_meta={"RetryAttempts": 1})
    with pytest.raises(ObjectExists, match="may be this call's own") as caught:
        stubbed(stub).write(KEY, b"1", if_none_match="*")
    assert caught.value.is_repeated


def test_two_conditions_are_one_too_many(store: ObjectStore) -> None:
    with pytest.raises(ValueError, match="give one of the two"):
        store.write(KEY, b"1", if_none_match="*", if_match='"e"')


# ---- waiting ------------------------------------------------------------------------------------------------------------


class Waiting:
    """Time that only sleeping moves, and things that happen while somebody sleeps."""

    def __init__(self, client: Any, **happens: Any) -> None:
        self.now, self.happens = 0.0, happens
        self.store = ObjectStore(
            client=client, bucket=BUCKET, pauses=Pauses(first_seconds=3, factor=1, jitter=0), clock=lambda: self.now, sleep=self.sleep
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        happening = self.happens.get(f"at_{self.now:.0f}")
        if happening:
            happening()


def test_an_object_is_waited_for_until_it_is_there(s3: Any) -> None:
    waiting = Waiting(s3, at_9=lambda: s3.put_object(Bucket=BUCKET, Key="_READY", Body=b"1"))
    assert waiting.store.wait_for("_READY", seconds=60).size == 1
    assert waiting.now == 9


def test_an_object_that_does_not_come_is_named_when_the_time_is_up(s3: Any) -> None:
    waiting = Waiting(s3)
    with pytest.raises(ObjectTimeout, match="s3://lake/_READY was not there after 20 s"):
        waiting.store.wait_for("_READY", seconds=20)
    assert waiting.now == 20


def test_a_look_that_s3_does_not_answer_is_no_end_and_a_denial_is_one(stub: Stubber) -> None:
    stub.add_client_error("head_object", "503", http_status_code=503)
    stub.add_client_error("head_object", "403", http_status_code=403)
    waiting = Waiting(stub.client)
    with pytest.raises(ObjectForbidden):
        waiting.store.wait_for("_READY", seconds=60)
    assert waiting.now == 3
