"""Repeating a run: the machine gets an input with which it can do what it did."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import cli.repeat
from cli.errors import WrongUseError
from cli.main import run
from cli.repeat import app, start
from cli.runs import show
from cli.session import ROOT
from constructs_lib.orchestration.definition import definition
from constructs_lib.orchestration.steps import GlueStep, MachineFunctions
from lakehouse.claims import Launch
from lakehouse.run_ids import new_run_id
from lambdas.arrival_starter.launcher import execution_input
from tests.cli.conftest import ACCOUNT, REGION, Shop

PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")


def _ended(shop: Shop, *, status: Any = "FAILED", **more: Any) -> str:
    run_id = new_run_id()
    execution = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{shop.names.state_machine('orders')}:abc-1"
    given: dict[str, Any] = {
        "manifest": "s3://logs/manifests/tpch/orders/b.json",
        "batch_id": "b",
        "files": 3,
        "attempt": 2,
        "execution_arn": execution,
    }
    shop.audit.start_run(pipeline="orders", run_id=run_id, trigger="arrival", **(given | more))
    if status != "RUNNING":
        shop.audit.end_run(pipeline="orders", run_id=run_id, status=status)
    return run_id


def _inputs(shop: Shop) -> list[dict[str, Any]]:
    states = shop.client("stepfunctions")
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{shop.names.state_machine('orders')}"
    executions = states.list_executions(stateMachineArn=machine)["executions"]
    return [json.loads(states.describe_execution(executionArn=execution["executionArn"])["input"]) for execution in executions]


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "SUCCEEDED"])
def test_a_run_is_repeated_over_the_same_files(shop: Shop, status: str) -> None:
    run_id = start(shop.session, show(shop.session, run=_ended(shop, status=status)))
    assert _inputs(shop) == [
        {
            "pipeline": "orders",
            "run_id": run_id,
            "trigger": "manual",
            "attempt": 3,
            "manifest": "s3://logs/manifests/tpch/orders/b.json",
            "batch_id": "b",
            "files": 3,
        }
    ]


def test_a_run_whose_end_was_not_recorded_can_be_repeated_and_one_that_runs_cannot(shop: Shop) -> None:
    start(shop.session, show(shop.session, run=_ended(shop, status="RUNNING", started_at="2026-01-01T00:00:00.000Z")))
    with pytest.raises(WrongUseError, match="still RUNNING"):
        start(shop.session, show(shop.session, run=_ended(shop, status="RUNNING", seconds=3600)))
    assert len(_inputs(shop)) == 1


def test_a_file_that_was_skipped_cannot_be_repeated(shop: Shop) -> None:
    run_id = new_run_id()
    shop.audit.skip_run(pipeline="orders", run_id=run_id, reason="empty_file", message="no bytes", source="k", source_version="v")
    with pytest.raises(WrongUseError, match="nothing to repeat"):
        start(shop.session, show(shop.session, run=run_id))


def test_the_command_of_the_page_works(shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli.repeat, "open_session", lambda env: shop.session)
    assert "python -m cli.repeat RUN --env prod" in PAGE
    former = _ended(shop)
    assert run([former, "--env", "prod"], application=app) == 0
    assert _inputs(shop)[0]["run_id"] in capsys.readouterr().out
    assert run(["nope", "--env", "prod"], application=app) == 2


def test_the_page_names_every_key_that_a_machine_reads_and_its_example_has_them(shop: Shop) -> None:
    functions = MachineFunctions(partition="aws", recorder="arn:recorder", notifier="arn:notifier")
    step = GlueStep(name="ingest", job_name="job", timeout_minutes=1)
    machine = definition(functions=functions, pipeline="orders", steps=[step], tables=[], timeout_minutes=60, has_manifest=True)
    made_on_the_way = {"Payload", "failure", "lease", "result", "step"}
    read = set(re.findall(r"\"\$\.(\w+)|, \$\.(\w+)\)", json.dumps(machine)))
    keys = {first or second for first, second in read} - made_on_the_way | {"pipeline"}

    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == keys
    assert set(json.loads(re.findall(r"--input '(.*)'", PAGE)[0])) == keys
    launch = Launch(run_id="r", pipeline="p", attempt=1, trigger="arrival", manifest=None, batch_id="b", files=0, decided_at="t")
    assert set(json.loads(execution_input(launch))) == keys
    start(shop.session, show(shop.session, run=_ended(shop)))
    assert set(_inputs(shop)[0]) == keys
