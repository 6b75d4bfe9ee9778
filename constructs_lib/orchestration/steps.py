"""The kinds of steps that a pipeline's machine knows, as plain data: what each brings into the machine, and what the machine's role needs for it.

A step is an object. `states` gives its states, in the order in which they are written down, and `permissions` what Step Functions does for them with the role
of the machine. The machine asks for nothing else, so a new kind is one class here or elsewhere; how to write one:

- The first state is called `Step <name>` (`self.state()`), every other one `Step <name>: <what>` (`self.state("wait")`), so steps never share a state.
- A good step goes on to `place.next_`. One that has failed for good goes to `place.failed` with `$.failure = {"Error": ..., "Cause": ...}`, which is where
  `catch` puts it: the machine then adds the step's name, and the run recorder makes reason and sentence of the three. A step that finds out by itself that it
  failed (a status that it looked up) says so in a `Pass` with `Parameters {"Error": "RunFailed", "Cause.$": ...}` and `ResultPath $.failure`; a cause that
  reads `RunFailed: <reason>: <message>` is taken word for word, reasons are those of docs/cli.md.
- Remote work that outlives a failed task is cancelled on the way: let the task's Catch lead to a state that cancels, with `ResultPath: null` and a Catch of its
  own (cancelling may fail too), and let both lead to `place.failed`. `$.failure` is then still what went wrong first.
- Every task has a TimeoutSeconds, and a Retry before its Catch; what is retried must be safe to repeat. `tried_twice` makes the four states by which a job that
  failed for a reason that may pass is run once again.
- What a step keeps for itself between two of its states lies in `$.work`; the next step may overwrite it. The input of the run stays as it is: `$.run_id`,
  `$.attempt`, `$.trigger`, `$.manifest`, `$.batch_id` and `$.files` are there in every state.
- A step without a job of its own that keeps the audit asks the recorder to: `function_task(place.functions, place.functions.recorder, {...})`.
- What several steps of a run share and what costs as long as it is there, such as a cluster, is `surroundings`: see `Surroundings`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from constructs_lib.arns import job_arn
from constructs_lib.checks import require, require_range

State = dict[str, Any]
"""A state as Amazon States Language writes it."""

SECOND_TRY_WAIT_SECONDS = 10
FUNCTION_TIMEOUT_SECONDS = 90
JOB_GRACE_SECONDS = 300
"""How much longer than the job itself its task may take: starting, queueing and stopping."""

MAX_STEP_NAME = 50
"""The name of a state has 80 characters at most, and what stands around a step's name takes up to 29."""

MAX_STATE_NAME = 80

AFTER_FAILURE = " after failure"
"""End of the names of states that remove what a failed run leaves."""

RUN_GLUE_JOBS = ("glue:BatchStopJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:StartJobRun")
"""What Step Functions asks for to run a Glue job and wait for it, as its guide lists it; the laptop's needs no GetJobRuns."""

RUN_ARGUMENTS = ("--attempt", "--batch_id", "--manifest", "--run_id")
"""Arguments by which a job learns which run it is."""

_STEP_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_STEP_NAME}}}")
"""No blanks and no colons, which the names of a step's states are made with: so no step can be called like a state of another."""

