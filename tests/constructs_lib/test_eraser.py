"""The eraser: its role alone deletes versions, in its domain alone; who asks it deletes nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from constructs_lib.catalog import Eraser
from constructs_lib.checks import InvalidProps
from constructs_lib.orchestration import RunTableNames
from constructs_lib.permissions import account_principal
from constructs_lib.storage import LakeBuckets
from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.naming import Names
from stacks.synthesis import ROOT
from tests.constructs_lib.conftest import Synth, of_type
from tests.stacks.conftest import flat, listed

DELETE = "s3:DeleteObjectVersion"


@pytest.fixture
def eraser(stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey) -> Eraser:
    contracts = compile_contracts(ROOT / "contracts")
    return Eraser(
        stack,
        "Eraser",
        names=names,
        domain="tpch",
        contracts={name: contracts[name] for name in ("tpch.customer", "tpch.orders")},
        ingests=["customer", "orders"],
        lake=lake,
        tables=RunTableNames.from_names(names, key_arn=lake.key_arn),
        data_key=key,
        log_key=key,
        timeout_minutes=30,
    )


def statements(synth: Synth) -> list[dict[str, Any]]:
    policies = of_type(synth(), "AWS::IAM::Policy")
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def where(found: list[dict[str, Any]], action: str) -> set[str]:
    """Resources of an action, without account and region."""
    return {
        re.sub(r"-?<AWS::\w+>", "", flat(resource)).rpartition(":")[2].removeprefix("lakehouse-test-")
        for statement in found
        if action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def test_an_erasure_leaves_no_plan_that_shows_the_key(eraser: Eraser, synth: Synth) -> None:
    """Event logs hold plans, plans hold literals, and what an erasure looks for is one."""
    (job,) = of_type(synth(), "AWS::Glue::Job")
    assert not {"--enable-spark-ui", "--spark-event-logs-path"} & job["DefaultArguments"].keys()


def test_versions_are_deleted_in_the_domain_s_folders_and_nowhere_else(eraser: Eraser, synth: Synth) -> None:
    found = statements(synth)
    folders = {"raw/tpch/*", "bronze/tpch/*", "silver/tpch/*", "quarantine/tpch/*"}
    scratch = {"logs/staging/customer/*", "logs/staging/orders/*", "logs/erasures/requests/tpch/*"}
    assert where(found, DELETE) == folders | scratch
    assert where(found, "glue:UpdateTable") == {"catalog"} | {
        name for zone in ("bronze", "silver", "quarantine") for name in (f"database/{zone}_tpch", f"table/{zone}_tpch/*")
    }


def test_raw_files_are_deleted_by_version_and_neither_read_nor_written(eraser: Eraser, synth: Synth) -> None:
    found = statements(synth)
    for action in ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"):
        assert not {resource for resource in where(found, action) if resource.startswith("raw/")}, action


def test_a_domain_that_databases_bring_has_no_raw_files_to_delete(
    stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey, synth: Synth
) -> None:
    contracts = compile_contracts(ROOT / "contracts")
    Eraser(
        stack,
        "Eraser",
        names=names,
        domain="shop",
        contracts={"shop.customers": contracts["shop.customers"]},
        ingests=[],
        lake=lake,
        tables=RunTableNames.from_names(names, key_arn=lake.key_arn),
        data_key=key,
        log_key=key,
    )
    assert where(statements(synth), DELETE) == {
        "bronze/shop/*", "silver/shop/*", "quarantine/shop/*", "logs/erasures/requests/shop/*",
    }  # fmt: skip


def test_who_may_ask_deletes_nothing_and_cannot_read_what_others_asked(eraser: Eraser, stack: Stack, synth: Synth) -> None:
    role = iam.Role(stack, "Asking", assumed_by=account_principal())
    eraser.grants.ask(role)
    policies = {
        name: resource for name, resource in synth().items() if resource["Type"] == "AWS::IAM::Policy" and name.startswith("Asking")
    }
    (policy,) = policies.values()
    found: list[dict[str, Any]] = policy["Properties"]["PolicyDocument"]["Statement"]
    assert where(found, "s3:PutObject") == {"logs/erasures/requests/tpch/*"}
    assert where(found, "s3:GetObject") == {"logs/erasures/reports/tpch/*"}
    assert where(found, "glue:StartJobRun") == {"job/lakehouse-test-erase-tpch"}
    assert not {action for statement in found for action in listed(statement["Action"]) if "Delete" in action}


def test_the_key_is_no_argument_of_the_job(eraser: Eraser, synth: Synth) -> None:
    (job,) = of_type(synth(), "AWS::Glue::Job")
    arguments = job["DefaultArguments"]
    assert "--request" not in arguments
    assert {name: arguments[name] for name in ("--audit_table", "--control_table", "--seconds", "--env")} == {
        "--audit_table": "lakehouse-test-audit", "--control_table": "lakehouse-test-control", "--seconds": "1800", "--env": "test",
    }  # fmt: skip
    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
    assert job["Name"] == "lakehouse-test-erase-tpch"


def test_a_contract_of_another_domain_is_refused(stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey) -> None:
    contracts = compile_contracts(ROOT / "contracts")
    with pytest.raises(InvalidProps, match=r"contracts are to be of the domain sales, got tpch\.orders"):
        Eraser(
            stack,
            "Eraser",
            names=names,
            domain="sales",
            contracts={"tpch.orders": contracts["tpch.orders"]},
            ingests=[],
            lake=lake,
            tables=RunTableNames.from_names(names, key_arn=lake.key_arn),
            data_key=key,
            log_key=key,
        )
