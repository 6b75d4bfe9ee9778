"""People are told of a run that failed: once, readably, with the next command."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from lakehouse.audit import AuditTrail
from lakehouse.audit_records import FileRecord
from lakehouse.errors import TerminalError, TransientError
from lakehouse.run_ids import new_run_id
from lambdas.notifier.notifier import Notifier, Wish, request_of
from tests.lambdas.world import AUDIT, MACHINE, PIPELINE, Crash, Trap, World


@dataclass
class Sns:
    """Keeps what is published."""

    published: list[dict[str, Any]] = field(default_factory=list)

    def publish(self, **message: Any) -> None:
        assert len(message["Subject"]) < 100
        assert "\n" not in message["Subject"]
        self.published.append(message)


@pytest.fixture
def sns() -> Sns:
    return Sns()


def _notifier(world: World, sns: Sns, trap: Trap | None = None) -> Notifier:
    trap = trap or Trap()
    audit = AuditTrail(client=trap.around(world.dynamodb), table=AUDIT, clock=world.clock)
    return Notifier(audit=audit, sns=trap.around(sns), topic_arn="arn:topic", project="lakehouse", env="prod")


def _failed(world: World, status: Any = "FAILED") -> Wish:
    run_id = new_run_id()
    world.audit.start_run(pipeline=PIPELINE, run_id=run_id, trigger="arrival", files=2)
    attempt = world.audit.start_step(pipeline=PIPELINE, run_id=run_id, step="ingest", engine="glue", job_run_id="jr")
    world.audit.end_step(pipeline=PIPELINE, run_id=run_id, step="ingest", attempt=attempt, status="SUCCEEDED")
    file = FileRecord(source="s3://raw/bad.csv", version="v1", outcome="rejected", reason="missing_column", message="o_orderkey is missing")
    world.audit.record_file(pipeline=PIPELINE, run_id=run_id, file=file)
    world.audit.warn(pipeline=PIPELINE, run_id=run_id, warning="column o_extra is not in the contract")
    world.audit.end_run(
        pipeline=PIPELINE,
        run_id=run_id,
        status=status,
        reason="files_rejected",
        message="1 of 2 files rejected",
        counts={"rows_in": 3, "silver": 2, "superseded": 0, "quarantined": 1},
        reasons={"missing_value": 1},
    )
    return Wish(pipeline=PIPELINE, run_id=run_id)


def test_the_message_says_what_failed_why_and_what_to_do_next(world: World, sns: Sns) -> None:
    wish = _failed(world)
    assert _notifier(world, sns).notify(wish)
    (message,) = sns.published
    assert message["Subject"] == "[lakehouse/prod] orders failed: files_rejected"
    for text in (
        "Why:     files_rejected: 1 of 2 files rejected",
        f"lake show {wish.run_id} --env prod",
        "s3://raw/bad.csv (v1): missing_column o_orderkey is missing",
        "rows_in 3, silver 2, superseded 0, quarantined 1 (missing_value 1)",
        "ingest, attempt 1: SUCCEEDED",
        "column o_extra is not in the contract",
        "drop them again",
    ):
        assert text in message["Message"]
    assert {name: attribute["StringValue"] for name, attribute in message["MessageAttributes"].items()} == {
        "pipeline": PIPELINE,
        "run_id": wish.run_id,
        "status": "FAILED",
        "reason": "files_rejected",
        "severity": "critical",
    }


def test_a_run_is_told_once_whoever_asks(world: World, sns: Sns) -> None:
    wish = _failed(world, "TIMED_OUT")
    event = {"source": "aws.states", "detail": {"status": "TIMED_OUT", "input": json.dumps({"pipeline": PIPELINE, "run_id": wish.run_id})}}
    assert _notifier(world, sns).notify(wish)
    assert not _notifier(world, sns).notify(request_of(event))
    assert not _notifier(world, sns).notify(request_of({"pipeline": PIPELINE, "run_id": wish.run_id}))
    assert len(sns.published) == 1
    assert "ran out of time" in sns.published[0]["Subject"]


@pytest.mark.parametrize("status", ["SUCCEEDED", "SKIPPED"])
def test_people_are_told_of_an_execution_that_failed_after_its_run_had_ended_well(world: World, sns: Sns, status: str) -> None:
    wish = _failed(world, status)
    world.audit.warn(pipeline=PIPELINE, run_id=wish.run_id, warning="role recorder may not cloudwatch:PutMetricData")
    assert _notifier(world, sns).notify(wish)
    assert not _notifier(world, sns).notify(wish)
    (message,) = sns.published
    assert "orders failed after its end" in message["Subject"]
    assert f"the run ended {status} and what it brought stays, but its execution failed" in message["Message"]
    assert "role recorder may not cloudwatch:PutMetricData" in message["Message"]


def test_a_run_that_is_not_recorded_yet_is_asked_for_again(world: World, sns: Sns) -> None:
    run_id = new_run_id()
    wish = Wish(pipeline=PIPELINE, run_id=run_id)
    with pytest.raises(TransientError, match="not in the audit yet"):
        _notifier(world, sns).notify(wish)
    world.audit.start_run(pipeline=PIPELINE, run_id=run_id, trigger="arrival")
    with pytest.raises(TransientError, match="still RUNNING"):
        _notifier(world, sns).notify(wish)


def test_two_senders_at_once_publish_once(world: World, sns: Sns) -> None:
    wish = _failed(world)
    assert world.audit.begin_notification(pipeline=PIPELINE, run_id=wish.run_id)
    with pytest.raises(TransientError, match="another is telling"):
        _notifier(world, sns).notify(wish)
    assert sns.published == []


def test_a_sender_that_dies_is_replaced_and_only_dying_after_publishing_says_it_twice(world: World, sns: Sns) -> None:
    scouting = Trap()
    _notifier(world, sns, scouting).notify(_failed(world))
    for number, call in enumerate(scouting.calls):
        sns.published.clear()
        wish = _failed(world)
        with pytest.raises(Crash):
            _notifier(world, sns, Trap(at=number)).notify(wish)
        world.clock.pass_seconds(61)
        _notifier(world, sns).notify(wish)
        assert not _notifier(world, sns).notify(wish)
        is_after_publishing = number > scouting.calls.index("publish")
        assert len(sns.published) == (2 if is_after_publishing else 1), call


def test_a_subject_fits_even_if_everything_has_a_long_name(world: World, sns: Sns) -> None:
    run_id = new_run_id()
    pipeline = "p" * 120
    world.audit.start_run(pipeline=pipeline, run_id=run_id, trigger="arrival")
    world.audit.end_run(pipeline=pipeline, run_id=run_id, status="FAILED", reason="job_failed", message="x")
    assert _notifier(world, sns).notify(Wish(pipeline=pipeline, run_id=run_id))


def test_a_message_fits_and_stays_readable_whatever_a_run_has_to_say(world: World, sns: Sns) -> None:
    run_id, long = new_run_id(), "x" * 2000
    world.audit.start_run(pipeline=PIPELINE, run_id=run_id, trigger="arrival")
    for number in range(40):
        attempt = world.audit.start_step(pipeline=PIPELINE, run_id=run_id, step="ingest", engine="glue", job_run_id=f"jr{number}")
        world.audit.end_step(pipeline=PIPELINE, run_id=run_id, step="ingest", attempt=attempt, status="FAILED", message=long)
        world.audit.warn(pipeline=PIPELINE, run_id=run_id, warning=f"{number} {long}")
        file = FileRecord(source=f"s3://raw/{number}.csv", version="v1", outcome="rejected", reason="missing_column", message=long)
        world.audit.record_file(pipeline=PIPELINE, run_id=run_id, file=file)
    world.audit.end_run(pipeline=PIPELINE, run_id=run_id, status="FAILED", reason="job_failed", message=long)

    assert _notifier(world, sns).notify(Wish(pipeline=PIPELINE, run_id=run_id))

    text = sns.published[0]["Message"]
    assert f"Why:     job_failed: {'x' * 499}…\n" in text
    assert "  and 30 more\n" in text
    assert "  30 earlier attempts\n  ingest, attempt 31: FAILED x" in text
    assert max(map(len, text.splitlines())) < 600
    assert len(text.encode()) < 32 * 1024
    assert text.rstrip().endswith("what the jobs said")


@pytest.mark.parametrize(
    "event", [{}, {"pipeline": "orders"}, {"source": "aws.states", "detail": {"input": "{x"}}, {"source": "aws.states", "detail": {}}]
)
def test_a_payload_that_names_no_run_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(TerminalError, match="names no pipeline and run_id"):
        request_of(event)


@pytest.mark.parametrize("given", ["{}", "[]", '{"pipeline": "orders"}', '{"run_id": "r"}', None])
def test_people_are_told_of_an_execution_whose_input_names_no_run(world: World, sns: Sns, given: str | None) -> None:
    detail = {
        "executionArn": "arn:aws:states:us-east-1:123456789012:execution:lake-orders:by-hand",
        "stateMachineArn": MACHINE,
        "status": "FAILED",
        "input": given,
        "error": "States.Runtime",
        "cause": "The JSONPath '$.run_id' could not be found" + "!" * 9000,
    }
    assert _notifier(world, sns).notify(request_of({"source": "aws.states", "detail": detail}))
    (message,) = sns.published
    assert message["Subject"] == "[lakehouse/prod] lake-orders FAILED: no run"
    for text in ("lake-orders:by-hand", "States.Runtime: The JSONPath '$.run_id' could not be found", "docs/operating.md"):
        assert text in message["Message"]
    assert len(message["Message"]) < 3000


@pytest.mark.parametrize(("name", "called"), [("backfill", "backfill"), ("", "00job")])
def test_people_are_told_of_a_job_run_that_no_pipeline_started(world: World, sns: Sns, name: str, called: str) -> None:
    detail = {
        "jobRunId": "00job",
        "jobRunName": name,
        "applicationId": "00app",
        "state": "FAILED",
        "previousState": "RUNNING",
        "createdBy": "arn:aws:sts::123456789012:assumed-role/Analyst/ana",
        "releaseLabel": "emr-spark-8.0.0",
    }
    assert _notifier(world, sns).notify(request_of({"source": "aws.emr-serverless", "detail": detail}))
    (message,) = sns.published
    assert message["Subject"] == f"[lakehouse/prod] job run {called} failed: no pipeline"
    for text in ("Analyst/ana", "RUNNING before it failed", "get-job-run --application-id 00app --job-run-id 00job"):
        assert text in message["Message"]
    assert message["MessageAttributes"]["job_run"]["StringValue"] == "00job"
