"""`lake wait`: until every drop has ended, the queues are empty and no run is under way; then it says what failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from cli.drops import journal
from cli.errors import CommandError
from cli.progress import Progress
from cli.queues import queues
from cli.reasons import END_NOT_RECORDED
from cli.remembered import read_document, write_document
from cli.results import Dropped, Queue, Waited
from cli.runs import run_of
from cli.session import Session
from lakehouse.audit_records import UNSUCCESSFUL, RunRecord
from lakehouse.claims import AFTER, Claim, Claims
from lakehouse.clock import Clock, utc_now

POLL_SECONDS = 1.0
"""Pause between two looks."""

QUIET_LOOKS = 2
"""Looks in a row that must find nothing under way: an event is in no queue while it travels from one to the next."""


_BOOKMARK = "wait.json"


@dataclass(frozen=True, kw_only=True)
class Bookmark:
    """How far earlier waits have seen, kept in `.lake/<env>/wait.json`.

    Attributes:
        drops: Drops of the journal that have ended.
        newest_run: `started_at` of the newest run seen.
        dead: Messages in each dead-letter queue, by pipeline.
    """

    drops: int = 0
    newest_run: str = ""
    dead: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look at the environment found.

    Attributes:
        open_drops: Drops that no run has ended yet.
        runs: Runs since the bookmark, newest first.
        executions: Executions that are running, by pipeline.
        queues: Arrivals by pipeline.
        owed: Pipelines that have not dealt with what one that they follow has published.
        at: When it was taken.
    """

    open_drops: tuple[Dropped, ...]
    runs: tuple[RunRecord, ...]
    executions: dict[str, int]
    queues: tuple[Queue, ...]
    owed: tuple[str, ...]
    at: datetime

    def dead_since(self, bookmark: Bookmark) -> dict[str, int]:
        """Messages that reached a dead-letter queue since the bookmark, by pipeline."""
        return {queue.pipeline: more for queue in self.queues if (more := queue.dead - bookmark.dead.get(queue.pipeline, 0)) > 0}

    @property
    def running(self) -> tuple[str, ...]:
        """Pipelines with a run or an execution under way; a run whose end was not recorded is none."""
        names = {run.pipeline for run in self.runs if not (run.is_ended or run.is_lost(self.at))} | {
            name for name, count in self.executions.items() if count
        }
        return tuple(sorted(names))

    @property
    def waiting(self) -> int:
        """Messages that are in a queue or held by a starter."""
        return sum(queue.waiting + queue.in_flight for queue in self.queues)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing runs or waits in a queue."""
        return not (self.running or self.waiting)

    def __str__(self) -> str:
        parts = [
            f"{len(self.open_drops)} drop{'s' if len(self.open_drops) != 1 else ''} under way" if self.open_drops else "",
            f"running: {', '.join(self.running)}" if self.running else "",
            f"in queues: {self.waiting}" if self.waiting else "",
            f"to follow: {', '.join(self.owed)}" if self.owed else "",
        ]
        return "; ".join(part for part in parts if part) or "settling"


def wait(
    session: Session,
    *,
    timeout_seconds: float,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    now: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> Waited:
    """Wait until nothing is under way.

    Args:
        session: Environment.
        timeout_seconds: Longest to wait.
        progress: Where to show what is under way.
        clock: Seconds that only go forward.
        now: Gives the present moment.
        sleep: Waits some seconds.

    Raises:
        CommandError: The time is over; the text says what was still under way.
    """
    bookmark = _read(session)
    drops = journal(session)
    if bookmark.drops > len(drops):
        bookmark = Bookmark()
    deadline = clock() + timeout_seconds
    quiet = 0
    still_open: Sequence[Dropped] = drops[bookmark.drops :]
    while True:
        look = _look(session, drops=still_open, bookmark=bookmark, now=now())
        still_open = look.open_drops
        dead = look.dead_since(bookmark)
        # What went to the dead-letter queue will never have a run.
        lost = all(_pipeline_of(session, drop) in dead for drop in look.open_drops) and all(pipeline in dead for pipeline in look.owed)
        quiet = quiet + 1 if look.is_quiet and lost else 0
        if quiet >= QUIET_LOOKS:
            break
        progress.update(str(look))
        if clock() >= deadline:
            raise CommandError(_overdue(look, timeout_seconds, session))
        sleep(POLL_SECONDS)
    _write(session, look, drops=len(drops), bookmark=bookmark)
    runs = [run_of(run, now=look.at) for run in reversed(look.runs)]
    return Waited(
        env=session.env,
        drops=len(drops) - bookmark.drops,
        runs=runs,
        failed=[run for run in runs if run.status in UNSUCCESSFUL or run.reason == END_NOT_RECORDED],
        dead_letters={session.names.dead_letter_queue(pipeline): count for pipeline, count in dead.items()},
    )


def _look(session: Session, *, drops: Sequence[Dropped], bookmark: Bookmark, now: datetime) -> Look:
    since = tuple(run for run in session.audit.runs(since=bookmark.newest_run or None, limit=None) if run.started_at > bookmark.newest_run)
    # What still runs from before the bookmark counts too; a lost run was told of by the wait that set it.
    known = {run.run_id for run in since}
    running = session.audit.runs(statuses=("RUNNING",), limit=None)
    runs = since + tuple(run for run in running if run.run_id not in known and not run.is_lost(now))
    claims = Claims(client=session.client("dynamodb"), table=session.names.run_table("control"), audit=session.audit)
    return Look(
        open_drops=tuple(
            drop
            for drop in drops
            if not _has_ended(session, claims.get(bucket=drop.bucket, key=drop.key, version_id=drop.version_id), now=now)
        ),
        runs=runs,
        executions={pipeline.name: _executions(session, pipeline.name) for pipeline in session.pipelines},
        queues=tuple(queues(session)),
        owed=tuple(_owed(session, claims, runs, now=now)),
        at=now,
    )


def _owed(session: Session, claims: Claims, runs: Sequence[RunRecord], *, now: datetime) -> Iterator[str]:
    """Pipelines that have not dealt with what one that they follow has published."""
    published = [run for run in runs if run.has_published and run.execution_arn is not None]
    for pipeline, upstream in session.follows.items():
        told = [run.execution_arn or "" for run in published if run.pipeline in upstream]
        if not all(_has_ended(session, claims.get(bucket=AFTER, key=pipeline, version_id=execution), now=now) for execution in told):
            yield pipeline


def _has_ended(session: Session, claim: Claim | None, *, now: datetime) -> bool:
    if claim is None:
        return False
    if claim.status == "SKIPPED":
        return True
    run = session.audit.get_run(claim.run_id, pipeline=claim.pipeline)
    return run is not None and (run.is_ended or run.is_lost(now))


def _executions(session: Session, pipeline: str) -> int:
    machine = f"arn:aws:states:{session.names.region}:{session.names.account}:stateMachine:{session.names.state_machine(pipeline)}"
    return len(
        session.client("stepfunctions").list_executions(stateMachineArn=machine, statusFilter="RUNNING", maxResults=100)["executions"]
    )


def _pipeline_of(session: Session, drop: Dropped) -> str:
    return session.arrivals.get(drop.dataset, "")


def _overdue(look: Look, seconds: float, session: Session) -> str:
    files = ", ".join(drop.key for drop in look.open_drops[:3])
    more = f" (such as {files})" if files else ""
    return (
        f"not finished after {seconds:.0f} s: {look}{more}. "
        f"See `lake runs --env {session.env}` and `lake status --env {session.env}`, or wait longer with --timeout"
    )


def _read(session: Session) -> Bookmark:
    document = read_document(session.state / _BOOKMARK)
    return Bookmark() if document is None else Bookmark(**document)


def _write(session: Session, look: Look, *, drops: int, bookmark: Bookmark) -> None:
    newest = max((run.started_at for run in look.runs), default=bookmark.newest_run)
    mark = Bookmark(drops=drops, newest_run=max(newest, bookmark.newest_run), dead={queue.pipeline: queue.dead for queue in look.queues})
    write_document(session.state / _BOOKMARK, asdict(mark))
