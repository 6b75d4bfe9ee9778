"""Each fault of the dirty drop ends as DESIGN says, with its reason, and disturbs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.results import QuarantinedRow, Run, RunDetail
from local.tpch.dirty import DIRTY_FILES, FIRST_KEY, DirtyFile, expected_reasons
from local.tpch.drops import Drops
from tests.e2e.conftest import Checkout

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

Runs = list[Run]
Details = list[RunDetail]
Rows = list[QuarantinedRow]


@pytest.fixture(scope="module")
def details(checkout: Checkout, dirty: Runs) -> Details:
    return [checkout.show(run) for run in dirty]


@pytest.fixture(scope="module")
def quarantined(checkout: Checkout, dirty: Runs) -> Rows:
    return checkout.quarantine("tpch.orders")


def _cases(outcome: str) -> list[Any]:
    return [pytest.param(case, id=case.name) for case in DIRTY_FILES if case.outcome == outcome]


@pytest.mark.parametrize("case", _cases("loaded"))
def test_the_good_rows_of_a_loaded_file_are_published(checkout: Checkout, dirty: Runs, case: DirtyFile) -> None:
    rows = checkout.sql(f"SELECT count(*) FROM silver_tpch.orders WHERE _source_file LIKE '%/{case.name}'")
    assert rows == [[case.silver]]


@pytest.mark.parametrize("case", _cases("loaded"))
def test_the_bad_rows_of_a_loaded_file_are_in_quarantine_with_their_reasons(quarantined: Rows, case: DirtyFile) -> None:
    mine = [row for row in quarantined if Path(row.source_file).name == case.name]
    codes = [reason.code for row in mine for reason in row.reasons]
    assert {code: codes.count(code) for code in set(codes)} == case.reasons
    assert len(mine) == case.quarantined


@pytest.mark.parametrize("case", _cases("loaded"))
def test_every_record_of_a_loaded_file_is_in_bronze(checkout: Checkout, dirty: Runs, case: DirtyFile) -> None:
    rows = checkout.sql(f"SELECT count(*), count(DISTINCT _row) FROM bronze_tpch.orders WHERE _source_file LIKE '%/{case.name}'")
    assert rows == [[case.rows_in, case.rows_in]]


@pytest.mark.parametrize("case", [*_cases("skipped"), *_cases("rejected")])
def test_a_file_that_is_not_loaded_says_why_and_leaves_no_row(checkout: Checkout, dirty: Runs, details: Details, case: DirtyFile) -> None:
    by_run = {Path(detail.run.source).name: detail.run.reason for detail in details if detail.run.source}
    by_file = {Path(file.file).name: file.reason for detail in details for file in detail.file_results}
    assert (by_run | by_file)[case.name] == case.reason
    assert checkout.sql(f"SELECT count(*) FROM bronze_tpch.orders WHERE _source_file LIKE '%/{case.name}'") == [[0]]


def test_the_run_failed_only_because_of_the_rejected_file(dirty: Runs, details: Details) -> None:
    assert {run.reason for run in dirty if run.status == "FAILED"} == {"files_rejected"}
    rejected = {Path(file.file).name for detail in details for file in detail.file_results if file.outcome == "rejected"}
    assert rejected == {case.name for case in DIRTY_FILES if case.outcome == "rejected"}


def test_the_books_of_every_run_are_straight(dirty: Runs) -> None:
    counts = [run.counts for run in dirty if run.counts]
    assert counts
    for count in counts:
        assert count.rows_in == (count.silver or 0) + (count.superseded or 0) + (count.quarantined or 0)
    assert sum(count.rows_in for count in counts) == sum(case.rows_in for case in DIRTY_FILES)
    assert sum(count.superseded or 0 for count in counts) == sum(case.superseded for case in DIRTY_FILES)


def test_the_audit_counts_quarantined_rows_by_reason(details: Details) -> None:
    found: dict[str, int] = {}
    for detail in details:
        for reason, rows in detail.reasons.items():
            found[reason] = found.get(reason, 0) + rows
    assert found == expected_reasons()


def test_of_rows_with_one_key_the_last_wins(checkout: Checkout, dirty: Runs) -> None:
    assert checkout.sql(f"SELECT o_totalprice FROM silver_tpch.orders WHERE o_orderkey = {FIRST_KEY + 20}") == [["2.00"]]


def test_an_unknown_column_is_kept_and_warned_of(checkout: Checkout, dirty: Runs, details: Details) -> None:
    (case,) = [case for case in DIRTY_FILES if case.extra]
    rows = checkout.sql(
        f"SELECT o_orderkey, element_at(_extra, 'o_note') FROM bronze_tpch.orders WHERE _source_file LIKE '%/{case.name}' ORDER BY 1"
    )
    assert {int(key): {"o_note": note} for key, note in rows} == case.extra
    assert any("o_note" in warning for detail in details for warning in detail.warnings)


def test_a_quoted_newline_stays_in_its_record(checkout: Checkout, dirty: Runs) -> None:
    rows = checkout.sql(f"SELECT o_comment FROM silver_tpch.orders WHERE o_orderkey = {FIRST_KEY + 70}")
    assert rows == [['first line\nsecond line, with a comma and a "quote"']]


def test_bytes_that_are_not_utf8_are_kept_and_shown_readably(quarantined: Rows) -> None:
    (row,) = [row for row in quarantined if row.source_file.endswith("/not-utf8.csv")]
    assert row.record is not None
    assert "na\\xefve" in row.record
    assert row.row > 0


def test_clean_rows_are_undisturbed(checkout: Checkout, dirty: Runs, drops: Drops) -> None:
    days = ", ".join(f"DATE '{day}'" for day in drops.days)
    rows = checkout.sql(f"SELECT count(*) FROM silver_tpch.orders WHERE o_orderdate IN ({days})")
    assert rows == [[sum(file.rows for file in drops.of("tpch.orders"))]]
