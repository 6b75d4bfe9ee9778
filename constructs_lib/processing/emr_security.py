"""What all clusters of an environment have in common: who may talk to their machines, and how what they hold is kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from aws_cdk import CfnTag, Fn
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_emr as emr
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.arns import key_arn
from constructs_lib.permissions import acknowledge

_EVERYWHERE = "0.0.0.0/0"
_ALL_PORTS = (0, 65_535)
_TO_CLUSTER, _TO_SERVICE = 8443, 9443
"""Ports by which EMR and the machines of a cluster in a private subnet talk."""

_NO_CERTIFICATES = "Traffic between the machines of a cluster stays within its security group and its subnet; encryption of it takes certificates of one's own, see `certificates`."
_NO_LOGIN = (
    "Nobody logs in to a cluster that lives as long as a run: there is no key pair, no port for one, and steps come in by EMR's API."
)


@dataclass(frozen=True, kw_only=True)
class ClusterGroups:
    """Security groups of clusters.

    Attributes:
        cluster: Group of every machine.
        service: Group by which EMR reaches them.
    """

    cluster: str
    service: str


class EmrSecurityGroups(Construct):
    """Security groups of clusters in private subnets: machines talk to each other, to EMR and, by TLS, to AWS; nobody logs in.

    EMR adds the rules that it misses, and then a group cannot be deleted any more, as the two name each other. These have every one of them.

    Attributes:
        groups: The two groups.
    """

    def __init__(self, scope: Construct, id: str, *, name_prefix: str, vpc_id: str) -> None:
        """
        Args:
            name_prefix: First part of the names that people see.
            vpc_id: The VPC.
        """
        super().__init__(scope, id)
        cluster = ec2.CfnSecurityGroup(
            self,
            "Cluster",
            group_description=f"Machines of clusters of {name_prefix}",
            vpc_id=vpc_id,
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    ip_protocol="tcp",
                    from_port=443,
                    to_port=443,
                    cidr_ip=_EVERYWHERE,
                    description="S3, DynamoDB and endpoints of AWS services",
                )
            ],
            tags=[CfnTag(key="Name", value=f"{name_prefix}-clusters")],
        ).ref
        service = ec2.CfnSecurityGroup(
            self,
            "Service",
            group_description=f"EMR for clusters of {name_prefix}",
            vpc_id=vpc_id,
            # A group without a rule gets one that lets everything out; this is one that nothing matches.
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    ip_protocol="icmp",
                    from_port=252,
                    to_port=86,
                    cidr_ip="255.255.255.255/32",
                    description="Nothing leaves but what follows",
                )
            ],
            tags=[CfnTag(key="Name", value=f"{name_prefix}-emr")],
        ).ref
        for protocol, ports in (("tcp", _ALL_PORTS), ("udp", _ALL_PORTS), ("icmp", (-1, -1))):
            self._between(f"Machines{protocol.title()}", cluster, cluster, protocol=protocol, ports=ports, what="Machines of a cluster")
        self._between(
            "ServiceToCluster", service, cluster, protocol="tcp", ports=(_TO_CLUSTER, _TO_CLUSTER), what="EMR to the primary machine"
        )
        self._between(
            "ClusterToService", cluster, service, protocol="tcp", ports=(_TO_SERVICE, _TO_SERVICE), what="The primary machine to EMR"
        )
        self.groups = ClusterGroups(cluster=cluster, service=service)

    def _between(self, id: str, source: str, target: str, *, protocol: str, ports: tuple[int, int], what: str) -> None:
        ec2.CfnSecurityGroupEgress(
            self,
            f"{id}Out",
            group_id=source,
            destination_security_group_id=target,
            ip_protocol=protocol,
            from_port=ports[0],
            to_port=ports[1],
            description=what,
        )
        ec2.CfnSecurityGroupIngress(
            self,
            f"{id}In",
            group_id=target,
            source_security_group_id=source,
            ip_protocol=protocol,
            from_port=ports[0],
            to_port=ports[1],
            description=what,
        )


class EmrSecurityConfiguration(Construct):
    """EMR security configuration: disks are encrypted with the data key, each step runs as a role of its own, and the metadata service wants a session.

    EMR cannot change one, and CloudFormation cannot replace one that keeps its name, so the name follows the content, as Glue's does. Objects in S3 are encrypted by
    their buckets. Disks are encrypted by the machines (LUKS) and not by EBS: for a customer key on EBS, Spot and fleets need grants of their own on it, outside of
    every stack, and without them a cluster just does not start.

    Attributes:
        name: Its name.
    """

    def __init__(self, scope: Construct, id: str, *, name_prefix: str, key: kms.IKey, certificates: str | None = None) -> None:
        """
        Args:
            name_prefix: First part of the name.
            key: Customer key of the data.
            certificates: Address in S3 of a zip with certificates (`privateKey.pem`, `certificateChain.pem`), with which traffic between machines is encrypted.
        """
        super().__init__(scope, id)
        arn = key_arn(key)
        content = _content(arn, certificates)
        text = json.dumps([self.node.path, content], sort_keys=True).replace(arn, "KEY")
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        key_id = Fn.select(1, Fn.split("key/", arn))
        self.resource = emr.CfnSecurityConfiguration(
            self, "Resource", name=f"{name_prefix}-{digest}-{key_id}", security_configuration=content
        )
        if certificates is None:
            acknowledge(self.resource, "AwsSolutions-EMR5", reason=_NO_CERTIFICATES)
        acknowledge(self.resource, "AwsSolutions-EMR6", reason=_NO_LOGIN)
        self.name = self.resource.ref


def _content(key: str, certificates: str | None) -> dict[str, Any]:
    transit = (
        {}
        if certificates is None
        else {
            "InTransitEncryptionConfiguration": {
                "TLSCertificateConfiguration": {"CertificateProviderType": "PEM", "S3Object": certificates}
            }
        }
    )
    return {
        "AuthorizationConfiguration": {"IAMConfiguration": {"EnableApplicationScopedIAMRole": True}},
        "EncryptionConfiguration": {
            "AtRestEncryptionConfiguration": {
                "LocalDiskEncryptionConfiguration": {"AwsKmsKey": key, "EnableEbsEncryption": False, "EncryptionKeyProviderType": "AwsKms"}
            },
            "EnableAtRestEncryption": True,
            "EnableInTransitEncryption": certificates is not None,
            **transit,
        },
        "InstanceMetadataServiceConfiguration": {"HttpPutResponseHopLimit": 1, "MinimumInstanceMetadataServiceVersion": 2},
    }
