"""Tables, branches and snapshots as the jobs use them."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.spark.session import REQUIRED
from tests.lakehouse.spark.small_contract import contract
from tests.spark_lake import Lake

pytestmark = pytest.mark.spark

CONTENT = b"id,name,amount,day\n1,a,1.00,2026-01-01\n"


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(spark=spark, contract=contract(), folder=tmp_path)


def test_a_branch_is_seen_at_once_even_if_spark_has_loaded_the_table_anew(lake: Lake, spark: SparkSession) -> None:
    lake.run(lake.deliver("a.csv", CONTENT))
    silver = lake.table("silver")
    rows = silver.read().persist()
    rows.count()
    spark.catalog.refreshTable(silver.name)
    spark.table(silver.name).count()
    silver.create_branch("run_x")
    silver.append(rows, branch="run_x", properties={"run_id": "x"})
    assert (silver.rows(), silver.rows("run_x")) == (1, 2)
    assert silver.summary("run_x")["run_id"] == "x"
    silver.create_branch("run_y")
    assert set(silver.branches) == {"main", "run_y"}
    silver.drop_branch("run_y")
    rows.unpersist()


def test_every_session_has_the_settings_that_the_meaning_of_data_depends_on(spark: SparkSession) -> None:
    assert {name: spark.conf.get(name) for name in REQUIRED} == REQUIRED
