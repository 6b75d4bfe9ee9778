"""Statements of the local RDS Data API on a connection to PostgreSQL: one at a time, with their values beside them, within the service's limits."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import pq

from local.aws.modelled_service import ServiceError
from local.aws.rds_data_values import Bound, Column, Fields, Options, as_json, metadata, numbered, size_of

STATEMENT_SECONDS = 45.0
"""Longest that a call waits for a statement."""

LONGEST_RESPONSE, LONGEST_ROW, LONGEST_JSON = 1024 * 1024, 64 * 1024, 10 * 1024 * 1024
"""Bytes of a result, of a row, and of a result as JSON."""

_CONTROL = re.compile(r"\s*(BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE\s+TRANSACTION)\b", re.IGNORECASE)
_COPY = frozenset({pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH})


@dataclass(kw_only=True)
class DataSession:
    """A connection, and whether a statement is under way on it.

    Attributes:
        connection: To the database, in autocommit: transactions are begun and ended by statements.
        seconds: Longest that a call waits for a statement.
    """

    connection: psycopg.Connection[Any]
    seconds: float = STATEMENT_SECONDS
    _busy: threading.Lock = field(default_factory=threading.Lock)
    _is_ending: bool = False

    def execute(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Run the statement of an ExecuteStatement request; its answer.

        Raises:
            ServiceError: It was refused, failed, took too long, or answers too much.
        """
        text, values = numbered(str(given["sql"]), given.get("parameters") or [])
        _refuse_control(text)
        return self._exclusively(lambda: self._answer(text, values, given), goes_on=bool(given.get("continueAfterTimeout")))

    def batch(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Run the statement of a BatchExecuteStatement request for each of its parameter sets; its answer.

        Raises:
            ServiceError: It was refused, failed, or took too long.
        """
        sets = given.get("parameterSets") or []
        prepared = [numbered(str(given["sql"]), each) for each in sets]
        _refuse_control(str(given["sql"]))

        def run() -> dict[str, Any]:
            for text, values in prepared:
                if self._run(text, values).nfields:
                    raise ServiceError("DatabaseErrorException", "A result was returned when none was expected.")
            return {"updateResults": [{"generatedFields": []} for _ in prepared]}

        return self._exclusively(run)

    def command(self, sql: str) -> None:
        """Begin or end a transaction.

        Raises:
            ServiceError: A statement is under way, or the database refused.
        """

        def run() -> dict[str, Any]:
            done = self._run(sql, [])
            # PostgreSQL answers the COMMIT of a transaction in which a statement failed with a rollback, and without an error.
            if sql == "COMMIT" and done.command_status != b"COMMIT":
                raise ServiceError(
                    "DatabaseErrorException",
                    "ERROR: the transaction was rolled back, because an earlier statement of it had failed; SQLState: 25P02",
                )
            return {}

        self._exclusively(run)

    def close(self, *, is_patient: bool = False) -> None:
        """End the connection; what is not committed is undone.

        Args:
            is_patient: Whether a statement that is under way may go on to its end first; it is stopped otherwise.
        """
        self._is_ending = True
        if self._busy.acquire(blocking=False):
            self.connection.close()
            self._busy.release()
        elif not is_patient:
            self.connection.cancel_safe(timeout=10)

    # ---- one at a time, and no longer than it may ------------------------------------------------------------------------

    def _exclusively(self, work: Callable[[], dict[str, Any]], *, goes_on: bool = False) -> dict[str, Any]:
        if not self._busy.acquire(blocking=False):
            raise ServiceError("DatabaseErrorException", "Transaction is still running a query")
        answers: list[dict[str, Any]] = []
        faults: list[BaseException] = []

        def run() -> None:
            try:
                answers.append(work())
            except BaseException as fault:  # noqa: BLE001 - told to whoever waits
                faults.append(fault)
            finally:
                self._busy.release()
                if self._is_ending:
                    self.close()

        thread = threading.Thread(target=run, name="rds-data", daemon=True)
        thread.start()
        thread.join(self.seconds)
        if thread.is_alive():
            if not goes_on:
                self.connection.cancel_safe(timeout=10)
                thread.join()
            raise ServiceError("StatementTimeoutException", "Request timed out", dbConnectionId=self.connection.info.backend_pid)
        if faults:
            raise faults[0]
        return answers[0]

    # ---- PostgreSQL --------------------------------------------------------------------------------------------------------

    def _answer(self, text: str, values: Sequence[Bound], given: Mapping[str, Any]) -> dict[str, Any]:
        result = self._run(text, values)
        if not result.nfields:
            return {"numberOfRecordsUpdated": result.command_tuples or 0, "generatedFields": []}
        columns, rows = _columns(result), _rows(result)
        size, longest = size_of(rows)
        if longest > LONGEST_ROW:
            raise ServiceError("DatabaseErrorException", f"Packet for query is too large ({longest} > {LONGEST_ROW})")
        wanted = given.get("resultSetOptions") or {}
        options = Options(decimals=wanted.get("decimalReturnType") or "STRING", longs=wanted.get("longReturnType") or "LONG")
        enums = self._enums(columns)
        fields = Fields(columns, enums=enums, options=options)
        answer: dict[str, Any] = {"numberOfRecordsUpdated": 0, "generatedFields": []}
        if given.get("formatRecordsAs") == "JSON" and re.match(r"\s*(SELECT|WITH|VALUES|TABLE)\b", text, re.IGNORECASE):
            formatted = as_json([fields.plain(row) for row in rows])
            if len(formatted.encode()) > LONGEST_JSON:
                raise ServiceError("UnsupportedResultException", "The JSON-formatted result exceeds the limit of 10 MB.")
            return {**answer, "formattedRecords": formatted}
        if size > LONGEST_RESPONSE:
            raise ServiceError("UnsupportedResultException", "Database returned more than the allowed response size limit")
        answer["records"] = [fields.record(row) for row in rows]
        if given.get("includeResultMetadata"):
            answer["columnMetadata"] = metadata(columns, self.connection, enums)
        return answer

    def _run(self, text: str, values: Sequence[Bound]) -> pq.abc.PGresult:
        """Run by the extended protocol, which takes one statement, and its values beside it.

        Raises:
            ServiceError: The database refused.
        """
        result = self.connection.pgconn.exec_params(
            text.encode(), [value.data for value in values], [value.type for value in values],
            [pq.Format.BINARY if value.is_binary else pq.Format.TEXT for value in values],
        )  # fmt: skip
        if result.status in _COPY:
            self.connection.close()
            raise ServiceError("UnsupportedResultException", "COPY from and to the client is not supported.")
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise _told(result)
        return result

    def _enums(self, columns: Sequence[Column]) -> frozenset[int]:
        """Which of the columns' types are enumerations."""
        own = sorted({column.type for column in columns if column.type >= 16_384})
        if not own:
            return frozenset()
        rows = self.connection.execute("SELECT oid::bigint FROM pg_type WHERE typtype = 'e' AND oid = ANY(%s::oid[])", (own,)).fetchall()
        return frozenset(row[0] for row in rows)


def _refuse_control(sql: str) -> None:
    """Refuse what begins or ends transactions.

    Raises:
        ServiceError: It does.
    """
    if _CONTROL.match(sql):
        raise ServiceError("DatabaseErrorException", "Transaction control statements are not supported: use BeginTransaction and its like")


def _columns(result: pq.abc.PGresult) -> list[Column]:
    return [
        Column(
            name=(result.fname(place) or b"").decode(), type=result.ftype(place), modifier=result.fmod(place), size=result.fsize(place),
            table=result.ftable(place), place=result.ftablecol(place),
        )
        for place in range(result.nfields)
    ]  # fmt: skip


def _rows(result: pq.abc.PGresult) -> list[list[str | None]]:
    return [
        [None if (value := result.get_value(row, column)) is None else value.decode() for column in range(result.nfields)]
        for row in range(result.ntuples)
    ]


def _told(result: pq.abc.PGresult) -> ServiceError:
    """An error of the database in the words of the Data API."""

    def part(which: pq.DiagnosticField) -> str:
        return (result.error_field(which) or b"").decode()

    state, message = part(pq.DiagnosticField.SQLSTATE), part(pq.DiagnosticField.MESSAGE_PRIMARY)
    if state == "42601" and message.startswith("cannot insert multiple commands"):
        return ServiceError("ValidationException", "Multistatements aren't supported.")
    detail, hint = part(pq.DiagnosticField.MESSAGE_DETAIL), part(pq.DiagnosticField.MESSAGE_HINT)
    place = part(pq.DiagnosticField.STATEMENT_POSITION)
    text = f"{part(pq.DiagnosticField.SEVERITY)}: {message}"
    text += (
        (f"\n  Detail: {detail}" if detail else "") + (f"\n  Hint: {hint}" if hint else "") + (f"\n  Position: {place}" if place else "")
    )
    return ServiceError("DatabaseErrorException", f"{text}; SQLState: {state}")
