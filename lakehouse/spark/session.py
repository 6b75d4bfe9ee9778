"""The Spark session of a job: what every engine must agree on is set here, and checked."""

from __future__ import annotations

from pyspark.sql import SparkSession

from lakehouse.naming import CATALOG

REQUIRED = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    # A cached table would not show the branch or the snapshot that was committed a moment ago through another handle: reloaded after 30 s, the two part.
    f"spark.sql.catalog.{CATALOG}.cache-enabled": "false",
}
"""Settings on which the meaning of data depends; the same on every engine."""

COMPILED = {"spark.sql.codegen.hugeMethodLimit": "8000"}
"""The JVM interprets methods of more than 8000 bytes for ever (HotSpot's HugeMethodLimit), at a third of the speed: a stage whose code is longer, as
that of any wide contract, is generated in short methods instead of in one."""

_SMALL_SHUFFLE = 2


def spark_session(app: str) -> SparkSession:
    """The session that the engine prepared, or a new one, with the required settings.

    Args:
        app: Name of the application, for the engine's lists.
    """
    builder = SparkSession.builder.appName(app)
    for key, value in REQUIRED.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    prepare(spark)
    return spark


def prepare(spark: SparkSession) -> SparkSession:
    """Give a session the required settings, code that the JVM compiles, and shuffles that fit its size."""
    for key, value in {**REQUIRED, **COMPILED}.items():
        spark.conf.set(key, value)
    if spark.conf.get("spark.sql.shuffle.partitions") == "200":
        spark.conf.set("spark.sql.shuffle.partitions", str(max(4, _SMALL_SHUFFLE * spark.sparkContext.defaultParallelism)))
    return spark
