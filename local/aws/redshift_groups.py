"""Subnet groups and parameter groups of provisioned Redshift clusters: where they live, and how they are set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lakehouse.warehouse import wlm
from local.aws import seam
from local.aws.modelled_service import Answer, Call, Operation, ServiceError, paginated, store

FAMILIES = ("redshift-1.0", "redshift-2.0")
PARAMETERS: Mapping[str, tuple[str, str]] = {
    "auto_analyze": ("true", "dynamic"),
    "auto_mv": ("true", "static"),
    "datestyle": ("ISO, MDY", "static"),
    "enable_case_sensitive_identifier": ("false", "static"),
    "enable_user_activity_logging": ("false", "static"),
    "extra_float_digits": ("0", "static"),
    "max_concurrency_scaling_clusters": ("1", "dynamic"),
    "query_group": ("default", "static"),
    "require_ssl": ("true", "static"),
    "search_path": ("$user, public", "static"),
    "statement_timeout": ("0", "static"),
    "use_fips_ssl": ("false", "static"),
    "wlm_json_configuration": ('[{"auto_wlm":true}]', "dynamic"),
}
"""Parameters of the family redshift-2.0: name -> default and kind."""

MOST_CHANGED = 20
"""Parameters that one request may change."""

_FLAGS = frozenset({
    "auto_analyze", "auto_mv", "enable_case_sensitive_identifier", "enable_user_activity_logging", "require_ssl", "use_fips_ssl",
})  # fmt: skip
_FIXED = ("datestyle", "enable_case_sensitive_identifier")
"""Parameters whose other values would change answers, which nobody here would notice."""

subnet_groups: Any = store()
parameter_groups: Any = store()

_ec2 = seam.module("services.ec2")

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def arn(call: Call, kind: str, name: str) -> str:
    """ARN of something of Redshift: kind is `cluster`, `subnetgroup` or `parametergroup`."""
    return f"arn:aws:redshift:{call.region}:{call.account}:{kind}:{name}"


def invalid(message: str) -> ServiceError:
    """What Redshift refuses of a request's values."""
    return ServiceError("InvalidParameterValue", message)


# ---- subnet groups -----------------------------------------------------------------------------------------------------


def subnet_group(name: str) -> dict[str, Any]:
    """A subnet group.

    Raises:
        ServiceError: There is none of that name.
    """
    found = subnet_groups.get(name.lower())
    if found is None:
        raise ServiceError("ClusterSubnetGroupNotFoundFault", f"Cluster subnet group '{name}' does not exist.")
    return dict(found)


def _subnet_group_arn(call: Call) -> str:
    return arn(call, "subnetgroup", str(call.params.get("ClusterSubnetGroupName") or "*").lower())


