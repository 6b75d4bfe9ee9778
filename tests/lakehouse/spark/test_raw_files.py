"""Raw files of every kind as bronze rows: what is read, what is kept as it came, what is refused."""

import datetime as dt
import decimal
import gzip
import json
from collections.abc import Callable
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import Source
from lakehouse.spark.raw import csv_text, records
from tests.lakehouse.spark.small_contract import contract
from tests.spark_lake import Lake

pytestmark = pytest.mark.spark

HEADER = b"id,name,amount,day\n"
GOOD = HEADER + b"1,a,1.00,2026-01-01\n"

MakeLake = Callable[..., Lake]


@pytest.fixture
def things(spark: SparkSession, tmp_path: Path) -> MakeLake:
    return lambda **changes: Lake(spark=spark, contract=contract(**changes), folder=tmp_path)


def bronze(lake: Lake, *columns: str) -> list[tuple[Any, ...]]:
    return lake.rows("bronze", *(columns or ("_row", "id", "name", "amount", "day")), order="_row")


def unread(lake: Lake) -> list[tuple[int, bytes, str]]:
    rows = lake.rows("bronze", "_row", "_record", "_extra", order="_row")
    return [(row, bytes(record), extra["_error"]) for row, record, extra in rows if record is not None]


def test_csv_values_come_in_exactly_as_they_stand(things: MakeLake) -> None:
    lake = things()
    content = HEADER + b" 1 ,  a b ,007.10,1998-2-3\n" + b'2,"x, ""y""",,\n' + b'3,"",\xc3\xa9,"  "\n' + b"4,5\" pipe,it's,a\\b\n"
    lake.ingest([lake.deliver("a.csv", content)])
    assert bronze(lake) == [
        (1, " 1 ", "  a b ", "007.10", "1998-2-3"),
        (2, "2", 'x, "y"', None, None),
        (3, "3", "", "é", "  "),
        (4, "4", '5" pipe', "it's", "a\\b"),
    ]


def test_a_line_with_odd_quotes_changes_nothing_for_the_well_quoted_lines_beside_it(things: MakeLake) -> None:
    plain = b'1,"a, ""b""","",\r\n2,,"007",2026-01-02\r\n"3","it\'s"," ","1"\r\n4,"too","many","2026-01-01",values\r\n'
    odd = b'5,5" pipe,1,\r\n6,"a" ,1,\r\n7,"a"b,1,\r\n'
    lake = things()
    file, both = lake.deliver("plain.csv", HEADER + plain), lake.deliver("both.csv", HEADER + plain + odd)
    lake.ingest([file, both])
    rows = lake.rows("bronze", "_source_file", "_row", "id", "name", "amount", "day", "_record", order="_row")
    of_plain = [row[1:] for row in rows if row[0] == file.uri]
    of_both = [row[1:] for row in rows if row[0] == both.uri]
    assert of_plain[:3] == [(1, "1", 'a, "b"', "", None, None), (2, "2", None, "007", "2026-01-02", None), (3, "3", "it's", " ", "1", None)]
    assert [bytes(row[-1]) for row in of_plain[3:]] == [b'4,"too","many","2026-01-01",values']
    assert of_both[:4] == of_plain
    assert [(row[2], row[-1] and bytes(row[-1])) for row in of_both[4:]] == [('5" pipe', None), ("a", None), (None, b'7,"a"b,1,')]


def test_lines_are_well_quoted_as_a_reader_of_one_character_at_a_time_says(spark: SparkSession) -> None:
    lines = ["".join(characters) for length in range(1, 8) for characters in product('a",\r', repeat=length)]
    frame = spark.createDataFrame([(line,) for line in lines], "line string")
    rows = frame.select("line", csv_text.is_well_quoted(F.col("line"), Source())).collect()
    found = {row[0] for row in rows if row[1]}
    assert found == {line for line in lines if _is_well_quoted(line)}
    assert 100 < len(found) < len(lines) / 2


