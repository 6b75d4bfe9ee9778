"""A connection to a relational database: its reader, its secret, its network, TLS always."""

from __future__ import annotations

import re

from aws_cdk import Token
from aws_cdk import aws_glue as glue
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from constructs_lib.arns import ACCOUNT, key_arn
from constructs_lib.checks import require, require_one_of, require_range
from constructs_lib.ingestion.connection_reference import ConnectionGrants, ConnectionReference, glue_connection_name
from constructs_lib.networking.reference import NetworkReference
from lakehouse.databases import ENGINES, address_text, is_aurora_writer, jdbc_url
from lakehouse.naming import Names

NAME = re.compile(r"[a-z][a-z0-9_]{0,23}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]{0,62}")


class DatabaseConnection(Construct):
    """Glue connection to the reader of a database; jobs that use it run in its network and read the secret themselves.

    Attributes:
        connection_name: Name of the Glue connection.
        reference: What other stacks need of it.
        grants: Permissions on it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        name: str,
        engine: str,
        reader_host: str | None,
        port: int | str,
        dbname: str,
        secret: secretsmanager.ISecret,
        secret_key: kms.IKey,
        network: NetworkReference,
        writer_host: str | None = None,
        reads_writer_because: str | None = None,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            name: Name of the connection, by which contracts and runs know it.
            engine: postgres, mysql, aurora-postgresql or aurora-mysql.
            reader_host: Reader endpoint: a read replica, or the reader endpoint of a cluster.
            port: Port of the reader.
            dbname: Database.
            secret: Secret with `username` and `password`; other keys do not matter.
            secret_key: Customer key of the secret.
            network: Where the jobs run that read it.
            writer_host: Writer endpoint if it is known; it is refused as the reader, and used only with a reason.
            reads_writer_because: Why extraction may load the writer; without it a connection without a reader is refused.
        """
        super().__init__(scope, id)
        require(
            NAME.fullmatch(name) is not None,
            f"name is made of up to 24 lower-case letters, digits and underscores, a letter first, got {name!r}",
        )
        require_one_of(engine, ENGINES, name="engine")
        require(_DATABASE.fullmatch(dbname) is not None or Token.is_unresolved(dbname), f"dbname is the name of a database, got {dbname!r}")
        if isinstance(port, int) and not Token.is_unresolved(port):
            require_range(port, name="port", at_least=1, at_most=65_535)
        host = _host(name, reader_host, writer_host, reads_writer_because)
        secret_arn = secret.secret_full_arn or secret.secret_arn
        self.reference = ConnectionReference(
            name=name,
            glue_name=glue_connection_name(names, name),
            address=address_text(engine, host=host, port=port, dbname=dbname),
            secret_arn=secret_arn,
            secret_key_arn=key_arn(secret_key),
        )
        self.connection_name = self.reference.glue_name
        self.grants = ConnectionGrants(self.reference)
        glue.CfnConnection(
            self,
            "Resource",
            catalog_id=ACCOUNT,
            connection_input=glue.CfnConnection.ConnectionInputProperty(
                name=self.connection_name,
                description=f"Reader of the {engine} database {dbname}",
                connection_type="JDBC",
                connection_properties={
                    "JDBC_CONNECTION_URL": jdbc_url(engine, host=host, port=port, dbname=dbname),
                    "JDBC_ENFORCE_SSL": "true",
                    # The connection's own property: a dynamic reference would put the password itself into the connection.
                    "SECRET_ID": secret_arn,
                },
                physical_connection_requirements=glue.CfnConnection.PhysicalConnectionRequirementsProperty(
                    availability_zone=network.availability_zone(0),
                    subnet_id=network.private_subnet(0),
                    security_group_id_list=[network.job_security_group_id],
                ),
            ),
        )


def _host(name: str, reader: str | None, writer: str | None, because: str | None) -> str:
    """The host that is read, once it is sure that it is no writer.

    Raises:
        InvalidProps: It is the writer, or none, and nobody said why; or it is no host.
    """
    for label, host in (("reader_host", reader), ("writer_host", writer)):
        if host is None or Token.is_unresolved(host):
            continue
        require(
            "{{resolve:" not in host,
            f"{label} is a dynamic reference of CloudFormation, which services take literally when it reaches them by an API: pass the host, or a token of it",
        )
        require(_HOST.fullmatch(host) is not None, f"{label} is a host without scheme, port, user and path, got {host!r}")
    is_writer = reader is None or reader == writer or is_aurora_writer(reader)
    require(
        not is_writer or bool(because),
        f"the connection {name} has no reader: extraction would load the writer. Pass the endpoint of a read replica or the reader endpoint of the cluster "
        "(…cluster-ro-…) as reader_host, or say why in reads_writer_because",
    )
    host = reader or writer
    require(host is not None, f"the connection {name} has neither a reader_host nor a writer_host")
    assert host is not None
    return host
