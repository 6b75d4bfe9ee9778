"""Ways in and out of a network: elastic addresses, NAT gateways, endpoints of AWS services and flow logs, as EC2 answers for them.

Nothing passes through them here: clients on the laptop reach the one endpoint of the platform, and flow logs stay empty (known
differences). What can be got wrong in a template is refused as EC2 refuses it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from lakehouse.networks import GATEWAY_SERVICES, INTERFACE_SERVICES
from local.aws import guard, seam
from local.aws.modelled_service import Answer, Call, Operation, ServiceError, no_resource
from local.aws.networks import (
    Record,
    add,
    arn,
    by_ids,
    found,
    give_back,
    new_id,
    of_given,
    of_new,
    require_group,
    require_subnet,
    require_vpc,
    select,
    tag_new,
    tagged,
    take_address,
)

FLOW_LOGS = "vpc-flow-logs.amazonaws.com"

_ec2 = seam.module("services.ec2")
_logs = seam.module("services.cloudwatch_logs")

_ALLOW_ALL = {"Version": "2008-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}


def register() -> None:
    """Add the operations to EC2's; `networks` serves them."""
    seam.original("services.ec2._random_ip")
    seam.original("services.ec2._aws_pl_id_from_name")
    add(_OPERATIONS)


# ---- addresses -------------------------------------------------------------------------------------------------------


def _allocate_address(call: Call) -> Answer:
    if call.params.get("Domain", "vpc") != "vpc":
        raise ServiceError("InvalidParameterValue", "Value for parameter domain is invalid: addresses are of the domain vpc")
    id_, address = new_id("eipalloc"), _ec2._random_ip("52.")
    tag_new(call, "elastic-ip", id_)
    _ec2._addresses[id_] = {
        "AllocationId": id_, "PublicIp": address, "Domain": "vpc", "AssociationId": None, "InstanceId": None, "NetworkInterfaceId": None,
        "PrivateIpAddress": None, "NetworkBorderGroup": call.region, "PublicIpv4Pool": "amazon",
    }  # fmt: skip
    return {"AllocationId": id_, "PublicIp": address, "Domain": "vpc", "NetworkBorderGroup": call.region, "PublicIpv4Pool": "amazon"}


def _describe_addresses(call: Call) -> Answer:
    given = by_ids(_ec2._addresses, call.params.get("AllocationIds", ()), "InvalidAllocationID.NotFound", "allocation ID")
    wanted = call.params.get("PublicIps")
    if wanted:
        given = [address for address in given if address["PublicIp"] in wanted]
        if len(given) < len(wanted):
            raise ServiceError("InvalidAddress.NotFound", f"Address '{wanted[0]}' not found.")
    records = [tagged({k: v for k, v in a.items() if v is not None}, a["AllocationId"]) for a in given]
    filters: dict[str, Callable[[Record], Any]] = {
        "allocation-id": lambda a: a["AllocationId"], "public-ip": lambda a: a["PublicIp"], "association-id": lambda a: a.get("AssociationId", ""),
    }  # fmt: skip
    return {"Addresses": select(call, records, filters)}


def _release_address(call: Call) -> Answer:
    address = _address(call.params.get("AllocationId", ""))
    if address["AssociationId"]:
        raise ServiceError("InvalidIPAddress.InUse", f"Address {address['PublicIp']} is in use.")
    _ec2._addresses.pop(address["AllocationId"])
    _ec2._tags.pop(address["AllocationId"], None)
    return None


def _address(allocation_id: str) -> Record:
    return found(_ec2._addresses, allocation_id, "InvalidAllocationID.NotFound", "allocation ID")


# ---- NAT gateways ----------------------------------------------------------------------------------------------------


