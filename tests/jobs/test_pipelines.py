"""Whole pipelines: files to gold, what the audit and the lineage keep of it, and a driver killed at each stage."""

from collections.abc import Callable

import pytest

from jobs.publish import transform_called
from lakehouse.errors import RunFailed
from local.tpch.dirty import DIRTY_FILES
from tests.spark_lake import Lake
from tests.spark_pipelines import Pipelines

pytestmark = pytest.mark.spark

MakeLake = Callable[[str], Lake]

CUSTOMERS = (
    b"c_custkey,c_name,c_address,c_nationkey,c_phone,c_acctbal,c_mktsegment,c_comment\n"
    b"1,Customer#000000001,here,1,11-111-111-1111,1.00,BUILDING,x\n"
    b"2,Customer#000000002,there,2,12-111-111-1111,2.00,MACHINERY,y\n"
)
ORDERS = (
    b"o_orderkey,o_custkey,o_orderstatus,o_totalprice,o_orderdate,o_orderpriority,o_clerk,o_shippriority,o_comment\n"
    b"1,1,O,100.00,1998-08-01,5-LOW,Clerk#000000001,0,a\n"
    b"2,2,O,100.00,1998-08-01,5-LOW,Clerk#000000001,0,b\n"
    b"3,1,F,100.00,1998-08-02,5-LOW,Clerk#000000001,0,c\n"
)
LINES_HEADER = (
    b"l_orderkey,l_partkey,l_suppkey,l_linenumber,l_quantity,l_extendedprice,l_discount,l_tax,l_returnflag,l_linestatus,"
    b"l_shipdate,l_commitdate,l_receiptdate,l_shipinstruct,l_shipmode,l_comment\n"
)


def line(order: int, number: int, price: str, discount: str) -> bytes:
    return f"{order},1,1,{number},1.00,{price},{discount},0.00,N,O,1998-08-10,1998-08-11,1998-08-12,NONE,AIR,z\n".encode()


LINES = LINES_HEADER + line(1, 1, "10.00", "0.10") + line(1, 2, "20.00", "0.00") + line(2, 1, "5.50", "0.05") + line(3, 1, "7.00", "0.00")


class Killed(BaseException):
    """The driver is gone: nothing of it is caught, and nothing is written any more."""


