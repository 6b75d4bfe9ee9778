"""A database is extracted twice, with a day of inserts, updates and deletes in between, up to gold and into Redshift."""

from __future__ import annotations

import pytest

from local.demo.shop import PIPELINES
from local.shop.database import TABLES
from tests.e2e.conftest import Checkout
from tests.e2e.shop import SALES, Scene, Story

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


def load_counts(scene: Scene) -> list[dict[str, int]]:
    """Rows that the loads of a scene staged, removed and added."""
    return [step.counts for run in scene.of(SALES) for step in run.steps if step.engine == "redshift"]


def test_the_clock_starts_the_extractions_and_they_the_sales(shop: Story) -> None:
    triggers = {run.run.pipeline: run.run.trigger for run in shop.first.runs}
    assert triggers == {**dict.fromkeys(PIPELINES, "schedule"), SALES: "after"}


@pytest.mark.parametrize("table", TABLES)
def test_silver_is_the_source_after_each_extraction(shop: Story, table: str) -> None:
    for scene in (shop.first, shop.refused):
        assert scene.silver[table] == scene.source[table]
    assert shop.first.source[table] != shop.refused.source[table]


@pytest.mark.parametrize("table", TABLES)
def test_what_left_the_source_is_counted(shop: Story, table: str) -> None:
    (run,) = shop.refused.of(f"shop_{table}")
    left = {row[0] for row in shop.first.source[table]} - {row[0] for row in shop.refused.source[table]}
    assert run.run.status == "SUCCEEDED"
    assert run.run.counts is not None
    assert run.run.counts.deleted == len(left) > 0


def test_athena_redshift_and_the_shop_s_own_sql_give_the_same_answer(shop: Story) -> None:
    assert all(run.run.status == "SUCCEEDED" for run in shop.first.runs)
    for scene in (shop.first, shop.repaired, shop.again):
        assert len(scene.wanted) > 100
        assert scene.athena == scene.wanted
        assert scene.redshift == scene.wanted
    assert shop.first.wanted != shop.repaired.wanted


def test_redshift_reads_the_same_rows_in_the_lake(shop: Story) -> None:
    assert shop.in_place == shop.again.wanted


def test_a_load_that_redshift_refuses_fails_the_run_and_leaves_the_table_as_it_was(shop: Story) -> None:
    assert shop.refused.redshift == shop.first.redshift
    assert shop.refused.athena == shop.refused.wanted
    runs = shop.refused.of(SALES)
    assert runs
    for run in runs:
        assert (run.run.status, run.run.reason) == ("FAILED", "job_failed")
        assert "(add them) FAILED" in run.run.message
        assert "permission denied" in run.run.message
        assert run.run.message.endswith("the table is as it was")
        assert [(step.step, step.attempt, step.status) for step in run.steps] == [("publish", 1, "SUCCEEDED"), ("load", 1, "FAILED")]


def test_people_are_told_of_a_load_that_failed(checkout: Checkout, shop: Story) -> None:
    for run in shop.refused.of(SALES):
        told = checkout.session.audit.get_run(run.run.run_id, pipeline=SALES)
        assert told is not None
        assert told.notified_at


def test_the_next_run_repairs_what_a_refused_load_left_out(shop: Story) -> None:
    (counts,) = load_counts(shop.repaired)
    assert counts["rows_staged"] == counts["rows_in_table"] == len(shop.repaired.wanted)
    assert counts["rows_added"] > 0
    assert counts["rows_removed"] > 0


def test_a_load_again_changes_nothing(shop: Story) -> None:
    (counts,) = load_counts(shop.again)
    assert (counts["rows_added"], counts["rows_removed"]) == (0, 0)
    assert shop.again.redshift == shop.repaired.redshift
    assert shop.again.commits == shop.repaired.commits == shop.refused.commits
