"""A cluster of EMR on EC2 that lives as long as a run of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import ACCOUNT, PARTITION, REGION, arn
from constructs_lib.checks import require, require_one_of, require_range
from constructs_lib.functions import function_arn
from constructs_lib.networking.reference import NetworkReference
from constructs_lib.orchestration.emr_step import EmrCluster
from constructs_lib.orchestration.run_functions import CLUSTER_ENDER
from constructs_lib.permissions import allow, service_principal, service_principal_conditions
from constructs_lib.processing.cluster_configurations import configurations
from constructs_lib.processing.cluster_packages import BOOTSTRAP, TARGET, ClusterPackages, archive_sha256
from constructs_lib.processing.cluster_size import ClusterSize
from constructs_lib.processing.emr_security import ClusterGroups
from constructs_lib.processing.job_code import CodeAssets
from constructs_lib.security.data_keys import USE
from constructs_lib.storage.data_lake import LakeBuckets
from lakehouse.naming import Names

CLUSTER_RELEASES: Mapping[str, str] = {"emr-spark-8.0.0": "4.0.2"}
"""Releases that clusters run, each with its Spark: the one that EMR Serverless has by default, so that a job moves between the two and stays on its Spark."""

MIN_IDLE_SECONDS, MAX_IDLE_SECONDS = 60, 7 * 24 * 3600
OURS = "for-use-with-amazon-emr-managed-policies"
"""Tag that EMR puts on everything that it makes for a cluster that has it; the service role goes by it, as EMR's managed policy does."""

_MADE = "EMR names what it makes; the tag that it puts there is the limit."
_DESCRIBE = "EC2 knows no resource for describing."
_LAUNCHED = "EC2 asks for these beside what is launched; the network and the tag are the limit."
_DESCRIBED = (
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeCapacityReservations",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeNetworkAcls",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribePlacementGroups",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVolumeStatus",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcAttribute",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcs",
)


