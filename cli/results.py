"""What the verbs return: plain data, which `cli.output` renders as text or as JSON.

These classes are the stable JSON shapes of `lake`: a key is never renamed or removed; docs/cli.md is generated from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DayOutcome = Literal["SUCCEEDED", "SKIPPED", "FAILED", "TIMED_OUT", "RUNNING", "NO_FILES", "DONE_BEFORE", "NOT_STARTED"]
RunStatus = Literal["RUNNING", "SUCCEEDED", "FAILED", "SKIPPED", "TIMED_OUT"]


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A file that was put into raw.

    Attributes:
        dataset: Contract id, such as `tpch.orders`.
        file: Local path it came from.
        bucket: Raw bucket.
        key: Its key, `<domain>/<dataset>/year=YYYY/month=MM/day=DD/<name>`.
        version_id: Version of the object that this drop made.
        sha256: SHA-256 of its bytes, hex.
        size: Its bytes.
        dropped_at: When it was put, UTC.
    """

    dataset: str
    file: str
    bucket: str
    key: str
    version_id: str
    sha256: str
    size: int
    dropped_at: str


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Where the records of a run went; `rows_in` is the sum of the others. Of a run that failed, those that were counted before it did.

    Attributes:
        rows_in: Records of the run's file versions, or of its extraction.
        silver: Rows that are in silver; null if the run failed before it published.
        superseded: Rows that gave way to a newer or identical one of their key; null if the run failed before it published.
        quarantined: Rows in quarantine; null if the run failed before they were counted.
        deleted: Records of a database that said that their key is gone; 0 if the rows come from files.
    """

    rows_in: int
    silver: int | None
    superseded: int | None
    quarantined: int | None
    deleted: int = 0


@dataclass(frozen=True, kw_only=True)
class Files:
    """What became of the files of a run.

    Attributes:
        loaded: Files whose records are in bronze.
        skipped: Files without records, or seen before.
        rejected: Files that could not be read as the contract says.
    """

    loaded: int
    skipped: int
    rejected: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of a pipeline.

    Attributes:
        run_id: UUID of version 7: sorts by time.
        pipeline: Pipeline that ran.
        status: RUNNING, SUCCEEDED, FAILED, SKIPPED or TIMED_OUT.
        reason: Reason code of a run that did not succeed, or of one that is RUNNING though it must be over; else "".
        message: The same for people, or "".
        trigger: What started it: arrival, after, schedule, manual or backfill.
        attempt: 1 for the first try of a batch of files.
        started_at: UTC, ISO 8601.
        ended_at: UTC, ISO 8601; null while it runs.
        counts: Where its records went; null if they were not counted.
        files: What became of its files; null if it did not get that far.
        source: The file that a SKIPPED run is about, or "".
    """

    run_id: str
    pipeline: str
    status: RunStatus
    reason: str
    message: str
    trigger: str
    attempt: int
    started_at: str
    ended_at: str | None
    counts: Counts | None
    files: Files | None
    source: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """One attempt of one step; a killed attempt stays, as FAILED.

    Attributes:
        step: Name of the step: ingest, refine, publish.
        attempt: From 1.
        status: RUNNING, SUCCEEDED, FAILED, SKIPPED or TIMED_OUT.
        engine: glue, emr-serverless or emr.
        job_run_id: The engine's own id of the attempt.
        log_group: Log group of the attempt.
        log_stream: Log stream of the attempt.
        started_at: UTC, ISO 8601.
        ended_at: UTC, ISO 8601; null while it runs.
        message: What happened, or "".
        counts: Numbers that the step reports, by name.
        reasons: Quarantined rows by reason code.
    """

    step: str
    attempt: int
    status: str
    engine: str
    job_run_id: str
    log_group: str
    log_stream: str
    started_at: str
    ended_at: str | None
    message: str
    counts: dict[str, int]
    reasons: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class QualityResult:
    """What one rule of the quality gate found.

    Attributes:
        rule: Id of the rule in the contract.
        level: row or table.
        column: Column that it watches, or null.
        dimension: Dimension of data quality.
        severity: info, warning, error or critical.
        action: What follows a failure: record, warn, quarantine or halt.
        passed: Whether the rule held.
        value: What was measured, or null.
        threshold: What it was compared with, or null.
        failed_rows: Rows that broke it, or null.
        message: What else there is to say, such as why nothing could be measured, or "".
    """

    rule: str
    level: str
    column: str | None
    dimension: str
    severity: str
    action: str
    passed: bool
    value: float | None
    threshold: float | None
    failed_rows: int | None
    message: str


