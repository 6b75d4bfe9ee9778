"""Roles may do what they need and no more: whatever is taken away is missed, by name; whatever is granted was used or has a reason."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from cli.results import Run
from local import permissions
from tests.e2e.conftest import Checkout
from tests.e2e.rows import csv
from tests.e2e.shapes import assert_described
from tests.e2e.shop import Story

GUIDE_S_DOMAIN = "weather"
"""Domain of docs/first-dataset.md, which another scenario deploys."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PIPELINE = "customer"


def test_jobs_miss_what_is_taken_from_their_roles(checkout: Checkout, clean: list[Run]) -> None:
    taken = {"customer": "s3:PutObject", "orders": "glue:UpdateTable", "lineitem": "dynamodb:PutItem"}
    jobs = {pipeline: checkout.client("glue").get_job(JobName=checkout.names.job(pipeline, "ingest"))["Job"] for pipeline in taken}
    roles = {pipeline: _name(job["Role"]) for pipeline, job in jobs.items()}
    _require_denials(checkout, taken, roles)


def test_state_machines_miss_what_is_taken_from_their_roles(checkout: Checkout, clean: list[Run]) -> None:
    taken = {"customer": "glue:StartJobRun", "orders": "glue:GetJobRun"}
    _require_denials(checkout, taken, {pipeline: _machine_role(checkout, pipeline) for pipeline in taken})


def test_a_state_machine_that_may_not_call_the_recorder_says_so(checkout: Checkout, clean: list[Run]) -> None:
    states, role = checkout.client("stepfunctions"), _machine_role(checkout, PIPELINE)
    request = {"pipeline": "nobody", "run_id": "none", "attempt": 1, "trigger": "manual", "manifest": None, "batch_id": None, "files": 0}

    def history() -> str:
        return str(states.get_execution_history(executionArn=execution, maxResults=1000)["events"])

    with _without(checkout, role, "lambda:InvokeFunction"):
        execution = states.start_execution(stateMachineArn=_machine(checkout, PIPELINE), input=json.dumps(request))["executionArn"]
        _eventually(lambda: "lambda:InvokeFunction" in history())
        states.stop_execution(executionArn=execution)  # it would try again for minutes: a lost right may come back
    assert role in history()


@pytest.mark.parametrize("action", ["cloudwatch:PutMetricData", "dynamodb:PutItem", "dynamodb:UpdateItem"])
def test_a_function_misses_what_is_taken_from_its_role(checkout: Checkout, clean: list[Run], action: str) -> None:
    function = checkout.client("lambda").get_function(FunctionName=checkout.names.function("run-recorder"))["Configuration"]
    role = _name(function["Role"])
    finished = clean[0]
    started: dict[str, Any] = {
        "action": "start",
        "pipeline": "nobody",
        "run_id": "01a00000-0000-7000-8000-000000000000",
        "trigger": "manual",
        "manifest": None,
        "batch_id": None,
        "attempt": 1,
        "files": 0,
        "execution_arn": "arn:aws:states:us-east-1:000000000000:execution:none:none",
        "started_at": "2026-01-01T00:00:00.000Z",
    }
    failed = {
        "action": "fail",
        "pipeline": finished.pipeline,
        "run_id": finished.run_id,
        "step": "ingest",
        "failure": {"Error": "E", "Cause": "c"},
    }
    request = failed if action == "dynamodb:UpdateItem" else started
    with _without(checkout, role, action):
        answer = checkout.client("lambda").invoke(FunctionName=function["FunctionName"], Payload=json.dumps(request))
        said = answer["Payload"].read().decode()
    # A run of nobody's would be waited for by everybody else.
    checkout.client("dynamodb").delete_item(
        TableName=checkout.names.run_table("audit"), Key={"pipeline": {"S": "nobody"}, "sk": {"S": f"{started['run_id']}#run"}}
    )
    assert "FunctionError" in answer, said
    assert action in said
    assert role in said


@pytest.mark.parametrize("action", ["athena:StartQueryExecution", "glue:GetTable", "s3:GetObject"])
def test_the_athena_caller_misses_what_is_taken_from_its_role(checkout: Checkout, clean: list[Run], action: str) -> None:
    query = ("sql", "SELECT count(*) AS n FROM silver_tpch.customer")
    checkout.lake(*query)
    with _without(checkout, checkout.names.operator_role, action):
        refused = checkout.lake(*query, code=1)
    assert action in refused.err
    assert checkout.names.operator_role in refused.err
    checkout.lake(*query)


