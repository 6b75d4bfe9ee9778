"""`lake stop`: ends a run that is under way, by the end of its execution; the audit then says who did it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from cli.errors import CommandError, WrongUseError
from cli.progress import Progress
from cli.runs import run_of, trail
from cli.session import Session
from cli.stop_results import Stopped
from lakehouse.audit_records import RunRecord, RunTrail
from lakehouse.clock import utc_now

POLL_SECONDS = 1.0
"""Pause between two looks at the audit."""

RECORDED_SECONDS = 120.0
"""Longest wait for the record of the end: EventBridge tells the recorder of it, mostly within seconds."""

_ERROR = "Stopped"
_ABORTED = "aborted"


def stop(
    session: Session,
    *,
    run: str,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Stopped:
    """Stop the execution of a run, and with it the job run, step and cluster that it waits for; returns once the audit has its end.

    Args:
        session: Environment.
        run: Id of the run, the beginning of one, or `latest`.
        progress: Where to show what is under way.
        clock: Seconds that only go forward.
        sleep: Waits some seconds.

    Raises:
        WrongUseError: There is no such run, it is over, or it is one row of a group.
        CommandError: It ended by itself first, or the record of its end did not come.
    """
    found = trail(session, run=run)
    record = found.run
    execution = _execution_of(session, record)
    who = session.client("sts").get_caller_identity()["Arn"]
    states = session.client("stepfunctions")
    # An execution that is over by now may be refused; the audit tells how it ended.
    with contextlib.suppress(states.exceptions.ValidationException):
        states.stop_execution(executionArn=execution, error=_ERROR, cause=f"{who}, with `lake stop`")
    deadline = clock() + RECORDED_SECONDS
    while not record.is_ended:
        progress.update(f"run {record.run_id} is stopped, its end is being recorded")
        if clock() >= deadline:
            raise CommandError(
                f"execution {execution} is over, but the audit does not say so after {RECORDED_SECONDS:.0f} s: "
                f"see `lake show {record.run_id} --env {session.env}` in a while, and the log of {session.names.function('run-recorder')}"
            )
        sleep(POLL_SECONDS)
        record = session.audit.get_run(record.run_id, pipeline=record.pipeline) or record
    if record.reason != _ABORTED:
        raise CommandError(f"run {record.run_id} of {record.pipeline} ended {record.status} by itself before it could be stopped")
    return Stopped(env=session.env, run=run_of(record, now=utc_now()), goes_on=_goes_on(found))


def _execution_of(session: Session, record: RunRecord) -> str:
    """The execution whose end is the end of the run.

    Raises:
        WrongUseError: The run is over, or it is one of several in its execution.
    """
    named = f"run {record.run_id} of {record.pipeline}"
    if record.is_ended:
        raise WrongUseError(f"{named} is over, nothing is left to stop: it ended {record.status} at {record.ended_at}")
    if record.is_lost(utc_now()):
        raise WrongUseError(f"{named} is over, nothing is left to stop: {run_of(record, now=utc_now()).message}")
    if record.execution_arn is None:
        raise WrongUseError(f"{named} has no execution yet: try again when `lake show {record.run_id} --env {session.env}` names one")
    # Rows of a group run in the one execution of the group: to stop it is to stop all of them.
    group = next(
        (
            other
            for other in session.audit.runs(statuses=("RUNNING",), limit=None)
            if other.execution_arn == record.execution_arn and record.pipeline.startswith(f"{other.pipeline}.")
        ),
        None,
    )
    if group is not None:
        raise WrongUseError(
            f"{named} is a row of the group {group.pipeline}, whose rows have one execution: "
            f"stop all of them, `lake stop {group.run_id} --env {session.env}`, and keep the row out of the next run with `lake rows disable`"
        )
    return record.execution_arn


def _goes_on(found: RunTrail) -> str:
    """A batch in Redshift belongs to the role of the machine, and the Data API lets nobody else cancel it."""
    loads = [step.step for step in found.steps if step.engine == "redshift" and step.status == "RUNNING"]
    return (
        f"step {', '.join(loads)}: if its statements have reached Redshift, they end by themselves, and the table is loaded whole or is as it was"
        if loads
        else ""
    )
