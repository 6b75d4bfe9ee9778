"""The audit trail: what each run did, one DynamoDB item a run, step attempt, quality rule, unusual file and row of a group.

Keys: partition `pipeline`; sort `sk` = `<run_id>#run`, `<run_id>#step#<name>#<attempt>`, `<run_id>#quality#<dataset>.<rule>`,
`<run_id>#file#<16 hex>`, `<run_id>#row#<name>`. Every item carries `kind` (run, step, quality, file, row) and `expires_at` (TTL); those of a run go when
the run goes.
Indexes, all attributes projected: `by_run` (run_id, sk) and `by_status` (status, started_at).

Life of a run and of a step attempt: RUNNING, then exactly one of SUCCEEDED, FAILED, SKIPPED, TIMED_OUT; who comes second changes nothing.

Actions on the audit table, by method:

- start_run, skip_run: dynamodb:PutItem, GetItem
- end_run, end_step: UpdateItem, GetItem
- warn, begin_notification, mark_notified, mark_metered: UpdateItem
- start_step: Query, UpdateItem, PutItem
- record_quality, record_file, record_rows: PutItem
- fail_running_steps: Query, UpdateItem
- get_run, trail with a pipeline, get_file: GetItem or Query; without a pipeline also Query on `index/by_run`
- runs: Query on `index/by_status`
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import timedelta
from heapq import merge
from itertools import islice
from typing import Any, TypeVar

from lakehouse.audit_records import STATUSES, FileRecord, QualityRecord, RowRecord, RunRecord, RunTrail, Status, StepRecord
from lakehouse.clock import Clock, from_text, to_text, utc_now
from lakehouse.errors import TerminalError
from lakehouse.state_table import Item, StateTable, is_storable

BY_RUN = "by_run"
"""Index by run_id and sk."""

BY_STATUS = "by_status"
"""Index by status and started_at; holds runs and steps."""

TTL_DAYS = 90
"""Days that an item is kept, unless the caller says otherwise."""

MAX_MESSAGE = 2000
"""Longest message that is kept, in characters; the rest stands in the logs."""

MAX_WARNINGS = 100
"""Most different warnings that a run keeps."""

MAX_WARNING_BYTES = 2000
"""Longest warning, in bytes of UTF-8: a hundred of them stay well below the 400 KB that an item may have."""

NOTIFICATION_SECONDS = 60
"""How long one sender of a notification keeps others from sending it too."""


class UnknownRunError(TerminalError):
    """The audit holds no such run."""

    def __init__(self, *, run_id: str, pipeline: str | None, table: str) -> None:
        where = f" of pipeline {pipeline!r}" if pipeline else ""
        super().__init__(
            f"the audit ({table}) holds no run {run_id!r}{where}: it may have expired, or never begun; `lake runs` lists those it holds"
        )


class AuditTrail:
    """The audit table; safe to call twice, and from two places at once."""

    def __init__(self, *, client: Any, table: str, ttl_days: int = TTL_DAYS, clock: Clock = utc_now) -> None:
        """
        Args:
            client: boto3 DynamoDB client.
            table: Name of the audit table.
            ttl_days: Days that a run is kept; what belongs to a run goes with it.
            clock: Gives the present moment.
        """
        self._table = StateTable(client=client, name=table)
        self._ttl = timedelta(days=ttl_days)
        self._clock = clock
        self._ends: dict[str, int] = {}

    def start_run(
        self,
        *,
        pipeline: str,
        run_id: str,
        trigger: str,
        attempt: int = 1,
        manifest: str | None = None,
        batch_id: str | None = None,
        files: int = 0,
        execution_arn: str | None = None,
        started_at: str | None = None,
        seconds: int | None = None,
    ) -> RunRecord:
        """Begin a run; if it has begun already, that stands.

        Args:
            pipeline: Pipeline.
            run_id: UUID of version 7.
            trigger: What started it.
            attempt: How often its arrivals were taken.
            manifest: `s3://` address of its files.
            batch_id: Identity of its files.
            files: Number of its files.
            execution_arn: Step Functions execution.
            started_at: When it began; now if None.
            seconds: How long it may run; None if that is not known.

        Returns:
            The run as the audit now holds it.
        """
        begins = self._now() if started_at is None else started_at
        record = RunRecord(
            run_id=run_id,
            pipeline=pipeline,
            status="RUNNING",
            trigger=trigger,
            attempt=attempt,
            manifest=manifest,
            batch_id=batch_id,
            file_count=files,
            execution_arn=execution_arn,
            started_at=begins,
            due_at=None if seconds is None else to_text(from_text(begins) + timedelta(seconds=seconds)),
            expires_at=self._expiry(),
        )
        return self._begin(record)

    def skip_run(
        self,
        *,
        pipeline: str,
        run_id: str,
        reason: str,
        message: str,
        source: str,
        source_version: str,
        trigger: str = "arrival",
    ) -> RunRecord:
        """Note a file that starts nothing, as a run of its own with status SKIPPED.

        Args:
            pipeline: Pipeline that it would have started.
            run_id: Id that the file's claim holds, so that a redelivery writes the same item.
            reason: `empty_file`, `marker_file`, `unknown_suffix`, `outside_layout` or `same_content`.
            message: Sentence for people.
            source: Key of the file.
            source_version: Its version.
            trigger: What brought it.

        Returns:
            The run as the audit now holds it.
        """
        now = self._now()
        record = RunRecord(
            run_id=run_id,
            pipeline=pipeline,
            status="SKIPPED",
            reason=reason,
            message=message[:MAX_MESSAGE],
            trigger=trigger,
            source=source,
            source_version=source_version,
            started_at=now,
            ended_at=now,
            file_count=1,
            files={"loaded": 0, "skipped": 1, "rejected": 0},
            expires_at=self._expiry(),
        )
        return self._begin(record)

    def end_run(
        self,
        *,
        pipeline: str,
        run_id: str,
        status: Status,
        reason: str = "",
        message: str = "",
        counts: Mapping[str, int] | None = None,
        reasons: Mapping[str, int] | None = None,
        files: Mapping[str, int] | None = None,
        ended_at: str | None = None,
    ) -> RunRecord:
        """End a RUNNING run; a run that has ended stays as it is.

        Returns:
            The run as the audit now holds it: compare its status with the one given to see who ended it.

        Raises:
            UnknownRunError: The run never began.
            ValueError: The status is RUNNING.
        """
        _must_be_final(status)
        self._table.update(
            _run_key(pipeline, run_id),
            changes={
                "status": status,
                "reason": reason,
                "message": message[:MAX_MESSAGE],
                "ended_at": ended_at or self._now(),
                **({} if counts is None else {"counts": dict(counts)}),
                **({} if reasons is None else {"reasons": dict(reasons)}),
                **({} if files is None else {"files": dict(files)}),
            },
            condition="#status = :running",
            values={"running": "RUNNING"},
        )
        return self._require(pipeline=pipeline, run_id=run_id)

    def warn(self, *, pipeline: str, run_id: str, warning: str) -> None:
        """Add a sentence to the warnings of a run; the same sentence twice is one, and after a hundred no more are kept."""
        self._table.update(
            _run_key(pipeline, run_id),
            add={"warnings": {_cut(warning, MAX_WARNING_BYTES)}},
            condition="attribute_exists(#sk) AND (attribute_not_exists(#warnings) OR size(#warnings) < :most)",
            values={"most": MAX_WARNINGS},
        )

    def start_step(
        self, *, pipeline: str, run_id: str, step: str, engine: str, job_run_id: str, log_group: str = "", log_stream: str = ""
    ) -> int:
        """Begin an attempt of a step; an earlier attempt that still stands RUNNING was killed, and becomes FAILED.

        Called again with the same `job_run_id` while that attempt is RUNNING, it answers that attempt.

        Returns:
            Number of the attempt, from 1.
        """
        while True:
            attempts = self._attempts(pipeline=pipeline, run_id=run_id, step=step)
            for earlier in attempts:
                if earlier.status == "RUNNING" and earlier.job_run_id == job_run_id:
                    return earlier.attempt
            number = max((earlier.attempt for earlier in attempts), default=0) + 1
            for earlier in attempts:
                if earlier.status == "RUNNING":
                    self._end_attempt(earlier, status="FAILED", message=f"superseded by attempt {number}")
            record = StepRecord(
                run_id=run_id,
                pipeline=pipeline,
                step=step,
                attempt=number,
                status="RUNNING",
                engine=engine,
                job_run_id=job_run_id,
                log_group=log_group,
                log_stream=log_stream,
                started_at=self._now(),
            )
            if self._put_new(record, kind="step", sk=_step_sk(run_id, step, number), expires_at=self._end_of(run_id)):
                return number

    def end_step(
        self,
        *,
        pipeline: str,
        run_id: str,
        step: str,
        attempt: int,
        status: Status,
        message: str = "",
        counts: Mapping[str, int] | None = None,
        reasons: Mapping[str, int] | None = None,
        marks: Mapping[str, str | int] | None = None,
    ) -> StepRecord:
        """End a RUNNING attempt; an attempt that has ended (superseded, say) stays as it is.

        The marks are watermarks that may move once the run has published.

        Returns:
            The attempt as the audit now holds it: a killed and replaced driver sees its attempt FAILED and must not go on.

        Raises:
            UnknownRunError: The attempt never began.
            ValueError: The status is RUNNING.
        """
        _must_be_final(status)
        wanted = StepRecord(run_id=run_id, pipeline=pipeline, step=step, attempt=attempt, status="RUNNING")
        self._end_attempt(wanted, status=status, message=message, counts=counts, reasons=reasons, marks=marks)
        item = self._table.get({"pipeline": pipeline, "sk": _step_sk(run_id, step, attempt)})
        if item is None:
            raise UnknownRunError(run_id=f"{run_id} (step {step}, attempt {attempt})", pipeline=pipeline, table=self._table.name)
        return _record(StepRecord, item)

    def fail_running_steps(self, *, pipeline: str, run_id: str, message: str, status: Status = "FAILED") -> None:
        """End every attempt of a run that still stands RUNNING."""
        _must_be_final(status)
        for attempt in self.trail(pipeline=pipeline, run_id=run_id).steps:
            if attempt.status == "RUNNING":
                self._end_attempt(attempt, status=status, message=message)

    def record_quality(self, *, pipeline: str, run_id: str, results: Iterable[QualityRecord]) -> None:
        """Write what the rules found; a later attempt overwrites what an earlier one wrote.

        A number that DynamoDB cannot hold becomes None, and the message says which it was.
        """
        for result in map(_storable, results):
            self._put(result, kind="quality", pipeline=pipeline, run_id=run_id, sk=f"{run_id}#quality#{result.dataset}.{result.rule}")

    def record_file(self, *, pipeline: str, run_id: str, file: FileRecord) -> None:
        """Write the outcome of a file that was not plainly loaded; a later attempt overwrites what an earlier one wrote."""
        self._put(file, kind="file", pipeline=pipeline, run_id=run_id, sk=_file_sk(run_id, file.source, file.version))

    def record_rows(self, *, pipeline: str, run_id: str, rows: Iterable[RowRecord]) -> None:
        """Write how rows of a group stand, over what was written of them before."""
        for row in rows:
            self._put(row, kind="row", pipeline=pipeline, run_id=run_id, sk=f"{run_id}#row#{row.row}")

    def get_file(self, *, pipeline: str, run_id: str, source: str, version: str) -> FileRecord | None:
        """Outcome of a file of a run, or None if it was plainly loaded."""
        item = self._table.get({"pipeline": pipeline, "sk": _file_sk(run_id, source, version)})
        return None if item is None else _record(FileRecord, item)

    def get_run(self, run_id: str, *, pipeline: str | None = None) -> RunRecord | None:
        """A run, or None if there is none.

        Args:
            run_id: Id of the run.
            pipeline: Its pipeline: read consistently; without it the index answers, a moment late.
        """
        if pipeline is None:
            item = next(self._table.query("#run_id = :run_id AND #sk = :sk", {"run_id": run_id, "sk": f"{run_id}#run"}, index=BY_RUN), None)
        else:
            item = self._table.get(_run_key(pipeline, run_id))
        return None if item is None else _record(RunRecord, item)

    def trail(self, run_id: str, *, pipeline: str | None = None) -> RunTrail:
        """All that the audit holds of a run.

        Args:
            run_id: Id of the run.
            pipeline: Its pipeline, if known: saves a look at the index.

        Raises:
            UnknownRunError: There is no such run.
        """
        if pipeline is None:
            found = self.get_run(run_id)
            if found is None:
                raise UnknownRunError(run_id=run_id, pipeline=None, table=self._table.name)
            pipeline = found.pipeline
        kinds: dict[str, list[Item]] = {"run": [], "step": [], "quality": [], "file": [], "row": []}
        for item in self._table.query(
            "#pipeline = :pipeline AND begins_with(#sk, :prefix)", {"pipeline": pipeline, "prefix": f"{run_id}#"}
        ):
            kinds[item["kind"]].append(item)
        if not kinds["run"]:
            raise UnknownRunError(run_id=run_id, pipeline=pipeline, table=self._table.name)
        return RunTrail(
            run=_record(RunRecord, kinds["run"][0]),
            steps=tuple(sorted((_record(StepRecord, item) for item in kinds["step"]), key=lambda step: (step.started_at, step.attempt))),
            quality=tuple(_record(QualityRecord, item) for item in kinds["quality"]),
            files=tuple(sorted((_record(FileRecord, item) for item in kinds["file"]), key=lambda file: (file.source, file.version))),
            rows=tuple(sorted((_record(RowRecord, item) for item in kinds["row"]), key=lambda row: row.position)),
        )

    def runs(
        self, *, pipeline: str | None = None, statuses: Sequence[Status] = STATUSES, since: str | None = None, limit: int | None = 50
    ) -> list[RunRecord]:
        """Runs, the newest first; read from the index, so a change shows a moment late.

        Args:
            pipeline: Of this pipeline only.
            statuses: With one of these statuses only.
            since: Begun at or after this moment only, UTC text as in `started_at`.
            limit: Most runs to answer; None for all.
        """
        streams = [self._runs_of_status(status, since=since, pipeline=pipeline) for status in statuses]
        newest_first = merge(*streams, key=lambda run: (run.started_at, run.run_id), reverse=True)
        # A run that changes its status between two queries is in both: its first, newer reading is kept.
        return list(islice(_distinct(newest_first), limit))

    def begin_notification(self, *, pipeline: str, run_id: str) -> bool:
        """Take the task of telling people about a run; False if they were told, or another is about to (for a minute)."""
        now = self._clock()
        return self._table.update(
            _run_key(pipeline, run_id),
            changes={"notifying_until": to_text(now + timedelta(seconds=NOTIFICATION_SECONDS))},
            condition=(
                "attribute_exists(#sk) AND attribute_not_exists(#notified_at)"
                " AND (attribute_not_exists(#notifying_until) OR #notifying_until <= :now)"
            ),
            values={"now": to_text(now)},
        )

    def mark_notified(self, *, pipeline: str, run_id: str) -> None:
        """Note that people were told."""
        self._mark(pipeline, run_id, "notified_at")

    def mark_metered(self, *, pipeline: str, run_id: str) -> None:
        """Note that the metrics of a run were sent."""
        self._mark(pipeline, run_id, "metered_at")

    def _mark(self, pipeline: str, run_id: str, name: str) -> None:
        self._table.update(
            _run_key(pipeline, run_id),
            changes={name: self._now()},
            condition=f"attribute_exists(#sk) AND attribute_not_exists(#{name})",
        )

    def _begin(self, record: RunRecord) -> RunRecord:
        if self._put_new(record, kind="run", sk=f"{record.run_id}#run", expires_at=record.expires_at):
            return record
        return self._require(pipeline=record.pipeline, run_id=record.run_id)

    def _require(self, *, pipeline: str, run_id: str) -> RunRecord:
        record = self.get_run(run_id, pipeline=pipeline)
        if record is None:
            raise UnknownRunError(run_id=run_id, pipeline=pipeline, table=self._table.name)
        return record

    def _attempts(self, *, pipeline: str, run_id: str, step: str) -> list[StepRecord]:
        """Attempts of a step; and, as the run's own item lies just before its steps, when all that belongs to the run shall go."""
        last = f"{run_id}#step#{step}#:"  # the colon follows the digits
        items = self._table.query(
            "#pipeline = :pipeline AND #sk BETWEEN :first AND :last", {"pipeline": pipeline, "first": f"{run_id}#run", "last": last}
        )
        attempts: list[StepRecord] = []
        for item in items:
            if item["kind"] == "run":
                self._ends[run_id] = item["expires_at"]
            elif item["step"] == step:
                attempts.append(_record(StepRecord, item))
        return attempts

    def _end_attempt(
        self,
        attempt: StepRecord,
        *,
        status: Status,
        message: str,
        counts: Mapping[str, int] | None = None,
        reasons: Mapping[str, int] | None = None,
        marks: Mapping[str, str | int] | None = None,
    ) -> None:
        self._table.update(
            {"pipeline": attempt.pipeline, "sk": _step_sk(attempt.run_id, attempt.step, attempt.attempt)},
            changes={
                "status": status,
                "message": message[:MAX_MESSAGE],
                "ended_at": self._now(),
                **({} if counts is None else {"counts": dict(counts)}),
                **({} if reasons is None else {"reasons": dict(reasons)}),
                **({"marks": dict(marks)} if marks else {}),
            },
            condition="#status = :running",
            values={"running": "RUNNING"},
        )

    def _runs_of_status(self, status: Status, *, since: str | None, pipeline: str | None) -> Iterable[RunRecord]:
        condition, where = "#status = :status", "#kind = :kind"
        values: dict[str, Any] = {"status": status, "kind": "run"}
        if since is not None:
            condition += " AND #started_at >= :since"
            values["since"] = since
        if pipeline is not None:
            where += " AND #pipeline = :pipeline"
            values["pipeline"] = pipeline
        for item in self._table.query(condition, values, index=BY_STATUS, where=where, newest_first=True):
            yield _record(RunRecord, item)

    def _put_new(self, record: RunRecord | StepRecord, *, kind: str, sk: str, expires_at: int) -> bool:
        item = {**asdict(record), "kind": kind, "sk": sk, "expires_at": expires_at}
        # An empty string set cannot be stored: warnings begin to exist with the first one.
        item.pop("warnings", None)
        return self._table.put(item, condition="attribute_not_exists(#sk)")

    def _put(self, record: QualityRecord | FileRecord | RowRecord, *, kind: str, pipeline: str, run_id: str, sk: str) -> None:
        item = {**asdict(record), "kind": kind, "pipeline": pipeline, "run_id": run_id, "sk": sk, "expires_at": self._end_of(run_id)}
        item["message"] = record.message[:MAX_MESSAGE]
        self._table.put(item)

    def _now(self) -> str:
        return to_text(self._clock())

    def _expiry(self) -> int:
        return int((self._clock() + self._ttl).timestamp())

    def _end_of(self, run_id: str) -> int:
        return self._ends.get(run_id, self._expiry())


