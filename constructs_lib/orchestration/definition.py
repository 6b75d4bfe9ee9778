"""The state machine of a pipeline as plain data.

RecordStart -> AcquireLease (taken: Wait, again) -> Step <name> for each step -> RecordFinish -> done, or NotifyFailure -> fail.
What a step does between its first state and the next step is its own matter: see `constructs_lib.orchestration.steps`.
Whatever goes wrong for good: RecordFailure -> NotifyFailure -> fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from constructs_lib.checks import require
from constructs_lib.orchestration.steps import MAX_STATE_NAME, MachineFunctions, MachineStep, State, StepPlace, function_task

LEASE_WAIT_SECONDS = 20
LEASE_WAIT_HOURS = 10
"""Longest that a run waits for other runs of its tables: 1,800 looks of nine events each, of the 25,000 that an execution may have."""

_NOTIFIER_RETRY = [
    # Another sender keeps the notification for a minute, and the run may not be recorded as ended yet.
    {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 30, "MaxAttempts": 2, "BackoffRate": 2},
]


def definition(
    *,
    functions: MachineFunctions,
    pipeline: str,
    steps: Sequence[MachineStep],
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
            "Choices": [{"Variable": "$.lease.acquired", "BooleanEquals": True, "Next": steps[0].state()}],
            "Default": "WaitForLease",
        },
        "WaitForLease": {"Type": "Wait", "Seconds": LEASE_WAIT_SECONDS, "Next": "AcquireLease"},
    }
    following = [*(step.state() for step in steps[1:]), "RecordFinish"]
    for step, next_ in zip(steps, following, strict=True):
        place = StepPlace(functions=functions, pipeline=pipeline, next_=next_, failed=step.state("failed"), has_manifest=has_manifest)
        states |= _states(step, place)
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
        "RecordFailure": function_task(
            functions,
            functions.recorder,
            {"action": "fail", "pipeline": pipeline, "run_id.$": "$.run_id", "step.$": "$.step", "failure.$": "$.failure"},
            next_="NotifyFailure",
            on_error="NotifyFailure",
            result_path=None,
        ),
        "NotifyFailure": function_task(
            functions,
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


def _states(step: MachineStep, place: StepPlace) -> dict[str, State]:
    """States of a step, and the one that names it when it has failed.

    Raises:
        InvalidProps: The kind of step is written wrong: a state is not called after it, or is missing.
    """
    states = dict(step.states(place))
    own = step.state("")
    for name in states:
        is_own = name == own or (name.startswith(f"{own}: ") and name != place.failed)
        require(
            is_own and len(name) <= MAX_STATE_NAME,
            f"{type(step).__name__} calls a state {name!r}: write self.state(...), with a short word",
        )
    require(
        next(iter(states), None) == own,
        f"{type(step).__name__} does not begin with the state {own!r}: write self.state() for its first one",
    )
    return {**states, place.failed: {"Type": "Pass", "Result": step.name, "ResultPath": "$.step", "Next": "RecordFailure"}}


def _recorder(
    functions: MachineFunctions, payload: dict[str, Any], *, next_: str, result_path: str | None, selector: Mapping[str, str] | None = None
) -> State:
    return function_task(
        functions, functions.recorder, payload, next_=next_, on_error="MachineFailed", result_path=result_path, selector=selector
    )
