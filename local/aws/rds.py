"""RDS: a database instance is a real PostgreSQL on loopback, a read replica a server that streams from it.

Aurora clusters are in rds_clusters. Not here, and refused by name: other engines than PostgreSQL, restores, option groups, IAM
authentication of database users, domains. Kept and without effect: storage, class, zones, windows, backups, performance insights, log exports. The minor version is the
server's own whatever the template says, and the port of an endpoint is a free one of the laptop: read the endpoint, as one does anyway.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from local.aws import key_use, rds_clusters, rds_groups, rds_records, rds_servers, seam, secrets
from local.aws.modelled_service import Answer, Call, ModelledService, Operation, ServiceError, in_background, paginated, serve, store
from local.aws.rds_groups import CLUSTER_PARAMETERS, INSTANCE_PARAMETERS, MAJORS, arn
from local.aws.rds_records import instances as _instances
from local.engines.postgres import PostgresError

log = logging.getLogger("lake.rds")

SERVER_MAJOR = "18"
"""Major version of the server that really runs."""

_KEPT = frozenset({
    "AllocatedStorage", "AutoMinorVersionUpgrade", "AvailabilityZone", "BackupRetentionPeriod", "CACertificateIdentifier", "CopyTagsToSnapshot",
    "DBInstanceClass", "DatabaseInsightsMode", "DeletionProtection", "EngineLifecycleSupport", "Iops", "LicenseModel", "MaxAllocatedStorage",
    "MonitoringInterval", "MonitoringRoleArn", "MultiAZ", "NetworkType", "PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod",
    "PreferredBackupWindow", "PreferredMaintenanceWindow", "PromotionTier", "PubliclyAccessible", "StorageThroughput", "StorageType",
})  # fmt: skip
"""Properties that are kept under their own names."""

_TAKEN = _KEPT | {
    "DBInstanceIdentifier", "DBName", "DBParameterGroupName", "DBSubnetGroupName", "EnableCloudwatchLogsExports", "EnablePerformanceInsights",
    "Engine", "EngineVersion", "KmsKeyId", "ManageMasterUserPassword", "MasterUserPassword", "MasterUserSecretKmsKeyId", "MasterUsername",
    "Port", "StorageEncrypted", "Tags", "VpcSecurityGroupIds",
}  # fmt: skip
_TAKEN_OF_REPLICA = (_TAKEN - {
    "DBName", "Engine", "EngineVersion", "ManageMasterUserPassword", "MasterUserPassword", "MasterUserSecretKmsKeyId", "MasterUsername",
}) | {"SourceDBInstanceIdentifier", "SourceRegion", "PreSignedUrl"}  # fmt: skip
_TAKEN_OF_CHANGE = (_TAKEN - {"DBName", "Engine", "KmsKeyId", "MasterUsername", "Port", "StorageEncrypted", "EnableCloudwatchLogsExports", "Tags"}) | {
    "ApplyImmediately", "CloudwatchLogsExportConfiguration", "RotateMasterUserPassword", "AllowMajorVersionUpgrade", "CertificateRotationRestart",
}  # fmt: skip
_DEFAULTS = {
    "AutoMinorVersionUpgrade": True, "BackupRetentionPeriod": 1, "CACertificateIdentifier": "rds-ca-rsa2048-g1", "CopyTagsToSnapshot": False,
    "DeletionProtection": False, "LicenseModel": "postgresql-license", "MonitoringInterval": 0, "MultiAZ": False, "NetworkType": "IPV4",
    "PreferredBackupWindow": "03:00-03:30", "PreferredMaintenanceWindow": "sun:04:00-sun:04:30", "PubliclyAccessible": False,
    "StorageType": "gp2",
}  # fmt: skip
_LOGS = frozenset({"postgresql", "upgrade", "iam-db-auth-error"})

_snapshots: Any = store()


def register() -> None:
    """Serve RDS."""
    serve(
        ModelledService(
            name="rds",
            state={
                "instances": _instances, "snapshots": _snapshots, "subnet_groups": rds_groups.subnet_groups,
                "parameter_groups": rds_groups.parameter_groups, "clusters": rds_records.clusters,
                "cluster_parameter_groups": rds_groups.cluster_parameter_groups,
            },
            restored=_restored,
            invalid="InvalidParameterValue",
            operations={
                **rds_groups.OPERATIONS,
                **rds_clusters.OPERATIONS,
                "DeleteDBSubnetGroup": Operation(_delete_subnet_group, on=rds_groups.OPERATIONS["CreateDBSubnetGroup"].on),
                "ModifyDBParameterGroup": Operation(_modify_parameter_group, on=rds_groups.OPERATIONS["CreateDBParameterGroup"].on),
                "DeleteDBParameterGroup": Operation(_delete_parameter_group, on=rds_groups.OPERATIONS["CreateDBParameterGroup"].on),
                "CreateDBInstance": Operation(_create, on=_instance_arn, passes={"MonitoringRoleArn": "monitoring.rds"}),
                "CreateDBInstanceReadReplica": Operation(_create_replica, on=_instance_arn, passes={"MonitoringRoleArn": "monitoring.rds"}),
                "DescribeDBInstances": Operation(_describe, on=_instance_arn),
                "ModifyDBInstance": Operation(_modify, on=_instance_arn, passes={"MonitoringRoleArn": "monitoring.rds"}),
                "RebootDBInstance": Operation(_reboot, on=_instance_arn),
                "DeleteDBInstance": Operation(_delete, on=_instance_arn),
                "DescribeDBSnapshots": Operation(_describe_snapshots, on=_snapshot_arn),
                "DeleteDBSnapshot": Operation(_delete_snapshot, on=_snapshot_arn),
                "AddTagsToResource": Operation(_add_tags, on=_tagged_arn),
                "RemoveTagsFromResource": Operation(_remove_tags, on=_tagged_arn),
                "ListTagsForResource": Operation(_list_tags, on=_tagged_arn),
            },
        )
    )  # fmt: skip


def _instance_arn(call: Call) -> str:
    return arn(call, "db", str(call.params.get("DBInstanceIdentifier", "*")).lower())


# ---- making ----------------------------------------------------------------------------------------------------------


def _create(call: Call) -> Answer:
    params = call.params
    if params.get("DBClusterIdentifier"):
        return {"DBInstance": _shown(rds_clusters.create_member(call))}
    rds_records.refuse_untaken(call, _TAKEN)
    if params["Engine"] != "postgres":
        raise ServiceError(
            "InvalidParameterValue",
            f"the engine {params['Engine']} is not implemented on the laptop platform: its RDS is PostgreSQL. Write engine postgres, or aurora-postgresql for an instance of a cluster",
        )
    major = str(params.get("EngineVersion", SERVER_MAJOR)).split(".")[0]
    if major not in MAJORS:
        raise ServiceError("InvalidParameterCombination", f"Cannot find version {params['EngineVersion']} for postgres")
    user, database = str(params.get("MasterUsername", "")), str(params.get("DBName", ""))
    rds_records.check_master(user, database)
    if int(params.get("AllocatedStorage", 0)) < 20:
        raise ServiceError(
            "InvalidParameterValue",
            f"Invalid storage size for engine name postgres: {params.get('AllocatedStorage', 'none')}; the least is 20",
        )
    password = rds_records.first_password(call)
    record = _record(call, engine_version=str(params.get("EngineVersion", SERVER_MAJOR)), major=major)
    record |= {"MasterUsername": user, **({"DBName": database} if database else {})}
    if params.get("ManageMasterUserPassword"):
        record["MasterUserSecret"] = rds_records.managed_secret(call, record, password)
    _instances[record["DBInstanceIdentifier"]] = record
    in_background(_bring_up, record, password, name=f"rds-{record['DBInstanceIdentifier']}")
    return {"DBInstance": _shown(record)}


def _create_replica(call: Call) -> Answer:
    rds_records.refuse_untaken(call, _TAKEN_OF_REPLICA)
    source = rds_records.instance(str(call.params.get("SourceDBInstanceIdentifier", "")).rsplit(":", 1)[-1])
    call.require("rds:CreateDBInstanceReadReplica", source["DBInstanceArn"])
    if source["DBInstanceStatus"] != "available":
        raise ServiceError(
            "InvalidDBInstanceStateFault", f"The source {source['DBInstanceIdentifier']} is {source['DBInstanceStatus']}, not available"
        )
    if not source["BackupRetentionPeriod"]:
        message = "Automated backups are not enabled for this database instance. To enable automated backups, use ModifyDBInstance to set the backup retention period to a non-zero value."
        raise ServiceError("InvalidDBInstanceStateFault", message)
    record = _record(call, engine_version=source["EngineVersion"], major=source["EngineVersion"].split(".")[0], source=source)
    record |= {
        "MasterUsername": source["MasterUsername"], "ReadReplicaSourceDBInstanceIdentifier": source["DBInstanceIdentifier"],
        **({"DBName": source["DBName"]} if "DBName" in source else {}),
    }  # fmt: skip
    source["ReadReplicaDBInstanceIdentifiers"] = [*source["ReadReplicaDBInstanceIdentifiers"], record["DBInstanceIdentifier"]]
    _instances[record["DBInstanceIdentifier"]] = record
    in_background(_bring_up, record, None, name=f"rds-{record['DBInstanceIdentifier']}")
    return {"DBInstance": _shown(record)}


def _record(call: Call, *, engine_version: str, major: str, source: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """RDS's record of a new instance.

    Raises:
        ServiceError: The name is taken or none, or a group, key or security group is not there.
    """
    params, base = call.params, source or {}
    name = rds_records.checked_name(call, "DBInstanceIdentifier")
    if name in _instances:
        raise ServiceError("DBInstanceAlreadyExistsFault", "DB instance already exists")
    default_subnets = base.get("DBSubnetGroup", {}).get("DBSubnetGroupName", "")
    subnets = rds_groups.subnet_group(str(params.get("DBSubnetGroupName") or default_subnets or "default"))
    parameters = INSTANCE_PARAMETERS.group(str(params.get("DBParameterGroupName") or f"default.postgres{major}"))
    if parameters["DBParameterGroupFamily"] != f"postgres{major}":
        raise ServiceError(
            "InvalidParameterCombination",
            f"The parameter group {parameters['DBParameterGroupName']} with DBParameterGroupFamily {parameters['DBParameterGroupFamily']} can't be used"
            f" for this instance. Please use a parameter group with DBParameterGroupFamily postgres{major}.",
        )
    for kind, group in (("subgrp", subnets["DBSubnetGroupName"]), ("pg", parameters["DBParameterGroupName"])):
        call.require(f"rds:{call.operation}", arn(call, kind, group))
    is_encrypted = bool(params.get("StorageEncrypted", base.get("StorageEncrypted", False)))
    key = str(params.get("KmsKeyId") or base.get("KmsKeyId") or "")
    rds_records.checked_storage_key(call, str(params.get("KmsKeyId") or ""), is_encrypted=is_encrypted)
    insights = bool(params.get("EnablePerformanceInsights"))
    return {
        **_DEFAULTS,
        **{name: base[name] for name in ("AllocatedStorage", "StorageType", "DBInstanceClass") if name in base},
        **({"BackupRetentionPeriod": 0} if source else {}),
        **{name: params[name] for name in _KEPT if name in params},
        "DBInstanceIdentifier": name, "DBInstanceArn": arn(call, "db", name), "DbiResourceId": f"db-{uuid.uuid4().hex[:26].upper()}",
        "DBInstanceStatus": "creating", "Engine": "postgres", "EngineVersion": engine_version, "InstanceCreateTime": time.time(),
        "Endpoint": {"Address": rds_servers.ADDRESS, "Port": rds_servers.new_port(), "HostedZoneId": "Z2R2ITUGPM61AM"}, "DbInstancePort": 0,
        "DBSubnetGroup": {key: value for key, value in subnets.items() if not key.startswith("_")},
        "DBParameterGroups": [{"DBParameterGroupName": parameters["DBParameterGroupName"], "ParameterApplyStatus": "in-sync"}],
        "VpcSecurityGroups": rds_records.security_groups(params.get("VpcSecurityGroupIds") or (), vpc=subnets["VpcId"]),
        "StorageEncrypted": is_encrypted, **({"KmsKeyId": key_use.key_arn(key) or key} if key else {}),
        "PerformanceInsightsEnabled": insights, "EnabledCloudwatchLogsExports": _log_exports(params.get("EnableCloudwatchLogsExports") or ()),
        "IAMDatabaseAuthenticationEnabled": False, "ReadReplicaDBInstanceIdentifiers": [], "PendingModifiedValues": {}, "_tags": call.tags,
    }  # fmt: skip


def _log_exports(names: Iterable[str]) -> list[str]:
    return rds_records.log_exports(names, known=_LOGS, version=f"postgres {SERVER_MAJOR}")


def _bring_up(record: dict[str, Any], password: str | None) -> None:
    """Start an instance and make what belongs into it; a replica gets all from its source."""
    try:
        _start(record)
        if password is not None:
            rds_servers.set_up(record, password=password)
        record["DBInstanceStatus"] = "available"
    except (PostgresError, OSError, ServiceError) as fault:
        log.exception("%s", record["DBInstanceIdentifier"])
        record["DBInstanceStatus"] = "failed"
        record["StatusInfos"] = [{"StatusType": "start", "Normal": False, "Status": "failed", "Message": str(fault)[:500]}]


def _start(record: dict[str, Any]) -> None:
    """Start an instance's server with the settings of now, and its replicas after it."""
    source = record.get("ReadReplicaSourceDBInstanceIdentifier")
    rds_servers.start(record, source=rds_records.instance(source) if source else None)
    for name in record["ReadReplicaDBInstanceIdentifiers"]:
        replica = _instances.get(name)
        if replica is not None and replica["DBInstanceStatus"] != "creating":
            rds_servers.start(replica, source=record)


