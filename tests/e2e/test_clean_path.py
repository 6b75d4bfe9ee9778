"""Clean files reach gold, and every number is what DuckDB computes from the generator's own files."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from cli.results import Run
from local.tpch.drops import DATASETS, Drops
from local.tpch.expected import DailyRevenue, daily_revenue
from tests.e2e.conftest import Checkout

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

Runs = list[Run]

COLUMNS = {
    "orders": "o_orderkey, o_custkey, o_orderstatus, o_totalprice, o_orderdate, o_orderpriority, o_clerk, o_shippriority, o_comment",
    "customer": "c_custkey, c_name, c_address, c_nationkey, c_phone, c_acctbal, c_mktsegment, c_comment",
    "lineitem": "l_orderkey, l_linenumber, l_quantity, l_extendedprice, l_discount, l_tax, l_returnflag, l_shipdate, l_shipmode, l_comment",
}


def test_every_run_succeeds(clean: Runs) -> None:
    assert {(run.pipeline, run.status) for run in clean} == {
        ("orders", "SUCCEEDED"),
        ("customer", "SUCCEEDED"),
        ("lineitem", "SUCCEEDED"),
        ("daily_revenue", "SUCCEEDED"),
    }


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_record_of_a_dataset_is_accounted_for(clean: Runs, drops: Drops, dataset: str) -> None:
    counts = [run.counts for run in clean if run.pipeline == dataset]
    delivered = sum(file.rows for file in drops.of(f"tpch.{dataset}"))
    assert sum(count.rows_in for count in counts if count) == sum(count.silver or 0 for count in counts if count) == delivered


@pytest.mark.parametrize("dataset", DATASETS)
def test_silver_holds_the_delivered_rows_value_for_value(checkout: Checkout, clean: Runs, drops: Drops, dataset: str) -> None:
    columns = COLUMNS[dataset]
    found = checkout.sql(f"SELECT {columns} FROM silver_tpch.{dataset} ORDER BY 1, 2")
    files = [str(file.path) for file in drops.of(f"tpch.{dataset}")]
    wanted = duckdb.execute(
        f"SELECT {columns} FROM read_csv(?, all_varchar = true) ORDER BY {columns.split(',')[0]}::BIGINT, 2", [files]
    ).fetchall()
    assert [["" if value is None else str(value) for value in row] for row in found] == [
        ["" if v is None else v for v in row] for row in wanted
    ]


def test_gold_equals_an_independent_computation(checkout: Checkout, clean: Runs, drops: Drops) -> None:
    rows = checkout.sql("SELECT o_orderdate, c_mktsegment, revenue, orders FROM gold_tpch.daily_revenue ORDER BY 1, 2")
    found = tuple(
        DailyRevenue(o_orderdate=date.fromisoformat(day), c_mktsegment=segment, revenue=Decimal(revenue), orders=orders)
        for day, segment, revenue, orders in rows
    )
    assert found == daily_revenue(drops.source, days=drops.days)


def test_bronze_keeps_every_record_as_it_came(checkout: Checkout, clean: Runs, drops: Drops) -> None:
    first = drops.of("tpch.orders")[0]
    rows = checkout.sql(
        f"SELECT _row, o_orderkey, o_comment FROM bronze_tpch.orders WHERE _source_file LIKE '%/{first.path.name}' ORDER BY _row"
    )
    wanted = duckdb.execute("SELECT o_orderkey, o_comment FROM read_csv(?, all_varchar = true)", [str(first.path)]).fetchall()
    assert [tuple(row[1:]) for row in rows] == wanted
    assert len({row[0] for row in rows}) == first.rows


def test_days_that_arrive_together_become_few_runs(clean: Runs) -> None:
    assert len([run for run in clean if run.pipeline == "orders"]) <= 2


def test_what_follows_them_runs_once_when_the_last_has_ended(clean: Runs) -> None:
    (gold,) = [run for run in clean if run.pipeline == "daily_revenue"]
    assert gold.trigger == "after"
    assert gold.started_at > max(run.ended_at or "" for run in clean if run.pipeline != "daily_revenue")


@pytest.mark.parametrize("step", ["ingest", "refine"])
def test_what_spark_did_in_each_run_is_kept_for_the_operator(checkout: Checkout, clean: Runs, step: str) -> None:
    s3, bucket = checkout.session.client("s3"), checkout.names.bucket("logs")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"spark-events/{checkout.names.job('orders', step)}/")["Contents"]
    logs = [str(found["Key"]) for found in listed if "/events_" in found["Key"]]
    assert len({key.split("/")[2] for key in logs}) == len([run for run in clean if run.pipeline == "orders"])
    body = s3.get_object(Bucket=bucket, Key=logs[0])["Body"].read()
    assert "SparkListenerApplicationEnd" in pa.input_stream(io.BytesIO(body), compression="zstd").read().decode()


def test_the_state_of_every_service_could_be_kept(checkout: Checkout, clean: Runs) -> None:
    log = (checkout.root / ".lake" / "logs" / "server.log").read_text(encoding="utf-8")
    assert "Running on https" in log
    assert [line for line in log.splitlines() if "failed to save" in line] == []
