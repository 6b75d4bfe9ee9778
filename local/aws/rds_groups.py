"""Subnet groups and parameter groups of RDS: where databases live, and how the PostgreSQL of instances and of Aurora clusters is set."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from local.aws import seam
from local.aws.modelled_service import Answer, Call, Operation, ServiceError, paginated, store
from local.engines.postgres import binaries

MAJORS = tuple(str(major) for major in range(13, 19))
"""Major versions that are taken; the server itself is of one version."""

RDS_PARAMETERS: Mapping[str, tuple[str, str]] = {
    "rds.force_ssl": ("1", "dynamic"),
    "rds.logical_replication": ("0", "static"),
    "rds.log_retention_period": ("4320", "dynamic"),
}
"""RDS's own parameters that are known: name -> default and kind."""

IN_USE = "One or more database instances are still members of this parameter group"

subnet_groups: Any = store()
parameter_groups: Any = store()
cluster_parameter_groups: Any = store()

_ec2 = seam.module("services.ec2")

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def arn(call: Call, kind: str, name: str) -> str:
    """ARN of something of RDS: kind is `db`, `cluster`, `subgrp`, `pg`, `cluster-pg` or `snapshot`."""
    return f"arn:aws:rds:{call.region}:{call.account}:{kind}:{name}"


# ---- subnet groups ---------------------------------------------------------------------------------------------------


def _subnet_group_arn(call: Call) -> str:
    return arn(call, "subgrp", str(call.params.get("DBSubnetGroupName", "*")).lower())


def subnet_group(name: str) -> dict[str, Any]:
    """A subnet group.

    Raises:
        ServiceError: There is none of that name.
    """
    found = subnet_groups.get(name.lower())
    if found is None:
        raise ServiceError("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.")
    return found


def _subnets(ids: Iterable[str]) -> tuple[str, list[dict[str, Any]]]:
    """VPC and subnets of a group, as RDS describes them.

    Raises:
        ServiceError: A subnet does not exist, they are of several VPCs, or of fewer than two zones.
    """
    found: list[dict[str, Any]] = []
    vpcs: set[str] = set()
    for subnet_id in ids:
        subnet = _ec2._subnets.get(subnet_id)
        if subnet is None:
            raise ServiceError("InvalidSubnet", f"The subnet ID '{subnet_id}' does not exist")
        vpcs.add(str(subnet["VpcId"]))
        zone = {"Name": subnet["AvailabilityZone"]}
        found.append({"SubnetIdentifier": subnet_id, "SubnetAvailabilityZone": zone, "SubnetStatus": "Active"})
    if len(vpcs) > 1:
        raise ServiceError("InvalidSubnet", f"The subnets of a group are of one VPC, got {', '.join(sorted(vpcs))}")
    if len({subnet["SubnetAvailabilityZone"]["Name"] for subnet in found}) < 2:
        raise ServiceError(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Please add subnets to cover at least 2 AZs.",
        )
    return next(iter(vpcs)), found


def _create_subnet_group(call: Call) -> Answer:
    name = str(call.params["DBSubnetGroupName"]).lower()
    if name == "default" or not re.fullmatch(r"[a-z0-9._ -]{1,255}", name):
        raise ServiceError("InvalidParameterValue", f"{name!r} is no name of a DB subnet group")
    if name in subnet_groups:
        raise ServiceError("DBSubnetGroupAlreadyExistsFault", f"The DB subnet group '{name}' already exists.")
    vpc, subnets = _subnets(call.params["SubnetIds"])
    subnet_groups[name] = {
        "DBSubnetGroupName": name, "DBSubnetGroupDescription": call.params["DBSubnetGroupDescription"], "VpcId": vpc,
        "SubnetGroupStatus": "Complete", "Subnets": subnets, "DBSubnetGroupArn": arn(call, "subgrp", name), "SupportedNetworkTypes": ["IPV4"],
        "_tags": call.tags,
    }  # fmt: skip
    return {"DBSubnetGroup": subnet_groups[name]}


def _describe_subnet_groups(call: Call) -> Answer:
    name = call.params.get("DBSubnetGroupName")
    return paginated(call, [subnet_group(name)] if name else subnet_groups.values())


