"""Provisioned Redshift clusters: made, changed, paused, resumed and removed; their databases are those of local/redshift.

A cluster that is paused takes no statements until it is resumed. Refused: passwords in requests, unencrypted clusters, node types without managed
storage, snapshots and restores, elastic addresses, HSMs, logs in S3. Kept and without effect: nodes, zones, windows, parameters.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

from lakehouse.warehouse.nodes import node_problem
from local.aws import key_use, redshift_engine, redshift_groups, seam, secrets
from local.aws.modelled_service import Answer, Call, Operation, ServiceError, in_background, paginated, store
from local.aws.redshift_engine import LOG_EXPORTS, Endpoint
from local.aws.redshift_groups import arn, invalid

log = logging.getLogger("lake.redshift")

CLUSTERS: Any = store()

PORT = 5439
DEFAULT_WINDOW = "sat:05:00-sat:05:30"
MOST_SNAPSHOT_DAYS = 35
MOST_ROLES = 50

_ec2 = seam.module("services.ec2")

_IDENTIFIER = re.compile(r"[a-z](-?[a-z0-9])*")
_USER = re.compile(r"[a-z][a-z0-9_+.@-]{0,127}")
_DATABASE = re.compile(r"[a-z_][a-z0-9_]{0,63}")
_WINDOW = re.compile(r"((mon|tue|wed|thu|fri|sat|sun):([01]\d|2[0-3]):[0-5]\d)-((mon|tue|wed|thu|fri|sat|sun):([01]\d|2[0-3]):[0-5]\d)")
_PLAIN = frozenset({
    "AllowVersionUpgrade", "AutomatedSnapshotRetentionPeriod", "EnhancedVpcRouting", "ManualSnapshotRetentionPeriod", "NodeType", "NumberOfNodes",
    "PreferredMaintenanceWindow", "PubliclyAccessible",
})  # fmt: skip
_TAKEN = _PLAIN | {
    "AvailabilityZone", "AvailabilityZoneRelocation", "ClusterIdentifier", "ClusterParameterGroupName", "ClusterSubnetGroupName", "ClusterType",
    "ClusterVersion", "DBName", "DefaultIamRoleArn", "Encrypted", "IamRoles", "KmsKeyId", "MaintenanceTrackName", "ManageMasterPassword",
    "MasterPasswordSecretKmsKeyId", "MasterUsername", "MultiAZ", "Port", "Tags", "VpcSecurityGroupIds",
}  # fmt: skip
_ONLY: Mapping[str, Any] = {"ClusterVersion": "1.0", "MaintenanceTrackName": "current", "MultiAZ": False}
"""What is taken with this one value only."""


# ---- for the Data API ------------------------------------------------------------------------------------------------------


def endpoint(name: str) -> Endpoint | None:
    """A cluster, as statements are sent to it."""
    record = CLUSTERS.get(name.lower())
    if record is None:
        return None
    status = record["ClusterStatus"]
    return Endpoint(
        name=record["ClusterIdentifier"], arn=record["_arn"], source_arn=record["_arn"], storage=record["_storage"], database=record["DBName"],
        admin=record["MasterUsername"], admin_secret=record.get("MasterPasswordSecretArn", ""), roles=tuple(record["_roles"]),
        default_role=record.get("DefaultIamRoleArn", ""), shown={"ClusterIdentifier": record["ClusterIdentifier"]}, is_cluster=True,
        closed="" if status == "available" else f"The cluster {name} is {status}: it takes statements when it is available.",
    )  # fmt: skip


def cluster(name: str) -> dict[str, Any]:
    """Record of a cluster.

    Raises:
        ServiceError: There is none of that name.
    """
    found = CLUSTERS.get(name.lower())
    if found is None:
        raise ServiceError("ClusterNotFound", f"Cluster {name} not found.")
    return dict(found)


def restored() -> None:
    """What was under way when the platform ended is over."""
    for record in CLUSTERS.all_values():
        status = record["ClusterStatus"]
        record["ClusterStatus"] = "paused" if status in {"paused", "pausing"} else "available"


# ---- making ----------------------------------------------------------------------------------------------------------------


def _create(call: Call) -> Answer:
    given, name = call.params, str(call.params["ClusterIdentifier"]).lower()
    _refuse_untaken(given)
    if not _IDENTIFIER.fullmatch(name) or len(name) > 63:
        raise invalid(f"ClusterIdentifier is up to 63 letters, digits and single hyphens, a letter first and no hyphen last, got {name!r}")
    if name in CLUSTERS:
        raise ServiceError("ClusterAlreadyExists", f"Cluster already exists: {name}")
    admin, database = str(given["MasterUsername"]), str(given.get("DBName") or "dev").lower()
    if not _USER.fullmatch(admin) or admin in {"public", "rdsdb"}:
        raise invalid(f"MasterUsername {admin!r} is no name of a user")
    if not _DATABASE.fullmatch(database):
        raise invalid(f"DBName is letters, digits and underscores, a letter first, got {database!r}")
    if given.get("Encrypted") is False:
        raise invalid("A new cluster is encrypted: leave Encrypted out, or set it")
    nodes = _nodes(given, kind=str(given.get("ClusterType") or "multi-node"))
    _check_settings(given)
    key = str(given.get("KmsKeyId") or "")
    if key:
        _ask_key(call, key)
    storage = str(uuid.uuid4())
    record: dict[str, Any] = {
        "ClusterIdentifier": name, "NodeType": given["NodeType"], "NumberOfNodes": nodes, "MasterUsername": admin, "DBName": database,
        "ClusterStatus": "creating", "ClusterAvailabilityStatus": "Available", "ClusterCreateTime": time.time(), "Encrypted": True,
        "AllowVersionUpgrade": True, "AutomatedSnapshotRetentionPeriod": 1, "ManualSnapshotRetentionPeriod": -1, "ClusterVersion": "1.0",
        "PreferredMaintenanceWindow": DEFAULT_WINDOW, "PubliclyAccessible": False, "EnhancedVpcRouting": False, "MaintenanceTrackName": "current",
        "MultiAZ": "Disabled", "ClusterNamespaceArn": arn(call, "namespace", storage), "KmsKeyId": key_use.key_arn(key) or "AWS_OWNED_KMS_KEY",
        "AvailabilityZoneRelocationStatus": "enabled" if given.get("AvailabilityZoneRelocation") else "disabled", "_storage": storage,
        "_arn": arn(call, "cluster", name), "_group": "default.redshift-2.0", "_roles": _roles(call, given), "_tags": call.tags,
        "_logging": {"LoggingEnabled": False}, "_security_groups": [], "_port": given.get("Port") or PORT,
        **({"DefaultIamRoleArn": given["DefaultIamRoleArn"]} if given.get("DefaultIamRoleArn") else {}),
    }  # fmt: skip
    _take(record, given)
    if given.get("ClusterSubnetGroupName"):
        group = redshift_groups.subnet_group(given["ClusterSubnetGroupName"])
        zone = group["Subnets"][0]["SubnetAvailabilityZone"]["Name"]
        record |= {"ClusterSubnetGroupName": group["ClusterSubnetGroupName"], "VpcId": group["VpcId"], "AvailabilityZone": zone}
    if given.get("ManageMasterPassword"):
        record |= _managed(call, record)
    CLUSTERS[name] = record
    in_background(_bring_up, name, name=f"redshift-{name}")
    return {"Cluster": _shown(record)}


def _nodes(given: Mapping[str, Any], *, kind: str) -> int:
    """How many nodes are asked for, if there is such a cluster."""
    if kind not in {"single-node", "multi-node"}:
        raise invalid(f"ClusterType is single-node or multi-node, got {kind!r}")
    nodes = int(given.get("NumberOfNodes") or 1)
    if kind == "multi-node" and nodes < 2:
        raise ServiceError("InvalidParameterCombination", "A cluster of the type multi-node has 2 nodes at least: set NumberOfNodes")
    if kind == "single-node" and nodes != 1:
        raise ServiceError("InvalidParameterCombination", "NumberOfNodes is for clusters of the type multi-node")
    problem = node_problem(str(given["NodeType"]), nodes)
    if problem:
        raise invalid(problem)
    return nodes


def _check_settings(given: Mapping[str, Any]) -> None:
    days, window, port = given.get("AutomatedSnapshotRetentionPeriod"), given.get("PreferredMaintenanceWindow"), given.get("Port")
    if days is not None and not 1 <= days <= MOST_SNAPSHOT_DAYS:
        raise invalid(f"AutomatedSnapshotRetentionPeriod is 1-{MOST_SNAPSHOT_DAYS} for nodes with managed storage, got {days}")
    if window is not None and not _WINDOW.fullmatch(str(window).lower()):
        raise invalid(f"PreferredMaintenanceWindow is ddd:hh24:mi-ddd:hh24:mi, such as {DEFAULT_WINDOW}, got {window!r}")
    if port is not None and not (5431 <= port <= 5455 or 8191 <= port <= 8215):
        raise invalid(f"Port is 5431-5455 or 8191-8215 for nodes with managed storage, got {port}")


def _take(record: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Take what is kept under its own name, and what must exist."""
    record |= {name: given[name] for name in _PLAIN - {"NumberOfNodes", "NodeType"} if given.get(name) is not None}
    if given.get("ClusterParameterGroupName"):
        record["_group"] = redshift_groups.parameter_group(given["ClusterParameterGroupName"])["ParameterGroupName"]
    if given.get("VpcSecurityGroupIds") is not None:
        for group in given["VpcSecurityGroupIds"]:
            if group not in _ec2._security_groups:
                raise invalid(f"The security group {group} does not exist")
        record["_security_groups"] = list(given["VpcSecurityGroupIds"])


