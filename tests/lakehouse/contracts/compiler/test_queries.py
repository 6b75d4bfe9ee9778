"""Queries that are kept as files are checked against the contracts before anything is deployed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.compiler.queries import load_queries
from lakehouse.errors import ConfigurationError
from stacks.synthesis import ROOT

CONTRACTS = compile_contracts(ROOT / "contracts")


def load(folder: Path, sql: str, *, name: str = "tpch/mine.sql") -> object:
    path = folder / "queries" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sql, encoding="utf-8")
    return load_queries(folder / "queries", CONTRACTS)[0]


def test_the_queries_of_this_project_hold() -> None:
    found = {query.name: query.parameters for query in load_queries(ROOT / "queries", CONTRACTS)}
    assert found["tpch_revenue_of_a_segment"] == 3
    assert found["tpch_rows_by_batch"] == 0


def test_a_good_query_is_read(tmp_path: Path) -> None:
    query = load(tmp_path, "-- Customers of a segment.\n\nSELECT c_name FROM silver_tpch.customer WHERE c_mktsegment = ?;\n")
    assert query.name == "tpch_mine"  # type: ignore[attr-defined]
    assert query.description == "Customers of a segment."  # type: ignore[attr-defined]
    assert query.sql == "SELECT c_name FROM silver_tpch.customer WHERE c_mktsegment = ?"  # type: ignore[attr-defined]
    assert (query.databases, query.parameters) == (("silver_tpch",), 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT 1 FROM silver_tpch.customer", "nobody says what it is for"),
        ("-- x\nSELECT 1 FROM customer", "without its database"),
        ("-- x\nSELECT 1 FROM silver_tpch.customers", "no contract has a table silver_tpch.customers"),
        ("-- x\nSELECT 1", "it reads no table"),
        ("-- x\nDELETE FROM silver_tpch.customer", "DELETE is no query"),
        ("-- x\nSELECT 1 FROM silver_tpch.customer; SELECT 2 FROM silver_tpch.customer", "2 statements"),
        ("-- x\nSELECT FROM WHERE", "is no SQL of Athena"),
        ("-- x\nSELECT count(*) FROM silver_tpch.orders", "partitioned by o_orderdate"),
        ("-- x\nSELECT ? FROM silver_tpch.customer", "outside of a WHERE"),
        ("-- x\nSELECT 1 FROM silver_tpch.customer ORDER BY 1 LIMIT ?", "outside of a WHERE"),
    ],
)
def test_a_query_that_would_fail_or_read_too_much_is_refused_at_synth(tmp_path: Path, sql: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load(tmp_path, sql)
    assert "queries/tpch/mine.sql" in str(caught.value)


def test_a_filter_on_the_partition_or_a_reason_will_do(tmp_path: Path) -> None:
    load(tmp_path, "-- x\nSELECT count(*) FROM silver_tpch.orders WHERE o_orderdate > DATE '1998-01-01'")
    load(tmp_path, "-- x\n-- reads everything: it counts\nSELECT count(*) FROM silver_tpch.orders")


def test_tables_behind_names_of_their_own_are_seen(tmp_path: Path) -> None:
    load(tmp_path, "-- x\nWITH c AS (SELECT * FROM silver_tpch.customer) SELECT count(*) FROM c")
    with pytest.raises(ConfigurationError, match="no contract has a table silver_tpch\\.nothing"):
        load(tmp_path, "-- x\nWITH c AS (SELECT * FROM silver_tpch.nothing) SELECT count(*) FROM c")


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "queries" / "tpch").mkdir(parents=True)
    (tmp_path / "queries" / "tpch" / "Other.sql").write_text("SELECT 1 FROM nothing")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, "SELECT 1")
    assert len(caught.value.faults) == 5
