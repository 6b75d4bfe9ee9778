"""Tables that no contract describes: what a row of a group and the source's own metadata say of one, and how far the source has drifted from the table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lakehouse.clock import duration_seconds
from lakehouse.contracts.model import (
    Column,
    CompiledContract,
    DatabaseSource,
    Quality,
    RawColumn,
    Source,
    WatermarkColumn,
    Write,
)
from lakehouse.contracts.tables import CONTRACT_PROPERTY, PLATFORM_COLUMNS, TableDefinition, table_of
from lakehouse.errors import RunFailed
from lakehouse.extraction.failures import COLUMN_MISSING, COLUMN_RETYPED, TABLE_MISSING
from lakehouse.extraction.postgresql import SourceColumn
from lakehouse.rows import ROW_INVALID, Row

ROW_PROPERTY = "lakehouse.row"
"""Table property that names the row which made a table, `<group>.<row>`; no other row writes it."""

_TYPE = "source type "
"""Begin of the comment of a raw column."""

_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_MARK_TYPES = {"timestamptz": "timestamptz", "timestamp": "timestamp", "date": "date", "int2": "long", "int4": "long", "int8": "long"}
_DAY = 86_400


def contract_of(row: Row, columns: Sequence[SourceColumn], *, domain: str, connection: str) -> CompiledContract:
    """A row as the contract that an extraction goes by: every column of the source, as text.

    Args:
        row: The row.
        columns: Columns of the source table; none if there is no such table.
        domain: Domain of the group.
        connection: Connection of the group.

    Raises:
        RunFailed: The source cannot be read as the row says.
    """
    uri = f"jdbc:{connection}/{row.source}"
    if not columns:
        raise RunFailed(
            TABLE_MISSING,
            f"{uri}: the source has no table {row.source}, or its user may not see it: correct the row, or bring the table back",
        )
    _check_names(uri, columns)
    by_name = {column.name: column for column in columns}
    missing = [name for name in (*row.keys, *([row.watermark] if row.watermark else [])) if name not in by_name]
    if missing:
        raise RunFailed(
            COLUMN_MISSING, f"{uri} lacks {', '.join(missing)}, which the row names; it has {', '.join(by_name)}: correct the row"
        )
    watermark = None if row.watermark is None else _watermark(row, by_name[row.watermark])
    return CompiledContract(
        id=f"{domain}.{row.target}",
        version="0.0.0",
        status="active",
        zone="silver",
        domain=domain,
        dataset=row.target,
        description=row.description,
        owner=row.owner,
        columns=() if watermark is None else (_mark_column(watermark),),
        keys=(),
        partition=(),
        sort=(),
        write=Write(),
        source=Source(
            formats=(),
            database=DatabaseSource(
                connection=connection,
                engine="postgresql",
                schema=row.schema,
                table=row.table,
                mode=row.mode,
                watermark=watermark,
                # There is no silver whose keys could be compared; a full extraction compares with bronze itself.
                reconcile_seconds=None,
            ),
        ),
        quality=Quality(rules=()),
        raw=tuple(RawColumn(name=column.name, field_id=number) for number, column in enumerate(columns, 1)),
    )


def definition_of(contract: CompiledContract, columns: Sequence[SourceColumn], *, owner: str) -> TableDefinition:
    """The table of a row: that of bronze for such a contract, with the source's types as comments.

    Args:
        contract: What `contract_of` gave.
        columns: Columns of the source table.
        owner: The row, `<group>.<row>`.
    """
    table = table_of(contract, "bronze")
    docs = {column.name: comment(column) for column in columns}
    fields = tuple({**field, "doc": docs[field["name"]]} if field["name"] in docs else field for field in table.fields)
    properties: dict[str, str] = {
        **table.properties,
        ROW_PROPERTY: owner,
        "comment": contract.description or f"Rows of {contract.database.uri if contract.database else ''} as they came in.",
        **({"owner": contract.owner} if contract.owner else {}),
    }
    return replace(table, fields=fields, properties=properties)


def comment(column: SourceColumn) -> str:
    """What stands beside a raw column: the type that its values had in the source."""
    return f"{_TYPE}{column.type}"


def check_owner(properties: Mapping[str, Any], *, table: str, owner: str) -> None:
    """Refuse a table that belongs to somebody else.

    Args:
        properties: Properties of the table.
        table: Its name, for the message.
        owner: The row, `<group>.<row>`.

    Raises:
        RunFailed: A contract, another row, or somebody who is not of this platform made it.
    """
    contract, row = properties.get(CONTRACT_PROPERTY), properties.get(ROW_PROPERTY)
    if contract is not None:
        raise RunFailed(ROW_INVALID, f"target: {table} belongs to the contract {contract}: give the row a target of its own")
    if row != owner:
        whose = f"belongs to the row {row}" if row is not None else f"was made by somebody else (it has no property {ROW_PROPERTY})"
        raise RunFailed(ROW_INVALID, f"target: {table} {whose}: give the row {owner} a target of its own")


def new_columns(held: Mapping[str, str | None], columns: Sequence[SourceColumn], *, table: str, uri: str) -> tuple[SourceColumn, ...]:
    """Columns that the table lacks; everything else that the source may have changed is refused.

    Args:
        held: Comment of each column of the table that is not the platform's.
        columns: Columns of the source table.
        table: The table, for the message.
        uri: The source, for the message.

    Raises:
        RunFailed: The source has lost or retyped a column, or one that differs in case alone has come.
    """
    way_out = "bring it back, or give the row another target, which begins anew with what the source has now"
    found = {column.name: column for column in columns}
    missing = [name for name in held if name not in found]
    if missing:
        raise RunFailed(COLUMN_MISSING, f"{uri} lacks {', '.join(missing)}, which {table} has: {way_out}")
    changed = [
        f"{name} was {known.removeprefix(_TYPE)} and is {found[name].type}"
        for name, known in held.items()
        if known is not None and known.startswith(_TYPE) and known != comment(found[name])
    ]
    if changed:
        raise RunFailed(COLUMN_RETYPED, f"{uri} has other types than when {table} was made: {'; '.join(changed)}: {way_out}")
    return tuple(column for column in columns if column.name not in held)


def _check_names(uri: str, columns: Sequence[SourceColumn]) -> None:
    """Names that a table of the lake can have, each once, whatever their case, and none of them the platform's."""
    seen: dict[str, str] = {}
    for column in columns:
        name, lower = column.name, column.name.lower()
        if _COLUMN.fullmatch(name) is None or lower in PLATFORM_COLUMNS:
            why = "is a name of the platform" if lower in PLATFORM_COLUMNS else "is not made of letters, digits and underscores"
        elif lower in seen:
            why = f"differs from {seen[lower]!r} in case alone"
        else:
            seen[lower] = name
            continue
        raise RunFailed(
            ROW_INVALID, f"table: {uri} has a column {name!r}, which {why}: make a view with plain names, and let the row name the view"
        )


