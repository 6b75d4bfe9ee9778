"""Keeps the audit of runs on behalf of the state machines: beginning, leases of tables, rows of groups, end; and, told by EventBridge, what they could not say.

Asked by Step Functions (`lambda:invoke`, payloads in lambdas/run_recorder/requests.py) and by a rule on 'Step Functions Execution Status Change'
(FAILED, TIMED_OUT, ABORTED of the platform's machines).

Environment: LAKEHOUSE_ENV, AUDIT_TABLE, CONTROL_TABLE, LINEAGE_TABLE, WATERMARKS_TABLE, AUDIT_TTL_DAYS (optional, 90).

Actions (besides writing its log):

- dynamodb:GetItem, PutItem, UpdateItem, Query on the audit table (not on its indexes)
- dynamodb:GetItem, PutItem, DeleteItem, Query on the control table
- dynamodb:PutItem on the lineage table
- dynamodb:GetItem, UpdateItem on the watermarks table
- kms:Decrypt (and GenerateDataKey as DynamoDB asks) on the key of the run tables, if it is a customer key
- states:DescribeExecution on executions of the environment (what cannot be read is logged and no matter)
- cloudwatch:PutMetricData on `*`, condition cloudwatch:namespace = Lakehouse (an outage is logged and no matter; a denial fails the function)
"""

from __future__ import annotations

from functools import cache
from os import environ
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.audit import TTL_DAYS, AuditTrail
from lakehouse.aws import client
from lakehouse.leases import Leases
from lakehouse.lineage import Lineage
from lakehouse.metrics import MetricsEmitter
from lakehouse.rows import RowTable
from lakehouse.watermarks import Watermarks
from lambdas.run_recorder.recorder import Recorder
from lambdas.run_recorder.requests import request_of

logger = Logger(service="lambdas.run_recorder")


@cache
def recorder() -> Recorder:
    """The one recorder of this execution environment."""
    return Recorder(
        audit=AuditTrail(client=client("dynamodb"), table=environ["AUDIT_TABLE"], ttl_days=int(environ.get("AUDIT_TTL_DAYS", TTL_DAYS))),
        leases=Leases(client=client("dynamodb"), table=environ["CONTROL_TABLE"]),
        lineage=Lineage(client=client("dynamodb"), table=environ["LINEAGE_TABLE"]),
        watermarks=Watermarks(client=client("dynamodb"), table=environ["WATERMARKS_TABLE"]),
        rows=RowTable(client=client("dynamodb"), table=environ["CONTROL_TABLE"]),
        # A CloudWatch that does not answer must not cost the time that the record of a run needs.
        metrics=MetricsEmitter(client=client("cloudwatch", attempts=2, read_seconds=5), env=environ["LAKEHOUSE_ENV"]),
        who_stopped=who_stopped,
    )


def who_stopped(execution_arn: str) -> str:
    """The cause that somebody named for stopping an execution, or ""."""
    try:
        return client("stepfunctions", attempts=2, read_seconds=5).describe_execution(executionArn=execution_arn).get("cause") or ""
    except (BotoCoreError, ClientError):
        # The end of a run must be recorded whatever becomes of its cause.
        logger.exception("the cause of a stopped execution cannot be read", extra={"execution": execution_arn})
        return ""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes it, the logger reads it
    """Lambda entry point."""
    return recorder().answer(request_of(event))
