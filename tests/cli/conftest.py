"""An environment as the command line sees it, on moto: the project's own config, contracts and pipelines, real boto3 clients."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from rich.console import Console

from cli.progress import Progress
from cli.session import ROOT, Access, Session, load_config
from lakehouse.audit import AuditTrail
from lakehouse.claims import Claim
from stacks.project import Project

ACCOUNT, REGION = "123456789012", "us-east-1"


class Shop:
    """What a deployed environment holds, and the hands of those who write to it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.names = session.names

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION)

    @property
    def audit(self) -> AuditTrail:
        return AuditTrail(client=self.client("dynamodb"), table=self.names.run_table("audit"))

    def create(self) -> None:
        s3, sqs, dynamodb, states = (self.client(service) for service in ("s3", "sqs", "dynamodb", "stepfunctions"))
        s3.create_bucket(Bucket=self.names.bucket("raw"))
        s3.put_bucket_versioning(Bucket=self.names.bucket("raw"), VersioningConfiguration={"Status": "Enabled"})
        for pipeline in self.session.pipelines:
            sqs.create_queue(QueueName=self.names.arrivals_queue(pipeline.name))
            sqs.create_queue(QueueName=self.names.dead_letter_queue(pipeline.name))
            states.create_state_machine(
                name=self.names.state_machine(pipeline.name),
                definition='{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}',
                roleArn=f"arn:aws:iam::{ACCOUNT}:role/machine",
            )
        _create_table(dynamodb, self.names.run_table("control"), "pk", "sk")
        _create_table(
            dynamodb, self.names.run_table("audit"), "pipeline", "sk", by_run=("run_id", "sk"), by_status=("status", "started_at")
        )

    def claim(self, drop: Any, *, run_id: str, pipeline: str, status: str = "STARTED") -> None:
        self._claim(bucket=drop.bucket, key=drop.key, version=drop.version_id, run_id=run_id, pipeline=pipeline, status=status)

    def claim_success(self, *, execution: str, run_id: str, pipeline: str) -> None:
        self._claim(bucket="after", key=pipeline, version=execution, run_id=run_id, pipeline=pipeline, status="STARTED")

    def _claim(self, *, bucket: str, key: str, version: str, run_id: str, pipeline: str, status: Any) -> None:
        from lakehouse.claims import Claims

        claims = Claims(client=self.client("dynamodb"), table=self.names.run_table("control"), audit=self.audit)
        claim = Claim(bucket=bucket, key=key, version_id=version, run_id=run_id, pipeline=pipeline, sequence="1", status=status)
        assert claims.write(claim, over=None)

    def dead_letter(self, pipeline: str) -> None:
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=self.names.dead_letter_queue(pipeline))["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="{}")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's authored files, so that state goes to a folder of the test's own."""
    for folder in ("config", "contracts", "pipelines"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


@pytest.fixture(scope="session")
def authored() -> Project:
    """The project's contracts and pipelines, read once."""
    return Project.load(ROOT)


@pytest.fixture
def session(project: Path, authored: Project) -> Iterator[Session]:
    """The dev environment, before anything is deployed."""
    with mock_aws():
        config = load_config(project, "dev")
        access = Access(region=REGION, access_key="testing", secret_key="testing")
        session = Session(root=project, config=config, names=config.names(account=ACCOUNT, region=REGION), access=access)
        vars(session).update(contracts=dict(authored.contracts), pipelines=authored.pipelines)
        yield session


@pytest.fixture
def shop(session: Session) -> Shop:
    """The dev environment, deployed."""
    shop = Shop(session)
    shop.create()
    return shop


@pytest.fixture
def progress() -> Progress:
    """Progress that nobody watches."""
    return Progress("testing", console=Console(quiet=True))


def _create_table(client: Any, name: str, partition: str, sort: str, **indexes: tuple[str, str]) -> None:
    keys = {partition, sort, *(key for index in indexes.values() for key in index)}
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_schema(partition, sort),
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in sorted(keys)],
        **(
            {
                "GlobalSecondaryIndexes": [
                    {"IndexName": index, "KeySchema": _schema(*pair), "Projection": {"ProjectionType": "ALL"}}
                    for index, pair in indexes.items()
                ]
            }
            if indexes
            else {}
        ),
    )


def _schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