def _roles(call: Call, given: Mapping[str, Any]) -> list[str]:
    roles = list(given.get("IamRoles") or [])
    if len(roles) > MOST_ROLES:
        raise invalid(f"A cluster has up to {MOST_ROLES} roles, got {len(roles)}")
    default = given.get("DefaultIamRoleArn")
    if default and default not in roles:
        raise invalid(f"The default IAM role {default} is not among the IAM roles of the cluster.")
    for role in roles:
        call.require("iam:PassRole", role, context={"iam:PassedToService": "redshift.amazonaws.com"})
    return roles


def _managed(call: Call, record: Mapping[str, Any]) -> dict[str, str]:
    key = str(call.params.get("MasterPasswordSecretKmsKeyId") or "")
    made = redshift_engine.admin_secret(
        call, name=record["ClusterIdentifier"], admin=record["MasterUsername"], key_id=key, service="redshift",
        tags={"aws:redshift:primaryClusterArn": record["_arn"]},
    )  # fmt: skip
    return {"MasterPasswordSecretArn": made, **({"MasterPasswordSecretKmsKeyId": key} if key else {})}


def _ask_key(call: Call, key: str) -> None:
    if not key_use.is_usable(key):
        raise ServiceError("LimitExceededFault", f"The KMS key {key} does not exist or is not enabled.")
    for action in ("kms:DescribeKey", "kms:CreateGrant") if key_use.key_arn(key) else ():
        call.require(action, key_use.key_arn(key), context=key_use.via_service("redshift"))


