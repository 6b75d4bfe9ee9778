"""A Glue run that still waits for a driver is stopped at once, and never gets one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from local.aws import glue_runs, seam, spark_runs
from tests.fixtures.platform import wait_for

_glue = seam.module("services.glue")


@pytest.fixture
def job() -> Iterator[str]:
    """A job whose role and script do not exist: were it begun, it would fail."""
    glue_runs.register()
    name = "waits"
    call(
        "_create_job", Name=name, Role="arn:aws:iam::000000000000:role/nobody", GlueVersion="6.0",
        Command={"Name": "glueetl", "ScriptLocation": "s3://nothing/x.py"},
    )  # fmt: skip
    yield name
    _glue._jobs.pop(name, None)
    _glue._job_runs.pop(name, None)


def call(operation: str, **data: Any) -> dict[str, Any]:
    status, _, body = getattr(_glue, operation)(data)
    assert status == 200, body
    answer: dict[str, Any] = json.loads(body)
    return answer


def state(job: str, run_id: str) -> str:
    return str(call("_get_job_run", JobName=job, RunId=run_id)["JobRun"]["JobRunState"])


def test_a_run_that_waits_for_a_driver_is_stopped_at_once_and_never_begins(job: str) -> None:
    with ExitStack() as places:
        for _ in range(spark_runs.CONCURRENT_DRIVERS):
            assert places.enter_context(spark_runs.place(threading.Event()))
        run_id = call("_start_job_run", JobName=job)["JobRunId"]
        time.sleep(2 * spark_runs.SLOT_LOOK_SECONDS)
        assert state(job, run_id) == "STARTING"
        answer = call("_batch_stop_job_run", JobName=job, JobRunIds=[run_id])
        assert answer == {"SuccessfulSubmissions": [{"JobName": job, "JobRunId": run_id}], "Errors": []}
        wait_for(lambda: state(job, run_id) == "STOPPED", seconds=5)  # while every place is still taken
    time.sleep(2 * spark_runs.SLOT_LOOK_SECONDS)  # now there are places
    run = call("_get_job_run", JobName=job, RunId=run_id)["JobRun"]
    assert (run["JobRunState"], run.get("ErrorMessage")) == ("STOPPED", None)
    again = call("_batch_stop_job_run", JobName=job, JobRunIds=[run_id])
    assert again["Errors"][0]["ErrorDetail"]["ErrorCode"] == "JobRunInTerminalStateException"


def test_a_stopped_run_gives_back_no_place_that_it_never_had(job: str) -> None:
    with ExitStack() as places:
        for _ in range(spark_runs.CONCURRENT_DRIVERS):
            places.enter_context(spark_runs.place(threading.Event()))
        run_id = call("_start_job_run", JobName=job)["JobRunId"]
        call("_batch_stop_job_run", JobName=job, JobRunIds=[run_id])
        wait_for(lambda: state(job, run_id) == "STOPPED", seconds=5)
        after = call("_start_job_run", JobName=job)["JobRunId"]  # one run at a time: the stopped one is over
        time.sleep(2 * spark_runs.SLOT_LOOK_SECONDS)
        assert state(job, after) == "STARTING"  # and every place is still taken
        call("_batch_stop_job_run", JobName=job, JobRunIds=[after])
        wait_for(lambda: state(job, after) == "STOPPED", seconds=5)
