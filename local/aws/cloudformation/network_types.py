"""Resource types of EC2's networks: those that MiniStack's CloudFormation lacks or holds to nothing, by the API; its own, with checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from local.aws import networks, seam
from local.aws.cloudformation import acting, completions, modelled
from local.aws.cloudformation.modelled import ModelledType, Properties
from local.aws.modelled_service import ServiceError

_ec2 = seam.module("services.ec2")
_provisioners = seam.module("services.cloudformation.provisioners")

HANDLED = {
    "AWS::EC2::VPC": {"CidrBlock", "EnableDnsHostnames", "EnableDnsSupport", "InstanceTenancy", "Tags"},
    "AWS::EC2::InternetGateway": {"Tags"},
    "AWS::EC2::VPCGatewayAttachment": {"InternetGatewayId", "VpcId"},
    "AWS::EC2::RouteTable": {"VpcId", "Tags"},
    "AWS::EC2::Route": {"RouteTableId", "DestinationCidrBlock", "GatewayId", "NatGatewayId", "VpcPeeringConnectionId", "TransitGatewayId"},
    "AWS::EC2::SubnetRouteTableAssociation": {"RouteTableId", "SubnetId"},
    "AWS::EC2::SecurityGroup": {"GroupDescription", "GroupName", "VpcId", "SecurityGroupIngress", "SecurityGroupEgress", "Tags"},
}
"""Properties that MiniStack's own handlers see to; others are refused."""


def register() -> None:
    """Make the types known to CloudFormation."""
    for type_ in _types():
        modelled.add(type_)
    for resource_type, handled in HANDLED.items():
        completion = completions.Completion(handled=frozenset(handled), applied={})
        acting.add_check(resource_type, completions.refuser(resource_type, completion))
    for resource_type, check in _CHECKS.items():
        acting.add_check(resource_type, check)
    for resource_type, problem in _DELETIONS.items():
        _guard_deletion(resource_type, problem)