RecordT = TypeVar("RecordT", RunRecord, StepRecord, QualityRecord, FileRecord, RowRecord)


def _run_key(pipeline: str, run_id: str) -> dict[str, str]:
    return {"pipeline": pipeline, "sk": f"{run_id}#run"}


def _step_sk(run_id: str, step: str, attempt: int) -> str:
    return f"{run_id}#step#{step}#{attempt}"


def _file_sk(run_id: str, source: str, version: str) -> str:
    digest = hashlib.sha256(f"{source}\n{version}".encode()).hexdigest()[:16]
    return f"{run_id}#file#{digest}"


def _must_be_final(status: Status) -> None:
    if status == "RUNNING":
        raise ValueError(f"nothing ends as RUNNING: end it as one of {', '.join(STATUSES[1:])}")


def _record(kind: type[RecordT], item: Mapping[str, Any]) -> RecordT:
    known = {entry.name for entry in fields(kind)}
    return kind(**{name: value for name, value in item.items() if name in known})


def _storable(result: QualityRecord) -> QualityRecord:
    odd = {
        name: number
        for name, number in (("value", result.value), ("threshold", result.threshold))
        if number is not None and not is_storable(number)
    }
    if not odd:
        return result
    said = "; ".join(f"the {name} is {number!r}, which cannot be kept as a number" for name, number in odd.items())
    return replace(result, message=f"{said}. {result.message}".rstrip(), **dict.fromkeys(odd))


def _cut(text: str, most: int) -> str:
    """What a text begins with, in so many bytes of UTF-8."""
    return text.encode()[:most].decode(errors="ignore")


def _distinct(runs: Iterable[RunRecord]) -> Iterable[RunRecord]:
    seen: set[str] = set()
    for run in runs:
        if run.run_id not in seen:
            seen.add(run.run_id)
            yield run
