"""Relational sources: never the writer, never without TLS, never a password in a template."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import App, RemovalPolicy, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from cdk_nag import AwsSolutionsChecks

from constructs_lib.checks import InvalidProps
from constructs_lib.ingestion import ConnectionReference, DatabaseConnection, DatabaseEngine, SourceDatabase
from constructs_lib.networking.reference import NetworkReference
from constructs_lib.permissions import service_principal
from lakehouse.naming import Names
from tests.constructs_lib.conftest import Synth, of_type

SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:shop-AbCdEf"
NETWORK = NetworkReference(
    vpc_id="vpc-1", private_subnet_ids=["subnet-p1", "subnet-p2"], isolated_subnet_ids=["subnet-i1", "subnet-i2"],
    job_security_group_id="sg-jobs", availability_zones=["us-east-1a", "us-east-1b"],
)  # fmt: skip


def connection(stack: Stack, names: Names, key: kms.IKey, id: str = "Connection", **options: Any) -> DatabaseConnection:
    given: dict[str, Any] = {
        "name": "shop", "engine": "postgres", "reader_host": "shop-reader.example.com", "port": 5432, "dbname": "shop",
        "secret": secretsmanager.Secret.from_secret_complete_arn(stack, f"{id}Secret", SECRET), "secret_key": key, "network": NETWORK,
        **options,
    }  # fmt: skip
    return DatabaseConnection(stack, id, names=names, **given)


def database(stack: Stack, names: Names, key: kms.IKey, **options: Any) -> SourceDatabase:
    return SourceDatabase(
        stack, "Database", names=names, name="shop", dbname="shop", network=NETWORK, storage_key=key, secret_key=key, **options
    )


class TestConnection:
    def test_it_leads_to_the_reader_in_the_network_of_the_jobs_with_tls_and_the_secret_by_its_arn(
        self, stack: Stack, names: Names, key: kms.IKey, synth: Synth
    ) -> None:
        connection(stack, names, key)
        (made,) = of_type(synth(), "AWS::Glue::Connection")
        given = made["ConnectionInput"]
        assert (given["Name"], given["ConnectionType"]) == ("lakehouse-test-shop", "JDBC")
        assert given["ConnectionProperties"] == {
            "JDBC_CONNECTION_URL": "jdbc:postgresql://shop-reader.example.com:5432/shop", "JDBC_ENFORCE_SSL": "true", "SECRET_ID": SECRET,
        }  # fmt: skip
        assert given["PhysicalConnectionRequirements"] == {
            "AvailabilityZone": "us-east-1a", "SecurityGroupIdList": ["sg-jobs"], "SubnetId": "subnet-p1",
        }  # fmt: skip
        assert not {"USERNAME", "PASSWORD"} & set(given["ConnectionProperties"])

    def test_jobs_are_told_where_and_by_which_secret_and_nothing_secret(self, stack: Stack, names: Names, key: kms.IKey) -> None:
        assert connection(stack, names, key).reference.job_arguments == {
            "--connection": "shop", "--source_address": "postgres://shop-reader.example.com:5432/shop", "--source_secret_arn": SECRET,
        }  # fmt: skip

    def test_who_reads_may_read_this_secret_and_decrypt_it_through_secrets_manager_alone(
        self, stack: Stack, names: Names, key: kms.IKey, synth: Synth
    ) -> None:
        role = iam.Role(stack, "Job", assumed_by=service_principal("glue.amazonaws.com"))
        connection(stack, names, key).grants.read_secret(role)
        (policy,) = of_type(synth(), "AWS::IAM::Policy")
        read, decrypt = sorted(policy["PolicyDocument"]["Statement"], key=lambda statement: str(statement["Action"]), reverse=True)
        assert (read["Action"], read["Resource"]) == ("secretsmanager:GetSecretValue", SECRET)
        assert (decrypt["Action"], decrypt["Resource"]) == ("kms:Decrypt", key.key_arn)
        assert "secretsmanager." in json.dumps(decrypt["Condition"]["StringEquals"]["kms:ViaService"])

    def test_another_stack_finds_it_in_parameter_store(self, stack: Stack, names: Names, key: kms.IKey) -> None:
        made = connection(stack, names, key).reference
        assert set(made.parameters) == {"shop-address", "shop-secret-arn", "shop-secret-key-arn"}
        found = ConnectionReference.from_parameters(stack, names=names, name="shop")
        assert (found.name, found.glue_name) == (made.name, made.glue_name)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"reader_host": None}, "has no reader: extraction would load the writer"),
            ({"writer_host": "shop-reader.example.com"}, "has no reader"),
            ({"reader_host": "shop.cluster-c1a2.eu-west-1.rds.amazonaws.com"}, r"cluster-ro-"),
            ({"reader_host": None, "reads_writer_because": "the replica is being rebuilt"}, "neither a reader_host nor a writer_host"),
            ({"reader_host": "{{resolve:secretsmanager:shop:SecretString:host}}"}, "dynamic reference"),
            ({"reader_host": "jdbc:postgresql://a/b"}, "without scheme"),
            ({"reader_host": "me:secret@a"}, "without scheme"),
            ({"engine": "oracle"}, "engine must be one of"),
            ({"port": 0}, "1-65535"),
            ({"dbname": "shop?sslmode=disable"}, "dbname"),
            ({"name": "Shop"}, "lower-case"),
        ],
    )
    def test_what_would_load_the_writer_or_lead_nowhere_is_refused(
        self, stack: Stack, names: Names, key: kms.IKey, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(InvalidProps, match=message):
            connection(stack, names, key, **options)

    def test_a_writer_is_read_when_somebody_says_why(self, stack: Stack, names: Names, key: kms.IKey) -> None:
        made = connection(stack, names, key, reader_host=None, writer_host="shop.example.com", reads_writer_because="it serves nobody else")
        assert "shop.example.com" in made.reference.address


class TestDatabase:
    def test_it_is_private_encrypted_backed_up_protected_and_logged(self, stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
        database(stack, names, key)
        resources = synth()
        writer, reader = sorted(of_type(resources, "AWS::RDS::DBInstance"), key=lambda made: made["DBInstanceIdentifier"])
        assert (writer["DBInstanceIdentifier"], reader["DBInstanceIdentifier"]) == ("lakehouse-test-shop", "lakehouse-test-shop-reader1")
        for made in (writer, reader):
            assert made["PubliclyAccessible"] is False
            assert made["DeletionProtection"] is True
            assert made["EnableCloudwatchLogsExports"] == ["postgresql", "upgrade"]
            assert made["CACertificateIdentifier"] == "rds-ca-rsa2048-g1"
        assert (writer["StorageEncrypted"], writer["KmsKeyId"], writer["BackupRetentionPeriod"]) == (True, key.key_arn, 7)
        assert {resource["DeletionPolicy"] for resource in resources.values() if resource["Type"] == "AWS::RDS::DBInstance"} == {"Retain"}
        (subnets,) = of_type(resources, "AWS::RDS::DBSubnetGroup")
        assert subnets["SubnetIds"] == ["subnet-i1", "subnet-i2"]

    def test_its_password_is_rds_s_own_affair(self, stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
        made = database(stack, names, key)
        assert made.secret_arn
        resources = synth()
        writer = next(made for made in of_type(resources, "AWS::RDS::DBInstance") if "MasterUsername" in made)
        assert writer["ManageMasterUserPassword"] is True
        assert writer["MasterUserSecret"] == {"KmsKeyId": key.key_arn}
        assert "MasterUserPassword" not in json.dumps(list(resources.values())).replace("ManageMasterUserPassword", "")

    def test_only_jobs_get_in_and_nothing_gets_out(self, stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
        database(stack, names, key)
        resources = synth()
        (group,) = of_type(resources, "AWS::EC2::SecurityGroup")
        assert "SecurityGroupIngress" not in group
        assert [rule["CidrIp"] for rule in group["SecurityGroupEgress"]] == ["255.255.255.255/32"]
        (inside,) = of_type(resources, "AWS::EC2::SecurityGroupIngress")
        assert (inside["SourceSecurityGroupId"], inside["FromPort"], inside["ToPort"]) == ("sg-jobs", 5432, 5432)

    @pytest.mark.parametrize(
        ("engine", "kind", "family", "parameter"),
        [
            (DatabaseEngine(), "AWS::RDS::DBParameterGroup", "postgres18", ("rds.force_ssl", "1")),
            (DatabaseEngine(name="mysql", version="8.4.6"), "AWS::RDS::DBParameterGroup", "mysql8.4", ("require_secure_transport", "1")),
            (
                DatabaseEngine(name="aurora-postgresql", version="17.5"),
                "AWS::RDS::DBClusterParameterGroup",
                "aurora-postgresql17",
                ("rds.force_ssl", "1"),
            ),
            (
                DatabaseEngine(name="aurora-mysql", version="8.0.mysql_aurora.3.10.0"),
                "AWS::RDS::DBClusterParameterGroup",
                "aurora-mysql8.0",
                ("require_secure_transport", "ON"),
            ),
        ],
    )
    def test_every_engine_takes_tls_only_and_says_so_where_it_is_read(  # noqa: PLR0917 - one engine a row
        self,
        stack: Stack,
        names: Names,
        key: kms.IKey,
        synth: Synth,
        engine: DatabaseEngine,
        kind: str,
        family: str,
        parameter: tuple[str, str],
    ) -> None:
        made = database(stack, names, key, engine=engine)
        assert made.reader_host is not None
        (group,) = of_type(synth(), kind)
        assert group["Family"] == family
        assert group["Parameters"][parameter[0]] == parameter[1]

    def test_a_cluster_has_its_reader_endpoint_only_if_it_has_a_reader(self, app: App, names: Names) -> None:
        for number, readers in enumerate((0, 1)):
            stack = Stack(app, f"cluster{number}")
            key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555")
            made = database(stack, names, key, engine=DatabaseEngine(name="aurora-postgresql", version="17.5"), readers=readers)
            assert (made.reader_host is None) is (readers == 0)

    def test_an_aurora_with_the_data_api_gives_exactly_the_rights_to_use_it(
        self, stack: Stack, names: Names, key: kms.IKey, synth: Synth
    ) -> None:
        engine = DatabaseEngine(name="aurora-postgresql", version="17.5")
        made = database(stack, names, key, engine=engine, instance_class="db.r7g.large", has_data_api=True)
        role = iam.Role(stack, "Caller", assumed_by=service_principal("lambda.amazonaws.com"))
        made.grants.use_data_api(role)
        resources = synth()
        (cluster,) = of_type(resources, "AWS::RDS::DBCluster")
        assert (cluster["EnableHttpEndpoint"], cluster["ManageMasterUserPassword"]) == (True, True)
        policies = json.dumps(of_type(resources, "AWS::IAM::Policy"))
        (policy,) = [p for p in of_type(resources, "AWS::IAM::Policy") if "rds-data" in json.dumps(p)]
        sql, read, decrypt = policy["PolicyDocument"]["Statement"]
        assert sql["Action"] == [
            "rds-data:BatchExecuteStatement", "rds-data:BeginTransaction", "rds-data:CommitTransaction", "rds-data:ExecuteStatement",
            "rds-data:RollbackTransaction",
        ]  # fmt: skip
        assert json.dumps(sql["Resource"]).endswith(':cluster:lakehouse-test-shop"]]}')
        assert (read["Action"], read["Resource"]["Fn::GetAtt"][1]) == ("secretsmanager:GetSecretValue", "MasterUserSecret.SecretArn")
        assert (decrypt["Action"], decrypt["Resource"]) == ("kms:Decrypt", key.key_arn)
        assert "secretsmanager." in json.dumps(decrypt["Condition"]["StringEquals"]["kms:ViaService"])
        assert "*" not in policies.replace("log-stream:*", "")

    def test_without_the_data_api_nobody_is_let_to_it(self, stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
        made = database(stack, names, key, engine=DatabaseEngine(name="aurora-postgresql", version="17.5"))
        with pytest.raises(InvalidProps, match="has_data_api=True"):
            made.grants.use_data_api(iam.Role(stack, "Caller", assumed_by=service_principal("lambda.amazonaws.com")))
        (cluster,) = of_type(synth(), "AWS::RDS::DBCluster")
        assert "EnableHttpEndpoint" not in cluster

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "for Aurora alone, got the engine postgres"),
            (
                {"engine": DatabaseEngine(name="aurora-postgresql", version="17.5")},
                "not there on T classes, got instance_class db.t4g.medium",
            ),
        ],
    )
    def test_a_data_api_is_refused_where_rds_has_none(
        self, stack: Stack, names: Names, key: kms.IKey, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(InvalidProps, match=message):
            database(stack, names, key, has_data_api=True, **options)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"storage_gb": 19}, "20-65536"),
            ({"backup_days": 0}, "a read replica needs backups"),
            ({"backup_days": 36}, "1-35"),
            ({"readers": 6}, "0-5"),
            ({"instance_class": "t4g.micro"}, "class of RDS"),
            ({"dbname": "postgres"}, "engine's own"),
        ],
    )
    def test_what_rds_would_refuse_is_refused_at_synth(
        self, stack: Stack, names: Names, key: kms.IKey, options: dict[str, Any], message: str
    ) -> None:
        given: dict[str, Any] = {"dbname": "shop", **options}
        with pytest.raises(InvalidProps, match=message):
            SourceDatabase(stack, "Bad", names=names, name="shop", network=NETWORK, storage_key=key, secret_key=key, **given)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"name": "oracle"}, "engine must be one of"),
            ({"version": "latest"}, "version"),
            ({"parameters": {"rds.force_ssl": "0"}}, "enforces TLS"),
            ({"name": "mysql", "version": "8.4", "parameters": {"require_secure_transport": "0"}}, "enforces TLS"),
        ],
    )
    def test_an_engine_cannot_be_set_to_take_clients_without_tls(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidProps, match=message):
            DatabaseEngine(**options)

    @pytest.mark.parametrize("name", ["postgres", "aurora-postgresql", "aurora-mysql"])
    def test_the_security_checker_finds_nothing_that_is_not_explained(self, app: App, names: Names, name: str) -> None:
        stack = Stack(app, "checked")
        key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555")
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        version = {"postgres": "18", "aurora-postgresql": "17.5", "aurora-mysql": "8.0.mysql_aurora.3.10.0"}[name]
        database(stack, names, key, engine=DatabaseEngine(name=name, version=version), removal_policy=RemovalPolicy.DESTROY)
        app.synth()
