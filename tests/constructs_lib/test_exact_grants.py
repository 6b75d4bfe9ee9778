"""What a grant gives: these actions on these resources, and nothing beside."""

from __future__ import annotations

import re

import pytest
from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from constructs_lib.catalog import AthenaWorkgroup, CatalogTable
from constructs_lib.permissions import service_principal
from constructs_lib.storage import LakeBuckets
from lakehouse.naming import DatasetName
from tests.constructs_lib.conftest import Synth, of_type
from tests.stacks.conftest import flat, listed

KEY = "key/11111111-2222-3333-4444-555555555555"


@pytest.fixture
def role(stack: Stack) -> iam.Role:
    return iam.Role(stack, "Role", assumed_by=service_principal("glue.amazonaws.com"))


def given(synth: Synth) -> dict[str, list[str]]:
    """Actions by resource, with the condition in its name."""
    (policy,) = of_type(synth(), "AWS::IAM::Policy")
    found: dict[str, set[str]] = {}
    for statement in policy["PolicyDocument"]["Statement"]:
        condition = f" if {statement['Condition']}" if "Condition" in statement else ""
        for resource in listed(statement["Resource"]):
            name = re.sub(r"-?<AWS::\w+>", "", flat(resource)).rpartition(":")[2] + condition
            found.setdefault(name, set()).update(listed(statement["Action"]))
    return {name: sorted(actions) for name, actions in found.items()}


def test_a_reader_of_a_folder_lists_and_reads_that_folder(lake: LakeBuckets, role: iam.Role, synth: Synth) -> None:
    lake.grants.read(role, "silver", prefix="tpch/orders/")
    lake.grants.list(role, "silver", prefix="tpch/orders/")
    assert given(synth) == {
        "lakehouse-test-silver/tpch/orders/*": ["s3:GetObject"],
        "lakehouse-test-silver if {'StringLike': {'s3:prefix': ['tpch/orders/*']}}": ["s3:ListBucket"],
        KEY: ["kms:Decrypt"],
    }


def test_a_writer_of_a_folder_puts_and_deletes_there_and_reads_nothing(lake: LakeBuckets, role: iam.Role, synth: Synth) -> None:
    lake.grants.put(role, "silver", prefix="tpch/orders/")
    lake.grants.delete(role, "silver", prefix="tpch/orders/")
    assert given(synth) == {
        "lakehouse-test-silver/tpch/orders/*": ["s3:DeleteObject", "s3:PutObject"],
        KEY: ["kms:Decrypt", "kms:GenerateDataKey"],
    }


def test_a_writer_of_a_table_commits_to_it_and_to_no_other(lake: LakeBuckets, role: iam.Role, synth: Synth) -> None:
    CatalogTable(dataset=DatasetName.parse("silver.tpch.orders"), lake=lake).grants.write(role)
    actions = given(synth)
    assert "glue:UpdateTable" in actions["table/silver_tpch/orders"]
    assert actions["lakehouse-test-silver/tpch/orders/*"] == ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    assert {name for name in actions if name.startswith("table/") or "/*" in name} == {
        "table/silver_tpch/orders",
        "lakehouse-test-silver/tpch/orders/*",
    }


def test_a_team_queries_by_its_own_workgroup_and_reads_its_own_results(
    stack: Stack, lake: LakeBuckets, role: iam.Role, synth: Synth
) -> None:
    own = AthenaWorkgroup(stack, "Own", name="sales", lake=lake)
    AthenaWorkgroup(stack, "Other", name="finance", lake=lake)
    own.grants.run_queries(role)
    # What Athena asks of the catalog on behalf of every query belongs to no team.
    assert {name: actions for name, actions in given(synth).items() if name != "catalog" and not name.startswith("database/")} == {
        "workgroup/sales": [
            "athena:GetQueryExecution",
            "athena:GetQueryResults",
            "athena:StartQueryExecution",
            "athena:StopQueryExecution",
        ],
        "lakehouse-test-query-results": ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
        "lakehouse-test-query-results/sales/*": [
            "s3:AbortMultipartUpload",
            "s3:GetObject",
            "s3:ListMultipartUploadParts",
            "s3:PutObject",
        ],
        KEY: ["kms:Decrypt", "kms:GenerateDataKey"],
    }
