"""Resource types of RDS: AWS::RDS::DBInstance, a read replica too, AWS::RDS::DBSubnetGroup and AWS::RDS::DBParameterGroup."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from local.aws import rds_groups, seam
from local.aws.cloudformation import modelled
from local.aws.cloudformation.modelled import Answer, ModelledType, Properties

INSTANCE = "AWS::RDS::DBInstance"
INSTANCE_SECONDS = 120.0
"""Longest that an instance may take to come up or to go."""

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
    modelled.add(
        _ParameterGroupType(
            resource_type="AWS::RDS::DBParameterGroup", service="rds", create="CreateDBParameterGroup", read="DescribeDBParameterGroups",
            update="ModifyDBParameterGroup", delete="DeleteDBParameterGroup", record=_first("DBParameterGroups"),
            members={"Family": "DBParameterGroupFamily"}, carried=frozenset({"Parameters"}), automatic_name="DBParameterGroupName",
            identify=_lower("DBParameterGroupName"), longest_name=255, change=_changed_parameters, request=_without_parameters, tagger=_tagger("pg"),
        )
    )  # fmt: skip


def _instance_type(*, create: str) -> ModelledType:
    return ModelledType(
        resource_type=INSTANCE, service="rds", create=create, read="DescribeDBInstances", update="ModifyDBInstance",
        delete="DeleteDBInstance", record=_first("DBInstances"), members={"VPCSecurityGroups": "VpcSecurityGroupIds"},
        key=lambda physical_id, _: {"DBInstanceIdentifier": physical_id, "SkipFinalSnapshot": True}, request=_instance_request,
        carried=_LATER | {"MasterUserSecret", "SourceDBInstanceIdentifier", "SourceRegion"}, left_out=_LEFT_OUT,
        automatic_name="DBInstanceIdentifier", identify=_lower("DBInstanceIdentifier"), longest_name=63, change=_changed_instance,
        attributes=_instance_attributes, tagger=_tagger("db"), ready=_is_available, gone=_is_gone,
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


def _instance_request(operation: str, request: Properties) -> Properties:
    if operation == "ModifyDBInstance":
        return request
    secret = request.get("MasterUserSecret") or {}
    key = {"MasterUserSecretKmsKeyId": secret["KmsKeyId"]} if secret.get("KmsKeyId") else {}
    return {name: value for name, value in request.items() if name not in _LATER and name != "MasterUserSecret"} | key


def _changed_instance(physical_id: str, old: Properties, new: Properties) -> Properties:
    """What a change asks of ModifyDBInstance; log exports are told as a difference there."""
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
            f"{', '.join(taken_away)} of {INSTANCE} cannot be taken away on the laptop platform: write the default that is meant"
        )
    return {**changed, "DBInstanceIdentifier": physical_id, "ApplyImmediately": True}


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


# ---- parameter groups ----------------------------------------------------------------------------------------------------


class _ParameterGroupType(ModelledType):
    """A group is made empty, and its parameters are set by a second call."""

    def create_resource(self, logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        physical_id, attributes = super().create_resource(logical_id, properties, stack)
        parameters = _parameters(properties.get("Parameters") or {})
        if parameters:
            try:
                self._call(self._client(), "ModifyDBParameterGroup", {"DBParameterGroupName": physical_id, "Parameters": parameters})
            except ValueError:
                self.delete_resource(physical_id, properties)
                raise
        return physical_id, attributes


def _without_parameters(_: str, request: Properties) -> Properties:
    return {name: value for name, value in request.items() if name != "Parameters"}


def _changed_parameters(physical_id: str, old: Properties, new: Properties) -> Properties:
    before, after = old.get("Parameters") or {}, new.get("Parameters") or {}
    taken_away = sorted(before.keys() - after.keys())
    if taken_away:
        raise ValueError(
            f"{', '.join(taken_away)} cannot be taken out of a parameter group on the laptop platform: write the default that is meant"
        )
    changed = {name: value for name, value in after.items() if value != before.get(name)}
    return {"DBParameterGroupName": physical_id, "Parameters": _parameters(changed)}


def _parameters(values: Properties) -> list[dict[str, str]]:
    return [
        {
            "ParameterName": name, "ParameterValue": str(value).lower() if isinstance(value, bool) else str(value),
            "ApplyMethod": "pending-reboot" if rds_groups.is_static(name) else "immediate",
        }
        for name, value in values.items()
    ]  # fmt: skip
