"""State machine definitions are checked when a machine is created or changed, as AWS does; MiniStack takes any JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_TYPES = frozenset({"Task", "Pass", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"})
_ENDS = frozenset({"Succeed", "Fail", "Choice"})

MANAGED_RULES = {
    "emr-serverless:startJobRun.sync": "StepFunctionsGetEventsForEMRServerlessJobRule",
    "emr-serverless:cancelJobRun.sync": "StepFunctionsGetEventsForEMRServerlessJobRule",
    **{
        f"emr-serverless:{name}Application.sync": "StepFunctionsGetEventsForEMRServerlessApplicationRule"
        for name in ("create", "start", "stop", "delete")
    },
}  # fmt: skip
"""Tasks that Step Functions is told the end of by a rule, which it makes with the machine's role."""


def problems(definition: str) -> list[str]:
    """What AWS would object to in a definition: JSON, types, transitions, required fields, states that nothing reaches."""
    try:
        machine = json.loads(definition)
    except ValueError as fault:
        return [f"INVALID_JSON_DESCRIPTION: {fault}"]
    if not isinstance(machine, dict):
        return ["SCHEMA_VALIDATION_FAILED: The definition is not an object at /"]
    return list(_machine(machine, "/"))


def managed_rules(definition: str) -> set[str]:
    """Names of the EventBridge rules that the tasks of a definition need."""
    return {rule for task, rule in MANAGED_RULES.items() if re.search(rf"states:::{re.escape(task)}\W", definition)}


def _machine(machine: dict[str, Any], at: str) -> Iterator[str]:
    states = machine.get("States")
    if not isinstance(states, dict) or not states:
        yield f"SCHEMA_VALIDATION_FAILED: These fields are required: [States] at {at}"
        return
    start = machine.get("StartAt")
    if start not in states:
        yield f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {start} at {at}StartAt"
    reached = {start}
    for name, state in states.items():
        place = f"{at}States/{name}"
        if not isinstance(state, dict) or state.get("Type") not in _TYPES:
            yield f"SCHEMA_VALIDATION_FAILED: Value is not one of {sorted(_TYPES)} at {place}/Type"
            continue
        yield from _state(state, place)
        for target in _targets(state):
            reached.add(target)
            if target not in states:
                yield f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {target} at {place}"
    for name in states:
        if name not in reached:
            yield f'MISSING_TRANSITION_TARGET: State "{name}" is not reachable. at {at}States/{name}'


def _state(state: dict[str, Any], place: str) -> Iterator[str]:  # noqa: PLR0912 - one branch a rule of the language
    kind = state["Type"]
    if kind not in _ENDS and ("Next" in state) == bool(state.get("End")):
        yield f"SCHEMA_VALIDATION_FAILED: Exactly one of [Next, End] is required at {place}"
    if kind == "Task":
        if not isinstance(state.get("Resource"), str):
            yield f"SCHEMA_VALIDATION_FAILED: These fields are required: [Resource] at {place}"
        elif not state["Resource"].startswith("arn:"):
            yield f"SCHEMA_VALIDATION_FAILED: Value is not a valid resource ARN at {place}/Resource"
    if kind == "Choice" and not state.get("Choices"):
        yield f"SCHEMA_VALIDATION_FAILED: These fields are required: [Choices] at {place}"
    if kind == "Parallel":
        for number, branch in enumerate(state.get("Branches") or []):
            yield from _machine(branch, f"{place}/Branches[{number}]/")
    if kind == "Map":
        inner = state.get("ItemProcessor") or state.get("Iterator")
        if not isinstance(inner, dict):
            yield f"SCHEMA_VALIDATION_FAILED: These fields are required: [ItemProcessor] at {place}"
        else:
            yield from _machine(inner, f"{place}/ItemProcessor/")
    for section in ("Retry", "Catch"):
        for number, entry in enumerate(state.get(section) or []):
            if not entry.get("ErrorEquals"):
                yield f"SCHEMA_VALIDATION_FAILED: These fields are required: [ErrorEquals] at {place}/{section}[{number}]"


def _targets(state: dict[str, Any]) -> Iterator[str]:
    for key in ("Next", "Default"):
        if key in state:
            yield state[key]
    for entry in (*(state.get("Catch") or ()), *(state.get("Choices") or ())):
        if "Next" in entry:
            yield entry["Next"]