def _types() -> list[ModelledType]:
    ipv6 = "addresses are of version 4 here"
    return [
        ModelledType(
            resource_type="AWS::EC2::Subnet", service="ec2", create="CreateSubnet", read="DescribeSubnets", delete="DeleteSubnet",
            record=_first("Subnets"), identify=lambda _, answer: answer["Subnet"]["SubnetId"], request=_tagging("subnet"), carried=frozenset({"Tags"}), tagger=_tag,
            attributes=lambda _, record: {"AvailabilityZone": record["AvailabilityZone"], "CidrBlock": record["CidrBlock"], "VpcId": record["VpcId"]},
            left_out={
                "AssignIpv6AddressOnCreation": ipv6, "EnableDns64": ipv6, "EnableLniAtDeviceIndex": "there are no Outposts here",
                "MapPublicIpOnLaunch": "nothing here has a public address", "PrivateDnsNameOptionsOnLaunch": "there are no instances here",
                "Ipv6CidrBlock": ipv6, "Ipv6Native": ipv6, "OutpostArn": "there are no Outposts here", "Ipv4IpamPoolId": "there is no IPAM here",
                "Ipv4NetmaskLength": "there is no IPAM here", "Ipv6IpamPoolId": ipv6, "Ipv6NetmaskLength": ipv6,
            },
        ),
        ModelledType(
            resource_type="AWS::EC2::EIP", service="ec2", create="AllocateAddress", read="DescribeAddresses", delete="ReleaseAddress",
            record=_first("Addresses"), identify=lambda _, answer: answer["PublicIp"], request=_tagging("elastic-ip"), key=_address_key,
            carried=frozenset({"Tags"}), tagger=lambda client, id_, changed, removed: _tag(client, _allocation(id_), changed, removed),
            left_out={
                "InstanceId": "there are no instances here", "TransferAddress": "no account hands one over", "Address": "AWS chooses it",
                "IpamPoolId": "there is no IPAM here", "NetworkBorderGroup": "there is one a region", "PublicIpv4Pool": "there is Amazon's alone",
            },
        ),
        ModelledType(
            resource_type="AWS::EC2::NatGateway", service="ec2", create="CreateNatGateway", read="DescribeNatGateways",
            delete="DeleteNatGateway", record=_first("NatGateways"), identify=lambda _, answer: answer["NatGateway"]["NatGatewayId"],
            request=_tagging("natgateway"), carried=frozenset({"Tags"}),
            tagger=_tag, attributes=lambda _, record: {"EniId": record["NatGatewayAddresses"][0]["NetworkInterfaceId"]},
            left_out={
                "MaxDrainDurationSeconds": "nothing drains", "AvailabilityMode": "gateways are of one zone here",
                "AvailabilityZoneAddresses": "gateways are of one zone here", "VpcId": "gateways are of one zone here",
                "SecondaryAllocationIds": "one address a gateway", "SecondaryPrivateIpAddresses": "one address a gateway",
                "SecondaryPrivateIpAddressCount": "one address a gateway", "PrivateIpAddress": "the first free address is taken",
            },
        ),
        ModelledType(
            resource_type="AWS::EC2::VPCEndpoint", service="ec2", create="CreateVpcEndpoint", read="DescribeVpcEndpoints",
            update="ModifyVpcEndpoint", delete="DeleteVpcEndpoints", record=_first("VpcEndpoints"), members={"Id": "VpcEndpointId"},
            identify=lambda _, answer: answer["VpcEndpoint"]["VpcEndpointId"], request=_tagging("vpc-endpoint"), change=_endpoint_change, carried=frozenset({"Tags"}), tagger=_tag,
            attributes=lambda _, record: {"DnsEntries": [f"{e['HostedZoneId']}:{e['DnsName']}" for e in record.get("DnsEntries", ())]},
            left_out={
                "DnsOptions": "names resolve to the platform here", "IpAddressType": ipv6, "ServiceNetworkArn": "there is no VPC Lattice here",
                "ResourceConfigurationArn": "there is no VPC Lattice here", "ServiceRegion": "endpoints are of their own region here",
            },
        ),
        ModelledType(
            resource_type="AWS::EC2::FlowLog", service="ec2", create="CreateFlowLogs", read="DescribeFlowLogs", delete="DeleteFlowLogs",
            record=_first("FlowLogs"), members={"Id": "FlowLogId"}, identify=lambda _, answer: answer["FlowLogIds"][0],
            request=_tagging("vpc-flow-log"), carried=frozenset({"Tags"}), tagger=_tag,
            left_out={
                "DeliverCrossAccountRole": "there is one account here", "DestinationOptions": "logs go to CloudWatch Logs here",
                "LogDestination": "logs go to a log group by its name here", "LogFormat": "nothing is recorded here",
                "TagFieldSpecifications": "nothing is recorded here",
            },
        ),
        _rule_type("Ingress", left_out={
            "CidrIpv6": ipv6, "GroupName": "name the group by GroupId", "SourceSecurityGroupName": "name the group by SourceSecurityGroupId",
            "SourceSecurityGroupOwnerId": "there is one account here",
        }),
        _rule_type("Egress", left_out={"CidrIpv6": ipv6}),
    ]  # fmt: skip


def _rule_type(direction: str, *, left_out: Mapping[str, str]) -> ModelledType:
    """A rule of a security group that has a life of its own."""
    return ModelledType(
        resource_type=f"AWS::EC2::SecurityGroup{direction}", service="ec2", create=f"AuthorizeSecurityGroup{direction}",
        read="DescribeSecurityGroupRules", delete=f"RevokeSecurityGroup{direction}", record=_first("SecurityGroupRules"),
        identify=lambda _, answer: answer["SecurityGroupRules"][0]["SecurityGroupRuleId"], members={"Id": "SecurityGroupRuleId"},
        key=lambda id_, properties: {"SecurityGroupRuleId": id_, "GroupId": properties.get("GroupId")}, request=_rule, left_out=left_out,
        carried=frozenset({"Description", "SourcePrefixListId", "SourceSecurityGroupId", "DestinationPrefixListId", "DestinationSecurityGroupId"}),
    )  # fmt: skip


