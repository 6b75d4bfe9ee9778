"""A database of the Glue catalog that crawlers fill, and nothing else does."""

from __future__ import annotations

import re

from aws_cdk import RemovalPolicy
from aws_cdk import aws_glue as glue
from constructs import Construct

from constructs_lib.arns import ACCOUNT, catalog_arn, database_arn, table_arn
from constructs_lib.checks import require
from lakehouse.naming import Names

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")


class CrawledDatabase(Construct):
    """Database `crawled_<name>` for the tables that crawlers make.

    A crawler changes whatever table of its database looks like what it found, so it never writes where contracts own the tables: those databases are
    `CatalogDatabase`s, and a `GlueCrawler` takes none.

    Attributes:
        database_name: Its name.
        resource: The CloudFormation resource, for what has to come after it.
    """

    def __init__(self, scope: Construct, id: str, *, names: Names, name: str, removal_policy: RemovalPolicy = RemovalPolicy.RETAIN) -> None:
        """
        Args:
            names: Names of the environment; the database is `crawled_<name>`, with the environment's prefix if it has one.
            name: What its tables are of, such as a domain or a source.
            removal_policy: What happens to it when the stack goes; a database takes its tables along.
        """
        super().__init__(scope, id)
        require(
            _NAME.fullmatch(name) is not None, f"name is made of lower-case letters, digits and underscores, a letter first, got {name!r}"
        )
        self.database_name = names.crawled_database(name)
        self.resource = glue.CfnDatabase(
            self,
            "Resource",
            catalog_id=ACCOUNT,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=self.database_name, description=f"Tables that crawlers found: {name}"
            ),
        )
        self.resource.apply_removal_policy(removal_policy)

    def catalog_resources(self) -> list[str]:
        """What Glue asks about when a caller names a table of it: catalog, database and tables."""
        return [catalog_arn(), database_arn(self.database_name), table_arn(self.database_name, "*")]
