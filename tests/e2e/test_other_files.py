"""Files as producers really send them, beyond the dirty drop: other formats, compressions, names and ways to be broken."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.results import QuarantinedRow, Run, RunDetail
from tests.e2e.conftest import Checkout

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

FIRST_KEY = 9_000_000
NAMES = ("c_custkey", "c_name", "c_address", "c_nationkey", "c_phone", "c_acctbal", "c_mktsegment", "c_comment")
HEADER = ",".join(NAMES)


def _row(key: int, *, balance: str = "1.00", comment: str = "fine") -> str:
    return f"{FIRST_KEY + key},Customer#{FIRST_KEY + key:09d},here,1,11-111-111-1111,{balance},BUILDING,{comment}"


def _csv(*lines: str, header: str = HEADER, end: str = "\n") -> bytes:
    return "".join(f"{line}{end}" for line in (header, *lines)).encode()


def _record(key: int) -> dict[str, object]:
    return {**dict(zip(NAMES, _row(key).split(","), strict=True)), "c_custkey": FIRST_KEY + key, "c_nationkey": 1, "c_acctbal": 1.5}


def _parquet(*keys: int) -> bytes:
    sink = BytesIO()
    pq.write_table(pa.Table.from_pylist([_record(key) for key in keys]), sink)  # pyright: ignore[reportUnknownMemberType] - pyarrow has no types
    return sink.getvalue()


def _zip(content: bytes) -> bytes:
    sink = BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("customer.csv", content)
    return sink.getvalue()


@dataclass(frozen=True, kw_only=True)
class File:
    """A file, and what must become of it.

    Attributes:
        name: File name.
        content: Its bytes.
        silver: Keys, counted from FIRST_KEY, that silver must hold from it.
        reasons: Quarantined rows by reason code.
        reason: Why the file is skipped or rejected; "" if it is loaded.
    """

    name: str
    content: bytes
    silver: tuple[int, ...] = ()
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    reason: str = ""


FILES = (
    File(
        name="short-and-long.csv",
        content=_csv(_row(1), f"{FIRST_KEY + 2},too,short", f"{_row(3)},too,long"),
        silver=(1,),
        reasons={"column_count": 2},
    ),
    File(
        name="numbers.csv",
        content=_csv(
            _row(11, balance="99999999999999999999.99"), _row(12, balance="1.005"), _row(13, balance="1e2"), _row(14, balance="12,5")
        ),
        silver=(13,),
        reasons={"invalid_value": 2, "column_count": 1},
    ),
    File(name="open-quote.csv", content=_csv(_row(21, comment='"never closed'), _row(22)), silver=(22,), reasons={"unparseable_record": 1}),
    File(name="windows.csv", content=b"\xef\xbb\xbf" + _csv(_row(31), _row(32), end="\r\n"), silver=(31, 32)),
    File(name="no-last-line-end.csv", content=_csv(_row(41), _row(42)).rstrip(), silver=(41, 42)),
    File(name="other-order.csv", content=_csv("x," + _row(51), header="c_new," + HEADER), silver=(51,)),
    File(name="zipped.csv.gz", content=gzip.compress(_csv(_row(61), _row(62))), silver=(61, 62)),
    File(name="two gzips in one.csv.gz", content=gzip.compress(_csv(_row(71))) + gzip.compress(f"{_row(72)}\n".encode()), silver=(71, 72)),
    File(name="UPPER.CSV", content=_csv(_row(81)), silver=(81,)),
    File(name="größe+50% (1).csv", content=_csv(_row(91)), silver=(91,)),
    File(
        name="lines.json",
        content="\n".join([json.dumps(_record(101)), "{not json", "[1, 2]", json.dumps(_record(102))]).encode(),
        silver=(101, 102),
        reasons={"unparseable_record": 2},
    ),
    File(name="table.parquet", content=_parquet(111, 112), silver=(111, 112)),
    File(name="cut.csv.gz", content=gzip.compress(_csv(*(_row(121 + number) for number in range(9))))[:-20], reason="unreadable_file"),
    File(name="not-gzip.csv.gz", content=_csv(_row(131)), reason="unreadable_file"),
    File(name="not-parquet.parquet", content=_csv(_row(141)), reason="unreadable_file"),
    File(name="twice.csv", content=_csv(f"{_row(151)},again", header=f"{HEADER},c_name"), reason="duplicate_column"),
    File(name="semicolons.csv", content=_csv(_row(161).replace(",", ";"), header=HEADER.replace(",", ";")), reason="missing_column"),
    File(name="utf-16.csv", content=_csv(_row(171)).decode().encode("utf-16"), reason="unreadable_file"),
    File(name="line-ends-only.csv", content=b"\n\r\n\n", reason="empty_file"),
    File(name="archive.zip", content=_zip(_csv(_row(181))), reason="unknown_suffix"),
    File(name="_SUCCESS", content=b"", reason="marker_file"),
)

LOADED = [pytest.param(file, id=file.name) for file in FILES if not file.reason]
LEFT_OUT = [pytest.param(file, id=file.name) for file in FILES if file.reason]


@pytest.fixture(scope="module")
def delivered(checkout: Checkout, clean: list[Run]) -> list[RunDetail]:
    """Runs of one drop of all of them."""
    known = checkout.runs()
    paths = [checkout.write(f"other/{file.name}", file.content) for file in FILES]
    checkout.drop("tpch.customer", paths, day="1998-08-07")
    checkout.wait(code=1)
    return [checkout.show(run) for run in checkout.new_runs(known)]


@pytest.fixture(scope="module")
def quarantined(checkout: Checkout, delivered: list[RunDetail]) -> list[QuarantinedRow]:
    return checkout.quarantine("tpch.customer")


@pytest.fixture(scope="module")
def silver(checkout: Checkout, delivered: list[RunDetail]) -> dict[str, list[int]]:
    """Keys by file name."""
    rows = checkout.sql(f"SELECT _source_file, c_custkey FROM silver_tpch.customer WHERE c_custkey >= {FIRST_KEY} ORDER BY 2")
    keys: dict[str, list[int]] = {}
    for file, key in rows:
        keys.setdefault(Path(file).name, []).append(key - FIRST_KEY)
    return keys


@pytest.mark.parametrize("file", LOADED)
def test_good_rows_are_published_and_bad_ones_kept_with_a_reason(
    silver: dict[str, list[int]], quarantined: list[QuarantinedRow], file: File
) -> None:
    assert tuple(silver.get(file.name, ())) == file.silver
    codes = Counter(reason.code for row in quarantined if Path(row.source_file).name == file.name for reason in row.reasons)
    assert codes == file.reasons


@pytest.mark.parametrize("file", LEFT_OUT)
def test_a_file_that_cannot_be_loaded_says_why(silver: dict[str, list[int]], delivered: list[RunDetail], file: File) -> None:
    reasons = {Path(detail.run.source).name: detail.run.reason for detail in delivered if detail.run.source}
    reasons |= {Path(result.file).name: result.reason for detail in delivered for result in detail.file_results}
    assert reasons[file.name] == file.reason
    assert file.name not in silver


def test_nothing_else_went_wrong(delivered: list[RunDetail]) -> None:
    assert {detail.run.reason for detail in delivered if detail.run.status == "FAILED"} == {"files_rejected"}
    counts = [detail.run.counts for detail in delivered if detail.run.counts]
    assert sum(count.rows_in for count in counts) == sum(len(file.silver) + sum(file.reasons.values()) for file in FILES)
    assert sum(count.silver or 0 for count in counts) == sum(len(file.silver) for file in FILES)
