"""EMR on EC2: clusters without machines, whose steps are run by a real Spark of the release as their runtime roles.

Served: clusters of instance fleets or groups of the releases in `emr_checks.RELEASES`, steps of `command-runner.jar` with spark-submit and a
Python script, step concurrency, cancelling, the actions on failure, termination protection, auto-termination, managed scaling (kept),
bootstrap actions (fetched, not run), security configurations, tags, events. Not here: instances, other applications and jars, Studio,
notebooks, sessions, the applications' pages, automatic scaling of groups; each is refused.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from local.aws import emr_checks, emr_clusters, emr_commands, emr_records, emr_roles, emr_security, modelled_service, seam
from local.aws.cloudformation import rights
from local.aws.emr_checks import invalid
from local.aws.emr_clusters import Cluster
from local.aws.modelled_service import Answer, Call, ModelledService, Operation, ServiceError, no_resource, paginated
from local.aws.spark_submit import SubmitError

NAME = "elasticmapreduce"

MOST_TERMINATED = 10
"""Clusters of one TerminateJobFlows."""

CONCURRENT_ACTIONS = frozenset({"CONTINUE"})
"""Actions on failure of a step that runs beside others."""

_clusters, _steps = modelled_service.store(), modelled_service.store()
_responses = seam.module("core.responses")


# ---- clusters --------------------------------------------------------------------------------------------------------


def _run_job_flow(call: Call) -> Answer:
    params = call.params
    emr_checks.check(params)
    security = params.get("SecurityConfiguration")
    if security:
        emr_security.find(security)
    if params.get("Tags"):
        call.require(f"{NAME}:AddTags", clusters_arn(call), context=condition_keys(f"{NAME}:AddTags", params))
    place = rights.Place(account=call.account, region=call.region)
    service_role = rights.role_arn(params["ServiceRole"], place)
    instance_role = emr_roles.of_profile(params["JobFlowRole"])
    if not instance_role:
        raise invalid(f"Invalid InstanceProfile: {params['JobFlowRole']}.")
    call.require("iam:PassRole", instance_role, context={"iam:PassedToService": emr_roles.INSTANCES})
    number = emr_clusters.new_id("j")
    cluster = emr_records.cluster(call, arn=f"{_place(call)}:cluster/{number}", number=number, service_role=service_role)
    given = params.get("Steps") or ()
    _check_steps(cluster, given, role="")
    steps = [emr_records.step(cluster, step) for step in given]
    _clusters[cluster["Id"]] = cluster
    for step in steps:
        _steps[f"{cluster['Id']}/{step['Id']}"] = step
    running = Cluster(cluster, list(steps))
    modelled_service.in_background(running.execute, name=f"emr-{cluster['Id']}")
    return {"JobFlowId": cluster["Id"], "ClusterArn": cluster["ClusterArn"]}


def _describe_cluster(call: Call) -> Answer:
    return {"Cluster": _public(_cluster(call))}


def _list_clusters(call: Call) -> Answer:
    params = call.params
    earliest, latest = _moment(params.get("CreatedAfter"), 0.0), _moment(params.get("CreatedBefore"), float("inf"))
    wanted = params.get("ClusterStates")
    found = [
        {name: one[name] for name in ("Id", "Name", "Status", "NormalizedInstanceHours", "ClusterArn")}
        for one in reversed(_clusters.values())
        if earliest <= one["Status"]["Timeline"]["CreationDateTime"] <= latest and (not wanted or one["Status"]["State"] in wanted)
    ]
    return paginated(call, found)


def _list_instance_fleets(call: Call) -> Answer:
    cluster = _cluster(call)
    if not cluster["_fleets"]:
        raise _bad_request("Instance fleets and instance groups are mutually exclusive. The cluster has instance groups")
    return paginated(call, cluster["_fleets"])


def _list_instance_groups(call: Call) -> Answer:
    cluster = _cluster(call)
    if cluster["_fleets"]:
        raise _bad_request("Instance fleets and instance groups are mutually exclusive. The cluster has instance fleets")
    return paginated(call, cluster["_groups"])


def _list_bootstrap_actions(call: Call) -> Answer:
    found = [
        {"Name": one["Name"], "ScriptPath": one["ScriptBootstrapAction"]["Path"], "Args": one["ScriptBootstrapAction"].get("Args") or []}
        for one in _cluster(call)["_bootstrap"]
    ]
    return paginated(call, found)


def _terminate_job_flows(call: Call) -> Answer:
    if len(call.params["JobFlowIds"]) > MOST_TERMINATED:
        raise invalid(f"Cannot terminate more than {MOST_TERMINATED} clusters at a time, got {len(call.params['JobFlowIds'])}")
    found = _many(call)
    if any(cluster["TerminationProtected"] and _is_alive(cluster) for cluster in found):
        raise invalid("Could not shut down one or more job flows since they are termination protected.")
    for cluster in found:
        if running := emr_clusters.running(cluster["Id"]):
            running.end(emr_clusters.USER_REQUEST)


def _set_termination_protection(call: Call) -> Answer:
    for cluster in _many(call):
        _require_alive(cluster)
        cluster["TerminationProtected"] = call.params["TerminationProtected"]
        _touch(cluster)


# ---- policies and tags -----------------------------------------------------------------------------------------------


def _put_auto_termination_policy(call: Call) -> Answer:
    cluster, policy = _cluster(call), call.params.get("AutoTerminationPolicy")
    emr_checks.auto_termination(policy)
    _require_alive(cluster)
    cluster["_auto_termination"] = policy
    _touch(cluster)


def _get_auto_termination_policy(call: Call) -> Answer:
    policy = _cluster(call)["_auto_termination"]
    return {"AutoTerminationPolicy": policy} if policy else {}


def _remove_auto_termination_policy(call: Call) -> Answer:
    cluster = _cluster(call)
    cluster["_auto_termination"] = None
    _touch(cluster)


def _put_managed_scaling_policy(call: Call) -> Answer:
    cluster = _cluster(call)
    emr_checks.scaling(call.params["ManagedScalingPolicy"], kind=cluster["InstanceCollectionType"])
    _require_alive(cluster)
    cluster["_scaling"] = call.params["ManagedScalingPolicy"]


def _get_managed_scaling_policy(call: Call) -> Answer:
    policy = _cluster(call)["_scaling"]
    return {"ManagedScalingPolicy": policy} if policy else {}


def _remove_managed_scaling_policy(call: Call) -> Answer:
    _cluster(call)["_scaling"] = None


def _add_tags(call: Call) -> Answer:
    cluster = _cluster(call)
    added = {tag["Key"]: tag for tag in call.params["Tags"]}
    cluster["Tags"] = [tag for tag in cluster["Tags"] if tag["Key"] not in added] + list(added.values())


def _remove_tags(call: Call) -> Answer:
    cluster = _cluster(call)
    cluster["Tags"] = [tag for tag in cluster["Tags"] if tag["Key"] not in call.params["TagKeys"]]


# ---- steps -----------------------------------------------------------------------------------------------------------


def _add_job_flow_steps(call: Call) -> Answer:
    cluster, role = _cluster(call), call.params.get("ExecutionRoleArn") or ""
    if not _is_alive(cluster):
        raise invalid("A job flow that is shutting down, terminated, or finished may not be modified.")
    has_roles = emr_security.has_runtime_roles(cluster.get("SecurityConfiguration") or "")
    if role and not has_roles:
        raise invalid("Runtime roles are not supported on this cluster. Please remove the ExecutionRoleArn parameter.")
    if has_roles and not role:
        raise invalid("Runtime roles are required for this cluster. Please specify the role using the ExecutionRoleArn parameter.")
    _check_steps(cluster, call.params["Steps"], role=role)
    running = emr_clusters.running(cluster["Id"])
    if running is None:
        raise invalid("A job flow that is shutting down, terminated, or finished may not be modified.")
    added: list[str] = []
    for given in call.params["Steps"]:
        step = {**emr_records.step(cluster, given), **({"ExecutionRoleArn": role} if role else {})}
        _steps[f"{cluster['Id']}/{step['Id']}"] = step
        running.add(step)
        added.append(step["Id"])
    return {"StepIds": added}


def _check_steps(cluster: Mapping[str, Any], steps: Any, *, role: str) -> None:
    """Refuse steps that EMR would refuse, or that cannot be run here.

    Raises:
        ServiceError: With the step.
    """
    active = [step for step in _of(cluster) if step["Status"]["State"] not in emr_clusters.STEP_ENDED]
    if len(active) + len(steps) > emr_checks.CONCURRENT_STEPS:
        raise invalid(
            f"Maximum number of active steps (State = 'Running', 'Pending' or 'Cancel_Pending') for cluster exceeded: {emr_checks.CONCURRENT_STEPS}"
        )
    if steps and not role and emr_security.has_runtime_roles(cluster.get("SecurityConfiguration") or ""):
        raise invalid("Runtime roles are required for this cluster: add its steps by AddJobFlowSteps with ExecutionRoleArn")
    if steps and "Spark" not in {one.get("Name") for one in cluster["Applications"]}:
        raise invalid("spark-submit needs a cluster with the application Spark")
    defaults = emr_checks.properties(cluster["Configurations"], "spark-defaults")
    for step in steps:
        if step.get("StepMonitoringConfiguration"):
            raise invalid(f"StepMonitoringConfiguration of the step {step['Name']} is not served by the laptop platform")
        action = step.get("ActionOnFailure") or emr_records.DEFAULT_ACTION
        if cluster["StepConcurrencyLevel"] > 1 and action not in CONCURRENT_ACTIONS:
            raise invalid(
                f"ActionOnFailure {action} of the step {step['Name']} is not valid on a cluster whose StepConcurrencyLevel is more than 1: use CONTINUE"
            )
        try:
            emr_commands.read(step, defaults=defaults)
        except SubmitError as refused:
            raise invalid(f"Step {step['Name']}: {refused}") from refused


def _describe_step(call: Call) -> Answer:
    cluster = _cluster(call)
    return {"Step": _public(_step(cluster, call.params["StepId"]))}


def _list_steps(call: Call) -> Answer:
    params, steps = call.params, list(reversed(_of(_cluster(call))))
    if ids := params.get("StepIds"):
        steps = [step for step in steps if step["Id"] in ids]
    shown = [_public(step) for step in steps if not params.get("StepStates") or step["Status"]["State"] in params["StepStates"]]
    return paginated(call, [{name: value for name, value in step.items() if name != "ExecutionRoleArn"} for step in shown])


def _cancel_steps(call: Call) -> Answer:
    cluster, found = _cluster(call), list[dict[str, Any]]()
    running = emr_clusters.running(cluster["Id"])
    for step_id in call.params["StepIds"]:
        step = _step(cluster, step_id)
        problem = running.cancel(step) if running else f"The cluster is {cluster['Status']['State']}"
        found.append({"StepId": step_id, "Status": "FAILED" if problem else "SUBMITTED", **({"Reason": problem} if problem else {})})
    return {"CancelStepsInfoList": found}


# ---- for Step Functions ----------------------------------------------------------------------------------------------


def find_cluster(cluster_id: str) -> dict[str, Any] | None:
    """A cluster as the API shows it, or None."""
    found = _clusters.get(cluster_id)
    return _public(found) if found else None


def find_step(cluster_id: str, step_id: str) -> dict[str, Any] | None:
    """A step as the API shows it, or None."""
    found = _steps.get(f"{cluster_id}/{step_id}")
    return _public(found) if found else None


# ---- helpers ---------------------------------------------------------------------------------------------------------


def _id_of(params: Mapping[str, Any]) -> str:
    return str(params.get("ClusterId") or params.get("JobFlowId") or params.get("ResourceId") or "")


def _cluster(call: Call) -> dict[str, Any]:
    number = _id_of(call.params)
    found = _clusters.get(number)
    if found is None and call.operation == "AddJobFlowSteps":
        raise invalid("Specified job flow ID does not exist.")
    if found is None:
        raise _bad_request(f"Cluster id '{number}' is not valid.")
    return found


def _many(call: Call) -> list[dict[str, Any]]:
    """Clusters of a list, each of which the caller may touch."""
    for number in call.params["JobFlowIds"][1:]:  # the first one was asked before the request came in
        arn = f"{_place(call)}:cluster/{number}"
        call.require(f"{NAME}:{call.operation}", arn, context=_tag_keys(number))
    found = [_clusters.get(number) for number in call.params["JobFlowIds"]]
    if not found or not all(found):
        raise invalid("Specified job flow ID does not exist.")
    return [one for one in found if one]


def _step(cluster: Mapping[str, Any], step_id: str) -> dict[str, Any]:
    found = _steps.get(f"{cluster['Id']}/{step_id}")
    if found is None:
        raise _bad_request(f"Step id '{step_id}' is not valid.")
    return found


def _of(cluster: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [step for step in _steps.values() if step["_cluster"] == cluster["Id"]]


def _is_alive(cluster: Mapping[str, Any]) -> bool:
    return cluster["Status"]["State"] in emr_clusters.ALIVE


def _require_alive(cluster: Mapping[str, Any]) -> None:
    if not _is_alive(cluster):
        raise invalid("A job flow that is shutting down, terminated, or finished may not be modified.")


def _touch(cluster: Mapping[str, Any]) -> None:
    if running := emr_clusters.running(cluster["Id"]):
        running.touch()


def _bad_request(message: str) -> ServiceError:
    return ServiceError("InvalidRequestException", message)


def _public(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if not name.startswith("_")}


def _moment(given: Any, otherwise: float) -> float:
    return given.timestamp() if hasattr(given, "timestamp") else float(given) if given is not None else otherwise


def _restored() -> None:
    """Clusters that were alive have lost their processes with the server."""
    now = time.time()
    for cluster in _clusters.all_values():
        if cluster["Status"]["State"] not in emr_clusters.ENDED:
            reason = {"Code": "INTERNAL_ERROR", "Message": "the laptop platform was stopped while the cluster was there"}
            cluster["Status"] |= {"State": emr_clusters.TERMINATED_WITH_ERRORS, "StateChangeReason": reason}
            cluster["Status"]["Timeline"]["EndDateTime"] = now
    for step in _steps.all_values():
        state = step["Status"]["State"]
        if state not in emr_clusters.STEP_ENDED:
            step["Status"]["State"] = emr_clusters.CANCELLED if state == emr_clusters.PENDING else emr_clusters.INTERRUPTED
            step["Status"]["Timeline"]["EndDateTime"] = now


# ---- IAM -------------------------------------------------------------------------------------------------------------


def _place(call: Call) -> str:
    return f"arn:aws:{NAME}:{call.region}:{call.account}"


def clusters_arn(call: Call) -> str:
    """What a request that makes a cluster is asked on."""
    return f"{_place(call)}:cluster/*"


def cluster_arn(call: Call) -> str:
    """ARN of the cluster that a request names, the first one of a list."""
    numbers = call.params.get("JobFlowIds")
    return f"{_place(call)}:cluster/{numbers[0] if numbers else _id_of(call.params)}"


def condition_keys(action: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Condition keys of a request: tags that it gives, tags of the cluster that it is about, the runtime role that it names."""
    tags = {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in params.get("Tags") or () if isinstance(tag, dict)}
    found: dict[str, Any] = {f"{prefix}:RequestTag/{name}": value for name, value in tags.items() for prefix in ("aws", NAME)}
    if tags:
        found["aws:TagKeys"] = list(tags)
    numbers = params.get("JobFlowIds") or [_id_of(params)]
    found |= _tag_keys(numbers[0] if isinstance(numbers, list) and numbers else "")
    if action == f"{NAME}:AddJobFlowSteps" and params.get("ExecutionRoleArn"):
        found[f"{NAME}:ExecutionRoleArn"] = params["ExecutionRoleArn"]
    return found


