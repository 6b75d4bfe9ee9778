"""AWS::EMR::SecurityConfiguration, and AWS::IAM::InstanceProfile, whose role a deployer must be allowed to pass: by the services' own APIs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from local.aws import pass_role, seam
from local.aws.cloudformation import acting, api, modelled
from local.aws.cloudformation.modelled import ModelledType, Properties

PROFILE = "AWS::IAM::InstanceProfile"

_provisioners = seam.module("services.cloudformation.provisioners")


def register() -> None:
    """Make both types known to CloudFormation."""
    modelled.add(
        ModelledType(
            resource_type="AWS::EMR::SecurityConfiguration",
            service="emr",
            create="CreateSecurityConfiguration",
            read="DescribeSecurityConfiguration",
            delete="DeleteSecurityConfiguration",
            automatic_name="Name",
        )
    )
    modelled.add(_PROFILE)
    pass_role.ROLES["iam", "AddRoleToInstanceProfile"] = {"RoleName": "ec2"}
    acting.add_completion(PROFILE, _set_roles)
    _provisioners._RESOURCE_HANDLERS[PROFILE] |= {"update": _update, "delete": _delete}


def _without_roles(_: str, request: Properties) -> Properties:
    """The API adds the role by a call of its own."""
    return {name: value for name, value in request.items() if name != "Roles"}


_PROFILE = ModelledType(
    resource_type=PROFILE, service="iam", create="CreateInstanceProfile", read="GetInstanceProfile", delete="DeleteInstanceProfile",
    record=lambda answer: answer["InstanceProfile"], automatic_name="InstanceProfileName", longest_name=128, carried=frozenset({"Roles"}),
    request=_without_roles,
)  # fmt: skip


def _set_roles(name: str, properties: Properties, earlier: Mapping[str, Any] | None) -> None:
    client, wanted, held = api.client("iam"), list(properties.get("Roles") or ()), list((earlier or {}).get("Roles") or ())
    for role in (role for role in held if role not in wanted):
        _call(client.remove_role_from_instance_profile, InstanceProfileName=name, RoleName=role)
    for role in (role for role in wanted if role not in held):
        _call(client.add_role_to_instance_profile, InstanceProfileName=name, RoleName=role)


def _update(name: str, _before: Properties, _properties: Properties, *_: Any) -> tuple[str, Properties]:
    """Only its role changes; the rest replaces it."""
    found = _call(api.client("iam").get_instance_profile, InstanceProfileName=name)
    return name, {"Arn": found["InstanceProfile"]["Arn"]}


def _delete(name: str, properties: Properties) -> None:
    client = api.client("iam")
    try:
        held = client.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
    except client.exceptions.NoSuchEntityException:
        return
    for role in held:
        _call(client.remove_role_from_instance_profile, InstanceProfileName=name, RoleName=role["RoleName"])
    _PROFILE.delete_resource(name, properties)


def _call(operation: Any, **request: str) -> dict[str, Any]:
    try:
        return dict(operation(**request))
    except ClientError as error:
        told = error.response["Error"]
        code = "AccessDenied" if "AccessDenied" in told.get("Code", "") else "InvalidRequest"
        text = f"{told.get('Message', '')} (Service: Iam, Status Code: 400, Request ID: {uuid.uuid4()})"
        raise ValueError(modelled.handler_message(text, code)) from error
