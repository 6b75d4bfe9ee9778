"""Starts runs: the files of a dataset that arrive, upstream runs that succeed, or times of a schedule become one run a batch of messages.

Environment: LAKEHOUSE_ENV, LAKEHOUSE_PROJECT, PIPELINE, MACHINE_ARN, AUDIT_TABLE, CONTROL_TABLE, TRIGGER (`arrival`, `after` or `schedule`),
AUDIT_TTL_DAYS (optional, 90); with TRIGGER=arrival also RAW_BUCKET, LOGS_BUCKET, DATASET (`<domain>.<dataset>`), SOURCE_FORMATS (`csv,json,parquet`);
with TRIGGER=after also UPSTREAM (`orders,customer`), WAIT_MINUTES, QUEUE (its name).

Actions (besides the event source mapping's sqs:ReceiveMessage, DeleteMessage, GetQueueAttributes, and writing its log):

- dynamodb:GetItem, PutItem, UpdateItem, Query on the control table (Query not with TRIGGER=schedule)
- dynamodb:GetItem, PutItem on the audit table (PutItem only with TRIGGER=arrival)
- with TRIGGER=after: dynamodb:DeleteItem on the control table, dynamodb:Query on the audit's index by_status, sqs:GetQueueUrl and SendMessage on its own queue,
  kms:GenerateDataKey and Decrypt on the queue's key
- kms:Decrypt (and GenerateDataKey as DynamoDB asks) on the key of the run tables, if it is a customer key
- states:StartExecution on MACHINE_ARN
- with TRIGGER=arrival: s3:GetObjectVersion on `<raw bucket>/<domain>/<dataset>/*`, kms:Decrypt on its key; s3:ListBucket on the raw bucket (without
  it S3 answers 403, not 404, for a version that is gone); s3:PutObject on `<logs bucket>/manifests/<domain>/<dataset>/*`, kms:GenerateDataKey on its key

Event source mapping: ReportBatchItemFailures; visibility timeout of the queue at least 6 x the function's timeout plus the batch window, so that the
claims of a function that died (`claimed_until`: its deadline + 5 s) are free when its messages come back.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from os import environ
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from lakehouse.audit import TTL_DAYS, AuditTrail
from lakehouse.aws import client
from lakehouse.claims import Claims
from lakehouse.clock import utc_now
from lakehouse.held_ends import HeldEnds
from lakehouse.leases import Leases
from lakehouse.manifests import ManifestStore
from lambdas.arrival_starter.following import UpstreamJudge
from lambdas.arrival_starter.judging import FileJudge, Judge, ScheduleJudge
from lambdas.arrival_starter.launcher import Launcher
from lambdas.arrival_starter.starter import Message, Starter

logger = Logger(service="lambdas.arrival_starter")


@cache
def starter() -> Starter:
    """The one starter of this execution environment."""
    ttl_days = int(environ.get("AUDIT_TTL_DAYS", TTL_DAYS))
    audit = AuditTrail(client=client("dynamodb"), table=environ["AUDIT_TABLE"], ttl_days=ttl_days)
    claims = Claims(client=client("dynamodb"), table=environ["CONTROL_TABLE"], audit=audit, audit_ttl_days=ttl_days)
    launcher = Launcher(claims=claims, audit=audit, states=client("stepfunctions"), machine_arn=environ["MACHINE_ARN"])
    return Starter(judge=judge(claims, audit), launcher=launcher, pipeline=environ["PIPELINE"])


def judge(claims: Claims, audit: AuditTrail) -> Judge:
    """What this function judges: files, upstream successes or times of a schedule."""
    if environ["TRIGGER"] == "schedule":
        return ScheduleJudge(claims=claims, audit=audit, pipeline=environ["PIPELINE"])
    if environ["TRIGGER"] == "after":
        return UpstreamJudge(
            claims=claims,
            audit=audit,
            held=HeldEnds(client=client("dynamodb"), table=environ["CONTROL_TABLE"]),
            leases=Leases(client=client("dynamodb"), table=environ["CONTROL_TABLE"]),
            sqs=client("sqs"),
            queue=environ["QUEUE"],
            pipeline=environ["PIPELINE"],
            machine_arn=environ["MACHINE_ARN"],
            upstream=environ["UPSTREAM"].split(","),
            wait_minutes=int(environ["WAIT_MINUTES"]),
        )
    return FileJudge(
        claims=claims,
        audit=audit,
        s3=client("s3"),
        manifests=ManifestStore(client=client("s3"), bucket=environ["LOGS_BUCKET"]),
        bucket=environ["RAW_BUCKET"],
        dataset=environ["DATASET"],
        formats=frozenset(environ["SOURCE_FORMATS"].split(",")),
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Lambda entry point; answers the messages that have to be delivered again.

    The batch is one unit of work, so Powertools' BatchProcessor, which takes records one by one, does not fit.
    """
    messages = [Message(id=record["messageId"], body=record["body"]) for record in event["Records"]]
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in starter().start(messages, deadline=deadline)]}