def _modify_subnet_group(call: Call) -> Answer:
    group = subnet_group(call.params["DBSubnetGroupName"])
    vpc, subnets = _subnets(call.params["SubnetIds"])
    if vpc != group["VpcId"]:
        raise ServiceError("InvalidSubnet", f"the group is of {group['VpcId']}, the subnets are of {vpc}")
    group["Subnets"] = subnets
    group["DBSubnetGroupDescription"] = call.params.get("DBSubnetGroupDescription", group["DBSubnetGroupDescription"])
    return {"DBSubnetGroup": group}


def delete_subnet_group(call: Call, *, used_by: list[str]) -> Answer:
    """Remove a group that nothing uses."""
    name = str(subnet_group(call.params["DBSubnetGroupName"])["DBSubnetGroupName"])
    if used_by:
        message = f"Cannot delete the subnet group '{name}' because at least one database instance: {used_by[0]} is still using it."
        raise ServiceError("InvalidDBSubnetGroupStateFault", message)
    subnet_groups.pop(name)
    return None


# ---- parameter groups ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ParameterGroups:
    """Parameter groups of a kind: those of instances, or those of clusters; the API has both, and calls them differently.

    Attributes:
        word: What its operations and members are called by: `DB` or `DBCluster`.
        kind: Kind in ARNs.
        engine: Engine that families begin with.
        groups: The groups by their names.
    """

    word: str
    kind: str
    engine: str
    groups: Any

    @property
    def families(self) -> tuple[str, ...]:
        """Families of parameters that are known."""
        return tuple(f"{self.engine}{major}" for major in MAJORS)

    @property
    def name_member(self) -> str:
        """Member that names a group."""
        return f"{self.word}ParameterGroupName"

    def operations(self) -> dict[str, Operation]:
        """Operations that concern groups alone."""
        found = {
            f"Create{self.word}ParameterGroup": self._create,
            f"Describe{self.word}ParameterGroups": self._describe,
            f"Describe{self.word}Parameters": self._describe_parameters,
        }
        return {name: Operation(run, on=self.arn_of) for name, run in found.items()}

    def arn_of(self, call: Call) -> str:
        """ARN of the group that a request names."""
        return arn(call, self.kind, str(call.params.get(self.name_member, "*")).lower())

    def group(self, name: str) -> dict[str, Any]:
        """A parameter group; the default ones of each family exist always.

        Raises:
            ServiceError: There is none of that name.
        """
        family = name.removeprefix("default.")
        if name.startswith("default.") and family in self.families:
            return {
                self.name_member: name, "DBParameterGroupFamily": family, "Description": f"Default parameter group for {family}", "_values": {},
            }  # fmt: skip
        found = self.groups.get(name.lower())
        if found is None:
            raise ServiceError("DBParameterGroupNotFoundFault", f"{self.word}ParameterGroup not found: {name}")
        return found

    def value_of(self, group: str, name: str) -> str:
        """Value of one of RDS's own parameters in a group."""
        default, _ = RDS_PARAMETERS[name]
        return str(self.group(group)["_values"].get(name, default))

    def settings_of(self, group: str) -> dict[str, str]:
        """What a server is started with, by its parameter group."""
        values = {name: str(value) for name, value in self.group(group)["_values"].items() if name not in RDS_PARAMETERS}
        logical = self.value_of(group, "rds.logical_replication") == "1"
        return {**values, "wal_level": "logical" if logical else "replica"}

    def change(self, call: Call) -> dict[str, Any]:
        """Take new values into a group; the group.

        Raises:
            ServiceError: A parameter is not known, or cannot be changed at once.
        """
        group = self.group(call.params[self.name_member])
        if group[self.name_member].startswith("default."):
            raise ServiceError("InvalidParameterValue", "A default parameter group cannot be modified: create one")
        for parameter in call.params["Parameters"]:
            name, value = str(parameter["ParameterName"]), str(parameter.get("ParameterValue", ""))
            known = _server_parameters()
            if name not in RDS_PARAMETERS and name not in known:
                raise ServiceError("InvalidParameterValue", f"Could not find parameter with name: {name}")
            if is_static(name) and parameter.get("ApplyMethod") == "immediate":
                raise ServiceError("InvalidParameterCombination", f"cannot use immediate apply method for static parameter: {name}")
            if name in {"rds.force_ssl", "rds.logical_replication"} and value not in {"0", "1"}:
                raise ServiceError("InvalidParameterValue", f"Invalid parameter value: {value} for: {name} allowed values are: 0,1")
            group["_values"][name] = value
        return group

    def delete(self, call: Call, *, used_by: list[str]) -> Answer:
        """Remove a group that nothing uses."""
        group = self.group(call.params[self.name_member])
        if used_by or group[self.name_member].startswith("default."):
            raise ServiceError("InvalidDBParameterGroupStateFault", f"{IN_USE}: {', '.join(used_by) or 'default'}")
        self.groups.pop(group[self.name_member])
        return None

    def _create(self, call: Call) -> Answer:
        name, family = str(call.params[self.name_member]).lower(), str(call.params["DBParameterGroupFamily"])
        if not _NAME.fullmatch(name) or len(name) > 255:
            raise ServiceError(
                "InvalidParameterValue",
                f"The parameter {self.name_member} is not a valid identifier, got {name!r}: letters, digits and single hyphens, a letter first",
            )
        if family not in self.families:
            raise ServiceError(
                "InvalidParameterValue",
                f"the laptop platform knows parameter families {', '.join(self.families)}, got {family!r}: its databases are PostgreSQL",
            )
        if name in self.groups:
            raise ServiceError("DBParameterGroupAlreadyExistsFault", f"Parameter group {name} already exists")
        self.groups[name] = {
            self.name_member: name, "DBParameterGroupFamily": family, "Description": call.params["Description"],
            f"{self.word}ParameterGroupArn": arn(call, self.kind, name), "_values": {}, "_tags": call.tags,
        }  # fmt: skip
        return {f"{self.word}ParameterGroup": self.groups[name]}

    def _describe(self, call: Call) -> Answer:
        name = call.params.get(self.name_member)
        return paginated(call, [self.group(name)] if name else self.groups.values())

    def _describe_parameters(self, call: Call) -> Answer:
        values, source = self.group(call.params[self.name_member])["_values"], call.params.get("Source")
        kinds = {**RDS_PARAMETERS, **{name: ("", _kind(name)) for name in values if name not in RDS_PARAMETERS}}
        found = [
            {
                "ParameterName": name, "ParameterValue": values.get(name, default), "Source": "user" if name in values else "system",
                "ApplyType": kind, "IsModifiable": True, "ApplyMethod": "pending-reboot" if kind == "static" else "immediate",
            }
            for name, (default, kind) in kinds.items()
        ]  # fmt: skip
        return paginated(call, [parameter for parameter in found if source in (None, parameter["Source"])])