class TransientCluster(Construct):
    """What a cluster that lives as long as a run is made with: its roles, its settings, and what RunJobFlow is asked; the machine of the pipeline makes it.

    It is no resource of CloudFormation, which would take a cluster that ended as it should for one that is lost. Nothing of it costs while no run is under way.

    Two roles: EMR's, which makes machines in these subnets with these security groups and with the tag of a cluster and may pass on the role of the machines alone;
    and that of the machines, which may write logs, read what the machines begin with, and take the roles of the steps. What a job may do, the role of its step says
    (`EmrJob.role`); jobs cannot reach the role of the machines.

    Attributes:
        cluster: What the machine of the pipeline makes and ends.
        log_address: Folder of the logs of its clusters.
        service_role: Role of EMR.
        instance_role: Role of the machines.
        size: How large it is.
        packages_folder: Folder on the machines that holds the packages; None if there are none.
        release: Release label.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        pipeline: str,
        network: NetworkReference,
        subnet_ids: Sequence[str],
        groups: ClusterGroups,
        security_configuration: str,
        lake: LakeBuckets,
        release: str = "emr-spark-8.0.0",
        size: ClusterSize | None = None,
        packages: ClusterPackages | None = None,
        more_configurations: Mapping[str, Mapping[str, str]] | None = None,
        idle_seconds: int = 3600,
        start_minutes: int = 30,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            pipeline: Name of the pipeline.
            network: Network that the machines live in.
            subnet_ids: Private subnets of it, one a zone; EMR takes the one with the best capacity.
            groups: Security groups, such as `EmrSecurityGroups.groups`.
            security_configuration: Name of the security configuration, such as `EmrSecurityConfiguration.name`; it must ask for a role of each step.
            lake: Buckets of the lake; logs go to the one for logs, and disks are under its key.
            release: Release label, one of `CLUSTER_RELEASES`.
            size: How large it is; None takes the defaults of `ClusterSize`.
            packages: Python packages that every machine gets.
            more_configurations: Properties by classification, over those that every cluster has.
            idle_seconds: The cluster ends by itself after so long without a step, should nobody else end it.
            start_minutes: Longest that it may take to start.
            tags: Tags of the cluster and its machines, by which its cost is told.
        """
        super().__init__(scope, id)
        require_one_of(release, CLUSTER_RELEASES, name="release")
        require_range(idle_seconds, name="idle_seconds", at_least=MIN_IDLE_SECONDS, at_most=MAX_IDLE_SECONDS, why="EMR's range")
        require(
            len(subnet_ids) >= 2,
            f"subnet_ids must name subnets of two zones at least, as Spot capacity differs by zone, got {len(subnet_ids)}",
        )
        self.size = size if size is not None else ClusterSize()
        self.release = release
        self.packages_folder = None if packages is None else TARGET
        machine = names.state_machine(pipeline)
        self.instance_role = iam.Role(
            self, "InstanceRole", assumed_by=service_principal("ec2.amazonaws.com"), description=f"Machines of {machine}"
        )
        self.service_role = iam.Role(
            self,
            "ServiceRole",
            assumed_by=service_principal("elasticmapreduce.amazonaws.com", conditions=service_principal_conditions(account=ACCOUNT)),
            description=f"Makes clusters of {machine}",
        )
        profile = iam.CfnInstanceProfile(self, "InstanceProfile", roles=[self.instance_role.role_name])
        _serve(
            self.service_role,
            self.instance_role,
            subnet_ids=subnet_ids,
            groups=[groups.cluster, groups.service, network.job_security_group_id],
        )
        logs = f"emr/{pipeline}/"
        lake.grants.put(self.instance_role, "logs", prefix=logs)
        # Disks are opened with the data key by the machines themselves.
        allow(self.instance_role, actions=USE, resources=[lake.key_arn])
        bootstrap = self._bootstrap(packages) if packages is not None else {}
        request: dict[str, Any] = {
            "Applications": [{"Name": "Spark"}],
            "AutoTerminationPolicy": {"IdleTimeout": idle_seconds},
            **bootstrap,
            "Configurations": configurations(self.size, more=more_configurations),
            "Instances": {
                "AdditionalMasterSecurityGroups": [network.job_security_group_id],
                "AdditionalSlaveSecurityGroups": [network.job_security_group_id],
                "Ec2SubnetIds": list(subnet_ids),
                "EmrManagedMasterSecurityGroup": groups.cluster,
                "EmrManagedSlaveSecurityGroup": groups.cluster,
                "InstanceFleets": self.size.fleets(),
                # Step Functions takes nothing else; that the cluster stays no longer than it must is for the end of the run and the idle time.
                "KeepJobFlowAliveWhenNoSteps": True,
                "ServiceAccessSecurityGroup": groups.service,
                "TerminationProtected": False,
            },
            "JobFlowRole": profile.ref,
            "LogUri": f"s3://{lake.bucket_name('logs')}/{logs}",
            "ManagedScalingPolicy": self.size.scaling.policy(),
            "ReleaseLabel": release,
            "ScaleDownBehavior": "TERMINATE_AT_TASK_COMPLETION",
            "SecurityConfiguration": security_configuration,
            "ServiceRole": self.service_role.role_arn,
            "StepConcurrencyLevel": 1,
        }
        self.log_address = f"s3://{lake.bucket_name('logs')}/emr/{pipeline}"
        self.cluster = EmrCluster(
            machine=machine,
            request=request,
            tags={**(tags if tags is not None else {}), OURS: "true"},
            service_role_arn=self.service_role.role_arn,
            instance_role_arn=self.instance_role.role_arn,
            ender=function_arn(names.function(CLUSTER_ENDER)),
            start_minutes=start_minutes,
        )
        self.grants = TransientClusterGrants(self.instance_role)

    def _bootstrap(self, packages: ClusterPackages) -> dict[str, Any]:
        assets = CodeAssets.of(self)
        bundle = packages.archive()
        script, archive = assets.file(BOOTSTRAP), assets.file(bundle.path, bundle.content_hash)
        assets.grants.read(self.instance_role, [script, archive])
        action = {"Path": script, "Args": [archive, archive_sha256(bundle), packages.python, TARGET]}
        return {"BootstrapActions": [{"Name": "packages", "ScriptBootstrapAction": action}]}


