"""Messages into an encrypted queue or topic need its key, whoever sends them, and its dead letters the key that they were sent with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow, wait_for
from tests.local.aws.test_deliveries import queue, received, send
from tests.local.aws.test_states import LOGS, run, task

pytestmark = pytest.mark.platform

USE = ["kms:GenerateDataKey", "kms:Decrypt"]


def key(local_aws: LocalAws, *services: str, condition: dict[str, Any] | None = None) -> str:
    """A key that these services may use, besides those whom their own policies let."""
    more: dict[str, Any] = {"Condition": condition} if condition else {}
    statements = [
        allow("kms:*", Principal={"AWS": "arn:aws:iam::000000000000:root"}),
        *({**allow(USE, Principal={"Service": service}), **more} for service in services),
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return str(local_aws.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"])


def test_a_machine_sends_into_an_encrypted_queue_only_with_the_right_to_its_key(local_aws: LocalAws) -> None:
    kms_key = key(local_aws)
    url, arn = queue(local_aws, key=kms_key)
    message = task("arn:aws:states:::sqs:sendMessage", {"QueueUrl": url, "MessageBody": "a"})
    allowed = local_aws.role(allow("sqs:SendMessage", arn), allow(USE, kms_key), service="states.amazonaws.com")
    assert run(local_aws, message, allowed)["status"] == "SUCCEEDED"
    assert received(local_aws, url)
    refused = run(local_aws, message, local_aws.role(allow("sqs:SendMessage", arn), service="states.amazonaws.com"))
    assert (refused["status"], refused["error"]) == ("FAILED", "SQS.AmazonSQSException")
    assert "is not authorized to perform: kms:GenerateDataKey on resource: " + kms_key in refused["cause"]
    assert "Error Code: KMS.AccessDeniedException" in refused["cause"]
    local_aws.client("kms").disable_key(KeyId=kms_key)
    disabled = run(local_aws, message, allowed)
    assert "Error Code: KMS.DisabledException" in disabled["cause"]
    local_aws.client("kms").enable_key(KeyId=kms_key)
    assert received(local_aws, url, seconds=1) == []


def test_a_machine_publishes_to_an_encrypted_topic_only_with_the_right_to_its_key(local_aws: LocalAws) -> None:
    kms_key = key(local_aws)
    topic = local_aws.client("sns").create_topic(Name=local_aws.name("topic"), Attributes={"KmsMasterKeyId": kms_key})["TopicArn"]
    message = task("arn:aws:states:::sns:publish", {"TopicArn": topic, "Message": "a"})
    publish = allow("sns:Publish", topic)
    assert run(local_aws, message, local_aws.role(publish, allow(USE, kms_key), service="states.amazonaws.com"))["status"] == "SUCCEEDED"
    refused = run(local_aws, message, local_aws.role(publish, service="states.amazonaws.com"))
    assert (refused["status"], refused["error"]) == ("FAILED", "SNS.KMSAccessDeniedException")


def test_a_machine_writes_an_item_only_with_the_right_to_the_tables_key(local_aws: LocalAws) -> None:
    kms_key, table = key(local_aws), local_aws.name("table")
    local_aws.client("dynamodb").create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": kms_key},
    )  # fmt: skip
    put = allow("dynamodb:PutItem")
    bound = {"StringEquals": {"kms:EncryptionContext:aws:dynamodb:tableName": table}}
    message = task("arn:aws:states:::dynamodb:putItem", {"TableName": table, "Item": {"k": {"S": "1"}}})
    allowed = local_aws.role(put, allow("kms:Decrypt", kms_key, Condition=bound), service="states.amazonaws.com")
    assert run(local_aws, message, allowed)["status"] == "SUCCEEDED"
    refused = run(local_aws, message, local_aws.role(put, service="states.amazonaws.com"))
    assert (refused["status"], refused["error"]) == ("FAILED", "DynamoDB.AmazonDynamoDBException")
    assert "is not authorized to perform: kms:Decrypt on resource: " + kms_key in refused["cause"]


def test_an_sdk_call_of_a_machine_names_the_refused_key_as_the_service_does(local_aws: LocalAws) -> None:
    url, arn = queue(local_aws, key=key(local_aws))
    message = task("arn:aws:states:::aws-sdk:sqs:sendMessage", {"QueueUrl": url, "MessageBody": "a"})
    refused = run(local_aws, message, local_aws.role(allow("sqs:SendMessage", arn), service="states.amazonaws.com"))
    assert (refused["status"], refused["error"]) == ("FAILED", "Sqs.KmsAccessDeniedException")
    assert "kms:GenerateDataKey" in refused["cause"]


def test_an_item_reader_reads_an_object_only_with_its_key(local_aws: LocalAws) -> None:
    kms_key, s3, bucket = key(local_aws), local_aws.client("s3"), local_aws.name("bucket")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="items.json", Body=b"[1, 2]", ServerSideEncryption="aws:kms", SSEKMSKeyId=kms_key)
    reader = {
        "Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSON"},
        "Parameters": {"Bucket": bucket, "Key": "items.json"},
    }  # fmt: skip
    inner = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "P",
        "States": {"P": {"Type": "Pass", "End": True}},
    }
    machine = {"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemReader": reader, "ItemProcessor": inner, "End": True}}}
    get = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")
    start = allow("states:StartExecution")
    whole = run(local_aws, machine, local_aws.role(get, start, allow("kms:Decrypt", kms_key), service="states.amazonaws.com"))
    assert (whole["status"], json.loads(whole.get("output", "null"))) == ("SUCCEEDED", [1, 2])
    refused = run(local_aws, machine, local_aws.role(get, start, service="states.amazonaws.com"))
    assert (refused["status"], refused["error"]) == ("FAILED", "States.ItemReaderFailed")
    assert "kms:Decrypt" in refused["cause"]


def test_a_rule_with_a_role_reaches_an_encrypted_queue_only_if_the_role_may_use_its_key(local_aws: LocalAws) -> None:
    kms_key = key(local_aws)
    (open_url, open_arn), (closed_url, closed_arn) = queue(local_aws, key=kms_key), queue(local_aws, key=kms_key)
    to_both = allow("sqs:SendMessage", [open_arn, closed_arn])
    bound = {"StringEquals": {"kms:EncryptionContext:aws:sqs:arn": open_arn}}
    role = local_aws.role(to_both, allow(USE, kms_key, Condition=bound), service="events.amazonaws.com")
    send(local_aws, {"Arn": open_arn, "RoleArn": role}, {"Arn": closed_arn, "RoleArn": role})
    assert received(local_aws, open_url)
    assert received(local_aws, closed_url, seconds=1) == []


def test_a_bucket_notifies_an_encrypted_queue_or_topic_only_if_the_key_admits_s3(local_aws: LocalAws) -> None:
    s3, bucket = local_aws.client("s3"), local_aws.name("bucket")
    s3.create_bucket(Bucket=bucket)
    source = {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}}
    open_key, closed_key = key(local_aws, "s3.amazonaws.com", condition=source), key(local_aws)
    open_url, open_arn = queue(local_aws, "s3.amazonaws.com", key=open_key)
    _, closed_arn = queue(local_aws, "s3.amazonaws.com", key=closed_key)
    topic = local_aws.client("sns").create_topic(Name=local_aws.name("topic"), Attributes={"KmsMasterKeyId": closed_key})["TopicArn"]
    policy = {"Version": "2012-10-17", "Statement": [allow("sns:Publish", topic, Principal={"Service": "s3.amazonaws.com"})]}
    local_aws.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(policy))

    def notify(**target: Any) -> None:
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=target)

    for target in (
        {"QueueConfigurations": [{"QueueArn": closed_arn, "Events": ["s3:ObjectCreated:*"]}]},
        {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]},
    ):
        with pytest.raises(ClientError, match="Unable to validate the following destination configurations"):
            notify(**target)
    notify(QueueConfigurations=[{"QueueArn": open_arn, "Events": ["s3:ObjectCreated:*"]}])
    sqs = local_aws.client("sqs")
    wait_for(lambda: received(local_aws, open_url))  # s3:TestEvent
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert "ObjectCreated:Put" in received(local_aws, open_url)[0]["Body"]
    sqs.set_queue_attributes(QueueUrl=open_url, Attributes={"KmsMasterKeyId": closed_key})
    s3.put_object(Bucket=bucket, Key="b", Body=b"1")
    assert received(local_aws, open_url, seconds=2) == []


def test_an_encrypted_topic_and_an_encrypted_queue_behind_it_need_keys_that_admit_their_senders(local_aws: LocalAws) -> None:
    sns = local_aws.client("sns")
    topic = sns.create_topic(Name=local_aws.name("topic"))["TopicArn"]
    dead_url, dead_arn = queue(local_aws, "sns.amazonaws.com", key=key(local_aws, "sns.amazonaws.com"))
    lost_url, lost_arn = queue(local_aws, "sns.amazonaws.com", key=key(local_aws))
    open_url, open_arn = queue(local_aws, "sns.amazonaws.com", key=key(local_aws, "sns.amazonaws.com"))
    first_url, first_arn = queue(local_aws, "sns.amazonaws.com", key=key(local_aws))
    second_url, second_arn = queue(local_aws, "sns.amazonaws.com", key=key(local_aws))
    for arn, dead in ((open_arn, ""), (first_arn, dead_arn), (second_arn, lost_arn)):
        redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead})} if dead else {}
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=redrive)
    sns.publish(TopicArn=topic, Message="hello")
    assert received(local_aws, open_url)
    assert received(local_aws, dead_url)  # of the first, whose key does not admit SNS
    for url in (first_url, second_url, lost_url):
        assert received(local_aws, url, seconds=1) == []
    dimensions = [{"Name": "TopicName", "Value": topic.rsplit(":", 1)[-1]}]
    found = local_aws.client("cloudwatch").list_metrics(Namespace="AWS/SNS", Dimensions=dimensions)["Metrics"]
    assert {"NumberOfNotificationsRedrivenToDlq", "NumberOfNotificationsFailedToRedriveToDlq"} <= {metric["MetricName"] for metric in found}


def test_dead_letters_of_a_rule_and_of_a_function_need_the_key_of_their_queue(local_aws: LocalAws) -> None:
    _, closed_arn = queue(local_aws)
    dead_url, dead_arn = queue(local_aws, "events.amazonaws.com", key=key(local_aws, "events.amazonaws.com"))
    lost_url, lost_arn = queue(local_aws, "events.amazonaws.com", key=key(local_aws))
    for arn in (dead_arn, lost_arn):
        send(local_aws, {"Arn": closed_arn, "DeadLetterConfig": {"Arn": arn}})
    assert received(local_aws, dead_url)
    assert received(local_aws, lost_url, seconds=1) == []

    kms_key = key(local_aws)
    url, arn = queue(local_aws, key=kms_key)
    fails = "def handler(e, c): raise ValueError(e)"

    def fail(role: str) -> None:
        function = local_aws.function(fails, role=role)
        client = local_aws.client("lambda")
        client.update_function_configuration(FunctionName=function, DeadLetterConfig={"TargetArn": arn})
        client.put_function_event_invoke_config(FunctionName=function, MaximumRetryAttempts=0)
        client.invoke(FunctionName=function, InvocationType="Event", Payload=b'"x"')

    message = allow("sqs:SendMessage", arn)
    without = local_aws.role(LOGS, message, service="lambda.amazonaws.com")
    fail(without)
    wait_for(lambda: local_aws.calls(role=without, action="kms:GenerateDataKey"))
    assert received(local_aws, url, seconds=1) == []
    fail(local_aws.role(LOGS, message, allow(USE, kms_key), service="lambda.amazonaws.com"))
    assert received(local_aws, url)


def test_dead_letters_stay_under_the_key_that_they_were_sent_with(local_aws: LocalAws) -> None:
    sqs, old, new = local_aws.client("sqs"), key(local_aws), key(local_aws)
    dead_url, dead_arn = queue(local_aws, key=new)
    url, arn = queue(local_aws, key=old)
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "0"})
    sqs.send_message(QueueUrl=url, MessageBody="a")
    for _ in range(2):
        sqs.receive_message(QueueUrl=url)
    receive = allow("sqs:ReceiveMessage", [arn, dead_arn])
    with pytest.raises(ClientError, match="is not authorized to perform: kms:Decrypt on resource: " + old):
        local_aws.caller(receive, allow("kms:Decrypt", new)).client("sqs").receive_message(QueueUrl=dead_url)
    both = local_aws.caller(receive, allow("kms:Decrypt", [old, new])).client("sqs")
    assert both.receive_message(QueueUrl=dead_url)["Messages"]