INSTANCE_PARAMETERS = ParameterGroups(word="DB", kind="pg", engine="postgres", groups=parameter_groups)
CLUSTER_PARAMETERS = ParameterGroups(word="DBCluster", kind="cluster-pg", engine="aurora-postgresql", groups=cluster_parameter_groups)


def _kind(name: str) -> str:
    return "static" if is_static(name) else "dynamic"


def is_static(name: str) -> bool:
    """Whether a parameter takes effect with the next reboot only."""
    return RDS_PARAMETERS[name][1] == "static" if name in RDS_PARAMETERS else _server_parameters().get(name) == "postmaster"


@cache
def _server_parameters() -> dict[str, str]:
    """PostgreSQL's own parameters, and when each takes effect; the server says it itself."""
    shown = subprocess.run(
        [str(binaries() / "postgres"), "--describe-config"], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    lines = [line.split("\t") for line in shown.splitlines()]
    return {line[0]: line[1] for line in lines if len(line) > 1 and line[1] != "internal"}


OPERATIONS: Mapping[str, Operation] = {
    "CreateDBSubnetGroup": Operation(_create_subnet_group, on=_subnet_group_arn),
    "DescribeDBSubnetGroups": Operation(_describe_subnet_groups, on=_subnet_group_arn),
    "ModifyDBSubnetGroup": Operation(_modify_subnet_group, on=_subnet_group_arn),
    **INSTANCE_PARAMETERS.operations(),
    **CLUSTER_PARAMETERS.operations(),
}
"""Operations that concern groups alone."""
