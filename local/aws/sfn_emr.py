"""Step Functions' integration of EMR: createCluster, addStep, terminateCluster, each plain and `.sync`, and two plain calls.

The names of parameters are RunJobFlow's own but for `ClusterId` and `Step`. A cluster that an execution made stays when the execution
ends: whoever makes one ends it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from local.aws import emr, emr_clusters, modelled_service, seam, sfn_jobs, states
from local.aws.modelled_service import ServiceError

SERVICE = "elasticmapreduce"
CREATE, ADD_STEP, TERMINATE = f"{SERVICE}:createCluster", f"{SERVICE}:addStep", f"{SERVICE}:terminateCluster"
CANCEL_STEP, PROTECT = f"{SERVICE}:cancelStep", f"{SERVICE}:setClusterTerminationProtection"

ERROR = "EMR.AmazonElasticMapReduceException"
"""The one name of every error of EMR's API; the Cause holds its code."""

_states = seam.module("services.stepfunctions")
_responses = seam.module("core.responses")

Data = Mapping[str, Any]


def register() -> None:
    """Serve the integrations."""
    tasks: dict[str, Callable[[str, Data], dict[str, Any]]] = {
        CREATE: _create_cluster, ADD_STEP: _add_step, TERMINATE: _terminate_cluster, CANCEL_STEP: _cancel_step, PROTECT: _protect,
    }  # fmt: skip
    for name, task in tasks.items():
        states.INTEGRATIONS[name] = states.Integration(scope=SERVICE, target="", error=ERROR, sdk="AmazonElasticMapReduce", is_asked=False)
        _states._SERVICE_DISPATCH[f"arn:aws:states:::{name}"] = task


def _create_cluster(resource: str, data: Data) -> dict[str, Any]:
    """Make a cluster; with `.sync`, wait until it waits for steps."""
    if "Steps" in data:
        states.fail("States.Runtime", "The field 'Steps' is not supported by createCluster: add steps by addStep")
    if (data.get("Instances") or {}).get("KeepJobFlowAliveWhenNoSteps") is not True:
        states.fail("States.Runtime", "The field 'Instances.KeepJobFlowAliveWhenNoSteps' must be true for createCluster")
    cluster = str(_call("RunJobFlow", data)["JobFlowId"])
    if not sfn_jobs.is_sync(resource):
        return {"ClusterId": cluster}
    found = _wait_for_cluster(CREATE, cluster, until=frozenset({emr_clusters.WAITING, *emr_clusters.ENDED}), is_ours=True)
    output = {"ClusterId": cluster, "Cluster": found}
    return output if found["Status"]["State"] == emr_clusters.WAITING else states.fail("States.TaskFailed", json.dumps(output))


def _add_step(resource: str, data: Data) -> dict[str, Any]:
    """Add a step; with `.sync`, wait for its end and return it."""
    _require(data, "Step")
    cluster, role = str(data["ClusterId"]), {name: data[name] for name in ("ExecutionRoleArn",) if name in data}
    step = str(_call("AddJobFlowSteps", {"JobFlowId": cluster, "Steps": [data["Step"]], **role})["StepIds"][0])
    if not sfn_jobs.is_sync(resource):
        return {"StepId": step}

    def look() -> dict[str, Any]:
        return emr.find_step(cluster, step) or {"Id": step, "Status": {"State": emr_clusters.INTERRUPTED}}

    def end() -> None:
        running = emr_clusters.running(cluster)
        record = next((one for one in running.steps if one["Id"] == step), None) if running else None
        if running and record and _may("CancelSteps", cluster):
            running.cancel(record)

    found = sfn_jobs.wait(
        look, is_over=lambda one: one["Status"]["State"] in emr_clusters.STEP_ENDED, end=end,
        ask=lambda: _ask(ADD_STEP, "DescribeStep", cluster),
    )  # fmt: skip
    output = {"StepId": step, "Step": _shown(found, "DescribeStep", "Step")}
    return output if found["Status"]["State"] == "COMPLETED" else states.fail("States.TaskFailed", json.dumps(output))


def _terminate_cluster(resource: str, data: Data) -> dict[str, Any]:
    """End a cluster; with `.sync`, wait until it has ended."""
    _require(data)
    cluster = str(data["ClusterId"])
    _call("TerminateJobFlows", {"JobFlowIds": [cluster]})
    if not sfn_jobs.is_sync(resource):
        return {}
    return {"Cluster": _wait_for_cluster(TERMINATE, cluster, until=emr_clusters.ENDED, is_ours=False)}


def _cancel_step(_: str, data: Data) -> dict[str, Any]:
    _require(data, "StepId")
    answer = _call("CancelSteps", {"ClusterId": data["ClusterId"], "StepIds": [data["StepId"]]})
    return {"CancelStepsInfo": answer["CancelStepsInfoList"][0]}


def _protect(_: str, data: Data) -> dict[str, Any]:
    _require(data, "TerminationProtected")
    _call("SetTerminationProtection", {"JobFlowIds": [data["ClusterId"]], "TerminationProtected": data["TerminationProtected"]})
    return {}


# ---- helpers ---------------------------------------------------------------------------------------------------------


def _call(operation: str, params: Data) -> Mapping[str, Any]:
    """Call EMR as the machine's role; its errors all have one name."""
    try:
        return modelled_service.invoke(SERVICE, operation, dict(params), key=states.session_key())
    except ServiceError as error:
        sfn_jobs.fail(error, CREATE, name=ERROR)


def _wait_for_cluster(integration: str, cluster: str, *, until: frozenset[str], is_ours: bool) -> dict[str, Any]:
    """A cluster that has come to one of the states, as Step Functions gives it to the next state."""

    def look() -> dict[str, Any]:
        return emr.find_cluster(cluster) or {"Id": cluster, "Status": {"State": emr_clusters.TERMINATED_WITH_ERRORS}}

    def end() -> None:
        running = emr_clusters.running(cluster)
        if is_ours and running and not running.record["TerminationProtected"] and _may("TerminateJobFlows", cluster):
            running.end(emr_clusters.USER_REQUEST)

    found = sfn_jobs.wait(
        look, is_over=lambda one: one["Status"]["State"] in until, end=end, ask=lambda: _ask(integration, "DescribeCluster", cluster)
    )
    return _shown(found, "DescribeCluster", "Cluster")


def _require(data: Data, *names: str) -> None:
    missing = [name for name in ("ClusterId", *names) if name not in data]
    if missing:
        states.fail("States.Runtime", f"The field '{missing[0]}' is required")


def _shown(record: dict[str, Any], operation: str, member: str) -> dict[str, Any]:
    return sfn_jobs.renamed(record, emr.SERVED.api.output_of(operation).members[member], is_upper=True)


def _arn(cluster: str) -> str:
    return f"arn:aws:{SERVICE}:{_responses.get_region()}:{_responses.get_account_id()}:cluster/{cluster}"


def _ask(integration: str, operation: str, cluster: str) -> None:
    action = f"{SERVICE}:{operation}"
    states.require(integration, action=action, resource=_arn(cluster), context=emr.condition_keys(action, {"ClusterId": cluster}))


def _may(operation: str, cluster: str) -> bool:
    action = f"{SERVICE}:{operation}"
    return sfn_jobs.may(action, _arn(cluster), context=emr.condition_keys(action, {"ClusterId": cluster}))
