"""A client of the RDS Data API: SQL in an Aurora cluster without a connection, a driver or a place in its network.

    data = RdsData(client=statement_client(), cluster_arn=..., secret_arn=..., database="shop")
    data.rows("SELECT name, price FROM items WHERE bought_on >= :since", {"since": date(2026, 11, 1)})
    with data.transaction() as transaction:
        transaction.execute("UPDATE marks SET value = :value WHERE name = :name", {"value": 17, "name": "orders"})
        transaction.batch("INSERT INTO runs (id, rows) VALUES (:id, :rows)", [{"id": run, "rows": 5}])

Values go to the database beside the text, as parameters with a type; the text is a literal, which the type checker holds callers to
(`LiteralString`), so that no value finds a way into it. A statement has 45 seconds and answers 1 MiB at most: bulk goes by Spark.

Actions: rds-data:ExecuteStatement, BatchExecuteStatement, BeginTransaction, CommitTransaction, RollbackTransaction on the cluster,
secretsmanager:GetSecretValue on the secret, kms:Decrypt on its key.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, NoReturn

from botocore.exceptions import ClientError

from lakehouse.aws import client
from lakehouse.errors import LakehouseError, TerminalError, TransientError
from lakehouse.polling import Pauses, looks
from lakehouse.rds_data_values import Value, parameters_of, value_of

STATEMENT_SECONDS = 45
"""Longest that a statement may take; the service's limit."""

RESUME_SECONDS = 60.0
"""How long a cluster that had paused itself is waited for; AWS speaks of about 15 seconds, 30 after a day's sleep."""

PAUSES = Pauses(first_seconds=1.0, factor=1.5, longest_seconds=5.0)
"""Pauses between two tries while a cluster resumes."""

MAX_BATCH_SETS = 1000
"""Most parameter sets of one call."""

MAX_BATCH_BYTES = 3 * 1024 * 1024
"""Most bytes of the parameter sets of one call; the service takes requests of 4 MiB."""

_RESUMING = "DatabaseResumingException"
_AWAY = frozenset({_RESUMING, "DatabaseUnavailableException", "ServiceUnavailableError", "InternalServerErrorException"})
_SQLSTATE = re.compile(r"SQLState: ([0-9A-Z]{5})")
_HINTS: Mapping[str, str] = {
    "HttpEndpointNotEnabledException": "switch the Data API of the cluster on (`data_api: true` in `databases:`), and check its ARN",
    "DatabaseNotFoundException": "the cluster has no instance: add a writer",
    "TransactionNotFoundException": "it was committed, rolled back or forgotten: three minutes without a call end a transaction",
    "UnsupportedResultException": "select fewer rows, or cast the column to text",
    "InvalidSecretException": "the secret has to hold `username` and `password`",
}


class RdsDataError(TerminalError):
    """A call or its SQL was refused; the text is the service's or the database's own.

    Attributes:
        code: The service's code, such as `DatabaseErrorException`.
        sqlstate: The database's code, such as `23505` of a key that is there already; None if it was not the database that refused.
    """

    def __init__(self, *, code: str, message: str) -> None:
        found = _SQLSTATE.search(message)
        self.code, self.sqlstate = code, found.group(1) if found else None
        hint = f". Fix: {_HINTS[code]}" if code in _HINTS else ""
        super().__init__(f"{code}: {message.rstrip('.')}{hint}")


class RdsDataUnavailable(TransientError):
    """The cluster is not there for now: it resumes, or its writer is being replaced. Whether a statement ran that was on its way is not known."""

    def __init__(self, *, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"{code}: {message}")


class RdsDataTimeout(LakehouseError):
    """A statement was not over within the service's time; it was stopped, unless it was told to go on."""

    def __init__(self, message: str, *, goes_on: bool) -> None:
        what = "goes on in the database" if goes_on else "was stopped: give it less to do, or let a job of Spark do it"
        super().__init__(f"the statement was not over after {STATEMENT_SECONDS} s and {what} ({message})")


