"""What the emitters make of the contracts of the checkout and of one that uses everything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakehouse.contracts.dqdl import ruleset
from lakehouse.contracts.glue import glue_columns
from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.predicates import query, requirement, row_predicate
from lakehouse.contracts.tables import TableDefinition, table_of, tables_of
from tests.golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"
IDS = (
    "sales.customers",
    "sales.orders",
    "shop.customers",
    "shop.daily_sales",
    "shop.orders",
    "shop.products",
    "tpch.customer",
    "tpch.daily_revenue",
    "tpch.lineitem",
    "tpch.orders",
)


def pretty(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_golden_files_cover_every_contract(contracts: dict[str, CompiledContract]) -> None:
    assert tuple(sorted(contracts)) == IDS


@pytest.mark.parametrize("id_", IDS)
def test_compiled_contract(contracts: dict[str, CompiledContract], id_: str) -> None:
    contract = contracts[id_]
    assert CompiledContract.from_json(contract.to_json()) == contract
    assert_golden(GOLDEN / f"{id_}.compiled.json", pretty(contract.to_dict()))


@pytest.mark.parametrize("id_", IDS)
def test_tables(contracts: dict[str, CompiledContract], id_: str) -> None:
    tables = tables_of(contracts[id_])
    for table in tables:
        assert TableDefinition.from_dict(json.loads(table.to_json())) == table
    shown = [
        {**table.to_dict(), "schema": table.schema, "partition_spec": table.partition_spec, "sort_order": table.sort_order}
        for table in tables
    ]
    assert_golden(GOLDEN / f"{id_}.tables.json", pretty(shown))


@pytest.mark.parametrize("id_", IDS)
def test_glue_columns(contracts: dict[str, CompiledContract], id_: str) -> None:
    assert_golden(GOLDEN / f"{id_}.glue.json", pretty({str(table.dataset): glue_columns(table) for table in tables_of(contracts[id_])}))


@pytest.mark.parametrize("id_", IDS)
def test_ruleset(contracts: dict[str, CompiledContract], id_: str) -> None:
    assert_golden(GOLDEN / f"{id_}.dqdl", ruleset(contracts[id_]))


@pytest.mark.parametrize("id_", IDS)
def test_predicates(contracts: dict[str, CompiledContract], id_: str) -> None:
    contract = contracts[id_]
    lines = [
        f"-- {rule.id}: {requirement(rule)}\n"
        + (row_predicate(rule, contract) if rule.level == "row" else query(rule, contract, rows="judged", other="other_table"))
        for rule in contract.quality.rules
    ]
    assert_golden(GOLDEN / f"{id_}.sql", "\n".join(lines) + "\n")


def test_a_silver_contract_gives_bronze_silver_and_quarantine_a_gold_one_gives_gold(contracts: dict[str, CompiledContract]) -> None:
    assert [str(table.dataset) for table in tables_of(contracts["tpch.orders"])] == [
        "bronze.tpch.orders",
        "silver.tpch.orders",
        "quarantine.tpch.orders",
    ]
    assert [str(table.dataset) for table in tables_of(contracts["tpch.daily_revenue"])] == ["gold.tpch.daily_revenue"]
    with pytest.raises(KeyError, match="has no table in gold: it has one in bronze, silver, quarantine"):
        table_of(contracts["tpch.orders"], "gold")


def test_a_contract_column_never_renumbers_a_platform_column(contracts: dict[str, CompiledContract]) -> None:
    def platform(id_: str) -> dict[str, int]:
        return {
            field["name"]: field["id"] for table in tables_of(contracts[id_]) for field in table.fields if field["name"].startswith("_")
        }

    assert platform("sales.orders") == platform("tpch.lineitem")
    assert min(platform("tpch.orders").values()) > 10_000