@dataclass(frozen=True, kw_only=True)
class FileResult:
    """A file that was not plainly loaded.

    Attributes:
        file: Its `s3://` address.
        version_id: Version of the object.
        outcome: loaded (with a warning), skipped or rejected.
        reason: Reason code, or "".
        message: The same for people.
    """

    file: str
    version_id: str
    outcome: str
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class RunDetail:
    """The audit trail of one run.

    Attributes:
        run: The run.
        manifest: `s3://` address of the list of its file versions, or null.
        batch_id: Hash of that list, or null.
        file_count: Number of file versions in that list.
        execution_arn: Execution of the state machine, or "".
        reasons: Quarantined rows by reason code.
        warnings: Sentences for people.
        steps: Attempts of its steps, oldest first.
        quality: Results of the quality gate.
        file_results: Files that were not plainly loaded.
    """

    run: Run
    manifest: str | None
    batch_id: str | None
    file_count: int
    execution_arn: str
    reasons: dict[str, int]
    warnings: list[str]
    steps: list[Step]
    quality: list[QualityResult]
    file_results: list[FileResult]


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The newest runs.

    Attributes:
        env: Environment.
        runs: Newest first, 50 at most.
    """

    env: str
    runs: list[Run]


@dataclass(frozen=True, kw_only=True)
class BackfillDay:
    """What became of a day of a pipeline.

    Attributes:
        pipeline: Pipeline.
        date: The day, YYYY-MM-DD.
        outcome: How its run ended (SUCCEEDED, SKIPPED, FAILED, TIMED_OUT); or NO_FILES: none of that day has arrived; DONE_BEFORE: it has
            succeeded for an earlier command and was not repeated; NOT_STARTED: a day before it failed.
        files: File versions that were run; 0 for a pipeline that no file starts.
        message: What there is to say for people, or "".
        run: Its run, or null if there is none.
    """

    pipeline: str
    date: str
    outcome: DayOutcome
    files: int
    message: str
    run: Run | None


@dataclass(frozen=True, kw_only=True)
class Backfill:
    """Days that were run.

    Attributes:
        env: Environment.
        days: By date and pipeline.
    """

    env: str
    days: list[BackfillDay]


@dataclass(frozen=True, kw_only=True)
class Waited:
    """How the waiting ended.

    Attributes:
        env: Environment.
        drops: Drops that ended since the last wait.
        runs: Runs since the last wait, oldest first.
        failed: Those of them that failed, or are RUNNING though they must be over.
        dead_letters: Arrivals that no run could be started for, by queue, since the last wait.
    """

    env: str
    drops: int
    runs: list[Run]
    failed: list[Run]
    dead_letters: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """A line of a run's log.

    Attributes:
        at: UTC, ISO 8601.
        stream: Log stream.
        text: The line.
    """

    at: str
    stream: str
    text: str


@dataclass(frozen=True, kw_only=True)
class QueryColumn:
    """A column of a query's answer.

    Attributes:
        name: Its name.
        type: Athena's type, such as `bigint`, `decimal`, `varchar`, `array`.
    """

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class QueryResult:
    """The answer to a query.

    Attributes:
        query_id: Athena's id of the execution, or the Data API's of the statement.
        columns: Columns in order.
        rows: Rows in order; a value is null, boolean, a number (integers and floats) or text (all else: decimals keep their digits,
            dates and timestamps are ISO 8601, bytes are pairs of hex digits).
        scanned_bytes: Data that the query read; 0 for Redshift, which bills time.
        seconds: Time that the engine took.
    """

    query_id: str
    columns: list[QueryColumn]
    rows: list[list[bool | int | float | str | None]]
    scanned_bytes: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a row is in quarantine.

    Attributes:
        code: Reason code.
        column: Column at fault, or null.
        rule: Rule of the contract, or null.
        message: Sentence for people.
    """

    code: str
    column: str | None
    rule: str | None
    message: str | None


