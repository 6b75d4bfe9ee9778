"""A group of rows in a stack: one machine with a Map, one job that may read one database and write bronze of one domain."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.checks import InvalidProps
from lakehouse.environments.loading import load_environment
from lakehouse.pipelines.spec import PipelineSpec, Rows, Schedule
from stacks.platform import build
from stacks.project import Project
from stacks.synthesis import ROOT
from tests.stacks.conftest import Assembly, flat, listed
from tests.stacks.projects import empty_app, names

GROUP = PipelineSpec(
    name="erp_tables",
    owner="erp",
    description="",
    trigger=Schedule(expression="cron(30 2 * * ? *)", time_zone="UTC"),
    timeout_minutes=240,
    steps=(),
    rows=Rows(domain="erp", connection="shop", concurrency=5, timeout_minutes=30),
)
"""A group of a domain that has no contract at all."""


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    app = empty_app(tmp_path_factory.mktemp("group"))
    build(app, environment=load_environment(ROOT / "config", "prod"), project=Project(contracts={}, pipelines=[GROUP]))
    return Assembly("prod", Path(app.synth().directory))


def rights(assembly: Assembly, role: str) -> set[tuple[str, str]]:
    return {
        (action, flat(resource))
        for name, statement in assembly.statements()
        if role in name
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def machine(assembly: Assembly) -> dict[str, Any]:
    (found,) = assembly.properties("AWS::StepFunctions::StateMachine", "pipelines-erp")
    return json.loads(flat(found["DefinitionString"]))


def test_the_machine_runs_the_one_job_for_each_row(assembly: Assembly) -> None:
    states = machine(assembly)["States"]
    each = states["Step rows: each row"]
    assert each["MaxConcurrency"] == 5
    job = each["ItemProcessor"]["States"]["Step rows: job of a row"]
    assert job["Parameters"]["JobName"] == "lakehouse-prod-erp_tables-rows"
    assert states["AcquireLease"]["Parameters"]["Payload"]["tables"] == ["rows.erp_tables"]


def test_the_job_may_read_one_database_and_write_bronze_of_its_domain_alone(assembly: Assembly) -> None:
    may = rights(assembly, "erptablesRowsJobRole")
    secrets = {resource for action, resource in may if action == "secretsmanager:GetSecretValue"}
    assert len(secrets) == 1
    tables = {resource.rpartition(":")[2] for action, resource in may if action in {"glue:CreateTable", "glue:UpdateTable"}}
    assert tables == {"catalog", "database/bronze_erp", "table/bronze_erp/*"}
    written = {resource.partition(":::")[2] for action, resource in may if action in {"s3:PutObject", "s3:DeleteObject"}}
    events = {resource for resource in written if resource.endswith("/spark-events/lakehouse-prod-erp_tables-rows/*")}
    assert len(events) == 1
    assert all("-bronze-" in resource and resource.endswith("/erp/*") for resource in written - events), written
    assert {action for action, resource in may if resource.endswith("-control")} == {"dynamodb:GetItem"}


def test_rows_are_all_that_the_operator_may_write_into_the_control_table(assembly: Assembly) -> None:
    statements = [
        statement
        for name, statement in assembly.statements()
        if "OperatorRole" in name and any(flat(resource).endswith("-control") for resource in listed(statement["Resource"]))
    ]
    written = [statement for statement in statements if "dynamodb:PutItem" in listed(statement["Action"])]
    assert [statement["Condition"] for statement in written] == [
        {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["rows#erp_tables"]}}
    ]


def test_a_domain_of_rows_alone_has_a_database_and_nothing_that_makes_tables(assembly: Assembly) -> None:
    template = assembly.templates["catalog-erp"]
    assert [resource["Type"] for resource in template["Resources"].values()] == ["AWS::Glue::Database"]
    (database,) = assembly.properties("AWS::Glue::Database", "catalog-erp")
    assert database["DatabaseInput"]["Name"] == "bronze_erp"


def test_a_group_starts_by_the_clock_and_reaches_its_database(assembly: Assembly) -> None:
    assert names(assembly.templates["pipelines-erp"], "AWS::Scheduler::Schedule", "ScheduleExpression") == ["cron(30 2 * * ? *)"]
    (job,) = assembly.properties("AWS::Glue::Job", "pipelines-erp")
    assert job["Connections"] == {"Connections": ["lakehouse-prod-shop"]}
    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 6}
    assert job["Timeout"] == 30


def test_a_connection_that_the_environment_lacks_is_refused(tmp_path: Path) -> None:
    assert GROUP.rows is not None
    lost = replace(GROUP, rows=replace(GROUP.rows, connection="erp"))
    app = empty_app(tmp_path)
    with pytest.raises(InvalidProps, match="pipeline erp_tables reads the database connection 'erp', which prod does not have"):
        build(app, environment=load_environment(ROOT / "config", "prod"), project=Project(contracts={}, pipelines=[lost]))