FUNCTION_RETRY = [
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

_GLUE_RETRY = [
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

FINAL = ("*RunFailed: *", "*AccessDenied*", "*not authorized to perform*")
"""What a failed job says when another try would end the same way, whatever ran it: the job's own verdict, or that it lacks a permission."""

_GLUE_FINAL = (
    "*RunFailed: *",
    '*"JobRunState":"TIMEOUT"*',
    '*"JobRunState":"STOPPED"*',
    "*AccessDenied*",
    "*not authorized to perform*",
)
"""The same of Glue, where its time may also be up or somebody may have stopped it."""

_TOKEN = re.compile(r"(\$\{Token\[[^\]]*\]\})")
_SPECIAL = re.compile(r"[\\'{}]")


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


@dataclass(frozen=True, kw_only=True)
class StepPlace:
    """Where a step stands in its machine.

    Attributes:
        functions: What every machine calls.
        pipeline: Name of the pipeline.
        next_: State that a good step goes on to.
        failed: State that a failed step goes to, with what went wrong in `$.failure`.
        has_manifest: Whether runs are given a manifest of files.
    """

    functions: MachineFunctions
    pipeline: str
    next_: str
    failed: str
    has_manifest: bool


@dataclass(frozen=True, kw_only=True)
class Permission:
    """What a step needs of the role of its machine; the arguments of `constructs_lib.permissions.allow`.

    Attributes:
        actions: Actions in full.
        resources: ARNs.
        conditions: IAM condition block.
        because: Why a resource has to be a pattern.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, Any]] | None = None
    because: str | None = None


class Surroundings(ABC):
    """Something that steps of a run share and that must not outlive it, such as a cluster.

    The machine makes it before the first step that needs it and removes it after the last one. While it is there, whatever fails leads through its removal, once it
    is known what failed. Its states are called `<name>` and `<name>: <what>`, and what it keeps lies in `$.<name in small letters>`.

    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What its states are called by, with a capital letter."""

    @property
    @abstractmethod
    def seconds(self) -> int:
        """Longest that making and removing it may take together."""

    @abstractmethod
    def opening(self, place: StepPlace) -> Mapping[str, State]:
        """States that make it, the first one first. If it cannot be made they say so in `$.failure` and `$.step`, and lead into the closing states that are
        called `AFTER_FAILURE` and can remove what may be there of it.
        """

    @abstractmethod
    def closing(self, place: StepPlace, *, after: str) -> Mapping[str, State]:
        """States that remove it, the first one first.

        Args:
            place: They lead to its `next_`; to its `failed` if it may still be there.
            after: What the names of the states end in: nothing, or `AFTER_FAILURE`, where `$.failure` must stay as it is.
        """

    @abstractmethod
    def permissions(self) -> Sequence[Permission]:
        """What Step Functions does for these states with the role of the machine."""


@dataclass(frozen=True, kw_only=True)
class MachineStep(ABC):
    """A step of a pipeline, of any kind.

    Attributes:
        name: Name of the step, unique in its pipeline: up to 50 letters, digits, `-` and `_`.
        timeout_minutes: Longest that the step may take, beside starting and stopping.
    """

    name: str
    timeout_minutes: int

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: The name is none, or there is no time.
        """
        is_name = _STEP_NAME.fullmatch(self.name) is not None
        require(is_name, f"{self.name!r} is no name of a step: use 1-{MAX_STEP_NAME} letters, digits, - and _")
        require_range(self.timeout_minutes, name=f"timeout_minutes of step {self.name}", at_least=1)

    def state(self, what: str = "") -> str:
        """Name of one of its states; the first state has no `what`."""
        return f"Step {self.name}: {what}" if what else f"Step {self.name}"

    @abstractmethod
    def states(self, place: StepPlace) -> Mapping[str, State]:
        """Its states by name, the first one first."""

    @abstractmethod
    def permissions(self) -> Sequence[Permission]:
        """What Step Functions does for these states with the role of the machine."""

    @property
    def surroundings(self) -> Surroundings | None:
        """What the machine makes before the first step that needs it and removes after the last one, however the run ends; most kinds need nothing."""
        return None


@dataclass(frozen=True, kw_only=True)
class GlueStep(MachineStep):
    """A step that runs a Glue job.

    Attributes:
        job_name: Glue job.
        arguments: Arguments of every run besides those that say which run it is.
    """

    job_name: str
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: The name is none, there is no job or no time, or an argument is none or belongs to the machine.
        """
        super().__post_init__()
        require(bool(self.job_name), f"step {self.name} has no job_name: give the name of a Glue job, such as GlueSparkJob's job_name")
        check_arguments(self.name, self.arguments)

    def states(self, place: StepPlace) -> Mapping[str, State]:
        """See `MachineStep`."""
        return tried_twice(self, place, final=_GLUE_FINAL, task=lambda on_error: self._task(place, on_error=on_error))

    def permissions(self) -> Sequence[Permission]:
        """See `MachineStep`."""
        return (Permission(actions=RUN_GLUE_JOBS, resources=(job_arn(self.job_name),)),)

    def _task(self, place: StepPlace, *, on_error: str) -> State:
        return {
            "Type": "Task",
            "Resource": f"arn:{place.functions.partition}:states:::glue:startJobRun.sync",
            "Parameters": {"JobName": self.job_name, "Arguments": {**run_arguments(place), **self.arguments}},
            "ResultPath": None,
            "TimeoutSeconds": self.timeout_minutes * 60 + JOB_GRACE_SECONDS,
            "Retry": _GLUE_RETRY,
            "Catch": catch(on_error),
            "Next": place.next_,
        }


def array_of(arguments: Mapping[str, str], *, before: Sequence[str] = ()) -> str:
    """Arguments as a call of States.Array; values of the run stay paths and calls.

    Args:
        arguments: Values by name; the name of one that is a path or a call ends in `.$`.
        before: Words that come before them.
    """
    parts = [_quoted(word) for word in before]
    for name, value in arguments.items():
        is_path = name.endswith(".$")
        parts += [_quoted(name.removesuffix(".$")), value if is_path else _quoted(value)]
    return f"States.Array({', '.join(parts)})"


def _quoted(text: str) -> str:
    """A text as an intrinsic function takes it; what CloudFormation fills in is left alone."""
    pieces = _TOKEN.split(text)
    return "'" + "".join(piece if _TOKEN.fullmatch(piece) else _SPECIAL.sub(r"\\\g<0>", piece) for piece in pieces) + "'"


def run_arguments(place: StepPlace) -> dict[str, str]:
    """Arguments by which a job learns which run it is, as the machine fills them in."""
    files = (
        {"--manifest.$": "$.manifest", "--batch_id.$": "$.batch_id"} if place.has_manifest else {"--manifest": "none", "--batch_id": "none"}
    )
    return {"--run_id.$": "$.run_id", "--attempt.$": "States.Format('{}', $.attempt)", **files}


def check_arguments(step: str, arguments: Mapping[str, str]) -> None:
    """Refuse arguments of a job that would not reach it, or that the machine gives.

    Raises:
        InvalidProps: One does not begin with `--`, or says which run it is.
    """
    for name in arguments:
        require(name.startswith("--"), f"job arguments start with `--`: write --{name.lstrip('-')} for {name!r} in step {step}")
        require(name not in RUN_ARGUMENTS, f"{name} says which run it is, and the machine fills it in: leave it out of step {step}")


def tried_twice(step: MachineStep, place: StepPlace, *, task: Callable[[str], State], final: Sequence[str] = FINAL) -> dict[str, State]:
    """A job that is run once again if it failed for a reason that may pass, such as a lost driver or a broken connection.

    Args:
        step: The step.
        place: Where it stands.
        task: Gives the state that runs the job, for the state that its Catch leads to.
        final: Patterns of causes for which another try would end the same way.
    """
    question, wait, again = step.state("may it be tried again?"), step.state("wait"), step.state("second try")
    may_pass: list[dict[str, Any]] = [
        {"Variable": "$.failure.Error", "StringEquals": "States.TaskFailed"},
        # The States Language promises an Error, and usually a Cause: a path that is not there ends the machine, and no Catch helps.
        {"Variable": "$.failure.Cause", "IsPresent": True},
        *({"Not": {"Variable": "$.failure.Cause", "StringMatches": pattern}} for pattern in final),
    ]
    return {
        step.state(): task(question),
        question: {"Type": "Choice", "Choices": [{"And": may_pass, "Next": wait}], "Default": place.failed},
        wait: {"Type": "Wait", "Seconds": SECOND_TRY_WAIT_SECONDS, "Next": again},
        again: task(place.failed),
    }


def function_task(
    functions: MachineFunctions,
    function: str,
    payload: Mapping[str, Any],
    *,
    next_: str,
    on_error: str,
    result_path: str | None,
    selector: Mapping[str, str] | None = None,
    retry: Sequence[Mapping[str, Any]] = (),
) -> State:
    """A state that calls a function and waits for its answer.

    Args:
        functions: What every machine calls.
        function: ARN of the function.
        payload: What it is given.
        next_: State that follows.
        on_error: State that follows if it fails for good; what went wrong is then in `$.failure`.
        result_path: Where the answer goes; None keeps the input as it was.
        selector: What of the answer is kept.
        retry: Rules of retrying; by default those of a function that may be called again.
    """
    return {
        "Type": "Task",
        "Resource": f"arn:{functions.partition}:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": payload},
        **({"ResultSelector": selector} if selector is not None else {}),
        "ResultPath": result_path,
        "TimeoutSeconds": FUNCTION_TIMEOUT_SECONDS,
        "Retry": [*(retry or FUNCTION_RETRY)],
        "Catch": catch(on_error),
        "Next": next_,
    }


def catch(next_: str) -> list[dict[str, Any]]:
    """Where a task goes when it has failed for good; what went wrong is then in `$.failure`."""
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": next_}]
