"""The shop's database on the laptop, as the shop's own people reach it: by the writer, as the owner."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import psycopg

from lakehouse.errors import TerminalError
from local.platform import Platform

DATABASE = "shop"


class NoShopError(TerminalError):
    """The laptop has no database of the shop."""


@contextmanager
def connected(platform: Platform) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the owner, over TLS.

    Args:
        platform: The running platform, with the sources deployed.

    Raises:
        NoShopError: No database of that name is deployed.
    """
    settings = platform.environment()

    def client(service: str) -> Any:
        return boto3.client(
            service, endpoint_url=settings["AWS_ENDPOINT_URL"], region_name=settings["AWS_REGION"], verify=settings["AWS_CA_BUNDLE"],
            aws_access_key_id=settings["AWS_ACCESS_KEY_ID"], aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip

    instances = client("rds").describe_db_instances()["DBInstances"]
    writer = next(
        (one for one in instances if one.get("DBName") == DATABASE and not one.get("ReadReplicaSourceDBInstanceIdentifier")), None
    )
    if writer is None:
        raise NoShopError(f"no database {DATABASE!r} is deployed: `lake deploy` makes it")
    secret = client("secretsmanager").get_secret_value(SecretId=writer["MasterUserSecret"]["SecretArn"])["SecretString"]
    owner = json.loads(secret)
    with psycopg.connect(
        host=writer["Endpoint"]["Address"], port=writer["Endpoint"]["Port"], dbname=DATABASE, user=owner["username"], password=owner["password"],
        sslmode="verify-full", sslrootcert=settings["AWS_CA_BUNDLE"],
    ) as connection:  # fmt: skip
        yield connection
