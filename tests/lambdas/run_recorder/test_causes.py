"""What Step Functions, Glue and IAM say of a failure becomes a reason and a sentence."""

from __future__ import annotations

import json

import pytest

from lambdas.run_recorder.causes import explained, failure_of


def _glue(state: str = "FAILED", **more: str) -> str:
    return json.dumps({"JobRunState": state, "Id": "jr_1", "JobName": "lake-orders-refine", "Attempt": 0, **more})


def test_the_reason_of_a_job_that_stopped_itself_is_kept() -> None:
    cause = _glue(ErrorMessage="Error Category: UNCLASSIFIED_ERROR; Failed Line Number: 25; RunFailed: quality_gate: 3 rows\nbreak o_total")
    failure = failure_of(step="refine", error="States.TaskFailed", cause=cause)
    assert (failure.status, failure.reason) == ("FAILED", "quality_gate")
    assert failure.message == "step refine: 3 rows\nbreak o_total"


def test_a_reason_is_found_behind_the_name_of_its_module() -> None:
    failure = failure_of(
        step="refine", error="States.TaskFailed", cause=_glue(ErrorMessage="lakehouse.errors.RunFailed: too_many_quarantined: 60 %")
    )
    assert failure.reason == "too_many_quarantined"


@pytest.mark.parametrize(
    ("error", "cause", "who", "action", "resource"),
    [
        (
            "Glue.AccessDeniedException",
            (
                "User: arn:aws:sts::123456789012:assumed-role/lake-orders-machine/x is not authorized to perform: glue:StartJobRun on resource:"
                " arn:aws:glue:us-east-1:123456789012:job/lake-orders-ingest because no identity-based policy allows the glue:StartJobRun action"
            ),
            "lake-orders-machine",
            "glue:StartJobRun",
            "arn:aws:glue:us-east-1:123456789012:job/lake-orders-ingest",
        ),
        (
            "States.TaskFailed",
            _glue(
                ErrorMessage="An error occurred while calling o99.save. User: arn:aws:sts::123456789012:assumed-role/lake-orders-refine/s is not"
                ' authorized to perform: "s3:PutObject" on resource: "arn:aws:s3:::silver/tpch/x.parquet" because no identity-based policy'
                " (Service: S3, Status Code: 403)"
            ),
            "lake-orders-refine",
            "s3:PutObject",
            "arn:aws:s3:::silver/tpch/x.parquet",
        ),
        (
            "AccessDeniedException",
            "User: arn:aws:iam::1:user/ann is not authorized to perform: dynamodb:PutItem on resource: arn:aws:dynamodb:us-east-1:1:table/a.",
            "arn:aws:iam::1:user/ann",
            "dynamodb:PutItem",
            "arn:aws:dynamodb:us-east-1:1:table/a",
        ),
    ],
)
def test_a_missing_permission_names_role_action_and_resource(error: str, cause: str, who: str, action: str, resource: str) -> None:
    failure = failure_of(step="x", error=error, cause=cause)
    assert (failure.status, failure.reason) == ("FAILED", "access_denied")
    assert f"{who} may not {action} on {resource}:" in failure.message


def test_a_denial_without_details_is_still_a_denial() -> None:
    failure = failure_of(
        step="ingest", error="States.TaskFailed", cause=_glue(ErrorMessage="Access Denied (Service: S3, Status Code: 403)")
    )
    assert failure.reason == "access_denied"


def test_a_stopped_job_that_gave_its_own_reason_is_not_called_denied() -> None:
    cause = _glue(ErrorMessage="RunFailed: files_rejected: access denied to nothing")
    assert failure_of(step="x", error="States.TaskFailed", cause=cause).reason == "files_rejected"


@pytest.mark.parametrize(
    ("error", "cause"),
    [("States.Timeout", ""), ("States.HeartbeatTimeout", ""), ("States.TaskFailed", _glue("TIMEOUT", ErrorMessage="Job timeout"))],
)
def test_a_step_that_ran_out_of_time_is_timed_out(error: str, cause: str) -> None:
    failure = failure_of(step="ingest", error=error, cause=cause)
    assert (failure.status, failure.reason) == ("TIMED_OUT", "timed_out")
    assert failure.message.startswith("step ingest: did not end in the time")


def test_a_job_that_somebody_stopped_is_aborted() -> None:
    failure = failure_of(step="ingest", error="States.TaskFailed", cause=_glue("STOPPED"))
    assert (failure.status, failure.reason) == ("FAILED", "aborted")


@pytest.mark.parametrize(
    ("error", "cause", "message"),
    [
        ("States.TaskFailed", _glue(ErrorMessage="java.lang.OutOfMemoryError"), "step x: java.lang.OutOfMemoryError"),
        ("States.TaskFailed", _glue(), "step x: job run jr_1 ended FAILED and gave no message"),
        ("KeyError", json.dumps({"errorMessage": "'run_id'", "errorType": "KeyError", "stackTrace": []}), "step x: KeyError: 'run_id'"),
        (
            "Glue.ConcurrentRunsExceededException",
            "Concurrent runs exceeded",
            "step x: Glue.ConcurrentRunsExceededException: Concurrent runs exceeded",
        ),
        ("States.Runtime", "{not json", "step x: States.Runtime: {not json"),
        ("", "", "step x: no cause was given"),
        ("Boom", "", "step x: Boom"),
    ],
)
def test_anything_else_is_told_as_it_is(error: str, cause: str, message: str) -> None:
    failure = failure_of(step="x", error=error, cause=cause)
    assert (failure.status, failure.reason, failure.message) == ("FAILED", "job_failed", message)