def _create_nat(call: Call) -> Answer:
    params = call.params
    subnet = require_subnet(params.get("SubnetId", ""))
    is_public = params.get("ConnectivityType", "public") == "public"
    if is_public and not params.get("AllocationId"):
        raise ServiceError(
            "MissingParameter", "The request must include the AllocationId parameter. Add the required parameter and retry the request."
        )
    if is_public and not any(a["VpcId"] == subnet["VpcId"] for g in _ec2._internet_gateways.values() for a in g.get("Attachments", ())):
        raise ServiceError("Gateway.NotAttached", f"Network {subnet['VpcId']} has no Internet gateway attached")
    address = _address(params["AllocationId"]) if is_public else {}
    if address.get("AssociationId"):
        raise ServiceError("Resource.AlreadyAssociated", f"Elastic IP address [{address['AllocationId']}] is already associated")
    id_ = new_id("nat")
    tag_new(call, "natgateway", id_)
    interface = take_address(
        subnet["SubnetId"], groups=(), description=f"Interface for NAT Gateway {id_}", kind="nat_gateway", requester="nat"
    )
    place = {
        "NetworkInterfaceId": interface["NetworkInterfaceId"],
        "PrivateIp": interface["PrivateIpAddress"],
        "IsPrimary": True,
        "Status": "succeeded",
    }
    if is_public:
        address.update(
            AssociationId=new_id("eipassoc"),
            NetworkInterfaceId=interface["NetworkInterfaceId"],
            PrivateIpAddress=interface["PrivateIpAddress"],
        )
        place |= {"AllocationId": address["AllocationId"], "PublicIp": address["PublicIp"], "AssociationId": address["AssociationId"]}
    _ec2._nat_gateways[id_] = {
        "NatGatewayId": id_, "SubnetId": subnet["SubnetId"], "VpcId": subnet["VpcId"], "State": "available", "CreateTime": time.time(),
        "ConnectivityType": "public" if is_public else "private", "NatGatewayAddresses": [place], "AllocationId": address.get("AllocationId", ""),
    }  # fmt: skip
    return {"NatGateway": _nat(_ec2._nat_gateways[id_])}


def _describe_nats(call: Call) -> Answer:
    given = by_ids(_ec2._nat_gateways, call.params.get("NatGatewayIds", ()), "NatGatewayNotFound", "NAT gateway")
    filters: dict[str, Callable[[Record], Any]] = {
        "vpc-id": lambda n: n["VpcId"], "subnet-id": lambda n: n["SubnetId"], "state": lambda n: n["State"],
        "nat-gateway-id": lambda n: n["NatGatewayId"],
    }  # fmt: skip
    return {"NatGateways": select(call, [_nat(record) for record in given], filters, parameter="Filter")}


def _delete_nat(call: Call) -> Answer:
    record = found(_ec2._nat_gateways, call.params["NatGatewayId"], "NatGatewayNotFound", "NAT gateway")
    for place in record["NatGatewayAddresses"]:
        give_back([place["NetworkInterfaceId"]])
        address = _ec2._addresses.get(place.get("AllocationId", ""))
        if address:
            address.update(AssociationId=None, NetworkInterfaceId=None, PrivateIpAddress=None)
    record["State"] = "deleted"
    return {"NatGatewayId": record["NatGatewayId"]}


def _nat(record: Record) -> Record:
    shown = {name: value for name, value in record.items() if name != "AllocationId"}
    return tagged(shown, record["NatGatewayId"])


# ---- endpoints of services ---------------------------------------------------------------------------------------------


def _create_endpoint(call: Call) -> Answer:
    params = call.params
    vpc, kind, name = require_vpc(params["VpcId"]), params.get("VpcEndpointType", "Gateway"), params.get("ServiceName", "")
    service = name.removeprefix(f"com.amazonaws.{call.region}.")
    if service not in {"Gateway": GATEWAY_SERVICES, "Interface": (*INTERFACE_SERVICES, "s3", "dynamodb")}.get(kind, ()) or service == name:
        raise ServiceError("InvalidServiceName", f"The Vpc Endpoint Service '{name}' does not exist")
    policy = _policy(params.get("PolicyDocument"))
    id_ = new_id("vpce")
    record: Record = {
        "VpcEndpointId": id_, "VpcEndpointType": kind, "VpcId": vpc["VpcId"], "ServiceName": name, "State": "available",
        "PolicyDocument": policy, "RouteTableIds": [], "SubnetIds": [], "Groups": [], "NetworkInterfaceIds": [], "DnsEntries": [],
        "PrivateDnsEnabled": False, "RequesterManaged": False, "OwnerId": call.account, "CreationTimestamp": time.time(),
        "IpAddressType": "ipv4",
    }  # fmt: skip
    if kind == "Gateway":
        _route(record, add=params.get("RouteTableIds", ()), remove=())
    else:
        _set_private_dns(record, params.get("PrivateDnsEnabled", True), service)
        groups = params.get("SecurityGroupIds") or [vpc["DefaultSecurityGroupId"]]
        record["Groups"] = [{"GroupId": group, "GroupName": require_group(group)["GroupName"]} for group in groups]
        _place(record, add=params.get("SubnetIds", ()), remove=())
        zone = f"{service}.{call.region}.vpce.amazonaws.com"
        record["DnsEntries"] = [{"DnsName": f"{id_}-{id_[-8:]}.{zone}", "HostedZoneId": "Z7HUB22UULQXV"}]
    tag_new(call, "vpc-endpoint", id_)
    _ec2._vpc_endpoints[id_] = record
    return {"VpcEndpoint": tagged(record, id_)}


