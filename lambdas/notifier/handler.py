"""Tells people of runs that failed or ran out of time: one message a run, with the reason and the next command; of executions that are no run, and
of job runs that are no pipeline's.

Asked by Step Functions (`{"pipeline", "run_id"}`) and, as a second way, by a rule on 'Step Functions Execution Status Change' (FAILED, TIMED_OUT,
ABORTED of the platform's machines); and by a rule on 'EMR Serverless Job Run State Change' (FAILED). It fails, to be asked again, while the run is not recorded as ended: keep Lambda's two asynchronous retries on,
and retry the task in the machine (interval 30 s or more, twice: another sender holds the task for a minute).

Environment: LAKEHOUSE_ENV, LAKEHOUSE_PROJECT, AUDIT_TABLE, CRITICAL_TOPIC_ARN.

Actions (besides writing its log):

- dynamodb:Query, UpdateItem on the audit table (not on its indexes)
- kms:Decrypt (and GenerateDataKey as DynamoDB asks) on the key of the run tables, if it is a customer key
- sns:Publish on CRITICAL_TOPIC_ARN; kms:GenerateDataKey, Decrypt on the topic's key
"""

from __future__ import annotations

from functools import cache
from os import environ
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from lakehouse.audit import AuditTrail
from lakehouse.aws import client
from lambdas.notifier.notifier import Notifier, request_of

logger = Logger(service="lambdas.notifier")


@cache
def notifier() -> Notifier:
    """The one notifier of this execution environment."""
    return Notifier(
        audit=AuditTrail(client=client("dynamodb"), table=environ["AUDIT_TABLE"]),
        sns=client("sns"),
        topic_arn=environ["CRITICAL_TOPIC_ARN"],
        project=environ["LAKEHOUSE_PROJECT"],
        env=environ["LAKEHOUSE_ENV"],
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, bool]:  # noqa: ARG001 - Lambda passes it, the logger reads it
    """Lambda entry point."""
    return {"notified": notifier().notify(request_of(event))}
