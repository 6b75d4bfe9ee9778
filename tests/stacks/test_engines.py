"""One word moves a pipeline to another engine: what it is told and may do stays the same."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.checks import InvalidProps
from lakehouse.environments.loading import load_environment
from lakehouse.networks import NEEDED_BY
from lakehouse.pipelines.spec import Engine
from stacks.platform import build
from stacks.synthesis import ROOT
from tests.stacks.conftest import Assembly, flat, listed
from tests.stacks.projects import CHECKOUT, empty_app

WORD = re.compile(r"(States\.Format\('[^']*', \$\.[a-z.]+\)|\$\.\w+)|'((?:[^'\\]|\\.)*)'")
"""An argument of States.Array: a path or a call, or a text."""

OF_THE_ENGINE = ("cloudwatch:", "logs:")
"""What a role may do because of what it runs on: Glue writes metrics, EMR Serverless looks for its log streams; a cluster's machines write the logs of its steps."""


def on_engine(engine: Engine, folder: Path) -> Assembly:
    """Production with one pipeline on another engine, and everything within reach that clusters need."""
    pipelines = [
        replace(spec, steps=tuple(replace(step, engine=engine) for step in spec.steps)) if spec.name == "orders" else spec
        for spec in CHECKOUT.pipelines
    ]
    app = empty_app(folder)
    prod = load_environment(ROOT / "config", "prod")
    if engine == "emr":
        endpoints = sorted({*prod.network.interface_endpoints, *NEEDED_BY["emr"]})
        prod = prod.model_copy(update={"network": prod.network.model_copy(update={"interface_endpoints": tuple(endpoints)})})
    build(app, environment=prod, project=replace(CHECKOUT, pipelines=pipelines))
    return Assembly("prod", Path(app.synth().directory))


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Production with one pipeline on EMR Serverless."""
    return on_engine("emr-serverless", tmp_path_factory.mktemp("moved"))


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Production with one pipeline on clusters of EMR on EC2."""
    return on_engine("emr", tmp_path_factory.mktemp("clustered"))


def machine(assembly: Assembly) -> dict[str, Any]:
    return next(
        json.loads(flat(properties["DefinitionString"]))
        for properties in assembly.properties("AWS::StepFunctions::StateMachine")
        if flat(properties["StateMachineName"]) == "lakehouse-prod-orders"
    )


def told(assembly: Assembly, step: str) -> dict[str, str]:
    """Arguments of a step's job by name, run arguments as the machine writes them."""
    parameters = machine(assembly)["States"][f"Step {step}"]["Parameters"]
    if "Step" in parameters:
        text = parameters["Step"]["HadoopJarStep"]["Args.$"]
        after = text[re.search(r"\.py', ", text).end() :].removesuffix(")")  # type: ignore[union-attr]
        words = [quoted or path for path, quoted in WORD.findall(after)]
        return dict(zip(words[::2], words[1::2], strict=True))
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
    for tier in ("foundation", "catalog-tpch"):
        assert prod.templates[tier] == moved.templates[tier]
    # The operator may see what runs on EMR Serverless cost, and nothing else is new.
    before, after = (
        {name: made for name, made in found.templates["operations"]["Resources"].items() if not name.startswith("OperatorRole")}
        for found in (prod, moved)
    )
    assert before == after


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


@pytest.mark.parametrize("step", ["ingest", "refine"])
def test_a_job_is_told_the_same_on_a_cluster_but_for_where_its_log_lies(prod: Assembly, clustered: Assembly, step: str) -> None:
    on_glue, on_emr = told(prod, step), told(clustered, step)
    assert on_emr.pop("--engine") == "emr"
    assert on_emr.pop("--log_stream") == "States.Format('{}/containers/JOB_RUN_ID', $.cluster.id)"
    assert on_emr.pop("--log_group").endswith("/emr/orders")
    assert on_glue.pop("--engine") == "glue"
    on_glue.pop("--log_group", None)
    assert on_emr == on_glue


@pytest.mark.parametrize("step", ["ingest", "refine"])
def test_a_job_may_do_the_same_on_a_cluster(prod: Assembly, clustered: Assembly, step: str) -> None:
    role = f"orders{step}JobRole"
    # A cluster brings what Spark's UI shows to the folder of its own logs.
    on_glue, on_cluster = (
        {(action, resource) for action, resource in rights(found, role) if "/spark-events/" not in resource} for found in (prod, clustered)
    )
    assert on_glue == on_cluster


def test_without_such_a_pipeline_nothing_of_clusters_is_there(assembly: Assembly, clustered: Assembly) -> None:
    assert not assembly.resources("AWS::EMR::SecurityConfiguration")
    assert not assembly.resources("AWS::IAM::InstanceProfile")
    assert not any(flat(function["FunctionName"]).endswith("cluster-ender") for function in assembly.properties("AWS::Lambda::Function"))
    assert len(clustered.resources("AWS::EMR::SecurityConfiguration")) == len(clustered.resources("AWS::IAM::InstanceProfile")) == 1
    assert not clustered.resources("AWS::EMR::Cluster")


