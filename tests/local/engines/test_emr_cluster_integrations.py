"""Step Functions makes, uses and ends clusters of EMR with the state machine's role; a cluster outlives an execution that forgets it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fixtures.platform import allow, wait_for
from tests.local.engines.emr_clusters import Clusters
from tests.local.engines.test_glue_runs import SLEEP
from tests.local.engines.test_integrations import end

pytestmark = [pytest.mark.platform, pytest.mark.timeout(400)]

MACHINE_TAG = {"Key": "machine", "Value": "m"}
REQUESTED = {"StringEquals": {"aws:RequestTag/machine": "m"}}
OWN = {"StringEquals": {"aws:ResourceTag/machine": "m"}}
ARNS = "arn:aws:elasticmapreduce:us-east-1:000000000000:cluster/*"
ERROR = "EMR.AmazonElasticMapReduceException"


def statements(*drop: str) -> list[dict[str, Any]]:
    """What a machine's role needs, each call narrowed to its own clusters."""
    wanted = {
        "RunJobFlow": allow("elasticmapreduce:RunJobFlow", Condition=REQUESTED),
        "AddTags": allow("elasticmapreduce:AddTags", ARNS, Condition=REQUESTED),
        "PassRole": allow("iam:PassRole"),
        **{
            name: allow(f"elasticmapreduce:{name}", ARNS, Condition=OWN)
            for name in (
                "DescribeCluster",
                "TerminateJobFlows",
                "AddJobFlowSteps",
                "DescribeStep",
                "CancelSteps",
                "SetTerminationProtection",
            )
        },
    }
    return [statement for name, statement in wanted.items() if name not in drop]


def task(call: str, parameters: dict[str, Any], *, following: str = "", **more: Any) -> dict[str, Any]:
    last = {"Next": following} if following else {"End": True}
    return {"Type": "Task", "Resource": f"arn:aws:states:::elasticmapreduce:{call}", "Parameters": parameters, **last, **more}


def start(clusters: Clusters, states: dict[str, Any], *drop: str) -> str:
    client = clusters.lake.aws.client("stepfunctions")
    role = clusters.lake.aws.role(*statements(*drop), service="states.amazonaws.com")
    definition = json.dumps({"StartAt": next(iter(states)), "States": states})
    machine = client.create_state_machine(name=clusters.lake.aws.name("m"), roleArn=role, definition=definition)["stateMachineArn"]
    return str(client.start_execution(stateMachineArn=machine)["executionArn"])


def create(clusters: Clusters, *, following: str = "", **more: Any) -> dict[str, Any]:
    return task(
        "createCluster.sync", clusters.request(Tags=[MACHINE_TAG], **more), following=following, ResultSelector={"id.$": "$.ClusterId"},
        ResultPath="$.cluster",
    )  # fmt: skip


def made(clusters: Clusters, name: str) -> str:
    """The cluster of a name, once it is there."""

    def look() -> str:
        found = clusters.client.list_clusters()["Clusters"]
        return next((str(one["Id"]) for one in found if one["Name"] == name), "")

    return str(wait_for(look, seconds=30))


def test_a_machine_makes_a_cluster_runs_a_step_and_ends_it(clusters: Clusters) -> None:
    role = clusters.runtime_role(allow(["s3:GetObject", "kms:Decrypt"]))
    ours = {"ClusterId.$": "$.cluster.id"}
    own = {**ours, "ExecutionRoleArn": role, "Step": clusters.step("import sys\nassert sys.argv[1] == 'x'\n", arguments=("x",))}
    found = end(
        clusters.lake,
        start(
            clusters,
            {
                "Cluster": create(
                    clusters, following="Step", SecurityConfiguration=clusters.secured(), Instances={"TerminationProtected": True}
                ),
                "Step": task("addStep.sync", own, following="Lift", ResultPath="$.step"),
                "Lift": task("setClusterTerminationProtection", {**ours, "TerminationProtected": False}, following="End", ResultPath=None),
                "End": task("terminateCluster.sync", ours, ResultPath="$.end"),
            },
        ),
    )
    assert found["status"] == "SUCCEEDED", found
    output = json.loads(found["output"])
    assert (output["step"]["Step"]["Status"]["State"], output["step"]["Step"]["ExecutionRoleArn"]) == ("COMPLETED", role)
    assert output["end"]["Cluster"]["Status"]["State"] == "TERMINATED"
    assert clusters.state(output["cluster"]["id"]) == "TERMINATED"
    assert output["end"]["Cluster"]["Status"]["Timeline"]["EndDateTime"] > 1_700_000_000_000


def test_a_failed_step_fails_its_task_with_the_step_as_cause_and_the_catch_ends_the_cluster(clusters: Clusters) -> None:
    ours = {"ClusterId.$": "$.cluster.id"}
    request = clusters.request()["Name"]
    execution = start(
        clusters,
        {
            "Cluster": create(clusters, following="Step", Name=request),
            "Step": task(
                "addStep.sync", {**ours, "Step": clusters.step("")}, following="End",
                Catch=[{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "End"}],
            ),
            "End": task("terminateCluster.sync", ours, following="Told", ResultPath=None),
            "Told": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
        },
    )  # fmt: skip
    found = end(clusters.lake, execution)
    assert (found["status"], found["error"]) == ("FAILED", "States.TaskFailed")
    step = json.loads(found["cause"])["Step"]
    assert (step["Status"]["State"], "nothing.py" in step["Status"]["FailureDetails"]["Message"]) == ("FAILED", True)
    assert clusters.state(made(clusters, request)) == "TERMINATED"


