"""The 22 queries of TPC-H with the standard's validation parameters, and their answers: published ones at scale 1, an independent engine's at any."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import sqlglot

HERE = Path(__file__).resolve().parent

TABLES = ("region", "nation", "supplier", "part", "partsupp", "customer", "orders", "lineitem")
"""The eight tables, each after those that it refers to."""

NUMBERS = tuple(range(1, 23))
"""Numbers of the queries."""

RATIOS = {1: (6, 7, 8), 8: (1,), 14: (0,), 17: (0,)}
"""Columns, from 0, that hold averages and ratios: the standard has them compared to two digits, and engines keep different ones."""

Row = Sequence[Any]


@dataclass(frozen=True, kw_only=True)
class Query:
    """One query.

    Attributes:
        number: Its number, from 1.
        sql: Its text in Athena's SQL.
    """

    number: int
    sql: str

    @classmethod
    def load(cls, number: int) -> Query:
        """A query by its number."""
        return cls(number=number, sql=(HERE / "queries" / f"q{number:02}.sql").read_text(encoding="utf-8"))


@dataclass(frozen=True, kw_only=True)
class Summary:
    """An answer, short enough to be kept: rows in any order, numbers by their value.

    Attributes:
        rows: Number of rows.
        digest: SHA-256 of all columns but ratios.
        ratios: Values of the columns that are ratios, of the sorted rows.
    """

    rows: int
    digest: str
    ratios: tuple[str, ...]

    @classmethod
    def of(cls, number: int, rows: Sequence[Row]) -> Summary:
        """The summary of a query's rows."""
        skipped = RATIOS.get(number, ())
        lines = sorted(
            ("|".join(_text(value) for place, value in enumerate(row) if place not in skipped), [str(row[place]) for place in skipped])
            for row in rows
        )
        digest = hashlib.sha256("\n".join(line for line, _ in lines).encode()).hexdigest()
        return cls(rows=len(rows), digest=digest, ratios=tuple(value for _, values in lines for value in values))

    def equals(self, other: Summary) -> bool:
        """Whether two answers are the same, by the standard's rule for ratios."""
        if (self.rows, self.digest, len(self.ratios)) != (other.rows, other.digest, len(other.ratios)):
            return False
        return all(_is_close(mine, theirs) for mine, theirs in zip(self.ratios, other.ratios, strict=True))


@cache
def published() -> dict[int, Summary]:
    """The standard's answers at scale 1."""
    kept = json.loads((HERE / "answers.json").read_text(encoding="utf-8"))
    return {
        int(number): Summary(rows=found["rows"], digest=found["digest"], ratios=tuple(found["ratios"])) for number, found in kept.items()
    }


def independent(source: Path) -> dict[int, Summary]:
    """Answers that DuckDB computes over the generator's own files.

    Args:
        source: Folder with `<table>.parquet`, or folders of such files.
    """
    found: dict[int, Summary] = {}
    with duckdb.connect() as database:
        for table in TABLES:
            files = source / table / "*.parquet" if (source / table).is_dir() else source / f"{table}.parquet"
            place = str(files).replace("'", "''")
            database.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{place}')")  # noqa: S608 - our own names
        for number in NUMBERS:
            sql = sqlglot.transpile(Query.load(number).sql, read="trino", write="duckdb")[0]
            found[number] = Summary.of(number, database.execute(sql).fetchall())
    return found


def _is_close(mine: str, theirs: str) -> bool:
    """Whether two ratios agree to two digits, or are both missing."""
    if "None" in {mine, theirs}:
        return mine == theirs
    return abs(Decimal(mine) - Decimal(theirs)) <= Decimal("0.01")


def _text(value: Any) -> str:
    """A value as every engine would have it: numbers without zeros at their end."""
    if value is None:
        return ""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    return f"{number.normalize():f}" if number.is_finite() else str(value)
