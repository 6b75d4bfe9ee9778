"""Resource types of RDS: AWS::RDS::DBInstance, a read replica too, AWS::RDS::DBCluster, AWS::RDS::DBSubnetGroup, and both kinds of parameter groups."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from local.aws import rds_groups, seam
from local.aws.cloudformation import modelled
from local.aws.cloudformation.modelled import Answer, ModelledType, Properties

INSTANCE = "AWS::RDS::DBInstance"
CLUSTER = "AWS::RDS::DBCluster"
INSTANCE_SECONDS = 120.0
"""Longest that an instance or a cluster may take to come up or to go."""

_LATER = frozenset({"AllowMajorVersionUpgrade", "ApplyImmediately", "DeleteAutomatedBackups", "CertificateRotationRestart"})
"""Properties of changes and removals, which say nothing when an instance is made."""

_LEFT_OUT = {
    **dict.fromkeys(
        (
            "DBSnapshotIdentifier", "DBClusterSnapshotIdentifier", "RestoreTime", "SourceDBInstanceAutomatedBackupsArn", "SourceDbiResourceId",
            "UseLatestRestorableTime",
        ),
        "restores are not there",
    ),
    **dict.fromkeys(
        ("AutomaticBackupReplicationKmsKeyId", "AutomaticBackupReplicationRegion", "AutomaticBackupReplicationRetentionPeriod"),
        "there is one region",
    ),
    **dict.fromkeys(("AssociatedRoles", "ReplicaMode", "UseDefaultProcessorFeatures", "SourceDBClusterIdentifier"), "PostgreSQL has no use for it here"),
    "AdditionalStorageVolumes": "storage is the laptop's disk",
    "ProcessorFeatures": "processors are the laptop's",
}  # fmt: skip

_LEFT_OUT_OF_CLUSTER = {
    **dict.fromkeys(
        ("RestoreToTime", "RestoreType", "SnapshotIdentifier", "SourceDBClusterIdentifier", "SourceDbClusterResourceId", "UseLatestRestorableTime"),
        "restores are not there",
    ),
    **dict.fromkeys(("SourceRegion", "ReplicationSourceIdentifier", "GlobalClusterIdentifier"), "there is one region"),
    **dict.fromkeys(("AssociatedRoles", "DBInstanceParameterGroupName"), "PostgreSQL has no use for it here"),
}  # fmt: skip


def register() -> None:
    """Make the types known to CloudFormation."""
    instance, replica = _instance_type(create="CreateDBInstance"), _instance_type(create="CreateDBInstanceReadReplica")
    modelled.add(instance)

    def create(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        return (replica if properties.get("SourceDBInstanceIdentifier") else instance).create_resource(logical_id, properties, stack)

    seam.module("services.cloudformation.provisioners")._RESOURCE_HANDLERS[INSTANCE]["create"] = create
    modelled.add(
        ModelledType(
            resource_type="AWS::RDS::DBSubnetGroup", service="rds", create="CreateDBSubnetGroup", read="DescribeDBSubnetGroups",
            update="ModifyDBSubnetGroup", delete="DeleteDBSubnetGroup", record=_first("DBSubnetGroups"), automatic_name="DBSubnetGroupName",
            identify=_lower("DBSubnetGroupName"), longest_name=255, tagger=_tagger("subgrp"),
        )
    )  # fmt: skip
    for groups in (rds_groups.INSTANCE_PARAMETERS, rds_groups.CLUSTER_PARAMETERS):
        modelled.add(_parameter_group_type(groups))
    modelled.add(_cluster_type())


def _instance_type(*, create: str) -> ModelledType:
    return ModelledType(
        resource_type=INSTANCE, service="rds", create=create, read="DescribeDBInstances", update="ModifyDBInstance",
        delete="DeleteDBInstance", record=_first("DBInstances"), members={"VPCSecurityGroups": "VpcSecurityGroupIds"},
        key=lambda physical_id, _: {"DBInstanceIdentifier": physical_id, "SkipFinalSnapshot": True}, request=_made_request,
        carried=_LATER | {"MasterUserSecret", "SourceDBInstanceIdentifier", "SourceRegion"}, left_out=_LEFT_OUT,
        automatic_name="DBInstanceIdentifier", identify=_lower("DBInstanceIdentifier"), longest_name=63, change=_changed_instance,
        attributes=_instance_attributes, tagger=_tagger("db"), ready=_is_available, gone=_is_gone,
    )  # fmt: skip


def _cluster_type() -> ModelledType:
    return _ClusterType(
        resource_type=CLUSTER, service="rds", create="CreateDBCluster", read="DescribeDBClusters", update="ModifyDBCluster",
        delete="DeleteDBCluster", record=_first("DBClusters"), members={"PerformanceInsightsEnabled": "EnablePerformanceInsights"},
        key=lambda physical_id, _: {"DBClusterIdentifier": physical_id, "SkipFinalSnapshot": True}, request=_made_request,
        carried=_LATER | {"MasterUserSecret"}, left_out=_LEFT_OUT_OF_CLUSTER, automatic_name="DBClusterIdentifier",
        identify=_lower("DBClusterIdentifier"), longest_name=63, change=_changed_cluster, attributes=_cluster_attributes,
        tagger=_tagger("cluster"), ready=_is_cluster_available, gone=_is_cluster_gone,
    )  # fmt: skip


def _parameter_group_type(groups: rds_groups.ParameterGroups) -> ModelledType:
    word, name = groups.word, groups.name_member
    return _ParameterGroupType(
        resource_type=f"AWS::RDS::{word}ParameterGroup", service="rds", create=f"Create{word}ParameterGroup",
        read=f"Describe{word}ParameterGroups", update=f"Modify{word}ParameterGroup", delete=f"Delete{word}ParameterGroup",
        record=_first(f"{word}ParameterGroups"), members={"Family": "DBParameterGroupFamily"}, carried=frozenset({"Parameters"}),
        automatic_name=name, identify=_lower(name), longest_name=255, change=_changed_parameters(name), request=_without_parameters,
        tagger=_tagger(groups.kind),
    )  # fmt: skip


def _first(key: str) -> Callable[[Answer], Any]:
    return lambda answer: next(iter(answer[key]), None)


def _lower(name: str) -> Callable[[Properties, Answer], str]:
    """RDS spells its names in small letters."""
    return lambda properties, _: str(properties[name]).lower()


def _tagger(kind: str) -> modelled.Tagger:
    def tag(client: Any, physical_id: str, changed: dict[str, str], removed: list[str]) -> None:
        responses = seam.module("core.responses")
        arn = f"arn:aws:rds:{responses.get_region()}:{responses.get_account_id()}:{kind}:{physical_id}"
        if removed:
            client.remove_tags_from_resource(ResourceName=arn, TagKeys=removed)
        if changed:
            client.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": key, "Value": value} for key, value in changed.items()])

    return tag


# ---- instances ---------------------------------------------------------------------------------------------------------


def _made_request(operation: str, request: Properties) -> Properties:
    if operation.startswith("Modify"):
        return request
    secret = request.get("MasterUserSecret") or {}
    key = {"MasterUserSecretKmsKeyId": secret["KmsKeyId"]} if secret.get("KmsKeyId") else {}
    return {name: value for name, value in request.items() if name not in _LATER and name != "MasterUserSecret"} | key


def _changed_instance(physical_id: str, old: Properties, new: Properties) -> Properties:
    return {**_changed(INSTANCE, old, new), "DBInstanceIdentifier": physical_id}


def _changed(resource_type: str, old: Properties, new: Properties) -> Properties:
    """What a change asks of ModifyDBInstance or ModifyDBCluster; log exports are told as a difference there."""
    changed = {name: value for name, value in new.items() if value != old.get(name) and name not in {"Tags", *_LATER}}
    before, after = set(old.get("EnableCloudwatchLogsExports") or ()), set(changed.pop("EnableCloudwatchLogsExports", None) or ())
    if before != after and "EnableCloudwatchLogsExports" in new:
        changed["CloudwatchLogsExportConfiguration"] = {"EnableLogTypes": sorted(after - before), "DisableLogTypes": sorted(before - after)}
    if "VPCSecurityGroups" in changed:
        changed["VpcSecurityGroupIds"] = changed.pop("VPCSecurityGroups")
    if "AllocatedStorage" in changed:
        changed["AllocatedStorage"] = int(changed["AllocatedStorage"])
    if "MasterUserSecret" in changed:
        changed["MasterUserSecretKmsKeyId"] = changed.pop("MasterUserSecret").get("KmsKeyId")
    taken_away = sorted(old.keys() - new.keys() - {"Tags", *_LATER})
    if taken_away:
        raise ValueError(
            f"{', '.join(taken_away)} of {resource_type} cannot be taken away on the laptop platform: write the default that is meant"
        )
    return {**changed, "ApplyImmediately": True}


def _instance_attributes(_: str, record: Answer) -> Properties:
    return {"Endpoint.Address": record["Endpoint"]["Address"], "Endpoint.Port": str(record["Endpoint"]["Port"])}


def _is_available(client: Any, physical_id: str) -> None:
    """Wait for the instance.

    Raises:
        ValueError: It failed, or takes too long.
    """
    deadline, status = time.monotonic() + INSTANCE_SECONDS, ""
    while time.monotonic() < deadline:
        found = client.describe_db_instances(DBInstanceIdentifier=physical_id)["DBInstances"][0]
        status = found["DBInstanceStatus"]
        if status == "available":
            return
        if status == "failed":
            reasons = "; ".join(info.get("Message", "") for info in found.get("StatusInfos", []))
            raise ValueError(f"DB instance {physical_id} failed: {reasons}")
        time.sleep(0.1)
    raise ValueError(f"DB instance {physical_id} is still {status} after {INSTANCE_SECONDS:.0f} s")


def _is_gone(client: Any, physical_id: str) -> None:
    deadline = time.monotonic() + INSTANCE_SECONDS
    while time.monotonic() < deadline:
        try:
            client.describe_db_instances(DBInstanceIdentifier=physical_id)
        except ClientError as error:
            if error.response["Error"]["Code"] == "DBInstanceNotFound":
                return
            raise
        time.sleep(0.1)
    raise ValueError(f"DB instance {physical_id} is still being deleted after {INSTANCE_SECONDS:.0f} s")


# ---- clusters ----------------------------------------------------------------------------------------------------------


class _ClusterType(ModelledType):
    """A cluster, whose Data API is switched by calls of its own."""

    def update_resource(
        self, physical_id: str, before: Properties, properties: Properties, stack: str, logical_id: str | None = None
    ) -> tuple[str, Properties]:
        was_on, is_on = _has_data_api(before), _has_data_api(properties)
        if was_on != is_on:
            responses = seam.module("core.responses")
            where = f"arn:aws:rds:{responses.get_region()}:{responses.get_account_id()}:cluster:{physical_id}"
            self._call(self._client(), "EnableHttpEndpoint" if is_on else "DisableHttpEndpoint", {"ResourceArn": where})
        old, new = ({name: value for name, value in each.items() if name != "EnableHttpEndpoint"} for each in (before, properties))
        return super().update_resource(physical_id, old, new, stack, logical_id)


def _has_data_api(properties: Properties) -> bool:
    return str(properties.get("EnableHttpEndpoint", False)).lower() == "true"


def _changed_cluster(physical_id: str, old: Properties, new: Properties) -> Properties:
    return {**_changed(CLUSTER, old, new), "DBClusterIdentifier": physical_id}


def _cluster_attributes(_: str, record: Answer) -> Properties:
    return {
        "Endpoint.Address": record["Endpoint"], "Endpoint.Port": str(record["Port"]), "ReadEndpoint.Address": record["ReaderEndpoint"],
    }  # fmt: skip


def _is_cluster_available(client: Any, physical_id: str) -> None:
    """Wait for the cluster.

    Raises:
        ValueError: It failed, or takes too long.
    """
    deadline, status = time.monotonic() + INSTANCE_SECONDS, ""
    while time.monotonic() < deadline:
        status = client.describe_db_clusters(DBClusterIdentifier=physical_id)["DBClusters"][0]["Status"]
        if status == "available":
            return
        if status == "failed":
            raise ValueError(f"DB cluster {physical_id} failed: the platform's log says why")
        time.sleep(0.1)
    raise ValueError(f"DB cluster {physical_id} is still {status} after {INSTANCE_SECONDS:.0f} s")


def _is_cluster_gone(client: Any, physical_id: str) -> None:
    deadline = time.monotonic() + INSTANCE_SECONDS
    while time.monotonic() < deadline:
        try:
            client.describe_db_clusters(DBClusterIdentifier=physical_id)
        except ClientError as error:
            if error.response["Error"]["Code"] == "DBClusterNotFoundFault":
                return
            raise
        time.sleep(0.1)
    raise ValueError(f"DB cluster {physical_id} is still being deleted after {INSTANCE_SECONDS:.0f} s")


# ---- parameter groups ----------------------------------------------------------------------------------------------------


class _ParameterGroupType(ModelledType):
    """A group is made empty, and its parameters are set by a second call."""

    def create_resource(self, logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        physical_id, attributes = super().create_resource(logical_id, properties, stack)
        parameters = _parameters(properties.get("Parameters") or {})
        if parameters:
            try:
                self._call(self._client(), self.update, {self.automatic_name: physical_id, "Parameters": parameters})
            except ValueError:
                self.delete_resource(physical_id, properties)
                raise
        return physical_id, attributes


def _without_parameters(_: str, request: Properties) -> Properties:
    return {name: value for name, value in request.items() if name != "Parameters"}


def _changed_parameters(name_member: str) -> Callable[[str, Properties, Properties], Properties]:
    """What a change asks of a group; the member names it."""

    def changed(physical_id: str, old: Properties, new: Properties) -> Properties:
        before, after = old.get("Parameters") or {}, new.get("Parameters") or {}
        taken_away = sorted(before.keys() - after.keys())
        if taken_away:
            raise ValueError(
                f"{', '.join(taken_away)} cannot be taken out of a parameter group on the laptop platform: write the default that is meant"
            )
        differing = {name: value for name, value in after.items() if value != before.get(name)}
        return {name_member: physical_id, "Parameters": _parameters(differing)}

    return changed


def _parameters(values: Properties) -> list[dict[str, str]]:
    return [
        {
            "ParameterName": name, "ParameterValue": str(value).lower() if isinstance(value, bool) else str(value),
            "ApplyMethod": "pending-reboot" if rds_groups.is_static(name) else "immediate",
        }
        for name, value in values.items()
    ]  # fmt: skip
