"""Statements of the Data API on threads of their own: single ones, batches that are one transaction, sessions that stay open."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from local.aws import seam
from local.aws.redshift_targets import Target
from local.redshift.errors import SqlError
from local.redshift.movers import RoleMover
from local.redshift.objects import Objects
from local.redshift.session import Outcome, Session
from local.redshift.statements import kind_of

log = logging.getLogger("lake.redshift")

KEPT_SECONDS = 86_400
"""For how long statements and results are remembered."""

FINAL = frozenset({"FINISHED", "FAILED", "ABORTED"})
LONGEST_RESULT = 500_000_000
"""Bytes of a result that the Data API gives."""

LONGEST_ROW = 64 * 1024
"""Bytes of a row that the Data API gives; source: its page of troubles, "Packet for query is too large"."""

_TRANSACTIONS = frozenset({"(?:BEGIN|START TRANSACTION)", "(?:COMMIT|END)", "(?:ROLLBACK|ABORT)"})


@dataclass(kw_only=True)
class Part:
    """One SQL statement of an execution.

    Attributes:
        id: `<id>` of a single statement, `<id>:<n>` in a batch.
        sql: Its text.
    """

    id: str
    sql: str
    status: str = "SUBMITTED"
    error: str = ""
    outcome: Outcome | None = None
    size: int = -1
    duration: int = -1
    query_id: int = -1
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)

    def shown(self) -> dict[str, Any]:
        """The statement as DescribeStatement gives it."""
        outcome = self.outcome
        found = {
            "Id": self.id, "QueryString": self.sql, "Status": self.status, "CreatedAt": self.created_at, "UpdatedAt": self.updated_at,
            "HasResultSet": outcome is not None and outcome.has_result, "ResultRows": outcome.count if outcome is not None else -1,
            "ResultSize": self.size, "Duration": self.duration, "RedshiftQueryId": self.query_id,
        }  # fmt: skip
        return {**found, "Error": self.error} if self.error else found


@dataclass(kw_only=True)
class Kept:
    """A connection that stays open between statements."""

    id: str
    target: Target
    owner: str
    seconds: int
    session: Session | None = None
    is_busy: bool = False
    has_begun: bool = False
    used_at: float = field(default_factory=time.time)


@dataclass(kw_only=True)
class Execution:
    """An ExecuteStatement or BatchExecuteStatement from its submission to its end."""

    id: str
    target: Target
    owner: str
    parts: list[Part]
    is_batch: bool
    given: dict[str, Any]
    kept: Kept | None = None
    status: str = "SUBMITTED"
    error: str = ""
    process_id: int = 0
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    duration: int = -1
    is_cancelled: bool = False
    connection: psycopg.Connection[Any] | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def is_atomic(self) -> bool:
        """Whether its statements are one transaction."""
        return self.is_batch and self.given.get("ExecutionMode", "TRANSACTION") != "AUTO_COMMIT"

    def move(self, status: str, error: str = "") -> None:
        """Go on to a state, unless it has ended."""
        with self.changed:
            if self.status not in FINAL:
                self.status, self.error, self.updated_at = status, error, time.time()
                if status in FINAL:
                    self.duration = int((time.time() - self.created_at) * 1e9)
            self.changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, at most so long."""
        with self.changed:
            self.changed.wait_for(lambda: self.status in FINAL, timeout=seconds)

    @property
    def has_result(self) -> bool:
        """Whether there is a result to fetch."""
        return any(part.outcome is not None and part.outcome.has_result for part in self.parts)


EXECUTIONS: dict[str, Execution] = {}
SESSIONS: dict[str, Kept] = {}
"""What is under way or remembered, by id."""

_query_ids = iter(range(1000, 2**31))


def forget_old() -> None:
    """Forget what ended more than a day ago."""
    limit = time.time() - KEPT_SECONDS
    for execution_id in [each.id for each in EXECUTIONS.values() if each.status in FINAL and each.created_at < limit]:
        del EXECUTIONS[execution_id]


def run(execution: Execution) -> None:
    """Run to the end; whatever happens, the execution ends in a final state."""
    session: Session | None = None
    try:
        execution.move("PICKED")
        session = _connected(execution)
        execution.process_id, execution.connection = session.process_id, session.connection
        execution.move("STARTED")
        _run_parts(execution, session)
    except psycopg.errors.QueryCanceled:
        _end(execution, "ABORTED", "Query cancelled on user's request")
    except (SqlError, psycopg.Error) as error:
        _end(execution, "ABORTED" if execution.is_cancelled else "FAILED", str(error))
    except Exception as error:
        log.exception("statement %s", execution.id)
        _end(execution, "FAILED", f"ERROR: the laptop platform could not run the statement: {error}")
    finally:
        execution.connection = None
        _let_go(execution, session)
    if execution.given.get("WithEvent"):
        _announce(execution)


def _connected(execution: Execution) -> Session:
    kept = execution.kept
    if kept is not None and kept.session is not None:
        return kept.session
    target = execution.target
    connection = target.warehouse.connect(target.database, target.user)
    mover = RoleMover(
        roles=target.endpoint.roles, default_role=target.endpoint.default_role, session_of=lambda role: Objects(target.client("s3", role)),
        catalog_of=lambda role: target.client("glue", role),
    )  # fmt: skip
    session = Session(
        connection, database=target.database.lower(), user=target.user, mover=mover,
        platform=lambda: target.warehouse.platform_connection(target.database),
    )  # fmt: skip
    if kept is not None:
        kept.session = session
    return session


