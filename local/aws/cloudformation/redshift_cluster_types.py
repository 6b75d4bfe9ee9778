"""Resource types of provisioned Redshift: clusters, their subnet and parameter groups, scheduled actions and usage limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from local.aws import seam
from local.aws.cloudformation import modelled
from local.aws.cloudformation.modelled import Answer, ModelledType, Properties

CLUSTER = "AWS::Redshift::Cluster"
CLUSTER_SECONDS = 120.0
"""Longest that a cluster may take to come up."""

_NO_RESTORES = "nothing here has snapshots"
_LEFT_OUT = {
    **dict.fromkeys(
        ("SnapshotIdentifier", "SnapshotClusterIdentifier", "OwnerAccount", "DestinationRegion", "SnapshotCopyGrantName", "SnapshotCopyManual",
         "SnapshotCopyRetentionPeriod"), _NO_RESTORES,
    ),
    **dict.fromkeys(
        ("DeferMaintenance", "DeferMaintenanceDuration", "DeferMaintenanceEndTime", "DeferMaintenanceStartTime", "RevisionTarget"),
        "nothing here is maintained",
    ),
    **dict.fromkeys(("Classic", "ResourceAction", "RotateEncryptionKey"), "call the API instead"),
    "AvailabilityZoneRelocationStatus": "it holds what is read of a cluster",
    "Endpoint": "it holds what is read of a cluster",
    "NamespaceResourcePolicy": "there is one account only",
}  # fmt: skip
_LOGGING = "LoggingProperties"
_WITHOUT = frozenset({_LOGGING, "IamRoles"})
"""Properties that calls of their own change."""


def register() -> None:
    """Make the types known to CloudFormation."""
    modelled.add(
        _ClusterType(
            resource_type=CLUSTER, service="redshift", create="CreateCluster", read="DescribeClusters", update="ModifyCluster",
            delete="DeleteCluster", record=_first("Clusters"), key=_cluster_key, request=_cluster_request, carried=frozenset({_LOGGING}),
            left_out=_LEFT_OUT, automatic_name="ClusterIdentifier", identify=_lower("ClusterIdentifier"), longest_name=63, change=_changed_cluster,
            attributes=_cluster_attributes, tagger=_tagger("cluster"), ready=_is_available,
        )
    )  # fmt: skip
    modelled.add(
        _SubnetGroupType(
            resource_type="AWS::Redshift::ClusterSubnetGroup", service="redshift", create="CreateClusterSubnetGroup",
            read="DescribeClusterSubnetGroups", update="ModifyClusterSubnetGroup", delete="DeleteClusterSubnetGroup",
            record=_first("ClusterSubnetGroups"), identify=lambda _, answer: str(answer["ClusterSubnetGroup"]["ClusterSubnetGroupName"]),
            tagger=_tagger("subnetgroup"),
        )
    )  # fmt: skip
    modelled.add(
        _ParameterGroupType(
            resource_type="AWS::Redshift::ClusterParameterGroup", service="redshift", create="CreateClusterParameterGroup",
            read="DescribeClusterParameterGroups", update="ModifyClusterParameterGroup", delete="DeleteClusterParameterGroup",
            record=_first("ParameterGroups"), carried=frozenset({"Parameters"}), request=_without("Parameters"), longest_name=255,
            automatic_name="ParameterGroupName", identify=_lower("ParameterGroupName"), change=_changed_parameters, tagger=_tagger("parametergroup"),
        )
    )  # fmt: skip
    modelled.add(
        ModelledType(
            resource_type="AWS::Redshift::ScheduledAction", service="redshift", create="CreateScheduledAction", read="DescribeScheduledActions",
            update="ModifyScheduledAction", delete="DeleteScheduledAction", record=_first("ScheduledActions"),
            identify=_lower("ScheduledActionName"),
        )
    )  # fmt: skip
    modelled.add(
        ModelledType(
            resource_type="AWS::Redshift::UsageLimit", service="redshift", create="CreateUsageLimit", read="DescribeUsageLimits",
            update="ModifyUsageLimit", delete="DeleteUsageLimit", record=_first("UsageLimits"), tagger=_tagger(""),
            identify=lambda _, answer: _arn("usagelimit", str(answer["UsageLimitId"])), change=_changed_limit,
            key=lambda physical_id, _: {"UsageLimitId": physical_id.rsplit(":", 1)[-1]},
            attributes=lambda physical_id, record: {"Arn": physical_id, "UsageLimitId": record["UsageLimitId"]},
        )
    )  # fmt: skip


def _first(key: str) -> Callable[[Answer], Any]:
    return lambda answer: next(iter(answer[key]), None)


def _lower(name: str) -> Callable[[Properties, Answer], str]:
    """Redshift spells its names in small letters."""
    return lambda properties, _: str(properties[name]).lower()


def _without(*names: str) -> Callable[[str, Properties], Properties]:
    return lambda _, request: {name: value for name, value in request.items() if name not in names}


def _arn(kind: str, name: str) -> str:
    responses = seam.module("core.responses")
    return f"arn:aws:redshift:{responses.get_region()}:{responses.get_account_id()}:{kind}:{name}"


def _tagger(kind: str) -> modelled.Tagger:
    def tag(client: Any, physical_id: str, changed: dict[str, str], removed: list[str]) -> None:
        arn = _arn(kind, physical_id) if kind else physical_id
        if removed:
            client.delete_tags(ResourceName=arn, TagKeys=removed)
        if changed:
            client.create_tags(ResourceName=arn, Tags=[{"Key": key, "Value": value} for key, value in changed.items()])

    return tag


# ---- clusters ----------------------------------------------------------------------------------------------------------


class _ClusterType(ModelledType):
    """Roles and logs of a cluster are changed by calls of their own."""

    def create_resource(self, logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        physical_id, attributes = super().create_resource(logical_id, properties, stack)
        if properties.get(_LOGGING):
            try:
                self._log(physical_id, properties[_LOGGING])
            except ValueError:
                self.delete_resource(physical_id, properties)
                raise
        return physical_id, attributes

    def update_resource(
        self, physical_id: str, before: Properties, properties: Properties, stack: str, logical_id: str | None = None
    ) -> tuple[str, Properties]:
        rest_before = {name: value for name, value in before.items() if name not in _WITHOUT}
        rest = {name: value for name, value in properties.items() if name not in _WITHOUT}
        answer = super().update_resource(physical_id, rest_before, rest, stack, logical_id)
        if answer[0] != physical_id:
            return super().update_resource(physical_id, before, properties, stack, logical_id)
        had, has = set(before.get("IamRoles") or ()), set(properties.get("IamRoles") or ())
        if had != has:
            added, removed = sorted(has - had), sorted(had - has)
            self._call(
                self._client(), "ModifyClusterIamRoles", {"ClusterIdentifier": physical_id, "AddIamRoles": added, "RemoveIamRoles": removed}
            )
        if properties.get(_LOGGING) and properties[_LOGGING] != before.get(_LOGGING):
            self._log(physical_id, properties[_LOGGING])
        elif before.get(_LOGGING) and not properties.get(_LOGGING):
            self._call(self._client(), "DisableLogging", {"ClusterIdentifier": physical_id})
        return answer

    def _log(self, physical_id: str, logging: Properties) -> None:
        self._call(self._client(), "EnableLogging", {"ClusterIdentifier": physical_id, **logging})


def _cluster_request(operation: str, request: Properties) -> Properties:
    return _without(_LOGGING)(operation, request) if operation == "CreateCluster" else request


def _cluster_key(physical_id: str, _: Properties) -> Properties:
    return {"ClusterIdentifier": physical_id, "SkipFinalClusterSnapshot": True}


def _changed_cluster(physical_id: str, old: Properties, new: Properties) -> Properties:
    """What a change asks of ModifyCluster.

    Raises:
        ValueError: A property is taken away.
    """
    taken_away = sorted(old.keys() - new.keys() - {"Tags"})
    if taken_away:
        raise ValueError(
            f"{', '.join(taken_away)} of {CLUSTER} cannot be taken away on the laptop platform: write the default that is meant"
        )
    changed = {name: value for name, value in new.items() if value != old.get(name) and name != "Tags"}
    if {"NumberOfNodes", "NodeType", "ClusterType"} & changed.keys():
        changed |= {name: new[name] for name in ("NumberOfNodes", "NodeType", "ClusterType") if name in new}
    return {**changed, "ClusterIdentifier": physical_id}


def _cluster_attributes(_: str, record: Answer) -> Properties:
    endpoint = record["Endpoint"]
    secret = {"MasterPasswordSecretArn": record["MasterPasswordSecretArn"]} if record.get("MasterPasswordSecretArn") else {}
    return {"Endpoint.Address": endpoint["Address"], "Endpoint.Port": str(endpoint["Port"]), **secret}


def _is_available(client: Any, physical_id: str) -> None:
    """Wait for the cluster.

    Raises:
        ValueError: It failed, or takes too long.
    """
    deadline, status = time.monotonic() + CLUSTER_SECONDS, ""
    while time.monotonic() < deadline:
        try:
            status = client.describe_clusters(ClusterIdentifier=physical_id)["Clusters"][0]["ClusterStatus"]
        except ClientError as error:
            raise ValueError(str(error)) from error
        if status in {"available", "paused"}:
            return
        if status == "incompatible-restore":
            break
        time.sleep(0.1)
    raise ValueError(f"the cluster {physical_id} is {status} and not available")


# ---- groups and limits -------------------------------------------------------------------------------------------------


class _SubnetGroupType(ModelledType):
    """Its name is CloudFormation's own, and no property of templates."""

    def create_resource(self, logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        name = seam.module("services.cloudformation.provisioners")._physical_name(stack, logical_id, max_len=255)
        client = self._client()
        tags = {"Tags": properties["Tags"]} if properties.get("Tags") else {}
        self._call(client, self.create, {
            "ClusterSubnetGroupName": name, "Description": properties["Description"], "SubnetIds": properties["SubnetIds"], **tags,
        })  # fmt: skip
        physical_id = str(name).lower()
        return physical_id, {"ClusterSubnetGroupName": physical_id}


class _ParameterGroupType(ModelledType):
    """A group is made empty, and its parameters are set by a second call."""

    def create_resource(self, logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        physical_id, attributes = super().create_resource(logical_id, properties, stack)
        if properties.get("Parameters"):
            given = {"ParameterGroupName": physical_id, "Parameters": properties["Parameters"]}
            try:
                self._call(self._client(), "ModifyClusterParameterGroup", given)
            except ValueError:
                self.delete_resource(physical_id, properties)
                raise
        return physical_id, attributes


def _changed_parameters(physical_id: str, old: Properties, new: Properties) -> Properties:
    before, after = _values(old), _values(new)
    taken_away = sorted(before.keys() - after.keys())
    if taken_away:
        raise ValueError(
            f"{', '.join(taken_away)} cannot be taken out of a parameter group on the laptop platform: write the default that is meant"
        )
    changed = [{"ParameterName": name, "ParameterValue": value} for name, value in after.items() if value != before.get(name)]
    return {"ParameterGroupName": physical_id, "Parameters": changed}


def _values(properties: Properties) -> dict[str, str]:
    return {parameter["ParameterName"]: parameter["ParameterValue"] for parameter in properties.get("Parameters") or []}


def _changed_limit(physical_id: str, _: Properties, new: Properties) -> Properties:
    return {"UsageLimitId": physical_id.rsplit(":", 1)[-1], "Amount": int(new["Amount"]), "BreachAction": new.get("BreachAction", "log")}
