"""What follows from the contracts of one domain: databases, tables and their upkeep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from constructs import Construct

from constructs_lib.catalog import (
    CatalogDatabase,
    Eraser,
    IcebergTable,
    OptimizerRole,
    TableFunction,
    TableOptimizers,
)
from constructs_lib.orchestration import RunTableNames
from constructs_lib.processing import SparkSize
from constructs_lib.storage import LakeBuckets
from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import TableDefinition, tables_of
from lakehouse.environments.environment import Environment
from stacks.platform_stack import PlatformStack, of_domain


class CatalogStack(PlatformStack):
    """Databases and tables of one domain of an environment.

    A table takes 4 of the 500 resources that a stack may hold and a piece of the optimizers' policies, so a domain has room for some 30 datasets with
    bronze, silver and quarantine.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        domain: str,
        environment: Environment,
        tables: Sequence[TableDefinition],
        zones: Sequence[str] = (),
        contracts: Mapping[str, CompiledContract] | None = None,
        ingests: Sequence[str] = (),
        allow_destroy: bool = False,
    ) -> None:
        """
        Args:
            scope: The app.
            domain: Domain of data.
            environment: The environment.
            tables: The domain's tables.
            zones: Zones that get a database though no table of a contract is in them: rows of a group make theirs.
            contracts: Contracts of the domain, by id, whose rows may have to be erased.
            ingests: Pipelines that stage raw files of the domain.
            allow_destroy: Whether the caller unlocked the removal of data.
        """
        super().__init__(scope, tier=of_domain("catalog", domain), environment=environment, allow_destroy=allow_destroy)
        names = self.names
        lake = LakeBuckets.from_names(names, key_arn=self.key_arn("lake"))
        # What people name begins with a small letter, every other id of the stack with a capital: the two never meet.
        databases = {
            zone: CatalogDatabase(self, zone, names=names, zone=zone, domain=domain, lake=lake, removal_policy=self.removal_policy)
            for zone in dict.fromkeys((*(definition.zone for definition in tables), *zones))
        }
        if not tables:
            return
        log_key = self.key("logs")
        function = TableFunction(
            self,
            "TableFunction",
            names=names,
            log_key=log_key,
            domain=domain,
            log_retention_days=environment.log_retention_days,
            removal_policy=self.removal_policy,
        )
        made = [
            IcebergTable(
                self,
                f"{definition.zone}.{definition.name}",
                definition=definition,
                lake=lake,
                database=databases[definition.zone],
                function=function,
                removal_policy=self.removal_policy,
            )
            for definition in tables
        ]
        role = OptimizerRole(self, "Optimizer", tables=[table.table for table in made])
        for table in made:
            TableOptimizers(table, "Optimizers", table=table, role=role)
        erasable = {name: contract for name, contract in (contracts or {}).items() if contract.source is not None}
        if erasable:
            glue = environment.glue
            Eraser(
                self,
                "Eraser",
                names=names,
                domain=domain,
                contracts=erasable,
                ingests=ingests,
                lake=lake,
                tables=RunTableNames.from_names(names, key_arn=self.key_arn("logs")),
                data_key=self.key("lake"),
                log_key=log_key,
                glue_version=glue.version,
                size=SparkSize(worker_type=glue.worker_type, workers=glue.workers),
                timeout_minutes=glue.timeout_minutes,
                audit_ttl_days=environment.audit.ttl_days,
                log_retention_days=environment.log_retention_days,
                removal_policy=self.removal_policy,
            )


def tables_by_domain(contracts: Mapping[str, CompiledContract]) -> dict[str, list[TableDefinition]]:
    """Tables that follow from contracts by their domain, sorted."""
    domains: dict[str, list[TableDefinition]] = {}
    for contract in contracts.values():
        for definition in tables_of(contract):
            domains.setdefault(definition.domain, []).append(definition)
    return dict(sorted(domains.items()))
