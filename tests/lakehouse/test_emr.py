"""Clusters and steps of EMR on EC2: what is submitted, what is raised, and that nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import moto
import pytest

from lakehouse.emr import (
    ClusterFailed,
    Clusters,
    ClusterStep,
    ClusterTimeout,
    InvalidStepError,
    StepFailed,
    cluster_name,
    spark_step,
    spark_words,
)

REQUEST = {
    "Name": "orders-1",
    "Instances": {"KeepJobFlowAliveWhenNoSteps": True, "TerminationProtected": True},
    "AutoTerminationPolicy": {"IdleTimeout": 3600},
}
STEP = ClusterStep(config=spark_step("load", "s3://code/load.py"), role_arn="arn:aws:iam::1:role/load")


def test_a_spark_step_is_golden() -> None:
    assert spark_step(
        "load",
        "s3://code/load.py",
        arguments=["--env", "prod", "--run-date", "2026-11-22"],
        settings={"spark.sql.shuffle.partitions": "8"},
        py_files=["s3://code/one.zip", "s3://code/two.zip"],
        archives=["s3://code/packages.zip#packages"],
        jars=["s3://code/driver.jar"],
    ) == {
        "Name": "load",
        "ActionOnFailure": "TERMINATE_CLUSTER",
        "HadoopJarStep": {
            "Jar": "command-runner.jar",
            "Args": [
                "spark-submit", "--deploy-mode", "cluster",
                "--py-files", "s3://code/one.zip,s3://code/two.zip", "--archives", "s3://code/packages.zip#packages", "--jars", "s3://code/driver.jar",
                "--conf", "spark.sql.shuffle.partitions=8", "--conf", "spark.yarn.maxAppAttempts=1",
                "--conf", "spark.yarn.submit.waitAppCompletion=true",
                "s3://code/load.py", "--env", "prod", "--run-date", "2026-11-22",
            ],
        },
    }  # fmt: skip


@pytest.mark.parametrize("word", ["two words", "it's", "$HOME", "a;b", "a|b", "`a`", "a>b", "{a}", "*", "", "a\\b"])
def test_a_word_that_a_shell_would_change_is_refused(word: str) -> None:
    with pytest.raises(InvalidStepError, match="would not arrive"):
        spark_step("load", "s3://code/load.py", arguments=["--note", word])


@pytest.mark.parametrize("setting", ["spark.submit.deployMode", "spark.master"])
def test_a_step_runs_in_cluster_mode_on_yarn_and_nowhere_else(setting: str) -> None:
    with pytest.raises(InvalidStepError, match="is not for a step to set"):
        spark_words("s3://code/load.py", settings={setting: "client"})


def test_what_becomes_of_the_cluster_is_one_of_emr_s_words() -> None:
    assert spark_step("a", "s3://a.py", action_on_failure="CONTINUE")["ActionOnFailure"] == "CONTINUE"
    with pytest.raises(InvalidStepError, match="TERMINATE_CLUSTER, CANCEL_AND_WAIT, CONTINUE, got 'STOP'"):
        spark_step("a", "s3://a.py", action_on_failure="STOP")


class FakeEmr:
    """EMR that answers what it is told to: the states of the cluster and of each step, look by look."""

    def __init__(self, *, states: list[str], steps: list[list[str]] | None = None, protected_forever: bool = False) -> None:
        self.states, self.step_states, self.protected_forever = states, steps or [], protected_forever
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.state = "STARTING"
        self.is_protected = False

    def run_job_flow(self, **request: Any) -> dict[str, Any]:
        self.calls.append(("run", request))
        self.is_protected = request["Instances"]["TerminationProtected"]
        return {"JobFlowId": "j-1"}

    def describe_cluster(self, **_: Any) -> dict[str, Any]:
        if self.states:
            self.state = self.states.pop(0)
        reason = {"Code": "BOOTSTRAP_FAILURE", "Message": "packages returned 1"} if "ERRORS" in self.state else {}
        return {"Cluster": {"Status": {"State": self.state, "StateChangeReason": reason}}}

    def add_job_flow_steps(self, **request: Any) -> dict[str, Any]:
        self.calls.append(("add", request))
        return {"StepIds": [f"s-{sum(name == 'add' for name, _ in self.calls)}"]}  # plain texts

    def describe_step(self, **_: Any) -> dict[str, Any]:
        states = self.step_states[0]
        state = states.pop(0)
        if not states:
            self.step_states.pop(0)
        details = {"Reason": "Unknown Error.", "Message": "finished with failed status", "LogFile": "s3://logs/stderr.gz"}
        return {"Step": {"Name": "load", "Status": {"State": state, **({"FailureDetails": details} if state == "FAILED" else {})}}}

    def set_termination_protection(self, **request: Any) -> None:
        self.calls.append(("protect", request))
        self.is_protected = self.protected_forever or request["TerminationProtected"]

    def terminate_job_flows(self, **request: Any) -> None:
        if self.is_protected:
            raise RuntimeError("ValidationException: could not shut down one or more job flows since they are termination protected")
        self.calls.append(("terminate", request))
        if not self.states:
            self.state = "TERMINATED"

    @property
    def is_terminated(self) -> bool:
        return any(name == "terminate" for name, _ in self.calls)


def clusters(client: Any) -> Clusters:
    """With a clock that only waiting moves."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return Clusters(client=client, clock=lambda: now[0], sleep=sleep)


