"""One row of a group from a real PostgreSQL to a table that nobody described: made, widened, repeated, refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.audit import AuditTrail
from lakehouse.errors import RunFailed
from lakehouse.rows import RowTable, parse_row
from lakehouse.spark.extraction import Extracted
from lakehouse.spark.progress import Reached
from lakehouse.spark.row_run import RowArguments, RowRun
from lakehouse.watermarks import Watermarks
from tests.lakehouse.state_tables import state_tables
from tests.lambdas.world import AUDIT, CONTROL, LINEAGE, WATERMARKS
from tests.source_database import SECRET, SourceDatabase, source_database
from tests.spark_pipelines import LocalServices

pytestmark = pytest.mark.spark

GROUP = "shop_tables"
FULL = {"row": "things", "table": "public.things", "keys": ["id"], "mode": "full"}
INCREMENTAL = {**FULL, "mode": "incremental", "watermark": "changed", "overlap": "PT1H"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceDatabase]:
    with source_database(tmp_path_factory.mktemp("source")) as database:
        yield database


class Stop(BaseException):
    """The driver is killed here."""


class Group:
    """Runs of rows, with what the machine and the recorder do around them."""

    def __init__(self, spark: SparkSession, source: SourceDatabase, dynamodb: Any, folder: Path) -> None:
        self.spark, self.source, self.dynamodb = spark, source, dynamodb
        self.rows = RowTable(client=dynamodb, table=CONTROL)
        self.audit = AuditTrail(client=dynamodb, table=AUDIT)
        self.marks = Watermarks(client=dynamodb, table=WATERMARKS)
        self.services = LocalServices(dynamodb=dynamodb, folder=folder, contracts={})
        self.runs = 0

    def put(self, document: dict[str, Any]) -> None:
        self.rows.put(GROUP, parse_row(document))

    def run(self, row: str = "things", *, run_id: str = "", reached: Reached = lambda _: None) -> Extracted:
        self.runs += 1
        run_id, pipeline = run_id or f"0190-{self.runs:04d}", f"{GROUP}.{row}"
        self.audit.start_run(pipeline=pipeline, run_id=run_id, trigger="schedule")
        arguments = RowArguments.parse([
            *("--env", "local", "--project", "lakehouse", "--pipeline", pipeline, "--step", "extract", "--group", GROUP, "--row", row),
            *("--domain", "rowtest", "--connection", "shop", "--control_table", CONTROL, "--audit_table", AUDIT, "--lineage_table", LINEAGE),
            *("--watermarks_table", WATERMARKS, "--source_address", str(self.source.address), "--source_secret_arn", SECRET),
            *("--run_id", run_id, "--manifest", "none", "--batch_id", "none", "--JOB_RUN_ID", f"jr-{self.runs}", "--enable-metrics", "true"),
        ])  # fmt: skip
        with RowRun(arguments, rows=self.rows, services=self.services, spark=self.spark, reached=reached) as run:
            found = run.extract()
        (*_, step) = self.audit.trail(run_id, pipeline=pipeline).steps
        for name, mark in step.marks.items():
            self.marks.advance(pipeline=pipeline, name=name, to=mark, run_id=run_id)
        return found

    def table(self, *columns: str, table: str = "things") -> list[tuple[Any, ...]]:
        names = ", ".join((*columns, "_operation"))
        return [
            tuple(row) for row in self.spark.sql(f"SELECT {names} FROM lake.bronze_rowtest.{table} ORDER BY _sequence, {names}").collect()
        ]


@pytest.fixture
def group(spark: SparkSession, source: SourceDatabase, tmp_path: Path) -> Iterator[Group]:
    source.execute("DROP TABLE IF EXISTS things CASCADE")
    source.execute("CREATE TABLE things (id bigint PRIMARY KEY, name text, price numeric(12, 2), changed timestamptz)")
    spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.bronze_rowtest")
    for table in spark.sql("SHOW TABLES IN lake.bronze_rowtest").collect():
        spark.sql(f"DROP TABLE lake.bronze_rowtest.{table['tableName']} PURGE")
    with state_tables() as (dynamodb, _):
        yield Group(spark, source, dynamodb, tmp_path)


def test_the_first_run_makes_the_table_of_what_the_source_has(group: Group) -> None:
    group.put(FULL)
    group.source.execute("INSERT INTO things VALUES (1, 'a', 1.50, '2026-01-01 00:00:00+00'), (2, NULL, NULL, NULL)")
    assert group.run().appended == 2
    assert group.table("id", "name", "price", "changed") == [
        ("1", "a", "1.50", "2026-01-01 00:00:00+00", None),
        ("2", None, None, None, None),
    ]
    described = {row["col_name"]: row["comment"] for row in group.spark.sql("DESCRIBE lake.bronze_rowtest.things").collect()}
    assert described["price"] == "source type numeric(12,2)"


def test_a_second_run_changes_nothing_and_later_ones_only_what_changed(group: Group) -> None:
    group.put(FULL)
    group.source.execute("INSERT INTO things SELECT i, 'n' || i, i, now() FROM generate_series(1, 50) i")
    assert group.run().appended == 50
    assert group.run().appended == 0
    group.source.execute("UPDATE things SET name = 'new' WHERE id = 7")
    group.source.execute("DELETE FROM things WHERE id IN (8, 9)")
    group.source.execute("INSERT INTO things VALUES (51, 'n51', 51, now())")
    assert group.run().appended == 4
    assert group.table("id", "name")[50:] == [("51", "n51", None), ("7", "new", None), ("8", None, "delete"), ("9", None, "delete")]
    assert group.run().appended == 0
    group.source.execute("INSERT INTO things VALUES (8, 'back', 1, now())")
    assert group.run().appended == 1
    assert group.run().appended == 0


def test_an_incremental_row_reads_from_its_own_mark_and_repeats_nothing(group: Group) -> None:
    group.put(INCREMENTAL)
    group.source.execute("INSERT INTO things SELECT i, 'n' || i, i, now() - interval '2 days' FROM generate_series(1, 5) i")
    assert group.run().appended == 5
    group.source.execute("INSERT INTO things VALUES (6, 'n6', 6, now() - interval '30 minutes'), (7, 'old', 7, now() - interval '9 days')")
    group.source.execute("UPDATE things SET name = 'new', changed = now() WHERE id = 2")
    group.source.execute("DELETE FROM things WHERE id = 1")
    # The row that is dated far back lies below the mark, and deletes are found in full mode only.
    assert group.run().appended == 2
    assert group.table("id", "name")[5:] == [("2", "new", None), ("6", "n6", None)]
    (mark,) = (item for item in group.dynamodb.scan(TableName=WATERMARKS)["Items"] if item["pk"]["S"] == f"{GROUP}.things")
    assert "rowtest.things/jdbc:shop/public.things/changed" in mark["sk"]["S"]
    assert group.run().appended == 0


@pytest.mark.parametrize("stage", ["extract: table ready", "ingest: snapshot taken", "ingest: bronze committed", "audit: last write"])
def test_a_run_that_is_killed_and_repeated_ends_the_same(group: Group, stage: str) -> None:
    group.put(FULL)
    group.source.execute("INSERT INTO things SELECT i, 'n' || i, i, now() FROM generate_series(1, 5) i")

    def kill(reached: str) -> None:
        if reached == stage:
            raise Stop(reached)

    with pytest.raises(Stop):
        group.run(run_id="0190-kill", reached=kill)
    assert group.run(run_id="0190-kill").rows == 5
    assert len(group.table("id")) == 5
    assert group.run().appended == 0


def test_a_new_column_widens_the_table_and_what_it_says_is_a_change(group: Group) -> None:
    group.put(FULL)
    group.source.execute("INSERT INTO things VALUES (1, 'a', 1, now()), (2, 'b', 2, now())")
    group.run()
    group.source.execute("ALTER TABLE things ADD COLUMN colour text")
    group.source.execute("UPDATE things SET colour = 'red' WHERE id = 2")
    assert group.run().appended == 1
    assert group.table("id", "colour") == [("1", None, None), ("2", None, None), ("2", "red", None)]
    assert group.run().appended == 0


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        ("ALTER TABLE things DROP COLUMN name", "source_column_missing", "lacks name, which bronze_rowtest.things has"),
        ("ALTER TABLE things ALTER COLUMN price TYPE text", "source_column_retyped", "price was numeric(12,2) and is text"),
        ("DROP TABLE things", "source_table_missing", "the source has no table public.things"),
        ('ALTER TABLE things ADD COLUMN "Name" text', "row_invalid", "differs from 'name' in case alone"),
    ],
)
def test_any_other_drift_fails_the_row_and_leaves_its_table(group: Group, change: str, reason: str, said: str) -> None:
    group.put(FULL)
    group.source.execute("INSERT INTO things VALUES (1, 'a', 1, now())")
    group.run()
    before = group.table("id", "name", "price")
    group.source.execute(change)
    with pytest.raises(RunFailed) as refused:
        group.run()
    assert (refused.value.reason, said in refused.value.message) == (reason, True), refused.value.message
    assert group.table("id", "name", "price") == before
    step = group.audit.trail("0190-0002", pipeline=f"{GROUP}.things").steps[-1]
    assert (step.status, step.message.partition(":")[0]) == ("FAILED", reason)


def test_keys_that_are_none_fail_the_row(group: Group) -> None:
    group.put({**FULL, "keys": ["name"]})
    group.source.execute("INSERT INTO things VALUES (1, 'a', 1, now()), (2, 'a', 2, now())")
    with pytest.raises(RunFailed, match="key_not_unique: the source has 2 rows with name=a"):
        group.run()
    assert group.table("id") == []


def test_a_table_of_another_row_or_of_nobody_is_refused(group: Group) -> None:
    group.put({**FULL, "target": "copy"})
    group.put({**FULL, "row": "other", "target": "copy"})
    group.run()
    with pytest.raises(RunFailed, match=r"row_invalid: target: bronze_rowtest.copy belongs to the row shop_tables.things"):
        group.run("other")
    group.spark.sql("CREATE TABLE lake.bronze_rowtest.foreign_made (id string) USING iceberg")
    group.put({**FULL, "row": "third", "target": "foreign_made"})
    with pytest.raises(RunFailed, match=r"row_invalid: target: .* was made by somebody else"):
        group.run("third")


def test_a_row_that_is_gone_or_was_spoilt_says_so(group: Group) -> None:
    with pytest.raises(RunFailed, match="row_invalid: row: shop_tables has no row things any more"):
        group.run()
    group.dynamodb.put_item(TableName=CONTROL, Item={"pk": {"S": f"rows#{GROUP}"}, "sk": {"S": "things"}, "mode": {"S": "weekly"}})
    with pytest.raises(RunFailed, match=r"row_invalid: .*'weekly' is not a mode"):
        group.run()
