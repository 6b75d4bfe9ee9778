"""The function that does what CloudFormation cannot: it empties default security groups and looks at existing VPCs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import CustomResource, Fn, RemovalPolicy
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.arns import arn
from constructs_lib.functions import PlatformFunction
from constructs_lib.order import after
from constructs_lib.permissions import allow
from lakehouse.naming import Names

PURPOSE = "vpc-check"
"""Purpose of the function, in its name."""

_NO_RESOURCE = "EC2 knows no resource for describing; what is read is no secret to anybody in the account."


@dataclass(frozen=True, kw_only=True)
class LookedAt:
    """An existing VPC that was looked at: whoever uses a part of it waits for the look.

    Attributes:
        vpc_id: The VPC.
        private_subnet_ids: Subnets of jobs.
        isolated_subnet_ids: Subnets of databases.
        availability_zones: Zones of both, in their order.
    """

    vpc_id: str
    private_subnet_ids: Sequence[str]
    isolated_subnet_ids: Sequence[str]
    availability_zones: Sequence[str]


class VpcCheck(PlatformFunction):
    """Custom resource function for VPCs."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        log_key: kms.IKey,
        log_retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            log_key: Key of its log group.
            log_retention_days: Days for which the log is kept.
            removal_policy: What happens to the log when the stack goes.
        """
        super().__init__(
            scope,
            id,
            name=names.function(PURPOSE),
            package="vpc_check",
            description="Empties default security groups and looks at existing VPCs",
            log_group_name=names.log_group("functions", PURPOSE),
            log_key=log_key,
            environment={},
            timeout_seconds=60,
            memory_mb=256,
            log_retention_days=log_retention_days,
            removal_policy=removal_policy,
        )

    def empty_default_security_group(self, security_group_id: str) -> None:
        """Take every rule out of the default security group of a VPC."""
        grants = [
            allow(self.role, actions=["ec2:DescribeSecurityGroups"], resources=["*"], because=_NO_RESOURCE),
            allow(
                self.role,
                actions=["ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"],
                resources=[arn("ec2", f"security-group/{security_group_id}")],
            ),
        ]
        resource = CustomResource(
            self,
            "DefaultSecurityGroup",
            resource_type="Custom::DefaultSecurityGroup",
            service_token=self.function_arn,
            properties={"Kind": "default-security-group", "SecurityGroupId": security_group_id},
        )
        after(resource, self.resource)
        for grant in grants:
            grant.apply_before(resource)

    def look_at(self, vpc_id: str, *, private: Sequence[str], isolated: Sequence[str]) -> LookedAt:
        """Have an existing VPC looked at when it is first used and when its subnets change; the deployment fails if it is not fit for jobs."""
        actions = ["ec2:DescribeRouteTables", "ec2:DescribeSubnets", "ec2:DescribeVpcEndpoints"]
        grant = allow(self.role, actions=actions, resources=["*"], because=_NO_RESOURCE)
        resource = CustomResource(
            self,
            "ExistingVpc",
            resource_type="Custom::ExistingVpc",
            service_token=self.function_arn,
            properties={
                "Kind": "existing-vpc",
                "VpcId": vpc_id,
                "PrivateSubnetIds": ",".join(private),
                "IsolatedSubnetIds": ",".join(isolated),
            },
        )
        after(resource, self.resource)
        grant.apply_before(resource)

        def texts(attribute: str) -> Sequence[str]:
            return Fn.split(",", resource.get_att_string(attribute))

        return LookedAt(
            vpc_id=resource.get_att_string("VpcId"),
            private_subnet_ids=texts("PrivateSubnetIds"),
            isolated_subnet_ids=texts("IsolatedSubnetIds"),
            availability_zones=texts("AvailabilityZones"),
        )
