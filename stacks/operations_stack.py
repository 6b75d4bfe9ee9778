"""What watches over all pipelines of an environment: the record of runs, notifications and the operator's role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import arn, queue_arn
from constructs_lib.catalog import CatalogGrants, SavedQueries
from constructs_lib.catalog.athena_workgroup import AthenaWorkgroupGrants
from constructs_lib.catalog.eraser import EraserGrants
from constructs_lib.catalog.saved_queries import SavedQueriesGrants
from constructs_lib.functions import PlatformFunction
from constructs_lib.observability import AlertTopicNames, FunctionAlarms, OperatorRole
from constructs_lib.orchestration import ClusterEnder, Notifier, RunBackstop, RunRecorder, RunTableNames, ServerlessBackstop
from constructs_lib.orchestration.pipeline import PipelineGrants
from constructs_lib.orchestration.run_functions import CLUSTER_ENDER, NOTIFIER, RECORDER
from constructs_lib.permissions import allow
from constructs_lib.storage import LakeBuckets
from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import tables_of
from lakehouse.environments.environment import Environment
from lakehouse.naming import EVENT_LOGS
from lakehouse.pipelines.spec import Arrival, PipelineSpec
from lakehouse.rows import PARTITION
from lakehouse.saved_queries import SavedQuery
from stacks.compute_stack import APPLICATION, compute_parameter
from stacks.platform_stack import PlatformStack
from stacks.warehouse_stack import warehouse_reference


class OperationsStack(PlatformStack):
    """Recorder, notifier, backstop and operator of an environment."""

    def __init__(
        self,
        scope: Construct,
        *,
        environment: Environment,
        contracts: Mapping[str, CompiledContract],
        pipelines: Sequence[PipelineSpec],
        queries: Sequence[SavedQuery] = (),
        allow_destroy: bool = False,
    ) -> None:
        """
        Args:
            scope: The app.
            environment: The environment.
            contracts: Compiled contracts by id.
            pipelines: Pipelines of the environment.
            queries: Queries that the workgroup keeps.
            allow_destroy: Whether the caller unlocked the removal of data.
        """
        super().__init__(scope, tier="operations", environment=environment, allow_destroy=allow_destroy)
        names = self.names
        log_key = self.key("logs")
        tables = RunTableNames.from_names(names, key_arn=self.key_arn("logs"))
        lake = LakeBuckets.from_names(names, key_arn=self.key_arn("lake"))
        recorder = RunRecorder(
            self,
            "Recorder",
            names=names,
            tables=tables,
            log_key=log_key,
            audit_ttl_days=environment.audit.ttl_days,
            log_retention_days=environment.log_retention_days,
            removal_policy=self.removal_policy,
        )
        topics = AlertTopicNames.from_names(names, key_arn=self.key_arn("messaging"))
        notifier = Notifier(
            self,
            "Notifier",
            names=names,
            tables=tables,
            topics=topics,
            log_key=log_key,
            log_retention_days=environment.log_retention_days,
            removal_policy=self.removal_policy,
        )
        functions: dict[str, PlatformFunction] = {RECORDER: recorder, NOTIFIER: notifier}
        if any(spec.uses("emr") for spec in pipelines):
            functions[CLUSTER_ENDER] = ClusterEnder(
                self,
                "ClusterEnder",
                names=names,
                log_key=log_key,
                log_retention_days=environment.log_retention_days,
                removal_policy=self.removal_policy,
            )
        RunBackstop(self, "Backstop", names=names, functions=list(functions.values()))
        application_id = compute_parameter(self, names, APPLICATION)
        ServerlessBackstop(self, "ServerlessBackstop", names=names, application_id=application_id, notifier=notifier)
        FunctionAlarms(
            self,
            "Alarms",
            names=names,
            topics=topics,
            functions={purpose: function.function_name for purpose, function in functions.items()},
        )
        if queries:
            SavedQueries(self, "Queries", workgroup=names.workgroup, queries=queries, database_prefix=names.database_prefix)
        role = self._operator(tables, lake, contracts, pipelines)
        if any(query.parameters for query in queries):
            SavedQueriesGrants(names.workgroup).execute(role)

    def _operator(
        self, tables: RunTableNames, lake: LakeBuckets, contracts: Mapping[str, CompiledContract], pipelines: Sequence[PipelineSpec]
    ) -> iam.Role:
        names = self.names
        role = OperatorRole(self, "Operator", names=names, pipelines=[spec.name for spec in pipelines]).role
        for spec in pipelines:
            machine = PipelineGrants(names.state_machine(spec.name))
            machine.watch(role)
            machine.start(role)
            if isinstance(spec.trigger, Arrival):
                lake.grants.put(role, "raw", prefix=names.raw_prefix(spec.trigger.dataset))
        domains = sorted({spec.trigger.dataset.partition(".")[0] for spec in pipelines if isinstance(spec.trigger, Arrival)})
        # By domain: a policy has no room for each dataset of a large environment.
        for domain in domains:
            lake.grants.put(role, "logs", prefix=f"manifests/{domain}/")
        if domains:
            lake.grants.list_versions(role, "raw", prefixes=[f"{domain}/" for domain in domains])
        if any(spec.uses("emr") for spec in pipelines):
            # Logs of steps on clusters lie in S3.
            lake.grants.list(role, "logs", prefix="emr/")
            lake.grants.read(role, "logs", prefix="emr/")
        if any(spec.uses("emr-serverless") for spec in pipelines):
            allow(
                role,
                actions=["emr-serverless:GetJobRun", "emr-serverless:ListApplications", "emr-serverless:ListJobRuns"],
                resources=[arn("emr-serverless", "/*")],
                because="Applications and their job runs are named by EMR Serverless, and listed only for whoever may see all of them.",
            )
        if pipelines:
            lake.grants.list(role, "logs", prefix=EVENT_LOGS)
            lake.grants.read(role, "logs", prefix=EVENT_LOGS)
        queues = [queue for spec in pipelines for queue in (names.arrivals_queue(spec.name), names.dead_letter_queue(spec.name))]
        if queues:
            allow(role, actions=["sqs:GetQueueAttributes", "sqs:GetQueueUrl"], resources=[queue_arn(queue) for queue in queues])
        tables.grants.use(role, "audit", actions=("GetItem", "Query"), indexes=("by_run", "by_status"))
        groups = [spec for spec in pipelines if spec.rows is not None]
        tables.grants.use(role, "control", actions=("GetItem",))
        if groups:
            # Rows and nothing else of the table: claims and leases are the platform's own.
            partitions = tuple(PARTITION + spec.name for spec in groups)
            tables.grants.use(role, "control", actions=("PutItem", "Query", "UpdateItem"), partitions=partitions)
        for domain in sorted({contract.domain for contract in contracts.values() if contract.source is not None}):
            EraserGrants(names, lake, domain=domain).ask(role)
        AthenaWorkgroupGrants(names.workgroup, lake).run_queries(role)
        if self.environment_config.warehouse.kind != "none":
            warehouse_reference(self, environment=self.environment_config, names=names).grants.query(role)
        databases = sorted(
            {
                *(d.dataset.database(names.database_prefix) for contract in contracts.values() for d in tables_of(contract)),
                *(names.database("bronze", spec.domain) for spec in groups),
            }
        )
        if databases:
            CatalogGrants(lake, databases).query(role)
        return role
