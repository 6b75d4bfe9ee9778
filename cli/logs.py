"""`lake logs`: what the steps of a run wrote to CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cli.errors import CommandError
from cli.progress import Progress
from cli.results import LogLine
from cli.runs import trail
from cli.session import Session
from lakehouse.audit import StepRecord
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
    client = session.client("logs")
    if not step.log_group:
        return
    request = {"logGroupName": step.log_group, "startFromHead": True}
    try:
        for stream in _streams(client, step):
            token: str | None = None
            while True:
                page = client.get_log_events(**request, logStreamName=stream, **({"nextToken": token} if token else {}))
                for event in page["events"]:
                    at = to_text(datetime.fromtimestamp(event["timestamp"] / 1000, UTC))
                    yield LogLine(at=at, stream=stream, text=event["message"].rstrip("\n"))
                # The last page answers the token that it was asked with.
                if page["nextForwardToken"] == token:
                    break
                token = page["nextForwardToken"]
    except client.exceptions.ResourceNotFoundException as error:
        raise CommandError(f"the log group {step.log_group} is not there: its retention may be over, or nothing was written") from error


def _streams(client: object, step: StepRecord) -> list[str]:
    if step.log_stream:
        return [step.log_stream]
    # Glue names streams by the id of the job run, with a suffix for driver and executors.
    pages = client.get_paginator("describe_log_streams").paginate(  # pyright: ignore[reportAttributeAccessIssue] # boto3 has no types
        logGroupName=step.log_group, logStreamNamePrefix=step.job_run_id
    )
    return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
