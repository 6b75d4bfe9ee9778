"""Networks of EC2 and their CloudFormation types: held to what EC2 holds them to, each call with the caller's rights."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lakehouse.networks import NotEnoughAddresses, require_free_addresses
from local.aws.cloudformation import modelled, network_types, schemas
from tests.fixtures.platform import LocalAws, allow

pytestmark = pytest.mark.platform

STACKS = allow("cloudformation:*")
Made = dict[str, str]


@pytest.fixture(scope="module")
def net(local_aws: LocalAws) -> Made:
    """A VPC with two subnets, a route table and a security group, made over the API."""
    ec2 = local_aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]
    for name in ("EnableDnsSupport", "EnableDnsHostnames"):
        ec2.modify_vpc_attribute(VpcId=vpc, **{name: {"Value": True}})
    made = {"vpc": vpc}
    for number, zone in enumerate("ab"):
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.60.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]
        made[f"subnet{number}"] = subnet["SubnetId"]
    made["table"] = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    made["group"] = ec2.create_security_group(GroupName="jobs", Description="jobs", VpcId=vpc)["GroupId"]
    return made


def refused(call: Any, code: str, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    assert caught.value.response["Error"]["Code"] == code
    return str(caught.value)


def test_a_subnet_lies_in_its_vpc_and_overlaps_no_other(local_aws: LocalAws, net: Made) -> None:
    ec2 = local_aws.client("ec2")
    refused(ec2.create_subnet, "InvalidSubnet.Range", VpcId=net["vpc"], CidrBlock="10.61.0.0/24")
    refused(ec2.create_subnet, "InvalidSubnet.Range", VpcId=net["vpc"], CidrBlock="10.60.9.0/29")
    refused(ec2.create_subnet, "InvalidSubnet.Conflict", VpcId=net["vpc"], CidrBlock="10.60.1.128/25")
    refused(ec2.create_subnet, "InvalidParameterValue", VpcId=net["vpc"], CidrBlock="10.60.9.0/24", AvailabilityZone="us-east-1z")
    refused(ec2.create_subnet, "InvalidVpcID.NotFound", VpcId="vpc-00000000", CidrBlock="10.60.9.0/24")


def test_an_endpoint_takes_an_address_in_each_subnet_and_holds_the_subnet(local_aws: LocalAws, net: Made) -> None:
    ec2 = local_aws.client("ec2")
    subnets = [net["subnet0"], net["subnet1"]]
    name = "com.amazonaws.us-east-1.glue"
    endpoint = ec2.create_vpc_endpoint(
        VpcId=net["vpc"], ServiceName=name, VpcEndpointType="Interface", SubnetIds=subnets, SecurityGroupIds=[net["group"]]
    )["VpcEndpoint"]
    (read,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])["VpcEndpoints"]
    assert (read["State"], read["PrivateDnsEnabled"], read["SubnetIds"]) == ("available", True, subnets)
    assert [group["GroupId"] for group in read["Groups"]] == [net["group"]]
    assert [s["AvailableIpAddressCount"] for s in ec2.describe_subnets(SubnetIds=subnets)["Subnets"]] == [250, 250]
    with pytest.raises(NotEnoughAddresses, match=f"{subnets[0]} has 250"):
        require_free_addresses(ec2, subnets, workers=250)
    refused(ec2.delete_subnet, "DependencyViolation", SubnetId=net["subnet0"])
    refused(ec2.delete_security_group, "DependencyViolation", GroupId=net["group"])
    told = refused(ec2.create_vpc_endpoint, "InvalidParameter", VpcId=net["vpc"], ServiceName=name, VpcEndpointType="Interface")
    assert "there is already a conflicting DNS domain for glue" in told
    refused(
        ec2.create_vpc_endpoint,
        "InvalidServiceName",
        VpcId=net["vpc"],
        ServiceName="com.amazonaws.us-east-1.gleu",
        VpcEndpointType="Interface",
    )
    assert ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])["Unsuccessful"] == []
    assert [s["AvailableIpAddressCount"] for s in ec2.describe_subnets(SubnetIds=subnets)["Subnets"]] == [251, 251]


def test_a_gateway_endpoint_stands_in_its_route_tables_once(local_aws: LocalAws, net: Made) -> None:
    ec2 = local_aws.client("ec2")
    request = {"VpcId": net["vpc"], "ServiceName": "com.amazonaws.us-east-1.s3", "RouteTableIds": [net["table"]]}
    endpoint = ec2.create_vpc_endpoint(**request)["VpcEndpoint"]["VpcEndpointId"]
    (table,) = ec2.describe_route_tables(RouteTableIds=[net["table"]])["RouteTables"]
    assert endpoint in {route.get("GatewayId") for route in table["Routes"]}
    refused(ec2.create_vpc_endpoint, "RouteAlreadyExists", **request)
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    (table,) = ec2.describe_route_tables(RouteTableIds=[net["table"]])["RouteTables"]
    assert endpoint not in {route.get("GatewayId") for route in table["Routes"]}


def test_a_nat_gateway_needs_a_way_out_and_an_address_of_its_own(local_aws: LocalAws, net: Made) -> None:
    ec2 = local_aws.client("ec2")
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    refused(ec2.create_nat_gateway, "Gateway.NotAttached", SubnetId=net["subnet0"], AllocationId=address)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=net["vpc"])
    nat = ec2.create_nat_gateway(SubnetId=net["subnet0"], AllocationId=address)["NatGateway"]
    assert nat["NatGatewayAddresses"][0]["AllocationId"] == address
    refused(ec2.create_nat_gateway, "Resource.AlreadyAssociated", SubnetId=net["subnet1"], AllocationId=address)
    refused(ec2.release_address, "InvalidIPAddress.InUse", AllocationId=address)
    ec2.delete_nat_gateway(NatGatewayId=nat["NatGatewayId"])
    ec2.release_address(AllocationId=address)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=net["vpc"])


def test_flow_logs_want_a_role_that_the_service_may_take_and_that_may_be_passed(local_aws: LocalAws, net: Made) -> None:
    role = local_aws.role(service="vpc-flow-logs.amazonaws.com")
    wanted = {"ResourceType": "VPC", "ResourceIds": [net["vpc"]], "TrafficType": "ALL", "LogGroupName": "/test/flow"}
    create = allow("ec2:CreateFlowLogs")
    denied = refused(
        local_aws.caller(create).client("ec2").create_flow_logs, "UnauthorizedOperation", DeliverLogsPermissionArn=role, **wanted
    )
    assert "iam:PassRole" in denied
    passing = local_aws.caller(create, allow("iam:PassRole", role)).client("ec2")
    made = passing.create_flow_logs(DeliverLogsPermissionArn=role, **wanted)["FlowLogIds"]
    other = local_aws.role(service="glue.amazonaws.com")
    refused(local_aws.client("ec2").create_flow_logs, "InvalidParameter", DeliverLogsPermissionArn=other, **wanted)
    assert local_aws.client("ec2").delete_flow_logs(FlowLogIds=made)["Unsuccessful"] == []


@pytest.mark.parametrize(
    ("operation", "request_of", "action"),
    [
        ("describe_vpc_endpoints", {}, "ec2:DescribeVpcEndpoints"),
        ("allocate_address", {"Domain": "vpc"}, "ec2:AllocateAddress"),
        ("describe_subnets", {}, "ec2:DescribeSubnets"),
        ("describe_network_interfaces", {}, "ec2:DescribeNetworkInterfaces"),
    ],
)
def test_each_call_asks_for_its_right(local_aws: LocalAws, operation: str, request_of: dict[str, Any], action: str) -> None:
    getattr(local_aws.caller(allow(action)).client("ec2"), operation)(**request_of)
    told = refused(getattr(local_aws.caller(allow("ec2:DescribeVpcs")).client("ec2"), operation), "UnauthorizedOperation", **request_of)
    assert action in told


def test_tags_on_creation_ask_for_their_own_right(local_aws: LocalAws) -> None:
    tags = [{"ResourceType": "elastic-ip", "Tags": [{"Key": "Name", "Value": "nat"}]}]
    one = local_aws.caller(allow("ec2:AllocateAddress")).client("ec2")
    assert "ec2:CreateTags" in str(refused(one.allocate_address, "UnauthorizedOperation", Domain="vpc", TagSpecifications=tags))
    both = local_aws.caller(allow(["ec2:AllocateAddress", "ec2:CreateTags"])).client("ec2")
    made = both.allocate_address(Domain="vpc", TagSpecifications=tags)["AllocationId"]
    (read,) = local_aws.client("ec2").describe_addresses(AllocationIds=[made])["Addresses"]
    assert read["Tags"] == [{"Key": "Name", "Value": "nat"}]


# ---- the types ---------------------------------------------------------------------------------------------------------


def rules(**more: Any) -> dict[str, Any]:
    group = {
        "GroupDescription": "jobs",
        "VpcId": {"Ref": "Vpc"},
        "SecurityGroupEgress": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}],
    }
    rule = {
        "GroupId": {"Ref": "Group"},
        "SourceSecurityGroupId": {"Ref": "Group"},
        "IpProtocol": "tcp",
        "FromPort": 0,
        "ToPort": 65535,
        **more,
    }
    return {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.70.0.0/16"}},
        "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": group},
        "Rule": {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": rule},
    }


RULE_OUTPUT = {"Outputs": {"Group": {"Value": {"Ref": "Group"}}, "Rule": {"Value": {"Ref": "Rule"}}}}


def test_a_rule_has_a_life_of_its_own(local_aws: LocalAws) -> None:
    name, ec2 = local_aws.name("stack"), local_aws.client("ec2")
    stack = local_aws.stack(rules(Description="workers"), name=name, template=RULE_OUTPUT)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    (group,) = ec2.describe_security_groups(GroupIds=[outputs["Group"]])["SecurityGroups"]
    (rule,) = group["IpPermissions"]
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [outputs["Group"]]
    changed = local_aws.stack(rules(FromPort=1), name=name, update=True, template=RULE_OUTPUT)
    assert changed["StackStatus"] == "UPDATE_COMPLETE", changed["Failures"]
    (group,) = ec2.describe_security_groups(GroupIds=[outputs["Group"]])["SecurityGroups"]
    assert [rule["FromPort"] for rule in group["IpPermissions"]] == [1]
    local_aws.client("cloudformation").delete_stack(StackName=name)
    local_aws.client("cloudformation").get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    refused(ec2.describe_security_groups, "InvalidGroup.NotFound", GroupIds=[outputs["Group"]])


def test_a_stack_makes_rules_with_its_callers_rights(local_aws: LocalAws) -> None:
    base = [
        "ec2:CreateVpc",
        "ec2:DescribeVpcs",
        "ec2:CreateSecurityGroup",
        "ec2:DescribeSecurityGroups",
        "ec2:AuthorizeSecurityGroupEgress",
    ]
    base += ["ec2:RevokeSecurityGroupEgress", "ec2:DescribeSecurityGroupRules", "ec2:DeleteVpc", "ec2:DeleteSecurityGroup"]
    denied = local_aws.stack(rules(), caller=local_aws.caller(STACKS, allow(base)))
    assert denied["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "is not authorized to perform: ec2:AuthorizeSecurityGroupIngress" in denied["Failures"][-1]
    allowed = local_aws.caller(STACKS, allow([*base, "ec2:AuthorizeSecurityGroupIngress"]))
    made = local_aws.stack(rules(), caller=allowed)
    assert made["StackStatus"] == "CREATE_COMPLETE", made["Failures"]


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        ({"CidrIpv6": "::/0"}, "CidrIpv6 of AWS::EC2::SecurityGroupIngress is not implemented on the laptop platform"),
        ({"Colour": "red"}, "extraneous key [Colour] is not permitted"),
        ({"GroupId": "sg-00000000"}, "Security group sg-00000000 not found"),
    ],
)
def test_what_ec2_or_the_laptop_would_not_take_fails_the_resource(local_aws: LocalAws, properties: dict[str, Any], sentence: str) -> None:
    failed = local_aws.stack(rules(**properties))
    assert failed["StackStatus"] == "ROLLBACK_COMPLETE"
    assert sentence in json.dumps(failed["Failures"])


def test_an_endpoint_changes_in_place_and_is_replaced_with_its_service(local_aws: LocalAws, net: Made) -> None:
    def endpoint(service: str, *tables: str, **more: Any) -> dict[str, Any]:
        properties = {"VpcId": net["vpc"], "ServiceName": f"com.amazonaws.us-east-1.{service}", "RouteTableIds": list(tables), **more}
        return {"Endpoint": {"Type": "AWS::EC2::VPCEndpoint", "Properties": properties}}

    ec2, name, output = local_aws.client("ec2"), local_aws.name("stack"), {"Outputs": {"Id": {"Value": {"Ref": "Endpoint"}}}}
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]}
    first = local_aws.stack(endpoint("s3", net["table"]), name=name, template=output)["Outputs"][0]["OutputValue"]
    changed = local_aws.stack(endpoint("s3", PolicyDocument=policy), name=name, update=True, template=output)
    assert (changed["StackStatus"], changed["Outputs"][0]["OutputValue"]) == ("UPDATE_COMPLETE", first), changed["Failures"]
    (read,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[first])["VpcEndpoints"]
    assert (read["RouteTableIds"], json.loads(read["PolicyDocument"])) == ([], policy)
    replaced = local_aws.stack(endpoint("dynamodb", net["table"]), name=name, update=True, template=output)
    assert replaced["Outputs"][0]["OutputValue"] != first
    refused(ec2.describe_vpc_endpoints, "InvalidVpcEndpointId.NotFound", VpcEndpointIds=[first])


def test_every_network_type_of_the_platform_is_held_to_its_schema() -> None:
    ours = {name for name in modelled.TYPES if name.startswith("AWS::EC2::")} | set(network_types.HANDLED)
    assert len(ours) >= 14 or not modelled.TYPES
    assert all(schemas.schema(name) is not None for name in network_types.HANDLED)
