"""Tables that no contract describes: what follows from a row and from the source's own metadata, and which drift is refused."""

from __future__ import annotations

from typing import Any

import pytest

from lakehouse.contracts.model import WatermarkColumn
from lakehouse.errors import RunFailed
from lakehouse.extraction.described import check_owner, comment, contract_of, definition_of, new_columns
from lakehouse.extraction.postgresql import SourceColumn
from lakehouse.rows import Row, parse_row

ID = SourceColumn(name="id", type="bigint", kind="int8")
NAME = SourceColumn(name="name", type="text", kind="text")
CHANGED = SourceColumn(name="changed", type="timestamp with time zone", kind="timestamptz")
HELD: dict[str, str | None] = {"id": comment(ID), "name": comment(NAME)}


def row(**changes: Any) -> Row:
    return parse_row({"row": "things", "table": "public.things", "keys": ["id"], "mode": "full", **changes})


def incremental(watermark: str = "changed", overlap: str | int = "PT15M") -> Row:
    return row(mode="incremental", watermark=watermark, overlap=overlap)


def contract(row_: Row, *columns: SourceColumn) -> Any:
    return contract_of(row_, columns, domain="shop", connection="shop")


def test_the_table_of_a_row_is_the_bronze_of_a_dataset_from_a_database() -> None:
    found = definition_of(contract(row(target="copy"), ID, NAME), (ID, NAME), owner="g.things")
    assert str(found.dataset) == "bronze.shop.copy"
    assert [(field["name"], field["type"], field.get("doc")) for field in found.fields[:2]] == [
        ("id", "string", "source type bigint"),
        ("name", "string", "source type text"),
    ]
    assert [field["name"] for field in found.fields[2:]] == [
        "_extra", "_record", "_source_file", "_source_version", "_row", "_sequence", "_batch_id", "_ingested_at", "_operation",
    ]  # fmt: skip
    assert found.properties["lakehouse.row"] == "g.things"
    assert "lakehouse.contract" not in found.properties


@pytest.mark.parametrize(
    ("kind", "overlap", "mark"),
    [
        ("timestamptz", "PT15M", WatermarkColumn(column="w", type="timestamptz", overlap=900)),
        ("timestamp", "P1D", WatermarkColumn(column="w", type="timestamp", overlap=86_400)),
        ("date", "P2D", WatermarkColumn(column="w", type="date", overlap=2)),
        ("int4", 1000, WatermarkColumn(column="w", type="long", overlap=1000)),
        ("int8", 0, WatermarkColumn(column="w", type="long", overlap=0)),
    ],
)
def test_the_source_says_what_kind_of_mark_it_is(kind: str, overlap: str | int, mark: WatermarkColumn) -> None:
    found = contract(incremental("w", overlap), ID, SourceColumn(name="w", type=kind, kind=kind))
    assert found.database.watermark == mark
    assert [(column.source, column.type) for column in found.columns] == [("w", mark.type)]


@pytest.mark.parametrize(
    ("kind", "overlap", "said"),
    [
        ("numeric", 5, "watermark: w is numeric, by which nothing tells what is newer"),
        ("int8", "PT5M", "overlap: 'PT5M' is a duration, but w is int8"),
        ("timestamptz", 5, "overlap: 5 is no duration"),
        ("date", "PT5M", "is not a number of days"),
    ],
)
def test_an_overlap_that_does_not_fit_the_source_is_refused(kind: str, overlap: str | int, said: str) -> None:
    with pytest.raises(RunFailed, match="row_invalid") as refused:
        contract(incremental("w", overlap), ID, SourceColumn(name="w", type=kind, kind=kind))
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("columns", "reason", "said"),
    [
        ((), "source_table_missing", "the source has no table public.things"),
        ((NAME,), "source_column_missing", "lacks id"),
        ((ID, SourceColumn(name="_row", type="int", kind="int4")), "row_invalid", "is a name of the platform"),
        ((ID, SourceColumn(name="Id", type="int", kind="int4")), "row_invalid", "differs from 'id' in case alone"),
        ((ID, SourceColumn(name="a.b", type="int", kind="int4")), "row_invalid", "is not made of letters"),
    ],
)
def test_a_source_that_no_table_can_follow_is_refused(columns: tuple[SourceColumn, ...], reason: str, said: str) -> None:
    with pytest.raises(RunFailed) as refused:
        contract(row(), *columns)
    assert (refused.value.reason, said in refused.value.message) == (reason, True)


def test_a_new_column_is_added_and_everything_else_is_refused() -> None:
    def look(*columns: SourceColumn, held: dict[str, str | None] = HELD) -> tuple[SourceColumn, ...]:
        return new_columns(held, columns, table="bronze_shop.things", uri="jdbc:shop/public.things")

    assert look(ID, NAME) == ()
    assert look(CHANGED, NAME, ID) == (CHANGED,)
    with pytest.raises(RunFailed, match=r"source_column_missing: .* lacks name, which bronze_shop.things has"):
        look(ID)
    with pytest.raises(RunFailed, match=r"source_column_retyped: .*id was bigint and is integer"):
        look(SourceColumn(name="id", type="integer", kind="int4"), NAME)
    # A comment that somebody else wrote tells no type.
    assert look(SourceColumn(name="id", type="integer", kind="int4"), held={"id": "the key"}) == ()


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"lakehouse.contract": "shop.things"}, "belongs to the contract shop.things"),
        ({"lakehouse.row": "g.other"}, "belongs to the row g.other"),
        ({}, "was made by somebody else"),
    ],
)
def test_a_table_of_somebody_else_is_left_alone(properties: dict[str, str], said: str) -> None:
    with pytest.raises(RunFailed, match="row_invalid") as refused:
        check_owner(properties, table="bronze_shop.things", owner="g.things")
    assert said in refused.value.message
    check_owner({"lakehouse.row": "g.things"}, table="bronze_shop.things", owner="g.things")
