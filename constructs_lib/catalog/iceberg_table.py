"""An Iceberg table that follows a contract."""

from __future__ import annotations

from aws_cdk import CustomResource, RemovalPolicy
from constructs import Construct

from constructs_lib.catalog.catalog_database import CatalogDatabase
from constructs_lib.catalog.table_function import TableFunction
from constructs_lib.catalog.table_grants import CatalogTable
from constructs_lib.checks import require
from constructs_lib.order import after
from constructs_lib.storage.data_lake import LakeBuckets
from lakehouse.contracts.tables import TableDefinition


class IcebergTable(Construct):
    """Iceberg table in the Glue catalog: created, evolved, and kept when the stack goes.

    Attributes:
        table: The table by name, with its place.
        database_name: Its database.
        table_name: Its name.
        resource: The custom resource, for what has to come after it.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        definition: TableDefinition,
        lake: LakeBuckets,
        database: CatalogDatabase,
        function: TableFunction,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            definition: The table as the contract wants it.
            lake: Buckets of the lake; the table lives in that of its zone, under `<domain>/<name>`.
            database: Database that holds it.
            function: Function that creates and evolves it.
            removal_policy: RETAIN keeps catalog entry and rows when the stack goes; DESTROY drops the entry, its files stay until the bucket goes.
        """
        super().__init__(scope, id)
        prefix = database.database_name.removesuffix(definition.dataset.database())
        table = CatalogTable(dataset=definition.dataset, lake=lake, database_prefix=prefix)
        require(
            table.database == database.database_name,
            f"{definition.dataset} belongs into the database {definition.dataset.database()} (with any prefix), got {database.database_name}",
        )
        drops = removal_policy == RemovalPolicy.DESTROY
        grant = function.manage(table, may_drop=drops)
        resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::IcebergTable",
            service_token=function.function_arn,
            properties={
                "Database": table.database,
                "Table": definition.name,
                "Location": table.location,
                "Definition": definition.to_json(),
                "OnDelete": "drop" if drops else "keep",
            },
        )
        after(resource, database.resource, function.resource)
        grant.apply_before(resource)
        self.table = table
        self.database_name = table.database
        self.table_name = definition.name
        self.grants = table.grants
        self.resource = resource
