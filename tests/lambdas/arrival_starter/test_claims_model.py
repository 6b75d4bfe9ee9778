"""A model of arrivals: whatever is delivered, redelivered, lost, failed, re-uploaded or killed, in whatever order, the newest bytes win, once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.audit_records import FileRecord
from tests.lambdas.world import FOLDER, PIPELINE, Crash, Execution, Trap, World, a_world, client, make_tables

KEYS = ("a.csv", "b.csv", "c.json")
CONTENTS = (b"A", b"B")

_number = itertools.count()

UPLOAD = st.tuples(st.just("upload"), st.sampled_from(KEYS), st.sampled_from(CONTENTS))
DELIVER = st.tuples(st.just("deliver"), st.lists(st.integers(0, 7), min_size=1, max_size=3))
DIE = st.tuples(st.just("die"), st.lists(st.integers(0, 7), min_size=1, max_size=3), st.integers(0, 24), st.sampled_from([1, 400]))
END = st.tuples(st.just("end"), st.integers(0, 3), st.sampled_from(["SUCCEEDED", "FAILED", "TIMED_OUT", "REJECTED"]))
REFUSE = st.tuples(st.just("refuse"))
LOSE = st.tuples(st.just("lose"))
STEPS = st.one_of(UPLOAD, DELIVER, DELIVER, DIE, END, END, REFUSE, LOSE)


class Arrivals:
    """Uploads and deliveries against the real starter; runs end as the steps say."""

    def __init__(self) -> None:
        number = next(_number)
        audit, control = f"audit{number}", f"control{number}"
        make_tables(client("dynamodb"), audit=audit, control=control)
        self.world = World(dynamodb=client("dynamodb"), s3=client("s3"), audit_table=audit, control_table=control)
        self.world.states.on_start = self.world.record_start
        self.events: list[dict[str, Any]] = []
        self.uploads: dict[str, list[tuple[str, bytes]]] = {key: [] for key in KEYS}

    def upload(self, key: str, content: bytes) -> None:
        event = self.world.drop(key, content)
        self.events.append(event)
        self.uploads[key].append((event["detail"]["object"]["version-id"], content))

    def deliver(self, places: list[int]) -> None:
        self.world.deliver(self._at(places))

    def die(self, places: list[int], call: int, seconds: int) -> None:
        try:
            self.world.deliver(self._at(places), trap=Trap(at=call))
        except Crash:
            self.world.clock.pass_seconds(seconds)

    def refuse(self) -> None:
        """The next start is throttled."""
        self.world.states.failures = [RuntimeError("throttled")]

    def end(self, place: int, status: str) -> None:
        running = self._running()
        if not running:
            return
        execution = running[place % len(running)]
        if status != "REJECTED":
            self.world.end(execution, status)
            return
        rejected = self.world.manifest(execution).files[0]
        self.world.audit.record_file(
            pipeline=PIPELINE,
            run_id=execution.input["run_id"],
            file=FileRecord(source=rejected.uri, version=rejected.version_id, outcome="rejected", reason="missing_column"),
        )
        self.world.end(execution, "FAILED", "files_rejected")

    def lose(self) -> None:
        """Whatever runs comes to nothing, and nobody records it."""
        for execution in self._running():
            execution.status = "FAILED"
        self.world.clock.pass_seconds(25 * 3600)

    def settle(self) -> None:
        """Everything is told again until nothing is left to do, and every run succeeds."""
        self.world.states.failures = []
        for _ in range(10):
            self.world.clock.pass_seconds(400)
            before = len(self.world.states.executions)
            failed = self.world.deliver(self.events)
            for execution in self._running():
                self.world.end(execution)
            if not failed and len(self.world.states.executions) == before:
                return
        raise AssertionError("arrivals never settle")

    def check(self) -> None:
        """Every version was loaded by one run at most, and the newest bytes of every file are in."""
        loaded: dict[tuple[str, str], list[str]] = {}
        for execution in self.world.states.executions.values():
            for file in self.world.manifest(execution).files:
                if self._is_loaded(execution, file.uri, file.version_id):
                    loaded.setdefault((file.key.removeprefix(FOLDER), file.version_id), []).append(execution.name)
        assert all(len(executions) == 1 for executions in loaded.values()), loaded
        everywhere = {(_format(key), content) for key in KEYS for version, content in self.uploads[key] if (key, version) in loaded}
        for key, versions in self.uploads.items():
            winners = [content for version, content in versions if (key, version) in loaded]
            if winners:
                assert winners[-1] == versions[-1][1], f"{key} holds {winners[-1]!r} after {versions}"
            elif versions:
                assert (_format(key), versions[-1][1]) in everywhere, f"the bytes of {key} were loaded nowhere"

    def _running(self) -> list[Execution]:
        return [execution for execution in self.world.states.executions.values() if execution.status == "RUNNING"]

    def _at(self, places: list[int]) -> list[dict[str, Any]]:
        return [self.events[place % len(self.events)] for place in places]

    def _is_loaded(self, execution: Execution, uri: str, version: str) -> bool:
        run = self.world.audit.get_run(execution.input["run_id"], pipeline=PIPELINE)
        assert run is not None
        if run.status == "SUCCEEDED":
            return True
        if run.reason != "files_rejected":
            return False
        return self.world.audit.get_file(pipeline=PIPELINE, run_id=run.run_id, source=uri, version=version) is None


def _format(key: str) -> str:
    return key.rpartition(".")[2]


@pytest.fixture(scope="module")
def _moto() -> Iterator[None]:
    with a_world():
        yield


@pytest.mark.usefixtures("_moto")
@settings(max_examples=40, deadline=None, suppress_health_check=(HealthCheck.too_slow, HealthCheck.function_scoped_fixture))
@given(first=st.lists(UPLOAD, min_size=1, max_size=4), steps=st.lists(STEPS, min_size=3, max_size=10))
def test_whatever_happens_the_newest_bytes_of_every_file_are_loaded_once(first: list[Any], steps: list[Any]) -> None:
    arrivals = Arrivals()
    for name, *arguments in [*first, *steps]:
        getattr(arrivals, name)(*arguments)
    arrivals.settle()
    arrivals.check()
