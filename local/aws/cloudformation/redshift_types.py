"""Resource types of Redshift Serverless."""

from __future__ import annotations

from typing import Any

from local.aws.cloudformation import modelled
from local.aws.cloudformation.modelled import ModelledType

_NO_SNAPSHOTS = "nothing here has snapshots"


def register() -> None:
    """Make the types known to CloudFormation."""
    modelled.add(
        ModelledType(
            resource_type="AWS::RedshiftServerless::Namespace",
            service="redshift-serverless",
            create="CreateNamespace",
            read="GetNamespace",
            update="UpdateNamespace",
            delete="DeleteNamespace",
            attributes=_secret,
            resets={"LogExports": [], "IamRoles": []},
            left_out={
                "FinalSnapshotName": _NO_SNAPSHOTS,
                "FinalSnapshotRetentionPeriod": _NO_SNAPSHOTS,
                "SnapshotCopyConfigurations": _NO_SNAPSHOTS,
                "NamespaceResourcePolicy": "there is one account only",
            },
            tagger=modelled.tag_resource(_namespace_arn),
        )
    )
    modelled.add(
        ModelledType(
            resource_type="AWS::RedshiftServerless::Workgroup",
            service="redshift-serverless",
            create="CreateWorkgroup",
            read="GetWorkgroup",
            update="UpdateWorkgroup",
            delete="DeleteWorkgroup",
            left_out={
                "RecoveryPointId": _NO_SNAPSHOTS,
                "SnapshotArn": _NO_SNAPSHOTS,
                "SnapshotName": _NO_SNAPSHOTS,
                "SnapshotOwnerAccount": _NO_SNAPSHOTS,
                "Workgroup": "it holds what is read of a workgroup",
            },
            tagger=modelled.tag_resource(_workgroup_arn),
        )
    )


def _secret(physical_id: str, record: dict[str, Any]) -> dict[str, Any]:
    del physical_id
    found = record["namespace"].get("adminPasswordSecretArn")
    return {"Namespace.AdminPasswordSecretArn": found} if found else {}


def _namespace_arn(client: Any, physical_id: str) -> str:
    return str(client.get_namespace(namespaceName=physical_id)["namespace"]["namespaceArn"])


def _workgroup_arn(client: Any, physical_id: str) -> str:
    return str(client.get_workgroup(workgroupName=physical_id)["workgroup"]["workgroupArn"])
