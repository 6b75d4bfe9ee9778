"""What jobs need of a network: AWS services within reach, addresses of the right size, and enough of them free."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import TerminalError

MAX_SUBNET_PREFIX = 24
"""Smallest subnet that jobs or databases are put into: a /24 has 251 addresses, a /28 eleven, and a cluster that finds none free just does not start."""

RESERVED_ADDRESSES = 5
"""Addresses of every subnet that AWS keeps for itself."""

MIN_VPC_PREFIX, MAX_VPC_PREFIX = 16, 20
"""Sizes of a VPC: AWS makes none larger than a /16, and a sixteenth of a /20 is a /24."""

ZONES = (2, 3)
"""Numbers of availability zones that a network may span."""

GATEWAY_SERVICES = ("dynamodb", "s3")
"""Services whose endpoints are free and stand in the route tables; every network has them."""

INTERFACE_SERVICES = (
    "athena", "dms", "ec2", "elasticmapreduce", "emr-serverless", "events", "glue", "kafka", "kinesis-firehose", "kinesis-streams", "kms",
    "lakeformation", "lambda", "logs", "monitoring", "rds", "redshift", "redshift-data", "redshift-serverless", "secretsmanager", "sns", "sqs",
    "ssm", "states", "sts",
)  # fmt: skip
"""Services that an interface endpoint can be made for, as AWS spells them in the endpoint's service name."""

_JOBS = ("glue", "kms", "logs", "monitoring", "secretsmanager", "sts")

NEEDED_BY = {
    "glue": _JOBS,
    "emr-serverless": _JOBS,
    "emr": (*_JOBS, "ec2", "elasticmapreduce", "ssm"),
    "redshift": ("glue", "kms", "secretsmanager", "sts"),
}
"""Engine -> services that its jobs call from inside the network, S3 and DynamoDB aside."""


@dataclass(frozen=True, kw_only=True)
class Tiers:
    """Address ranges of the subnets of a VPC, one a zone.

    Attributes:
        private: Subnets of jobs.
        isolated: Subnets of databases and warehouses.
        public: Subnets of NAT gateways.
    """

    private: tuple[str, ...]
    isolated: tuple[str, ...]
    public: tuple[str, ...]


def tiers(cidr: str, *, zones: int) -> Tiers:
    """Cut a VPC into subnets.

    The VPC has sixteen equal parts. Private subnets take the first ones whole, for jobs eat addresses; isolated subnets are the first /24 of the parts
    from the ninth on, public ones of those from the thirteenth on. A subnet keeps its range when a zone or a tier is added.

    Args:
        cidr: Range of the VPC.
        zones: Number of availability zones, at most 3.
    """
    parts = list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=4))

    def small(first: int) -> tuple[str, ...]:
        return tuple(str(next(parts[first + zone].subnets(new_prefix=MAX_SUBNET_PREFIX))) for zone in range(zones))

    return Tiers(private=tuple(map(str, parts[:zones])), isolated=small(8), public=small(12))


def problem_of_range(cidr: str) -> str:
    """What is wrong with the range of a VPC, with the fix; empty if nothing is."""
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        return f"{cidr!r} is no range of addresses ({error}): write one such as 10.0.0.0/16"
    if not network.is_private:
        return f"{cidr} is not a private range: take one of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
    if network.prefixlen < MIN_VPC_PREFIX:
        return f"{cidr} is larger than AWS makes a VPC: at most a /{MIN_VPC_PREFIX}"
    if network.prefixlen > MAX_VPC_PREFIX:
        return (
            f"{cidr} is cut into subnets of a /{network.prefixlen + 4}, and jobs run out of addresses in less than a /{MAX_SUBNET_PREFIX}: "
            f"take at least a /{MAX_VPC_PREFIX}"
        )
    return ""


def overlap(one: str, other: str) -> bool:
    """Whether two ranges share an address: such networks can never be connected to each other."""
    return ipaddress.IPv4Network(one).overlaps(ipaddress.IPv4Network(other))


def usable_addresses(cidr: str) -> int:
    """Addresses of a subnet that anything can have."""
    return ipaddress.IPv4Network(cidr).num_addresses - RESERVED_ADDRESSES


def missing_services(engines: Iterable[str], endpoints: Iterable[str]) -> list[str]:
    """Services that jobs of these engines could not reach in a network without a way out.

    Args:
        engines: Engines, keys of `NEEDED_BY`.
        endpoints: Services that there are interface endpoints for.
    """
    return sorted({service for engine in engines for service in NEEDED_BY.get(engine, ())} - set(endpoints))


class NotEnoughAddresses(TerminalError):
    """A subnet has fewer free addresses than a job needs."""


def free_addresses(ec2: Any, subnet_ids: Sequence[str]) -> dict[str, int]:
    """Free addresses of each subnet.

    Args:
        ec2: Client of EC2.
        subnet_ids: Ids of the subnets.
    """
    found = ec2.describe_subnets(SubnetIds=list(subnet_ids))["Subnets"]
    return {str(subnet["SubnetId"]): int(subnet["AvailableIpAddressCount"]) for subnet in found}


def require_free_addresses(ec2: Any, subnet_ids: Sequence[str], *, workers: int) -> dict[str, int]:
    """Check that a job finds an address for each worker in some subnet, before it fails to start for a reason that stands in no log of its own.

    Args:
        ec2: Client of EC2.
        subnet_ids: Subnets that the job may run in; a job runs in one of them.
        workers: Workers of the job; each takes an address, and one more must be left, as Glue asks for.

    Returns:
        Free addresses of each subnet.

    Raises:
        NotEnoughAddresses: No subnet has enough.
    """
    free = free_addresses(ec2, subnet_ids)
    if not any(count > workers for count in free.values()):
        told = ", ".join(f"{subnet} has {count}" for subnet, count in sorted(free.items()))
        raise NotEnoughAddresses(
            f"{workers} workers need more than {workers} free addresses in one subnet, and {told}: run fewer jobs at once, take fewer workers, "
            "or give the network a larger cidr"
        )
    return free