def _serverless(state: str, details: str = "") -> str:
    run = {"ApplicationId": "00f", "JobRunId": "00g", "State": state, "StateDetails": details}
    return json.dumps(run)


LAST = "Job failed, please check complete logs in configured logging destination. ExitCode: 1. Last few exceptions: "


@pytest.mark.parametrize(
    ("cause", "status", "reason", "message"),
    [
        (_serverless("FAILED", LAST + "lakehouse.errors.RunFailed: quality_gate: 3 rows"), "FAILED", "quality_gate", "step refine: 3 rows"),
        (_serverless("FAILED", LAST + "ValueError: no such day"), "FAILED", "job_failed", "step refine: ValueError: no such day"),
        (_serverless("FAILED", "Job failed: Worker could not be allocated as the application has exceeded maximumCapacity settings: [cpu: 4 vCPU]"),
         "FAILED", "job_failed",
         "step refine: Job failed: Worker could not be allocated as the application has exceeded maximumCapacity settings: [cpu: 4 vCPU]"),
        (_serverless("FAILED"), "FAILED", "job_failed", "step refine: job run 00g ended FAILED and gave no message"),
        (_serverless("CANCELLED", "Job run timed out"), "TIMED_OUT", "timed_out", "step refine: did not end in the time that it is given: Job run timed out"),
        (_serverless("CANCELLED", "Cancelled by user"), "FAILED", "aborted", "step refine: the job run 00g was stopped: Cancelled by user"),
        (_serverless("CANCELLED", "The job was in the queue for longer than 60 minutes"), "TIMED_OUT", "timed_out", None),
        (_serverless("FAILED", LAST + "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: s3:GetObject on resource: x"),
         "FAILED", "access_denied", None),
    ],
)  # fmt: skip
def test_why_a_job_on_emr_serverless_failed_is_told_like_any_other(cause: str, status: str, reason: str, message: str | None) -> None:
    failure = failure_of(step="refine", error="States.TaskFailed", cause=cause)
    assert (failure.status, failure.reason) == (status, reason)
    assert message is None or failure.message == message


@pytest.mark.parametrize(
    ("cause", "reason", "message"),
    [
        (
            json.dumps({
                "Step": {
                    "Id": "s-1", "Name": "lake-orders-refine",
                    "Status": {
                        "State": "FAILED",
                        "FailureDetails": {"Reason": "Unknown Error.", "Message": "finished with failed status", "LogFile": "s3://logs/stderr.gz"},
                    },
                }
            }),
            "job_failed",
            "step refine: s-1 is FAILED: Unknown Error.: finished with failed status (log: s3://logs/stderr.gz)",
        ),
        (
            json.dumps({
                "Cluster": {
                    "Id": "j-1",
                    "Status": {"State": "TERMINATED_WITH_ERRORS", "StateChangeReason": {"Code": "BOOTSTRAP_FAILURE", "Message": "returned 1"}},
                }
            }),
            "job_failed",
            "step refine: j-1 is TERMINATED_WITH_ERRORS: BOOTSTRAP_FAILURE: returned 1",
        ),
        ("RunFailed: quality_gate: too bad", "quality_gate", "step refine: too bad"),
    ],
)  # fmt: skip
def test_why_a_step_or_a_cluster_of_emr_failed_is_told(cause: str, reason: str, message: str) -> None:
    failure = failure_of(step="refine", error="States.TaskFailed", cause=cause)
    assert (failure.status, failure.reason, failure.message) == ("FAILED", reason, message)


@pytest.mark.parametrize(
    ("error", "told", "cause"),
    [
        ("States.TaskFailed", "quality_gate: too bad", "RunFailed: quality_gate: too bad"),
        ("States.TaskFailed", "An error occurred (AccessDenied)", "An error occurred (AccessDenied)"),
        ("States.TaskFailed", "Job aborted: lost executor", "Job aborted: lost executor"),
        ("States.TaskFailed", "", "what the engine said"),
        ("States.Timeout", "quality_gate: too bad", "what the engine said"),
    ],
)
def test_a_job_s_own_words_go_before_those_of_its_engine(error: str, told: str, cause: str) -> None:
    assert explained(error=error, cause="what the engine said", told=told) == cause


def test_a_warehouse_that_takes_no_statement_is_a_reason_of_its_own() -> None:
    failure = failure_of(step="load", error="RedshiftData.ValidationException", cause="The cluster lake is paused.")
    assert (failure.status, failure.reason) == ("FAILED", "warehouse_unavailable")
    assert failure.message == (
        "step load: the warehouse takes no statement: The cluster lake is paused; "
        "if it is a cluster that is paused, resume it, then start the pipeline again"
    )
    denied = "User: arn:aws:sts::1:assumed-role/machine/x is not authorized to perform: redshift-data:BatchExecuteStatement on resource: w"
    assert failure_of(step="load", error="RedshiftData.AccessDeniedException", cause=denied).reason == "access_denied"
