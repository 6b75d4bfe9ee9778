"""A pipeline that follows others starts once for all that they published, when none of them is under way, or when it has waited long enough."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from lakehouse.claims import AFTER, LOST_MINUTES, Launch
from lakehouse.clock import from_text, to_text
from lakehouse.held_ends import HeldEnd
from lakehouse.run_ids import new_run_id
from tests.lambdas.world import FUNCTION_SECONDS, PIPELINE, WAIT_MINUTES, Crash, Execution, Trap, World

UPSTREAM_MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:lake-upstream"


class Upstream:
    """A run of an upstream pipeline."""

    def __init__(self, world: World, name: str, *, pipeline: str = "upstream") -> None:
        self.world = world
        self.pipeline = pipeline
        self.arn = f"arn:aws:states:us-east-1:123456789012:execution:lake-{pipeline}:{name}"
        world.clock.pass_seconds(1)
        self.run_id = new_run_id(world.clock())
        world.audit.start_run(pipeline=pipeline, run_id=self.run_id, trigger="arrival", execution_arn=self.arn, seconds=5400)

    def record(self, status: Any = "SUCCEEDED", *, loaded: int = 0) -> None:
        """What the machine's last task writes, a moment before the execution ends."""
        self.world.clock.pass_seconds(1)
        reason = "files_rejected" if loaded else ""
        self.world.audit.end_run(pipeline=self.pipeline, run_id=self.run_id, status=status, reason=reason, files={"loaded": loaded})

    def event(self, status: str = "SUCCEEDED", *, is_skipped: bool = False) -> dict[str, Any]:
        """What EventBridge tells once the execution has ended."""
        result = {"result": {"status": "SKIPPED" if is_skipped else "SUCCEEDED"}}
        return {
            "source": "aws.states",
            "detail-type": "Step Functions Execution Status Change",
            "time": to_text(self.world.clock())[:19] + "Z",
            "detail": {
                "executionArn": self.arn,
                "stateMachineArn": UPSTREAM_MACHINE,
                "status": status,
                "input": json.dumps({"pipeline": self.pipeline, "run_id": self.run_id}),
                **({"output": json.dumps(result)} if status == "SUCCEEDED" else {}),
            },
        }

    def end(self, status: Any = "SUCCEEDED", *, loaded: int = 0) -> dict[str, Any]:
        self.record(status, loaded=loaded)
        return self.event("SUCCEEDED" if status == "SKIPPED" else status, is_skipped=status == "SKIPPED")


def follow(world: World, *events: dict[str, Any] | str, **options: Any) -> list[str]:
    return world.deliver(list(events), trigger="after", **options)


def started(world: World) -> list[Execution]:
    return list(world.states.executions.values())


def follower_of(world: World, run: Upstream) -> str | None:
    claim = world.claims.get(bucket=AFTER, key=PIPELINE, version_id=run.arn)
    return claim and claim.run_id


def test_it_starts_once_when_the_last_upstream_run_has_ended(world: World) -> None:
    first, second, third = (Upstream(world, str(number)) for number in range(3))
    for run in (first, second):
        assert follow(world, run.end()) == []
        assert started(world) == []
    assert follow(world, third.end()) == []
    (execution,) = started(world)
    assert {follower_of(world, run) for run in (first, second, third)} == {execution.input["run_id"]}
    assert world.held.of(PIPELINE) == []


@pytest.mark.parametrize("status", ["SKIPPED", "FAILED", "TIMED_OUT", "ABORTED"])
def test_the_last_one_lets_go_what_the_others_published_however_it_ends(world: World, status: str) -> None:
    good, last = Upstream(world, "good"), Upstream(world, "last")
    assert follow(world, good.end()) == []
    assert started(world) == []
    # The audit is told of an abortion by another event, which may come later than ours.
    assert follow(world, last.event(status) if status == "ABORTED" else last.end(status)) == []
    (execution,) = started(world)
    assert (follower_of(world, good), follower_of(world, last)) == (execution.input["run_id"], None)


def test_nothing_starts_if_nothing_was_published(world: World) -> None:
    for status in ("SKIPPED", "FAILED", "TIMED_OUT"):
        assert follow(world, Upstream(world, status).end(status)) == []
    assert started(world) == []
    assert world.queue.sent == []