def test_a_stopped_run_stops_its_job_and_says_by_whom(checkout: Checkout, clean: list[Run]) -> None:
    known = checkout.runs()
    _drop(checkout, PIPELINE)
    job = checkout.names.job(PIPELINE, "ingest")
    glue = checkout.client("glue")
    running = _eventually(
        lambda: [run for run in glue.get_job_runs(JobName=job)["JobRuns"] if run["JobRunState"] in {"STARTING", "RUNNING"}]
    )[0]
    (begun,) = checkout.new_runs(known, PIPELINE)
    answer = checkout.lake("stop", begun.run_id, "--json")
    assert_described("stop", answer.out)
    stopped = answer.json
    assert (stopped["run"]["run_id"], stopped["run"]["status"], stopped["run"]["reason"]) == (begun.run_id, "FAILED", "aborted")
    assert f"assumed-role/{checkout.names.operator_role}/lake-" in stopped["run"]["message"]
    _eventually(lambda: glue.get_job_run(JobName=job, RunId=running["Id"])["JobRun"]["JobRunState"] == "STOPPED")
    refused = checkout.lake("stop", begun.run_id, code=2)
    assert f"run {begun.run_id} of {PIPELINE} is over, nothing is left to stop: it ended FAILED" in refused.err
    assert begun.run_id in checkout.wait(code=1).err
    (listed,) = checkout.new_runs(known, PIPELINE)
    assert (listed.run_id, listed.status, listed.reason) == (begun.run_id, "FAILED", "aborted")


def test_what_is_granted_was_used_or_has_a_reason(checkout: Checkout, clean: list[Run], dirty: list[Run], shop: Story) -> None:
    prefix = checkout.names.prefix
    # The guide's dataset goes through once, on the good path, by the same constructs as the others.
    grants = {grant for grant in permissions.granted(checkout.client("iam"), prefix) if f"-{GUIDE_S_DOMAIN}-" not in grant.role}
    with (checkout.root / ".lake" / "calls.jsonl").open() as lines:
        uses = permissions.used(lines)
    exempt = permissions.exemptions()
    assert permissions.unused(grants, uses, exempt, prefix) == ()


def _require_denials(checkout: Checkout, taken: Mapping[str, str], roles: Mapping[str, str]) -> None:
    """The run of a new file of each pipeline fails and names the action that was taken from the role."""
    known = checkout.runs()
    with ExitStack() as rights:
        for pipeline, action in taken.items():
            rights.enter_context(_without(checkout, roles[pipeline], action))
        for pipeline in taken:
            _drop(checkout, pipeline)
        checkout.wait(code=1)
    for pipeline, action in taken.items():
        (run,) = checkout.new_runs(known, pipeline)
        assert (run.status, run.reason) == ("FAILED", "access_denied")
        assert action in run.message
        assert roles[pipeline] in run.message


@contextmanager
def _without(checkout: Checkout, role: str, action: str) -> Iterator[None]:
    """Take an action from a role, whose policies are inline, or attached where they got too long for that."""
    iam = checkout.client("iam")
    inline: dict[str, Any] = {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    }
    attached: dict[str, tuple[str, Any]] = {}
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)["PolicyVersion"]
        attached[policy["PolicyArn"]] = (version, found["Document"])
    documents = [*inline.values(), *(document for _, document in attached.values())]
    assert any(action in permissions.allowed(document) for document in documents), f"{role} never had {action}"
    for name, document in inline.items():
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(_lacking(document, action)))
    made = {
        arn: iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(_lacking(document, action)), SetAsDefault=True)[
            "PolicyVersion"
        ]["VersionId"]
        for arn, (_, document) in attached.items()
    }
    try:
        yield
    finally:
        for name, document in inline.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
        for arn, (version, document) in attached.items():
            iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(document), SetAsDefault=True)
            for former in (version, made[arn]):
                iam.delete_policy_version(PolicyArn=arn, VersionId=former)


def _lacking(document: Any, action: str) -> Any:
    def left(statement: Any) -> Any:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        return {**statement, "Action": [other for other in actions if other != action] or ["none:Nothing"]}

    return {**document, "Statement": [left(statement) for statement in document["Statement"]]}


def _drop(checkout: Checkout, pipeline: str) -> None:
    """A file that nobody has dropped before; that of line items holds other columns, but its job is denied before it looks."""
    content = csv("customer" if pipeline == "lineitem" else pipeline, [7_000_000 + time.time_ns() // 10**6 % 1_000_000])
    checkout.drop(f"tpch.{pipeline}", [checkout.write(f"denied/{pipeline}.csv", content)], day="1998-08-05")


def _machine(checkout: Checkout, pipeline: str) -> str:
    return f"arn:aws:states:us-east-1:000000000000:stateMachine:{checkout.names.state_machine(pipeline)}"


def _machine_role(checkout: Checkout, pipeline: str) -> str:
    return _name(checkout.client("stepfunctions").describe_state_machine(stateMachineArn=_machine(checkout, pipeline))["roleArn"])


def _eventually(look: Any, seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.3)
    return found


def _name(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]
