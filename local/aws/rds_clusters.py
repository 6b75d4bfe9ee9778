"""Aurora PostgreSQL: a cluster is a real PostgreSQL, its writer; each reader is a server that streams from it and has an endpoint of its own.

The cluster's server runs while it has a writer; its files are the cluster's storage. A writer that is deleted leaves its place to a reader.
Not here, and refused by name: Aurora MySQL, Multi-AZ clusters of other engines, snapshots and restores, global clusters, backtrack, cloning,
custom endpoints, IAM authentication. Kept and without effect: scaling of Serverless v2, classes, windows, backups, log exports. The reader
endpoint of a cluster is the writer's, as it is on AWS without readers: the API has one port for both, and a laptop one address.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any

from local.aws import key_use, rds_groups, rds_records, rds_servers, seam, secrets
from local.aws.modelled_service import Answer, Call, Operation, ServiceError, in_background, paginated
from local.aws.rds_groups import CLUSTER_PARAMETERS, MAJORS, arn
from local.aws.rds_records import clusters, instances
from local.engines.postgres import PostgresError

log = logging.getLogger("lake.rds")

ENGINE = "aurora-postgresql"
DEFAULT_VERSION = "17.5"
MOST_READERS = 15

_KEPT = frozenset({
    "AvailabilityZones", "BackupRetentionPeriod", "CopyTagsToSnapshot", "DatabaseInsightsMode", "DeletionProtection", "EngineLifecycleSupport",
    "NetworkType", "PreferredBackupWindow", "PreferredMaintenanceWindow", "ServerlessV2ScalingConfiguration", "StorageType",
})  # fmt: skip
_TAKEN = _KEPT | {
    "DBClusterIdentifier", "DBClusterParameterGroupName", "DBSubnetGroupName", "DatabaseName", "EnableCloudwatchLogsExports", "EnableHttpEndpoint",
    "Engine", "EngineMode", "EngineVersion", "KmsKeyId", "ManageMasterUserPassword", "MasterUserPassword", "MasterUserSecretKmsKeyId",
    "MasterUsername", "Port", "StorageEncrypted", "Tags", "VpcSecurityGroupIds",
}  # fmt: skip
_TAKEN_OF_CHANGE = (_KEPT - {"AvailabilityZones"}) | {
    "ApplyImmediately", "CloudwatchLogsExportConfiguration", "DBClusterIdentifier", "DBClusterParameterGroupName", "EngineVersion",
    "ManageMasterUserPassword", "MasterUserPassword", "MasterUserSecretKmsKeyId", "RotateMasterUserPassword", "VpcSecurityGroupIds",
}  # fmt: skip
_KEPT_OF_MEMBER = frozenset({
    "AutoMinorVersionUpgrade", "AvailabilityZone", "CACertificateIdentifier", "CopyTagsToSnapshot", "DBInstanceClass", "MonitoringInterval",
    "MonitoringRoleArn", "PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod", "PreferredMaintenanceWindow", "PromotionTier",
    "PubliclyAccessible",
})  # fmt: skip
_TAKEN_OF_MEMBER = _KEPT_OF_MEMBER | {
    "DBClusterIdentifier", "DBInstanceIdentifier", "DBSubnetGroupName", "EnablePerformanceInsights", "Engine", "EngineVersion", "Tags",
}  # fmt: skip
_TAKEN_OF_MEMBER_CHANGE = _KEPT_OF_MEMBER | {"ApplyImmediately", "DBInstanceIdentifier", "EnablePerformanceInsights"}
_LOGS = frozenset({"postgresql", "iam-db-auth-error"})


def _cluster_arn(call: Call) -> str:
    return arn(call, "cluster", str(call.params.get("DBClusterIdentifier", "*")).rsplit(":", 1)[-1].lower())


def members(cluster: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Instances of a cluster, the writer first."""
    return [instances[member["DBInstanceIdentifier"]] for member in cluster["DBClusterMembers"]]


def in_subnet_group(name: str) -> list[str]:
    """Clusters that live in a subnet group."""
    return [cluster["DBClusterIdentifier"] for cluster in clusters.values() if cluster["DBSubnetGroup"] == name]


# ---- clusters ----------------------------------------------------------------------------------------------------------