def _refuse_untaken(given: Mapping[str, Any]) -> None:
    if given.get("MasterUserPassword"):
        raise invalid("MasterUserPassword is not served by the laptop platform: let Redshift manage it, by ManageMasterPassword")
    for name in sorted(given.keys() - _TAKEN):
        if given[name]:
            raise invalid(f"{name} is not served by the laptop platform: leave it out")
    for name, only in _ONLY.items():
        if given.get(name) not in {None, only}:
            raise invalid(f"{name} {given[name]} is not served by the laptop platform: leave it out")


def _bring_up(name: str) -> None:
    """Start the databases of a cluster; it is available when they run."""
    record = CLUSTERS[name]
    try:
        _warehouse(record).start()
    except Exception:  # the record says it to whoever waits
        log.exception("cluster %s", name)
        _move(name, "incompatible-restore")
        return
    _move(name, "available")


def _warehouse(record: Mapping[str, Any]) -> Any:
    return redshift_engine.warehouse(record["_storage"], database=record["DBName"], admin=record["MasterUsername"])


def _move(name: str, status: str) -> None:
    if name in CLUSTERS:
        CLUSTERS[name] = {**CLUSTERS[name], "ClusterStatus": status}


# ---- changing --------------------------------------------------------------------------------------------------------------


def _modify(call: Call) -> Answer:
    given, record = call.params, cluster(call.params["ClusterIdentifier"])
    _refuse_untaken(given)
    _require_available(record)
    for name in ("KmsKeyId", "NewClusterIdentifier", "Encrypted"):
        if given.get(name):
            raise invalid(f"{name} of a cluster cannot be changed on the laptop platform: make a new cluster")
    _check_settings(given)
    if given.get("NodeType") or given.get("NumberOfNodes"):
        wanted = {"NodeType": given.get("NodeType") or record["NodeType"], "NumberOfNodes": given.get("NumberOfNodes")}
        kind = given.get("ClusterType") or ("multi-node" if int(wanted["NumberOfNodes"] or record["NumberOfNodes"]) > 1 else "single-node")
        wanted["NumberOfNodes"] = wanted["NumberOfNodes"] or record["NumberOfNodes"]
        record |= {"NumberOfNodes": _nodes(wanted, kind=kind), "NodeType": wanted["NodeType"]}
    _take(record, given)
    record["_port"] = given.get("Port") or record["_port"]
    if given.get("AvailabilityZoneRelocation") is not None:
        record["AvailabilityZoneRelocationStatus"] = "enabled" if given["AvailabilityZoneRelocation"] else "disabled"
    if given.get("ManageMasterPassword") and "MasterPasswordSecretArn" not in record:
        record |= _managed(call, record)
    CLUSTERS[record["ClusterIdentifier"]] = record
    return {"Cluster": _shown(record)}


