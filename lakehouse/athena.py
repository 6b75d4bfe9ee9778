"""Queries in Athena: started once, watched with a deadline, cancelled when nobody waits, answered in typed rows.

A query's errors:

LakehouseError
├── TerminalError
│   └── QueryError               it ended without an answer; `execution` says how
│       ├── QueryRefusedError    Athena did not start it
│       ├── QueryFailedError     it failed
│       ├── ScanLimitError       it read more than its workgroup lets a query read
│       ├── QueryCancelledError  somebody stopped it
│       └── QueryTimedOutError   it took longer than the caller waits, and was stopped
└── TransientError
    └── QueryFailedForNowError   Athena says that the same query may succeed later
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from botocore.exceptions import ClientError

from lakehouse.errors import TerminalError, TransientError

Value = None | bool | int | float | str | Decimal | date | datetime | bytes
"""A value of a row."""

LARGEST_PAGE = 1000
"""Rows that Athena gives at once."""

LONGEST_REUSE_MINUTES = 10_080
"""Oldest result that may be reused: seven days."""

LEAST_BILLED_BYTES = 10_000_000
"""Least that a query is billed for."""

USD_PER_TERABYTE = 5.0
"""What Athena asks for in most regions; capacity that is bought ahead costs otherwise."""

OVER_SCAN_LIMIT = "Bytes scanned limit was exceeded"
"""Athena's words for a query over its workgroup's limit."""

WAITING, SUCCEEDED, FAILED, CANCELLED = frozenset({"QUEUED", "RUNNING"}), "SUCCEEDED", "FAILED", "CANCELLED"

FORMATS = frozenset({"PARQUET", "ORC", "AVRO", "JSON", "TEXTFILE"})
"""Formats of files that a query can be unloaded to."""

_REFUSALS = frozenset({"InvalidRequestException", "MetadataException", "ResourceNotFoundException", "ValidationException"})
_THROTTLES = frozenset({"TooManyRequestsException", "ThrottlingException", "InternalServerException"})
_INTEGERS = frozenset({"tinyint", "smallint", "integer", "int", "bigint"})
_FLOATS = frozenset({"float", "real", "double"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FOLDER = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^'\x00-\x1f]*)?/")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


@dataclass(frozen=True, kw_only=True)
class Pauses:
    """Waits between two looks at a query.

    Attributes:
        first_seconds: The first wait.
        factor: Each next one is that much longer.
        longest_seconds: None is longer.
    """

    first_seconds: float = 2.0
    factor: float = 1.5
    longest_seconds: float = 30.0

    def __iter__(self) -> Iterator[float]:
        pause = self.first_seconds
        while True:
            yield pause
            pause = min(pause * self.factor, self.longest_seconds)


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a query took.

    Attributes:
        scanned_bytes: Data that it read.
        engine_seconds: Time that the engine took.
        queue_seconds: Time that it waited for its turn.
        total_seconds: Time from its start to its end.
        is_reused: Whether its answer is that of an earlier query.
    """

    scanned_bytes: int = 0
    engine_seconds: float = 0.0
    queue_seconds: float = 0.0
    total_seconds: float = 0.0
    is_reused: bool = False

    def estimated_usd(self, *, usd_per_terabyte: float = USD_PER_TERABYTE) -> float:
        """What the query cost, by the data it read; nothing if it read none, and never less than Athena's floor otherwise."""
        if not self.scanned_bytes:
            return 0.0
        return max(self.scanned_bytes, LEAST_BILLED_BYTES) / 1e12 * usd_per_terabyte


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One query, as Athena keeps it.

    Attributes:
        query_id: Athena's id.
        state: QUEUED, RUNNING, SUCCEEDED, FAILED or CANCELLED.
        statement_type: DML, DDL or UTILITY.
        output: Where its answer lies; what writes files or tables has none there.
        reason: Why it is in this state, in Athena's words.
        may_succeed_later: Whether Athena says that the same query may succeed later.
        manifest: List of the files that it wrote; empty if it wrote none.
        submitted_at: When it was started.
        statistics: What it took.
    """

    query_id: str
    state: str
    statement_type: str = ""
    output: str = ""
    reason: str = ""
    may_succeed_later: bool = False
    manifest: str = ""
    submitted_at: datetime | None = None
    statistics: Statistics = field(default_factory=Statistics)

    @classmethod
    def from_api(cls, found: Mapping[str, Any]) -> Execution:
        """A `QueryExecution` of Athena's API."""
        status, statistics = found["Status"], found.get("Statistics") or {}
        error = status.get("AthenaError") or {}
        return cls(
            query_id=found["QueryExecutionId"],
            state=status["State"],
            statement_type=found.get("StatementType", ""),
            output=(found.get("ResultConfiguration") or {}).get("OutputLocation", ""),
            reason=status.get("StateChangeReason") or error.get("ErrorMessage") or "",
            may_succeed_later=bool(error.get("Retryable", False)),
            manifest=statistics.get("DataManifestLocation", ""),
            submitted_at=status.get("SubmissionDateTime"),
            statistics=Statistics(
                scanned_bytes=int(statistics.get("DataScannedInBytes", 0)),
                engine_seconds=statistics.get("EngineExecutionTimeInMillis", 0) / 1000,
                queue_seconds=statistics.get("QueryQueueTimeInMillis", 0) / 1000,
                total_seconds=statistics.get("TotalExecutionTimeInMillis", 0) / 1000,
                is_reused=bool((statistics.get("ResultReuseInformation") or {}).get("ReusedPreviousResult", False)),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of an answer.

    Attributes:
        name: Its name.
        type: Athena's type, such as `decimal`.
    """

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A query's answer, whole.

    Attributes:
        execution: The query.
        columns: Columns in order; none if the statement has no rows.
        rows: Rows in order, values typed as `typed` says.
    """

    execution: Execution
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]


class QueryError(TerminalError):
    """A query ended without an answer.

    Attributes:
        execution: The query; None if Athena never started it.
    """

    def __init__(self, message: str, *, execution: Execution | None = None) -> None:
        self.execution = execution
        super().__init__(message)


class QueryRefusedError(QueryError):
    """Athena did not start the query."""


class QueryFailedError(QueryError):
    """The query failed."""


class ScanLimitError(QueryError):
    """The query read more than its workgroup lets a query read."""


class QueryCancelledError(QueryError):
    """Somebody stopped the query."""


class QueryTimedOutError(QueryError):
    """The query took longer than the caller waits, and was stopped."""


class QueryFailedForNowError(TransientError):
    """The query failed, or was not started, and Athena says that the same one may succeed later.

    Attributes:
        execution: The query; None if Athena never started it.
    """

    def __init__(self, message: str, *, execution: Execution | None = None) -> None:
        self.execution = execution
        super().__init__(message)


class AthenaRunner:
    """Runs queries in one workgroup, which settles where answers go and how much a query may read."""

    def __init__(
        self,
        athena: Any,
        *,
        workgroup: str,
        database: str = "",
        pauses: Pauses = Pauses(),
        on_look: Callable[[Execution], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Args:
            athena: boto3's client of Athena.
            workgroup: Workgroup; `primary` is refused, as it belongs to nobody and limits nothing.
            database: Database of names without one.
            pauses: Waits between two looks.
            on_look: Told how a query stands, at each look.
            clock: Seconds that only go forward.
            sleep: Waits some seconds.
        """
        if workgroup == "primary":
            raise ValueError(
                "workgroup must not be `primary`, which limits no scan and belongs to nobody: name the environment's or team's"
            )
        self._athena, self._workgroup, self._database = athena, workgroup, database
        self._pauses, self._on_look, self._clock, self._sleep = pauses, on_look, clock, sleep

    # ---- running ----------------------------------------------------------------------------------------------------

    def start(self, sql: str, *, parameters: Sequence[str] = (), reuse_minutes: int = 0, key: str = "") -> str:
        """Start a statement; its id.

        Args:
            sql: One statement of Athena's SQL.
            parameters: Values of its question marks, as literals of SQL (`literal` writes them).
            reuse_minutes: Age up to which an earlier answer to the same query will do; 0 = none.
            key: Whatever names this very execution (a run and a step, say): starting it again gives the query that was started
                first, also from another process. Without one, each call is a query of its own.

        Raises:
            QueryRefusedError: Athena does not take it.
            QueryFailedForNowError: Athena is too busy.
        """
        if not 0 <= reuse_minutes <= LONGEST_REUSE_MINUTES:
            raise ValueError(f"reuse_minutes must be between 0 and {LONGEST_REUSE_MINUTES} (seven days), got {reuse_minutes}")
        request: dict[str, Any] = {
            "QueryString": sql,
            "WorkGroup": self._workgroup,
            "ClientRequestToken": hashlib.sha256(key.encode()).hexdigest() if key else uuid.uuid4().hex,
        }
        if self._database:
            request["QueryExecutionContext"] = {"Database": self._database}
        if parameters:
            request["ExecutionParameters"] = list(parameters)
        if reuse_minutes:
            request["ResultReuseConfiguration"] = {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": reuse_minutes}}
        try:
            return str(self._athena.start_query_execution(**request)["QueryExecutionId"])
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            if code in _REFUSALS:
                raise QueryRefusedError(f"Athena refused the query: {message}") from error
            if code in _THROTTLES:
                raise QueryFailedForNowError(f"Athena did not start the query: {code}: {message}") from error
            raise

    def run(
        self,
        sql: str,
        *,
        parameters: Sequence[str] = (),
        deadline_seconds: float = 300,
        reuse_minutes: int = 0,
        key: str = "",
        attempts: int = 1,
    ) -> Execution:
        """Run a statement to its end.

        Args:
            sql: One statement of Athena's SQL.
            parameters: Values of its question marks, as literals of SQL.
            deadline_seconds: Longest to wait; then the query is cancelled. An interrupt cancels it as well.
            reuse_minutes: Age up to which an earlier answer to the same query will do; 0 = none.
            key: Whatever names this very execution, see `start`.
            attempts: Times that it may be started; again only if Athena says that it may succeed later.

        Raises:
            QueryError: It ended without an answer.
            QueryFailedForNowError: It failed each time, and may succeed later.
        """
        give_up = self._clock() + deadline_seconds
        for attempt in range(1, attempts + 1):
            try:
                query_id = self.start(sql, parameters=parameters, reuse_minutes=reuse_minutes, key=key and f"{key}#{attempt}")
                return self._wait(query_id, give_up, deadline_seconds)
            except QueryFailedForNowError:
                if attempt == attempts or self._clock() >= give_up:
                    raise
                self._sleep(self._pauses.first_seconds)
        raise AssertionError("unreachable")

    def query(self, sql: str, **how: Any) -> Answer:
        """Run a statement and take its whole answer; for large ones see `pages` and `unload`. Arguments as for `run`."""
        execution = self.run(sql, **how)
        columns: tuple[Column, ...] = ()
        rows: list[tuple[Value, ...]] = []
        for columns, texts in self.pages(execution):
            rows += [tuple(typed(column.type, text) for column, text in zip(columns, row, strict=True)) for row in texts]
        return Answer(execution=execution, columns=columns, rows=tuple(rows))

    def unload(
        self,
        sql: str,
        *,
        to: str,
        s3: Any,
        format: str = "PARQUET",
        compression: str = "",
        partitioned_by: Sequence[str] = (),
        **how: Any,
    ) -> tuple[str, ...]:
        """Run a query and have its rows written to files: the way for large answers, which keeps NULLs, numbers and types.

        Args:
            sql: The query; question marks stand in its WHERE clause.
            to: Folder, `s3://bucket/folder/`; it must be empty.
            s3: boto3's client of S3, which reads the list of the files.
            format: One of `FORMATS`.
            compression: One that the format has; empty = Athena's default, which is gzip (ORC: zlib).
            partitioned_by: Columns whose values become folders; the last ones of the query.
            how: Other arguments as for `run`.

        Returns:
            Addresses of the files; none if there were no rows.

        Raises:
            QueryError: It failed; files that it had written may stay, Athena removes none.
        """
        execution = self.run(unload_statement(sql, to=to, format=format, compression=compression, partitioned_by=partitioned_by), **how)
        if not execution.manifest:
            return ()
        bucket, _, key = execution.manifest.removeprefix("s3://").partition("/")
        return tuple(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().splitlines())

    # ---- answers ------------------------------------------------------------------------------------------------------

    def pages(self, execution: Execution) -> Iterator[tuple[tuple[Column, ...], list[list[str | None]]]]:
        """Columns and rows of an answer, page by page, as Athena's texts; None is NULL."""
        token: str | None = None
        is_first = True
        while True:
            more = {"NextToken": token} if token else {}
            page = self._athena.get_query_results(QueryExecutionId=execution.query_id, MaxResults=LARGEST_PAGE, **more)
            found = page["ResultSet"]
            columns = tuple(
                Column(name=column["Name"], type=column["Type"]) for column in (found.get("ResultSetMetadata") or {}).get("ColumnInfo", [])
            )
            rows = [_cells(row, len(columns)) for row in found.get("Rows", [])]
            # Answers of SELECT begin with the names of the columns; those of SHOW and DESCRIBE do not.
            if is_first and execution.statement_type == "DML" and rows and rows[0] == [column.name for column in columns]:
                rows = rows[1:]
            yield columns, rows if columns else []
            is_first, token = False, page.get("NextToken")
            if not token:
                return

    # ---- looking after queries ------------------------------------------------------------------------------------------

    def stop(self, query_id: str) -> None:
        """Stop a query; one that has ended stays as it is."""
        self._athena.stop_query_execution(QueryExecutionId=query_id)

    def recent(self, limit: int = 20) -> list[Execution]:
        """The newest queries of the workgroup, newest first.

        Args:
            limit: Most to look at.
        """
        ids: list[str] = []
        token: str | None = None
        while len(ids) < limit:
            more = {"NextToken": token} if token else {}
            page = self._athena.list_query_executions(WorkGroup=self._workgroup, MaxResults=min(50, limit - len(ids)), **more)
            ids += page.get("QueryExecutionIds", [])
            token = page.get("NextToken")
            if not token:
                break
        found: dict[str, Execution] = {}
        for start in range(0, len(ids), 50):
            for kept in self._athena.batch_get_query_execution(QueryExecutionIds=ids[start : start + 50])["QueryExecutions"]:
                found[kept["QueryExecutionId"]] = Execution.from_api(kept)
        return [found[query_id] for query_id in ids if query_id in found]

    def run_named(self, name: str, **how: Any) -> Execution:
        """Run the named query of this workgroup that has a name. Arguments as for `run`.

        Raises:
            QueryRefusedError: There is none, or more than one.
        """
        found: list[dict[str, Any]] = []
        token: str | None = None
        while True:
            page = self._athena.list_named_queries(WorkGroup=self._workgroup, **({"NextToken": token} if token else {}))
            if page.get("NamedQueryIds"):
                kept = self._athena.batch_get_named_query(NamedQueryIds=page["NamedQueryIds"])["NamedQueries"]
                found += [query for query in kept if query["Name"] == name]
            token = page.get("NextToken")
            if not token:
                break
        if len(found) != 1:
            raise QueryRefusedError(f"workgroup {self._workgroup} has {len(found)} named queries {name!r}, one is needed")
        return self.run(found[0]["QueryString"], **how)

    def _wait(self, query_id: str, give_up: float, deadline_seconds: float) -> Execution:
        try:
            for pause in self._pauses:
                execution = Execution.from_api(self._athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"])
                if execution.state not in WAITING:
                    return _succeeded(execution)
                left = give_up - self._clock()
                if left <= 0:
                    raise QueryTimedOutError(
                        f"query {query_id} was still {execution.state} after {deadline_seconds:.0f} s and is cancelled: read less, such as "
                        "some partitions only, or wait longer",
                        execution=execution,
                    )
                self._on_look(execution)
                self._sleep(min(pause, left))
        except (QueryFailedError, QueryCancelledError, ScanLimitError, QueryFailedForNowError):
            raise
        except BaseException:
            # Nobody waits any more, and a query that runs on costs money; what stopped the waiting is told, not what failed here.
            with contextlib.suppress(Exception):
                self.stop(query_id)
            raise
        raise AssertionError("unreachable")


# ---- SQL ----------------------------------------------------------------------------------------------------------------


def literal(value: Value) -> str:
    """A value as a literal of SQL, for `parameters`.

    Raises:
        ValueError: SQL has no such literal.
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float():
            text = "NaN" if math.isnan(value) else ("-" if value < 0 else "") + "Infinity" if math.isinf(value) else repr(value)
            return f"DOUBLE '{text}'"
        case Decimal():
            if not value.is_finite():
                raise ValueError(f"{value} is no DECIMAL of SQL")
            return f"DECIMAL '{value:f}'"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case datetime():
            if value.tzinfo is not None:
                value = value.astimezone(UTC)
                return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S.%f} UTC'"
            return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S.%f}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case bytes():
            return f"X'{value.hex()}'"


def as_of(moment: datetime) -> str:
    """The clause that reads an Iceberg table as it was: `FROM silver_tpch.orders {as_of(moment)}`.

    Args:
        moment: When; with its zone, because a table's history has one and a clock on a wall has not.

    Raises:
        ValueError: The moment has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"moment must have a zone, such as datetime.now(UTC), got {moment.isoformat()}")
    return f"FOR TIMESTAMP AS OF {literal(moment)}"


def unload_statement(sql: str, *, to: str, format: str = "PARQUET", compression: str = "", partitioned_by: Sequence[str] = ()) -> str:
    """The UNLOAD of a query; what is put together is checked, values belong into `parameters`.

    Args:
        sql: The query.
        to: Folder, `s3://bucket/folder/`.
        format: One of `FORMATS`.
        compression: One that the format has; empty = Athena's default.
        partitioned_by: Columns whose values become folders; the last ones of the query.

    Raises:
        ValueError: A part is malformed.
    """
    chosen = format.upper()
    if chosen not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(sorted(FORMATS))}, got {format!r}")
    if not _FOLDER.fullmatch(to):
        raise ValueError(f"to must be a folder in S3 such as s3://bucket/folder/, its slash at the end included, got {to!r}")
    if compression and not _NAME.fullmatch(compression):
        raise ValueError(f"compression must be a word such as SNAPPY, got {compression!r}")
    wrong = [column for column in partitioned_by if not _NAME.fullmatch(column)]
    if wrong:
        raise ValueError(f"partitioned_by must name columns, got {', '.join(map(repr, wrong))}")
    settings = [f"format = '{chosen}'"]
    if compression:
        settings.append(f"compression = '{compression.upper()}'")
    if partitioned_by:
        settings.append(f"partitioned_by = ARRAY[{', '.join(repr(column) for column in partitioned_by)}]")
    return f"UNLOAD ({sql.strip().rstrip(';')}\n) TO '{to}' WITH ({', '.join(settings)})"


# ---- values -------------------------------------------------------------------------------------------------------------


def typed(kind: str, text: str | None) -> Value:
    """A value of Athena's text.

    Args:
        kind: Athena's type.
        text: The text; None is NULL, which an empty text is not.

    Returns:
        Integers, floats (NaN and the infinities too), booleans, decimals with their digits, dates, moments (with their zone, if the
        type has one) and bytes; all else is text: arrays, maps and rows, and moments that Python cannot hold.
    """
    if text is None:
        return None
    convert = _CONVERSIONS.get(kind)
    if convert is None:
        return text
    try:
        return convert(text)
    except (ValueError, ZoneInfoNotFoundError):
        return text


def _moment(text: str) -> datetime:
    if len(text.partition(".")[2]) > 6:
        raise ValueError("finer than a microsecond")
    return datetime.fromisoformat(text)


def _zoned(text: str) -> datetime:
    moment, _, zone = text.rpartition(" ")
    offset = _OFFSET.fullmatch(zone)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return _moment(moment).replace(tzinfo=timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes)))
    return _moment(moment).replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone))


