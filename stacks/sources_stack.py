"""Relational databases that the platform reads: those that it makes, and the connections to all of them."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from constructs_lib.ingestion import DatabaseConnection, DatabaseEngine, SourceDatabase
from constructs_lib.networking.reference import NetworkReference
from lakehouse.databases import ENGINES, PORTS
from lakehouse.environments.environment import Environment
from lakehouse.environments.sections import Database
from stacks.platform_stack import PlatformStack

TIER = "sources"


class SourcesStack(PlatformStack):
    """Databases and connections of an environment; where they are stands in Parameter Store."""

    def __init__(self, scope: Construct, *, environment: Environment, allow_destroy: bool = False) -> None:
        """
        Args:
            scope: The app.
            environment: The environment.
            allow_destroy: Whether the caller unlocked the removal of data.
        """
        super().__init__(scope, tier=TIER, environment=environment, allow_destroy=allow_destroy)
        self._secrets_key = self.key("secrets")
        self._network = NetworkReference.from_parameters(self, names=self.names)
        for name, database in sorted(environment.databases.items()):
            # What people name begins with a small letter, every other id of the stack with a capital: the two never meet.
            part = Construct(self, name)
            for key, value in (self._existing(part, name, database) if database.is_existing else self._made(part, name, database)).items():
                ssm.CfnParameter(
                    part,
                    "".join(map(str.capitalize, key.removeprefix(f"{name}-").split("-"))),
                    name=self.names.parameter("databases", key),
                    description=f"Connection {name}: {key.removeprefix(f'{name}-').replace('-', ' ')}",
                    type="String",
                    value=value,
                )

    def _made(self, scope: Construct, name: str, database: Database) -> Mapping[str, str]:
        """A database, the connection to it, and what Parameter Store says of them."""
        key = self._secrets_key
        made = SourceDatabase(
            scope,
            "Database",
            names=self.names,
            name=name,
            dbname=database.dbname,
            network=self._network,
            storage_key=key,
            secret_key=key,
            engine=DatabaseEngine(name=database.engine, version=database.version, parameters=dict(database.parameters)),
            instance_class=database.instance_class,
            storage_gb=database.storage_gb,
            readers=database.readers,
            is_multi_az=database.multi_az,
            backup_days=database.backup_days,
            is_deletion_protected=database.deletion_protection,
            has_iam_authentication=database.iam_authentication,
            has_data_api=database.data_api,
            removal_policy=self.removal_policy,
        )
        connection = DatabaseConnection(
            scope,
            "Connection",
            names=self.names,
            name=name,
            engine=database.engine,
            reader_host=made.reader_host,
            writer_host=made.writer_host,
            port=made.reader_port,
            dbname=database.dbname,
            secret=secretsmanager.Secret.from_secret_complete_arn(scope, "Secret", made.secret_arn),
            secret_key=key,
            network=self._network,
            reads_writer_because=database.reads_writer_because,
        )
        data_api = {f"{name}-cluster-arn": made.cluster_arn} if made.has_data_api and made.cluster_arn else {}
        return {**connection.reference.parameters, **data_api}

    def _existing(self, scope: Construct, name: str, database: Database) -> Mapping[str, str]:
        """A connection to a database that is there, and what Parameter Store says of it."""
        assert database.secret_arn is not None
        assert database.secret_key_arn is not None
        return DatabaseConnection(
            scope,
            "Connection",
            names=self.names,
            name=name,
            engine=database.engine,
            reader_host=database.reader_endpoint,
            writer_host=database.writer_endpoint,
            port=database.port or PORTS[ENGINES[database.engine]],
            dbname=database.dbname,
            secret=secretsmanager.Secret.from_secret_complete_arn(scope, "Secret", database.secret_arn),
            secret_key=kms.Key.from_key_arn(scope, "SecretKey", database.secret_key_arn),
            network=self._network,
            reads_writer_because=database.reads_writer_because,
        ).reference.parameters
