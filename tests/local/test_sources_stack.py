"""The sources tier through the real command line: a database that a job could read by what Parameter Store says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from lakehouse.databases import DatabaseAddress, read_credentials
from lakehouse.environments.loading import load_environment
from local.deploy import deploy
from local.platform import Platform
from local.toolchain import Toolchain
from stacks.foundation_stack import FoundationStack
from stacks.network_stack import NetworkStack
from stacks.sources_stack import SourcesStack
from stacks.synthesis import ROOT
from tests.fixtures.platform import LocalAws
from tests.stacks.projects import empty_app

pytestmark = pytest.mark.platform


@pytest.mark.parametrize("env", ["local", "prod"])
def test_a_deployed_connection_leads_to_a_replica_that_the_secret_opens_over_tls(
    local_aws: LocalAws, platform: Platform, tmp_path: Path, env: str
) -> None:
    app, environment = empty_app(tmp_path), load_environment(ROOT / "config", env)
    foundation = FoundationStack(app, environment=environment)
    network, sources = NetworkStack(app, environment=environment), SourcesStack(app, environment=environment)
    network.add_stack_dependency(foundation)
    sources.add_stack_dependency(network)
    deploy(platform, Path(app.synth().directory), cdk=Toolchain().cdk)

    ssm = local_aws.client("ssm")
    address, secret = (
        ssm.get_parameter(Name=f"/lakehouse/{env}/databases/shop-{key}")["Parameter"]["Value"] for key in ("address", "secret-arn")
    )
    where = DatabaseAddress.parse(address, secret_arn=secret)
    credentials = read_credentials(local_aws.client("secretsmanager"), secret)

    def connect(**options: str) -> psycopg.Connection[tuple[object, ...]]:
        given: dict[str, Any] = {
            "sslmode": "verify-full",
            "sslrootcert": local_aws.root.bundle,
            "password": credentials.password,
            **options,
        }
        return psycopg.connect(host=where.host, port=where.port, dbname=where.dbname, user=credentials.username, **given)

    with connect() as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        connect(sslmode="disable")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(password="wrong")
    glue = local_aws.client("glue").get_connection(Name=f"lakehouse-{env}-shop")["Connection"]["ConnectionProperties"]
    assert (glue["JDBC_CONNECTION_URL"], glue["SECRET_ID"], glue["JDBC_ENFORCE_SSL"]) == (where.jdbc_url, secret, "true")