def _watermark(row: Row, column: SourceColumn) -> WatermarkColumn:
    type_ = _MARK_TYPES.get(column.kind)
    if type_ is None:
        raise RunFailed(
            ROW_INVALID,
            f"watermark: {column.name} is {column.type}, by which nothing tells what is newer: name a timestamp, date or integer column",
        )
    if type_ == "long":
        if not isinstance(row.overlap, int):
            raise RunFailed(
                ROW_INVALID, f"overlap: {row.overlap!r} is a duration, but {column.name} is {column.type}: write a whole number"
            )
        return WatermarkColumn(column=column.name, type=type_, overlap=row.overlap)
    seconds = duration_seconds(row.overlap)
    if seconds is None:
        raise RunFailed(ROW_INVALID, f"overlap: {row.overlap!r} is no duration, but {column.name} is {column.type}: write PT15M or P1D")
    if type_ == "date":
        if seconds % _DAY:
            raise RunFailed(
                ROW_INVALID, f"overlap: {row.overlap!r} is not a number of days, but {column.name} is a date: write P0D, P1D, …"
            )
        seconds //= _DAY
    return WatermarkColumn(column=column.name, type=type_, overlap=seconds)


def _mark_column(watermark: WatermarkColumn) -> Column:
    return Column(
        id=watermark.column,
        name=watermark.column,
        field_id=1,
        type=watermark.type,
        required=False,
        source=watermark.column,
        logic=None,
        format=None,
        classification="internal",
        pii=None,
        description="",
    )
