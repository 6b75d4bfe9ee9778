"""A table of the warehouse that follows a contract."""

from __future__ import annotations

import json
from collections.abc import Sequence

from aws_cdk import CustomResource, RemovalPolicy
from constructs import Construct

from constructs_lib.functions import function_arn
from constructs_lib.warehouse.schema_function import PURPOSE
from lakehouse.naming import Names
from lakehouse.warehouse.tables import WarehouseTable

TYPE = "Custom::WarehouseTable"


class WarehouseTableResource(Construct):
    """Table in the warehouse: created, evolved, and kept when the stack goes; who may load it and who may read it.

    Attributes:
        table: The table.
        resource: The custom resource, for what has to come after it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        table: WarehouseTable,
        writers: Sequence[str],
        readers: Sequence[str] = (),
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment, whose warehouse stack made the function behind it.
            table: The table as the contract wants it, from `lakehouse.warehouse.tables.table_of`.
            writers: Names of IAM roles that load it.
            readers: Names of IAM roles that query it.
            removal_policy: RETAIN keeps the table when the stack goes; DESTROY drops it.
        """
        super().__init__(scope, id)
        self.table = table
        self.resource = CustomResource(
            self,
            "Resource",
            resource_type=TYPE,
            service_token=function_arn(names.function(PURPOSE)),
            properties={
                "Definition": json.dumps(table.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False),
                "OnDelete": "drop" if removal_policy == RemovalPolicy.DESTROY else "keep",
                "Readers": json.dumps(list(readers)),
                "Writers": json.dumps(list(writers)),
            },
        )
