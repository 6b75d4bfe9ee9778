"""The step of a pipeline that runs a Spark job on an EMR cluster, and the cluster of a run, which is gone when the run is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from constructs_lib.arns import ACCOUNT, PARTITION, arn
from constructs_lib.checks import require_range
from constructs_lib.orchestration.steps import (
    AFTER_FAILURE,
    FINAL,
    JOB_GRACE_SECONDS,
    MachineStep,
    Permission,
    State,
    StepPlace,
    Surroundings,
    array_of,
    catch,
    check_arguments,
    function_task,
    run_arguments,
    tried_twice,
)

MACHINE_TAG = "machine"
"""Tag of a cluster that says which state machine it belongs to; permissions go by it."""

END_SECONDS = 15 * 60
"""Longest that the end of a cluster may take."""

CALL_SECONDS = 60
"""Longest that one call of EMR may take."""

CLUSTERS = "Clusters are named by EMR; the tag of the machine is the limit."
"""Why permissions on clusters end in a star."""

RUN_JOB_FLOW = "EMR knows no resource for a cluster that is not there yet; its tag must be that of the machine."
"""Why RunJobFlow is given on everything."""

_RETRY: list[dict[str, Any]] = [
    {
        # Whatever EMR's API refuses has this name, throttling as well.
        "ErrorEquals": ["EMR.AmazonElasticMapReduceException", "EMR.SdkClientException"],
        "IntervalSeconds": 20,
        "MaxAttempts": 3,
        "BackoffRate": 2,
        "JitterStrategy": "FULL",
    },
]
"""EMR takes no token. A cluster that is made twice goes with the first, as both are called after the run; a step that is run twice changes nothing twice."""

_CLOSING_RETRY: list[dict[str, Any]] = [{**rule, "IntervalSeconds": 2} for rule in _RETRY]
"""A cluster that ended by itself refuses these calls for good, by the same name as EMR refuses too many: a failed run is not kept waiting for that, as
the state behind them ends by name whatever is left."""

_CANCELLED = ('*"State":"CANCELLED"*',)
"""What EMR says of a step that somebody cancelled."""


@dataclass(frozen=True, kw_only=True)
class EmrCluster(Surroundings):
    """The cluster of a run: made once, terminated however the run ends.

    Its end has three parts, each of which is passed whatever became of the one before: protection is lifted, the cluster is terminated, and whatever else is called
    after the run is ended by name. So a cluster ends of which the machine never learnt the id, because its creation timed out or its answer was lost.

    Attributes:
        machine: Name of the state machine; every cluster carries it as a tag, and in its name.
        request: What RunJobFlow is asked, without the name and the tags of the run.
        tags: Tags of the cluster.
        service_role_arn: Role of EMR.
        instance_role_arn: Role of the cluster's machines.
        ender: ARN of the function that ends clusters by name.
        start_minutes: Longest that the cluster may take to start.
    """

    machine: str
    request: Mapping[str, Any]
    tags: Mapping[str, str]
    service_role_arn: str
    instance_role_arn: str
    ender: str
    start_minutes: int = 30

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: There is no time to start.
        """
        require_range(self.start_minutes, name="start_minutes", at_least=10, at_most=180, why="a cluster takes three to eight")

    @property
    def name(self) -> str:
        """See `Surroundings`."""
        return "Cluster"

    @property
    def seconds(self) -> int:
        """See `Surroundings`."""
        return self.start_minutes * 60 + END_SECONDS + JOB_GRACE_SECONDS

    def opening(self, place: StepPlace) -> Mapping[str, State]:
        """See `Surroundings`."""
        blamed = f"{self.name}: failed"
        return {
            self.name: {
                "Type": "Task",
                "Resource": f"arn:{place.functions.partition}:states:::elasticmapreduce:createCluster.sync",
                "Parameters": {
                    "Name.$": f"States.Format('{self.machine}-{{}}', $.run_id)",
                    **self.request,
                    "Tags": [
                        *({"Key": key, "Value": value} for key, value in sorted({**self.tags, MACHINE_TAG: self.machine}.items())),
                        {"Key": "run_id", "Value.$": "$.run_id"},
                    ],
                },
                "ResultSelector": {"id.$": "$.ClusterId"},
                "ResultPath": "$.cluster",
                "TimeoutSeconds": self.start_minutes * 60,
                "Retry": _RETRY,
                "Catch": catch(blamed),
                "Next": place.next_,
            },
            blamed: {"Type": "Pass", "Result": "cluster", "ResultPath": "$.step", "Next": self._end_state(AFTER_FAILURE)},
        }

    def closing(self, place: StepPlace, *, after: str) -> Mapping[str, State]:
        """See `Surroundings`."""
        lift, terminate, end = f"{self.name}: lift protection{after}", f"{self.name}: terminate{after}", self._end_state(after)
        return {
            lift: self._call(
                place, "setClusterTerminationProtection", {"TerminationProtected": False}, seconds=CALL_SECONDS, next_=terminate
            ),
            terminate: self._call(place, "terminateCluster.sync", {}, seconds=END_SECONDS, next_=end),
            end: self._end(place, keeps_failure=bool(after)),
        }

    def _end_state(self, after: str) -> str:
        return f"{self.name}: end{after}"

    def _end(self, place: StepPlace, *, keeps_failure: bool) -> State:
        """The state that ends by name whatever is called after the run."""
        state = function_task(
            place.functions,
            self.ender,
            {"machine": self.machine, "run_id.$": "$.run_id", "started_at.$": "$$.Execution.StartTime"},
            next_=place.next_,
            on_error=place.failed,
            result_path=None,
        )
        return {**state, "Catch": _catch(place.failed)} if keeps_failure else state

    def permissions(self) -> Sequence[Permission]:
        """See `Surroundings`."""
        clusters = (arn("elasticmapreduce", "cluster/*"),)
        return (
            Permission(
                actions=("elasticmapreduce:RunJobFlow",),
                resources=("*",),
                conditions={"StringEquals": {f"aws:RequestTag/{MACHINE_TAG}": self.machine}},
                because=RUN_JOB_FLOW,
            ),
            Permission(
                actions=("elasticmapreduce:AddTags",),
                resources=clusters,
                conditions={"StringEquals": {f"aws:RequestTag/{MACHINE_TAG}": self.machine}},
                because=CLUSTERS,
            ),
            Permission(
                actions=(
                    "elasticmapreduce:CancelSteps",
                    "elasticmapreduce:DescribeCluster",
                    "elasticmapreduce:DescribeStep",
                    "elasticmapreduce:SetTerminationProtection",
                    "elasticmapreduce:TerminateJobFlows",
                ),
                resources=clusters,
                conditions=_of(self.machine),
                because=CLUSTERS,
            ),
            Permission(
                actions=("iam:PassRole",),
                resources=(self.service_role_arn,),
                conditions={"StringEquals": {"iam:PassedToService": "elasticmapreduce.amazonaws.com"}},
            ),
            Permission(
                actions=("iam:PassRole",),
                resources=(self.instance_role_arn,),
                conditions={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
            ),
            Permission(
                actions=("iam:CreateServiceLinkedRole",),
                resources=(
                    f"arn:{PARTITION}:iam::{ACCOUNT}:role/aws-service-role/elasticmapreduce.amazonaws.com/AWSServiceRoleForEMRCleanup",
                ),
                conditions={"StringEquals": {"iam:AWSServiceName": "elasticmapreduce.amazonaws.com"}},
            ),
            Permission(actions=("lambda:InvokeFunction",), resources=(self.ender,)),
        )

    def _call(self, place: StepPlace, operation: str, parameters: Mapping[str, Any], *, seconds: int, next_: str) -> State:
        """A call about the cluster, after which the next one follows whatever became of it."""
        return {
            "Type": "Task",
            "Resource": f"arn:{place.functions.partition}:states:::elasticmapreduce:{operation}",
            "Parameters": {"ClusterId.$": "$.cluster.id", **parameters},
            "ResultPath": None,
            "TimeoutSeconds": seconds,
            "Retry": _CLOSING_RETRY,
            "Catch": _catch(next_),
            "Next": next_,
        }


@dataclass(frozen=True, kw_only=True)
class EmrStep(MachineStep):
    """A step that runs a Spark job on the cluster of the run; `EmrJob.step` makes it.

    EMR knows that a job failed and not why, so the recorder is asked what the job itself wrote down before it is decided whether another try can help.

    Attributes:
        job_name: Name of the step in EMR.
        role_arn: Role that the job runs as.
        cluster: Cluster of the run.
        words: What the cluster runs, up to the job's own arguments: `spark-submit`, its options and the script.
        arguments: Arguments of every run besides those that say which run it is; a name that ends in `.$` has a path or a call for its value.
    """

    job_name: str
    role_arn: str
    cluster: EmrCluster
    words: tuple[str, ...]
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: The name is none, there is no time, or an argument is none or belongs to the machine.
        """
        super().__post_init__()
        check_arguments(self.name, self.arguments)

    def called(self, name: str) -> EmrStep:
        """The same step under another name."""
        return replace(self, name=name)

    @property
    def surroundings(self) -> Surroundings:
        """See `MachineStep`."""
        return self.cluster

    def states(self, place: StepPlace) -> Mapping[str, State]:
        """See `MachineStep`."""
        asked: dict[str, State] = {}

        def task(on_error: str) -> State:
            is_first = not asked
            ask = self.state("ask why" if is_first else "ask why again")
            asked[ask] = self._ask(place, next_=on_error)
            # The cluster outlives a first failure; after the second nothing may run on it, even if the machine is gone.
            return self._task(place, on_error=ask, action_on_failure="CONTINUE" if is_first else "TERMINATE_CLUSTER")

        return {**tried_twice(self, place, final=(*FINAL, *_CANCELLED), task=task), **asked}

    def permissions(self) -> Sequence[Permission]:
        """See `MachineStep`."""
        condition = {"StringEquals": {**_of(self.cluster.machine)["StringEquals"], "elasticmapreduce:ExecutionRoleArn": self.role_arn}}
        add = Permission(
            actions=("elasticmapreduce:AddJobFlowSteps",),
            resources=(arn("elasticmapreduce", "cluster/*"),),
            conditions=condition,
            because=CLUSTERS,
        )
        return (*self.cluster.permissions(), add)

    def _task(self, place: StepPlace, *, on_error: str, action_on_failure: str) -> State:
        told = {**run_arguments(place), **self.arguments}
        return {
            "Type": "Task",
            "Resource": f"arn:{place.functions.partition}:states:::elasticmapreduce:addStep.sync",
            "Parameters": {
                "ClusterId.$": "$.cluster.id",
                "ExecutionRoleArn": self.role_arn,
                "Step": {
                    "Name": self.job_name,
                    "ActionOnFailure": action_on_failure,
                    "HadoopJarStep": {"Jar": "command-runner.jar", "Args.$": array_of(told, before=self.words)},
                },
            },
            "ResultPath": None,
            "TimeoutSeconds": self.timeout_minutes * 60 + JOB_GRACE_SECONDS,
            "Retry": _RETRY,
            "Catch": catch(on_error),
            "Next": place.next_,
        }

    def _ask(self, place: StepPlace, *, next_: str) -> State:
        """The state that asks the recorder why the job failed; if it does not know, what EMR said stays."""
        asked = function_task(
            place.functions,
            place.functions.recorder,
            {"action": "explain", "pipeline": place.pipeline, "run_id.$": "$.run_id", "step": self.name, "failure.$": "$.failure"},
            next_=next_,
            on_error=next_,
            result_path="$.failure",
            selector={"Error.$": "$.Payload.Error", "Cause.$": "$.Payload.Cause"},
        )
        return {**asked, "Catch": _catch(next_)}


def _catch(next_: str) -> list[dict[str, Any]]:
    """What went wrong first stays what the run failed for."""
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": next_}]


def _of(machine: str) -> dict[str, dict[str, str]]:
    """Condition that a cluster belongs to a machine."""
    return {"StringEquals": {f"aws:ResourceTag/{MACHINE_TAG}": machine}}
