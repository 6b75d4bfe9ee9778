"""What an extraction says to PostgreSQL; identifiers come from the contract and the catalog and are quoted, values are checked and rendered here.

Every value travels as the text that PostgreSQL itself writes for it (ISO dates, UTC, shortest exact floats, all digits of a numeric), which is what
bronze keeps and what refine casts: nothing passes through a type of the driver that would round it, clamp it or refuse it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from lakehouse.contracts.model import SourcePartitions, WatermarkColumn
from lakehouse.extraction.marks import begin, ceiling, checked
from lakehouse.watermarks import Mark

SESSION = (
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO, YMD'",
    "SET IntervalStyle = 'iso_8601'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
    "SET standard_conforming_strings = on",
    "SET idle_in_transaction_session_timeout = 0",
    "SET statement_timeout = 0",
)
"""What every session is set to: the text of a value depends on it."""

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""Begins the transaction whose snapshot all connections share."""

# The moment orders extractions. A standby that lags must not seem newer than it is: its moment is that of the last transaction it has replayed.
SNAPSHOT = (
    "SELECT pg_export_snapshot(), "
    "(extract(epoch from CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_xact_replay_timestamp(), clock_timestamp()) "
    "ELSE clock_timestamp() END) * 1000000)::bigint"
)
"""Exports the snapshot of the transaction; gives its name and its moment in microseconds since 1970."""

COLUMNS = (
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), "
    "CASE WHEN b.typcategory = 'A' THEN 'array' WHEN b.typtype = 'c' THEN 'composite' WHEN b.oid = 'bytea'::regtype THEN 'bytea' ELSE b.typname END "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid "
    "JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END "
    "WHERE n.nspname = ? AND c.relname = ? AND c.relkind IN ('r', 'v', 'm', 'f', 'p') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
)
"""Columns of a table (parameters: schema, table): name, type as SQL writes it, kind (`int8`, `bytea`, `array`, …)."""

# Of the sessions of others a reader sees the database and the user, and nothing of their kind.
CAPACITY = (
    "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int "
    "- (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL)::int"
)
"""Connections that the database has left."""

PARTITION = "p"
"""Name of the partition column in a `selection`."""

INTEGER_KINDS = frozenset({"int2", "int4", "int8"})
NUMBER_KINDS = INTEGER_KINDS | {"numeric"}
TIME_KINDS = frozenset({"timestamp", "timestamptz"})

_LITERAL_TYPES = {"timestamptz": "timestamptz", "timestamp": "timestamp", "date": "date", "int": "bigint", "long": "bigint"}


@dataclass(frozen=True, kw_only=True)
class SourceColumn:
    """A column of the source table.

    Attributes:
        name: Its name.
        type: Its type as SQL writes it, `numeric(12,2)`.
        kind: Name of the (base) type, or `array`, `composite`.
    """

    name: str
    type: str
    kind: str


def quoted(identifier: str) -> str:
    """An identifier as SQL writes it."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it (with `standard_conforming_strings`, as every session here has it).

    Raises:
        ValueError: It holds a NUL, which PostgreSQL cannot.
    """
    if "\0" in text:
        raise ValueError("a text with the character NUL cannot be in a PostgreSQL database")
    return "'" + text.replace("'", "''") + "'"


def table_name(schema: str, table: str) -> str:
    """A table with its schema."""
    return f"{quoted(schema)}.{quoted(table)}"


def import_snapshot(snapshot: str) -> str:
    """Statements by which a connection, in a transaction of its own, sees what the exporting one sees."""
    return f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {literal(snapshot)}"


def as_text(column: SourceColumn) -> str:
    """Expression of a column's value as bronze keeps it."""
    name = quoted(column.name)
    match column.kind:
        case "bytea":
            return f"translate(encode({name}, 'base64'), E'\\n', '')"
        case "array" | "composite":
            return f"to_json({name})::text"
        case _:
            return f"{name}::text"


def since(first: Mark | None, watermark: WatermarkColumn) -> str | None:
    """Condition of an incremental read; None = everything. Rows without a watermark, or below every mark, are always read.

    Raises:
        ValueError: The mark is not of the column's type.
    """
    if first is None:
        return None
    name, value = quoted(watermark.column), _mark_literal(first, watermark)
    below = "" if watermark.type in ("int", "long") else f" OR {name} = '-infinity'"
    return f"({name} >= {value} OR {name} IS NULL{below})"


def largest(watermark: WatermarkColumn, *, table: str, mark: Mark | None, moment: datetime) -> str:
    """Query of the largest value that a read from a mark on finds in the watermark column and that may be a mark, as text: see `marks`.

    Its conditions are a plain range of the column, so an index on it answers at once.

    Args:
        watermark: The watermark column.
        table: The table.
        mark: Mark that stands, or None.
        moment: Moment of the snapshot, in UTC.

    Raises:
        ValueError: The mark is not of the column's type.
    """
    name = quoted(watermark.column)
    lower, upper = begin(mark, watermark), ceiling(watermark, moment)
    conditions = [f"{name} >= {_mark_literal(lower, watermark)}"] if lower is not None else []
    if upper is not None:
        conditions.append(f"{name} <= {_mark_literal(upper, watermark)} AND {name} > '-infinity'")
    elif watermark.type == "int":
        # A value beyond the contract's type goes to quarantine: a mark of it would pass over every row that is yet to come.
        conditions.append(f"{name} BETWEEN -2147483648 AND 2147483647")
    condition = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT max({name})::text FROM {table}{condition}"  # noqa: S608 - identifiers are quoted, marks are checked


