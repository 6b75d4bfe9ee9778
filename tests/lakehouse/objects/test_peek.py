"""The first rows of an object, with as few bytes as they take; and what cannot be looked into, in a sentence."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from pyarrow import parquet as pq

from lakehouse.objects.errors import ObjectArchived, ObjectForbidden, ObjectMissing
from lakehouse.objects.peek import Peek, PeekError, peek
from tests.lakehouse.objects.buckets import BUCKET, make_bucket, s3_client

LARGE = 3 * 1024 * 1024


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = s3_client()
        make_bucket(client)
        yield client


def look(s3: Any, key: str, content: bytes, **options: Any) -> Peek:
    s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    return peek(s3, bucket=BUCKET, key=key, **options)


def parquet(rows: int, **options: Any) -> bytes:
    """A file that does not pack well."""
    table = pa.table({"id": range(rows), "text": [f"{zlib.crc32(str(n).encode()):x}" * 20 for n in range(rows)]})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def test_csv_is_told_by_its_header_however_its_records_break_lines(s3: Any) -> None:
    found = look(s3, "a/b.csv", b'\xef\xbb\xbfid,text\r\n1,"a\nb, c"\r\n\r\n2,\r\n', rows=5)
    assert found.columns == ("id", "text")
    assert found.rows == ({"id": "1", "text": "a\nb, c"}, {"id": "2", "text": ""})
    assert (found.format, found.is_whole, found.address, found.bytes_read) == ("csv", True, f"s3://{BUCKET}/a/b.csv", found.size)


@pytest.mark.parametrize(("rows", "is_whole"), [(1, False), (2, False), (3, True), (4, True)])
def test_whether_that_is_all_is_known(s3: Any, rows: int, is_whole: bool) -> None:
    for key, content in {"a.csv": b"id\n1\n2\n3\n", "a.json": b'{"id": 1}\n{"id": 2}\n{"id": 3}', "a.parquet": parquet(3)}.items():
        found = look(s3, key, content, rows=rows)
        assert (len(found.rows), found.is_whole) == (min(rows, 3), is_whole), key


def test_json_rows_are_objects_and_their_columns_those_that_they_have(s3: Any) -> None:
    found = look(s3, "a.ndjson", b'{"id": 1, "x": [1.5]}\n\n{"id": 2, "y": null}\n')
    assert found.columns == ("id", "x", "y")
    assert found.rows == ({"id": 1, "x": [1.5]}, {"id": 2, "y": None})


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("key", ["large.csv", "large.json"])
def test_a_large_file_is_read_as_far_as_its_rows_take(s3: Any, key: str, packed: bool) -> None:
    line = {"large.csv": "{0},{1}\n", "large.json": '{{"id": {0}, "text": "{1}"}}\n'}[key]
    words = [f"{zlib.crc32(str(n).encode()):08x}" * 12 for n in range(LARGE // 100)]
    content = ("id,text\n" if key.endswith(".csv") else "").encode() + "".join(
        line.format(n, word) for n, word in enumerate(words)
    ).encode()
    found = look(s3, f"{key}.gz" if packed else key, gzip.compress(content) if packed else content, rows=3)
    assert [row["text"] for row in found.rows] == words[:3]
    assert found.size > 8 * 64 * 1024 or packed
    assert found.bytes_read <= 64 * 1024
    assert not found.is_whole


def test_a_large_parquet_file_is_read_by_its_footer_and_the_beginning_of_its_first_rows(s3: Any) -> None:
    content = parquet(200_000, row_group_size=20_000, compression="none", use_dictionary=False)
    found = look(s3, "large.parquet", content, rows=2)
    assert [row["id"] for row in found.rows] == [0, 1]
    assert (found.columns, found.is_whole) == (("id", "text"), False)
    assert found.bytes_read < 2 * 1024 * 1024 < len(content) / 10


def test_a_bomb_is_unpacked_no_further_than_is_allowed(s3: Any) -> None:
    bomb = gzip.compress(b"id\n" + b"1" * (64 * 1024 * 1024))
    found = look(s3, "bomb.csv.gz", bomb, most_bytes=256 * 1024)
    assert (found.rows, found.is_whole) == ((), False)
    with pytest.raises(PeekError, match="does not end within 65536 bytes"):
        look(s3, "bomb.json.gz", gzip.compress(b"1" * (1024 * 1024)), most_bytes=65536)


def test_parts_that_gzip_packed_one_by_one_are_read_on(s3: Any) -> None:
    found = look(s3, "two.csv.gz", gzip.compress(b"id\n1\n") + gzip.compress(b"2\n"))
    assert [row["id"] for row in found.rows] == ["1", "2"]


@pytest.mark.parametrize("key", ["none.csv", "none.json", "none.csv.gz", "none.parquet"])
def test_nothing_is_no_rows(s3: Any, key: str) -> None:
    found = look(s3, key, b"")
    assert (found.columns, found.rows, found.is_whole, found.bytes_read) == ((), (), True, 0)


def test_columns_without_rows_are_told(s3: Any) -> None:
    for key, content in {"header.csv": b"id,text\n", "header.parquet": parquet(0)}.items():
        found = look(s3, key, content)
        assert (found.columns, found.rows, found.is_whole) == (("id", "text"), (), True), key


@pytest.mark.parametrize(("key", "content", "message"), [
    ("a.csv", b"id\n\xe9t\xe9\n", r"a\.csv is not UTF-8 \(byte 0xe9\)"),
    ("cut.csv", b"id\n\xc3", "is not UTF-8"),
    ("a.csv", b"id,text\n1\n", "line 2: 1 values under 2 columns: check `delimiter`"),
    ("a.json", b'[{"id": 1},\n{"id": 2}]', "line 1 is no JSON object"),
    ("a.json", b"[1]", "line 1 is no JSON object but list"),
    ("a.csv.gz", b"id\n1\n", "is no gzip, or broken"),
    ("a.csv.gz", gzip.compress(b"id\n1\n")[:-9], "breaks off"),
    ("a.parquet", b"id\n1\n" * 100, "is no Parquet file, or broken"),
    ("a.parquet", b"PAR1", "is no Parquet file, or broken"),
    ("a.dat", b"id\n", r"nobody knows the format of .*a\.dat: give `format`"),
    ("a.parquet.gz", b"", "nobody knows the format"),
])  # fmt: skip
def test_what_cannot_be_looked_into_is_told_with_its_address(s3: Any, key: str, content: bytes, message: str) -> None:
    with pytest.raises(PeekError, match=message) as caught:
        look(s3, key, content)
    assert f"s3://{BUCKET}/{key}" in str(caught.value)


def test_row_groups_that_are_larger_than_is_allowed_are_told(s3: Any) -> None:
    with pytest.raises(PeekError, match="give a larger `most_bytes`"):
        look(s3, "a.parquet", parquet(5000), most_bytes=1000)


def test_a_version_and_a_delimiter_are_read_as_asked(s3: Any) -> None:
    first = s3.put_object(Bucket=BUCKET, Key="a.txt", Body=b"id|text\n1|old\n").get("VersionId")
    s3.put_object(Bucket=BUCKET, Key="a.txt", Body=b"id|text\n1|new\n")
    found = peek(s3, bucket=BUCKET, key="a.txt", format="csv", delimiter="|")
    assert found.rows == ({"id": "1", "text": "new"},)
    if first is not None:
        old = peek(s3, bucket=BUCKET, key="a.txt", format="csv", delimiter="|", version_id=first)
        assert old.rows == ({"id": "1", "text": "old"},)


def test_a_missing_object_is_missing(s3: Any) -> None:
    with pytest.raises(ObjectMissing, match="there is no object"):
        peek(s3, bucket=BUCKET, key="nothing.csv")


def test_an_archived_object_is_told_with_the_way_out(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="old.csv", Body=b"id\n", StorageClass="DEEP_ARCHIVE")
    with pytest.raises(ObjectArchived, match="restore-object"):
        peek(s3, bucket=BUCKET, key="old.csv")


def test_a_key_that_the_caller_may_not_use_is_a_refusal() -> None:
    client = s3_client()
    with Stubber(client) as stub:
        stub.add_response("head_object", {"ContentLength": 10, "LastModified": "2026-11-20T00:00:00Z", "ETag": '"e"'})
        stub.add_client_error("get_object", "AccessDenied", "not authorized to perform: kms:Decrypt", 403)
        with pytest.raises(ObjectForbidden, match=r"kms:Decrypt\): the caller lacks a permission on the object or its key"):
            peek(client, bucket=BUCKET, key="secret.csv")


def test_without_pyarrow_text_is_read_and_parquet_names_what_lacks(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert look(s3, "a.json", json.dumps({"id": 1}).encode()).rows == ({"id": 1},)
    with pytest.raises(PeekError, match="takes pyarrow, which is not installed here"):
        look(s3, "a.parquet", b"PAR1PAR1PAR1")


@pytest.mark.parametrize("limits", [{"rows": 0}, {"most_bytes": 0}])
def test_no_rows_are_not_asked_for(s3: Any, limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        peek(s3, bucket=BUCKET, key="a.csv", **limits)
