"""The function behind every Iceberg table of a stack."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.arns import catalog_arn, database_arn, table_arn
from constructs_lib.catalog.table_grants import CatalogTable
from constructs_lib.functions import PlatformFunction
from constructs_lib.permissions import allow
from lakehouse.naming import Names

PURPOSE = "iceberg-table"
"""Purpose of the function, in its name."""


class TableFunction(PlatformFunction):
    """Custom resource function that creates and evolves Iceberg tables through Glue's own API.

    CloudFormation's `AWS::Glue::Table` knows neither nested types nor evolution, and its first update strips what makes the table an Iceberg table.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        log_key: kms.IKey,
        domain: str | None = None,
        log_retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            log_key: Key of its log group.
            domain: Domain whose tables it makes, if each domain has a function of its own; part of its name.
            log_retention_days: Days for which the log is kept.
            removal_policy: What happens to the log when the stack goes.
        """
        purpose = PURPOSE if domain is None else f"{PURPOSE}-{domain}"
        super().__init__(
            scope,
            id,
            name=names.function(purpose),
            package="iceberg_table",
            description="Creates and evolves Iceberg tables",
            log_group_name=names.log_group("functions", purpose),
            log_key=log_key,
            environment={},
            timeout_seconds=120,
            memory_mb=256,
            log_retention_days=log_retention_days,
            removal_policy=removal_policy,
        )

    def manage(self, table: CatalogTable, *, may_drop: bool) -> iam.Grant:
        """Let it create and evolve one table.

        Glue writes the table's first metadata file with the caller's rights and reads the newest before it changes the table.
        """
        database = table.database
        grants = table.lake.grants
        grants.read(self.role, table.dataset.zone, prefix=f"{table.prefix}metadata/")
        grants.put(self.role, table.dataset.zone, prefix=f"{table.prefix}metadata/")
        actions = ["glue:CreateTable", "glue:GetTable", "glue:UpdateTable", *(["glue:DeleteTable"] if may_drop else [])]
        return allow(
            self.role, actions=actions, resources=[catalog_arn(), database_arn(database), table_arn(database, table.dataset.dataset)]
        )
