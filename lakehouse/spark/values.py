"""Small tables out of values that the driver knows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import cast

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StructType


def table_of(spark: SparkSession, rows: Iterable[Sequence[str | int | None]], schema: str) -> DataFrame:
    """A table of some rows.

    It travels as one literal, read by the JVM. `createDataFrame` would start Python workers to copy the rows, a second of a run's time.

    Args:
        spark: The session.
        rows: Values, column by column.
        schema: Columns, such as `path string, size bigint`.
    """
    columns = cast("StructType", StructType.fromDDL(schema))
    text = json.dumps([dict(zip(columns.names, row, strict=True)) for row in rows])
    return spark.range(1, numPartitions=1).select(F.inline(F.from_json(F.lit(text), ArrayType(columns))))