def _is_well_quoted(line: str) -> bool:
    place = 0
    while True:
        if line.startswith('"', place):
            place += 1
            while True:
                place = line.find('"', place)
                if place < 0:
                    return False
                if not line.startswith('""', place):
                    break
                place += 2
            place += 1
        else:
            while place < len(line) and line[place] not in '",':
                place += 1
        if line[place:] in {"", "\r"}:
            return True
        if line[place] != ",":
            return False
        place += 1


def test_null_is_told_from_the_same_text_in_quotes(things: MakeLake) -> None:
    lake = things(source=Source(null_value="NULL"))
    lake.ingest([lake.deliver("a.csv", HEADER + b'1,NULL,"NULL",\n')])
    assert bronze(lake) == [(1, "1", None, "NULL", "")]


def test_a_byte_order_mark_crlf_and_a_last_line_without_end_are_no_matter(things: MakeLake) -> None:
    lake = things()
    lake.ingest([lake.deliver("a.csv", b'\xef\xbb\xbfid,name,amount,day\r\n1,a,1,2026-01-01\r\n\r\n2,"b",2,2026-01-02')])
    assert bronze(lake) == [(1, "1", "a", "1", "2026-01-01"), (3, "2", "b", "2", "2026-01-02")]


def test_columns_are_read_by_name_file_by_file(things: MakeLake) -> None:
    lake = things()
    files = [
        lake.deliver("a.csv", GOOD),
        lake.deliver("b.csv", b"day,note,amount,id,name\n2026-01-02,hi,2.00,2,b\n"),
        lake.deliver("c.csv", b'"name","id","amount","day"\nc,3,3.00,2026-01-03\n'),
    ]
    result = lake.ingest(files)
    assert sorted(bronze(lake, "id", "name", "amount", "day", "_extra")) == [
        ("1", "a", "1.00", "2026-01-01", None),
        ("2", "b", "2.00", "2026-01-02", {"note": "hi"}),
        ("3", "c", "3.00", "2026-01-03", None),
    ]
    assert result.extras == {files[1]: ("note",)}


def test_quoted_line_breaks_stay_in_their_record_and_keep_their_bytes(things: MakeLake) -> None:
    lake = things()
    content = HEADER + b'1,"one\ntwo\r\n\r\nthree, ""four""\n",1,2026-01-01\n2,b,2,2026-01-02\n3,"\n",3,2026-01-03\n'
    lake.ingest([lake.deliver("a.csv", content)])
    assert bronze(lake, "_row", "id", "name") == [(1, "1", 'one\ntwo\r\n\r\nthree, "four"\n'), (6, "2", "b"), (7, "3", "\n")]


def test_a_broken_quote_spoils_one_line_and_not_the_rest(things: MakeLake) -> None:
    lake = things()
    content = HEADER + b'1,"never closed,1,2026-01-01\n2,b,2,2026-01-02\n3,"c"x,3,2026-01-03\n4,"d\nd",4,2026-01-04\n5,e,5,2026-01-05\n'
    lake.ingest([lake.deliver("a.csv", content)])
    assert unread(lake) == [
        (1, b'1,"never closed,1,2026-01-01', "unparseable_record"),
        (3, b'3,"c"x,3,2026-01-03', "unparseable_record"),
    ]
    assert [row[1] for row in bronze(lake) if row[1]] == ["2", "4", "5"]


def test_a_quote_that_never_closes_costs_only_its_own_line(things: MakeLake) -> None:
    lake = things()
    lake.ingest([lake.deliver("a.csv", HEADER + b'1,a,1,2026-01-01\n2,b,2,"2026-01-02\n3,c,3,2026-01-03\n')])
    assert unread(lake) == [(2, b'2,b,2,"2026-01-02', "unparseable_record")]
    assert [row[1] for row in bronze(lake) if row[1]] == ["1", "3"]


