"""VPCs as jobs need them: nothing open by default, subnets that are private, large enough and within reach of S3 and DynamoDB."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.errors import TerminalError
from lakehouse.networks import GATEWAY_SERVICES, MAX_SUBNET_PREFIX, usable_addresses

_EVERYWHERE = "0.0.0.0/0"


class UnfitVpcError(TerminalError):
    """A VPC is not one to put jobs and databases into; the message holds every reason and what to do."""


class Vpcs:
    """The VPCs of an account and region."""

    def __init__(self, *, ec2: Any) -> None:
        """
        Args:
            ec2: Client of EC2.
        """
        self._ec2 = ec2

    def empty(self, security_group_id: str) -> None:
        """Take every rule out of a security group: whoever names no group gets the default one, and may then do nothing with it."""
        (group,) = self._ec2.describe_security_groups(GroupIds=[security_group_id])["SecurityGroups"]
        if group["IpPermissions"]:
            self._ec2.revoke_security_group_ingress(GroupId=security_group_id, IpPermissions=group["IpPermissions"])
        if group["IpPermissionsEgress"]:
            self._ec2.revoke_security_group_egress(GroupId=security_group_id, IpPermissions=group["IpPermissionsEgress"])

    def zones_of(self, vpc_id: str, *, private: Sequence[str], isolated: Sequence[str]) -> list[str]:
        """Zones of the subnets of an existing VPC, in their order.

        Args:
            vpc_id: The VPC.
            private: Subnets for jobs.
            isolated: Subnets for databases, which may be the same.

        Raises:
            UnfitVpcError: The subnets are not fit for jobs or databases; every reason is in it.
        """
        wanted = list(dict.fromkeys([*private, *isolated]))
        found = {subnet["SubnetId"]: subnet for subnet in self._ec2.describe_subnets(SubnetIds=wanted)["Subnets"]}
        elsewhere = [f"{id_} is a subnet of {subnet['VpcId']}" for id_, subnet in found.items() if subnet["VpcId"] != vpc_id]
        if elsewhere:
            raise UnfitVpcError(f"{'; '.join(elsewhere)}: name subnets of {vpc_id}")
        routes = self._routes(vpc_id)
        gateways = self._gateway_endpoints(vpc_id)
        problems = [problem for id_ in wanted for problem in _problems(found[id_], routes, gateways)]
        zones = [found[id_]["AvailabilityZone"] for id_ in private]
        if len(set(zones)) < len(zones):
            problems.append(
                f"the private subnets lie in the zones {', '.join(zones)}: take one a zone, or a zone that fails takes two with it"
            )
        if [found[id_]["AvailabilityZone"] for id_ in isolated] != zones:
            problems.append(f"the isolated subnets must lie in the zones of the private ones, {', '.join(zones)}, in that order")
        if problems:
            raise UnfitVpcError("; ".join(problems))
        return zones

    def _routes(self, vpc_id: str) -> Mapping[str, Any]:
        """Route table by subnet; the main one, that of subnets without one of their own, under an empty name."""
        pages = self._ec2.get_paginator("describe_route_tables").paginate(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])
        tables = [table for page in pages for table in page["RouteTables"]]
        return {
            association.get("SubnetId", ""): table
            for table in tables
            for association in table["Associations"]
            if association.get("SubnetId") or association.get("Main")  # a gateway may be associated too
        }

    def _gateway_endpoints(self, vpc_id: str) -> Mapping[str, set[str]]:
        """Services with a gateway endpoint by route table."""
        pages = self._ec2.get_paginator("describe_vpc_endpoints").paginate(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])
        found: dict[str, set[str]] = {}
        for endpoint in (endpoint for page in pages for endpoint in page["VpcEndpoints"]):
            if endpoint["VpcEndpointType"] == "Gateway" and str(endpoint["State"]).lower() == "available":
                for table in endpoint["RouteTableIds"]:
                    found.setdefault(table, set()).add(endpoint["ServiceName"].rpartition(".")[2])
        return found


def _problems(subnet: Mapping[str, Any], routes: Mapping[str, Any], gateways: Mapping[str, set[str]]) -> list[str]:
    """Why nothing should be put into a subnet."""
    id_, cidr, table = subnet["SubnetId"], subnet["CidrBlock"], routes.get(subnet["SubnetId"]) or routes.get("")
    ways = [route for route in (table or {}).get("Routes", ()) if route.get("DestinationCidrBlock") == _EVERYWHERE]
    found: list[str] = []
    if any(str(route.get("GatewayId", "")).startswith("igw-") for route in ways):
        found.append(
            f"{id_} is public, its way out is an internet gateway: jobs get no public address and would hang; name a private subnet"
        )
    if ipaddress.IPv4Network(cidr).prefixlen > MAX_SUBNET_PREFIX:
        found.append(
            f"{id_} is {cidr} with {usable_addresses(cidr)} addresses, and jobs run out of addresses in less than a /{MAX_SUBNET_PREFIX}: name a larger subnet"
        )
    missing = sorted(set(GATEWAY_SERVICES) - gateways.get((table or {}).get("RouteTableId", ""), set()))
    if missing and not ways:
        found.append(
            f"{id_} has no way to {' and '.join(missing)}: add a gateway endpoint to its route table {(table or {}).get('RouteTableId', '')}"
        )
    return found
