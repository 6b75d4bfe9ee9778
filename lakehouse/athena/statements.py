"""Parts of statements: literals, a moment in a table's history, UNLOAD."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from lakehouse.athena.values import Value

FORMATS = frozenset({"PARQUET", "ORC", "AVRO", "JSON", "TEXTFILE"})
"""Formats of files that a query can be unloaded to."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FOLDER = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^'\x00-\x1f]*)?/")


def literal(value: Value) -> str:
    """A value as a literal of SQL, for `parameters`.

    Raises:
        ValueError: SQL has no such literal.
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float():
            text = "NaN" if math.isnan(value) else ("-" if value < 0 else "") + "Infinity" if math.isinf(value) else repr(value)
            return f"DOUBLE '{text}'"
        case Decimal():
            if not value.is_finite():
                raise ValueError(f"{value} is no DECIMAL of SQL")
            return f"DECIMAL '{value:f}'"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case datetime():
            if value.tzinfo is not None:
                value = value.astimezone(UTC)
                return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S.%f} UTC'"
            return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S.%f}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case bytes():
            return f"X'{value.hex()}'"


def as_of(moment: datetime) -> str:
    """The clause that reads an Iceberg table as it was: `FROM silver_tpch.orders {as_of(moment)}`.

    Args:
        moment: When; with its zone, because a table's history has one and a clock on a wall has not.

    Raises:
        ValueError: The moment has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"moment must have a zone, such as datetime.now(UTC), got {moment.isoformat()}")
    return f"FOR TIMESTAMP AS OF {literal(moment)}"


def unload_statement(sql: str, *, to: str, format: str = "PARQUET", compression: str = "", partitioned_by: Sequence[str] = ()) -> str:
    """The UNLOAD of a query; what is put together is checked, values belong into `parameters`.

    Args:
        sql: The query.
        to: Folder, `s3://bucket/folder/`.
        format: One of `FORMATS`.
        compression: One that the format has; empty = Athena's default.
        partitioned_by: Columns whose values become folders; the last ones of the query.

    Raises:
        ValueError: A part is malformed.
    """
    chosen = format.upper()
    if chosen not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(sorted(FORMATS))}, got {format!r}")
    if not _FOLDER.fullmatch(to):
        raise ValueError(f"to must be a folder in S3 such as s3://bucket/folder/, its slash at the end included, got {to!r}")
    if compression and not _NAME.fullmatch(compression):
        raise ValueError(f"compression must be a word such as SNAPPY, got {compression!r}")
    wrong = [column for column in partitioned_by if not _NAME.fullmatch(column)]
    if wrong:
        raise ValueError(f"partitioned_by must name columns, got {', '.join(map(repr, wrong))}")
    settings = [f"format = '{chosen}'"]
    if compression:
        settings.append(f"compression = '{compression.upper()}'")
    if partitioned_by:
        settings.append(f"partitioned_by = ARRAY[{', '.join(repr(column) for column in partitioned_by)}]")
    return f"UNLOAD ({sql.strip().rstrip(';')}\n) TO '{to}' WITH ({', '.join(settings)})"
