"""A connection to a database as the stacks that read through it know it: where it is, what opens it, and who may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from constructs_lib.permissions import allow
from constructs_lib.security.data_keys import READ, through
from lakehouse.naming import Names

COMPONENT = "databases"
"""Component of Parameter Store under which connections lie."""


@dataclass(frozen=True, kw_only=True)
class ConnectionReference:
    """A connection; everything but its name may be known to the deployment alone.

    Attributes:
        name: Name, as in `databases:` of the config and in contracts.
        glue_name: Name of the Glue connection, whose network a job runs in.
        address: `<engine>://<reader host>:<port>/<database>`, as `lakehouse.databases.DatabaseAddress` reads it.
        secret_arn: Secret with `username` and `password`.
        secret_key_arn: Customer key of the secret.
    """

    name: str
    glue_name: str
    address: str
    secret_arn: str
    secret_key_arn: str

    @classmethod
    def from_parameters(cls, scope: Construct, *, names: Names, name: str) -> ConnectionReference:
        """The connection that another stack of the environment made, read from Parameter Store at each deployment.

        Args:
            scope: Construct of the stack that reads.
            names: Names of the environment.
            name: Name of the connection.
        """

        def text(key: str) -> str:
            return ssm.StringParameter.value_for_string_parameter(scope, names.parameter(COMPONENT, f"{name}-{key}"))

        return cls(
            name=name,
            glue_name=glue_connection_name(names, name),
            address=text("address"),
            secret_arn=text("secret-arn"),
            secret_key_arn=text("secret-key-arn"),
        )

    @property
    def parameters(self) -> Mapping[str, str]:
        """Keys in Parameter Store and their values, for the stack that makes it."""
        return {
            f"{self.name}-address": self.address,
            f"{self.name}-secret-arn": self.secret_arn,
            f"{self.name}-secret-key-arn": self.secret_key_arn,
        }

    @property
    def job_arguments(self) -> Mapping[str, str]:
        """Arguments of a job that reads through it: nothing of them is secret."""
        return {"--connection": self.name, "--source_address": self.address, "--source_secret_arn": self.secret_arn}

    @property
    def grants(self) -> ConnectionGrants:
        """Permissions on it."""
        return ConnectionGrants(self)


class ConnectionGrants:
    """Permissions on a connection."""

    def __init__(self, connection: ConnectionReference) -> None:
        self._connection = connection

    def read_secret(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it open the database: read the secret, and decrypt it through Secrets Manager alone."""
        grant = allow(grantee, actions=["secretsmanager:GetSecretValue"], resources=[self._connection.secret_arn])
        allow(grantee, actions=READ, resources=[self._connection.secret_key_arn], conditions=through("secretsmanager"))
        return grant


def glue_connection_name(names: Names, name: str) -> str:
    """Name of the Glue connection of a connection."""
    return f"{names.prefix}-{name.replace('_', '-')}"
