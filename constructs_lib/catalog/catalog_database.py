"""A database of the Glue catalog."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_glue as glue
from constructs import Construct

from constructs_lib.arns import ACCOUNT, catalog_arn, database_arn


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
        name: str,
        description: str,
        location: str,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            name: Name of the database, unique in account and region.
            description: Sentence for people.
            location: `s3://` folder where tables go that name no place of their own.
            removal_policy: What happens to it when the stack goes; a database takes its tables along.
        """
        super().__init__(scope, id)
        self.resource = glue.CfnDatabase(
            self,
            "Resource",
            catalog_id=ACCOUNT,
            database_input=glue.CfnDatabase.DatabaseInputProperty(name=name, description=description, location_uri=location),
        )
        self.resource.apply_removal_policy(removal_policy)
        self.database_name = name
        self.database_arn = database_arn(name)
        self.catalog_arn = catalog_arn()
