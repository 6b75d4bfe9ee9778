"""Erasure on real tables: after it, no file of theirs says the key, and every other row is where it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pyspark.sql import SparkSession

from lakehouse.contracts.model import CompiledContract, RawColumn
from lakehouse.erasures import ErasureReport, ErasureRequest, ErasureStore, key_digest
from lakehouse.errors import RunFailed
from lakehouse.leases import Holder, Leases
from lakehouse.spark.erasure_run import ErasureArguments, ErasureRun
from lakehouse.spark.history import PastTable
from tests.haystack import unpacked
from tests.lakehouse.spark.small_contract import column, contract
from tests.lambdas.world import make_tables
from tests.spark_lake import Lake

pytestmark = pytest.mark.spark

HEADER = b"id,name,amount,day\n"
KEY, NAME = 123456789, "Forget Me"
NEEDLES = (str(KEY).encode(), KEY.to_bytes(8, "little"), NAME.encode())
"""The key and the name as text, and the key as Iceberg writes it into manifests."""

RUN_ID = "01a201a0-1c80-7c2b-be13-48e1e7f330c5"
ZONES = ("bronze", "silver", "quarantine")


@dataclass
class World:
    """A lake, and the services that an erasure asks."""

    lake: Lake
    s3: Any
    dynamodb: Any
    stages: list[str]

    def request(self, **changes: Any) -> ErasureRequest:
        plain = ErasureRequest(
            run_id=RUN_ID, dataset="test.things", key={"id": str(KEY)}, is_erasing=True, is_resumed=False, requested_by="ann"
        )
        return replace(plain, **changes)

    def run(self, *, stop_at: str = "", **changes: Any) -> ErasureReport:
        request = self.request(**changes)

        def reached(stage: str) -> None:
            self.stages.append(stage)
            if stage == stop_at:
                raise RuntimeError(f"killed at {stage}")

        arguments = ErasureArguments.parse([
            *("--request", ErasureStore(client=self.s3, bucket="logs-bucket").ask(request), "--contracts", "contracts"),
            *("--audit_table", "audit", "--control_table", "control", "--audit_ttl_days", "7", "--seconds", "600", "--env", "test", "--JOB_RUN_ID", "jr_1"),
            *(word for zone in ("raw", *ZONES, "logs") for word in (f"--{zone}_bucket", f"{zone}-bucket")),
        ])  # fmt: skip
        made = ErasureRun(
            arguments,
            s3=self.s3,
            dynamodb=self.dynamodb,
            contracts=lambda _: {"test.things": self.lake.contract.to_dict()},
            spark=lambda _: self.lake.spark,
            reached=reached,
            clock=lambda: datetime.now(UTC),
        )
        return made.run()

    @property
    def report(self) -> ErasureReport | None:
        return ErasureStore(client=self.s3, bucket="logs-bucket").reported("test.things", RUN_ID)

    @property
    def runs(self) -> list[dict[str, Any]]:
        items = self.dynamodb.scan(TableName="audit")["Items"]
        return [{name: next(iter(value.values())) for name, value in item.items()} for item in items]

    def table(self, zone: str) -> PastTable:
        return PastTable(self.lake.spark, f"{zone}_test.things")

    def found_in(self, zone: str) -> list[str]:
        """Files that the table's metadata refers to and that say the key or the name."""
        found: list[str] = []
        for address in self.table(zone).referred():
            content = unpacked(Path(address.removeprefix("file:")).read_bytes())
            found += [f"{Path(address).name}: {needle!r}" for needle in NEEDLES if needle in content]
        return found

    def others(self, zone: str) -> list[str]:
        """Every row without the key."""
        return [row for row in self.lake.content(zone) if str(KEY) not in row]


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path) -> Iterator[World]:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        for zone in ("raw", *ZONES, "logs"):
            s3.create_bucket(Bucket=f"{zone}-bucket")
            s3.put_bucket_versioning(Bucket=f"{zone}-bucket", VersioningConfiguration={"Status": "Enabled"})
        dynamodb = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        make_tables(dynamodb)
        yield World(lake=Lake(spark=spark, contract=contract(), folder=tmp_path), s3=s3, dynamodb=dynamodb, stages=[])


