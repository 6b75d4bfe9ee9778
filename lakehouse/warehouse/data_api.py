"""A client of Redshift's Data API: statements submitted once, waited for with a deadline, cancelled when nobody waits any more, answered in typed rows."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn

from lakehouse.errors import LakehouseError, TerminalError
from lakehouse.polling import Pauses, looks
from lakehouse.warehouse.loads import MAX_STATEMENTS, purpose
from lakehouse.warehouse.text import SqlRefused

RUNNING = ("SUBMITTED", "PICKED", "STARTED")
"""Statuses of a statement that is not over."""

FINISHED = "FINISHED"
ENDED = (FINISHED, "FAILED", "ABORTED")
"""Statuses of a statement that is over."""

LONGEST_LOOK_SECONDS = 20
"""How long one look at a statement waits for its end; the service's most is 30, the client's own patience 30 too."""

PAUSES = Pauses(first_seconds=0.2, factor=2.0, longest_seconds=5.0, jitter=0.0)
"""Pauses between two looks, in case a service answers at once although it was asked to wait."""

DEADLINE_SECONDS = 15 * 60.0
MAX_PAGE = 100
"""Most statements that one call lists."""

MAX_TOKEN = 64
"""Longest client token."""

Value = None | bool | int | float | Decimal | str | bytes
"""What a field of a row can hold; dates and timestamps are text, as Redshift writes them."""


class StatementError(TerminalError):
    """A statement failed or was aborted; the text is Redshift's own.

    Attributes:
        statement_id: Id by which the Data API knows it.
        status: FAILED or ABORTED.
        error: Redshift's text.
        index: Which statement of a batch it was, from 0; None if that is not known or there is only one.
        what: What the statement is for.
    """

    def __init__(self, *, statement_id: str, status: str, error: str, index: int | None = None, of: int = 1, what: str = "") -> None:
        self.statement_id, self.status, self.error, self.index, self.what = statement_id, status, error, index, what
        where = "the statement" if index is None else f"statement {index + 1} of {of}"
        super().__init__(f"{where}{f' ({what})' if what else ''} {status}: {error or 'Redshift gives no reason'}")


class StatementRefused(TerminalError):
    """The warehouse did not take a statement: it is paused, it is not there, or it does not understand the request."""

    def __init__(self, message: str, *, cluster: str | None) -> None:
        hint = f". If the cluster is paused, resume it: `aws redshift resume-cluster --cluster-identifier {cluster}`" if cluster else ""
        super().__init__(f"the warehouse did not take the statement: {message.rstrip('.')}{hint}")


class UnknownStatement(TerminalError):
    """The Data API does not know a statement."""

    def __init__(self, statement_id: str) -> None:
        super().__init__(
            f"there is no statement {statement_id!r}: the Data API knows a statement for a day, and tells whoever ran it, and nobody else"
        )


class StatementTimeout(LakehouseError):
    """A statement was not over when its time was, and is cancelled."""

    def __init__(self, *, statement_id: str, status: str, seconds: float) -> None:
        self.statement_id = statement_id
        super().__init__(
            f"statement {statement_id} was still {status} after {seconds:.0f} s and is cancelled: give it more time, or less to do"
        )


@dataclass(frozen=True, kw_only=True)
class Target:
    """Whom to ask, and as whom.

    Attributes:
        database: Database.
        workgroup: Workgroup of Redshift Serverless, or None.
        cluster: Provisioned cluster, or None.
        secret_arn: Secret with the user's name and password; None: the caller's own IAM identity is the user.
        db_user: User of a provisioned cluster that the caller's identity may act as; a workgroup takes none.
    """

    database: str
    workgroup: str | None = None
    cluster: str | None = None
    secret_arn: str | None = None
    db_user: str | None = None

    def __post_init__(self) -> None:
        """
        Raises:
            SqlRefused: It names both or none of workgroup and cluster, or a user that a workgroup cannot take.
        """
        if (self.workgroup is None) == (self.cluster is None):
            raise SqlRefused("a target is a workgroup or a cluster: give one of the two")
        if self.workgroup is not None and self.db_user is not None:
            raise SqlRefused("a workgroup takes no db_user: leave it out to act as the caller's identity, or give secret_arn")
        if self.secret_arn is not None and self.db_user is not None:
            raise SqlRefused("the secret names the user: leave out db_user or secret_arn")

    def arguments(self) -> dict[str, str]:
        """The target as the Data API is told it."""
        given = {
            "Database": self.database,
            "WorkgroupName": self.workgroup,
            "ClusterIdentifier": self.cluster,
            "SecretArn": self.secret_arn,
            "DbUser": self.db_user,
        }
        return {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class ResultColumn:
    """A column of an answer: its name and Redshift's word for its type, such as `int8` or `varchar`."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a statement came to.

    Attributes:
        statement_id: Id by which the Data API knows it.
        columns: Columns of its rows; none if it answers none.
        rows: Its rows.
        seconds: How long Redshift took.
        affected: Rows that it changed or answers, -1 if Redshift does not say.
    """

    statement_id: str
    columns: tuple[ResultColumn, ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()
    seconds: float = 0.0
    affected: int = -1

    def records(self) -> list[dict[str, Value]]:
        """The rows as mappings by column."""
        return [dict(zip((column.name for column in self.columns), row, strict=True)) for row in self.rows]


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """A statement, or a batch, that was submitted in the last day.

    Attributes:
        statement_id: Id by which the Data API knows it.
        label: Name that whoever submitted it gave it, or "".
        status: SUBMITTED, PICKED, STARTED, FINISHED, FAILED or ABORTED.
        sql: Its text; that of a batch with a semicolon between its statements.
        submitted_at: When it was submitted.
        updated_at: When its status changed last.
    """

    statement_id: str
    label: str
    status: str
    sql: str
    submitted_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Part:
    """A statement of a batch, or the only one.

    Attributes:
        status: As that of `Submitted`.
        sql: Its text.
        error: Redshift's text, or "".
        rows: Rows that it changed or answers, -1 if Redshift does not say.
        seconds: How long Redshift took.
    """

    status: str
    sql: str
    error: str
    rows: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Described:
    """What became of a statement, or of a batch.

    Attributes:
        statement_id: Id by which the Data API knows it.
        status: As that of `Submitted`.
        error: Redshift's text, or "".
        submitted_at: When it was submitted.
        updated_at: When its status changed last.
        parts: Its statements in order.
    """

    statement_id: str
    status: str
    error: str
    submitted_at: datetime
    updated_at: datetime
    parts: tuple[Part, ...]


class DataApi:
    """Runs statements in one database."""

    def __init__(
        self,
        *,
        client: Any,
        target: Target,
        deadline_seconds: float = DEADLINE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        watch: Callable[[str, str], None] | None = None,
    ) -> None:
        """
        Args:
            client: boto3 client of `redshift-data`.
            target: Whom to ask, and as whom.
            deadline_seconds: Longest that a statement may take; then it is cancelled.
            clock: Seconds that only go forward.
            sleep: Waits some seconds.
            watch: Told the id and status of a statement at each look.
        """
        self._client = client
        self._target = target
        self._deadline = deadline_seconds
        self._clock = clock
        self._sleep = sleep
        self._watch = watch

    def execute(
        self, sql: str, *, parameters: Mapping[str, str] | None = None, token: str | None = None, label: str | None = None
    ) -> Answer:
        """Run one statement.

        Args:
            sql: The statement; values stand in it as `:name`.
            parameters: Values by name; never written into the text.
            token: Makes a submission that is repeated one statement; see `token_of`.
            label: Name under which the Data API lists it.

        Raises:
            StatementRefused: The warehouse did not take it.
            StatementError: It failed.
            StatementTimeout: It took too long.
        """
        extra = {"Parameters": [{"name": key, "value": value} for key, value in parameters.items()]} if parameters else {}
        described = self._wait(self._submit("execute_statement", Sql=sql, **extra, **self._common(token=token, label=label)))
        return self._answer(described)

    def batch(self, statements: Sequence[str], *, token: str | None = None, label: str | None = None) -> tuple[Answer, ...]:
        """Run statements in one transaction: all of them have an effect, or none.

        Args:
            statements: The statements in order, up to 40.
            token: Makes a submission that is repeated one batch; see `token_of`.
            label: Name under which the Data API lists it.

        Returns:
            The answer of each.

        Raises:
            SqlRefused: There are none or too many, or one would end the transaction.
            StatementRefused: The warehouse did not take them.
            StatementError: One failed; says which.
            StatementTimeout: They took too long.
        """
        check_batch(statements)
        described = self._wait(self._submit("batch_execute_statement", Sqls=list(statements), **self._common(token=token, label=label)))
        return tuple(self._answer(part) for part in described.get("SubStatements", ()))

    def cancel(self, statement_id: str) -> bool:
        """Stop a statement; False if it was over before.

        Raises:
            UnknownStatement: There is none.
        """
        try:
            return bool(self._client.cancel_statement(Id=statement_id).get("Status"))
        except self._client.exceptions.ResourceNotFoundException as error:
            raise UnknownStatement(statement_id) from error
        except self._client.exceptions.ValidationException:
            return False

    def submitted(self, *, statuses: Sequence[str] = ("ALL",), at_most: int = MAX_PAGE) -> list[Submitted]:
        """The caller's statements of the last day, the newest first.

        Args:
            statuses: Only those that stand so.
            at_most: Most that are told.
        """
        found = [entry for status in statuses for entry in self._listed(status, at_most)]
        return sorted(found, key=lambda entry: entry.submitted_at, reverse=True)[:at_most]

    def describe(self, statement_id: str) -> Described:
        """What became of a statement, and of each one of a batch.

        Raises:
            UnknownStatement: There is none.
        """
        try:
            described = self._client.describe_statement(Id=statement_id)
        except (self._client.exceptions.ResourceNotFoundException, self._client.exceptions.ValidationException) as error:
            raise UnknownStatement(statement_id) from error
        return Described(
            statement_id=described["Id"],
            status=described["Status"],
            error=described.get("Error", ""),
            submitted_at=described["CreatedAt"],
            updated_at=described["UpdatedAt"],
            parts=tuple(_part(part) for part in described.get("SubStatements") or (described,)),
        )

    def _listed(self, status: str, at_most: int) -> list[Submitted]:
        found: list[Submitted] = []
        token: str | None = None
        while True:
            page = self._client.list_statements(Status=status, MaxResults=min(at_most, MAX_PAGE), **({"NextToken": token} if token else {}))
            found += [
                Submitted(
                    statement_id=entry["Id"],
                    label=entry.get("StatementName", ""),
                    status=entry["Status"],
                    sql=entry.get("QueryString") or "; ".join(entry.get("QueryStrings", ())),
                    submitted_at=entry["CreatedAt"],
                    updated_at=entry["UpdatedAt"],
                )
                for entry in page.get("Statements", ())
            ]
            token = page.get("NextToken")
            if not token or len(found) >= at_most:
                return found

    def _submit(self, call: str, **given: Any) -> str:
        """Id of what is submitted."""
        try:
            return getattr(self._client, call)(**given)["Id"]
        except self._client.exceptions.ValidationException as error:
            raise StatementRefused(error.response["Error"]["Message"], cluster=self._target.cluster) from error

    def _common(self, *, token: str | None, label: str | None) -> dict[str, Any]:
        return {
            **self._target.arguments(),
            **({"ClientToken": token} if token is not None else {}),
            **({"StatementName": label} if label is not None else {}),
        }

    def _wait(self, statement_id: str) -> dict[str, Any]:
        """The description of a statement that has FINISHED; whatever else happens, nothing goes on running."""
        try:
            described = self._watched(statement_id)
        except BaseException as error:  # noqa: BLE001 - Ctrl-C, too, leaves nothing running
            self._abandon(statement_id, error)
        if described["Status"] == FINISHED:
            return described
        raise _error_of(described)

    def _watched(self, statement_id: str) -> dict[str, Any]:
        status = ""
        for left in looks(self._deadline, pauses=PAUSES, clock=self._clock, sleep=self._sleep):
            described = self._client.describe_statement(Id=statement_id, WaitTimeSeconds=max(1, min(LONGEST_LOOK_SECONDS, int(left))))
            status = described["Status"]
            if self._watch is not None:
                self._watch(statement_id, status)
            if status in ENDED:
                return described
            if status not in RUNNING:
                raise StatementError(
                    statement_id=statement_id, status=status, error=f"{status!r} is no status that this client knows: update it"
                )
        raise StatementTimeout(statement_id=statement_id, status=status, seconds=self._deadline)

    def _abandon(self, statement_id: str, error: BaseException) -> NoReturn:
        try:
            self.cancel(statement_id)
        except Exception as second:  # noqa: BLE001 - what happened first is what has to be told
            error.add_note(f"statement {statement_id} could not be cancelled: {second}")
        raise error

    def _answer(self, described: Mapping[str, Any]) -> Answer:
        statement_id, seconds = described["Id"], described.get("Duration", 0) / 1e9
        affected = int(described.get("ResultRows", -1))
        if not described.get("HasResultSet"):
            return Answer(statement_id=statement_id, seconds=seconds, affected=affected)
        columns: tuple[ResultColumn, ...] = ()
        rows: list[tuple[Value, ...]] = []
        for page in self._pages(statement_id):
            columns = columns or tuple(
                ResultColumn(name=column.get("label") or column["name"], type=column["typeName"]) for column in page["ColumnMetadata"]
            )
            types = [column.type for column in columns]
            rows += [tuple(value_of(field, type_) for field, type_ in zip(row, types, strict=True)) for row in page["Records"]]
        return Answer(statement_id=statement_id, columns=columns, rows=tuple(rows), seconds=seconds, affected=affected)

    def _pages(self, statement_id: str) -> Iterator[dict[str, Any]]:
        token: str | None = None
        while True:
            page = self._client.get_statement_result(Id=statement_id, **({"NextToken": token} if token else {}))
            yield page
            token = page.get("NextToken")
            if not token:
                return


def token_of(*parts: str) -> str:
    """Client token of what these parts identify: the same parts give the same one, whatever their length."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:MAX_TOKEN]


