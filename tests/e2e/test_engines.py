"""One word of its spec moves a pipeline to EMR Serverless: another Spark, the same tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.results import Run
from local import permissions
from tests.e2e.conftest import Checkout
from tests.e2e.rows import csv

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

ON_GLUE, ON_EMR = 7_100_001, 7_100_002
"""Keys of the two orders that are alike in everything else."""


@pytest.fixture
def specs(checkout: Checkout) -> Iterator[list[Path]]:
    """Specs of the pipelines that move; they are taken back afterwards."""
    paths = [checkout.root / "pipelines" / f"{name}.yaml" for name in ("orders", "daily_revenue")]
    before = [path.read_text(encoding="utf-8") for path in paths]
    yield paths
    for path, text in zip(paths, before, strict=True):
        path.write_text(text, encoding="utf-8")
    checkout.lake("deploy")


def test_a_pipeline_on_emr_serverless_makes_the_tables_that_it_makes_on_glue(
    checkout: Checkout, clean: list[Run], specs: list[Path]
) -> None:
    checkout.drop("tpch.orders", [checkout.write("on-glue.csv", csv("orders", [ON_GLUE]))], day="1998-09-01")
    checkout.wait()
    revenue = checkout.sql("SELECT * FROM gold_tpch.daily_revenue ORDER BY 1, 2")
    commits = checkout.snapshots("gold_tpch.daily_revenue")["commits"]

    for path in specs:
        text = path.read_text(encoding="utf-8")
        moved = text.replace("engine: glue", "engine: emr-serverless")
        assert moved != text
        path.write_text(moved, encoding="utf-8")
    checkout.lake("deploy")
    known = checkout.runs()
    checkout.drop("tpch.orders", [checkout.write("on-emr.csv", csv("orders", [ON_EMR]))], day="1998-09-02")
    checkout.wait()

    runs = checkout.new_runs(known)
    assert {(run.pipeline, run.status) for run in runs} == {("orders", "SUCCEEDED"), ("daily_revenue", "SUCCEEDED")}
    steps = [step for run in runs for step in checkout.show(run).steps]
    assert {step.engine for step in steps} == {"emr-serverless"}
    assert all(step.job_run_id.startswith("00") for step in steps)
    one, other = (checkout.sql(f"SELECT * FROM silver_tpch.orders WHERE o_orderkey = {key}")[0] for key in (ON_GLUE, ON_EMR))
    own = _columns_of_the_contract(checkout)
    assert [one[index] for index in own] == [other[index] for index in own]
    assert checkout.sql("SELECT * FROM gold_tpch.daily_revenue ORDER BY 1, 2") == revenue
    assert checkout.snapshots("gold_tpch.daily_revenue")["commits"] == commits
    _require_no_unused_grant(checkout)


def _require_no_unused_grant(checkout: Checkout) -> None:
    """The roles of the moved pipelines have nothing that no run used, but for what has its reason."""
    prefix = checkout.names.prefix
    grants = {
        grant for grant in permissions.granted(checkout.client("iam"), prefix) if "orders" in grant.role or "dailyrevenue" in grant.role
    }
    with (checkout.root / ".lake" / "calls.jsonl").open() as lines:
        uses = permissions.used(lines)
    assert grants
    assert permissions.unused(grants, uses, permissions.exemptions(), prefix) == ()


def _columns_of_the_contract(checkout: Checkout) -> list[int]:
    """Places of the columns that a file says, but for the key."""
    names = [
        row[0]
        for row in checkout.sql(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'silver_tpch' AND table_name = 'orders' ORDER BY ordinal_position"
        )
    ]
    return [place for place, name in enumerate(names) if not name.startswith("_") and name != "o_orderkey"]
