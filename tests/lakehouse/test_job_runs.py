"""Runs of Glue jobs are waited for through every state, with a deadline, and stopped when nobody waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lakehouse.job_runs import FAILED, JobBusy, JobRun, JobRunFailed, JobRuns, JobRunTimeout, UnknownJobState
from lakehouse.polling import Pauses

JOB, RUN = "lakehouse-dev-refine", "jr_1"
ASKED = {"JobName": JOB, "RunId": RUN}


class World:
    """A client that answers what a test says, and time that only sleeping moves."""

    def __init__(self) -> None:
        client = boto3.client("glue", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
        self.stub, self.now, self.seen = Stubber(client), 0.0, list[str]()
        self.runs = JobRuns(
            client=client, pauses=Pauses(first_seconds=30, factor=1), on_look=self.look, clock=lambda: self.now, sleep=self.sleep
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def look(self, run: JobRun) -> None:
        self.seen.append(run.state)

    def starts(self, **arguments: str) -> None:
        self.stub.add_response("start_job_run", {"JobRunId": RUN}, {"JobName": JOB, "Arguments": arguments})

    def stands(self, *states: str, **more: Any) -> None:
        for state in states:
            self.stub.add_response("get_job_run", {"JobRun": {"Id": RUN, "JobName": JOB, "JobRunState": state, **more}}, ASKED)

    def fails(self, code: str) -> None:
        self.stub.add_client_error("get_job_run", code, expected_params=ASKED)

    def stops(self, **answer: Any) -> None:
        self.stub.add_response("batch_stop_job_run", answer, {"JobName": JOB, "JobRunIds": [RUN]})


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    with found.stub:
        yield found
        found.stub.assert_no_pending_responses()


def test_a_run_is_waited_for_through_all_its_states_and_tells_what_it_took(world: World) -> None:
    world.starts(day="2026-11-22")
    world.stands("WAITING", "STARTING", "RUNNING", "STOPPING")
    ended = datetime(2026, 11, 22, 5, tzinfo=UTC)
    world.stands("SUCCEEDED", ExecutionTime=90, DPUSeconds=180.5, CompletedOn=ended)
    run = world.runs.run(JOB, arguments={"day": "2026-11-22"}, seconds=7200)
    assert run == JobRun(job=JOB, run_id=RUN, state="SUCCEEDED", seconds=90, dpu_seconds=180.5, completed_at=ended)
    assert world.seen == ["WAITING", "STARTING", "RUNNING", "STOPPING", "SUCCEEDED"]


@pytest.mark.parametrize("state", FAILED)
def test_a_run_that_is_over_without_success_raises_with_glue_s_reason(world: World, state: str) -> None:
    world.stands("RUNNING")
    world.stands(state, ErrorMessage="AnalysisException: no such table")
    with pytest.raises(JobRunFailed, match=f"run jr_1 of {JOB} is {state}: AnalysisException: no such table") as caught:
        world.runs.wait(JOB, RUN, seconds=7200)
    assert caught.value.run.state == state


@pytest.mark.parametrize("code", ["ThrottlingException", "OperationTimeoutException", "InternalServiceException"])
def test_a_look_that_glue_does_not_answer_is_no_end(world: World, code: str) -> None:
    world.stands("RUNNING")
    world.fails(code)
    world.fails(code)
    world.stands("SUCCEEDED")
    assert world.runs.wait(JOB, RUN, seconds=7200).state == "SUCCEEDED"


def test_a_run_that_takes_too_long_is_stopped(world: World) -> None:
    world.starts()
    for _ in range(4):
        world.stands("RUNNING")
    world.stops()
    world.runs._pauses = Pauses(first_seconds=30, factor=1, jitter=0)
    with pytest.raises(JobRunTimeout, match="was still RUNNING after 90 s and is stopped"):
        world.runs.run(JOB, seconds=90)


def test_a_state_that_nobody_knows_does_not_loop_for_ever(world: World) -> None:
    world.stands("PONDERING")
    world.stops()
    with pytest.raises(UnknownJobState, match="'PONDERING', which is no state that this client knows"):
        world.runs.wait(JOB, RUN, seconds=7200)


def test_an_interrupt_stops_the_run_and_is_what_is_raised(world: World) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    world.stands("RUNNING")
    world.stops(Errors=[{"JobName": JOB, "JobRunId": RUN, "ErrorDetail": {"ErrorCode": "InternalServiceException", "ErrorMessage": "no"}}])
    world.runs._sleep = interrupt
    with pytest.raises(KeyboardInterrupt) as caught:
        world.runs.wait(JOB, RUN, seconds=7200)
    assert caught.value.__notes__ == [f"run jr_1 of {JOB} could not be stopped: InternalServiceException: no"]


def test_a_denial_is_what_is_raised_even_if_the_run_cannot_be_stopped(world: World) -> None:
    world.fails("AccessDeniedException")
    world.stub.add_client_error("batch_stop_job_run", "AccessDeniedException", "not you")
    with pytest.raises(Exception, match="AccessDeniedException") as caught:
        world.runs.wait(JOB, RUN, seconds=7200)
    assert "could not be stopped: " in caught.value.__notes__[0]


def test_a_job_that_runs_as_often_as_it_may_is_told(world: World) -> None:
    world.stub.add_client_error("start_job_run", "ConcurrentRunsExceededException")
    with pytest.raises(JobBusy, match="runs as often at once as it may"):
        world.runs.run(JOB, seconds=60)
