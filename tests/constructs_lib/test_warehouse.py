"""Redshift Serverless and what belongs to it, as templates."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_kms as kms

from constructs_lib.checks import InvalidProps
from constructs_lib.networking.reference import NetworkReference
from constructs_lib.storage import LakeBuckets
from constructs_lib.warehouse import (
    RedshiftServerless,
    ServerlessUsageLimit,
    WarehouseSchema,
    WarehouseSchemaFunction,
    WarehouseTableResource,
)
from lakehouse.naming import Names
from lakehouse.warehouse.migrations import Migration, MigrationRefused
from lakehouse.warehouse.tables import WarehouseColumn, WarehouseTable
from tests.constructs_lib.conftest import Synth, of_type

NETWORK = NetworkReference(
    vpc_id="vpc-1",
    private_subnet_ids=("subnet-1", "subnet-2"),
    isolated_subnet_ids=("subnet-3", "subnet-4"),
    job_security_group_id="sg-1",
    availability_zones=("eu-west-1a", "eu-west-1b"),
)
TABLE = WarehouseTable(
    schema="gold_sales", name="daily", columns=(WarehouseColumn(name="day", type="DATE", source_type="date"),), keys=("day",)
)
Make = Callable[..., RedshiftServerless]


@pytest.fixture
def make(stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey) -> Make:
    def made(**changes: Any) -> RedshiftServerless:
        given: dict[str, Any] = {
            "name": names.warehouse,
            "database": "lakehouse",
            "network": NETWORK,
            "lake": lake,
            "data_key": key,
            "secret_key": key,
            "catalog_databases": ["gold_sales"],
        }
        return RedshiftServerless(stack, "Warehouse", **{**given, **changes})

    return made


def test_it_is_private_encrypted_logged_and_speaks_tls_only(make: Make, synth: Synth) -> None:
    make()
    resources = synth()
    (namespace,) = of_type(resources, "AWS::RedshiftServerless::Namespace")
    (workgroup,) = of_type(resources, "AWS::RedshiftServerless::Workgroup")
    assert namespace["ManageAdminPassword"] is True
    assert "AdminUserPassword" not in namespace
    assert namespace["AdminPasswordSecretKmsKeyId"].startswith("arn:aws:kms:")
    assert namespace["KmsKeyId"].startswith("arn:aws:kms:")
    assert namespace["LogExports"] == ["userlog", "connectionlog", "useractivitylog"]
    assert workgroup["PubliclyAccessible"] is False
    assert workgroup["EnhancedVpcRouting"] is True
    assert workgroup["SubnetIds"] == ["subnet-1", "subnet-2"]
    assert {"ParameterKey": "require_ssl", "ParameterValue": "true"} in workgroup["ConfigParameters"]
    assert {"ParameterKey": "max_query_execution_time", "ParameterValue": "3600"} in workgroup["ConfigParameters"]
    (group,) = of_type(resources, "AWS::EC2::SecurityGroup")
    assert "SecurityGroupIngress" not in group


def test_data_stays_unless_the_caller_unlocks_it(make: Make, synth: Synth) -> None:
    make()
    kept = {r["Type"]: r["DeletionPolicy"] for r in synth().values() if "DeletionPolicy" in r}
    assert kept["AWS::RedshiftServerless::Namespace"] == kept["AWS::RedshiftServerless::Workgroup"] == "Retain"


def test_data_goes_if_the_caller_says_so(make: Make, synth: Synth) -> None:
    make(removal_policy=RemovalPolicy.DESTROY)
    assert {r["DeletionPolicy"] for r in synth().values() if r["Type"] == "AWS::RedshiftServerless::Namespace"} == {"Delete"}


def test_each_role_is_for_the_users_of_this_warehouse_and_for_one_thing(make: Make, synth: Synth) -> None:
    make()
    resources = synth()
    for role in of_type(resources, "AWS::IAM::Role"):
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert json.dumps(statement["Condition"]["StringLike"]["sts:ExternalId"]).endswith(':dbuser:lakehouse-test/*"]]}')
    policies = {id_: json.dumps(r["Properties"]) for id_, r in resources.items() if r["Type"] == "AWS::IAM::Policy"}
    transfer = next(text for id_, text in policies.items() if "TransferRole" in id_)
    spectrum = next(text for id_, text in policies.items() if "SpectrumRole" in id_)
    assert "glue:" not in transfer
    assert "/unload/*" in transfer
    assert "-gold-" not in transfer
    assert "s3:PutObject" not in spectrum
    assert "database/gold_sales" in spectrum
    assert "query-results" not in spectrum


@pytest.mark.parametrize("rpu", [4, 8, 16, 512, 544, 1024])
def test_capacities_that_there_are(make: Make, rpu: int) -> None:
    make(base_rpu=rpu, max_rpu=1024)


@pytest.mark.parametrize("rpu", [0, 3, 12, 520, 1056])
def test_capacities_that_there_are_not(make: Make, rpu: int) -> None:
    with pytest.raises(InvalidProps, match=r"base_rpu must be 4, or 8-512 in steps of 8"):
        make(base_rpu=rpu, max_rpu=1024)


def test_a_query_cannot_begin_with_more_than_the_most(make: Make) -> None:
    with pytest.raises(InvalidProps, match="raise max_rpu"):
        make(base_rpu=64, max_rpu=32)


def test_tables_migrations_and_rights_are_the_function_s(make: Make, synth: Synth, stack: Stack, names: Names, key: kms.IKey) -> None:
    warehouse = make()
    function = WarehouseSchemaFunction(stack, "Function", names=names, warehouse=warehouse, secret_key=key, log_key=key)
    migrations = [Migration(name="0002_b", sql="SELECT 2"), Migration(name="0001_a", sql="SELECT 1")]
    WarehouseSchema(
        stack, "Schema", warehouse=warehouse, function=function, migrations=migrations, external_schemas={"lake_gold_sales": "gold_sales"}
    )
    WarehouseTableResource(stack, "Table", names=names, table=TABLE, writers=["loader"], readers=["analyst"])
    resources = synth()
    (schema,) = of_type(resources, "Custom::WarehouseSchema")
    assert [m["name"] for m in json.loads(schema["Migrations"])] == ["0001_a", "0002_b"]
    assert json.loads(schema["ExternalSchemas"]) == [{"schema": "lake_gold_sales", "database": "gold_sales"}]
    (table,) = of_type(resources, "Custom::WarehouseTable")
    assert WarehouseTable.from_dict(json.loads(table["Definition"])) == TABLE
    assert (table["OnDelete"], json.loads(table["Writers"]), json.loads(table["Readers"])) == ("keep", ["loader"], ["analyst"])
    policy = next(json.dumps(r["Properties"]) for id_, r in resources.items() if id_.startswith("FunctionRoleDefaultPolicy"))
    assert "secret:redshift!lakehouse-test-lakehouse_admin-*" in policy
    assert "redshift-serverless:GetCredentials" not in policy


def test_what_a_month_may_cost_is_the_function_s_with_rights_that_it_has_only_then(
    make: Make, synth: Synth, stack: Stack, names: Names, key: kms.IKey
) -> None:
    warehouse = make()
    function = WarehouseSchemaFunction(stack, "Function", names=names, warehouse=warehouse, secret_key=key, log_key=key)
    with pytest.raises(InvalidProps, match="rpu_hours must be positive, got 0"):
        ServerlessUsageLimit(stack, "None", warehouse=warehouse, function=function, rpu_hours=0)
    ServerlessUsageLimit(stack, "UsageLimit", warehouse=warehouse, function=function, rpu_hours=500)
    resources = synth()
    (limit,) = of_type(resources, "Custom::WarehouseUsageLimit")
    assert limit["RpuHours"] == 500
    (workgroup,) = [id_ for id_, resource in resources.items() if resource["Type"] == "AWS::RedshiftServerless::Workgroup"]
    assert limit["Workgroup"] == {"Fn::GetAtt": [workgroup, "Workgroup.WorkgroupArn"]}
    (place,) = [resource for resource in resources.values() if resource["Type"] == "Custom::WarehouseUsageLimit"]
    assert [name for name in place["DependsOn"] if name.startswith("FunctionRoleDefaultPolicy")]
    policy = next(resource for id_, resource in resources.items() if id_.startswith("FunctionRoleDefaultPolicy"))
    granted = {action for statement in policy["Properties"]["PolicyDocument"]["Statement"] for action in statement["Action"]}
    assert {action for action in granted if "UsageLimit" in action} == {
        f"redshift-serverless:{call}" for call in ("CreateUsageLimit", "DeleteUsageLimit", "ListUsageLimits", "UpdateUsageLimit")
    }


def test_a_migration_that_cannot_run_stops_the_synth(make: Make, stack: Stack, names: Names, key: kms.IKey) -> None:
    warehouse = make()
    function = WarehouseSchemaFunction(stack, "Function", names=names, warehouse=warehouse, secret_key=key, log_key=key)
    with pytest.raises(MigrationRefused, match="no name of a migration"):
        WarehouseSchema(stack, "Schema", warehouse=warehouse, function=function, migrations=[Migration(name="x", sql="SELECT 1")])
