"""A database of the Glue catalog."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_glue as glue
from constructs import Construct

from constructs_lib.arns import ACCOUNT, catalog_arn, database_arn
from constructs_lib.checks import require_one_of
from constructs_lib.storage.data_lake import LakeBuckets
from lakehouse.naming import TABLE_ZONES, Names


class CatalogDatabase(Construct):
    """Database of the Glue catalog whose tables live in one bucket.

    Attributes:
        database_name: Its name.
        database_arn: Its ARN.
        catalog_arn: ARN of the catalog that holds it.
        resource: The CloudFormation resource, for what has to come after it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        zone: str,
        domain: str,
        lake: LakeBuckets,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment; the database is `<zone>_<domain>`, with the environment's prefix if it has one.
            zone: Zone of its tables.
            domain: Domain of data.
            lake: Buckets of the lake; its tables live in that of the zone.
            removal_policy: What happens to it when the stack goes; a database takes its tables along.
        """
        super().__init__(scope, id)
        require_one_of(zone, TABLE_ZONES, name="zone")
        name = names.database(zone, domain)
        self.resource = glue.CfnDatabase(
            self,
            "Resource",
            catalog_id=ACCOUNT,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=name, description=f"Tables of {domain} in {zone}", location_uri=f"s3://{lake.bucket_name(zone)}/{domain}"
            ),
        )
        self.resource.apply_removal_policy(removal_policy)
        self.database_name = name
        self.database_arn = database_arn(name)
        self.catalog_arn = catalog_arn()
