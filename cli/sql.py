"""`lake sql`: a query in the environment's Athena workgroup, from start to typed rows."""

from __future__ import annotations

import time
from collections.abc import Callable

from cli.errors import CommandError
from cli.progress import Progress
from cli.results import QueryColumn, QueryResult
from cli.session import Session
from lakehouse.athena.executions import Execution
from lakehouse.athena.runner import AthenaRunner
from lakehouse.athena.values import typed
from lakehouse.errors import LakehouseError
from lakehouse.polling import Pauses

PAUSES = Pauses(first_seconds=0.2, longest_seconds=2.0, jitter=0.0)
"""Waits between two looks at a query: one person sits before the terminal, and nobody else to keep out of step with."""

MAX_QUERY_SECONDS = 30 * 60
"""Longest wait for a query; as long as Athena itself lets one run, unless the account has a quota of its own."""

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

    def told(execution: Execution) -> None:
        progress.update(f"query {execution.query_id} is {execution.state}")

    runner = AthenaRunner(
        session.client("athena"), workgroup=session.names.workgroup, pauses=PAUSES, on_look=told, clock=clock, sleep=sleep
    )
    columns: list[QueryColumn] = []
    rows: list[list[Value]] = []
    try:
        execution = runner.run(statement, deadline_seconds=timeout_seconds)
        for found, texts in runner.pages(execution):
            columns = [QueryColumn(name=column.name, type=column.type) for column in found]
            rows += [[json_value(column.type, text) for column, text in zip(found, row, strict=True)] for row in texts]
    except LakehouseError as error:
        raise CommandError(str(error)) from error
    return QueryResult(
        query_id=execution.query_id,
        columns=columns,
        rows=rows,
        scanned_bytes=execution.statistics.scanned_bytes,
        seconds=execution.statistics.engine_seconds,
    )


def json_value(kind: str, text: str | None) -> Value:
    """A value as Athena writes it, as JSON can hold it: decimals, moments and all that JSON has no word for stay Athena's text.

    Args:
        kind: Athena's type.
        text: Its text; None is NULL.
    """
    value = typed(kind, text)
    if isinstance(value, float):
        # NaN and the infinities are no JSON numbers.
        return value if value - value == 0 else text
    return value if value is None or isinstance(value, (bool, int)) else text
