"""`lake sql --engine redshift`: the same answer as from Athena, in the same form."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cli.errors import CommandError, WrongUseError
from cli.progress import Progress
from cli.session import Session
from cli.warehouse_sql import json_value, query_warehouse


class Redshift:
    """Answers one statement."""

    def __init__(self, *, status: str = "FINISHED") -> None:
        self.status = status
        self.asked: dict[str, Any] = {}
        self.cancelled = False

    def execute_statement(self, **asked: Any) -> dict[str, Any]:
        self.asked = asked
        return {"Id": "s-1"}

    def describe_statement(self, **_: Any) -> dict[str, Any]:
        return {"Id": "s-1", "Status": self.status, "HasResultSet": True, "Duration": 2_000_000_000, "Error": "ERROR: no such table"}

    def get_statement_result(self, **_: Any) -> dict[str, Any]:
        metadata = [{"name": name, "typeName": kind} for name, kind in (("day", "date"), ("revenue", "numeric"), ("orders", "int8"))]
        records = [[{"stringValue": "1996-01-02"}, {"stringValue": "10.5000"}, {"longValue": 3}], [{"isNull": True}] * 3]
        return {"ColumnMetadata": metadata, "Records": records}

    def cancel_statement(self, **_: Any) -> dict[str, Any]:
        self.cancelled = True
        return {"Status": True}


def _with(session: Session, redshift: Redshift, kind: Any = "serverless") -> Session:
    config = session.config.model_copy(update={"warehouse": session.config.warehouse.model_copy(update={"kind": kind})})
    return replace(session, config=config, _clients={"redshift-data": redshift})


def test_rows_are_typed_as_those_of_athena(session: Session, progress: Progress) -> None:
    redshift = Redshift()
    result = query_warehouse(_with(session, redshift), statement="SELECT 1", progress=progress)
    assert result.rows == [["1996-01-02", "10.5000", 3], [None, None, None]]
    assert [column.name for column in result.columns] == ["day", "revenue", "orders"]
    assert (result.query_id, result.seconds) == ("s-1", 2.0)
    assert redshift.asked == {
        "Sql": "SELECT 1",
        "Database": "lakehouse",
        "WorkgroupName": session.names.warehouse,
        "StatementName": "lake-sql",
    }


def test_redshift_s_own_words_are_shown(session: Session, progress: Progress) -> None:
    with pytest.raises(CommandError, match="FAILED: ERROR: no such table"):
        query_warehouse(_with(session, Redshift(status="FAILED")), statement="SELECT 1", progress=progress)


def test_a_query_that_takes_too_long_is_cancelled(session: Session, progress: Progress) -> None:
    redshift, now = Redshift(status="STARTED"), iter(range(0, 100_000, 10))
    with pytest.raises(CommandError, match="is cancelled"):
        query_warehouse(
            _with(session, redshift),
            statement="SELECT 1",
            progress=progress,
            timeout_seconds=60,
            clock=lambda: next(now),
            sleep=lambda _: None,
        )
    assert redshift.cancelled


def test_an_environment_without_warehouse_says_so(session: Session, progress: Progress) -> None:
    with pytest.raises(WrongUseError, match="has no warehouse: use --engine athena"):
        query_warehouse(_with(session, Redshift(), kind="none"), statement="SELECT 1", progress=progress)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(Decimal("1E+3"), "1000"), (b"\x00\xff", "00 ff"), (float("nan"), "nan"), (0.5, 0.5), (True, True), (None, None), ("x", "x")],
)
def test_values_as_json_holds_them(value: Any, shown: Any) -> None:
    assert json_value(value) == shown
