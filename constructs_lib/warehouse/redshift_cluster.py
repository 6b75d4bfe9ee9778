"""A provisioned Redshift cluster: nodes with managed storage, queues with priorities, snapshots, hours of rest and limits of what costs extra."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aws_cdk import CfnTag, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_redshift as redshift
from constructs import Construct

from constructs_lib.arns import arn, key_arn
from constructs_lib.checks import InvalidProps, require, require_range
from constructs_lib.networking.reference import NetworkReference
from constructs_lib.permissions import acknowledge, allow, service_principal, wait_for_permissions
from constructs_lib.signals import Signal
from constructs_lib.storage.data_lake import LakeBuckets
from constructs_lib.warehouse.reference import ADMIN, LOG_EXPORTS, PORT, WarehouseReference
from constructs_lib.warehouse.roles import spectrum_role, transfer_role
from lakehouse.schedules import InvalidScheduleError, check_schedule
from lakehouse.warehouse.nodes import node_problem, slices
from lakehouse.warehouse.wlm import LOAD_QUEUE, InvalidQueues, Queue, wlm_json

FAMILY = "redshift-2.0"
"""Family of parameter groups of new clusters."""

MAX_SNAPSHOT_DAYS = 35
MAX_IDENTIFIER = 63

_DAYS = "mon|tue|wed|thu|fri|sat|sun"
_WINDOW = re.compile(rf"({_DAYS}):([01]\d|2[0-3]):[0-5]\d-({_DAYS}):([01]\d|2[0-3]):[0-5]\d")
_IDENTIFIER = re.compile(r"[a-z](-?[a-z0-9])*")


@dataclass(frozen=True, kw_only=True)
class RestHours:
    """When a cluster is paused and when it is resumed, in UTC; Redshift's scheduler knows no other time zone.

    Attributes:
        pause: Such as `cron(0 19 ? * MON-FRI *)`.
        resume: Such as `cron(0 5 ? * MON-FRI *)`.
    """

    pause: str
    resume: str

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: One is no schedule of Redshift's, or both are the same.
        """
        for name, schedule in (("pause", self.pause), ("resume", self.resume)):
            require(schedule.startswith("cron("), f"{name} is a cron expression in UTC, such as cron(0 19 ? * MON-FRI *), got {schedule!r}")
            try:
                check_schedule(schedule)
            except InvalidScheduleError as error:
                raise InvalidProps(f"{name}: {error}") from error
        require(self.pause != self.resume, f"pause and resume are both {self.pause}: the cluster would be paused or not, as it happens")


