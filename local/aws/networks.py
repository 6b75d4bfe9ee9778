"""Subnets, network interfaces and security groups of EC2, which MiniStack keeps and does not hold to anything.

A subnet lies in its VPC and overlaps no other; its free addresses are those that no interface has; it goes only when nothing is in it,
and a security group only when nothing uses or names it. Services that live in a subnet take an address by `take_address` and give it
back by `give_back`. Packets do not pass here, so routes and rules open and close nothing: known differences.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from local.aws import seam, supported
from local.aws.modelled_service import Answer, Call, ModelledService, Operation, ServiceError, no_resource, serve

RESERVED = 5
"""Addresses of every subnet that AWS keeps: the first four and the last."""

Record = dict[str, Any]

_ec2 = seam.module("services.ec2")
_responses = seam.module("core.responses")

_operations: dict[str, Operation] = {}


def add(operations: Mapping[str, Operation]) -> None:
    """Serve operations of EC2, before `register`."""
    _operations.update(operations)


def register() -> None:
    """Put our operations before MiniStack's, and allow those of MiniStack's that behave."""
    add(_OPERATIONS)
    for name in ("_new_subnet_id", "_az_id_for_zone_name", "_zone_name_for_az_id", "_ensure_defaults_initialized"):
        seam.original(f"services.ec2.{name}")
    supported.allow(
        "ec2", "*Vpc", "DescribeVpcs", "*VpcAttribute", "*InternetGateway", "DescribeInternetGateways", "*RouteTable", "DescribeRouteTables",
        "*Route", "CreateSecurityGroup", "DescribeSecurityGroups", "DescribeSecurityGroupRules", "AuthorizeSecurityGroup*",
        "RevokeSecurityGroup*", "*Tags", "DescribeAvailabilityZones", "DescribeRegions", "DescribePrefixLists",
        "DescribeManagedPrefixLists", "DescribeVpcEndpointServices", "DescribeNetworkAcls",
    )  # fmt: skip
    serve(ModelledService(name="ec2", operations=_operations, invalid="InvalidParameterValue"))


# ---- what the other parts of the network share ----------------------------------------------------------------------


def new_id(kind: str) -> str:
    """Id of a new resource, `nat` -> `nat-0123456789abcdef0`."""
    return f"{kind}-{uuid.uuid4().hex[:17]}"


def arn(call: Call, kind: str, name: str = "*") -> str:
    """ARN of a resource of EC2."""
    return f"arn:aws:ec2:{call.region}:{call.account}:{kind}/{name}"


def of_new(kind: str) -> Callable[[Call], str]:
    """What IAM is asked on when something is made: any resource of its kind."""
    return lambda call: arn(call, kind)


def of_given(kind: str, parameter: str) -> Callable[[Call], str]:
    """What IAM is asked on when the request names the resource, or the first of several."""

    def resource(call: Call) -> str:
        value = call.params[parameter]
        return arn(call, kind, value[0] if isinstance(value, list) else value)

    return resource


def found(store: Any, id_: str, code: str, noun: str) -> Record:
    """A record by its id.

    Raises:
        ServiceError: There is none.
    """
    record = store.get(id_)
    if record is None:
        raise ServiceError(code, f"The {noun} '{id_}' does not exist")
    return record


def require_vpc(id_: str) -> Record:
    """A VPC that exists."""
    _ec2._ensure_defaults_initialized()
    return found(_ec2._vpcs, id_, "InvalidVpcID.NotFound", "vpc ID")


def require_subnet(id_: str) -> Record:
    """A subnet that exists."""
    _ec2._ensure_defaults_initialized()
    return found(_ec2._subnets, id_, "InvalidSubnetID.NotFound", "subnet ID")


def require_group(id_: str) -> Record:
    """A security group that exists."""
    _ec2._ensure_defaults_initialized()
    return found(_ec2._security_groups, id_, "InvalidGroup.NotFound", "security group")


def tag_new(call: Call, kind: str, id_: str) -> None:
    """Tag what a request makes, with the right to.

    Raises:
        ServiceError: The caller may not tag.
    """
    tags = [tag for part in call.params.get("TagSpecifications", ()) if part.get("ResourceType") == kind for tag in part.get("Tags", ())]
    if tags:
        call.require("ec2:CreateTags", arn(call, kind, id_))
        _ec2._tags[id_] = [{"Key": tag["Key"], "Value": tag.get("Value", "")} for tag in tags]


def tagged(record: Record, id_: str) -> Record:
    """A record with its tags, as answers have them."""
    return {**record, "Tags": list(_ec2._tags.get(id_) or [])}


def select(
    call: Call, records: Iterable[Record], filters: Mapping[str, Callable[[Record], Any]], *, parameter: str = "Filters"
) -> list[Record]:
    """Records that pass the request's filters.

    Args:
        call: The request.
        records: Records with their tags.
        filters: Value, or values, of a record by the filter's name.
        parameter: Member that holds the filters.

    Raises:
        ServiceError: A filter is not one of them.
    """
    chosen = list(records)
    for given in call.params.get(parameter, ()):
        name, wanted = given["Name"], set(given.get("Values", ()))
        if name.startswith("tag:"):
            chosen = [r for r in chosen if {t["Value"] for t in r["Tags"] if t["Key"] == name[4:]} & wanted]
        elif name == "tag-key":
            chosen = [r for r in chosen if {t["Key"] for t in r["Tags"]} & wanted]
        elif name in filters:
            value = filters[name]
            chosen = [r for r in chosen if wanted & set(v if isinstance(v := value(r), list | set) else [v])]
        else:
            raise ServiceError(
                "InvalidParameterValue",
                f"The filter '{name}' is not implemented on the laptop platform. Implemented: {', '.join(sorted(filters))}, tag-key, tag:<key>",
            )
    return chosen


def by_ids(store: Any, ids: Iterable[str], code: str, noun: str) -> list[Record]:
    """Records by their ids, all of them if none is named."""
    wanted = list(ids)
    return [found(store, id_, code, noun) for id_ in wanted] if wanted else list(store.values())


# ---- addresses -------------------------------------------------------------------------------------------------------


def take_address(subnet_id: str, *, groups: Iterable[str], description: str, kind: str = "interface", requester: str = "") -> Record:
    """Put an interface into a subnet, on its first free address.

    Args:
        subnet_id: The subnet.
        groups: Security groups of the interface.
        description: What lives there.
        kind: Kind of interface, such as `nat_gateway` or `vpc_endpoint`.
        requester: Service that manages it; nobody else may delete such an interface.

    Raises:
        ServiceError: The subnet or a group does not exist, or no address is free.
    """
    subnet = require_subnet(subnet_id)
    named = [{"GroupId": id_, "GroupName": require_group(id_)["GroupName"]} for id_ in groups]
    taken = {interface["PrivateIpAddress"] for interface in _ec2._network_interfaces.values() if interface["SubnetId"] == subnet_id}
    hosts = list(ipaddress.IPv4Network(subnet["CidrBlock"]))[4:-1]
    address = next((str(host) for host in hosts if str(host) not in taken), None)
    if address is None:
        raise ServiceError(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{subnet_id}' to satisfy the requested number of instances.",
        )
    id_ = new_id("eni")
    _ec2._network_interfaces[id_] = {
        "NetworkInterfaceId": id_, "SubnetId": subnet_id, "VpcId": subnet["VpcId"], "AvailabilityZone": subnet["AvailabilityZone"],
        "Description": description, "OwnerId": _responses.get_account_id(), "Status": "in-use", "PrivateIpAddress": address,
        "InterfaceType": kind, "SourceDestCheck": kind != "nat_gateway", "MacAddress": _mac(id_), "Groups": named, "Attachment": None,
        "RequesterId": requester, "RequesterManaged": bool(requester),
    }  # fmt: skip
    return _ec2._network_interfaces[id_]


def give_back(interface_ids: Iterable[str]) -> None:
    """Take interfaces out of their subnets."""
    for id_ in interface_ids:
        _ec2._network_interfaces.pop(id_, None)
        _ec2._tags.pop(id_, None)


def free_addresses(subnet: Record) -> int:
    """Addresses of a subnet that nothing has."""
    used = sum(interface["SubnetId"] == subnet["SubnetId"] for interface in _ec2._network_interfaces.values())
    return ipaddress.IPv4Network(subnet["CidrBlock"]).num_addresses - RESERVED - used


def _mac(id_: str) -> str:
    digits = id_.removeprefix("eni-")[:10]
    return ":".join(["02", *(digits[at : at + 2] for at in range(0, 10, 2))])


# ---- subnets ---------------------------------------------------------------------------------------------------------


def _create_subnet(call: Call) -> Answer:
    params = call.params
    vpc, cidr = require_vpc(params["VpcId"]), params.get("CidrBlock", "")
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ServiceError(
            "InvalidParameterValue", f"Value ({cidr}) for parameter cidrBlock is invalid. This is not a valid CIDR block."
        ) from error
    if not 16 <= network.prefixlen <= 28 or not network.subnet_of(ipaddress.IPv4Network(vpc["CidrBlock"])):
        raise ServiceError("InvalidSubnet.Range", f"The CIDR '{cidr}' is invalid.")
    for other in _ec2._subnets.values():
        if other["VpcId"] == vpc["VpcId"] and network.overlaps(ipaddress.IPv4Network(other["CidrBlock"])):
            raise ServiceError("InvalidSubnet.Conflict", f"The CIDR '{cidr}' conflicts with another subnet")
    zones = [f"{call.region}{letter}" for letter in "abc"]
    zone = params.get("AvailabilityZone") or _ec2._zone_name_for_az_id(params.get("AvailabilityZoneId", "")) or zones[0]
    if zone not in zones:
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: {', '.join(zones)}.",
        )
    id_ = _ec2._new_subnet_id()
    tag_new(call, "subnet", id_)
    _ec2._subnets[id_] = {
        "SubnetId": id_, "VpcId": vpc["VpcId"], "CidrBlock": cidr, "AvailabilityZone": zone, "State": "available",
        "AvailabilityZoneId": _ec2._az_id_for_zone_name(zone), "AvailableIpAddressCount": network.num_addresses - RESERVED,
        "DefaultForAz": False, "MapPublicIpOnLaunch": False, "OwnerId": call.account,
    }  # fmt: skip
    return {"Subnet": _subnet(call, _ec2._subnets[id_])}


def _describe_subnets(call: Call) -> Answer:
    _ec2._ensure_defaults_initialized()
    subnets = [_subnet(call, s) for s in by_ids(_ec2._subnets, call.params.get("SubnetIds", ()), "InvalidSubnetID.NotFound", "subnet ID")]
    filters: dict[str, Callable[[Record], Any]] = {
        "vpc-id": lambda s: s["VpcId"], "availability-zone": lambda s: s["AvailabilityZone"], "subnet-id": lambda s: s["SubnetId"],
        "availability-zone-id": lambda s: s["AvailabilityZoneId"], "cidr-block": lambda s: s["CidrBlock"], "state": lambda s: s["State"],
        "default-for-az": lambda s: str(bool(s.get("DefaultForAz"))).lower(), "owner-id": lambda s: s["OwnerId"],
    }  # fmt: skip
    return {"Subnets": select(call, subnets, filters)}


def _delete_subnet(call: Call) -> Answer:
    subnet = require_subnet(call.params["SubnetId"])
    inside = [i["NetworkInterfaceId"] for i in _ec2._network_interfaces.values() if i["SubnetId"] == subnet["SubnetId"]]
    if inside:
        raise ServiceError("DependencyViolation", f"The subnet '{subnet['SubnetId']}' has dependencies and cannot be deleted.")
    for table in _ec2._route_tables.values():
        table["Associations"] = [a for a in table["Associations"] if a.get("SubnetId") != subnet["SubnetId"]]
    _ec2._subnets.pop(subnet["SubnetId"])
    _ec2._tags.pop(subnet["SubnetId"], None)
    return None


def _subnet(call: Call, subnet: Record) -> Record:
    own = arn(call, "subnet", subnet["SubnetId"])
    return tagged({**subnet, "SubnetArn": own, "AvailableIpAddressCount": free_addresses(subnet)}, subnet["SubnetId"])


# ---- interfaces and groups --------------------------------------------------------------------------------------------


def _describe_interfaces(call: Call) -> Answer:
    given = by_ids(
        _ec2._network_interfaces, call.params.get("NetworkInterfaceIds", ()), "InvalidNetworkInterfaceID.NotFound", "networkInterface ID"
    )
    records = [tagged(interface, interface["NetworkInterfaceId"]) for interface in given]
    filters: dict[str, Callable[[Record], Any]] = {
        "vpc-id": lambda i: i["VpcId"], "subnet-id": lambda i: i["SubnetId"], "group-id": lambda i: [g["GroupId"] for g in i["Groups"]],
        "interface-type": lambda i: i["InterfaceType"], "status": lambda i: i["Status"], "description": lambda i: i["Description"],
        "private-ip-address": lambda i: i["PrivateIpAddress"], "network-interface-id": lambda i: i["NetworkInterfaceId"],
        "availability-zone": lambda i: i["AvailabilityZone"],
    }  # fmt: skip
    chosen = select(call, records, filters)
    return {"NetworkInterfaces": [{**{k: v for k, v in i.items() if k not in {"Tags", "Attachment"}}, "TagSet": i["Tags"]} for i in chosen]}


def _delete_group(call: Call) -> Answer:
    group = require_group(call.params.get("GroupId", ""))
    problem = problem_of_group_deletion(group["GroupId"])
    if problem:
        raise problem
    _ec2._security_groups.pop(group["GroupId"])
    _ec2._tags.pop(group["GroupId"], None)
    return {"Return": True, "GroupId": group["GroupId"]}


def problem_of_group_deletion(id_: str) -> ServiceError | None:
    """Why a security group cannot go."""
    if require_group(id_)["GroupName"] == "default":
        return ServiceError("CannotDelete", f'the specified group: "{id_}" name: "default" cannot be deleted by a user')
    in_use = any(id_ == group["GroupId"] for interface in _ec2._network_interfaces.values() for group in interface["Groups"])
    named = any(
        pair.get("GroupId") == id_
        for other in _ec2._security_groups.values()
        if other["GroupId"] != id_
        for rule in (*other["IpPermissions"], *other["IpPermissionsEgress"])
        for pair in rule.get("UserIdGroupPairs", ())
    )
    return ServiceError("DependencyViolation", f"resource {id_} has a dependent object") if in_use or named else None


_OPERATIONS = {
    "CreateSubnet": Operation(_create_subnet, on=of_new("subnet")),
    "DescribeSubnets": Operation(_describe_subnets, on=no_resource),
    "DeleteSubnet": Operation(_delete_subnet, on=of_given("subnet", "SubnetId")),
    "DescribeNetworkInterfaces": Operation(_describe_interfaces, on=no_resource),
    "DeleteSecurityGroup": Operation(_delete_group, on=of_given("security-group", "GroupId")),
}