class Killer:
    """Kills the driver at one stage; whatever it tries after that fails as well."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._is_dead = False

    def __call__(self, reached: str) -> None:
        if self._is_dead or reached == self._stage:
            self._is_dead = True
            raise Killed


def test_files_become_a_gold_table_and_again_change_nothing(lake: MakeLake, pipelines: Pipelines) -> None:
    customer, orders, lineitem, gold = lake("tpch.customer"), lake("tpch.orders"), lake("tpch.lineitem"), lake("tpch.daily_revenue")
    pipelines.run(customer, customer.deliver("c.csv", CUSTOMERS))
    pipelines.run(orders, orders.deliver("o.csv", ORDERS))
    trail = pipelines.run(lineitem, lineitem.deliver("l.csv", LINES))
    assert {step.step: step.status for step in trail.steps} == {"ingest": "SUCCEEDED", "refine": "SUCCEEDED"}
    assert trail.steps[-1].counts == {"rows_in": 4, "silver": 4, "superseded": 0, "quarantined": 0, "written": 4}
    assert {result.rule: result.passed for result in trail.quality}["key_unique"]
    assert {result.rule: result.value for result in trail.quality}["quality_score"] == 100

    def publish(run_id: str) -> dict[str, int]:
        pipelines.start(pipeline="daily_revenue", run_id=run_id)
        pipelines.step(
            pipeline="daily_revenue",
            run_id=run_id,
            step="publish",
            writes="gold.tpch.daily_revenue",
            reads="silver.tpch.orders,silver.tpch.customer,silver.tpch.lineitem",
            transform=transform_called("tpch.daily_revenue"),
        )
        return pipelines.trail("daily_revenue", run_id).steps[-1].counts

    assert publish("g1") == {"rows": 3, "inserted": 3, "updated": 0, "deleted": 0}
    rows = [(str(day), segment, str(revenue), count) for day, segment, revenue, count in gold.rows("gold", order="revenue")]
    assert rows == [
        ("1998-08-01", "MACHINERY", "5.2250", 1),
        ("1998-08-02", "BUILDING", "7.0000", 1),
        ("1998-08-01", "BUILDING", "29.0000", 1),
    ]
    before = gold.table("gold").snapshot_id()
    assert publish("g2") == {"rows": 3, "inserted": 0, "updated": 0, "deleted": 0}
    assert gold.table("gold").snapshot_id() == before

    moved = (
        ORDERS.splitlines()[0] + b"\n3,2,F,100.00,1998-08-02,5-LOW,Clerk#000000001,0,c\n1,1,P,1.00,1998-08-01,5-LOW,Clerk#000000001,0,c\n"
    )
    pipelines.run(orders, orders.deliver("o2.csv", moved), run_id="run-2")
    assert publish("g3") == {"rows": 3, "inserted": 1, "updated": 0, "deleted": 1}
    assert gold.table("gold").branches == ("main",)


def test_the_audit_tells_what_became_of_each_file(lake: MakeLake, pipelines: Pipelines) -> None:
    orders = lake("tpch.orders")
    trail = pipelines.run(orders, *(orders.deliver(dirty.name, dirty.content) for dirty in DIRTY_FILES))
    told = {file.source.rsplit("/", 1)[1]: (file.outcome, file.reason) for file in trail.files}
    expected = {dirty.name: (dirty.outcome, dirty.reason) for dirty in DIRTY_FILES if dirty.outcome != "loaded"}
    assert told == {**expected, "extra-column.csv": ("loaded", "extra_column")}
    assert "o_note" in trail.run.warnings[0]
    assert trail.steps[-1].reasons["duplicate_key"] == 1


STAGES = (
    "ingest: files examined",
    "ingest: bronze committed",
    "refine: rows judged",
    "refine: quarantine committed",
    "refine: branch created",
    "refine: branch written",
    "refine: gate passed",
    "refine: silver published",
    "audit: last write",
)


def test_a_driver_killed_at_any_stage_and_started_again_leaves_the_same_tables(lake: MakeLake, pipelines: Pipelines) -> None:
    content = ORDERS + b"1,2,O,9.00,1998-08-01,5-LOW,Clerk#000000001,0,a\n4,2,O,bad,1998-08-01,5-LOW,Clerk#000000001,0,a\n"
    orders = lake("tpch.orders")
    pipelines.run(orders, orders.deliver("o.csv", content, version="v1", sequence="2026-11-22T10:00:01Z#1"))
    expected = {zone: _steady(orders.content(zone)) for zone in ("bronze", "silver", "quarantine")}
    for number, stage in enumerate(STAGES):
        orders = lake("tpch.orders")
        file = orders.deliver("o.csv", content, version="v1", sequence="2026-11-22T10:00:01Z#1")
        run_id = f"killed-{number}"

        with pytest.raises(Killed):
            pipelines.run(orders, file, run_id=run_id, reached=Killer(stage))
        trail = pipelines.run(orders, file, run_id=run_id)
        assert {zone: _steady(orders.content(zone)) for zone in expected} == expected, stage
        assert trail.steps[-1].counts["silver"] == 3, stage
        assert trail.steps[-1].status == "SUCCEEDED", stage
        assert orders.table("silver").branches == ("main",), stage


def test_a_run_that_published_nothing_counts_no_row_of_silver(lake: MakeLake, pipelines: Pipelines) -> None:
    def refuse(stage: str) -> None:
        if stage == "refine: branch written":
            raise RunFailed("quality_gate", "as a table rule would")

    orders = lake("tpch.orders")
    file = orders.deliver("o.csv", ORDERS + b"4,2,O,bad,1998-08-01,5-LOW,Clerk#000000001,0,a\n")
    with pytest.raises(RunFailed):
        pipelines.run(orders, file, run_id="halted", reached=refuse)
    step = pipelines.audit.trail("halted", pipeline="orders").steps[-1]
    assert (step.status, step.counts, step.reasons) == ("FAILED", {"rows_in": 4, "quarantined": 1}, {"invalid_value": 1})


def test_an_attempt_whose_driver_died_stands_failed(lake: MakeLake, pipelines: Pipelines) -> None:
    orders = lake("tpch.orders")
    file = orders.deliver("o.csv", ORDERS)
    with pytest.raises(Killed):
        pipelines.run(orders, file, reached=Killer("audit: last write"))
    trail = pipelines.run(orders, file)
    attempts = [(step.attempt, step.status) for step in trail.steps if step.step == "ingest"]
    assert attempts == [(1, "FAILED"), (2, "SUCCEEDED")]


def test_a_transform_that_does_not_exist_is_named() -> None:
    with pytest.raises(RunFailed, match="there is no transform"):
        transform_called("tpch.nothing")


def test_lineage_tells_where_a_table_came_from(lake: MakeLake, pipelines: Pipelines) -> None:
    orders = lake("tpch.orders")
    pipelines.run(orders, orders.deliver("o.csv", ORDERS))
    items = pipelines.services._dynamodb.scan(TableName="lineage")["Items"]
    edges = {(item["source"]["S"], item["target"]["S"]): item["snapshot_id"]["S"] for item in items}
    assert edges == {
        ("raw.tpch.orders", "bronze.tpch.orders"): str(orders.table("bronze").snapshot_id()),
        ("bronze.tpch.orders", "silver.tpch.orders"): str(orders.table("silver").snapshot_id()),
    }


def _steady(rows: list[str]) -> list[str]:
    """Rows without what differs between two runs of the same input: when they ran, and as which run."""
    import json

    return sorted(
        json.dumps({k: v for k, v in json.loads(row).items() if k not in {"_ingested_at", "_quarantined_at", "_run_id"}}) for row in rows
    )
