"""The command line on a real platform: every `--json` has the described shape, every text form works, mistakes end in a sentence."""

from __future__ import annotations

import pytest

from cli.reference import SHAPES
from cli.results import Run
from tests.e2e.conftest import Checkout
from tests.e2e.shapes import assert_described

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

Runs = list[Run]

ARGUMENTS = {
    "run": ["daily_revenue"],
    "runs": [],
    "show": ["latest"],
    "sql": ["SELECT 1 AS n, CAST(NULL AS varchar) AS t"],
    "quarantine": ["tpch.orders"],
    "status": [],
    "check": ["tpch.customer"],
    "costs": [],
    "tables": [],
    "rows list": [],
    "statements list": [],
    "statements show": ["latest"],
}


@pytest.fixture(scope="module", autouse=True)
def _asked(checkout: Checkout) -> None:
    """A statement of the warehouse, for the verbs that tell of those."""
    checkout.lake("sql", "--engine", "redshift", "SELECT 1 AS n")


VERBS = sorted(set(SHAPES) - {"erase", "stop"})
"""Verbs that can be asked at any time; test_erasure.py and test_usage_of_permissions.py ask the others."""


@pytest.mark.parametrize("verb", VERBS)
def test_json_has_the_shape_that_the_page_describes(checkout: Checkout, dirty: Runs, verb: str) -> None:
    assert_described(verb, checkout.lake(*verb.split(), *ARGUMENTS[verb], "--json").out)


@pytest.mark.parametrize("verb", VERBS)
def test_text_is_not_json_and_says_something(checkout: Checkout, dirty: Runs, verb: str) -> None:
    assert checkout.lake(*verb.split(), *ARGUMENTS[verb]).out.strip()


def test_null_is_told_from_the_empty_text(checkout: Checkout, clean: Runs) -> None:
    rows = checkout.sql("SELECT CAST(NULL AS varchar), '', CAST(NULL AS bigint), DATE '1998-08-01', CAST(1.50 AS decimal(5,2)), true")
    assert rows == [[None, "", None, "1998-08-01", "1.50", True]]


def test_a_prepared_query_is_run_by_its_name(checkout: Checkout, clean: Runs) -> None:
    rows = checkout.sql("EXECUTE tpch_revenue_of_a_segment USING 'BUILDING', DATE '1990-01-01', DATE '2000-01-01'")
    columns = "o_orderdate, revenue, orders"
    assert rows == checkout.sql(f"SELECT {columns} FROM gold_tpch.daily_revenue WHERE c_mktsegment = 'BUILDING' ORDER BY o_orderdate")
    assert rows


def test_logs_hold_what_the_driver_printed(checkout: Checkout, dirty: Runs) -> None:
    run = next(run for run in dirty if run.counts)
    text = checkout.lake("logs", run.run_id).out
    assert "ingest, attempt 1: SUCCEEDED" in text
    assert "refine, attempt 1: SUCCEEDED" in text
    assert len(text.splitlines()) > 10


def test_an_empty_quarantine_is_shown(checkout: Checkout, clean: Runs) -> None:
    assert "nothing of tpch.lineitem is in quarantine" in checkout.lake("quarantine", "tpch.lineitem").out


def test_a_query_that_fails_says_why_in_a_line(checkout: Checkout, clean: Runs) -> None:
    call = checkout.lake("sql", "SELECT * FROM silver_tpch.nothing", code=1)
    assert "nothing" in call.err
    assert "Traceback" not in call.err


def test_a_statement_that_failed_is_found_and_what_is_over_is_not_cancelled(checkout: Checkout) -> None:
    checkout.lake("sql", "--engine", "redshift", "SELECT no_such_column FROM gold_shop.daily_sales", code=1)
    failed = checkout.lake("statements", "--status", "failed", "--json").json["statements"][0]
    assert (failed["status"], failed["label"]) == ("FAILED", "lake-sql")
    assert "no_such_column" in checkout.lake("statements", "show", failed["statement_id"], "--json").json["error"]
    assert "the statement is FAILED" in checkout.lake("statements", "cancel", failed["statement_id"], code=1).err
    assert "there is no statement 'x'" in checkout.lake("statements", "cancel", "x", code=2).err


def test_status_shows_a_deployed_platform(checkout: Checkout, clean: Runs) -> None:
    status = checkout.lake("status", "--json").json
    assert (status["platform"], status["deployed"]) == ("running", True)
    assert {stack["status"] for stack in status["stacks"]} <= {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    assert {f"{table['database']}.{table['name']}" for table in status["tables"]} >= {"silver_tpch.orders", "gold_tpch.daily_revenue"}
    assert status["alarms"]


def test_tables_tells_what_each_table_holds(checkout: Checkout, clean: Runs) -> None:
    tables = {f"{table['database']}.{table['name']}": table for table in checkout.lake("tables", "--json").json["tables"]}
    orders, counted = tables["silver_tpch.orders"], checkout.snapshots("silver_tpch.orders")
    assert (orders["rows"], orders["snapshots"]) == (counted["rows"], counted["commits"])
    assert orders["files"] > 0
    assert orders["bytes"] > 0


def test_tables_are_checked_against_what_bronze_holds_and_contracts_promise(checkout: Checkout, dirty: Runs) -> None:
    call = checkout.lake("check", "tpch.customer", "tpch.orders", "tpch.lineitem", "tpch.daily_revenue", "--json", code=1)
    found = {(check["table"].partition(".")[2], check["check"]): check for check in call.json["checks"]}
    failed = [place for place, check in found.items() if check["outcome"] == "FAILED"]
    # Orders of 1998 are not from yesterday; all else is in order, also after a delivery full of faults.
    assert failed == [("tpch.orders", "freshness")]
    assert "freshness of silver.tpch.orders" in call.err
    for dataset in ("tpch.customer", "tpch.orders", "tpch.lineitem"):
        rows = checkout.snapshots(f"silver_{dataset}")["rows"]
        assert [found[dataset, name]["value"] for name in ("rows", "null_keys", "reconcile")] == [rows, 0, rows]
    assert found["tpch.daily_revenue", "reconcile"]["outcome"] == "NOT_CHECKED"


def test_a_run_by_hand_recomputes_the_same_table(checkout: Checkout, clean: Runs) -> None:
    before = checkout.snapshots("gold_tpch.daily_revenue")
    (run,) = checkout.lake("run", "daily_revenue", "--json").json["runs"]
    assert (run["pipeline"], run["status"], run["trigger"]) == ("daily_revenue", "SUCCEEDED", "manual")
    assert checkout.snapshots("gold_tpch.daily_revenue") == before
    call = checkout.lake("run", "orders", code=2)
    assert "files start orders" in call.err


def test_deploying_again_changes_nothing(checkout: Checkout, clean: Runs) -> None:
    before = checkout.snapshots("silver_tpch.orders")
    checkout.lake("deploy")
    assert checkout.snapshots("silver_tpch.orders") == before
