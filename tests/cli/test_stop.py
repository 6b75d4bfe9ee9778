"""`lake stop` ends the execution of a run, and returns when the audit says so; what is over, or is not a run of its own, is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cli.errors import CommandError, WrongUseError
from cli.progress import Progress
from cli.results import Run
from cli.run import machine_arn
from cli.stop import stop
from cli.stop_results import Stopped
from lakehouse.clock import to_text, utc_now
from lakehouse.run_ids import new_run_id
from tests.cli.conftest import Shop

WAITS = '{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": true}}}'


class Time:
    """A clock that only sleeping moves, and that lets the world go on meanwhile."""

    def __init__(self, *events: Callable[[], object]) -> None:
        self.now = 0.0
        self._events = list(events)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self._events:
            self._events.pop(0)()


def _begun(shop: Shop, *, pipeline: str = "orders", **more: Any) -> tuple[str, str]:
    """A run with an execution that waits: its id and that of its execution."""
    run_id = new_run_id()
    states, machine = shop.client("stepfunctions"), machine_arn(shop.session, "orders")
    states.update_state_machine(stateMachineArn=machine, definition=WAITS)
    execution = states.start_execution(stateMachineArn=machine, name=run_id)["executionArn"]
    shop.audit.start_run(pipeline=pipeline, run_id=run_id, trigger="arrival", **{"execution_arn": execution, **more})
    return run_id, execution


def _stop(shop: Shop, progress: Progress, run: str, *events: Callable[[], object]) -> Stopped:
    time = Time(*events)
    return stop(shop.session, run=run, progress=progress, clock=time.clock, sleep=time.sleep)


def _record_end(shop: Shop, run_id: str, *, pipeline: str = "orders") -> Callable[[], object]:
    """What the recorder does with the event of the end; moto forgets the cause, so it is read as it is sent."""
    causes: list[str] = []
    events = shop.session.client("stepfunctions").meta.events
    events.register("provide-client-params.sfn.StopExecution", lambda params, **_: causes.append(params["cause"]))
    return lambda: shop.audit.end_run(pipeline=pipeline, run_id=run_id, status="FAILED", reason="aborted", message=causes[-1])


def test_the_execution_is_stopped_and_the_audit_says_by_whom(shop: Shop, progress: Progress) -> None:
    run_id, execution = _begun(shop)
    stopped = _stop(shop, progress, run_id, lambda: None, _record_end(shop, run_id))
    described = shop.client("stepfunctions").describe_execution(executionArn=execution)
    assert described["status"] == "ABORTED"
    assert isinstance(stopped.run, Run)
    assert (stopped.run.run_id, stopped.run.status, stopped.run.reason, stopped.goes_on) == (run_id, "FAILED", "aborted", "")
    who = shop.session.client("sts").get_caller_identity()["Arn"]
    assert f"assumed-role/{shop.names.operator_role}/lake-" in who
    assert stopped.run.message == f"{who}, with `lake stop`"


def test_the_beginning_of_an_id_will_do(shop: Shop, progress: Progress) -> None:
    run_id, _ = _begun(shop)
    assert _stop(shop, progress, run_id[:18], _record_end(shop, run_id)).run.run_id == run_id


def test_what_has_ended_is_refused_with_its_state(shop: Shop, progress: Progress) -> None:
    run_id, execution = _begun(shop)
    shop.audit.end_run(pipeline="orders", run_id=run_id, status="SUCCEEDED", ended_at="2026-11-22T05:00:00.000Z")
    with pytest.raises(
        WrongUseError, match=f"run {run_id} of orders is over, nothing is left to stop: it ended SUCCEEDED at 2026-11-22T05:00"
    ):
        _stop(shop, progress, run_id)
    assert shop.client("stepfunctions").describe_execution(executionArn=execution)["status"] == "RUNNING"


def test_a_run_whose_end_is_lost_is_over_too(shop: Shop, progress: Progress) -> None:
    run_id, _ = _begun(shop, started_at=to_text(utc_now() - timedelta(days=2)), seconds=60)
    with pytest.raises(WrongUseError, match=r"nothing is left to stop: RUNNING since .* the record of its end is lost"):
        _stop(shop, progress, run_id)


def test_a_run_that_ends_by_itself_at_that_moment_keeps_its_end(shop: Shop, progress: Progress) -> None:
    run_id, _ = _begun(shop)
    with pytest.raises(CommandError, match=f"run {run_id} of orders ended SUCCEEDED by itself before it could be stopped"):
        _stop(shop, progress, run_id, lambda: shop.audit.end_run(pipeline="orders", run_id=run_id, status="SUCCEEDED"))


def test_an_execution_that_is_over_by_now_is_no_fault(shop: Shop, progress: Progress) -> None:
    run_id, _ = _begun(shop)

    def over(**_: object) -> None:
        error = {"Error": {"Code": "ValidationException", "Message": "Execution is not running"}}
        raise shop.session.client("stepfunctions").exceptions.ValidationException(error, "StopExecution")

    shop.session.client("stepfunctions").meta.events.register("provide-client-params.sfn.StopExecution", over)
    with pytest.raises(CommandError, match=f"run {run_id} of orders ended FAILED by itself before it could be stopped"):
        _stop(shop, progress, run_id, lambda: shop.audit.end_run(pipeline="orders", run_id=run_id, status="FAILED", reason="job_failed"))


def test_an_end_that_nobody_records_is_told(shop: Shop, progress: Progress) -> None:
    run_id, execution = _begun(shop)
    with pytest.raises(CommandError, match=re.escape(f"execution {execution} is over, but the audit does not say so after 120 s")):
        _stop(shop, progress, run_id)


def test_one_row_of_a_group_is_not_stopped_alone(shop: Shop, progress: Progress) -> None:
    group, execution = _begun(shop, pipeline="stock")
    row = new_run_id()
    shop.audit.start_run(pipeline="stock.suppliers", run_id=row, trigger="schedule", execution_arn=execution)
    with pytest.raises(WrongUseError, match=f"is a row of the group stock, .*`lake stop {group} --env dev`"):
        _stop(shop, progress, row)
    assert shop.client("stepfunctions").describe_execution(executionArn=execution)["status"] == "RUNNING"
    assert _stop(shop, progress, group, _record_end(shop, group, pipeline="stock")).run.run_id == group


def test_a_run_without_an_execution_is_refused(shop: Shop, progress: Progress) -> None:
    run_id = new_run_id()
    shop.audit.start_run(pipeline="orders", run_id=run_id, trigger="arrival")
    with pytest.raises(WrongUseError, match="has no execution yet"):
        _stop(shop, progress, run_id)


def test_a_run_that_nobody_knows_is_refused(shop: Shop, progress: Progress) -> None:
    with pytest.raises(WrongUseError, match="there is no run 'nonsense'"):
        _stop(shop, progress, "nonsense")


def test_a_load_that_has_reached_redshift_is_told_of(shop: Shop, progress: Progress) -> None:
    run_id, _ = _begun(shop)
    shop.audit.start_step(pipeline="orders", run_id=run_id, step="load", engine="redshift", job_run_id="x")
    stopped = _stop(shop, progress, run_id, _record_end(shop, run_id))
    assert stopped.goes_on.startswith("step load: if its statements have reached Redshift, they end by themselves")
