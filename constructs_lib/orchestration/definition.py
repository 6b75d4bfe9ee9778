"""The state machine of a pipeline as plain data.

RecordStart -> AcquireLease (taken: Wait, again) -> Step <name> for each step -> RecordFinish -> done, or NotifyFailure -> fail.
What a step does between its first state and the next step is its own matter: see `constructs_lib.orchestration.steps`.
What steps share and what must not outlive the run, such as a cluster, is made before the first of them and removed after the last; while it is there, whatever fails
leads through its removal.
Whatever goes wrong for good: RecordFailure -> NotifyFailure -> fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from constructs_lib.checks import require
from constructs_lib.orchestration.steps import (
    AFTER_FAILURE,
    MAX_STATE_NAME,
    MachineFunctions,
    MachineStep,
    State,
    StepPlace,
    Surroundings,
    function_task,
)

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
    shared = _shared(pipeline, steps)
    seconds = machine_seconds(timeout_minutes) + (shared.surroundings.seconds if shared is not None else 0)
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
                "seconds": seconds,
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
                "seconds": seconds,
            },
            next_="IsLeaseTaken",
            result_path="$.lease",
            selector={"acquired.$": "$.Payload.acquired"},
        ),
        "IsLeaseTaken": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.lease.acquired", "BooleanEquals": True, "Next": _entry(steps, 0, shared)}],
            "Default": "WaitForLease",
        },
        "WaitForLease": {"Type": "Wait", "Seconds": LEASE_WAIT_SECONDS, "Next": "AcquireLease"},
    }
    place = StepPlace(functions=functions, pipeline=pipeline, next_="RecordFinish", failed="RecordFailure", has_manifest=has_manifest)
    states |= _states_of_all(steps, place, shared)
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
        "TimeoutSeconds": seconds,
        "States": states,
    }


def machine_seconds(timeout_minutes: int) -> int:
    """Longest that an execution may last: a run's own time does not pass while it waits for others."""
    return timeout_minutes * 60 + LEASE_WAIT_HOURS * 3600


@dataclass(frozen=True, kw_only=True)
class _Shared:
    """What steps share, and which of them need it.

    Attributes:
        surroundings: What they share.
        first: Number of the first step that needs it.
        last: Number of the last one; those between do without it and run while it is there.
    """

    surroundings: Surroundings
    first: int
    last: int

    def holds(self, number: int) -> bool:
        """Whether it is there while a step runs."""
        return self.first <= number <= self.last


def _shared(pipeline: str, steps: Sequence[MachineStep]) -> _Shared | None:
    """What steps of a pipeline share; None if they share nothing.

    Raises:
        InvalidProps: They would need several.
    """
    needed = [(number, step.surroundings) for number, step in enumerate(steps) if step.surroundings is not None]
    if not needed:
        return None
    first, surroundings = needed[0]
    assert surroundings is not None
    require(
        all(other == surroundings for _, other in needed),
        f"the steps of pipeline {pipeline} need several clusters, and a run has one: make their jobs on the same TransientCluster",
    )
    return _Shared(surroundings=surroundings, first=first, last=needed[-1][0])


def _entry(steps: Sequence[MachineStep], number: int, shared: _Shared | None) -> str:
    """State by which a step is entered, or the end of the steps."""
    if number == len(steps):
        return "RecordFinish"
    return shared.surroundings.name if shared is not None and number == shared.first else steps[number].state()


def _states_of_all(steps: Sequence[MachineStep], place: StepPlace, shared: _Shared | None) -> dict[str, State]:
    """States of the steps in order, and of what they share around them."""
    states: dict[str, State] = {}
    after_failure = shared.surroundings.closing(replace(place, next_="RecordFailure"), after=AFTER_FAILURE) if shared is not None else {}
    for number, step in enumerate(steps):
        next_ = _entry(steps, number + 1, shared)
        if shared is None or not shared.holds(number):
            states |= _states(step, replace(place, next_=next_, failed=step.state("failed")), after_failure=place.failed)
            continue
        if number == shared.first:
            states |= shared.surroundings.opening(replace(place, next_=step.state()))
        closing: dict[str, State] = {}
        if number == shared.last:
            left = f"{shared.surroundings.name}: not removed"
            closing = {
                **shared.surroundings.closing(replace(place, next_=next_, failed=left), after=""),
                left: {"Type": "Pass", "Result": shared.surroundings.name.lower(), "ResultPath": "$.step", "Next": place.failed},
                **after_failure,
            }
            next_ = next(iter(closing))
        states |= _states(step, replace(place, next_=next_, failed=step.state("failed")), after_failure=next(iter(after_failure)))
        states |= closing
    return states


def _states(step: MachineStep, place: StepPlace, *, after_failure: str) -> dict[str, State]:
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
    return {**states, place.failed: {"Type": "Pass", "Result": step.name, "ResultPath": "$.step", "Next": after_failure}}


def _recorder(
    functions: MachineFunctions, payload: dict[str, Any], *, next_: str, result_path: str | None, selector: Mapping[str, str] | None = None
) -> State:
    return function_task(
        functions, functions.recorder, payload, next_=next_, on_error="MachineFailed", result_path=result_path, selector=selector
    )
