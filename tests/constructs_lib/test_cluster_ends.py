"""Whatever happens to a run, its cluster is terminated: over the machine as a graph, and with a failure in every state."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from constructs_lib.checks import InvalidProps
from constructs_lib.orchestration import EmrCluster, EmrStep, GlueStep, MachineStep
from constructs_lib.orchestration.definition import definition, machine_seconds
from constructs_lib.orchestration.steps import MachineFunctions
from lakehouse.emr import LIVE, Clusters
from lambdas.cluster_ender.ender import ClusterEnder, EndRequest
from tests.machine_interpreter import Execution, Stopped, TaskError, ways

FUNCTIONS = MachineFunctions(partition="aws", recorder="arn:recorder", notifier="arn:notifier")
MACHINE = "lakehouse-test-orders"
RUN = "0191-run"
GIVEN = {
    "pipeline": "orders", "run_id": RUN, "attempt": 1, "trigger": "manual", "manifest": "s3://m", "batch_id": "b", "files": 1,
}  # fmt: skip

CLUSTER = EmrCluster(
    machine=MACHINE,
    request={"ReleaseLabel": "emr-spark-8.0.0"},
    tags={"pipeline": "orders"},
    service_role_arn="arn:service",
    instance_role_arn="arn:instance",
    ender="arn:ender",
)


def on_cluster(name: str, cluster: EmrCluster = CLUSTER) -> EmrStep:
    return EmrStep(
        name=name, timeout_minutes=5, job_name=name, role_arn=f"arn:{name}", cluster=cluster, words=("spark-submit", "s3://x.py")
    )


def on_glue(name: str) -> GlueStep:
    return GlueStep(name=name, timeout_minutes=5, job_name=name)


STEPS: Mapping[str, tuple[MachineStep, ...]] = {
    "all on it": (on_cluster("ingest"), on_cluster("refine")),
    "one of them": (on_glue("ingest"), on_cluster("refine"), on_glue("publish")),
    "another between": (on_cluster("ingest"), on_glue("refine"), on_cluster("publish")),
}


def machine(steps: tuple[MachineStep, ...]) -> dict[str, Any]:
    return definition(functions=FUNCTIONS, pipeline="orders", steps=steps, tables=["a.b"], timeout_minutes=60, has_manifest=True)


class FakeEmr:
    """EMR, as far as clusters come and go: a boto3 client and Step Functions' integration over the same clusters."""

    def __init__(self) -> None:
        self.clusters: dict[str, dict[str, Any]] = {}
        self.steps: list[str] = []

    @property
    def live(self) -> list[str]:
        return [id_ for id_, cluster in self.clusters.items() if cluster["State"] in LIVE]

    def create(self, name: str) -> str:
        id_ = f"j-{len(self.clusters) + 1}"
        self.clusters[id_] = {"Name": name, "State": "WAITING", "IsProtected": False}
        return id_

    def get_paginator(self, operation: str) -> FakeEmr:
        assert operation == "list_clusters"
        return self

    def paginate(self, *, ClusterStates: list[str], CreatedAfter: datetime) -> Iterator[dict[str, Any]]:  # noqa: N803 - as boto3 has it
        assert CreatedAfter.tzinfo is not None
        for id_, cluster in self.clusters.items():  # a page a cluster
            if cluster["State"] in ClusterStates:
                yield {"Clusters": [{"Id": id_, "Name": cluster["Name"]}]}

    def describe_cluster(self, *, ClusterId: str) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
        return {"Cluster": {"Status": {"State": self.clusters[ClusterId]["State"]}}}

    def set_termination_protection(self, *, JobFlowIds: list[str], TerminationProtected: bool) -> None:  # noqa: N803 - as boto3 has it
        for id_ in JobFlowIds:
            self.clusters[id_]["IsProtected"] = TerminationProtected

    def terminate_job_flows(self, *, JobFlowIds: list[str]) -> None:  # noqa: N803 - as boto3 has it
        for id_ in JobFlowIds:
            if self.clusters[id_]["IsProtected"]:
                raise RuntimeError("ValidationException: the cluster is protected")
            self.clusters[id_]["State"] = "TERMINATED"


