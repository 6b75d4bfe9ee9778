"""Environments: config/base.yaml and config/<env>.yaml, layered, validated and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lakehouse.contracts.compiler.documents import Document, Place, dotted, nearest, read_document
from lakehouse.databases import is_aurora_writer
from lakehouse.errors import ConfigurationError, Fault
from lakehouse.naming import DATABASE_PREFIX, MAX_PREFIX, METRICS_NAMESPACE, PREFIX, PROJECT, Names
from lakehouse.networks import INTERFACE_SERVICES, ZONES, overlap, problem_of_range
from lakehouse.worker_sizes import cluster_fault, serverless_fault

BASE = "base"
"""Name of the file that every environment starts from."""

LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""Retention periods that CloudWatch Logs offers."""

MIN_SCAN_LIMIT_MB = 10
"""Athena's floor."""


class _Section(BaseModel):
    """A part of an environment file: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Alerts(_Section):
    """Who hears of failures."""

    emails: Annotated[tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")], ...], Field(strict=False)] = Field(
        default=(), description="Addresses that are subscribed to the critical and warning topics; each confirms by mail."
    )


class Arrivals(_Section):
    """How arriving files are collected into runs."""

    batch_seconds: int = Field(default=60, ge=0, le=300, description="Longest wait for more files before a run starts.")
    batch_size: int = Field(default=1000, ge=1, le=1000, description="Most events that one call of the arrival starter takes.")
    follow_minutes: int = Field(
        default=30,
        ge=0,
        le=1440,
        description="Longest that a pipeline which follows others waits for those of them that are under way, once one has published.",
    )

    @model_validator(mode="after")
    def _window_for_large_batches(self) -> Arrivals:
        if self.batch_size > 10 and self.batch_seconds < 1:
            raise ValueError("batch_seconds must be at least 1 if batch_size is more than 10: Lambda asks for it")
        return self


class Schedules(_Section):
    """What the clock may start."""

    enabled: bool = Field(
        default=True, description="Whether schedules fire; where they do not, `lake run` starts a pipeline by hand, and so do arrivals."
    )


class Glue(_Section):
    """Size of Spark jobs on Glue."""

    version: Literal["5.1", "6.0"] = Field(default="6.0", description="Glue release.")
    worker_type: Literal["G.1X", "G.2X", "G.4X", "G.8X"] = Field(default="G.1X", description="Type of worker.")
    workers: int = Field(default=2, ge=2, le=299, description="Number of workers of a job, the driver included.")
    timeout_minutes: int = Field(default=60, ge=1, le=1440, description="A job run that takes longer is stopped.")


class EmrServerless(_Section):
    """The EMR Serverless application of the environment, and the size of its jobs."""

    release: Literal["emr-spark-8.0.0", "emr-7.13.0"] = Field(default="emr-spark-8.0.0", description="EMR release.")
    architecture: Literal["ARM64", "X86_64"] = Field(default="X86_64", description="Processor of the workers.")
    worker_vcpu: Literal[1, 2, 4, 8, 16] = Field(default=4, description="vCPU of a worker.")
    worker_memory_gb: int = Field(default=16, ge=2, le=120, description="Memory of a worker: 2-8 GB a vCPU, as EMR Serverless has it.")
    executors: int = Field(default=1, ge=1, description="Executors that a job starts with; the driver comes on top.")
    max_executors: int = Field(default=4, ge=1, description="Most executors of a job.")
    max_vcpu: int = Field(default=64, ge=2, description="Most vCPU that all jobs take at a time: the guard of the cost.")
    max_memory_gb: int = Field(default=256, ge=4, description="Most memory that all jobs take at a time.")
    max_disk_gb: int = Field(default=1000, ge=40, description="Most disk that all jobs take at a time.")
    warm_drivers: int = Field(default=0, ge=0, description="Drivers that wait for jobs, and cost as long as the application is started.")
    warm_executors: int = Field(default=0, ge=0, description="Executors that wait for jobs.")
    idle_minutes: int = Field(default=15, ge=1, le=10080, description="The application stops after so long without a job.")
    max_concurrent_runs: int = Field(default=15, ge=1, le=1000, description="Most jobs at a time; the next ones queue.")
    queue_minutes: int = Field(default=60, ge=15, le=720, description="Longest that a job queues before it fails.")
    timeout_minutes: int = Field(default=60, ge=1, le=1440, description="A job run that takes longer is cancelled.")

    @model_validator(mode="after")
    def _fits(self) -> EmrServerless:
        fault = serverless_fault(self.worker_vcpu, self.worker_memory_gb)
        if fault is not None:
            raise ValueError(fault)
        workers = self.max_executors + 1
        if self.max_executors < self.executors:
            raise ValueError(f"max_executors must be at least executors = {self.executors}, got {self.max_executors}")
        if workers * self.worker_vcpu > self.max_vcpu or workers * self.worker_memory_gb > self.max_memory_gb:
            raise ValueError(
                f"max_vcpu and max_memory_gb must let one job of {workers} workers run, which takes {workers * self.worker_vcpu} vCPU and "
                f"{workers * self.worker_memory_gb} GB, got {self.max_vcpu} and {self.max_memory_gb}"
            )
        if (self.warm_drivers == 0) != (self.warm_executors == 0):
            raise ValueError("warm_drivers and warm_executors must both be 0 or both be more, as a job needs both")
        return self


class Emr(_Section):
    """Clusters of EMR on EC2, each of which lives as long as a run; there is nothing while no pipeline has `engine: emr`."""

    release: Literal["emr-spark-8.0.0"] = Field(default="emr-spark-8.0.0", description="EMR release.")
    primary_type: str = Field(default="m5.xlarge", description="Type of the primary machine, on demand.")
    core_type: str = Field(default="r5.xlarge", description="Type of the core machines, on demand; drivers run there.")
    core_units: int = Field(default=2, ge=1, description="Core machines that a cluster starts with, in units: the smallest machine is one.")
    task_types: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=("r5.xlarge", "r5a.xlarge", "r5b.xlarge", "r6i.xlarge", "r6a.xlarge", "m5.2xlarge"),
        description="Types of the task machines, which are Spot; five at least.",
    )
    task_units: int = Field(default=2, ge=1, description="Task machines that a cluster starts with, in units.")
    min_units: int = Field(default=2, ge=1, description="Fewest units of core and task machines.")
    max_units: int = Field(default=20, ge=1, description="Most units of core and task machines: the guard of the cost.")
    max_on_demand_units: int = Field(default=5, ge=1, description="Most units on demand; the rest is Spot.")
    max_core_units: int = Field(default=5, ge=1, description="Most units of core machines.")
    disk_gb: int = Field(default=128, ge=32, le=16_384, description="Disk of each machine.")
    executor_vcpu: int = Field(default=4, ge=1, description="vCPU of an executor.")
    executor_memory_gb: int = Field(default=8, ge=1, description="Heap of an executor.")
    driver_memory_gb: int = Field(default=4, ge=1, description="Heap of a driver.")
    idle_seconds: int = Field(
        default=3600, ge=60, le=604_800, description="A cluster that nobody ends does so itself after so long without a step."
    )
    start_minutes: int = Field(default=30, ge=10, le=180, description="Longest that a cluster may take to start.")
    timeout_minutes: int = Field(default=60, ge=1, le=1440, description="A step that takes longer is stopped.")

    @model_validator(mode="after")
    def _fits(self) -> Emr:
        fault = cluster_fault(
            primary=self.primary_type,
            core=self.core_type,
            task=self.task_types,
            core_units=self.core_units,
            task_units=self.task_units,
            min_units=self.min_units,
            max_units=self.max_units,
            max_on_demand_units=self.max_on_demand_units,
            max_core_units=self.max_core_units,
            executor_vcpu=self.executor_vcpu,
            executor_memory_gb=self.executor_memory_gb,
            driver_memory_gb=self.driver_memory_gb,
        )
        if fault is not None:
            raise ValueError(fault)
        return self


class Athena(_Section):
    """Limits of SQL."""

    scan_limit_mb: int = Field(
        default=10_000, ge=MIN_SCAN_LIMIT_MB, description=f"Most data that one query may read; Athena's floor is {MIN_SCAN_LIMIT_MB}."
    )
    hourly_scan_mb: int = Field(default=100_000, ge=1, description="Data that all queries may read in an hour before somebody is told.")
    failed_queries: int = Field(default=10, ge=1, description="Failed queries in five minutes of which somebody is told.")


class Warehouse(_Section):
    """The warehouse, which loads of pipelines fill."""

    kind: Literal["none", "serverless"] = Field(
        default="none", description="Redshift Serverless, or no warehouse: then no pipeline may load."
    )
    base_rpu: int = Field(default=8, ge=4, le=1024, description="Capacity that a query begins with: 4, or a multiple of 8.")
    max_rpu: int = Field(default=32, ge=4, le=1024, description="Most capacity at a time, and so the most that an hour costs.")
    query_timeout_minutes: int = Field(default=60, ge=1, le=1440, description="A query or load that runs longer is stopped.")


class Lifecycle(_Section):
    """Ages, in days, at which objects move or go. Tables are never archived or expired by these rules."""

    standard_ia_days: int = Field(default=30, ge=30, description="Raw files move to Standard-IA; S3's floor is 30.")
    glacier_ir_days: int = Field(default=90, ge=1, description="Raw files move to Glacier Instant Retrieval.")
    deep_archive_days: int = Field(default=365, ge=1, description="Raw files move to Deep Archive.")
    expire_days: int = Field(default=2555, ge=1, description="Raw files are deleted.")
    raw_noncurrent_days: int = Field(
        default=90,
        ge=1,
        description="Raw files that a newer version replaced, or that were deleted, go for good; until then their run can be repeated.",
    )
    noncurrent_days: int = Field(default=7, ge=1, description="Overwritten and deleted objects of every other zone go for good.")
    logs_expire_days: int = Field(default=365, ge=1, description="Manifests and what runs staged are deleted.")
    query_results_expire_days: int = Field(default=30, ge=1, description="Results of Athena queries are deleted.")

    @model_validator(mode="after")
    def _ladder(self) -> Lifecycle:
        # S3 wants an object to stay at least 30 days in Standard-IA and 90 in Glacier Instant Retrieval before it moves on.
        if self.glacier_ir_days < self.standard_ia_days + 30:
            raise ValueError(
                f"glacier_ir_days must be at least standard_ia_days + 30 = {self.standard_ia_days + 30}, got {self.glacier_ir_days}"
            )
        if self.deep_archive_days < self.glacier_ir_days + 90:
            raise ValueError(
                f"deep_archive_days must be at least glacier_ir_days + 90 = {self.glacier_ir_days + 90}, got {self.deep_archive_days}"
            )
        if self.expire_days <= self.deep_archive_days:
            raise ValueError(f"expire_days must be more than deep_archive_days = {self.deep_archive_days}, got {self.expire_days}")
        return self


class Database(_Section):
    """A relational database that is read: one that the platform makes, or, with `secret_arn` and `reader_endpoint`, one that is there."""

    engine: Literal["postgres", "mysql", "aurora-postgresql", "aurora-mysql"] = Field(default="postgres", description="Engine.")
    dbname: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$-]{0,62}$", description="Database in it.")
    version: str = Field(default="18", pattern=r"^[0-9]+(\.[0-9a-z_]+)*$", description="Version of the engine, if the platform makes it.")
    instance_class: str = Field(
        default="db.t4g.medium",
        pattern=r"^db\.[a-z0-9-]+\.[a-z0-9]+$",
        description="Class of writer and readers, if the platform makes it.",
    )
    storage_gb: int = Field(default=20, ge=20, le=65_536, description="Storage, if the platform makes it; Aurora's grows by itself.")
    readers: int = Field(default=1, ge=0, le=5, description="Read replicas, if the platform makes it; extraction reads the first.")
    multi_az: bool = Field(default=False, description="Whether a standby in another zone waits for the writer's failure; nobody reads it.")
    backup_days: int = Field(default=7, ge=1, le=35, description="Days for which backups are kept, if the platform makes it.")
    deletion_protection: bool = Field(default=True, description="Whether RDS refuses to delete it.")
    iam_authentication: bool = Field(default=False, description="Whether users may log in with a token of IAM.")
    parameters: dict[str, str] = Field(default_factory=dict, description="Parameters of the engine over the platform's own.")
    secret_arn: str | None = Field(
        default=None,
        pattern=r"^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+-[A-Za-z0-9]{6}$",
        description="Complete ARN of the secret of a database that is there: JSON with `username` and `password`.",
    )
    secret_key_arn: str | None = Field(
        default=None, pattern=r"^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", description="ARN of the customer key of that secret."
    )
    reader_endpoint: str | None = Field(
        default=None, min_length=1, description="Host of a read replica of a database that is there, or the reader endpoint of its cluster."
    )
    writer_endpoint: str | None = Field(default=None, min_length=1, description="Host of its writer, read only with a reason.")
    port: int | None = Field(
        default=None, ge=1, le=65_535, description="Port of a database that is there; the engine's usual one if left out."
    )
    reads_writer_because: str | None = Field(
        default=None, min_length=10, description="Why extraction may load the writer; a connection without a reader is refused else."
    )

    @property
    def is_existing(self) -> bool:
        """Whether it is there already."""
        return self.secret_arn is not None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Database:
        given = [
            name
            for name in ("secret_arn", "secret_key_arn", "reader_endpoint", "writer_endpoint", "port")
            if getattr(self, name) is not None
        ]
        missing = [name for name in ("secret_arn", "secret_key_arn") if getattr(self, name) is None]
        if given and missing:
            raise ValueError(f"a database that is there needs {' and '.join(missing)} beside {', '.join(given)}")
        made = sorted(self.model_fields_set & _MADE_ONLY)
        if given and made:
            raise ValueError(
                f"{', '.join(made)} is said of a database that the platform makes, but secret_arn of one that is there: keep one"
            )
        reader = self.reader_endpoint
        if given and self.reads_writer_because is None and (reader is None or reader == self.writer_endpoint or is_aurora_writer(reader)):
            raise ValueError(
                "extraction would load the writer: reader_endpoint must be a read replica or the reader endpoint of the cluster (…cluster-ro-…), "
                "or reads_writer_because must say why"
            )
        if not given and self.readers == 0 and self.reads_writer_because is None:
            raise ValueError("extraction would load the writer: readers must be at least 1, or reads_writer_because must say why")
        return self


_MADE_ONLY = frozenset(
    {
        "version",
        "instance_class",
        "storage_gb",
        "readers",
        "multi_az",
        "backup_days",
        "deletion_protection",
        "iam_authentication",
        "parameters",
    }
)
"""Keys of a database that the platform makes."""


class Audit(_Section):
    """What the audit keeps."""

    ttl_days: int = Field(default=90, ge=1, le=3650, description="Age at which items of runs are deleted.")


_Subnets = Annotated[tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")], ...], Field(strict=False)]
"""Subnets by their ids."""


class ExistingVpc(_Section):
    """A VPC that somebody else made."""

    id: str = Field(pattern=r"^vpc-[0-9a-f]{8,17}$", description="Id of an existing VPC; then there is no `network.cidr`.")
    cidr: str | None = Field(default=None, description="Its range, if no environment's network may overlap it.")
    private_subnet_ids: _Subnets = Field(
        default=(), description="Subnets for jobs: two or three, each in a zone of its own, a /24 or larger, not public."
    )
    isolated_subnet_ids: _Subnets = Field(
        default=(), description="As many for databases, in the same zones; those of the jobs if left out."
    )

    @model_validator(mode="after")
    def _subnets_fit(self) -> ExistingVpc:
        if not ZONES[0] <= len(self.private_subnet_ids) <= ZONES[-1]:
            raise ValueError(f"private_subnet_ids must name {ZONES[0]} or {ZONES[-1]} subnets, got {len(self.private_subnet_ids)}")
        if len(self.isolated_subnet_ids) not in {0, len(self.private_subnet_ids)}:
            raise ValueError(
                f"isolated_subnet_ids must be as many as private_subnet_ids, {len(self.private_subnet_ids)}, or none, got {len(self.isolated_subnet_ids)}"
            )
        if self.cidr is not None:
            _require_range(self.cidr)
        return self


class Network(_Section):
    """Where jobs, databases and warehouses live."""

    cidr: str | None = Field(
        default=None,
        description="Range of the VPC, a /16 to a /20, of which no other environment has a part; required without `network.vpc`.",
    )
    availability_zones: int = Field(
        default=2, ge=ZONES[0], le=ZONES[-1], description="Zones that the VPC spans; which ones is AWS's choice."
    )
    nat_gateways: int = Field(
        default=0, ge=0, le=ZONES[-1], description="Ways out to the internet, at most one a zone; about 33 dollars a month each, and data."
    )
    interface_endpoints: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(), description="AWS services within reach without a way out; about 7 dollars a month and zone each. See docs/deploying.md."
    )
    flow_logs: Literal["all", "reject", "none"] = Field(default="all", description="Traffic that is recorded.")
    vpc: ExistingVpc | None = Field(default=None, description="A VPC that exists, in place of one that is made.")

    @model_validator(mode="after")
    def _fits_together(self) -> Network:
        if self.cidr is not None and self.vpc is not None:
            raise ValueError("cidr and vpc contradict each other: keep cidr for a VPC that is made, or vpc for one that exists")
        if self.cidr is not None:
            _require_range(self.cidr)
        if self.nat_gateways > (0 if self.vpc is not None else self.availability_zones):
            most = "0, an existing VPC has its own ways out" if self.vpc is not None else f"availability_zones = {self.availability_zones}"
            raise ValueError(f"nat_gateways must be at most {most}, got {self.nat_gateways}")
        unknown = [service for service in self.interface_endpoints if service not in INTERFACE_SERVICES]
        if unknown:
            raise ValueError(f"interface_endpoints knows no {', '.join(unknown)}: it knows {', '.join(INTERFACE_SERVICES)}")
        if len(set(self.interface_endpoints)) < len(self.interface_endpoints):
            raise ValueError(f"interface_endpoints names a service twice, got {', '.join(self.interface_endpoints)}")
        return self

    @property
    def range(self) -> str | None:
        """Addresses that no other environment may have; None if nobody says them."""
        return self.vpc.cidr if self.vpc is not None else self.cidr


def _require_range(cidr: str) -> None:
    problem = problem_of_range(cidr)
    if problem:
        raise ValueError(f"cidr: {problem}")


class Environment(_Section):
    """One environment: what differs from the others."""

    env: str = Field(description="Name of the environment; it is the name of its file and is not written into it.")
    project: str = Field(pattern=PROJECT, description="Name of the project, first part of parameter paths and log groups.")
    name_prefix: str = Field(
        default="",
        pattern=PREFIX,
        max_length=MAX_PREFIX,
        description="First part of every physical name; `<project>-<env>` if left out.",
    )
    database_prefix: str = Field(
        default="",
        pattern=DATABASE_PREFIX,
        description="Put before every catalog database, for environments that share an account and region.",
    )
    account: str | None = Field(
        default=None, pattern=r"^[0-9]{12}$", description="AWS account id; if left out, that of the credentials at deployment."
    )
    region: str | None = Field(
        default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", description="AWS region; if left out, that of the credentials at deployment."
    )
    removal: Literal["retain", "destroy"] = Field(
        default="retain", description="What happens to data when its stack goes; destroying also needs the context flag."
    )
    termination_protection: bool = Field(default=False, description="Whether CloudFormation refuses to delete the stacks.")
    permissions_boundary: str | None = Field(default=None, min_length=1, description="Name of the managed policy that bounds every role.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of every resource, beside project and environment.")
    log_retention_days: int = Field(default=90, description="Age at which log events are deleted; one of the periods of CloudWatch Logs.")
    alerts: Alerts = Field(default_factory=Alerts)
    arrivals: Arrivals = Field(default_factory=Arrivals)
    schedules: Schedules = Field(default_factory=Schedules)
    glue: Glue = Field(default_factory=Glue)
    emr_serverless: EmrServerless = Field(default_factory=EmrServerless)
    emr: Emr = Field(default_factory=Emr)
    athena: Athena = Field(default_factory=Athena)
    warehouse: Warehouse = Field(default_factory=Warehouse)
    lifecycle: Lifecycle = Field(default_factory=Lifecycle)
    databases: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,23}$")], Database] = Field(
        default_factory=dict[str, Database], description="Relational databases that are read, by the name of their connection."
    )
    audit: Audit = Field(default_factory=Audit)
    network: Network = Field(default_factory=Network)

    @field_validator("databases", mode="before")
    @classmethod
    def _without_those_taken_away(cls, value: Any) -> Any:
        """An environment takes a database of base.yaml away by `shop: null`."""
        return {name: database for name, database in value.items() if database is not None} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _retention_exists(self) -> Environment:
        if self.log_retention_days not in LOG_RETENTION_DAYS:
            raise ValueError(f"log_retention_days must be one of {', '.join(map(str, LOG_RETENTION_DAYS))}, got {self.log_retention_days}")
        if self.removal == "destroy" and self.termination_protection:
            raise ValueError("removal: destroy and termination_protection: true contradict each other: keep one")
        return self

    @property
    def metrics_namespace(self) -> str:
        """CloudWatch namespace of every metric."""
        return METRICS_NAMESPACE

    def names(self, *, account: str | None = None, region: str | None = None) -> Names:
        """Names of this environment.

        Args:
            account: Account id, or a CloudFormation token; the config's by default.
            region: Region, or a CloudFormation token; the config's by default.

        Raises:
            ValueError: Neither the call nor the config says it.
        """
        account, region = account or self.account, region or self.region
        if account is None or region is None:
            raise ValueError(
                f"the environment {self.env!r} has no account and region: pass them, or set account and region in config/{self.env}.yaml"
            )
        return Names(
            project=self.project,
            env=self.env,
            prefix=self.name_prefix,
            account=account,
            region=region,
            database_prefix=self.database_prefix,
        )


def environment_names(folder: Path) -> tuple[str, ...]:
    """Names of the environments that a config folder describes, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml") if path.stem != BASE))


