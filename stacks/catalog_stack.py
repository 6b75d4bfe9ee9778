"""What follows from contracts: databases, tables and the workgroup that reads them."""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct

from constructs_lib.catalog import (
    AthenaWorkgroup,
    CatalogDatabase,
    IcebergTable,
    OptimizerRole,
    TableFunction,
    TableOptimizers,
)
from constructs_lib.storage import LakeBuckets
from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import tables_of
from lakehouse.environments import Environment
from stacks.platform_stack import PlatformStack


class CatalogStack(PlatformStack):
    """Databases, tables and workgroup of an environment."""

    def __init__(
        self, scope: Construct, *, environment: Environment, contracts: Mapping[str, CompiledContract], allow_destroy: bool = False
    ) -> None:
        """
        Args:
            scope: The app.
            environment: The environment.
            contracts: Compiled contracts by id.
            allow_destroy: Whether the caller unlocked the removal of data.
        """
        super().__init__(scope, tier="catalog", environment=environment, allow_destroy=allow_destroy)
        names = self.names
        lake = LakeBuckets.from_names(names, key_arn=self.key_arn("lake"))
        definitions = [definition for contract in contracts.values() for definition in tables_of(contract)]
        function = TableFunction(
            self,
            "TableFunction",
            names=names,
            log_key=self.key("logs"),
            log_retention_days=environment.log_retention_days,
            removal_policy=self.removal_policy,
        )
        databases: dict[str, CatalogDatabase] = {}
        tables: list[IcebergTable] = []
        for definition in definitions:
            id_ = f"{definition.zone.capitalize()}{_camel(definition.domain)}"
            if id_ not in databases:
                databases[id_] = CatalogDatabase(
                    self,
                    id_,
                    names=names,
                    zone=definition.zone,
                    domain=definition.domain,
                    lake=lake,
                    removal_policy=self.removal_policy,
                )
            tables.append(
                IcebergTable(
                    self,
                    f"{id_}{_camel(definition.name)}",
                    definition=definition,
                    lake=lake,
                    database=databases[id_],
                    function=function,
                    removal_policy=self.removal_policy,
                )
            )
        if tables:
            role = OptimizerRole(self, "Optimizer", tables=[table.table for table in tables])
            for table in tables:
                TableOptimizers(table, "Optimizers", table=table, role=role)
        AthenaWorkgroup(
            self,
            "Workgroup",
            name=names.workgroup,
            lake=lake,
            scan_limit_mb=environment.athena.scan_limit_mb,
            removal_policy=self.removal_policy,
        )


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
