"""The network as its caller asks for it."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack, Validations
from aws_cdk import aws_kms as kms
from cdk_nag import AwsSolutionsChecks

from constructs_lib.checks import InvalidProps
from constructs_lib.networking import ExistingVpc, InterfaceEndpoint, Network, NewVpc
from lakehouse.naming import Names
from lakehouse.networks import INTERFACE_SERVICES, NEEDED_BY
from tests.constructs_lib.conftest import Synth, of_type
from tests.stacks.conftest import flat

CIDR = "10.7.0.0/16"
Resources = dict[str, dict[str, Any]]


def tagged(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    """Properties of the resources of a type by their Name tag, logical ids beside them."""
    return {
        next(tag["Value"] for tag in resource["Properties"]["Tags"] if tag["Key"] == "Name").removeprefix("lakehouse-test-"): {
            **resource["Properties"],
            "LogicalId": id_,
        }
        for id_, resource in resources.items()
        if resource["Type"] == kind
    }


@pytest.fixture
def make(stack: Stack, names: Names, key: kms.IKey) -> Any:
    def network(vpc: NewVpc | ExistingVpc, **more: Any) -> Network:
        return Network(stack, "Network", names=names, vpc=vpc, log_key=key, **more)

    return network


@pytest.mark.parametrize("zones", [2, 3])
def test_a_vpc_spans_zones_that_aws_names(make: Any, synth: Synth, zones: int) -> None:
    make(NewVpc(cidr=CIDR, availability_zones=zones))
    resources = synth()
    subnets = tagged(resources, "AWS::EC2::Subnet")
    assert sorted(subnets) == sorted(f"{tier}-{number}" for tier in ("private", "isolated") for number in range(zones))
    for name, subnet in subnets.items():
        assert subnet["AvailabilityZone"] == {"Fn::Select": [int(name[-1]), {"Fn::GetAZs": ""}]}
        assert "MapPublicIpOnLaunch" not in subnet
    ranges = [ipaddress.IPv4Network(subnet["CidrBlock"]) for subnet in subnets.values()]
    assert all(part.prefixlen <= 24 and part.subnet_of(ipaddress.IPv4Network(CIDR)) for part in ranges)
    assert not any(a.overlaps(b) for number, a in enumerate(ranges) for b in ranges[:number])


def test_a_subnet_keeps_its_range_when_a_zone_or_a_way_out_is_added(app: App, names: Names, key: kms.IKey) -> None:
    vpcs = (NewVpc(cidr=CIDR), NewVpc(cidr=CIDR, availability_zones=3, nat_gateways=3))
    for number, vpc in enumerate(vpcs):
        Network(Stack(app, f"case{number}"), "Network", names=names, vpc=vpc, log_key=key)
    folder = Path(app.synth().directory)
    found: list[dict[str, str]] = []
    for number in range(len(vpcs)):
        resources = json.loads((folder / f"case{number}.template.json").read_text())["Resources"]
        found.append({name: subnet["CidrBlock"] for name, subnet in tagged(resources, "AWS::EC2::Subnet").items()})
    assert found[0].items() <= found[1].items()


def test_without_a_way_out_there_is_nothing_public(make: Any, synth: Synth) -> None:
    make(NewVpc(cidr=CIDR))
    kinds = {resource["Type"] for resource in synth().values()}
    assert not kinds & {"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::EC2::Route"}


@pytest.mark.parametrize("gateways", [1, 2, 3])
def test_private_subnets_go_out_by_their_own_zone_where_it_has_a_gateway(make: Any, synth: Synth, gateways: int) -> None:
    make(NewVpc(cidr=CIDR, availability_zones=3, nat_gateways=gateways))
    resources = synth()
    subnets, tables = tagged(resources, "AWS::EC2::Subnet"), tagged(resources, "AWS::EC2::RouteTable")
    nats = tagged(resources, "AWS::EC2::NatGateway")
    assert len(nats) == len(of_type(resources, "AWS::EC2::EIP")) == sum(name.startswith("public-") for name in subnets) == gateways
    ways = {
        route["RouteTableId"]["Ref"]: route["NatGatewayId"]["Ref"]
        for route in of_type(resources, "AWS::EC2::Route")
        if "NatGatewayId" in route
    }
    assert ways == {tables[f"private-{zone}"]["LogicalId"]: nats[f"nat-{zone % gateways}"]["LogicalId"] for zone in range(3)}
    assert tables["isolated"]["LogicalId"] not in ways


def test_s3_and_dynamodb_are_in_every_private_and_isolated_route_table(make: Any, synth: Synth) -> None:
    make(NewVpc(cidr=CIDR, availability_zones=3, nat_gateways=1))
    resources = synth()
    tables = {table["LogicalId"] for name, table in tagged(resources, "AWS::EC2::RouteTable").items() if name != "public"}
    endpoints = [e for e in of_type(resources, "AWS::EC2::VPCEndpoint") if e["VpcEndpointType"] == "Gateway"]
    assert sorted(flat(endpoint["ServiceName"]) for endpoint in endpoints) == [
        "com.amazonaws.<AWS::Region>.dynamodb",
        "com.amazonaws.<AWS::Region>.s3",
    ]
    for endpoint in endpoints:
        assert {table["Ref"] for table in endpoint["RouteTableIds"]} == tables
        assert len(tables) == 4
        statement = endpoint["PolicyDocument"]["Statement"][0]
        assert flat(statement["Condition"]["StringEquals"]["aws:PrincipalAccount"]) == "<AWS::AccountId>"


def test_an_endpoint_lets_in_jobs_alone_and_principals_of_this_account(make: Any, synth: Synth) -> None:
    make(
        NewVpc(cidr=CIDR), interface_endpoints=[InterfaceEndpoint(service="kms", actions=["kms:Decrypt"]), InterfaceEndpoint(service="sts")]
    )
    resources = synth()
    endpoints = {
        e["ServiceName"]["Fn::Join"][1][2].lstrip("."): e
        for e in of_type(resources, "AWS::EC2::VPCEndpoint")
        if e["VpcEndpointType"] == "Interface"
    }
    groups = tagged(resources, "AWS::EC2::SecurityGroup")
    assert set(endpoints) == {"kms", "sts"}
    for endpoint in endpoints.values():
        assert endpoint["PrivateDnsEnabled"] is True
        assert len(endpoint["SubnetIds"]) == 2
        assert [group["Fn::GetAtt"][0] if "Fn::GetAtt" in group else group["Ref"] for group in endpoint["SecurityGroupIds"]] == [
            groups["endpoints"]["LogicalId"]
        ]
    (rule,) = groups["endpoints"]["SecurityGroupIngress"]
    assert (rule["FromPort"], rule["ToPort"], flat(rule["SourceSecurityGroupId"])) == (443, 443, f"<{groups['jobs']['LogicalId']}>")
    assert endpoints["kms"]["PolicyDocument"]["Statement"][0]["Action"] == "kms:Decrypt"


def test_jobs_talk_to_each_other_and_call_out_by_tls(make: Any, synth: Synth) -> None:
    make(NewVpc(cidr=CIDR))
    resources = synth()
    jobs = tagged(resources, "AWS::EC2::SecurityGroup")["jobs"]
    assert [(rule["FromPort"], rule["ToPort"], rule["CidrIp"]) for rule in jobs["SecurityGroupEgress"]] == [(443, 443, "0.0.0.0/0")]
    assert "SecurityGroupIngress" not in jobs
    (inside,) = of_type(resources, "AWS::EC2::SecurityGroupIngress")
    (outside,) = of_type(resources, "AWS::EC2::SecurityGroupEgress")
    own = f"<{jobs['LogicalId']}>"
    assert (flat(inside["GroupId"]), flat(inside["SourceSecurityGroupId"])) == (own, own)
    assert (flat(outside["GroupId"]), flat(outside["DestinationSecurityGroupId"])) == (own, own)
    assert {(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in (inside, outside)} == {("tcp", 0, 65_535)}


def test_the_default_security_group_is_emptied(make: Any, synth: Synth) -> None:
    make(NewVpc(cidr=CIDR))
    resources = synth()
    (emptied,) = of_type(resources, "Custom::DefaultSecurityGroup")
    assert emptied["SecurityGroupId"]["Fn::GetAtt"][1] == "DefaultSecurityGroup"
    statements = [
        s for p in of_type(resources, "AWS::IAM::Policy") for s in p["PolicyDocument"]["Statement"] if "ec2:Revoke" in str(s["Action"])
    ]
    (statement,) = statements
    assert ".DefaultSecurityGroup>" in flat(statement["Resource"])


@pytest.mark.parametrize(("flow_logs", "traffic"), [("all", ["ALL"]), ("reject", ["REJECT"]), ("none", [])])
def test_flow_logs_are_kept_under_a_key(make: Any, synth: Synth, flow_logs: str, traffic: list[str]) -> None:
    make(NewVpc(cidr=CIDR), flow_logs=flow_logs, log_retention_days=90)
    resources = synth()
    assert [log["TrafficType"] for log in of_type(resources, "AWS::EC2::FlowLog")] == traffic
    groups = {g["LogGroupName"]: g for g in of_type(resources, "AWS::Logs::LogGroup")}
    assert ("/lakehouse/test/network/flow" in groups) == bool(traffic)
    if traffic:
        group = groups["/lakehouse/test/network/flow"]
        assert (group["RetentionInDays"], "KmsKeyId" in group) == (90, True)


def test_an_endpoint_that_jobs_need_is_missed_at_synth_and_not_by_a_hang(make: Any) -> None:
    given = [InterfaceEndpoint(service=service) for service in NEEDED_BY["glue"] if service not in {"kms", "sts"}]
    with pytest.raises(
        InvalidProps,
        match=r"jobs on glue could not reach kms, sts and would hang: add them to interface_endpoints, or set nat_gateways to 1",
    ):
        make(NewVpc(cidr=CIDR), interface_endpoints=given, engines=["glue"])


def test_jobs_reach_what_they_need_by_endpoints_or_by_a_way_out(app: App, names: Names, key: kms.IKey) -> None:
    endpoints = [InterfaceEndpoint(service=service) for service in NEEDED_BY["emr"]]
    Network(
        Stack(app, "one"),
        "Network",
        names=names,
        log_key=key,
        vpc=NewVpc(cidr=CIDR),
        interface_endpoints=endpoints,
        engines=["emr", "redshift"],
    )
    Network(Stack(app, "two"), "Network", names=names, log_key=key, vpc=NewVpc(cidr=CIDR, nat_gateways=1), engines=["emr", "redshift"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cidr": "10.0.0.0/21"}, r"cut into subnets of a /25, and jobs run out of addresses in less than a /24: take at least a /20"),
        ({"cidr": "10.0.0.0/15"}, "larger than AWS makes a VPC"),
        ({"cidr": "10.0.0.1/16"}, "is no range of addresses"),
        ({"cidr": "8.8.0.0/16"}, "is not a private range"),
        ({"cidr": CIDR, "availability_zones": 1}, "availability_zones must be 2-3"),
        ({"cidr": CIDR, "availability_zones": 4}, "availability_zones must be 2-3"),
        ({"cidr": CIDR, "nat_gateways": 3}, "nat_gateways must be 0-2"),
        ({"cidr": CIDR, "nat_gateways": -1}, "nat_gateways must be 0-2"),
    ],
)
def test_a_vpc_that_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidProps, match=message):
        NewVpc(**options)


def test_the_smallest_vpc_gives_the_smallest_subnets(make: Any, synth: Synth) -> None:
    make(NewVpc(cidr="10.0.16.0/20", availability_zones=3, nat_gateways=3))
    assert {subnet["CidrBlock"].partition("/")[2] for subnet in of_type(synth(), "AWS::EC2::Subnet")} == {"24"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"private_subnet_ids": ["subnet-1"]}, "the number of private_subnet_ids must be 2-3"),
        ({"private_subnet_ids": ["subnet-1", "subnet-1"]}, "names a subnet twice"),
        (
            {"private_subnet_ids": ["subnet-1", "subnet-2"], "isolated_subnet_ids": ["a", "b", "c"]},
            "must be as many as private_subnet_ids, 2",
        ),
    ],
)
def test_an_existing_vpc_that_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidProps, match=message):
        ExistingVpc(vpc_id="vpc-1", **options)


def test_what_is_put_into_an_existing_vpc_waits_until_it_was_looked_at(make: Any, synth: Synth, stack: Stack) -> None:
    network = make(
        ExistingVpc(vpc_id="vpc-1", private_subnet_ids=["subnet-1", "subnet-2"]), interface_endpoints=[InterfaceEndpoint(service="glue")]
    )
    for name in ("vpc_id", "private_subnet_ids", "isolated_subnet_ids", "availability_zones"):
        assert "Fn::GetAtt" in str(stack.resolve(getattr(network.reference, name)))
    resources = synth()
    kinds = {resource["Type"] for resource in resources.values()}
    assert not kinds & {"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::RouteTable", "Custom::DefaultSecurityGroup"}
    (looked,) = of_type(resources, "Custom::ExistingVpc")
    assert (looked["PrivateSubnetIds"], looked["IsolatedSubnetIds"]) == ("subnet-1,subnet-2", "subnet-1,subnet-2")
    (endpoint,) = of_type(resources, "AWS::EC2::VPCEndpoint")
    assert "Fn::GetAtt" in str(endpoint["SubnetIds"])


def test_an_endpoint_is_of_a_service_that_has_one_and_named_once(make: Any) -> None:
    with pytest.raises(InvalidProps, match="service must be one of athena"):
        InterfaceEndpoint(service="s4")
    with pytest.raises(InvalidProps, match="names a service twice"):
        make(NewVpc(cidr=CIDR), interface_endpoints=[InterfaceEndpoint(service="kms"), InterfaceEndpoint(service="kms")])
    assert {service for services in NEEDED_BY.values() for service in services} <= set(INTERFACE_SERVICES)


def test_cdk_nag_finds_nothing_in_a_network(app: App, make: Any) -> None:
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    make(NewVpc(cidr=CIDR, nat_gateways=2), interface_endpoints=[InterfaceEndpoint(service=service) for service in NEEDED_BY["emr"]])
    app.synth()
