"""Prints how many rows each day has; Glue runs it."""

from pyspark.sql import SparkSession

SparkSession.builder.getOrCreate().table("lake.gold_sales.daily_sales").groupBy("sold_on").count().show()
