"""What jobs run on besides Glue: the EMR Serverless application of the environment, and what its clusters have in common."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_ssm as ssm
from constructs import Construct

from constructs_lib.networking.reference import NetworkReference
from constructs_lib.processing import (
    ClusterGroups,
    ClusterSize,
    EmrSecurityConfiguration,
    EmrSecurityGroups,
    EmrServerlessApplication,
    ManagedScaling,
    ServerlessCapacity,
    ServerlessSize,
    ServerlessWorker,
    WarmWorkers,
)
from lakehouse.environments import Emr, EmrServerless, Environment
from lakehouse.naming import Names
from lakehouse.pipelines.spec import PipelineSpec
from stacks.platform_stack import PlatformStack

COMPONENT = "compute"
APPLICATION = "emr-serverless-application-id"
"""Parameter that holds the id of the application."""

SECURITY_CONFIGURATION = "emr-security-configuration"
CLUSTER_GROUP = "emr-cluster-security-group-id"
SERVICE_GROUP = "emr-service-security-group-id"
"""Parameters that hold what clusters are made with."""


class ComputeStack(PlatformStack):
    """Compute of one environment; it costs nothing while no job runs, unless the config asks for warm workers."""

    def __init__(
        self, scope: Construct, *, environment: Environment, pipelines: Sequence[PipelineSpec] = (), allow_destroy: bool = False
    ) -> None:
        """
        Args:
            scope: The app.
            environment: The environment.
            pipelines: Pipelines of the environment; what clusters need is made if one runs on them.
            allow_destroy: Whether the caller unlocked the removal of data.
        """
        super().__init__(scope, tier="compute", environment=environment, allow_destroy=allow_destroy)
        config = environment.emr_serverless
        application = EmrServerlessApplication(
            self,
            "EmrServerless",
            name=self.names.emr_application,
            network=NetworkReference.from_parameters(self, names=self.names, only=("private_subnet_ids", "job_security_group_id")),
            release=config.release,
            architecture=config.architecture,
            capacity=ServerlessCapacity(vcpu=config.max_vcpu, memory_gb=config.max_memory_gb, disk_gb=config.max_disk_gb),
            warm_workers=WarmWorkers(worker=size_of(config).worker, drivers=config.warm_drivers, executors=config.warm_executors)
            if config.warm_drivers
            else None,
            idle_minutes=config.idle_minutes,
            max_concurrent_runs=config.max_concurrent_runs,
            queue_minutes=config.queue_minutes,
        )
        ssm.StringParameter(
            self,
            "EmrServerlessApplicationId",
            parameter_name=self.names.parameter(COMPONENT, APPLICATION),
            string_value=application.application_id,
            description="EMR Serverless application of the environment",
        )
        if any(spec.uses("emr") for spec in pipelines):
            self._clusters()

    def _clusters(self) -> None:
        """What all clusters have in common; a cluster itself is there only while a run is under way."""
        names = self.names
        network = NetworkReference.from_parameters(self, names=names, only=("vpc_id",))
        groups = EmrSecurityGroups(self, "EmrSecurityGroups", name_prefix=names.prefix, vpc_id=network.vpc_id).groups
        security = EmrSecurityConfiguration(self, "EmrSecurity", name_prefix=names.prefix, key=self.key("lake"))
        for key, value, description in (
            (SECURITY_CONFIGURATION, security.name, "EMR security configuration of clusters"),
            (CLUSTER_GROUP, groups.cluster, "Security group of machines of clusters"),
            (SERVICE_GROUP, groups.service, "Security group by which EMR reaches clusters"),
        ):
            ssm.StringParameter(
                self,
                key.title().replace("-", ""),
                parameter_name=names.parameter(COMPONENT, key),
                string_value=value,
                description=description,
            )


def size_of(config: EmrServerless) -> ServerlessSize:
    """Size of every job of an environment."""
    worker = ServerlessWorker(vcpu=config.worker_vcpu, memory_gb=config.worker_memory_gb)
    return ServerlessSize(worker=worker, executors=config.executors, max_executors=config.max_executors)


def cluster_size_of(config: Emr) -> ClusterSize:
    """Size of every cluster of an environment."""
    return ClusterSize(
        primary_type=config.primary_type,
        core_type=config.core_type,
        core_units=config.core_units,
        task_types=config.task_types,
        task_units=config.task_units,
        scaling=ManagedScaling(
            min_units=config.min_units,
            max_units=config.max_units,
            max_on_demand_units=config.max_on_demand_units,
            max_core_units=config.max_core_units,
        ),
        disk_gb=config.disk_gb,
        executor_vcpu=config.executor_vcpu,
        executor_memory_gb=config.executor_memory_gb,
        driver_memory_gb=config.driver_memory_gb,
    )


def cluster_groups(scope: Construct, names: Names) -> ClusterGroups:
    """Security groups of clusters, which the compute stack made; read from Parameter Store at each deployment."""
    return ClusterGroups(cluster=compute_parameter(scope, names, CLUSTER_GROUP), service=compute_parameter(scope, names, SERVICE_GROUP))


def compute_parameter(scope: Construct, names: Names, key: str) -> str:
    """What the compute stack tells of itself."""
    return ssm.StringParameter.value_for_string_parameter(scope, names.parameter(COMPONENT, key))