def test_a_cluster_that_cannot_begin_fails_its_task(clusters: Clusters) -> None:
    stranger = clusters.lake.aws.role(allow("s3:*"), service="glue.amazonaws.com")
    found = end(clusters.lake, start(clusters, {"Cluster": create(clusters, ServiceRole=stranger)}))
    assert (found["status"], found["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(found["cause"])
    assert cause["Cluster"]["Status"]["StateChangeReason"]["Code"] == "VALIDATION_ERROR"
    assert cause["ClusterId"] == cause["Cluster"]["Id"]


@pytest.mark.parametrize("missing", ["RunJobFlow", "AddTags", "PassRole", "DescribeCluster"])
def test_a_cluster_needs_the_rights_of_its_machine(clusters: Clusters, missing: str) -> None:
    name = clusters.lake.aws.name("denied")
    found = end(clusters.lake, start(clusters, {"Cluster": create(clusters, Name=name)}, missing))
    assert (found["status"], found["error"]) == ("FAILED", ERROR)
    assert missing in found["cause"]
    assert "Error Code: AccessDeniedException" in found["cause"]
    if missing == "DescribeCluster":  # whom nobody may look at is not waited for
        assert clusters.end(made(clusters, name))["State"] == "TERMINATED"


def test_the_services_refusals_have_one_name(clusters: Clusters) -> None:
    wrong = end(clusters.lake, start(clusters, {"Cluster": create(clusters, ReleaseLabel="emr-7.13.0")}))
    assert (wrong["error"], "Error Code: ValidationException" in wrong["cause"]) == (ERROR, True)
    protected = clusters.waiting(Tags=[MACHINE_TAG], Instances={"TerminationProtected": True})
    found = end(clusters.lake, start(clusters, {"End": task("terminateCluster.sync", {"ClusterId": protected})}))
    assert (found["error"], "termination protected" in found["cause"]) == (ERROR, True)
    clusters.client.set_termination_protection(JobFlowIds=[protected], TerminationProtected=False)
    clusters.client.terminate_job_flows(JobFlowIds=[protected])
    clusters.end(protected)
    assert end(clusters.lake, start(clusters, {"End": task("terminateCluster.sync", {"ClusterId": protected})}))["status"] == "SUCCEEDED"
    lifted = task("setClusterTerminationProtection", {"ClusterId": protected, "TerminationProtected": False})
    assert end(clusters.lake, start(clusters, {"Lift": lifted}))["error"] == ERROR


def test_what_the_integration_does_not_take_is_refused(clusters: Clusters) -> None:
    steps = end(clusters.lake, start(clusters, {"Cluster": create(clusters, Steps=[clusters.step("")])}))
    assert (steps["status"], "'Steps' is not supported" in steps["cause"]) == ("FAILED", True)
    transient = end(clusters.lake, start(clusters, {"Cluster": create(clusters, Instances={"KeepJobFlowAliveWhenNoSteps": False})}))
    assert (transient["status"], "must be true" in transient["cause"]) == ("FAILED", True)


def test_a_plain_task_does_not_wait_and_a_step_is_cancelled_by_its_id(clusters: Clusters) -> None:
    cluster = clusters.waiting(Tags=[MACHINE_TAG])
    output = json.loads(
        end(clusters.lake, start(clusters, {"Step": task("addStep", {"ClusterId": cluster, "Step": clusters.step(SLEEP)})}))["output"]
    )
    assert set(output) == {"StepId"}
    cancel = task("cancelStep", {"ClusterId": cluster, "StepId": output["StepId"]})
    answer = json.loads(end(clusters.lake, start(clusters, {"Cancel": cancel}))["output"])
    assert answer["CancelStepsInfo"]["Status"] == "SUBMITTED"
    assert clusters.step_end(cluster, output["StepId"])["Status"]["State"] == "CANCELLED"
    assert end(clusters.lake, start(clusters, {"End": task("terminateCluster", {"ClusterId": cluster})}))["status"] == "SUCCEEDED"


def test_a_task_that_nobody_waits_for_cancels_its_step_and_leaves_the_cluster(clusters: Clusters) -> None:
    cluster = clusters.waiting(Tags=[MACHINE_TAG])
    late = start(clusters, {"Step": task("addStep.sync", {"ClusterId": cluster, "Step": clusters.step(SLEEP)}, TimeoutSeconds=6)})
    assert end(clusters.lake, late)["error"] == "States.Timeout"
    (step,) = clusters.client.list_steps(ClusterId=cluster)["Steps"]
    assert clusters.step_end(cluster, step["Id"], seconds=30)["Status"]["State"] == "CANCELLED"
    execution = start(clusters, {"Step": task("addStep.sync", {"ClusterId": cluster, "Step": clusters.step(SLEEP)})})
    running = wait_for(lambda: list(clusters.client.list_steps(ClusterId=cluster, StepStates=["RUNNING"])["Steps"]), seconds=30)
    clusters.lake.aws.client("stepfunctions").stop_execution(executionArn=execution)
    assert clusters.step_end(cluster, running[0]["Id"], seconds=30)["Status"]["State"] == "CANCELLED"
    assert clusters.state(cluster) == "WAITING"
    clusters.client.terminate_job_flows(JobFlowIds=[cluster])
