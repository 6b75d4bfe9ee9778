"""The state machine of a pipeline as plain data.

RecordStart -> AcquireLease (taken: Wait, again) -> Step <name> for each step -> RecordFinish -> done, or NotifyFailure -> fail.
A job that fails for a reason that may pass (a lost driver, a broken connection) is run once again; one that says why it must stop is not.
Whatever goes wrong for good: RecordFailure -> NotifyFailure -> fail.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from constructs_lib.checks import require

LEASE_WAIT_SECONDS = 20
LEASE_WAIT_HOURS = 10
"""Longest that a run waits for other runs of its tables: 1,800 looks of nine events each, of the 25,000 that an execution may have."""

SECOND_TRY_WAIT_SECONDS = 10
FUNCTION_TIMEOUT_SECONDS = 90
JOB_GRACE_SECONDS = 300
"""How much longer than the job itself its task may take: starting, queueing and stopping."""

MAX_STEP_NAME = 50
"""The name of a state has 80 characters at most, and what stands around a step's name takes up to 29."""

_STEP_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_STEP_NAME}}}")
"""No blanks and no colons, which the names of a step's states are made with: so no step can be called like a state of another."""

_FUNCTION_RETRY = [
    {
        "ErrorEquals": [
            "Lambda.ServiceException",
            "Lambda.AWSLambdaException",
            "Lambda.SdkClientException",
            "Lambda.TooManyRequestsException",
        ],
        "IntervalSeconds": 2,
        "MaxAttempts": 6,
        "BackoffRate": 2,
        "JitterStrategy": "FULL",
    },
    {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 2, "MaxAttempts": 2, "BackoffRate": 2},
]
"""Every function that a machine calls may be called again: the record of a run changes once."""

_NOTIFIER_RETRY = [
    # Another sender keeps the notification for a minute, and the run may not be recorded as ended yet.
    {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 30, "MaxAttempts": 2, "BackoffRate": 2},
]

_JOB_RETRY = [
    {"ErrorEquals": ["Glue.ConcurrentRunsExceededException"], "IntervalSeconds": 15, "MaxAttempts": 8, "BackoffRate": 1.5},
    {
        "ErrorEquals": [
            "Glue.AWSGlueException",
            "Glue.InternalServiceException",
            "Glue.OperationTimeoutException",
            "Glue.ResourceNumberLimitExceededException",
            "Glue.SdkClientException",
            "Glue.ThrottlingException",
        ],
        "IntervalSeconds": 30,
        "MaxAttempts": 3,
        "BackoffRate": 2,
        "JitterStrategy": "FULL",
    },
]

_FINAL = (
    "*RunFailed: *",
    '*"JobRunState":"TIMEOUT"*',
    '*"JobRunState":"STOPPED"*',
    "*AccessDenied*",
    "*not authorized to perform*",
)
"""What a failed job says when another try would end the same way: the job's own verdict, its time was up, somebody stopped it, it lacks a permission."""

_MAY_PASS: list[dict[str, Any]] = [
    {"Variable": "$.failure.Error", "StringEquals": "States.TaskFailed"},
    # The States Language promises an Error, and usually a Cause: a path that is not there ends the machine, and no Catch helps.
    {"Variable": "$.failure.Cause", "IsPresent": True},
    *({"Not": {"Variable": "$.failure.Cause", "StringMatches": pattern}} for pattern in _FINAL),
]


