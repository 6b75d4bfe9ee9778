"""Redshift Serverless: namespaces with their databases, workgroups, usage limits, and the administrator's secret.

A namespace's databases live on a PostgreSQL server of its own (local/redshift). Refused: passwords in requests, snapshots, endpoints in
networks, custom domains, tracks other than `current`; usage limits are kept and never reached.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from local.aws import redshift_engine, secrets
from local.aws.modelled_service import Answer, Call, ModelledService, Operation, ServiceError, no_resource, paginated, serve, store
from local.aws.redshift_engine import LOG_EXPORTS, PRINCIPALS, Endpoint

DEFAULT_CAPACITY = 128
"""RPU of a workgroup that does not say."""

NAMESPACES, WORKGROUPS, USAGE_LIMITS, TAGS = store(), store(), store(), store()


# ---- for the Data API ------------------------------------------------------------------------------------------------------


def endpoint(name_or_arn: str) -> Endpoint | None:
    """A workgroup by its name or its ARN, as statements are sent to it."""
    group = next((dict(found) for name, found in WORKGROUPS.items() if name_or_arn in {name, found["workgroupArn"]}), None)
    if group is None:
        return None
    namespace = NAMESPACES[group["namespaceName"]]
    return Endpoint(
        name=group["workgroupName"], arn=group["workgroupArn"], source_arn=namespace["namespaceArn"], storage=namespace["namespaceId"],
        database=namespace["dbName"], admin=namespace["adminUsername"], admin_secret=namespace.get("adminPasswordSecretArn", ""),
        roles=tuple(namespace["iamRoles"]), default_role=namespace.get("defaultIamRoleArn", ""),
        shown={"WorkgroupName": group["workgroupName"]}, is_cluster=False,
    )  # fmt: skip


# ---- namespaces ------------------------------------------------------------------------------------------------------------


def _create_namespace(call: Call) -> Answer:
    given, name = call.params, call.params["namespaceName"]
    if name in NAMESPACES:
        raise ServiceError("ConflictException", f"Namespace {name} already exists.")
    _refuse(given, "adminUserPassword", "let the namespace manage it: manageAdminPassword")
    _refuse(given, "redshiftIdcApplicationArn", "identities come from IAM")
    roles = _roles(call, given)
    namespace_id, admin = str(uuid.uuid4()), given.get("adminUsername") or "admin"
    record: dict[str, Any] = {
        "namespaceName": name,
        "namespaceId": namespace_id,
        "namespaceArn": f"arn:aws:redshift-serverless:{call.region}:{call.account}:namespace/{namespace_id}",
        "dbName": (given.get("dbName") or "dev").lower(),
        "adminUsername": admin,
        "iamRoles": roles,
        "logExports": _log_exports(given),
        "kmsKeyId": given.get("kmsKeyId") or "AWS_OWNED_KMS_KEY",
        "status": "AVAILABLE",
        "creationDate": time.time(),
        **({"defaultIamRoleArn": given["defaultIamRoleArn"]} if given.get("defaultIamRoleArn") else {}),
    }
    if given.get("manageAdminPassword"):
        record |= _secret(call, record, key_id=given.get("adminPasswordSecretKmsKeyId") or "")
    NAMESPACES[name] = record
    _tag(record["namespaceArn"], given.get("tags"))
    return {"namespace": record}


def _update_namespace(call: Call) -> Answer:
    given, record = call.params, _namespace(call)
    _refuse(given, "adminUserPassword", "let the namespace manage it: manageAdminPassword")
    for name in ("s3TableAction", "s3TableGranularity", "s3TableKmsKeyId", "s3TableNames", "logDestinationType"):
        _refuse(given, name, "leave it out")
    if given.get("adminUsername") not in {None, record["adminUsername"]}:
        raise ServiceError("ValidationException", "The administrator's name cannot be changed on the laptop platform: make a new namespace")
    changed = {**record}
    if "iamRoles" in given or "defaultIamRoleArn" in given:
        changed["iamRoles"] = _roles(call, {"iamRoles": record["iamRoles"], **given})
        if given.get("defaultIamRoleArn"):
            changed["defaultIamRoleArn"] = given["defaultIamRoleArn"]
    if "logExports" in given:
        changed["logExports"] = _log_exports(given)
    if given.get("manageAdminPassword") and "adminPasswordSecretArn" not in record:
        changed |= _secret(call, record, key_id=given.get("adminPasswordSecretKmsKeyId") or "")
    NAMESPACES[record["namespaceName"]] = changed
    return {"namespace": changed}


def _delete_namespace(call: Call) -> Answer:
    record = _namespace(call)
    _refuse(call.params, "finalSnapshotName", "nothing here has snapshots")
    if any(group["namespaceName"] == record["namespaceName"] for group in WORKGROUPS.values()):
        raise ServiceError("ConflictException", f"There is an existing workgroup associated with the namespace {record['namespaceName']}.")
    redshift_engine.remove(record["namespaceId"], database=record["dbName"], admin=record["adminUsername"])
    if "adminPasswordSecretArn" in record:
        secrets.delete_managed(record["adminPasswordSecretArn"])
    del NAMESPACES[record["namespaceName"]]
    TAGS.pop(record["namespaceArn"], None)
    return {"namespace": {**record, "status": "DELETING"}}


def _get_namespace(call: Call) -> Answer:
    return {"namespace": _namespace(call)}


def _list_namespaces(call: Call) -> Answer:
    return paginated(call, list(NAMESPACES.values()))


def _roles(call: Call, given: Mapping[str, Any]) -> list[str]:
    """ARNs of the roles that are attached; each is passed, and asked for."""
    roles = [role.split("iamRoleArn=", 1)[-1].rstrip(")") for role in given.get("iamRoles") or []]
    default = given.get("defaultIamRoleArn")
    if default and default not in roles:
        raise ServiceError("ValidationException", f"The default IAM role {default} is not among the IAM roles of the namespace.")
    for role in roles:
        call.require("iam:PassRole", role, context={"iam:PassedToService": PRINCIPALS[0]})
    return roles


def _log_exports(given: Mapping[str, Any]) -> list[str]:
    exports = list(given.get("logExports") or [])
    unknown = [export for export in exports if export not in LOG_EXPORTS]
    if unknown:
        raise ServiceError("ValidationException", f"{unknown[0]} is no log of Redshift Serverless: it has {', '.join(LOG_EXPORTS)}")
    return exports


def _secret(call: Call, record: Mapping[str, Any], *, key_id: str) -> dict[str, Any]:
    """The administrator's secret, which the namespace owns and the caller must be allowed to make."""
    arn = redshift_engine.admin_secret(
        call, name=record["namespaceName"], admin=record["adminUsername"], key_id=key_id, service="redshift-serverless",
        tags={"aws:redshift-serverless:namespaceArn": record["namespaceArn"]},
    )  # fmt: skip
    return {"adminPasswordSecretArn": arn, **({"adminPasswordSecretKmsKeyId": key_id} if key_id else {})}


