"""Repeats a run over the same files: `python -m cli.repeat RUN [--env NAME]`."""

from __future__ import annotations

import json
import sys
from typing import Any

import typer

from cli.errors import WrongUseError
from cli.main import run
from cli.options import Env, RunId
from cli.output import TextOutput
from cli.results import Done, RunDetail
from cli.runs import show
from cli.session import Session, open_session
from lakehouse.run_ids import new_run_id

app = typer.Typer(name="python -m cli.repeat", add_completion=False, pretty_exceptions_enable=False)


@app.command()
def repeat(run: RunId, env: Env = "local") -> None:
    """Start a run over the files of another, or after the same upstream success."""
    session = open_session(env)
    run_id = start(session, show(session, run=run))
    TextOutput().show(Done(text=f"run {run_id} started", next=f"lake wait --env {env}"))


def start(session: Session, detail: RunDetail) -> str:
    """Start a run over the files of another one.

    Returns:
        Id of the new run.

    Raises:
        WrongUseError: The other one never had an execution, or still runs.
    """
    former = detail.run
    if not detail.execution_arn:
        raise WrongUseError(f"run {former.run_id} is {former.status} and never began ({former.reason}): there is nothing to repeat")
    if former.status == "RUNNING" and not former.reason:
        raise WrongUseError(f"run {former.run_id} is still RUNNING: wait for its end, `lake wait --env {session.env}`")
    run_id = new_run_id()
    machine = detail.execution_arn.replace(":execution:", ":stateMachine:").rpartition(":")[0]
    session.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(machine_input(detail, run_id=run_id)))
    return run_id


def machine_input(detail: RunDetail, *, run_id: str) -> dict[str, Any]:
    """Input of the execution that repeats a run; docs/operating.md has the meaning of each key."""
    return {
        "pipeline": detail.run.pipeline,
        "run_id": run_id,
        "trigger": "manual",
        "attempt": detail.run.attempt + 1,
        "manifest": detail.manifest,
        "batch_id": detail.batch_id,
        "files": detail.file_count,
    }


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:], application=app))