class World:
    """What a machine does its tasks in: one state of it may fail before or after its effect, every time or once; one may be where somebody stops the run."""

    def __init__(
        self, *, bad: str = "", error: TaskError | None = None, after_effect: bool = False, stop_in: str = "", protects: bool = False
    ) -> None:
        self.emr = FakeEmr()
        self.ender = ClusterEnder(clusters=Clusters(client=self.emr))
        self.bad, self.error, self.after_effect, self.stop_in, self.protects = bad, error, after_effect, stop_in, protects
        self.told: list[dict[str, Any]] = []

    def __call__(self, state: str, resource: str, parameters: Any) -> Any:
        if state == self.bad and not self.after_effect and self.error is not None:
            raise self.error
        answer = self.effect(resource, parameters)
        if state == self.bad and self.error is not None:
            raise self.error
        if state == self.stop_in:
            raise Stopped
        return answer

    def effect(self, resource: str, parameters: Any) -> Any:
        what = resource.rpartition(":")[2]
        if what == "createCluster.sync":
            id_ = self.emr.create(parameters["Name"])
            self.emr.clusters[id_]["IsProtected"] = self.protects
            return {"ClusterId": id_}
        if what == "addStep.sync":
            assert parameters["ClusterId"] in self.emr.live, "a step on a cluster that is gone"
            self.emr.steps.append(parameters["Step"]["Name"])
            return {"StepId": "s-1"}
        if what == "setClusterTerminationProtection":
            self.emr.set_termination_protection(
                JobFlowIds=[parameters["ClusterId"]], TerminationProtected=parameters["TerminationProtected"]
            )
            return {}
        if what == "terminateCluster.sync":
            if self.emr.clusters[parameters["ClusterId"]]["IsProtected"]:
                raise TaskError("EMR.AmazonElasticMapReduceException", "the cluster is protected")
            self.emr.terminate_job_flows(JobFlowIds=[parameters["ClusterId"]])
            return {}
        if what == "startJobRun.sync":
            return {}
        assert what == "invoke", resource
        return {"Payload": self.invoke(parameters["FunctionName"], parameters["Payload"])}

    def invoke(self, function: str, payload: dict[str, Any]) -> Any:
        if function == "arn:ender":
            return {"ended": list(self.ender.end(EndRequest.from_event(payload)))}
        self.told.append(payload)
        match payload.get("action"):
            case "lease":
                return {"acquired": True}
            case "finish":
                return {"status": "SUCCEEDED"}
            case "explain":
                return {"Error": payload["failure"]["Error"], "Cause": payload["failure"].get("Cause", "")}
            case _:
                return {}


def run(steps: str, world: World) -> Execution:
    return Execution(machine(STEPS[steps]), world).run(GIVEN)


def backstop(world: World, execution: Execution) -> None:
    """What EventBridge says of a bad end."""
    event = {
        "source": "aws.states",
        "detail": {
            "status": execution.status,
            "stateMachineArn": f"arn:aws:states:us-east-1:1:stateMachine:{MACHINE}",
            "executionArn": "arn:execution",
            "input": json.dumps(GIVEN),
            "startDate": int(datetime(2026, 11, 22, 3, tzinfo=UTC).timestamp() * 1000),
        },
    }
    world.ender.end(EndRequest.from_event(event))


@pytest.mark.parametrize("steps", STEPS)
def test_a_good_run_has_one_cluster_which_is_gone_before_the_run_is_finished(steps: str) -> None:
    world = World()
    execution = run(steps, world)
    assert execution.status == "SUCCEEDED"
    assert [cluster["Name"] for cluster in world.emr.clusters.values()] == [f"{MACHINE}-{RUN}"]
    assert not world.emr.live
    assert execution.passed.index("Cluster: terminate") < execution.passed.index("RecordFinish")
    assert not [name for name in execution.passed if "after failure" in name]


def test_steps_before_and_after_do_without_a_cluster() -> None:
    passed = run("one of them", World()).passed
    order = ["Step ingest", "Cluster", "Step refine", "Cluster: terminate", "Step publish", "RecordFinish"]
    assert [passed.index(name) for name in order] == sorted(passed.index(name) for name in order)


