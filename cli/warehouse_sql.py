"""`lake sql --engine redshift`: a statement in the environment's warehouse, by the Data API, as the operator's own database user."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from cli.errors import CommandError, WrongUseError
from cli.progress import Progress
from cli.results import QueryColumn, QueryResult
from cli.session import Session
from cli.sql import MAX_QUERY_SECONDS
from lakehouse.errors import LakehouseError
from lakehouse.naming import WAREHOUSE_DATABASE
from lakehouse.warehouse.data_api import DataApi, Target, Value


def query_warehouse(
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
        progress: Told how the statement stands.
        timeout_seconds: Longest to wait.
        clock: Seconds that only go forward.
        sleep: Waits some seconds.

    Raises:
        WrongUseError: The environment has no warehouse.
        CommandError: Redshift refused the statement or it failed, in Redshift's own words, or it took too long.
    """
    api = data_api(
        session,
        deadline_seconds=timeout_seconds,
        clock=clock,
        sleep=sleep,
        watch=lambda id_, status: progress.update(f"statement {id_} is {status}"),
    )
    try:
        answer = api.execute(statement, label="lake-sql")
    except LakehouseError as error:
        raise CommandError(str(error)) from error
    return QueryResult(
        query_id=answer.statement_id,
        columns=[QueryColumn(name=column.name, type=column.type) for column in answer.columns],
        rows=[[json_value(value) for value in row] for row in answer.rows],
        scanned_bytes=0,
        seconds=answer.seconds,
    )


def data_api(session: Session, **options: Any) -> DataApi:
    """The client of the environment's warehouse, as the operator.

    Args:
        session: The environment.
        options: How it waits, see `DataApi`.

    Raises:
        WrongUseError: The environment has no warehouse.
    """
    if session.config.warehouse.kind == "none":
        raise WrongUseError(
            f"{session.env} has no warehouse: use --engine athena, or write `warehouse: {{kind: serverless}}` into its config and deploy"
        )
    is_cluster, name = session.config.warehouse.kind == "provisioned", session.names.warehouse
    target = Target(database=WAREHOUSE_DATABASE, workgroup=None if is_cluster else name, cluster=name if is_cluster else None)
    return DataApi(client=session.client("redshift-data"), target=target, **options)


def json_value(value: Value) -> bool | int | float | str | None:
    """A value as JSON can hold it, in the form in which `lake sql` writes those of Athena: decimals keep their digits, bytes are pairs of hex digits."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, float):
        # NaN and the infinities are no JSON numbers.
        return value if value - value == 0 else str(value)
    return value
