"""Step Functions waits for Glue and Athena with the state machine's role, and ends what nobody waits for any more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fixtures.platform import allow, wait_for
from tests.local.engines.lake import Lake
from tests.local.engines.test_glue_runs import SLEEP

pytestmark = [pytest.mark.platform, pytest.mark.timeout(400)]

JOB_RIGHTS = ("glue:StartJobRun", "glue:GetJobRun", "glue:BatchStopJobRun")
QUERY_RIGHTS = (
    "athena:StartQueryExecution", "athena:GetQueryExecution", "athena:StopQueryExecution", "glue:GetDatabase", "glue:GetTable",
    "s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:GetBucketLocation", "kms:Decrypt", "kms:GenerateDataKey",
)  # fmt: skip


def start(lake: Lake, parameters: dict[str, Any], *rights: str, resource: str = "glue:startJobRun.sync", **state: Any) -> str:
    """Start an execution of a machine of one task; its ARN."""
    states = lake.aws.client("stepfunctions")
    role = lake.aws.role(*([allow(list(rights))] if rights else []), service="states.amazonaws.com")
    task = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Parameters": parameters, "End": True, **state}
    machine = states.create_state_machine(
        name=lake.aws.name("m"), roleArn=role, definition=json.dumps({"StartAt": "T", "States": {"T": task}})
    )
    return str(states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"])


def end(lake: Lake, execution: str, *, seconds: float = 120) -> dict[str, Any]:
    """An execution after its end."""
    states = lake.aws.client("stepfunctions")
    found = wait_for(
        lambda: next((e for e in [states.describe_execution(executionArn=execution)] if e["status"] != "RUNNING"), None), seconds=seconds
    )
    return dict(found)


def runs(lake: Lake, job: str) -> list[dict[str, Any]]:
    """Runs of a job."""
    return list(lake.aws.client("glue").get_job_runs(JobName=job)["JobRuns"])


def test_a_task_ends_with_its_job_run(lake: Lake) -> None:
    job = lake.job("print('done')", role=lake.job_role())
    found = end(lake, start(lake, {"JobName": job, "Arguments": {"--a": "b"}}, *JOB_RIGHTS))
    assert found["status"] == "SUCCEEDED", found
    output = json.loads(found["output"])
    assert (output["JobName"], output["JobRunState"], output["Arguments"]) == (job, "SUCCEEDED", {"--a": "b"})
    assert output["CompletedOn"] > 1_700_000_000_000


def test_a_failed_run_fails_its_task_with_the_run_as_cause(lake: Lake) -> None:
    job = lake.job("raise ValueError('no such day')", role=lake.job_role())
    found = end(lake, start(lake, {"JobName": job}, *JOB_RIGHTS))
    assert (found["status"], found["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(found["cause"])["ErrorMessage"] == "ValueError: no such day"


@pytest.mark.parametrize("missing", ["glue:StartJobRun", "glue:GetJobRun"])
def test_a_task_needs_the_rights_to_start_and_to_look(lake: Lake, missing: str) -> None:
    job = lake.job("print('done')", role=lake.job_role())
    found = end(lake, start(lake, {"JobName": job}, *(right for right in JOB_RIGHTS if right != missing)))
    assert (found["status"], found["error"]) == ("FAILED", "Glue.AccessDeniedException")
    assert missing in found["cause"]
    assert all(wait_for(lambda run=run: lake.end(job, run["Id"])) for run in runs(lake, job))


def test_glues_own_refusals_have_its_names(lake: Lake) -> None:
    assert end(lake, start(lake, {"JobName": "nothing"}, *JOB_RIGHTS))["error"] == "Glue.EntityNotFoundException"
    job = lake.job(SLEEP, role=lake.job_role())
    run_id = lake.start(job)
    assert end(lake, start(lake, {"JobName": job}, *JOB_RIGHTS))["error"] == "Glue.ConcurrentRunsExceededException"
    lake.aws.client("glue").batch_stop_job_run(JobName=job, JobRunIds=[run_id])
    lake.end(job, run_id)


def test_a_task_that_times_out_or_is_stopped_ends_its_run(lake: Lake) -> None:
    timed = lake.job(SLEEP, role=lake.job_role())
    found = end(lake, start(lake, {"JobName": timed}, *JOB_RIGHTS, TimeoutSeconds=5))
    assert (found["status"], found["error"]) == ("FAILED", "States.Timeout")
    assert lake.end(timed, runs(lake, timed)[0]["Id"])["JobRunState"] == "STOPPED"
    stopped = lake.job(SLEEP, role=lake.job_role())
    execution = start(lake, {"JobName": stopped}, *JOB_RIGHTS)
    run = wait_for(lambda: next(iter(runs(lake, stopped)), None))
    lake.aws.client("stepfunctions").stop_execution(executionArn=execution)
    assert lake.end(stopped, run["Id"])["JobRunState"] == "STOPPED"
    assert end(lake, execution)["status"] == "ABORTED"


def test_a_query_is_waited_for_with_the_machines_role(lake: Lake) -> None:
    place = {"OutputLocation": f"s3://{lake.bucket}/results/"}
    parameters = {"QueryString": "SELECT 1 AS one", "ResultConfiguration": place}
    found = end(lake, start(lake, parameters, *QUERY_RIGHTS, resource="athena:startQueryExecution.sync"))
    assert found["status"] == "SUCCEEDED", found.get("cause")
    assert json.loads(found["output"])["QueryExecution"]["Status"]["State"] == "SUCCEEDED"
    denied = [right for right in QUERY_RIGHTS if right != "s3:PutObject"]
    found = end(lake, start(lake, parameters, *denied, resource="athena:startQueryExecution.sync"))
    assert (found["status"], "s3:PutObject" in found["cause"]) == ("FAILED", True)
    denied = [right for right in QUERY_RIGHTS if right != "athena:StartQueryExecution"]
    found = end(lake, start(lake, parameters, *denied, resource="athena:startQueryExecution"))
    assert "athena:StartQueryExecution" in found["cause"]