def statement_client() -> Any:
    """A client that sends a statement once and waits for it as long as the service does."""
    return client("rds-data", attempts=1, read_seconds=STATEMENT_SECONDS + 15)


class _Statements:
    """What can be said to the database, in a transaction or each for itself."""

    def __init__(self, *, call: Callable[..., dict[str, Any]], target: Mapping[str, str]) -> None:
        self._call = call
        self._target = target

    def execute(self, sql: LiteralString, parameters: Mapping[str, Value] | None = None, *, goes_on_after_timeout: bool = False) -> int:
        """Run a statement.

        Args:
            sql: The statement, its values as `:name`.
            parameters: The values by name.
            goes_on_after_timeout: Whether it may go on after 45 seconds, as is right for DDL; the call fails nonetheless.

        Returns:
            Rows that it changed; 0 for those that change none.

        Raises:
            RdsDataError: It was refused.
            RdsDataTimeout: It took too long.
            RdsDataUnavailable: The cluster is not there for now.
        """
        more = {"continueAfterTimeout": True} if goes_on_after_timeout else {}
        answer = self._call("execute_statement", **self._target, sql=sql, parameters=parameters_of(parameters or {}), **more)
        return int(answer.get("numberOfRecordsUpdated", 0))

    def rows(self, sql: LiteralString, parameters: Mapping[str, Value] | None = None) -> list[dict[str, Any]]:
        """Run a query, or a statement with RETURNING.

        Args:
            sql: The statement, its values as `:name`.
            parameters: The values by name.

        Returns:
            Its rows by the names of their columns: None, bool, int, float, Decimal, str, bytes, date, time, datetime, UUID, what JSON holds,
            and lists of them. A timestamp with a zone comes as UTC.

        Raises:
            RdsDataError: It was refused, answers more than 1 MiB, or two of its columns have one name.
            RdsDataTimeout: It took too long.
            RdsDataUnavailable: The cluster is not there for now.
        """
        asked = {**self._target, "sql": sql, "parameters": parameters_of(parameters or {}), "includeResultMetadata": True}
        answer = self._call("execute_statement", **asked)
        columns = [(str(column.get("label") or column["name"]), str(column["typeName"])) for column in answer.get("columnMetadata", [])]
        names = [name for name, _ in columns]
        if len(set(names)) < len(names):
            raise RdsDataError(code="AmbiguousColumns", message=f"two columns have one name ({', '.join(names)}): rename one by AS")
        return [
            {name: value_of(field, type_) for (name, type_), field in zip(columns, record, strict=True)}
            for record in answer.get("records", [])
        ]


class Transaction(_Statements):
    """A transaction that is open: its statements have an effect together, or none has."""

    def batch(self, sql: LiteralString, parameter_sets: Iterable[Mapping[str, Value]]) -> int:
        """Run one statement for each of many sets of values, in calls that the service takes.

        Args:
            sql: An INSERT, UPDATE or DELETE, its values as `:name`.
            parameter_sets: Values by name, once for each time that it runs.

        Returns:
            How many times it ran.

        Raises:
            RdsDataError: One was refused, and with it the transaction.
            RdsDataTimeout: It took too long.
            RdsDataUnavailable: The cluster is not there for now.
        """
        count = 0
        for chunk in _chunks(parameters_of(each) for each in parameter_sets):
            self._call("batch_execute_statement", **self._target, sql=sql, parameterSets=chunk)
            count += len(chunk)
        return count


