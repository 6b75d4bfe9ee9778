"""Statements of the RDS Data API on a PostgreSQL of their own: typed both ways, one at a time, and no longer than they may."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from local.aws.modelled_service import ServiceError
from local.aws.rds_data_statements import DataSession
from local.aws.rds_data_values import numbered
from local.engines.postgres import PostgresServer
from tests.fixtures.platform import wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    made = PostgresServer(folder=tmp_path_factory.mktemp("postgres"))
    made.start()
    with made.connect(is_autocommit=True) as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('calm', 'cross')")
        connection.execute("CREATE TABLE things (id bigserial PRIMARY KEY, name text, price numeric(8, 2), seen timestamptz)")
    yield made
    made.remove()


@pytest.fixture
def session(server: PostgresServer) -> Iterator[DataSession]:
    made = DataSession(connection=server.connect(is_autocommit=True))
    yield made
    made.close()


def run(session: DataSession, sql: str, *parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return session.execute({"sql": sql, "parameters": list(parameters), **more})


def parameter(name: str, hint: str = "", **value: Any) -> dict[str, Any]:
    return {"name": name, "value": value, **({"typeHint": hint} if hint else {})}


@pytest.mark.parametrize(
    ("sql", "field"),
    [
        ("SELECT true", {"booleanValue": True}),
        ("SELECT 7::smallint", {"longValue": 7}),
        ("SELECT 9007199254740993", {"longValue": 9007199254740993}),
        ("SELECT 0.5::float8", {"doubleValue": 0.5}),
        ("SELECT 1.50", {"stringValue": "1.50"}),
        ("SELECT 'a'::text", {"stringValue": "a"}),
        ("SELECT NULL::int", {"isNull": True}),
        ("SELECT '\\x00ff'::bytea", {"blobValue": b"\x00\xff"}),
        ("SELECT DATE '2026-11-01'", {"stringValue": "2026-11-01"}),
        ("SELECT TIMESTAMPTZ '2026-11-01 02:00:00+02'", {"stringValue": "2026-11-01 00:00:00"}),
        ("SELECT '{\"a\": 1}'::jsonb", {"stringValue": '{"a": 1}'}),
        ("SELECT 'calm'::mood", {"stringValue": "calm"}),
        ("SELECT ARRAY[1, NULL, 3]", {"arrayValue": {"longValues": [1, None, 3]}}),
        ("SELECT ARRAY['a,b', 'say \"x\"', 'NULL', NULL]", {"arrayValue": {"stringValues": ["a,b", 'say "x"', "NULL", None]}}),
        ("SELECT ARRAY[1.5]", {"arrayValue": {"stringValues": ["1.5"]}}),
        ("SELECT '{}'::int[]", {"arrayValue": {"longValues": []}}),
    ],
)
def test_each_type_has_its_field(session: DataSession, sql: str, field: dict[str, Any]) -> None:
    assert run(session, sql)["records"] == [[field]]


@pytest.mark.parametrize(("sql", "message"), [("SELECT INTERVAL '1 day'", "interval"), ("SELECT ARRAY[[1], [2]]", "multidimensional")])
def test_a_type_without_a_field_is_refused(session: DataSession, sql: str, message: str) -> None:
    with pytest.raises(ServiceError, match=f"UnsupportedResultException: .*{message}"):
        run(session, sql)


def test_numbers_come_as_they_are_asked_for(session: DataSession) -> None:
    options = {"decimalReturnType": "DOUBLE_OR_LONG", "longReturnType": "STRING"}
    (record,) = run(session, "SELECT 1.50, 2.00, 9007199254740993", resultSetOptions=options)["records"]
    assert record == [{"doubleValue": 1.5}, {"longValue": 2}, {"stringValue": "9007199254740993"}]


def test_parameters_have_the_types_that_they_are_given_with(session: DataSession) -> None:
    given = [
        parameter("a", booleanValue=True), parameter("b", longValue=7), parameter("c", doubleValue=0.5), parameter("d", stringValue="it's :e"),
        parameter("e", blobValue=b"\x00"), parameter("f", "DATE", stringValue="2026-11-01"), parameter("g", "DECIMAL", stringValue="1.50"),
        parameter("h", "TIMESTAMP", stringValue="2026-11-01 09:30:00.5"), parameter("i", "TIME", stringValue="09:30:00"),
        parameter("j", "UUID", stringValue="12345678-1234-5678-1234-567812345678"), parameter("k", "JSON", stringValue="{}"),
    ]  # fmt: skip
    names = [each["name"] for each in given]
    (record,) = run(session, f"SELECT {', '.join(f'pg_typeof(:{name})::text' for name in names)}", *given)["records"]
    assert [field["stringValue"] for field in record] == [
        "boolean", "bigint", "double precision", "character varying", "bytea", "date", "numeric", "timestamp without time zone",
        "time without time zone", "uuid", "json",
    ]  # fmt: skip


def test_text_without_a_hint_is_no_timestamp(session: DataSession) -> None:
    text = "2026-11-01 00:00:00"
    with pytest.raises(ServiceError, match="is of type timestamp with time zone but expression is of type character varying"):
        run(session, "INSERT INTO things (seen) VALUES (:seen)", parameter("seen", stringValue=text))
    assert (
        run(session, "INSERT INTO things (seen) VALUES (:seen)", parameter("seen", "TIMESTAMP", stringValue=text))["numberOfRecordsUpdated"]
        == 1
    )
    assert run(session, "INSERT INTO things (seen) VALUES (:seen)", parameter("seen", isNull=True))["numberOfRecordsUpdated"] == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (parameter("a", arrayValue={"longValues": [1]}), "Array parameters are not supported"),
        (parameter("a", "DATE", stringValue="1.11.2026"), "Cannot parse DATE"),
        (parameter("a", "DECIMAL", stringValue="1; DROP TABLE things"), "Cannot parse DECIMAL"),
        (parameter("a", "TIMESTAMP", stringValue="2026-11-01T00:00:00"), "Cannot parse TIMESTAMP"),
        (parameter("a", "DATE", longValue=1), "Cannot parse DATE"),
        (parameter("a"), "must have one value"),
        (parameter("b", longValue=1), "Cannot find parameter: a"),
    ],
)
def test_a_parameter_that_fits_nothing_is_refused(session: DataSession, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        run(session, "SELECT :a", given)


def test_names_are_replaced_where_sql_has_values_and_nowhere_else() -> None:
    sql = """SELECT ':a', ":a", :a::text, x[1:2], $$:a$$, $t$:a$t$ -- :a
        /* :a */ WHERE y = :a AND z = :b"""
    text, values = numbered(sql, [parameter("a", longValue=1), parameter("b", longValue=2)])
    assert text == sql.replace(":a::text", "$1::text").replace("y = :a", "y = $1").replace("z = :b", "z = $2")
    assert [value.data for value in values] == [b"1", b"2"]


def test_metadata_tells_of_columns_as_jdbc_does(session: DataSession) -> None:
    found = run(session, "SELECT id, name, price, ARRAY[1] AS list FROM things", includeResultMetadata=True)["columnMetadata"]
    assert [(each["label"], each["typeName"], each["type"], each["nullable"]) for each in found] == [
        ("id", "int8", -5, 0), ("name", "text", 12, 1), ("price", "numeric", 2, 1), ("list", "_int4", 2003, 2),
    ]  # fmt: skip
    assert (found[0]["isAutoIncrement"], found[0]["tableName"], found[0]["schemaName"]) == (True, "things", "public")
    assert (found[2]["precision"], found[2]["scale"], found[3]["arrayBaseColumnType"]) == (8, 2, 4)


def test_a_result_comes_as_json_if_asked_for(session: DataSession) -> None:
    answer = run(
        session, "SELECT 1 AS a, NULL AS b, 'x'::text AS c, 1.5 AS d, ARRAY[1] AS e", formatRecordsAs="JSON", includeResultMetadata=True
    )
    assert json.loads(answer["formattedRecords"]) == [{"a": 1, "b": None, "c": "x", "d": "1.5", "e": [1]}]
    assert not {"records", "columnMetadata"} & set(answer)


def test_what_changes_rows_says_how_many_and_returns_what_it_is_asked_for(session: DataSession) -> None:
    changed = run(session, "INSERT INTO things (name) SELECT 'n' FROM generate_series(1, 3)")
    assert changed == {"numberOfRecordsUpdated": 3, "generatedFields": []}
    returned = run(session, "INSERT INTO things (name) VALUES ('m') RETURNING name")
    assert (returned["records"], returned["numberOfRecordsUpdated"]) == ([[{"stringValue": "m"}]], 0)
    assert run(session, "CREATE TEMP TABLE made (a int)")["numberOfRecordsUpdated"] == 0


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELEC 1", r'DatabaseErrorException: ERROR: syntax error at or near "SELEC"\n  Position: 1; SQLState: 42601'),
        ("SELECT 1 / 0", "ERROR: division by zero; SQLState: 22012"),
        ("SELECT 1; SELECT 2", "ValidationException: Multistatements aren't supported"),
        ("BEGIN", "Transaction control statements are not supported"),
        ("COPY things FROM STDIN", "COPY from and to the client is not supported"),
        ("SELECT repeat('x', 65537)", "Packet for query is too large"),
        ("SELECT repeat('x', 60000) FROM generate_series(1, 20)", "more than the allowed response size limit"),
    ],
)
def test_what_the_service_refuses_is_refused_in_its_words(session: DataSession, sql: str, message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        run(session, sql)


def test_a_batch_runs_for_each_set_and_answers_no_rows(session: DataSession) -> None:
    sets = [[parameter("name", stringValue=f"b{number}")] for number in range(3)]
    answer = session.batch({"sql": "INSERT INTO things (name) VALUES (:name)", "parameterSets": sets})
    assert answer["updateResults"] == [{"generatedFields": []}] * 3
    with pytest.raises(ServiceError, match="A result was returned when none was expected"):
        session.batch({"sql": "SELECT :name", "parameterSets": sets})


def test_a_commit_after_a_failure_is_no_commit(session: DataSession) -> None:
    session.command("BEGIN")
    with pytest.raises(ServiceError):
        run(session, "SELECT 1 / 0")
    with pytest.raises(ServiceError, match="current transaction is aborted"):
        run(session, "SELECT 1")
    with pytest.raises(ServiceError, match="was rolled back"):
        session.command("COMMIT")


def test_a_statement_is_stopped_when_its_time_is_over(server: PostgresServer) -> None:
    session = DataSession(connection=server.connect(is_autocommit=True), seconds=0.2)
    began = time.monotonic()
    with pytest.raises(ServiceError, match="StatementTimeoutException: Request timed out"):
        run(session, "SELECT pg_sleep(30)")
    assert time.monotonic() - began < 5
    assert run(session, "SELECT 1")["records"] == [[{"longValue": 1}]]
    session.close()


def test_a_statement_that_may_goes_on_after_its_time_and_the_connection_ends_with_it(server: PostgresServer) -> None:
    session = DataSession(connection=server.connect(is_autocommit=True), seconds=0.2)
    with pytest.raises(ServiceError, match="StatementTimeoutException"):
        run(session, "CREATE TABLE late AS SELECT pg_sleep(1)::text AS done", continueAfterTimeout=True)
    with pytest.raises(ServiceError, match="Transaction is still running a query"):
        run(session, "SELECT 1")
    session.close(is_patient=True)
    assert wait_for(lambda: session.connection.closed)
    with server.connect() as other:
        assert other.execute("SELECT count(*) FROM late").fetchone() == (1,)


def test_what_is_under_way_on_a_connection_that_ends_is_stopped(server: PostgresServer) -> None:
    session = DataSession(connection=server.connect(is_autocommit=True), seconds=0.2)
    with pytest.raises(ServiceError, match="StatementTimeoutException"):
        run(session, "CREATE TABLE never AS SELECT pg_sleep(30)::text AS done", continueAfterTimeout=True)
    session.close()
    assert wait_for(lambda: session.connection.closed)
    with server.connect() as other:
        assert other.execute("SELECT to_regclass('never')").fetchone() == (None,)
