"""Permissions on Iceberg tables: catalog entry, files and key together."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_iam as iam

from constructs_lib.arns import catalog_arn, database_arn, table_arn
from constructs_lib.permissions import allow
from constructs_lib.storage.data_lake import LakeBuckets
from lakehouse.naming import DatasetName


@dataclass(frozen=True, kw_only=True)
class CatalogTable:
    """An Iceberg table by name, wherever it was made.

    Attributes:
        dataset: Zone, domain and name.
        database_prefix: What the environment puts before every database.
        lake: Buckets that hold the files.
    """

    dataset: DatasetName
    lake: LakeBuckets
    database_prefix: str = ""

    @property
    def database(self) -> str:
        """Its database."""
        return self.dataset.database(self.database_prefix)

    @property
    def prefix(self) -> str:
        """Folder of its files in the zone's bucket."""
        return f"{self.dataset.domain}/{self.dataset.dataset}/"

    @property
    def location(self) -> str:
        """`s3://` address of its files, without a slash at the end, as Iceberg wants it."""
        return f"s3://{self.lake.bucket_name(self.dataset.zone)}/{self.prefix}".rstrip("/")

    @property
    def grants(self) -> CatalogTableGrants:
        """Permissions on it."""
        return CatalogTableGrants(self)

    def catalog_resources(self) -> list[str]:
        """What Glue asks about when a caller names the table: catalog, database and table."""
        return [catalog_arn(), database_arn(self.database), table_arn(self.database, self.dataset.dataset)]


class CatalogTableGrants:
    """Permissions on an Iceberg table."""

    def __init__(self, table: CatalogTable) -> None:
        self._table = table

    def read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it read rows."""
        self._table.lake.grants.read(grantee, self._table.dataset.zone, prefix=self._table.prefix)
        return allow(grantee, actions=["glue:GetTable"], resources=self._table.catalog_resources())

    def write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it read and commit rows, branches included; old metadata files that a commit retires are deleted."""
        self.read(grantee)
        self._table.lake.grants.put(grantee, self._table.dataset.zone, prefix=self._table.prefix)
        self._table.lake.grants.delete(grantee, self._table.dataset.zone, prefix=self._table.prefix)
        return allow(grantee, actions=["glue:UpdateTable"], resources=self._table.catalog_resources())
