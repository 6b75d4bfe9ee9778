"""`lake wait`: until every drop has ended, the queues are empty and no run is under way; then it says what failed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cli.drops import journal
from cli.errors import CommandError
from cli.progress import Progress
from cli.queues import queues
from cli.results import Dropped, Queue, Waited
from cli.runs import run_of
from cli.session import Session
from lakehouse.audit import UNSUCCESSFUL, RunRecord
from lakehouse.state_table import StateTable

POLL_SECONDS = 1.0
"""Pause between two looks."""

QUIET_LOOKS = 2
"""Looks in a row that must find nothing under way: an event is in no queue while it travels from one to the next."""


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
        owed: Pipelines that must still start because one that they follow has ended.
    """

    open_drops: tuple[Dropped, ...]
    runs: tuple[RunRecord, ...]
    executions: dict[str, int]
    queues: tuple[Queue, ...]
    owed: tuple[str, ...]

    def dead_since(self, bookmark: Bookmark) -> dict[str, int]:
        """Messages that reached a dead-letter queue since the bookmark, by pipeline."""
        return {queue.pipeline: more for queue in self.queues if (more := queue.dead - bookmark.dead.get(queue.pipeline, 0)) > 0}

    @property
    def running(self) -> tuple[str, ...]:
        """Pipelines with a run or an execution under way."""
        names = {run.pipeline for run in self.runs if run.status == "RUNNING"} | {name for name, count in self.executions.items() if count}
        return tuple(sorted(names))

    @property
    def waiting(self) -> int:
        """Messages that are in a queue or held by a starter."""
        return sum(queue.waiting + queue.in_flight for queue in self.queues)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way but drops, which a dead-letter queue may have taken."""
        return not (self.running or self.waiting or self.owed)

    def __str__(self) -> str:
        parts = [
            f"{len(self.open_drops)} drop{'s' if len(self.open_drops) != 1 else ''} under way" if self.open_drops else "",
            f"running: {', '.join(self.running)}" if self.running else "",
            f"in queues: {self.waiting}" if self.waiting else "",
            f"to start: {', '.join(self.owed)}" if self.owed else "",
        ]
        return "; ".join(part for part in parts if part) or "settling"


def wait(
    session: Session,
    *,
    timeout_seconds: float,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Waited:
    """Wait until nothing is under way.

    Args:
        session: Environment.
        timeout_seconds: Longest to wait.
        progress: Where to show what is under way.
        clock: Seconds that only go forward.
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
    while True:
        look = _look(session, drops=drops[bookmark.drops :], bookmark=bookmark)
        dead = look.dead_since(bookmark)
        # A drop whose arrival went to the dead-letter queue will never have a run.
        lost = bool(dead) and all(_pipeline_of(session, drop) in dead for drop in look.open_drops)
        quiet = quiet + 1 if look.is_quiet and (lost or not look.open_drops) else 0
        if quiet >= QUIET_LOOKS:
            break
        progress.update(str(look))
        if clock() >= deadline:
            raise CommandError(_overdue(look, timeout_seconds, session))
        sleep(POLL_SECONDS)
    _write(session, look, drops=len(drops), bookmark=bookmark)
    runs = [run_of(run) for run in reversed(look.runs)]
    return Waited(
        env=session.env,
        drops=len(drops) - bookmark.drops,
        runs=runs,
        failed=[run for run in runs if run.status in UNSUCCESSFUL],
        dead_letters={session.names.dead_letter_queue(pipeline): count for pipeline, count in dead.items()},
    )


def pipelines_owed(follows: Mapping[str, Sequence[str]], runs: Sequence[RunRecord]) -> tuple[str, ...]:
    """Pipelines that have not started since one that they follow has succeeded.

    Args:
        follows: Pipelines that each pipeline is started after.
        runs: Runs, in any order.
    """
    owed: list[str] = []
    for pipeline, upstream in follows.items():
        # Its state machine succeeds for a skipped run too; a file that was skipped before it never had an execution.
        ends = [
            run.ended_at or "" for run in runs if run.pipeline in upstream and run.execution_arn and run.status in {"SUCCEEDED", "SKIPPED"}
        ]
        starts = [run.started_at for run in runs if run.pipeline == pipeline]
        if ends and max(ends) > max(starts, default=""):
            owed.append(pipeline)
    return tuple(owed)


def _look(session: Session, *, drops: Sequence[Dropped], bookmark: Bookmark) -> Look:
    seen = tuple(session.audit.runs(since=bookmark.newest_run or None, limit=None))
    runs = tuple(run for run in seen if run.started_at > bookmark.newest_run or run.status == "RUNNING")
    # What still runs from before the bookmark counts too.
    running = tuple(session.audit.runs(statuses=("RUNNING",), limit=None))
    known = {run.run_id for run in runs}
    follows = {pipeline.name: pipeline.trigger.after for pipeline in session.pipelines if pipeline.trigger.after}
    return Look(
        open_drops=tuple(drop for drop in drops if not _has_ended(session, drop)),
        runs=runs + tuple(run for run in running if run.run_id not in known),
        executions={pipeline.name: _executions(session, pipeline.name) for pipeline in session.pipelines},
        queues=tuple(queues(session)),
        owed=pipelines_owed(follows, runs),
    )


def _has_ended(session: Session, drop: Dropped) -> bool:
    table = StateTable(client=session.client("dynamodb"), name=session.names.run_table("control"))
    claim = table.get({"pk": f"claim#{drop.bucket}/{drop.key}", "sk": drop.version_id})
    if claim is None:
        return False
    if claim["status"] == "SKIPPED":
        return True
    run = session.audit.get_run(claim["run_id"], pipeline=claim["pipeline"])
    return run is not None and run.is_ended


def _executions(session: Session, pipeline: str) -> int:
    machine = f"arn:aws:states:{session.names.region}:{session.names.account}:stateMachine:{session.names.state_machine(pipeline)}"
    return len(
        session.client("stepfunctions").list_executions(stateMachineArn=machine, statusFilter="RUNNING", maxResults=100)["executions"]
    )


def _pipeline_of(session: Session, drop: Dropped) -> str:
    return next((pipeline.name for pipeline in session.pipelines if pipeline.trigger.arrival == drop.dataset), "")


def _overdue(look: Look, seconds: float, session: Session) -> str:
    files = ", ".join(drop.key for drop in look.open_drops[:3])
    more = f" (such as {files})" if files else ""
    return (
        f"not finished after {seconds:.0f} s: {look}{more}. "
        f"See `lake runs --env {session.env}` and `lake status --env {session.env}`, or wait longer with --timeout"
    )


def _read(session: Session) -> Bookmark:
    path = session.state / "wait.json"
    if not path.exists():
        return Bookmark()
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Bookmark(**document)


def _write(session: Session, look: Look, *, drops: int, bookmark: Bookmark) -> None:
    newest = max((run.started_at for run in look.runs), default=bookmark.newest_run)
    session.state.mkdir(parents=True, exist_ok=True)
    mark = Bookmark(drops=drops, newest_run=max(newest, bookmark.newest_run), dead={queue.pipeline: queue.dead for queue in look.queues})
    (session.state / "wait.json").write_text(json.dumps(asdict(mark)), encoding="utf-8")
