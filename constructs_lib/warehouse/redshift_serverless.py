"""Redshift Serverless: a namespace that holds data, and a workgroup that computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_cdk import CfnTag, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_redshiftserverless as redshift
from constructs import Construct

from constructs_lib.arns import arn, key_arn
from constructs_lib.checks import require, require_range
from constructs_lib.networking.reference import NetworkReference
from constructs_lib.permissions import allow
from constructs_lib.storage.data_lake import LakeBuckets
from constructs_lib.warehouse.roles import spectrum_role, transfer_role

ADMIN = "lakehouse_admin"
"""The admin; only Redshift's own secret knows the password."""

PORT = 5439
LOG_EXPORTS = ("userlog", "connectionlog", "useractivitylog")
"""Who was given which rights, who came in, which statements ran: all go to CloudWatch Logs."""

MIN_RPU, MAX_RPU = 4, 1024
SMALLEST_STEP, RPU_STEP, LARGE_RPU, LARGE_STEP = 4, 8, 512, 32
"""Capacities that there are: 4, then steps of 8 to 512, then steps of 32."""

QUERY_ACTIONS = ("redshift-data:BatchExecuteStatement", "redshift-data:ExecuteStatement")
STATEMENT_ACTIONS = ("redshift-data:CancelStatement", "redshift-data:DescribeStatement", "redshift-data:GetStatementResult")
STATEMENTS = (
    "The Data API knows no resource for statements; their ids cannot be guessed, and only workgroups that the caller may query give any."
)
"""Why permissions on statements are given on everything."""


class RedshiftServerless(Construct):
    """Private Redshift Serverless: TLS only, audit logs on, encrypted by a customer key, its admin's password kept by Redshift itself.

    Attributes:
        name: Name of the namespace and of the workgroup.
        database: Database.
        workgroup_arn: ARN of the workgroup.
        namespace_arn: ARN of the namespace.
        workgroup: The workgroup's resource, for what has to come after it.
        security_group_id: Security group; nothing may come in until let.
        transfer_role: Role of COPY and UNLOAD.
        spectrum_role: Role of external schemas.
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
        base_rpu: int = 8,
        max_rpu: int = 32,
        query_timeout_minutes: int = 60,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            name: Name of the namespace and of the workgroup, 3-64 lower-case letters, digits and hyphens.
            database: Database that is made with it.
            network: Network that it lives in; it has no public address.
            lake: Buckets of the lake.
            data_key: Key of the data.
            secret_key: Key of the admin's secret.
            catalog_databases: Databases of the zone gold that external schemas may show.
            base_rpu: Capacity that a query begins with.
            max_rpu: Most capacity, and so the most that an hour may cost.
            query_timeout_minutes: A query that runs longer is stopped by Redshift.
            removal_policy: What happens to the data when the stack goes. RETAIN keeps namespace and workgroup; DESTROY loses the data.
        """
        super().__init__(scope, id)
        _check_rpu(base_rpu, "base_rpu")
        _check_rpu(max_rpu, "max_rpu")
        require(
            base_rpu <= max_rpu,
            f"base_rpu is {base_rpu}, more than max_rpu {max_rpu}: raise max_rpu, which is the most that runs at a time",
        )
        require_range(query_timeout_minutes, name="query_timeout_minutes", at_least=1, at_most=24 * 60)
        self.transfer_role = transfer_role(self, "TransferRole", warehouse=name, lake=lake)
        self.spectrum_role = spectrum_role(self, "SpectrumRole", warehouse=name, lake=lake, databases=catalog_databases)
        group = ec2.CfnSecurityGroup(
            self,
            "SecurityGroup",
            group_description=f"Redshift workgroup {name}",
            vpc_id=network.vpc_id,
            security_group_egress=[
                {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIp": "0.0.0.0/0", "description": "AWS APIs, by endpoint or NAT"}
            ],
            tags=[CfnTag(key="Name", value=f"{name}-warehouse")],
        )
        namespace = redshift.CfnNamespace(
            self,
            "Namespace",
            namespace_name=name,
            db_name=database,
            admin_username=ADMIN,
            manage_admin_password=True,
            admin_password_secret_kms_key_id=key_arn(secret_key),
            kms_key_id=key_arn(data_key),
            iam_roles=[self.transfer_role.role_arn, self.spectrum_role.role_arn],
            log_exports=list(LOG_EXPORTS),
        )
        namespace.apply_removal_policy(removal_policy)
        self.workgroup = redshift.CfnWorkgroup(
            self,
            "Resource",
            workgroup_name=name,
            namespace_name=namespace.ref,
            base_capacity=base_rpu,
            max_capacity=max_rpu,
            config_parameters=_parameters(query_timeout_minutes),
            enhanced_vpc_routing=True,
            port=PORT,
            publicly_accessible=False,
            security_group_ids=[group.attr_group_id],
            subnet_ids=list(network.private_subnet_ids),
        )
        self.workgroup.apply_removal_policy(removal_policy)
        self.name = name
        self.database = database
        self.workgroup_arn = self.workgroup.attr_workgroup_workgroup_arn
        self.namespace_arn = namespace.attr_namespace_namespace_arn
        self.security_group_id = group.attr_group_id
        self.grants = RedshiftServerlessGrants(workgroup_arn=self.workgroup_arn)


class RedshiftServerlessGrants:
    """Permissions on a workgroup; what a role may do in the database its GRANTs say (`WarehouseTableResource`)."""

    def __init__(self, *, workgroup_arn: str) -> None:
        """
        Args:
            workgroup_arn: ARN of the workgroup.
        """
        self._arn = workgroup_arn

    def query(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it run statements by the Data API, as the database user of its own IAM identity."""
        allow(grantee, actions=["redshift-serverless:GetCredentials"], resources=[self._arn])
        allow(grantee, actions=STATEMENT_ACTIONS, resources=["*"], because=STATEMENTS)
        return allow(grantee, actions=["redshift-data:ExecuteStatement"], resources=[self._arn])


def admin_secret_pattern(name: str) -> str:
    """ARN pattern of the secret that Redshift keeps for the admin of a namespace."""
    return arn("secretsmanager", f"secret:redshift!{name}-{ADMIN}-*")


def _check_rpu(rpu: int, name: str) -> None:
    step = SMALLEST_STEP if rpu == MIN_RPU else RPU_STEP if rpu <= LARGE_RPU else LARGE_STEP
    require(
        MIN_RPU <= rpu <= MAX_RPU and rpu % step == 0,
        f"{name} must be {MIN_RPU}, or 8-{LARGE_RPU} in steps of {RPU_STEP}, or to {MAX_RPU} in steps of {LARGE_STEP}, got {rpu}",
    )


def _parameters(query_timeout_minutes: int) -> list[dict[str, Any]]:
    """What holds for every session."""
    return [
        {"parameterKey": "enable_user_activity_logging", "parameterValue": "true"},
        {"parameterKey": "max_query_execution_time", "parameterValue": str(query_timeout_minutes * 60)},
        {"parameterKey": "require_ssl", "parameterValue": "true"},
    ]