@dataclass(frozen=True, kw_only=True)
class JobStep:
    """A step that runs a Glue job.

    Attributes:
        name: Name of the step, unique in its pipeline: up to 50 letters, digits, `-` and `_`.
        job_name: Glue job.
        timeout_minutes: Longest run of the job.
        arguments: Arguments of every run besides those that say which run it is.
    """

    name: str
    job_name: str
    timeout_minutes: int
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: The name is none.
        """
        is_name = _STEP_NAME.fullmatch(self.name) is not None
        require(is_name, f"{self.name!r} is no name of a step: use 1-{MAX_STEP_NAME} letters, digits, - and _")


@dataclass(frozen=True, kw_only=True)
class MachineFunctions:
    """What every machine calls; CloudFormation tokens are welcome.

    Attributes:
        partition: Partition of AWS that the machine runs in.
        recorder: ARN of the run recorder.
        notifier: ARN of the notifier.
    """

    partition: str
    recorder: str
    notifier: str


def definition(
    *,
    functions: MachineFunctions,
    pipeline: str,
    steps: Sequence[JobStep],
    tables: Sequence[str],
    timeout_minutes: int,
    has_manifest: bool,
) -> dict[str, Any]:
    """The machine in Amazon States Language.

    Args:
        functions: What it calls.
        pipeline: Name of the pipeline.
        steps: Steps in order.
        tables: Tables that the run writes, `<database>.<table>`; their leases are taken together.
        timeout_minutes: Longest that a step may run; the machine has that and the wait for leases.
        has_manifest: Whether runs are given a manifest of files.

    Raises:
        InvalidProps: There is no step, a name is used twice, or a step may run longer than the pipeline.
    """
    require(bool(steps), f"pipeline {pipeline} has no steps: give at least one")
    names = [step.name for step in steps]
    require(len(set(names)) == len(names), f"pipeline {pipeline} has two steps of one name: {', '.join(names)}")
    for step in steps:
        require(
            step.timeout_minutes <= timeout_minutes,
            f"step {step.name} of pipeline {pipeline} may run for {step.timeout_minutes} minutes, the pipeline only for {timeout_minutes}: "
            "raise the pipeline's timeout_minutes",
        )
    ids = [_StepStates(name) for name in names]
    following = [*(id_.job for id_ in ids[1:]), "RecordFinish"]
    states: dict[str, Any] = {
        "RecordStart": _recorder(
            functions,
            {
                "action": "start",
                "pipeline": pipeline,
                "run_id.$": "$.run_id",
                "trigger.$": "$.trigger",
                "manifest.$": "$.manifest",
                "batch_id.$": "$.batch_id",
                "attempt.$": "$.attempt",
                "files.$": "$.files",
                "execution_arn.$": "$$.Execution.Id",
                "started_at.$": "$$.Execution.StartTime",
                "seconds": machine_seconds(timeout_minutes),
            },
            next_="AcquireLease",
            result_path=None,
        ),
        "AcquireLease": _recorder(
            functions,
            {
                "action": "lease",
                "pipeline": pipeline,
                "run_id.$": "$.run_id",
                "tables": sorted(tables),
                "seconds": machine_seconds(timeout_minutes),
            },
            next_="IsLeaseTaken",
            result_path="$.lease",
            selector={"acquired.$": "$.Payload.acquired"},
        ),
        "IsLeaseTaken": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.lease.acquired", "BooleanEquals": True, "Next": ids[0].job}],
            "Default": "WaitForLease",
        },
        "WaitForLease": {"Type": "Wait", "Seconds": LEASE_WAIT_SECONDS, "Next": "AcquireLease"},
    }
    for step, id_, next_ in zip(steps, ids, following, strict=True):
        states[id_.job] = _job(functions.partition, step, next_=next_, on_error=id_.question, has_manifest=has_manifest)
        states[id_.question] = {"Type": "Choice", "Choices": [{"And": _MAY_PASS, "Next": id_.wait}], "Default": id_.failed}
        states[id_.wait] = {"Type": "Wait", "Seconds": SECOND_TRY_WAIT_SECONDS, "Next": id_.again}
        states[id_.again] = _job(functions.partition, step, next_=next_, on_error=id_.failed, has_manifest=has_manifest)
        states[id_.failed] = {"Type": "Pass", "Result": step.name, "ResultPath": "$.step", "Next": "RecordFailure"}
    states |= {
        "RecordFinish": _recorder(
            functions,
            {"action": "finish", "pipeline": pipeline, "run_id.$": "$.run_id"},
            next_="HasSucceeded",
            result_path="$.result",
            selector={"status.$": "$.Payload.status"},
        ),
        "HasSucceeded": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.result.status", "StringEquals": "SUCCEEDED", "Next": "Done"},
                {"Variable": "$.result.status", "StringEquals": "SKIPPED", "Next": "Done"},
            ],
            "Default": "NotifyFailure",
        },
        "Done": {"Type": "Succeed"},
        "MachineFailed": {"Type": "Pass", "Result": "", "ResultPath": "$.step", "Next": "RecordFailure"},
        "RecordFailure": _function(
            functions.partition,
            functions.recorder,
            {"action": "fail", "pipeline": pipeline, "run_id.$": "$.run_id", "step.$": "$.step", "failure.$": "$.failure"},
            next_="NotifyFailure",
            on_error="NotifyFailure",
            result_path=None,
        ),
        "NotifyFailure": _function(
            functions.partition,
            functions.notifier,
            {"pipeline": pipeline, "run_id.$": "$.run_id"},
            next_="Failed",
            on_error="Failed",
            result_path=None,
            retry=_NOTIFIER_RETRY,
        ),
        "Failed": {"Type": "Fail", "Error": "RunFailed", "Cause": "The audit says why: lake show RUN"},
    }
    return {
        "Comment": f"Pipeline {pipeline}",
        "StartAt": "RecordStart",
        "TimeoutSeconds": machine_seconds(timeout_minutes),
        "States": states,
    }


def machine_seconds(timeout_minutes: int) -> int:
    """Longest that an execution may last: a run's own time does not pass while it waits for others."""
    return timeout_minutes * 60 + LEASE_WAIT_HOURS * 3600