class TransientClusterGrants:
    """Permissions on a transient cluster."""

    def __init__(self, instance_role: iam.Role) -> None:
        self._instance_role = instance_role

    def run_as(self, role: iam.Role) -> iam.Grant:
        """Let steps run as a role: the machines may take it, and it lets them."""
        machines = cast("iam.IPrincipal", iam.ArnPrincipal(self._instance_role.role_arn))
        policy = role.assume_role_policy
        assert policy is not None
        policy.add_statements(iam.PolicyStatement(actions=["sts:TagSession"], principals=[machines]))
        return allow(self._instance_role, actions=["sts:AssumeRole", "sts:TagSession"], resources=[role.role_arn])

    def principal(self) -> iam.IPrincipal:
        """Who takes the role of a step."""
        return cast("iam.IPrincipal", iam.ArnPrincipal(self._instance_role.role_arn))


def _serve(role: iam.Role, instance_role: iam.Role, *, subnet_ids: Sequence[str], groups: Sequence[str]) -> None:
    """Let EMR make, tag and remove the machines of a cluster: as AmazonEMRServicePolicy_v2, with the network and the role of the machines by name."""
    requested, tagged = ({"StringEquals": {f"aws:{kind}Tag/{OURS}": "true"}} for kind in ("Request", "Resource"))
    network = [*(arn("ec2", f"subnet/{subnet}") for subnet in subnet_ids), *(arn("ec2", f"security-group/{group}") for group in groups)]
    instances, volumes, interfaces, templates = (
        arn("ec2", f"{kind}/*") for kind in ("instance", "volume", "network-interface", "launch-template")
    )
    allow(
        role,
        actions=[
            "ec2:CreateFleet",
            "ec2:CreateLaunchTemplate",
            "ec2:CreateLaunchTemplateVersion",
            "ec2:CreateNetworkInterface",
            "ec2:RunInstances",
        ],
        resources=network,
    )
    allow(
        role,
        actions=["ec2:CreateFleet", "ec2:CreateLaunchTemplateVersion", "ec2:RunInstances"],
        resources=[templates],
        conditions=tagged,
        because=_MADE,
    )
    allow(role, actions=["ec2:CreateLaunchTemplate"], resources=[templates], conditions=requested, because=_MADE)
    allow(role, actions=["ec2:CreateFleet", "ec2:RunInstances"], resources=[instances, volumes], conditions=requested, because=_MADE)
    allow(role, actions=["ec2:CreateNetworkInterface"], resources=[interfaces], conditions=requested, because=_MADE)
    allow(
        role,
        actions=["ec2:CreateFleet", "ec2:CreateLaunchTemplate", "ec2:CreateLaunchTemplateVersion", "ec2:RunInstances"],
        resources=[interfaces, arn("ec2", "fleet/*"), f"arn:{PARTITION}:ec2:{REGION}::image/ami-*"],
        because=_LAUNCHED,
    )
    allow(
        role,
        actions=[
            "ec2:CreateLaunchTemplateVersion",
            "ec2:DeleteLaunchTemplate",
            "ec2:DeleteNetworkInterface",
            "ec2:ModifyInstanceAttribute",
            "ec2:TerminateInstances",
        ],
        resources=[instances, interfaces, templates],
        conditions=tagged,
        because=_MADE,
    )
    allow(
        role,
        actions=["ec2:CreateTags", "ec2:DeleteTags"],
        resources=[instances, volumes, interfaces, templates],
        conditions=tagged,
        because=_MADE,
    )
    made_by = {"StringEquals": {"ec2:CreateAction": ["CreateFleet", "CreateLaunchTemplate", "CreateNetworkInterface", "RunInstances"]}}
    allow(role, actions=["ec2:CreateTags"], resources=[instances, volumes, interfaces, templates], conditions=made_by, because=_MADE)
    allow(role, actions=_DESCRIBED, resources=["*"], because=_DESCRIBE)
    allow(
        role,
        actions=["iam:PassRole"],
        resources=[instance_role.role_arn],
        conditions={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
    )
    allow(
        role,
        actions=["iam:CreateServiceLinkedRole"],
        resources=[f"arn:{PARTITION}:iam::{ACCOUNT}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"],
        conditions={"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}},
    )
