"""A model of arrivals: whatever is delivered, redelivered, lost, failed, re-uploaded or killed, in whatever order, the newest bytes win, once."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from lakehouse.audit import FileRecord
from tests.lambdas.world import FOLDER, PIPELINE, Crash, Execution, Trap, World, a_world, client, make_tables

KEYS = ("a.csv", "b.csv")
CONTENTS = (b"A", b"B")

_tables = itertools.count()


class Arrivals(RuleBasedStateMachine):
    """Uploads and deliveries against the real starter; runs end as the rules say."""

    @initialize()
    def begin(self) -> None:
        number = next(_tables)
        audit, control = f"audit{number}", f"control{number}"
        make_tables(client("dynamodb"), audit=audit, control=control)
        self.world = World(dynamodb=client("dynamodb"), s3=client("s3"), audit_table=audit, control_table=control)
        self.world.states.on_start = self.world.record_start
        self.events: list[dict[str, Any]] = []
        self.uploads: dict[str, list[tuple[str, bytes]]] = {key: [] for key in KEYS}

    def _running(self) -> list[Execution]:
        return [execution for execution in self.world.states.executions.values() if execution.status == "RUNNING"]

    @rule(key=st.sampled_from(KEYS), contents=st.lists(st.sampled_from(CONTENTS), min_size=1, max_size=3))
    def upload(self, key: str, contents: list[bytes]) -> None:
        for content in contents:
            event = self.world.drop(key, content)
            self.events.append(event)
            self.uploads[key].append((event["detail"]["object"]["version-id"], content))

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        self.world.deliver(self._some(data))

    @rule(data=st.data(), at=st.integers(0, 30))
    def die_while_delivering(self, data: st.DataObject, at: int) -> None:
        try:
            self.world.deliver(self._some(data), trap=Trap(at=at))
        except Crash:
            self.world.clock.pass_seconds(data.draw(st.sampled_from([1, 400])))

    @rule()
    def fail_to_start(self) -> None:
        self.world.states.failures = [RuntimeError("throttled")]

    @rule(data=st.data(), status=st.sampled_from(["SUCCEEDED", "FAILED", "TIMED_OUT", "REJECTED"]))
    def end_a_run(self, data: st.DataObject, status: str) -> None:
        running = self._running()
        if not running:
            return
        execution = data.draw(st.sampled_from(running))
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

    def teardown(self) -> None:
        """Everything is told again until nothing is left to do, and every run succeeds: then the newest bytes of every file are in."""
        if not hasattr(self, "world"):
            return
        self.world.states.failures = []
        for _ in range(10):
            self.world.clock.pass_seconds(400)
            before = len(self.world.states.executions)
            failed = self.world.deliver(self.events)
            for execution in self._running():
                self.world.end(execution)
            if not failed and len(self.world.states.executions) == before:
                break
        else:
            raise AssertionError("arrivals never settle")
        self._check()

    def _some(self, data: st.DataObject) -> list[dict[str, Any]]:
        return data.draw(st.lists(st.sampled_from(self.events[-5:]), min_size=1, max_size=3)) if self.events else []

    def _check(self) -> None:
        loaded: dict[tuple[str, str], list[Execution]] = {}
        for execution in self.world.states.executions.values():
            for file in self.world.manifest(execution).files:
                if self._is_loaded(execution, file.uri, file.version_id):
                    loaded.setdefault((file.key.removeprefix(FOLDER), file.version_id), []).append(execution)
        for place, executions in loaded.items():
            assert len(executions) == 1, f"{place} was loaded by {len(executions)} runs"
        everywhere = {content for key in KEYS for version, content in self.uploads[key] if (key, version) in loaded}
        for key, versions in self.uploads.items():
            if not versions:
                continue
            newest = versions[-1][1]
            winners = [content for version, content in versions if (key, version) in loaded]
            if winners:
                assert winners[-1] == newest, f"{key} holds {winners[-1]!r} after {versions}"
            else:
                assert newest in everywhere, f"the bytes of {key} were loaded nowhere"

    def _is_loaded(self, execution: Execution, uri: str, version: str) -> bool:
        run = self.world.audit.get_run(execution.input["run_id"], pipeline=PIPELINE)
        assert run is not None
        if run.status == "SUCCEEDED":
            return True
        if run.reason != "files_rejected":
            return False
        return self.world.audit.get_file(pipeline=PIPELINE, run_id=run.run_id, source=uri, version=version) is None


def test_whatever_happens_the_newest_bytes_of_every_file_are_loaded_once() -> None:
    with a_world():
        run_state_machine_as_test(
            Arrivals,
            settings=settings(
                max_examples=60, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck), database=None
            ),
        )
