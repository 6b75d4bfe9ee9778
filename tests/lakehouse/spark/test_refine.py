"""Refinement: the newest row of a key, the gate, and the sum of rows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.contracts.model import Quality, Rule
from lakehouse.errors import RunFailed
from lakehouse.spark.silver import Findings
from tests.lakehouse.spark.small_contract import contract, not_null, table_rule
from tests.spark_lake import Lake

pytestmark = pytest.mark.spark

HEADER = b"id,name,amount,day\n"

MakeLake = Callable[..., Lake]


@pytest.fixture
def things(spark: SparkSession, tmp_path: Path) -> MakeLake:
    return lambda **changes: Lake(spark=spark, contract=contract(**changes), folder=tmp_path)


def counts(silver: int, superseded: int = 0, quarantined: int = 0) -> dict[str, int]:
    return {"rows_in": silver + superseded + quarantined, "silver": silver, "superseded": superseded, "quarantined": quarantined}


def silver(lake: Lake, *columns: str) -> list[tuple[Any, ...]]:
    return lake.rows("silver", *(columns or ("id", "name")), order="id")


def test_the_later_file_wins_and_an_older_one_that_comes_late_does_not(things: MakeLake) -> None:
    lake = things()
    first = lake.deliver("a.csv", HEADER + b"1,old,1.00,2026-01-01\n2,b,1.00,2026-01-01\n", sequence="2026-01-02#1")
    second = lake.deliver("a.csv", HEADER + b"1,new,1.00,2026-01-01\n", sequence="2026-01-03#1")
    late = lake.deliver("z.csv", HEADER + b"1,late,1.00,2026-01-01\n3,c,1.00,2026-01-01\n", sequence="2026-01-01#1")
    assert lake.run(first).counts == counts(2)
    assert lake.run(second).counts == counts(1)
    found = lake.run(late)
    assert (found.counts, found.written) == (counts(1, superseded=1), 1)
    assert silver(lake) == [(1, "new"), (2, "b"), (3, "c")]
    assert lake.refine([first]).counts == counts(1, superseded=1)
    before = lake.snapshots()
    assert lake.refine(None).counts == counts(3, superseded=2)
    assert lake.snapshots() == before


def test_sequence_by_decides_before_the_order_of_arrival(things: MakeLake) -> None:
    lake = things(sequence_by="day")
    content = (
        HEADER + b"1,newest,1.00,2026-01-09\n1,older,1.00,2026-01-01\n1,none,1.00,\n2,same a,1.00,2026-01-01\n2,same b,1.00,2026-01-01\n"
    )
    found = lake.run(lake.deliver("a.csv", content))
    assert found.counts == counts(2, superseded=2, quarantined=1)
    assert found.reasons == {"duplicate_key": 1}
    assert silver(lake) == [(1, "newest"), (2, "same b")]
    assert lake.run(lake.deliver("b.csv", HEADER + b"1,later but older,1.00,2026-01-05\n")).counts == counts(0, superseded=1)
    assert lake.run(lake.deliver("c.csv", HEADER + b"1,same day,1.00,2026-01-09\n")).counts == counts(1)
    assert silver(lake)[0] == (1, "same day")


def test_rows_that_differ_in_a_microsecond_are_not_the_same(things: MakeLake) -> None:
    lake = things(types={"id": "long", "name": "string", "amount": "timestamptz", "day": "timestamp"})
    rows = b"1,a,2026-01-01T00:00:00.000001Z,2026-01-01T00:00:00\n1,a,2026-01-01T00:00:00.000002Z,2026-01-01T00:00:00\n"
    rows += b"2,b,2026-01-01T00:00:00Z,2026-01-01T00:00:00.000001\n2,b,2026-01-01T00:00:00Z,2026-01-01T00:00:00.000002\n"
    found = lake.run(lake.deliver("a.csv", HEADER + rows))
    assert found.counts == counts(2, quarantined=2)
    assert found.reasons == {"duplicate_key": 2}


def test_every_reason_of_a_row_is_kept_with_the_row_as_it_came(things: MakeLake) -> None:
    in_set = Rule(
        id="name.in_set",
        level="row",
        kind="in_set",
        code="not_in_set",
        column="name",
        severity="error",
        action="quarantine",
        dimension="conformity",
        args={"values": ["a", "b"]},
    )
    lake = things(rules=(in_set,))
    found = lake.run(lake.deliver("a.csv", HEADER + b"x,c,1.005,2026-02-30\n,a,1.00,2026-01-01\n3,b,1.00,2026-01-01\n"))
    assert found.counts == counts(1, quarantined=2)
    assert found.reasons == {"invalid_value": 1, "missing_value": 1, "not_in_set": 1}
    rows = lake.rows("quarantine", "_row", "id", "amount", "day", "_reasons", order="_row")
    assert rows[0][:4] == (1, "x", "1.005", "2026-02-30")
    assert [(reason["code"], reason["column"]) for reason in rows[0][4]] == [
        ("invalid_value", "id"),
        ("invalid_value", "amount"),
        ("invalid_value", "day"),
        ("not_in_set", "name"),
    ]
    assert rows[0][4][1]["message"] == "'1.005' is no decimal(15, 2)"
    assert lake.quality["name.in_set"].failed_rows == 1
    assert not lake.quality["name.in_set"].passed


def test_a_row_that_a_changed_contract_takes_leaves_quarantine(things: MakeLake, spark: SparkSession) -> None:
    strict = things(types={"id": "long", "name": "string", "amount": "decimal(5, 2)", "day": "date"})
    file = strict.deliver("a.csv", HEADER + b"1,a,1000.00,2026-01-01\n2,b,1.00,2026-01-01\n")
    assert strict.run(file).counts == counts(1, quarantined=1)
    lax = things(types={"id": "long", "name": "string", "amount": "decimal(5, 2)", "day": "date"})
    lax.ingest([file])
    lax.refine([file])
    lax.contract = contract(types={"id": "long", "name": "string", "amount": "string", "day": "date"})
    spark.sql("ALTER TABLE lake.silver_test.things DROP COLUMN amount")
    spark.sql("ALTER TABLE lake.silver_test.things ADD COLUMN amount string")
    assert lax.refine([file]).counts == counts(2)
    assert lax.table("quarantine").rows() == 0


def test_a_broken_table_rule_halts_and_nothing_of_the_run_is_seen(things: MakeLake) -> None:
    rule = table_rule("sql", args={"query": "SELECT count(*) FROM {object} WHERE name = 'bad'"}, operator="eq", threshold=0.0)
    lake = things(rules=(rule,))
    lake.run(lake.deliver("a.csv", HEADER + b"1,good,1.00,2026-01-01\n"))
    before = lake.table("silver").snapshot_id()
    bad = lake.deliver("b.csv", HEADER + b"2,bad,1.00,2026-01-01\n3,x,none,2026-01-01\n")
    lake.ingest([bad])
    findings = Findings()
    with pytest.raises(RunFailed, match="quality_gate: sql"):
        lake.refine_into(findings, [bad])
    assert findings.counts["quarantined"] == 1
    assert lake.table("silver").snapshot_id() == before
    assert lake.table("silver").branches == ("main",)
    assert lake.table("quarantine").rows() == 1
    assert (lake.quality["sql"].passed, lake.quality["sql"].value) == (False, 1.0)


def test_warnings_are_counted_and_let_pass(things: MakeLake) -> None:
    watch = Rule(
        id="named",
        level="row",
        kind="not_null",
        code="missing_value",
        column="name",
        severity="warning",
        action="warn",
        dimension="completeness",
    )
    percent = table_rule("null_count", column="name", severity="warning", action="warn", operator="lt", threshold=5.0, unit="percent")
    lake = things(rules=(watch, percent))
    found = lake.run(lake.deliver("a.csv", HEADER + b"1,,1.00,2026-01-01\n2,b,1.00,2026-01-01\n"))
    assert found.counts == counts(2)
    assert (lake.quality["named"].failed_rows, lake.quality["named"].passed) == (1, False)
    assert (lake.quality["null_count"].value, lake.quality["null_count"].passed) == (50.0, False)
    assert lake.quality["quality_score"].value == 100.0


def test_a_critical_row_rule_halts_once_its_rows_are_in_quarantine(things: MakeLake) -> None:
    critical = Rule(
        id="priced", level="row", kind="predicate", code="rule", column=None, severity="critical", action="halt", dimension="consistency",
        args={"expression": "amount > 0"},
    )  # fmt: skip
    lake = things(rules=(critical,))
    file = lake.deliver("a.csv", HEADER + b"1,a,-1.00,2026-01-01\n2,b,1.00,2026-01-01\n")
    lake.ingest([file])
    with pytest.raises(RunFailed, match="quality_gate: priced"):
        lake.refine([file])
    assert lake.table("quarantine").rows() == 1
    assert lake.table("silver").rows() == 0


@pytest.mark.parametrize(("limit", "stops"), [(50.0, False), (49.0, True)])
def test_too_many_bad_rows_stop_a_run_after_they_are_kept(things: MakeLake, limit: float, stops: bool) -> None:
    lake = things(quality=Quality(rules=(not_null("id"),), max_quarantine_percent=limit))
    file = lake.deliver("a.csv", HEADER + b",a,1.00,2026-01-01\n2,b,1.00,2026-01-01\n")
    lake.ingest([file])
    if stops:
        with pytest.raises(RunFailed, match="too_many_quarantined: 1 of 2 rows"):
            lake.refine([file])
    else:
        lake.refine([file])
    assert lake.table("quarantine").rows() == 1
    assert lake.table("silver").rows() == (0 if stops else 1)


def test_the_score_is_the_share_of_rules_that_hold(things: MakeLake) -> None:
    rules = tuple(
        table_rule("sql", id=f"r{place}", action="warn", args={"query": f"SELECT {value}"}, operator="eq", threshold=0.0)
        for place, value in enumerate((0, 0, 1))
    )
    lake = things(quality=Quality(rules=(not_null("id"), *rules), score_threshold=75.0))
    lake.run(lake.deliver("a.csv", HEADER + b"1,a,1.00,2026-01-01\n"))
    assert lake.quality["quality_score"].value == 75.0
    strict = things(quality=Quality(rules=(not_null("id"), *rules), score_threshold=75.1))
    with pytest.raises(RunFailed, match="quality_score"):
        strict.run(strict.deliver("a.csv", HEADER + b"1,a,1.00,2026-01-01\n"))


def test_a_rule_without_a_result_has_not_held(things: MakeLake) -> None:
    lake = things(rules=(table_rule("sql", args={"query": "SELECT max(amount) FROM {object} WHERE id < 0"}, operator="ge", threshold=0.0),))
    with pytest.raises(RunFailed, match="no result"):
        lake.run(lake.deliver("a.csv", HEADER + b"1,a,1.00,2026-01-01\n"))


def test_a_relationship_is_measured_only_against_tables_that_the_job_may_read(things: MakeLake) -> None:
    rule = table_rule(
        "relationship",
        severity="warning",
        action="warn",
        operator="eq",
        threshold=0.0,
        args={"columns": ["name"], "to_table": "silver.test.others", "to_columns": ["id"]},
    )
    lake = things(rules=(rule,))
    lake.run(lake.deliver("a.csv", HEADER + b"1,a,1.00,2026-01-01\n"))
    assert not lake.quality["relationship"].passed
    assert "may not read silver.test.others" in lake.quality["relationship"].message


def test_a_record_that_a_changed_contract_reads_otherwise_is_corrected_once_and_older_ones_stay(things: MakeLake) -> None:
    lake = things()
    first = lake.deliver(
        "a.csv", HEADER + b"1,one,1.00,2026-01-01\n2,two,1.00,2026-01-01\n3,three,1.00,2026-01-01\n", sequence="2026-01-02#1"
    )
    newer = lake.deliver("b.csv", HEADER + b"2,newer,1.00,2026-01-01\n", sequence="2026-01-03#1")
    assert lake.run(first).counts == counts(3)
    assert lake.run(newer).counts == counts(1)
    by_name = {column.name: column for column in lake.contract.columns}
    logic = replace(by_name["name"], logic="CASE WHEN name = 'three' THEN name ELSE upper(name) END")
    lake.contract = replace(lake.contract, columns=tuple(logic if column.name == "name" else column for column in lake.contract.columns))
    found = lake.refine([first])
    assert (found.counts, found.written) == (counts(2, superseded=1), 1)
    assert silver(lake) == [(1, "ONE"), (2, "newer"), (3, "three")]
    before = lake.snapshots()
    found = lake.refine([first])
    assert (found.counts, found.written) == (counts(2, superseded=1), 0)
    assert lake.snapshots() == before
