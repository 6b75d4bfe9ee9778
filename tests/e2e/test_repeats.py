"""At-least-once in, exactly-once effect out: repeats change nothing, and many files become few runs."""

from __future__ import annotations

from typing import Any

import pytest

from cli.results import Run
from local.tpch.drops import Drops
from tests.e2e.conftest import Checkout
from tests.e2e.rows import csv

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

Runs = list[Run]
TABLES = ("bronze_tpch.orders", "silver_tpch.orders", "quarantine_tpch.orders", "gold_tpch.daily_revenue")


def _state(checkout: Checkout) -> dict[str, Any]:
    """Rows and commits of every table that orders reach, and the content of silver."""
    content = checkout.sql("SELECT * FROM silver_tpch.orders ORDER BY o_orderkey")
    return {**{table: checkout.snapshots(table) for table in TABLES}, "content": content}


def test_the_same_bytes_three_times_leave_the_tables_identical(checkout: Checkout, dirty: Runs, drops: Drops) -> None:
    before, known = _state(checkout), checkout.runs()
    file = drops.of("tpch.orders")[0]
    twin = checkout.write("another-name.csv", file.path.read_bytes())
    for path in (file.path, file.path, twin):
        checkout.drop("tpch.orders", [path], day=drops.days[-1].isoformat())
    checkout.wait()
    assert [(run.status, run.reason) for run in checkout.new_runs(known)] == [("SKIPPED", "same_content")] * 3
    assert _state(checkout) == before


def test_an_event_that_is_delivered_again_starts_nothing(checkout: Checkout, dirty: Runs) -> None:
    known = checkout.runs()
    first = next(drop for drop in checkout.dropped if drop.dataset == "tpch.orders")
    for _ in range(3):
        checkout.deliver_again(first, "orders")
    checkout.wait()
    assert checkout.new_runs(known) == []


@pytest.fixture(scope="module")
def customers(checkout: Checkout, clean: Runs) -> Runs:
    """Runs of thirty files at once, and of two that say something else of one customer."""
    known = checkout.runs()
    keys = [range(3_000_000 + number * 10, 3_000_003 + number * 10) for number in range(30)]
    files = [checkout.write(f"thirty/customer-{number:02d}.csv", csv("customer", some)) for number, some in enumerate(keys)]
    checkout.drop("tpch.customer", files, day="1998-08-03")
    for name, address in (("newer-1.csv", "old street"), ("newer-2.csv", "new street")):
        checkout.drop("tpch.customer", [checkout.write(name, csv("customer", [4_000_000], text=address))], day="1998-08-03")
    checkout.wait()
    return checkout.new_runs(known, "customer")


def test_thirty_files_at_once_become_a_few_runs_and_all_arrive(checkout: Checkout, customers: Runs) -> None:
    assert len(customers) <= 4
    assert {run.status for run in customers} == {"SUCCEEDED"}
    assert sum(run.files.loaded for run in customers if run.files) == 32
    found = checkout.sql(
        "SELECT count(*), count(DISTINCT _source_file) FROM silver_tpch.customer WHERE c_custkey BETWEEN 3000000 AND 3999999"
    )
    assert found == [[90, 30]]


def test_a_newer_file_wins_by_key_and_the_older_row_is_superseded(checkout: Checkout, customers: Runs) -> None:
    assert checkout.sql("SELECT c_address FROM silver_tpch.customer WHERE c_custkey = 4000000") == [["new street"]]
    assert sum(run.counts.rows_in or 0 for run in customers if run.counts) == 92
