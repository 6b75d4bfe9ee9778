"""Transforms of the TPC-H datasets."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def daily_revenue(tables: Mapping[str, DataFrame]) -> DataFrame:
    """Revenue and number of orders by day and market segment.

    Args:
        tables: `silver.tpch.orders`, `silver.tpch.customer`, `silver.tpch.lineitem`.

    Returns:
        `o_orderdate` date, `c_mktsegment` string, `revenue` decimal(38,4), `orders` long; one row per day and segment. Orders whose customer or lines are
        not known yet are left out: they appear when those arrive.
    """
    lines = tables["silver.tpch.lineitem"].select("l_orderkey", "l_extendedprice", "l_discount")
    by_order = lines.groupBy("l_orderkey").agg(F.sum(F.col("l_extendedprice") * (1 - F.col("l_discount"))).alias("revenue"))
    orders = tables["silver.tpch.orders"].select("o_orderkey", "o_custkey", "o_orderdate")
    customers = tables["silver.tpch.customer"].select("c_custkey", "c_mktsegment")
    return (
        orders.join(by_order, F.col("o_orderkey") == F.col("l_orderkey"))
        .join(customers, F.col("o_custkey") == F.col("c_custkey"))
        .groupBy("o_orderdate", "c_mktsegment")
        .agg(F.sum("revenue").cast("decimal(38,4)").alias("revenue"), F.count(F.lit(1)).alias("orders"))
        .select("o_orderdate", "c_mktsegment", "revenue", "orders")
    )
