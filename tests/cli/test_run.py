"""`lake run` starts what no file starts, waits for its end and shows how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cli.errors import CommandError, WrongUseError
from cli.progress import Progress
from cli.run import run
from lakehouse.pipelines.spec import Arrival
from tests.cli.conftest import Shop


class Clock:
    """A clock that goes forward when somebody sleeps; what happens meanwhile is up to the test."""

    def __init__(self, *happenings: Callable[[], object]) -> None:
        self.now = 0.0
        self._happenings = list(happenings)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self._happenings:
            self._happenings.pop(0)()


def inputs(shop: Shop, pipeline: str) -> list[dict[str, Any]]:
    states = shop.client("stepfunctions")
    machine = next(found for found in states.list_state_machines()["stateMachines"] if found["name"] == shop.names.state_machine(pipeline))
    executions = states.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
    return [json.loads(states.describe_execution(executionArn=found["executionArn"])["input"]) for found in executions]


def test_it_starts_a_run_and_tells_how_it_ended(shop: Shop, progress: Progress) -> None:
    def begin() -> None:
        (given,) = inputs(shop, "daily_revenue")
        shop.audit.start_run(pipeline="daily_revenue", run_id=given["run_id"], trigger=given["trigger"])

    def end() -> None:
        (given,) = inputs(shop, "daily_revenue")
        shop.audit.end_run(pipeline="daily_revenue", run_id=given["run_id"], status="FAILED", reason="job_failed", message="no")

    clock = Clock(begin, end)
    found = run(
        shop.session, pipelines=["daily_revenue"], timeout_seconds=60, progress=progress, clock=lambda: clock.now, sleep=clock.sleep
    )
    assert [(ended.pipeline, ended.status, ended.reason, ended.trigger) for ended in found.runs] == [
        ("daily_revenue", "FAILED", "job_failed", "manual")
    ]
    (given,) = inputs(shop, "daily_revenue")
    assert given == {
        "pipeline": "daily_revenue", "run_id": found.runs[0].run_id, "trigger": "manual", "attempt": 1, "manifest": None, "batch_id": None, "files": 0,
    }  # fmt: skip


def test_one_that_takes_too_long_goes_on_and_the_next_step_is_said(shop: Shop, progress: Progress) -> None:
    clock = Clock()
    with pytest.raises(CommandError, match=r"not finished after 3 s, the runs go on: .*`lake wait --env dev`"):
        run(shop.session, pipelines=["daily_revenue"], timeout_seconds=3, progress=progress, clock=lambda: clock.now, sleep=clock.sleep)
    assert len(inputs(shop, "daily_revenue")) == 1


def test_what_files_start_is_refused_with_the_way_and_nothing_is_started(shop: Shop, progress: Progress) -> None:
    name = next(spec.name for spec in shop.session.pipelines if isinstance(spec.trigger, Arrival))
    with pytest.raises(WrongUseError, match=rf"files start {name}: drop one, `lake drop"):
        run(shop.session, pipelines=["daily_revenue", name], timeout_seconds=1, progress=progress)
    assert inputs(shop, "daily_revenue") == []


def test_an_unknown_pipeline_is_refused_with_the_nearest_name(shop: Shop, progress: Progress) -> None:
    with pytest.raises(WrongUseError, match=r"there is no pipeline 'daily_revenu': did you mean daily_revenue\?"):
        run(shop.session, pipelines=["daily_revenu"], timeout_seconds=1, progress=progress)
