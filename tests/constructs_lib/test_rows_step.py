"""The step of a group: one Map, whose rows fail alone, each with a run of its own."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.checks import InvalidProps
from constructs_lib.orchestration import RowsStep
from constructs_lib.orchestration.definition import definition
from constructs_lib.orchestration.steps import MachineFunctions

FUNCTIONS = MachineFunctions(
    partition="aws", recorder="arn:aws:lambda:eu-west-1:1:function:r", notifier="arn:aws:lambda:eu-west-1:1:function:n"
)


def step(**changes: Any) -> RowsStep:
    given: dict[str, Any] = {"name": "rows", "job_name": "lake-shop-rows", "timeout_minutes": 30, "concurrency": 3, **changes}
    return RowsStep(**given)


def states(**changes: Any) -> dict[str, Any]:
    found = definition(
        functions=FUNCTIONS,
        pipeline="shop_tables",
        steps=[step(**changes)],
        tables=["rows.shop_tables"],
        timeout_minutes=60,
        has_manifest=False,
    )
    return found["States"]


@pytest.fixture
def each() -> dict[str, Any]:
    return states()["Step rows: each row"]


@pytest.fixture
def row(each: dict[str, Any]) -> dict[str, Any]:
    return each["ItemProcessor"]["States"]


def payload(state: dict[str, Any]) -> dict[str, Any]:
    return state["Parameters"]["Payload"]


def test_rows_are_read_run_some_at_a_time_and_judged() -> None:
    found = states()
    assert found["IsLeaseTaken"]["Choices"][0]["Next"] == "Step rows"
    assert payload(found["Step rows"])["action"] == "begin_rows"
    assert found["Step rows"]["Next"] == "Step rows: each row"
    assert (found["Step rows: each row"]["MaxConcurrency"], found["Step rows: each row"]["Next"]) == (3, "Step rows: judge")
    assert payload(found["Step rows: judge"])["action"] == "end_rows"
    assert found["Step rows: judge"]["Next"] == "RecordFinish"


def test_nothing_of_a_row_stays_in_the_state_of_the_machine(each: dict[str, Any], row: dict[str, Any]) -> None:
    assert each["ResultPath"] is None
    ends = {name: state for name, state in row.items() if state.get("End")}
    assert ends == {"Step rows: row is over": {"Type": "Pass", "Result": {}, "End": True}}


def test_whatever_fails_in_a_row_ends_the_row_and_not_the_others(row: dict[str, Any]) -> None:
    assert not any(state["Type"] in ("Fail", "Succeed") for state in row.values())
    for name, state in row.items():
        if state["Type"] != "Task":
            continue
        assert state["TimeoutSeconds"] > 0, name
        assert state["Retry"], name
        (caught,) = state["Catch"]
        assert caught["ErrorEquals"] == ["States.ALL"], name
        assert caught["Next"] in row, name
    assert row["Step rows: row fails"]["Catch"][0]["Next"] == row["Step rows: row fails"]["Next"] == "Step rows: row is over"
    assert row["Step rows: job of a row, second try"]["Catch"][0]["Next"] == "Step rows: row fails"


def test_the_job_runs_as_the_pipeline_of_the_row(row: dict[str, Any]) -> None:
    job = row["Step rows: job of a row"]
    assert job["Parameters"]["JobName"] == "lake-shop-rows"
    assert job["Parameters"]["Arguments"] == {
        "--run_id.$": "$.run_id",
        "--attempt.$": "States.Format('{}', $.attempt)",
        "--manifest": "none",
        "--batch_id": "none",
        "--pipeline.$": "$.pipeline",
        "--row.$": "$.row",
    }
    assert job["TimeoutSeconds"] == 30 * 60 + 300
    assert payload(row["Step rows: row begins"])["pipeline.$"] == payload(row["Step rows: row ends"])["pipeline.$"] == "$.pipeline"
    assert payload(row["Step rows: row begins"])["seconds"] > 2 * job["TimeoutSeconds"]


def test_a_row_that_is_refused_starts_no_job(row: dict[str, Any]) -> None:
    assert row["Step rows: is the row refused?"]["Choices"] == [
        {"Variable": "$.refused", "BooleanEquals": True, "Next": "Step rows: row is refused"}
    ]
    assert row["Step rows: is the row refused?"]["Default"] == "Step rows: job of a row"
    assert row["Step rows: row is refused"]["Next"] == "Step rows: row fails"


def test_every_input_of_a_row_is_handed_to_it(each: dict[str, Any], row: dict[str, Any]) -> None:
    given = {key.removesuffix(".$") for key in each["ItemSelector"]}
    asked = set[str]()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            for key, part in value.items():
                if key.endswith(".$") and isinstance(part, str) and not part.startswith("$$"):
                    asked.update(
                        word
                        for word in ("row", "pipeline", "run_id", "refused", "cause", "attempt", "trigger", "failure")
                        if f"$.{word}" in part
                    )
                look(part)

    look(row)
    assert asked - {"failure"} <= given


def test_states_have_names_of_their_own_that_fit(row: dict[str, Any]) -> None:
    longest = states(name="r" * 35)
    inner = longest[f"Step {'r' * 35}: each row"]["ItemProcessor"]["States"]
    assert max(map(len, [*longest, *inner])) <= 80
    assert not set(states()) & set(row)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"concurrency": 0}, "concurrency of step rows"),
        ({"concurrency": 41}, "concurrency of step rows"),
        ({"name": "r" * 36}, "at most 35 characters"),
        ({"job_name": ""}, "has no job_name"),
        ({"arguments": {"--run_id": "x"}}, "the machine fills it in"),
    ],
)
def test_what_step_functions_or_the_machine_would_not_take_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidProps, match=said):
        step(**changes)
