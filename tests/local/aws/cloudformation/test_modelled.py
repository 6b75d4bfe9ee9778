"""Resource types that schema and API drive: created, read, changed, replaced and deleted with the caller's rights."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws.cloudformation import modelled
from local.aws.cloudformation.modelled import ModelledType, Unreachable
from tests.fixtures.platform import LocalAws, allow

STACKS = allow("cloudformation:*")
TYPE = "AWS::Athena::NamedQuery"
MAKE = ["athena:CreateNamedQuery", "athena:GetNamedQuery"]


def query(**more: Any) -> dict[str, Any]:
    return {"Query": {"Type": TYPE, "Properties": {"Name": "daily", "Database": "gold_sales", "QueryString": "SELECT 1", **more}}}


OUTPUTS = {"Outputs": {"Id": {"Value": {"Ref": "Query"}}, "Got": {"Value": {"Fn::GetAtt": ["Query", "NamedQueryId"]}}}}


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def test_a_property_that_the_api_would_lose_is_found_when_the_type_is_added() -> None:
    dns = ModelledType(
        resource_type="AWS::EC2::VPC",
        service="ec2",
        create="CreateVpc",
        read="DescribeVpcs",
        delete="DeleteVpc",
        carried=frozenset({"Tags"}),
    )
    with pytest.raises(Unreachable, match="AWS::EC2::VPC: CreateVpc has no member for EnableDnsHostnames, EnableDnsSupport"):
        modelled.add(dns)


def test_a_nested_property_that_the_api_would_lose_is_found_too() -> None:
    application = ModelledType(
        resource_type="AWS::EMRServerless::Application", service="emr-serverless", create="CreateApplication", read="GetApplication",
        update="UpdateApplication", delete="DeleteApplication",
    )  # fmt: skip
    assert "MonitoringConfiguration.CloudWatchLoggingConfiguration.LogTypeMap" in application.unreachable()


def test_a_type_that_cloudformation_does_not_have_is_refused() -> None:
    with pytest.raises(Unreachable, match="CloudFormation has no resource type AWS::EC2::Nothing"):
        modelled.add(
            ModelledType(resource_type="AWS::EC2::Nothing", service="ec2", create="CreateVpc", read="DescribeVpcs", delete="DeleteVpc")
        )


@pytest.mark.platform
class TestOnThePlatform:
    """A named query, from its creation to its end."""

    def test_it_is_made_by_the_api_and_read_back(self, local_aws: LocalAws) -> None:
        stack = local_aws.stack(query(Description="of the day"), template=OUTPUTS)
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        found = outputs(stack)
        assert found["Id"] == found["Got"]
        made = local_aws.client("athena").get_named_query(NamedQueryId=found["Id"])["NamedQuery"]
        assert (made["Name"], made["Database"], made["Description"]) == ("daily", "gold_sales", "of the day")

    def test_each_call_is_made_with_the_callers_rights(self, local_aws: LocalAws) -> None:
        allowed = local_aws.caller(STACKS, allow(MAKE))
        assert local_aws.stack(query(), caller=allowed)["StackStatus"] == "CREATE_COMPLETE"
        assert [line["decision"] for line in local_aws.calls(role=allowed.arn, action="athena:CreateNamedQuery")] == ["Allow"]
        denied = local_aws.stack(query(), caller=local_aws.caller(STACKS))
        assert denied["StackStatus"] == "ROLLBACK_COMPLETE"
        assert "is not authorized to perform: athena:CreateNamedQuery on resource:" in denied["Failures"][-1]
        assert "HandlerErrorCode: AccessDenied" in denied["Failures"][-1]

    def test_a_stack_role_makes_it_instead_of_the_caller(self, local_aws: LocalAws) -> None:
        role = local_aws.role(allow(MAKE), service="cloudformation.amazonaws.com")
        caller = local_aws.caller(STACKS, allow("iam:PassRole", role))
        assert local_aws.stack(query(), caller=caller, RoleARN=role)["StackStatus"] == "CREATE_COMPLETE"
        assert [line["decision"] for line in local_aws.calls(role=role, action="athena:CreateNamedQuery")] == ["Allow"]

    def test_a_property_that_only_a_creation_sets_replaces_it(self, local_aws: LocalAws) -> None:
        name = local_aws.name("stack")
        before = outputs(local_aws.stack(query(), name=name, template=OUTPUTS))["Id"]
        after = outputs(local_aws.stack(query(Name="weekly"), name=name, update=True, template=OUTPUTS))["Id"]
        assert before != after
        athena = local_aws.client("athena")
        assert athena.get_named_query(NamedQueryId=after)["NamedQuery"]["Name"] == "weekly"
        with pytest.raises(ClientError, match="NamedQuery"):
            athena.get_named_query(NamedQueryId=before)

    @pytest.mark.parametrize(
        ("properties", "sentence"),
        [
            ({"Colour": "red"}, "extraneous key [Colour] is not permitted"),
            ({"NamedQueryId": "mine"}, "Encountered unsupported property NamedQueryId"),
            ({"QueryString": ["SELECT 1"]}, "expected type: String, found: JSONArray"),
        ],
    )
    def test_properties_are_held_to_the_schema(self, local_aws: LocalAws, properties: dict[str, Any], sentence: str) -> None:
        failed = local_aws.stack(query(**properties))
        assert failed["StackStatus"] == "ROLLBACK_COMPLETE"
        assert sentence in failed["Failures"][-1]

    def test_a_name_is_made_up_where_the_template_has_none(self, local_aws: LocalAws) -> None:
        resources = query()
        del resources["Query"]["Properties"]["Name"]
        name = local_aws.name("stack")
        made = outputs(local_aws.stack(resources, name=name, template=OUTPUTS))["Id"]
        assert local_aws.client("athena").get_named_query(NamedQueryId=made)["NamedQuery"]["Name"].startswith(f"{name}-Query-")

    def test_it_goes_with_its_stack(self, local_aws: LocalAws) -> None:
        name = local_aws.name("stack")
        made = outputs(local_aws.stack(query(), name=name, template=OUTPUTS))["Id"]
        local_aws.client("cloudformation").delete_stack(StackName=name)
        local_aws.client("cloudformation").get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
        with pytest.raises(ClientError, match="NamedQuery"):
            local_aws.client("athena").get_named_query(NamedQueryId=made)
