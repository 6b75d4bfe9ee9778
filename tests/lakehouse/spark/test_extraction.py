"""Extraction from a real PostgreSQL over TLS into the real tables: what is read, what is deleted, what a repetition does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.contracts.model import SourcePartitions, WatermarkColumn
from lakehouse.spark.silver import Findings
from tests.lakehouse.spark.small_contract import contract, not_null
from tests.source_database import Extractions, SourceDatabase, fed_by, source_database
from tests.spark_lake import Lake

pytestmark = pytest.mark.spark

TYPES: dict[str, str | dict[str, Any]] = {"id": "long", "name": "string", "changed": "timestamptz"}
WATERMARK = WatermarkColumn(column="changed", type="timestamptz", overlap=3600)
TABLE = "CREATE TABLE things (id bigint, name text, changed timestamptz)"

MakeRuns = Callable[..., Extractions]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceDatabase]:
    with source_database(tmp_path_factory.mktemp("source")) as database:
        yield database


@pytest.fixture
def runs(spark: SparkSession, source: SourceDatabase, tmp_path: Path) -> MakeRuns:
    def make(
        types: dict[str, str | dict[str, Any]] = TYPES, *, table: str = TABLE, rules: tuple[Any, ...] = (), **given: Any
    ) -> Extractions:
        source.execute("DROP TABLE IF EXISTS things CASCADE")
        source.execute(table)
        lake = Lake(spark=spark, contract=fed_by(contract(types=types, rules=rules), **given), folder=tmp_path)
        return Extractions(lake=lake, source=source)

    return make


def incremental(runs: MakeRuns, **given: Any) -> Extractions:
    return runs(mode="incremental", watermark=WATERMARK, **given)


def counts(silver: int = 0, *, superseded: int = 0, quarantined: int = 0, deleted: int = 0) -> dict[str, int]:
    rows_in = silver + superseded + quarantined + deleted
    return {"rows_in": rows_in, "silver": silver, "superseded": superseded, "quarantined": quarantined, "deleted": deleted}


def silver(world: Extractions, *columns: str) -> list[tuple[Any, ...]]:
    return world.lake.rows("silver", *(columns or ("id", "name")), order="id")


def test_inserts_updates_and_deletes_reach_silver(runs: MakeRuns) -> None:
    world = incremental(runs)
    world.source.execute("INSERT INTO things SELECT i, 'n' || i, now() - interval '2 days' FROM generate_series(1, 5) i")
    assert world.run().counts == counts(5)
    world.source.execute("UPDATE things SET name = 'passing', changed = now() WHERE id = 2")
    world.source.execute("UPDATE things SET name = 'new', changed = now() WHERE id = 2")
    world.source.execute("INSERT INTO things VALUES (6, 'n6', now()), (7, 'n7', now())")
    world.source.execute("DELETE FROM things WHERE id IN (4, 5, 7)")
    found = world.run()
    # Of the five rows that were dated two days ago, the two that remain besides the updated one are within the overlap below the mark.
    assert found.counts == counts(2, superseded=2, deleted=2)
    assert silver(world) == [(1, "n1"), (2, "new"), (3, "n3"), (6, "n6")]
    # A delete is a record of its own, and what came and went between two extractions was never seen: see "Reading the log instead" of docs/sources.md.
    bronze = world.lake.rows("bronze", "id", "name", "_operation")
    assert {key for key, _, operation in bronze if operation == "delete"} == {"4", "5"}
    assert "7" not in {key for key, _, _ in bronze}
    assert "passing" not in {name for _, name, _ in bronze}
    before = world.lake.table("silver").snapshot_id()
    assert world.run().written == 0
    assert world.lake.table("silver").snapshot_id() == before


def test_a_full_extraction_changes_only_what_changed(runs: MakeRuns) -> None:
    world = runs(partitions=SourcePartitions(column="id", type="long", count=3))
    world.source.execute("INSERT INTO things SELECT i, 'n' || i, NULL FROM generate_series(1, 100) i")
    assert world.run().counts == counts(100)
    world.source.execute("DELETE FROM things WHERE id > 90")
    world.source.execute("UPDATE things SET name = 'new' WHERE id = 1")
    assert world.run().counts == counts(1, superseded=89, deleted=10)
    assert len(silver(world)) == 90
    assert world.run().counts == counts(0, superseded=90)


def test_rows_committed_late_dated_into_the_future_or_without_a_date_are_read(runs: MakeRuns) -> None:
    world = incremental(runs, reconcile_seconds=None)
    world.source.execute(
        "INSERT INTO things VALUES (1, 'a', now()), (2, 'future', '9999-01-01'), (3, 'infinite', 'infinity'), (4, 'none', NULL)"
    )
    world.run()
    (mark,) = world.marks.values()
    assert str(mark) < "2100"
    world.source.execute(
        "INSERT INTO things VALUES (5, 'late', now() - interval '30 minutes'), (6, 'first', '-infinity'), (7, 'none', NULL)"
    )
    world.source.execute("UPDATE things SET name = 'later' WHERE id IN (2, 4)")
    world.run()
    assert silver(world) == [(1, "a"), (2, "later"), (4, "later"), (5, "late"), (7, "none")]
    # What the contract cannot hold is kept with its reason.
    assert sorted(set(world.lake.rows("quarantine", "id", "changed"))) == [("3", "infinity"), ("6", "-infinity")]


def test_rows_that_the_watermark_passed_over_are_found_by_their_keys(runs: MakeRuns) -> None:
    world = incremental(runs)
    world.source.execute("INSERT INTO things VALUES (1, 'a', now())")
    world.run()
    world.source.execute("INSERT INTO things VALUES (2, 'it''s late', now() - interval '5 days')")
    assert world.run().counts == counts(1, superseded=1)
    assert silver(world) == [(1, "a"), (2, "it's late")]


def test_keys_are_compared_as_often_as_the_contract_says(runs: MakeRuns) -> None:
    world = incremental(runs, reconcile_seconds=86_400)
    world.source.execute("INSERT INTO things VALUES (1, 'a', now()), (2, 'b', now())")
    world.run()
    world.source.execute("DELETE FROM things WHERE id = 2")
    assert world.run().counts == counts(0, superseded=1)
    name = next(name for name in world.marks if name.endswith("#reconciled"))
    world.marks[name] = "2020-01-01T00:00:00.000000"
    assert world.run().counts == counts(0, superseded=1, deleted=1)
    assert silver(world) == [(1, "a")]


def test_an_empty_table_and_an_empty_batch_are_no_fault(runs: MakeRuns) -> None:
    world = incremental(runs)
    assert world.run().counts == counts()
    assert [name for name in world.marks if not name.endswith("#reconciled")] == []
    world.source.execute("INSERT INTO things VALUES (1, 'a', now())")
    world.run()
    marks = dict(world.marks)
    world.source.execute("DELETE FROM things")
    assert world.run().counts == counts(deleted=1)
    assert {name: mark for name, mark in world.marks.items() if not name.endswith("#reconciled")} == {
        name: mark for name, mark in marks.items() if not name.endswith("#reconciled")
    }


class Killed(Exception):
    pass


@pytest.mark.parametrize("stage", ["ingest: snapshot taken", "ingest: keys compared", "ingest: bronze committed"])
def test_an_ingest_that_is_killed_is_repeated_without_loss_or_doubling(runs: MakeRuns, stage: str) -> None:
    world = incremental(runs)
    world.source.execute("INSERT INTO things VALUES (1, 'a', now()), (2, 'b', now())")
    world.run()
    world.source.execute("DELETE FROM things WHERE id = 1")
    world.source.execute("INSERT INTO things VALUES (3, 'c', now())")

    def killed(reached: str) -> None:
        if reached == stage:
            raise Killed

    run_id = world.new_run()
    with pytest.raises(Killed):
        world.extract(run_id, reached=killed)
    world.source.execute("INSERT INTO things VALUES (4, 'd', now())")
    again = world.extract(run_id)
    once_more = world.extract(run_id)
    assert (again.version, again.rows, again.marks) == (once_more.version, once_more.rows, once_more.marks)
    assert once_more.appended == 0
    world.refine(again.version, run_id)
    world.publish(again.marks)
    world.run()
    assert silver(world) == [(2, "b"), (3, "c"), (4, "d")]
    rows = world.lake.table("bronze").read().select("_source_version", "_row")
    assert rows.distinct().count() == rows.count()


@pytest.mark.parametrize(
    "stage", ["refine: quarantine committed", "refine: branch written", "refine: gate passed", "refine: silver published"]
)
def test_a_refine_that_is_killed_is_repeated_without_loss_or_doubling(runs: MakeRuns, stage: str) -> None:
    world = incremental(runs)
    world.source.execute("INSERT INTO things VALUES (1, 'a', now()), (2, 'b', now())")
    world.run()
    world.source.execute("DELETE FROM things WHERE id = 1")
    world.source.execute("UPDATE things SET name = 'new', changed = now()")

    def killed(reached: str) -> None:
        if reached == stage:
            raise Killed

    run_id = world.new_run()
    extracted = world.extract(run_id)
    with pytest.raises(Killed):
        world.refine(extracted.version, run_id, reached=killed)
    found = world.refine(extracted.version, run_id)
    assert found.counts == counts(1, deleted=1)
    assert silver(world) == [(2, "new")]


def test_an_extraction_older_than_the_published_one_is_superseded_whole(runs: MakeRuns) -> None:
    world = incremental(runs)
    world.source.execute("INSERT INTO things VALUES (1, 'a', now()), (2, 'b', now())")
    old_run = world.new_run()
    old = world.extract(old_run)
    world.source.execute("DELETE FROM things WHERE id = 1")
    world.run()
    assert silver(world) == [(2, "b")]
    found = world.refine(old.version, old_run)
    assert (found.counts, found.written) == (counts(superseded=2), 0)
    assert silver(world) == [(2, "b")]


def test_all_of_bronze_refined_anew_gives_the_same_silver(runs: MakeRuns) -> None:
    world = incremental(runs)
    world.source.execute("INSERT INTO things VALUES (1, 'a', now()), (2, 'b', now())")
    world.run()
    world.source.execute("DELETE FROM things WHERE id = 1")
    world.source.execute("UPDATE things SET name = 'new', changed = now()")
    world.run()
    assert world.run().counts == counts(0, superseded=1)
    before = world.lake.content("silver")
    found: Findings = world.refine(None, world.new_run())
    assert world.lake.content("silver") == before
    assert found.counts["rows_in"] == sum(found.counts[name] for name in ("silver", "superseded", "quarantined", "deleted"))


def test_a_row_that_is_bad_is_quarantined_once_though_keys_are_compared_every_time(runs: MakeRuns) -> None:
    world = incremental(runs, rules=(not_null("name"),))
    world.source.execute("INSERT INTO things VALUES (1, 'a', now() - interval '2 days'), (2, NULL, now() - interval '5 days')")
    assert world.run().counts == counts(1, quarantined=1)
    assert world.run().counts == counts(0, superseded=1)
    world.source.execute("UPDATE things SET name = 'mended' WHERE id = 2")
    assert world.run().counts == counts(1, superseded=1)
    assert silver(world) == [(1, "a"), (2, "mended")]


def test_what_changes_while_it_is_read_is_of_the_next_run(runs: MakeRuns) -> None:
    world = incremental(runs, partitions=SourcePartitions(column="id", type="long", count=4))
    world.source.execute("INSERT INTO things SELECT i, 'n', now() FROM generate_series(1, 50) i")

    def meanwhile(reached: str) -> None:
        if reached == "ingest: snapshot taken":
            world.source.execute("DELETE FROM things WHERE id <= 10")
            world.source.execute("UPDATE things SET name = 'moved', id = id + 1000, changed = now() WHERE id = 50")

    run_id = world.new_run()
    extracted = world.extract(run_id, reached=meanwhile)
    assert world.refine(extracted.version, run_id).counts == counts(50)
    world.publish(extracted.marks)
    world.run()
    assert silver(world, "id") == [(i,) for i in (*range(11, 50), 1050)]
