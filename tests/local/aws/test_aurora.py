"""Aurora on the laptop: a cluster with a writer and a reader by CloudFormation, SQL by the Data API as the caller, and the refusals of AWS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from botocore.exceptions import ClientError

from lakehouse.databases import DatabaseAddress, read_credentials
from lakehouse.rds_data import RdsData, RdsDataError
from tests.fixtures.platform import Caller, LocalAws, allow, wait_for

pytestmark = pytest.mark.platform

SUBNETS = ["subnet-00000001", "subnet-00000002"]
"""Of the default VPC."""

ACTIONS = [
    f"rds-data:{name}"
    for name in ("ExecuteStatement", "BatchExecuteStatement", "BeginTransaction", "CommitTransaction", "RollbackTransaction")
]


@dataclass(frozen=True, kw_only=True)
class Aurora:
    """A cluster that a stack has made, with a writer, a reader and a Data API."""

    local_aws: LocalAws
    name: str
    stack: str
    resources: dict[str, Any] = field(repr=False)

    @property
    def rds(self) -> Any:
        return self.local_aws.client("rds")

    @property
    def cluster(self) -> dict[str, Any]:
        return self.rds.describe_db_clusters(DBClusterIdentifier=self.name)["DBClusters"][0]

    @property
    def secret(self) -> str:
        return str(self.cluster["MasterUserSecret"]["SecretArn"])

    def instance(self, name: str) -> dict[str, Any]:
        return self.rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]

    def where(self, **more: Any) -> dict[str, Any]:
        return {"resourceArn": self.cluster["DBClusterArn"], "secretArn": self.secret, "database": "shop", **more}

    def data(self, caller: Caller | None = None) -> RdsData:
        """The library's client, as a caller."""
        client = (caller or self.local_aws.root).client("rds-data")
        return RdsData(client=client, cluster_arn=self.cluster["DBClusterArn"], secret_arn=self.secret, database="shop")

    def rights(self) -> list[dict[str, Any]]:
        """Just what the Data API asks of a caller."""
        return [allow(ACTIONS, self.cluster["DBClusterArn"]), allow("secretsmanager:GetSecretValue", self.secret)]

    def connect(self, port: int) -> psycopg.Connection[Any]:
        address = DatabaseAddress.parse(f"aurora-postgresql://localhost:{port}/shop", secret_arn=self.secret)
        login = read_credentials(self.local_aws.client("secretsmanager"), address.secret_arn)
        return psycopg.connect(
            host=address.host, port=address.port, dbname=address.dbname, user=login.username, password=login.password, autocommit=True,
            sslmode="verify-full", sslrootcert=self.local_aws.root.bundle,
        )  # fmt: skip

    def update(self, change: Callable[[dict[str, Any]], None]) -> None:
        change(self.resources)
        stack = self.local_aws.stack(self.resources, name=self.stack, update=True)
        assert stack["StackStatus"] == "UPDATE_COMPLETE", stack["Failures"]


