"""Creates and evolves Iceberg tables for CloudFormation: a custom resource over Glue's Iceberg API that answers in any case, also when time runs out.

Properties of the resource: Database, Table, Location (`s3://bucket/folder`), Definition (JSON text of a TableDefinition), OnDelete (`keep` or
`drop`). Ref is `<database>.<table>`; attributes Outcome, TableName, DatabaseName, Location. No environment variables.

Create adopts a table that carries the same `lakehouse.contract` property (a stack that is made anew over retained data) and refuses any other. Update
never drops or narrows a column. Delete keeps the table, or with `drop` takes it out of the catalog; files are never deleted.

Actions (besides writing its log):

- glue:GetTable, CreateTable, UpdateTable on the catalog, the databases and their tables; glue:DeleteTable too, for tables with `drop`
- s3:GetObject, PutObject on `<location>/metadata/*` (Glue writes metadata files with the caller's rights) and kms:Decrypt, GenerateDataKey on the
  zone buckets' key
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from lakehouse.aws import client
from lambdas.custom_resource import serve
from lambdas.iceberg_table.resource import TableRequest, answer_to, id_after_failure
from lambdas.iceberg_table.table import IcebergTables

logger = Logger(service="lambdas.iceberg_table")


@cache
def tables() -> IcebergTables:
    """The one door to the catalog of this execution environment."""
    return IcebergTables(glue=client("glue"), s3=client("s3"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Lambda entry point."""
    serve(event, context, answer=lambda: answer_to(TableRequest.from_event(event), tables()), id_after_failure=id_after_failure(event))
