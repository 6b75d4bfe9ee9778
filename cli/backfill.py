"""`lake run` for days: each day of a range is run again, in order, a bounded number of pipelines side by side; what has succeeded is not repeated.

What a day means follows from what starts the pipeline:

- files: the file versions in the raw folder of that day which arrivals have claimed, in a manifest of their own. Bronze gets those that it lacks, and silver and
  quarantine become what the contracts of today make of all of them.
- nothing but the clock, a person or other pipelines: the date in the input of the execution.

What was asked for before is known by the name of its execution, `backfill-<date>-<request>-<number>`, which the audit keeps: a command that was interrupted
goes on where it was, on whatever machine.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from cli.drops import raw_folder
from cli.errors import CommandError, WrongUseError
from cli.progress import Progress
from cli.results import Backfill, BackfillDay, DayOutcome
from cli.run import POLL_SECONDS, machine_arn, specs_of
from cli.runs import run_of
from cli.session import Session
from lakehouse.audit_records import RunRecord
from lakehouse.claims import Claims
from lakehouse.clock import utc_now
from lakehouse.manifests import Manifest, ManifestFile, ManifestStore
from lakehouse.pipelines.spec import Arrival
from lakehouse.run_ids import new_run_id

MAX_DAYS = 366
"""Most days of one command."""

CONCURRENCY = 2
"""Pipelines that run side by side unless the user says otherwise."""

MAX_CONCURRENCY = 20

_REQUEST_LENGTH = 12
_TRIGGER = "backfill"


@dataclass(frozen=True, kw_only=True)
class Day:
    """What is asked for of one day of one pipeline.

    Attributes:
        pipeline: The pipeline.
        date: The day.
        manifest: File versions that are run, or None for a pipeline that no file starts.
        unclaimed: Files of the day that no arrival has claimed.
    """

    pipeline: str
    date: date
    manifest: Manifest | None = None
    unclaimed: int = 0

    @property
    def name(self) -> str:
        """What the names of its executions begin with: the same day of the same files has the same."""
        asked = f"{self.pipeline}\n{self.date}\n{self.manifest.batch_id if self.manifest else ''}"
        return f"backfill-{self.date}-{hashlib.sha256(asked.encode()).hexdigest()[:_REQUEST_LENGTH]}-"

    @property
    def files(self) -> int:
        """Number of its files."""
        return len(self.manifest.files) if self.manifest else 0

    @property
    def has_nothing(self) -> bool:
        """Whether files start the pipeline, and there are none."""
        return self.manifest is not None and not self.manifest.files


def days_of(*, day: date | None, first: date | None, last: date | None, today: date) -> tuple[date, ...]:
    """The days that `--date`, `--from` and `--to` name, in order; none if none of them is given.

    Raises:
        WrongUseError: They contradict each other, or the days lie ahead or are too many.
    """
    if day is not None and (first is not None or last is not None):
        raise WrongUseError("--date names one day, --from and --to a range: give the one or the others")
    if (first is None) != (last is None):
        raise WrongUseError("--from and --to name a range together, both days included: give both, or --date for one day")
    begin, end = day or first, day or last
    if begin is None or end is None:
        return ()
    if begin > end:
        raise WrongUseError(f"--from {begin} lies after --to {end}: exchange them")
    if end > today:
        raise WrongUseError(f"{end} lies ahead, today is {today} in UTC: name days that have begun")
    count = (end - begin).days + 1
    if count > MAX_DAYS:
        raise WrongUseError(f"{begin} to {end} are {count} days, a command takes {MAX_DAYS} at most: split the range")
    return tuple(begin + timedelta(days=number) for number in range(count))


def backfill(
    session: Session,
    *,
    pipelines: Sequence[str],
    days: Sequence[date],
    concurrency: int,
    is_again: bool,
    timeout_seconds: float,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Backfill:
    """Run days of pipelines: those of one pipeline one after another, as its tables have one writer, and several pipelines side by side.

    A day whose run publishes nothing ends its pipeline: the days after it are not started.

    Args:
        session: Environment.
        pipelines: Names of pipelines.
        days: Days in order.
        concurrency: Pipelines that run side by side.
        is_again: Whether days that have succeeded are run again.
        timeout_seconds: Longest to wait.
        progress: Where to show what is under way.
        clock: Seconds that only go forward.
        sleep: Waits some seconds.

    Raises:
        WrongUseError: There is no such pipeline.
        CommandError: The time is over; the runs go on.
    """
    lines = [_Line(session, name=name, days=days, is_again=is_again) for name in specs_of(session, pipelines)]
    deadline = clock() + timeout_seconds
    while True:
        for line in lines:
            line.look()
        for line in lines:
            if not line.is_running and sum(other.is_running for other in lines) < concurrency:
                line.go_on()
        running = [line for line in lines if line.is_running]
        if not running and all(line.is_over for line in lines):
            break
        done = sum(len(line.results) for line in lines)
        progress.update(f"{done} of {len(lines) * len(days)} days done; running: {', '.join(map(str, running))}")
        if clock() >= deadline:
            raise CommandError(
                f"not finished after {timeout_seconds:.0f} s, what runs goes on: {', '.join(map(str, running))}. Repeat the command: it goes on where it is"
            )
        sleep(POLL_SECONDS)
    return Backfill(env=session.env, days=sorted((day for line in lines for day in line.results), key=lambda day: (day.date, day.pipeline)))


@dataclass
class _Line:
    """The days of one pipeline, one after another."""

    session: Session
    name: str
    days: Sequence[date]
    is_again: bool
    results: list[BackfillDay] = field(default_factory=list[BackfillDay])

    def __post_init__(self) -> None:
        self._left = deque(self.days)
        self._running: tuple[Day, str] | None = None
        self._earlier: list[RunRecord] | None = None

    def __str__(self) -> str:
        return f"{self.name} {self._running[0].date}" if self._running else self.name

    @property
    def is_running(self) -> bool:
        """Whether a run of it is under way."""
        return self._running is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be done."""
        return self._running is None and not self._left

    def look(self) -> None:
        """See whether the run that is under way has ended."""
        if self._running is None:
            return
        day, run_id = self._running
        record = self.session.audit.get_run(run_id, pipeline=self.name)
        if record is None or not (record.is_ended or record.is_lost(utc_now())):
            return
        self._running = None
        self._note(day, outcome="FAILED" if record.status == "RUNNING" else record.status, record=record)
        if not (record.has_published or record.status == "SKIPPED"):
            while self._left:
                self._note(Day(pipeline=self.name, date=self._left.popleft()), outcome="NOT_STARTED", message=f"{day.date} has failed")

    def go_on(self) -> None:
        """Start the next day that has something to do."""
        while self._left and self._running is None:
            self._begin(day_of(self.session, pipeline=self.name, date=self._left.popleft()))

    def _begin(self, day: Day) -> None:
        if day.has_nothing:
            self._note(day, outcome="NO_FILES", message=f"no file of {day.date} has arrived{_unclaimed(day)}")
            return
        earlier = [record for record in self._runs() if _execution(record).startswith(day.name)]
        newest = max(earlier, key=lambda record: record.run_id, default=None)
        if newest is not None and not self.is_again:
            if newest.status in {"SUCCEEDED", "SKIPPED"}:
                message = f"run {newest.run_id} has done it at {newest.ended_at}; --again repeats it"
                self._note(day, outcome="DONE_BEFORE", record=newest, message=message)
                return
            if newest.status == "RUNNING" and not newest.is_lost(utc_now()):
                self._running = (day, newest.run_id)
                return
        self._running = (day, _start(self.session, day, number=1 + max(map(_number, earlier), default=0)))

    def _runs(self) -> list[RunRecord]:
        if self._earlier is None:
            self._earlier = self.session.audit.runs(pipeline=self.name, limit=None)
        return self._earlier

    def _note(self, day: Day, *, outcome: DayOutcome, record: RunRecord | None = None, message: str = "") -> None:
        self.results.append(
            BackfillDay(
                pipeline=self.name,
                date=day.date.isoformat(),
                outcome=outcome,
                files=day.files,
                message=message or (f"{day.unclaimed} files were left out{_unclaimed(day)}" if day.unclaimed else ""),
                run=None if record is None else run_of(record, now=utc_now()),
            )
        )


