"""The driver dies at the worst moments; the arrival is told again; the tables end as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from cli.results import Run
from tests.e2e.conftest import Checkout
from tests.e2e.rows import KEYS, csv

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A moment at which the driver of a step is killed: at a call of its role, before or after the call takes effect."""

    name: str
    step: str
    action: str
    text: str = ""
    when: str = "before"
    skip: int = 0


POINTS = (
    Point(name="first data PUT", step="ingest", action="s3:PutObject", text="/data/"),
    Point(name="metadata PUT", step="ingest", action="s3:PutObject", text=".metadata.json"),
    Point(name="before UpdateTable", step="ingest", action="glue:UpdateTable"),
    Point(name="after UpdateTable, the reply lost", step="ingest", action="glue:UpdateTable", when="after"),
    # A clean batch updates silver's table three times: branch, rows on the branch, fast-forward.
    Point(name="before the fast-forward", step="refine", action="glue:UpdateTable", skip=2),
    Point(name="after the fast-forward, the reply lost", step="refine", action="glue:UpdateTable", skip=2, when="after"),
    Point(name="before the audit's last write", step="refine", action="dynamodb:UpdateItem", text="SUCCEEDED"),
)


ROUNDS = (
    {"customer": (POINTS[0], POINTS[4]), "orders": (POINTS[1], POINTS[5])},
    {"customer": (POINTS[2], POINTS[6]), "orders": (POINTS[3],)},
)
"""Two pipelines at once, each killed in ingest and in refine: every step has a second try of its own."""


@pytest.mark.parametrize("number", range(len(ROUNDS)))
def test_killed_drivers_and_a_redelivery_end_as_one_undisturbed_run(checkout: Checkout, clean: list[Run], number: int) -> None:
    kills, known = ROUNDS[number], checkout.runs()
    first = 5_000_000 + number * 100
    keys = range(first, first + 20)
    _arm(checkout, kills)
    for pipeline in kills:
        checkout.drop(f"tpch.{pipeline}", [checkout.write(f"killed-{number}/{pipeline}.csv", csv(pipeline, keys))], day="1998-08-04")
    checkout.wait(code=None)
    assert _pending(checkout) == [], "the fault never happened"
    runs = {pipeline: checkout.new_runs(known, pipeline) for pipeline in kills}
    for pipeline, points in kills.items():
        (run,) = runs[pipeline]
        steps = checkout.show(run).steps
        for step in ("ingest", "refine"):
            killed = any(point.step == step for point in points)
            assert [attempt.status for attempt in steps if attempt.step == step] == ["FAILED"] * killed + ["SUCCEEDED"]
        assert run.status == "SUCCEEDED"
        assert run.counts is not None
        assert (run.counts.rows_in, run.counts.silver) == (20, 20)

    for dropped in checkout.dropped[-len(kills) :]:
        checkout.deliver_again(dropped, dropped.dataset.removeprefix("tpch."))
    checkout.wait()
    for pipeline in kills:
        assert checkout.new_runs(known, pipeline) == runs[pipeline]
        key = KEYS[pipeline]
        for table, column in ((f"silver_tpch.{pipeline}", key), (f"bronze_tpch.{pipeline}", f"CAST({key} AS bigint)")):
            rows = checkout.sql(f"SELECT count(*), count(DISTINCT {column}) FROM {table} WHERE {column} BETWEEN {keys[0]} AND {keys[-1]}")
            assert rows == [[20, 20]]
        references = [row[0] for row in checkout.sql(f'SELECT name FROM silver_tpch."{pipeline}$refs"')]
        assert references == ["main"]


def _arm(checkout: Checkout, kills: Mapping[str, Sequence[Point]]) -> None:
    faults: list[dict[str, object]] = []
    for pipeline, points in kills.items():
        for point in points:
            job = checkout.client("glue").get_job(JobName=checkout.names.job(pipeline, point.step))["Job"]
            role = job["Role"].rsplit("/", 1)[-1]
            faults.append({"role": role, "action": point.action, "text": point.text, "when": point.when, "skip": point.skip})
    (checkout.root / ".lake" / "faults.json").write_text(json.dumps(faults))


def _pending(checkout: Checkout) -> list[object]:
    path = checkout.root / ".lake" / "faults.json"
    return json.loads(path.read_text()) if path.exists() else []
