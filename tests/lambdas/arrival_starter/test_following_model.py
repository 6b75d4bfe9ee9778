"""A model of following: upstream runs begin, end, hang or are lost, messages come twice, late or not at all, functions die: all is followed, once, in time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.claims import AFTER, Launch
from lakehouse.clock import from_text, to_text
from lakehouse.run_ids import new_run_id
from tests.lambdas.world import PIPELINE, UPSTREAM, WAIT_MINUTES, Crash, Execution, Trap, World, a_world, client, make_tables

_number = itertools.count()

BEGIN = st.tuples(st.just("begin"), st.sampled_from(UPSTREAM), st.booleans())
END = st.tuples(
    st.just("end"), st.integers(0, 3), st.sampled_from(["SUCCEEDED", "SUCCEEDED", "REJECTED", "SKIPPED", "FAILED", "TIMED_OUT", "ABORTED"])
)
DELIVER = st.tuples(st.just("deliver"), st.lists(st.integers(0, 7), min_size=1, max_size=3), st.booleans())
DIE = st.tuples(st.just("die"), st.lists(st.integers(0, 7), min_size=1, max_size=3), st.integers(0, 40))
FOLLOWED = st.tuples(st.just("followed"), st.sampled_from(["SUCCEEDED", "SUCCEEDED", "FAILED"]))
REFUSE = st.tuples(st.just("refuse"))
PASS = st.tuples(st.just("pass_seconds"), st.sampled_from([1, 70, 1000, 2000]))
REST = st.tuples(st.just("rest"))
STEPS = st.one_of(BEGIN, BEGIN, REST, END, END, DELIVER, DELIVER, DIE, FOLLOWED, REFUSE, PASS)


@dataclass
class Run:
    """An upstream run, as it really is."""

    pipeline: str
    run_id: str
    arn: str
    begun: datetime
    recorded: datetime | None = None
    ended: datetime | None = None
    has_published: bool = False
    is_to_record: bool = False


class Following:
    """Upstream runs and deliveries against the real starter."""

    def __init__(self) -> None:
        number = next(_number)
        audit, control = f"audit{number}", f"control{number}"
        make_tables(client("dynamodb"), audit=audit, control=control)
        self.world = World(dynamodb=client("dynamodb"), s3=client("s3"), audit_table=audit, control_table=control)
        self.world.states.on_start = self.world.record_start
        self.runs: list[Run] = []
        self.queue: list[str] = []
        self.told: list[str] = []
        self.failed: set[str] = set()

    def begin(self, pipeline: str, is_recorded: bool) -> None:
        """A run begins, or is decided upon and begins when it ends."""
        self.world.clock.pass_seconds(1)
        run_id = new_run_id(self.world.clock())
        arn = f"arn:aws:states:us-east-1:123456789012:execution:lake-{pipeline}:{len(self.runs)}"
        run = Run(pipeline=pipeline, run_id=run_id, arn=arn, begun=self.world.clock())
        self.runs.append(run)
        decided = to_text(self.world.clock())
        self.world.claims.decide(
            Launch(run_id=run_id, pipeline=pipeline, attempt=1, trigger="arrival", manifest=None, batch_id="b", files=0, decided_at=decided)
        )
        if is_recorded:
            self._record(run)

    def end(self, place: int, status: str) -> None:
        open_ = [run for run in self.runs if run.ended is None]
        if not open_:
            return
        run = open_[place % len(open_)]
        self._record(run)
        self.world.clock.pass_seconds(1)
        run.ended = self.world.clock()
        run.has_published = status in {"SUCCEEDED", "REJECTED"}
        if status == "ABORTED":
            run.is_to_record = True
        else:
            rejected: dict[str, Any] = {"reason": "files_rejected", "files": {"loaded": 1, "rejected": 1}} if status == "REJECTED" else {}
            final: Any = "FAILED" if status == "REJECTED" else status
            self.world.audit.end_run(pipeline=run.pipeline, run_id=run.run_id, status=final, **rejected)
        self._tell(run, {"REJECTED": "FAILED", "SKIPPED": "SUCCEEDED"}.get(status, status), is_skipped=status == "SKIPPED")

    def deliver(self, places: list[int], is_again: bool) -> None:
        """Messages come, the first time or once more."""
        if is_again and self.told:
            self.world.deliver([self.told[place % len(self.told)] for place in places], trigger="after")
        elif self.queue:
            self._hand_out(self._at(places))

    def die(self, places: list[int], call: int) -> None:
        """The function dies at some call; its messages come back when their time is over."""
        if not self.queue:
            return
        try:
            self._hand_out(self._at(places), trap=Trap(at=call))
        except Crash:
            self.pass_seconds(70)

    def followed(self, status: str) -> None:
        for execution in self._running():
            self.world.end(execution, status)
            if status == "FAILED":
                self.failed.add(execution.input["run_id"])

    def refuse(self) -> None:
        """The next start is throttled."""
        self.world.states.failures = [RuntimeError("throttled")]

    def pass_seconds(self, seconds: int) -> None:
        self.world.clock.pass_seconds(seconds)
        self.queue += self.world.queue.due()

    def rest(self) -> None:
        """Whatever runs upstream ends well, and all messages come."""
        while any(run.ended is None for run in self.runs):
            self.end(0, "SUCCEEDED")
        if self.queue:
            self._hand_out(list(self.queue))

    def settle(self) -> None:
        """Nothing more begins or ends; messages come, the backstop records, an hour passes."""
        self.world.states.failures = []
        for run in self.runs:
            if run.is_to_record:
                self.world.audit.end_run(pipeline=run.pipeline, run_id=run.run_id, status="FAILED", reason="aborted")
        for _ in range(8):
            if self.queue:
                self._hand_out(list(self.queue))
            self.pass_seconds(610)
        assert self.queue == []
        assert self.world.queue.sent == []

    def check(self) -> None:
        executions = {execution.input["run_id"]: execution for execution in self.world.states.executions.values()}
        followed: dict[str, list[Run]] = {}
        for run in self.runs:
            claim = self.world.claims.get(bucket=AFTER, key=PIPELINE, version_id=run.arn)
            if not run.has_published:
                assert claim is None, run
                continue
            assert claim is not None, run
            assert claim.run_id in executions, run
            followed.setdefault(claim.run_id, []).append(run)
            launch = self._launch(claim.run_id)
            assert run.ended is not None
            # What the follower reads was there before anybody decided upon it.
            assert from_text(launch.decided_at) >= run.ended, run
        assert self.world.held.of(PIPELINE) == []
        assert set(executions) - self.failed <= set(followed), "a run that follows nothing"
        for run_id, ends in followed.items():
            self._check_patience(from_text(self._launch(run_id).decided_at), ends)

    def _check_patience(self, decided: datetime, ends: list[Run]) -> None:
        """Whoever did not wait for an upstream run that was under way had waited long enough for it, or it was lost."""
        under_way = [run for run in self.runs if run.begun < decided and (run.ended is None or decided < run.ended)]
        waited = decided - min(run.ended for run in ends if run.ended)
        for run in under_way:
            lost = run.begun + timedelta(minutes=15) < decided and (run.recorded is None or run.recorded > decided)
            assert waited >= timedelta(minutes=WAIT_MINUTES) or lost, (run, decided)

    def _launch(self, run_id: str) -> Launch:
        launch = self.world.claims.launch(pipeline=PIPELINE, run_id=run_id)
        assert launch is not None
        return launch

    def _record(self, run: Run) -> None:
        if run.recorded is None:
            run.recorded = self.world.clock()
            self.world.audit.start_run(pipeline=run.pipeline, run_id=run.run_id, trigger="arrival", execution_arn=run.arn, seconds=86_400)

    def _tell(self, run: Run, status: str, *, is_skipped: bool) -> None:
        detail = {
            "executionArn": run.arn,
            "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:lake-upstream",
            "status": status,
            "input": json.dumps({"pipeline": run.pipeline, "run_id": run.run_id}),
            "output": json.dumps({"result": {"status": "SKIPPED" if is_skipped else "SUCCEEDED"}}),
        }
        assert run.ended is not None
        event = {"source": "aws.states", "detail-type": "x", "time": to_text(run.ended)[:19] + "Z", "detail": detail}
        self.queue.append(json.dumps(event))
        self.told.append(json.dumps(event))

    def _at(self, places: list[int]) -> list[str]:
        return list(dict.fromkeys(self.queue[place % len(self.queue)] for place in places))

    def _hand_out(self, messages: list[str], **options: Any) -> None:
        self.world.clock.pass_seconds(1)
        again = self.world.deliver(messages, trigger="after", **options)
        for number, message in enumerate(messages):
            if str(number) not in again:
                self.queue.remove(message)

    def _running(self) -> list[Execution]:
        return [execution for execution in self.world.states.executions.values() if execution.status == "RUNNING"]


@pytest.fixture(scope="module")
def _moto() -> Iterator[None]:
    with a_world():
        yield


@pytest.mark.usefixtures("_moto")
@settings(max_examples=40, deadline=None, suppress_health_check=(HealthCheck.too_slow, HealthCheck.function_scoped_fixture))
@given(first=st.lists(BEGIN, min_size=1, max_size=3), steps=st.lists(STEPS, min_size=4, max_size=14))
def test_whatever_happens_all_that_was_published_is_followed_by_one_run_that_waited(first: list[Any], steps: list[Any]) -> None:
    following = Following()
    for name, *arguments in [*first, *steps]:
        getattr(following, name)(*arguments)
    following.settle()
    following.check()
