"""The functions that keep the record of runs and tell people of failures."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.arns import arn, execution_arn
from constructs_lib.functions import PlatformFunction
from constructs_lib.observability.alert_topics import AlertTopicNames
from constructs_lib.orchestration.emr_step import CLUSTERS, MACHINE_TAG
from constructs_lib.orchestration.run_tables import RunTableNames
from constructs_lib.permissions import NO_METRIC_RESOURCE, allow
from lakehouse.naming import METRICS_NAMESPACE, Names

RECORDER = "run-recorder"
"""Purpose of the recorder, in its name."""

NOTIFIER = "notifier"
"""Purpose of the notifier, in its name."""

CLUSTER_ENDER = "cluster-ender"
"""Purpose of the function that ends clusters, in its name."""


class RunRecorder(PlatformFunction):
    """Function that answers the state machines: starts, leases, ends and fails runs, and emits their metrics."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        tables: RunTableNames,
        log_key: kms.IKey,
        audit_ttl_days: int = 90,
        log_retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            tables: Run tables.
            log_key: Key of its log group.
            audit_ttl_days: Days for which the audit keeps a run.
            log_retention_days: Days for which its log is kept.
            removal_policy: What happens to the log when the stack goes.
        """
        super().__init__(
            scope,
            id,
            name=names.function(RECORDER),
            package="run_recorder",
            description="Keeps the record of runs",
            log_group_name=names.log_group("functions", RECORDER),
            log_key=log_key,
            environment={
                "AUDIT_TABLE": tables.name("audit"),
                "AUDIT_TTL_DAYS": str(audit_ttl_days),
                "CONTROL_TABLE": tables.name("control"),
                "LAKEHOUSE_ENV": names.env,
                "LINEAGE_TABLE": tables.name("lineage"),
                "WATERMARKS_TABLE": tables.name("watermarks"),
            },
            timeout_seconds=60,
            log_retention_days=log_retention_days,
            removal_policy=removal_policy,
        )
        grants = tables.grants
        grants.use(self.role, "audit", actions=("GetItem", "PutItem", "Query", "UpdateItem"))
        grants.use(self.role, "control", actions=("DeleteItem", "GetItem", "PutItem", "Query"))
        grants.use(self.role, "lineage", actions=("PutItem",))
        grants.use(self.role, "watermarks", actions=("GetItem", "UpdateItem"))
        allow(
            self.role,
            actions=["states:DescribeExecution"],
            resources=[execution_arn(f"{names.prefix}-*")],
            because="It records the executions of every machine of the environment, whose prefix is the limit.",
        )
        allow(
            self.role,
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            because=NO_METRIC_RESOURCE,
            conditions={"StringEquals": {"cloudwatch:namespace": METRICS_NAMESPACE}},
        )


class Notifier(PlatformFunction):
    """Function that tells people of a failed run, once: what failed, why, and what to do next."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        tables: RunTableNames,
        topics: AlertTopicNames,
        log_key: kms.IKey,
        log_retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            tables: Run tables.
            topics: Topics of alerts.
            log_key: Key of its log group.
            log_retention_days: Days for which its log is kept.
            removal_policy: What happens to the log when the stack goes.
        """
        super().__init__(
            scope,
            id,
            name=names.function(NOTIFIER),
            package="notifier",
            description="Tells people of failed runs",
            log_group_name=names.log_group("functions", NOTIFIER),
            log_key=log_key,
            environment={
                "AUDIT_TABLE": tables.name("audit"),
                "CRITICAL_TOPIC_ARN": topics.arn("critical"),
                "LAKEHOUSE_ENV": names.env,
                "LAKEHOUSE_PROJECT": names.project,
            },
            timeout_seconds=60,
            log_retention_days=log_retention_days,
            removal_policy=removal_policy,
        )
        tables.grants.use(self.role, "audit", actions=("Query", "UpdateItem"))
        topics.grants.publish(self.role, "critical")


class ClusterEnder(PlatformFunction):
    """Function that ends the EMR clusters of a run by their name; machines call it at the end of a run, and the backstop when a machine ended badly."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        log_key: kms.IKey,
        log_retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment; it ends clusters of the environment's machines only.
            log_key: Key of its log group.
            log_retention_days: Days for which its log is kept.
            removal_policy: What happens to the log when the stack goes.
        """
        super().__init__(
            scope,
            id,
            name=names.function(CLUSTER_ENDER),
            package="cluster_ender",
            description="Ends clusters of runs",
            log_group_name=names.log_group("functions", CLUSTER_ENDER),
            log_key=log_key,
            environment={},
            timeout_seconds=60,
            log_retention_days=log_retention_days,
            removal_policy=removal_policy,
        )
        allow(self.role, actions=["elasticmapreduce:ListClusters"], resources=["*"], because="EMR knows no resource for lists of clusters.")
        allow(
            self.role,
            actions=["elasticmapreduce:DescribeCluster", "elasticmapreduce:SetTerminationProtection", "elasticmapreduce:TerminateJobFlows"],
            resources=[arn("elasticmapreduce", "cluster/*")],
            conditions={"StringLike": {f"aws:ResourceTag/{MACHINE_TAG}": f"{names.prefix}-*"}},
            because=CLUSTERS,
        )
