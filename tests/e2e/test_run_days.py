"""Days are run again: in order, on after an interruption, with the same tables in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from cli.results import Run
from tests.e2e.conftest import Checkout
from tests.e2e.rows import csv

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

DAYS = ("1998-09-01", "1998-09-02", "1998-09-03")
RANGE = ("run", "customer", "--from", DAYS[0], "--to", DAYS[-1])
TABLES = ("bronze_tpch.customer", "silver_tpch.customer", "quarantine_tpch.customer", "gold_tpch.daily_revenue")


def test_three_days_are_run_again_through_an_interruption_and_change_nothing(checkout: Checkout, clean: list[Run]) -> None:
    for number, day in enumerate(DAYS):
        keys = range(6_000_000 + number * 10, 6_000_005 + number * 10)
        checkout.drop("tpch.customer", [checkout.write(f"backfill/{day}.csv", csv("customer", keys))], day=day)
    checkout.wait()
    known, before = checkout.runs(), _state(checkout)

    # A test run in the background of a shell ignores Ctrl-C, and so would its children.
    lake = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from cli.main import main; main()"
    with subprocess.Popen([sys.executable, "-c", lake, *RANGE], cwd=checkout.root, stderr=subprocess.PIPE, env=_environment()) as command:
        _eventually(lambda: bool(checkout.new_runs(known, "customer")))
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=60)
    assert command.returncode == 1
    assert b"interrupted; what runs in the environment goes on" in said

    resumed = checkout.lake(*RANGE, "--json").json
    assert [(day["date"], day["pipeline"], day["files"]) for day in resumed["days"]] == [(day, "customer", 1) for day in DAYS]
    assert {day["outcome"] for day in resumed["days"]} <= {"SUCCEEDED", "DONE_BEFORE"}
    runs = checkout.new_runs(known, "customer")
    assert [(run.trigger, run.status, run.attempt) for run in runs] == [("backfill", "SUCCEEDED", 1)] * 3
    assert [run.run_id for run in runs] == [day["run"]["run_id"] for day in resumed["days"]]
    assert all(first.ended_at and first.ended_at <= second.started_at for first, second in pairwise(runs))
    assert {(run.counts.rows_in, run.counts.silver) for run in runs if run.counts} == {(5, 5)}

    once_more = checkout.lake(*RANGE, "--json").json
    assert {day["outcome"] for day in once_more["days"]} == {"DONE_BEFORE"}
    assert "no file of 1998-09-04 has arrived" in checkout.lake("run", "customer", "--date", "1998-09-04").out
    assert "lies after" in checkout.lake("run", "customer", "--from", DAYS[1], "--to", DAYS[0], code=2).err

    checkout.wait()
    assert len(checkout.new_runs(known, "customer")) == 3
    assert len(checkout.new_runs(known, "daily_revenue")) <= 2
    assert _state(checkout) == before


def _state(checkout: Checkout) -> dict[str, Any]:
    """Rows and commits of every table that customers reach."""
    return {table: checkout.snapshots(table) for table in TABLES}


def _eventually(holds: Callable[[], bool], *, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.5)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
