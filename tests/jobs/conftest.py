"""Jobs on a local lake: Spark is real, DynamoDB is moto's, files stand for S3."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pyspark.sql import SparkSession

from lakehouse.audit import AuditTrail
from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.model import CompiledContract
from lakehouse.lineage import Lineage
from tests.spark_lake import Lake
from tests.spark_pipelines import LocalServices, Pipelines


@pytest.fixture(scope="session")
def contracts() -> dict[str, CompiledContract]:
    return compile_contracts(Path(__file__).resolve().parents[2] / "contracts")


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        for table, partition in (("audit", "pipeline"), ("lineage", "pk"), ("watermarks", "pk")):
            dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
                AttributeDefinitions=[{"AttributeName": partition, "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
            )
        yield dynamodb


@pytest.fixture
def pipelines(dynamodb: Any, spark: SparkSession, contracts: dict[str, CompiledContract], tmp_path: Path) -> Pipelines:
    services = LocalServices(dynamodb=dynamodb, folder=tmp_path, contracts=contracts)
    audit = AuditTrail(client=dynamodb, table="audit")
    lineage = Lineage(client=dynamodb, table="lineage")
    return Pipelines(spark=spark, services=services, audit=audit, lineage=lineage, folder=tmp_path)


@pytest.fixture
def lake(spark: SparkSession, contracts: dict[str, CompiledContract], tmp_path: Path) -> Callable[[str], Lake]:
    """Makes the tables of a contract anew."""
    return lambda name: Lake(spark=spark, contract=contracts[name], folder=tmp_path)
