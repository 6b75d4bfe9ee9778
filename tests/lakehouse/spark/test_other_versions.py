"""Jobs and tables of different versions of a contract, as between the stacks of a deployment and after a rollback."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.contracts.model import Quality
from lakehouse.contracts.tables import tables_of
from lakehouse.errors import RunFailed
from lakehouse.spark.gold import Publication
from lakehouse.spark.iceberg import IcebergTable
from tests.lakehouse.spark.small_contract import TYPES, contract, not_null
from tests.spark_lake import Lake, create_table

pytestmark = pytest.mark.spark

OLD, NEW = contract(), contract(types={**TYPES, "note": "string"})
OLD_HEADER, NEW_HEADER = b"id,name,amount,day\n", b"id,name,amount,day,note\n"

MakeLake = Callable[..., Lake]


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(spark=spark, contract=OLD, folder=tmp_path)


def _evolve(lake: Lake) -> None:
    """What a deployment of the new contract does to the tables."""
    for zone in ("bronze", "silver", "quarantine"):
        lake.spark.sql(f"ALTER TABLE lake.{zone}_test.things ADD COLUMN note string")


def test_the_former_job_goes_on_with_tables_that_have_a_column_more(lake: Lake) -> None:
    lake.run(lake.deliver("a.csv", OLD_HEADER + b"1,a,1.00,2026-01-01\n,x,1.00,2026-01-01\n"))
    _evolve(lake)
    file = lake.deliver("b.csv", NEW_HEADER + b"1,b,2.00,2026-01-02,kept\n2,c,1.00,2026-01-01,kept\n,y,1.00,2026-01-01,kept\n")
    assert lake.run(file).counts == {"rows_in": 3, "silver": 2, "superseded": 0, "quarantined": 1}
    assert lake.rows("silver", "id", "name", "note", order="id") == [(1, "b", None), (2, "c", None)]
    assert [extra for file, extra in lake.rows("bronze", "_source_file", "_extra") if file.endswith("b.csv")] == [{"note": "kept"}] * 3
    assert lake.table("quarantine").rows() == 2


def test_rows_that_are_older_than_a_column_are_judged_again(lake: Lake) -> None:
    old = lake.deliver("a.csv", OLD_HEADER + b"1,a,1.00,2026-01-01\n,x,1.00,2026-01-01\n")
    lake.run(old)
    before = lake.snapshots()
    _evolve(lake)
    lake.contract = NEW
    assert lake.run(old).counts == {"rows_in": 2, "silver": 1, "superseded": 0, "quarantined": 1}
    assert lake.snapshots() == before
    assert lake.refine(None).written == 0
    lake.run(lake.deliver("b.csv", NEW_HEADER + b"1,b,2.00,2026-01-02,kept\n"))
    assert lake.rows("silver", "id", "name", "note") == [(1, "b", "kept")]


def test_rows_that_are_older_than_a_column_leave_quarantine_when_a_changed_contract_takes_them(lake: Lake) -> None:
    lake.contract = replace(OLD, quality=Quality(rules=(not_null("id"), not_null("day"))))
    old = lake.deliver("a.csv", OLD_HEADER + b"1,a,1.00,2026-01-01\n2,b,1.00,\n,x,1.00,2026-01-01\n")
    assert lake.run(old).counts == {"rows_in": 3, "silver": 1, "superseded": 0, "quarantined": 2}
    _evolve(lake)
    lake.contract = replace(NEW, quality=Quality(rules=(not_null("id"),)))
    assert lake.run(old).counts == {"rows_in": 3, "silver": 2, "superseded": 0, "quarantined": 1}
    assert lake.table("quarantine").rows() == 1


def test_a_job_that_is_ahead_of_its_tables_says_what_to_deploy(lake: Lake) -> None:
    lake.contract = NEW
    file = lake.deliver("b.csv", NEW_HEADER + b"1,b,2.00,2026-01-02,kept\n")
    with pytest.raises(RunFailed, match=r"bronze_test\.things has no column note.*deploy every stack"):
        lake.ingest([file])
    assert lake.table("bronze").rows() == 0
    with pytest.raises(RunFailed, match="has no column note"):
        lake.refine([file])


@pytest.mark.parametrize("name", ["silver_test.nothing", "nowhere.things"])
def test_a_table_or_database_that_is_not_there_says_what_to_deploy(spark: SparkSession, name: str) -> None:
    with pytest.raises(RunFailed, match=rf"^job_failed: lake\.{name} is not in the catalog: .*deploy every stack"):
        IcebergTable(spark, name)


def test_a_gold_table_that_gains_a_column_is_published_again(spark: SparkSession) -> None:
    gold = replace(OLD, zone="gold", source=None, raw=(), quality=Quality(rules=()))
    (definition,) = tables_of(gold)
    create_table(spark, definition)

    def publish(contract_: object, sql: str) -> dict[str, int]:
        assert isinstance(contract_, type(gold))
        table = IcebergTable(spark, "gold_test.things")
        publication = Publication(
            contract=contract_, table=table, run_id="run-1", other=lambda _: None, tell=lambda _: None, reached=lambda _: None
        )
        return publication.run(spark.sql(sql))

    old = "SELECT 1L id, 'a' name, 1.00 amount, DATE '2026-01-01' day"
    new = f"{old}, 'noted' note"
    assert publish(gold, old)["inserted"] == 1
    ahead = replace(gold, columns=NEW.columns)
    with pytest.raises(RunFailed, match="has no column note"):
        publish(ahead, new)
    spark.sql("ALTER TABLE lake.gold_test.things ADD COLUMN note string")
    assert publish(gold, old) == {"rows": 1, "inserted": 0, "updated": 0, "deleted": 0}
    assert publish(ahead, new)["updated"] == 1
    assert [row["note"] for row in IcebergTable(spark, "gold_test.things").read().collect()] == ["noted"]
    assert publish(gold, f"{old} UNION ALL SELECT 2L, 'b', 1.00, DATE '2026-01-01'")["inserted"] == 1
