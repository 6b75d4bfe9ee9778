"""Queries in Athena: started once, watched with a deadline, cancelled when nobody waits."""

from __future__ import annotations

import contextlib
import hashlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from lakehouse.athena.errors import (
    QueryCancelledError,
    QueryFailedError,
    QueryFailedForNowError,
    QueryRefusedError,
    QueryTimedOutError,
    ScanLimitError,
    succeeded,
)
from lakehouse.athena.executions import Answer, Column, Execution
from lakehouse.athena.statements import unload_statement
from lakehouse.athena.values import Value, typed
from lakehouse.polling import Pauses, looks

LARGEST_PAGE = 1000
"""Rows that Athena gives at once."""

LONGEST_REUSE_MINUTES = 10_080
"""Oldest result that may be reused: seven days."""

PAUSES = Pauses()
"""Waits between two looks at a query that runs in the background."""

WAITING = frozenset({"QUEUED", "RUNNING"})

_REFUSALS = frozenset({"InvalidRequestException", "MetadataException", "ResourceNotFoundException", "ValidationException"})
_THROTTLES = frozenset({"TooManyRequestsException", "ThrottlingException", "InternalServerException"})


class AthenaRunner:
    """Runs queries in one workgroup, which settles where answers go and how much a query may read."""

    def __init__(
        self,
        athena: Any,
        *,
        workgroup: str,
        database: str = "",
        pauses: Pauses = PAUSES,
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
        execution = Execution(query_id=query_id, state="")
        try:
            for _ in looks(give_up - self._clock(), pauses=self._pauses, clock=self._clock, sleep=self._sleep):
                execution = Execution.from_api(self._athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"])
                if execution.state not in WAITING:
                    return succeeded(execution)
                self._on_look(execution)
            raise QueryTimedOutError(
                f"query {query_id} was still {execution.state} after {deadline_seconds:.0f} s and is cancelled: read less, such as "
                "some partitions only, or wait longer",
                execution=execution,
            )
        except (QueryFailedError, QueryCancelledError, ScanLimitError, QueryFailedForNowError):
            raise
        except BaseException:
            # Nobody waits any more, and a query that runs on costs money; what stopped the waiting is told, not what failed here.
            with contextlib.suppress(Exception):
                self.stop(query_id)
            raise


def _cells(row: Mapping[str, Any], columns: int) -> list[str | None]:
    cells: list[str | None] = [cell.get("VarCharValue") for cell in row.get("Data", [])]
    return [*cells, *[None] * (columns - len(cells))]
