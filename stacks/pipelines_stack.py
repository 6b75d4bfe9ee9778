"""What changes most: the pipelines of one domain with their jobs, triggers and alarms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.catalog import CatalogTable, DomainGrants
from constructs_lib.checks import require
from constructs_lib.ingestion import AfterPipelines, ConnectionReference, FileArrival, FilesLanded, OnSchedule
from constructs_lib.ingestion.file_arrival import Trigger
from constructs_lib.networking.reference import NetworkReference
from constructs_lib.observability import AlertTopicNames, PipelineAlarms
from constructs_lib.orchestration import GlueStep, MachineStep, Pipeline, RowsStep, RunTableNames
from constructs_lib.order import after
from constructs_lib.processing import (
    CodeAssets,
    EmrJob,
    EmrServerlessJob,
    GlueSparkJob,
    JobCode,
    JobLogs,
    SecurityConfiguration,
    SparkSize,
    TransientCluster,
)
from constructs_lib.storage import LakeBuckets
from constructs_lib.warehouse import RedshiftLoadStep, WarehouseTableResource
from lakehouse.contracts.model import CompiledContract
from lakehouse.environments.environment import Environment
from lakehouse.naming import DatasetName
from lakehouse.pipelines.spec import After, Arrival, Engine, Load, PipelineSpec, Rows, Schedule, Step
from lakehouse.rows import PARTITION
from lakehouse.warehouse.tables import table_of
from stacks.compute_stack import APPLICATION, SECURITY_CONFIGURATION, cluster_groups, cluster_size_of, compute_parameter, size_of
from stacks.platform_stack import PlatformStack, of_domain
from stacks.warehouse_stack import TRANSFER_ROLE_ARN, warehouse_parameter, warehouse_reference, warehouse_slices

ROWS = "rows"
"""Step that runs the rows of a group, and part of its job's name."""

JOB_JARS = Path(__file__).resolve().parents[1] / ".cache" / "job-jars"
"""Where set-up puts the Java archives that jobs bring."""

EMR: Engine = "emr"
"""The engine whose cluster lives as long as a run."""


