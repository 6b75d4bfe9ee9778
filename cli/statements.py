"""`lake statements`: what the operator role ran in the warehouse by the Data API, what became of it, and how to stop it."""

from __future__ import annotations

from cli.errors import CommandError, WrongUseError
from cli.results import Done
from cli.session import Session
from cli.statement_results import Statement, StatementDetail, StatementPart, Statements
from cli.warehouse_sql import data_api
from lakehouse.clock import to_text
from lakehouse.warehouse.data_api import RUNNING, DataApi, UnknownStatement

LATEST = "latest"
"""Stands for the newest statement."""


def statements(session: Session, *, status: str | None = None) -> Statements:
    """Statements of the last day, the newest first.

    Args:
        session: The environment.
        status: `running`, `finished`, `failed` or `aborted`: only those; None: all.

    Raises:
        WrongUseError: The environment has no warehouse.
    """
    statuses = ("ALL",) if status is None else RUNNING if status == "running" else (status.upper(),)
    found = [
        Statement(
            statement_id=entry.statement_id,
            label=entry.label,
            status=entry.status,
            sql=entry.sql,
            submitted_at=to_text(entry.submitted_at),
            updated_at=to_text(entry.updated_at),
        )
        for entry in data_api(session).submitted(statuses=statuses)
    ]
    return Statements(env=session.env, statements=found)


def statement(session: Session, *, statement_id: str) -> StatementDetail:
    """What became of a statement, and of each one of a batch.

    Args:
        session: The environment.
        statement_id: Its id, or `latest`.

    Raises:
        WrongUseError: There is none, or no warehouse.
    """
    api = data_api(session)
    try:
        found = api.describe(_id(api, statement_id))
    except UnknownStatement as error:
        raise WrongUseError(str(error)) from error
    parts = [
        StatementPart(status=part.status, sql=part.sql, error=part.error, rows=part.rows if part.rows >= 0 else None, seconds=part.seconds)
        for part in found.parts
    ]
    return StatementDetail(
        statement_id=found.statement_id,
        status=found.status,
        error=found.error,
        submitted_at=to_text(found.submitted_at),
        updated_at=to_text(found.updated_at),
        parts=parts,
    )


def cancel(session: Session, *, statement_id: str) -> Done:
    """Stop a statement; its transaction is undone.

    Args:
        session: The environment.
        statement_id: Its id, or `latest`.

    Raises:
        WrongUseError: There is none, or no warehouse.
        CommandError: It was over before.
    """
    api = data_api(session)
    try:
        found = _id(api, statement_id)
        # A word that is no id, and a statement that is over, are refused alike.
        status = None if api.cancel(found) else api.describe(found).status
    except UnknownStatement as error:
        raise WrongUseError(str(error)) from error
    if status is not None:
        raise CommandError(f"nothing was cancelled, the statement is {status}: `lake statements show {found}` tells more")
    return Done(text=f"statement {found} is cancelled and its transaction undone", next=f"lake statements show {found}")


def _id(api: DataApi, statement_id: str) -> str:
    if statement_id != LATEST:
        return statement_id
    newest = api.submitted(at_most=1)
    if not newest:
        raise WrongUseError("the operator role has run no statement in the last day; those of loads are told by `lake show RUN`")
    return newest[0].statement_id