def _create(call: Call) -> Answer:
    params = call.params
    rds_records.refuse_untaken(call, _TAKEN)
    if params["Engine"] != ENGINE or params.get("EngineMode", "provisioned") != "provisioned":
        raise ServiceError(
            "InvalidParameterValue",
            f"clusters of the engine {params['Engine']}, mode {params.get('EngineMode', 'provisioned')}, are not implemented on the laptop platform:"
            f" its clusters are {ENGINE}, mode provisioned",
        )
    version = str(params.get("EngineVersion", DEFAULT_VERSION))
    major = version.partition(".")[0]
    if major not in MAJORS:
        raise ServiceError("InvalidParameterCombination", f"Cannot find version {version} for {ENGINE}")
    name = rds_records.checked_name(call, "DBClusterIdentifier")
    if name in clusters:
        raise ServiceError("DBClusterAlreadyExistsFault", "DB Cluster already exists")
    user, database = str(params.get("MasterUsername", "")), str(params.get("DatabaseName", ""))
    rds_records.check_master(user, database, member="DatabaseName")
    password = rds_records.first_password(call)
    subnets = rds_groups.subnet_group(str(params.get("DBSubnetGroupName") or "default"))
    group = _parameter_group(str(params.get("DBClusterParameterGroupName") or f"default.{ENGINE}{major}"), major)
    for kind, used in (("subgrp", subnets["DBSubnetGroupName"]), ("cluster-pg", group)):
        call.require("rds:CreateDBCluster", arn(call, kind, used))
    is_encrypted, key = bool(params.get("StorageEncrypted")), str(params.get("KmsKeyId") or "")
    rds_records.checked_storage_key(call, key, is_encrypted=is_encrypted)
    made: dict[str, Any] = {
        "BackupRetentionPeriod": 1, "CopyTagsToSnapshot": False, "DeletionProtection": False, "NetworkType": "IPV4", "AllocatedStorage": 1,
        "PreferredBackupWindow": "03:00-03:30", "PreferredMaintenanceWindow": "sun:04:00-sun:04:30",
        **{kept: params[kept] for kept in _KEPT if kept in params},
        "DBClusterIdentifier": name, "DBClusterArn": arn(call, "cluster", name), "DbClusterResourceId": f"cluster-{uuid.uuid4().hex[:26].upper()}",
        "Status": "creating", "Engine": ENGINE, "EngineMode": "provisioned", "EngineVersion": version, "ClusterCreateTime": time.time(),
        "Endpoint": rds_servers.ADDRESS, "ReaderEndpoint": rds_servers.ADDRESS, "Port": rds_servers.new_port(), "HostedZoneId": "Z2R2ITUGPM61AM",
        "MasterUsername": user, **({"DatabaseName": database} if database else {}), "MultiAZ": False, "DBClusterMembers": [],
        "DBSubnetGroup": subnets["DBSubnetGroupName"], "DBClusterParameterGroup": group, "AssociatedRoles": [], "ReadReplicaIdentifiers": [],
        "VpcSecurityGroups": rds_records.security_groups(params.get("VpcSecurityGroupIds") or (), vpc=subnets["VpcId"]),
        "StorageEncrypted": is_encrypted, **({"KmsKeyId": key_use.key_arn(key) or key} if key else {}),
        "EnabledCloudwatchLogsExports": _log_exports(params.get("EnableCloudwatchLogsExports") or (), version),
        "HttpEndpointEnabled": bool(params.get("EnableHttpEndpoint")), "IAMDatabaseAuthenticationEnabled": False, "_tags": call.tags,
    }  # fmt: skip
    if params.get("ManageMasterUserPassword"):
        made["MasterUserSecret"] = rds_records.managed_secret(call, made, password)
    clusters[name] = made
    in_background(_make_storage, made, password, name=f"rds-{name}")
    return {"DBCluster": _shown(made)}


def _parameter_group(name: str, major: str) -> str:
    group = CLUSTER_PARAMETERS.group(name)
    if group["DBParameterGroupFamily"] != f"{ENGINE}{major}":
        raise ServiceError(
            "InvalidParameterCombination",
            f"The parameter group {name} with DBParameterGroupFamily {group['DBParameterGroupFamily']} can't be used for this cluster."
            f" Please use a parameter group with DBParameterGroupFamily {ENGINE}{major}.",
        )
    return str(group["DBClusterParameterGroupName"])