@dataclass(frozen=True, kw_only=True)
class UsageLimit:
    """Most of something that costs extra.

    Attributes:
        feature: `spectrum` (TB that queries of the lake scan) or `concurrency-scaling` (minutes of further clusters).
        amount: TB or minutes.
        period: Time after which counting begins again.
        on_breach: What happens then: a line in a system table, a metric, or no more of it until the period ends.
    """

    feature: Literal["spectrum", "concurrency-scaling"]
    amount: int
    period: Literal["daily", "weekly", "monthly"] = "monthly"
    on_breach: Literal["log", "emit-metric", "disable"] = "disable"

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: The amount is none.
        """
        require(self.amount > 0, f"amount of the limit on {self.feature} must be positive, got {self.amount}")


class RedshiftCluster(Construct):
    """Private cluster of nodes with managed storage: TLS only, audit logs on, encrypted by a customer key, its admin's password kept by Redshift itself.

    Attributes:
        name: Its identifier.
        database: Database.
        cluster_arn: Its ARN.
        reference: The warehouse by name.
        ready: The cluster's resource, for what has to come after it.
        admin_environment: How a function finds it and its admin's secret.
        security_group_id: Security group; nothing may come in until let.
        transfer_role: Role of COPY and UNLOAD.
        spectrum_role: Role of external schemas.
        slices: Slices that load files side by side.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        database: str,
        network: NetworkReference,
        lake: LakeBuckets,
        data_key: kms.IKey,
        secret_key: kms.IKey,
        catalog_databases: Sequence[str] = (),
        node_type: str = "ra3.large",
        nodes: int = 2,
        queues: Sequence[Queue] = (LOAD_QUEUE,),
        query_timeout_minutes: int = 60,
        snapshot_days: int = 7,
        maintenance_window: str = "sun:03:00-sun:03:30",
        rest: RestHours | None = None,
        limits: Sequence[UsageLimit] = (),
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            name: Its identifier, up to 63 lower-case letters, digits and single hyphens.
            database: Database that is made with it.
            network: Network that it lives in; it has no public address.
            lake: Buckets of the lake.
            data_key: Key of the data and of snapshots.
            secret_key: Key of the admin's secret.
            catalog_databases: Databases of the zone gold that external schemas may show.
            node_type: Type of its nodes, of the families ra3 and rg.
            nodes: How many.
            queues: Queues of queries over the default queue, which is made by itself; a query goes to the first that it belongs to.
            query_timeout_minutes: A statement that runs longer is stopped by Redshift.
            snapshot_days: Days for which automated snapshots are kept, 1-35; nodes with managed storage are never without, and a pause needs one.
            maintenance_window: When Redshift may restart it, in UTC.
            rest: When it is paused and resumed; None: never.
            limits: Limits of what costs extra.
            removal_policy: What happens to the data when the stack goes. RETAIN keeps the cluster; DESTROY loses the data.
        """
        super().__init__(scope, id)
        problem = node_problem(node_type, nodes)
        require(not problem, f"node_type and nodes: {problem}")
        require(
            _IDENTIFIER.fullmatch(name) is not None and len(name) <= MAX_IDENTIFIER,
            f"name is up to {MAX_IDENTIFIER} lower-case letters, digits and single hyphens, a letter first and no hyphen last, got {name!r}",
        )
        require_range(query_timeout_minutes, name="query_timeout_minutes", at_least=1, at_most=24 * 60)
        require_range(
            snapshot_days, name="snapshot_days", at_least=1, at_most=MAX_SNAPSHOT_DAYS, why="a pause and a restore need a snapshot"
        )
        require(
            _WINDOW.fullmatch(maintenance_window) is not None,
            f"maintenance_window is ddd:hh:mm-ddd:hh:mm in UTC, such as sun:03:00-sun:03:30, got {maintenance_window!r}",
        )
        _check_limits(limits)
        self.transfer_role = transfer_role(self, "TransferRole", warehouse=name, lake=lake)
        self.spectrum_role = spectrum_role(self, "SpectrumRole", warehouse=name, lake=lake, databases=catalog_databases)
        group = ec2.CfnSecurityGroup(
            self,
            "SecurityGroup",
            group_description=f"Redshift cluster {name}",
            vpc_id=network.vpc_id,
            security_group_egress=[
                {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIp": "0.0.0.0/0", "description": "AWS APIs, by endpoint or NAT"}
            ],
            tags=[CfnTag(key="Name", value=name)],
        )
        subnets = redshift.CfnClusterSubnetGroup(
            self, "Subnets", description=f"Subnets of {name}", subnet_ids=list(network.private_subnet_ids)
        )
        parameters = redshift.CfnClusterParameterGroup(
            self,
            "Parameters",
            description=f"Parameters of {name}",
            parameter_group_family=FAMILY,
            parameters=_parameters(queues, query_timeout_minutes),
        )
        resource = redshift.CfnCluster(
            self,
            "Resource",
            cluster_identifier=name,
            cluster_type="multi-node" if nodes > 1 else "single-node",
            node_type=node_type,
            number_of_nodes=nodes if nodes > 1 else None,
            db_name=database,
            master_username=ADMIN,
            manage_master_password=True,
            master_password_secret_kms_key_id=key_arn(secret_key),
            encrypted=True,
            kms_key_id=key_arn(data_key),
            iam_roles=[self.transfer_role.role_arn, self.spectrum_role.role_arn],
            enhanced_vpc_routing=True,
            publicly_accessible=False,
            port=PORT,
            cluster_subnet_group_name=subnets.ref,
            cluster_parameter_group_name=parameters.ref,
            vpc_security_group_ids=[group.attr_group_id],
            availability_zone_relocation=True,
            automated_snapshot_retention_period=snapshot_days,
            preferred_maintenance_window=maintenance_window,
            allow_version_upgrade=True,
            logging_properties=redshift.CfnCluster.LoggingPropertiesProperty(
                log_destination_type="cloudwatch", log_exports=list(LOG_EXPORTS)
            ),
        )
        resource.apply_removal_policy(removal_policy)
        acknowledge(
            resource, "AwsSolutions-RS4", reason="Who reaches the cluster is said by its security group; another port keeps nobody out."
        )
        self.name = name
        self.database = database
        self.cluster_arn = arn("redshift", f"cluster:{name}")
        self.security_group_id = group.attr_group_id
        self.ready = resource
        self.slices = slices(node_type, nodes)
        self.reference = WarehouseReference(kind="provisioned", name=name, arn=self.cluster_arn, database=database)
        self.grants = self.reference.grants
        self._secret_arn = resource.attr_master_password_secret_arn
        self.admin_environment: Mapping[str, str] = {"ADMIN_SECRET_ARN": self._secret_arn, "CLUSTER": name, "DATABASE": database}
        self._limit(limits)
        if rest is not None:
            self._rest(rest)

    def grant_administration(self, grantee: iam.IGrantable, *, secret_key: kms.IKey) -> iam.Grant:
        """Let a function act as the admin."""
        return self.grants.administer(grantee, secret_arn=self._secret_arn, secret_key=secret_key)

    def health_signal(self) -> Signal:
        """1 while the cluster answers, 0 while it does not; none while it is paused."""
        return self._signal("HealthStatus", statistic="Minimum")

    def disk_percent_signal(self) -> Signal:
        """How much of the nodes' own disks is in use."""
        return self._signal("PercentageDiskSpaceUsed", statistic="Maximum")

    def _signal(self, name: str, *, statistic: str) -> Signal:
        return Signal(namespace="AWS/Redshift", name=name, dimensions={"ClusterIdentifier": self.name}, statistic=statistic, minutes=5)

    def _limit(self, limits: Sequence[UsageLimit]) -> None:
        for limit in limits:
            redshift.CfnUsageLimit(
                self,
                f"{_pascal(limit.feature)}{limit.period.capitalize()}Limit",
                cluster_identifier=self.ready.ref,
                feature_type=limit.feature,
                limit_type="data-scanned" if limit.feature == "spectrum" else "time",
                amount=limit.amount,
                period=limit.period,
                breach_action=limit.on_breach,
            )

    def _rest(self, rest: RestHours) -> None:
        role = iam.Role(
            self,
            "RestRole",
            assumed_by=service_principal("scheduler.redshift.amazonaws.com"),
            description=f"Pauses and resumes the cluster {self.name}",
        )
        allow(role, actions=["redshift:PauseCluster", "redshift:ResumeCluster"], resources=[self.cluster_arn])
        for verb, schedule in (("pause", rest.pause), ("resume", rest.resume)):
            cluster = {"cluster_identifier": self.ready.ref}
            pausing = redshift.CfnScheduledAction.PauseClusterMessageProperty(**cluster) if verb == "pause" else None
            resuming = redshift.CfnScheduledAction.ResumeClusterMessageProperty(**cluster) if verb == "resume" else None
            action = redshift.CfnScheduledAction(
                self,
                verb.capitalize(),
                scheduled_action_name=f"{self.name}-{verb}",
                scheduled_action_description=f"{verb.capitalize()} the cluster {self.name}",
                schedule=schedule,
                iam_role=role.role_arn,
                enable=True,
                target_action=redshift.CfnScheduledAction.ScheduledActionTypeProperty(pause_cluster=pausing, resume_cluster=resuming),
            )
            wait_for_permissions(action, role)


def _parameters(queues: Sequence[Queue], query_timeout_minutes: int) -> list[redshift.CfnClusterParameterGroup.ParameterProperty]:
    """What holds for every session of the cluster.

    Raises:
        InvalidProps: Redshift would not take the queues.
    """
    try:
        wlm = wlm_json(queues)
    except InvalidQueues as error:
        raise InvalidProps(f"queues: {error}") from error
    values = {
        "auto_analyze": "true",
        "enable_user_activity_logging": "true",
        "require_ssl": "true",
        "statement_timeout": str(query_timeout_minutes * 60_000),
        "wlm_json_configuration": wlm,
    }
    return [
        redshift.CfnClusterParameterGroup.ParameterProperty(parameter_name=name, parameter_value=value) for name, value in values.items()
    ]


def _check_limits(limits: Sequence[UsageLimit]) -> None:
    asked = [(limit.feature, limit.period) for limit in limits]
    twice = sorted({limit for limit in asked if asked.count(limit) > 1})
    require(not twice, f"limits: {' '.join(twice[0]) if twice else ''} stands twice: keep one of the two")


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))