class _StepStates:
    """Names of the states of one step."""

    def __init__(self, step: str) -> None:
        self.job = f"Step {step}"
        self.question = f"{self.job}: may it be tried again?"
        self.wait = f"{self.job}: wait"
        self.again = f"{self.job}: second try"
        self.failed = f"{self.job}: failed"


def _job(partition: str, step: JobStep, *, next_: str, on_error: str, has_manifest: bool) -> dict[str, Any]:
    files = {"--manifest.$": "$.manifest", "--batch_id.$": "$.batch_id"} if has_manifest else {"--manifest": "none", "--batch_id": "none"}
    return {
        "Type": "Task",
        "Resource": f"arn:{partition}:states:::glue:startJobRun.sync",
        "Parameters": {
            "JobName": step.job_name,
            "Arguments": {"--run_id.$": "$.run_id", "--attempt.$": "States.Format('{}', $.attempt)", **files, **step.arguments},
        },
        "ResultPath": None,
        "TimeoutSeconds": step.timeout_minutes * 60 + JOB_GRACE_SECONDS,
        "Retry": _JOB_RETRY,
        "Catch": _catch(on_error),
        "Next": next_,
    }


def _recorder(
    functions: MachineFunctions, payload: dict[str, Any], *, next_: str, result_path: str | None, selector: dict[str, str] | None = None
) -> dict[str, Any]:
    return _function(
        functions.partition, functions.recorder, payload, next_=next_, on_error="MachineFailed", result_path=result_path, selector=selector
    )


def _function(
    partition: str,
    function: str,
    payload: dict[str, Any],
    *,
    next_: str,
    on_error: str,
    result_path: str | None,
    selector: dict[str, str] | None = None,
    retry: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:{partition}:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": payload},
        **({"ResultSelector": selector} if selector is not None else {}),
        "ResultPath": result_path,
        "TimeoutSeconds": FUNCTION_TIMEOUT_SECONDS,
        "Retry": [*(retry or _FUNCTION_RETRY)],
        "Catch": _catch(on_error),
        "Next": next_,
    }


def _catch(next_: str) -> list[dict[str, Any]]:
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": next_}]