# ---- workgroups ------------------------------------------------------------------------------------------------------------


def _create_workgroup(call: Call) -> Answer:
    given, name = call.params, call.params["workgroupName"]
    if name in WORKGROUPS:
        raise ServiceError("ConflictException", f"Workgroup {name} already exists.")
    if given["namespaceName"] not in NAMESPACES:
        raise ServiceError("ResourceNotFoundException", f"Namespace {given['namespaceName']} not found.")
    if any(group["namespaceName"] == given["namespaceName"] for group in WORKGROUPS.values()):
        raise ServiceError("ConflictException", f"Namespace {given['namespaceName']} has a workgroup already.")
    _check_workgroup(given)
    workgroup_id = str(uuid.uuid4())
    port = given.get("port") or 5439
    record: dict[str, Any] = {
        "workgroupName": name,
        "workgroupId": workgroup_id,
        "workgroupArn": f"arn:aws:redshift-serverless:{call.region}:{call.account}:workgroup/{workgroup_id}",
        "namespaceName": given["namespaceName"],
        "baseCapacity": given.get("baseCapacity") or DEFAULT_CAPACITY,
        "enhancedVpcRouting": bool(given.get("enhancedVpcRouting")),
        "publiclyAccessible": bool(given.get("publiclyAccessible")),
        "configParameters": _parameters(given.get("configParameters") or []),
        "securityGroupIds": list(given.get("securityGroupIds") or []),
        "subnetIds": list(given.get("subnetIds") or []),
        "port": port,
        "endpoint": {"address": f"{name}.{call.account}.{call.region}.redshift-serverless.amazonaws.com", "port": port},
        "status": "AVAILABLE",
        "trackName": "current",
        "ipAddressType": "ipv4",
        "creationDate": time.time(),
        **({"maxCapacity": given["maxCapacity"]} if given.get("maxCapacity") else {}),
    }
    WORKGROUPS[name] = record
    _tag(record["workgroupArn"], given.get("tags"))
    return {"workgroup": record}