ERRORS = {
    "may pass": TaskError("States.TaskFailed", "the driver was lost"),
    "is final": TaskError("States.TaskFailed", "RunFailed: quality_gate: no"),
    "times out": TaskError("States.Timeout", None),
    "is refused": TaskError("EMR.AmazonElasticMapReduceException", "AccessDeniedException"),
}
TASKS = [
    (steps, name) for steps, kinds in STEPS.items() for name, state in machine(kinds)["States"].items() if state["Type"] == "Task"
]  # fmt: skip


@pytest.mark.parametrize("after_effect", [False, True], ids=["before it works", "after it worked"])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(("steps", "state"), TASKS)
def test_whichever_state_fails_the_cluster_is_terminated_by_the_machine(steps: str, state: str, error: str, after_effect: bool) -> None:
    world = World(bad=state, error=ERRORS[error], after_effect=after_effect)
    if "after failure" in state or "again" in state or "second" in state:
        world = World(bad=state, error=ERRORS[error], after_effect=after_effect)
        world = failing_step(world, state)
    execution = run(steps, world)
    assert execution.status in {"SUCCEEDED", "FAILED"}
    assert not world.emr.live, execution.passed


def failing_step(world: World, state: str) -> World:
    """A world in which the steps fail too, so that the states of a failure are passed."""
    inner = world.__call__

    class Worse(World):
        def __call__(self, name: str, resource: str, parameters: Any) -> Any:
            if name != state and "addStep.sync" in resource and "second" not in name:
                raise ERRORS["may pass"] if "again" in state or "second" in state else ERRORS["is final"]
            return inner(name, resource, parameters)

    worse = Worse()
    worse.emr, worse.ender = world.emr, world.ender
    return worse


def test_whichever_state_fails_is_tried_by_the_test_above() -> None:
    passed: set[str] = set()
    for (steps, state), error in itertools.product(TASKS, ERRORS.values()):
        world = World(bad=state, error=error)
        if steps == "all on it":
            passed |= set(run(steps, failing_step(world, state) if "after failure" in state or "second" in state else world).passed)
    assert set(machine(STEPS["all on it"])["States"]) - passed == {"WaitForLease"}


@pytest.mark.parametrize(("steps", "state"), TASKS)
def test_wherever_a_run_is_stopped_the_backstop_ends_its_cluster(steps: str, state: str) -> None:
    world = World(stop_in=state)
    execution = run(steps, world)
    if execution.status == "ABORTED":
        backstop(world, execution)
    assert not world.emr.live


def test_a_cluster_that_was_made_twice_goes_as_well() -> None:
    world = World()
    world.emr.create(f"{MACHINE}-{RUN}")  # its answer was lost, and the call was repeated
    assert run("all on it", world).status == "SUCCEEDED"
    assert not world.emr.live


def test_clusters_of_other_runs_stay() -> None:
    world = World()
    other = world.emr.create(f"{MACHINE}-another-run")
    run("all on it", world)
    assert world.emr.live == [other]


@pytest.mark.parametrize("steps", STEPS)
def test_a_protected_cluster_ends_too(steps: str) -> None:
    world = World(protects=True)
    assert run(steps, world).status == "SUCCEEDED"
    assert not world.emr.live


def test_a_creation_that_half_succeeds_is_ended_by_name_and_blamed_on_the_cluster() -> None:
    world = World(bad="Cluster", error=ERRORS["times out"], after_effect=True)
    execution = run("all on it", world)
    assert world.emr.clusters
    assert not world.emr.live
    (failed,) = [payload for payload in world.told if payload.get("action") == "fail"]
    assert failed["step"] == "cluster"
    assert failed["failure"] == {"Error": "States.Timeout"}
    assert execution.status == "FAILED"


