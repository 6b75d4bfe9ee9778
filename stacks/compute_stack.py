"""What jobs run on besides Glue: the EMR Serverless application of the environment."""

from __future__ import annotations

from aws_cdk import aws_ssm as ssm
from constructs import Construct

from constructs_lib.networking.reference import NetworkReference
from constructs_lib.processing import EmrServerlessApplication, ServerlessCapacity, ServerlessSize, ServerlessWorker, WarmWorkers
from lakehouse.environments import EmrServerless, Environment
from stacks.platform_stack import PlatformStack

COMPONENT = "compute"
APPLICATION = "emr-serverless-application-id"
"""Parameter that holds the id of the application."""


class ComputeStack(PlatformStack):
    """Compute of one environment; it costs nothing while no job runs, unless the config asks for warm workers."""

    def __init__(self, scope: Construct, *, environment: Environment, allow_destroy: bool = False) -> None:
        """
        Args:
            scope: The app.
            environment: The environment.
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


def size_of(config: EmrServerless) -> ServerlessSize:
    """Size of every job of an environment."""
    worker = ServerlessWorker(vcpu=config.worker_vcpu, memory_gb=config.worker_memory_gb)
    return ServerlessSize(worker=worker, executors=config.executors, max_executors=config.max_executors)
