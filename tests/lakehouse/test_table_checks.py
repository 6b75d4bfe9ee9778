"""What the checks of tables find: DuckDB runs the statement over small tables, and answers are judged as they stand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import pytest
import sqlglot

from cli.session import ROOT
from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.model import CompiledContract
from lakehouse.environments.loading import load_environment
from lakehouse.naming import Names
from lakehouse.table_checks import Finding, freshness_of, judge, statement

CONTRACTS = compile_contracts(ROOT / "contracts")
ORDERS, PRODUCTS, REVENUE = CONTRACTS["tpch.orders"], CONTRACTS["shop.products"], CONTRACTS["tpch.daily_revenue"]

Row = tuple[Any, ...]


@pytest.fixture(scope="module")
def names() -> Names:
    return load_environment(ROOT / "config", "local").names()


class Lake:
    """The three tables of a dataset in DuckDB."""

    def __init__(self, contract: CompiledContract, key: str) -> None:
        self.contract = contract
        self._connection = duckdb.connect()
        noted = f"{key} VARCHAR, _operation VARCHAR, _sequence VARCHAR, _source_file VARCHAR, _source_version VARCHAR, _row BIGINT"
        for zone, columns in (("bronze", noted), ("quarantine", noted), (contract.zone, f"{key} BIGINT, o_orderdate DATE")):
            self._connection.execute(f'CREATE SCHEMA "{zone}_{contract.domain}"')
            self._connection.execute(f'CREATE TABLE "{zone}_{contract.domain}"."{contract.dataset}" ({columns})')

    def add(self, zone: str, *rows: Row) -> Lake:
        marks = ", ".join("?" * len(rows[0]))
        self._connection.executemany(f'INSERT INTO "{zone}_{self.contract.domain}"."{self.contract.dataset}" VALUES ({marks})', rows)
        return self

    def check(self, names: Names) -> dict[str, Finding]:
        (sql,) = sqlglot.transpile(statement(self.contract, names), read="athena", write="duckdb")
        (row,) = self._connection.execute(sql).fetchall()
        return {finding.check: finding for finding in judge(self.contract, row)}


def record(key: str | None, row: int, *, operation: str | None = None, sequence: str = "1") -> Row:
    return (key, operation, sequence, "s3://raw/a.csv", "v1", row)


def orders(*records: Row, out: tuple[Row, ...] = (), held: tuple[Row, ...] = ()) -> Lake:
    lake = Lake(ORDERS, "o_orderkey").add("bronze", *records)
    if out:
        lake.add("quarantine", *out)
    return lake.add("silver", *held) if held else lake


def outcomes(found: dict[str, Finding]) -> dict[str, tuple[str, int | None, int | None]]:
    return {name: (finding.outcome, finding.value, finding.limit) for name, finding in found.items()}


def test_a_table_that_is_in_order_passes(names: Names) -> None:
    # The second 7 supersedes the first, whatever its spelling; the record without a key is in quarantine.
    bad = record(None, 4)
    lake = orders(record("7", 1), record(" 007 ", 2), record("8", 3), bad, out=(bad,), held=((7, "2026-11-21"), (8, "9999-12-31")))
    found = lake.check(names)
    assert found.pop("freshness").outcome == "PASSED"
    assert outcomes(found) == {"rows": ("PASSED", 2, 1), "null_keys": ("PASSED", 0, 0), "reconcile": ("PASSED", 2, 2)}
    assert not any(finding.message for finding in found.values())


def test_an_empty_table_a_missing_key_and_old_rows_are_found(names: Names) -> None:
    found = orders(record("7", 1)).check(names)
    assert outcomes(found) == {
        "rows": ("FAILED", 0, 1),
        "null_keys": ("PASSED", 0, 0),
        "freshness": ("FAILED", None, 93_600),
        "reconcile": ("FAILED", 0, 1),
    }
    found = orders(record("7", 1), held=((None, "1998-08-01"), (7, "1998-08-02"))).check(names)
    assert (found["null_keys"].outcome, found["null_keys"].value) == ("FAILED", 1)
    assert found["null_keys"].message == "rows have NULL in o_orderkey"
    assert found["freshness"].outcome == "FAILED"
    assert (found["freshness"].value or 0) > 28 * 365 * 86_400
    assert found["freshness"].message == "the newest o_orderdate is older than fresh promises"


@pytest.mark.parametrize(
    "held", [((7, "2026-01-01"),), ((7, "2026-01-01"), (8, "2026-01-01"), (9, "2026-01-01"))], ids=["lost", "too many"]
)
def test_rows_that_bronze_does_not_explain_are_found(names: Names, held: tuple[Row, ...]) -> None:
    found = orders(record("7", 1), record("8", 2), held=held).check(names)["reconcile"]
    assert (found.outcome, found.value, found.limit) == ("FAILED", len(held), 2)
    assert "`lake runs`" in found.message


def test_a_key_with_a_good_record_is_due_though_another_of_its_records_is_in_quarantine(names: Names) -> None:
    bad = record("7", 2)
    assert orders(record("7", 1), bad, out=(bad,), held=((7, "2026-01-01"),)).check(names)["reconcile"].outcome == "PASSED"


def test_a_key_whose_newest_record_is_a_delete_is_not_due(names: Names) -> None:
    lake = Lake(PRODUCTS, "product_id").add(
        "bronze",
        record("1", 1, sequence="1"),
        record("1", 1, sequence="2", operation="delete"),
        record("2", 1, sequence="3", operation="delete"),
        record("2", 1, sequence="4"),
        record("3", 9, sequence="2"),
    )
    found = lake.add("silver", (2, None), (3, None)).check(names)
    assert outcomes(found) == {
        "rows": ("PASSED", 2, 1),
        "null_keys": ("PASSED", 0, 0),
        "freshness": ("NOT_CHECKED", None, None),
        "reconcile": ("PASSED", 2, 2),
    }


def test_a_gold_table_has_no_bronze(names: Names) -> None:
    assert "bronze" not in statement(REVENUE, names)
    rows, null_keys, fresh, reconcile = judge(REVENUE, (3, 0, None))
    assert (rows.outcome, null_keys.outcome, fresh.outcome, reconcile.outcome) == ("PASSED", "PASSED", "NOT_CHECKED", "NOT_CHECKED")
    assert reconcile.message == "a transform computes the table: it has no bronze"


def test_keys_that_their_text_does_not_tell_apart_are_not_counted(names: Names) -> None:
    computed = tuple(replace(column, logic="lower(raw.o_orderkey)") if column.name == "o_orderkey" else column for column in ORDERS.columns)
    contract = replace(ORDERS, columns=computed)
    assert "bronze" not in statement(contract, names)
    finding = judge(contract, (3, 0, 5, None))[-1]
    assert (finding.outcome, finding.value) == ("NOT_CHECKED", 3)
    assert "o_orderkey is computed" in finding.message


@pytest.mark.parametrize(
    ("level", "outcome", "limit", "said"),
    [
        ({"value": 1, "unit": "d", "element": "orders.o_orderdate"}, "PASSED", 86_400, ""),
        ({"value": 1.5, "unit": "min", "element": "o_orderdate"}, "FAILED", 90, "older than fresh promises"),
        ({"value": 1, "unit": "d"}, "PASSED", 86_400, ""),
        ({"value": 1, "unit": "fortnight"}, "NOT_CHECKED", None, "write a number and one of s, min, h, d, y"),
        ({"value": "1", "unit": "d"}, "NOT_CHECKED", None, "write a number and one of s, min, h, d, y"),
        ({"value": 1, "unit": "d", "element": "orders.o_comment"}, "NOT_CHECKED", 86_400, "names no date or time"),
    ],
)
def test_freshness_is_what_the_contract_promises(level: dict[str, Any], outcome: str, limit: int | None, said: str) -> None:
    contract = replace(
        ORDERS, sla=({"id": "fresh", "property": "freshness", **level}, {"id": "up", "property": "availability", "value": 99})
    )
    (promised,) = freshness_of(contract)
    assert promised.column == {"orders.o_comment": None, None: "_ingested_at"}.get(level.get("element"), "o_orderdate")
    finding = judge(contract, (3, 0, 3600, 3))[2]
    assert (finding.outcome, finding.limit) == (outcome, limit)
    assert said in finding.message


def test_without_a_date_gold_keeps_no_promise() -> None:
    contract = replace(REVENUE, sla=({"id": "fresh", "property": "freshness", "value": 1, "unit": "d"},))
    assert judge(contract, (3, 0, None, None))[2].message == "fresh names no date or time of the table: write its element"
