"""A relational database that data is read from: private, encrypted, TLS only, with a reader for extraction."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import CfnTag, Duration, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from constructs import Construct

from constructs_lib.arns import ACCOUNT, arn, key_arn
from constructs_lib.checks import require, require_one_of, require_range
from constructs_lib.ingestion.database_connection import NAME
from constructs_lib.networking.reference import NetworkReference
from constructs_lib.permissions import acknowledge, allow, service_principal, service_principal_conditions
from constructs_lib.security.data_keys import READ, through
from lakehouse.databases import ENGINES, PORTS
from lakehouse.naming import Names

MIN_STORAGE_GB = 20
MAX_STORAGE_GB = 65_536
MIN_BACKUP_DAYS = 1
MAX_BACKUP_DAYS = 35
MAX_READERS = 5
MONITORING_SECONDS = 60
"""Time between two readings of enhanced monitoring."""

MASTER_USER = "lakehouse_owner"
"""Master user of every database; its password is RDS's own affair, in Secrets Manager."""

DATA_API_ACTIONS = (
    "rds-data:BatchExecuteStatement",
    "rds-data:BeginTransaction",
    "rds-data:CommitTransaction",
    "rds-data:ExecuteStatement",
    "rds-data:RollbackTransaction",
)
"""What SQL by the RDS Data API needs on the cluster."""

_CLASS = re.compile(r"db\.[a-z0-9-]+\.[a-z0-9]+")
_VERSION = re.compile(r"[0-9]+(\.[0-9a-z_]+)*")
_RESERVED = frozenset({"postgres", "rdsadmin", "template0", "template1", "mysql", "information_schema", "performance_schema", "sys"})


