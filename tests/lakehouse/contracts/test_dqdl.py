"""Rulesets are DQDL, say what the rules say, and do not fall into its traps."""

from __future__ import annotations

import pytest

from lakehouse.contracts.dqdl import aliases, ruleset
from lakehouse.contracts.model import CompiledContract
from tests.contract_project import Alter, Project, add, on, rule
from tests.lakehouse.contracts.dqdl_checker import DqdlError, Rule, parse

IDS = ("sales.customers", "sales.orders", "tpch.customer", "tpch.daily_revenue", "tpch.lineitem", "tpch.orders")


@pytest.mark.parametrize("id_", IDS)
def test_a_ruleset_is_dqdl(contracts: dict[str, CompiledContract], id_: str) -> None:
    contract = contracts[id_]
    rules = parse(ruleset(contract))
    assert len(rules) >= len(contract.quality.rules)
    for rule_ in rules:
        # DQDL fails a NULL where the contract lets it pass.
        assert rule_.type not in ("ColumnValues", "ColumnLength") or (rule_.where or "").endswith('is not null"'), rule_


@pytest.mark.parametrize(
    "text",
    [
        "Rules = [ IsComplete ]",
        "Rules = [ RowCount ]",
        'Rules = [ ColumnValues "a" in ["F", "2024-01-01"] ]',
        'Rules = [ ColumnValues "a" >= 1e3 ]',
        "Rules = [ RowCount > 0, ]",
        'Rules = [ ColumnValues "a" where "x" >= 1 ]',
    ],
)
def test_the_checker_is_strict(text: str) -> None:
    with pytest.raises(DqdlError):
        parse(text)


def one(project: Project, alter: Alter, id_: str) -> list[Rule]:
    """DQDL rules of one rule of a contract."""
    (project.folder / "sales/orders.lock.json").unlink(missing_ok=True)
    text = ruleset(project.compiled(alter))
    part = text.split(f"# {id_}:")[1].split("\n", 1)[1].split("    #")[0].removesuffix("]\n").rstrip().removesuffix(",")
    return parse(f"Rules = [{part}]")


def test_a_backslash_in_a_list_is_doubled_and_in_a_pattern_is_not(project: Project) -> None:
    listed = one(project, on("status", enum=[{"value": "a\\b"}]), "status.in_set")
    assert listed[0].condition == ("in", '"a\\\\b"')
    pattern = one(project, on("status", logicalTypeOptions={"pattern": "^\\d+$"}), "status.pattern")
    assert pattern[0].condition == ("matches", '"\\d+"')


def test_numbers_have_no_exponent(project: Project) -> None:
    small = one(project, on("price", logicalTypeOptions={"minimum": 0.0000001, "maximum": 100000000000000000000000}), "price.range")
    assert [rule_.condition for rule_ in small] == [(">=", "0.0000001"), ("<=", "100000000000000000000000")]


def test_what_dqdl_would_judge_otherwise_is_custom_sql(project: Project) -> None:
    nan = one(project, on("price", physicalType=None, logicalTypeOptions={"format": "f64", "minimum": 0}), "price.range")
    assert [rule_.type for rule_ in nan] == ["CustomSql"]
    assert "isnan" in nan[0].parameters[0]
    percent = one(project, on("status", quality=[{"id": "q", "metric": "nullValues", "mustBeLessThan": 1, "unit": "percent"}]), "status.q")
    assert (percent[0].type, percent[0].condition) == ("CustomSql", ("<", "1"))
    other = one(project, rule(metric="rowCount", mustNotBe=3), "a_rule")
    assert (other[0].type, other[0].condition) == ("CustomSql", ("=", "1"))
    optional = one(project, on("status", unique=True), "status.unique")
    assert optional[0].type == "CustomSql"
    required = one(project, on("ordered", unique=True), "ordered.unique")
    assert (required[0].type, required[0].parameters) == ("IsUnique", ('"ordered"',))


def test_relationships_name_their_alias(contracts: dict[str, CompiledContract]) -> None:
    assert {alias: str(target) for alias, target in aliases(contracts["tpch.lineitem"]).items()} == {"tpch_orders": "silver.tpch.orders"}


def test_a_ruleset_that_is_too_long_is_told(project: Project) -> None:
    contract = project.compiled(add(enum=[{"value": f"{number:0110d}"} for number in range(600)]))
    with pytest.raises(ValueError, match=r"Glue takes 65536: split the contract"):
        ruleset(contract)
