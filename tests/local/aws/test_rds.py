"""RDS on the laptop: a real PostgreSQL an instance, TLS to its own name, a replica that streams, and the refusals of AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow, wait_for

pytestmark = pytest.mark.platform

SUBNETS = ["subnet-00000001", "subnet-00000002"]
"""Of the default VPC."""


@dataclass(frozen=True, kw_only=True)
class Databases:
    """RDS as root sees it, and clients of its databases."""

    local_aws: LocalAws
    subnet_group: str

    @property
    def rds(self) -> Any:
        return self.local_aws.client("rds")

    def create(self, **more: Any) -> str:
        """Make an instance and wait for it."""
        name = self.local_aws.name("db")
        self.rds.create_db_instance(**{**self.wanted(name), **more})
        return self.available(name)

    def wanted(self, name: str) -> dict[str, Any]:
        return {
            "DBInstanceIdentifier": name, "DBInstanceClass": "db.t4g.micro", "Engine": "postgres", "AllocatedStorage": 20,
            "MasterUsername": "owner", "ManageMasterUserPassword": True, "DBName": "shop", "DBSubnetGroupName": self.subnet_group,
        }  # fmt: skip

    def available(self, name: str) -> str:
        wait_for(lambda: self.get(name)["DBInstanceStatus"] == "available", seconds=60)
        return name

    def get(self, name: str) -> dict[str, Any]:
        return self.rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]

    def secret(self, name: str) -> dict[str, str]:
        arn = self.get(name)["MasterUserSecret"]["SecretArn"]
        return json.loads(self.local_aws.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])

    def connect(self, name: str, *, login: Mapping[str, str] | None = None, **more: Any) -> psycopg.Connection[Any]:
        endpoint, given = self.get(name)["Endpoint"], login or self.secret(name)
        options: dict[str, Any] = {
            "sslmode": "verify-full",
            "sslrootcert": self.local_aws.root.bundle,
            "dbname": "shop",
            "connect_timeout": 10,
            **more,
        }
        return psycopg.connect(
            host=endpoint["Address"], port=endpoint["Port"], user=given["username"], password=given["password"], autocommit=True, **options
        )

    def delete(self, name: str) -> None:
        self.rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
        wait_for(lambda: name not in {found["DBInstanceIdentifier"] for found in self.rds.describe_db_instances()["DBInstances"]})


@pytest.fixture(scope="module")
def databases(local_aws: LocalAws) -> Databases:
    name = local_aws.name("subnets")
    local_aws.client("rds").create_db_subnet_group(DBSubnetGroupName=name, DBSubnetGroupDescription="d", SubnetIds=SUBNETS)
    return Databases(local_aws=local_aws, subnet_group=name)


@pytest.fixture(scope="module")
def shop(databases: Databases) -> Iterator[str]:
    name = databases.create(BackupRetentionPeriod=7)
    yield name
    databases.delete(name)


def test_an_instance_is_a_postgresql_that_its_managed_secret_opens_over_verified_tls(databases: Databases, shop: str) -> None:
    with databases.connect(shop) as connection:
        assert connection.execute("SELECT current_user, current_database()").fetchone() == ("owner", "shop")
        connection.execute("CREATE TABLE public.made (id int PRIMARY KEY)")
        connection.execute("DROP TABLE public.made")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE ROLE evil SUPERUSER")
    assert set(databases.secret(shop)) == {"username", "password"}


@pytest.mark.parametrize(
    ("options", "message"),
    [({"sslmode": "disable"}, "no encryption"), ({"dbname": "nowhere"}, "does not exist"), ({"sslrootcert": "/dev/null"}, "certificate")],
)
def test_a_client_that_does_not_ask_for_tls_or_does_not_trust_us_is_refused(
    databases: Databases, shop: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match=message):
        databases.connect(shop, **options)


def test_a_wrong_password_is_refused(databases: Databases, shop: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        databases.connect(shop, login={"username": "owner", "password": "wrong-password"})


def test_a_replica_follows_its_source_and_takes_no_writes(databases: Databases, shop: str) -> None:
    replica = databases.local_aws.name("replica")
    databases.rds.create_db_instance_read_replica(DBInstanceIdentifier=replica, SourceDBInstanceIdentifier=shop)
    databases.available(replica)
    login = databases.secret(shop)
    with databases.connect(shop) as source:
        source.execute("CREATE TABLE followed AS SELECT 1 AS id")
    with databases.connect(replica, login=login) as reader:
        assert wait_for(lambda: reader.execute("SELECT to_regclass('followed')").fetchone() != (None,))
        assert reader.execute("SELECT id FROM followed").fetchall() == [(1,)]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("INSERT INTO followed VALUES (2)")
    assert databases.get(shop)["ReadReplicaDBInstanceIdentifiers"] == [replica]
    with pytest.raises(ClientError, match="delete them first"):
        databases.rds.delete_db_instance(DBInstanceIdentifier=shop, SkipFinalSnapshot=True)

    databases.rds.reboot_db_instance(DBInstanceIdentifier=shop)
    databases.available(shop)
    with databases.connect(shop) as source:
        source.execute("INSERT INTO followed VALUES (3)")
    time.sleep(0.5)
    with databases.connect(replica, login=login) as reader:
        assert wait_for(lambda: reader.execute("SELECT count(*) FROM followed").fetchone() == (2,))
    databases.delete(replica)
    assert databases.get(shop)["ReadReplicaDBInstanceIdentifiers"] == []


def test_a_source_without_backups_has_no_replica(databases: Databases) -> None:
    name = databases.create(BackupRetentionPeriod=0)
    with pytest.raises(ClientError, match="Automated backups are not enabled"):
        databases.rds.create_db_instance_read_replica(DBInstanceIdentifier="replica", SourceDBInstanceIdentifier=name)
    databases.delete(name)


def test_a_protected_instance_stays_and_the_end_of_another_says_what_becomes_of_its_data(databases: Databases) -> None:
    name = databases.create(DeletionProtection=True)
    secret = databases.get(name)["MasterUserSecret"]["SecretArn"]
    rds = databases.rds
    with pytest.raises(ClientError, match="Cannot delete protected DB Instance"):
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    rds.modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False, ApplyImmediately=True)
    with pytest.raises(ClientError, match="FinalDBSnapshotIdentifier is required"):
        rds.delete_db_instance(DBInstanceIdentifier=name)
    with pytest.raises(ClientError, match="can not be specified"):
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True, FinalDBSnapshotIdentifier="last")
    rds.delete_db_instance(DBInstanceIdentifier=name, FinalDBSnapshotIdentifier=f"{name}-last")
    wait_for(lambda: name not in {found["DBInstanceIdentifier"] for found in rds.describe_db_instances()["DBInstances"]})
    assert rds.describe_db_snapshots(DBInstanceIdentifier=name)["DBSnapshots"][0]["DBSnapshotIdentifier"] == f"{name}-last"
    rds.delete_db_snapshot(DBSnapshotIdentifier=f"{name}-last")
    with pytest.raises(ClientError, match="can't find the specified secret"):
        databases.local_aws.client("secretsmanager").get_secret_value(SecretId=secret)


def test_parameters_take_effect_tls_at_once_and_logical_decoding_with_a_reboot(databases: Databases) -> None:
    rds, group = databases.rds, databases.local_aws.name("pg")
    rds.create_db_parameter_group(DBParameterGroupName=group, DBParameterGroupFamily="postgres18", Description="d")

    def put(name: str, value: str, method: str) -> None:
        rds.modify_db_parameter_group(
            DBParameterGroupName=group, Parameters=[{"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}]
        )

    name = databases.create(DBParameterGroupName=group)
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        databases.connect(name, sslmode="disable")
    put("rds.force_ssl", "0", "immediate")
    databases.available(name)
    with databases.connect(name, sslmode="disable") as connection:
        assert connection.execute("SHOW wal_level").fetchone() == ("replica",)
    with pytest.raises(ClientError, match="cannot use immediate apply method for static parameter"):
        put("rds.logical_replication", "1", "immediate")
    with pytest.raises(ClientError, match="Could not find parameter"):
        put("rds.nonsense", "1", "pending-reboot")
    put("rds.logical_replication", "1", "pending-reboot")
    put("statement_timeout", "12345", "pending-reboot")
    assert databases.get(name)["DBParameterGroups"][0]["ParameterApplyStatus"] == "pending-reboot"
    rds.reboot_db_instance(DBInstanceIdentifier=name)
    databases.available(name)
    with databases.connect(name) as connection:
        assert connection.execute("SHOW wal_level").fetchone() == ("logical",)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("12345ms",)
    with pytest.raises(ClientError, match="still members"):
        rds.delete_db_parameter_group(DBParameterGroupName=group)
    databases.delete(name)
    rds.delete_db_parameter_group(DBParameterGroupName=group)


def test_a_rotated_password_replaces_the_old_one_in_the_secret_and_in_the_database(databases: Databases, shop: str) -> None:
    old = databases.secret(shop)
    databases.rds.modify_db_instance(DBInstanceIdentifier=shop, RotateMasterUserPassword=True, ApplyImmediately=True)
    assert databases.secret(shop) != old
    databases.connect(shop).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        databases.connect(shop, login=old)


def test_a_managed_secret_is_rds_s_alone_and_under_the_key_that_was_named(databases: Databases) -> None:
    policy = {"Version": "2012-10-17", "Statement": [allow("kms:*", Principal={"AWS": "arn:aws:iam::000000000000:root"})]}
    key = databases.local_aws.client("kms").create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]
    name = databases.create(MasterUserSecretKmsKeyId=key)
    secret = databases.get(name)["MasterUserSecret"]
    assert secret["KmsKeyId"] == key
    with pytest.raises(ClientError, match="owned by the service rds"):
        databases.local_aws.client("secretsmanager").put_secret_value(SecretId=secret["SecretArn"], SecretString="{}")
    read = allow("secretsmanager:GetSecretValue", secret["SecretArn"])
    with pytest.raises(ClientError, match="kms:Decrypt"):
        databases.local_aws.caller(read).client("secretsmanager").get_secret_value(SecretId=secret["SecretArn"])
    databases.local_aws.caller(read, allow("kms:Decrypt", key)).client("secretsmanager").get_secret_value(SecretId=secret["SecretArn"])
    databases.delete(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Engine": "mysql"}, "the engine mysql is not implemented"),
        ({"Engine": "aurora-postgresql"}, "aurora-postgresql for an instance of a cluster"),
        ({"EnableIAMDatabaseAuthentication": True}, "EnableIAMDatabaseAuthentication of CreateDBInstance is not implemented"),
        ({"MasterUserPassword": "long-enough"}, "either MasterUserPassword or ManageMasterUserPassword"),
        ({"MasterUsername": "admin"}, "reserved word"),
        ({"AllocatedStorage": 5}, "the least is 20"),
        ({"EngineVersion": "9.6"}, "Cannot find version"),
        ({"DBSubnetGroupName": "nowhere"}, "does not exist"),
        ({"DBParameterGroupName": "nowhere"}, "not found"),
        ({"DBParameterGroupName": "default.postgres16"}, "DBParameterGroupFamily postgres18"),
        ({"VpcSecurityGroupIds": ["sg-nothing"]}, "Invalid security group"),
        ({"StorageEncrypted": True, "KmsKeyId": "alias/nothing"}, "KMS key"),
        ({"DBInstanceIdentifier": "-bad"}, "not a valid identifier"),
        ({"EnableCloudwatchLogsExports": ["slowquery"]}, "log types 'slowquery'"),
    ],
)
def test_an_instance_that_rds_would_not_make_is_refused(databases: Databases, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        databases.rds.create_db_instance(**{**databases.wanted(databases.local_aws.name("db")), **change})


def test_who_makes_an_instance_may_use_its_groups_and_make_its_secret(databases: Databases) -> None:
    account = "arn:aws:rds:us-east-1:000000000000"
    mine = [f"{account}:db:mine-*", f"{account}:subgrp:{databases.subnet_group}", f"{account}:pg:default.postgres18"]
    make = allow(
        ["secretsmanager:CreateSecret", "secretsmanager:TagResource"], "arn:aws:secretsmanager:us-east-1:000000000000:secret:rds!db-*"
    )
    read = allow("rds:DescribeDBInstances", f"{account}:db:mine-*")

    def create(*statements: dict[str, Any], name: str = "") -> str:
        wanted = {**databases.wanted(name or databases.local_aws.name("mine")), "BackupRetentionPeriod": 0}
        databases.local_aws.caller(*statements).client("rds").create_db_instance(**wanted)
        return str(wanted["DBInstanceIdentifier"])

    with pytest.raises(ClientError, match=r"rds:CreateDBInstance on resource: .*:db:other"):
        create(allow("rds:CreateDBInstance", mine), make, name="other")
    with pytest.raises(ClientError, match=r"rds:CreateDBInstance on resource: .*:subgrp:"):
        create(allow("rds:CreateDBInstance", [mine[0], mine[2]]), make)
    with pytest.raises(ClientError, match="secretsmanager:CreateSecret"):
        create(allow("rds:CreateDBInstance", mine))
    name = create(allow("rds:CreateDBInstance", mine), make, read)
    databases.delete(databases.available(name))


def test_a_subnet_group_covers_two_zones_of_one_vpc(databases: Databases) -> None:
    def create(*subnets: str) -> None:
        databases.rds.create_db_subnet_group(
            DBSubnetGroupName=databases.local_aws.name("bad"), DBSubnetGroupDescription="d", SubnetIds=list(subnets)
        )

    with pytest.raises(ClientError, match="at least 2 AZs"):
        create(SUBNETS[0])
    with pytest.raises(ClientError, match="does not exist"):
        create(SUBNETS[0], "subnet-nothing")


def test_cloudformation_makes_groups_an_instance_and_its_replica_and_takes_them_away(databases: Databases) -> None:
    name = databases.local_aws.name("stacked")
    resources: dict[str, Any] = {
        "Subnets": {"Type": "AWS::RDS::DBSubnetGroup", "Properties": {"DBSubnetGroupDescription": "d", "SubnetIds": SUBNETS}},
        "Parameters": {
            "Type": "AWS::RDS::DBParameterGroup",
            "Properties": {"Family": "postgres18", "Description": "d", "Parameters": {"rds.force_ssl": "1", "rds.logical_replication": "1"}},
        },
        "Writer": {
            "Type": "AWS::RDS::DBInstance",
            "Properties": {
                "DBInstanceIdentifier": name, "DBInstanceClass": "db.t4g.micro", "Engine": "postgres", "EngineVersion": "18",
                "AllocatedStorage": "20", "MasterUsername": "owner", "ManageMasterUserPassword": True, "DBName": "shop",
                "DBSubnetGroupName": {"Ref": "Subnets"}, "DBParameterGroupName": {"Ref": "Parameters"}, "BackupRetentionPeriod": 7,
                "EnableCloudwatchLogsExports": ["postgresql"], "Tags": [{"Key": "a", "Value": "b"}],
            },
        },
        "Reader": {
            "Type": "AWS::RDS::DBInstance",
            "Properties": {"DBInstanceClass": "db.t4g.micro", "SourceDBInstanceIdentifier": {"Ref": "Writer"}, "DBParameterGroupName": {"Ref": "Parameters"}},
        },
        "Where": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {
                "Type": "String", "Name": f"/{name}/where",
                "Value": {"Fn::Sub": "${Reader.Endpoint.Address}:${Reader.Endpoint.Port} ${Writer.MasterUserSecret.SecretArn}"},
            },
        },
    }  # fmt: skip
    stack = databases.local_aws.stack(resources)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    where, secret = databases.local_aws.client("ssm").get_parameter(Name=f"/{name}/where")["Parameter"]["Value"].split()
    assert secret == databases.get(name)["MasterUserSecret"]["SecretArn"]
    host, port = where.split(":")
    login = databases.secret(name)
    with psycopg.connect(
        host=host, port=port, dbname="shop", user=login["username"], password=login["password"], sslmode="verify-full",
        sslrootcert=databases.local_aws.root.bundle,
    ) as reader:  # fmt: skip
        assert reader.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        assert reader.execute("SHOW wal_level").fetchone() == ("logical",)

    resources["Writer"]["Properties"] |= {"BackupRetentionPeriod": 14, "EnableCloudwatchLogsExports": ["postgresql", "upgrade"]}
    resources["Writer"]["Properties"]["Tags"] = [{"Key": "a", "Value": "c"}]
    stack = databases.local_aws.stack(resources, name=stack["StackName"], update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", stack["Failures"]
    found = databases.get(name)
    assert (found["BackupRetentionPeriod"], found["EnabledCloudwatchLogsExports"]) == (14, ["postgresql", "upgrade"])
    assert {"Key": "a", "Value": "c"} in found["TagList"]

    client = databases.local_aws.client("cloudformation")
    client.delete_stack(StackName=stack["StackName"])
    wait_for(lambda: client.describe_stacks(StackName=stack["StackId"])["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE", seconds=60)
    assert name not in {found["DBInstanceIdentifier"] for found in databases.rds.describe_db_instances()["DBInstances"]}


def test_an_unknown_parameter_fails_its_group_and_leaves_none(databases: Databases) -> None:
    name = databases.local_aws.name("pg")
    properties = {"DBParameterGroupName": name, "Family": "postgres18", "Description": "d", "Parameters": {"rds.nonsense": "1"}}
    stack = databases.local_aws.stack({"Parameters": {"Type": "AWS::RDS::DBParameterGroup", "Properties": properties}})
    assert "Could not find parameter with name: rds.nonsense" in stack["Failures"][0]
    with pytest.raises(ClientError, match="not found"):
        databases.rds.describe_db_parameter_groups(DBParameterGroupName=name)