def _describe_endpoints(call: Call) -> Answer:
    given = by_ids(_ec2._vpc_endpoints, call.params.get("VpcEndpointIds", ()), "InvalidVpcEndpointId.NotFound", "Vpc Endpoint Id")
    filters: dict[str, Callable[[Record], Any]] = {
        "vpc-id": lambda e: e["VpcId"], "service-name": lambda e: e["ServiceName"], "vpc-endpoint-id": lambda e: e["VpcEndpointId"],
        "vpc-endpoint-type": lambda e: e["VpcEndpointType"], "vpc-endpoint-state": lambda e: e["State"],
    }  # fmt: skip
    return {"VpcEndpoints": select(call, [tagged(record, record["VpcEndpointId"]) for record in given], filters)}


def _modify_endpoint(call: Call) -> Answer:
    params = call.params
    record = found(_ec2._vpc_endpoints, params["VpcEndpointId"], "InvalidVpcEndpointId.NotFound", "Vpc Endpoint Id")
    if params.get("ResetPolicy"):
        record["PolicyDocument"] = _policy(None)
    elif "PolicyDocument" in params:
        record["PolicyDocument"] = _policy(params["PolicyDocument"])
    if record["VpcEndpointType"] == "Gateway":
        _route(record, add=params.get("AddRouteTableIds", ()), remove=params.get("RemoveRouteTableIds", ()))
        return {"Return": True}
    if "PrivateDnsEnabled" in params:
        _set_private_dns(record, params["PrivateDnsEnabled"], record["ServiceName"].rpartition(".")[2])
    wanted = [g["GroupId"] for g in record["Groups"] if g["GroupId"] not in params.get("RemoveSecurityGroupIds", ())]
    wanted += [id_ for id_ in params.get("AddSecurityGroupIds", ()) if id_ not in wanted]
    record["Groups"] = [{"GroupId": id_, "GroupName": require_group(id_)["GroupName"]} for id_ in wanted]
    for id_ in record["NetworkInterfaceIds"]:
        _ec2._network_interfaces[id_]["Groups"] = list(record["Groups"])
    _place(record, add=params.get("AddSubnetIds", ()), remove=params.get("RemoveSubnetIds", ()))
    return {"Return": True}


def _delete_endpoints(call: Call) -> Answer:
    unsuccessful: list[Record] = []
    for id_ in call.params["VpcEndpointIds"]:
        record = _ec2._vpc_endpoints.pop(id_, None)
        if record is None:
            error = {"Code": "InvalidVpcEndpoint.NotFound", "Message": f"The Vpc Endpoint Id '{id_}' does not exist"}
            unsuccessful.append({"ResourceId": id_, "Error": error})
            continue
        give_back(record.get("NetworkInterfaceIds", ()))
        _route(record, add=(), remove=record.get("RouteTableIds", ()))
        _ec2._tags.pop(id_, None)
    return {"Unsuccessful": unsuccessful}