def _log_exports(names: Any, version: str) -> list[str]:
    return rds_records.log_exports(names, known=_LOGS, version=f"{ENGINE} {version}")


def _shown(cluster: Mapping[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in cluster.items() if not key.startswith("_")}, "TagList": cluster["_tags"]}


def _describe(call: Call) -> Answer:
    for given in call.params.get("Filters") or []:
        raise ServiceError("InvalidParameterValue", f"the filter {given.get('Name')} is not implemented on the laptop platform")
    name = call.params.get("DBClusterIdentifier")
    return paginated(call, [_shown(cluster) for cluster in ([rds_records.cluster(str(name))] if name else clusters.values())])


def _modify(call: Call) -> Answer:
    params, cluster = call.params, _available(str(call.params["DBClusterIdentifier"]))
    if "EnableHttpEndpoint" in params:
        message = "EnableHttpEndpoint of ModifyDBCluster is for Aurora Serverless v1: call EnableHttpEndpoint or DisableHttpEndpoint"
        raise ServiceError("InvalidParameterCombination", message)
    rds_records.refuse_untaken(call, _TAKEN_OF_CHANGE)
    major = cluster["EngineVersion"].split(".")[0]
    if str(params.get("EngineVersion", major)).split(".")[0] != major:
        raise ServiceError("InvalidParameterCombination", "an upgrade to another major version is not implemented on the laptop platform")
    group = _parameter_group(str(params.get("DBClusterParameterGroupName") or cluster["DBClusterParameterGroup"]), major)
    vpc = rds_groups.subnet_group(cluster["DBSubnetGroup"])["VpcId"]
    groups = rds_records.security_groups(params["VpcSecurityGroupIds"], vpc=vpc) if "VpcSecurityGroupIds" in params else None
    logs = _log_exports(rds_records.changed_log_exports(call, cluster), cluster["EngineVersion"])
    password = rds_records.changed_password(call, cluster)
    cluster.update({kept: params[kept] for kept in (*_KEPT, "EngineVersion") if kept in params})
    cluster |= {"DBClusterParameterGroup": group, "EnabledCloudwatchLogsExports": logs}
    cluster["VpcSecurityGroups"] = cluster["VpcSecurityGroups"] if groups is None else groups
    if password is not None:
        rds_servers.set_password(_server(cluster), password)
        if not cluster["DBClusterMembers"]:
            rds_servers.stop(_server(cluster))
    return {"DBCluster": _shown(cluster)}


def _available(name: str) -> dict[str, Any]:
    cluster = rds_records.cluster(name)
    if cluster["Status"] != "available":
        raise ServiceError(
            "InvalidDBClusterStateFault", f"DB cluster {cluster['DBClusterIdentifier']} is {cluster['Status']}, not available"
        )
    return cluster


def _delete(call: Call) -> Answer:
    params, cluster = call.params, rds_records.cluster(str(call.params["DBClusterIdentifier"]))
    if cluster["DeletionProtection"]:
        raise ServiceError(
            "InvalidParameterCombination", "Cannot delete protected Cluster, please disable deletion protection and try again."
        )
    if cluster["DBClusterMembers"]:
        raise ServiceError("InvalidDBClusterStateFault", "Cluster cannot be deleted, it still contains DB instances in non-deleting state.")
    if not params.get("SkipFinalSnapshot"):
        raise ServiceError(
            "InvalidParameterCombination",
            "snapshots of clusters are not implemented on the laptop platform: say SkipFinalSnapshot, and no FinalDBSnapshotIdentifier",
        )
    cluster["Status"] = "deleting"
    in_background(_end, cluster, name=f"rds-{cluster['DBClusterIdentifier']}")
    return {"DBCluster": _shown(cluster)}


def _end(cluster: dict[str, Any]) -> None:
    rds_servers.remove(_server(cluster))
    if "MasterUserSecret" in cluster:
        secrets.delete_managed(cluster["MasterUserSecret"]["SecretArn"])
    clusters.pop(cluster["DBClusterIdentifier"], None)


# ---- the Data API's switch -----------------------------------------------------------------------------------------------