def test_steps_run_in_order_as_their_roles_and_the_cluster_is_gone_afterwards() -> None:
    client = FakeEmr(states=["STARTING", "BOOTSTRAPPING", "WAITING"], steps=[["PENDING", "RUNNING", "COMPLETED"], ["COMPLETED"]])
    assert clusters(client).run(REQUEST, [STEP, ClusterStep(config=STEP.config)], seconds=3600) == ("s-1", "s-2")
    assert [name for name, _ in client.calls] == ["run", "add", "add", "protect", "terminate"]
    added = [request for name, request in client.calls if name == "add"]
    assert added[0]["ExecutionRoleArn"] == "arn:aws:iam::1:role/load"
    assert "ExecutionRoleArn" not in added[1]


def test_a_cluster_that_ends_with_errors_raises_with_emr_s_reason() -> None:
    client = FakeEmr(states=["STARTING", "TERMINATED_WITH_ERRORS"])
    with pytest.raises(ClusterFailed, match="j-1 is TERMINATED_WITH_ERRORS: BOOTSTRAP_FAILURE: packages returned 1"):
        clusters(client).run(REQUEST, [STEP], seconds=3600)
    assert not client.is_terminated  # it is gone already


def test_a_cluster_that_ends_with_errors_after_its_steps_raises_too() -> None:
    client = FakeEmr(states=["WAITING", "RUNNING", "TERMINATING", "TERMINATED_WITH_ERRORS"], steps=[["COMPLETED"]])
    with pytest.raises(ClusterFailed, match="TERMINATED_WITH_ERRORS"):
        clusters(client).run(REQUEST, [STEP], seconds=3600)


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "INTERRUPTED", "SOMETHING_NEW"])
def test_a_step_that_does_not_complete_raises_with_its_log_and_the_cluster_is_terminated(state: str) -> None:
    client = FakeEmr(states=["WAITING"], steps=[["RUNNING", state]])
    with pytest.raises(StepFailed, match=f"step load \\(s-1\\) of cluster j-1 is {state}: ") as raised:
        clusters(client).run(REQUEST, [STEP, STEP], seconds=3600)
    assert client.is_terminated
    assert sum(name == "add" for name, _ in client.calls) == 1
    if state == "FAILED":
        assert raised.value.log == "s3://logs/stderr.gz"
        assert "finished with failed status" in str(raised.value)