def bounds(partitions: SourcePartitions, *, table: str, where: str | None) -> str:
    """Query of the smallest and the largest finite value of the partition column, as numbers: see `ranges`."""
    name = quoted(partitions.column)
    number, is_finite = _as_number(partitions)
    least, most = f"min({name})", f"max({name})"
    condition = ""
    if where:
        # A FILTER keeps PostgreSQL from walking the index of the partition column, whose first rows that satisfy the condition may be the last ones.
        least, most = f"{least} FILTER (WHERE {is_finite})", f"{most} FILTER (WHERE {is_finite})"
        condition = f" WHERE {where}"
    elif is_finite != "true":
        condition = f" WHERE {is_finite}"
    return f"SELECT {number.format(least)}::text, {number.format(most)}::text FROM {table}{condition}"  # noqa: S608 - identifiers are quoted, the condition is rendered here


def ranges(partitions: SourcePartitions, *, least: str | None, most: str | None, count: int) -> tuple[str, ...]:
    """Conditions that split a table: every row satisfies exactly one, also NULL, NaN, infinities and what lies beyond the bounds.

    Args:
        partitions: The partition column.
        least: Smallest finite value, as `bounds` gave it; None if there is none.
        most: Largest.
        count: Most parts.

    Returns:
        One condition a part, over the column `p` of a `selection`; none if the table is not worth splitting.
    """
    if least is None or most is None or count < 2:
        return ()
    low, high = Decimal(least), Decimal(most)
    steps = (high - low) / count
    cuts: list[Decimal] = []
    for place in range(1, count):
        cut = low + steps * place
        cut = cut if partitions.type.startswith("decimal") else cut.to_integral_value()
        if low < cut <= high and (not cuts or cut > cuts[-1]):
            cuts.append(cut)
    if not cuts:
        return ()
    name = PARTITION
    at = [_cut(partitions, cut) for cut in cuts]
    middle = [f"{name} >= {lower} AND {name} < {upper}" for lower, upper in pairwise(at)]
    return (f"({name} < {at[0]} OR {name} IS NULL)", *middle, f"{name} >= {at[-1]}")


def selection(
    columns: Sequence[SourceColumn], *, table: str, where: str | None, partition_column: str | None, extra: Sequence[str] = ()
) -> str:
    """Query of rows as text: columns `c0`, `c1`, … in order, `extra` expressions as `x0`, …, and `p`, the partition column as it is."""
    parts = [f"{as_text(column)} AS c{place}" for place, column in enumerate(columns)]
    parts += [f"{expression} AS x{place}" for place, expression in enumerate(extra)]
    if partition_column is not None:
        parts.append(f"{quoted(partition_column)} AS {PARTITION}")
    condition = f" WHERE {where}" if where else ""
    return f"SELECT {', '.join(parts)} FROM {table}{condition}"  # noqa: S608 - identifiers are quoted, conditions are rendered here


def with_keys(columns: Sequence[SourceColumn], keys: Sequence[Sequence[str]]) -> str:
    """Condition that a row has one of these keys, given as the texts of its columns.

    Args:
        columns: Columns of the key.
        keys: Texts as `as_text` gave them.
    """
    names = ", ".join(quoted(column.name) for column in columns)
    rows = ", ".join(
        "(" + ", ".join(f"{literal(text)}::{column.type}" for column, text in zip(columns, key, strict=True)) + ")" for key in keys
    )
    return f"({names}) IN ({rows})"


def mark_fault(column: SourceColumn | None, type_: str) -> str | None:
    """Why a source column cannot be compared as the contract has it, or None if it can.

    Args:
        column: The column of the source.
        type_: Iceberg type that the contract gives it.
    """
    if column is None:
        return "there is no such column"
    allowed = {
        "int": INTEGER_KINDS,
        "long": INTEGER_KINDS,
        "date": frozenset({"date"}),
        "timestamp": frozenset({"timestamp"}),
        "timestamptz": frozenset({"timestamptz"}),
    }.get(type_, NUMBER_KINDS)
    return None if column.kind in allowed else f"it is {column.type}, the contract has {type_}"


def _mark_literal(mark: Mark, watermark: WatermarkColumn) -> str:
    """A mark as SQL writes it.

    Raises:
        ValueError: It is not of the column's type.
    """
    value = checked(mark, watermark)
    if isinstance(value, int):
        return str(value)
    zone = "+00" if watermark.type == "timestamptz" else ""
    return f"{_LITERAL_TYPES[watermark.type]} {literal(value + zone)}"


def _as_number(partitions: SourcePartitions) -> tuple[str, str]:
    """How a value becomes a number (days, microseconds, or itself), and whether it is finite."""
    name = quoted(partitions.column)
    if partitions.type == "date":
        return "({} - DATE '1970-01-01')", f"isfinite({name})"
    if partitions.type in ("timestamp", "timestamptz"):
        return "floor(extract(epoch from {}) * 1000000)::numeric", f"isfinite({name})"
    if partitions.type.startswith("decimal"):
        return "{}", f"{name}::text NOT IN ('NaN', 'Infinity', '-Infinity')"
    return "{}", "true"


def _cut(partitions: SourcePartitions, cut: Decimal) -> str:
    if partitions.type == "date":
        return f"(DATE '1970-01-01' + ({int(cut)}))"
    if partitions.type in ("timestamp", "timestamptz"):
        zone = "+00" if partitions.type == "timestamptz" else ""
        seconds, micros = divmod(int(cut), 1_000_000)
        return f"({partitions.type} '1970-01-01 00:00:00{zone}' + interval '{seconds} seconds {micros} microseconds')"
    return f"{cut:f}"
