"""What happens to the shop in the scenarios: two extractions with a day between them, a load that Redshift refuses, the run that repairs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cli.results import Run, RunDetail
from cli.warehouse_sql import query_warehouse
from lakehouse.clock import utc_now
from local.demo.shop import PIPELINES, QUERY
from local.platform import Platform
from local.shop.database import change, sales, seed
from local.shop.source import connected
from tests.e2e.conftest import SILENT, Checkout

SALES = "shop_sales"
GOLD = "gold_shop.daily_sales"

SOON = timedelta(seconds=3)

_OF_A_SCHEDULE = (
    "Description", "FlexibleTimeWindow", "GroupName", "KmsKeyArn", "Name", "ScheduleExpression", "ScheduleExpressionTimezone", "State", "Target",
)  # fmt: skip
_MOMENT = "YYYY-MM-DD HH24:MI:SS.US"
_IN_SOURCE = {
    "customers": "customer_id, name, segment, since::text",
    "products": "product_id, name, price::text, revision",
    "orders": f"order_id, customer_id, product_id, quantity, amount::text, status, ordered_on::text, to_char(updated_at AT TIME ZONE 'UTC', '{_MOMENT}')",
}
_IN_SILVER = {
    "customers": "customer_id, name, segment, CAST(since AS varchar)",
    "products": "product_id, name, CAST(price AS varchar), revision",
    "orders": "order_id, customer_id, product_id, quantity, CAST(amount AS varchar), status, CAST(ordered_on AS varchar), "
    "CAST(CAST(updated_at AT TIME ZONE 'UTC' AS timestamp(6)) AS varchar)",
}

Rows = list[list[Any]]
Tables = dict[str, Rows]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """How things stand after something happened.

    Attributes:
        runs: Runs that it brought.
        source: Rows of the source's tables.
        silver: Rows of silver.
        wanted: Rows that gold has to hold, by the source's own SQL.
        athena: Rows of gold, as Athena answers.
        redshift: Rows of the warehouse, as Redshift answers.
        commits: Commits of gold.
    """

    runs: list[RunDetail]
    source: Tables
    silver: Tables
    wanted: Rows
    athena: Rows
    redshift: Rows
    commits: int

    def of(self, pipeline: str) -> list[RunDetail]:
        """Runs of a pipeline."""
        return [run for run in self.runs if run.run.pipeline == pipeline]


@dataclass(frozen=True, kw_only=True)
class Story:
    """The scenes, in the order in which they happened.

    Attributes:
        first: The first extraction, which the clock starts.
        refused: A day of changes, extracted by hand while Redshift refuses the load.
        repaired: The next run of the sales, after Redshift was told to let it.
        again: One more run of the sales.
    """

    first: Scene
    refused: Scene
    repaired: Scene
    again: Scene


def tell(checkout: Checkout) -> Story:
    """Let it happen."""
    with connected(Platform(checkout.root)) as database:
        database.autocommit = True

        def scene(happens: Callable[[], object]) -> Scene:
            known = checkout.runs()
            happens()
            return _scene(checkout, database, checkout.new_runs(known))

        def nightly() -> None:
            strike(checkout)
            checkout.wait()

        def by_hand() -> None:
            checkout.lake("run", *PIPELINES)
            checkout.wait(code=1)

        seed(database)
        first = scene(nightly)
        change(database, day=1)
        with _refusing(checkout):
            refused = scene(by_hand)
        repaired = scene(lambda: checkout.lake("run", SALES))
        again = scene(lambda: checkout.lake("run", SALES))
        return Story(first=first, refused=refused, repaired=repaired, again=again)


def _scene(checkout: Checkout, database: Any, runs: list[Run]) -> Scene:
    return Scene(
        runs=[checkout.show(run) for run in runs],
        source={table: _as_lists(database.execute(f"SELECT {columns} FROM {table} ORDER BY 1")) for table, columns in _IN_SOURCE.items()},
        silver={table: checkout.sql(f"SELECT {columns} FROM silver_shop.{table} ORDER BY 1") for table, columns in _IN_SILVER.items()},
        wanted=_as_text(sales(database)),
        athena=_as_text(checkout.sql(QUERY.format(table=GOLD))),
        redshift=redshift(checkout, GOLD),
        commits=checkout.snapshots(GOLD)["commits"],
    )


def redshift(checkout: Checkout, table: str) -> Rows:
    """The sales, as Redshift answers from one of its tables."""
    return _as_text(query_warehouse(checkout.session, statement=QUERY.format(table=table), progress=SILENT).rows)


def strike(checkout: Checkout, pipelines: Sequence[str] = PIPELINES) -> None:
    """Let the clock of some schedules, which the laptop keeps switched off, strike once."""
    scheduler, known = checkout.client("scheduler"), checkout.runs()
    names = [f"{checkout.names.prefix}-schedule-{pipeline}" for pipeline in pipelines]
    before = [{key: value for key, value in scheduler.get_schedule(Name=name).items() if key in _OF_A_SCHEDULE} for name in names]
    moment = {"ScheduleExpression": f"at({utc_now() + SOON:%Y-%m-%dT%H:%M:%S})", "ScheduleExpressionTimezone": "UTC", "State": "ENABLED"}
    for schedule in before:
        scheduler.update_schedule(**{**schedule, **moment})
    deadline = time.monotonic() + 60
    while {run.pipeline for run in checkout.new_runs(known)} < set(pipelines):
        assert time.monotonic() < deadline, "the clock started nothing"
        time.sleep(0.5)
    for schedule in before:
        scheduler.update_schedule(**schedule)


@contextmanager
def _refusing(checkout: Checkout) -> Iterator[None]:
    """Take from the load's user the right to add rows, as an administrator might."""
    user = f'"IAMR:{checkout.names.machine_role(SALES)}"'
    _as_administrator(checkout, f"REVOKE INSERT ON TABLE {GOLD} FROM {user}")
    try:
        yield
    finally:
        _as_administrator(checkout, f"GRANT INSERT ON TABLE {GOLD} TO {user}")


def _as_administrator(checkout: Checkout, statement: str) -> None:
    namespace = checkout.client("redshift-serverless").get_namespace(namespaceName=checkout.names.warehouse)["namespace"]
    data = checkout.client("redshift-data")
    given = data.execute_statement(
        WorkgroupName=checkout.names.warehouse, Database=namespace["dbName"], SecretArn=namespace["adminPasswordSecretArn"], Sql=statement
    )
    described = data.describe_statement(Id=given["Id"], WaitTimeSeconds=20)
    assert described["Status"] == "FINISHED", described


def _as_lists(rows: Any) -> Rows:
    return [list(row) for row in rows]


def _as_text(rows: Any) -> Rows:
    return [[str(value) for value in row] for row in rows]
