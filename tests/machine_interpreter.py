"""A small interpreter of state machines, for tests that let every state fail: the states and functions that the platform's machines use, and nothing else."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

Task = Callable[[str, str, Any], Any]
"""Does a task: name of its state, resource, parameters -> answer; raises TaskError."""

_CALL = re.compile(r"States\.(?P<name>Format|Array)\((?P<arguments>.*)\)", re.DOTALL)
_ARGUMENT = re.compile(r"\s*(?:'(?P<text>(?:[^'\\]|\\.)*)'|(?P<call>States\.Format\([^)]*\))|(?P<path>\$[^,\s]*))\s*(?:,|$)")


class TaskError(Exception):
    """A task fails; a cause may be missing, as that of a timeout is."""

    def __init__(self, error: str, cause: str | None = "") -> None:
        super().__init__(error, cause)
        self.error, self.cause = error, cause


class Stopped(Exception):
    """Somebody stops the execution."""


class BrokenMachine(AssertionError):
    """The machine does what Step Functions ends for, with no Catch that helps: a path that is not there, a state that is not there."""


@dataclass
class Execution:
    """A run of a machine: `run` goes through it to its end.

    Attributes:
        definition: The machine.
        task: Does its tasks.
        passed: States that it went through.
        status: RUNNING, SUCCEEDED, FAILED or ABORTED.
        output: What the last state left.
    """

    definition: Mapping[str, Any]
    task: Task
    started_at: str = "2026-11-22T03:00:00.000Z"
    passed: list[str] = field(default_factory=list[str])
    status: str = "RUNNING"
    output: Any = None

    def run(self, given: Mapping[str, Any]) -> Execution:
        """Go through the machine."""
        data: Any = deepcopy(dict(given))
        here: str | None = self.definition["StartAt"]
        while here is not None:
            self.passed.append(here)
            if len(self.passed) > 500:
                raise BrokenMachine(f"goes round: {self.passed[-8:]}")
            try:
                here, data = self._state(here, data)
            except Stopped:
                self.status = "ABORTED"
                here = None
        self.output = data
        return self

    def _state(self, name: str, data: Any) -> tuple[str | None, Any]:
        if name not in self.definition["States"]:
            raise BrokenMachine(f"there is no state {name!r}")
        state = self.definition["States"][name]
        match state["Type"]:
            case "Task":
                return self._task(name, state, data)
            case "Pass":
                result = state["Result"] if "Result" in state else self._filled(state.get("Parameters", data), data)
                return state["Next"], _put(data, state.get("ResultPath", "$"), result)
            case "Wait":
                return state["Next"], data
            case "Choice":
                return next((choice["Next"] for choice in state["Choices"] if self._holds(choice, data)), state["Default"]), data
            case "Succeed":
                self.status = "SUCCEEDED"
                return None, data
            case "Fail":
                self.status = "FAILED"
                return None, data
            case other:
                raise BrokenMachine(f"states of type {other} are not interpreted")

    def _task(self, name: str, state: Mapping[str, Any], data: Any) -> tuple[str, Any]:
        parameters = self._filled(state["Parameters"], data)
        left = {id(rule): rule["MaxAttempts"] for rule in state.get("Retry", ())}
        while True:
            try:
                answer = self.task(name, state["Resource"], parameters)
                if "ResultSelector" in state:
                    answer = self._filled(state["ResultSelector"], answer)
                return state["Next"], _put(data, state.get("ResultPath", "$"), answer)
            except TaskError as error:
                rule = next((rule for rule in state.get("Retry", ()) if _matches(rule["ErrorEquals"], error.error)), None)
                if rule is not None and left[id(rule)] > 0:
                    left[id(rule)] -= 1
                    continue
                failure = {"Error": error.error, **({} if error.cause is None else {"Cause": error.cause})}
                for catcher in state.get("Catch", ()):
                    if _matches(catcher["ErrorEquals"], error.error):
                        return catcher["Next"], _put(data, catcher.get("ResultPath", "$"), failure)
                raise BrokenMachine(f"nothing catches {error.error} of {name}") from error

    def _filled(self, template: Any, data: Any) -> Any:
        if isinstance(template, list):
            return [self._filled(part, data) for part in template]
        if not isinstance(template, dict):
            return template
        return {
            key.removesuffix(".$"): self._value(value, data) if key.endswith(".$") else self._filled(value, data)
            for key, value in template.items()
        }

    def _value(self, text: str, data: Any) -> Any:
        if text.startswith("$$."):
            context = {"Execution": {"StartTime": self.started_at, "Id": "arn:execution", "Name": "name"}, "State": {"EnteredTime": "now"}}
            return _path(context, text[1:])
        if text.startswith("$"):
            return _path(data, text)
        found = _CALL.fullmatch(text)
        if found is None:
            raise BrokenMachine(f"{text!r} is not interpreted")
        values = [self._argument(argument, data) for argument in _ARGUMENT.finditer(found["arguments"])]
        if found["name"] == "Array":
            return values
        shown = iter(values[1:])
        return re.sub(r"\{\}", lambda _: str(next(shown)), values[0])

    def _argument(self, argument: re.Match[str], data: Any) -> Any:
        if argument["text"] is not None:
            return re.sub(r"\\(.)", r"\1", argument["text"])
        return self._value(argument["call"] or argument["path"], data)

    def _holds(self, rule: Mapping[str, Any], data: Any) -> bool:
        if "And" in rule:
            return all(self._holds(part, data) for part in rule["And"])
        if "Not" in rule:
            return not self._holds(rule["Not"], data)
        if "IsPresent" in rule:
            try:
                _path(data, rule["Variable"])
            except BrokenMachine:
                return not rule["IsPresent"]
            return bool(rule["IsPresent"])
        value = _path(data, rule["Variable"])
        for comparison, wanted in rule.items():
            if comparison in {"StringEquals", "BooleanEquals", "NumericEquals"}:
                return bool(value == wanted)
            if comparison == "StringMatches":
                return fnmatch.fnmatchcase(value, re.sub(r"[\[\]?]", "?", wanted))
        raise BrokenMachine(f"{rule} is not interpreted")


def ways(state: Mapping[str, Any]) -> list[str]:
    """States that a state may lead to."""
    choices = [choice["Next"] for key in ("Choices", "Catch") for choice in state.get(key, ())]
    return [*choices, *(state[key] for key in ("Next", "Default") if key in state)]


def _matches(errors: Sequence[str], error: str) -> bool:
    return "States.ALL" in errors or error in errors or ("States.TaskFailed" in errors and error != "States.Timeout")


def _path(data: Any, path: str) -> Any:
    value = data
    for part in path.split(".")[1:]:
        if not isinstance(value, dict) or part not in value:
            raise BrokenMachine(f"{path} is not there: {data}")
        value = value[part]
    return value


def _put(data: Any, path: str | None, value: Any) -> Any:
    if path is None:
        return data
    parts = path.split(".")[1:]
    if not parts:
        return value
    changed = deepcopy(data)
    place = changed
    for part in parts[:-1]:
        place = place.setdefault(part, {})
    place[parts[-1]] = deepcopy(value)
    return changed
