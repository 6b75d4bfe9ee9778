"""`lake wait`: what it waits for, when it ends, and what it says failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from cli.drops import drop
from cli.errors import CommandError
from cli.progress import Progress
from cli.results import Dropped, Waited
from cli.waiting import wait
from lakehouse.run_ids import new_run_id
from tests.cli.conftest import Shop


class Time:
    """A clock that only sleeping moves, and that lets the world go on meanwhile."""

    def __init__(self, *events: Callable[[], None]) -> None:
        self.now = 0.0
        self._events = list(events)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self._events:
            self._events.pop(0)()


@pytest.fixture
def dropped(shop: Shop, tmp_path: Path, progress: Progress) -> Dropped:
    path = tmp_path / "orders.csv"
    path.write_bytes(b"x\n")
    return drop(shop.session, dataset="tpch.orders", files=[path], day=date(1998, 8, 1), progress=progress)[0]


def _wait(shop: Shop, progress: Progress, *events: Callable[[], None], seconds: float = 60) -> Waited:
    time = Time(*events)
    return wait(shop.session, timeout_seconds=seconds, progress=progress, clock=time.clock, sleep=time.sleep)


def _start(shop: Shop, *, pipeline: str = "orders", execution: str = "arn:execution") -> str:
    run_id = new_run_id()
    shop.audit.start_run(pipeline=pipeline, run_id=run_id, trigger="arrival", execution_arn=f"{execution}:{run_id}")
    return run_id


def test_with_nothing_to_wait_for_it_ends_at_once(shop: Shop, progress: Progress) -> None:
    waited = _wait(shop, progress)
    assert (waited.drops, waited.runs, waited.failed, waited.dead_letters) == (0, [], [], {})


def test_a_drop_without_a_claim_is_under_way(shop: Shop, dropped: Dropped, progress: Progress) -> None:
    with pytest.raises(CommandError, match=r"not finished after 5 s: 1 drop under way \(such as tpch/orders/year=1998"):
        _wait(shop, progress, seconds=5)


def test_it_waits_for_the_run_of_a_drop_and_for_the_pipeline_that_follows(shop: Shop, dropped: Dropped, progress: Progress) -> None:
    runs: list[str] = []

    def claimed() -> None:
        runs.append(_start(shop))
        shop.claim(dropped, run_id=runs[0], pipeline="orders")

    def ended() -> None:
        shop.audit.end_run(pipeline="orders", run_id=runs[0], status="SUCCEEDED")

    def followed() -> None:
        runs.append(_start(shop, pipeline="daily_revenue"))
        shop.claim_success(execution=f"arn:execution:{runs[0]}", run_id=runs[1], pipeline="daily_revenue")

    def published() -> None:
        shop.audit.end_run(pipeline="daily_revenue", run_id=runs[1], status="SUCCEEDED")

    waited = _wait(shop, progress, claimed, ended, followed, published)
    assert [(run.pipeline, run.status) for run in waited.runs] == [("orders", "SUCCEEDED"), ("daily_revenue", "SUCCEEDED")]
    assert waited.drops == 1
    assert waited.failed == []


def test_a_skipped_drop_has_ended(shop: Shop, dropped: Dropped, progress: Progress) -> None:
    shop.claim(dropped, run_id=new_run_id(), pipeline="orders", status="SKIPPED")
    assert _wait(shop, progress).drops == 1


def test_a_failed_run_is_told_once(shop: Shop, dropped: Dropped, progress: Progress) -> None:
    run_id = _start(shop)
    shop.claim(dropped, run_id=run_id, pipeline="orders")
    shop.audit.end_run(pipeline="orders", run_id=run_id, status="FAILED", reason="files_rejected", message="1 of 1 files rejected")
    first, second = _wait(shop, progress), _wait(shop, progress)
    assert [(run.run_id, run.reason) for run in first.failed] == [(run_id, "files_rejected")]
    assert (second.drops, second.runs, second.failed) == (0, [], [])


def test_a_run_that_nobody_dropped_for_is_waited_for_too(shop: Shop, progress: Progress) -> None:
    run_id = _start(shop, pipeline="customer")

    def ended() -> None:
        shop.audit.end_run(pipeline="customer", run_id=run_id, status="TIMED_OUT", reason="timed_out")

    assert [run.status for run in _wait(shop, progress, lambda: None, ended).failed] == ["TIMED_OUT"]


def test_a_run_whose_end_was_not_recorded_is_told_once_and_not_waited_for(shop: Shop, dropped: Dropped, progress: Progress) -> None:
    run_id = new_run_id()
    shop.audit.start_run(
        pipeline="orders", run_id=run_id, trigger="arrival", started_at="2026-01-01T05:00:00.000Z", seconds=5400, execution_arn="arn:x"
    )
    shop.claim(dropped, run_id=run_id, pipeline="orders")
    first, second = _wait(shop, progress), _wait(shop, progress)
    assert [(run.run_id, run.status, run.reason) for run in first.failed] == [(run_id, "RUNNING", "end_not_recorded")]
    assert first.failed[0].message.startswith(
        "RUNNING since 2026-01-01T05:00:00.000Z, longer than it may run: the record of its end is lost"
    )
    assert "execution arn:x" in first.failed[0].message
    assert (first.drops, second.failed) == (1, [])


def test_a_run_that_may_still_run_is_waited_for(shop: Shop, progress: Progress) -> None:
    shop.audit.start_run(pipeline="orders", run_id=new_run_id(), trigger="arrival", seconds=5400)
    with pytest.raises(CommandError, match="running: orders"):
        _wait(shop, progress, seconds=3)


@pytest.mark.parametrize("spoiled", ["", '{"drops": 1, "newe'])
def test_a_bookmark_that_was_cut_short_begins_anew(shop: Shop, dropped: Dropped, progress: Progress, spoiled: str) -> None:
    shop.claim(dropped, run_id=new_run_id(), pipeline="orders", status="SKIPPED")
    (shop.session.state / "wait.json").write_text(spoiled)
    assert _wait(shop, progress).drops == 1
    assert _wait(shop, progress).drops == 0


def test_messages_in_a_queue_are_waited_for(shop: Shop, progress: Progress) -> None:
    sqs = shop.client("sqs")
    url = sqs.get_queue_url(QueueName=shop.names.arrivals_queue("orders"))["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    with pytest.raises(CommandError, match="in queues: 1"):
        _wait(shop, progress, seconds=3)


def test_a_drop_whose_arrival_went_to_the_dead_letter_queue_has_failed(shop: Shop, dropped: Dropped, progress: Progress) -> None:
    shop.dead_letter("orders")
    assert _wait(shop, progress).dead_letters == {shop.names.dead_letter_queue("orders"): 1}
    assert _wait(shop, progress).dead_letters == {}


def test_another_pipelines_dead_letter_does_not_end_a_drop(shop: Shop, dropped: Dropped, progress: Progress) -> None:
    shop.dead_letter("customer")
    with pytest.raises(CommandError, match="1 drop under way"):
        _wait(shop, progress, seconds=3)


def test_a_wait_that_ran_out_of_time_forgets_nothing(shop: Shop, dropped: Dropped, progress: Progress) -> None:
    with pytest.raises(CommandError):
        _wait(shop, progress, seconds=2)
    shop.claim(dropped, run_id=new_run_id(), pipeline="orders", status="SKIPPED")
    assert _wait(shop, progress).drops == 1
