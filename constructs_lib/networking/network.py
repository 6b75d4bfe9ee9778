"""The network that jobs, databases and warehouses live in: a VPC of our own, or one that exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aws_cdk import CfnTag, Fn, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.arns import ACCOUNT
from constructs_lib.checks import require, require_one_of, require_range
from constructs_lib.log_group import STREAMS, LogGroup
from constructs_lib.networking.endpoints import InterfaceEndpoint, gateway_policy, service_name
from constructs_lib.networking.reference import NetworkReference
from constructs_lib.networking.vpc_check import VpcCheck
from constructs_lib.order import after
from constructs_lib.permissions import allow, service_principal, service_principal_conditions
from lakehouse.naming import Names
from lakehouse.networks import GATEWAY_SERVICES, ZONES, missing_services, problem_of_range, tiers

TRAFFIC = ("all", "reject", "none")
"""What flow logs record."""

_EVERYWHERE = "0.0.0.0/0"
_NOTHING = "255.255.255.255/32"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where things go.

    Attributes:
        vpc_id: The VPC.
        private_subnet_ids: Subnets of jobs.
        isolated_subnet_ids: Subnets of databases.
        availability_zones: Zones of both, in their order.
    """

    vpc_id: str
    private_subnet_ids: Sequence[str]
    isolated_subnet_ids: Sequence[str]
    availability_zones: Sequence[str]


class Vpc(Protocol):
    """A VPC, new or existing."""

    def refuse_without(self, endpoints: Sequence[str], engines: Sequence[str]) -> None:
        """Refuse a network in which jobs of these engines cannot reach what they need."""
        ...

    def bind(self, scope: Construct, *, names: Names, check: VpcCheck) -> Placement:
        """Make it, or have it looked at, and say where things go."""
        ...


