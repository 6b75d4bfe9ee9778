"""What a warehouse holds beside the tables of contracts: the work of migrations, and the lake as external schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from aws_cdk import CustomResource
from constructs import Construct

from constructs_lib.order import after
from constructs_lib.permissions import wait_for_permissions
from constructs_lib.warehouse.reference import Warehouse
from constructs_lib.warehouse.schema_function import WarehouseSchemaFunction
from lakehouse.warehouse.migrations import Migration, check

TYPE = "Custom::WarehouseSchema"


class WarehouseSchema(Construct):
    """Migrations, each run once and in order, and external schemas over databases of the catalog.

    Attributes:
        resource: The custom resource, for what has to come after it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        warehouse: Warehouse,
        function: WarehouseSchemaFunction,
        migrations: Sequence[Migration] = (),
        external_schemas: Mapping[str, str] | None = None,
        readers: Sequence[str] = (),
    ) -> None:
        """
        Args:
            warehouse: The warehouse.
            function: Function that changes it.
            migrations: SQL that runs once; a file that has run may not change.
            external_schemas: Catalog database by name of the schema that shows it.
            readers: Names of IAM roles that may query the external schemas.

        Raises:
            MigrationRefused: A migration cannot run.
        """
        super().__init__(scope, id)
        check(migrations)
        external = [{"schema": schema, "database": database} for schema, database in sorted((external_schemas or {}).items())]
        self.resource = CustomResource(
            self,
            "Resource",
            resource_type=TYPE,
            service_token=function.function_arn,
            properties={
                "ExternalSchemas": json.dumps(external),
                "Migrations": json.dumps([asdict(migration) for migration in sorted(migrations)]),
                "Readers": json.dumps(list(readers)),
                "SpectrumRole": warehouse.spectrum_role.role_arn,
            },
        )
        after(self.resource, function, warehouse.ready)
        wait_for_permissions(self.resource, warehouse.spectrum_role)
