"""`lake runs` and `lake show`: the audit trail."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cli.errors import WrongUseError, nearest
from cli.reasons import END_NOT_RECORDED
from cli.results import Counts, FileResult, Files, QualityResult, Run, RunDetail, Runs, Step
from cli.row_results import RowResult
from cli.session import Session
from lakehouse.audit_records import ACCOUNTED, DELETED, RunRecord, RunTrail, StepRecord
from lakehouse.clock import utc_now

SHOWN = 50
"""Most runs that `lake runs` lists."""

LATEST = "latest"
"""Word that stands for the newest run where the id of a run is asked for."""


def runs(session: Session) -> Runs:
    """The newest runs of every pipeline."""
    now = utc_now()
    return Runs(env=session.env, runs=[run_of(record, now=now) for record in session.audit.runs(limit=SHOWN)])


def show(session: Session, *, run: str) -> RunDetail:
    """The audit trail of a run.

    Raises:
        WrongUseError: There is no such run.
    """
    return detail_of(trail(session, run=run), now=utc_now())


def trail(session: Session, *, run: str) -> RunTrail:
    """What the audit holds of a run, named by its id, by the beginning of its id, or by `latest`.

    Raises:
        WrongUseError: There is no such run, or more than one.
    """
    record = _find(session, run)
    return session.audit.trail(record.run_id, pipeline=record.pipeline)


def run_of(record: RunRecord, *, now: datetime) -> Run:
    """A run as `lake` shows it.

    Args:
        record: What the audit holds of it.
        now: The present moment.
    """
    is_lost = record.is_lost(now)
    return Run(
        run_id=record.run_id,
        pipeline=record.pipeline,
        status=record.status,
        reason=END_NOT_RECORDED if is_lost else record.reason,
        message=_lost(record) if is_lost else record.message,
        trigger=record.trigger,
        attempt=record.attempt,
        started_at=record.started_at,
        ended_at=record.ended_at,
        counts=_counts(record),
        files=Files(**{name: record.files.get(name, 0) for name in ("loaded", "skipped", "rejected")}) if record.files else None,
        source=record.source or "",
    )


def detail_of(found: RunTrail, *, now: datetime) -> RunDetail:
    """An audit trail as `lake` shows it.

    Args:
        found: What the audit holds.
        now: The present moment.
    """
    return RunDetail(
        run=run_of(found.run, now=now),
        manifest=found.run.manifest,
        batch_id=found.run.batch_id,
        file_count=found.run.file_count,
        execution_arn=found.run.execution_arn or "",
        reasons=found.run.reasons,
        warnings=list(found.run.warnings),
        steps=[_step(step) for step in found.steps],
        quality=[
            QualityResult(
                rule=result.rule,
                level=result.level,
                column=result.column,
                dimension=result.dimension,
                severity=result.severity,
                action=result.action,
                passed=result.passed,
                value=result.value,
                threshold=result.threshold,
                failed_rows=result.failed_rows,
                message=result.message,
            )
            for result in found.quality
        ],
        file_results=[
            FileResult(file=file.source, version_id=file.version, outcome=file.outcome, reason=file.reason, message=file.message)
            for file in found.files
        ],
        rows=[
            RowResult(
                row=row.row, pipeline=row.row_pipeline, run_id=row.row_run_id, status=row.status, reason=row.reason, message=row.message
            )
            for row in found.rows
        ],
    )


def _counts(record: RunRecord) -> Counts | None:
    rows_in, *others = (record.counts.get(name) for name in ACCOUNTED)
    if rows_in is None:
        return None
    silver, superseded, quarantined = others
    deleted = record.counts.get(DELETED, 0)
    return Counts(rows_in=rows_in, silver=silver, superseded=superseded, quarantined=quarantined, deleted=deleted)


def _lost(record: RunRecord) -> str:
    execution = f"execution {record.execution_arn}" if record.execution_arn else "its execution"
    files = "drop every file of its manifest again or " if record.manifest else ""
    return (
        f"RUNNING since {record.started_at}, longer than it may run: the record of its end is lost. See how {execution} ended; then {files}"
        "repeat the run (docs/operating.md)"
    )


def _step(record: StepRecord) -> Step:
    return Step(
        step=record.step,
        attempt=record.attempt,
        status=record.status,
        engine=record.engine,
        job_run_id=record.job_run_id,
        log_group=record.log_group,
        log_stream=record.log_stream,
        started_at=record.started_at,
        ended_at=record.ended_at,
        message=record.message,
        counts=record.counts,
        reasons=record.reasons,
    )


def _find(session: Session, run: str) -> RunRecord:
    if not run.strip():
        # It begins every id: where there is one run only, it would be that one.
        raise WrongUseError(f"the id of the run is empty: write one of those that `lake runs --env {session.env}` lists, or {LATEST}")
    exact = session.audit.get_run(run)
    if exact is not None:
        return exact
    known = session.audit.runs(limit=1000)
    matches = known[:1] if run == LATEST else [record for record in known if record.run_id.startswith(run)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise WrongUseError(f"{run!r} begins the ids of {len(matches)} runs: write more of it. {nearest(run, _ids(matches))}")
    raise WrongUseError(f"there is no run {run!r}: {nearest(run, _ids(known))}. `lake runs --env {session.env}` lists them")


def _ids(records: Iterable[RunRecord]) -> list[str]:
    return [record.run_id for record in records]
