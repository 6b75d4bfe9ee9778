"""The source block of a dataset that a database feeds: what it compiles to, and every refusal with its fix."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lakehouse.clock import duration_seconds
from lakehouse.contracts.model import CompiledContract, DatabaseSource, SourcePartitions, WatermarkColumn
from lakehouse.contracts.tables import table_of
from tests.contract_project import Alter, Document, Project

SERVER = {
    "server": "shop",
    "type": "postgresql",
    "host": "${DATABASE_HOST}",
    "port": 5432,
    "database": "shop",
    "schema": "public",
}
SOURCE = {
    "table": "orders",
    "mode": "incremental",
    "watermarkColumn": "updated_at",
    "overlap": "PT15M",
    "partitionColumn": "order_id",
    "partitions": 4,
    "reconcile": "P1D",
    "fetchSize": 5000,
}
BLOCK = "schema[0].customProperties[0].value"


def database(server: Document | None = None, write: Document | None = None, drop: tuple[str, ...] = (), **source: Any) -> Alter:
    """The good contract, fed by a table."""

    def alter(document: Document) -> None:
        document["servers"][0] = {key: entry for key, entry in {**SERVER, **(server or {})}.items() if entry is not None}
        table = document["schema"][0]
        table["properties"].append(
            {
                "id": "updated_at",
                "name": "updated_at",
                "logicalType": "timestamp",
                "logicalTypeOptions": {"timezone": True},
                "classification": "internal",
                "transformSourceObjects": ["raw.updated_at"],
            }
        )
        value = {key: entry for key, entry in {**copy.deepcopy(SOURCE), **source}.items() if key not in drop}
        table["customProperties"] = [{"property": "source", "value": value, "vendor": "lakehouse"}]
        if write is not None:
            table["customProperties"].append({"property": "write", "value": write, "vendor": "lakehouse"})

    return alter


def column(name: str, alter: Alter | None = None, **changes: Any) -> Alter:
    def altered(document: Document) -> None:
        (alter or database())(document)
        (node,) = (node for node in document["schema"][0]["properties"] if node["name"] == name)
        node.update(changes)

    return altered


def compiled(project: Project, alter: Alter) -> CompiledContract:
    project.alter(alter)
    project.lock()
    return project.compile()["sales.orders"]


def test_a_table_with_watermark_and_partitions(project: Project) -> None:
    contract = compiled(project, database())
    assert contract.database == DatabaseSource(
        connection="shop",
        engine="postgresql",
        schema="public",
        table="orders",
        mode="incremental",
        watermark=WatermarkColumn(column="updated_at", type="timestamptz", overlap=900),
        partitions=SourcePartitions(column="order_id", type="long", count=4),
        reconcile_seconds=86_400,
        fetch_size=5000,
    )
    assert contract.database is not None
    assert contract.database.uri == "jdbc:shop/public.orders"
    assert CompiledContract.from_json(contract.to_json()) == contract


def test_a_full_extraction_compares_keys_every_time(project: Project) -> None:
    contract = compiled(project, database(drop=("watermarkColumn", "overlap", "reconcile", "partitionColumn", "partitions"), mode="full"))
    assert contract.database is not None
    assert (contract.database.watermark, contract.database.partitions, contract.database.reconcile_seconds) == (None, None, 0)


def test_bronze_and_quarantine_tell_what_a_record_says_of_its_key(project: Project) -> None:
    contract = compiled(project, database())
    for zone in ("bronze", "quarantine"):
        fields = {field["name"]: field["id"] for field in table_of(contract, zone).fields}
        assert fields["_operation"] == 10_015
    assert "_operation" not in {field["name"] for field in table_of(contract, "silver").fields}
    assert contract.source is not None
    assert contract.source.formats == ()


@pytest.mark.parametrize(
    ("watermark", "overlap", "expected"),
    [("updated_at", "PT0S", 0), ("updated_at", "P1DT2H", 93_600), ("ordered", "P2D", 2), ("order_id", 1000, 1000), ("order_id", 0, 0)],
)
def test_the_overlap_is_in_the_units_of_the_watermark(project: Project, watermark: str, overlap: object, expected: int) -> None:
    contract = compiled(project, database(watermarkColumn=watermark, overlap=overlap))
    assert contract.database is not None
    assert contract.database.watermark is not None
    assert contract.database.watermark.overlap == expected


CASES: dict[str, tuple[Alter, str, str, str]] = {
    "mysql": (database(server={"type": "mysql", "schema": None}), "servers[0].type", "mysql cannot be applied yet", "exports no snapshot"),
    "short name": (database(server={"type": "postgres"}), "servers[0].type", "spelled postgresql", "type: postgresql"),
    "host written out": (
        database(server={"host": "db.example.com"}),
        "servers[0].host",
        "differs between environments",
        "${DATABASE_HOST}",
    ),
    "name of no connection": (database(server={"server": "The_Shop"}), "servers[0].server", "not the name of a connection", "config/"),
    "typo": (database(watermark="updated_at"), f"{BLOCK}.watermark", "is not a key", "did you mean 'watermarkColumn'"),
    "query": (database(query="SELECT 1"), f"{BLOCK}.query", "neither split into partitions", "make a view"),
    "format of files": (database(delimiter=";"), f"{BLOCK}.delimiter", "describes files", "remove it"),
    "no table": (database(drop=("table",)), BLOCK, "has no table", "add table"),
    "table of another schema": (database(table=5), f"{BLOCK}.table", "is not a name", "no schema"),
    "no mode": (database(drop=("mode",)), BLOCK, "does not say how the table is read", "mode: full"),
    "other mode": (database(mode="delta"), f"{BLOCK}.mode", "'delta' is not a mode", "full"),
    "watermark without overlap": (database(drop=("overlap",)), BLOCK, "has no overlap", "committed late"),
    "no watermark": (database(drop=("watermarkColumn",)), BLOCK, "has no watermarkColumn", "updated_at"),
    "watermark nobody reads": (
        database(watermarkColumn="changed"),
        f"{BLOCK}.watermarkColumn",
        "no column of the contract reads",
        "use one",
    ),
    "watermark of text": (database(watermarkColumn="status"), f"{BLOCK}.watermarkColumn", "is string", "timestamptz"),
    "watermark that is computed": (
        column("updated_at", transformLogic="trim(updated_at)"),
        f"{BLOCK}.watermarkColumn",
        "feeds no column as it is",
        "without transformLogic",
    ),
    "overlap in months": (database(overlap="P1M"), f"{BLOCK}.overlap", "is not a duration", "PT15M"),
    "overlap that is empty": (database(overlap="PT"), f"{BLOCK}.overlap", "is not a duration", "PT15M"),
    "overlap in hours of a date": (database(watermarkColumn="ordered"), f"{BLOCK}.overlap", "not a number of days", "P1D"),
    "overlap of a number as time": (database(watermarkColumn="order_id"), f"{BLOCK}.overlap", "not a number of steps", "1000"),
    "watermark of a full read": (
        database(mode="full", drop=("overlap", "reconcile")),
        f"{BLOCK}.watermarkColumn",
        "no meaning",
        "remove it",
    ),
    "partitions without a column": (database(drop=("partitionColumn",)), f"{BLOCK}.partitions", "needs a partitionColumn", "add"),
    "too many partitions": (database(partitions=51), f"{BLOCK}.partitions", "from 1 to 50", "a connection"),
    "partitions of text": (database(partitionColumn="status"), f"{BLOCK}.partitionColumn", "cannot be split", "decimal"),
    "rows fetched all at once": (database(fetchSize=0), f"{BLOCK}.fetchSize", "from 1 to 100000", "fetchSize: 10000"),
    "reconcile sometimes": (database(reconcile="often"), f"{BLOCK}.reconcile", "does not say when", "always, never"),
    "reconcile of a full read": (
        database(mode="full", drop=("overlap", "watermarkColumn")),
        f"{BLOCK}.reconcile",
        "always done in a full extraction",
        "remove it",
    ),
    "order of rows": (
        database(write={"mode": "merge", "sequenceBy": "ordered"}),
        "schema[0].customProperties[1].value.sequenceBy",
        "ordered by the snapshot",
        "remove sequenceBy",
    ),
    "key that is computed": (
        column("order_id", transformLogic="abs(order_id)", alter=database(drop=("partitionColumn", "partitions"))),
        "schema[0].properties[0]",
        "part of the primary key",
        "no transformLogic",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(project: Project, case: str) -> None:
    alter, place, problem, fix = CASES[case]
    faults = project.faults(alter)
    told = "\n".join(map(str, faults)) or "no faults"
    assert [fault.place for fault in faults] == [place], told
    assert problem in faults[0].problem, told
    assert fix in faults[0].fix or fix in faults[0].problem, told
    assert faults[0].line > 0


def test_a_database_server_without_a_source_block_is_told_what_to_write(project: Project) -> None:
    def alter(document: Document) -> None:
        document["servers"][0] = SERVER

    (fault,) = project.faults(alter)
    assert "mode: incremental" in fault.fix


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT1S", 1), ("P1D", 86_400), ("P1DT1H1M1S", 90_061), ("P", None), ("PT", None), ("P1DT", None), ("P1Y", None), (5, None)],
)
def test_durations(text: object, seconds: int | None) -> None:
    assert duration_seconds(text) == seconds
