"""VPCs are emptied of default rules and looked at before jobs live in them; CloudFormation hears why one is not fit, all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lakehouse.errors import TerminalError
from lambdas.vpc_check.resource import answer_to, id_of
from lambdas.vpc_check.vpc import UnfitVpcError, Vpcs
from tests.lambdas.world import REGION


class Place:
    """A VPC with two private subnets and their way to S3 and DynamoDB."""

    def __init__(self, ec2: Any, *, prefix: int = 24, endpoints: tuple[str, ...] = ("s3", "dynamodb")) -> None:
        self.ec2 = ec2
        self.vpc = ec2.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
        self.table = ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.subnets = [self.subnet(f"10.5.{number}.0/{prefix}", zone) for number, zone in enumerate("ab")]
        for service in endpoints:
            ec2.create_vpc_endpoint(
                VpcId=self.vpc, ServiceName=f"com.amazonaws.{REGION}.{service}", VpcEndpointType="Gateway", RouteTableIds=[self.table]
            )

    def subnet(self, cidr: str, zone: str) -> str:
        id_ = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr, AvailabilityZone=f"{REGION}{zone}")["Subnet"]["SubnetId"]
        self.ec2.associate_route_table(RouteTableId=self.table, SubnetId=id_)
        return str(id_)

    def open(self) -> None:
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        self.ec2.create_route(RouteTableId=self.table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)


@pytest.fixture
def ec2(_no_real_aws: None) -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("ec2", region_name=REGION)


def looked_at(place: Place, *, private: list[str] | None = None, isolated: list[str] | None = None) -> list[str]:
    subnets = private or place.subnets
    return Vpcs(ec2=place.ec2).zones_of(place.vpc, private=subnets, isolated=isolated or subnets)


def test_the_default_security_group_holds_no_rule_afterwards(ec2: Any) -> None:
    place = Place(ec2)
    (group,) = [g for g in ec2.describe_security_groups()["SecurityGroups"] if (g["VpcId"], g["GroupName"]) == (place.vpc, "default")]
    event = {"RequestType": "Create", "ResourceProperties": {"Kind": "default-security-group", "SecurityGroupId": group["GroupId"]}}
    for _ in range(2):  # asked twice, it is as empty
        assert answer_to(event, Vpcs(ec2=ec2)).physical_id == f"{group['GroupId']}/default-security-group"
        (left,) = ec2.describe_security_groups(GroupIds=[group["GroupId"]])["SecurityGroups"]
        assert (left["IpPermissions"], left["IpPermissionsEgress"]) == ([], [])


def test_a_vpc_that_is_fit_tells_its_zones(ec2: Any) -> None:
    place = Place(ec2)
    joined = ",".join(place.subnets)
    properties = {"Kind": "existing-vpc", "VpcId": place.vpc, "PrivateSubnetIds": joined, "IsolatedSubnetIds": joined}
    answer = answer_to({"RequestType": "Create", "ResourceProperties": properties}, Vpcs(ec2=ec2))
    assert answer.data == {
        "VpcId": place.vpc,
        "PrivateSubnetIds": joined,
        "IsolatedSubnetIds": joined,
        "AvailabilityZones": f"{REGION}a,{REGION}b",
    }


def test_a_public_subnet_is_refused_whether_its_route_table_is_its_own_or_the_main_one(ec2: Any) -> None:
    place = Place(ec2)
    place.open()
    with pytest.raises(UnfitVpcError, match=rf"{place.subnets[0]} is public, .* name a private subnet; {place.subnets[1]} is public"):
        looked_at(place)
    other = Place(ec2)
    bare = ec2.create_subnet(VpcId=other.vpc, CidrBlock="10.5.9.0/24", AvailabilityZone=f"{REGION}b")["Subnet"]["SubnetId"]
    (main,) = ec2.describe_route_tables(
        Filters=[{"Name": "vpc-id", "Values": [other.vpc]}, {"Name": "association.main", "Values": ["true"]}]
    )["RouteTables"]
    other.table = main["RouteTableId"]
    other.open()
    with pytest.raises(UnfitVpcError, match=f"{bare} is public"):
        looked_at(other, private=[other.subnets[0], bare])


def test_a_subnet_that_is_too_small_is_refused_with_its_addresses(ec2: Any) -> None:
    with pytest.raises(UnfitVpcError, match=r"is 10\.5\.0\.0/28 with 11 addresses, and jobs run out of addresses in less than a /24"):
        looked_at(Place(ec2, prefix=28))
    assert looked_at(Place(ec2, prefix=24)) == [f"{REGION}a", f"{REGION}b"]


def test_a_subnet_without_a_way_to_s3_is_refused_with_its_route_table(ec2: Any) -> None:
    place = Place(ec2, endpoints=("dynamodb",))
    with pytest.raises(UnfitVpcError, match=rf"has no way to s3: add a gateway endpoint to its route table {place.table}"):
        looked_at(place)


def test_a_way_out_is_a_way_to_s3(ec2: Any) -> None:
    place = Place(ec2, endpoints=())
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=place.subnets[0], AllocationId=address)["NatGateway"]["NatGatewayId"]
    ec2.create_route(RouteTableId=place.table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    assert len(looked_at(place)) == 2


def test_subnets_of_another_vpc_and_of_one_zone_are_refused(ec2: Any) -> None:
    place, other = Place(ec2), Place(ec2)
    with pytest.raises(UnfitVpcError, match=f"{other.subnets[1]} is a subnet of {other.vpc}: name subnets of {place.vpc}"):
        looked_at(place, private=[place.subnets[0], other.subnets[1]])
    same = place.subnet("10.5.7.0/24", "a")
    with pytest.raises(UnfitVpcError, match="take one a zone"):
        looked_at(place, private=[place.subnets[0], same])
    with pytest.raises(UnfitVpcError, match="the isolated subnets must lie in the zones of the private ones"):
        looked_at(place, isolated=list(reversed(place.subnets)))


def test_a_deletion_does_nothing_and_keeps_its_id() -> None:
    event = {"RequestType": "Delete", "PhysicalResourceId": "vpc-1/existing-vpc", "ResourceProperties": {"Kind": "existing-vpc"}}
    assert answer_to(event, Vpcs(ec2=None)).physical_id == id_of(event) == "vpc-1/existing-vpc"


def test_a_request_of_another_kind_is_refused() -> None:
    with pytest.raises(TerminalError, match="Kind must be default-security-group or existing-vpc, got 'other'"):
        answer_to({"RequestType": "Create", "ResourceProperties": {"Kind": "other"}}, Vpcs(ec2=None))
