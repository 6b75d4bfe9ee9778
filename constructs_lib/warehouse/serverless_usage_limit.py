"""The most that Redshift Serverless may use in a month, which CloudFormation has no type for."""

from __future__ import annotations

from aws_cdk import CustomResource
from constructs import Construct

from constructs_lib.checks import require
from constructs_lib.order import after
from constructs_lib.permissions import allow
from constructs_lib.warehouse.redshift_serverless import RedshiftServerless
from constructs_lib.warehouse.schema_function import WarehouseSchemaFunction

TYPE = "Custom::WarehouseUsageLimit"
ACTIONS = (
    "redshift-serverless:CreateUsageLimit",
    "redshift-serverless:DeleteUsageLimit",
    "redshift-serverless:ListUsageLimits",
    "redshift-serverless:UpdateUsageLimit",
)
LIMITS = "IAM knows no resource for usage limits of Redshift Serverless; each names its workgroup."


class ServerlessUsageLimit(Construct):
    """RPU-hours that a workgroup may use in a month; then queries and loads are refused until the next one.

    Attributes:
        resource: The custom resource.
    """

    def __init__(
        self, scope: Construct, id: str, *, warehouse: RedshiftServerless, function: WarehouseSchemaFunction, rpu_hours: int
    ) -> None:
        """
        Args:
            warehouse: The warehouse.
            function: Function that sets the limit.
            rpu_hours: RPU-hours; eight RPU for an hour are eight.
        """
        super().__init__(scope, id)
        require(rpu_hours > 0, f"rpu_hours must be positive, got {rpu_hours}")
        allow(function.role, actions=ACTIONS, resources=["*"], because=LIMITS)
        self.resource = CustomResource(
            self,
            "Resource",
            resource_type=TYPE,
            service_token=function.function_arn,
            properties={"RpuHours": rpu_hours, "Workgroup": warehouse.workgroup_arn},
        )
        after(self.resource, function)