def test_records_that_cannot_be_read_are_kept_byte_for_byte(things: MakeLake) -> None:
    lake = things()
    lake.ingest([lake.deliver("a.csv", HEADER + b"1,a,1\n2,b,2,2026-01-02,more\n3,\xff\xfe,3,2026-01-03\r\n   \n4,d,4,2026-01-04\n")])
    assert unread(lake) == [
        (1, b"1,a,1", "column_count"),
        (2, b"2,b,2,2026-01-02,more", "column_count"),
        (3, b"3,\xff\xfe,3,2026-01-03", "invalid_encoding"),
        (4, b"   ", "column_count"),
    ]
    found = lake.refine(None)
    assert found.reasons == {"column_count": 3, "invalid_encoding": 1}
    assert found.counts == {"rows_in": 5, "silver": 1, "superseded": 0, "quarantined": 4}


@pytest.mark.parametrize(
    ("name", "content", "outcome", "reason"),
    [
        ("a.csv", b"", "skipped", "empty_file"),
        ("a.csv", b"\n\n\r\n", "skipped", "empty_file"),
        ("a.csv", b"\xef\xbb\xbf", "skipped", "empty_file"),
        ("a.csv", HEADER, "skipped", "header_only"),
        ("a.csv", HEADER.strip(), "skipped", "header_only"),
        ("a.csv.gz", gzip.compress(b""), "skipped", "empty_file"),
        ("a.csv.gz", gzip.compress(HEADER), "skipped", "header_only"),
        ("a.csv", b"id,name,amount\n1,a,1.00\n", "rejected", "missing_column"),
        ("a.csv", b"1,a,1.00,2026-01-01\n", "rejected", "missing_column"),
        ("a.csv", b"id,name,name,amount,day\n1,a,a,1.00,2026-01-01\n", "rejected", "duplicate_column"),
        ("a.csv", b'id,"name,amount,day\n1,a,1.00,2026-01-01\n', "rejected", "unreadable_file"),
        ("a.csv", "id,name,amount,day\n1,a,1,2026-01-01\n".encode("utf-16"), "rejected", "unreadable_file"),
        ("a.csv.gz", b"this is no gzip", "rejected", "unreadable_file"),
        ("a.csv.gz", gzip.compress(GOOD * 2000)[:-200], "rejected", "unreadable_file"),
        ("a.csv.gz", gzip.compress(GOOD)[:-8] + bytes(8), "rejected", "unreadable_file"),
        ("a.parquet", GOOD, "rejected", "unreadable_file"),
        ("a.parquet", b"PAR1 and nothing else PAR1", "rejected", "unreadable_file"),
    ],
)
def test_a_file_that_cannot_be_loaded_says_why_and_the_others_go_on(
    things: MakeLake, name: str, content: bytes, outcome: str, reason: str
) -> None:
    lake = things()
    bad, good = lake.deliver(name, content), lake.deliver("good.csv", GOOD)
    result = lake.ingest([bad, good])
    assert (result.rejected[bad].outcome, result.rejected[bad].reason) == (outcome, reason), result.rejected[bad].message
    assert result.loaded == {good: 1}


def test_a_contract_may_take_files_that_lack_a_column_or_refuse_those_with_more(things: MakeLake) -> None:
    lake = things(source=Source(on_missing_column="warn", on_extra_column="halt"))
    less, more = lake.deliver("less.csv", b"id,name\n1,a\n"), lake.deliver("more.csv", b"id,name,x\n1,a,b\n")
    result = lake.ingest([less, more])
    assert result.loaded == {less: 1}
    assert result.rejected[more].reason == "extra_column"


def test_files_without_a_header_are_read_by_position(things: MakeLake) -> None:
    lake = things(source=Source(header=False, delimiter="|"))
    lake.ingest([lake.deliver("a.csv", b"1|a|1.00|2026-01-01\n2|b|2.00|2026-01-02\n")])
    assert bronze(lake, "_row", "id", "name") == [(1, "1", "a"), (2, "2", "b")]


