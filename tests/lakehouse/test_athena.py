"""The Athena runner against answers of Athena's own API model: deadline, cancellation, typed rows, parameters, errors."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest
from botocore.stub import ANY, Stubber

from lakehouse.athena.errors import (
    QueryCancelledError,
    QueryFailedError,
    QueryFailedForNowError,
    QueryRefusedError,
    QueryTimedOutError,
    ScanLimitError,
)
from lakehouse.athena.executions import Column, Statistics
from lakehouse.athena.runner import AthenaRunner
from lakehouse.athena.statements import as_of, literal, unload_statement
from lakehouse.athena.values import typed
from lakehouse.errors import TerminalError, TransientError
from lakehouse.polling import Pauses


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.pauses = 0.0, list[float]()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class World:
    """A runner over a stubbed client."""

    def __init__(self, **how: Any) -> None:
        self.client = boto3.client("athena", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
        self.stub, self.clock = Stubber(self.client), Clock()
        self.stub.activate()
        self.runner = AthenaRunner(self.client, workgroup="team", clock=self.clock, sleep=self.clock.sleep, **how)

    def starts(self, sql: str = "SELECT 1", query_id: str = "q-1", **more: Any) -> None:
        expected = {"QueryString": sql, "WorkGroup": "team", "ClientRequestToken": ANY, **more}
        self.stub.add_response("start_query_execution", {"QueryExecutionId": query_id}, expected)

    def stands(self, state: str, query_id: str = "q-1", error: Mapping[str, Any] | None = None, **more: Any) -> None:
        reason = {"StateChangeReason": error["ErrorMessage"], "AthenaError": dict(error)} if error else {}
        found = {
            "QueryExecutionId": query_id,
            "StatementType": "DML",
            **more,
            "Status": {"State": state, **more.get("Status", {}), **reason},
        }
        self.stub.add_response("get_query_execution", {"QueryExecution": found}, {"QueryExecutionId": query_id})

    def stops(self, query_id: str = "q-1") -> None:
        self.stub.add_response("stop_query_execution", {}, {"QueryExecutionId": query_id})

    def answers(self, columns: list[tuple[str, str]], rows: list[list[str | None]], token: str = "", after: str = "") -> None:
        data = [{"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]} for row in rows]
        page: dict[str, Any] = {
            "ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": [{"Name": name, "Type": kind} for name, kind in columns]}}
        }
        asked: dict[str, Any] = {"QueryExecutionId": "q-1", "MaxResults": 1000, **({"NextToken": after} if after else {})}
        self.stub.add_response("get_query_results", page | ({"NextToken": token} if token else {}), asked)


def test_rows_come_typed_over_all_pages_without_the_header() -> None:
    world = World()
    world.starts()
    world.stands("SUCCEEDED", Statistics={"DataScannedInBytes": 42, "EngineExecutionTimeInMillis": 1500})
    columns = [("n", "bigint"), ("price", "decimal"), ("name", "varchar")]
    world.answers(columns, [["n", "price", "name"], ["9007199254740993", "1.50", ""]], token="more")
    world.answers(columns, [[None, None, None]], after="more")
    answer = world.runner.query("SELECT 1")
    assert answer.columns == (Column(name="n", type="bigint"), Column(name="price", type="decimal"), Column(name="name", type="varchar"))
    assert answer.rows[0] == (9007199254740993, Decimal("1.50"), "")
    assert answer.rows[1:] == ((None, None, None),)
    assert (answer.execution.statistics.scanned_bytes, answer.execution.statistics.engine_seconds) == (42, 1.5)


def test_a_row_of_the_second_page_that_looks_like_the_header_is_a_row() -> None:
    world = World()
    world.starts()
    world.stands("SUCCEEDED")
    world.answers([("name", "varchar")], [["name"], ["a"]], token="more")
    world.answers([("name", "varchar")], [["name"]], after="more")
    assert world.runner.query("SELECT 1").rows == (("a",), ("name",))


@pytest.mark.parametrize(
    ("kind", "columns", "rows", "expected"),
    [
        ("UTILITY", [("tab_name", "string")], [["orders"], ["tab_name"]], (("orders",), ("tab_name",))),
        ("DDL", [], [], ()),
        ("DML", [("one", "integer")], [["one"]], ()),
        ("DML", [], [], ()),
    ],
)
def test_statements_without_a_header_or_rows_are_read_too(kind: str, columns: Any, rows: Any, expected: Any) -> None:
    world = World()
    world.starts()
    world.stands("SUCCEEDED", StatementType=kind)
    world.answers(columns, rows)
    assert world.runner.query("SELECT 1").rows == expected


def test_waits_grow_and_the_deadline_cancels() -> None:
    world = World(pauses=Pauses(jitter=0))
    world.starts()
    for _ in range(10):
        world.stands("RUNNING")
    world.stops()
    with pytest.raises(QueryTimedOutError, match="still RUNNING after 100 s and is cancelled") as caught:
        world.runner.run("SELECT 1", deadline_seconds=100)
    assert world.clock.pauses == pytest.approx([2, 3, 4.5, 6.75, 10.125, 15.1875, 22.78125, 30, 5.65625])
    assert caught.value.execution is not None
    assert caught.value.execution.query_id == "q-1"
    world.stub.assert_no_pending_responses()


def test_an_interrupt_cancels_even_if_cancelling_fails() -> None:
    world = World()

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    runner = AthenaRunner(world.client, workgroup="team", sleep=interrupted)
    for stopped in (True, False):
        world.starts()
        world.stands("RUNNING")
        if stopped:
            world.stops()
        else:
            world.stub.add_client_error("stop_query_execution", "InternalServerException")
        with pytest.raises(KeyboardInterrupt):
            runner.run("SELECT 1")
    world.stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("state", "error", "expected", "match"),
    [
        ("FAILED", {"Retryable": False, "ErrorMessage": "TABLE_NOT_FOUND: line 1:15"}, QueryFailedError, "FAILED: TABLE_NOT_FOUND"),
        ("FAILED", {"Retryable": True, "ErrorMessage": "Query exhausted resources"}, QueryFailedForNowError, "exhausted"),
        ("CANCELLED", {"ErrorMessage": "Bytes scanned limit was exceeded"}, ScanLimitError, "limit raised"),
        ("CANCELLED", {"ErrorMessage": "Query was cancelled by user"}, QueryCancelledError, "CANCELLED: Query was cancelled by user"),
        ("PONDERING", None, QueryFailedError, "a state that nobody knows: PONDERING"),
    ],
)
def test_an_end_without_an_answer_has_its_own_error(state: str, error: Any, expected: type[Exception], match: str) -> None:
    world = World()
    world.starts()
    world.stands(state, error=error)
    with pytest.raises(expected, match=match):
        world.runner.run("SELECT 1")
    assert issubclass(expected, TransientError if expected is QueryFailedForNowError else TerminalError)


def test_only_what_athena_calls_retryable_is_tried_again_and_each_try_has_its_own_token() -> None:
    world = World()
    tokens: list[str] = []
    world.client.meta.events.register(
        "provide-client-params.athena.StartQueryExecution", lambda params, **_: tokens.append(params["ClientRequestToken"])
    )
    world.starts(query_id="q-1")
    world.stands("FAILED", error={"Retryable": True, "ErrorMessage": "for now"})
    world.starts(query_id="q-2")
    world.stands("SUCCEEDED", query_id="q-2")
    assert world.runner.run("SELECT 1", attempts=3, key="run-7/report").query_id == "q-2"
    assert len(set(tokens)) == 2
    world.starts()
    world.stands("FAILED", error={"Retryable": False, "ErrorMessage": "for good"})
    with pytest.raises(QueryFailedError):
        world.runner.run("SELECT 1", attempts=3, key="run-7/report")
    assert tokens[2] == tokens[0]  # the same key is the same query
    assert all(32 <= len(token) <= 128 for token in tokens)


@pytest.mark.parametrize(
    ("code", "expected"), [("InvalidRequestException", QueryRefusedError), ("TooManyRequestsException", QueryFailedForNowError)]
)
def test_what_athena_does_not_start_is_told_in_its_words(code: str, expected: type[Exception]) -> None:
    world = World()
    world.stub.add_client_error("start_query_execution", code, "no", http_status_code=400)
    with pytest.raises(expected, match="no"):
        world.runner.run("SELECT 1")


def test_a_denial_stays_a_denial() -> None:
    world = World()
    world.stub.add_client_error("start_query_execution", "AccessDeniedException", "not authorized to perform athena:StartQueryExecution")
    with pytest.raises(world.client.exceptions.ClientError, match="not authorized"):
        world.runner.run("SELECT 1")


def test_parameters_database_and_reuse_are_athenas_own_and_no_output_place_is_sent() -> None:
    world = World(database="silver_tpch")
    world.starts(
        "SELECT * FROM orders WHERE a = ?",
        QueryExecutionContext={"Database": "silver_tpch"},
        ExecutionParameters=["'o''clock'"],
        ResultReuseConfiguration={"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 60}},
    )
    assert world.runner.start("SELECT * FROM orders WHERE a = ?", parameters=[literal("o'clock")], reuse_minutes=60) == "q-1"
    with pytest.raises(ValueError, match="between 0 and 10080"):
        world.runner.start("SELECT 1", reuse_minutes=10_081)
    with pytest.raises(ValueError, match="must not be `primary`"):
        AthenaRunner(world.client, workgroup="primary")


def test_a_large_answer_is_unloaded_and_its_files_are_listed() -> None:
    world = World()
    statement = "UNLOAD (SELECT a FROM b WHERE c = ?\n) TO 's3://bucket/folder/' WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['c'])"
    world.starts(statement, ExecutionParameters=["5"])
    world.stands("SUCCEEDED", Statistics={"DataManifestLocation": "s3://results/q-1-manifest.csv"})

    class S3:
        def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
            assert (Bucket, Key) == ("results", "q-1-manifest.csv")
            return {"Body": io.BytesIO(b"s3://bucket/folder/a\ns3://bucket/folder/b\n")}

    found = world.runner.unload(
        "SELECT a FROM b WHERE c = ?;", to="s3://bucket/folder/", s3=S3(), compression="snappy", partitioned_by=["c"], parameters=["5"]
    )
    assert found == ("s3://bucket/folder/a", "s3://bucket/folder/b")


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": "s3://bucket/folder"}, {"to": "s3://bucket/fol'der/"}, {"to": "/tmp/x/"}, {"format": "CSV"}, {"compression": "GZIP') --"},
        {"partitioned_by": ["a'b"]},
    ],
)  # fmt: skip
def test_an_unload_is_put_together_of_checked_parts(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        unload_statement("SELECT 1", **{"to": "s3://bucket/folder/", **wrong})


def test_a_comment_at_the_end_of_a_query_does_not_swallow_the_unload() -> None:
    assert (
        unload_statement("SELECT 1 -- all", to="s3://bucket/f/")
        == "UNLOAD (SELECT 1 -- all\n) TO 's3://bucket/f/' WITH (format = 'PARQUET')"
    )


def test_recent_queries_are_looked_up_fifty_at_a_time() -> None:
    world = World()
    ids = [f"q-{number}" for number in range(60)]
    world.stub.add_response(
        "list_query_executions", {"QueryExecutionIds": ids[:50], "NextToken": "t"}, {"WorkGroup": "team", "MaxResults": 50}
    )
    world.stub.add_response(
        "list_query_executions", {"QueryExecutionIds": ids[50:]}, {"WorkGroup": "team", "MaxResults": 10, "NextToken": "t"}
    )
    for part in (ids[:50], ids[50:]):
        kept = [{"QueryExecutionId": query_id, "Status": {"State": "SUCCEEDED"}} for query_id in reversed(part)]
        world.stub.add_response("batch_get_query_execution", {"QueryExecutions": kept}, {"QueryExecutionIds": part})
    assert [execution.query_id for execution in world.runner.recent(60)] == ids


def test_a_named_query_is_run_by_its_name() -> None:
    world = World()
    kept = {"Name": "late orders", "Database": "silver_tpch", "QueryString": "SELECT 2", "NamedQueryId": "n-1"}
    for runs in (True, False):
        world.stub.add_response("list_named_queries", {"NamedQueryIds": ["n-1"]}, {"WorkGroup": "team"})
        world.stub.add_response("batch_get_named_query", {"NamedQueries": [kept]}, {"NamedQueryIds": ["n-1"]})
        if runs:
            world.starts("SELECT 2")
            world.stands("SUCCEEDED")
    assert world.runner.run_named("late orders").state == "SUCCEEDED"
    with pytest.raises(QueryRefusedError, match="0 named queries 'nothing'"):
        world.runner.run_named("nothing")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", "-7", -7), ("bigint", "9007199254740993", 9007199254740993), ("double", "1.0E7", 1e7), ("double", "Infinity", math.inf),
        ("boolean", "true", True), ("decimal", "0.10", Decimal("0.10")), ("date", "1998-08-01", date(1998, 8, 1)),
        ("timestamp", "2026-01-02 03:04:05.123", datetime(2026, 1, 2, 3, 4, 5, 123000)),  # noqa: DTZ001
        ("timestamp with time zone", "2026-01-02 03:04:05.123456 UTC", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("timestamp with time zone", "2026-01-02 03:04:05.000 Europe/Berlin", datetime(2026, 1, 2, 3, 4, 5, tzinfo=ZoneInfo("Europe/Berlin"))),
        ("timestamp with time zone", "2026-01-02 03:04:05.000 +05:30", datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))),
        ("timestamp", "2026-01-02 03:04:05.123456789", "2026-01-02 03:04:05.123456789"), ("date", "10000-01-01", "10000-01-01"),
        ("varbinary", "61 62", b"ab"), ("varchar", "", ""), ("varchar", None, None), ("integer", None, None), ("array", "[1, 2]", "[1, 2]"),
    ],
)  # fmt: skip
def test_a_text_of_athena_becomes_a_value(kind: str, text: str | None, value: object) -> None:
    assert typed(kind, text) == value


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (None, "NULL"), (True, "TRUE"), (5, "5"), (1.5, "DOUBLE '1.5'"), (Decimal("1.50"), "DECIMAL '1.50'"), ("it's", "'it''s'"),
        (date(2026, 1, 2), "DATE '2026-01-02'"), (datetime(2026, 1, 2, 3, 4, 5, 6), "TIMESTAMP '2026-01-02 03:04:05.000006'"),  # noqa: DTZ001
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))), "TIMESTAMP '2026-01-02 01:00:00.000000 UTC'"), (b"a", "X'61'"),
        (math.nan, "DOUBLE 'NaN'"), (-math.inf, "DOUBLE '-Infinity'"),
    ],
)  # fmt: skip
def test_a_value_becomes_a_literal_of_sql(value: Any, sql: str) -> None:
    assert literal(value) == sql


def test_time_travel_needs_a_zone() -> None:
    assert (
        as_of(datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=1))))
        == "FOR TIMESTAMP AS OF TIMESTAMP '2026-01-02 02:00:00.000000 UTC'"
    )
    with pytest.raises(ValueError, match="must have a zone"):
        as_of(datetime(2026, 1, 2, 3))  # noqa: DTZ001


def test_a_query_costs_at_least_ten_megabytes_unless_it_read_nothing() -> None:
    assert Statistics(scanned_bytes=0).estimated_usd() == 0
    assert Statistics(scanned_bytes=1).estimated_usd() == pytest.approx(0.00005)
    assert Statistics(scanned_bytes=2_000_000_000_000).estimated_usd() == pytest.approx(10)
    assert list(zip(range(3), Pauses(first_seconds=1, factor=3, longest_seconds=5), strict=False)) == [(0, 1), (1, 3), (2, 5)]