def _update_workgroup(call: Call) -> Answer:
    given, record = call.params, _workgroup(call)
    _check_workgroup({**record, **given})
    changed = {**record, **{name: given[name] for name in _CHANGED if given.get(name) is not None}}
    if "configParameters" in given:
        changed["configParameters"] = _parameters(given["configParameters"])
    if given.get("port"):
        changed["endpoint"] = {**record["endpoint"], "port": given["port"]}
    WORKGROUPS[record["workgroupName"]] = changed
    return {"workgroup": changed}


def _delete_workgroup(call: Call) -> Answer:
    record = _workgroup(call)
    del WORKGROUPS[record["workgroupName"]]
    TAGS.pop(record["workgroupArn"], None)
    for limit_id in [each["usageLimitId"] for each in USAGE_LIMITS.values() if each["resourceArn"] == record["workgroupArn"]]:
        del USAGE_LIMITS[limit_id]
    namespace = NAMESPACES[record["namespaceName"]]
    redshift_engine.warehouse(namespace["namespaceId"], database=namespace["dbName"], admin=namespace["adminUsername"]).stop()
    return {"workgroup": {**record, "status": "DELETING"}}


def _get_workgroup(call: Call) -> Answer:
    return {"workgroup": _workgroup(call)}


def _list_workgroups(call: Call) -> Answer:
    return paginated(call, list(WORKGROUPS.values()))


_CHANGED = ("baseCapacity", "maxCapacity", "enhancedVpcRouting", "publiclyAccessible", "securityGroupIds", "subnetIds", "port")
_DEFAULTS = {
    "auto_mv": "true",
    "datestyle": "ISO, MDY",
    "enable_case_sensitive_identifier": "false",
    "enable_user_activity_logging": "true",
    "query_group": "default",
    "search_path": "$user, public",
    "max_query_execution_time": "14400",
    "require_ssl": "true",
    "use_fips_ssl": "false",
}
_FIXED = ("enable_case_sensitive_identifier", "datestyle")


def _check_workgroup(given: Mapping[str, Any]) -> None:
    for name, served in (("trackName", "current"), ("ipAddressType", "ipv4")):
        if given.get(name) not in {None, served}:
            raise ServiceError("ValidationException", f"{name} {given[name]} is not served by the laptop platform: use {served}")
    base, most = given.get("baseCapacity"), given.get("maxCapacity")
    for capacity in (base, most):
        if capacity is not None and not _is_capacity(capacity):
            raise ServiceError(
                "ValidationException", f"The capacity must be 4, 8 to 512 in steps of 8, or to 1024 in steps of 32 RPU, got {capacity}"
            )
    if base is not None and most is not None and most < base:
        raise ServiceError("ValidationException", f"maxCapacity {most} is below baseCapacity {base}")
    level = (given.get("pricePerformanceTarget") or {}).get("status")
    if level == "ENABLED" or given.get("extraComputeForAutomaticOptimization"):
        raise ServiceError("ValidationException", "AI-driven scaling is not served by the laptop platform: set baseCapacity")
    port = given.get("port")
    if port is not None and not (5431 <= port <= 5455 or 8191 <= port <= 8215):
        raise ServiceError("ValidationException", f"The port must be from 5431 to 5455 or from 8191 to 8215, got {port}")


