"""Records runs: their beginning, their leases, their end; every request may come twice, late, or not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from lakehouse.audit import AuditTrail, UnknownRunError
from lakehouse.audit_records import UNSUCCESSFUL, RunRecord, RunTrail
from lakehouse.clock import Clock, from_text, utc_now
from lakehouse.leases import Holder, Leases
from lakehouse.lineage import Edge, Lineage
from lakehouse.metrics import (
    FILES_LOADED,
    FILES_REJECTED,
    FILES_SKIPPED,
    ROWS_IN,
    ROWS_QUARANTINED,
    ROWS_SILVER,
    ROWS_SUPERSEDED,
    RUN_DURATION,
    RUNS_FAILED,
    RUNS_SKIPPED,
    RUNS_STARTED,
    RUNS_SUCCEEDED,
    RUNS_TIMED_OUT,
    Metric,
    MetricsEmitter,
    MetricsOutageError,
)
from lakehouse.rows import ROW_INVALID, RowTable
from lakehouse.watermarks import Watermarks
from lambdas.run_recorder.causes import Failure, explained, failure_of
from lambdas.run_recorder.outcome import latest_attempts, outcome_of
from lambdas.run_recorder.requests import (
    BeginRowsRequest,
    BeginStepRequest,
    EndingEvent,
    EndRowsRequest,
    EndStepRequest,
    ExplainRequest,
    FailRequest,
    FinishRequest,
    LeaseRequest,
    Request,
    StartRequest,
)
from lambdas.run_recorder.rows import RowRuns

_BY_STATUS = {"SUCCEEDED": RUNS_SUCCEEDED, "FAILED": RUNS_FAILED, "TIMED_OUT": RUNS_TIMED_OUT, "SKIPPED": RUNS_SKIPPED}
_BY_COUNT = {"rows_in": ROWS_IN, "silver": ROWS_SILVER, "superseded": ROWS_SUPERSEDED, "quarantined": ROWS_QUARANTINED}
_BY_OUTCOME = {"loaded": FILES_LOADED, "skipped": FILES_SKIPPED, "rejected": FILES_REJECTED}

_OWN_VERDICT = "RunFailed"
"""Error of the state that ends a machine which has recorded its failure, or tried to."""

log = logging.getLogger(__name__)


class Recorder:
    """Answers the requests of state machines, and EventBridge when a machine could not ask any more."""

    def __init__(
        self,
        *,
        audit: AuditTrail,
        leases: Leases,
        lineage: Lineage,
        watermarks: Watermarks,
        rows: RowTable,
        metrics: MetricsEmitter,
        who_stopped: Callable[[str], str],
        clock: Clock = utc_now,
    ) -> None:
        """
        Args:
            audit: The audit.
            leases: Leases of tables.
            lineage: Lineage of the tables that steps without a job of their own write.
            watermarks: How far sources were read.
            rows: Rows of groups.
            metrics: Sends metrics.
            who_stopped: Gives the cause that somebody named for stopping an execution, by its ARN, or "".
            clock: Gives the present moment.
        """
        self._audit = audit
        self._leases = leases
        self._lineage = lineage
        self._watermarks = watermarks
        self._metrics = metrics
        self._who_stopped = who_stopped
        self._clock = clock
        self._rows = RowRuns(audit=audit, rows=rows, fail=self._failed)

    def answer(self, request: Request) -> dict[str, Any]:
        """Do what is asked, and say what the state machine goes on with."""
        match request:
            case StartRequest():
                return self._start(request)
            case LeaseRequest():
                return self._lease(request)
            case BeginStepRequest():
                return self._begin_step(request)
            case EndStepRequest():
                return self._end_step(request)
            case BeginRowsRequest():
                return self._begin_rows(request)
            case EndRowsRequest():
                return self._rows.end(group=request.pipeline, run_id=request.run_id, step=request.step)
            case ExplainRequest():
                return self._explain(request)
            case FinishRequest():
                return self._finish(request)
            case FailRequest():
                failure = failure_of(step=request.step, error=request.error, cause=request.cause)
                return _answer(self._failed(request.pipeline, request.run_id, failure))
            case EndingEvent():
                return self._ended(request)

    def _start(self, request: StartRequest) -> dict[str, Any]:
        run = self._begin(request)
        self._measure({RUNS_STARTED: 1}, run)
        return _answer(run)

    def _begin(self, request: StartRequest) -> RunRecord:
        return self._audit.start_run(
            pipeline=request.pipeline,
            run_id=request.run_id,
            trigger=request.trigger,
            attempt=request.attempt,
            manifest=request.manifest,
            batch_id=request.batch_id,
            files=request.files,
            execution_arn=request.execution_arn,
            started_at=request.started_at,
            seconds=request.seconds,
        )

    def _lease(self, request: LeaseRequest) -> dict[str, Any]:
        asking = Holder(pipeline=request.pipeline, run_id=request.run_id)
        holder = self._leases.acquire(tables=request.tables, holder=asking, seconds=request.seconds, is_over=self._is_over)
        return {"acquired": holder == asking, "holder": holder.run_id}

    def _is_over(self, holder: Holder) -> bool:
        run = self._audit.get_run(holder.run_id, pipeline=holder.pipeline)
        return run is not None and run.is_ended

    def _begin_step(self, request: BeginStepRequest) -> dict[str, Any]:
        attempt = self._audit.start_step(
            pipeline=request.pipeline, run_id=request.run_id, step=request.step, engine=request.engine, job_run_id=request.job_run_id
        )
        return {"attempt": attempt}

    def _end_step(self, request: EndStepRequest) -> dict[str, Any]:
        edge = Edge(pipeline=request.pipeline, run_id=request.run_id, step=request.step, source=request.source, target=request.target)
        # Before the step ends: a step that has ended is never told again.
        self._lineage.record([edge])
        step = self._audit.end_step(
            pipeline=request.pipeline,
            run_id=request.run_id,
            step=request.step,
            attempt=request.attempt,
            status="SUCCEEDED",
            counts=request.counts,
        )
        return {"status": step.status}

    def _begin_rows(self, request: BeginRowsRequest) -> dict[str, Any]:
        """The rows as the machine hands them on: what tells runs apart, and no more, as all of them lie in one state."""
        records = self._rows.begin(group=request.pipeline, run_id=request.run_id, step=request.step)
        return {
            "rows": [
                {
                    "row": record.row,
                    "pipeline": record.row_pipeline,
                    "run_id": record.row_run_id,
                    "refused": bool(record.fault),
                    "cause": f"RunFailed: {ROW_INVALID}: {record.fault}" if record.fault else "",
                }
                for record in records
            ]
        }

    def _explain(self, request: ExplainRequest) -> dict[str, Any]:
        """What went wrong in the words of the job, if it wrote them down; in those of its engine otherwise."""
        steps = self._audit.trail(request.run_id, pipeline=request.pipeline).steps
        latest = [step for step in latest_attempts(steps) if step.step == request.step]
        told = latest[0].message if latest and latest[0].status == "FAILED" else ""
        return {"Error": request.error, "Cause": explained(error=request.error, cause=request.cause, told=told)}

    def _finish(self, request: FinishRequest) -> dict[str, Any]:
        trail = self._audit.trail(request.run_id, pipeline=request.pipeline)
        outcome = outcome_of(trail)
        run = self._audit.end_run(
            pipeline=request.pipeline,
            run_id=request.run_id,
            status=outcome.status,
            reason=outcome.reason,
            message=outcome.message,
            counts=outcome.counts,
            reasons=outcome.reasons,
            files=outcome.files,
        )
        if run.status == "SUCCEEDED":
            self._advance(trail)
        self._close(run)
        return _answer(run)

    def _advance(self, trail: RunTrail) -> None:
        """Move the watermarks that the steps propose, now that what they read is published; never back.

        A call that ends before this is repeated, and if it never is, the next run reads again what lies above the old mark.
        """
        for step in latest_attempts(trail.steps):
            for name, mark in step.marks.items():
                self._watermarks.advance(pipeline=step.pipeline, name=name, to=mark, run_id=step.run_id)

    def _failed(self, pipeline: str, run_id: str, failure: Failure) -> RunRecord:
        """End a run, and those of its rows, as failed, unless they have ended."""
        try:
            trail = self._audit.trail(run_id, pipeline=pipeline)
        except UnknownRunError:
            # The task that failed was the one that begins the run.
            self._audit.start_run(pipeline=pipeline, run_id=run_id, trigger="")
            trail = self._audit.trail(run_id, pipeline=pipeline)
        numbers = outcome_of(trail)
        run = self._audit.end_run(
            pipeline=pipeline,
            run_id=run_id,
            status=failure.status,
            reason=failure.reason,
            message=failure.message,
            counts=numbers.counts,
            reasons=numbers.reasons,
            files=numbers.files,
        )
        if run.status == failure.status:
            self._audit.fail_running_steps(pipeline=pipeline, run_id=run_id, status=failure.status, message=failure.message)
            self._rows.fail(trail, failure)
        elif run.status not in UNSUCCESSFUL and failure.is_told:
            # What it brought is published, so it stays as it ended; but somebody must learn why its execution did not end so.
            warning = f"the run had ended {run.status} when its execution failed: {failure.message}"
            self._audit.warn(pipeline=pipeline, run_id=run_id, warning=warning)
        self._close(run)
        return run

    def _ended(self, event: EndingEvent) -> dict[str, Any]:
        self._begin(event.start)
        if event.status == "TIMED_OUT":
            failure = failure_of(step="", error="States.Timeout", cause=event.cause)
        elif event.status == "ABORTED":
            # The events of AWS are documented to carry causes of failures; of one that was stopped the execution itself knows.
            cause = event.cause or self._who_stopped(event.start.execution_arn or "")
            said = f": {cause}" if cause else ""
            failure = Failure(status="FAILED", reason="aborted", message=f"the execution was stopped by somebody{said}")
        elif event.error == _OWN_VERDICT:
            # It says that the audit knows why. If the audit still says RUNNING, what it should have been told was lost.
            arn = event.start.execution_arn
            message = f"the machine could not record why it failed: look at the steps of the run and at the history of execution {arn}"
            failure = Failure(status="FAILED", reason="job_failed", message=message, is_told=False)
        else:
            failure = failure_of(step="", error=event.error, cause=event.cause)
        return _answer(self._failed(event.start.pipeline, event.start.run_id, failure))

    def _close(self, run: RunRecord) -> None:
        """What follows an end, each part of it once, also if an earlier call got stuck half-way."""
        self._leases.release(Holder(pipeline=run.pipeline, run_id=run.run_id))
        if run.metered_at is None and self._measure(_measures(run), run):
            self._audit.mark_metered(pipeline=run.pipeline, run_id=run.run_id)
        log.info("run ended", extra={"run_id": run.run_id, "pipeline": run.pipeline, "status": run.status, "reason": run.reason})

    def _measure(self, values: Mapping[Metric, float], run: RunRecord) -> bool:
        """Send metrics; False if CloudWatch does not take them, which must not fail a run that the audit knows all about."""
        try:
            self._metrics.emit(values, pipeline=run.pipeline, at=self._clock())
        except MetricsOutageError:
            log.exception("metrics of a run could not be sent", extra={"run_id": run.run_id, "pipeline": run.pipeline})
            return False
        return True


def _answer(run: RunRecord) -> dict[str, Any]:
    return {"run_id": run.run_id, "status": run.status, "reason": run.reason, "message": run.message}


def _measures(run: RunRecord) -> dict[Metric, float]:
    measures: dict[Metric, float] = {_BY_STATUS[run.status]: 1}
    if run.ended_at is not None and run.started_at:
        measures[RUN_DURATION] = (from_text(run.ended_at) - from_text(run.started_at)).total_seconds()
    measures.update({metric: run.counts[name] for name, metric in _BY_COUNT.items() if name in run.counts})
    measures.update({metric: run.files[name] for name, metric in _BY_OUTCOME.items() if name in run.files})
    return measures