class PipelinesStack(PlatformStack):
    """Pipelines of one domain of an environment.

    A stack holds at most 500 resources and a pipeline takes about 30, so a domain has room for some 15 pipelines; domains deploy side by side.

    Attributes:
        written_domains: Domains whose tables the pipelines write.
        loads_warehouse: Whether a pipeline loads into the warehouse.
        reads_databases: Whether a step reads a database.
        uses_emr: Whether a step runs on what the compute stack makes: the EMR Serverless application, or a cluster.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        domain: str,
        environment: Environment,
        contracts: Mapping[str, CompiledContract],
        pipelines: Sequence[PipelineSpec],
        allow_destroy: bool = False,
    ) -> None:
        """
        Args:
            scope: The app.
            domain: Domain of data that the pipelines write.
            environment: The environment.
            contracts: Compiled contracts by id.
            pipelines: The domain's pipelines.
            allow_destroy: Whether the caller unlocked the removal of data.
        """
        super().__init__(scope, tier=of_domain("pipelines", domain), environment=environment, allow_destroy=allow_destroy)
        self._contracts = contracts
        self._lake_key, self._log_key, self._message_key = self.key("lake"), self.key("logs"), self.key("messaging")
        self._lake = LakeBuckets.from_names(self.names, key_arn=self.key_arn("lake"))
        self._tables = RunTableNames.from_names(self.names, key_arn=self.key_arn("logs"))
        self._topics = AlertTopicNames.from_names(self.names, key_arn=self.key_arn("messaging"))
        self._code = CodeAssets.of(self)
        self._security = SecurityConfiguration(
            self, "Security", name_prefix=f"{self.names.prefix}-{domain.replace('_', '-')}", key=self._lake_key
        )
        groups = [spec for spec in pipelines if spec.rows is not None]
        self.written_domains = tuple(
            sorted({*(dataset.domain for spec in pipelines for dataset in spec.outputs), *(spec.domain for spec in groups)})
        )
        self.loads_warehouse = any(spec.loads for spec in pipelines)
        self.reads_databases = bool(groups) or any(self._reads_database(step) for spec in pipelines for step in spec.steps)
        self.uses_emr = any(spec.uses(engine) for spec in pipelines for engine in (EMR, "emr-serverless"))
        self._network: NetworkReference | None = None
        self._connections: dict[str, ConnectionReference] = {}
        for spec in pipelines:
            self._pipeline(spec)

    def _pipeline(self, spec: PipelineSpec) -> None:
        environment, names = self.environment_config, self.names
        # What people name begins with a small letter, every other id of the stack with a capital: the two never meet.
        scope = Construct(self, spec.name)
        logs = JobLogs(
            scope,
            "JobLogs",
            prefix=names.log_group("jobs", spec.name),
            key=self._log_key,
            retention_days=environment.log_retention_days,
            removal_policy=self.removal_policy,
        )
        steps: list[MachineStep] = []
        if spec.rows is None:
            contracts = self._code.text("contracts.json", _bundle(spec, self._contracts))
            cluster = self._cluster(scope, spec) if spec.uses(EMR) else None
            steps += [self._step(scope, spec, step, logs=logs, contracts=contracts, cluster=cluster) for step in spec.steps]
        else:
            steps.append(self._rows_step(scope, spec, spec.rows, logs=logs))
        loads = [self._load(spec, load) for load in spec.loads]
        machine = Pipeline(
            scope,
            "Machine",
            names=names,
            pipeline=spec.name,
            steps=[*steps, *loads],
            tables=self._written(spec, loads),
            log_key=self._log_key,
            timeout_minutes=spec.timeout_minutes,
            has_manifest=isinstance(spec.trigger, Arrival),
            role_name=names.machine_role(spec.name) if loads else None,
            log_retention_days=environment.log_retention_days,
            removal_policy=self.removal_policy,
        )
        for load in loads:
            load.grant_unload(machine.role, lake=self._lake, table=self._table(DatasetName.parse(load.dataset)))
            table = WarehouseTableResource(
                scope,
                f"{load.name}Table",
                names=names,
                table=load.table,
                writers=[machine.role.role_name],
                readers=[names.operator_role],
                removal_policy=self.removal_policy,
            )
            after(machine.resource, table.resource)
        arrival = FileArrival(
            scope,
            "Arrival",
            names=names,
            pipeline=spec.name,
            trigger=self._trigger(spec),
            tables=self._tables,
            message_key=self._message_key,
            log_key=self._log_key,
            audit_ttl_days=environment.audit.ttl_days,
            batch_seconds=environment.arrivals.batch_seconds,
            batch_size=environment.arrivals.batch_size,
            log_retention_days=environment.log_retention_days,
            removal_policy=self.removal_policy,
        )
        PipelineAlarms(scope, "Alarms", names=names, pipeline=spec.name, topics=self._topics, arrival=arrival)

    def _written(self, spec: PipelineSpec, loads: Sequence[RedshiftLoadStep]) -> list[str]:
        """What one run at a time writes; tables of a group are not known here, so one run at a time has the group."""
        if spec.rows is not None:
            return [f"rows.{spec.name}"]
        return [*(dataset.table(self.names.database_prefix) for dataset in spec.outputs), *(load.table.lease for load in loads)]

    def _rows_step(self, scope: Construct, spec: PipelineSpec, rows: Rows, *, logs: JobLogs) -> RowsStep:
        """The one job that runs each row of a group, with what it may do: read one database and write bronze of one domain."""
        names, glue = self.names, self.environment_config.glue
        connection = self._database(rows.connection, f"pipeline {spec.name}")
        timeout_minutes = min(glue.timeout_minutes, rows.timeout_minutes)
        job = GlueSparkJob(
            scope,
            "RowsJob",
            name=names.job(spec.name, ROWS),
            description=f"Rows of {spec.name}: {rows.connection} to bronze of {rows.domain}",
            code=JobCode.from_platform("extract_row"),
            logs=logs,
            security_configuration=self._security,
            arguments={
                **connection.job_arguments,
                "--audit_table": names.run_table("audit"),
                "--control_table": names.run_table("control"),
                **({"--database_prefix": names.database_prefix} if names.database_prefix else {}),
                "--domain": rows.domain,
                "--engine": "glue",
                "--env": names.env,
                "--group": spec.name,
                "--lineage_table": names.run_table("lineage"),
                "--log_group": logs.output.log_group_name,
                "--project": names.project,
                "--step": "extract",
                "--watermarks_table": names.run_table("watermarks"),
            },
            glue_version=glue.version,
            size=SparkSize(worker_type=glue.worker_type, workers=glue.workers),
            timeout_minutes=timeout_minutes,
            # A run that is being stopped still counts while its row is tried again.
            max_concurrent_runs=rows.concurrency + 1,
            connections=(connection.glue_name,),
            extra_jars=job_jars(),
            event_logs=self._lake,
        )
        role = job.role
        connection.grants.read_secret(role)
        DomainGrants(self._lake, zone="bronze", domain=rows.domain, database=names.database("bronze", rows.domain)).create_and_write(role)
        self._tables.grants.use(role, "audit", actions=("GetItem", "PutItem", "Query", "UpdateItem"))
        self._tables.grants.use(role, "control", actions=("GetItem",), partitions=(PARTITION + spec.name,))
        self._tables.grants.use(role, "lineage", actions=("PutItem",))
        self._tables.grants.use(role, "watermarks", actions=("GetItem",))
        return RowsStep(name=ROWS, job_name=job.job_name, timeout_minutes=timeout_minutes, concurrency=rows.concurrency)

    def _step(
        self, scope: Construct, spec: PipelineSpec, step: Step, *, logs: JobLogs, contracts: str, cluster: TransientCluster | None
    ) -> MachineStep:
        """The job of a step on its engine, with what the step may do; only the engine knows how it starts."""
        names, environment = self.names, self.environment_config
        job_id, name, code = f"{step.name}Job", names.job(spec.name, step.name), JobCode.from_platform(step.job)
        arguments = self._arguments(spec, step, logs=logs, contracts=contracts)
        connection = self._connection(step)
        require(
            connection is None or step.engine == "glue",
            f"step {step.name} of pipeline {spec.name} reads a database through a Glue connection, which only a Glue job has: write engine: glue",
        )
        if cluster is not None and step.engine == EMR:
            # A log lies below its cluster, in S3.
            told = {key: value for key, value in arguments.items() if key != "--log_group"}
            timeout_minutes = min(environment.emr.timeout_minutes, spec.timeout_minutes)
            on_cluster = EmrJob(scope, job_id, name=name, cluster=cluster, code=code, arguments=told, timeout_minutes=timeout_minutes)
            self._allow(on_cluster.role, spec, step)
            return on_cluster.step(step.name)
        if step.engine == "emr-serverless":
            emr = environment.emr_serverless
            serverless = EmrServerlessJob(
                scope,
                job_id,
                name=name,
                application_id=self._emr_application(),
                code=code,
                logs=logs,
                arguments=arguments,
                release=emr.release,
                size=size_of(emr),
                timeout_minutes=min(emr.timeout_minutes, spec.timeout_minutes),
                queue_minutes=emr.queue_minutes,
                tags={**self._cost_tags(spec), "step": step.name},
                event_logs=self._lake,
            )
            self._allow(serverless.role, spec, step)
            return serverless.step(step.name)
        glue = environment.glue
        timeout_minutes = min(glue.timeout_minutes, spec.timeout_minutes)
        job = GlueSparkJob(
            scope,
            job_id,
            name=name,
            description=f"{step.job} of {spec.name}: writes {step.writes}",
            code=code,
            logs=logs,
            security_configuration=self._security,
            arguments=arguments,
            glue_version=glue.version,
            size=SparkSize(worker_type=glue.worker_type, workers=glue.workers),
            timeout_minutes=timeout_minutes,
            connections=() if connection is None else (connection.glue_name,),
            extra_jars=() if connection is None else job_jars(),
            event_logs=self._lake,
        )
        self._allow(job.role, spec, step)
        return GlueStep(name=step.name, job_name=job.job_name, timeout_minutes=timeout_minutes)

    def _cost_tags(self, spec: PipelineSpec) -> dict[str, str]:
        """Tags by which the cost of a pipeline is told, of what exists only while it runs."""
        names = self.names
        return {**self.environment_config.tags, "environment": names.env, "pipeline": spec.name, "project": names.project}

    def _cluster(self, scope: Construct, spec: PipelineSpec) -> TransientCluster:
        """What the clusters of a pipeline are made with."""
        config, names, network = self.environment_config.emr, self.names, self.environment_config.network
        if self._network is None:
            self._network = NetworkReference.from_parameters(self, names=names, only=("job_security_group_id", "private_subnet_ids"))
        zones = len(network.vpc.private_subnet_ids) if network.vpc is not None else network.availability_zones
        return TransientCluster(
            scope,
            "Cluster",
            names=names,
            pipeline=spec.name,
            network=self._network,
            subnet_ids=[self._network.private_subnet(number) for number in range(zones)],
            groups=cluster_groups(self, names),
            security_configuration=compute_parameter(self, names, SECURITY_CONFIGURATION),
            lake=self._lake,
            release=config.release,
            size=cluster_size_of(config),
            idle_seconds=config.idle_seconds,
            start_minutes=config.start_minutes,
            tags=self._cost_tags(spec),
        )

    def _arguments(self, spec: PipelineSpec, step: Step, *, logs: JobLogs, contracts: str) -> dict[str, str]:
        """What a job is told, on every engine."""
        names, connection = self.names, self._connection(step)
        return {
            **(connection.job_arguments if connection is not None else {}),
            **({"--watermarks_table": names.run_table("watermarks")} if connection is not None else {}),
            "--audit_table": names.run_table("audit"),
            "--contracts": contracts,
            **({"--database_prefix": names.database_prefix} if names.database_prefix else {}),
            "--engine": step.engine,
            "--env": names.env,
            "--lineage_table": names.run_table("lineage"),
            "--log_group": logs.output.log_group_name,
            "--pipeline": spec.name,
            "--project": names.project,
            **({"--reads": ",".join(map(str, step.reads))} if step.reads else {}),
            "--step": step.name,
            **({"--transform": step.transform} if step.transform is not None else {}),
            "--writes": str(step.writes),
        }

    def _allow(self, role: iam.Role, spec: PipelineSpec, step: Step) -> None:
        """What a job may do, on every engine."""
        names = self.names
        for dataset in step.reads:
            self._table(dataset).grants.read(role)
        for dataset in step.outputs:
            self._table(dataset).grants.write(role)
        connection = self._connection(step)
        if connection is not None:
            connection.grants.read_secret(role)
            self._tables.grants.use(role, "watermarks", actions=("GetItem",))
            # Keys of the source are compared with those of silver, and bad rows that are known are not brought again.
            for zone in ("silver", "quarantine"):
                self._table(DatasetName(zone=zone, domain=step.writes.domain, dataset=step.writes.dataset)).grants.read(role)
        elif step.job == "ingest":
            self._lake.grants.read_versions(role, "raw", prefix=names.raw_prefix(step.writes.contract_id))
            self._lake.grants.tell_missing(role, "raw")
            self._staging(role, f"staging/{spec.name}/")
        if isinstance(spec.trigger, Arrival):
            self._lake.grants.read(role, "logs", prefix=f"manifests/{names.raw_prefix(step.writes.contract_id)}")
        self._tables.grants.use(role, "audit", actions=("GetItem", "PutItem", "Query", "UpdateItem"))
        self._tables.grants.use(role, "lineage", actions=("PutItem",))

    def _reads_database(self, step: Step) -> bool:
        """Whether a step reads a dataset from a database."""
        return step.job == "ingest" and self._contracts[step.writes.contract_id].database is not None

    def _connection(self, step: Step) -> ConnectionReference | None:
        """The connection that an ingest reads its dataset through; None if files bring it."""
        contract = self._contracts[step.writes.contract_id]
        if not self._reads_database(step) or contract.database is None:
            return None
        return self._database(contract.database.connection, contract.id)

    def _database(self, name: str, reader: str) -> ConnectionReference:
        """A connection of the environment.

        Raises:
            InvalidProps: There is none of that name.
        """
        require(
            name in self.environment_config.databases,
            f"{reader} reads the database connection {name!r}, which {self.environment_config.env} does not have: add {name} to databases in "
            f"config/base.yaml or config/{self.environment_config.env}.yaml",
        )
        if name not in self._connections:
            self._connections[name] = ConnectionReference.from_parameters(self, names=self.names, name=name)
        return self._connections[name]

    def _emr_application(self) -> str:
        """Id of the application that the compute stack made; read from Parameter Store at each deployment."""
        return compute_parameter(self, self.names, APPLICATION)

    def _load(self, spec: PipelineSpec, load: Load) -> RedshiftLoadStep:
        environment, names = self.environment_config, self.names
        require(
            environment.warehouse.kind != "none",
            f"pipeline {spec.name} loads {load.reads} into {load.into}, and {environment.env} has no warehouse: write `warehouse: {{kind: serverless}}` into "
            f"config/base.yaml or config/{environment.env}.yaml, or remove the step",
        )
        contract = self._contracts[load.reads.contract_id]
        return RedshiftLoadStep(
            name=load.name,
            timeout_minutes=min(environment.warehouse.query_timeout_minutes, spec.timeout_minutes),
            table=table_of(contract),
            dataset=str(load.reads),
            catalog_database=load.reads.database(names.database_prefix),
            athena_workgroup=names.workgroup,
            bucket=names.bucket("query-results"),
            warehouse=warehouse_reference(self, environment=environment, names=names),
            role_arn=warehouse_parameter(self, names, TRANSFER_ROLE_ARN),
            slices=warehouse_slices(environment),
            hot=contract.warehouse.hot if contract.warehouse else None,
        )

    def _staging(self, role: iam.Role, prefix: str) -> None:
        """A folder where the job lays out exact versions of raw files for Spark, and cleans up."""
        grants = self._lake.grants
        grants.read(role, "logs", prefix=prefix)
        grants.list(role, "logs", prefix=prefix)
        grants.put(role, "logs", prefix=prefix)
        grants.delete(role, "logs", prefix=prefix)

    def _table(self, dataset: DatasetName) -> CatalogTable:
        return CatalogTable(dataset=dataset, lake=self._lake, database_prefix=self.names.database_prefix)

    def _trigger(self, spec: PipelineSpec) -> Trigger:
        if isinstance(spec.trigger, After):
            wait_minutes = self.environment_config.arrivals.follow_minutes
            return AfterPipelines(names=self.names, pipelines=spec.trigger.pipelines, wait_minutes=wait_minutes)
        if isinstance(spec.trigger, Schedule):
            is_enabled = self.environment_config.schedules.enabled
            return OnSchedule(expression=spec.trigger.expression, time_zone=spec.trigger.time_zone, is_enabled=is_enabled)
        contract = self._contracts[spec.trigger.dataset]
        assert contract.source is not None
        return FilesLanded(lake=self._lake, contract_id=contract.id, formats=contract.source.formats)


def job_jars() -> tuple[Path, ...]:
    """Java archives that jobs bring: the drivers of databases.

    Raises:
        InvalidProps: Set-up has not fetched them.
    """
    found = tuple(sorted(JOB_JARS.glob("*.jar")))
    require(bool(found), f"{JOB_JARS} holds no driver for databases: run `make setup`")
    return found


def pipelines_by_domain(pipelines: Sequence[PipelineSpec]) -> dict[str, list[PipelineSpec]]:
    """Pipelines by their domain, both sorted."""
    domains: dict[str, list[PipelineSpec]] = {}
    for spec in sorted(pipelines, key=lambda spec: spec.name):
        domains.setdefault(spec.domain, []).append(spec)
    return dict(sorted(domains.items()))


def _bundle(spec: PipelineSpec, contracts: Mapping[str, CompiledContract]) -> str:
    """The contracts that a pipeline needs, so that a change of one touches no other pipeline."""
    chosen = {id_: contracts[id_].to_dict() for id_ in spec.contract_ids}
    return json.dumps({"contracts": chosen}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