def load_environment(folder: Path, env: str | None, *, root: Path | None = None) -> Environment:
    """Load one environment, and check that it shares no names with the others.

    Args:
        folder: Folder with base.yaml and <env>.yaml.
        env: Name of the environment.
        root: Folder that paths in errors are relative to; the parent of `folder` by default.

    Raises:
        ConfigurationError: There is no such environment, a file has faults, or two environments would share names.
    """
    root = folder.parent if root is None else root
    known = environment_names(folder)
    if env is None or env not in known:
        problem = "no environment is given" if env is None else f"there is no environment {env!r}"
        fix = nearest(env or "", known) if known else f"write {folder.name}/base.yaml and {folder.name}/dev.yaml"
        raise ConfigurationError([Fault(file=f"{folder.name}/", line=0, place="env", problem=problem, fix=fix)])
    faults: list[Fault] = []
    base = read_document(folder / f"{BASE}.yaml", root=root, faults=faults)
    loaded: dict[str, Environment] = {}
    for name in (env, *(other for other in known if other != env)):
        mine: list[Fault] = []
        document = read_document(folder / f"{name}.yaml", root=root, faults=mine)
        environment = _validated(name, base, document, mine) if base is not None and document is not None else None
        if environment is not None:
            loaded[name] = environment
            if name != env and env in loaded:
                faults += _shared(loaded[env], environment, document)
        if name == env:
            faults += mine
    if faults:
        raise ConfigurationError(faults)
    return loaded[env]