def day_of(session: Session, *, pipeline: str, date: date) -> Day:
    """What a day of a pipeline consists of.

    Args:
        session: Environment.
        pipeline: Name of a pipeline.
        date: The day.
    """
    trigger = next(spec.trigger for spec in session.pipelines if spec.name == pipeline)
    if not isinstance(trigger, Arrival):
        return Day(pipeline=pipeline, date=date)
    claims = Claims(client=session.client("dynamodb"), table=session.names.run_table("control"), audit=session.audit)
    bucket, files, unclaimed = session.names.bucket("raw"), list[ManifestFile](), 0
    for key, version in _versions(session, bucket=bucket, prefix=raw_folder(session, dataset=trigger.dataset, day=date)):
        claim = claims.get(bucket=bucket, key=key, version_id=version)
        if claim is None:
            unclaimed += 1
        elif claim.status != "SKIPPED" and claim.read_as:
            files.append(claim.manifest_file())
    manifest = Manifest.of(dataset=trigger.dataset, pipeline=pipeline, files=files)
    return Day(pipeline=pipeline, date=date, manifest=manifest, unclaimed=unclaimed)


def _versions(session: Session, *, bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
    pages = session.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for version in page.get("Versions", ()):
            yield version["Key"], version["VersionId"]


def _start(session: Session, day: Day, *, number: int) -> str:
    run_id = new_run_id()
    store = ManifestStore(client=session.client("s3"), bucket=session.names.bucket("logs"))
    given = {
        "pipeline": day.pipeline,
        "run_id": run_id,
        "trigger": _TRIGGER,
        "attempt": number,
        "manifest": store.write(day.manifest) if day.manifest else None,
        "batch_id": day.manifest.batch_id if day.manifest else None,
        "files": day.files,
        "date": day.date.isoformat(),
    }
    states = session.client("stepfunctions")
    try:
        states.start_execution(stateMachineArn=machine_arn(session, day.pipeline), name=f"{day.name}{number}", input=json.dumps(given))
    except states.exceptions.ExecutionAlreadyExists as error:
        raise CommandError(
            f"{day.pipeline} of {day.date} was started by somebody else just now: repeat the command, it waits for that run"
        ) from error
    return run_id


def _execution(record: RunRecord) -> str:
    return (record.execution_arn or "").rpartition(":")[2]


def _number(record: RunRecord) -> int:
    number = _execution(record).rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def _unclaimed(day: Day) -> str:
    if not day.unclaimed:
        return ""
    return f": {day.unclaimed} lie in raw that no arrival has claimed; they wait in the queue (`lake status`), or drop them again"