def _route(record: Record, *, add: Any, remove: Any) -> None:
    """Write the endpoint into route tables, and out of them."""
    prefix_list = _ec2._aws_pl_id_from_name(record["ServiceName"])
    tables = {id_: found(_ec2._route_tables, id_, "InvalidRouteTableId.NotFound", "routeTable ID") for id_ in add}
    for id_, table in tables.items():
        if table["VpcId"] != record["VpcId"]:
            raise ServiceError("InvalidParameter", f"Route table {id_} does not belong to the VPC {record['VpcId']}")
        if any(route.get("DestinationPrefixListId") == prefix_list for route in table["Routes"]):
            raise ServiceError("RouteAlreadyExists", f"route table {id_} already has a route with destination-prefix-list-id {prefix_list}")
    for id_, table in tables.items():
        table["Routes"].append(
            {"DestinationPrefixListId": prefix_list, "GatewayId": record["VpcEndpointId"], "State": "active", "Origin": "CreateRoute"}
        )
        record["RouteTableIds"].append(id_)
    for id_ in list(remove):
        table = _ec2._route_tables.get(id_)
        if table:
            table["Routes"] = [route for route in table["Routes"] if route.get("GatewayId") != record["VpcEndpointId"]]
        record["RouteTableIds"] = [kept for kept in record["RouteTableIds"] if kept != id_]


def _place(record: Record, *, add: Any, remove: Any) -> None:
    """Give the endpoint an interface in each of its subnets, one a zone."""
    leaving = [id_ for id_ in record["NetworkInterfaceIds"] if _ec2._network_interfaces[id_]["SubnetId"] in remove]
    give_back(leaving)
    record["NetworkInterfaceIds"] = [id_ for id_ in record["NetworkInterfaceIds"] if id_ not in leaving]
    record["SubnetIds"] = [id_ for id_ in record["SubnetIds"] if id_ not in remove]
    zones = {require_subnet(id_)["AvailabilityZone"] for id_ in record["SubnetIds"]}
    for id_ in add:
        subnet = require_subnet(id_)
        if subnet["VpcId"] != record["VpcId"]:
            raise ServiceError("InvalidParameter", f"Subnet {id_} does not belong to the VPC {record['VpcId']}")
        if subnet["AvailabilityZone"] in zones:
            raise ServiceError("DuplicateSubnetsInSameZone", f"Found another VPC endpoint subnet in the availability zone of {id_}")
        zones.add(subnet["AvailabilityZone"])
    for id_ in add:
        groups = [group["GroupId"] for group in record["Groups"]]
        about = f"VPC Endpoint Interface {record['VpcEndpointId']}"
        interface = take_address(id_, groups=groups, description=about, kind="vpc_endpoint", requester="vpce")
        record["SubnetIds"].append(id_)
        record["NetworkInterfaceIds"].append(interface["NetworkInterfaceId"])


def _set_private_dns(record: Record, wanted: bool, service: str) -> None:  # noqa: FBT001 - a member of the request
    vpc = require_vpc(record["VpcId"])
    if wanted and not (vpc.get("EnableDnsSupport", True) and vpc.get("EnableDnsHostnames", False)):
        raise ServiceError(
            "InvalidParameter", "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true"
        )
    same = [
        other
        for other in _ec2._vpc_endpoints.values()
        if other["VpcId"] == record["VpcId"] and other["ServiceName"] == record["ServiceName"] and other.get("PrivateDnsEnabled")
    ]
    if wanted and any(other["VpcEndpointId"] != record["VpcEndpointId"] for other in same):
        raise ServiceError(
            "InvalidParameter",
            f"private-dns-enabled cannot be set because there is already a conflicting DNS domain for {service} in the VPC {record['VpcId']}",
        )
    record["PrivateDnsEnabled"] = bool(wanted)


def _policy(text: str | None) -> str:
    if not text:
        return json.dumps(_ALLOW_ALL)
    try:
        json.loads(text)
    except ValueError as error:
        raise ServiceError("InvalidParameter", "Policy document is not valid JSON") from error
    return text


# ---- flow logs ---------------------------------------------------------------------------------------------------------


