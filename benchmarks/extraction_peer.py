"""Hand-written Spark that reads a table over JDBC, in parts, into bronze: the peer of benchmarks/extraction.py."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

COLUMNS = ("order_id", "customer_id", "product_id", "quantity", "amount", "status", "ordered_on", "updated_at")


def run(
    spark: SparkSession,
    *,
    url: str,
    properties: Mapping[str, str],
    source: str,
    version: str,
    now: datetime,
    bronze: str,
    partitions: int,
) -> int:
    """Read `orders` into bronze.

    Args:
        spark: Session.
        url: JDBC URL.
        properties: Driver properties.
        source: `_source_file` of the rows.
        version: `_source_version` of the rows.
        now: Time of ingestion of the rows.
        bronze: Table of raw rows.
        partitions: Parts of the read.

    Returns:
        Rows that were read.
    """
    given = dict(properties)
    least, most = spark.read.jdbc(
        url, "(SELECT min(order_id) AS a, max(order_id) AS b FROM public.orders) AS bounds", properties=given
    ).collect()[0]
    table = spark.read.jdbc(
        url, "public.orders", column="order_id", lowerBound=least, upperBound=most, numPartitions=partitions, properties=given
    )
    texts = {name: F.col(name).cast("string") for name in COLUMNS} | {
        "updated_at": F.concat(F.col("updated_at").cast("string"), F.lit("+00"))
    }
    rows = table.select(
        *(text.alias(name) for name, text in texts.items()),
        F.lit(None).cast("map<string,string>").alias("_extra"),
        F.lit(None).cast("binary").alias("_record"),
        F.lit(source).alias("_source_file"),
        F.lit(version).alias("_source_version"),
        (F.monotonically_increasing_id() + 1).alias("_row"),
        F.lit(now.isoformat()).alias("_sequence"),
        F.lit(version).alias("_batch_id"),
        F.lit(now.isoformat()).cast("timestamp").alias("_ingested_at"),
        F.lit(None).cast("string").alias("_operation"),
    )
    rows.writeTo(bronze).option("distribution-mode", "none").option("fanout-enabled", "true").append()
    read = spark.table(bronze).where(F.col("_source_version") == version)
    count, _ = read.agg(F.count(F.lit(1)), F.max("updated_at")).collect()[0]
    return count