def reference() -> dict[str, str]:
    """Generated parts of docs/configuration.md by name."""
    return {"keys": "\n".join(["| key | default | allowed | meaning |", "|---|---|---|---|", *_reference_rows(Environment, "")])}


@dataclass(frozen=True, kw_only=True)
class _Layers:
    """The two documents of an environment."""

    base: Document
    top: Document

    def fault(self, place: Place, problem: str, fix: str) -> Fault:
        """A fault in the layer that says the value."""
        return (self.top if _has(self.top.value, place) or not _has(self.base.value, place) else self.base).fault(place, problem, fix)


def _validated(name: str, base: Document, document: Document, faults: list[Fault]) -> Environment | None:
    layers = _Layers(base=base, top=document)
    merged = _merged(base.value, document.value)
    if "env" in merged:
        faults.append(layers.fault(("env",), "is written in the file", f"remove it: the environment is named by its file, {name}.yaml"))
    merged["env"] = name
    if "name_prefix" not in merged and isinstance(merged.get("project"), str):
        merged["name_prefix"] = f"{merged['project']}-{name}"
    try:
        environment = Environment.model_validate(merged)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            place: Place = tuple(detail["loc"])
            problem, fix = _explained(detail, place)
            faults.append(layers.fault(place, problem, fix))
        return None
    if environment.network.cidr is None and environment.network.vpc is None:
        fix = f"add network: {{cidr: 10.0.0.0/16}} to config/{name}.yaml, a range that no other environment has, or network: {{vpc: …}} for a VPC that exists"
        faults.append(layers.fault(("network", "cidr"), "is missing", fix))
        return None
    return environment


