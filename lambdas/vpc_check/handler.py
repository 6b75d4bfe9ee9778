"""Empties the default security group of a VPC, or looks at an existing VPC before anything is put into it: a custom resource that answers in any case.

Properties of the resource: Kind (`default-security-group` or `existing-vpc`); for the former SecurityGroupId; for the latter VpcId, PrivateSubnetIds and
IsolatedSubnetIds, joined by commas, with attributes VpcId, PrivateSubnetIds, IsolatedSubnetIds and AvailabilityZones. Deletion does nothing. No environment
variables.

Actions (besides writing its log):

- ec2:DescribeSecurityGroups; ec2:RevokeSecurityGroupIngress, RevokeSecurityGroupEgress on the default security group
- ec2:DescribeSubnets, DescribeRouteTables, DescribeVpcEndpoints, for an existing VPC
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from lakehouse.aws import client
from lambdas.custom_resource import serve
from lambdas.vpc_check.resource import answer_to, id_of
from lambdas.vpc_check.vpc import Vpcs

logger = Logger(service="lambdas.vpc_check")


@cache
def vpcs() -> Vpcs:
    """The one door to the VPCs of this execution environment."""
    return Vpcs(ec2=client("ec2"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Lambda entry point."""
    serve(event, context, answer=lambda: answer_to(event, vpcs()), id_after_failure=id_of(event))