def _resize(call: Call) -> Answer:
    return _modify(call)


def _modify_roles(call: Call) -> Answer:
    given, record = call.params, cluster(call.params["ClusterIdentifier"])
    _require_available(record)
    kept = [role for role in record["_roles"] if role not in (given.get("RemoveIamRoles") or [])]
    added = [role for role in given.get("AddIamRoles") or [] if role not in kept]
    default = {"DefaultIamRoleArn": given["DefaultIamRoleArn"]} if given.get("DefaultIamRoleArn") else {}
    _roles(call, {"IamRoles": added})
    attached = [*kept, *added]
    if default and default["DefaultIamRoleArn"] not in attached:
        raise invalid(f"The default IAM role {default['DefaultIamRoleArn']} is not among the IAM roles of the cluster.")
    record |= {"_roles": attached, **default}
    CLUSTERS[record["ClusterIdentifier"]] = record
    return {"Cluster": _shown(record)}


def _pause(call: Call) -> Answer:
    record = cluster(call.params["ClusterIdentifier"])
    _require_available(record)
    return _switch(record, "pausing", _paused)


def _resume(call: Call) -> Answer:
    record = cluster(call.params["ClusterIdentifier"])
    if record["ClusterStatus"] != "paused":
        raise ServiceError(
            "InvalidClusterState", f"You can't resume cluster {record['ClusterIdentifier']}: it is {record['ClusterStatus']}."
        )
    return _switch(record, "resuming", _bring_up)


def _switch(record: dict[str, Any], status: str, then: Any) -> Answer:
    name = record["ClusterIdentifier"]
    record["ClusterStatus"] = status
    CLUSTERS[name] = record
    in_background(then, name, name=f"redshift-{status}-{name}")
    return {"Cluster": _shown(record)}


def _paused(name: str) -> None:
    """End the databases of a cluster; statements that run are ended with them."""
    _warehouse(CLUSTERS[name]).stop()
    _move(name, "paused")


def _reboot(call: Call) -> Answer:
    record = cluster(call.params["ClusterIdentifier"])
    _require_available(record)
    _warehouse(record).stop()
    return _switch(record, "rebooting", _bring_up)


def _require_available(record: Mapping[str, Any]) -> None:
    if record["ClusterStatus"] != "available":
        raise ServiceError(
            "InvalidClusterState",
            f"The cluster {record['ClusterIdentifier']} is {record['ClusterStatus']}, and must be available for this.",
        )


def _delete(call: Call) -> Answer:
    record = cluster(call.params["ClusterIdentifier"])
    if not call.params.get("SkipFinalClusterSnapshot") or call.params.get("FinalClusterSnapshotIdentifier"):
        raise ServiceError("InvalidParameterCombination", "Nothing here has snapshots: set SkipFinalClusterSnapshot")
    if record["ClusterStatus"] not in {"available", "paused", "incompatible-restore"}:
        raise ServiceError("InvalidClusterState", f"There is an operation running on the cluster: it is {record['ClusterStatus']}.")
    redshift_engine.remove(record["_storage"], database=record["DBName"], admin=record["MasterUsername"])
    if "MasterPasswordSecretArn" in record:
        secrets.delete_managed(record["MasterPasswordSecretArn"])
    del CLUSTERS[record["ClusterIdentifier"]]
    return {"Cluster": _shown({**record, "ClusterStatus": "deleting"})}


