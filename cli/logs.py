"""`lake logs`: what the steps of a run wrote to CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cli.errors import CommandError
from cli.progress import Progress
from cli.results import LogLine
from cli.runs import trail
from cli.session import Session
from lakehouse.audit_records import StepRecord
from lakehouse.clock import to_text


def logs(session: Session, *, run: str, progress: Progress) -> Iterator[tuple[StepRecord, Iterator[LogLine]]]:
    """Attempts of a run's steps, oldest first, each with its lines.

    Raises:
        WrongUseError: There is no such run.
        CommandError: No step of it began.
    """
    found = trail(session, run=run)
    if not found.steps:
        why = f": {found.run.reason}: {found.run.message}" if found.run.reason else ""
        raise CommandError(f"run {found.run.run_id} is {found.run.status} and no step of it began, so it has no log{why}")
    for step in found.steps:
        progress.update(f"reading {step.log_group} {step.log_stream}")
        yield step, _lines(session, step)


def _lines(session: Session, step: StepRecord) -> Iterator[LogLine]:
    if not step.log_group:
        return
    client = session.client("logs")
    # Glue names streams by the id of the job run, with a suffix for driver and executors.
    which = {"logStreamNames": [step.log_stream]} if step.log_stream else {"logStreamNamePrefix": step.job_run_id}
    try:
        for page in client.get_paginator("filter_log_events").paginate(logGroupName=step.log_group, **which):
            for event in page["events"]:
                at = to_text(datetime.fromtimestamp(event["timestamp"] / 1000, UTC))
                yield LogLine(at=at, stream=event["logStreamName"], text=event["message"].rstrip("\n"))
    except client.exceptions.ResourceNotFoundException as error:
        raise CommandError(
            f"{step.log_group} has no log of {step.step}, attempt {step.attempt}: its retention may be over, or nothing was written"
        ) from error
