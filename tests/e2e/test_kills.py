"""The driver dies at the worst moments; the arrival is told again; the tables end as if nothing had happened."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize("number", range(len(POINTS)), ids=[point.name for point in POINTS])
def test_a_killed_driver_and_a_redelivery_end_as_one_undisturbed_run(checkout: Checkout, clean: list[Run], number: int) -> None:
    point, known = POINTS[number], checkout.runs()
    key = 5_000_000 + number * 100
    lines = "".join(f"{key + row},Customer#{key + row:09d},here,1,11-111-111-1111,1.00,BUILDING,\n" for row in range(20))
    _arm(checkout, point)
    checkout.drop("tpch.customer", [checkout.write(f"killed-{number}.csv", HEADER + lines)], day="1998-08-04")
    checkout.wait(code=None)
    assert _pending(checkout) == [], "the fault never happened"
    (disturbed,) = checkout.new_runs(known, "customer")
    attempts = [step.status for step in checkout.show(disturbed).steps if step.step == point.step]
    assert attempts in (["FAILED"], ["FAILED", "SUCCEEDED"])
    assert disturbed.status == ("SUCCEEDED" if len(attempts) > 1 else "FAILED")

    checkout.deliver_again(checkout.dropped[-1], "customer")
    checkout.wait()
    final = checkout.new_runs(known, "customer")[-1]
    assert final.attempt == (1 if disturbed.status == "SUCCEEDED" else 2)
    assert final.status == "SUCCEEDED"
    assert final.counts is not None
    assert (final.counts.rows_in, final.counts.silver) == (20, 20)
    where = f"BETWEEN {key} AND {key + 99}"
    for table, column in (("silver_tpch.customer", "c_custkey"), ("bronze_tpch.customer", "CAST(c_custkey AS bigint)")):
        assert checkout.sql(f"SELECT count(*), count(DISTINCT {column}) FROM {table} WHERE {column} {where}") == [[20, 20]]
    assert checkout.show(disturbed).steps[-1].status == ("SUCCEEDED" if disturbed.status == "SUCCEEDED" else "FAILED")
    references = [row[0] for row in checkout.sql('SELECT name FROM silver_tpch."customer$refs"')]
    assert references == ["main"]


def _arm(checkout: Checkout, point: Point) -> None:
    job = checkout.client("glue").get_job(JobName=checkout.names.job("customer", point.step))["Job"]
    fault = {"role": job["Role"].rsplit("/", 1)[-1], "action": point.action, "text": point.text, "when": point.when, "skip": point.skip}
    (checkout.root / ".lake" / "faults.json").write_text(json.dumps([fault]))


def _pending(checkout: Checkout) -> list[object]:
    path = checkout.root / ".lake" / "faults.json"
    return json.loads(path.read_text()) if path.exists() else []
