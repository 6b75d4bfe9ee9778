"""Ingest and refine of TPC-H line items, against hand-written Spark that does the same steps; both must leave equal tables."""

from __future__ import annotations

import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks import lineitem_peer
from benchmarks.pairs import PAIRS, Figure, take_turns
from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.tables import tables_of
from lakehouse.manifests import ManifestFile
from tests.spark_lake import BUCKET, NOW, Lake, create_table, shared_session

FILES = 4
"""Files that the rows are delivered in."""

Sums = dict[str, tuple[Any, ...]]


def measure(root: Path, *, scale: float = 1.0, pairs: int = PAIRS) -> list[Figure]:
    """Measure both.

    Args:
        root: The checkout.
        scale: TPC-H scale factor; 1 is 6 million rows.
        pairs: Pairs that count.
    """
    contract = compile_contracts(root / "contracts")["tpch.lineitem"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = _generate(folder / "generated", scale=scale)
        with shared_session(folder / "warehouse") as spark:
            spark.conf.set("spark.sql.shuffle.partitions", "4")
            lake = Lake(spark=spark, contract=contract, folder=folder)
            files = [lake.deliver(path.name, path.read_bytes()) for path in parts]
            sums: list[Sums] = []
            ours, peer = take_turns(
                lambda: _timed(lake, lambda: _ours(lake, files), sums),
                lambda: _timed(lake, lambda: _peer(lake, files), sums),
                pairs=pairs,
            )
    if any(found != sums[0] for found in sums):
        raise RuntimeError(f"the tables differ: {sums[0]} and {next(found for found in sums if found != sums[0])}")
    rows = sums[0]["silver"][0]
    name = f"ingest + refine of TPC-H line items, scale {scale:g} ({rows:,} rows), against hand-written Spark"
    return [Figure(name=name, unit="s", ours=tuple(ours), peer=tuple(peer), limit=1.05)]


def _generate(folder: Path, *, scale: float) -> list[Path]:
    command = [str(Path(sysconfig.get_path("scripts")) / "tpchgen-cli"), "csv", "-s", f"{scale:g}", "--tables", "lineitem"]
    subprocess.run([*command, "--parts", str(FILES), "--output-dir", str(folder)], check=True, capture_output=True)
    parts = sorted(folder.rglob("*.csv"))
    return [path.rename(folder / f"lineitem{number}.csv") for number, path in enumerate(parts)]


def _timed(lake: Lake, run: Callable[[], None], sums: list[Sums]) -> float:
    for definition in tables_of(lake.contract):
        create_table(lake.spark, definition)
    started = time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    # Read past the session's cache of tables, which does not see what was committed through Iceberg's own API.
    sums.append({zone: _sum(lake.table(zone).read()) for zone in ("bronze", "silver", "quarantine")})
    return seconds


def _sum(frame: DataFrame) -> tuple[Any, ...]:
    """Rows of a table and an order-free checksum over all of their values."""
    columns = [F.map_entries(name) if kind.startswith("map") else F.col(name) for name, kind in frame.dtypes]
    return tuple(frame.agg(F.count(F.lit(1)), F.sum(F.xxhash64(*columns).cast("decimal(38,0)"))).collect()[0])


def _ours(lake: Lake, files: list[ManifestFile]) -> None:
    lake.run(*files)


def _peer(lake: Lake, files: list[ManifestFile]) -> None:
    given = [(str(lake.folder / BUCKET / f"{file.key}@{file.version_id}"), file.uri, file.version_id, file.sequence) for file in files]
    lineitem_peer.run(
        lake.spark, given, batch_id=lake.batch(files), now=NOW, bronze="lake.bronze_tpch.lineitem", silver="lake.silver_tpch.lineitem"
    )
