"""Keeps the schema of the warehouse for CloudFormation: tables that follow contracts, migrations, external schemas, and who may use them.

Two kinds of resources, both with text properties only (JSON where there is more than a word):

- `Custom::WarehouseTable`: Definition (a WarehouseTable), Writers and Readers (names of IAM roles), OnDelete (`keep` or `drop`). Create adopts a table that is
  there; a column that is new is added, a text column may grow, whatever Redshift cannot change is refused with the way out. Ref is `<schema>.<table>`.
- `Custom::WarehouseSchema`: Migrations (list of {name, sql}), ExternalSchemas (list of {schema, database}), SpectrumRole, Readers.

Environment: WORKGROUP, NAMESPACE, DATABASE.

Actions (besides writing its log):

- redshift-serverless:GetNamespace on the namespace: tells the ARN of its admin's secret
- redshift-data:ExecuteStatement, BatchExecuteStatement on the workgroup; DescribeStatement, GetStatementResult, CancelStatement, which know no resource
- secretsmanager:GetSecretValue on that secret, kms:Decrypt on its key
"""

from __future__ import annotations

import threading
from functools import cache
from os import environ
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from lakehouse.aws import client
from lakehouse.warehouse.data_api import DataApi, Target
from lambdas.iceberg_table.response import Response
from lambdas.warehouse_schema.requests import id_after_failure, request_of
from lambdas.warehouse_schema.schema import WarehouseSchema

RESERVE_SECONDS = 10
"""Before the function is stopped, CloudFormation is told that it failed; what still runs in Redshift is cancelled."""

logger = Logger(service="lambdas.warehouse_schema")


@cache
def admin_secret() -> str:
    """ARN of the secret that Redshift keeps for the namespace's admin."""
    namespace = client("redshift-serverless").get_namespace(namespaceName=environ["NAMESPACE"])["namespace"]
    return namespace["adminPasswordSecretArn"]


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Lambda entry point."""
    response = Response(event, log_stream=context.log_stream_name)
    seconds = max(context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS, 0)
    late = threading.Timer(
        seconds, lambda: response.fail(physical_id=id_after_failure(event), reason="the function ran out of time: deploy again")
    )
    late.daemon = True
    late.start()
    try:
        request = request_of(event)
        target = Target(database=environ["DATABASE"], workgroup=environ["WORKGROUP"], secret_arn=admin_secret())
        api = DataApi(client=client("redshift-data"), target=target, deadline_seconds=max(seconds - RESERVE_SECONDS, 1))
        answer = WarehouseSchema(api).answer(request)
    except Exception as error:
        logger.exception("the request failed")
        response.fail(physical_id=id_after_failure(event), reason=f"{type(error).__name__}: {error}")
    else:
        response.succeed(physical_id=answer.physical_id, data=answer.data)
    finally:
        late.cancel()
