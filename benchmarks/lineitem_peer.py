"""Hand-written Spark that does to TPC-H line items what ingest and refine do, with nothing of the platform: the peer of benchmarks/lineitem.py."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

KEYS = ("l_orderkey", "l_linenumber")
TYPES = {
    "l_orderkey": "bigint",
    "l_partkey": "bigint",
    "l_suppkey": "bigint",
    "l_linenumber": "int",
    "l_quantity": "decimal(15,2)",
    "l_extendedprice": "decimal(15,2)",
    "l_discount": "decimal(15,2)",
    "l_tax": "decimal(15,2)",
    "l_returnflag": "string",
    "l_linestatus": "string",
    "l_shipdate": "date",
    "l_commitdate": "date",
    "l_receiptdate": "date",
    "l_shipinstruct": "string",
    "l_shipmode": "string",
    "l_comment": "string",
}
REQUIRED = tuple(TYPES)[:11]
PLATFORM = ("_source_file", "_source_version", "_row", "_sequence", "_batch_id", "_ingested_at")
RULES = {
    "l_orderkey": "l_orderkey >= 1",
    "l_partkey": "l_partkey >= 1",
    "l_suppkey": "l_suppkey >= 1",
    "l_linenumber": "l_linenumber >= 1",
    "l_quantity": "l_quantity > 0",
    "l_extendedprice": "l_extendedprice >= 0",
    "l_discount": "l_discount BETWEEN 0 AND 1",
    "l_tax": "l_tax BETWEEN 0 AND 1",
    "l_returnflag": "l_returnflag IN ('A', 'N', 'R')",
    "l_linestatus": "l_linestatus IN ('F', 'O')",
    "l_shipdate": "l_shipdate >= DATE '1992-01-01'",
    "l_commitdate": "l_commitdate IS NULL OR l_commitdate >= DATE '1992-01-01'",
    "l_receiptdate": "l_receiptdate IS NULL OR l_receiptdate >= DATE '1992-01-01'",
    "l_shipinstruct": "l_shipinstruct IS NULL OR length(l_shipinstruct) <= 25",
    "l_shipmode": "l_shipmode IS NULL OR length(l_shipmode) <= 10",
    "l_comment": "l_comment IS NULL OR length(l_comment) <= 44",
    "received": "l_receiptdate IS NULL OR l_receiptdate > l_shipdate",
}


def run(spark: SparkSession, files: Sequence[tuple[str, str, str, str]], *, batch_id: str, now: datetime, bronze: str, silver: str) -> None:
    """Load files into bronze and merge them into an empty silver through a branch.

    Args:
        spark: Session.
        files: Path to read, `_source_file`, `_source_version` and `_sequence` of each.
        batch_id: Batch of the rows.
        now: Time of ingestion of the rows.
        bronze: Table of raw rows.
        silver: Table of typed rows.
    """
    _ingest(spark, files, batch_id=batch_id, now=now, bronze=bronze)
    _refine(spark, [version for _, _, version, _ in files], bronze=bronze, silver=silver)


def _ingest(spark: SparkSession, files: Sequence[tuple[str, str, str, str]], *, batch_id: str, now: datetime, bronze: str) -> None:
    held = (
        spark.table(bronze).where(F.col("_source_version").isin([file[2] for file in files])).select("_source_version").distinct().collect()
    )
    wanted = [file for file in files if file[2] not in {row[0] for row in held}]
    schema = ", ".join(f"{name} string" for name in TYPES)
    lines = spark.read.csv(
        [file[0] for file in wanted], schema=f"{schema}, _bad string", header=True, columnNameOfCorruptRecord="_bad", nullValue=""
    )
    placed = lines.withColumns(
        {"_path": F.col("_metadata.file_path"), "_block": F.col("_metadata.file_block_start"), "_id": F.monotonically_increasing_id()}
    )
    # One look at the files: how many rows each block has, so that a row's place in its file is known without sorting.
    blocks = placed.groupBy("_path", "_block").agg(F.count(F.lit(1)).alias("rows"), F.min("_id").alias("first")).collect()
    starts: list[tuple[str, int, int, str, str, str]] = []
    for path, source, version, sequence in wanted:
        before = 0
        for block in sorted((block for block in blocks if block["_path"].endswith(path)), key=lambda block: block["_block"]):
            starts.append((block["_path"], block["_block"], before - block["first"], source, version, sequence))
            before += block["rows"]
    table = spark.createDataFrame(
        starts, "_path string, _block long, _offset long, _source_file string, _source_version string, _sequence string"
    )
    rows = placed.join(F.broadcast(table), ["_path", "_block"]).select(
        *TYPES,
        F.lit(None).cast("map<string,string>").alias("_extra"),
        F.col("_bad").cast("binary").alias("_record"),
        "_source_file",
        "_source_version",
        (F.col("_id") + F.col("_offset") + 1).alias("_row"),
        "_sequence",
        F.lit(batch_id).alias("_batch_id"),
        F.lit(now.isoformat()).cast("timestamp").alias("_ingested_at"),
    )
    rows.writeTo(bronze).option("distribution-mode", "none").option("fanout-enabled", "true").append()
    loaded = {
        row["_source_version"]: row["count"]
        for row in spark.table(bronze)
        .where(F.col("_source_version").isin([file[2] for file in wanted]))
        .groupBy("_source_version")
        .count()
        .collect()
    }
    read = {version: sum(block["rows"] for block in blocks if block["_path"].endswith(path)) for path, _, version, _ in wanted}
    if loaded != read:
        raise RuntimeError(f"bronze holds {loaded}, the files have {read}")


def _refine(spark: SparkSession, versions: Sequence[str], *, bronze: str, silver: str) -> None:
    raw = spark.table(bronze).where(F.col("_source_version").isin(list(versions)))
    typed = raw.select(
        *(_typed(name, kind) for name, kind in TYPES.items()), *(F.col(name).alias(f"_raw_{name}") for name in TYPES), "_record", *PLATFORM
    )
    good = F.col("_record").isNull()
    for name, kind in TYPES.items():
        if kind != "string":
            good &= F.col(f"_raw_{name}").isNull() | F.col(name).isNotNull()
    for name in REQUIRED:
        good &= F.col(name).isNotNull()
    for rule in RULES.values():
        good &= F.coalesce(F.expr(rule), F.lit(False))
    judged = typed.withColumn("_good", good)
    by_key = judged.groupBy(*KEYS).agg(F.count(F.lit(1)).alias("rows"), F.count_if("_good").alias("good"))
    total = by_key.agg(
        F.sum("rows").alias("rows"), F.sum("good").alias("good"), F.count_if(F.col("good") > 1).alias("contended")
    ).collect()[0]
    if total["rows"] != total["good"] or total["contended"]:
        raise RuntimeError(f"this peer knows clean data only, found {total}")
    if spark.table(f"{silver}.snapshots").count():
        raise RuntimeError(f"this peer fills an empty table, {silver} is not empty")
    spark.sql(f"ALTER TABLE {silver} CREATE BRANCH audit")
    # Every row is good: a filter on that would make Spark cast everything once more.
    judged.select(*TYPES, *PLATFORM).writeTo(f"{silver}.branch_audit").append()
    branch = _branch(spark, silver)
    held = branch.where(F.col("_source_version").isin(list(versions))).count()
    highest = branch.agg(F.coalesce(F.max("l_discount"), F.lit(0))).collect()[0][0]
    if held != total["rows"] or held == 0 or highest > 0.1:
        raise RuntimeError(f"{held} of {total['rows']} rows on the branch, highest discount {highest}")
    spark.sql(f"CALL lake.system.fast_forward('{silver}', 'main', 'audit')")
    spark.sql(f"ALTER TABLE {silver} DROP BRANCH audit")


def _branch(spark: SparkSession, silver: str) -> DataFrame:
    return spark.read.option("branch", "audit").table(silver)


def _typed(name: str, kind: str) -> Column:
    if kind == "string":
        return F.col(name)
    if kind == "date":
        return F.try_to_timestamp(F.col(name), F.lit("yyyy-MM-dd")).cast("date").alias(name)
    return F.col(name).try_cast(kind).alias(name)
