"""What gold must hold, computed by DuckDB over the generator's own files: independent of every line that the platform runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb

_DAILY_REVENUE = """
SELECT o_orderdate, c_mktsegment, sum(l_extendedprice * (1 - l_discount)), count(DISTINCT o_orderkey)
FROM read_parquet(?) JOIN read_parquet(?) ON c_custkey = o_custkey JOIN read_parquet(?) ON l_orderkey = o_orderkey
WHERE list_contains(?, o_orderdate)
GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True, kw_only=True, order=True)
class DailyRevenue:
    """A row of `gold.tpch.daily_revenue`."""

    o_orderdate: date
    c_mktsegment: str
    revenue: Decimal
    orders: int


def daily_revenue(source: Path, *, days: Collection[date]) -> tuple[DailyRevenue, ...]:
    """Revenue by order date and market segment of the given days, sorted.

    Args:
        source: Folder of the generator's own Parquet files.
        days: Order dates that were delivered.
    """
    files = [str(source / f"{table}.parquet") for table in ("orders", "customer", "lineitem")]
    with duckdb.connect() as database:
        rows = database.execute(_DAILY_REVENUE, [*files, list(days)]).fetchall()
    return tuple(
        DailyRevenue(o_orderdate=day, c_mktsegment=segment, revenue=revenue, orders=orders) for day, segment, revenue, orders in rows
    )
