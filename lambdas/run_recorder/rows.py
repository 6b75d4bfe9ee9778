"""What the recorder knows of a group of rows: which of them a run deals with, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from lakehouse.audit import AuditTrail
from lakehouse.audit_records import PIPELINES, PIPELINES_FAILED, UNSUCCESSFUL, RowRecord, RunRecord, RunTrail
from lakehouse.rows import RowTable, pipeline_of, plan
from lambdas.run_recorder.causes import Failure

ENGINE = "glue"
"""What runs the rows."""

NEVER_TOLD = Failure(
    status="FAILED",
    reason="job_failed",
    message="the machine could not record how this row ended: look at the history of the group's execution",
)

FailRun = Callable[[str, str, Failure], RunRecord]
"""Ends the run of a pipeline as failed, unless it has ended: pipeline, run, why; gives the run as it now is."""


class RowRuns:
    """Rows of groups, as items of the group's run in the audit."""

    def __init__(self, *, audit: AuditTrail, rows: RowTable, fail: FailRun) -> None:
        """
        Args:
            audit: The audit.
            rows: Rows of groups.
            fail: Ends the run of a row.
        """
        self._audit = audit
        self._rows = rows
        self._fail = fail

    def begin(self, *, group: str, run_id: str, step: str) -> tuple[RowRecord, ...]:
        """Decide which rows a run of a group deals with; asked again, the answer is the same, whatever has become of the rows.

        Raises:
            RunFailed: There are too many.
        """
        trail = self._audit.trail(run_id, pipeline=group)
        if any(attempt.step == step for attempt in trail.steps):
            return trail.rows
        records = tuple(
            RowRecord(
                row=planned.row,
                row_pipeline=pipeline_of(group, planned.row),
                row_run_id=planned.run_id,
                position=position,
                fault=planned.fault,
            )
            for position, planned in enumerate(plan(self._rows.all(group), run_id=run_id))
        )
        self._audit.record_rows(pipeline=group, run_id=run_id, rows=records)
        # Only now: who finds the step finds all of its rows.
        self._audit.start_step(pipeline=group, run_id=run_id, step=step, engine=ENGINE, job_run_id=run_id)
        return records

    def end(self, *, group: str, run_id: str, step: str) -> dict[str, int]:
        """Note what became of each row, and the end of the step that ran them."""
        trail = self._audit.trail(run_id, pipeline=group)
        records = self._settle(trail, trail.rows, NEVER_TOLD)
        counts = {PIPELINES: len(records), PIPELINES_FAILED: sum(record.status in UNSUCCESSFUL for record in records)}
        attempt = max(attempt.attempt for attempt in trail.steps if attempt.step == step)
        self._audit.end_step(pipeline=group, run_id=run_id, step=step, attempt=attempt, status="SUCCEEDED", counts=counts)
        return counts

    def fail(self, trail: RunTrail, failure: Failure) -> None:
        """End the runs of rows that stand RUNNING when their group's run has failed as a whole."""
        self._settle(trail, [record for record in trail.rows if record.status == "RUNNING"], failure)

    def _settle(self, trail: RunTrail, records: Iterable[RowRecord], failure: Failure) -> list[RowRecord]:
        """Records of rows as their own runs have ended; a run that has not, fails."""
        settled: list[RowRecord] = []
        for record in records:
            run = self._audit.get_run(record.row_run_id, pipeline=record.row_pipeline)
            if run is None or not run.is_ended:
                run = self._fail(record.row_pipeline, record.row_run_id, failure)
            settled.append(replace(record, status=run.status, reason=run.reason, message=run.message))
        self._audit.record_rows(pipeline=trail.run.pipeline, run_id=trail.run.run_id, rows=settled)
        return settled