def test_a_run_that_rejected_some_of_its_files_is_waited_for_and_followed(world: World) -> None:
    good, partly = Upstream(world, "good"), Upstream(world, "partly")
    assert follow(world, good.end()) == []
    assert follow(world, partly.end("FAILED", loaded=2)) == []
    (execution,) = started(world)
    assert {follower_of(world, run) for run in (good, partly)} == {execution.input["run_id"]}


def test_a_run_of_another_pipeline_is_not_waited_for(world: World) -> None:
    Upstream(world, "other", pipeline="lineitem")
    assert follow(world, Upstream(world, "good").end()) == []
    assert len(started(world)) == 1


def test_a_run_that_hangs_is_waited_for_half_an_hour_and_followed_when_it_ends(world: World) -> None:
    good, hung = Upstream(world, "good"), Upstream(world, "hung")
    assert follow(world, good.end()) == []
    looks = 0
    while not started(world):
        assert len(world.queue.sent) == 1
        world.clock.now = world.queue.sent[0][0]
        assert follow(world, *world.queue.due()) == []
        looks += 1
    ended = world.audit.get_run(good.run_id, pipeline="upstream")
    assert ended is not None
    assert ended.ended_at is not None
    assert looks == 2
    (execution,) = started(world)
    assert to_text(world.clock()) == to_text(from_text(ended.ended_at) + timedelta(minutes=WAIT_MINUTES))
    world.end(execution)
    assert follow(world, hung.end()) == []
    assert len(started(world)) == 2
    assert world.queue.sent == []


def test_who_does_not_want_to_wait_does_not(world: World) -> None:
    Upstream(world, "other")
    assert follow(world, Upstream(world, "good").end(), wait_minutes=0) == []
    assert len(started(world)) == 1


def test_one_reminder_is_on_its_way_however_many_ends_wait(world: World) -> None:
    Upstream(world, "long")
    for number in range(5):
        assert follow(world, Upstream(world, str(number)).end()) == []
    assert len(world.queue.sent) == 1


def test_a_reminder_with_nothing_to_remind_of_does_nothing_and_one_of_another_pipeline_is_refused(world: World) -> None:
    assert follow(world, json.dumps({"pipeline": PIPELINE, "remind_at": to_text(world.clock())})) == []
    assert follow(world, json.dumps({"pipeline": "other", "remind_at": to_text(world.clock())})) == ["0"]
    assert started(world) == []


def test_of_two_that_end_in_the_same_second_the_later_message_starts_nothing_more(world: World) -> None:
    """The one is recorded before the other is judged, but its message comes after: what it brought is read all the same."""
    first, second = Upstream(world, "1"), Upstream(world, "2")
    first.record()
    second.record()
    world.clock.pass_seconds(0.5)
    assert follow(world, first.event()) == []
    (execution,) = started(world)
    assert follow(world, second.event()) == []
    assert len(started(world)) == 1
    assert {follower_of(world, run) for run in (first, second)} == {execution.input["run_id"]}
    assert world.held.of(PIPELINE) == []


def test_a_run_that_failed_covers_nothing(world: World) -> None:
    first, second = Upstream(world, "1"), Upstream(world, "2")
    first.record()
    second.record()
    world.clock.pass_seconds(1)
    assert follow(world, first.event()) == []
    world.end(started(world)[0], "FAILED", "job_failed")
    assert follow(world, second.event()) == []
    assert len(started(world)) == 2


def test_a_run_that_ends_after_the_follower_was_decided_upon_is_followed_anew(world: World) -> None:
    assert follow(world, Upstream(world, "1").end()) == []
    assert follow(world, Upstream(world, "2").end()) == []
    assert len(started(world)) == 2


def test_an_upstream_run_that_was_decided_upon_and_has_yet_to_begin_is_waited_for_until_it_is_lost(world: World) -> None:
    run_id = new_run_id(world.clock())
    decided = to_text(world.clock())
    launch = Launch(
        run_id=run_id, pipeline="customer", attempt=1, trigger="arrival", manifest=None, batch_id="b", files=0, decided_at=decided
    )
    world.claims.decide(launch)
    assert follow(world, Upstream(world, "good").end()) == []
    assert started(world) == []
    world.clock.pass_seconds(LOST_MINUTES * 60 + 1)
    assert follow(world, *world.queue.due()) == []
    assert len(started(world)) == 1


