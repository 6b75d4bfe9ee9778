"""`lake run`: starts runs that nothing else has to start, and waits for their end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from cli.errors import CommandError, WrongUseError, nearest
from cli.progress import Progress
from cli.results import Runs
from cli.runs import run_of
from cli.session import Session
from lakehouse.audit_records import RunRecord
from lakehouse.clock import utc_now
from lakehouse.pipelines.spec import Arrival, PipelineSpec
from lakehouse.run_ids import new_run_id

POLL_SECONDS = 1.0
"""Pause between two looks at the audit."""


def run(
    session: Session,
    *,
    pipelines: Sequence[str],
    timeout_seconds: float,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Runs:
    """Start a run of each pipeline, side by side, and wait until all have ended.

    Args:
        session: Environment.
        pipelines: Names of pipelines that no file starts.
        timeout_seconds: Longest to wait.
        progress: Where to show what is under way.
        clock: Seconds that only go forward.
        sleep: Waits some seconds.

    Raises:
        WrongUseError: There is no such pipeline, or files start it.
        CommandError: The time is over; the runs go on.
    """
    for name in specs_of(session, pipelines):
        _require_startable(session, name)
    deadline = clock() + timeout_seconds
    started = {_start(session, name): name for name in dict.fromkeys(pipelines)}
    while True:
        found = {run_id: session.audit.get_run(run_id, pipeline=name) for run_id, name in started.items()}
        if all(record is not None and _is_over(record) for record in found.values()):
            break
        progress.update(", ".join(f"{started[run_id]} {record.status if record else 'starting'}" for run_id, record in found.items()))
        if clock() >= deadline:
            raise CommandError(
                f"not finished after {timeout_seconds:.0f} s, the runs go on: {', '.join(started)}. "
                f"See `lake runs --env {session.env}`, or wait for them: `lake wait --env {session.env}`"
            )
        sleep(POLL_SECONDS)
    return Runs(env=session.env, runs=[run_of(record, now=utc_now()) for record in found.values() if record is not None])


def specs_of(session: Session, pipelines: Sequence[str]) -> dict[str, PipelineSpec]:
    """Specs of pipelines by name, each once, in the order given.

    Raises:
        WrongUseError: There is no such pipeline.
    """
    specs = {spec.name: spec for spec in session.pipelines}
    for name in pipelines:
        if name not in specs:
            raise WrongUseError(f"there is no pipeline {name!r}: {nearest(name, specs)}")
    return {name: specs[name] for name in pipelines}


def machine_arn(session: Session, pipeline: str) -> str:
    """The state machine of a pipeline."""
    names = session.names
    return f"arn:aws:states:{names.region}:{names.account}:stateMachine:{names.state_machine(pipeline)}"


def _is_over(record: RunRecord) -> bool:
    return record.is_ended or record.is_lost(utc_now())


def _require_startable(session: Session, name: str) -> None:
    trigger = specs_of(session, [name])[name].trigger
    if isinstance(trigger, Arrival):
        raise WrongUseError(
            f"files start {name}: drop one, `lake drop {trigger.dataset} FILE --env {session.env}`, or run the files of a day again, "
            f"`lake run {name} --date YYYY-MM-DD --env {session.env}`"
        )


def _start(session: Session, pipeline: str) -> str:
    run_id = new_run_id()
    given = {
        "pipeline": pipeline, "run_id": run_id, "trigger": "manual", "attempt": 1, "manifest": None, "batch_id": None, "files": 0,
    }  # fmt: skip
    session.client("stepfunctions").start_execution(
        stateMachineArn=machine_arn(session, pipeline),
        name=f"manual-{run_id}",
        input=json.dumps(given),
    )
    return run_id
