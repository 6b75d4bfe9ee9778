"""Publication of a gold table, against hand-written Spark that does the same steps; both must leave equal tables and count the same changes."""

from __future__ import annotations

import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks import publication_peer
from benchmarks.pairs import PAIRS, Figure, take_turns
from jobs.transforms.tpch import daily_revenue
from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import TableDefinition, tables_of
from lakehouse.spark.gold import Publication
from lakehouse.spark.iceberg import IcebergTable
from tests.spark_lake import NOW, create_table, shared_session

READS = ("silver.tpch.orders", "silver.tpch.customer", "silver.tpch.lineitem")
GOLD = "gold_tpch.daily_revenue"
RUN = "0190-0001"

Outcome = tuple[Mapping[str, int], tuple[Any, ...]]
"""Rows counted, and a checksum of the table."""


def measure(root: Path, *, scale: float = 1.0, pairs: int = PAIRS) -> list[Figure]:
    """Measure both, into an empty table and into one of which a tenth of the days has to change.

    Args:
        root: The checkout.
        scale: TPC-H scale factor of the silver tables; 1 is 6 million line items.
        pairs: Pairs that count.
    """
    contracts = compile_contracts(root / "contracts")
    gold = contracts["tpch.daily_revenue"]
    (definition,) = tables_of(gold)
    with tempfile.TemporaryDirectory() as name, shared_session(Path(name) / "warehouse") as spark:
        spark.conf.set("spark.sql.shuffle.partitions", "4")
        for table in READS:
            _fill(spark, contracts[table.removeprefix("silver.")], Path(name) / "generated", scale=scale)
        before = _earlier(spark, Path(name) / "earlier")
        lines = spark.table("lake.silver_tpch.lineitem").count()
        figures: list[Figure] = []
        for what, earlier in (("into an empty table", None), ("into a table of which a tenth changes", before)):
            found: list[Outcome] = []
            ours, peer = take_turns(
                lambda earlier=earlier, found=found: _timed(spark, definition, earlier, lambda: _ours(spark, gold), found),
                lambda earlier=earlier, found=found: _timed(spark, definition, earlier, lambda: _peer(spark), found),
                pairs=pairs,
            )
            if any(outcome != found[0] for outcome in found):
                raise RuntimeError(f"the tables differ: {found[0]} and {next(outcome for outcome in found if outcome != found[0])}")
            text = f"publication of daily revenue {what} (from {lines:,} line items), against hand-written Spark"
            figures.append(Figure(name=text, unit="s", ours=tuple(ours), peer=tuple(peer), limit=1.05))
    return figures


def _fill(spark: SparkSession, contract: CompiledContract, folder: Path, *, scale: float) -> None:
    """Fill the silver table of a dataset."""
    command = [str(Path(sysconfig.get_path("scripts")) / "tpchgen-cli"), "parquet", "-s", f"{scale:g}", "--tables", contract.dataset]
    subprocess.run([*command, "--output-dir", str(folder / contract.dataset)], check=True, capture_output=True)
    definition = next(table for table in tables_of(contract) if table.zone == "silver")
    create_table(spark, definition)
    table = IcebergTable(spark, definition.dataset.table())
    given = spark.read.parquet(str(folder / contract.dataset))
    platform = {
        "_source_file": F.lit(f"s3://raw/{contract.dataset}.csv"),
        "_source_version": F.lit("v1"),
        "_row": F.monotonically_increasing_id(),
        "_sequence": F.lit("1"),
        "_batch_id": F.lit("b"),
        "_ingested_at": F.lit(NOW.isoformat()).cast("timestamp"),
    }
    types = {field.name: field.dataType for field in spark.table(f"lake.{definition.dataset.table()}").schema.fields}
    rows = given.withColumns(platform)
    table.append(rows.select(*(F.col(name).cast(types[name]).alias(name) for name in table.columns)), properties={})


def _earlier(spark: SparkSession, folder: Path) -> DataFrame:
    """An older state of the gold table: in a tenth of the days other sums, some rows missing, some too many."""
    rows = daily_revenue(_tables(spark)).withColumn("_part", F.abs(F.hash("o_orderdate")) % 200)
    older = rows.where(F.col("_part") != 0).withColumn(
        "revenue", F.when(F.col("_part") < 19, F.col("revenue") + 1).otherwise(F.col("revenue"))
    )
    surplus = rows.where(F.col("_part") == 1).withColumn("o_orderdate", F.add_months("o_orderdate", -600))
    older.unionByName(surplus).drop("_part").coalesce(1).write.parquet(str(folder))
    return spark.read.parquet(str(folder))


def _tables(spark: SparkSession) -> dict[str, DataFrame]:
    return {name: IcebergTable(spark, name.replace(".", "_", 1)).read() for name in READS}


def _timed(
    spark: SparkSession, definition: TableDefinition, earlier: DataFrame | None, run: Callable[[], Mapping[str, int]], found: list[Outcome]
) -> float:
    create_table(spark, definition)
    table = IcebergTable(spark, GOLD)
    if earlier is not None:
        table.append(table.fitted(earlier), properties={})
    started = time.perf_counter()
    counts = run()
    seconds = time.perf_counter() - started
    rows = IcebergTable(spark, GOLD).read()
    total = rows.agg(F.count(F.lit(1)), F.sum(F.xxhash64(*rows.columns).cast("decimal(38,0)"))).collect()[0]
    found.append((dict(counts), tuple(total)))
    return seconds


def _ours(spark: SparkSession, contract: CompiledContract) -> Mapping[str, int]:
    publication = Publication(
        contract=contract,
        table=IcebergTable(spark, GOLD),
        run_id=RUN,
        other=lambda _: None,
        tell=lambda _: None,
        reached=lambda _: None,
    )
    return publication.run(daily_revenue(_tables(spark)))


def _peer(spark: SparkSession) -> Mapping[str, int]:
    return publication_peer.run(spark, gold=f"lake.{GOLD}")
