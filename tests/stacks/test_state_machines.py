"""What holds for every state of every pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.stacks.conftest import Assembly, flat


def machines(assembly: Assembly) -> Iterator[tuple[str, dict[str, Any]]]:
    for properties in assembly.properties("AWS::StepFunctions::StateMachine"):
        yield flat(properties["StateMachineName"]), json.loads(flat(properties["DefinitionString"]))


def tasks(assembly: Assembly) -> Iterator[tuple[str, dict[str, Any], int]]:
    for name, machine in machines(assembly):
        for id_, state in machine["States"].items():
            if state["Type"] == "Task":
                yield f"{name}/{id_}", state, machine["TimeoutSeconds"]


def test_every_machine_has_a_timeout(assembly: Assembly) -> None:
    assert all(machine["TimeoutSeconds"] > 0 for _, machine in machines(assembly))


def test_every_task_has_a_timeout_and_retries_before_it_catches(assembly: Assembly) -> None:
    found = list(tasks(assembly))
    assert len(found) > 20
    for name, state, _ in found:
        assert state["TimeoutSeconds"] > 0, name
        assert state["Retry"], name
        assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
        keys = list(state)
        assert keys.index("Retry") < keys.index("Catch"), name


def test_every_state_leads_somewhere_that_exists_and_every_state_is_reached(assembly: Assembly) -> None:
    for name, machine in machines(assembly):
        states = machine["States"]
        reached = {machine["StartAt"]}
        for state in states.values():
            reached |= {state[key] for key in ("Next", "Default") if key in state}
            reached |= {branch["Next"] for key in ("Choices", "Catch") for branch in state.get(key, [])}
        assert reached == set(states), name


def test_whatever_fails_is_recorded_and_told_before_the_machine_fails(assembly: Assembly) -> None:
    for name, machine in machines(assembly):
        states = machine["States"]
        for id_, state in states.items():
            if state["Type"] != "Task" or id_ in {"RecordFailure", "NotifyFailure"}:
                continue
            seen, here = [], state["Catch"][-1]["Next"]
            while states[here]["Type"] != "Fail":
                seen.append(here)
                here = states[here].get("Default") or states[here]["Next"]
            assert seen[-2:] == ["RecordFailure", "NotifyFailure"], (name, id_)
        assert states["RecordFailure"]["Catch"][0]["Next"] == "NotifyFailure"


def test_no_path_of_a_failure_is_read_that_a_timeout_may_lack(assembly: Assembly) -> None:
    for name, machine in machines(assembly):
        assert machine["States"]["RecordFailure"]["Parameters"]["Payload"]["failure.$"] == "$.failure", name
        for id_, state in machine["States"].items():
            rules = [rule for choice in state.get("Choices", ()) for rule in choice.get("And", ())]
            causes = [rule for rule in rules if "$.failure.Cause" in json.dumps(rule)]
            assert not causes or causes[0] == {"Variable": "$.failure.Cause", "IsPresent": True}, (name, id_)
            assert "$.failure." not in json.dumps(state.get("Parameters")), (name, id_)


def test_a_failed_step_is_named(assembly: Assembly) -> None:
    for _, machine in machines(assembly):
        for id_, state in machine["States"].items():
            if state["Type"] == "Task" and "glue:startJobRun" in state["Resource"]:
                catching = state["Catch"][-1]["Next"]
                final = machine["States"][catching].get("Default", catching)
                blamed = machine["States"][final]
                assert blamed["Type"] == "Pass"
                assert blamed["Result"] == id_.removeprefix("Step ").removesuffix(": second try")


def test_only_the_machine_retries_a_job_and_once_at_most(assembly: Assembly) -> None:
    for _, machine in machines(assembly):
        jobs = [state for state in machine["States"].values() if "glue:startJobRun" in state.get("Resource", "")]
        for state in jobs:
            assert all(
                "States.TaskFailed" not in retry["ErrorEquals"] and "States.ALL" not in retry["ErrorEquals"] for retry in state["Retry"]
            )
        assert len({json.dumps(job["Parameters"], sort_keys=True) for job in jobs}) * 2 == len(jobs)


def test_a_run_is_told_apart_from_its_attempts(prod: Assembly) -> None:
    machine = dict(machines(prod))["lakehouse-prod-orders"]
    assert machine["States"]["Step ingest"]["Parameters"]["Arguments"] == {
        "--run_id.$": "$.run_id",
        "--attempt.$": "States.Format('{}', $.attempt)",
        "--manifest.$": "$.manifest",
        "--batch_id.$": "$.batch_id",
    }


def test_a_run_that_follows_others_has_no_manifest(prod: Assembly) -> None:
    machine = dict(machines(prod))["lakehouse-prod-daily_revenue"]
    assert machine["States"]["Step publish"]["Parameters"]["Arguments"]["--manifest"] == "none"


def test_a_run_takes_the_leases_of_all_tables_that_it_writes(prod: Assembly) -> None:
    machine = dict(machines(prod))["lakehouse-prod-orders"]
    assert machine["States"]["AcquireLease"]["Parameters"]["Payload"]["tables"] == [
        "bronze_tpch.orders",
        "quarantine_tpch.orders",
        "silver_tpch.orders",
    ]


def test_a_taken_lease_is_waited_for_in_the_machine(assembly: Assembly) -> None:
    for _, machine in machines(assembly):
        assert machine["States"]["IsLeaseTaken"]["Default"] == "WaitForLease"
        assert machine["States"]["WaitForLease"]["Type"] == "Wait"


def test_machines_log_everything_but_data_and_are_traced(assembly: Assembly) -> None:
    for properties in assembly.properties("AWS::StepFunctions::StateMachine"):
        assert properties["LoggingConfiguration"]["Level"] == "ALL"
        assert properties["LoggingConfiguration"]["IncludeExecutionData"] is False
        assert properties["TracingConfiguration"] == {"Enabled": True}


def test_a_task_may_take_as_long_as_its_job_and_a_little_more(assembly: Assembly) -> None:
    timeouts = {job["Name"]: job["Timeout"] * 60 for job in assembly.properties("AWS::Glue::Job")}
    for name, state, _ in tasks(assembly):
        if "glue:startJobRun" in state["Resource"]:
            assert state["TimeoutSeconds"] > timeouts[state["Parameters"]["JobName"]], name
