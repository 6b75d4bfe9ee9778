"""`lake sql`: a query in the environment's Athena workgroup, from start to typed rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from cli.errors import CommandError
from cli.progress import Progress
from cli.results import QueryColumn, QueryResult
from cli.session import Session

POLL_SECONDS = 0.2
"""First wait between two looks at a query; it grows to `MAX_POLL_SECONDS`."""

MAX_POLL_SECONDS = 2.0

MAX_QUERY_SECONDS = 30 * 60
"""Longest wait for a query; as long as Athena itself lets one run, unless the account has a quota of its own."""

_ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}

_INTEGERS = {"tinyint", "smallint", "integer", "bigint", "int"}
_FLOATS = {"float", "real", "double"}

Value = None | bool | int | float | str


def query(
    session: Session,
    *,
    statement: str,
    progress: Progress,
    timeout_seconds: float = MAX_QUERY_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> QueryResult:
    """Run a statement and wait for its rows; Ctrl-C and the end of the time cancel it.

    Args:
        session: The environment.
        statement: SQL.
        progress: Told how the query stands.
        timeout_seconds: Longest to wait.
        clock: Seconds that only go forward.
        sleep: Waits some seconds.

    Raises:
        CommandError: Athena refused it or it failed, in Athena's own words, or it took too long.
    """
    client = session.client("athena")
    try:
        query_id = client.start_query_execution(QueryString=statement, WorkGroup=session.names.workgroup)["QueryExecutionId"]
    except client.exceptions.InvalidRequestException as error:
        raise CommandError(f"Athena refused the query: {error.response['Error']['Message']}") from error
    try:
        execution = _wait(client, query_id, progress, timeout_seconds=timeout_seconds, clock=clock, sleep=sleep)
    except BaseException:
        client.stop_query_execution(QueryExecutionId=query_id)
        raise
    status = execution["Status"]
    if status["State"] != "SUCCEEDED":
        reason = status.get("StateChangeReason") or status.get("AthenaError", {}).get("ErrorMessage") or "Athena gives no reason"
        raise CommandError(f"the query {status['State']}: {reason}")
    columns, rows = _answer(client, query_id, has_header=execution.get("StatementType") == "DML")
    statistics = execution.get("Statistics", {})
    return QueryResult(
        query_id=query_id,
        columns=columns,
        rows=rows,
        scanned_bytes=int(statistics.get("DataScannedInBytes", 0)),
        seconds=statistics.get("EngineExecutionTimeInMillis", 0) / 1000,
    )


def text_value(kind: str, text: str | None) -> Value:
    """A value as Athena writes it, as Python.

    Args:
        kind: Athena's type.
        text: Its text; None is NULL.
    """
    if text is None:
        return None
    if kind in _INTEGERS:
        return int(text)
    if kind in _FLOATS:
        number = float(text)
        # NaN and the infinities are no JSON numbers.
        return number if number - number == 0 else text
    if kind == "boolean":
        return text.lower() == "true"
    return text


def _wait(
    client: Any, query_id: str, progress: Progress, *, timeout_seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> dict[str, Any]:
    deadline = clock() + timeout_seconds
    pause = POLL_SECONDS
    while True:
        execution = client.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
        state = execution["Status"]["State"]
        if state in _ENDED:
            return execution
        if clock() >= deadline:
            raise CommandError(
                f"query {query_id} was still {state} after {timeout_seconds:.0f} s and is cancelled: read less, such as some partitions only"
            )
        progress.update(f"query {query_id} is {state}")
        sleep(pause)
        pause = min(pause * 1.5, MAX_POLL_SECONDS)


def _answer(client: Any, query_id: str, *, has_header: bool) -> tuple[list[QueryColumn], list[list[Value]]]:
    columns: list[QueryColumn] = []
    rows: list[list[Value]] = []
    for number, page in enumerate(_pages(client, query_id)):
        result = page["ResultSet"]
        if number == 0:
            columns = [QueryColumn(name=column["Name"], type=column["Type"]) for column in result["ResultSetMetadata"]["ColumnInfo"]]
        # Answers of SELECT begin with the names of the columns; those of SHOW and DESCRIBE do not.
        for row in result["Rows"][1 if has_header and number == 0 else 0 :]:
            cells = row.get("Data", [])
            rows.append([text_value(column.type, cell.get("VarCharValue")) for column, cell in zip(columns, cells, strict=False)])
    return columns, rows


def _pages(client: Any, query_id: str) -> Iterator[dict[str, Any]]:
    token: str | None = None
    while True:
        page = client.get_query_results(QueryExecutionId=query_id, MaxResults=1000, **({"NextToken": token} if token else {}))
        yield page
        token = page.get("NextToken")
        if not token:
            return
