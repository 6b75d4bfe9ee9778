"""A step that runs one job for each row of a group, some at a time; no row stops another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from constructs_lib.arns import job_arn
from constructs_lib.checks import require, require_range
from constructs_lib.orchestration.steps import (
    JOB_GRACE_SECONDS,
    RUN_GLUE_JOBS,
    SECOND_TRY_WAIT_SECONDS,
    GlueStep,
    MachineStep,
    Permission,
    State,
    StepPlace,
    catch,
    check_arguments,
    function_task,
)

MAX_CONCURRENCY = 40
"""Most iterations that Step Functions runs at a time of a Map that lies in its own history."""

MAX_NAME = 35
"""The states of a row's job are named after the step, and a state's name has 80 characters."""

_ROW = ("row", "pipeline", "run_id", "refused", "cause")
"""What the recorder tells of each row: see `begin_rows` in lambdas/run_recorder."""


@dataclass(frozen=True, kw_only=True)
class RowsStep(MachineStep):
    """A step that asks the recorder which rows the run deals with, runs a Glue job for each, and asks it to note what became of them.

    Each row is a pipeline of its own: its run begins, ends and fails in the audit by itself, with metrics of its own. A row that the recorder refuses, or
    whose job fails for good, ends failed, and the others go on; the recorder then judges the whole, so that a run with a failed row fails at its end.

    Attributes:
        job_name: Glue job; it is told `--row`, `--pipeline` and which run it is.
        timeout_minutes: Longest that the job of one row may run.
        concurrency: Most rows at a time.
        arguments: Further arguments of every run.
    """

    job_name: str
    concurrency: int = 4
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: The name is none or too long, there is no job or no time, the concurrency is out of range, or an argument is none.
        """
        super().__post_init__()
        require(len(self.name) <= MAX_NAME, f"the name of a step with rows has at most {MAX_NAME} characters, got {self.name!r}")
        require(bool(self.job_name), f"step {self.name} has no job_name: give the name of a Glue job, such as GlueSparkJob's job_name")
        require_range(
            self.concurrency, name=f"concurrency of step {self.name}", at_least=1, at_most=MAX_CONCURRENCY, why="Step Functions' most"
        )
        check_arguments(self.name, self.arguments)

    def states(self, place: StepPlace) -> Mapping[str, State]:
        """See `MachineStep`."""
        asked = {"pipeline": place.pipeline, "run_id.$": "$.run_id", "step": self.name}
        recorder = place.functions.recorder
        return {
            self.state(): function_task(
                place.functions,
                recorder,
                {"action": "begin_rows", **asked},
                next_=self.state("each row"),
                on_error=place.failed,
                result_path="$.work",
                selector={"rows.$": "$.Payload.rows"},
            ),
            self.state("each row"): {
                "Type": "Map",
                "ItemsPath": "$.work.rows",
                "MaxConcurrency": self.concurrency,
                "ItemSelector": {
                    **{f"{name}.$": f"$$.Map.Item.Value.{name}" for name in _ROW},
                    "attempt.$": "$.attempt",
                    "trigger.$": "$.trigger",
                },
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "INLINE"},
                    "StartAt": self.state("row begins"),
                    "States": self._row(place),
                },
                # What became of rows stands in the audit: here it could outgrow the 256 KB of a state.
                "ResultPath": None,
                "Catch": catch(place.failed),
                "Next": self.state("judge"),
            },
            self.state("judge"): function_task(
                place.functions,
                recorder,
                {"action": "end_rows", **asked},
                next_=place.next_,
                on_error=place.failed,
                result_path=None,
            ),
        }

    def permissions(self) -> Sequence[Permission]:
        """See `MachineStep`."""
        return (Permission(actions=RUN_GLUE_JOBS, resources=(job_arn(self.job_name),)),)

    @property
    def row_seconds(self) -> int:
        """Longest that a row may take: its job twice, and what stands around it."""
        return 2 * (self.timeout_minutes * 60 + JOB_GRACE_SECONDS) + SECOND_TRY_WAIT_SECONDS + JOB_GRACE_SECONDS

    def _row(self, place: StepPlace) -> dict[str, State]:
        """States of one row, which always end well: the Map must not stop at the first row that fails."""
        failed, over = self.state("row fails"), self.state("row is over")
        job = _RowJob(
            name=self.name,
            job_name=self.job_name,
            timeout_minutes=self.timeout_minutes,
            arguments={**self.arguments, "--pipeline.$": "$.pipeline", "--row.$": "$.row"},
        )
        finish = self.state("row ends")
        inner = StepPlace(functions=place.functions, pipeline=place.pipeline, next_=finish, failed=failed, has_manifest=False)
        recorder, run = place.functions.recorder, {"pipeline.$": "$.pipeline", "run_id.$": "$.run_id"}
        return {
            self.state("row begins"): function_task(
                place.functions,
                recorder,
                {
                    "action": "start",
                    **run,
                    "trigger.$": "$.trigger",
                    "attempt.$": "$.attempt",
                    "execution_arn.$": "$$.Execution.Id",
                    "started_at.$": "$$.State.EnteredTime",
                    "seconds": self.row_seconds,
                },
                next_=self.state("is the row refused?"),
                on_error=failed,
                result_path=None,
            ),
            self.state("is the row refused?"): {
                "Type": "Choice",
                "Choices": [{"Variable": "$.refused", "BooleanEquals": True, "Next": self.state("row is refused")}],
                "Default": job.state(),
            },
            self.state("row is refused"): {
                "Type": "Pass",
                "Parameters": {"Error": "RunFailed", "Cause.$": "$.cause"},
                "ResultPath": "$.failure",
                "Next": failed,
            },
            **job.states(inner),
            finish: function_task(place.functions, recorder, {"action": "finish", **run}, next_=over, on_error=failed, result_path=None),
            failed: function_task(
                place.functions,
                recorder,
                {"action": "fail", **run, "step": "", "failure.$": "$.failure"},
                next_=over,
                on_error=over,
                result_path=None,
            ),
            # Nothing of a row goes on: causes of 200 failures would not fit into a state.
            over: {"Type": "Pass", "Result": {}, "End": True},
        }


class _RowJob(GlueStep):
    """The job of one row; its states are called after the step that they belong to."""

    def state(self, what: str = "") -> str:
        """See `MachineStep`."""
        return f"Step {self.name}: job of a row{f', {what}' if what else ''}"