def _is_capacity(capacity: int) -> bool:
    return capacity == 4 or (8 <= capacity <= 512 and capacity % 8 == 0) or (512 < capacity <= 1024 and capacity % 32 == 0)


def _parameters(given: list[Mapping[str, str]]) -> list[dict[str, str]]:
    wanted = {parameter["parameterKey"]: parameter["parameterValue"] for parameter in given}
    unknown = sorted(set(wanted) - set(_DEFAULTS))
    if unknown:
        raise ServiceError("ValidationException", f"The parameter {unknown[0]} is not one of {', '.join(sorted(_DEFAULTS))}")
    for name in _FIXED:
        if wanted.get(name, _DEFAULTS[name]).lower() != _DEFAULTS[name].lower():
            raise ServiceError(
                "ValidationException", f"{name} {wanted[name]} is not served by the laptop platform: leave it at {_DEFAULTS[name]}"
            )
    return [{"parameterKey": name, "parameterValue": value} for name, value in {**_DEFAULTS, **wanted}.items()]


# ---- usage limits, credentials, tags ---------------------------------------------------------------------------------------


def _create_usage_limit(call: Call) -> Answer:
    given = call.params
    _known(given["resourceArn"])
    if any(
        each["resourceArn"] == given["resourceArn"]
        and each["usageType"] == given["usageType"]
        and each["period"] == given.get("period", "monthly")
        for each in USAGE_LIMITS.values()
    ):
        raise ServiceError("ConflictException", f"A usage limit of {given['usageType']} for this period exists already.")
    limit_id = str(uuid.uuid4())
    record = {
        "usageLimitId": limit_id,
        "usageLimitArn": f"arn:aws:redshift-serverless:{call.region}:{call.account}:usagelimit/{limit_id}",
        "resourceArn": given["resourceArn"], "usageType": given["usageType"], "amount": given["amount"],
        "period": given.get("period") or "monthly", "breachAction": given.get("breachAction") or "log",
    }  # fmt: skip
    USAGE_LIMITS[limit_id] = record
    return {"usageLimit": record}


def _get_usage_limit(call: Call) -> Answer:
    return {"usageLimit": _usage_limit(call)}


def _update_usage_limit(call: Call) -> Answer:
    record = _usage_limit(call)
    changed = {**record, **{name: call.params[name] for name in ("amount", "breachAction") if call.params.get(name) is not None}}
    USAGE_LIMITS[record["usageLimitId"]] = changed
    return {"usageLimit": changed}


def _delete_usage_limit(call: Call) -> Answer:
    record = _usage_limit(call)
    del USAGE_LIMITS[record["usageLimitId"]]
    return {"usageLimit": record}


def _list_usage_limits(call: Call) -> Answer:
    given = call.params
    return paginated(call, [
        each for each in USAGE_LIMITS.values()
        if given.get("resourceArn") in {None, each["resourceArn"]} and given.get("usageType") in {None, each["usageType"]}
    ])  # fmt: skip


def _tag_resource(call: Call) -> Answer:
    _known(call.params["resourceArn"])
    _tag(call.params["resourceArn"], call.params["tags"])
    return {}


def _untag_resource(call: Call) -> Answer:
    _known(call.params["resourceArn"])
    tags = TAGS.get(call.params["resourceArn"]) or {}
    TAGS[call.params["resourceArn"]] = {key: value for key, value in tags.items() if key not in call.params["tagKeys"]}
    return {}


def _list_tags(call: Call) -> Answer:
    _known(call.params["resourceArn"])
    return {"tags": [{"key": key, "value": value} for key, value in (TAGS.get(call.params["resourceArn"]) or {}).items()]}