def test_an_upstream_run_whose_end_was_never_recorded_is_not_waited_for_once_it_is_lost(world: World) -> None:
    Upstream(world, "lost")
    world.clock.pass_seconds(5400 + 15 * 60 + 1)
    assert follow(world, Upstream(world, "good").end()) == []
    assert len(started(world)) == 1


def test_an_upstream_pipeline_that_has_yet_to_follow_others_itself_is_waited_for(world: World) -> None:
    held = HeldEnd(pipeline="customer", execution_arn="arn:x", ended_at="", upstream="", run_id="", held_since=to_text(world.clock()))
    world.held.put(held)
    assert follow(world, Upstream(world, "good").end()) == []
    assert started(world) == []


class LaggingIndex:
    """DynamoDB whose indexes answer what they answered first."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._answers: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def query(self, **request: Any) -> Any:
        if "IndexName" not in request:
            return self._client.query(**request)
        return self._answers.setdefault(json.dumps(request, sort_keys=True), self._client.query(**request))


def test_an_index_that_lags_keeps_nothing_waiting(world: World) -> None:
    lagging = LaggingIndex(world.dynamodb)
    first, second = Upstream(world, "1"), Upstream(world, "2")
    assert follow(world, first.end(), dynamodb=lagging) == []
    assert started(world) == []
    assert follow(world, second.end(), dynamodb=lagging) == []
    assert len(started(world)) == 1


def test_whatever_call_dies_all_that_was_published_is_followed_by_one_run(world: World) -> None:
    # Dying after a call is dying before the next one.
    def ends(name: str) -> tuple[Upstream, Upstream, Upstream]:
        world.clock.pass_seconds(3600)
        return Upstream(world, f"{name}a"), Upstream(world, f"{name}b"), Upstream(world, f"{name}c", pipeline="customer")

    scouting = Trap()
    scouts = ends("scout")
    for run in scouts:
        assert follow(world, run.end(), trap=scouting) == []
    calls = len(scouting.calls)
    assert calls > 30
    for number in range(calls):
        known = set(world.states.executions)
        runs = ends(f"crash{number}")
        trap = Trap(at=number)
        lost: list[dict[str, Any]] = []
        for run in runs:
            event = run.end()
            try:
                assert follow(world, event, trap=trap) == []
            except Crash:
                lost.append(event)
        assert lost, number
        for _ in range(3):
            world.clock.pass_seconds(FUNCTION_SECONDS + 6)
            assert follow(world, *lost, *world.queue.due()) == []
        new = [execution for execution in started(world) if execution.name not in known]
        assert {follower_of(world, run) for run in runs} == {execution.input["run_id"] for execution in new}, number
        assert len(new) == 1, (number, trap.calls[number])
        assert world.held.of(PIPELINE) == []
        world.end(new[0])


def test_functions_side_by_side_follow_every_end_once(world: World) -> None:
    runs = [Upstream(world, str(number)) for number in range(6)]
    events = [run.end() for run in runs]
    world.clock.pass_seconds(1)
    with ThreadPoolExecutor(max_workers=3) as pool:
        failed = list(pool.map(lambda event: follow(world, event), events))
    assert failed == [[]] * 6
    for _ in range(4):
        world.clock.pass_seconds(FUNCTION_SECONDS + 6)
        assert follow(world, *world.queue.due()) == []
    executions = {execution.input["run_id"] for execution in started(world)}
    assert {follower_of(world, run) for run in runs} == executions
    assert world.held.of(PIPELINE) == []
    assert len(executions) == 1, "they ended before the first was followed, so one run reads it all"


def test_one_who_finds_another_at_it_comes_again_in_half_a_minute(world: World) -> None:
    first, second = Upstream(world, "1"), Upstream(world, "2")
    first.record()
    world.states.failures = [Crash("it has the turn, and dies with it")]
    world.audit.end_run(pipeline="upstream", run_id=second.run_id, status="SUCCEEDED")
    with pytest.raises(Crash):
        follow(world, first.event())
    assert follow(world, second.event()) == []
    ((at, _),) = world.queue.sent
    assert at == world.clock() + timedelta(seconds=30)
    world.clock.pass_seconds(FUNCTION_SECONDS + 6)
    assert follow(world, *world.queue.due()) == []
    assert {follower_of(world, run) for run in (first, second)} == {execution.input["run_id"] for execution in started(world)}
    assert world.held.of(PIPELINE) == []
