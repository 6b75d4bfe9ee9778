"""Ranges, endpoints and addresses that jobs need."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from lakehouse.networks import (
    INTERFACE_SERVICES,
    NEEDED_BY,
    NotEnoughAddresses,
    free_addresses,
    missing_services,
    overlap,
    problem_of_range,
    require_free_addresses,
    tiers,
    usable_addresses,
)


@given(st.integers(min_value=16, max_value=20), st.integers(min_value=0, max_value=255), st.sampled_from([2, 3]))
def test_subnets_of_any_vpc_lie_in_it_apart_from_each_other_and_are_large_enough(prefix: int, second: int, zones: int) -> None:
    vpc = ipaddress.IPv4Network(f"10.{second}.0.0/{prefix}")
    cut = tiers(str(vpc), zones=zones)
    subnets = [ipaddress.IPv4Network(cidr) for tier in (cut.private, cut.isolated, cut.public) for cidr in tier]
    assert len(subnets) == 3 * zones
    assert all(subnet.subnet_of(vpc) and subnet.prefixlen <= 24 for subnet in subnets)
    assert not any(one.overlaps(other) for place, one in enumerate(subnets) for other in subnets[:place])


@pytest.mark.parametrize(
    ("cidr", "problem"),
    [
        ("10.0.0.0/16", ""),
        ("192.168.0.0/20", ""),
        ("10.0.0.0/21", "subnets of a /25"),
        ("10.0.0.0/28", "subnets of a /32"),
        ("10.0.0.0/8", "larger than AWS makes a VPC"),
        ("10.0.0.7/16", "no range of addresses"),
        ("all", "no range of addresses"),
        ("52.0.0.0/16", "not a private range"),
    ],
)
def test_a_range_is_judged_with_its_fix(cidr: str, problem: str) -> None:
    found = problem_of_range(cidr)
    assert problem in found
    assert bool(problem) == bool(found)


def test_ranges_overlap_when_they_share_an_address() -> None:
    assert overlap("10.0.0.0/16", "10.0.240.0/20")
    assert not overlap("10.0.0.0/16", "10.1.0.0/16")


def test_what_an_engine_needs_is_missed_by_name() -> None:
    assert missing_services(["glue"], ["glue", "logs", "monitoring", "sts"]) == ["kms", "secretsmanager"]
    assert missing_services(["glue", "emr"], NEEDED_BY["emr"]) == []
    assert missing_services([], []) == []
    assert {service for services in NEEDED_BY.values() for service in services} <= set(INTERFACE_SERVICES)


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield boto3.client("ec2", region_name="us-east-1")


def test_a_job_starts_only_where_its_workers_find_addresses(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    small = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/28")["Subnet"]["SubnetId"]
    assert free_addresses(ec2, [small]) == {small: usable_addresses("10.0.0.0/28")} == {small: 11}
    assert require_free_addresses(ec2, [small], workers=10) == {small: 11}
    with pytest.raises(NotEnoughAddresses, match=rf"11 workers need more than 11 free addresses in one subnet, and {small} has 11"):
        require_free_addresses(ec2, [small], workers=11)
    large = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    assert require_free_addresses(ec2, [small, large], workers=250)[large] == 251
