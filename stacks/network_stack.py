"""The network of an environment, and where other stacks find it."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Fn
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from constructs_lib.checks import require
from constructs_lib.networking import ExistingVpc, InterfaceEndpoint, Network, NewVpc
from constructs_lib.networking.reference import COMPONENT, PARAMETERS
from lakehouse.environments import sections
from lakehouse.environments.environment import Environment
from lakehouse.networks import tiers, usable_addresses
from lakehouse.pipelines.spec import PipelineSpec
from stacks.platform_stack import PlatformStack

TIER = "network"


class NetworkStack(PlatformStack):
    """VPC, endpoints, the jobs' security group and flow logs of an environment."""

    def __init__(
        self, scope: Construct, *, environment: Environment, pipelines: Sequence[PipelineSpec] = (), allow_destroy: bool = False
    ) -> None:
        """
        Args:
            scope: The app.
            environment: The environment.
            pipelines: Pipelines of the environment, whose engines say what must be within reach.
            allow_destroy: Whether the caller unlocked the removal of data.
        """
        super().__init__(scope, tier=TIER, environment=environment, allow_destroy=allow_destroy)
        network = environment.network
        engines: set[str] = {step.engine for pipeline in pipelines for step in pipeline.steps}
        if any(pipeline.rows is not None for pipeline in pipelines):
            engines.add("glue")
        if environment.warehouse.kind != "none":
            engines.add("redshift")
        made = Network(
            self,
            "Network",
            names=self.names,
            vpc=_vpc(environment),
            log_key=self.key("logs"),
            interface_endpoints=[InterfaceEndpoint(service=service) for service in network.interface_endpoints],
            engines=sorted(engines),
            flow_logs=network.flow_logs,
            log_retention_days=environment.log_retention_days,
            removal_policy=self.removal_policy,
        )
        for attribute, key in PARAMETERS.items():
            value = getattr(made.reference, attribute)
            ssm.CfnParameter(
                self,
                f"{attribute.title().replace('_', '')}Parameter",
                name=self.names.parameter(COMPONENT, key),
                description=f"Network of {environment.env}: {key.replace('-', ' ')}",
                type="String",
                value=value if isinstance(value, str) else Fn.join(",", list(value)),
            )


def _vpc(environment: Environment) -> NewVpc | ExistingVpc:
    """The VPC as the config has it.

    Raises:
        InvalidProps: The environment says neither a range nor a VPC, or its jobs find too few addresses.
    """
    network: sections.Network = environment.network
    if network.vpc is not None:
        return ExistingVpc(
            vpc_id=network.vpc.id, private_subnet_ids=network.vpc.private_subnet_ids, isolated_subnet_ids=network.vpc.isolated_subnet_ids
        )
    require(network.cidr is not None, f"network.cidr of {environment.env} is missing: a VPC that is made needs a range")
    assert network.cidr is not None
    vpc = NewVpc(cidr=network.cidr, availability_zones=network.availability_zones, nat_gateways=network.nat_gateways)
    subnet = tiers(network.cidr, zones=network.availability_zones).private[0]
    require(
        environment.glue.workers < usable_addresses(subnet),
        f"glue.workers: {environment.glue.workers} workers need as many addresses in one subnet, and those of {network.cidr} are a "
        f"/{subnet.rpartition('/')[2]} with {usable_addresses(subnet)}: take a larger network.cidr",
    )
    return vpc
