"""A source outside of the lake that Athena reads through a function."""

from __future__ import annotations

import re

from aws_cdk import aws_athena as athena
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from constructs_lib.arns import arn
from constructs_lib.checks import require
from constructs_lib.permissions import allow
from constructs_lib.storage.data_lake import LakeBuckets

_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
_TAKEN = frozenset({"awsdatacatalog", "hive", "lambda", "jmx", "system"})


class FederatedConnector(Construct):
    """Data catalog of Athena whose tables a connector's function reads, such as those of a database or of DynamoDB.

    Attributes:
        catalog_name: Name that queries choose it by: `SELECT … FROM catalog.schema.table`.
        catalog_arn: Its ARN.
        spill_location: Folder, `s3://…`, in which the connector leaves answers that are too large; give it to the function.
        grants: Permissions on it.
    """

    def __init__(
        self, scope: Construct, id: str, *, name: str, function: lambda_.IFunction, lake: LakeBuckets, description: str = ""
    ) -> None:
        """
        Args:
            name: Name of the catalog; unique in the account.
            function: The connector; it answers for metadata and rows.
            lake: Buckets of the lake; what the connector spills goes to its zone `query-results`, which expires.
            description: Sentence for people.
        """
        super().__init__(scope, id)
        require(
            _NAME.fullmatch(name) is not None and name not in _TAKEN,
            f"name must be of small letters, digits and _, at most 50, and none of {', '.join(sorted(_TAKEN))}, got {name!r}",
        )
        athena.CfnDataCatalog(
            self,
            "Resource",
            name=name,
            type="LAMBDA",
            description=description or None,
            parameters={"function": function.function_arn},
        )
        self.catalog_name = name
        self.catalog_arn = arn("athena", f"datacatalog/{name}")
        self.spill_location = f"s3://{lake.bucket_name('query-results')}/spill/{name}/"
        self.grants = FederatedConnectorGrants(self, function, lake)


class FederatedConnectorGrants:
    """Permissions on a federated source."""

    def __init__(self, connector: FederatedConnector, function: lambda_.IFunction, lake: LakeBuckets) -> None:
        self._connector, self._function, self._lake = connector, function, lake

    def query(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it query the source; Athena calls the function and reads what it spilled as whoever asks. The workgroup's `run_queries` gives the rest."""
        self._lake.grants.read(grantee, "query-results", prefix=f"spill/{self._connector.catalog_name}/")
        allow(grantee, actions=["athena:GetDataCatalog"], resources=[self._connector.catalog_arn])
        return allow(grantee, actions=["lambda:InvokeFunction"], resources=[self._function.function_arn])

    def spill(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let the connector's own role leave large answers."""
        return self._lake.grants.put(grantee, "query-results", prefix=f"spill/{self._connector.catalog_name}/")
