"""A queue feeds a function with the function's own rights, in batches by window, and reports what failed."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow, wait_for

pytestmark = pytest.mark.platform

POLL = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
LOGS = allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"])
CODE = """
import json
def handler(event, context):
    print(json.dumps(["batch", len(event["Records"])]))
    return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in event["Records"] if r["body"] == "bad"]}
"""


def queue(local_aws: LocalAws, **attributes: str) -> tuple[str, str]:
    name = local_aws.name("queue")
    url = local_aws.client("sqs").create_queue(QueueName=name, Attributes={"VisibilityTimeout": "30", **attributes})["QueueUrl"]
    return url, f"arn:aws:sqs:us-east-1:000000000000:{name}"


def batches(local_aws: LocalAws, function: str) -> list[int]:
    group = f"/aws/lambda/{function.rsplit(':', 1)[-1]}"
    try:
        events = local_aws.client("logs").filter_log_events(logGroupName=group)["events"]
    except ClientError:
        return []
    return [json.loads(event["message"])[1] for event in events if event["message"].startswith('["batch"')]


def map_queue(local_aws: LocalAws, arn: str, function: str, **more: Any) -> None:
    local_aws.client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName=function, **more)


def test_a_mapping_needs_the_functions_rights_at_creation_and_while_it_polls(local_aws: LocalAws) -> None:
    url, arn = queue(local_aws)
    role = local_aws.role(LOGS, allow(["sqs:ReceiveMessage"], arn), service="lambda.amazonaws.com")
    function = local_aws.function(CODE, role=role)
    with pytest.raises(ClientError, match="does not have permissions to call DeleteMessage on SQS"):
        map_queue(local_aws, arn, function)
    local_aws.allow(role, LOGS, allow(POLL, arn))
    map_queue(local_aws, arn, function)
    local_aws.client("sqs").send_message(QueueUrl=url, MessageBody="good")
    wait_for(lambda: batches(local_aws, function) == [1])
    local_aws.allow(role, LOGS)
    time.sleep(2.5)
    local_aws.client("sqs").send_message(QueueUrl=url, MessageBody="good")
    time.sleep(2.5)
    assert batches(local_aws, function) == [1]
    local_aws.allow(role, LOGS, allow(POLL, arn))
    wait_for(lambda: batches(local_aws, function) == [1, 1])


def test_an_encrypted_queue_needs_the_key_too(local_aws: LocalAws) -> None:
    key = local_aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    _, arn = queue(local_aws, KmsMasterKeyId=key)
    role = local_aws.role(allow(POLL, arn), service="lambda.amazonaws.com")
    function = local_aws.function(CODE, role=role)
    with pytest.raises(ClientError, match="does not have permissions to call Decrypt on KMS"):
        map_queue(local_aws, arn, function)
    local_aws.allow(role, allow(POLL, arn), allow("kms:Decrypt", key))
    map_queue(local_aws, arn, function)


def test_messages_of_one_window_come_as_one_batch(local_aws: LocalAws) -> None:
    url, arn = queue(local_aws)
    function = local_aws.function(CODE, role=local_aws.role(LOGS, allow(POLL, arn), service="lambda.amazonaws.com"))
    map_queue(local_aws, arn, function, BatchSize=100, MaximumBatchingWindowInSeconds=3)
    for number in range(12):
        local_aws.client("sqs").send_message(QueueUrl=url, MessageBody=str(number))
    wait_for(lambda: batches(local_aws, function))
    assert batches(local_aws, function) == [12]


def test_only_what_failed_stays_in_the_queue(local_aws: LocalAws) -> None:
    url, arn = queue(local_aws)
    function = local_aws.function(CODE, role=local_aws.role(LOGS, allow(POLL, arn), service="lambda.amazonaws.com"))
    for body in ("good", "bad"):
        local_aws.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    map_queue(local_aws, arn, function, FunctionResponseTypes=["ReportBatchItemFailures"])
    wait_for(lambda: batches(local_aws, function))
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    wait_for(
        lambda: sum(map(int, local_aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values())) == 1
    )


@pytest.mark.parametrize(
    ("visibility", "mapping", "sentence"),
    [
        ("30", {"BatchSize": 100}, "Maximum batch window in seconds must be greater than 0"),
        ("5", {}, "Queue visibility timeout: 5 seconds is less than Function timeout: 10 seconds"),
    ],
)
def test_a_mapping_that_aws_refuses_is_refused(local_aws: LocalAws, visibility: str, mapping: dict[str, Any], sentence: str) -> None:
    _, arn = queue(local_aws, VisibilityTimeout=visibility)
    function = local_aws.function(CODE, role=local_aws.role(allow(POLL, arn), service="lambda.amazonaws.com"))
    with pytest.raises(ClientError, match=sentence):
        map_queue(local_aws, arn, function, **mapping)