def fill(lake: Lake) -> None:
    """A key with a clean row, two that gave way to it, one in quarantine, over several snapshots; other rows beside it in each file."""
    for name, content in (
        ("a.csv", f"1,one,1.00,2026-01-01\n{KEY},{NAME} at first,1.00,2026-01-01\n"),
        ("b.csv", f"2,two,1.00,2026-01-01\n00{KEY},{NAME} later,2.00,2026-01-02\n"),
        ("c.csv", f"{KEY},{NAME} at last,3.00,2026-01-03\n"),
        ("d.csv", f"{KEY},{NAME} twice,1.00,2026-01-03\n{KEY},{NAME} again,2.00,2026-01-03\n3,three,x,2026-01-03\n,nobody,1,2026-01-01\n"),
    ):
        lake.run(lake.deliver(name, HEADER + content.encode()))


def test_no_file_of_a_table_says_the_key_and_every_other_row_is_where_it_was(world: World) -> None:
    fill(world.lake)
    others = {zone: world.others(zone) for zone in ZONES}
    for zone in ZONES:
        assert {place.split(":")[0].rpartition(".")[2] for place in world.found_in(zone)} == {"avro", "parquet"}, (
            "the search finds what is there"
        )
    report = world.run()
    assert report.outcome == "ERASED"
    assert {zone: world.found_in(zone) for zone in ZONES} == {zone: [] for zone in ZONES}
    assert {zone: world.lake.content(zone) for zone in ZONES} == others
    assert {table.table: (table.rows, table.others) for table in report.tables} == {
        "bronze.test.things": (5, 4),
        "silver.test.things": (1, 2),
        "quarantine.test.things": (1, 2),
    }
    for zone in ZONES:
        assert (world.table(zone).snapshots, world.table(zone).dead_entries, world.table(zone).branches) == (1, 0, ("main",))
    (run,) = world.runs
    assert (run["pipeline"], run["status"], run["batch_id"]) == (
        "erase/test.things",
        "SUCCEEDED",
        key_digest("test.things", {"id": str(KEY)}),
    )
    assert "asked for by ann" in run["message"]
    assert str(KEY) not in str(run)
    logs = world.s3.list_object_versions(Bucket="logs-bucket")["Versions"]
    assert [entry["Key"] for entry in logs] == [f"erasures/reports/test/{RUN_ID}.json"], "the request is gone"
    # A run that is repeated brings nothing back, and its books are straight.
    before = world.lake.snapshots()
    assert world.lake.refine(None).counts == {"rows_in": 4, "silver": 2, "superseded": 0, "quarantined": 2}
    assert world.lake.snapshots() == before


def one(lake: Lake) -> None:
    """A key with one row, in a file of its own but for another row."""
    lake.run(lake.deliver("a.csv", HEADER + f"1,one,1.00,2026-01-01\n{KEY},{NAME},1.00,2026-01-01\n".encode()))


def test_what_is_not_erased_is_left_as_it_is(world: World, spark: SparkSession) -> None:
    one(world.lake)
    before = world.lake.snapshots()
    report = world.run(is_erasing=False)
    assert (report.outcome, [table.rows for table in report.tables]) == ("PLANNED", [1, 0, 1])
    report = world.run(key={"id": "999"})
    assert (report.outcome, report.message) == ("NOT_FOUND", "no row of test.things has this id")
    with pytest.raises(RunFailed, match=r"erasure_refused: the value of id cannot be read as long"):
        world.run(key={"id": "4711x"})
    assert world.report is not None
    assert world.report.outcome == "REFUSED"
    assert "4711x" not in str(world.report)
    leases = Leases(client=world.dynamodb, table="control")
    holder = Holder(pipeline="things", run_id="run-9")
    leases.acquire(tables=["quarantine_test.things"], holder=holder, seconds=600, is_over=lambda _: False)
    with pytest.raises(RunFailed, match=r"erasure_conflict: run run-9 of things is under way on tables of test\.things"):
        world.run()
    leases.release(holder)
    spark.sql("ALTER TABLE lake.silver_test.things CREATE TAG audit_2026")
    with pytest.raises(RunFailed, match=r"erasure_refused: .*silver_test\.things has branches or tags that keep old rows: audit_2026"):
        world.run()
    assert leases.holder("silver_test.things") is None, "the eraser gives its leases back"
    assert world.lake.snapshots() == before
    assert world.runs == []


