"""The network of an environment, as another stack reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_rds as rds

from constructs_lib.checks import InvalidProps
from constructs_lib.networking.reference import PARAMETERS, NetworkReference
from lakehouse.naming import Names
from tests.constructs_lib.conftest import Synth, of_type


def template(app: App) -> dict[str, Any]:
    return json.loads((Path(app.synth().directory) / "stack.template.json").read_text())


def test_a_network_is_read_from_parameter_store(app: App, stack: Stack, names: Names) -> None:
    reference = NetworkReference.from_parameters(stack, names=names)
    CfnOutput(stack, "Vpc", value=reference.vpc_id)
    rds.CfnDBSubnetGroup(stack, "Group", db_subnet_group_description="", subnet_ids=list(reference.isolated_subnet_ids))
    made = template(app)
    paths = {
        name: parameter["Default"] for name, parameter in made["Parameters"].items() if parameter["Default"].startswith("/lakehouse/test/")
    }
    assert sorted(paths.values()) == sorted(f"/lakehouse/test/network/{key}" for key in PARAMETERS.values())
    (group,) = of_type(made["Resources"], "AWS::RDS::DBSubnetGroup")
    separator, source = group["SubnetIds"]["Fn::Split"]
    assert (separator, paths[source["Ref"]]) == (",", "/lakehouse/test/network/isolated-subnet-ids")


def test_one_subnet_is_taken_by_its_number(app: App, stack: Stack, names: Names) -> None:
    reference = NetworkReference.from_parameters(stack, names=names)
    CfnOutput(stack, "Private", value=reference.private_subnet(1))
    CfnOutput(stack, "Isolated", value=reference.isolated_subnet(0))
    CfnOutput(stack, "Zone", value=reference.availability_zone(1))
    outputs = template(app)["Outputs"]
    assert {name: output["Value"]["Fn::Select"][0] for name, output in outputs.items()} == {"Private": 1, "Isolated": 0, "Zone": 1}


def known() -> NetworkReference:
    return NetworkReference(
        vpc_id="vpc-1",
        private_subnet_ids=("subnet-1", "subnet-2"),
        isolated_subnet_ids=("subnet-3", "subnet-4"),
        job_security_group_id="sg-jobs",
        availability_zones=("us-east-1a", "us-east-1b"),
    )


@pytest.mark.parametrize("port", [5432, 5439])
def test_a_database_is_opened_to_the_jobs_on_both_sides(stack: Stack, synth: Synth, port: int) -> None:
    known().let_jobs_reach(stack, "Shop", security_group_id="sg-shop", port=port, what="database of shop")
    made = synth()
    (inside,) = of_type(made, "AWS::EC2::SecurityGroupIngress")
    (outside,) = of_type(made, "AWS::EC2::SecurityGroupEgress")
    assert (inside["GroupId"], inside["SourceSecurityGroupId"]) == ("sg-shop", "sg-jobs")
    assert (outside["GroupId"], outside["DestinationSecurityGroupId"]) == ("sg-jobs", "sg-shop")
    assert {(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in (inside, outside)} == {("tcp", port, port)}


@pytest.mark.parametrize("port", [0, 65_536])
def test_a_port_is_one_that_exists(stack: Stack, port: int) -> None:
    with pytest.raises(InvalidProps, match="port must be 1-65535"):
        known().let_jobs_reach(stack, "Shop", security_group_id="sg-shop", port=port, what="PostgreSQL of shop")