# ---- telling ---------------------------------------------------------------------------------------------------------------


def _describe(call: Call) -> Answer:
    name = call.params.get("ClusterIdentifier")
    return paginated(call, [_shown(record) for record in ([cluster(name)] if name else CLUSTERS.values())])


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in record.items() if not name.startswith("_")}
    region = record["_arn"].split(":")[3]
    status = "in-sync" if record["ClusterStatus"] == "available" else "applying"
    return {
        **shown,
        "Endpoint": {"Address": f"{record['ClusterIdentifier']}.local.{region}.redshift.amazonaws.com", "Port": record["_port"]},
        "VpcSecurityGroups": [{"VpcSecurityGroupId": group, "Status": "active"} for group in record["_security_groups"]],
        "ClusterParameterGroups": [{"ParameterGroupName": record["_group"], "ParameterApplyStatus": status}],
        "IamRoles": [{"IamRoleArn": role, "ApplyStatus": status} for role in record["_roles"]],
        "Tags": record["_tags"],
    }


def _enable_logging(call: Call) -> Answer:
    given, record = call.params, cluster(call.params["ClusterIdentifier"])
    exports = list(given.get("LogExports") or [])
    if given.get("LogDestinationType") != "cloudwatch":
        raise invalid("The laptop platform serves logs in CloudWatch: set LogDestinationType to cloudwatch")
    if not exports or set(exports) - set(LOG_EXPORTS):
        raise invalid(f"LogExports is some of {', '.join(LOG_EXPORTS)}, got {', '.join(exports) or 'nothing'}")
    return _logging(record, {"LoggingEnabled": True, "LogDestinationType": "cloudwatch", "LogExports": exports})


def _disable_logging(call: Call) -> Answer:
    return _logging(cluster(call.params["ClusterIdentifier"]), {"LoggingEnabled": False})


def _describe_logging(call: Call) -> Answer:
    return dict(cluster(call.params["ClusterIdentifier"])["_logging"])


def _logging(record: dict[str, Any], status: dict[str, Any]) -> Answer:
    CLUSTERS[record["ClusterIdentifier"]] = {**record, "_logging": status}
    return status


def _cluster_arn(call: Call) -> str:
    return arn(call, "cluster", str(call.params.get("ClusterIdentifier") or "*").lower())


def _delete_subnet_group(call: Call) -> Answer:
    name = str(call.params["ClusterSubnetGroupName"]).lower()
    used = [record["ClusterIdentifier"] for record in CLUSTERS.values() if record.get("ClusterSubnetGroupName") == name]
    return redshift_groups.delete_subnet_group(call, used_by=used)


def _delete_parameter_group(call: Call) -> Answer:
    name = str(call.params["ParameterGroupName"]).lower()
    used = [record["ClusterIdentifier"] for record in CLUSTERS.values() if record["_group"] == name]
    return redshift_groups.delete_parameter_group(call, used_by=used)


OPERATIONS = {
    "CreateCluster": Operation(_create, on=_cluster_arn),
    "DescribeClusters": Operation(_describe, on=_cluster_arn),
    "ModifyCluster": Operation(_modify, on=_cluster_arn),
    "ModifyClusterIamRoles": Operation(_modify_roles, on=_cluster_arn),
    "ResizeCluster": Operation(_resize, on=_cluster_arn),
    "PauseCluster": Operation(_pause, on=_cluster_arn),
    "ResumeCluster": Operation(_resume, on=_cluster_arn),
    "RebootCluster": Operation(_reboot, on=_cluster_arn),
    "DeleteCluster": Operation(_delete, on=_cluster_arn),
    "EnableLogging": Operation(_enable_logging, on=_cluster_arn),
    "DisableLogging": Operation(_disable_logging, on=_cluster_arn),
    "DescribeLoggingStatus": Operation(_describe_logging, on=_cluster_arn),
    "DeleteClusterSubnetGroup": Operation(_delete_subnet_group, on=redshift_groups.OPERATIONS["CreateClusterSubnetGroup"].on),
    "DeleteClusterParameterGroup": Operation(_delete_parameter_group, on=redshift_groups.parameter_group_arn),
}
"""Operations on clusters, and those on groups that clusters may use."""
