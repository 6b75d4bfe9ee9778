"""The driver dies at the worst moments; the arrival is told again; the tables end as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from cli.results import Run
from tests.e2e.conftest import Checkout

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

HEADER = "c_custkey,c_name,c_address,c_nationkey,c_phone,c_acctbal,c_mktsegment,c_comment\n"


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


ROUNDS = tuple(
    tuple(point for point in (POINTS[number], POINTS[number + 4] if number + 4 < len(POINTS) else None) if point) for number in range(4)
)
"""A run each: a point of ingest and one of refine, since each step has a second try of its own."""


@pytest.mark.parametrize("number", range(len(ROUNDS)), ids=[" and ".join(point.name for point in points) for points in ROUNDS])
def test_killed_drivers_and_a_redelivery_end_as_one_undisturbed_run(checkout: Checkout, clean: list[Run], number: int) -> None:
    points, known = ROUNDS[number], checkout.runs()
    key = 5_000_000 + number * 100
    lines = "".join(f"{key + row},Customer#{key + row:09d},here,1,11-111-111-1111,1.00,BUILDING,\n" for row in range(20))
    _arm(checkout, points)
    checkout.drop("tpch.customer", [checkout.write(f"killed-{number}.csv", HEADER + lines)], day="1998-08-04")
    checkout.wait(code=None)
    assert _pending(checkout) == [], "the fault never happened"
    (run,) = checkout.new_runs(known, "customer")
    steps = checkout.show(run).steps
    for point in points:
        assert [step.status for step in steps if step.step == point.step] == ["FAILED", "SUCCEEDED"]
    assert run.status == "SUCCEEDED"
    assert run.counts is not None
    assert (run.counts.rows_in, run.counts.silver) == (20, 20)

    checkout.deliver_again(checkout.dropped[-1], "customer")
    checkout.wait()
    assert checkout.new_runs([*known, run], "customer") == []
    where = f"BETWEEN {key} AND {key + 99}"
    for table, column in (("silver_tpch.customer", "c_custkey"), ("bronze_tpch.customer", "CAST(c_custkey AS bigint)")):
        assert checkout.sql(f"SELECT count(*), count(DISTINCT {column}) FROM {table} WHERE {column} {where}") == [[20, 20]]
    references = [row[0] for row in checkout.sql('SELECT name FROM silver_tpch."customer$refs"')]
    assert references == ["main"]


def _arm(checkout: Checkout, points: Sequence[Point]) -> None:
    faults: list[dict[str, object]] = []
    for point in points:
        job = checkout.client("glue").get_job(JobName=checkout.names.job("customer", point.step))["Job"]
        role = job["Role"].rsplit("/", 1)[-1]
        faults.append({"role": role, "action": point.action, "text": point.text, "when": point.when, "skip": point.skip})
    (checkout.root / ".lake" / "faults.json").write_text(json.dumps(faults))


def _pending(checkout: Checkout) -> list[object]:
    path = checkout.root / ".lake" / "faults.json"
    return json.loads(path.read_text()) if path.exists() else []
