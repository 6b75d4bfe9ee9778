"""Keeps the schema of the warehouse for CloudFormation: tables that follow contracts, migrations, external schemas, and who may use them; and what it may cost.

Three kinds of resources, all with text properties only (JSON where there is more than a word):

- `Custom::WarehouseTable`: Definition (a WarehouseTable), Writers and Readers (names of IAM roles), OnDelete (`keep` or `drop`). Create adopts a table that is
  there; a column that is new is added, a text column may grow, whatever Redshift cannot change is refused with the way out. Ref is `<schema>.<table>`.
- `Custom::WarehouseSchema`: Migrations (list of {name, sql}), ExternalSchemas (list of {schema, database}), SpectrumRole, Readers.
- `Custom::WarehouseUsageLimit`: Workgroup (ARN), RpuHours (that it may use in a month). Create takes over a limit that is there. Ref is the limit's id.

Environment: DATABASE, and WORKGROUP and NAMESPACE of Redshift Serverless, or CLUSTER and ADMIN_SECRET_ARN of a provisioned cluster.

Actions (besides writing its log):

- redshift-serverless:GetNamespace on the namespace, if there is one: tells the ARN of its admin's secret
- redshift-data:ExecuteStatement, BatchExecuteStatement on the workgroup or cluster; DescribeStatement, GetStatementResult, CancelStatement, which know no resource
- secretsmanager:GetSecretValue on that secret, kms:Decrypt on its key
- redshift-serverless:CreateUsageLimit, DeleteUsageLimit, ListUsageLimits, UpdateUsageLimit, which know no resource, if there is a limit
"""

from __future__ import annotations

from functools import cache
from os import environ
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from lakehouse.aws import client
from lakehouse.warehouse.data_api import DataApi, Target
from lambdas.custom_resource import Answer, serve
from lambdas.warehouse_schema.limits import UsageLimits
from lambdas.warehouse_schema.requests import LimitRequest, Request, id_after_failure, request_of
from lambdas.warehouse_schema.schema import WarehouseSchema

RESERVE_SECONDS = 20
"""Before the function is stopped, what still runs in Redshift is cancelled and CloudFormation is told."""

logger = Logger(service="lambdas.warehouse_schema")


@cache
def admin_secret() -> str:
    """ARN of the secret that Redshift keeps for the admin: a cluster tells it when it is made, a namespace when it is asked."""
    if "ADMIN_SECRET_ARN" in environ:
        return environ["ADMIN_SECRET_ARN"]
    namespace = client("redshift-serverless").get_namespace(namespaceName=environ["NAMESPACE"])["namespace"]
    return namespace["adminPasswordSecretArn"]


def schema(seconds: float) -> WarehouseSchema:
    """The schema of the warehouse, changed as its admin.

    Args:
        seconds: Longest that a statement may take.
    """
    workgroup, cluster = environ.get("WORKGROUP"), environ.get("CLUSTER")
    target = Target(database=environ["DATABASE"], workgroup=workgroup, cluster=cluster, secret_arn=admin_secret())
    return WarehouseSchema(DataApi(client=client("redshift-data"), target=target, deadline_seconds=seconds))


def answer(request: Request, *, seconds: float) -> Answer:
    """Do what is asked.

    Args:
        request: The request.
        seconds: Longest that a statement may take.
    """
    return (
        UsageLimits(client("redshift-serverless")).answer(request) if isinstance(request, LimitRequest) else schema(seconds).answer(request)
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Lambda entry point."""
    seconds = max(context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS, 1)
    serve(event, context, answer=lambda: answer(request_of(event), seconds=seconds), id_after_failure=id_after_failure(event))
