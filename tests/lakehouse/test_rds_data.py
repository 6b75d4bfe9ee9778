"""The client of the RDS Data API: typed parameters and rows, transactions that never hide an error, and no call that runs twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from lakehouse import rds_data
from lakehouse.rds_data import RdsData, RdsDataError, RdsDataTimeout, RdsDataUnavailable, statement_client
from lakehouse.rds_data_values import parameters_of, value_of

CLUSTER = "arn:aws:rds:eu-west-1:111122223333:cluster:shop"
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop-AbCdEf"
WHERE = {"resourceArn": CLUSTER, "secretArn": SECRET}
TARGET = {**WHERE, "database": "shop"}
IN_TRANSACTION = {**TARGET, "transactionId": "t-1"}
NAIVE = datetime.fromisoformat("2026-11-01 09:30:00.000005")
ID = UUID("12345678-1234-5678-1234-567812345678")


def make_client(attempts: int = 1) -> Any:
    config = Config(retries={"mode": "standard", "total_max_attempts": attempts})
    return boto3.client("rds-data", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x", config=config)


class Fixture:
    """A client that answers what a test says in its order, and nothing else."""

    def __init__(self) -> None:
        client = make_client()
        self.stub = Stubber(client)
        self.slept: list[float] = []
        self.data = RdsData(
            client=client, cluster_arn=CLUSTER, secret_arn=SECRET, database="shop", clock=lambda: sum(self.slept), sleep=self.slept.append
        )

    def began(self) -> None:
        self.stub.add_response("begin_transaction", {"transactionId": "t-1"}, TARGET)

    def ended(self, how: str) -> None:
        self.stub.add_response(f"{how}_transaction", {"transactionStatus": "done"}, {**WHERE, "transactionId": "t-1"})


@pytest.fixture
def fixture() -> Iterator[Fixture]:
    made = Fixture()
    with made.stub:
        yield made
        made.stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("value", "parameter"),
    [
        (None, {"value": {"isNull": True}}),
        (True, {"value": {"booleanValue": True}}),
        (7, {"value": {"longValue": 7}}),
        (-(2**63), {"value": {"longValue": -(2**63)}}),
        (0.5, {"value": {"doubleValue": 0.5}}),
        ("'; DROP TABLE t", {"value": {"stringValue": "'; DROP TABLE t"}}),
        (b"\x00", {"value": {"blobValue": b"\x00"}}),
        (Decimal("1E+3"), {"value": {"stringValue": "1000"}, "typeHint": "DECIMAL"}),
        (date(2026, 11, 1), {"value": {"stringValue": "2026-11-01"}, "typeHint": "DATE"}),
        (time(9, 30), {"value": {"stringValue": "09:30:00"}, "typeHint": "TIME"}),
        (NAIVE, {"value": {"stringValue": "2026-11-01 09:30:00.000005"}, "typeHint": "TIMESTAMP"}),
        (
            datetime(2026, 11, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            {"value": {"stringValue": "2026-10-31 23:00:00"}, "typeHint": "TIMESTAMP"},
        ),
        (ID, {"value": {"stringValue": str(ID)}, "typeHint": "UUID"}),
    ],
)
def test_a_python_value_is_a_parameter_with_its_type(value: Any, parameter: dict[str, Any]) -> None:
    assert parameters_of({"p": value}) == [{"name": "p", **parameter}]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"p": 2**63}, ValueError, "pass a Decimal"),
        ({"p": float("nan")}, ValueError, "pass None"),
        ({"p": Decimal("Infinity")}, ValueError, "pass None"),
        ({"p": time(1, tzinfo=UTC)}, ValueError, "pass a datetime"),
        ({"p": [1]}, TypeError, "no arrays"),
        ({"p": {"a": 1}}, TypeError, "CAST"),
        ({"p-1": 1}, ValueError, "no name of a parameter"),
    ],
)
def test_what_no_parameter_can_carry_is_refused_with_the_way_out(values: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parameters_of(values)


@pytest.mark.parametrize(
    ("field", "type_", "value"),
    [
        ({"isNull": True}, "numeric", None),
        ({"booleanValue": False}, "bool", False),
        ({"longValue": 0}, "int4", 0),
        ({"stringValue": "9007199254740993"}, "int8", 9007199254740993),
        ({"doubleValue": 0.5}, "float8", 0.5),
        ({"stringValue": "1.50"}, "numeric", Decimal("1.50")),
        ({"stringValue": ""}, "text", ""),
        ({"blobValue": b"\x01"}, "bytea", b"\x01"),
        ({"stringValue": "2026-11-01"}, "date", date(2026, 11, 1)),
        ({"stringValue": "09:30:00.5"}, "time", time(9, 30, 0, 500_000)),
        ({"stringValue": "2026-11-01 09:30:00.000005"}, "timestamp", NAIVE),
        ({"stringValue": "2026-11-01 09:30:00"}, "timestamptz", datetime(2026, 11, 1, 9, 30, tzinfo=UTC)),
        ({"stringValue": str(ID)}, "uuid", ID),
        ({"stringValue": '{"a": [1]}'}, "jsonb", {"a": [1]}),
        ({"arrayValue": {"longValues": [1, 2]}}, "_int4", [1, 2]),
        ({"arrayValue": {"stringValues": ["1.5"]}}, "_numeric", [Decimal("1.5")]),
        ({"arrayValue": {}}, "_text", []),
    ],
)
def test_a_field_is_a_python_value_of_its_column_s_type(field: dict[str, Any], type_: str, value: Any) -> None:
    found = value_of(field, type_)
    assert (found, type(found)) == (value, type(value))


def test_rows_are_mappings_by_column_and_values_never_stand_in_the_text(fixture: Fixture) -> None:
    sql = "SELECT id, price FROM items WHERE name = :name"
    parameters = [{"name": "name", "value": {"stringValue": "' OR 1=1"}}]
    fixture.stub.add_response(
        "execute_statement",
        {
            "records": [[{"longValue": 1}, {"stringValue": "2.50"}], [{"longValue": 2}, {"isNull": True}]],
            "columnMetadata": [
                {"name": "id", "label": "id", "typeName": "int4"},
                {"name": "price", "label": "price", "typeName": "numeric"},
            ],
        },
        {**TARGET, "sql": sql, "parameters": parameters, "includeResultMetadata": True},
    )
    assert fixture.data.rows(sql, {"name": "' OR 1=1"}) == [{"id": 1, "price": Decimal("2.50")}, {"id": 2, "price": None}]


def test_two_columns_of_one_name_are_refused(fixture: Fixture) -> None:
    columns = [{"name": "id", "typeName": "int4"}] * 2
    fixture.stub.add_response("execute_statement", {"records": [[{"longValue": 1}] * 2], "columnMetadata": columns})
    with pytest.raises(RdsDataError, match="rename one by AS"):
        fixture.data.rows("SELECT a.id, b.id FROM a, b")


def test_a_transaction_is_committed_at_its_end(fixture: Fixture) -> None:
    fixture.began()
    fixture.stub.add_response(
        "execute_statement", {"numberOfRecordsUpdated": 3}, {**IN_TRANSACTION, "sql": "DELETE FROM t", "parameters": []}
    )
    fixture.ended("commit")
    with fixture.data.transaction() as transaction:
        assert transaction.execute("DELETE FROM t") == 3


def test_an_exception_rolls_back_and_reaches_the_caller(fixture: Fixture) -> None:
    fixture.began()
    fixture.ended("rollback")
    with pytest.raises(KeyError), fixture.data.transaction():
        raise KeyError("x")


def test_a_rollback_that_fails_hides_nothing(fixture: Fixture) -> None:
    fixture.began()
    fixture.stub.add_client_error("execute_statement", "DatabaseErrorException", 'ERROR: duplicate key value "a"; SQLState: 23505')
    fixture.stub.add_client_error("rollback_transaction", "TransactionNotFoundException", "Transaction t-1 is not found")
    with pytest.raises(RdsDataError, match="duplicate key") as error, fixture.data.transaction() as transaction:
        transaction.execute("INSERT INTO t VALUES (1)")
    assert error.value.sqlstate == "23505"
    assert "could not be rolled back" in error.value.__notes__[0]


def test_a_commit_that_fails_is_an_error_and_no_rollback_follows(fixture: Fixture) -> None:
    fixture.began()
    fixture.stub.add_client_error("commit_transaction", "TransactionNotFoundException", "Transaction t-1 is not found")
    with pytest.raises(RdsDataError, match="three minutes"), fixture.data.transaction():
        pass


def test_a_batch_is_one_transaction_in_calls_that_the_service_takes(fixture: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rds_data, "MAX_BATCH_SETS", 2)
    fixture.began()
    for ids in ((1, 2), (3,)):
        sets = [[{"name": "id", "value": {"longValue": each}}] for each in ids]
        fixture.stub.add_response(
            "batch_execute_statement", {}, {**IN_TRANSACTION, "sql": "INSERT INTO t VALUES (:id)", "parameterSets": sets}
        )
    fixture.ended("commit")
    assert fixture.data.batch("INSERT INTO t VALUES (:id)", ({"id": each} for each in (1, 2, 3))) == 3


def test_a_batch_of_large_values_is_divided_by_their_size() -> None:
    large = b"x" * (rds_data.MAX_BATCH_BYTES // 3)
    sets = [parameters_of({"value": large}) for _ in range(5)]
    assert [len(chunk) for chunk in rds_data._chunks(sets)] == [2, 2, 1]


def test_a_batch_that_fails_half_way_is_rolled_back(fixture: Fixture) -> None:
    fixture.began()
    fixture.stub.add_client_error("batch_execute_statement", "DatabaseErrorException", "ERROR: value too long; SQLState: 22001")
    fixture.ended("rollback")
    with pytest.raises(RdsDataError, match="value too long"):
        fixture.data.batch("INSERT INTO t VALUES (:id)", [{"id": 1}])


def test_a_cluster_that_resumes_is_waited_for(fixture: Fixture) -> None:
    for _ in range(2):
        fixture.stub.add_client_error("execute_statement", "DatabaseResumingException", "is resuming after being auto-paused")
    fixture.stub.add_response("execute_statement", {"numberOfRecordsUpdated": 1})
    assert fixture.data.execute("DELETE FROM t") == 1
    assert len(fixture.slept) == 2


def test_a_cluster_that_does_not_resume_is_given_up(fixture: Fixture) -> None:
    for _ in range(40):
        fixture.stub.add_client_error("execute_statement", "DatabaseResumingException", "is resuming after being auto-paused")
    with pytest.raises(RdsDataUnavailable, match="resuming"):
        fixture.data.execute("DELETE FROM t")
    assert 59 <= sum(fixture.slept) <= 61
    fixture.stub._queue.clear()


def test_what_may_have_run_is_never_sent_again(fixture: Fixture) -> None:
    fixture.stub.add_client_error("execute_statement", "DatabaseUnavailableException", "the writer is away", http_status_code=504)
    with pytest.raises(RdsDataUnavailable):
        fixture.data.execute("DELETE FROM t")
    assert not fixture.slept


def test_a_client_that_repeats_by_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="statement_client"):
        RdsData(client=make_client(attempts=3), cluster_arn=CLUSTER, secret_arn=SECRET, database="shop")


def test_the_client_waits_longer_than_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    config = statement_client().meta.config
    assert config.retries["total_max_attempts"] == 1
    assert config.read_timeout > rds_data.STATEMENT_SECONDS


@pytest.mark.parametrize(("goes_on", "message"), [(False, "was stopped"), (True, "goes on in the database")])
def test_a_statement_that_takes_too_long_says_what_became_of_it(fixture: Fixture, goes_on: bool, message: str) -> None:
    fixture.stub.add_client_error("execute_statement", "StatementTimeoutException", "Request timed out")
    with pytest.raises(RdsDataTimeout, match=message):
        fixture.data.execute("CREATE INDEX i ON t (id)", goes_on_after_timeout=goes_on)


def test_a_refusal_says_the_fix(fixture: Fixture) -> None:
    fixture.stub.add_client_error("execute_statement", "HttpEndpointNotEnabledException", "HttpEndpoint is not enabled")
    with pytest.raises(RdsDataError, match="data_api: true"):
        fixture.data.execute("DELETE FROM t")


def test_the_example_of_the_page_is_one_transaction(fixture: Fixture) -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shown: dict[str, Any] = {}
    exec(compile(example, "docs/sources.md", "exec"), shown)  # noqa: S102 - our own page
    fixture.began()
    fixture.stub.add_response("execute_statement", {"numberOfRecordsUpdated": 1})
    turnover = {"records": [[{"stringValue": "12.50"}]], "columnMetadata": [{"name": "turnover", "typeName": "numeric"}]}
    fixture.stub.add_response("execute_statement", turnover)
    fixture.ended("commit")
    assert shown["close_day"](fixture.data, date(2026, 11, 1)) == Decimal("12.50")
