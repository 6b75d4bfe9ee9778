"""The dirty drop: every case of issue 3 is there, and its books are straight."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from local.tpch.dirty import DIRTY_FILES, FIRST_KEY, expected_reasons, write_dirty_drop

CASES = {
    "null-keys.csv": "missing_value",
    "impossible-dates.csv": "invalid_value",
    "duplicate-keys.csv": "duplicate_key",
    "unknown-status.csv": "not_in_set",
    "extra-column.csv": "",
    "missing-column.csv": "missing_column",
    "empty.csv": "empty_file",
    "not-utf8.csv": "invalid_encoding",
    "quoted-newline.csv": "",
    "header-only.csv": "header_only",
}


def test_every_case_of_the_issue_is_there() -> None:
    assert {dirty.name: next(iter(dirty.reasons), dirty.reason) for dirty in DIRTY_FILES} == CASES


def test_every_record_is_accounted_for() -> None:
    for dirty in DIRTY_FILES:
        assert dirty.rows_in == dirty.silver + dirty.superseded + dirty.quarantined


def test_every_loaded_file_has_the_records_it_says() -> None:
    for dirty in DIRTY_FILES:
        if dirty.outcome == "loaded":
            text = dirty.content.decode("utf-8", errors="replace")
            assert len(list(csv.reader(io.StringIO(text)))) - 1 == dirty.rows_in


def test_no_key_is_in_two_files_or_in_tpch() -> None:
    seen: dict[str, str] = {}
    for dirty in DIRTY_FILES:
        for row in csv.DictReader(io.StringIO(dirty.content.decode("utf-8", errors="replace"))):
            if row["o_orderkey"]:
                assert int(row["o_orderkey"]) > FIRST_KEY
                assert seen.setdefault(row["o_orderkey"], dirty.name) == dirty.name


def test_the_drop_is_written_byte_for_byte(tmp_path: Path) -> None:
    for dirty, path in write_dirty_drop(tmp_path):
        assert path.read_bytes() == dirty.content
    assert expected_reasons() == {"missing_value": 2, "invalid_value": 2, "duplicate_key": 1, "not_in_set": 1, "invalid_encoding": 1}