@dataclass(frozen=True, kw_only=True)
class NewVpc:
    """A VPC over two or three zones, cut into sixteen parts (`lakehouse.networks.tiers`).

    Attributes:
        cidr: Range of the VPC, a /16 to a /20; no other environment may have a part of it.
        availability_zones: Number of zones, 2 or 3; which ones is AWS's choice.
        nat_gateways: Ways out to the internet for private subnets: none, or up to one a zone. Public subnets exist for them alone.
    """

    cidr: str
    availability_zones: int = 2
    nat_gateways: int = 0

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: The range, the number of zones or the number of gateways cannot work.
        """
        problem = problem_of_range(self.cidr)
        require(not problem, f"cidr: {problem}")
        require_range(self.availability_zones, name="availability_zones", at_least=ZONES[0], at_most=ZONES[-1])
        require_range(
            self.nat_gateways, name="nat_gateways", at_least=0, at_most=self.availability_zones, why="one a zone is the most that is of use"
        )

    def refuse_without(self, endpoints: Sequence[str], engines: Sequence[str]) -> None:
        """Refuse a network without a way out in which a service has no endpoint: a job would hang until it times out.

        Raises:
            InvalidProps: A service is out of reach.
        """
        missing = missing_services(engines, endpoints) if self.nat_gateways == 0 else []
        require(
            not missing,
            f"jobs on {', '.join(sorted(set(engines)))} could not reach {', '.join(missing)} and would hang: add {'it' if len(missing) == 1 else 'them'} to "
            "interface_endpoints, or set nat_gateways to 1",
        )

    def bind(self, scope: Construct, *, names: Names, check: VpcCheck) -> Placement:
        """Make the VPC, its subnets, its ways and its gateway endpoints."""
        ranges = tiers(self.cidr, zones=self.availability_zones)
        made = ec2.CfnVPC(scope, "Vpc", cidr_block=self.cidr, enable_dns_hostnames=True, enable_dns_support=True, tags=_name(names, "vpc"))
        vpc = made.ref
        check.empty_default_security_group(made.attr_default_security_group)
        zones = [Fn.select(number, Fn.get_azs()) for number in range(self.availability_zones)]

        def subnets(tier: str, cidrs: Sequence[str]) -> list[str]:
            return [
                ec2.CfnSubnet(
                    scope,
                    f"{tier.capitalize()}Subnet{number}",
                    vpc_id=vpc,
                    availability_zone=zones[number],
                    cidr_block=cidr,
                    tags=_name(names, f"{tier}-{number}"),
                ).ref
                for number, cidr in enumerate(cidrs)
            ]

        def routes(tier: str, *subnet_ids: str) -> str:
            table = ec2.CfnRouteTable(scope, f"{tier.title().replace('-', '')}Routes", vpc_id=vpc, tags=_name(names, tier)).ref
            for number, subnet in enumerate(subnet_ids):
                ec2.CfnSubnetRouteTableAssociation(
                    scope, f"{tier.title().replace('-', '')}Routes{number}", route_table_id=table, subnet_id=subnet
                )
            return table

        private, isolated = subnets("private", ranges.private), subnets("isolated", ranges.isolated)
        private_routes = [routes(f"private-{number}", subnet) for number, subnet in enumerate(private)]
        isolated_routes = routes("isolated", *isolated)
        for service in GATEWAY_SERVICES:
            ec2.CfnVPCEndpoint(
                scope,
                f"{service.capitalize()}Endpoint",
                vpc_id=vpc,
                service_name=service_name(service),
                vpc_endpoint_type="Gateway",
                route_table_ids=[*private_routes, isolated_routes],
                policy_document=gateway_policy(service),
                tags=_name(names, service),
            )
        if self.nat_gateways:
            public = subnets("public", ranges.public[: self.nat_gateways])
            _way_out(scope, names, vpc, public_subnets=public, public_routes=routes("public", *public), private_routes=private_routes)
        return Placement(vpc_id=vpc, private_subnet_ids=private, isolated_subnet_ids=isolated, availability_zones=zones)


@dataclass(frozen=True, kw_only=True)
class ExistingVpc:
    """A VPC that somebody else made. Its subnets are looked at when the network is deployed or they change, and refused with the reason if they are public,
    smaller than a /24, of another VPC, two in one zone, or without a way to S3 and DynamoDB.

    Attributes:
        vpc_id: The VPC.
        private_subnet_ids: Two or three subnets for jobs, each in a zone of its own.
        isolated_subnet_ids: As many for databases, in the same zones; those of the jobs if left out.
    """

    vpc_id: str
    private_subnet_ids: Sequence[str]
    isolated_subnet_ids: Sequence[str] = ()

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: There are too few or too many subnets, or one is named twice.
        """
        for name in ("private_subnet_ids", "isolated_subnet_ids"):
            given: Sequence[str] = getattr(self, name)
            if given or name == "private_subnet_ids":
                require_range(len(given), name=f"the number of {name}", at_least=ZONES[0], at_most=ZONES[-1])
            require(len(set(given)) == len(given), f"{name} names a subnet twice: {', '.join(given)}")
        require(
            len(self.isolated_subnet_ids) in {0, len(self.private_subnet_ids)},
            f"isolated_subnet_ids must be as many as private_subnet_ids, {len(self.private_subnet_ids)}, in the same zones, got {len(self.isolated_subnet_ids)}",
        )

    def refuse_without(self, endpoints: Sequence[str], engines: Sequence[str]) -> None:
        """Refuse nothing: its ways out are its owner's, and nobody knows them at synth."""
        del endpoints, engines

    def bind(self, scope: Construct, *, names: Names, check: VpcCheck) -> Placement:
        """Have it looked at, before anything is put into it."""
        del scope, names
        isolated = self.isolated_subnet_ids or self.private_subnet_ids
        looked_at = check.look_at(self.vpc_id, private=self.private_subnet_ids, isolated=isolated)
        return Placement(
            vpc_id=looked_at.vpc_id,
            private_subnet_ids=looked_at.private_subnet_ids,
            isolated_subnet_ids=looked_at.isolated_subnet_ids,
            availability_zones=looked_at.availability_zones,
        )