# ---- requests and answers ------------------------------------------------------------------------------------------


def _first(member: str) -> Callable[[Properties], Any]:
    return lambda answer: next(iter(answer.get(member) or ()), None)


def _tagging(kind: str) -> Callable[[str, Properties], Properties]:
    """EC2 takes the tags of what it makes with their kind."""

    def request(operation: str, given: Properties) -> Properties:
        del operation
        rest = {name: value for name, value in given.items() if name != "Tags"}
        for name in ("ResourceId",):
            if name in rest and kind == "vpc-flow-log":
                rest["ResourceIds"] = [rest.pop(name)]
        return {**rest, "TagSpecifications": [{"ResourceType": kind, "Tags": given["Tags"]}]} if given.get("Tags") else rest

    return request


def _tag(client: Any, id_: str, changed: dict[str, str], removed: list[str]) -> None:
    if removed:
        client.delete_tags(Resources=[id_], Tags=[{"Key": key} for key in removed])
    if changed:
        client.create_tags(Resources=[id_], Tags=[{"Key": key, "Value": value} for key, value in changed.items()])


def _rule(operation: str, given: Properties) -> Properties:
    """A rule of a security group as EC2 takes it."""
    if not operation.startswith("Authorize"):
        return given
    about = {"Description": given["Description"]} if given.get("Description") else {}
    permission = {name: given[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in given}
    group = given.get("SourceSecurityGroupId") or given.get("DestinationSecurityGroupId")
    prefixes = given.get("SourcePrefixListId") or given.get("DestinationPrefixListId")
    if group:
        permission["UserIdGroupPairs"] = [{"GroupId": group, **about}]
    if prefixes:
        permission["PrefixListIds"] = [{"PrefixListId": prefixes, **about}]
    if given.get("CidrIp"):
        permission["IpRanges"] = [{"CidrIp": given["CidrIp"], **about}]
    return {"GroupId": given["GroupId"], "IpPermissions": [permission]}


def _endpoint_change(id_: str, old: Properties, new: Properties) -> Properties:
    """What of an endpoint changes: lists by what comes and goes."""
    request: Properties = {"VpcEndpointId": id_}
    for name in ("RouteTableIds", "SubnetIds", "SecurityGroupIds"):
        before, after = old.get(name) or [], new.get(name) or []
        for verb, ids in (("Add", [i for i in after if i not in before]), ("Remove", [i for i in before if i not in after])):
            if ids:
                request[f"{verb}{name}"] = ids
    if old.get("PolicyDocument") != new.get("PolicyDocument"):
        request |= {"PolicyDocument": modelled.text(new["PolicyDocument"])} if new.get("PolicyDocument") else {"ResetPolicy": True}
    if old.get("PrivateDnsEnabled") != new.get("PrivateDnsEnabled"):
        request["PrivateDnsEnabled"] = bool(new.get("PrivateDnsEnabled", False))
    return request


def _allocation(public_ip: str) -> str:
    """Allocation of an address: templates know the address, the API its allocation."""
    return next((id_ for id_, address in _ec2._addresses.items() if address["PublicIp"] == public_ip), "eipalloc-gone")


def _address_key(public_ip: str, properties: Properties) -> Properties:
    del properties
    return {"AllocationId": _allocation(public_ip)}


# ---- MiniStack's own types, held to what EC2 holds them to -------------------------------------------------------------


def _problem(check: Callable[[Mapping[str, Any]], object]) -> acting.ResourceCheck:
    """A check that raises EC2's errors, as one that answers them."""

    def checked(properties: dict[str, Any]) -> str:
        try:
            check(properties)
        except ServiceError as error:
            return error.message
        return ""

    return checked


def _table(id_: str) -> networks.Record:
    return networks.found(_ec2._route_tables, id_, "InvalidRouteTableID.NotFound", "routeTable ID")


def _check_vpc(properties: Mapping[str, Any]) -> None:
    if "VpcId" in properties:
        networks.require_vpc(str(properties["VpcId"]))


def _check_route(properties: Mapping[str, Any]) -> None:
    table = _table(str(properties["RouteTableId"]))
    gateway, nat = properties.get("GatewayId"), properties.get("NatGatewayId")
    if gateway:
        found = networks.found(_ec2._internet_gateways, gateway, "InvalidGatewayID.NotFound", "gateway ID")
        if not any(attachment["VpcId"] == table["VpcId"] for attachment in found.get("Attachments", ())):
            raise ServiceError(
                "InvalidParameterValue", f"route table {table['RouteTableId']} and network gateway {gateway} belong to different networks"
            )
    if nat and networks.found(_ec2._nat_gateways, nat, "InvalidNatGatewayID.NotFound", "NAT gateway")["State"] != "available":
        raise ServiceError("InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat}' does not exist")


def _check_association(properties: Mapping[str, Any]) -> None:
    table, subnet = _table(str(properties["RouteTableId"])), networks.require_subnet(str(properties["SubnetId"]))
    if table["VpcId"] != subnet["VpcId"]:
        raise ServiceError(
            "InvalidParameterValue", f"route table {table['RouteTableId']} and subnet {subnet['SubnetId']} belong to different networks"
        )
    if any(a.get("SubnetId") == subnet["SubnetId"] for t in _ec2._route_tables.values() for a in t["Associations"] if t is not table):
        raise ServiceError(
            "Resource.AlreadyAssociated",
            f"the specified association for route table {table['RouteTableId']} conflicts with an existing association",
        )


_CHECKS: dict[str, acting.ResourceCheck] = {
    "AWS::EC2::Route": _problem(_check_route),
    "AWS::EC2::SubnetRouteTableAssociation": _problem(_check_association),
    "AWS::EC2::RouteTable": _problem(_check_vpc),
    "AWS::EC2::SecurityGroup": _problem(_check_vpc),
    "AWS::EC2::VPCGatewayAttachment": _problem(_check_vpc),
}


def _group_in_use(id_: str) -> str:
    problem = networks.problem_of_group_deletion(id_) if id_ in _ec2._security_groups else None
    return problem.message if problem else ""


def _gateway_attached(id_: str) -> str:
    gateway = _ec2._internet_gateways.get(id_) or {}
    return f"The internetGateway '{id_}' has dependencies and cannot be deleted." if gateway.get("Attachments") else ""


def _table_in_use(id_: str) -> str:
    table = _ec2._route_tables.get(id_) or {}
    return f"The routeTable '{id_}' has dependencies and cannot be deleted." if table.get("Associations") else ""


_DELETIONS: dict[str, Callable[[str], str]] = {
    "AWS::EC2::SecurityGroup": _group_in_use,
    "AWS::EC2::InternetGateway": _gateway_attached,
    "AWS::EC2::RouteTable": _table_in_use,
}


def _guard_deletion(resource_type: str, problem: Callable[[str], str]) -> None:
    """Refuse a deletion that EC2 would refuse."""
    handler = _provisioners._RESOURCE_HANDLERS[resource_type]
    delete = handler["delete"]

    def guarded(physical_id: str, properties: dict[str, Any]) -> None:
        found = problem(physical_id)
        if found:
            raise ValueError(modelled.handler_message(found, "InvalidRequest"))
        delete(physical_id, properties)

    _provisioners._RESOURCE_HANDLERS[resource_type] = {**handler, "delete": guarded}
