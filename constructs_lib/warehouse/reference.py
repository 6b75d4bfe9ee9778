"""A warehouse by name: what statements are sent to, whichever kind it is, and what it takes to send them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import IConstruct

from constructs_lib.arns import arn, key_arn
from constructs_lib.permissions import allow
from constructs_lib.security.data_keys import READ, through

Kind = Literal["serverless", "provisioned"]

ADMIN = "lakehouse_admin"
"""The admin; only Redshift's own secret knows the password."""

PORT = 5439
LOG_EXPORTS = ("userlog", "connectionlog", "useractivitylog")
"""Who was given which rights, who came in, which statements ran: all go to CloudWatch Logs."""

QUERY_ACTIONS = ("redshift-data:BatchExecuteStatement", "redshift-data:ExecuteStatement")
STATEMENT_ACTIONS = ("redshift-data:CancelStatement", "redshift-data:DescribeStatement", "redshift-data:GetStatementResult")
STATEMENTS = (
    "The Data API knows no resource for statements; their ids cannot be guessed, and only warehouses that the caller may query give any."
)
"""Why permissions on statements are given on everything."""


@dataclass(frozen=True, kw_only=True)
class WarehouseReference:
    """A workgroup or a cluster that exists.

    Attributes:
        kind: Redshift Serverless, or a provisioned cluster.
        name: Name of the workgroup or of the cluster.
        arn: Its ARN.
        database: Database.
    """

    kind: Kind
    name: str
    arn: str
    database: str

    @property
    def target(self) -> dict[str, str]:
        """The warehouse as requests of the Data API name it."""
        named = {"ClusterIdentifier": self.name} if self.kind == "provisioned" else {"WorkgroupName": self.name}
        return {"Database": self.database, **named}

    @property
    def sign_in(self) -> tuple[str, str]:
        """Action and resource by which a role comes in as the database user of its own IAM identity."""
        if self.kind == "provisioned":
            return "redshift:GetClusterCredentialsWithIAM", arn("redshift", f"dbname:{self.name}/{self.database}")
        return "redshift-serverless:GetCredentials", self.arn

    @property
    def grants(self) -> WarehouseGrants:
        """Permissions on it."""
        return WarehouseGrants(self)


class WarehouseGrants:
    """Permissions on a warehouse; what a role may do in the database its GRANTs say (`WarehouseTableResource`)."""

    def __init__(self, warehouse: WarehouseReference) -> None:
        """
        Args:
            warehouse: The warehouse.
        """
        self._warehouse = warehouse

    def query(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it run statements by the Data API, as the database user of its own IAM identity, and list those that it ran."""
        action, resource = self._warehouse.sign_in
        allow(grantee, actions=[action], resources=[resource])
        allow(grantee, actions=[*STATEMENT_ACTIONS, "redshift-data:ListStatements"], resources=["*"], because=STATEMENTS)
        return allow(grantee, actions=["redshift-data:ExecuteStatement"], resources=[self._warehouse.arn])

    def administer(self, grantee: iam.IGrantable, *, secret_arn: str, secret_key: kms.IKey, because: str | None = None) -> iam.Grant:
        """Let it run statements and batches as the admin.

        Args:
            grantee: Whoever does.
            secret_arn: The admin's secret.
            secret_key: Its key.
            because: Why the secret's ARN is a pattern, if it is.
        """
        allow(grantee, actions=STATEMENT_ACTIONS, resources=["*"], because=STATEMENTS)
        allow(grantee, actions=["secretsmanager:GetSecretValue"], resources=[secret_arn], because=because)
        allow(grantee, actions=READ, resources=[key_arn(secret_key)], conditions=through("secretsmanager"))
        return allow(grantee, actions=QUERY_ACTIONS, resources=[self._warehouse.arn])


class Warehouse(Protocol):
    """What both kinds of warehouses are to the function and the schema that belong to them.

    Attributes:
        reference: The warehouse by name.
        spectrum_role: Role of external schemas.
        transfer_role: Role of COPY and UNLOAD.
        admin_environment: How a function finds the warehouse and its admin's secret.
    """

    reference: WarehouseReference
    spectrum_role: iam.Role
    transfer_role: iam.Role
    admin_environment: Mapping[str, str]

    @property
    def ready(self) -> IConstruct:
        """What has to be there before a statement runs."""
        ...

    def grant_administration(self, grantee: iam.IGrantable, *, secret_key: kms.IKey) -> iam.Grant:
        """Let a function act as the admin."""
        ...
