# ruff: noqa: BLE001, FBT003, T201 - it is written to touch much, not to be read
"""A job that touches what pipelines touch, so that the classes behind it are known; see `spark_archive`. Not a test of anything."""

import sys

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

raw, lake = sys.argv[1:3]
spark = SparkSession.builder.getOrCreate()
spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.training")

rows = spark.range(200).select(
    F.col("id").cast("string").alias("key"),
    F.concat(F.lit("2026-01-"), F.lpad((F.col("id") % 28 + 1).cast("string"), 2, "0")).alias("day"),
    (F.col("id") * 1.25).cast("string").alias("amount"),
    F.when(F.col("id") % 7 == 0, F.lit(None)).otherwise(F.lit("O")).alias("status"),
)
rows.coalesce(1).write.mode("overwrite").option("header", True).option("compression", "gzip").csv(f"{raw}/csv")
rows.coalesce(1).write.mode("overwrite").json(f"{raw}/json")
rows.coalesce(1).write.mode("overwrite").parquet(f"{raw}/parquet")
rows.coalesce(1).select("key").write.mode("overwrite").text(f"{raw}/text")

strings = T.StructType([T.StructField(name, T.StringType()) for name in ("key", "day", "amount", "status")])
csv = spark.read.schema(strings).option("header", True).option("mode", "PERMISSIVE").option("multiLine", True).csv(f"{raw}/csv")
csv = csv.withColumn("_source_file", F.input_file_name()).withColumn("_row", F.monotonically_increasing_id())
json = spark.read.schema(strings).json(f"{raw}/json")
spark.read.text(f"{raw}/text").select(F.sha2("value", 256), F.md5("value")).collect()
spark.read.format("binaryFile").load(f"{raw}/text").select(F.length("content"), "path").collect()
print(json.unionByName(spark.read.parquet(f"{raw}/parquet")).dropDuplicates(["key"]).count())
pairs = T.ArrayType(T.StructType.fromDDL("x string, y bigint"))
spark.range(1).select(F.inline(F.from_json(F.lit('[{"x": "a", "y": 1}]'), pairs))).collect()

spark.sql(
    f"""CREATE TABLE IF NOT EXISTS lake.training.bronze (
        key string, day string, amount string, status string, _extra map<string,string>, _record binary, _row bigint,
        _reasons array<struct<code: string, message: string>>, _ingested_at timestamp)
    USING iceberg PARTITIONED BY (days(_ingested_at)) LOCATION '{lake}/bronze'
    TBLPROPERTIES ('format-version'='2', 'write.delete.mode'='merge-on-read')"""
)
bronze = csv.select(
    "key", "day", "amount", "status",
    F.create_map(F.lit("a"), F.col("key")).alias("_extra"), F.lit(None).cast("binary").alias("_record"), "_row",
    F.array(F.struct(F.lit("x").alias("code"), F.lit("y").alias("message"))).alias("_reasons"),
    F.current_timestamp().alias("_ingested_at"),
)  # fmt: skip
bronze.writeTo("lake.training.bronze").append()
spark.table("lake.training.bronze").where("_row >= 0").groupBy("status").agg(F.count("*"), F.max("_ingested_at")).collect()

spark.sql(
    f"""CREATE TABLE IF NOT EXISTS lake.training.silver (key bigint, day date, amount decimal(15,2), status string, _row bigint)
    USING iceberg PARTITIONED BY (bucket(4, key), months(day)) LOCATION '{lake}/silver'
    TBLPROPERTIES ('format-version'='2', 'write.distribution-mode'='hash')"""
)
spark.sql("ALTER TABLE lake.training.silver WRITE ORDERED BY key")
snapshot = spark.sql("SELECT max(snapshot_id) FROM lake.training.bronze.snapshots").collect()[0][0]
typed = spark.read.option("versionAsOf", snapshot).table("lake.training.bronze").select(
    F.expr("try_cast(key AS bigint)").alias("key"), F.expr("CAST(try_to_timestamp(day, 'yyyy-MM-dd') AS date)").alias("day"),
    F.expr("try_cast(amount AS decimal(15,2))").alias("amount"),
    F.when(F.col("status").isin("O", "F"), F.col("status")).alias("status"), "_row",
)  # fmt: skip
newest = Window.partitionBy("key").orderBy(F.col("_row").desc())
typed = typed.withColumn("_rank", F.row_number().over(newest)).where("_rank = 1").drop("_rank")
for branch in ("first", "second"):
    spark.sql(f"ALTER TABLE lake.training.silver CREATE OR REPLACE BRANCH {branch}")
    typed.createOrReplaceTempView("incoming")
    spark.sql(
        f"""MERGE INTO lake.training.silver.branch_{branch} t USING incoming s ON t.key = s.key
        WHEN MATCHED AND (s._row > t._row OR NOT (s.amount <=> t.amount)) THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"""
    )
    spark.read.option("versionAsOf", branch).table("lake.training.silver").agg(F.count("*"), F.count_distinct("key")).collect()
    spark.sql(f"CALL lake.system.fast_forward('lake.training.silver', 'main', '{branch}')").collect()
    spark.sql(f"ALTER TABLE lake.training.silver DROP BRANCH {branch}")

gold = (
    spark.table("lake.training.silver").alias("a").join(spark.table("lake.training.silver").alias("b"), "key")
    .groupBy("a.day", "a.status").agg(F.sum(F.col("a.amount") * (1 - F.lit("0.05").cast("decimal(3,2)"))).cast("decimal(18,2)").alias("revenue"),
                                      F.count_distinct("key").alias("orders"))
)  # fmt: skip
gold.writeTo("lake.training.gold").using("iceberg").tableProperty("location", f"{lake}/gold").createOrReplace()
gold.exceptAll(spark.table("lake.training.gold")).count()
spark.table("lake.training.silver").join(F.broadcast(gold), ["day"], "left_anti").count()
gold.writeTo("lake.training.gold").overwritePartitions()
spark.sql("DELETE FROM lake.training.silver WHERE key < 5")
spark.sql("SELECT * FROM lake.training.silver.snapshots").collect()
spark.sql("CALL lake.system.rewrite_data_files(table => 'lake.training.silver', options => map('min-input-files', '1'))").collect()
spark.sql("CALL lake.system.expire_snapshots('lake.training.silver')").collect()
try:
    spark.sql("SELECT CAST('x' AS int), nothing FROM lake.training.nothing").collect()
except Exception as error:
    print(type(error).__name__)