class Network(Construct):
    """Where jobs, databases and warehouses live, with endpoints, the jobs' security group and flow logs.

    Attributes:
        reference: The network for whoever puts something into it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        vpc: Vpc,
        log_key: kms.IKey,
        interface_endpoints: Sequence[InterfaceEndpoint] = (),
        engines: Sequence[str] = (),
        flow_logs: str = "all",
        log_retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            vpc: A `NewVpc`, or an `ExistingVpc`.
            log_key: Key of the log groups.
            interface_endpoints: Services within reach without a way out; each costs about 7 dollars a month and zone.
            engines: Engines whose jobs run in the network (`lakehouse.networks.NEEDED_BY`): without a way out, what they need must have endpoints.
            flow_logs: Traffic that is recorded: `all`, `reject` or `none`.
            log_retention_days: Days for which logs are kept.
            removal_policy: What happens to the logs when the stack goes.
        """
        super().__init__(scope, id)
        require_one_of(flow_logs, TRAFFIC, name="flow_logs")
        services = [endpoint.service for endpoint in interface_endpoints]
        require(len(set(services)) == len(services), f"interface_endpoints names a service twice: {', '.join(services)}")
        vpc.refuse_without(services, engines)
        check = VpcCheck(self, "Check", names=names, log_key=log_key, log_retention_days=log_retention_days, removal_policy=removal_policy)
        place = vpc.bind(self, names=names, check=check)
        jobs = _job_security_group(self, names, place.vpc_id)
        if interface_endpoints:
            self._endpoints(names, place, jobs, interface_endpoints)
        if flow_logs != "none":
            log_group = LogGroup(
                self,
                "FlowLogGroup",
                name=names.log_group("network", "flow"),
                key=log_key,
                retention_days=log_retention_days,
                removal_policy=removal_policy,
            )
            _flow_log(self, names, place.vpc_id, log_group, flow_logs)
        self.reference = NetworkReference(
            vpc_id=place.vpc_id,
            private_subnet_ids=place.private_subnet_ids,
            isolated_subnet_ids=place.isolated_subnet_ids,
            job_security_group_id=jobs,
            availability_zones=place.availability_zones,
        )

    def _endpoints(self, names: Names, place: Placement, jobs: str, endpoints: Sequence[InterfaceEndpoint]) -> None:
        group = ec2.CfnSecurityGroup(
            self,
            "EndpointSecurityGroup",
            group_description=f"Endpoints of AWS services for jobs of {names.prefix}",
            vpc_id=place.vpc_id,
            security_group_ingress=[
                ec2.CfnSecurityGroup.IngressProperty(
                    ip_protocol="tcp", from_port=443, to_port=443, source_security_group_id=jobs, description="Jobs call AWS"
                )
            ],
            security_group_egress=[_no_egress()],
            tags=_name(names, "endpoints"),
        ).ref
        for endpoint in endpoints:
            ec2.CfnVPCEndpoint(
                self,
                f"Endpoint-{endpoint.service}",
                vpc_id=place.vpc_id,
                service_name=endpoint.service_name,
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=list(place.private_subnet_ids),
                security_group_ids=[group],
                policy_document=endpoint.policy,
                tags=_name(names, endpoint.service),
            )


def _name(names: Names, what: str) -> list[CfnTag]:
    return [CfnTag(key="Name", value=f"{names.prefix}-{what}")]


