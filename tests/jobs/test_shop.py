"""The shop: three tables of a real PostgreSQL to gold by the jobs, changed between runs; gold is what SQL over the source says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jobs.transforms.shop import daily_sales
from lakehouse.errors import RunFailed
from lakehouse.watermarks import Watermarks
from lambdas.run_recorder.outcome import latest_attempts, outcome_of
from local.shop.database import TABLES, change, sales, seed
from tests.source_database import SECRET, SourceDatabase, source_database
from tests.spark_lake import Lake
from tests.spark_pipelines import Pipelines

pytestmark = pytest.mark.spark

MakeLake = Callable[[str], Lake]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceDatabase]:
    with source_database(tmp_path_factory.mktemp("shop")) as database:
        yield database


class Shop:
    """Runs of the shop's pipelines, with what the recorder does at their ends."""

    def __init__(self, pipelines: Pipelines, source: SourceDatabase, gold: Lake, dynamodb: Any) -> None:
        self.pipelines, self.source, self.gold = pipelines, source, gold
        self.watermarks = Watermarks(client=dynamodb, table="watermarks")

    def extract(self, table: str, run_id: str) -> dict[str, int]:
        pipeline = f"shop_{table}"
        self.pipelines.audit.start_run(pipeline=pipeline, run_id=run_id, trigger="schedule")
        address = str(self.source.address)
        more = ("--watermarks_table", "watermarks", "--source_address", address, "--source_secret_arn", SECRET)
        self.pipelines.step(pipeline=pipeline, run_id=run_id, step="ingest", writes=f"bronze.shop.{table}", more=more)
        self.pipelines.step(pipeline=pipeline, run_id=run_id, step="refine", writes=f"silver.shop.{table}")
        trail = self.pipelines.trail(pipeline, run_id)
        outcome = outcome_of(trail)
        assert outcome.status == "SUCCEEDED", outcome
        for step in latest_attempts(trail.steps):
            for name, mark in step.marks.items():
                self.watermarks.advance(pipeline=pipeline, name=name, to=mark, run_id=run_id)
        return outcome.counts

    def run(self, day: int) -> dict[str, dict[str, int]]:
        counts = {table: self.extract(table, f"0190-{day}") for table in TABLES}
        reads = ",".join(f"silver.shop.{table}" for table in TABLES)
        self.pipelines.audit.start_run(pipeline="shop_sales", run_id=f"0190-{day}", trigger="after")
        self.pipelines.step(
            pipeline="shop_sales", run_id=f"0190-{day}", step="publish", writes="gold.shop.daily_sales", reads=reads, transform=daily_sales
        )
        return counts

    def held(self) -> list[tuple[Any, ...]]:
        names = ("ordered_on", "segment", "product_id", "product", "orders", "quantity", "revenue")
        return sorted((str(row[0]), *row[1:]) for row in self.gold.rows("gold", *names))

    def wanted(self) -> list[tuple[Any, ...]]:
        with self.source.server.connect("shop") as connection:
            return sorted(sales(connection))


def test_gold_is_what_sql_over_the_source_says_after_every_day(
    lake: MakeLake, pipelines: Pipelines, source: SourceDatabase, dynamodb: Any
) -> None:
    for table in TABLES:
        lake(f"shop.{table}")
    shop = Shop(pipelines, source, lake("shop.daily_sales"), dynamodb)
    with source.server.connect("shop") as connection:
        first = seed(connection)
        connection.commit()
    counts = shop.run(0)
    assert {table: counts[table]["silver"] for table in TABLES} == {
        "customers": first.customers,
        "products": first.products,
        "orders": first.orders,
    }
    assert shop.held() == shop.wanted()
    with source.server.connect("shop") as connection:
        change(connection, day=1)
        connection.commit()
    counts = shop.run(1)
    assert all(counts[table]["deleted"] > 0 for table in TABLES)
    assert counts["orders"]["rows_in"] < first.orders / 2
    assert shop.held() == shop.wanted()
    before = shop.gold.table("gold").snapshot_id()
    again = shop.run(2)
    assert all(again[table]["silver"] == again[table]["deleted"] == 0 for table in TABLES)
    assert shop.gold.table("gold").snapshot_id() == before


def test_a_job_that_was_told_of_no_database_says_so(lake: MakeLake, pipelines: Pipelines) -> None:
    lake("shop.orders")
    pipelines.audit.start_run(pipeline="shop_orders", run_id="0190-9", trigger="schedule")
    with pytest.raises(RunFailed, match="was told no address"):
        pipelines.step(pipeline="shop_orders", run_id="0190-9", step="ingest", writes="bronze.shop.orders")
