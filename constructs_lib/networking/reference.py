"""The network of an environment, as the stacks that put jobs and databases into it know it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from aws_cdk import Fn
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from constructs_lib.checks import require_range
from lakehouse.naming import Names

COMPONENT = "network"
"""Component of Parameter Store under which the network's parameters lie."""

PARAMETERS = {
    "vpc_id": "vpc-id",
    "private_subnet_ids": "private-subnet-ids",
    "isolated_subnet_ids": "isolated-subnet-ids",
    "job_security_group_id": "job-security-group-id",
    "availability_zones": "availability-zones",
}
"""Attribute of a reference -> key of its parameter; lists are joined by commas."""


@dataclass(frozen=True, kw_only=True)
class NetworkReference:
    """Where jobs, databases and warehouses of an environment live.

    The lists may be known to the deployment alone: pass them on whole, and take one element by `private_subnet`, `isolated_subnet` and
    `availability_zone`, never by an index.

    Attributes:
        vpc_id: The VPC.
        private_subnet_ids: Subnets of jobs, one a zone.
        isolated_subnet_ids: Subnets of databases and warehouses, one a zone; none has a route out. In an existing VPC without such, the private ones.
        job_security_group_id: Security group of every job; its members talk to each other.
        availability_zones: Zones of the subnets, in their order.
    """

    vpc_id: str
    private_subnet_ids: Sequence[str]
    isolated_subnet_ids: Sequence[str]
    job_security_group_id: str
    availability_zones: Sequence[str]

    @classmethod
    def from_parameters(cls, scope: Construct, *, names: Names, only: Collection[str] = tuple(PARAMETERS)) -> NetworkReference:
        """The network that another stack of the environment made, read from Parameter Store at each deployment.

        Args:
            scope: Construct of the stack that reads.
            names: Names of the environment.
            only: Attributes that the stack uses; the others are empty, because checkers complain of parameters that nobody uses.
        """

        def text(key: str) -> str:
            return (
                ""
                if key not in only
                else ssm.StringParameter.value_for_string_parameter(scope, names.parameter(COMPONENT, PARAMETERS[key]))
            )

        def texts(key: str) -> Sequence[str]:
            return Fn.split(",", text(key)) if key in only else ()

        return cls(
            vpc_id=text("vpc_id"),
            private_subnet_ids=texts("private_subnet_ids"),
            isolated_subnet_ids=texts("isolated_subnet_ids"),
            job_security_group_id=text("job_security_group_id"),
            availability_zones=texts("availability_zones"),
        )

    def private_subnet(self, number: int) -> str:
        """A subnet of jobs; 0 and 1 always exist."""
        return _element(self.private_subnet_ids, number)

    def isolated_subnet(self, number: int) -> str:
        """A subnet of databases; 0 and 1 always exist."""
        return _element(self.isolated_subnet_ids, number)

    def availability_zone(self, number: int) -> str:
        """Zone of the subnets of the same number."""
        return _element(self.availability_zones, number)

    def let_jobs_reach(self, scope: Construct, id: str, *, security_group_id: str, port: int, what: str) -> None:
        """Open a port of a database to the jobs, on both sides: in to its security group, and out of the jobs'.

        Args:
            scope: Construct of the stack that owns the database.
            id: Id of the pair of rules.
            security_group_id: Security group of the database.
            port: Port that it listens on.
            what: What listens there, for people, such as `PostgreSQL of shop`.
        """
        require_range(port, name="port", at_least=1, at_most=65_535)
        rules = Construct(scope, id)
        ec2.CfnSecurityGroupIngress(
            rules,
            "In",
            group_id=security_group_id,
            source_security_group_id=self.job_security_group_id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            description=f"Jobs to {what}",
        )
        ec2.CfnSecurityGroupEgress(
            rules,
            "Out",
            group_id=self.job_security_group_id,
            destination_security_group_id=security_group_id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            description=f"Jobs to {what}",
        )


def _element(values: Sequence[str], number: int) -> str:
    return Fn.select(number, list(values))
