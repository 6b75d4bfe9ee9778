"""The function that changes the schema of a warehouse for CloudFormation."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.functions import PlatformFunction
from constructs_lib.warehouse.reference import Warehouse
from lakehouse.naming import Names

PURPOSE = "warehouse-schema"
"""Purpose of the function, in its name."""


class WarehouseSchemaFunction(PlatformFunction):
    """Custom resource function that makes tables, runs migrations and gives rights, as the admin of the warehouse."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        warehouse: Warehouse,
        secret_key: kms.IKey,
        log_key: kms.IKey,
        log_retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            warehouse: The warehouse.
            secret_key: Key of its admin's secret.
            log_key: Key of the function's log group.
            log_retention_days: Days for which the log is kept.
            removal_policy: What happens to the log when the stack goes.
        """
        super().__init__(
            scope,
            id,
            name=names.function(PURPOSE),
            package="warehouse_schema",
            description="Tables, migrations and rights of the warehouse",
            log_group_name=names.log_group("functions", PURPOSE),
            log_key=log_key,
            environment=dict(warehouse.admin_environment),
            timeout_seconds=600,
            memory_mb=256,
            log_retention_days=log_retention_days,
            removal_policy=removal_policy,
        )
        warehouse.grant_administration(self.role, secret_key=secret_key)