@dataclass(frozen=True, kw_only=True)
class DatabaseEngine:
    """An engine, as RDS names and sets it.

    Attributes:
        name: postgres, mysql, aurora-postgresql or aurora-mysql.
        version: Version, such as `18` (RDS chooses the minor one) or `8.4.6`; for Aurora the version of Aurora.
        parameters: Parameters over the platform's own, such as `{"rds.logical_replication": "1"}`.
    """

    name: str = "postgres"
    version: str = "18"
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: There is no such engine, the version is none, or a parameter would switch TLS off.
        """
        require_one_of(self.name, ENGINES, name="engine")
        require(
            _VERSION.fullmatch(self.version) is not None, f"version is a version of {self.name}, such as 18 or 8.4.6, got {self.version!r}"
        )
        for name in self._tls:
            require(
                name not in self.parameters,
                f"parameters: {name} is what enforces TLS, and the platform sets it: remove it from the parameters",
            )

    @property
    def is_cluster(self) -> bool:
        """Whether it is Aurora."""
        return self.name.startswith("aurora-")

    @property
    def is_postgres(self) -> bool:
        """Whether it speaks PostgreSQL."""
        return ENGINES[self.name] == "postgresql"

    @property
    def port(self) -> int:
        """Usual port."""
        return PORTS[ENGINES[self.name]]

    @property
    def family(self) -> str:
        """Family of parameter groups."""
        parts = self.version.split(".")
        if self.is_postgres:
            return f"{self.name}{parts[0]}"
        if self.is_cluster:
            return "aurora-mysql8.0"
        require(len(parts) > 1, f"version of mysql has two parts at least, such as 8.4, got {self.version!r}")
        return f"mysql{parts[0]}.{parts[1]}"

    @property
    def settings(self) -> dict[str, str]:
        """Every parameter that is set."""
        logs = {"log_connections": "1", "log_disconnections": "1"} if self.is_postgres else {}
        return {**logs, **self.parameters, **self._tls}

    @property
    def logs(self) -> list[str]:
        """Logs that go to CloudWatch."""
        return {
            "postgres": ["postgresql", "upgrade"],
            "mysql": ["error", "slowquery"],
            "aurora-postgresql": ["postgresql"],
            "aurora-mysql": ["audit", "error", "slowquery"],
        }[self.name]

    @property
    def _tls(self) -> dict[str, str]:
        return {"rds.force_ssl": "1"} if self.is_postgres else {"require_secure_transport": "ON" if self.is_cluster else "1"}


class SourceDatabase(Construct):
    """Database with a managed password, a reader, backups, logs, and a security group that admits the jobs alone.

    Attributes:
        reader_host: Endpoint of the reader; None if there is no reader.
        reader_port: Its port.
        writer_host: Endpoint of the writer.
        writer_port: Its port.
        dbname: Database.
        engine: Engine.
        secret_arn: Secret that RDS made for the master user: `username` and `password`.
        security_group_id: Its security group.
        cluster_arn: ARN of the cluster, which the RDS Data API is asked by; None if it is no Aurora.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        name: str,
        dbname: str,
        network: NetworkReference,
        storage_key: kms.IKey,
        secret_key: kms.IKey,
        engine: DatabaseEngine | None = None,
        instance_class: str = "db.t4g.medium",
        storage_gb: int = MIN_STORAGE_GB,
        readers: int = 1,
        is_multi_az: bool = False,
        backup_days: int = 7,
        is_deletion_protected: bool = True,
        has_iam_authentication: bool = False,
        has_data_api: bool = False,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            name: Name of the database among those of the environment; instances are `<prefix>-<name>` and `<prefix>-<name>-reader<n>`.
            dbname: Database that is made in it.
            network: Network that it lives in, in subnets without a route out.
            storage_key: Customer key of its storage, snapshots included.
            secret_key: Customer key of the secret with its password.
            engine: Engine and version; PostgreSQL by default.
            instance_class: Class of the writer and the readers.
            storage_gb: Storage, which Aurora grows by itself.
            readers: Read replicas, 0-5; a connection reads the first.
            is_multi_az: Whether a standby in another zone waits for the writer's failure; nobody can read it. Aurora's readers are its standbys.
            backup_days: Days for which backups are kept, 1-35; a read replica needs them.
            is_deletion_protected: Whether RDS refuses to delete it.
            has_iam_authentication: Whether users may log in with a token of IAM.
            has_data_api: Whether it takes SQL over HTTPS (RDS Data API), from outside of the network too, by who has `grants.use_data_api`; Aurora alone.
            removal_policy: What happens to it when the stack goes.
        """
        super().__init__(scope, id)
        engine = engine or DatabaseEngine()
        require(
            NAME.fullmatch(name) is not None,
            f"name is made of up to 24 lower-case letters, digits and underscores, a letter first, got {name!r}",
        )
        require(
            re.fullmatch(r"[a-z][a-z0-9_]{0,62}", dbname) is not None and dbname not in _RESERVED,
            f"dbname is made of lower-case letters, digits and underscores, a letter first, and is none of the engine's own, got {dbname!r}",
        )
        require(
            _CLASS.fullmatch(instance_class) is not None, f"instance_class is a class of RDS, such as db.t4g.medium, got {instance_class!r}"
        )
        require_range(storage_gb, name="storage_gb", at_least=MIN_STORAGE_GB, at_most=MAX_STORAGE_GB, why="RDS's range for gp3")
        require_range(readers, name="readers", at_least=0, at_most=MAX_READERS)
        require_range(
            backup_days, name="backup_days", at_least=MIN_BACKUP_DAYS, at_most=MAX_BACKUP_DAYS, why="a read replica needs backups"
        )
        _check_data_api(engine, instance_class, is_wanted=has_data_api)
        self.engine, self.dbname = engine, dbname
        self.has_data_api = has_data_api
        self._identifier = f"{names.prefix}-{name.replace('_', '-')}"
        self.security_group_id = _security_group(self, self._identifier, network, engine)
        subnets = rds.CfnDBSubnetGroup(
            self,
            "Subnets",
            db_subnet_group_description=f"Subnets of {self._identifier}",
            db_subnet_group_name=self._identifier,
            subnet_ids=list(network.isolated_subnet_ids),
        )
        self._made: list[rds.CfnDBInstance | rds.CfnDBCluster] = []
        common = _Common(
            monitoring_role=_monitoring_role(self, self._identifier).role_arn, instance_class=instance_class, subnets=subnets.ref, security_group=self.security_group_id, storage_key=key_arn(storage_key),
            secret_key=key_arn(secret_key), backup_days=backup_days, is_deletion_protected=is_deletion_protected,
            has_iam_authentication=has_iam_authentication,
        )  # fmt: skip
        self.cluster_arn: str | None = None
        if engine.is_cluster:
            self.cluster_arn = arn("rds", f"cluster:{self._identifier}")
            self._cluster(common, readers=readers)
        else:
            self._instances(common, readers=readers, storage_gb=storage_gb, is_multi_az=is_multi_az)
        self.grants = SourceDatabaseGrants(self, secret_key_arn=common.secret_key)
        for made in self._made:
            made.apply_removal_policy(removal_policy)
            self._explain(
                made, is_multi_az=is_multi_az, is_deletion_protected=is_deletion_protected, has_iam_authentication=has_iam_authentication
            )

    def metric_replica_lag_seconds(self) -> cloudwatch.Metric:
        """How far the first reader is behind the writer: what extraction does not see yet."""
        name, factor = (
            ("AuroraReplicaLagMaximum", "DBClusterIdentifier") if self.engine.is_cluster else ("ReplicaLag", "DBInstanceIdentifier")
        )
        identifier = self._identifier if self.engine.is_cluster else f"{self._identifier}-reader1"
        return _metric(name, {factor: identifier})

    def metric_connections(self) -> cloudwatch.Metric:
        """Connections to the writer."""
        key = "DBClusterIdentifier" if self.engine.is_cluster else "DBInstanceIdentifier"
        return _metric("DatabaseConnections", {key: self._identifier})

    def _instances(self, common: _Common, *, readers: int, storage_gb: int, is_multi_az: bool) -> None:
        engine = self.engine
        group = rds.CfnDBParameterGroup(
            self, "Parameters", description=f"Parameters of {self._identifier}", family=engine.family, parameters=engine.settings
        )
        writer = rds.CfnDBInstance(
            self,
            "Resource",
            db_instance_identifier=self._identifier,
            db_instance_class=common.instance_class,
            engine=engine.name,
            engine_version=engine.version,
            db_name=self.dbname,
            allocated_storage=str(storage_gb),
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=common.storage_key,
            master_username=MASTER_USER,
            manage_master_user_password=True,
            master_user_secret=rds.CfnDBInstance.MasterUserSecretProperty(kms_key_id=common.secret_key),
            db_parameter_group_name=group.ref,
            backup_retention_period=common.backup_days,
            multi_az=is_multi_az,
            **_shared(common, engine),
        )
        self._made.append(writer)
        self.writer_host, self.writer_port = writer.attr_endpoint_address, writer.attr_endpoint_port
        self.secret_arn = writer.attr_master_user_secret_secret_arn
        self.reader_host: str | None = None
        self.reader_port = self.writer_port
        for number in range(1, readers + 1):
            shared = _shared(common, engine)
            shared.pop("db_subnet_group_name")  # a replica in its source's region is in its source's subnets
            reader = rds.CfnDBInstance(
                self,
                f"Reader{number}",
                db_instance_identifier=f"{self._identifier}-reader{number}",
                db_instance_class=common.instance_class,
                source_db_instance_identifier=writer.ref,
                db_parameter_group_name=group.ref,
                **shared,
            )
            self._made.append(reader)
            acknowledge(reader, "AwsSolutions-RDS3", reason="The standby is the writer's; extraction waits for a reader that comes back.")
            acknowledge(
                reader,
                "AwsSolutions-RDS2",
                reason="A replica is encrypted with its source's key; CloudFormation wants it said there alone.",
            )
            if number == 1:
                self.reader_host, self.reader_port = reader.attr_endpoint_address, reader.attr_endpoint_port

    def _cluster(self, common: _Common, *, readers: int) -> None:
        engine = self.engine
        group = rds.CfnDBClusterParameterGroup(
            self, "Parameters", description=f"Parameters of {self._identifier}", family=engine.family, parameters=engine.settings
        )
        cluster = rds.CfnDBCluster(
            self,
            "Resource",
            db_cluster_identifier=self._identifier,
            engine=engine.name,
            engine_version=engine.version,
            database_name=self.dbname,
            storage_encrypted=True,
            kms_key_id=common.storage_key,
            master_username=MASTER_USER,
            manage_master_user_password=True,
            master_user_secret=rds.CfnDBCluster.MasterUserSecretProperty(kms_key_id=common.secret_key),
            db_cluster_parameter_group_name=group.ref,
            db_subnet_group_name=common.subnets,
            vpc_security_group_ids=[common.security_group],
            backup_retention_period=common.backup_days,
            copy_tags_to_snapshot=True,
            deletion_protection=common.is_deletion_protected,
            enable_iam_database_authentication=common.has_iam_authentication,
            enable_cloudwatch_logs_exports=engine.logs,
            enable_http_endpoint=True if self.has_data_api else None,
        )
        self._made.append(cluster)
        acknowledge(
            cluster, "AwsSolutions-RDS14", reason="A backtrack would rewind what was extracted already; a restore makes another cluster."
        )
        for number in range(readers + 1):
            member = rds.CfnDBInstance(
                self,
                "Writer" if number == 0 else f"Reader{number}",
                db_instance_identifier=f"{self._identifier}-{number + 1}",
                db_cluster_identifier=cluster.ref,
                db_instance_class=common.instance_class,
                engine=engine.name,
                publicly_accessible=False,
                auto_minor_version_upgrade=True,
                monitoring_interval=MONITORING_SECONDS,
                monitoring_role_arn=common.monitoring_role,
            )
            self._made.append(member)
        self.writer_host, self.writer_port = cluster.attr_endpoint_address, cluster.attr_endpoint_port
        # With the writer alone the reader endpoint of a cluster leads to the writer.
        self.reader_host = cluster.attr_read_endpoint_address if readers else None
        self.reader_port = self.writer_port
        self.secret_arn = cluster.attr_master_user_secret_secret_arn

    def _explain(self, made: Construct, *, is_multi_az: bool, is_deletion_protected: bool, has_iam_authentication: bool) -> None:
        acknowledge(
            made, "AwsSolutions-RDS11", reason="Who reaches the database is said by its security group; another port keeps nobody out."
        )
        if not has_iam_authentication:
            acknowledge(
                made,
                "AwsSolutions-RDS6",
                reason="The one user is the master user, whose password RDS makes, rotates and keeps in Secrets Manager.",
            )
        if not is_multi_az:
            acknowledge(made, "AwsSolutions-RDS3", reason="This environment can wait for a restore; production has a standby.")
        if not is_deletion_protected:
            acknowledge(made, "AwsSolutions-RDS10", reason="This environment may be removed as a whole.")


class SourceDatabaseGrants:
    """Permissions on a database."""

    def __init__(self, database: SourceDatabase, *, secret_key_arn: str) -> None:
        self._database = database
        self._secret_key_arn = secret_key_arn

    def use_data_api(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it run SQL by the RDS Data API, as the master user: on this cluster, with this secret, decrypted through Secrets Manager alone.

        Raises:
            InvalidProps: The database has no Data API.
        """
        database = self._database
        require(database.has_data_api, "the database has no Data API: make it with has_data_api=True")
        assert database.cluster_arn is not None
        grant = allow(grantee, actions=DATA_API_ACTIONS, resources=[database.cluster_arn])
        allow(grantee, actions=["secretsmanager:GetSecretValue"], resources=[database.secret_arn])
        allow(grantee, actions=READ, resources=[self._secret_key_arn], conditions=through("secretsmanager"))
        return grant


