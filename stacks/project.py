"""What people wrote: contracts, pipelines and queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lakehouse.contracts.compiler.cached import checked_queries, compiled_contracts
from lakehouse.contracts.model import CompiledContract
from lakehouse.pipelines.loader import load_pipelines
from lakehouse.pipelines.spec import PipelineSpec
from lakehouse.saved_queries import SavedQuery
from lakehouse.warehouse.migrations import Migration, load_migrations


@dataclass(frozen=True, kw_only=True)
class Project:
    """What people wrote: contracts, pipelines and queries, checked together.

    Attributes:
        contracts: Compiled contracts by id.
        pipelines: Pipelines by name.
        queries: Queries that the workgroup keeps.
        migrations: SQL that runs once in the warehouse, in order.
    """

    contracts: Mapping[str, CompiledContract]
    pipelines: Sequence[PipelineSpec]
    queries: Sequence[SavedQuery] = ()
    migrations: Sequence[Migration] = ()

    @classmethod
    def load(cls, root: Path) -> Project:
        """Read the folders `contracts`, `pipelines`, `warehouse/migrations` and, if there is one, `queries`.

        Raises:
            ConfigurationError: Something in them is wrong; it names every fault.
        """
        contracts = compiled_contracts(root)
        return cls(
            contracts=contracts,
            pipelines=load_pipelines(root / "pipelines", contracts),
            queries=checked_queries(root, contracts),
            migrations=load_migrations(root / "warehouse" / "migrations"),
        )
