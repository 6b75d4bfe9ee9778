"""Glue connections: made with what AWS would refuse refused, and joined by job runs, which need rights and a network for it.

A run that names a connection does not really move into its network: the laptop has none. What a run needs to get there is asked all the same.
Connections of other kinds than JDBC and NETWORK, and connections tests, are refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from local.aws import glue_versions, guard, seam, spark_runs
from local.aws.cloudformation import modelled
from local.aws.cloudformation.modelled import ModelledType
from local.aws.modelled_service import Answer, Call, ModelledService, Operation, ServiceError, serve

KINDS = ("JDBC", "NETWORK")
"""Kinds of connections that are served."""

_DESCRIBES = (
    "DescribeNetworkInterfaces", "DescribeRouteTables", "DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcAttribute",
    "DescribeVpcEndpoints",
)  # fmt: skip
_TAG = {"aws:TagKeys": ["aws-glue-service-resource"]}

_ec2 = seam.module("services.ec2")
_glue = seam.module("services.glue")
_responses = seam.module("core.responses")


class JoinError(Exception):
    """A run cannot get into the network of a connection; the text is the run's failure."""


def register() -> None:
    """Serve connections and their CloudFormation type, and what else of Glue is served from its model: versions of tables."""
    serve(
        ModelledService(
            name="glue",
            invalid="InvalidInputException",
            operations={
                "CreateConnection": Operation(_create, on=_input_arn),
                "GetConnection": Operation(_get, on=lambda call: _arn(call, call.params["Name"])),
                "UpdateConnection": Operation(_update, on=lambda call: _arn(call, call.params["Name"])),
                "DeleteConnection": Operation(_delete, on=lambda call: _arn(call, call.params["ConnectionName"])),
                **glue_versions.OPERATIONS,
            },
        )
    )
    modelled.add(
        ModelledType(
            resource_type="AWS::Glue::Connection", service="glue", create="CreateConnection", read="GetConnection", update="UpdateConnection",
            delete="DeleteConnection", record=lambda answer: answer["Connection"], automatic_name="",
            identify=lambda properties, _: str(properties["ConnectionInput"]["Name"]),
            key=lambda physical_id, _: {"Name": physical_id, "ConnectionName": physical_id},
            change=lambda physical_id, _, new: {"Name": physical_id, "ConnectionInput": new["ConnectionInput"]},
        )
    )  # fmt: skip


def join(names: Iterable[str], *, session: boto3.Session, key: str) -> None:
    """Ask what Glue asks before a run gets into the networks of its connections.

    Args:
        names: Connections of the job.
        session: Session of the job's role.
        key: Its access key.

    Raises:
        JoinError: A connection is not there, its network is not fit, or the role lacks a right.
    """
    client = session.client("glue", config=spark_runs.CONFIG)
    for name in names:
        try:
            connection = client.get_connection(Name=name, HidePassword=True)["Connection"]
        except ClientError as error:
            raise JoinError(f"could not get the connection {name}: {error.response['Error'].get('Message', error)}") from error
        place = connection.get("PhysicalConnectionRequirements") or {}
        if place.get("SubnetId"):
            _ask(key, place)
            _check_groups(name, place.get("SecurityGroupIdList") or [])


def _ask(key: str, place: Mapping[str, Any]) -> None:
    where = f"arn:aws:ec2:{_responses.get_region()}:{_responses.get_account_id()}"
    interface = f"{where}:network-interface/eni-00000000"
    wanted: list[tuple[str, str, dict[str, Any]]] = [(name, "*", {}) for name in _DESCRIBES]
    groups = [f"{where}:security-group/{group}" for group in place["SecurityGroupIdList"]]
    wanted += [("CreateNetworkInterface", resource, {}) for resource in (interface, f"{where}:subnet/{place['SubnetId']}", *groups)]
    wanted += [("CreateTags", interface, _TAG), ("DeleteNetworkInterface", interface, {})]
    for action, resource, context in wanted:
        denied = guard.authorize(key, action=f"ec2:{action}", resource=resource, context=context, via="glue")
        if denied:
            raise JoinError(f"the role of the job cannot join the network of its connection: {denied}")


