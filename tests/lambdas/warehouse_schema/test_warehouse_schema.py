"""The custom resource of the warehouse's schema: what each request says to Redshift."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import boto3
import pytest
from botocore.stub import Stubber

from lakehouse.errors import TerminalError
from lakehouse.warehouse.data_api import Answer, DataApi, ResultColumn, StatementError
from lakehouse.warehouse.tables import WarehouseColumn, WarehouseTable
from lakehouse.warehouse.text import SqlRefused
from lambdas.warehouse_schema.handler import handler
from lambdas.warehouse_schema.limits import UsageLimits
from lambdas.warehouse_schema.requests import LimitRequest, id_after_failure, request_of
from lambdas.warehouse_schema.schema import WarehouseSchema

TABLE = WarehouseTable(
    schema="gold_sales",
    name="daily",
    columns=(
        WarehouseColumn(name="day", type="DATE", source_type="date"),
        WarehouseColumn(name="note", type="VARCHAR(80)", source_type="string"),
    ),
    keys=("day",),
)
COLUMNS = ("column_name", "data_type", "character_maximum_length", "numeric_precision", "numeric_scale")


class Warehouse:
    """Answers the few questions that are asked, and remembers what was run."""

    def __init__(self, *, columns: Sequence[tuple[Any, ...]] = (), users: Sequence[str] = ()) -> None:
        self.columns, self.users = columns, list(users)
        self.ran: list[tuple[str, ...]] = []

    def execute(self, sql: str, **_: object) -> Answer:
        if "svv_columns" in sql:
            return self._rows(COLUMNS, self.columns)
        if "FROM lakehouse.migrations" in sql:
            return self._rows(("name", "checksum"), ())
        user = sql.split('"')[1 if sql.startswith("CREATE USER") else -2] if "IAMR:" in sql else ""
        if sql.startswith("CREATE USER") and user in self.users:
            raise StatementError(statement_id="x", status="FAILED", error=f'ERROR: user "{user}" already exists')
        if sql.startswith("REVOKE") and user not in self.users:
            raise StatementError(statement_id="x", status="FAILED", error=f'ERROR: user "{user}" does not exist')
        self.ran.append((sql,))
        return Answer(statement_id="x")

    def batch(self, statements: Sequence[str], **_: object) -> tuple[Answer, ...]:
        self.ran.append(tuple(statements))
        return tuple(Answer(statement_id="x") for _ in statements)

    @staticmethod
    def _rows(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Answer:
        return Answer(statement_id="x", columns=tuple(ResultColumn(name=name, type="varchar") for name in names), rows=tuple(rows))

    def ask(self, event: Mapping[str, Any]) -> Any:
        request = request_of(event)
        assert not isinstance(request, LimitRequest)
        return WarehouseSchema(cast(DataApi, self)).answer(request)

    @property
    def statements(self) -> list[str]:
        return [statement for batch in self.ran for statement in batch]


def table_event(action: str = "Create", *, old: WarehouseTable | None = None, **changes: Any) -> dict[str, Any]:
    properties = {
        "Definition": json.dumps(TABLE.to_dict()),
        "Writers": json.dumps(["loader"]),
        "Readers": json.dumps(["analyst"]),
        "OnDelete": "keep",
        **changes,
    }
    event: dict[str, Any] = {"RequestType": action, "ResourceType": "Custom::WarehouseTable", "ResourceProperties": properties}
    if action != "Create":
        event["PhysicalResourceId"] = "gold_sales.daily"
        event["OldResourceProperties"] = {
            **properties,
            "Definition": json.dumps((old or TABLE).to_dict()),
            "Writers": json.dumps(["former"]),
        }
    return event


def test_a_table_is_made_with_its_users_and_their_rights() -> None:
    warehouse = Warehouse(users=["IAMR:analyst"])
    answer = warehouse.ask(table_event())
    assert (answer.physical_id, answer.data) == ("gold_sales.daily", {"Outcome": "created"})
    made, *_ = warehouse.ran
    assert made[1].startswith('CREATE TABLE IF NOT EXISTS "gold_sales"."daily"')
    assert 'CREATE USER "IAMR:loader" PASSWORD DISABLE' in warehouse.statements
    assert not any('CREATE USER "IAMR:analyst"' in statement for statement in warehouse.statements)
    assert warehouse.ran[-1] == (
        'GRANT USAGE ON SCHEMA "gold_sales" TO "IAMR:loader"',
        'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE "gold_sales"."daily" TO "IAMR:loader"',
        'GRANT USAGE ON SCHEMA "gold_sales" TO "IAMR:analyst"',
        'GRANT SELECT ON TABLE "gold_sales"."daily" TO "IAMR:analyst"',
    )


def test_a_table_that_is_there_is_evolved_and_former_writers_lose_their_rights() -> None:
    warehouse = Warehouse(columns=[("day", "date", None, None, None)], users=["IAMR:former"])
    assert warehouse.ask(table_event("Update")).data == {"Outcome": "changed"}
    assert 'ALTER TABLE "gold_sales"."daily" ADD COLUMN "note" VARCHAR(80)' in warehouse.statements
    assert 'REVOKE ALL ON TABLE "gold_sales"."daily" FROM "IAMR:former"' in warehouse.statements


def test_a_former_writer_that_never_came_is_no_trouble_and_other_errors_are() -> None:
    warehouse = Warehouse(columns=[("day", "date", None, None, None)])
    warehouse.ask(table_event("Update"))
    assert not any(statement.startswith("REVOKE") for statement in warehouse.statements)

    class Refusing(Warehouse):
        def execute(self, sql: str, **more: object) -> Answer:
            if sql.startswith("CREATE USER"):
                raise StatementError(statement_id="x", status="FAILED", error="ERROR: permission denied")
            return super().execute(sql, **more)

    with pytest.raises(StatementError, match="permission denied"):
        Refusing().ask(table_event())


def test_what_redshift_runs_alone_runs_alone() -> None:
    warehouse = Warehouse(columns=[("day", "date", None, None, None), ("note", "character varying", 40, None, None)])
    warehouse.ask(table_event("Update"))
    assert ('ALTER TABLE "gold_sales"."daily" ALTER COLUMN "note" TYPE VARCHAR(80)',) in warehouse.ran


def test_a_change_that_redshift_cannot_make_fails_the_deployment() -> None:
    warehouse = Warehouse(columns=[("day", "timestamp without time zone", None, None, None)])
    with pytest.raises(SqlRefused, match=r"gold_sales\.daily\.day is TIMESTAMP and has to be DATE"):
        warehouse.ask(table_event("Update"))
    assert warehouse.ran == []
    with pytest.raises(SqlRefused, match="primary key"):
        Warehouse(columns=[("day", "date", None, None, None), ("note", "character varying", 80, None, None)]).ask(
            table_event("Update", old=replace(TABLE, keys=("note",)))
        )


def test_a_table_stays_unless_it_shall_go() -> None:
    kept, dropped, foreign = Warehouse(), Warehouse(), Warehouse()
    kept.ask(table_event("Delete"))
    dropped.ask(table_event("Delete", OnDelete="drop"))
    foreign.ask({**table_event("Delete", OnDelete="drop"), "PhysicalResourceId": "Table#not-created"})
    assert (kept.statements, dropped.statements, foreign.statements) == ([], ['DROP TABLE IF EXISTS "gold_sales"."daily"'], [])


def test_migrations_run_and_the_lake_is_shown_to_readers() -> None:
    warehouse = Warehouse()
    properties = {
        "Migrations": json.dumps([{"name": "0001_a", "sql": "CREATE SCHEMA a"}]),
        "ExternalSchemas": json.dumps([{"schema": "lake_gold_sales", "database": "gold_sales"}]),
        "SpectrumRole": "arn:aws:iam::123456789012:role/spectrum",
        "Readers": json.dumps(["analyst"]),
    }
    event = {"RequestType": "Create", "ResourceType": "Custom::WarehouseSchema", "ResourceProperties": properties}
    assert warehouse.ask(event).data == {"Ran": "0001_a"}
    source = "DATABASE 'gold_sales' IAM_ROLE 'arn:aws:iam::123456789012:role/spectrum'"
    assert warehouse.ran[-1] == (
        f'CREATE EXTERNAL SCHEMA IF NOT EXISTS "lake_gold_sales" FROM DATA CATALOG {source}',
        'GRANT USAGE ON SCHEMA "lake_gold_sales" TO "IAMR:analyst"',
    )
    assert Warehouse().ask({**event, "RequestType": "Delete", "PhysicalResourceId": "warehouse-schema"}).data == {}


WORKGROUP = "arn:aws:redshift-serverless:eu-west-1:123456789012:workgroup/w"


def limit(amount: int = 500, *, breach: str = "deactivate", period: str = "monthly") -> dict[str, Any]:
    return {"usageLimitId": f"limit-{period}", "resourceArn": WORKGROUP, "usageType": "serverless-compute", "amount": amount, "period": period, "breachAction": breach}  # fmt: skip


def limit_event(action: str, physical_id: str | None = None) -> LimitRequest:
    properties = {"Workgroup": WORKGROUP, "RpuHours": "500"}
    event: dict[str, Any] = {"RequestType": action, "ResourceType": "Custom::WarehouseUsageLimit", "ResourceProperties": properties}
    request = request_of({**event, "PhysicalResourceId": physical_id} if physical_id else event)
    assert isinstance(request, LimitRequest)
    return request


@pytest.mark.parametrize(
    ("found", "request_", "call"),
    [
        (
            [limit(period="daily")],
            limit_event("Create"),
            (
                "create_usage_limit",
                {"usageLimit": limit()},
                {
                    "resourceArn": WORKGROUP,
                    "usageType": "serverless-compute",
                    "period": "monthly",
                    "amount": 500,
                    "breachAction": "deactivate",
                },
            ),
        ),
        ([limit()], limit_event("Create"), None),
        ([limit()], limit_event("Update", "limit-monthly"), None),
        (
            [limit(100)],
            limit_event("Update", "limit-monthly"),
            ("update_usage_limit", {"usageLimit": limit()}, {"usageLimitId": "limit-monthly", "amount": 500, "breachAction": "deactivate"}),
        ),
        (
            [limit(breach="log")],
            limit_event("Create"),
            ("update_usage_limit", {"usageLimit": limit()}, {"usageLimitId": "limit-monthly", "amount": 500, "breachAction": "deactivate"}),
        ),
        (
            [limit()],
            limit_event("Delete", "limit-monthly"),
            ("delete_usage_limit", {"usageLimit": limit()}, {"usageLimitId": "limit-monthly"}),
        ),
        ([], limit_event("Delete", "limit-monthly"), None),
    ],
    ids=["made", "taken over", "as it is", "raised", "taken over and changed", "removed", "gone before"],
)
def test_a_workgroup_has_the_limit_that_is_asked_for(
    found: list[dict[str, Any]], request_: LimitRequest, call: tuple[str, dict[str, Any], dict[str, Any]] | None
) -> None:
    client = boto3.client("redshift-serverless", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_response(
            "list_usage_limits", {"usageLimits": found} if found else {}, {"resourceArn": WORKGROUP, "usageType": "serverless-compute"}
        )
        if call is not None:
            stub.add_response(*call)
        assert UsageLimits(client).answer(request_).physical_id == "limit-monthly"
        stub.assert_no_pending_responses()


def test_rolling_back_a_limit_that_was_not_made_touches_that_of_nobody() -> None:
    client = boto3.client("redshift-serverless", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_response("list_usage_limits", {"usageLimits": [limit()]}, {"resourceArn": WORKGROUP, "usageType": "serverless-compute"})
        UsageLimits(client).answer(limit_event("Delete", "UsageLimit#not-created"))


@pytest.mark.parametrize(
    "event",
    [
        {
            "RequestType": "Create",
            "ResourceType": "Custom::WarehouseUsageLimit",
            "ResourceProperties": {"Workgroup": "w", "RpuHours": "many"},
        },
        {"RequestType": "Create", "ResourceType": "Custom::Other", "ResourceProperties": {}},
        {"RequestType": "Create", "ResourceType": "Custom::WarehouseTable", "ResourceProperties": {"Definition": "{"}},
    ],
)
def test_a_request_that_cannot_be_read_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(TerminalError):
        request_of(event)


def test_rolling_back_a_failed_creation_touches_nothing() -> None:
    assert id_after_failure({"LogicalResourceId": "Table"}) == "Table#not-created"
    assert id_after_failure({"PhysicalResourceId": "gold_sales.daily"}) == "gold_sales.daily"


def test_the_entry_point_can_be_imported() -> None:
    assert callable(handler)