class RdsData(_Statements):
    """A database of an Aurora cluster, by the RDS Data API; each statement is a transaction of its own, unless one is opened."""

    def __init__(
        self,
        *,
        client: Any,
        cluster_arn: str,
        secret_arn: str,
        database: str,
        resume_seconds: float = RESUME_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Args:
            client: boto3 client of `rds-data` that tries once, as from `statement_client`: the service knows no token by which a statement
                that is sent twice would run once.
            cluster_arn: ARN of the cluster.
            secret_arn: ARN of the secret with the user and the password.
            database: Database.
            resume_seconds: How long a cluster that had paused itself is waited for.
            clock: Seconds that only go forward.
            sleep: Waits some seconds.

        Raises:
            ValueError: The client repeats calls by itself.
        """
        retries = client.meta.config.retries or {}
        if retries.get("total_max_attempts") != 1:
            raise ValueError(
                f"the client may repeat a statement that ran already (retries={retries}): use lakehouse.rds_data.statement_client()"
            )
        self._client = client
        self._resume_seconds, self._clock, self._sleep = resume_seconds, clock, sleep
        self._where = {"resourceArn": cluster_arn, "secretArn": secret_arn}
        super().__init__(call=self._patiently, target={**self._where, "database": database})

    def batch(self, sql: LiteralString, parameter_sets: Iterable[Mapping[str, Value]]) -> int:
        """Run one statement for each of many sets of values, all of them or none.

        Args:
            sql: An INSERT, UPDATE or DELETE, its values as `:name`.
            parameter_sets: Values by name, once for each time that it runs.

        Returns:
            How many times it ran.

        Raises:
            RdsDataError: One was refused; none has had an effect.
            RdsDataTimeout: It took too long; none has had an effect.
            RdsDataUnavailable: The cluster is not there for now.
        """
        with self.transaction() as transaction:
            return transaction.batch(sql, parameter_sets)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Statements that have an effect together: committed at the end, rolled back at an exception, which goes on to the caller.

        Raises:
            RdsDataError: It could not be opened or committed.
            RdsDataUnavailable: The cluster is not there for now; if it was the commit that failed, whether it took place is not known.
        """
        name = {"transactionId": self._patiently("begin_transaction", **self._target)["transactionId"]}
        try:
            yield Transaction(call=self._once, target={**self._target, **name})
        except BaseException as error:
            try:
                self._once("rollback_transaction", **self._where, **name)
            except Exception as failure:  # noqa: BLE001 - what went wrong first is what the caller has to know
                error.add_note(f"the transaction could not be rolled back ({failure}); the service does so after three minutes")
            raise
        self._once("commit_transaction", **self._where, **name)

    def _patiently(self, operation: str, **given: Any) -> dict[str, Any]:
        """A call, repeated while the cluster resumes: the service has cancelled it before the database saw it, so nothing runs twice."""
        refusal: RdsDataUnavailable | None = None
        for _ in looks(self._resume_seconds, pauses=PAUSES, clock=self._clock, sleep=self._sleep):
            try:
                return self._once(operation, **given)
            except RdsDataUnavailable as error:
                if error.code != _RESUMING:
                    raise
                refusal = error
        assert refusal is not None
        raise refusal

    def _once(self, operation: str, **given: Any) -> dict[str, Any]:
        try:
            return getattr(self._client, operation)(**given)
        except ClientError as error:
            _refused(error, goes_on=bool(given.get("continueAfterTimeout")))


def _refused(error: ClientError, *, goes_on: bool) -> NoReturn:
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    if code == "StatementTimeoutException":
        raise RdsDataTimeout(message, goes_on=goes_on) from error
    if code in _AWAY:
        raise RdsDataUnavailable(code=code, message=message) from error
    raise RdsDataError(code=code, message=message) from error


def _chunks(sets: Iterable[list[dict[str, Any]]]) -> Iterator[Sequence[list[dict[str, Any]]]]:
    """Sets in lists that one request can hold."""
    chunk: list[list[dict[str, Any]]] = []
    size = 0
    for each in sets:
        length = len(json.dumps(each, default=_blob_text)) + 1
        if chunk and (len(chunk) == MAX_BATCH_SETS or size + length > MAX_BATCH_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(each)
        size += length
    if chunk:
        yield chunk


def _blob_text(value: bytes) -> str:
    """As many characters as bytes have in base64."""
    return " " * (4 * ((len(value) + 2) // 3))
