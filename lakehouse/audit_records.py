"""What the audit holds: runs, step attempts, findings of quality rules and unusual files, as frozen records."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from lakehouse.clock import from_text

Status = Literal["RUNNING", "SUCCEEDED", "FAILED", "SKIPPED", "TIMED_OUT"]
FileOutcome = Literal["loaded", "skipped", "rejected"]

STATUSES: tuple[Status, ...] = ("RUNNING", "SUCCEEDED", "FAILED", "SKIPPED", "TIMED_OUT")
"""Every status that a run or a step attempt can have."""

UNSUCCESSFUL: tuple[Status, ...] = ("FAILED", "TIMED_OUT")
"""Statuses that people are told of, and after which the same arrivals may be taken again."""

FILES_REJECTED = "files_rejected"
"""Reason of a run that loaded its good files and failed because of others."""

ACCOUNTED = ("rows_in", "silver", "superseded", "quarantined")
"""Counts of a run whose sum is checked: rows_in = silver + superseded + quarantined + deleted."""

DELETED = "deleted"
"""Count of records that said that their key is gone; runs whose rows come from files have none."""

LONGEST_RUN = timedelta(days=1)
"""Longest that a run may take whose machine did not say so: the longest that a pipeline spec allows."""

RECORDING = timedelta(minutes=15)
"""Time that the record of an end may need, retries and backstop included."""


@dataclass(frozen=True, kw_only=True)
class _Record:
    def to_dict(self) -> dict[str, Any]:
        """Plain Python, for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class RunRecord(_Record):
    """One run of a pipeline.

    Attributes:
        run_id: UUID of version 7.
        pipeline: Name of the pipeline.
        status: Where it stands.
        reason: Code of docs/cli.md, or "".
        message: Sentence for people, or "".
        trigger: arrival, after, schedule, manual or backfill.
        attempt: 1, or more if arrivals of a failed run were taken again.
        started_at: UTC text.
        ended_at: UTC text, None while it runs.
        due_at: When Step Functions stops it at the latest, UTC text; None if that is not known.
        manifest: `s3://` address of the files to load, or None.
        batch_id: Identity of the collected files, or None.
        execution_arn: Step Functions execution, or None for a run that never started.
        source: Key of the file that was skipped, or None.
        source_version: Its version, or None.
        file_count: Number of files in the manifest.
        counts: Rows; `rows_in`, `silver`, `superseded`, `quarantined`, `deleted` and what the steps add.
        reasons: Quarantined rows by reason code.
        files: Files by outcome: loaded, skipped, rejected.
        warnings: Sentences for people, sorted.
        notified_at: When people were told, or None.
        metered_at: When its metrics were sent, or None.
        expires_at: When DynamoDB may delete it, seconds since 1970.
    """

    run_id: str
    pipeline: str
    status: Status
    reason: str = ""
    message: str = ""
    trigger: str = ""
    attempt: int = 1
    started_at: str = ""
    ended_at: str | None = None
    due_at: str | None = None
    manifest: str | None = None
    batch_id: str | None = None
    execution_arn: str | None = None
    source: str | None = None
    source_version: str | None = None
    file_count: int = 0
    counts: dict[str, int] = field(default_factory=dict[str, int])
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    files: dict[str, int] = field(default_factory=dict[str, int])
    warnings: list[str] = field(default_factory=list[str])
    notified_at: str | None = None
    metered_at: str | None = None
    expires_at: int = 0

    @property
    def is_ended(self) -> bool:
        """Whether nothing can change its status any more."""
        return self.status != "RUNNING"

    @property
    def has_published(self) -> bool:
        """Whether readers see what it brought: it succeeded, or failed only because some of its files were rejected."""
        return self.status == "SUCCEEDED" or (self.reason == FILES_REJECTED and self.files.get("loaded", 0) > 0)

    def is_lost(self, now: datetime) -> bool:
        """Whether it stands RUNNING although it must be over: the record of its end is lost, and nobody knows what it did.

        Args:
            now: The present moment.
        """
        if self.is_ended:
            return False
        due = from_text(self.started_at) + LONGEST_RUN if self.due_at is None else from_text(self.due_at)
        return now > due + RECORDING


@dataclass(frozen=True, kw_only=True)
class StepRecord(_Record):
    """One attempt of a step of a run.

    Attributes:
        run_id: Run.
        pipeline: Pipeline.
        step: Name of the step.
        attempt: From 1; each start of the step's job is an attempt.
        status: Where it stands.
        engine: glue, emr-serverless, emr or redshift.
        job_run_id: Id by which the engine knows it.
        log_group: CloudWatch Logs group of the driver, or a folder in S3.
        log_stream: Stream in it.
        started_at: UTC text.
        ended_at: UTC text, None while it runs.
        message: Sentence for people, or "".
        counts: Rows and files that the step counted.
        reasons: Quarantined rows by reason code.
        marks: Watermarks that the step proposes, by name; they move once the run has published.
    """

    run_id: str
    pipeline: str
    step: str
    attempt: int
    status: Status
    engine: str = ""
    job_run_id: str = ""
    log_group: str = ""
    log_stream: str = ""
    started_at: str = ""
    ended_at: str | None = None
    message: str = ""
    counts: dict[str, int] = field(default_factory=dict[str, int])
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    marks: dict[str, str | int] = field(default_factory=dict[str, str | int])


@dataclass(frozen=True, kw_only=True)
class QualityRecord(_Record):
    """What one rule of the quality gate found in a run.

    Attributes:
        dataset: `silver.tpch.orders`.
        rule: Id of the rule in its contract.
        level: row or table.
        severity: info, warning, error or critical.
        action: record, warn, quarantine or halt.
        passed: Whether it held; no result is not passed.
        value: What was measured, or None if nothing could be.
        threshold: What it was compared with, or None.
        failed_rows: Rows that broke it.
        dimension: Dimension of data quality.
        column: Column that it watches, or None.
        message: Sentence for people, or "".
    """

    dataset: str
    rule: str
    level: str
    severity: str
    action: str
    passed: bool
    value: float | None = None
    threshold: float | None = None
    failed_rows: int = 0
    dimension: str = ""
    column: str | None = None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class FileRecord(_Record):
    """A file of a run that was not plainly loaded.

    Attributes:
        source: `s3://bucket/key`, as in `_source_file`.
        version: Version of the object, as in `_source_version`.
        outcome: loaded (with a warning), skipped or rejected.
        reason: Code of docs/cli.md.
        message: Sentence for people.
    """

    source: str
    version: str
    outcome: FileOutcome
    reason: str
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class RunTrail(_Record):
    """All that the audit holds of a run.

    Attributes:
        run: The run itself.
        steps: Step attempts in the order of their starts.
        quality: Rules by dataset and id.
        files: Files that were not plainly loaded, by source and version.
    """

    run: RunRecord
    steps: tuple[StepRecord, ...] = ()
    quality: tuple[QualityRecord, ...] = ()
    files: tuple[FileRecord, ...] = ()