@dataclass(frozen=True, kw_only=True)
class _Common:
    """What writer and readers have in common."""

    monitoring_role: str
    instance_class: str
    subnets: str
    security_group: str
    storage_key: str
    secret_key: str
    backup_days: int
    is_deletion_protected: bool
    has_iam_authentication: bool


def _check_data_api(engine: DatabaseEngine, instance_class: str, *, is_wanted: bool) -> None:
    """Refuse a Data API where RDS has none.

    Raises:
        InvalidProps: The engine is no Aurora, or the class is of those that share their processor.
    """
    if not is_wanted:
        return
    require(
        engine.is_cluster,
        f"has_data_api: RDS has a Data API for Aurora alone, got the engine {engine.name}: make it aurora-postgresql or aurora-mysql, or leave it off",
    )
    require(
        not instance_class.startswith("db.t"),
        f"has_data_api: the Data API is not there on T classes, got instance_class {instance_class}: take one such as db.r7g.large",
    )


def _shared(common: _Common, engine: DatabaseEngine) -> dict[str, Any]:
    """Properties of an instance outside of a cluster."""
    return {
        "db_subnet_group_name": common.subnets,
        "vpc_security_groups": [common.security_group],
        "publicly_accessible": False,
        "auto_minor_version_upgrade": True,
        "ca_certificate_identifier": "rds-ca-rsa2048-g1",
        "copy_tags_to_snapshot": True,
        "deletion_protection": common.is_deletion_protected,
        "enable_cloudwatch_logs_exports": engine.logs,
        "monitoring_interval": MONITORING_SECONDS,
        "monitoring_role_arn": common.monitoring_role,
        **({"enable_iam_database_authentication": True} if common.has_iam_authentication else {}),
    }