_CONVERSIONS: Final[dict[str, Callable[[str], Value]]] = {
    **dict.fromkeys(_INTEGERS, int),
    **dict.fromkeys(_FLOATS, float),
    "boolean": lambda text: text.lower() == "true",
    "decimal": Decimal,
    "date": date.fromisoformat,
    "timestamp": _moment,
    "timestamp with time zone": _zoned,
    "varbinary": bytes.fromhex,
}


def _cells(row: Mapping[str, Any], columns: int) -> list[str | None]:
    cells: list[str | None] = [cell.get("VarCharValue") for cell in row.get("Data", [])]
    return [*cells, *[None] * (columns - len(cells))]


def _succeeded(execution: Execution) -> Execution:
    """The execution, if it succeeded.

    Raises:
        QueryError: It did not.
        QueryFailedForNowError: It did not, and may succeed later.
    """
    reason = execution.reason or "Athena gives no reason"
    text = f"the query {execution.state}: {reason}"
    if execution.state == SUCCEEDED:
        return execution
    if OVER_SCAN_LIMIT in reason:
        raise ScanLimitError(
            f"{text}: it read {execution.statistics.scanned_bytes:,} bytes, more than its workgroup lets a query read. Filter on a partition "
            "column, select fewer columns, or have the workgroup's limit raised",
            execution=execution,
        )
    if execution.state == CANCELLED:
        raise QueryCancelledError(text, execution=execution)
    if execution.state != FAILED:
        raise QueryFailedError(f"query {execution.query_id} is in a state that nobody knows: {execution.state}", execution=execution)
    if execution.may_succeed_later:
        raise QueryFailedForNowError(text, execution=execution)
    raise QueryFailedError(text, execution=execution)
