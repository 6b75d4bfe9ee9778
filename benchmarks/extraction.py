"""First extraction of a table of PostgreSQL into bronze, against a hand-written partitioned JDBC read; both must leave equal rows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from benchmarks import extraction_peer
from benchmarks.pairs import PAIRS, Figure, take_turns
from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.tables import tables_of
from lakehouse.databases import tls_properties
from tests.source_database import PASSWORD, USER, Extractions, source_database
from tests.spark_lake import NOW, Lake, create_table, shared_session

ROWS = 3_000_000
"""Rows of the table at scale 1."""

RUN = "0190-0001"

_TABLE = (
    "CREATE TABLE orders (order_id bigint PRIMARY KEY, customer_id bigint, product_id bigint, quantity integer, amount numeric(14, 2), status text,"
    " ordered_on date, updated_at timestamptz)"
)
_FILL = (
    "INSERT INTO orders SELECT i, 1 + i * 13 %% 20000, 1 + i * 7 %% 400, 1 + i %% 5, (i %% 100000) / 100.0, 'shipped', DATE '2026-01-01' + (i %% 90)::int,"
    " TIMESTAMPTZ '2026-01-01 08:00:00+00' + i * interval '1 second' FROM generate_series(1, %s) i"
)


def measure(root: Path, *, scale: float = 1.0, pairs: int = PAIRS) -> list[Figure]:
    """Measure both.

    Args:
        root: The checkout.
        scale: Share of `ROWS`.
        pairs: Pairs that count.
    """
    contract = compile_contracts(root / "contracts")["shop.orders"]
    source = contract.database
    assert source is not None
    assert source.partitions is not None
    count = source.partitions.count
    rows = int(ROWS * scale)
    with tempfile.TemporaryDirectory() as name, source_database(Path(name) / "source") as database:
        database.execute(_TABLE)
        database.execute(_FILL, rows)
        database.execute("ANALYZE orders")
        with shared_session(Path(name) / "warehouse") as spark:
            lake = Lake(spark=spark, contract=contract, folder=Path(name))
            sums: list[tuple[Any, ...]] = []

            def ours() -> None:
                extracted = Extractions(lake=lake, source=database).extract(RUN, fetch_size=source.fetch_size)
                assert extracted.rows == rows, extracted

            def peer() -> None:
                properties = {
                    **tls_properties("postgres", roots=str(database.authority)),
                    "driver": "org.postgresql.Driver",
                    "user": USER,
                    "password": PASSWORD,
                    "fetchsize": str(source.fetch_size),
                }
                found = extraction_peer.run(
                    spark,
                    url=database.address.jdbc_url,
                    properties=properties,
                    source=source.uri,
                    version=RUN,
                    now=NOW,
                    bronze="lake.bronze_shop.orders",
                    partitions=count,
                )
                assert found == rows, found

            mine, theirs = take_turns(lambda: _timed(lake, ours, sums), lambda: _timed(lake, peer, sums), pairs=pairs)
    if any(found != sums[0] for found in sums):
        raise RuntimeError(f"the tables differ: {sums[0]} and {next(found for found in sums if found != sums[0])}")
    text = f"first extraction of a table ({rows:,} rows, {count} partitions, TLS) into bronze, against a hand-written JDBC read"
    return [Figure(name=text, unit="s", ours=tuple(mine), peer=tuple(theirs), limit=1.05)]


def _timed(lake: Lake, run: Callable[[], None], sums: list[tuple[Any, ...]]) -> float:
    for definition in tables_of(lake.contract):
        create_table(lake.spark, definition)
    started = time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    # Where rows are numbered, and the moment of the snapshot, differ; everything else is equal.
    frame = lake.table("bronze").read().drop("_row", "_sequence", "_extra")
    sums.append(tuple(frame.agg(F.count(F.lit(1)), F.sum(F.xxhash64(*frame.columns).cast("decimal(38,0)"))).collect()[0]))
    return seconds
