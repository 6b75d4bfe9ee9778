"""Permissions on Iceberg tables: catalog entry, files and key together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam

from constructs_lib.arns import catalog_arn, database_arn, table_arn
from constructs_lib.permissions import allow
from constructs_lib.storage.data_lake import LakeBuckets
from lakehouse.naming import TABLE_ZONES, DatasetName


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


class CatalogGrants:
    """Permissions on whole databases of a lake, for roles that no list of tables could keep up with."""

    def __init__(self, lake: LakeBuckets, databases: Sequence[str]) -> None:
        """
        Args:
            lake: Buckets that hold the files.
            databases: Names of the databases.
        """
        self._lake = lake
        self._databases = tuple(databases)

    def query(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it query every table that there is or will be in Athena; the workgroup's `run_queries` gives the rest."""
        for zone in TABLE_ZONES:
            self._lake.grants.read(grantee, zone)
        buckets = [self._lake.bucket_arn(zone) for zone in TABLE_ZONES]
        allow(grantee, actions=["s3:GetBucketLocation", "s3:ListBucket"], resources=buckets)
        return allow(
            grantee,
            actions=["glue:GetDatabase", "glue:GetTable"],
            resources=[
                catalog_arn(),
                *(database_arn(database) for database in self._databases),
                *(table_arn(database, "*") for database in self._databases),
            ],
            because="Tables come and go with contracts; the database is the limit.",
        )


class DomainGrants:
    """Permissions on every table that a domain has or will have in one zone, for jobs whose tables nobody knows when they are deployed."""

    def __init__(self, lake: LakeBuckets, *, zone: str, domain: str, database: str) -> None:
        """
        Args:
            lake: Buckets that hold the files.
            zone: Zone of the tables.
            domain: Domain of data; its folder of the zone holds their files.
            database: Database of the domain in the zone.
        """
        self._lake = lake
        self._zone = zone
        self._prefix = f"{domain}/"
        self._database = database

    def create_and_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it make tables, evolve them, and read and commit rows; none is ever dropped."""
        grants = self._lake.grants
        grants.read(grantee, self._zone, prefix=self._prefix)
        grants.put(grantee, self._zone, prefix=self._prefix)
        grants.delete(grantee, self._zone, prefix=self._prefix)
        allow(grantee, actions=["glue:GetDatabase"], resources=[catalog_arn(), database_arn(self._database)])
        return allow(
            grantee,
            actions=["glue:CreateTable", "glue:GetTable", "glue:UpdateTable"],
            resources=[catalog_arn(), database_arn(self._database), table_arn(self._database, "*")],
            because="A new row makes a new table; the domain's database is the limit.",
        )

    def erase(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it read tables, commit to them, and delete versions of their files for good; the objects that a commit retires are left to that."""
        grants = self._lake.grants
        grants.read(grantee, self._zone, prefix=self._prefix)
        grants.put(grantee, self._zone, prefix=self._prefix)
        grants.delete_versions(grantee, self._zone, prefix=self._prefix)
        return allow(
            grantee,
            actions=["glue:GetTable", "glue:UpdateTable"],
            resources=[catalog_arn(), database_arn(self._database), table_arn(self._database, "*")],
            because="An erasure is of one domain, whichever table it is asked for; the domain's database is the limit.",
        )


class CatalogTableGrants:
    """Permissions on an Iceberg table."""

    def __init__(self, table: CatalogTable) -> None:
        self._table = table

    def read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it read rows from code that knows the table, such as a Spark job; `query` is for SQL in Athena."""
        self._table.lake.grants.read(grantee, self._table.dataset.zone, prefix=self._table.prefix)
        return allow(grantee, actions=["glue:GetTable"], resources=self._table.catalog_resources())

    def query(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it query rows in Athena, which looks up database and bucket besides; the workgroup's `run_queries` gives the rest."""
        lake, zone = self._table.lake, self._table.dataset.zone
        self.read(grantee)
        lake.grants.list(grantee, zone, prefix=self._table.prefix)
        allow(grantee, actions=["s3:GetBucketLocation"], resources=[lake.bucket_arn(zone)])
        return allow(grantee, actions=["glue:GetDatabase"], resources=[catalog_arn(), database_arn(self._table.database)])

    def write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it read and commit rows, branches included; old metadata files that a commit retires are deleted."""
        self.read(grantee)
        self._table.lake.grants.put(grantee, self._table.dataset.zone, prefix=self._table.prefix)
        self._table.lake.grants.delete(grantee, self._table.dataset.zone, prefix=self._table.prefix)
        return allow(grantee, actions=["glue:UpdateTable"], resources=self._table.catalog_resources())
