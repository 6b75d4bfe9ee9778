"""Roles that Redshift acts as: one that moves files in and out, one that reads the lake in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from aws_cdk import aws_iam as iam
from constructs import Construct

from constructs_lib.arns import arn, catalog_arn, database_arn, table_arn
from constructs_lib.permissions import allow, service_principal
from constructs_lib.storage.data_lake import LakeBuckets

UNLOADED = "unload/"
"""Folder of the zone `query-results` that loads read: what Athena has unloaded, gone with the results of queries."""

EXPORTS = "exports/"
"""Folder of the same zone that UNLOAD writes to."""

_SERVICES = ("redshift-serverless.amazonaws.com", "redshift.amazonaws.com")


def transfer_role(scope: Construct, id: str, *, warehouse: str, lake: LakeBuckets) -> iam.Role:
    """Role of COPY and UNLOAD: reads what was unloaded for loads, writes and cleans exports, sees nothing else.

    Args:
        scope: Construct that owns it.
        id: Its id.
        warehouse: Name of the workgroup.
        lake: Buckets of the lake.
    """
    role = _role(scope, id, warehouse, "COPY and UNLOAD")
    lake.grants.list(role, "query-results", prefix=UNLOADED)
    lake.grants.read(role, "query-results", prefix=UNLOADED)
    lake.grants.list(role, "query-results", prefix=EXPORTS)
    lake.grants.put(role, "query-results", prefix=EXPORTS)
    lake.grants.delete(role, "query-results", prefix=EXPORTS)
    allow(role, actions=["s3:GetBucketLocation"], resources=[lake.bucket_arn("query-results")])
    return role


def spectrum_role(scope: Construct, id: str, *, warehouse: str, lake: LakeBuckets, databases: Sequence[str]) -> iam.Role:
    """Role of external schemas: reads gold tables of the catalog and their files, and writes nothing.

    Args:
        scope: Construct that owns it.
        id: Its id.
        warehouse: Name of the workgroup.
        lake: Buckets of the lake.
        databases: Catalog databases of the zone gold.
    """
    role = _role(scope, id, warehouse, "external schemas")
    lake.grants.read(role, "gold")
    lake.grants.list(role, "gold", prefix="")
    allow(role, actions=["s3:GetBucketLocation"], resources=[lake.bucket_arn("gold")])
    if databases:
        allow(
            role,
            actions=["glue:GetDatabase", "glue:GetTable", "glue:GetTables"],
            resources=[catalog_arn(), *map(database_arn, databases), *(table_arn(database, "*") for database in databases)],
            because="Tables come and go with contracts; the database is the limit.",
        )
    return role


def _role(scope: Construct, id: str, warehouse: str, what: str) -> iam.Role:
    """A role that the users of one warehouse may have Redshift act as: Redshift gives the user as external id, which is the documented way to tell whose it is."""
    conditions = {"StringLike": {"sts:ExternalId": arn("redshift", f"dbuser:{warehouse}/*")}}
    first, second = (service_principal(service, conditions=conditions) for service in _SERVICES)
    both = cast(
        "iam.IPrincipal", iam.CompositePrincipal(first, second)
    )  # the CDK's stubs do not fit each other, see permissions.service_principal
    return iam.Role(scope, id, assumed_by=both, description=f"{what} of the warehouse")
