"""All stacks of one environment."""

from __future__ import annotations

from constructs import Construct

from constructs_lib.permissions import gathered
from lakehouse.environments.environment import Environment
from lakehouse.pipelines.spec import Arrival
from stacks.catalog_stack import CatalogStack, tables_by_domain
from stacks.compute_stack import ComputeStack
from stacks.foundation_stack import FoundationStack
from stacks.network_stack import NetworkStack
from stacks.operations_stack import OperationsStack
from stacks.pipelines_stack import PipelinesStack, pipelines_by_domain
from stacks.platform_stack import PlatformStack
from stacks.project import Project
from stacks.sources_stack import SourcesStack
from stacks.warehouse_stack import WarehouseStack


@gathered()
def build(scope: Construct, *, environment: Environment, project: Project, allow_destroy: bool = False) -> list[PlatformStack]:
    """Put every stack of an environment into an app.

    The foundation comes first; the other tiers know each other by name only, so they deploy side by side, but for pipelines: tables must have a column
    before a job writes it.

    Args:
        scope: The app.
        environment: The environment.
        project: Contracts, pipelines and queries.
        allow_destroy: Whether the caller unlocked the removal of data.
    """
    foundation = FoundationStack(scope, environment=environment, allow_destroy=allow_destroy)
    network = NetworkStack(scope, environment=environment, pipelines=project.pipelines, allow_destroy=allow_destroy)
    tables = tables_by_domain(project.contracts)
    groups = {spec.domain for spec in project.pipelines if spec.rows is not None}
    catalogs = {
        domain: CatalogStack(
            scope,
            domain=domain,
            environment=environment,
            tables=tables.get(domain, ()),
            zones=("bronze",) if domain in groups else (),
            contracts={name: contract for name, contract in project.contracts.items() if contract.domain == domain},
            ingests=[
                spec.name
                for spec in project.pipelines
                if isinstance(spec.trigger, Arrival) and spec.trigger.dataset.startswith(f"{domain}.")
            ],
            allow_destroy=allow_destroy,
        )
        for domain in sorted({*tables, *groups})
    }
    operations = OperationsStack(
        scope,
        environment=environment,
        contracts=project.contracts,
        pipelines=project.pipelines,
        queries=project.queries,
        allow_destroy=allow_destroy,
    )
    pipelines = {
        domain: PipelinesStack(
            scope, domain=domain, environment=environment, contracts=project.contracts, pipelines=specs, allow_destroy=allow_destroy
        )
        for domain, specs in pipelines_by_domain(project.pipelines).items()
    }
    compute = ComputeStack(scope, environment=environment, pipelines=project.pipelines, allow_destroy=allow_destroy)
    warehouses = [
        WarehouseStack(
            scope, environment=environment, contracts=project.contracts, migrations=project.migrations, allow_destroy=allow_destroy
        )
        for _ in range(int(environment.warehouse.kind != "none"))
    ]
    sources = [SourcesStack(scope, environment=environment, allow_destroy=allow_destroy) for _ in range(int(bool(environment.databases)))]
    tiers: list[PlatformStack] = [network, *sources, *catalogs.values(), compute, *warehouses, operations, *pipelines.values()]
    for tier in tiers:
        tier.add_stack_dependency(foundation)
    for stack in pipelines.values():
        if stack.uses_emr:
            stack.add_stack_dependency(compute)
        for source in sources if stack.reads_databases else ():
            stack.add_stack_dependency(source)
        for domain in stack.written_domains:
            stack.add_stack_dependency(catalogs[domain])
    for tier in (*sources, compute, *warehouses):
        tier.add_stack_dependency(network)
    # Failed job runs are told of by the application's id.
    operations.add_stack_dependency(compute)
    for warehouse in warehouses:
        # External schemas show databases of the catalog; the operator's role and loads are let in by what the warehouse tells of itself.
        for catalog in catalogs.values():
            warehouse.add_stack_dependency(catalog)
        for tier in (operations, *(stack for stack in pipelines.values() if stack.loads_warehouse)):
            tier.add_stack_dependency(warehouse)
    return [foundation, *tiers]