def check_batch(statements: Sequence[str]) -> None:
    """Refuse a batch that the Data API would not take, or that would not be one transaction.

    Raises:
        SqlRefused: It is empty or too long, or a statement in it ends transactions.
    """
    if not 1 <= len(statements) <= MAX_STATEMENTS:
        raise SqlRefused(f"a batch has 1-{MAX_STATEMENTS} statements, got {len(statements)}")
    for number, statement in enumerate(statements, 1):
        bare = statement.partition("*/")[2] if statement.lstrip().startswith("/*") else statement
        word = bare.split(maxsplit=1)[0].upper() if bare.strip() else ""
        if word == "TRUNCATE":
            raise SqlRefused(
                f"statement {number} is TRUNCATE, which commits what came before it, so a failure after it loses rows: use DELETE"
            )
        if word in ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "VACUUM"):
            raise SqlRefused(f"statement {number} is {word}, and a batch is one transaction of its own: run it alone")


def value_of(field: Mapping[str, Any], type_: str) -> Value:
    """A field of a row as Python.

    Args:
        field: The field as the Data API gives it.
        type_: Redshift's type of its column.
    """
    if field.get("isNull"):
        return None
    (value,) = field.values()
    if isinstance(value, str) and type_.lower() in ("numeric", "decimal"):
        return Decimal(value)
    return value


def _part(described: Mapping[str, Any]) -> Part:
    return Part(
        status=described["Status"],
        sql=described.get("QueryString", ""),
        error=described.get("Error", ""),
        rows=int(described.get("ResultRows", -1)),
        seconds=described.get("Duration", 0) / 1e9,
    )


def _error_of(described: Mapping[str, Any]) -> StatementError:
    parts = described.get("SubStatements", ())
    for index, part in enumerate(parts):
        if part.get("Status") in ("FAILED", "ABORTED") and (part.get("Error") or part["Status"] == "FAILED"):
            return StatementError(
                statement_id=described["Id"],
                status=described["Status"],
                error=part.get("Error") or described.get("Error", ""),
                index=index,
                of=len(parts),
                what=purpose(part.get("QueryString", "")),
            )
    return StatementError(
        statement_id=described["Id"],
        status=described["Status"],
        error=described.get("Error", ""),
        what=purpose(described.get("QueryString", "")),
    )