def _subnets(call: Call) -> tuple[str, list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    vpcs: set[str] = set()
    for subnet_id in call.params["SubnetIds"]:
        subnet = _ec2._subnets.get(subnet_id)
        if subnet is None:
            raise ServiceError("InvalidSubnet", f"The subnet ID '{subnet_id}' does not exist")
        vpcs.add(str(subnet["VpcId"]))
        zone = {"Name": subnet["AvailabilityZone"]}
        found.append({"SubnetIdentifier": subnet_id, "SubnetAvailabilityZone": zone, "SubnetStatus": "Active"})
    if len(vpcs) > 1:
        raise ServiceError("InvalidSubnet", f"The subnets of a group are of one VPC, got {', '.join(sorted(vpcs))}")
    if not found:
        raise invalid("A cluster subnet group has one subnet at least")
    return next(iter(vpcs)), found


def _create_subnet_group(call: Call) -> Answer:
    name = str(call.params["ClusterSubnetGroupName"]).lower()
    if name == "default" or not re.fullmatch(r"[a-z0-9-]{1,255}", name):
        raise invalid(f"ClusterSubnetGroupName is letters, digits and hyphens and not 'default', got {name!r}")
    if name in subnet_groups:
        raise ServiceError("ClusterSubnetGroupAlreadyExists", f"Cluster subnet group {name} already exists.")
    vpc, subnets = _subnets(call)
    subnet_groups[name] = {
        "ClusterSubnetGroupName": name, "Description": call.params["Description"], "VpcId": vpc, "SubnetGroupStatus": "Complete",
        "Subnets": subnets, "Tags": call.tags, "SupportedClusterIpAddressTypes": ["ipv4"],
    }  # fmt: skip
    return {"ClusterSubnetGroup": subnet_groups[name]}


def _describe_subnet_groups(call: Call) -> Answer:
    name = call.params.get("ClusterSubnetGroupName")
    return paginated(call, [subnet_group(name)] if name else list(subnet_groups.values()))


def _modify_subnet_group(call: Call) -> Answer:
    group = subnet_group(call.params["ClusterSubnetGroupName"])
    vpc, subnets = _subnets(call)
    if vpc != group["VpcId"]:
        raise ServiceError("InvalidSubnet", f"the group is of {group['VpcId']}, the subnets are of {vpc}")
    changed = {**group, "Subnets": subnets, "Description": call.params.get("Description") or group["Description"]}
    subnet_groups[group["ClusterSubnetGroupName"]] = changed
    return {"ClusterSubnetGroup": changed}


def delete_subnet_group(call: Call, *, used_by: list[str]) -> Answer:
    """Remove a group that no cluster uses."""
    name = str(subnet_group(call.params["ClusterSubnetGroupName"])["ClusterSubnetGroupName"])
    if used_by:
        raise ServiceError("InvalidClusterSubnetGroupStateFault", f"The cluster subnet group {name} is used by the cluster {used_by[0]}.")
    subnet_groups.pop(name)
    return None


# ---- parameter groups --------------------------------------------------------------------------------------------------


def parameter_group(name: str) -> dict[str, Any]:
    """A parameter group; those of the families' defaults exist always.

    Raises:
        ServiceError: There is none of that name.
    """
    family = name.removeprefix("default.")
    if name.startswith("default.") and family in FAMILIES:
        return {
            "ParameterGroupName": name,
            "ParameterGroupFamily": family,
            "Description": f"Default of {family}",
            "Tags": [],
            "_values": {},
        }
    found = parameter_groups.get(name.lower())
    if found is None:
        raise ServiceError("ClusterParameterGroupNotFound", f"ParameterGroup not found: {name}")
    return dict(found)


def parameter_group_arn(call: Call) -> str:
    """ARN of the group that a request names."""
    return arn(call, "parametergroup", str(call.params.get("ParameterGroupName") or "*").lower())


def value_of(group: str, name: str) -> str:
    """Value of a parameter in a group."""
    return str(parameter_group(group)["_values"].get(name, PARAMETERS[name][0]))


def _create_parameter_group(call: Call) -> Answer:
    name, family = str(call.params["ParameterGroupName"]).lower(), call.params["ParameterGroupFamily"]
    if not _NAME.fullmatch(name) or len(name) > 255:
        raise invalid(f"ParameterGroupName is letters, digits and single hyphens, a letter first, got {name!r}")
    if family not in FAMILIES:
        raise invalid(f"ParameterGroupFamily {family} is not one of {', '.join(FAMILIES)}")
    if name in parameter_groups:
        raise ServiceError("ClusterParameterGroupAlreadyExists", f"Parameter group {name} already exists")
    parameter_groups[name] = {
        "ParameterGroupName": name, "ParameterGroupFamily": family, "Description": call.params["Description"], "Tags": call.tags,
        "_values": {},
    }  # fmt: skip
    return {"ClusterParameterGroup": _shown(parameter_groups[name])}


def _describe_parameter_groups(call: Call) -> Answer:
    name = call.params.get("ParameterGroupName")
    return paginated(call, map(_shown, [parameter_group(name)] if name else parameter_groups.values()))


def _describe_parameters(call: Call) -> Answer:
    group = parameter_group(call.params["ParameterGroupName"])
    values: Mapping[str, str] = group["_values"]
    shown = [
        {
            "ParameterName": name, "ParameterValue": values.get(name, default), "Source": "user" if name in values else "engine-default",
            "DataType": "boolean" if name in _FLAGS else "string", "ApplyType": kind, "IsModifiable": True,
        }
        for name, (default, kind) in PARAMETERS.items()
        if call.params.get("Source") in {None, "user" if name in values else "engine-default"}
    ]  # fmt: skip
    return paginated(call, shown, size=100)


def _modify_parameter_group(call: Call) -> Answer:
    name, given = str(call.params["ParameterGroupName"]).lower(), call.params["Parameters"]
    if name.startswith("default."):
        raise ServiceError("InvalidClusterParameterGroupState", f"The default parameter group {name} cannot be modified.")
    group = parameter_group(name)
    if len(given) > MOST_CHANGED:
        raise invalid(f"A request changes up to {MOST_CHANGED} parameters, got {len(given)}")
    values = {parameter["ParameterName"]: str(parameter["ParameterValue"]) for parameter in given}
    for parameter, value in values.items():
        _check(parameter, value)
    parameter_groups[name] = {**group, "_values": {**group["_values"], **values}}
    return {"ParameterGroupName": name, "ParameterGroupStatus": "Your parameter group has been updated."}


def _reset_parameter_group(call: Call) -> Answer:
    group = parameter_group(call.params["ParameterGroupName"])
    names = {parameter["ParameterName"] for parameter in call.params.get("Parameters") or []}
    kept = {} if call.params.get("ResetAllParameters") else {name: value for name, value in group["_values"].items() if name not in names}
    parameter_groups[group["ParameterGroupName"]] = {**group, "_values": kept}
    return {"ParameterGroupName": group["ParameterGroupName"], "ParameterGroupStatus": "Your parameter group has been updated."}


def delete_parameter_group(call: Call, *, used_by: list[str]) -> Answer:
    """Remove a group that no cluster uses."""
    name = str(parameter_group(call.params["ParameterGroupName"])["ParameterGroupName"])
    if used_by:
        raise ServiceError("InvalidClusterParameterGroupState", f"The parameter group {name} is used by the cluster {used_by[0]}.")
    parameter_groups.pop(name)
    return None


def _check(name: str, value: str) -> None:
    """Refuse a value that Redshift would not take, or that would change answers here."""
    if name not in PARAMETERS:
        raise invalid(f"Could not find parameter with name: {name}. Known are {', '.join(sorted(PARAMETERS))}")
    if name in _FLAGS and value not in {"true", "false"}:
        raise invalid(f"{name} is true or false, got {value!r}")
    if name in {"statement_timeout", "max_concurrency_scaling_clusters"} and not value.isdigit():
        raise invalid(f"{name} is a number, got {value!r}")
    if name == "wlm_json_configuration" and wlm.problem(value):
        raise invalid(wlm.problem(value))
    if name in _FIXED and value.lower() != PARAMETERS[name][0].lower():
        raise invalid(f"{name} {value} is not served by the laptop platform: leave it at {PARAMETERS[name][0]}")


def _shown(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if not name.startswith("_")}


OPERATIONS = {
    "CreateClusterSubnetGroup": Operation(_create_subnet_group, on=_subnet_group_arn),
    "DescribeClusterSubnetGroups": Operation(_describe_subnet_groups, on=_subnet_group_arn),
    "ModifyClusterSubnetGroup": Operation(_modify_subnet_group, on=_subnet_group_arn),
    "CreateClusterParameterGroup": Operation(_create_parameter_group, on=parameter_group_arn),
    "DescribeClusterParameterGroups": Operation(_describe_parameter_groups, on=parameter_group_arn),
    "DescribeClusterParameters": Operation(_describe_parameters, on=parameter_group_arn),
    "ModifyClusterParameterGroup": Operation(_modify_parameter_group, on=parameter_group_arn),
    "ResetClusterParameterGroup": Operation(_reset_parameter_group, on=parameter_group_arn),
}
"""Operations that need no clusters."""
