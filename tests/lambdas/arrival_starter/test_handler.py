"""The function as Lambda calls it for a queue: good messages are done with, a bad one is alone with the dead letters in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext

from lakehouse import aws
from lambdas.arrival_starter import handler
from tests.lambdas.world import AUDIT, CONTROL, DATASET, FOLDER, LOGS, MACHINE, PIPELINE, RAW, World, client

MAX_RECEIVES = 5
"""As tests/stacks/test_templates.py holds every queue to."""

ENVIRONMENT = {
    "AUDIT_TABLE": AUDIT,
    "CONTROL_TABLE": CONTROL,
    "DATASET": DATASET,
    "LAKEHOUSE_ENV": "test",
    "LAKEHOUSE_PROJECT": "lakehouse",
    "LOGS_BUCKET": LOGS,
    "MACHINE_ARN": MACHINE,
    "PIPELINE": PIPELINE,
    "RAW_BUCKET": RAW,
    "SOURCE_FORMATS": "csv,json,parquet",
    "TRIGGER": "arrival",
}


@dataclass(frozen=True)
class Context:
    """What Lambda says of an invocation."""

    function_name: str = "arrival-starter"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:arrival-starter"
    aws_request_id: str = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 120_000


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The function's variables and the machine that it starts."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    client("stepfunctions").create_state_machine(
        name=MACHINE.rpartition(":")[2], definition=definition, roleArn="arn:aws:iam::123456789012:role/machine"
    )
    caches = (handler.starter, aws.client)
    for cache in caches:
        cache.cache_clear()
    yield world
    for cache in caches:
        cache.cache_clear()


def call(messages: list[dict[str, Any]]) -> list[str]:
    """Call the function with messages of SQS; ids of those that it asks for again."""
    records = [{"messageId": message["MessageId"], "body": message["Body"], "eventSource": "aws:sqs"} for message in messages]
    answer = handler.handler({"Records": records}, cast("LambdaContext", Context()))
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def started() -> list[str]:
    return [execution["name"] for execution in client("stepfunctions").list_executions(stateMachineArn=MACHINE)["executions"]]


def test_only_what_failed_is_asked_for_again(deployed: World) -> None:
    bodies = [deployed.drop("a.csv", b"a"), {"unknown": "event"}, deployed.drop("b.csv", b"b"), deployed.drop("_SUCCESS", b"")]
    assert call([{"MessageId": f"m{number}", "Body": json.dumps(body)} for number, body in enumerate(bodies)]) == ["m1"]
    assert len(started()) == 1


def test_a_poison_message_ends_with_the_dead_letters_and_the_others_are_loaded(deployed: World) -> None:
    sqs = client("sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    dead_arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": MAX_RECEIVES})
    queue = sqs.create_queue(QueueName="arrivals", Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "0"})["QueueUrl"]
    good = [json.dumps(deployed.drop(f"{number}.csv", str(number).encode())) for number in range(3)]
    for body in [good[0], "poison", *good[1:]]:
        sqs.send_message(QueueUrl=queue, MessageBody=body)

    handed_out = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        handed_out.append(sorted(message["Body"] == "poison" for message in messages))
        again = call(messages)
        for message in messages:
            if message["MessageId"] not in again:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    assert handed_out == [[False, False, False, True], *[[True]] * (MAX_RECEIVES - 1)]
    assert [message["Body"] for message in sqs.receive_message(QueueUrl=dead).get("Messages", [])] == ["poison"]
    claims = [deployed.claims.get(bucket=RAW, key=f"{FOLDER}{number}.csv", version_id=_version(body)) for number, body in enumerate(good)]
    assert [claim and claim.status for claim in claims] == ["STARTED"] * 3
    assert len(started()) == 1


def _version(body: str) -> str:
    return str(json.loads(body)["detail"]["object"]["version-id"])
