"""One Spark session for every test that needs one; contracts of the checkout."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.model import CompiledContract
from tests.spark_lake import Lake, shared_session


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with shared_session(tmp_path_factory.mktemp("warehouse")) as session:
        yield session


@pytest.fixture(scope="session")
def contracts() -> dict[str, CompiledContract]:
    return compile_contracts(Path(__file__).resolve().parents[3] / "contracts")


@pytest.fixture
def orders(spark: SparkSession, contracts: dict[str, CompiledContract], tmp_path: Path) -> Lake:
    return Lake(spark=spark, contract=contracts["tpch.orders"], folder=tmp_path)
