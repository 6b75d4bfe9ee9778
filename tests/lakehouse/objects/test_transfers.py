"""Sets of files and objects go through whole, or say which did not and which did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from lakehouse.errors import TerminalError, TransientError
from lakehouse.objects.errors import ObjectArchived, ObjectChanged, ObjectMissing, S3Unavailable
from lakehouse.objects.store import ObjectStore
from lakehouse.objects.transfers import (
    LARGEST_PART_MB,
    MB,
    TransferFailed,
    TransferProfile,
    TransferRefused,
    Transfers,
    TransferUnfinished,
)
from tests.lakehouse.objects.buckets import BUCKET, make_bucket, s3_client

IN_PARTS = TransferProfile(threshold_mb=5, part_mb=5, threads=4)
GB = 1024 * MB


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = s3_client()
        make_bucket(client)
        yield client


@pytest.fixture
def transfers(s3: Any) -> Transfers:
    return Transfers(client=s3, bucket=BUCKET, profile=IN_PARTS)


@pytest.fixture
def store(s3: Any) -> ObjectStore:
    return ObjectStore(client=s3, bucket=BUCKET)


def calls_of(s3: Any) -> list[str]:
    """Names of the operations that are called from now on."""
    calls: list[str] = []
    s3.meta.events.register("before-call.s3", lambda model, **_: calls.append(model.name))
    return calls


def files_in(folder: Path, *names: str) -> dict[str, Path]:
    """A file for each name, by key."""
    for name in names:
        (folder / name).write_bytes(f"content of {name}".encode())
    return {f"drop/{name}": folder / name for name in names}


# ---- files --------------------------------------------------------------------------------------------------------------


def test_files_go_up_with_notes_and_come_down_as_they_were(transfers: Transfers, store: ObjectStore, tmp_path: Path) -> None:
    files = files_in(tmp_path, *(f"{number}.csv" for number in range(30)))
    transfers.upload(files, content_type="text/csv", metadata={"pipeline": "orders"})
    stat = store.stat("drop/7.csv")
    assert stat is not None
    assert (stat.content_type, dict(stat.metadata)) == ("text/csv", {"pipeline": "orders"})
    back = {key: tmp_path / "back" / "deep" / path.name for key, path in files.items()}
    transfers.download(back)
    assert {key: path.read_bytes() for key, path in back.items()} == {key: path.read_bytes() for key, path in files.items()}


def test_a_large_file_goes_in_parts_both_ways_and_progress_is_told(s3: Any, transfers: Transfers, tmp_path: Path) -> None:
    content = bytes(range(256)) * (12 * MB // 256)
    (tmp_path / "large").write_bytes(content)
    calls, told = calls_of(s3), list[int]()
    transfers.upload({"large": tmp_path / "large"}, on_progress=lambda key, size: told.append(size if key == "large" else 0))
    assert calls.count("UploadPart") == 3
    assert "PutObject" not in calls
    assert sum(told) == len(content)
    transfers.download({"large": tmp_path / "back"})
    assert calls.count("GetObject") == 3
    assert (tmp_path / "back").read_bytes() == content


def test_one_file_that_fails_fails_the_set_and_the_others_are_told(transfers: Transfers, store: ObjectStore, tmp_path: Path) -> None:
    files = files_in(tmp_path, "a", "b", "c")
    files["drop/b"].unlink()
    with pytest.raises(TransferRefused, match=r"1 of 3 files were not uploaded: drop/b: .*No such file") as caught:
        transfers.upload(files)
    assert (caught.value.done, list(caught.value.failed)) == (("drop/a", "drop/c"), ["drop/b"])
    assert [store.stat(key) is not None for key in files] == [True, False, True]
    assert isinstance(caught.value, TerminalError)


def test_an_object_that_is_missing_or_archived_fails_the_set_and_leaves_no_file(s3: Any, transfers: Transfers, tmp_path: Path) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    s3.put_object(Bucket=BUCKET, Key="cold", Body=b"1", StorageClass="GLACIER")
    with pytest.raises(TransferRefused, match="2 of 3 objects were not downloaded") as caught:
        transfers.download({key: tmp_path / "to" / key for key in ("a", "cold", "gone")})
    assert {key: type(error) for key, error in caught.value.failed.items()} == {"cold": ObjectArchived, "gone": ObjectMissing}
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["a"]


def test_what_s3_could_not_do_this_time_is_worth_another_try(s3: Any, transfers: Transfers, tmp_path: Path) -> None:
    class Busy:
        status_code, headers = 503, {}

    busy = {"Error": {"Code": "SlowDown", "Message": "slow down"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
    s3.meta.events.register("before-call.s3.PutObject", lambda **_: (Busy(), busy))
    with pytest.raises(TransferUnfinished, match="SlowDown") as caught:
        transfers.upload(files_in(tmp_path, "a", "b"))
    assert isinstance(caught.value, TransientError)
    assert isinstance(caught.value, TransferFailed)
    assert {type(error) for error in caught.value.failed.values()} == {S3Unavailable}
    assert caught.value.done == ()


def test_two_objects_do_not_become_one_file(transfers: Transfers, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'a/x' and 'b/x' would be the same file"):
        transfers.download({"a/x": tmp_path / "x", "b/x": tmp_path / "x"})


def test_no_files_are_no_fault(transfers: Transfers) -> None:
    transfers.upload({})


@pytest.mark.parametrize(
    "wrong", [{"part_mb": 4}, {"threshold_mb": 4}, {"threshold_mb": LARGEST_PART_MB + 1}, {"part_mb": LARGEST_PART_MB + 1}, {"threads": 0}]
)
def test_parts_that_s3_would_refuse_are_refused(wrong: dict[str, int]) -> None:
    TransferProfile(threshold_mb=5, part_mb=LARGEST_PART_MB, threads=1)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TransferProfile(**wrong)


# ---- copies -------------------------------------------------------------------------------------------------------------


def test_a_layer_is_promoted_with_its_notes(s3: Any, transfers: Transfers) -> None:
    make_bucket(s3, "silver")
    notes = {"row_count": "7"}
    for key in ("bronze/a", "bronze/b"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode(), ContentType="text/csv", CacheControl="no-store", Metadata=notes)
    transfers.copy({"bronze/a": "orders/a", "bronze/b": "orders/b"}, metadata="COPY", to_bucket="silver")
    for name in ("a", "b"):
        found = s3.get_object(Bucket="silver", Key=f"orders/{name}")
        assert found["Body"].read() == f"bronze/{name}".encode()
        assert (found["ContentType"], found["CacheControl"], found["Metadata"]) == ("text/csv", "no-store", notes)


@pytest.mark.parametrize("size", [1, 12 * MB])
@pytest.mark.parametrize(
    ("metadata", "expected"), [("COPY", {"layer": "bronze", "rows": "7"}), ({"layer": "silver"}, {"layer": "silver"}), ({}, {})]
)
def test_a_copy_has_the_notes_that_were_asked_for_whether_it_goes_in_parts_or_not(
    s3: Any, transfers: Transfers, size: int, metadata: Any, expected: dict[str, str]
) -> None:
    s3.put_object(
        Bucket=BUCKET, Key="from", Body=b"x" * size, ContentType="text/csv", Metadata={"layer": "bronze", "rows": "7"}, Tagging="a=b"
    )
    calls = calls_of(s3)
    transfers.copy({"from": "to"}, metadata=metadata)
    assert ("CopyObject" in calls, "UploadPartCopy" in calls) == (size == 1, size > 1)
    found = s3.head_object(Bucket=BUCKET, Key="to")
    assert (found["Metadata"], found["ContentType"], found["ContentLength"]) == (expected, "text/csv", size)
    assert s3.get_object_tagging(Bucket=BUCKET, Key="to")["TagSet"] == []


class Huge:
    """An S3 with one object of six gigabytes."""

    def __init__(self, s3: Any) -> None:
        self.ranges: list[str] = []
        self.calls = calls_of(s3)
        answers = {
            "HeadObject": lambda _: {"ContentLength": 6 * GB, "ETag": '"e"', "Metadata": {"rows": "7"}},
            "CreateMultipartUpload": lambda _: {"UploadId": "u"},
            "UploadPartCopy": self.copy_part,
            "CompleteMultipartUpload": lambda _: {"ETag": '"new"'},
        }
        for name, answer in answers.items():
            s3.meta.events.register(f"before-call.s3.{name}", lambda params, answer=answer, **_: (self, answer(params)))

    status_code = 200

    def copy_part(self, params: dict[str, Any]) -> dict[str, Any]:
        self.ranges.append(params["headers"]["x-amz-copy-source-range"])
        return {"CopyPartResult": {"ETag": '"part"'}}


def test_an_object_of_more_than_five_gigabytes_is_copied_in_parts_that_leave_no_gap(s3: Any) -> None:
    huge = Huge(s3)
    Transfers(client=s3, bucket=BUCKET, profile=TransferProfile(part_mb=1024)).copy({"huge": "copy"}, metadata="COPY")
    assert "CopyObject" not in huge.calls
    ends = sorted(tuple(int(end) for end in text.removeprefix("bytes=").split("-")) for text in huge.ranges)
    assert [first for first, _ in ends] == [0, *(last + 1 for _, last in ends[:-1])]
    assert ends[-1][1] == 6 * GB - 1


def test_no_profile_copies_more_than_five_gigabytes_in_one_request() -> None:
    assert TransferProfile(threshold_mb=LARGEST_PART_MB).threshold_mb * MB == 5 * GB


def test_a_copy_that_fails_fails_the_set_and_the_others_are_told(s3: Any, transfers: Transfers) -> None:
    for key in ("a", "c"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"1")
    with pytest.raises(TransferRefused, match="1 of 3 objects were not copied: b: there is no object s3://lake/b") as caught:
        transfers.copy({"a": "to/a", "b": "to/b", "c": "to/c"}, metadata="COPY")
    assert caught.value.done == ("a", "c")


def test_an_object_that_changes_under_way_is_not_copied(s3: Any, transfers: Transfers) -> None:
    s3.put_object(Bucket=BUCKET, Key="from", Body=b"old")
    looked: list[str] = []

    def change(**_: Any) -> None:
        looked.append("")
        if len(looked) == 2:  # our own look is over, and the transfer's begins
            s3.put_object(Bucket=BUCKET, Key="from", Body=b"new")

    s3.meta.events.register("before-call.s3.HeadObject", change)
    with pytest.raises(TransferRefused, match="is not the object that it was") as caught:
        transfers.copy({"from": "to"}, metadata="COPY")
    assert isinstance(caught.value.failed["from"], ObjectChanged)


def test_an_object_that_changes_between_two_parts_is_not_copied(s3: Any, transfers: Transfers) -> None:
    s3.put_object(Bucket=BUCKET, Key="from", Body=b"x" * 12 * MB)

    class Unmet:
        status_code = 412

    unmet = {"Error": {"Code": "PreconditionFailed", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 412}}
    s3.meta.events.register("before-call.s3.UploadPartCopy", lambda **_: (Unmet(), unmet))
    calls = calls_of(s3)
    with pytest.raises(TransferRefused, match="is not the object that it was") as caught:
        transfers.copy({"from": "to"}, metadata="COPY")
    assert isinstance(caught.value.failed["from"], ObjectChanged)
    assert "AbortMultipartUpload" in calls


@pytest.mark.parametrize(("keys", "said"), [({"a": "x", "b": "x"}, "would be the same copy"), ({"a": "a"}, "onto itself")])
def test_a_copy_that_would_lose_an_object_is_refused(transfers: Transfers, keys: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        transfers.copy(keys, metadata="COPY")
