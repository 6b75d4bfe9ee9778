"""A message that fails whatever is done goes out of the way of the others."""

from __future__ import annotations

import json

import pytest

from tests.fixtures.platform import LocalAws, allow, wait_for
from tests.local.aws.test_event_sources import CODE, LOGS, POLL, batches, map_queue, queue

pytestmark = pytest.mark.platform

SECONDS = 3
"""Longest call of the function, after which the queue hands a message out again."""


def test_a_poison_message_is_handed_out_three_times_and_then_a_dead_letter(local_aws: LocalAws) -> None:
    sqs = local_aws.client("sqs")
    dead_url, dead_arn = queue(local_aws)
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 3})
    url, arn = queue(local_aws, VisibilityTimeout=str(SECONDS), RedrivePolicy=redrive)
    role = local_aws.role(LOGS, allow(POLL, arn), service="lambda.amazonaws.com")
    function = local_aws.function(CODE, role=role, timeout=SECONDS)
    for body in ("good", "bad", "good"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    map_queue(local_aws, arn, function, FunctionResponseTypes=["ReportBatchItemFailures"])

    dead = wait_for(lambda: sqs.receive_message(QueueUrl=dead_url).get("Messages"), seconds=60)

    assert [message["Body"] for message in dead] == ["bad"]
    assert sum(batches(local_aws, function)) == 2 + 3  # two that were done with, and one three times
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    assert set(left.values()) == {"0"}