@dataclass(frozen=True, kw_only=True)
class QuarantinedRow:
    r"""A record in quarantine.

    Attributes:
        source_file: `s3://` address of its file.
        source_version: Version of that object.
        row: Place in the file, from 1 for the first record.
        reasons: Why it is here, at least one.
        values: Raw columns as they came in.
        extra: Columns that the contract does not know.
        record: The record as text if it could not be parsed (bytes that are not UTF-8 as `\xNN`), else null.
        run_id: Run that put it here.
        quarantined_at: When, UTC.
    """

    source_file: str
    source_version: str
    row: int
    reasons: list[Reason]
    values: dict[str, str | None]
    extra: dict[str, str | None]
    record: str | None
    run_id: str
    quarantined_at: str


@dataclass(frozen=True, kw_only=True)
class Quarantine:
    """Rows of a dataset in quarantine.

    Attributes:
        dataset: Contract id.
        total: Rows in quarantine; `rows` holds the newest 1000 of them at most.
        by_reason: Rows by reason code; a row with two reasons counts in both.
        rows: The rows, newest first.
    """

    dataset: str
    total: int
    by_reason: dict[str, int]
    rows: list[QuarantinedRow]


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A CloudFormation stack.

    Attributes:
        name: Its name.
        status: CloudFormation's word, such as `CREATE_COMPLETE`; MISSING if it is not there.
    """

    name: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Arrivals of a pipeline that have not started a run yet.

    Attributes:
        pipeline: The pipeline.
        waiting: Messages in the queue.
        in_flight: Messages that the starter holds.
        dead: Messages in the dead-letter queue.
    """

    pipeline: str
    waiting: int
    in_flight: int
    dead: int


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A CloudWatch alarm.

    Attributes:
        name: Its name.
        state: OK, ALARM or INSUFFICIENT_DATA.
        reason: CloudWatch's sentence.
    """

    name: str
    state: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the lake.

    Attributes:
        zone: bronze, silver, gold or quarantine.
        database: Database in the catalog.
        name: Table.
        updated_at: Last change in the catalog, UTC, or null.
    """

    zone: str
    database: str
    name: str
    updated_at: str | None


@dataclass(frozen=True, kw_only=True)
class TableContent:
    """What a table holds now.

    Attributes:
        zone: bronze, silver, gold or quarantine.
        database: Database in the catalog.
        name: Table.
        rows: Records of the current snapshot, or null if its writer did not say.
        files: Data files of the current snapshot, or null.
        bytes: Size of these files, or null.
        snapshots: Snapshots that are kept, each of which can still be read.
        updated_at: Moment of the current snapshot, UTC, or null if nothing was ever written.
        location: Folder of the table.
    """

    zone: str
    database: str
    name: str
    rows: int | None
    files: int | None
    bytes: int | None
    snapshots: int
    updated_at: str | None
    location: str


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Tables of an environment.

    Attributes:
        env: Environment.
        tables: Those that exist, by zone.
    """

    env: str
    tables: list[TableContent]


@dataclass(frozen=True, kw_only=True)
class Status:
    """State of an environment.

    Attributes:
        env: Environment.
        platform: running or stopped for the laptop, aws for the others.
        endpoint: Where the laptop platform answers, or null.
        deployed: Whether every stack of the environment stands.
        stacks: Its stacks.
        queues: Arrivals by pipeline.
        runs: Runs of the last 7 days by status.
        alarms: Alarms of the environment.
        tables: Tables of the lake.
    """

    env: str
    platform: Literal["running", "stopped", "aws"]
    endpoint: str | None
    deployed: bool
    stacks: list[Stack]
    queues: list[Queue]
    runs: dict[str, int]
    alarms: list[Alarm]
    tables: list[Table]


@dataclass(frozen=True, kw_only=True)
class Done:
    """A verb whose result is that something happened.

    Attributes:
        text: Sentence for people.
        next: What to do next, as a command, or "".
    """

    text: str
    next: str