def _way_out(
    scope: Construct, names: Names, vpc: str, *, public_subnets: Sequence[str], public_routes: str, private_routes: Sequence[str]
) -> None:
    """NAT gateways in public subnets, and the private subnets' way to them: in their own zone where there is one."""
    gateway = ec2.CfnInternetGateway(scope, "InternetGateway", tags=_name(names, "internet")).ref
    attached = ec2.CfnVPCGatewayAttachment(scope, "InternetGatewayAttachment", vpc_id=vpc, internet_gateway_id=gateway)
    out = ec2.CfnRoute(scope, "PublicWayOut", route_table_id=public_routes, destination_cidr_block=_EVERYWHERE, gateway_id=gateway)
    after(out, attached)
    gateways: list[str] = []
    for number, subnet in enumerate(public_subnets):
        address = ec2.CfnEIP(scope, f"NatAddress{number}", domain="vpc", tags=_name(names, f"nat-{number}"))
        after(address, attached)
        nat = ec2.CfnNatGateway(
            scope, f"NatGateway{number}", subnet_id=subnet, allocation_id=address.attr_allocation_id, tags=_name(names, f"nat-{number}")
        )
        after(nat, out)
        gateways.append(nat.ref)
    for number, table in enumerate(private_routes):
        ec2.CfnRoute(
            scope,
            f"PrivateWayOut{number}",
            route_table_id=table,
            destination_cidr_block=_EVERYWHERE,
            nat_gateway_id=gateways[number % len(gateways)],
        )


def _job_security_group(scope: Construct, names: Names, vpc: str) -> str:
    """Group of every job: its members talk to each other, and call out by TLS; whatever else they may reach is opened by who owns it.

    The addresses of S3 in a region are known to a lookup only, so 443 goes to any address; without a NAT gateway that is S3, DynamoDB and the endpoints.
    """
    group = ec2.CfnSecurityGroup(
        scope,
        "JobSecurityGroup",
        group_description=f"Jobs of {names.prefix}",
        vpc_id=vpc,
        security_group_egress=[
            ec2.CfnSecurityGroup.EgressProperty(
                ip_protocol="tcp", from_port=443, to_port=443, cidr_ip=_EVERYWHERE, description="S3, DynamoDB and endpoints of AWS services"
            )
        ],
        tags=_name(names, "jobs"),
    ).ref
    ec2.CfnSecurityGroupIngress(
        scope,
        "JobsFromJobs",
        group_id=group,
        source_security_group_id=group,
        ip_protocol="tcp",
        from_port=0,
        to_port=65_535,
        description="Workers and drivers of jobs",
    )
    ec2.CfnSecurityGroupEgress(
        scope,
        "JobsToJobs",
        group_id=group,
        destination_security_group_id=group,
        ip_protocol="tcp",
        from_port=0,
        to_port=65_535,
        description="Workers and drivers of jobs",
    )
    return group


def _no_egress() -> ec2.CfnSecurityGroup.EgressProperty:
    """A rule that nothing matches: a group without a rule gets one that lets everything out."""
    return ec2.CfnSecurityGroup.EgressProperty(
        ip_protocol="icmp", from_port=252, to_port=86, cidr_ip=_NOTHING, description="Nothing leaves"
    )


def _flow_log(scope: Construct, names: Names, vpc: str, log_group: LogGroup, traffic: str) -> None:
    role = iam.Role(
        scope,
        "FlowLogRole",
        assumed_by=service_principal("vpc-flow-logs.amazonaws.com", conditions=service_principal_conditions(account=ACCOUNT)),
        description=f"Writes flow logs of {names.prefix}",
    )
    arn = log_group.log_group_arn
    grant = allow(
        role,
        actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        resources=[arn, f"{arn}:*"],
        because=STREAMS,
    )
    flow_log = ec2.CfnFlowLog(
        scope,
        "FlowLog",
        resource_id=vpc,
        resource_type="VPC",
        traffic_type=traffic.upper(),
        log_group_name=log_group.log_group_name,
        deliver_logs_permission_arn=role.role_arn,
        max_aggregation_interval=600,
        tags=_name(names, "flow"),
    )
    after(flow_log, log_group.resource)
    grant.apply_before(flow_log)
