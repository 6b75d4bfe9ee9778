"""The warehouse: Redshift Serverless, the function that keeps its schema, migrations, and the lake as external schemas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import aws_ssm as ssm
from constructs import Construct

from constructs_lib.networking.reference import NetworkReference
from constructs_lib.storage import LakeBuckets
from constructs_lib.warehouse import RedshiftServerless, WarehouseSchema, WarehouseSchemaFunction
from lakehouse.contracts.model import CompiledContract
from lakehouse.environments import Environment
from lakehouse.naming import WAREHOUSE_DATABASE, Names
from lakehouse.warehouse.migrations import Migration
from stacks.platform_stack import PlatformStack

COMPONENT = "warehouse"
"""Component of Parameter Store under which the warehouse's parameters lie."""

WORKGROUP_ARN, TRANSFER_ROLE_ARN = "workgroup-arn", "transfer-role-arn"
EXTERNAL_PREFIX = "lake_"
"""Before the name of every external schema: `lake_gold_sales` shows the catalog, `gold_sales` holds what was loaded."""


class WarehouseStack(PlatformStack):
    """The warehouse of an environment."""

    def __init__(
        self,
        scope: Construct,
        *,
        environment: Environment,
        contracts: Mapping[str, CompiledContract],
        migrations: Sequence[Migration] = (),
        allow_destroy: bool = False,
    ) -> None:
        """
        Args:
            scope: The app.
            environment: The environment.
            contracts: Compiled contracts by id.
            migrations: SQL that runs once in it.
            allow_destroy: Whether the caller unlocked the removal of data.
        """
        super().__init__(scope, tier="warehouse", environment=environment, allow_destroy=allow_destroy)
        names, settings = self.names, environment.warehouse
        secret_key = self.key("secrets")
        domains = sorted({contract.domain for contract in contracts.values() if contract.zone == "gold"})
        databases = {f"{EXTERNAL_PREFIX}gold_{domain}": names.database("gold", domain) for domain in domains}
        warehouse = RedshiftServerless(
            self,
            "Warehouse",
            name=names.warehouse,
            database=WAREHOUSE_DATABASE,
            network=NetworkReference.from_parameters(self, names=names, only=("vpc_id", "private_subnet_ids")),
            lake=LakeBuckets.from_names(names, key_arn=self.key_arn("lake")),
            data_key=self.key("lake"),
            secret_key=secret_key,
            catalog_databases=list(databases.values()),
            base_rpu=settings.base_rpu,
            max_rpu=settings.max_rpu,
            query_timeout_minutes=settings.query_timeout_minutes,
            removal_policy=self.removal_policy,
        )
        function = WarehouseSchemaFunction(
            self,
            "SchemaFunction",
            names=names,
            warehouse=warehouse,
            secret_key=secret_key,
            log_key=self.key("logs"),
            log_retention_days=environment.log_retention_days,
            removal_policy=self.removal_policy,
        )
        WarehouseSchema(
            self,
            "Schema",
            warehouse=warehouse,
            function=function,
            migrations=migrations,
            external_schemas=databases,
            readers=[names.operator_role],
        )
        for key, value in {WORKGROUP_ARN: warehouse.workgroup_arn, TRANSFER_ROLE_ARN: warehouse.transfer_role.role_arn}.items():
            ssm.CfnParameter(
                self,
                "".join(part.capitalize() for part in key.split("-")),
                name=names.parameter(COMPONENT, key),
                description=f"The warehouse: {key.replace('-', ' ')}",
                type="String",
                value=value,
            )


def warehouse_parameter(scope: Construct, names: Names, key: str) -> str:
    """A parameter that the warehouse's stack wrote, read at each deployment."""
    return ssm.StringParameter.value_for_string_parameter(scope, names.parameter(COMPONENT, key))
