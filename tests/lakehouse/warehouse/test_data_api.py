"""The Data API client: waiting, deadlines, cancelling, errors, typed rows, pages; and what is built on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from lakehouse.warehouse.data_api import (
    DataApi,
    StatementError,
    StatementRefused,
    StatementTimeout,
    Target,
    UnknownStatement,
    token_of,
    value_of,
)
from lakehouse.warehouse.load_errors import load_errors
from lakehouse.warehouse.maintenance import TableState, advice, table_states
from lakehouse.warehouse.migrations import Migration, MigrationRefused, check, migrate, pending, split
from lakehouse.warehouse.text import SqlRefused

ID = "5a2b1c3d-1111-2222-3333-444455556666"
TARGET = Target(database="lakehouse", workgroup="lakehouse-dev")
ASKED = {"Database": "lakehouse", "WorkgroupName": "lakehouse-dev"}


class Time:
    """A clock that only sleeping and looking moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Fixture:
    """A client that answers what a test says, and nothing else."""

    def __init__(self) -> None:
        client = boto3.client("redshift-data", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
        self.stub = Stubber(client)
        self.time = Time()
        self.statuses: list[str] = []
        self.api = DataApi(
            client=client,
            target=TARGET,
            deadline_seconds=60,
            clock=self.time,
            sleep=self.time.sleep,
            watch=lambda _, status: self.statuses.append(status),
        )

    def submitted(self, sql: str, **more: object) -> None:
        self.stub.add_response("execute_statement", {"Id": ID}, {"Sql": sql, **ASKED, **more})

    def looked(self, status: str, **more: object) -> None:
        self.stub.add_response("describe_statement", {"Id": ID, "Status": status, **more}, {"Id": ID, "WaitTimeSeconds": ANY})

    def cancelled(self) -> None:
        self.stub.add_response("cancel_statement", {"Status": True}, {"Id": ID})

    def result(self, names: Mapping[str, str], rows: list[list[dict[str, Any]]], *, id_: str = ID) -> None:
        metadata = [{"name": name, "label": name, "typeName": type_} for name, type_ in names.items()]
        self.stub.add_response("get_statement_result", {"Records": rows, "ColumnMetadata": metadata}, {"Id": id_})


@pytest.fixture
def api() -> Iterator[Fixture]:
    fixture = Fixture()
    with fixture.stub:
        yield fixture
        fixture.stub.assert_no_pending_responses()


def test_a_statement_is_waited_for_through_all_its_statuses(api: Fixture) -> None:
    api.submitted("SELECT 1 AS one", ClientToken="token", StatementName="look")
    for status in ("SUBMITTED", "PICKED", "STARTED"):
        api.looked(status)
    api.looked("FINISHED", HasResultSet=True, ResultRows=1, Duration=2_500_000_000)
    api.result({"one": "int4"}, [[{"longValue": 1}]])
    answer = api.api.execute("SELECT 1 AS one", token="token", label="look")
    assert answer.records() == [{"one": 1}]
    assert (answer.seconds, answer.affected) == (2.5, 1)
    assert api.statuses == ["SUBMITTED", "PICKED", "STARTED", "FINISHED"]


def test_values_never_stand_in_the_text(api: Fixture) -> None:
    api.submitted("DELETE FROM t WHERE d = :d", Parameters=[{"name": "d", "value": "' OR 1=1"}])
    api.looked("FINISHED", HasResultSet=False, ResultRows=3)
    assert api.api.execute("DELETE FROM t WHERE d = :d", parameters={"d": "' OR 1=1"}).affected == 3


def test_all_pages_are_read_with_their_types(api: Fixture) -> None:
    api.submitted("SELECT")
    api.looked("FINISHED", HasResultSet=True)
    metadata = [{"name": n, "typeName": t} for n, t in (("a", "numeric"), ("b", "varchar"), ("c", "bool"), ("d", "float8"))]
    rows = [[{"stringValue": "1.50"}, {"stringValue": "x"}, {"booleanValue": False}, {"doubleValue": 0.0}]]
    api.stub.add_response("get_statement_result", {"Records": rows, "ColumnMetadata": metadata, "NextToken": "next"}, {"Id": ID})
    api.stub.add_response(
        "get_statement_result", {"Records": [[{"isNull": True}] * 4], "ColumnMetadata": metadata}, {"Id": ID, "NextToken": "next"}
    )
    answer = api.api.execute("SELECT")
    assert answer.rows == ((Decimal("1.50"), "x", False, 0.0), (None, None, None, None))


def test_a_failure_carries_redshifts_text(api: Fixture) -> None:
    api.submitted("SELECT x")
    api.looked("FAILED", Error='ERROR: column "x" does not exist', QueryString="SELECT x")
    with pytest.raises(StatementError, match='FAILED: ERROR: column "x" does not exist') as error:
        api.api.execute("SELECT x")
    assert error.value.status == "FAILED"


def test_a_statement_that_somebody_cancelled_is_an_error(api: Fixture) -> None:
    api.submitted("SELECT x")
    api.looked("ABORTED")
    with pytest.raises(StatementError, match="ABORTED: Redshift gives no reason"):
        api.api.execute("SELECT x")


def test_a_status_that_nobody_knows_is_an_error_and_nothing_goes_on_running(api: Fixture) -> None:
    api.submitted("SELECT x")
    api.looked("PONDERING")
    api.cancelled()
    with pytest.raises(StatementError, match="'PONDERING' is no status that this client knows"):
        api.api.execute("SELECT x")


def test_a_statement_that_takes_too_long_is_cancelled(api: Fixture) -> None:
    api.submitted("SELECT x")
    for _ in range(17):
        api.looked("STARTED")
    api.cancelled()
    with pytest.raises(StatementTimeout, match="still STARTED after 60 s and is cancelled"):
        api.api.execute("SELECT x")


def test_ctrl_c_cancels(api: Fixture) -> None:
    def interrupt(_: str, __: str) -> None:
        raise KeyboardInterrupt

    api.api._watch = interrupt  # pyright: ignore[reportPrivateUsage]
    api.submitted("SELECT x")
    api.looked("STARTED")
    api.cancelled()
    with pytest.raises(KeyboardInterrupt):
        api.api.execute("SELECT x")


def test_what_went_wrong_first_is_told_if_cancelling_fails_too(api: Fixture) -> None:
    api.submitted("SELECT x")
    api.stub.add_client_error("describe_statement", "InternalServerException", "first")
    api.stub.add_client_error("cancel_statement", "InternalServerException", "second")
    with pytest.raises(Exception, match="first") as error:
        api.api.execute("SELECT x")
    assert "could not be cancelled" in error.value.__notes__[0]


def test_a_batch_names_the_statement_that_failed(api: Fixture) -> None:
    statements = ["/* make the staging table */ CREATE TEMP TABLE s (a INT)", "/* copy the files */ COPY s FROM ''"]
    api.stub.add_response("batch_execute_statement", {"Id": ID}, {"Sqls": statements, **ASKED, "ClientToken": "t"})
    parts = [
        {"Id": f"{ID}:1", "Status": "FINISHED", "QueryString": statements[0]},
        {"Id": f"{ID}:2", "Status": "FAILED", "Error": "ERROR: Load into table 's' failed.", "QueryString": statements[1]},
    ]
    api.looked("FAILED", SubStatements=parts, Error="the query failed")
    with pytest.raises(StatementError, match=r"statement 2 of 2 \(copy the files\) FAILED: ERROR: Load into table 's' failed\.") as error:
        api.api.batch(statements, token="t")
    assert error.value.index == 1


def test_each_statement_of_a_batch_has_its_answer(api: Fixture) -> None:
    api.stub.add_response("batch_execute_statement", {"Id": ID}, {"Sqls": ["DELETE FROM t", "SELECT 1"], **ASKED})
    parts: list[dict[str, Any]] = [
        {"Id": f"{ID}:1", "Status": "FINISHED", "ResultRows": 4},
        {"Id": f"{ID}:2", "Status": "FINISHED", "HasResultSet": True, "ResultRows": 1},
    ]
    api.looked("FINISHED", SubStatements=parts)
    api.result({"n": "int8"}, [[{"longValue": 1}]], id_=f"{ID}:2")
    deleted, counted = api.api.batch(["DELETE FROM t", "SELECT 1"])
    assert (deleted.affected, counted.rows) == (4, ((1,),))


def test_cancelling_what_is_over_is_no_error(api: Fixture) -> None:
    api.stub.add_client_error("cancel_statement", "ValidationException", "Could not cancel a query that is already in FINISHED state")
    assert api.api.cancel(ID) is False


def test_a_statement_that_the_warehouse_does_not_take_is_told_with_what_to_do() -> None:
    client = boto3.client("redshift-data", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    said = "The cluster lake is paused."
    for target, told in (
        (
            Target(database="d", cluster="lake"),
            "is paused. If the cluster is paused, resume it: `aws redshift resume-cluster --cluster-identifier lake`",
        ),
        (TARGET, "is paused"),
    ):
        with Stubber(client) as stub:
            for call in ("execute_statement", "batch_execute_statement"):
                stub.add_client_error(call, "ValidationException", said)
            for submit in (lambda api: api.execute("SELECT 1"), lambda api: api.batch(["SELECT 1"])):
                with pytest.raises(StatementRefused) as refused:
                    submit(DataApi(client=client, target=target))
                assert str(refused.value) == f"the warehouse did not take the statement: The cluster lake {told}"


def listed(number: int, status: str = "FAILED", **more: Any) -> dict[str, Any]:
    moment = datetime(2026, 11, 22, 6, number, tzinfo=UTC)
    return {"Id": f"{number}", "Status": status, "CreatedAt": moment, "UpdatedAt": moment, **more}


def test_statements_are_listed_page_by_page_the_newest_first(api: Fixture) -> None:
    page = {"Statements": [listed(1, QueryString="COPY", StatementName="load")], "NextToken": "n"}
    api.stub.add_response("list_statements", page, {"Status": "FAILED", "MaxResults": 100})
    batch = listed(2, QueryStrings=["DELETE FROM a", "DELETE FROM b"])
    api.stub.add_response("list_statements", {"Statements": [batch]}, {"Status": "FAILED", "MaxResults": 100, "NextToken": "n"})
    found = api.api.submitted(statuses=("FAILED",))
    assert [(entry.statement_id, entry.label, entry.sql) for entry in found] == [
        ("2", "", "DELETE FROM a; DELETE FROM b"),
        ("1", "load", "COPY"),
    ]


def test_no_more_statements_are_listed_than_asked_for(api: Fixture) -> None:
    api.stub.add_response("list_statements", {"Statements": [listed(1)], "NextToken": "n"}, {"Status": "ALL", "MaxResults": 1})
    assert len(api.api.submitted(at_most=1)) == 1


def test_what_became_of_each_statement_of_a_batch_is_told(api: Fixture) -> None:
    parts = [
        {"Id": f"{ID}:1", "Status": "FINISHED", "QueryString": "DELETE FROM t", "ResultRows": 3, "Duration": 500_000_000},
        {"Id": f"{ID}:2", "Status": "FAILED", "QueryString": "SELECT x", "Error": "ERROR: no x"},
    ]
    described = {**listed(1), "Id": ID, "Error": "ERROR: no x", "SubStatements": parts}
    api.stub.add_response("describe_statement", described, {"Id": ID})
    found = api.api.describe(ID)
    assert [(part.status, part.sql, part.error, part.rows, part.seconds) for part in found.parts] == [
        ("FINISHED", "DELETE FROM t", "", 3, 0.5),
        ("FAILED", "SELECT x", "ERROR: no x", -1, 0.0),
    ]
    api.stub.add_response("describe_statement", {**listed(1, "STARTED"), "Id": ID, "QueryString": "SELECT 1"}, {"Id": ID})
    assert [part.sql for part in api.api.describe(ID).parts] == ["SELECT 1"]


@pytest.mark.parametrize(
    ("call", "code"),
    [("describe", "ResourceNotFoundException"), ("describe", "ValidationException"), ("cancel", "ResourceNotFoundException")],
)
def test_a_statement_that_nobody_knows_is_an_error_that_says_who_is_told(api: Fixture, call: str, code: str) -> None:
    api.stub.add_client_error(f"{call}_statement", code, "Query does not exist.")
    with pytest.raises(UnknownStatement, match=f"there is no statement '{ID}': the Data API knows a statement for a day"):
        getattr(api.api, call)(ID)


def test_the_same_work_has_the_same_token() -> None:
    assert token_of("orders", "run", "1") == token_of("orders", "run", "1")
    assert token_of("orders", "run", "1") != token_of("orders", "run", "2")
    assert len(token_of("x")) == 64


@pytest.mark.parametrize(
    "given",
    [{}, {"workgroup": "w", "cluster": "c"}, {"workgroup": "w", "db_user": "u"}, {"cluster": "c", "db_user": "u", "secret_arn": "s"}],
)
def test_a_target_that_redshift_would_refuse_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(SqlRefused):
        Target(database="d", **given)


def test_a_blob_stays_bytes() -> None:
    assert value_of({"blobValue": b"\x00"}, "varbyte") == b"\x00"


def test_load_errors_are_told_with_file_line_and_reason(api: Fixture) -> None:
    api.stub.add_response(
        "execute_statement",
        {"Id": ID},
        {"Sql": ANY, "Parameters": [{"name": "folder", "value": "s3://b/my\\_x/%"}], **ASKED},
    )
    api.looked("FINISHED", HasResultSet=True)
    names = {
        "file_name": "char",
        "line_number": "int8",
        "column_name": "char",
        "column_type": "char",
        "error_code": "int4",
        "error_message": "char",
        "start_time": "timestamp",
    }
    row = ["s3://b/my_x/1.csv   ", 7, "price  ", "numeric", 1207, "Invalid digit, Value 'x'", "2026-11-22"]
    api.result(names, [[{"longValue": v} if isinstance(v, int) else {"stringValue": v} for v in row]])
    (error,) = load_errors(api.api, folder="s3://b/my_x/")
    assert str(error) == "s3://b/my_x/1.csv, line 7, column price (numeric): Invalid digit, Value 'x'"
    assert error.code == 1207


def state(**changes: Any) -> TableState:
    given: dict[str, Any] = {
        "schema": "gold_sales",
        "table": "daily",
        "unsorted_percent": 0.0,
        "stats_off_percent": 0.0,
        "rows": 100,
        "visible_rows": 100,
        "skew": 1.0,
    }
    return TableState(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "statements"),
    [
        ({}, []),
        ({"unsorted_percent": None, "skew": None}, []),
        ({"unsorted_percent": 19.9, "stats_off_percent": 9.9, "visible_rows": 81, "skew": 3.9}, []),
        ({"unsorted_percent": 20.0}, ['VACUUM SORT ONLY "gold_sales"."daily"']),
        ({"visible_rows": 80}, ['VACUUM DELETE ONLY "gold_sales"."daily"']),
        ({"unsorted_percent": 50.0, "visible_rows": 50}, ['VACUUM FULL "gold_sales"."daily"']),
        ({"stats_off_percent": 10.0}, ['ANALYZE "gold_sales"."daily"']),
        ({"skew": 4.0}, [""]),
        ({"rows": 0, "visible_rows": 0}, []),
    ],
)
def test_only_what_redshift_has_fallen_behind_with_is_advised(changes: dict[str, Any], statements: list[str]) -> None:
    assert [item.statement for item in advice(state(**changes))] == statements


def test_the_state_of_tables_is_read(api: Fixture) -> None:
    api.stub.add_response("execute_statement", {"Id": ID}, {"Sql": ANY, **ASKED})
    api.looked("FINISHED", HasResultSet=True)
    names = {"schema": "varchar", "table": "varchar"}
    names |= dict.fromkeys(("unsorted", "stats_off", "tbl_rows", "estimated_visible_rows", "skew_rows"), "numeric")
    row = [{"stringValue": v} for v in ("gold_sales ", "daily", "25.00", "0.00", "100", "90")]
    api.result(names, [[*row, {"isNull": True}]])
    assert table_states(api.api) == [state(unsorted_percent=25.0, visible_rows=90, skew=None)]


def migration(name: str, sql: str = "CREATE SCHEMA a") -> Migration:
    return Migration(name=name, sql=sql)


def test_statements_are_split_where_they_end() -> None:
    sql = """-- first; not here
    CREATE TABLE a (b VARCHAR(5) DEFAULT ';'); /* ; */
    CREATE PROCEDURE p() AS $$ BEGIN DELETE FROM a; END; $$ LANGUAGE plpgsql;
    COMMENT ON TABLE a IS 'it''s; so'"""
    assert split(sql) == [
        "CREATE TABLE a (b VARCHAR(5) DEFAULT ';')",
        "CREATE PROCEDURE p() AS $$ BEGIN DELETE FROM a; END; $$ LANGUAGE plpgsql",
        "COMMENT ON TABLE a IS 'it''s; so'",
    ]


@pytest.mark.parametrize(
    ("migrations", "said"),
    [
        ([migration("first")], "no name of a migration"),
        ([migration("0001_a"), migration("0001_b")], "the same number"),
        ([migration("0001_a", "-- nothing")], "has 0 statements"),
        ([migration("0001_a", "TRUNCATE t")], "0001_a: statement 1 is TRUNCATE"),
        ([migration("0001_a", "SELECT 1;" * 40)], "split it"),
    ],
)
def test_migrations_that_cannot_run_are_refused_before_anything_is_deployed(migrations: list[Migration], said: str) -> None:
    with pytest.raises(MigrationRefused, match=said):
        check(migrations)


def test_only_what_has_not_run_is_pending() -> None:
    one, two = migration("0001_a"), migration("0002_b")
    assert pending([two, one], {}) == [one, two]
    assert pending([one, two], {one.name: one.checksum}) == [two]
    assert migration("0001_a", "a\r\nb").checksum == migration("0001_a", "a\nb").checksum


@pytest.mark.parametrize(
    ("migrations", "applied", "said"),
    [
        ([migration("0001_a", "SELECT 2")], {"0001_a": migration("0001_a").checksum}, "was changed since"),
        ([], {"0001_a": "x"}, "is not in the project"),
        ([migration("0001_a"), migration("0002_b")], {"0002_b": migration("0002_b").checksum}, "give it a higher number"),
    ],
)
def test_what_has_run_may_not_change(migrations: list[Migration], applied: dict[str, str], said: str) -> None:
    with pytest.raises(MigrationRefused, match=said):
        pending(migrations, applied)


def test_a_migration_and_the_note_that_it_ran_are_one_transaction(api: Fixture) -> None:
    one = migration("0001_a", "CREATE SCHEMA a; CREATE SCHEMA b;")
    api.stub.add_response("batch_execute_statement", {"Id": ID}, {"Sqls": ANY, **ASKED})
    api.looked("FINISHED")
    api.stub.add_response("execute_statement", {"Id": ID}, {"Sql": ANY, **ASKED})
    api.looked("FINISHED", HasResultSet=True)
    api.result({"name": "varchar", "checksum": "bpchar"}, [])
    noted = f"INSERT INTO lakehouse.migrations VALUES ('0001_a', '{one.checksum}', GETDATE())"
    api.stub.add_response(
        "batch_execute_statement",
        {"Id": ID},
        {"Sqls": ["CREATE SCHEMA a", "CREATE SCHEMA b", noted], **ASKED, "ClientToken": ANY, "StatementName": "migration-0001_a"},
    )
    api.looked("FINISHED")
    assert migrate(api.api, [one]) == ["0001_a"]
