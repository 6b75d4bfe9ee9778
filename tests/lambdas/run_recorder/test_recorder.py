"""Runs begin, take leases, end and are measured once, whoever asks, in whatever order, and whatever dies in between."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from constructs_lib.orchestration.definition import definition
from constructs_lib.orchestration.steps import GlueStep, MachineFunctions
from lakehouse.audit_records import FileRecord, RunRecord
from lakehouse.lineage import Lineage
from lakehouse.metrics import RUN_METRICS, MetricsDeniedError
from lakehouse.run_ids import new_run_id
from lakehouse.watermarks import Watermarks
from lambdas.run_recorder.requests import StartRequest, UnknownRequestError, request_of
from tests.lambdas.run_recorder.conftest import Ask, CloudWatch
from tests.lambdas.world import LINEAGE, PIPELINE, WATERMARKS, Crash, Trap, World

TABLES = ["bronze_tpch.orders", "silver_tpch.orders"]


def _start(ask: Ask, run_id: str, *, files: int = 2, **more: Any) -> dict[str, Any]:
    given = {"trigger": "arrival", "manifest": "s3://m", "batch_id": "b", "attempt": 1, "execution_arn": "arn:x", **more}
    return ask(action="start", pipeline=PIPELINE, run_id=run_id, files=files, started_at="2026-11-22T05:00:00.000Z", **given)


def _step(world: World, run_id: str, step: str, status: Any = "SUCCEEDED", *, job: str = "", **told: Any) -> None:
    attempt = world.audit.start_step(pipeline=PIPELINE, run_id=run_id, step=step, engine="glue", job_run_id=job or f"jr-{step}")
    if status != "RUNNING":
        world.audit.end_step(pipeline=PIPELINE, run_id=run_id, step=step, attempt=attempt, status=status, **told)


def _finish(ask: Ask, run_id: str, **more: Any) -> dict[str, Any]:
    return ask(action="finish", pipeline=PIPELINE, run_id=run_id, **more)


def _run(world: World, run_id: str) -> RunRecord:
    run = world.audit.get_run(run_id, pipeline=PIPELINE)
    assert run is not None
    return run


def _good_steps(world: World, run_id: str) -> None:
    _step(world, run_id, "ingest", counts={"rows_in": 10, "appended": 4})
    _step(
        world,
        run_id,
        "refine",
        counts={"rows_in": 10, "silver": 7, "superseded": 1, "quarantined": 2},
        reasons={"missing_value": 1, "duplicate_key": 1},
    )


def test_a_good_run_ends_succeeded_with_the_counts_of_its_steps(world: World, ask: Ask, cloudwatch: CloudWatch) -> None:
    run_id = new_run_id()
    assert _start(ask, run_id)["status"] == "RUNNING"
    _good_steps(world, run_id)
    world.clock.pass_seconds(90)

    assert _finish(ask, run_id) == {"run_id": run_id, "status": "SUCCEEDED", "reason": "", "message": ""}

    run = _run(world, run_id)
    assert run.counts == {"rows_in": 10, "silver": 7, "superseded": 1, "quarantined": 2, "appended": 4}
    assert run.reasons == {"missing_value": 1, "duplicate_key": 1}
    assert run.files == {"loaded": 2, "skipped": 0, "rejected": 0}
    assert (cloudwatch.total("RunsStarted"), cloudwatch.total("RunsSucceeded"), cloudwatch.total("RunsFailed")) == (1, 1, 0)
    assert (cloudwatch.total("RunDuration"), cloudwatch.total("RowsQuarantined"), cloudwatch.total("RowsSilver")) == (90, 2, 7)
    assert {datum["MetricName"] for datum in cloudwatch.sent} <= {metric.name for metric in RUN_METRICS}


def _answer(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "PutMetricData")


@pytest.mark.parametrize(
    "outage",
    [
        _answer("ServiceUnavailable", "503"),
        _answer("Throttling", "slow down"),
        EndpointConnectionError(endpoint_url="https://monitoring"),
        ReadTimeoutError(endpoint_url="https://monitoring"),
    ],
)
def test_an_outage_of_cloudwatch_fails_no_run(world: World, ask: Ask, cloudwatch: CloudWatch, outage: Exception) -> None:
    cloudwatch.error = outage
    run_id = new_run_id()
    assert _start(ask, run_id)["status"] == "RUNNING"
    ask(action="lease", pipeline=PIPELINE, run_id=run_id, tables=TABLES, seconds=600)
    _good_steps(world, run_id)
    assert _finish(ask, run_id)["status"] == "SUCCEEDED"
    assert _run(world, run_id).metered_at is None
    assert ask(action="lease", pipeline="other", run_id="other", tables=TABLES, seconds=1)["acquired"]

    cloudwatch.error = None
    _finish(ask, run_id)
    assert (_run(world, run_id).metered_at is None, cloudwatch.total("RunsSucceeded")) == (False, 1)


def test_a_recorder_that_may_not_send_metrics_fails_and_says_which_permission_it_lacks(
    world: World, ask: Ask, cloudwatch: CloudWatch
) -> None:
    cloudwatch.error = _answer(
        "AccessDenied", "User: arn:aws:sts::1:assumed-role/recorder/f is not authorized to perform: cloudwatch:PutMetricData"
    )
    with pytest.raises(MetricsDeniedError, match="recorder/f is not authorized to perform: cloudwatch:PutMetricData"):
        _start(ask, new_run_id())


def test_a_right_that_is_lost_at_the_finish_only_is_told_though_the_run_succeeded(world: World, ask: Ask, cloudwatch: CloudWatch) -> None:
    run_id = new_run_id()
    _start(ask, run_id)
    _good_steps(world, run_id)
    text = "User: arn:aws:sts::1:assumed-role/recorder/f is not authorized to perform: cloudwatch:PutMetricData"
    cloudwatch.error = _answer("AccessDenied", text)
    with pytest.raises(MetricsDeniedError):
        _finish(ask, run_id)
    failure = {"Error": "MetricsDeniedError", "Cause": json.dumps({"errorType": "MetricsDeniedError", "errorMessage": text})}
    for _ in range(2):  # Step Functions repeats what failed
        with pytest.raises(MetricsDeniedError):
            ask(action="fail", pipeline=PIPELINE, run_id=run_id, step="", failure=failure)
    run = _run(world, run_id)
    assert run.status == "SUCCEEDED"
    (warning,) = run.warnings
    assert warning.startswith("the run had ended SUCCEEDED when its execution failed: role recorder may not cloudwatch:PutMetricData")
    assert ask(action="lease", pipeline="other", run_id="other", tables=TABLES, seconds=1)["acquired"]


def test_a_failed_run_tells_only_the_numbers_that_are_known(world: World, ask: Ask, cloudwatch: CloudWatch) -> None:
    run_id = new_run_id()
    _start(ask, run_id)
    _step(world, run_id, "refine_one", counts={"rows_in": 5, "silver": 4, "superseded": 0, "quarantined": 1})
    _step(world, run_id, "refine_two", "FAILED", message="quality_gate: no", counts={"rows_in": 10, "quarantined": 2})
    cause = json.dumps({"JobRunState": "FAILED", "ErrorMessage": "RunFailed: quality_gate: no"})
    ask(**_ending(run_id, "FAILED", error="States.TaskFailed", cause=cause))
    assert _run(world, run_id).counts == {"rows_in": 15, "quarantined": 3}
    assert {datum["MetricName"] for datum in cloudwatch.sent if datum["MetricName"].startswith("Rows")} == {"RowsIn", "RowsQuarantined"}


def test_what_only_the_backstop_could_record_names_the_execution_and_not_the_audit(world: World, ask: Ask) -> None:
    run_id = new_run_id()
    _start(ask, run_id)
    ask(**_ending(run_id, "FAILED", error="RunFailed", cause="The audit says why: lake show RUN"))
    run = _run(world, run_id)
    assert (run.status, run.reason) == ("FAILED", "job_failed")
    assert run.message == "the machine could not record why it failed: look at the steps of the run and at the history of execution arn:x"


@pytest.mark.parametrize(("given", "due"), [({"seconds": 5400}, "2026-11-22T06:30:00.000Z"), ({}, None)])
def test_a_run_knows_when_it_must_be_over(world: World, ask: Ask, given: dict[str, int], due: str | None) -> None:
    run_id = new_run_id()
    _start(ask, run_id, **given)
    assert _run(world, run_id).due_at == due


def test_the_machine_says_how_long_a_run_may_take(world: World) -> None:
    functions = MachineFunctions(partition="aws", recorder="arn:recorder", notifier="arn:notifier")
    step = GlueStep(name="ingest", job_name="job", timeout_minutes=1)
    machine = definition(functions=functions, pipeline=PIPELINE, steps=[step], tables=TABLES, timeout_minutes=90, has_manifest=True)
    payload = machine["States"]["RecordStart"]["Parameters"]["Payload"]
    request = request_of(
        {name.removesuffix(".$"): "1" if name.endswith(".$") else value for name, value in payload.items()} | {"started_at": None}
    )
    assert isinstance(request, StartRequest)
    assert request.seconds == machine["TimeoutSeconds"]


def test_finishing_twice_changes_and_measures_nothing(world: World, ask: Ask, cloudwatch: CloudWatch) -> None:
    run_id = new_run_id()
    _start(ask, run_id)
    _good_steps(world, run_id)
    first = _finish(ask, run_id)
    before, sent = _run(world, run_id), len(cloudwatch.sent)
    world.clock.pass_seconds(60)
    assert _finish(ask, run_id) == first
    assert _run(world, run_id) == before
    assert len(cloudwatch.sent) == sent


def test_rejected_files_fail_the_run_though_the_others_were_loaded(world: World, ask: Ask) -> None:
    run_id = new_run_id()
    _start(ask, run_id, files=3)
    _good_steps(world, run_id)
    rejected = FileRecord(
        source="s3://raw/bad.csv", version="v", outcome="rejected", reason="missing_column", message="o_orderkey is missing"
    )
    world.audit.record_file(pipeline=PIPELINE, run_id=run_id, file=rejected)

    answer = _finish(ask, run_id)

    assert (answer["status"], answer["reason"]) == ("FAILED", "files_rejected")
    assert answer["message"] == ("1 of 3 files rejected; the other 2 were loaded: s3://raw/bad.csv (missing_column: o_orderkey is missing)")
    assert _run(world, run_id).files == {"loaded": 2, "skipped": 0, "rejected": 1}


def test_a_run_of_nothing_but_headers_is_skipped(world: World, ask: Ask) -> None:
    run_id = new_run_id()
    _start(ask, run_id, files=2)
    _step(world, run_id, "ingest", counts={"bronze": 0})
    _step(world, run_id, "refine", counts={"rows_in": 0, "silver": 0, "superseded": 0, "quarantined": 0})
    for name in ("a", "b"):
        file = FileRecord(source=f"s3://raw/{name}.csv", version="v", outcome="skipped", reason="header_only")
        world.audit.record_file(pipeline=PIPELINE, run_id=run_id, file=file)
    answer = _finish(ask, run_id)
    assert (answer["status"], answer["reason"]) == ("SKIPPED", "header_only")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (
            {"rows_in": 10, "silver": 7, "superseded": 1, "quarantined": 1},
            "10 rows came in, but silver 7 + superseded 1 + quarantined 1 = 9",
        ),
        ({"silver": 7, "superseded": 1, "quarantined": 1}, "rows cannot be accounted for: rows_in is not counted"),
    ],
)
def test_rows_that_do_not_add_up_fail_the_run(world: World, ask: Ask, counts: dict[str, int], message: str) -> None:
    run_id = new_run_id()
    _start(ask, run_id)
    _step(world, run_id, "refine", counts=counts)
    answer = _finish(ask, run_id)
    assert (answer["status"], answer["reason"], answer["message"]) == ("FAILED", "row_accounting", message)


def test_rows_that_get_lost_between_two_steps_fail_the_run(world: World, ask: Ask) -> None:
    run_id = new_run_id()
    _start(ask, run_id)
    _step(world, run_id, "ingest", counts={"rows_in": 11, "appended": 11})
    _step(world, run_id, "refine", counts={"rows_in": 10, "silver": 10, "superseded": 0, "quarantined": 0})
    answer = _finish(ask, run_id)
    assert (answer["status"], answer["reason"]) == ("FAILED", "row_accounting")
    assert answer["message"] == "step ingest brought 11 rows, but only 10 were accounted for later"


def test_a_run_that_only_publishes_has_no_rows_to_account_for(world: World, ask: Ask) -> None:
    run_id = new_run_id()
    _start(ask, run_id, trigger="after", manifest=None, batch_id=None, files=0)
    _step(world, run_id, "publish", counts={"rows_in": 100, "gold": 5})
    assert _finish(ask, run_id)["status"] == "SUCCEEDED"


@pytest.mark.parametrize("steps", [[], [("ingest", "SUCCEEDED"), ("refine", "RUNNING")], [("ingest", "FAILED")]])
def test_a_run_whose_steps_did_not_say_that_they_ended_well_is_no_success(world: World, ask: Ask, steps: list[tuple[str, Any]]) -> None:
    run_id = new_run_id()
    _start(ask, run_id)
    for step, status in steps:
        _step(world, run_id, step, status)
    assert (_finish(ask, run_id)["status"], _run(world, run_id).reason) == ("FAILED", "job_failed")


def test_a_killed_attempt_stays_failed_and_the_one_that_replaced_it_counts(world: World, ask: Ask) -> None:
    run_id = new_run_id()
    _start(ask, run_id)
    _step(world, run_id, "ingest", "RUNNING", job="jr1")
    _step(world, run_id, "ingest", job="jr2", counts={"bronze": 1})
    late = world.audit.end_step(pipeline=PIPELINE, run_id=run_id, step="ingest", attempt=1, status="SUCCEEDED", counts={"bronze": 99})
    assert (late.status, late.message) == ("FAILED", "superseded by attempt 2")
    assert _finish(ask, run_id)["status"] == "SUCCEEDED"
    assert _run(world, run_id).counts == {"bronze": 1}


def test_a_failed_task_fails_the_run_its_running_steps_and_gives_the_leases_back(world: World, ask: Ask, cloudwatch: CloudWatch) -> None:
    run_id = new_run_id()
    _start(ask, run_id)
    ask(action="lease", pipeline=PIPELINE, run_id=run_id, tables=TABLES, seconds=3600)
    _step(world, run_id, "ingest", counts={"bronze": 10})
    _step(world, run_id, "refine", "RUNNING")
    cause = json.dumps({"JobRunState": "FAILED", "ErrorMessage": "RunFailed: quality_gate: no"})

    answer = ask(action="fail", pipeline=PIPELINE, run_id=run_id, step="refine", failure={"Error": "States.TaskFailed", "Cause": cause})

    assert (answer["status"], answer["reason"], answer["message"]) == ("FAILED", "quality_gate", "step refine: no")
    assert [(step.step, step.status) for step in world.audit.trail(run_id, pipeline=PIPELINE).steps] == [
        ("ingest", "SUCCEEDED"),
        ("refine", "FAILED"),
    ]
    assert cloudwatch.total("RunsFailed") == 1
    assert ask(action="lease", pipeline="other", run_id=new_run_id(), tables=TABLES, seconds=60)["acquired"]


def test_a_run_that_could_not_even_begin_is_recorded_as_failed(world: World, ask: Ask) -> None:
    run_id = new_run_id()
    ask(
        action="fail", pipeline=PIPELINE, run_id=run_id, step="", failure={"Error": "Lambda.TooManyRequestsException", "Cause": "slow down"}
    )
    assert (_run(world, run_id).status, _run(world, run_id).reason) == ("FAILED", "job_failed")


def test_a_step_that_ran_out_of_time_is_recorded_though_nobody_says_why(world: World, ask: Ask) -> None:
    run_id = new_run_id()
    _start(ask, run_id)
    _step(world, run_id, "refine", "RUNNING")
    ask(action="fail", pipeline=PIPELINE, run_id=run_id, step="refine", failure={"Error": "States.Timeout"})
    run = _run(world, run_id)
    assert (run.status, run.reason, run.message) == ("TIMED_OUT", "timed_out", "step refine: did not end in the time that it is given")


def _ending(run_id: str, status: str, **detail: Any) -> dict[str, Any]:
    given = {"pipeline": PIPELINE, "run_id": run_id, "attempt": 2, "trigger": "arrival", "manifest": "s3://m", "batch_id": "b", "files": 1}
    return {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "detail": {"executionArn": "arn:x", "status": status, "input": json.dumps(given), **detail},
    }


@pytest.mark.parametrize(
    ("ending", "detail", "status", "reason"),
    [
        ("TIMED_OUT", {}, "TIMED_OUT", "timed_out"),
        ("ABORTED", {"cause": "by ann"}, "FAILED", "aborted"),
        ("FAILED", {"error": "States.Runtime", "cause": "path $.x not found"}, "FAILED", "job_failed"),
        (
            "FAILED",
            {
                "error": "Lambda.AccessDeniedException",
                "cause": "User: arn:aws:sts::1:assumed-role/machine/x is not authorized to perform: lambda:InvokeFunction on resource: arn:f",
            },
            "FAILED",
            "access_denied",
        ),
    ],
)
@pytest.mark.parametrize("has_begun", [True, False])
def test_eventbridge_tells_what_the_machine_could_not(  # noqa: PLR0917 - one argument a dimension of the table
    world: World, ask: Ask, ending: str, detail: dict[str, Any], status: str, reason: str, has_begun: bool
) -> None:
    run_id = new_run_id()
    if has_begun:
        _start(ask, run_id)
        _step(world, run_id, "ingest", "RUNNING")
    ask(**_ending(run_id, ending, **detail))
    run = _run(world, run_id)
    assert (run.status, run.reason) == (status, reason)
    assert run.attempt == (1 if has_begun else 2)
    assert all(step.status == status for step in world.audit.trail(run_id, pipeline=PIPELINE).steps)


@pytest.mark.parametrize(
    ("detail", "known", "said"),
    [
        ({"cause": "by ann"}, {}, "the execution was stopped by somebody: by ann"),
        ({"cause": None}, {"arn:x": "by bob"}, "the execution was stopped by somebody: by bob"),
        ({}, {"arn:other": "by eve"}, "the execution was stopped by somebody"),
    ],
)
def test_who_stopped_a_run_is_asked_for_if_the_event_does_not_say(  # noqa: PLR0917 - one argument a dimension of the table
    world: World, ask: Ask, stopped_by: dict[str, str], detail: dict[str, Any], known: dict[str, str], said: str
) -> None:
    run_id = new_run_id()
    stopped_by.update(known)
    ask(**_ending(run_id, "ABORTED", **detail))
    assert _run(world, run_id).message == said


@pytest.mark.parametrize("ended_as", ["SUCCEEDED", "FAILED"])
def test_an_event_that_comes_after_the_record_changes_nothing(world: World, ask: Ask, cloudwatch: CloudWatch, ended_as: str) -> None:
    run_id = new_run_id()
    _start(ask, run_id)
    if ended_as == "SUCCEEDED":
        _good_steps(world, run_id)
        _finish(ask, run_id)
    else:
        ask(action="fail", pipeline=PIPELINE, run_id=run_id, step="x", failure={"Error": "Boom", "Cause": "why"})
    before, sent = _run(world, run_id), len(cloudwatch.sent)
    ask(**_ending(run_id, "FAILED", error="RunFailed", cause="The audit says why"))
    ask(**_ending(run_id, "FAILED", error="RunFailed", cause="The audit says why"))
    assert _run(world, run_id) == before
    assert len(cloudwatch.sent) == sent


def test_a_start_that_comes_after_the_end_does_not_wake_the_run(world: World, ask: Ask) -> None:
    run_id = new_run_id()
    ask(**_ending(run_id, "ABORTED"))
    assert _start(ask, run_id)["status"] == "FAILED"


@pytest.mark.parametrize("last", ["finish", "fail", "event"])
def test_every_crash_between_two_calls_is_made_good_by_asking_again(world: World, ask: Ask, cloudwatch: CloudWatch, last: str) -> None:
    def requests(run_id: str) -> list[dict[str, Any]]:
        begin = {
            "action": "start", "pipeline": PIPELINE, "run_id": run_id, "trigger": "arrival", "manifest": "s3://m", "batch_id": "b",
            "attempt": 1, "files": 1, "execution_arn": "arn:x", "started_at": "2026-11-22T05:00:00.000Z",
        }  # fmt: skip
        lease = {"action": "lease", "pipeline": PIPELINE, "run_id": run_id, "tables": TABLES, "seconds": 600}
        end = {
            "finish": {"action": "finish", "pipeline": PIPELINE, "run_id": run_id},
            "fail": {
                "action": "fail",
                "pipeline": PIPELINE,
                "run_id": run_id,
                "step": "refine",
                "failure": {"Error": "Boom", "Cause": "why"},
            },
            "event": _ending(run_id, "TIMED_OUT"),
        }[last]
        return [begin, lease, end]

    def scenario(*, at: int | None) -> int:
        run_id, trap = new_run_id(), Trap(at=at)
        world.audit.start_run(pipeline=PIPELINE, run_id=run_id, trigger="arrival", files=1) if at is not None and at > 1 else None
        for request in requests(run_id):
            if request.get("action") == "finish":
                _good_steps(world, run_id)
            try:
                ask(trap, **request)
            except Crash:
                trap.at = None
                ask(trap, **request)
        run = _run(world, run_id)
        assert run.status == {"finish": "SUCCEEDED", "fail": "FAILED", "event": "TIMED_OUT"}[last]
        assert run.metered_at is not None
        assert all(step.status != "RUNNING" for step in world.audit.trail(run_id, pipeline=PIPELINE).steps)
        assert ask(action="lease", pipeline="other", run_id="other", tables=TABLES, seconds=1)["acquired"], at
        world.clock.pass_seconds(2)
        return len(trap.calls)

    for number in range(scenario(at=None)):
        scenario(at=number)


def test_one_run_writes_a_table_and_the_next_waits_for_it(world: World, ask: Ask) -> None:
    first, second = new_run_id(), new_run_id()
    for run_id in (first, second):
        _start(ask, run_id)

    def lease(run_id: str) -> dict[str, Any]:
        return ask(action="lease", pipeline=PIPELINE, run_id=run_id, tables=TABLES, seconds=600)

    assert lease(first) == {"acquired": True, "holder": first}
    assert lease(first) == {"acquired": True, "holder": first}
    assert lease(second) == {"acquired": False, "holder": first}
    _good_steps(world, first)
    _finish(ask, first)
    assert lease(second) == {"acquired": True, "holder": second}


def test_a_lease_that_nobody_gave_back_is_free_when_its_run_is_over_or_its_time(world: World, ask: Ask) -> None:
    dead, waiting = new_run_id(), new_run_id()
    for run_id in (dead, waiting):
        _start(ask, run_id)
    ask(action="lease", pipeline=PIPELINE, run_id=dead, tables=TABLES, seconds=600)
    world.audit.end_run(pipeline=PIPELINE, run_id=dead, status="TIMED_OUT")
    assert ask(action="lease", pipeline=PIPELINE, run_id=waiting, tables=TABLES, seconds=600)["acquired"]

    late = new_run_id()
    assert not ask(action="lease", pipeline=PIPELINE, run_id=late, tables=TABLES, seconds=600)["acquired"]
    world.clock.pass_seconds(601)
    assert ask(action="lease", pipeline=PIPELINE, run_id=late, tables=TABLES, seconds=600)["acquired"]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"action": "stop"},
        {"action": "finish", "pipeline": "orders"},
        {"action": "fail", "pipeline": "orders", "run_id": "r", "step": "refine"},
        {"source": "aws.states", "detail": {"executionArn": "arn", "status": "SUCCEEDED"}},
        {"source": "aws.states", "detail": {"executionArn": "arn", "status": "FAILED"}},
        {"source": "aws.states", "detail": {"executionArn": "arn", "status": "FAILED", "input": "{x"}},
        {"source": "aws.states", "detail": {"executionArn": "arn", "status": "FAILED", "input": "{}"}},
    ],
)
def test_a_payload_that_makes_no_sense_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(UnknownRequestError):
        request_of(event)


MARK = "shop.orders/jdbc:shop/public.orders/updated_at"


def _mark(world: World) -> Any:
    held = Watermarks(client=world.dynamodb, table=WATERMARKS).get(pipeline=PIPELINE, name=MARK)
    return None if held is None else held.value


def _extraction(world: World, run_id: str, mark: str | int, *, deleted: int = 0) -> None:
    _step(world, run_id, "ingest", counts={"rows_in": 5}, marks={MARK: mark})
    _step(world, run_id, "refine", counts={"rows_in": 5, "silver": 5 - deleted, "superseded": 0, "quarantined": 0, "deleted": deleted})


def test_a_watermark_moves_once_the_run_has_published_and_never_back(world: World, ask: Ask) -> None:
    for mark, expected in (("2026-01-02", "2026-01-02"), ("2026-01-01", "2026-01-02"), ("2026-01-03", "2026-01-03")):
        run_id = new_run_id()
        _start(ask, run_id, files=0)
        _extraction(world, run_id, mark)
        assert _finish(ask, run_id)["status"] == "SUCCEEDED"
        assert _mark(world) == expected


def test_a_run_that_fails_moves_no_watermark(world: World, ask: Ask) -> None:
    run_id = new_run_id()
    _start(ask, run_id, files=0)
    _step(world, run_id, "ingest", counts={"rows_in": 5}, marks={MARK: "2026-01-02"})
    _step(world, run_id, "refine", "FAILED", message="RunFailed: quality_gate: no")
    ask(action="fail", pipeline=PIPELINE, run_id=run_id, step="refine", failure={"Error": "States.TaskFailed", "Cause": "quality_gate"})
    assert _finish(ask, run_id)["status"] == "FAILED"
    assert _mark(world) is None


def test_a_watermark_that_an_attempt_before_the_last_proposed_does_not_count(world: World, ask: Ask) -> None:
    run_id = new_run_id()
    _start(ask, run_id, files=0)
    _step(world, run_id, "ingest", job="jr-1", counts={"rows_in": 5}, marks={MARK: 9})
    _extraction(world, run_id, 4)
    _finish(ask, run_id)
    assert _mark(world) == 4


def test_a_recorder_that_dies_before_the_watermark_moves_moves_it_when_it_is_asked_again(world: World, ask: Ask) -> None:
    run_id, whole = new_run_id(), Trap()
    _start(ask, run_id, files=0)
    _extraction(world, run_id, 1)
    _finish(ask, run_id, trap=whole)
    mark = 1
    for number in range(len(whole.calls)):
        for when in ("before", "after"):
            run_id, mark = new_run_id(), mark + 1
            _start(ask, run_id, files=0)
            _extraction(world, run_id, mark)
            with pytest.raises(Crash):
                _finish(ask, run_id, trap=Trap(at=number, when=when))
            assert _finish(ask, run_id)["status"] == "SUCCEEDED"
            assert _mark(world) == mark


def test_deleted_records_are_accounted_for(world: World, ask: Ask) -> None:
    run_id = new_run_id()
    _start(ask, run_id, files=0)
    _extraction(world, run_id, 1, deleted=2)
    assert _finish(ask, run_id)["status"] == "SUCCEEDED"
    assert _run(world, run_id).counts["deleted"] == 2
    wrong = new_run_id()
    _start(ask, wrong, files=0)
    _step(world, wrong, "ingest", counts={"rows_in": 5})
    _step(world, wrong, "refine", counts={"rows_in": 5, "silver": 1, "superseded": 1, "quarantined": 1, "deleted": 1})
    answer = _finish(ask, wrong)
    assert (answer["reason"], "deleted 1 = 4" in answer["message"]) == ("row_accounting", True)


RUN = "0190-run"
LOADED: dict[str, Any] = {
    "count_names": ["rows_staged", "rows_removed", "rows_added", "rows_in_table"],
    "row": [{"LongValue": 10}, {"LongValue": 1}, {"LongValue": 3}, {"LongValue": 10}],
    "source": "gold.tpch.daily_revenue",
    "target": "warehouse.gold_tpch.daily_revenue",
}


def _begin_load(ask: Ask, job: str = "execution/moment") -> int:
    return ask(action="begin_step", pipeline=PIPELINE, run_id=RUN, step="load", engine="redshift", job_run_id=job)["attempt"]


def test_a_load_has_a_step_of_its_own_with_its_rows_and_its_lineage(world: World, ask: Ask) -> None:
    _start(ask, RUN)
    attempt = _begin_load(ask)
    assert _begin_load(ask) == attempt  # a call that Step Functions repeats
    # The machine keeps the number of the attempt as it came, text or number.
    assert ask(action="end_step", pipeline=PIPELINE, run_id=RUN, step="load", attempt=str(attempt), **LOADED) == {"status": "SUCCEEDED"}
    assert ask(action="end_step", pipeline=PIPELINE, run_id=RUN, step="load", attempt=attempt, **LOADED) == {"status": "SUCCEEDED"}
    assert ask(action="finish", pipeline=PIPELINE, run_id=RUN)["status"] == "SUCCEEDED"
    trail = world.audit.trail(RUN, pipeline=PIPELINE)
    (step,) = trail.steps
    assert (step.engine, step.status) == ("redshift", "SUCCEEDED")
    assert step.counts == {"rows_staged": 10, "rows_removed": 1, "rows_added": 3, "rows_in_table": 10}
    (edge,) = Lineage(client=world.dynamodb, table=LINEAGE).into_target("warehouse.gold_tpch.daily_revenue")
    assert (edge.source, edge.step, edge.run_id) == ("gold.tpch.daily_revenue", "load", RUN)


def test_a_load_that_fails_names_the_statement_and_redshift_s_reason(world: World, ask: Ask) -> None:
    _start(ask, RUN)
    _begin_load(ask)
    described = {
        "Id": "x",
        "Status": "FAILED",
        "Error": "Query was aborted",
        "SubStatements": [
            {"Status": "FINISHED", "QueryString": "/* make the staging table */ CREATE TEMP TABLE s (a INT)"},
            {"Status": "FAILED", "Error": "ERROR: S3ServiceException:Access Denied", "QueryString": "/* copy the files */ COPY s"},
            {"Status": "ABORTED", "QueryString": "/* count */ SELECT 1"},
        ],
    }
    failure = {"Error": "Redshift.StatementFailed", "Cause": json.dumps(described)}
    ask(action="fail", pipeline=PIPELINE, run_id=RUN, step="load", failure=failure)
    run = world.audit.trail(RUN, pipeline=PIPELINE)
    assert run.run.status == run.steps[0].status == "FAILED"
    said = "step load: statement 2 of 3 (copy the files) FAILED: ERROR: S3ServiceException:Access Denied; the table is as it was"
    assert run.run.message == run.steps[0].message == said


def test_an_unload_that_fails_says_what_athena_said(world: World, ask: Ask) -> None:
    _start(ask, RUN)
    cause = json.dumps({"QueryExecution": {"Status": {"State": "FAILED", "StateChangeReason": "Query exhausted resources"}}})
    ask(action="fail", pipeline=PIPELINE, run_id=RUN, step="load", failure={"Error": "States.TaskFailed", "Cause": cause})
    run = world.audit.get_run(RUN, pipeline=PIPELINE)
    assert run is not None
    assert run.message == "step load: Athena says: Query exhausted resources"


def test_a_machine_that_asks_why_a_job_failed_is_told_what_the_job_wrote_down(world: World, ask: Ask) -> None:
    run_id = new_run_id()
    _start(ask, run_id)
    failure = {"Error": "States.TaskFailed", "Cause": '{"Step": {"Status": {"State": "FAILED"}}}'}
    question: dict[str, Any] = {"action": "explain", "pipeline": PIPELINE, "run_id": run_id, "step": "refine", "failure": failure}
    assert ask(**question) == failure
    _step(world, run_id, "ingest", "FAILED", message="files_rejected: another step")
    assert ask(**question) == failure
    _step(world, run_id, "refine", "FAILED", message="quality_gate: too bad")
    assert ask(**question) == {"Error": "States.TaskFailed", "Cause": "RunFailed: quality_gate: too bad"}
    _step(world, run_id, "refine", "RUNNING", job="application_2")  # a second try that could not say anything any more
    assert ask(**question) == failure