def _tag_keys(number: str) -> dict[str, Any]:
    cluster = _clusters.get(number) or {}
    return {f"{prefix}:ResourceTag/{tag['Key']}": tag.get("Value", "") for tag in cluster.get("Tags") or () for prefix in ("aws", NAME)}


# ---- registration ----------------------------------------------------------------------------------------------------

SERVED = ModelledService(
    name=NAME,
    model="emr",
    state={"clusters": _clusters, "steps": _steps, **emr_security.STATE},
    restored=_restored,
    condition_keys=condition_keys,
    operations={
        "RunJobFlow": Operation(_run_job_flow, on=clusters_arn, passes={"ServiceRole": NAME}),
        "DescribeCluster": Operation(_describe_cluster, on=cluster_arn),
        "ListClusters": Operation(_list_clusters, on=no_resource),
        "ListInstanceFleets": Operation(_list_instance_fleets, on=cluster_arn),
        "ListInstanceGroups": Operation(_list_instance_groups, on=cluster_arn),
        "ListBootstrapActions": Operation(_list_bootstrap_actions, on=cluster_arn),
        "TerminateJobFlows": Operation(_terminate_job_flows, on=cluster_arn),
        "SetTerminationProtection": Operation(_set_termination_protection, on=cluster_arn),
        "AddJobFlowSteps": Operation(_add_job_flow_steps, on=cluster_arn),
        "DescribeStep": Operation(_describe_step, on=cluster_arn),
        "ListSteps": Operation(_list_steps, on=cluster_arn),
        "CancelSteps": Operation(_cancel_steps, on=cluster_arn),
        "PutAutoTerminationPolicy": Operation(_put_auto_termination_policy, on=cluster_arn),
        "GetAutoTerminationPolicy": Operation(_get_auto_termination_policy, on=cluster_arn),
        "RemoveAutoTerminationPolicy": Operation(_remove_auto_termination_policy, on=cluster_arn),
        "PutManagedScalingPolicy": Operation(_put_managed_scaling_policy, on=cluster_arn),
        "GetManagedScalingPolicy": Operation(_get_managed_scaling_policy, on=cluster_arn),
        "RemoveManagedScalingPolicy": Operation(_remove_managed_scaling_policy, on=cluster_arn),
        "AddTags": Operation(_add_tags, on=cluster_arn),
        "RemoveTags": Operation(_remove_tags, on=cluster_arn),
        **emr_security.OPERATIONS,
    },
)


def register() -> None:
    """Serve EMR."""
    modelled_service.serve(SERVED)
