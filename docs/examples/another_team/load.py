"""Glue job of another team: puts one station into its table."""

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
station = spark.createDataFrame([("s1", "Tower")], "station_id string, name string")
station.writeTo("lake.gold_weather.stations").append()
