"""Hand-written Spark that computes daily revenue and publishes it, with nothing of the platform: the peer of benchmarks/publication.py."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

KEYS = ("o_orderdate", "c_mktsegment")
RULES = {
    "o_orderdate": "o_orderdate IS NOT NULL",
    "c_mktsegment": "c_mktsegment IS NOT NULL",
    "revenue": "revenue >= 0",
    "orders": "orders >= 1",
}


def run(spark: SparkSession, *, gold: str) -> dict[str, int]:
    """Compute the table and publish it by a branch.

    Args:
        spark: Session.
        gold: Table that receives it.

    Returns:
        Rows in all, and those inserted, updated and deleted.
    """
    rows = _daily_revenue(spark).persist()
    try:
        checked = rows.agg(
            F.count(F.lit(1)).alias("rows"),
            F.count_distinct(*KEYS).alias("keys"),
            *(F.count_if(~F.coalesce(F.expr(rule), F.lit(False))).alias(name) for name, rule in RULES.items()),
        ).collect()[0]
        if checked["rows"] != checked["keys"] or any(checked[name] for name in RULES):
            raise RuntimeError(f"this peer knows good rows only, found {checked}")
        is_empty = not spark.sql(f"SELECT 1 FROM {gold}.snapshots LIMIT 1").collect()
        if is_empty:
            changes = {"rows": checked["rows"], "inserted": checked["rows"], "updated": 0, "deleted": 0}
        else:
            changes = _changes(spark, rows, gold)
        spark.sql(f"ALTER TABLE {gold} CREATE BRANCH audit")
        if is_empty:
            rows.writeTo(f"{gold}.branch_audit").append()
        else:
            rows.createOrReplaceTempView("wanted")
            spark.sql(
                f"MERGE INTO {gold}.branch_audit t USING wanted s ON t.o_orderdate = s.o_orderdate AND t.c_mktsegment = s.c_mktsegment "
                "WHEN MATCHED AND (t.revenue <> s.revenue OR t.orders <> s.orders) THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT * "
                "WHEN NOT MATCHED BY SOURCE THEN DELETE"
            )
        held = spark.read.option("branch", "audit").table(gold).count()
        if held != checked["rows"]:
            raise RuntimeError(f"{held} of {checked['rows']} rows on the branch")
        spark.sql(f"CALL lake.system.fast_forward('{gold}', 'main', 'audit')")
        spark.sql(f"ALTER TABLE {gold} DROP BRANCH audit")
    finally:
        rows.unpersist()
    return changes


def _daily_revenue(spark: SparkSession) -> DataFrame:
    lines = spark.table("lake.silver_tpch.lineitem")
    by_order = lines.groupBy("l_orderkey").agg(F.sum(F.col("l_extendedprice") * (1 - F.col("l_discount"))).alias("revenue"))
    return (
        spark.table("lake.silver_tpch.orders")
        .join(by_order, F.col("o_orderkey") == F.col("l_orderkey"))
        .join(spark.table("lake.silver_tpch.customer"), F.col("o_custkey") == F.col("c_custkey"))
        .groupBy("o_orderdate", "c_mktsegment")
        .agg(F.sum("revenue").cast("decimal(38,4)").alias("revenue"), F.count(F.lit(1)).alias("orders"))
    )


def _changes(spark: SparkSession, rows: DataFrame, gold: str) -> dict[str, int]:
    held = spark.table(gold).select(*KEYS, F.col("revenue").alias("old_revenue"), F.col("orders").alias("old_orders"))
    differs = (F.col("revenue") != F.col("old_revenue")) | (F.col("orders") != F.col("old_orders"))
    is_new, is_gone = F.col("old_orders").isNull(), F.col("orders").isNull()
    found = (
        rows.join(held, list(KEYS), "full")
        .agg(
            F.count_if(~is_gone).alias("rows"),
            F.count_if(is_new).alias("inserted"),
            F.count_if(differs).alias("updated"),
            F.count_if(is_gone).alias("deleted"),
        )
        .collect()[0]
    )
    return found.asDict()
