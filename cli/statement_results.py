"""What the verbs return of statements of the warehouse; as `cli.results`, a stable JSON shape."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement, or a batch, that the operator role ran in the warehouse.

    Attributes:
        statement_id: Id by which the Data API knows it.
        label: Name that it was given: lake-sql for those of `lake sql`, or "".
        status: SUBMITTED, PICKED, STARTED, FINISHED, FAILED or ABORTED.
        sql: Its text.
        submitted_at: When it was submitted, UTC.
        updated_at: When its status changed last, UTC.
    """

    statement_id: str
    label: str
    status: str
    sql: str
    submitted_at: str
    updated_at: str


@dataclass(frozen=True, kw_only=True)
class Statements:
    """Statements of the last day, the newest first.

    Attributes:
        env: Environment.
        statements: They themselves; 100 at most.
    """

    env: str
    statements: list[Statement]


@dataclass(frozen=True, kw_only=True)
class StatementPart:
    """A statement of a batch, or the only one.

    Attributes:
        status: As that of the whole.
        sql: Its text.
        error: Redshift's text, or "".
        rows: Rows that it changed or answers; null if Redshift does not say.
        seconds: How long Redshift took.
    """

    status: str
    sql: str
    error: str
    rows: int | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class StatementDetail:
    """What became of a statement, or of a batch.

    Attributes:
        statement_id: Id by which the Data API knows it.
        status: SUBMITTED, PICKED, STARTED, FINISHED, FAILED or ABORTED.
        error: Redshift's text, or "".
        submitted_at: When it was submitted, UTC.
        updated_at: When its status changed last, UTC.
        parts: Its statements in order, if it is a batch; else the one.
    """

    statement_id: str
    status: str
    error: str
    submitted_at: str
    updated_at: str
    parts: list[StatementPart]
