"""The state machine of a pipeline as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from constructs_lib.checks import InvalidProps
from constructs_lib.orchestration.definition import definition
from constructs_lib.orchestration.steps import GlueStep, MachineFunctions, MachineStep, Permission, State, StepPlace, catch

FUNCTIONS = MachineFunctions(
    partition="aws", recorder="arn:aws:lambda:eu-west-1:1:function:r", notifier="arn:aws:lambda:eu-west-1:1:function:n"
)


def machine(*steps: str) -> dict[str, Any]:
    return definition(
        functions=FUNCTIONS,
        pipeline="orders",
        steps=[GlueStep(name=name, job_name=f"job-of-{name}", timeout_minutes=5) for name in steps],
        tables=["silver_sales.orders"],
        timeout_minutes=60,
        has_manifest=True,
    )


def jobs_of_a_good_run(states: dict[str, Any]) -> list[str]:
    """Jobs in the order in which a run passes them when nothing goes wrong, up to the record of its end."""
    jobs, here = [], states["IsLeaseTaken"]["Choices"][0]["Next"]
    while here != "RecordFinish":
        jobs.append(states[here]["Parameters"]["JobName"])
        here = states[here]["Next"]
    return jobs


@pytest.mark.parametrize(
    "steps",
    [
        ("refine", "done", "publish"),
        ("failed", "record_start", "record_finish", "machine_failed"),
        ("refine", "refine_again", "refine_failed", "may_try_refine_again", "wait_before_refine"),
        ("load_data", "load-data", "load_Data", "LoadData"),
        ("RecordStart", "NotifyFailure", "Done"),
        ("a" * 50,),
    ],
)
def test_whatever_steps_are_called_each_has_states_of_its_own(steps: tuple[str, ...]) -> None:
    states = machine(*steps)["States"]
    assert len(states) == len(machine("one")["States"]) + 5 * (len(steps) - 1)
    assert jobs_of_a_good_run(states) == [f"job-of-{name}" for name in steps]
    assert all(len(name) <= 80 for name in states)


def test_a_run_s_time_does_not_pass_while_it_waits_and_its_lease_outlasts_it() -> None:
    found = machine("refine")
    assert found["TimeoutSeconds"] == 60 * 60 + 10 * 3600
    assert found["States"]["AcquireLease"]["Parameters"]["Payload"]["seconds"] == found["TimeoutSeconds"]
    looks = 10 * 3600 / found["States"]["WaitForLease"]["Seconds"]
    assert 9 * looks < 25_000  # what an execution's history holds


@dataclass(frozen=True, kw_only=True)
class LoadStep(MachineStep):
    """A kind of step that another room might write: its remote work is cancelled when the task fails."""

    extra: str = "cancel"

    def states(self, place: StepPlace) -> Mapping[str, State]:
        cancel = self.state("cancel")
        return {
            self.state(): {"Type": "Task", "Resource": "load", "Catch": catch(cancel), "Next": place.next_},
            f"Step {self.name}: {self.extra}": {
                "Type": "Task",
                "Resource": "cancel",
                "ResultPath": None,
                "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": place.failed}],
                "Next": place.failed,
            },
        }

    def permissions(self) -> Sequence[Permission]:
        return (Permission(actions=("redshift-data:CancelStatement",), resources=("arn:x",)),)


def test_a_kind_of_step_brings_its_own_states_and_goes_on_where_it_is_told() -> None:
    steps = [GlueStep(name="publish", job_name="j", timeout_minutes=5), LoadStep(name="load", timeout_minutes=5)]
    states = definition(functions=FUNCTIONS, pipeline="p", steps=steps, tables=["a.b"], timeout_minutes=60, has_manifest=False)["States"]
    assert states["Step publish"]["Next"] == "Step load"
    assert states["Step load"]["Next"] == "RecordFinish"
    assert states["Step load: cancel"]["Next"] == "Step load: failed"
    assert states["Step load: failed"] == {"Type": "Pass", "Result": "load", "ResultPath": "$.step", "Next": "RecordFailure"}


@pytest.mark.parametrize("extra", ["failed", "a" * 80])
def test_a_kind_of_step_cannot_take_the_name_of_another_state(extra: str) -> None:
    with pytest.raises(InvalidProps, match="LoadStep calls a state 'Step load: "):
        definition(
            functions=FUNCTIONS,
            pipeline="p",
            steps=[LoadStep(name="load", timeout_minutes=5, extra=extra)],
            tables=["a.b"],
            timeout_minutes=60,
            has_manifest=False,
        )
