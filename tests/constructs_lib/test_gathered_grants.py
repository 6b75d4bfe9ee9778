"""Permissions that are gathered and added together mean what they mean one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import pytest
from aws_cdk import CfnResource, Stack
from aws_cdk import aws_iam as iam
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib.catalog import CatalogTable
from constructs_lib.checks import InvalidProps
from constructs_lib.permissions import MAX_STATEMENT, allow, gathered, merged, service_principal
from constructs_lib.storage import LakeBuckets
from lakehouse.naming import DatasetName
from tests.constructs_lib.conftest import Synth, of_type
from tests.stacks.conftest import flat, listed

MANY = 120

statements = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["s3:GetObject", "s3:PutObject", "glue:GetTable"]), min_size=1, unique=True).map(tuple),
        st.lists(st.sampled_from(["a", "b", "c" * MAX_STATEMENT, "d" * 900, "e" * 900]), min_size=1, unique=True).map(tuple),
        st.sampled_from(["null", '{"StringEquals": {"a": "b"}}']),
    )
)


def meaning(found: Iterable[tuple[Iterable[str], Iterable[str], str]]) -> set[tuple[str, str, str]]:
    return {(action, resource, conditions) for actions, resources, conditions in found for action in actions for resource in resources}


@given(statements)
def test_merged_statements_allow_the_same_and_none_is_too_large(found: list[tuple[tuple[str, ...], tuple[str, ...], str]]) -> None:
    few = merged(found)
    assert meaning(few) == meaning(found)
    assert all(len(resources) == 1 or sum(map(len, resources)) <= MAX_STATEMENT for _, resources, _ in few)


def test_statements_are_cut_the_same_whatever_numbers_the_cdk_gives_its_tokens() -> None:
    def cut(number: int) -> list[int]:
        arns = [f"arn:${{Token[AWS.Partition.{number}]}}:glue:${{Token[AWS.Region.{number}]}}:table/t_{table}" for table in range(MANY)]
        return [len(resources) for _, resources, _ in merged([(("glue:GetTable",), tuple(arns), "null")])]

    assert len(cut(9)) > 1
    assert cut(9) == cut(10) == cut(123_456)


def given_to(resources: dict[str, dict[str, Any]]) -> set[tuple[str, str, str]]:
    return meaning(
        (listed(statement["Action"]), map(flat, listed(statement["Resource"])), json.dumps(statement.get("Condition"), sort_keys=True))
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        for policy in of_type(resources, kind)
        for statement in policy["PolicyDocument"]["Statement"]
    )


@pytest.mark.parametrize("tables", [1, MANY])
def test_a_role_may_do_the_same_and_what_needs_it_waits_for_the_right_policy(
    stack: Stack, lake: LakeBuckets, synth: Synth, tables: int
) -> None:
    role = {
        name: iam.Role(stack, name, assumed_by=service_principal("glue.amazonaws.com"), role_name=name) for name in ("Together", "Single")
    }
    for name, grantee in role.items():
        with gathered() if name == "Together" else nullcontext():
            for number in range(tables):
                table = CatalogTable(dataset=DatasetName.parse(f"silver.sales.dataset_number_{number}"), lake=lake)
                grant = table.grants.write(grantee)
                lake.grants.list(grantee, "silver", prefix=table.prefix)
                grant.apply_before(CfnResource(stack, f"After{name}{number}", type="Test::Thing"))
    resources = synth()
    of_role = {
        name: {
            id_: resource
            for id_, resource in resources.items()
            if resource["Type"].startswith("AWS::IAM::")
            and resource["Type"] != "AWS::IAM::Role"
            and {"Ref": _id(resources, name)} in resource["Properties"]["Roles"]
        }
        for name in role
    }
    assert given_to(of_role["Together"]) == given_to(of_role["Single"])
    assert len(of_role["Together"]) <= len(of_role["Single"])
    assert (len(of_role["Together"]) > 1) == (tables == MANY)
    for number in range(tables):
        after = resources[f"AfterTogether{number}"]
        holds = {
            id_
            for id_, policy in of_role["Together"].items()
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
            if "glue:UpdateTable" in listed(statement["Action"])
            and any(re.search(rf"dataset_number_{number}$", flat(resource)) for resource in listed(statement["Resource"]))
        }
        assert holds
        assert holds <= set(listed(after["DependsOn"]))


def test_a_role_with_a_policy_of_its_own_keeps_it_and_gains_what_is_gathered(stack: Stack, synth: Synth) -> None:
    role = iam.Role(stack, "Role", assumed_by=service_principal("glue.amazonaws.com"), role_name="Role")
    role.add_to_principal_policy(iam.PolicyStatement(actions=["glue:GetJob"], resources=["arn:aws:glue:eu-west-1:111122223333:job/a"]))
    with gathered():
        allow(role, actions=["s3:GetObject"], resources=["arn:aws:s3:::bucket/key"])
    allowed = {(action, resource) for action, resource, _ in given_to(synth())}
    assert allowed == {("glue:GetJob", "arn:aws:glue:eu-west-1:111122223333:job/a"), ("s3:GetObject", "arn:aws:s3:::bucket/key")}


@pytest.mark.parametrize("more", [0, MANY])
def test_what_asks_after_all_is_gathered_waits_too(stack: Stack, synth: Synth, more: int) -> None:
    role = iam.Role(stack, "Role", assumed_by=service_principal("glue.amazonaws.com"), role_name="Role")
    with gathered():
        grant = allow(role, actions=["s3:GetObject"], resources=["arn:aws:s3:::bucket/key"])
        for number in range(more):
            allow(role, actions=["s3:GetObject"], resources=[f"arn:aws:s3:::bucket/{number}/{'k' * 100}"])
    grant.apply_before(CfnResource(stack, "After", type="Test::Thing"))
    resources = synth()
    assert {resources[id_]["Type"] for id_ in listed(resources["After"]["DependsOn"])} & {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}


def _id(resources: dict[str, dict[str, Any]], name: str) -> str:
    return next(
        id_ for id_, resource in resources.items() if resource["Type"] == "AWS::IAM::Role" and resource["Properties"]["RoleName"] == name
    )


def test_what_is_refused_one_by_one_is_refused_when_gathered(stack: Stack) -> None:
    role = iam.Role(stack, "Role", assumed_by=service_principal("glue.amazonaws.com"))
    with pytest.raises(InvalidProps, match="is a pattern"), gathered():
        allow(role, actions=["s3:GetObject"], resources=["arn:aws:s3:::bucket/*"])
    # Nothing goes on gathering after a fault.
    allow(role, actions=["s3:GetObject"], resources=["arn:aws:s3:::bucket/key"])
    assert role.node.try_find_child("DefaultPolicy") is not None