def _create_flow_logs(call: Call) -> Answer:
    params = call.params
    if params.get("LogDestinationType", "cloud-watch-logs") != "cloud-watch-logs":
        raise ServiceError("InvalidParameter", "flow logs go to CloudWatch Logs on the laptop platform, to nowhere else")
    if params["ResourceType"] != "VPC":
        raise ServiceError("InvalidParameter", "flow logs are of a VPC on the laptop platform")
    group, role = params.get("LogGroupName", ""), params.get("DeliverLogsPermissionArn", "")
    if not group or not role:
        raise ServiceError("InvalidParameter", "LogDestination or LogGroupName, and DeliverLogsPermissionArn must be given")
    trusted = guard.role_record(role)
    if trusted is None or not guard.trusts(trusted, FLOW_LOGS):
        raise ServiceError(
            "InvalidParameter", f"Access Denied for LogDestination: {group}. The role {role} cannot be assumed by {FLOW_LOGS}"
        )
    ids: list[str] = []
    for resource in params["ResourceIds"]:
        require_vpc(resource)
        same = [
            f
            for f in _ec2._flow_logs.values()
            if (f["ResourceId"], f.get("LogGroupName"), f["TrafficType"]) == (resource, group, params["TrafficType"])
        ]
        if same:
            raise ServiceError("FlowLogAlreadyExists", "There is an existing Flow Log with the same configuration and log destination.")
        id_ = new_id("fl")
        tag_new(call, "vpc-flow-log", id_)
        _ec2._flow_logs[id_] = {
            "FlowLogId": id_, "ResourceId": resource, "ResourceType": "VPC", "TrafficType": params["TrafficType"], "LogGroupName": group,
            "LogDestinationType": "cloud-watch-logs", "DeliverLogsPermissionArn": role, "FlowLogStatus": "ACTIVE",
            "DeliverLogsStatus": "SUCCESS", "CreationTime": time.time(), "LogDestination": "",
            "MaxAggregationInterval": params.get("MaxAggregationInterval", 600),
        }  # fmt: skip
        ids.append(id_)
    return {"FlowLogIds": ids, "Unsuccessful": []}


def _describe_flow_logs(call: Call) -> Answer:
    given = by_ids(_ec2._flow_logs, call.params.get("FlowLogIds", ()), "InvalidFlowLogId.NotFound", "flow log ID")
    filters: dict[str, Callable[[Record], Any]] = {
        "resource-id": lambda f: f["ResourceId"], "log-group-name": lambda f: f.get("LogGroupName", ""),
        "traffic-type": lambda f: f["TrafficType"], "flow-log-id": lambda f: f["FlowLogId"],
    }  # fmt: skip
    records = [{name: value for name, value in record.items() if value not in ("", None) and name != "ResourceType"} for record in given]
    return {"FlowLogs": select(call, [tagged(record, record["FlowLogId"]) for record in records], filters, parameter="Filter")}


def _delete_flow_logs(call: Call) -> Answer:
    unsuccessful: list[Record] = []
    for id_ in call.params["FlowLogIds"]:
        if _ec2._flow_logs.pop(id_, None) is None:
            unsuccessful.append(
                {"ResourceId": id_, "Error": {"Code": "InvalidFlowLogId.NotFound", "Message": f"flow log {id_} does not exist"}}
            )
        _ec2._tags.pop(id_, None)
    return {"Unsuccessful": unsuccessful}


_OPERATIONS = {
    "AllocateAddress": Operation(_allocate_address, on=of_new("elastic-ip")),
    "DescribeAddresses": Operation(_describe_addresses, on=no_resource),
    "ReleaseAddress": Operation(_release_address, on=of_given("elastic-ip", "AllocationId")),
    "CreateNatGateway": Operation(_create_nat, on=of_new("natgateway")),
    "DescribeNatGateways": Operation(_describe_nats, on=no_resource),
    "DeleteNatGateway": Operation(_delete_nat, on=of_given("natgateway", "NatGatewayId")),
    "CreateVpcEndpoint": Operation(_create_endpoint, on=of_new("vpc-endpoint")),
    "DescribeVpcEndpoints": Operation(_describe_endpoints, on=no_resource),
    "ModifyVpcEndpoint": Operation(_modify_endpoint, on=of_given("vpc-endpoint", "VpcEndpointId")),
    "DeleteVpcEndpoints": Operation(_delete_endpoints, on=of_given("vpc-endpoint", "VpcEndpointIds")),
    "CreateFlowLogs": Operation(
        _create_flow_logs, on=lambda call: arn(call, "vpc-flow-log"), passes={"DeliverLogsPermissionArn": "vpc-flow-logs"}
    ),
    "DescribeFlowLogs": Operation(_describe_flow_logs, on=no_resource),
    "DeleteFlowLogs": Operation(_delete_flow_logs, on=of_given("vpc-flow-log", "FlowLogIds")),
}