def _switch(call: Call, *, is_on: bool) -> Answer:
    found = clusters.get(str(call.params["ResourceArn"]).rsplit(":", 1)[-1])
    if found is None or found["DBClusterArn"] != call.params["ResourceArn"]:
        raise ServiceError("ResourceNotFoundFault", f"{call.params['ResourceArn']} is no cluster")
    found["HttpEndpointEnabled"] = is_on
    return {"ResourceArn": found["DBClusterArn"], "HttpEndpointEnabled": is_on}


def _named_arn(call: Call) -> str:
    return str(call.params["ResourceArn"])


# ---- servers -----------------------------------------------------------------------------------------------------------


def _server(record: Mapping[str, Any], cluster: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A cluster's server, or that of a reader of *cluster*, as `rds_servers` is told of it."""
    common = cluster or record
    return {
        "DbiResourceId": record["DbClusterResourceId"] if cluster is None else record["DbiResourceId"],
        "Endpoint": {"Port": record["Port"] if cluster is None else record["Endpoint"]["Port"]},
        "MasterUsername": common["MasterUsername"], "DBName": common.get("DatabaseName", ""),
        "DBClusterParameterGroup": common["DBClusterParameterGroup"],
    }  # fmt: skip


def _make_storage(cluster: dict[str, Any], password: str) -> None:
    """Make what belongs into a new cluster; its server runs once it has a writer."""
    try:
        rds_servers.start(_server(cluster))
        rds_servers.set_up(_server(cluster), password=password)
        rds_servers.stop(_server(cluster))
        cluster["Status"] = "available"
    except (PostgresError, OSError, ServiceError) as fault:
        log.exception("%s", cluster["DBClusterIdentifier"])
        cluster["Status"] = "failed"
        cluster["StatusInfos"] = [{"Message": str(fault)[:500], "Source": "start"}]


def _bring_up(cluster: dict[str, Any], member: dict[str, Any]) -> None:
    """Start the server of a member, with the settings of now; that of the writer is the cluster's, and readers follow it anew."""
    try:
        while cluster["Status"] == "creating":
            time.sleep(0.05)
        if cluster["Status"] == "failed":
            raise PostgresError(f"the cluster {cluster['DBClusterIdentifier']} has no storage")
        if not _is_writer(cluster, member):
            rds_servers.start(_server(member, cluster), source=_server(cluster))
        else:
            rds_servers.start(_server(cluster))
            for reader in members(cluster)[1:]:
                if reader["DBInstanceStatus"] == "available":
                    rds_servers.start(_server(reader, cluster), source=_server(cluster))
        member["DBInstanceStatus"] = "available"
    except (PostgresError, OSError, ServiceError) as fault:
        log.exception("%s", member["DBInstanceIdentifier"])
        member["DBInstanceStatus"] = "failed"
        member["StatusInfos"] = [{"StatusType": "start", "Normal": False, "Status": "failed", "Message": str(fault)[:500]}]


def _is_writer(cluster: Mapping[str, Any], member: Mapping[str, Any]) -> bool:
    return any(
        each["IsClusterWriter"] and each["DBInstanceIdentifier"] == member["DBInstanceIdentifier"] for each in cluster["DBClusterMembers"]
    )


def _restart(cluster: dict[str, Any], member: dict[str, Any], status: str) -> dict[str, Any]:
    member["DBInstanceStatus"] = status
    in_background(_bring_up, cluster, member, name=f"rds-{member['DBInstanceIdentifier']}")
    return member


def restored() -> None:
    """Start what ran when the platform ended; a creation that was cut short is failed."""
    for cluster in clusters.all_values():
        if cluster["Status"] == "creating":
            cluster["Status"] = "failed"
        _, _, _, region, account, *_ = cluster["DBClusterArn"].split(":")
        with seam.module("core.responses").request_scope(account, region):
            for member in members(cluster):
                if member["DBInstanceStatus"] == "creating":
                    member["DBInstanceStatus"] = "failed"
                elif member["DBInstanceStatus"] != "failed" and _is_writer(cluster, member):
                    in_background(_bring_up, cluster, member, name=f"rds-{member['DBInstanceIdentifier']}")


# ---- members -------------------------------------------------------------------------------------------------------------


def create_member(call: Call) -> dict[str, Any]:
    """A new instance of a cluster; the first is its writer.

    Raises:
        ServiceError: RDS would refuse it.
    """
    params, cluster = call.params, rds_records.cluster(str(call.params["DBClusterIdentifier"]))
    call.require("rds:CreateDBInstance", cluster["DBClusterArn"])
    rds_records.refuse_untaken(call, _TAKEN_OF_MEMBER)
    if params["Engine"] != cluster["Engine"]:
        raise ServiceError(
            "InvalidParameterCombination", f"The engine name requested for your DB instance ({params['Engine']}) doesn't match the engine name"
            f" of your DB cluster ({cluster['Engine']}).",
        )  # fmt: skip
    name = rds_records.checked_name(call, "DBInstanceIdentifier")
    if name in instances:
        raise ServiceError("DBInstanceAlreadyExistsFault", "DB instance already exists")
    if str(params["DBInstanceClass"]) == "db.serverless" and "ServerlessV2ScalingConfiguration" not in cluster:
        message = "Set the Serverless v2 scaling configuration on the parent DB cluster before creating a Serverless v2 DB instance."
        raise ServiceError("InvalidParameterCombination", message)
    if len(cluster["DBClusterMembers"]) > MOST_READERS:
        raise ServiceError("InvalidParameterCombination", f"a cluster has one writer and {MOST_READERS} readers at most")
    subnets = rds_groups.subnet_group(cluster["DBSubnetGroup"])
    is_writer = not cluster["DBClusterMembers"]
    port = cluster["Port"] if is_writer else rds_servers.new_port()
    major = cluster["EngineVersion"].split(".")[0]
    member: dict[str, Any] = {
        "AutoMinorVersionUpgrade": True, "CACertificateIdentifier": "rds-ca-rsa2048-g1", "MonitoringInterval": 0, "PromotionTier": 1,
        "PubliclyAccessible": False, **{kept: params[kept] for kept in _KEPT_OF_MEMBER if kept in params},
        "DBInstanceIdentifier": name, "DBInstanceArn": arn(call, "db", name), "DbiResourceId": f"db-{uuid.uuid4().hex[:26].upper()}",
        "DBInstanceStatus": "creating", "DBClusterIdentifier": cluster["DBClusterIdentifier"], "Engine": ENGINE, "MultiAZ": False,
        "EngineVersion": cluster["EngineVersion"], "InstanceCreateTime": time.time(), "MasterUsername": cluster["MasterUsername"],
        "Endpoint": {"Address": rds_servers.ADDRESS, "Port": port, "HostedZoneId": cluster["HostedZoneId"]}, "DbInstancePort": 0,
        **{own: cluster[theirs] for own, theirs in (("DBName", "DatabaseName"), ("KmsKeyId", "KmsKeyId")) if theirs in cluster},
        "DBSubnetGroup": {key: value for key, value in subnets.items() if not key.startswith("_")}, "StorageType": "aurora",
        "DBParameterGroups": [{"DBParameterGroupName": f"default.{ENGINE}{major}", "ParameterApplyStatus": "in-sync"}],
        "VpcSecurityGroups": cluster["VpcSecurityGroups"], "StorageEncrypted": cluster["StorageEncrypted"], "AllocatedStorage": 1,
        "BackupRetentionPeriod": cluster["BackupRetentionPeriod"], "DeletionProtection": False, "IAMDatabaseAuthenticationEnabled": False,
        "PerformanceInsightsEnabled": bool(params.get("EnablePerformanceInsights")), "EnabledCloudwatchLogsExports": [],
        "ReadReplicaDBInstanceIdentifiers": [], "PendingModifiedValues": {}, "_tags": call.tags,
    }  # fmt: skip
    instances[name] = member
    shown = {"DBInstanceIdentifier": name, "IsClusterWriter": is_writer, "DBClusterParameterGroupStatus": "in-sync", "PromotionTier": 1}
    cluster["DBClusterMembers"] = [*cluster["DBClusterMembers"], shown]
    return _restart(cluster, member, "creating")


def modify_member(call: Call, member: dict[str, Any]) -> dict[str, Any]:
    """Change an instance of a cluster; what is the cluster's is changed there.

    Raises:
        ServiceError: It is not available, or RDS would refuse the change.
    """
    rds_records.refuse_untaken(call, _TAKEN_OF_MEMBER_CHANGE)
    if member["DBInstanceStatus"] != "available":
        raise ServiceError(
            "InvalidDBInstanceStateFault", f"Instance {member['DBInstanceIdentifier']} is {member['DBInstanceStatus']}, not available"
        )
    member.update({kept: call.params[kept] for kept in _KEPT_OF_MEMBER if kept in call.params})
    return member


def reboot_member(member: dict[str, Any]) -> dict[str, Any]:
    """Restart the server of an instance, with the settings of now."""
    return _restart(rds_records.cluster(member["DBClusterIdentifier"]), member, "rebooting")


def delete_member(call: Call, member: dict[str, Any]) -> dict[str, Any]:
    """Take an instance from its cluster, whose storage stays; a reader takes the place of a writer.

    Raises:
        ServiceError: A snapshot was asked for.
    """
    if call.params.get("FinalDBSnapshotIdentifier"):
        raise ServiceError("InvalidParameterCombination", "FinalDBSnapshotIdentifier can not be specified when deleting a cluster instance")
    cluster = rds_records.cluster(member["DBClusterIdentifier"])
    was_writer = _is_writer(cluster, member)
    left = [each for each in cluster["DBClusterMembers"] if each["DBInstanceIdentifier"] != member["DBInstanceIdentifier"]]
    if was_writer and left:
        left = [{**left[0], "IsClusterWriter": True}, *left[1:]]
    cluster["DBClusterMembers"] = left
    member["DBInstanceStatus"] = "deleting"
    in_background(_end_member, cluster, member, was_writer, name=f"rds-{member['DBInstanceIdentifier']}")
    return member


def _end_member(cluster: dict[str, Any], member: dict[str, Any], was_writer: bool) -> None:  # noqa: FBT001 - passed on by a thread
    if not was_writer:
        rds_servers.remove(_server(member, cluster))
    elif cluster["DBClusterMembers"]:
        promoted = members(cluster)[0]
        rds_servers.remove(_server(promoted, cluster))
        promoted["Endpoint"] = {**promoted["Endpoint"], "Port": cluster["Port"]}
    else:
        rds_servers.stop(_server(cluster))
    instances.pop(member["DBInstanceIdentifier"], None)


# ---- parameter groups ------------------------------------------------------------------------------------------------------


def _users(group: str) -> list[dict[str, Any]]:
    return [cluster for cluster in clusters.values() if cluster["DBClusterParameterGroup"] == group.lower()]


def _modify_parameters(call: Call) -> Answer:
    name = str(CLUSTER_PARAMETERS.change(call)["DBClusterParameterGroupName"])
    if any(parameter.get("ApplyMethod") == "immediate" for parameter in call.params["Parameters"]):
        for cluster in _users(name):
            if cluster["DBClusterMembers"] and members(cluster)[0]["DBInstanceStatus"] == "available":
                _restart(cluster, members(cluster)[0], "modifying")
    return {"DBClusterParameterGroupName": name}


def _delete_parameters(call: Call) -> Answer:
    used = [cluster["DBClusterIdentifier"] for cluster in _users(str(call.params["DBClusterParameterGroupName"]))]
    return CLUSTER_PARAMETERS.delete(call, used_by=used)


OPERATIONS: Mapping[str, Operation] = {
    "CreateDBCluster": Operation(_create, on=_cluster_arn),
    "DescribeDBClusters": Operation(_describe, on=_cluster_arn),
    "ModifyDBCluster": Operation(_modify, on=_cluster_arn),
    "DeleteDBCluster": Operation(_delete, on=_cluster_arn),
    "EnableHttpEndpoint": Operation(lambda call: _switch(call, is_on=True), on=_named_arn),
    "DisableHttpEndpoint": Operation(lambda call: _switch(call, is_on=False), on=_named_arn),
    "ModifyDBClusterParameterGroup": Operation(_modify_parameters, on=CLUSTER_PARAMETERS.arn_of),
    "DeleteDBClusterParameterGroup": Operation(_delete_parameters, on=CLUSTER_PARAMETERS.arn_of),
}
"""Operations on clusters."""