def test_gzip_is_read_whatever_it_holds(things: MakeLake) -> None:
    lake = things()
    files = [
        lake.deliver("a.csv.gz", gzip.compress(GOOD)),
        lake.deliver("b.json.gz", gzip.compress(b'{"id": 2, "name": "b", "amount": 2.50, "day": "2026-01-02"}\n')),
    ]
    lake.ingest(files)
    assert sorted(bronze(lake, "id", "amount")) == [("1", "1.00"), ("2", "2.50")]


def test_json_values_keep_their_text(things: MakeLake) -> None:
    lake = things()
    content = (
        b'{"id": 1, "name": "a \\"b\\" -1.50 \\u00e9", "amount": 12345678901234567890.10, "day": "2026-01-01", "more": {"x": [1.10, 1e3, "2.50"]}}\n'
        b'{"id": -2.0, "name": null, "amount": "x", "extra": true}\r\n'
        b"\n"
        b'{"id":3,"name":{"a":[1.10,{"b":null}]}}\n'
    )
    lake.ingest([lake.deliver("a.json", content)])
    assert bronze(lake, "_row", "id", "name", "amount", "day", "_extra") == [
        (1, "1", 'a "b" -1.50 é', "12345678901234567890.10", "2026-01-01", {"more": '{"x":[1.10,1e3,"2.50"]}'}),
        (2, "-2.0", None, "x", None, {"extra": "true"}),
        (4, "3", '{"a":[1.10,{"b":null}]}', None, None, None),
    ]


def test_columns_that_only_some_objects_have_are_told_of(things: MakeLake) -> None:
    lake = things()
    lines = [b'{"id": 1, "name": "a", "amount": "1.00", "day": "2026-01-01"}', b'{"id": 2, "more": 1, "day": null}']
    file = lake.deliver("a.json", b"\n".join(lines))
    result = lake.ingest([file])
    assert (result.loaded, result.extras) == ({file: 2}, {file: ("more",)})


def test_json_lines_that_are_no_object_are_kept_byte_for_byte(things: MakeLake) -> None:
    lake = things()
    lines = [
        b"[1]",
        b'{"id": 1',
        b'{"id": 1} {"id": 2}',
        b'{"id": 1},{"id": 2}',
        b'"text"',
        b"null",
        b'{"id": 1, "name": "\xff"}',
        b"not json",
    ]
    lake.ingest([lake.deliver("a.json", b"\n".join(lines))])
    codes = ["unparseable_record"] * 6 + ["invalid_encoding", "unparseable_record"]
    assert unread(lake) == [(place, line, code) for place, (line, code) in enumerate(zip(lines, codes, strict=True), start=1)]


def test_parquet_of_any_types_becomes_text(things: MakeLake, tmp_path: Path) -> None:
    lake = things()
    table = pa.table(
        {
            "name": pa.array(["a", None]),
            "id": pa.array([1, 2], pa.int32()),
            "amount": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(20, 2)),
            "day": pa.array([dt.date(2026, 1, 1), None]),
            "tags": pa.array([["x", "y"], []], pa.list_(pa.string())),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    result = lake.ingest([lake.deliver("a.parquet", (tmp_path / "a.parquet").read_bytes())])
    assert bronze(lake, "_row", "id", "name", "amount", "day", "_extra") == [
        (1, "1", "a", "1.50", "2026-01-01", {"tags": '["x","y"]'}),
        (2, "2", None, None, None, {"tags": "[]"}),
    ]
    assert list(result.extras.values()) == [("tags",)]


def _parquet(table: pa.Table) -> bytes:
    sink = BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def test_moments_of_parquet_keep_their_microseconds_wherever_they_stand(things: MakeLake) -> None:
    lake = things()
    moment = dt.datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)
    table = pa.table(
        {
            "id": pa.array([1]),
            "name": pa.array([moment]),
            "amount": pa.array([{"at": moment, "local": moment.replace(tzinfo=None)}]),
            "day": pa.array([[moment]]),
        }
    )
    lake.ingest([lake.deliver("a.parquet", _parquet(table))])
    ((name, amount, day),) = bronze(lake, "name", "amount", "day")
    assert name == "2026-01-01 12:00:00.123456"
    assert json.loads(amount) == {"at": "2026-01-01T12:00:00.123456Z", "local": "2026-01-01T12:00:00.123456"}
    assert json.loads(day) == ["2026-01-01T12:00:00.123456Z"]


