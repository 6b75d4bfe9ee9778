"""`lake sql` and `lake quarantine`: typed values, NULLs, pages, refusals, cancellation, bytes made readable."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli.errors import CommandError, WrongUseError
from cli.progress import Progress
from cli.quarantine import quarantine, readable
from cli.session import Session
from cli.sql import PAUSES, json_value, query


class Athena:
    """Answers queries like Athena: two states, then pages of text; each answer is taken in turn."""

    def __init__(self, *answers: tuple[list[tuple[str, str]], list[list[str | None]]], state: str = "SUCCEEDED", kind: str = "DML") -> None:
        self.statements: list[str] = []
        self.stopped: list[str] = []
        self._answers = list(answers)
        self._state, self._kind = state, kind
        self._looks = 0

    def start_query_execution(self, *, QueryString: str, WorkGroup: str, ClientRequestToken: str) -> dict[str, str]:  # noqa: N803
        assert 32 <= len(ClientRequestToken) <= 128
        if QueryString.startswith("nonsense"):
            raise ClientError(
                {"Error": {"Code": "InvalidRequestException", "Message": "line 1:1: mismatched input"}}, "StartQueryExecution"
            )
        self.statements.append(QueryString)
        self.workgroup = WorkGroup
        self._looks = 0
        return {"QueryExecutionId": f"q-{len(self.statements)}"}

    def get_query_execution(self, *, QueryExecutionId: str) -> dict[str, Any]:  # noqa: N803
        self._looks += 1
        status: dict[str, Any] = {"State": "RUNNING" if self._looks == 1 else self._state}
        if self._state == "FAILED" and self._looks > 1:
            status["StateChangeReason"] = "TABLE_NOT_FOUND: line 1:15: Table 'x' does not exist"
        if self._state == "INTERRUPTED" and self._looks > 1:
            raise KeyboardInterrupt
        statistics = {"DataScannedInBytes": 42, "EngineExecutionTimeInMillis": 1500}
        found = {"QueryExecutionId": QueryExecutionId, "Status": status, "Statistics": statistics, "StatementType": self._kind}
        return {"QueryExecution": found}

    def get_query_results(self, *, QueryExecutionId: str, MaxResults: int, NextToken: str | None = None) -> dict[str, Any]:  # noqa: N803
        columns, rows = self._answers[len(self.statements) - 1]
        header: list[list[str | None]] = [[name for name, _ in columns]] if self._kind == "DML" else []
        everything = header + rows
        half = max(1, len(everything) // 2)
        part = everything[half:] if NextToken else everything[:half]
        page: dict[str, Any] = {
            "ResultSet": {
                "Rows": [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in part],
                "ResultSetMetadata": {"ColumnInfo": [{"Name": name, "Type": kind} for name, kind in columns]},
            }
        }
        if not NextToken and half < len(everything):
            page["NextToken"] = "more"
        return page

    def stop_query_execution(self, *, QueryExecutionId: str) -> None:  # noqa: N803
        self.stopped.append(QueryExecutionId)


def _with(session: Session, athena: Athena) -> Session:
    return replace(session, _clients={"athena": athena})


COLUMNS = [("n", "bigint"), ("d", "decimal"), ("b", "boolean"), ("t", "varchar"), ("f", "double")]


def test_rows_are_typed_and_null_is_not_the_empty_text(session: Session, progress: Progress) -> None:
    athena = Athena((COLUMNS, [["1", "1.50", "true", "", "0.5"], [None, None, None, None, None], ["3", "0.00", "false", "x", "NaN"]]))
    result = query(_with(session, athena), statement="SELECT 1", progress=progress)
    assert result.rows == [[1, "1.50", True, "", 0.5], [None] * 5, [3, "0.00", False, "x", "NaN"]]
    assert (result.scanned_bytes, result.seconds) == (42, 1.5)
    assert athena.workgroup == session.names.workgroup


def test_a_statement_that_is_no_select_has_no_header_row(session: Session, progress: Progress) -> None:
    athena = Athena(([("tab_name", "string")], [["orders"]]), kind="UTILITY")
    assert query(_with(session, athena), statement="SHOW TABLES", progress=progress).rows == [["orders"]]


def test_a_failed_query_is_told_in_athenas_words(session: Session, progress: Progress) -> None:
    with pytest.raises(CommandError, match="the query FAILED: TABLE_NOT_FOUND"):
        query(_with(session, Athena(state="FAILED")), statement="SELECT * FROM x", progress=progress)


def test_a_refused_query_is_told_in_athenas_words(session: Session, progress: Progress) -> None:
    with pytest.raises(CommandError, match="Athena refused the query: line 1:1"):
        query(_with(session, Athena()), statement="nonsense", progress=progress)


def test_ctrl_c_cancels_the_query(session: Session, progress: Progress) -> None:
    athena = Athena(state="INTERRUPTED")
    with pytest.raises(KeyboardInterrupt):
        query(_with(session, athena), statement="SELECT 1", progress=progress)
    assert athena.stopped == ["q-1"]


def test_a_query_that_takes_too_long_is_cancelled(session: Session, progress: Progress) -> None:
    athena, now, pauses = Athena(state="QUEUED"), [0.0], list[float]()

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    with pytest.raises(CommandError, match=r"query q-1 was still QUEUED after 60 s and is cancelled: read less"):
        query(_with(session, athena), statement="SELECT 1", progress=progress, timeout_seconds=60, clock=lambda: now[0], sleep=sleep)
    assert athena.stopped == ["q-1"]
    assert sum(pauses) == pytest.approx(60)
    assert (pauses[0], max(pauses)) == (PAUSES.first_seconds, PAUSES.longest_seconds)


@pytest.mark.parametrize(
    ("kind", "text", "value"), [("double", "Infinity", "Infinity"), ("integer", "-7", -7), ("date", "1998-08-01", "1998-08-01")]
)
def test_a_value_is_what_json_can_hold(kind: str, text: str, value: object) -> None:
    assert json_value(kind, text) == value


def test_quarantine_shows_reasons_values_and_bytes(session: Session, progress: Progress) -> None:
    raw = session.contract("tpch.orders").raw_columns
    values = ["7", *[None] * (len(raw) - 1)]
    row: list[str | None] = [
        "s3://raw/k.csv", "v1", "3", json.dumps([["invalid_value", "o_orderdate", None, "1998-02-30 is no date"]]), json.dumps(values),
        json.dumps({"o_note": "hi"}), base64.b64encode(b"7,na\xefve\x1b").decode(), "run", "2026-11-22T05:20:03.123Z",
    ]  # fmt: skip
    athena = Athena(
        ([("code", "varchar"), ("n", "bigint")], [["invalid_value", "1"], [None, "1"]]), ([(f"c{n}", "varchar") for n in range(9)], [row])
    )
    found = quarantine(_with(session, athena), dataset="silver.tpch.orders", progress=progress)
    assert (found.dataset, found.total, found.by_reason) == ("tpch.orders", 1, {"invalid_value": 1})
    (shown,) = found.rows
    assert (shown.row, shown.reasons[0].code, shown.reasons[0].column) == (3, "invalid_value", "o_orderdate")
    assert shown.values["o_orderkey"] == "7"
    assert shown.extra == {"o_note": "hi"}
    assert shown.record == "7,na\\xefve\\x1b"


def test_an_empty_quarantine_is_empty(session: Session, progress: Progress) -> None:
    athena = Athena(([("code", "varchar"), ("n", "bigint")], [[None, "0"]]))
    found = quarantine(_with(session, athena), dataset="tpch.orders", progress=progress)
    assert (found.total, found.rows, found.by_reason) == (0, [], {})


def test_a_dataset_that_no_file_lands_in_has_no_quarantine(session: Session, progress: Progress) -> None:
    with pytest.raises(WrongUseError, match="has no quarantine"):
        quarantine(session, dataset="tpch.daily_revenue", progress=progress)


def test_nothing_that_a_terminal_obeys_is_printed() -> None:
    assert readable(b"a\tb\r\n\x07\xff\xc3\xa9") == "a\tb\\x0d\n\\x07\\xffé"