def test_a_table_that_held_nothing_else_is_empty_and_takes_rows_again(world: World) -> None:
    world.lake.run(world.lake.deliver("a.csv", HEADER + f"{KEY},{NAME},1.00,2026-01-01\n".encode()))
    assert world.run().outcome == "ERASED"
    assert {zone: world.lake.content(zone) for zone in ZONES} == {zone: [] for zone in ZONES}
    assert {zone: world.found_in(zone) for zone in ZONES} == {zone: [] for zone in ZONES}
    world.lake.run(world.lake.deliver("b.csv", HEADER + b"1,one,1.00,2026-01-01\n"))
    assert len(world.lake.content("silver")) == 1


def test_an_erasure_that_was_killed_is_gone_on_with(world: World) -> None:
    one(world.lake)
    for number, stage in enumerate(("erase: raw files deleted", "erase: rows deleted from silver", "erase: past of bronze forgotten")):
        with pytest.raises(RuntimeError, match="killed"):
            world.run(stop_at=stage, is_resumed=number > 0, run_id=f"01a201a0-1c80-7c2b-be13-48e1e7f330d{number}")
    assert {(run["status"], run["reason"]) for run in world.runs} == {("FAILED", "job_failed")}
    assert world.run(is_resumed=True).outcome == "ERASED"
    assert {zone: world.found_in(zone) for zone in ZONES} == {zone: [] for zone in ZONES}


def test_a_branch_of_a_killed_run_goes_with_its_rows(world: World) -> None:
    one(world.lake)
    silver = world.lake.table("silver")
    silver.create_branch("run_killed")
    silver.append(silver.read(), branch="run_killed", properties={})
    assert world.run().outcome == "ERASED"
    assert world.found_in("silver") == []


def test_a_record_that_may_hold_the_key_and_cannot_be_read_is_told(world: World) -> None:
    one(world.lake)
    world.lake.run(
        world.lake.deliver("e.csv", HEADER + f"{KEY},too,many,values,here\n7,too,many,values,here\n{KEY}x,bad,1.00,2026-01-01\n".encode())
    )
    report = world.run()
    assert report.outcome == "INCOMPLETE"
    assert {table.table: table.unreadable for table in report.tables} == {
        "bronze.test.things": 2, "silver.test.things": 0, "quarantine.test.things": 2,
    }  # fmt: skip
    assert report.message.startswith("2 rows whose key cannot be read")
    (run,) = world.runs
    assert (run["status"], run["reason"]) == ("FAILED", "erasure_incomplete")


def test_a_part_of_a_key_means_every_row_that_has_it(spark: SparkSession, tmp_path: Path, world: World) -> None:
    lake = Lake(spark=spark, contract=_two_keys(), folder=tmp_path)
    lake.run(lake.deliver("a.csv", b"id,place,name\n1,1,a\n1,2,b\n2,1,c\n"))
    both = replace(world, lake=lake)
    report = both.run(key={"id": "1"})
    assert report.outcome == "ERASED"
    assert {table.table.partition(".")[0]: table.rows for table in report.tables} == {"bronze": 2, "silver": 2, "quarantine": 0}
    assert [row[:3] for row in lake.rows("silver", "id", "place", "name")] == [(2, 1, "c")]


def _two_keys() -> CompiledContract:
    types: dict[str, Any] = {"id": "long", "place": "int", "name": "string"}
    columns = tuple(
        column(name, type_, field_id=number, required=name != "name") for number, (name, type_) in enumerate(types.items(), start=1)
    )
    return replace(
        contract(types={"id": "long"}),
        columns=columns,
        keys=("id", "place"),
        raw=tuple(RawColumn(name=name, field_id=10_100 + number) for number, name in enumerate(types)),
    )