def resources_of(name: str) -> dict[str, Any]:
    def member(number: int) -> dict[str, Any]:
        named = {"DBInstanceIdentifier": f"{name}-{number}", "DBClusterIdentifier": {"Ref": "Cluster"}}
        return {"Type": "AWS::RDS::DBInstance", "Properties": {**named, "DBInstanceClass": "db.r7g.large", "Engine": "aurora-postgresql"}}

    return {
        "Subnets": {"Type": "AWS::RDS::DBSubnetGroup", "Properties": {"DBSubnetGroupDescription": "d", "SubnetIds": SUBNETS}},
        "Parameters": {
            "Type": "AWS::RDS::DBClusterParameterGroup",
            "Properties": {"Family": "aurora-postgresql17", "Description": "d", "Parameters": {"rds.force_ssl": "1"}},
        },
        "Cluster": {
            "Type": "AWS::RDS::DBCluster",
            "Properties": {
                "DBClusterIdentifier": name, "Engine": "aurora-postgresql", "EngineVersion": "17.5", "DatabaseName": "shop", "MasterUsername": "owner",
                "ManageMasterUserPassword": True, "DBSubnetGroupName": {"Ref": "Subnets"}, "DBClusterParameterGroupName": {"Ref": "Parameters"},
                "EnableHttpEndpoint": True, "BackupRetentionPeriod": 7, "EnableCloudwatchLogsExports": ["postgresql"], "CopyTagsToSnapshot": True,
                "Tags": [{"Key": "a", "Value": "b"}],
            },
        },
        "Writer": member(1),
        # after the writer, so that the test knows which of the two is the first
        "Reader": {**member(2), "DependsOn": "Writer"},
        "Where": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {
                "Type": "String", "Name": f"/{name}/where",
                "Value": {"Fn::Sub": "${Cluster.Endpoint.Address}:${Cluster.Endpoint.Port} ${Cluster.ReadEndpoint.Address} ${Cluster.DBClusterArn} ${Cluster.MasterUserSecret.SecretArn}"},
            },
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def aurora(local_aws: LocalAws) -> Iterator[Aurora]:
    name = local_aws.name("aurora")
    resources = resources_of(name)
    stack = local_aws.stack(resources)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    made = Aurora(local_aws=local_aws, name=name, stack=stack["StackName"], resources=resources)
    made.data().execute(
        "CREATE TABLE things (id bigint PRIMARY KEY, name text, price numeric, seen timestamptz, day date, tag uuid, body bytea)"
    )
    yield made
    client = local_aws.client("cloudformation")
    client.delete_stack(StackName=stack["StackName"])
    wait_for(lambda: client.describe_stacks(StackName=stack["StackId"])["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE", seconds=60)
    assert name not in {found["DBClusterIdentifier"] for found in local_aws.client("rds").describe_db_clusters()["DBClusters"]}


def test_a_template_gives_a_cluster_with_its_endpoints_secret_and_members(aurora: Aurora) -> None:
    cluster = aurora.cluster
    where = aurora.local_aws.client("ssm").get_parameter(Name=f"/{aurora.name}/where")["Parameter"]["Value"]
    assert where == f"localhost:{cluster['Port']} localhost {cluster['DBClusterArn']} {aurora.secret}"
    assert (cluster["Status"], cluster["HttpEndpointEnabled"], cluster["BackupRetentionPeriod"]) == ("available", True, 7)
    assert [(member["DBInstanceIdentifier"], member["IsClusterWriter"]) for member in cluster["DBClusterMembers"]] == [
        (f"{aurora.name}-1", True), (f"{aurora.name}-2", False),
    ]  # fmt: skip
    aurora.update(lambda resources: resources["Cluster"]["Properties"].update(BackupRetentionPeriod=14, Tags=[{"Key": "a", "Value": "c"}]))
    assert aurora.cluster["BackupRetentionPeriod"] == 14
    assert {"Key": "a", "Value": "c"} in aurora.cluster["TagList"]


def test_it_is_read_as_any_source_over_verified_tls_by_its_secret(aurora: Aurora) -> None:
    with aurora.connect(aurora.cluster["Port"]) as connection:
        assert connection.execute("SELECT current_user, current_database()").fetchone() == ("owner", "shop")
    login = read_credentials(aurora.local_aws.client("secretsmanager"), aurora.secret)
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(
            host="localhost", port=aurora.cluster["Port"], dbname="shop", user="owner", password=login.password, sslmode="disable"
        )


def test_a_reader_follows_the_writer_and_takes_no_writes(aurora: Aurora) -> None:
    aurora.data().execute("CREATE TABLE followed AS SELECT 1 AS id")
    with aurora.connect(aurora.instance(f"{aurora.name}-2")["Endpoint"]["Port"]) as reader:
        assert wait_for(lambda: reader.execute("SELECT to_regclass('followed')").fetchone() != (None,))
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("INSERT INTO followed VALUES (2)")


def test_values_go_there_and_back_with_their_types(aurora: Aurora) -> None:
    data, tag = aurora.data(), UUID("12345678-1234-5678-1234-567812345678")
    row = {
        "id": 2**53 + 1, "name": "it's; DROP TABLE things", "price": Decimal("1.50"), "seen": datetime(2026, 11, 1, 9, 30, 0, 123456, tzinfo=UTC),
        "day": date(2026, 11, 1), "tag": tag, "body": b"\x00\xff",
    }  # fmt: skip
    assert data.execute("INSERT INTO things VALUES (:id, :name, :price, :seen, :day, :tag, :body)", row) == 1
    assert data.rows("SELECT * FROM things WHERE tag = :tag AND seen >= :seen", {"tag": tag, "seen": row["seen"]}) == [row]
    assert data.rows("SELECT :missing AS missing, ARRAY[1.5] AS list", {"missing": None}) == [{"missing": None, "list": [Decimal("1.5")]}]


def delete_and_fail(data: RdsData) -> None:
    with data.transaction() as transaction:
        transaction.execute("DELETE FROM things")
        transaction.execute("INSERT INTO things (id) VALUES (4), (4)")


def test_a_transaction_is_whole_or_nothing(aurora: Aurora) -> None:
    data = aurora.data()
    with data.transaction() as transaction:
        transaction.execute("INSERT INTO things (id, name) VALUES (1, 'kept')")
        assert data.rows("SELECT id FROM things WHERE id = 1") == []
        assert transaction.batch("INSERT INTO things (id) VALUES (:id)", [{"id": 2}, {"id": 3}]) == 2
    with pytest.raises(RdsDataError) as error:
        delete_and_fail(data)
    assert (error.value.code, error.value.sqlstate) == ("DatabaseErrorException", "23505")
    with pytest.raises(RdsDataError, match="duplicate key"):
        data.batch("INSERT INTO things (id) VALUES (:id)", [{"id": 5}, {"id": 1}])
    assert data.rows("SELECT id FROM things WHERE id < 10 ORDER BY id") == [{"id": 1}, {"id": 2}, {"id": 3}]


def test_a_transaction_that_is_over_or_of_nobody_is_not_found(aurora: Aurora) -> None:
    client = aurora.local_aws.client("rds-data")
    name = client.begin_transaction(**aurora.where())["transactionId"]
    ends = {"resourceArn": aurora.cluster["DBClusterArn"], "secretArn": aurora.secret, "transactionId": name}
    with pytest.raises(client.exceptions.BadRequestException, match="not the same as transaction's"):
        client.execute_statement(**aurora.where(sql="SELECT 1", transactionId=name, database="postgres"))
    assert client.commit_transaction(**ends)["transactionStatus"] == "Transaction Committed"
    for call in (
        lambda: client.rollback_transaction(**ends),
        lambda: client.execute_statement(**aurora.where(sql="SELECT 1", transactionId=name)),
    ):
        with pytest.raises(client.exceptions.TransactionNotFoundException, match=f"Transaction {name} is not found"):
            call()


def test_a_result_that_is_too_large_ends_its_transaction(aurora: Aurora) -> None:
    client = aurora.local_aws.client("rds-data")
    name = client.begin_transaction(**aurora.where())["transactionId"]
    with pytest.raises(client.exceptions.UnsupportedResultException, match="size limit"):
        client.execute_statement(**aurora.where(sql="SELECT repeat('x', 60000) FROM generate_series(1, 20)", transactionId=name))
    with pytest.raises(client.exceptions.TransactionNotFoundException):
        client.execute_statement(**aurora.where(sql="SELECT 1", transactionId=name))


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"sql": "SELECT 1; SELECT 2"}, "ValidationException", "Multistatements"),
        ({"schema": "public"}, "BadRequestException", "schema parameter"),
        ({"database": "nowhere"}, "DatabaseErrorException", 'database "nowhere" does not exist'),
        ({"resourceArn": "arn:aws:rds:us-east-1:000000000000:cluster:nobody"}, "HttpEndpointNotEnabledException", "not enabled"),
        ({"secretArn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:nothing-AbCdEf"}, "SecretsErrorException", "can't find"),
        ({"parameters": [{"name": "a", "typeHint": "MONEY", "value": {"stringValue": "1"}}]}, "BadRequestException", "enum value set"),
    ],
)
def test_a_call_that_aws_refuses_is_refused_by_the_same_code(aurora: Aurora, change: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(ClientError, match=message) as error:
        aurora.local_aws.client("rds-data").execute_statement(**aurora.where(sql="SELECT 1") | change)
    assert error.value.response["Error"]["Code"] == code


def test_a_secret_with_a_wrong_password_or_without_one_opens_nothing(aurora: Aurora) -> None:
    client, data = aurora.local_aws.client("secretsmanager"), aurora.local_aws.client("rds-data")
    for value, code in (
        ({"username": "owner", "password": "wrong-password"}, "DatabaseErrorException"),
        ({"user": "owner"}, "InvalidSecretException"),
    ):
        arn = client.create_secret(Name=aurora.local_aws.name("s"), SecretString=json.dumps(value))["ARN"]
        with pytest.raises(ClientError) as error:
            data.execute_statement(**aurora.where(sql="SELECT 1", secretArn=arn))
        assert error.value.response["Error"]["Code"] == code


def test_the_caller_needs_the_action_on_the_cluster_and_the_secret_and_nothing_else(aurora: Aurora) -> None:
    rights = aurora.rights()
    with aurora.data(aurora.local_aws.caller(*rights)).transaction() as transaction:
        assert transaction.rows("SELECT 1 AS one") == [{"one": 1}]
    for missing, message in ((0, "rds-data:BeginTransaction"), (1, "secretsmanager:GetSecretValue")):
        caller = aurora.local_aws.caller(rights[1 - missing])
        with pytest.raises(RdsDataError, match=message) as error, aurora.data(caller).transaction():
            pass
        assert error.value.code == "AccessDeniedException"


def test_the_data_api_is_switched_off_and_on_by_the_template(aurora: Aurora) -> None:
    with pytest.raises(ClientError, match="call EnableHttpEndpoint"):
        aurora.rds.modify_db_cluster(DBClusterIdentifier=aurora.name, EnableHttpEndpoint=False)
    aurora.update(lambda resources: resources["Cluster"]["Properties"].update(EnableHttpEndpoint=False))
    with pytest.raises(RdsDataError, match="data_api: true") as error:
        aurora.data().execute("SELECT 1")
    assert error.value.code == "HttpEndpointNotEnabledException"
    aurora.update(lambda resources: resources["Cluster"]["Properties"].update(EnableHttpEndpoint=True))
    aurora.data().execute("SELECT 1")


def test_a_rotated_password_opens_and_the_data_api_goes_on(aurora: Aurora) -> None:
    before = read_credentials(aurora.local_aws.client("secretsmanager"), aurora.secret)
    aurora.rds.modify_db_cluster(DBClusterIdentifier=aurora.name, RotateMasterUserPassword=True, ApplyImmediately=True)
    assert read_credentials(aurora.local_aws.client("secretsmanager"), aurora.secret) != before
    assert aurora.data().rows("SELECT 1 AS one") == [{"one": 1}]


def wanted(aurora: Aurora, **change: Any) -> dict[str, Any]:
    given = {
        "DBClusterIdentifier": aurora.local_aws.name("cluster"), "Engine": "aurora-postgresql", "MasterUsername": "owner",
        "MasterUserPassword": "long-enough", "DBSubnetGroupName": aurora.cluster["DBSubnetGroup"],
    }  # fmt: skip
    return {**given, **change}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Engine": "aurora-mysql"}, "clusters of the engine aurora-mysql"),
        ({"Engine": "postgres"}, "clusters of the engine postgres"),
        ({"EngineMode": "serverless"}, "mode serverless"),
        ({"EngineVersion": "9.6"}, "Cannot find version"),
        ({"MasterUsername": "admin"}, "reserved word"),
        ({"ManageMasterUserPassword": True}, "either MasterUserPassword or ManageMasterUserPassword"),
        ({"DBClusterParameterGroupName": "default.aurora-postgresql13"}, "DBParameterGroupFamily aurora-postgresql17"),
        ({"DBSubnetGroupName": "nowhere"}, "does not exist"),
        ({"EnableIAMDatabaseAuthentication": True}, "EnableIAMDatabaseAuthentication of CreateDBCluster is not implemented"),
        ({"GlobalClusterIdentifier": "world"}, "GlobalClusterIdentifier of CreateDBCluster is not implemented"),
        ({"EnableCloudwatchLogsExports": ["audit"]}, "log types 'audit'"),
    ],
)
def test_a_cluster_that_is_not_here_or_nowhere_is_refused(aurora: Aurora, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        aurora.rds.create_db_cluster(**wanted(aurora, **change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Engine": "postgres"}, "doesn't match the engine name of your DB cluster"),
        ({"DBInstanceClass": "db.serverless"}, "Set the Serverless v2 scaling configuration"),
        ({"MasterUsername": "owner"}, "MasterUsername of CreateDBInstance"),
        ({"DBClusterIdentifier": "nobody"}, "DBCluster nobody not found"),
    ],
)
def test_a_member_that_does_not_fit_its_cluster_is_refused(aurora: Aurora, change: dict[str, Any], message: str) -> None:
    given = {"DBInstanceIdentifier": aurora.local_aws.name("m"), "DBClusterIdentifier": aurora.name, "Engine": "aurora-postgresql", "DBInstanceClass": "db.r7g.large"}  # fmt: skip
    with pytest.raises(ClientError, match=message):
        aurora.rds.create_db_instance(**given | change)


def test_a_cluster_keeps_its_rows_without_a_writer_and_goes_only_when_it_is_empty(aurora: Aurora) -> None:
    rds, name = aurora.rds, aurora.local_aws.name("cluster")
    scaling = {"MinCapacity": 0.5, "MaxCapacity": 1}
    rds.create_db_cluster(
        **wanted(
            aurora, DBClusterIdentifier=name, EnableHttpEndpoint=True, ServerlessV2ScalingConfiguration=scaling, DeletionProtection=True
        )
    )
    login = {"username": "owner", "password": "long-enough"}
    secret = aurora.local_aws.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(login))["ARN"]
    arn = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]["DBClusterArn"]
    data = RdsData(client=aurora.local_aws.client("rds-data"), cluster_arn=arn, secret_arn=secret, database="postgres")

    def add(kind: str) -> None:
        rds.create_db_instance(DBInstanceIdentifier=name, DBClusterIdentifier=name, Engine="aurora-postgresql", DBInstanceClass=kind)
        wait_for(lambda: aurora.instance(name)["DBInstanceStatus"] == "available", seconds=60)

    def drop() -> None:
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
        wait_for(lambda: name not in {found["DBInstanceIdentifier"] for found in rds.describe_db_instances()["DBInstances"]})

    add("db.serverless")
    data.execute("CREATE TABLE kept AS SELECT 1 AS id")
    with pytest.raises(ClientError, match="please disable deletion protection"):
        rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
    rds.modify_db_cluster(DBClusterIdentifier=name, DeletionProtection=False)
    with pytest.raises(ClientError, match="still contains DB instances"):
        rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
    drop()
    with pytest.raises(RdsDataError, match="add a writer"):
        data.rows("SELECT id FROM kept")
    add("db.t4g.medium")
    with pytest.raises(RdsDataError, match="T DB instance classes"):
        data.rows("SELECT id FROM kept")
    rds.modify_db_instance(DBInstanceIdentifier=name, DBInstanceClass="db.r7g.large", ApplyImmediately=True)
    assert data.rows("SELECT id FROM kept") == [{"id": 1}]
    drop()
    with pytest.raises(ClientError, match="snapshots of clusters are not implemented"):
        rds.delete_db_cluster(DBClusterIdentifier=name, FinalDBSnapshotIdentifier="last")
    rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
    wait_for(lambda: name not in {found["DBClusterIdentifier"] for found in rds.describe_db_clusters()["DBClusters"]})


def test_a_reader_takes_the_place_of_a_writer_that_goes(aurora: Aurora) -> None:
    """Last: the stack's writer is not there any more."""
    aurora.data().execute("INSERT INTO things (id) VALUES (99)")
    aurora.rds.delete_db_instance(DBInstanceIdentifier=f"{aurora.name}-1", SkipFinalSnapshot=True)
    wait_for(
        lambda: f"{aurora.name}-1" not in {found["DBInstanceIdentifier"] for found in aurora.rds.describe_db_instances()["DBInstances"]}
    )
    (member,) = aurora.cluster["DBClusterMembers"]
    assert (member["DBInstanceIdentifier"], member["IsClusterWriter"]) == (f"{aurora.name}-2", True)
    assert aurora.data().execute("DELETE FROM things WHERE id = 99") == 1
    assert aurora.instance(f"{aurora.name}-2")["Endpoint"]["Port"] == aurora.cluster["Port"]
