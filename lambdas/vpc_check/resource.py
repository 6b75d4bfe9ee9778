"""The custom resource: what a request of CloudFormation asks of a VPC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.errors import TerminalError
from lambdas.custom_resource import Answer
from lambdas.vpc_check.vpc import Vpcs

DEFAULT_SECURITY_GROUP = "default-security-group"
EXISTING_VPC = "existing-vpc"


def answer_to(event: Mapping[str, Any], vpcs: Vpcs) -> Answer:
    """Do what is asked; asked twice, the second time changes nothing.

    Raises:
        TerminalError: The request is malformed, or the VPC is not one to put jobs into.
    """
    properties, kind = event["ResourceProperties"], event["ResourceProperties"].get("Kind")
    if event["RequestType"] == "Delete":
        return Answer(physical_id=id_of(event))
    if kind == DEFAULT_SECURITY_GROUP:
        vpcs.empty(properties["SecurityGroupId"])
        return Answer(physical_id=id_of(event))
    if kind != EXISTING_VPC:
        raise TerminalError(f"Kind must be {DEFAULT_SECURITY_GROUP} or {EXISTING_VPC}, got {kind!r}")
    private, isolated = (properties[name].split(",") for name in ("PrivateSubnetIds", "IsolatedSubnetIds"))
    zones = vpcs.zones_of(properties["VpcId"], private=private, isolated=isolated)
    data = {
        "VpcId": properties["VpcId"],
        "PrivateSubnetIds": ",".join(private),
        "IsolatedSubnetIds": ",".join(isolated),
        "AvailabilityZones": ",".join(zones),
    }
    return Answer(physical_id=id_of(event), data=data)


def id_of(event: Mapping[str, Any]) -> str:
    """Physical id: the former one, or what is looked at."""
    properties = event.get("ResourceProperties", {})
    what = properties.get("SecurityGroupId") or properties.get("VpcId") or "unknown"
    return str(event.get("PhysicalResourceId") or f"{what}/{properties.get('Kind', 'unknown')}")