def test_what_takes_too_long_is_terminated() -> None:
    client = FakeEmr(states=["STARTING"] * 100)
    with pytest.raises(ClusterTimeout, match="was still STARTING after 600 s"):
        clusters(client).run(REQUEST, [STEP], seconds=600)
    client = FakeEmr(states=["WAITING"], steps=[["RUNNING"] * 100])
    with pytest.raises(ClusterTimeout, match="step s-1 was still RUNNING"):
        clusters(client).run(REQUEST, [STEP], seconds=600)
    assert client.is_terminated


def test_a_crash_in_between_terminates_and_is_what_is_raised() -> None:
    client = FakeEmr(states=["WAITING"], steps=[])
    with pytest.raises(IndexError):
        clusters(client).run(REQUEST, [STEP], seconds=600)
    assert client.is_terminated


def test_a_cluster_that_cannot_be_terminated_is_named_beside_what_went_wrong_first() -> None:
    client = FakeEmr(states=["WAITING"], steps=[["FAILED"]], protected_forever=True)
    with pytest.raises(StepFailed) as raised:
        clusters(client).run(REQUEST, [STEP], seconds=600)
    assert "cluster j-1 could not be terminated" in "".join(raised.value.__notes__)


@pytest.mark.parametrize(("request_", "message"), [
    ({**REQUEST, "Instances": {"KeepJobFlowAliveWhenNoSteps": False}}, "would end before its first step"),
    ({key: value for key, value in REQUEST.items() if key != "AutoTerminationPolicy"}, "if this process died"),
])  # fmt: skip
def test_a_request_that_would_leave_a_cluster_behind_or_none_to_run_on_is_refused(request_: dict[str, Any], message: str) -> None:
    client = FakeEmr(states=[])
    with pytest.raises(InvalidStepError, match=message):
        clusters(client).run(request_, [STEP], seconds=600)
    assert client.calls == []


@pytest.fixture
def emr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with moto.mock_aws():
        yield boto3.client("emr", region_name="us-east-1")


def made(emr: Any, name: str, *, is_protected: bool = False) -> str:
    instances = {
        "KeepJobFlowAliveWhenNoSteps": True,
        "TerminationProtected": is_protected,
        "MasterInstanceType": "m5.xlarge",
        "InstanceCount": 1,
    }
    return emr.run_job_flow(Name=name, Instances=instances, ReleaseLabel="emr-7.0.0", JobFlowRole="p", ServiceRole="s")["JobFlowId"]


def state_of(emr: Any, cluster_id: str) -> str:
    return emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"]


def test_clusters_are_found_by_name_over_all_pages_and_ended_in_tens_protected_or_not(emr: Any) -> None:
    name = cluster_name("orders", "run")
    mine = [made(emr, name, is_protected=number % 2 == 0) for number in range(60)]
    other = made(emr, f"{name}-2")
    found = clusters(emr).live(name=name, created_after=datetime(2020, 1, 1, tzinfo=UTC))
    assert sorted(found) == sorted(mine)
    assert sorted(clusters(emr).end(found)) == sorted(mine)
    assert {state_of(emr, cluster_id) for cluster_id in mine} <= {"TERMINATED", "TERMINATING"}
    assert state_of(emr, other) not in {"TERMINATED", "TERMINATING"}
    assert clusters(emr).live(name=name) == ()
    assert clusters(emr).end(mine) == ()


def test_steps_are_cancelled_and_what_cannot_be_is_told() -> None:
    class Client:
        def cancel_steps(self, **request: Any) -> dict[str, Any]:
            assert request == {"ClusterId": "j-1", "StepIds": ["s-1", "s-2"], "StepCancellationOption": "TERMINATE_PROCESS"}
            told = [{"StepId": "s-1", "Status": "SUBMITTED"}, {"StepId": "s-2", "Status": "FAILED", "Reason": "it is over"}]
            return {"CancelStepsInfoList": told}

    assert clusters(Client()).cancel("j-1", ["s-1", "s-2"], is_killed=True) == {"s-2": "it is over"}
