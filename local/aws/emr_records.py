"""Records of EMR's clusters and steps, as the API shows them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from local.aws import emr_checks, emr_clusters
from local.aws.modelled_service import Call

DEFAULT_ACTION = "TERMINATE_CLUSTER"
"""What becomes of the cluster when a step fails that does not say."""


def cluster(call: Call, *, arn: str, number: str, service_role: str) -> dict[str, Any]:
    """Record of a new cluster; what is private to it begins with an underscore.

    Args:
        call: RunJobFlow.
        arn: Its ARN.
        number: Its id.
        service_role: ARN of its service role.
    """
    params, instances, now = call.params, call.params["Instances"], time.time()
    kept = (
        "Name", "LogUri", "LogEncryptionKmsKeyId", "ReleaseLabel", "Applications", "Tags", "Configurations", "SecurityConfiguration",
        "ScaleDownBehavior", "EbsRootVolumeSize", "EbsRootVolumeIops", "EbsRootVolumeThroughput", "ExtendedSupport", "MonitoringConfiguration",
    )  # fmt: skip
    subnets = instances.get("Ec2SubnetIds") or [one for one in (instances.get("Ec2SubnetId"),) if one]
    attributes = {
        name: instances[name]
        for name in (
            "Ec2KeyName", "EmrManagedMasterSecurityGroup", "EmrManagedSlaveSecurityGroup", "ServiceAccessSecurityGroup",
            "AdditionalMasterSecurityGroups", "AdditionalSlaveSecurityGroups",
        )
        if instances.get(name)
    }  # fmt: skip
    first = {"Ec2SubnetId": subnets[0]} if subnets else {}
    timeline = {"CreationDateTime": now}
    return {
        "Tags": [], "Applications": [], "Configurations": [], **{name: params[name] for name in kept if params.get(name) is not None},
        "Id": number, "ClusterArn": arn, "VisibleToAllUsers": True, "NormalizedInstanceHours": 0,
        "Status": {"State": emr_clusters.STARTING, "StateChangeReason": {}, "Timeline": timeline},
        "Ec2InstanceAttributes": {**attributes, **first, "RequestedEc2SubnetIds": subnets, "IamInstanceProfile": params["JobFlowRole"].rsplit("/", 1)[-1]},
        "InstanceCollectionType": emr_checks.collection(instances), "AutoTerminate": not instances.get("KeepJobFlowAliveWhenNoSteps"),
        "TerminationProtected": bool(instances.get("TerminationProtected")), "ServiceRole": params["ServiceRole"],
        "UnhealthyNodeReplacement": bool(instances.get("UnhealthyNodeReplacement")), "StepConcurrencyLevel": params.get("StepConcurrencyLevel") or 1,
        "_keep_alive": bool(instances.get("KeepJobFlowAliveWhenNoSteps")), "_auto_termination": params.get("AutoTerminationPolicy"),
        "_scaling": params.get("ManagedScalingPolicy"), "_bootstrap": params.get("BootstrapActions") or [], "_service_role_arn": service_role,
        "_instance_profile": params["JobFlowRole"],
        "_fleets": [_fleet_record(fleet, now) for fleet in instances.get("InstanceFleets") or ()], "_groups": _group_records(instances, now),
    }  # fmt: skip


def step(cluster: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Record of a new step of a cluster."""
    jar = given["HadoopJarStep"]
    logs = {"LogUri": cluster["LogUri"]} if cluster.get("LogUri") else {}
    return {
        **logs, "Id": emr_clusters.new_id("s"), "Name": given["Name"], "ActionOnFailure": given.get("ActionOnFailure") or DEFAULT_ACTION,
        "Config": {"Jar": jar["Jar"], "Properties": {}, "Args": list(jar.get("Args") or ())},
        "Status": {"State": emr_clusters.PENDING, "StateChangeReason": {}, "Timeline": {"CreationDateTime": time.time()}},
        "_step": dict(given), "_cluster": cluster["Id"],
    }  # fmt: skip


def _fleet_record(fleet: Mapping[str, Any], now: float) -> dict[str, Any]:
    on_demand, spot = int(fleet.get("TargetOnDemandCapacity") or 0), int(fleet.get("TargetSpotCapacity") or 0)
    types = [
        {
            "WeightedCapacity": 1, **{name: value for name, value in one.items() if name != "EbsConfiguration"},
            "EbsBlockDevices": _volumes(one.get("EbsConfiguration") or {}),
        }
        for one in fleet["InstanceTypeConfigs"]
    ]  # fmt: skip
    kept = {name: fleet[name] for name in ("Name", "InstanceFleetType", "LaunchSpecifications", "ResizeSpecifications") if fleet.get(name)}
    return {
        **kept, "Id": emr_clusters.new_id("if"), "TargetOnDemandCapacity": on_demand, "TargetSpotCapacity": spot,
        "ProvisionedOnDemandCapacity": on_demand, "ProvisionedSpotCapacity": spot, "InstanceTypeSpecifications": types,
        "Status": {"State": "PROVISIONING", "StateChangeReason": {}, "Timeline": {"CreationDateTime": now}},
    }  # fmt: skip


def _group_records(instances: Mapping[str, Any], now: float) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = list(instances.get("InstanceGroups") or ())
    if instances.get("MasterInstanceType"):
        groups.append({"InstanceRole": "MASTER", "InstanceType": instances["MasterInstanceType"], "InstanceCount": 1})
        others = int(instances.get("InstanceCount") or 1) - 1
        groups += [{"InstanceRole": "CORE", "InstanceType": instances["SlaveInstanceType"], "InstanceCount": others}] if others else []
    return [
        {
            "Market": "ON_DEMAND", **{name: value for name, value in group.items() if name not in {"InstanceRole", "InstanceCount", "EbsConfiguration"}},
            "Id": emr_clusters.new_id("ig"), "InstanceGroupType": group["InstanceRole"], "RequestedInstanceCount": group["InstanceCount"],
            "RunningInstanceCount": group["InstanceCount"], "EbsBlockDevices": _volumes(group.get("EbsConfiguration") or {}),
            "Status": {"State": "PROVISIONING", "StateChangeReason": {}, "Timeline": {"CreationDateTime": now}},
        }
        for group in groups
    ]  # fmt: skip


def _volumes(configuration: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"VolumeSpecification": one["VolumeSpecification"]}
        for one in configuration.get("EbsBlockDeviceConfigs") or ()
        for _ in range(int(one.get("VolumesPerInstance") or 1))
    ]
