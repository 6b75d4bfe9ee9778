"""What has to change for a table of the warehouse to be as its contract says: what Redshift can change, and what it cannot."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.warehouse.tables import WarehouseColumn, WarehouseTable, comments
from lakehouse.warehouse.text import SqlRefused, literal, name, names

_VARCHAR = re.compile(r"VARCHAR\((\d+)\)")
_UNWIDENABLE = ("bytedict", "runlength", "text255", "text32k")
"""Encodings under which Redshift does not widen a VARCHAR."""

_CATALOG_TYPES = {
    "boolean": "BOOLEAN",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "REAL",
    "double precision": "DOUBLE PRECISION",
    "date": "DATE",
    "timestamp without time zone": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMPTZ",
}


@dataclass(frozen=True, kw_only=True)
class Evolution:
    """Statements in the order in which they run.

    Attributes:
        together: Statements of one transaction.
        alone: Statements that Redshift runs outside a transaction only, one by one, after it.
    """

    together: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()


def columns_query(table: WarehouseTable) -> str:
    """Query that tells which columns a table has; no rows = there is no table."""
    return (
        "SELECT column_name, data_type, character_maximum_length, numeric_precision, numeric_scale FROM svv_columns "  # noqa: S608 - names are literals
        f"WHERE table_schema = {literal(table.schema)} AND table_name = {literal(table.name)} ORDER BY ordinal_position"
    )


def columns_found(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Types by column, from the answer to `columns_query`."""
    return {str(row["column_name"]): _type(row) for row in rows}


def evolution(table: WarehouseTable, found: Mapping[str, str], *, before: WarehouseTable | None = None) -> Evolution:
    """How to bring a table that exists up to its contract.

    A column that the contract no longer has stays, and is NULL in new rows: nobody's query breaks, nothing is lost.

    Args:
        table: The table as it has to be.
        found: Its columns as they are: types by name.
        before: The table as it was deployed last, if that is known: only so a change of how rows are spread and sorted is seen.

    Raises:
        SqlRefused: Redshift cannot change the table so; says the way out.
    """
    together: list[str] = []
    alone: list[str] = []
    for column in table.columns:
        if column.name not in found:
            together.append(_added(table, column))
        elif found[column.name] != column.type:
            alone.append(_widened(table, column, found[column.name]))
    if before is not None:
        alone += _laid_out(table, before)
        if before.keys != table.keys:
            raise SqlRefused(
                f"the primary key of {table.schema}.{table.name} was ({', '.join(before.keys)}) and is now ({', '.join(table.keys)}): Redshift cannot change a "
                f"primary key in place; {_rebuild(table)}"
            )
    return Evolution(together=(*together, *comments(table)), alone=tuple(alone))


def _added(table: WarehouseTable, column: WarehouseColumn) -> str:
    if column.name in table.keys:
        raise SqlRefused(f"{table.schema}.{table.name} has rows without the new key column {column.name}: {_rebuild(table)}")
    encoding = "" if column.encoding == "auto" else f" ENCODE {column.encoding.upper()}"
    return f"ALTER TABLE {table.qualified} ADD COLUMN {name(column.name)} {column.type}{encoding}"


def _widened(table: WarehouseTable, column: WarehouseColumn, found: str) -> str:
    where = f"{table.schema}.{table.name}.{column.name}"
    is_, has_to_be = _VARCHAR.fullmatch(found), _VARCHAR.fullmatch(column.type)
    if not is_ or not has_to_be:
        raise SqlRefused(f"{where} is {found} and has to be {column.type}: Redshift changes the length of VARCHAR only; {_rebuild(table)}")
    if int(has_to_be[1]) < int(is_[1]):
        raise SqlRefused(
            f"{where} is {found} and would become {column.type}, which may cut what it holds: keep the longer length; or {_rebuild(table)}"
        )
    if column.name in table.keys:
        raise SqlRefused(f"{where} is part of the primary key, whose length Redshift does not change: {_rebuild(table)}")
    if column.encoding in _UNWIDENABLE:
        raise SqlRefused(
            f"{where} is encoded as {column.encoding}, whose length Redshift does not change: take another encoding; then {_rebuild(table)}"
        )
    return f"ALTER TABLE {table.qualified} ALTER COLUMN {name(column.name)} TYPE {column.type}"


def _laid_out(table: WarehouseTable, before: WarehouseTable) -> list[str]:
    changes: list[str] = []
    if (before.dist_style, before.dist_key) != (table.dist_style, table.dist_key):
        style = (
            f"DISTKEY {name(table.dist_key)}" if table.dist_style == "key" and table.dist_key else f"DISTSTYLE {table.dist_style.upper()}"
        )
        changes.append(f"ALTER TABLE {table.qualified} ALTER {style}")
    if before.sort_keys != table.sort_keys:
        changes.append(
            f"ALTER TABLE {table.qualified} ALTER {f'COMPOUND SORTKEY ({names(table.sort_keys)})' if table.sort_keys else 'SORTKEY AUTO'}"
        )
    return changes


def _rebuild(table: WarehouseTable) -> str:
    return f"drop {table.schema}.{table.name} by a migration and deploy again: the next load fills it whole from the gold table, which is untouched"


def _type(row: Mapping[str, Any]) -> str:
    kind = str(row["data_type"]).lower()
    if kind.startswith("character varying"):
        return f"VARCHAR({row['character_maximum_length']})"
    if kind in ("numeric", "decimal"):
        return f"DECIMAL({row['numeric_precision']},{row['numeric_scale']})"
    return _CATALOG_TYPES.get(kind, kind.upper())
