"""The sections of an environment file."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lakehouse.databases import is_aurora_writer
from lakehouse.networks import INTERFACE_SERVICES, ZONES, problem_of_range
from lakehouse.warehouse.nodes import node_problem
from lakehouse.warehouse.wlm import LOADS, Priority, Queue, wlm_json
from lakehouse.worker_sizes import cluster_fault, serverless_fault

MIN_SCAN_LIMIT_MB = 10
"""Athena's floor."""


class Section(BaseModel):
    """A part of an environment file: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Alerts(Section):
    """Who hears of failures."""

    emails: Annotated[tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")], ...], Field(strict=False)] = Field(
        default=(), description="Addresses that are subscribed to the critical and warning topics; each confirms by mail."
    )


class Arrivals(Section):
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


class Schedules(Section):
    """What the clock may start."""

    enabled: bool = Field(
        default=True, description="Whether schedules fire; where they do not, `lake run` starts a pipeline by hand, and so do arrivals."
    )


class Glue(Section):
    """Size of Spark jobs on Glue."""

    version: Literal["5.1", "6.0"] = Field(default="6.0", description="Glue release.")
    worker_type: Literal["G.1X", "G.2X", "G.4X", "G.8X"] = Field(default="G.1X", description="Type of worker.")
    workers: int = Field(default=2, ge=2, le=299, description="Number of workers of a job, the driver included.")
    timeout_minutes: int = Field(default=60, ge=1, le=1440, description="A job run that takes longer is stopped.")


class EmrServerless(Section):
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


class Emr(Section):
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


class Athena(Section):
    """Limits of SQL."""

    scan_limit_mb: int = Field(
        default=10_000, ge=MIN_SCAN_LIMIT_MB, description=f"Most data that one query may read; Athena's floor is {MIN_SCAN_LIMIT_MB}."
    )
    hourly_scan_mb: int = Field(default=100_000, ge=1, description="Data that all queries may read in an hour before somebody is told.")
    failed_queries: int = Field(default=10, ge=1, description="Failed queries in five minutes of which somebody is told.")


Labels = Annotated[tuple[str, ...], Field(strict=False)]


class WorkQueue(Section):
    """A queue of a provisioned cluster, over the default queue; a query goes to the first that it belongs to."""

    priority: Priority = Field(default="normal", description="Which queue's queries get resources first.")
    query_groups: Labels = Field(default=(), description="Labels that sessions give themselves by `SET query_group`; loads say `loads`.")
    user_groups: Labels = Field(default=(), description="Database groups whose users' queries belong here.")
    user_roles: Labels = Field(default=(), description="Database roles whose holders' queries belong here.")
    concurrency_scaling: bool = Field(default=False, description="Whether waiting queries may run on further clusters, which cost extra.")


class Cluster(Section):
    """A provisioned cluster; says nothing of Redshift Serverless."""

    node_type: str = Field(default="ra3.large", description="Type of its nodes, of the families ra3 and rg.")
    nodes: int = Field(default=2, ge=1, le=100, description="How many nodes it has.")
    queues: dict[str, WorkQueue] = Field(
        default_factory=lambda: {LOADS: WorkQueue(priority="high", query_groups=(LOADS,))},
        description="Queues by name, in their order; the default queue comes last by itself.",
    )
    snapshot_days: int = Field(default=7, ge=1, le=35, description="Days for which automated snapshots are kept.")
    maintenance_window: str = Field(default="sun:03:00-sun:03:30", description="When Redshift may restart it, in UTC.")
    pause: str | None = Field(default=None, description="When it is paused: a cron expression in UTC. Comes with `resume`.")
    resume: str | None = Field(default=None, description="When it is resumed: a cron expression in UTC.")
    spectrum_tb: int | None = Field(
        default=None, ge=1, description="TB that queries of the lake may scan in a month; then they are refused."
    )
    concurrency_scaling_minutes: int | None = Field(
        default=None, ge=1, description="Minutes of further clusters in a day; then queries wait instead."
    )

    @model_validator(mode="after")
    def _exists(self) -> Cluster:
        problem = node_problem(self.node_type, self.nodes)
        if problem:
            raise ValueError(f"node_type and nodes: {problem}")
        if (self.pause is None) != (self.resume is None):
            raise ValueError("pause and resume come together: a cluster that is only paused never comes back, so write both or none")
        wlm_json(self.work_queues)
        return self

    @property
    def work_queues(self) -> list[Queue]:
        """Its queues, in their order."""
        return [Queue(name=name, **queue.model_dump()) for name, queue in self.queues.items()]


class Warehouse(Section):
    """The warehouse, which loads of pipelines fill."""

    kind: Literal["none", "serverless", "provisioned"] = Field(
        default="none", description="Redshift Serverless, a provisioned cluster, or no warehouse: then no pipeline may load."
    )
    base_rpu: int = Field(default=8, ge=4, le=1024, description="Serverless: capacity that a query begins with: 4, or a multiple of 8.")
    max_rpu: int = Field(default=32, ge=4, le=1024, description="Serverless: most capacity at a time, and so the most that an hour costs.")
    rpu_hours: int | None = Field(
        default=None, ge=1, description="Serverless: RPU-hours that may be used in a month; then queries and loads are refused."
    )
    query_timeout_minutes: int = Field(default=60, ge=1, le=1440, description="A query or load that runs longer is stopped.")
    cluster: Cluster = Field(default_factory=Cluster, description="The provisioned cluster.")


class Lifecycle(Section):
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
    event_logs_expire_days: int = Field(default=30, ge=1, description="What Spark's UI shows of runs is deleted.")
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


class Prices(Section):
    """What `lake costs` reckons with: list prices of us-east-1 by https://aws.amazon.com/glue/pricing and https://aws.amazon.com/emr/pricing (x86); write those of your region and contract."""

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$", description="Currency of all of them.")
    glue_dpu_hour: float = Field(default=0.44, ge=0, description="A DPU of Glue for an hour.")
    glue_flex_dpu_hour: float = Field(default=0.29, ge=0, description="The same on spare capacity (FLEX).")
    emr_serverless_vcpu_hour: float = Field(default=0.052624, ge=0, description="A vCPU of EMR Serverless for an hour.")
    emr_serverless_memory_gb_hour: float = Field(default=0.0057785, ge=0, description="A GB of memory of EMR Serverless for an hour.")
    emr_serverless_disk_gb_hour: float = Field(
        default=0.000111, ge=0, description="A GB of disk of EMR Serverless for an hour, beyond the 20 of each worker."
    )


class Database(Section):
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
    data_api: bool = Field(
        default=False, description="Whether an Aurora cluster that the platform makes takes SQL over HTTPS (RDS Data API)."
    )
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
        "data_api",
        "parameters",
    }
)
"""Keys of a database that the platform makes."""


class Audit(Section):
    """What the audit keeps."""

    ttl_days: int = Field(default=90, ge=1, le=3650, description="Age at which items of runs are deleted.")


_Subnets = Annotated[tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")], ...], Field(strict=False)]
"""Subnets by their ids."""


class ExistingVpc(Section):
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


class Network(Section):
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


def section_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a key holds, itself or under names that people choose; None if it holds none."""
    options = get_args(annotation)[1:] if get_origin(annotation) is dict else (annotation, *get_args(annotation))
    return next((option for option in options if isinstance(option, type) and issubclass(option, BaseModel)), None)