def _check_groups(name: str, groups: list[str]) -> None:
    """Glue's own rule: workers find each other only if a security group of the connection lets its members in on every TCP port."""
    for group in groups:
        for rule in (_ec2._security_groups.get(group) or {}).get("IpPermissions") or []:
            is_every = str(rule.get("IpProtocol")) == "-1" or (rule.get("FromPort") in (0, "0") and rule.get("ToPort") in (65535, "65535"))
            if is_every and any(pair.get("GroupId") == group for pair in rule.get("UserIdGroupPairs") or []):
                return
    raise JoinError(
        f"At least one security group must open all ingress ports. To limit traffic, the source security group in your inbound rule can be restricted to "
        f"the same security group (connection {name}, groups {', '.join(groups) or 'none'})"
    )


def _arn(call: Call, name: str) -> str:
    return f"arn:aws:glue:{call.region}:{call.account}:connection/{name}"


def _input_arn(call: Call) -> str:
    return _arn(call, call.params["ConnectionInput"]["Name"])


def _on_catalog(call: Call) -> None:
    call.require(f"glue:{call.operation}", f"arn:aws:glue:{call.region}:{call.account}:catalog")


def _create(call: Call) -> Answer:
    _on_catalog(call)
    given = _checked(call.params["ConnectionInput"])
    if given["Name"] in _glue._connections:
        raise ServiceError("AlreadyExistsException", f"Connection {given['Name']} already exists.")
    now = int(time.time())
    _glue._connections[given["Name"]] = {**given, "CreationTime": now, "LastUpdatedTime": now, "Status": "READY"}
    return {"CreateConnectionStatus": "READY"}


def _get(call: Call) -> Answer:
    _on_catalog(call)
    shown = dict(_found(call.params["Name"]))
    if call.params.get("HidePassword"):
        shown["ConnectionProperties"] = {name: value for name, value in shown.get("ConnectionProperties", {}).items() if name != "PASSWORD"}
    return {"Connection": shown}


def _update(call: Call) -> Answer:
    _on_catalog(call)
    before, given = _found(call.params["Name"]), _checked(call.params["ConnectionInput"])
    if given["Name"] != call.params["Name"]:
        raise ServiceError("InvalidInputException", "a connection keeps its name: make another one")
    _glue._connections[given["Name"]] = {
        **given,
        "CreationTime": before["CreationTime"],
        "LastUpdatedTime": int(time.time()),
        "Status": "READY",
    }
    return None


def _delete(call: Call) -> Answer:
    _on_catalog(call)
    _found(call.params["ConnectionName"])
    _glue._connections.pop(call.params["ConnectionName"])
    return None


def _found(name: str) -> dict[str, Any]:
    found = _glue._connections.get(name)
    if found is None:
        raise ServiceError("EntityNotFoundException", f"Connection {name} not found.")
    return found


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    """A connection, checked.

    Raises:
        ServiceError: Glue would refuse it, or it would lead nowhere.
    """
    kind, properties = given.get("ConnectionType"), given.get("ConnectionProperties") or {}
    place = given.get("PhysicalConnectionRequirements") or {}
    if kind not in KINDS:
        raise ServiceError(
            "InvalidInputException",
            f"connections of type {kind} are not implemented on the laptop platform; implemented: {', '.join(KINDS)}",
        )
    if kind == "JDBC":
        if not str(properties.get("JDBC_CONNECTION_URL", "")).startswith("jdbc:"):
            raise ServiceError("InvalidInputException", "JDBC_CONNECTION_URL is missing, or does not begin with jdbc:")
        if "SECRET_ID" not in properties and not {"USERNAME", "PASSWORD"} <= properties.keys():
            raise ServiceError("InvalidInputException", "Either SECRET_ID, or USERNAME and PASSWORD, must be given")
    literal = sorted(name for name, value in properties.items() if "{{resolve:" in str(value))
    if literal:
        raise ServiceError("InvalidInputException", f"{', '.join(literal)} holds a dynamic reference, which only a template resolves")
    subnet = place.get("SubnetId")
    if subnet:
        found = _ec2._subnets.get(subnet)
        if found is None or place.get("AvailabilityZone") not in (None, found["AvailabilityZone"]):
            raise ServiceError(
                "InvalidInputException", f"the subnet {subnet} does not exist in the availability zone {place.get('AvailabilityZone')}"
            )
        for group in place.get("SecurityGroupIdList") or []:
            if (_ec2._security_groups.get(group) or {}).get("VpcId") != found["VpcId"]:
                raise ServiceError("InvalidInputException", f"the security group {group} does not exist in {found['VpcId']}")
    return given
