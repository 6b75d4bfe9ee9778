"""Contracts of the checkout, and the tables of one; the Spark session is that of the root conftest."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.model import CompiledContract
from tests.spark_lake import Lake


@pytest.fixture(scope="session")
def contracts() -> dict[str, CompiledContract]:
    return compile_contracts(Path(__file__).resolve().parents[3] / "contracts")


@pytest.fixture
def orders(spark: SparkSession, contracts: dict[str, CompiledContract], tmp_path: Path) -> Lake:
    return Lake(spark=spark, contract=contracts["tpch.orders"], folder=tmp_path)