def _restored() -> None:
    """Start what ran when the platform ended; a creation that was cut short is failed."""
    for record in _instances.all_values():
        if "DBClusterIdentifier" in record:
            continue
        if record["DBInstanceStatus"] == "creating":
            record["DBInstanceStatus"] = "failed"
        elif record["DBInstanceStatus"] != "failed" and "ReadReplicaSourceDBInstanceIdentifier" not in record:
            _, _, _, region, account, *_ = record["DBInstanceArn"].split(":")
            with seam.module("core.responses").request_scope(account, region):
                in_background(_bring_up, record, None, name=f"rds-{record['DBInstanceIdentifier']}")
    rds_clusters.restored()


# ---- reading, changing, ending -----------------------------------------------------------------------------------------


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as the API shows it: while it is made it has no endpoint."""
    shown = {key: value for key, value in record.items() if not key.startswith("_")}
    if record["DBInstanceStatus"] == "creating":
        shown.pop("Endpoint")
    return {**shown, "TagList": record["_tags"]}


def _describe(call: Call) -> Answer:
    name = call.params.get("DBInstanceIdentifier")
    for given in call.params.get("Filters") or []:
        raise ServiceError("InvalidParameterValue", f"the filter {given.get('Name')} is not implemented on the laptop platform")
    return paginated(
        call, [_shown(record) for record in ([rds_records.instance(str(name).rsplit(":", 1)[-1])] if name else _instances.values())]
    )


def _modify(call: Call) -> Answer:
    params, record = call.params, rds_records.instance(call.params["DBInstanceIdentifier"])
    if "DBClusterIdentifier" in record:
        return {"DBInstance": _shown(rds_clusters.modify_member(call, record))}
    rds_records.refuse_untaken(call, _TAKEN_OF_CHANGE)
    if record["DBInstanceStatus"] != "available":
        raise ServiceError(
            "InvalidDBInstanceStateFault", f"Instance {record['DBInstanceIdentifier']} is {record['DBInstanceStatus']}, not available"
        )
    if str(params.get("EngineVersion", record["EngineVersion"])).split(".")[0] != record["EngineVersion"].split(".")[0]:
        raise ServiceError("InvalidParameterCombination", "an upgrade to another major version is not implemented on the laptop platform")
    if "DBSubnetGroupName" in params and params["DBSubnetGroupName"].lower() != record["DBSubnetGroup"]["DBSubnetGroupName"]:
        raise ServiceError("InvalidParameterCombination", "moving an instance to other subnets is not implemented on the laptop platform")
    group = record["DBParameterGroups"][0]["DBParameterGroupName"]
    wanted = str(params.get("DBParameterGroupName") or group).lower()
    INSTANCE_PARAMETERS.group(wanted)
    vpc = record["DBSubnetGroup"]["VpcId"]
    groups = rds_records.security_groups(params["VpcSecurityGroupIds"], vpc=vpc) if "VpcSecurityGroupIds" in params else None
    logs = _log_exports(rds_records.changed_log_exports(call, record))
    password = rds_records.changed_password(call, record)
    record.update({name: params[name] for name in _KEPT if name in params})
    record.update({name: params[name] for name in ("EngineVersion",) if name in params})
    record["EnabledCloudwatchLogsExports"] = logs
    record["VpcSecurityGroups"] = record["VpcSecurityGroups"] if groups is None else groups
    if "EnablePerformanceInsights" in params:
        record["PerformanceInsightsEnabled"] = bool(params["EnablePerformanceInsights"])
    if wanted != group:
        # Another group takes effect with the next reboot, whatever ApplyImmediately says.
        record["DBParameterGroups"] = [{"DBParameterGroupName": wanted, "ParameterApplyStatus": "pending-reboot"}]
    if password is not None:
        rds_servers.set_password(record, password)
    return {"DBInstance": _shown(record)}


def _reboot(call: Call) -> Answer:
    record = rds_records.instance(call.params["DBInstanceIdentifier"])
    if record["DBInstanceStatus"] != "available":
        raise ServiceError(
            "InvalidDBInstanceStateFault", f"Instance {record['DBInstanceIdentifier']} is {record['DBInstanceStatus']}, not available"
        )
    if "DBClusterIdentifier" in record:
        return {"DBInstance": _shown(rds_clusters.reboot_member(record))}
    record["DBInstanceStatus"] = "rebooting"
    record["DBParameterGroups"][0]["ParameterApplyStatus"] = "in-sync"
    in_background(_bring_up, record, None, name=f"rds-{record['DBInstanceIdentifier']}")
    return {"DBInstance": _shown(record)}


def _delete(call: Call) -> Answer:
    params, record = call.params, rds_records.instance(call.params["DBInstanceIdentifier"])
    if "DBClusterIdentifier" in record:
        return {"DBInstance": _shown(rds_clusters.delete_member(call, record))}
    skip, final = bool(params.get("SkipFinalSnapshot")), str(params.get("FinalDBSnapshotIdentifier") or "")
    source = record.get("ReadReplicaSourceDBInstanceIdentifier")
    if record["DeletionProtection"]:
        raise ServiceError(
            "InvalidParameterCombination", "Cannot delete protected DB Instance, please disable deletion protection and try again."
        )
    if source and final:
        raise ServiceError("InvalidParameterCombination", "FinalDBSnapshotIdentifier can't be specified when deleting a read replica.")
    if not source and skip == bool(final):
        message = (
            "FinalDBSnapshotIdentifier can not be specified when deleting an instance with SkipFinalSnapshot set to true."
            if skip
            else "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        )
        raise ServiceError("InvalidParameterCombination", message)
    if final and final.lower() in _snapshots:
        raise ServiceError(
            "DBSnapshotAlreadyExistsFault", f"Cannot create the snapshot because a snapshot with the identifier {final} already exists."
        )
    if record["ReadReplicaDBInstanceIdentifiers"]:
        replicas = ", ".join(record["ReadReplicaDBInstanceIdentifiers"])
        raise ServiceError(
            "InvalidDBInstanceStateFault",
            f"{record['DBInstanceIdentifier']} has the read replicas {replicas}, which AWS would promote: delete them first",
        )
    if final:
        _snapshots[final.lower()] = {
            "DBSnapshotIdentifier": final.lower(), "DBInstanceIdentifier": record["DBInstanceIdentifier"], "SnapshotCreateTime": time.time(),
            "Engine": "postgres", "EngineVersion": record["EngineVersion"], "Status": "available", "SnapshotType": "manual", "PercentProgress": 100,
            "AllocatedStorage": record["AllocatedStorage"], "Encrypted": record["StorageEncrypted"], "MasterUsername": record["MasterUsername"],
            "VpcId": record["DBSubnetGroup"]["VpcId"], "DbiResourceId": record["DbiResourceId"],
            "DBSnapshotArn": arn(call, "snapshot", final.lower()),
        }  # fmt: skip
    record["DBInstanceStatus"] = "deleting"
    in_background(_end, record, final.lower(), name=f"rds-{record['DBInstanceIdentifier']}")
    return {"DBInstance": _shown(record)}


def _end(record: dict[str, Any], snapshot: str) -> None:
    if snapshot:
        rds_servers.keep(record, snapshot=record["DbiResourceId"])
    else:
        rds_servers.remove(record)
    source = _instances.get(record.get("ReadReplicaSourceDBInstanceIdentifier") or "")
    if source is not None:
        left = [name for name in source["ReadReplicaDBInstanceIdentifiers"] if name != record["DBInstanceIdentifier"]]
        source["ReadReplicaDBInstanceIdentifiers"] = left
    if "MasterUserSecret" in record:
        secrets.delete_managed(record["MasterUserSecret"]["SecretArn"])
    _instances.pop(record["DBInstanceIdentifier"], None)


# ---- snapshots, groups in use, tags --------------------------------------------------------------------------------------


def _snapshot_arn(call: Call) -> str:
    return arn(call, "snapshot", str(call.params.get("DBSnapshotIdentifier", "*")).lower())


def _describe_snapshots(call: Call) -> Answer:
    name, instance = call.params.get("DBSnapshotIdentifier"), call.params.get("DBInstanceIdentifier")
    if name and name.lower() not in _snapshots:
        raise ServiceError("DBSnapshotNotFoundFault", f"DBSnapshot {name} not found.")
    found = [_snapshots[name.lower()]] if name else _snapshots.values()
    return paginated(call, [snapshot for snapshot in found if instance in (None, snapshot["DBInstanceIdentifier"])])


def _delete_snapshot(call: Call) -> Answer:
    name = call.params["DBSnapshotIdentifier"].lower()
    if name not in _snapshots:
        raise ServiceError("DBSnapshotNotFoundFault", f"DBSnapshot {name} not found.")
    snapshot = _snapshots.pop(name)
    rds_servers.remove_snapshot(snapshot["DbiResourceId"])
    return {"DBSnapshot": {**snapshot, "Status": "deleted"}}


def _delete_subnet_group(call: Call) -> Answer:
    name = str(call.params["DBSubnetGroupName"]).lower()
    used = [record["DBInstanceIdentifier"] for record in _instances.values() if record["DBSubnetGroup"]["DBSubnetGroupName"] == name]
    used += rds_clusters.in_subnet_group(name)
    return rds_groups.delete_subnet_group(call, used_by=used)


def _members(group: str) -> list[dict[str, Any]]:
    return [record for record in _instances.values() if record["DBParameterGroups"][0]["DBParameterGroupName"] == group.lower()]


def _delete_parameter_group(call: Call) -> Answer:
    used = [record["DBInstanceIdentifier"] for record in _members(call.params["DBParameterGroupName"])]
    return INSTANCE_PARAMETERS.delete(call, used_by=used)


def _modify_parameter_group(call: Call) -> Answer:
    group = INSTANCE_PARAMETERS.change(call)
    at_once = any(parameter.get("ApplyMethod") == "immediate" for parameter in call.params["Parameters"])
    for record in _members(group["DBParameterGroupName"]):
        if at_once and record["DBInstanceStatus"] == "available":
            record["DBInstanceStatus"] = "modifying"
            in_background(_bring_up, record, None, name=f"rds-{record['DBInstanceIdentifier']}")
        elif not at_once:
            record["DBParameterGroups"][0]["ParameterApplyStatus"] = "pending-reboot"
    return {"DBParameterGroupName": group["DBParameterGroupName"]}


def _tagged_arn(call: Call) -> str:
    return str(call.params["ResourceName"])


def _tags(call: Call) -> list[dict[str, str]]:
    kind, _, name = str(call.params["ResourceName"]).rpartition(":")
    match kind.rsplit(":", 1)[-1]:
        case "db":
            return rds_records.instance(name)["_tags"]
        case "subgrp":
            return rds_groups.subnet_group(name)["_tags"]
        case "pg":
            return INSTANCE_PARAMETERS.group(name).get("_tags", [])
        case "cluster":
            return rds_records.cluster(name)["_tags"]
        case "cluster-pg":
            return CLUSTER_PARAMETERS.group(name).get("_tags", [])
        case other:
            raise ServiceError("InvalidParameterValue", f"tags of {other} are not implemented on the laptop platform")


def _add_tags(call: Call) -> Answer:
    tags, new = _tags(call), {tag["Key"]: tag.get("Value", "") for tag in call.params["Tags"]}
    tags[:] = [tag for tag in tags if tag["Key"] not in new] + [{"Key": key, "Value": value} for key, value in new.items()]
    return None


def _remove_tags(call: Call) -> Answer:
    tags = _tags(call)
    tags[:] = [tag for tag in tags if tag["Key"] not in call.params["TagKeys"]]
    return None


def _list_tags(call: Call) -> Answer:
    return {"TagList": _tags(call)}
