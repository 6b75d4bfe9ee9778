"""Values of the driver become a small table without Python workers."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pyspark.sql import SparkSession

from lakehouse.spark.values import table_of

pytestmark = pytest.mark.spark

ROWS = [("s3://b/a 'b' \"c\"\\.csv", 2**53 + 1), ("Größe\t\n☃", -(2**63)), ("", None), ("a", 2**63 - 1)]


def test_values_come_as_they_are(spark: SparkSession) -> None:
    table = table_of(spark, ROWS, "_file string, _size bigint")
    assert table.dtypes == [("_file", "string"), ("_size", "bigint")]
    assert [tuple(row) for row in table.collect()] == ROWS


def test_no_rows_are_an_empty_table(spark: SparkSession) -> None:
    assert table_of(spark, [], "a string").collect() == []


def test_a_row_with_too_few_values_is_refused(spark: SparkSession) -> None:
    with pytest.raises(ValueError, match="zip"):
        table_of(spark, [("a",)], "a string, b string")


def test_nothing_of_python_is_in_the_plan(spark: SparkSession) -> None:
    table = cast("Any", table_of(spark, ROWS, "a string, b bigint"))
    plan = str(table._jdf.queryExecution().executedPlan())
    assert "Range" in plan
    assert "ExistingRDD" not in plan
