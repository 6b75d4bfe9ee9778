"""Transforms of the shop."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def daily_sales(tables: Mapping[str, DataFrame]) -> DataFrame:
    """Sales by day, segment of customers and product; cancelled orders do not count.

    Args:
        tables: `silver.shop.orders`, `silver.shop.customers`, `silver.shop.products`.

    Returns:
        `ordered_on` date, `segment` string, `product_id` long, `product` string, `orders` long, `quantity` long, `revenue` decimal(24,2). Orders whose
        customer or product is not known yet are left out: they appear when those arrive.
    """
    orders = tables["silver.shop.orders"].where(F.col("status") != "cancelled")
    customers = tables["silver.shop.customers"].select("customer_id", "segment")
    products = tables["silver.shop.products"].select("product_id", F.col("name").alias("product"))
    return (
        orders.join(customers, "customer_id")
        .join(products, "product_id")
        .groupBy("ordered_on", "segment", "product_id", "product")
        .agg(
            F.count(F.lit(1)).alias("orders"),
            F.sum(F.col("quantity").cast("long")).alias("quantity"),
            F.sum("amount").cast("decimal(24,2)").alias("revenue"),
        )
        .select("ordered_on", "segment", "product_id", "product", "orders", "quantity", "revenue")
    )
