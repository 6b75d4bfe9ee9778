"""One word moves a pipeline to another engine: what it is told and may do stays the same."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lakehouse.environments import load_environment
from stacks.platform import build
from stacks.synthesis import ROOT
from tests.stacks.conftest import Assembly, flat, listed
from tests.stacks.projects import CHECKOUT, empty_app

WORD = re.compile(r"(States\.Format\('{}', \$\.attempt\)|\$\.\w+)|'((?:[^'\\]|\\.)*)'")
"""An argument of States.Array: a path or a call, or a text."""

OF_THE_ENGINE = ("cloudwatch:", "logs:")
"""What a role may do because of what it runs on: Glue writes metrics, EMR Serverless looks for its log streams."""


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Production with one pipeline on EMR Serverless."""
    pipelines = [
        replace(spec, steps=tuple(replace(step, engine="emr-serverless") for step in spec.steps)) if spec.name == "orders" else spec
        for spec in CHECKOUT.pipelines
    ]
    app = empty_app(tmp_path_factory.mktemp("moved"))
    project = replace(CHECKOUT, pipelines=pipelines)
    build(app, environment=load_environment(ROOT / "config", "prod"), project=project)
    return Assembly("prod", Path(app.synth().directory))


def machine(assembly: Assembly) -> dict[str, Any]:
    return next(
        json.loads(flat(properties["DefinitionString"]))
        for properties in assembly.properties("AWS::StepFunctions::StateMachine")
        if flat(properties["StateMachineName"]) == "lakehouse-prod-orders"
    )


def told(assembly: Assembly, step: str) -> dict[str, str]:
    """Arguments of a step's job by name, run arguments as the machine writes them."""
    parameters = machine(assembly)["States"][f"Step {step}"]["Parameters"]
    if "JobDriver" in parameters:
        text = parameters["JobDriver"]["SparkSubmit"]["EntryPointArguments.$"].removeprefix("States.Array(").removesuffix(")")
        words = [quoted or path for path, quoted in WORD.findall(text)]
        return dict(zip(words[::2], words[1::2], strict=True))
    job = next(job for job in assembly.properties("AWS::Glue::Job") if job["Name"] == parameters["JobName"])
    given = {name.removesuffix(".$"): value for name, value in parameters["Arguments"].items()}
    own = {name: flat(value) for name, value in job["DefaultArguments"].items() if (name.startswith("--") and "_" in name) or name in OWN}
    return {**own, **given}


OWN = ("--contracts", "--engine", "--env", "--pipeline", "--project", "--reads", "--step", "--transform", "--writes")


def rights(assembly: Assembly, role: str) -> set[tuple[str, str]]:
    return {
        (action, re.sub(r"[0-9a-f]{64}", "HASH", flat(resource)))
        for name, statement in assembly.statements()
        if role in name
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if not action.startswith(OF_THE_ENGINE)
    }


@pytest.mark.parametrize("step", ["ingest", "refine"])
def test_a_job_is_told_the_same_on_both_engines(prod: Assembly, moved: Assembly, step: str) -> None:
    on_glue, on_emr = told(prod, step), told(moved, step)
    assert on_emr.pop("--engine") == "emr-serverless"
    assert on_emr.pop("--log_stream").endswith("/jobs/JOB_RUN_ID/SPARK_DRIVER/stdout")
    assert on_glue.pop("--engine") == "glue"
    assert on_emr == on_glue


@pytest.mark.parametrize("step", ["ingest", "refine"])
def test_a_job_may_do_the_same_on_both_engines(prod: Assembly, moved: Assembly, step: str) -> None:
    role = f"orders{step}JobRole"
    assert rights(prod, role) == rights(moved, role)


def test_nothing_but_the_pipeline_moves(prod: Assembly, moved: Assembly) -> None:
    assert {job["Name"] for job in prod.properties("AWS::Glue::Job")} - {job["Name"] for job in moved.properties("AWS::Glue::Job")} == {
        "lakehouse-prod-orders-ingest",
        "lakehouse-prod-orders-refine",
    }
    for tier in ("foundation", "operations", "catalog-tpch"):
        assert prod.templates[tier] == moved.templates[tier]


def test_the_machine_of_a_moved_pipeline_keeps_every_rule_of_the_others(moved: Assembly) -> None:
    document = machine(moved)
    jobs = [state for state in document["States"].values() if "emr-serverless:startJobRun.sync" in state.get("Resource", "")]
    assert len(jobs) == 4
    for state in jobs:
        assert state["TimeoutSeconds"] > state["Parameters"]["ExecutionTimeoutMinutes"] * 60
        assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]
        assert all(not error.startswith("States.") for retry in state["Retry"] for error in retry["ErrorEquals"])
    assert len({state["Parameters"]["ClientToken.$"] for state in jobs}) == 4


def test_the_application_is_found_in_parameter_store_after_it_was_made(moved: Assembly) -> None:
    (application,) = moved.properties("AWS::EMRServerless::Application")
    assert application["MaximumCapacity"] == {"Cpu": "200 vCPU", "Memory": "1000 GB", "Disk": "1000 GB"}
    (parameter,) = moved.properties("AWS::SSM::Parameter", "compute")
    assert parameter["Name"] == "/lakehouse/prod/compute/emr-serverless-application-id"
    wanted = {
        parameter["Default"]
        for parameter in moved.templates["pipelines-tpch"]["Parameters"].values()
        if parameter["Type"].startswith("AWS::SSM")
    }
    assert "/lakehouse/prod/compute/emr-serverless-application-id" in wanted
    manifest = json.loads((moved.folder / "manifest.json").read_text())
    assert "compute" in manifest["artifacts"]["pipelines-tpch"]["dependencies"]
