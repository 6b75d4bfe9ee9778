"""What the verbs return of groups and their rows; as `cli.results`, a stable JSON shape."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """What became of a row of a group.

    Attributes:
        row: Name of the row.
        pipeline: Pipeline that its runs belong to, `<group>.<row>`.
        run_id: Its own run.
        status: RUNNING (or waiting for its turn), SUCCEEDED, FAILED or TIMED_OUT.
        reason: Reason code, or "".
        message: The same for people, or "".
    """

    row: str
    pipeline: str
    run_id: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """A row of a group: a table of a database that becomes a table of bronze.

    Attributes:
        group: Pipeline that runs it.
        row: Its name; its own runs are those of the pipeline `<group>.<row>`.
        active: Whether it is run.
        source: Table of the database, `<schema>.<table>`.
        target: Table of bronze, as SQL writes it.
        mode: full or incremental.
        keys: Columns that identify a row of the table.
        watermark: Column that tells what changed; null if the mode is full.
        overlap: How far below the mark a run begins; null if the mode is full.
        priority: Smaller ones are begun first.
        owner: Team that answers for it, or "".
        fault: Why it cannot be run, or ""; then the other keys hold nothing.
    """

    group: str
    row: str
    active: bool
    source: str
    target: str
    mode: str
    keys: list[str]
    watermark: str | None
    overlap: str | None
    priority: int
    owner: str
    fault: str


@dataclass(frozen=True, kw_only=True)
class GroupRows:
    """Rows of groups.

    Attributes:
        env: Environment.
        rows: Rows by group, in the order in which they are begun.
    """

    env: str
    rows: list[GroupRow]
