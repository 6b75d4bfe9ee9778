"""Glue connections: refused where they would lead nowhere, and joined by those who may."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow, wait_for

pytestmark = pytest.mark.platform

PLACE = {"SubnetId": "subnet-00000001", "AvailabilityZone": "us-east-1a", "SecurityGroupIdList": ["sg-00000001"]}
"""In the default VPC."""


def wanted(name: str, **properties: str) -> dict[str, Any]:
    given = {"JDBC_CONNECTION_URL": "jdbc:postgresql://localhost:1/shop", "JDBC_ENFORCE_SSL": "true", "SECRET_ID": "shop", **properties}
    return {"Name": name, "ConnectionType": "JDBC", "ConnectionProperties": given, "PhysicalConnectionRequirements": PLACE}


def test_a_connection_is_made_read_changed_and_removed(local_aws: LocalAws) -> None:
    glue, name = local_aws.client("glue"), local_aws.name("connection")
    glue.create_connection(ConnectionInput=wanted(name))
    assert glue.get_connection(Name=name)["Connection"]["ConnectionProperties"]["SECRET_ID"] == "shop"
    with pytest.raises(ClientError, match="already exists"):
        glue.create_connection(ConnectionInput=wanted(name))
    glue.update_connection(Name=name, ConnectionInput=wanted(name, SECRET_ID="other"))
    assert glue.get_connection(Name=name)["Connection"]["ConnectionProperties"]["SECRET_ID"] == "other"
    glue.delete_connection(ConnectionName=name)
    with pytest.raises(ClientError, match="not found"):
        glue.get_connection(Name=name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ConnectionType": "KAFKA"}, "type KAFKA are not implemented"),
        ({"ConnectionProperties": {"JDBC_CONNECTION_URL": "jdbc:postgresql://a/b"}}, "SECRET_ID, or USERNAME and PASSWORD"),
        ({"ConnectionProperties": {"SECRET_ID": "a"}}, "JDBC_CONNECTION_URL is missing"),
        (
            {
                "ConnectionProperties": {
                    "JDBC_CONNECTION_URL": "jdbc:postgresql://a/b",
                    "USERNAME": "u",
                    "PASSWORD": "{{resolve:secretsmanager:shop}}",
                }
            },
            "PASSWORD holds a dynamic reference",
        ),
        ({"PhysicalConnectionRequirements": {**PLACE, "SubnetId": "subnet-nothing"}}, "does not exist"),
        ({"PhysicalConnectionRequirements": {**PLACE, "AvailabilityZone": "us-east-1b"}}, "does not exist in the availability zone"),
        ({"PhysicalConnectionRequirements": {**PLACE, "SecurityGroupIdList": ["sg-nothing"]}}, "sg-nothing does not exist"),
    ],
)
def test_a_connection_that_leads_nowhere_is_refused(local_aws: LocalAws, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        local_aws.client("glue").create_connection(ConnectionInput={**wanted(local_aws.name("connection")), **change})


def test_who_reads_a_connection_may_read_this_one_and_the_catalog(local_aws: LocalAws) -> None:
    name, other = local_aws.name("connection"), local_aws.name("connection")
    for one in (name, other):
        local_aws.client("glue").create_connection(ConnectionInput=wanted(one))
    arns = ["arn:aws:glue:us-east-1:000000000000:catalog", f"arn:aws:glue:us-east-1:000000000000:connection/{name}"]
    client = local_aws.caller(allow("glue:GetConnection", arns)).client("glue")
    assert client.get_connection(Name=name)
    with pytest.raises(ClientError, match=r"not authorized to perform: glue:GetConnection on resource: .*:connection/"):
        client.get_connection(Name=other)
    with pytest.raises(ClientError, match=r"glue:GetConnection on resource: .*:catalog"):
        local_aws.caller(allow("glue:GetConnection", arns[1])).client("glue").get_connection(Name=name)


def test_cloudformation_makes_a_connection_and_changes_it(local_aws: LocalAws) -> None:
    name = local_aws.name("connection")

    def resources(secret: str) -> dict[str, Any]:
        properties = {"CatalogId": "000000000000", "ConnectionInput": wanted(name, SECRET_ID=secret)}
        return {"Connection": {"Type": "AWS::Glue::Connection", "Properties": properties}}

    stack = local_aws.stack(resources("a"))
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    stack = local_aws.stack(resources("b"), name=stack["StackName"], update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", stack["Failures"]
    assert local_aws.client("glue").get_connection(Name=name)["Connection"]["ConnectionProperties"]["SECRET_ID"] == "b"


def test_a_run_gets_into_the_network_of_its_connection_only_with_the_rights_and_a_group_that_lets_its_members_in(
    local_aws: LocalAws,
) -> None:
    glue, name = local_aws.client("glue"), local_aws.name("connection")
    glue.create_connection(ConnectionInput=wanted(name))
    read = allow(
        "glue:GetConnection", ["arn:aws:glue:us-east-1:000000000000:catalog", f"arn:aws:glue:us-east-1:000000000000:connection/{name}"]
    )

    def failure(*statements: dict[str, Any]) -> str:
        job = local_aws.name("job")
        glue.create_job(
            Name=job, Role=local_aws.role(*statements, service="glue.amazonaws.com"), GlueVersion="6.0",
            Command={"Name": "glueetl", "ScriptLocation": "s3://nowhere/script.py"}, Connections={"Connections": [name]},
        )  # fmt: skip
        run = glue.start_job_run(JobName=job)["JobRunId"]

        def ended() -> dict[str, Any] | None:
            found = glue.get_job_run(JobName=job, RunId=run)["JobRun"]
            return found if found["JobRunState"] == "FAILED" else None

        return str(wait_for(ended, seconds=60)["ErrorMessage"])

    assert f"could not get the connection {name}" in failure()
    assert "ec2:DescribeNetworkInterfaces" in failure(read)
    assert "ec2:CreateNetworkInterface" in failure(read, allow("ec2:Describe*"))
    every = allow(["ec2:Describe*", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:CreateTags"])
    assert "At least one security group must open all ingress ports" in failure(read, every)