def _security_group(scope: Construct, identifier: str, network: NetworkReference, engine: DatabaseEngine) -> str:
    """A group that jobs may enter by the database's port, and that nothing leaves."""
    group = ec2.CfnSecurityGroup(
        scope,
        "SecurityGroup",
        group_description=f"Database {identifier}",
        vpc_id=network.vpc_id,
        security_group_egress=[
            ec2.CfnSecurityGroup.EgressProperty(
                ip_protocol="icmp", from_port=252, to_port=86, cidr_ip="255.255.255.255/32", description="Nothing leaves"
            )
        ],
        tags=[CfnTag(key="Name", value=identifier)],
    ).ref
    network.let_jobs_reach(scope, "Jobs", security_group_id=group, port=engine.port, what=f"{engine.name} of {identifier}")
    return group


def _monitoring_role(scope: Construct, identifier: str) -> iam.Role:
    """The role by which RDS writes down what an instance's processes, memory and disks do: what its own metrics cannot tell from inside."""
    role = iam.Role(
        scope,
        "MonitoringRole",
        assumed_by=service_principal("monitoring.rds.amazonaws.com", conditions=service_principal_conditions(account=ACCOUNT)),
        description=f"Enhanced monitoring of {identifier}",
    )
    group = arn("logs", "log-group:RDSOSMetrics")
    allow(role, actions=["logs:CreateLogGroup", "logs:PutRetentionPolicy"], resources=[group])
    allow(
        role,
        actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:PutLogEvents"],
        resources=[f"{group}:log-stream:*"],
        because="RDS writes a stream for each instance, by an id that it makes up.",
    )
    return role


def _metric(name: str, dimensions: dict[str, str]) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/RDS", metric_name=name, dimensions_map=dimensions, statistic="Maximum", period=Duration.minutes(5)
    )
