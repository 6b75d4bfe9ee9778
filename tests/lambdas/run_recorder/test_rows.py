"""A run of a group: its rows are planned once, end each by itself, and are judged together; whatever dies in between."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from lakehouse.audit_records import RowRecord, RunTrail
from lakehouse.rows import MAX_ROWS, RowTable, parse_row
from lakehouse.run_ids import new_run_id
from lakehouse.watermarks import Watermarks
from lambdas.notifier.notifier import Notifier, Wish
from tests.lambdas.notifier.test_notifier import Sns
from tests.lambdas.run_recorder.conftest import Ask, CloudWatch
from tests.lambdas.world import CONTROL, WATERMARKS, Crash, Trap, World

GROUP = "shop_tables"


@pytest.fixture
def rows(world: World) -> RowTable:
    return RowTable(client=world.dynamodb, table=CONTROL, clock=world.clock)


def put(rows: RowTable, name: str, **changes: Any) -> None:
    rows.put(GROUP, parse_row({"row": name, "table": f"public.{name}", "keys": ["id"], "mode": "full", **changes}))


def spoil(world: World, name: str) -> None:
    """Somebody writes into the table by hand."""
    world.dynamodb.put_item(
        TableName=CONTROL, Item={"pk": {"S": f"rows#{GROUP}"}, "sk": {"S": name}, "row": {"S": name}, "colour": {"S": "red"}}
    )


def begin(ask: Ask, run_id: str) -> list[dict[str, Any]]:
    ask(
        action="start",
        pipeline=GROUP,
        run_id=run_id,
        trigger="schedule",
        attempt=1,
        execution_arn="arn:x",
        started_at="2026-11-22T05:00:00.000Z",
    )
    return ask(action="begin_rows", pipeline=GROUP, run_id=run_id, step="rows")["rows"]


def job(world: World, row: dict[str, Any], status: Any = "SUCCEEDED", **told: Any) -> None:
    attempt = world.audit.start_step(
        pipeline=row["pipeline"], run_id=row["run_id"], step="extract", engine="glue", job_run_id=f"jr-{row['row']}"
    )
    world.audit.end_step(pipeline=row["pipeline"], run_id=row["run_id"], step="extract", attempt=attempt, status=status, **told)


def run_row(world: World, ask: Ask, row: dict[str, Any], *, failure: str = "", **told: Any) -> None:
    """What the machine does for one row."""
    of_row = {"pipeline": row["pipeline"], "run_id": row["run_id"]}
    ask(action="start", **of_row, trigger="schedule", attempt=1, execution_arn="arn:x", started_at="2026-11-22T05:01:00.000Z", seconds=60)
    cause = row["cause"] or failure
    if not row["refused"]:
        job(world, row, "FAILED" if failure else "SUCCEEDED", **told)
    if cause:
        ask(action="fail", **of_row, step="", failure={"Error": "RunFailed", "Cause": cause})
    else:
        ask(action="finish", **of_row)


def end(ask: Ask, run_id: str) -> dict[str, Any]:
    ask(action="end_rows", pipeline=GROUP, run_id=run_id, step="rows")
    return ask(action="finish", pipeline=GROUP, run_id=run_id)


def trail(world: World, run_id: str) -> RunTrail:
    return world.audit.trail(run_id, pipeline=GROUP)


def test_ten_rows_of_which_two_fail_are_eight_successes_and_one_message_that_names_the_two(
    world: World, ask: Ask, rows: RowTable, cloudwatch: CloudWatch
) -> None:
    for number in range(8):
        put(rows, f"good{number}")
    put(rows, "lost")
    spoil(world, "bad")
    run_id = new_run_id()
    planned = begin(ask, run_id)
    assert [row["row"] for row in planned] == ["bad", *(f"good{number}" for number in range(8)), "lost"]
    for row in planned:
        missing = 'job: {"ErrorMessage": "RunFailed: source_table_missing: the source has no table public.lost"}'
        run_row(world, ask, row, failure=missing if row["row"] == "lost" else "", counts={"rows_in": 5, "appended": 5})
    assert end(ask, run_id)["reason"] == "rows_failed"
    run = trail(world, run_id).run
    assert (run.status, run.message) == (
        "FAILED", "2 of 10 rows failed: bad (row_invalid), lost (source_table_missing); the other 8 are published",
    )  # fmt: skip
    assert (run.counts["pipelines"], run.counts["pipelines_failed"], run.has_published) == (10, 2, True)
    own = {row.row: world.audit.get_run(row.row_run_id, pipeline=f"{GROUP}.{row.row}") for row in trail(world, run_id).rows}
    assert [(name, found.status) for name, found in own.items() if found and found.status != "SUCCEEDED"] == [
        ("bad", "FAILED"),
        ("lost", "FAILED"),
    ]
    succeeded = [datum for datum in cloudwatch.sent if datum["MetricName"] == "RunsSucceeded"]
    assert sorted(datum["Dimensions"][1]["Value"] for datum in succeeded) == [f"{GROUP}.good{number}" for number in range(8)]

    sns = Sns()
    notifier = Notifier(audit=world.audit, sns=sns, topic_arn="arn:topic", project="lakehouse", env="prod")
    assert notifier.notify(Wish(pipeline=GROUP, run_id=run_id))
    assert not notifier.notify(Wish(pipeline=GROUP, run_id=run_id))
    (message,) = sns.published
    assert message["Subject"] == f"[lakehouse/prod] {GROUP} failed: rows_failed"
    assert "Failed rows, 2 of 10:" in message["Message"]
    assert "  bad: row_invalid: colour: is not a key of a row" in message["Message"]
    assert "  lost: source_table_missing: the source has no table public.lost" in message["Message"]
    assert "good" not in message["Message"].replace("good rows", "")


def test_a_hundred_and_more_failures_are_all_named_in_one_message_that_sns_takes(world: World, ask: Ask) -> None:
    for number in range(MAX_ROWS):
        spoil(world, f"bad{number}")
    run_id = new_run_id()
    for row in begin(ask, run_id):
        run_row(world, ask, row)
    end(ask, run_id)
    sns = Sns()
    Notifier(audit=world.audit, sns=sns, topic_arn="arn:topic", project="p", env="e").notify(Wish(pipeline=GROUP, run_id=run_id))
    text = sns.published[0]["Message"]
    assert all(f"  bad{number}: row_invalid" in text for number in range(MAX_ROWS))
    assert len(text.encode()) < 256 * 1024


def test_rows_that_all_succeed_are_a_success_and_none_at_all_is_skipped(world: World, ask: Ask, rows: RowTable) -> None:
    nothing = new_run_id()
    assert begin(ask, nothing) == []
    assert end(ask, nothing)["status"] == "SKIPPED"
    assert trail(world, nothing).run.reason == "no_rows"
    put(rows, "a")
    put(rows, "off", active=False)
    run_id = new_run_id()
    (row,) = begin(ask, run_id)
    run_row(world, ask, row)
    assert end(ask, run_id)["status"] == "SUCCEEDED"


def test_the_same_run_is_given_the_same_rows_whatever_becomes_of_them(world: World, ask: Ask, rows: RowTable) -> None:
    put(rows, "a")
    put(rows, "b", priority=1)
    run_id = new_run_id()
    first = begin(ask, run_id)
    rows.set_active(GROUP, "a", is_active=False)
    put(rows, "new")
    assert begin(ask, run_id) == first
    assert [row["row"] for row in begin(ask, new_run_id())] == ["b", "new"]


def test_a_row_moves_its_own_watermark_and_only_when_it_succeeds(world: World, ask: Ask, rows: RowTable) -> None:
    put(rows, "a")
    put(rows, "b")
    good, bad = begin(ask, new_run_id())
    run_row(world, ask, good, marks={"m": 5})
    run_row(world, ask, bad, failure="RunFailed: source_interrupted: cut off", marks={"m": 9})
    marks = Watermarks(client=world.dynamodb, table=WATERMARKS)
    moved = marks.get(pipeline=f"{GROUP}.a", name="m")
    assert moved is not None
    assert (moved.value, marks.get(pipeline=f"{GROUP}.b", name="m")) == (5, None)


def test_too_many_rows_fail_the_run_before_one_is_begun(world: World, ask: Ask) -> None:
    for number in range(MAX_ROWS + 1):
        spoil(world, f"bad{number}")
    run_id = new_run_id()
    with pytest.raises(Exception, match="too_many_rows: the group has 201 active rows"):
        begin(ask, run_id)
    cause = json.dumps({"errorType": "RunFailed", "errorMessage": "too_many_rows: the group has 201 active rows"})
    ended = ask(action="fail", pipeline=GROUP, run_id=run_id, step="rows", failure={"Error": "RunFailed", "Cause": cause})
    assert (ended["status"], ended["reason"]) == ("FAILED", "too_many_rows")
    assert trail(world, run_id).rows == ()


def test_a_row_whose_end_nobody_recorded_fails_and_the_run_with_it(world: World, ask: Ask, rows: RowTable) -> None:
    put(rows, "a")
    put(rows, "b")
    run_id = new_run_id()
    first, _ = begin(ask, run_id)
    run_row(world, ask, first)
    assert end(ask, run_id)["reason"] == "rows_failed"
    assert [(row.row, row.status, row.reason) for row in trail(world, run_id).rows] == [
        ("a", "SUCCEEDED", ""),
        ("b", "FAILED", "job_failed"),
    ]


@pytest.mark.parametrize(("status", "ends"), [("TIMED_OUT", "TIMED_OUT"), ("ABORTED", "FAILED")])
def test_an_execution_that_is_stopped_ends_its_rows_too(world: World, ask: Ask, rows: RowTable, status: str, ends: str) -> None:
    for name in ("a", "b", "c"):
        put(rows, name)
    run_id = new_run_id()
    done, running, _ = begin(ask, run_id)
    run_row(world, ask, done)
    ask(action="start", pipeline=running["pipeline"], run_id=running["run_id"], trigger="schedule", attempt=1)
    given = {"pipeline": GROUP, "run_id": run_id, "trigger": "schedule"}
    event = {"source": "aws.states", "detail": {"status": status, "executionArn": "arn:x", "input": json.dumps(given), "cause": ""}}
    for _ in range(2):  # EventBridge may repeat itself
        assert ask(**event)["status"] == ends
    whole = trail(world, run_id)
    assert [(row.row, row.status) for row in whole.rows] == [("a", "SUCCEEDED"), ("b", ends), ("c", ends)]
    for row in whole.rows:
        own = world.audit.get_run(row.row_run_id, pipeline=row.row_pipeline)
        assert own is not None
        assert own.status == row.status


def test_a_crash_at_any_call_and_a_repetition_end_the_same(world: World, ask: Ask, rows: RowTable, cloudwatch: CloudWatch) -> None:
    put(rows, "a")
    put(rows, "b")
    spoil(world, "bad")

    def whole(run_id: str, crash: Callable[[], Trap] | None) -> None:
        given = {"pipeline": GROUP, "run_id": run_id}

        def asked(**request: Any) -> dict[str, Any]:
            if crash is not None:
                with contextlib.suppress(Crash):
                    ask(crash(), **request)
            return ask(**request)

        ask(action="start", **given, trigger="schedule", attempt=1)
        for row in asked(action="begin_rows", **given, step="rows")["rows"]:
            run_row(world, ask, row)
        asked(action="end_rows", **given, step="rows")
        asked(action="finish", **given)

    def shown(run_id: str) -> Any:
        found = trail(world, run_id)
        return found.run.status, found.run.message, found.run.counts, [(row.row, row.status, row.reason) for row in found.rows]

    clean = new_run_id()
    whole(clean, None)
    for when in ("before", "after"):
        for at in range(12):
            run_id = new_run_id()
            whole(run_id, partial(Trap, at=at, when=when))
            assert shown(run_id) == shown(clean), (when, at)


def test_rows_are_kept_in_the_order_in_which_they_were_begun(world: World) -> None:
    run_id = new_run_id()
    world.audit.start_run(pipeline=GROUP, run_id=run_id, trigger="manual")
    names = ["z", "a", "m"]
    records = [RowRecord(row=name, row_pipeline=f"{GROUP}.{name}", row_run_id="r", position=place) for place, name in enumerate(names)]
    world.audit.record_rows(pipeline=GROUP, run_id=run_id, rows=records)
    assert [row.row for row in trail(world, run_id).rows] == names
