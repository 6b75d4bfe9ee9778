"""The warehouse of every environment, and the pipeline that loads it."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from typing import Any

import pytest

from constructs_lib.warehouse.roles import UNLOADED
from lakehouse.environments.loading import load_environment
from stacks.synthesis import ROOT
from tests.stacks.conftest import Assembly, flat, listed
from tests.stacks.projects import CHECKOUT

LOADING = [spec.name for spec in CHECKOUT.pipelines if spec.loads]


def machine_role(assembly: Assembly, pipeline: str) -> str:
    return f"lakehouse-{assembly.env}-{pipeline}-machine"


def test_every_environment_has_a_private_warehouse_of_the_size_that_its_config_says(assembly: Assembly) -> None:
    config = load_environment(ROOT / "config", assembly.env).warehouse
    (namespace,) = assembly.properties("AWS::RedshiftServerless::Namespace")
    (workgroup,) = assembly.properties("AWS::RedshiftServerless::Workgroup")
    assert namespace["ManageAdminPassword"] is True
    assert (workgroup["PubliclyAccessible"], workgroup["EnhancedVpcRouting"]) == (False, True)
    assert (workgroup["BaseCapacity"], workgroup["MaxCapacity"]) == (config.base_rpu, config.max_rpu)


@pytest.mark.parametrize("pipeline", LOADING)
def test_the_warehouse_knows_who_loads_it_whatever_becomes_of_the_role(assembly: Assembly, pipeline: str) -> None:
    roles = [flat(role["RoleName"]) for role in assembly.properties("AWS::IAM::Role") if "RoleName" in role]
    assert machine_role(assembly, pipeline) in roles
    writers = {
        writer for table in assembly.properties("Custom::WarehouseTable") for writer in json.loads(written_out(table["Writers"], assembly))
    }
    assert machine_role(assembly, pipeline) in writers


def written_out(value: Any, assembly: Assembly) -> str:
    """A text in which roles stand as references, by their names."""
    text = flat(value)
    for template in assembly.templates.values():
        for id_, resource in template["Resources"].items():
            if resource["Type"] == "AWS::IAM::Role" and "RoleName" in resource["Properties"]:
                text = text.replace(f"<{id_}>", flat(resource["Properties"]["RoleName"]))
    return text


@pytest.mark.parametrize("pipeline", LOADING)
def test_a_load_may_write_its_own_folder_and_no_table_of_the_lake(prod: Assembly, pipeline: str) -> None:
    prefix = f"{pipeline.replace('_', '')}MachineRole"
    written = {
        flat(resource).split("prod-")[-1]
        for name, statement in prod.statements()
        if name.split("/")[1].startswith(prefix) and "s3:PutObject" in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }
    assert written
    assert all(resource.startswith("query-results-<AWS::AccountId>-<AWS::Region>/") for resource in written)


@pytest.mark.parametrize("pipeline", LOADING)
def test_nobody_else_writes_where_a_load_reads(prod: Assembly, pipeline: str) -> None:
    """COPY reads the whole folder of an attempt, without a manifest."""
    (load,) = next(spec.loads for spec in CHECKOUT.pipelines if spec.name == pipeline)
    file = f"{UNLOADED}gold_{load.reads.domain}/{load.reads.dataset}/01900000-0000-7000-8000-000000000000/1/part"
    writers = {
        name.split("/")[1]
        for name, statement in prod.statements()
        if {"s3:PutObject", "s3:*", "*"} & set(listed(statement["Action"]))
        for resource in listed(statement["Resource"])
        if fnmatch(file, flat(resource).partition("query-results-<AWS::AccountId>-<AWS::Region>/")[2])
    }
    assert [writer.startswith(f"{pipeline.replace('_', '')}MachineRole") for writer in writers] == [True]


def test_what_a_load_unloads_goes_by_itself(assembly: Assembly) -> None:
    (results,) = [bucket for bucket in assembly.properties("AWS::S3::Bucket") if "-query-results-" in flat(bucket["BucketName"])]
    days = load_environment(ROOT / "config", assembly.env).lifecycle.query_results_expire_days
    expiring = [rule for rule in results["LifecycleConfiguration"]["Rules"] if rule.get("ExpirationInDays") == days]
    assert len(expiring) == 1
    assert not {"Prefix", "Filter", "TagFilters"} & set(expiring[0])  # the whole bucket, so the folder of loads too
    text = " ".join(flat(machine["DefinitionString"]) for machine in assembly.properties("AWS::StepFunctions::StateMachine"))
    assert f"s3://lakehouse-{assembly.env}-query-results-<AWS::AccountId>-<AWS::Region>/{UNLOADED}" in text


def test_no_bucket_refuses_the_signatures_of_a_long_copy(assembly: Assembly) -> None:
    assert all("signatureAge" not in json.dumps(policy) for policy in assembly.properties("AWS::S3::BucketPolicy"))


def test_nobody_loads_before_the_table_is_there(assembly: Assembly) -> None:
    machines = assembly.resources("AWS::StepFunctions::StateMachine", "pipelines")
    for place in assembly.resources("Custom::WarehouseTable"):
        tier, table = place.split("/")
        waiting = [id_ for id_, machine in machines.items() if id_.startswith(tier) and table in listed(machine.get("DependsOn", []))]
        assert len(waiting) == 1