def _merged(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _has(value: Any, place: Place) -> bool:
    for part in place:
        keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        if part not in keys:
            return False
        inside: Any = value
        value = inside[part]
    return True


def _explained(detail: Any, place: Place) -> tuple[str, str]:
    """What is wrong and what to write, from pydantic's account of it."""
    kind, given, context = detail["type"], detail.get("input"), detail.get("ctx") or {}
    if kind == "extra_forbidden":
        section = _section(place[:-1])
        return f"there is no key {place[-1]!r}", nearest(str(place[-1]), [key for key in section.model_fields if key != "env"])
    if kind == "missing":
        return "is missing", f"add {dotted(place)} to config/base.yaml" if len(place) == 1 else f"add {dotted(place)}"
    if kind == "value_error":
        problem, _, fix = str(context.get("error")).partition(", got ")
        return (f"{problem}, got {fix}" if fix else problem), "correct the values in this section"
    if kind == "literal_error":
        return f"{given!r} is not allowed", f"use {context.get('expected')}"
    description = _description(place)
    return f"{given!r} is wrong: {detail['msg']}", f"correct {dotted(place)}" + (
        f" ({description.removesuffix('.')})" if description else ""
    )


def _section(place: Place) -> type[BaseModel]:
    section: type[BaseModel] = Environment
    for part in place:
        field = section.model_fields.get(str(part))
        section = (_section_in(field.annotation) if field else None) or section
    return section


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a key holds, itself or under names that people choose; None if it holds none."""
    options = get_args(annotation)[1:] if get_origin(annotation) is dict else (annotation, *get_args(annotation))
    return next((option for option in options if isinstance(option, type) and issubclass(option, BaseModel)), None)


def _description(place: Place) -> str:
    names = [part for part in place if isinstance(part, str)]
    field = _section(tuple(names[:-1])).model_fields.get(names[-1]) if names else None
    return (field.description or "") if field else ""


def _shared(mine: Environment, other: Environment, document: Document | None) -> list[Fault]:
    """Faults of two environments that would give the same name to two things."""
    faults: list[Fault] = []
    file = document.file if document else f"{other.env}.yaml"

    def differ(a: str | None, b: str | None) -> bool:
        return a is not None and b is not None and a != b

    ranges = mine.network.range, other.network.range
    if ranges[0] is not None and ranges[1] is not None and overlap(ranges[0], ranges[1]) and not _same_vpc(mine, other):
        faults.append(
            Fault(
                file=file,
                line=document.line(("network",)) if document else 0,
                place="network.cidr",
                problem=f"the networks of {mine.env!r} ({ranges[0]}) and {other.env!r} ({ranges[1]}) overlap, so they could never be connected",
                fix="give each environment a range of its own",
            )
        )
    if differ(mine.account, other.account):
        return faults
    line = document.line(("name_prefix",)) if document else 0
    shorter, longer = sorted((mine.name_prefix, other.name_prefix), key=len)
    if f"{longer}-".startswith(f"{shorter}-"):
        # Roles are the account's whatever the region, and rules on `<prefix>-*` would take the other's runs and alarms for their own.
        problem = f"the environments {mine.env!r} and {other.env!r} share the name prefix {shorter!r}"
        if shorter != longer:
            problem += f": names of {longer!r} begin with it"
        faults.append(
            Fault(
                file=file,
                line=line,
                place="name_prefix",
                problem=problem,
                fix="give each its own name_prefix, of which none begins another up to a hyphen, or its own account",
            )
        )
    same_place = mine.account is not None and mine.account == other.account and mine.region is not None and mine.region == other.region
    if same_place and mine.database_prefix == other.database_prefix:
        problem = f"the environments {mine.env!r} and {other.env!r} share an account, a region and the catalog databases"
        faults.append(
            Fault(file=file, line=line, place="database_prefix", problem=problem, fix=f"add database_prefix: {other.env}_ to {file}")
        )
    return faults


def _same_vpc(mine: Environment, other: Environment) -> bool:
    return mine.network.vpc is not None and other.network.vpc is not None and mine.network.vpc.id == other.network.vpc.id


def _reference_rows(section: type[BaseModel], prefix: str) -> list[str]:
    rows: list[str] = []
    for name, field in section.model_fields.items():
        annotation = field.annotation
        inner = _section_in(annotation)
        if inner is not None:
            rows += _reference_rows(inner, f"{prefix}{name}.{'<name>.' if get_origin(annotation) is dict else ''}")
        elif name != "env":
            default = "required" if field.is_required() else _shown(field.get_default(call_default_factory=True))
            rows.append(f"| `{prefix}{name}` | {default} | {_allowed(annotation, field.metadata)} | {field.description} |")
    return rows


def _shown(value: Any) -> str:
    if value in (None, "", (), {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _allowed(annotation: Any, metadata: list[Any]) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(annotation))
    bounds = {key: getattr(item, key) for item in metadata for key in ("ge", "le") if getattr(item, key, None) is not None}
    if bounds:
        return f"{bounds.get('ge', '')} to {bounds['le']}" if "le" in bounds else f"{bounds['ge']} or more"
    return "true, false" if annotation is bool else ""