# ---- records ---------------------------------------------------------------------------------------------------------------


def _tag(arn: str, tags: Any) -> None:
    if tags:
        TAGS[arn] = {**(TAGS.get(arn) or {}), **{tag["key"]: tag["value"] for tag in tags}}


def _namespace(call: Call) -> dict[str, Any]:
    found = NAMESPACES.get(call.params["namespaceName"])
    if found is None:
        raise ServiceError("ResourceNotFoundException", f"Namespace {call.params['namespaceName']} not found.")
    return dict(found)


def _workgroup(call: Call) -> dict[str, Any]:
    found = WORKGROUPS.get(call.params["workgroupName"])
    if found is None:
        raise ServiceError("ResourceNotFoundException", f"Workgroup {call.params['workgroupName']} not found.")
    return dict(found)


def _usage_limit(call: Call) -> dict[str, Any]:
    found = USAGE_LIMITS.get(call.params["usageLimitId"])
    if found is None:
        raise ServiceError("ResourceNotFoundException", f"Usage limit {call.params['usageLimitId']} not found.")
    return dict(found)


def _known(arn: str) -> None:
    if not any(arn in {each.get("namespaceArn"), each.get("workgroupArn")} for each in (*NAMESPACES.values(), *WORKGROUPS.values())):
        raise ServiceError("ResourceNotFoundException", f"Resource {arn} not found.")


def _refuse(given: Mapping[str, Any], name: str, instead: str) -> None:
    if given.get(name):
        raise ServiceError("ValidationException", f"{name} is not served by the laptop platform: {instead}")


def _namespace_arn(call: Call) -> str:
    found = NAMESPACES.get(call.params["namespaceName"])
    return str(found["namespaceArn"]) if found else f"arn:aws:redshift-serverless:{call.region}:{call.account}:namespace/*"


def _workgroup_arn(call: Call) -> str:
    found = WORKGROUPS.get(call.params["workgroupName"])
    return str(found["workgroupArn"]) if found else f"arn:aws:redshift-serverless:{call.region}:{call.account}:workgroup/*"


def _given_arn(call: Call) -> str:
    return str(call.params["resourceArn"])


def register() -> None:
    """Serve the API."""
    serve(
        ModelledService(
            name="redshift-serverless",
            state={"namespaces": NAMESPACES, "workgroups": WORKGROUPS, "usage_limits": USAGE_LIMITS, "tags": TAGS},
            operations={
                "CreateNamespace": Operation(_create_namespace, on=_namespace_arn),
                "GetNamespace": Operation(_get_namespace, on=_namespace_arn),
                "UpdateNamespace": Operation(_update_namespace, on=_namespace_arn),
                "DeleteNamespace": Operation(_delete_namespace, on=_namespace_arn),
                "ListNamespaces": Operation(_list_namespaces, on=no_resource),
                "CreateWorkgroup": Operation(_create_workgroup, on=_workgroup_arn),
                "GetWorkgroup": Operation(_get_workgroup, on=_workgroup_arn),
                "UpdateWorkgroup": Operation(_update_workgroup, on=_workgroup_arn),
                "DeleteWorkgroup": Operation(_delete_workgroup, on=_workgroup_arn),
                "ListWorkgroups": Operation(_list_workgroups, on=no_resource),
                "CreateUsageLimit": Operation(_create_usage_limit, on=no_resource),
                "GetUsageLimit": Operation(_get_usage_limit, on=no_resource),
                "UpdateUsageLimit": Operation(_update_usage_limit, on=no_resource),
                "DeleteUsageLimit": Operation(_delete_usage_limit, on=no_resource),
                "ListUsageLimits": Operation(_list_usage_limits, on=no_resource),
                "TagResource": Operation(_tag_resource, on=_given_arn),
                "UntagResource": Operation(_untag_resource, on=_given_arn),
                "ListTagsForResource": Operation(_list_tags, on=_given_arn),
            },
        )
    )
