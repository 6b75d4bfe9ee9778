"""`lake logs`: what the steps of a run wrote to CloudWatch Logs, or, on clusters, to the bucket for logs."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime

from cli.errors import CommandError
from cli.progress import Progress
from cli.results import LogLine
from cli.runs import trail
from cli.session import Session
from lakehouse.audit_records import StepRecord
from lakehouse.clock import to_text

_S3 = "s3://"
_DRIVER = "_000001/"
"""Place of a driver in its application: YARN starts it first."""


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
    if step.log_group.startswith(_S3):
        yield from _files(session, step)
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


def _files(session: Session, step: StepRecord) -> Iterator[LogLine]:
    """Lines of the driver of a step on a cluster; EMR brings the files some minutes after they were written."""
    client = session.client("s3")
    bucket, _, folder = f"{step.log_group}/{step.log_stream}".removeprefix(_S3).partition("/")
    found = False
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{folder.rstrip('/')}/"):
        for item in page.get("Contents", ()):
            key = str(item["Key"])
            if _DRIVER not in key:
                continue
            found = True
            content = client.get_object(Bucket=bucket, Key=key)["Body"].read()
            text = (gzip.decompress(content) if key.endswith(".gz") else content).decode(errors="replace")
            for line in text.splitlines():
                yield LogLine(at=to_text(item["LastModified"]), stream=key.rpartition("/")[2], text=line)
    if not found:
        raise CommandError(
            f"{step.log_group}/{step.log_stream} holds no log of {step.step}, attempt {step.attempt}: EMR brings it some minutes after it was written"
        )