def test_one_word_puts_a_pipeline_on_a_cluster_of_its_run(clustered: Assembly) -> None:
    states = machine(clustered)["States"]
    assert states["IsLeaseTaken"]["Choices"][0]["Next"] == "Cluster"
    request = states["Cluster"]["Parameters"]
    assert request["ReleaseLabel"] == "emr-spark-8.0.0"
    assert request["Name.$"] == "States.Format('lakehouse-prod-orders-{}', $.run_id)"
    assert len(request["Instances"]["Ec2SubnetIds"]) == 3
    assert {tag["Key"] for tag in request["Tags"]} >= {"cost-center", "environment", "machine", "owner", "pipeline", "project", "run_id"}
    roles = {state["Parameters"]["Step"]["Name"]: state["Parameters"]["ExecutionRoleArn"] for state in states.values() if "addStep" in state.get("Resource", "")}  # fmt: skip
    assert len(set(roles.values())) == len(roles) == 2


def test_what_fails_on_a_cluster_is_recorded_and_told_after_its_end(clustered: Assembly) -> None:
    states = machine(clustered)["States"]
    for name, state in states.items():
        if "addStep" not in state.get("Resource", ""):
            continue
        seen, here = [], state["Catch"][-1]["Next"]
        while states[here]["Type"] != "Fail":
            seen.append(here)
            here = states[here].get("Default") or states[here]["Next"]
        assert seen[-5:] == [
            "Cluster: lift protection after failure", "Cluster: terminate after failure", "Cluster: end after failure", "RecordFailure",
            "NotifyFailure",
        ], name  # fmt: skip


def test_a_cluster_that_ended_by_itself_keeps_no_run_waiting(clustered: Assembly) -> None:
    closing = [state for name, state in machine(clustered)["States"].items() if name.startswith(("Cluster: lift", "Cluster: terminate"))]
    assert len(closing) == 4
    for state in closing:
        (rule,) = state["Retry"]
        assert sum(rule["IntervalSeconds"] * rule["BackoffRate"] ** attempt for attempt in range(rule["MaxAttempts"])) < 20


def test_the_backstop_ends_clusters_of_runs_that_ended_badly(clustered: Assembly) -> None:
    (rule,) = [rule for rule in clustered.properties("AWS::Events::Rule") if flat(rule["Name"]).endswith("run-backstop")]
    assert any(flat(target["Arn"]).endswith("cluster-ender") for target in rule["Targets"])
    assert set(rule["EventPattern"]["detail"]["status"]) == {"ABORTED", "FAILED", "TIMED_OUT"}


def test_clusters_are_made_after_their_network(clustered: Assembly) -> None:
    manifest = json.loads((clustered.folder / "manifest.json").read_text())
    assert "network" in manifest["artifacts"]["compute"]["dependencies"]
    assert "compute" in manifest["artifacts"]["pipelines-tpch"]["dependencies"]


def test_the_definition_of_such_a_machine_is_one_that_step_functions_takes(clustered: Assembly) -> None:
    (text,) = [
        flat(properties["DefinitionString"])
        for properties in clustered.properties("AWS::StepFunctions::StateMachine")
        if flat(properties["StateMachineName"]) == "lakehouse-prod-orders"
    ]
    assert len(text) < 1_000_000
    for state in json.loads(text)["States"].values():
        for words in (state.get("Parameters", {}).get("Step", {}).get("HadoopJarStep", {}).get("Args.$", ""),):
            assert len(words) < 10_000  # EMR's limit of all words of a step is 10,280


def test_a_network_in_which_clusters_cannot_reach_emr_is_refused(tmp_path: Path) -> None:
    pipelines = [replace(spec, steps=tuple(replace(step, engine="emr") for step in spec.steps)) for spec in CHECKOUT.pipelines]
    with pytest.raises(InvalidProps, match="could not reach ec2, elasticmapreduce, ssm"):
        build(
            empty_app(tmp_path),
            environment=load_environment(ROOT / "config", "prod"),
            project=replace(CHECKOUT, pipelines=[spec for spec in pipelines if not spec.loads and spec.name in {"orders", "customer"}]),
        )


def test_what_clusters_need_on_everything_is_what_knows_no_resource(clustered: Assembly) -> None:
    found = {
        action
        for _, statement in clustered.statements()
        if "*" in listed(statement["Resource"])
        for action in listed(statement["Action"])
        if action.startswith("elasticmapreduce:")
    }
    assert found == {"elasticmapreduce:ListClusters", "elasticmapreduce:RunJobFlow"}
    wild = [action for _, statement in clustered.statements() for action in listed(statement["Action"]) if "*" in action]
    assert not wild