def _run_parts(execution: Execution, session: Session) -> None:
    parameters = {parameter["name"]: parameter["value"] for parameter in execution.given.get("Parameters") or []}
    failure: SqlError | psycopg.Error | None = None
    in_transaction = execution.is_atomic
    for part in execution.parts:
        if execution.is_cancelled:
            raise SqlError("Query cancelled on user's request")
        try:
            _run_part(part, session, parameters, is_in_transaction=in_transaction, is_kept=execution.kept is not None)
        except (SqlError, psycopg.Error) as error:
            session.connection.rollback()
            failure = error
            if execution.is_atomic or not execution.is_batch or execution.is_cancelled:
                raise
        else:
            if not in_transaction:
                _commit_unless_begun(part, session, execution.kept)
    if failure is not None:
        raise failure
    if in_transaction:
        session.connection.commit()
    execution.move("FINISHED")


def _commit_unless_begun(part: Part, session: Session, kept: Kept | None) -> None:
    """A statement of its own is a transaction of its own, but for one that BEGIN has opened in a session that stays."""
    kind = part.outcome.kind if part.outcome is not None else ""
    if kept is not None and kind in {"BEGIN", "COMMIT", "ROLLBACK"}:
        kept.has_begun = kind == "BEGIN"
    if kept is None or not kept.has_begun:
        session.connection.commit()


def _run_part(part: Part, session: Session, parameters: Mapping[str, str], *, is_in_transaction: bool, is_kept: bool) -> None:
    began = time.time()
    part.status, part.query_id = "STARTED", next(_query_ids)
    try:
        if kind_of(part.sql) in _TRANSACTIONS and (is_in_transaction or not is_kept):
            raise SqlError("Transaction control statements are for sessions that stay open: a batch is one transaction by itself")
        part.outcome = session.run(part.sql, parameters, is_in_transaction=is_in_transaction, query_id=part.query_id)
        part.size = _size(part.outcome.rows) if part.outcome.has_result else -1
        part.status = "FINISHED"
    except psycopg.errors.QueryCanceled:
        part.status, part.error = "ABORTED", "Query cancelled on user's request"
        raise
    except (SqlError, psycopg.Error) as error:
        part.status, part.error, part.outcome = "FAILED", str(error), None
        raise
    finally:
        part.duration, part.updated_at = int((time.time() - began) * 1e9), time.time()


def _size(rows: Iterable[Sequence[str | None]]) -> int:
    """Bytes of a result.

    Raises:
        SqlError: The Data API does not give as much, in all or in one row.
    """
    size = 0
    for row in rows:
        length = sum(len(value.encode()) for value in row if value is not None)
        if length > LONGEST_ROW:
            raise SqlError(f"Packet for query is too large: a row of {length} bytes, and the Data API gives rows of up to {LONGEST_ROW}")
        size += length
    if size > LONGEST_RESULT:
        raise SqlError(f"Database response exceeded size limit: {size} bytes, and the Data API gives {LONGEST_RESULT}; use UNLOAD")
    return size


def _end(execution: Execution, status: str, error: str) -> None:
    for part in execution.parts:
        if part.status not in FINAL:
            part.status = "ABORTED"
        if execution.is_atomic and status != "FINISHED":
            part.outcome = None
    execution.move(status, error)


def _let_go(execution: Execution, session: Session | None) -> None:
    kept = execution.kept
    if session is None:
        if kept is not None:
            SESSIONS.pop(kept.id, None)
        return
    if kept is None:
        session.connection.close()
        return
    if execution.status != "FINISHED" and not session.connection.closed:
        session.connection.rollback()
        kept.has_begun = False
    if session.connection.closed:
        SESSIONS.pop(kept.id, None)
    kept.is_busy, kept.used_at = False, time.time()
    timer = threading.Timer(kept.seconds, _expire, args=(kept,))
    timer.daemon = True
    timer.start()


def _expire(kept: Kept) -> None:
    if not kept.is_busy and time.time() - kept.used_at >= kept.seconds - 0.01:
        SESSIONS.pop(kept.id, None)
        if kept.session is not None:
            kept.session.connection.close()


def _announce(execution: Execution) -> None:
    detail = {
        "principal": execution.owner,
        "statementName": execution.given.get("StatementName") or "",
        "statementId": execution.id,
        "redshiftQueryId": execution.parts[-1].query_id,
        "state": execution.status,
        "rows": execution.parts[-1].outcome.count if execution.parts[-1].outcome is not None else -1,
        "expireAt": int(execution.created_at) + KEPT_SECONDS,
    }
    entry = {
        "Source": "aws.redshift-data", "DetailType": "Redshift Data Statement Status Change", "Detail": json.dumps(detail),
        "Resources": [execution.target.endpoint.arn],
    }  # fmt: skip
    try:
        seam.module("services.eventbridge")._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:
        log.exception("the end of statement %s was not announced", execution.id)