def test_what_went_wrong_first_is_what_the_run_failed_for() -> None:
    class Worse(World):
        def __call__(self, state: str, resource: str, parameters: Any) -> Any:
            if state.startswith("Cluster:"):
                raise TaskError("EMR.AmazonElasticMapReduceException", "nothing works")
            return super().__call__(state, resource, parameters)

    world = Worse(bad="Step ingest", error=ERRORS["is final"])
    execution = run("all on it", world)
    (failed,) = [payload for payload in world.told if payload.get("action") == "fail"]
    assert failed["step"] == "ingest"
    assert failed["failure"]["Cause"] == "RunFailed: quality_gate: no"
    backstop(world, execution)
    assert not world.emr.live


def test_a_cluster_that_cannot_be_ended_fails_the_run_and_somebody_is_told() -> None:
    class Worse(World):
        def __call__(self, state: str, resource: str, parameters: Any) -> Any:
            if state.startswith("Cluster: "):
                raise TaskError("States.Timeout", None)
            return super().__call__(state, resource, parameters)

    world = Worse()
    execution = run("all on it", world)
    assert execution.status == "FAILED"
    assert execution.passed[-4:] == ["Cluster: not removed", "RecordFailure", "NotifyFailure", "Failed"]


def test_a_job_is_tried_again_on_the_same_cluster_unless_it_said_that_this_is_of_no_use() -> None:
    class Says(World):
        def invoke(self, function: str, payload: dict[str, Any]) -> Any:
            if payload.get("action") == "explain":
                return {"Error": "States.TaskFailed", "Cause": "RunFailed: quality_gate: too bad"}
            return super().invoke(function, payload)

    bad = TaskError("States.TaskFailed", '{"Step":{"Status":{"State":"FAILED"}}}')
    assert "Step ingest: second try" in run("all on it", World(bad="Step ingest", error=bad)).passed
    assert "Step ingest: second try" not in run("all on it", Says(bad="Step ingest", error=bad)).passed


@pytest.mark.parametrize("steps", STEPS)
def test_from_every_state_that_may_run_beside_a_cluster_every_way_leads_through_its_end(steps: str) -> None:
    states = machine(STEPS[steps])["States"]
    beside: set[str] = set()
    frontier = {"Cluster"}
    while frontier:
        here = frontier.pop()
        if here in beside or here.startswith("Cluster: end"):
            continue
        beside.add(here)
        frontier |= set(ways(states[here]))
    # Whatever is reached without passing an end is beside the cluster, so none of it may end the machine or take it out of the steps.
    assert not beside & {"RecordFinish", "RecordFailure", "NotifyFailure", "Done", "Failed", "MachineFailed"}
    assert all(states[name]["Type"] not in {"Succeed", "Fail"} for name in beside)
    for name in beside - {"Cluster", "Cluster: failed"}:
        if name.startswith("Step "):
            assert not ways_around(states, name, "Cluster: terminate"), name


def ways_around(states: Mapping[str, Any], start: str, gate: str) -> set[str]:
    """Ends of the machine that can be reached from a state without passing a gate, in either of its two places."""
    seen: set[str] = set()
    frontier = {start}
    while frontier:
        here = frontier.pop()
        if here in seen or here.startswith(gate):
            continue
        seen.add(here)
        frontier |= set(ways(states[here]))
    return {name for name in seen if states[name]["Type"] in {"Succeed", "Fail"}}


@pytest.mark.parametrize("steps", STEPS)
def test_every_task_of_such_a_machine_has_a_timeout_and_retries_before_it_catches(steps: str) -> None:
    for name, state in machine(STEPS[steps])["States"].items():
        if state["Type"] == "Task":
            keys = list(state)
            assert state["TimeoutSeconds"] > 0
            assert keys.index("Retry") < keys.index("Catch"), name
            assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


def test_the_machine_has_time_for_its_cluster() -> None:
    assert machine(STEPS["all on it"])["TimeoutSeconds"] == machine_seconds(60) + CLUSTER.seconds
    assert CLUSTER.seconds >= 45 * 60


def test_a_run_has_one_cluster() -> None:
    other = replace(CLUSTER, start_minutes=60)
    with pytest.raises(InvalidProps, match="a run has one"):
        machine((on_cluster("ingest"), on_cluster("refine", other)))
    with pytest.raises(InvalidProps, match="start_minutes must be 10-180"):
        replace(CLUSTER, start_minutes=5)