def test_parquet_that_spark_cannot_represent_is_rejected_alone(things: MakeLake) -> None:
    lake = things()
    columns = {"id": pa.array([1]), "name": pa.array(["a"]), "amount": pa.array(["1.00"]), "day": pa.array(["2026-01-01"])}
    nanos = lake.deliver("nanos.parquet", _parquet(pa.table({**columns, "day": pa.array([1], pa.timestamp("ns"))})))
    twice = lake.deliver("twice.parquet", _parquet(pa.table({**columns, "NAME": pa.array(["b"])})))
    quoted = lake.deliver("quoted.parquet", _parquet(pa.table({**columns, "na`me": pa.array(["kept"])})))
    result = lake.ingest([nanos, twice, quoted])
    assert {file: rejection.reason for file, rejection in result.rejected.items()} == {nanos: "unreadable_file", twice: "unreadable_file"}
    assert "NANOS" in result.rejected[nanos].message
    assert result.loaded == {quoted: 1}
    assert bronze(lake, "_extra") == [({"na`me": "kept"},)]


def test_parquet_without_rows_is_skipped(things: MakeLake) -> None:
    lake = things()
    file = lake.deliver("a.parquet", _parquet(pa.table({name: pa.array([], pa.string()) for name in ("id", "name", "amount", "day")})))
    result = lake.ingest([file])
    assert (result.rejected[file].outcome, result.rejected[file].reason) == ("skipped", "header_only")
    assert lake.table("bronze").snapshot_id() is None


def test_places_are_right_in_files_that_are_read_in_pieces(things: MakeLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "SPLIT_BYTES", 4096)
    lake = things()
    lines = [b"%d,n%d,1.00,2026-01-01\n" % (place, place) for place in range(1, 1500)]
    lake.ingest([lake.deliver("a.csv", HEADER + b"".join(lines)), lake.deliver("b.csv", GOOD)])
    rows = lake.table("bronze").read().where("_source_file LIKE '%a.csv'").select("_row", "id").collect()
    assert len(rows) == 1499
    assert all(str(row["_row"]) == row["id"] for row in rows)


def test_a_version_that_bronze_holds_is_not_loaded_again_and_another_is(things: MakeLake) -> None:
    lake = things()
    first = lake.deliver("a.csv", GOOD)
    lake.ingest([first])
    before = lake.snapshots()
    assert lake.ingest([first]).appended == 0
    assert lake.snapshots() == before
    second = lake.deliver("a.csv", GOOD + b"2,b,2.00,2026-01-02\n")
    result = lake.ingest([first, second], run_id="run-2")
    assert (result.appended, result.rows) == (2, 3)
    assert lake.table("bronze").summary()["run_id"] == "run-2"


def test_a_version_that_is_gone_is_told_and_the_others_go_on(things: MakeLake) -> None:
    lake = things()
    gone, good = lake.deliver("gone.csv", GOOD), lake.deliver("good.csv", GOOD)
    (lake.folder / "raw" / "test" / "things" / f"gone.csv@{gone.version_id}").unlink()
    result = lake.ingest([gone, good])
    assert result.rejected[gone].reason == "object_gone"
    assert result.loaded == {good: 1}
