"""The warehouse: Redshift, serverless or provisioned, the function that keeps its schema, migrations, and the lake as external schemas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_ssm as ssm
from constructs import Construct

from constructs_lib.arns import arn
from constructs_lib.networking.reference import NetworkReference
from constructs_lib.observability import AlertTopicNames, WarehouseAlarms
from constructs_lib.storage import LakeBuckets
from constructs_lib.warehouse import (
    RedshiftCluster,
    RedshiftServerless,
    RestHours,
    ServerlessUsageLimit,
    UsageLimit,
    WarehouseReference,
    WarehouseSchema,
    WarehouseSchemaFunction,
)
from lakehouse.contracts.model import CompiledContract
from lakehouse.environments.environment import Environment
from lakehouse.naming import WAREHOUSE_DATABASE, Names
from lakehouse.warehouse.migrations import Migration
from lakehouse.warehouse.nodes import slices
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
        names = self.names
        secret_key = self.key("secrets")
        domains = sorted({contract.domain for contract in contracts.values() if contract.zone == "gold"})
        databases = {f"{EXTERNAL_PREFIX}gold_{domain}": names.database("gold", domain) for domain in domains}
        common: dict[str, Any] = {
            "name": names.warehouse,
            "database": WAREHOUSE_DATABASE,
            "network": NetworkReference.from_parameters(self, names=names, only=("vpc_id", "private_subnet_ids")),
            "lake": LakeBuckets.from_names(names, key_arn=self.key_arn("lake")),
            "data_key": self.key("lake"),
            "secret_key": secret_key,
            "catalog_databases": list(databases.values()),
            "query_timeout_minutes": environment.warehouse.query_timeout_minutes,
            "removal_policy": self.removal_policy,
        }
        warehouse = self._cluster(common) if environment.warehouse.kind == "provisioned" else self._serverless(common)
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
        rpu_hours = environment.warehouse.rpu_hours
        if rpu_hours is not None and isinstance(warehouse, RedshiftServerless):
            ServerlessUsageLimit(self, "UsageLimit", warehouse=warehouse, function=function, rpu_hours=rpu_hours)
        told = {TRANSFER_ROLE_ARN: warehouse.transfer_role.role_arn}
        if warehouse.reference.kind == "serverless":
            told = {WORKGROUP_ARN: warehouse.reference.arn, **told}
        for key, value in told.items():
            ssm.CfnParameter(
                self,
                "".join(part.capitalize() for part in key.split("-")),
                name=names.parameter(COMPONENT, key),
                description=f"The warehouse: {key.replace('-', ' ')}",
                type="String",
                value=value,
            )

    def _serverless(self, common: Mapping[str, Any]) -> RedshiftServerless:
        settings = self.environment_config.warehouse
        return RedshiftServerless(self, "Warehouse", **common, base_rpu=settings.base_rpu, max_rpu=settings.max_rpu)

    def _cluster(self, common: Mapping[str, Any]) -> RedshiftCluster:
        settings = self.environment_config.warehouse.cluster
        limits = [
            *([UsageLimit(feature="spectrum", amount=settings.spectrum_tb)] if settings.spectrum_tb else []),
            *(
                [UsageLimit(feature="concurrency-scaling", amount=settings.concurrency_scaling_minutes, period="daily")]
                if settings.concurrency_scaling_minutes
                else []
            ),
        ]
        made = RedshiftCluster(
            self,
            "Cluster",
            **common,
            node_type=settings.node_type,
            nodes=settings.nodes,
            queues=settings.work_queues,
            snapshot_days=settings.snapshot_days,
            maintenance_window=settings.maintenance_window,
            rest=RestHours(pause=settings.pause, resume=settings.resume) if settings.pause and settings.resume else None,
            limits=limits,
        )
        WarehouseAlarms(
            self,
            "Alarms",
            names=self.names,
            topics=AlertTopicNames.from_names(self.names, key_arn=self.key_arn("messaging")),
            cluster=made.name,
            health=made.health_signal(),
            disk_percent=made.disk_percent_signal(),
        )
        return made


def warehouse_parameter(scope: Construct, names: Names, key: str) -> str:
    """A parameter that the warehouse's stack wrote, read at each deployment."""
    return ssm.StringParameter.value_for_string_parameter(scope, names.parameter(COMPONENT, key))


def warehouse_reference(scope: Construct, *, environment: Environment, names: Names) -> WarehouseReference:
    """The environment's warehouse by name; an environment without one has none to refer to."""
    if environment.warehouse.kind == "provisioned":
        cluster = arn("redshift", f"cluster:{names.warehouse}")
        return WarehouseReference(kind="provisioned", name=names.warehouse, arn=cluster, database=WAREHOUSE_DATABASE)
    workgroup = warehouse_parameter(scope, names, WORKGROUP_ARN)
    return WarehouseReference(kind="serverless", name=names.warehouse, arn=workgroup, database=WAREHOUSE_DATABASE)


def warehouse_slices(environment: Environment) -> int:
    """Slices that load files side by side; 0 where Redshift does not say how many there are."""
    warehouse = environment.warehouse
    return slices(warehouse.cluster.node_type, warehouse.cluster.nodes) if warehouse.kind == "provisioned" else 0
