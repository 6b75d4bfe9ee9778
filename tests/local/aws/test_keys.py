"""Data under a customer key needs the right to use the key, whatever holds the data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def key(local_aws: LocalAws) -> str:
    """A key whose use is left to identity policies."""
    return str(local_aws.client("kms").create_key()["KeyMetadata"]["Arn"])


def test_an_object_is_written_and_read_only_with_its_key(local_aws: LocalAws, key: str) -> None:
    bucket, s3 = local_aws.name("bucket"), local_aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    encryption = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [encryption]})
    objects = allow(["s3:PutObject", "s3:GetObject"], f"arn:aws:s3:::{bucket}/*")
    whole = local_aws.caller(objects, allow(["kms:GenerateDataKey", "kms:Decrypt"], key)).client("s3")
    whole.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert whole.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    without = local_aws.caller(objects).client("s3")
    assert without.head_object(Bucket=bucket, Key="a")["ContentLength"] == 1  # AWS needs no key for HEAD
    with pytest.raises(ClientError, match="is not authorized to perform: kms:Decrypt on resource: " + key):
        without.get_object(Bucket=bucket, Key="a")
    with pytest.raises(ClientError, match="is not authorized to perform: kms:GenerateDataKey"):
        without.put_object(Bucket=bucket, Key="b", Body=b"1")


def test_a_part_of_an_upload_needs_the_key_too(local_aws: LocalAws, key: str) -> None:
    bucket = local_aws.name("bucket")
    local_aws.client("s3").create_bucket(Bucket=bucket)
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    upload = local_aws.client("s3").create_multipart_upload(Bucket=bucket, Key="a", **encryption)["UploadId"]
    part: dict[str, Any] = {"Bucket": bucket, "Key": "a", "UploadId": upload, "PartNumber": 1, "Body": b"1"}
    put = allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*")
    local_aws.caller(put, allow(["kms:GenerateDataKey", "kms:Decrypt"], key)).client("s3").upload_part(**part)
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        local_aws.caller(put).client("s3").upload_part(**part)


def test_a_queue_is_written_and_read_only_with_its_key(local_aws: LocalAws, key: str) -> None:
    url = local_aws.client("sqs").create_queue(QueueName=local_aws.name("queue"), Attributes={"KmsMasterKeyId": key})["QueueUrl"]
    messages = allow(["sqs:SendMessage", "sqs:ReceiveMessage"])
    whole = local_aws.caller(messages, allow(["kms:GenerateDataKey", "kms:Decrypt"], key)).client("sqs")
    whole.send_message(QueueUrl=url, MessageBody="a")
    assert whole.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "a"
    without = local_aws.caller(messages).client("sqs")
    with pytest.raises(ClientError, match="kms:GenerateDataKey") as sent:
        without.send_message(QueueUrl=url, MessageBody="a")
    assert "AccessDenied" in sent.value.response["Error"]["Code"]
    with pytest.raises(ClientError, match="kms:Decrypt"):
        without.receive_message(QueueUrl=url)


def test_a_topic_is_published_to_only_with_its_key(local_aws: LocalAws, key: str) -> None:
    topic = local_aws.client("sns").create_topic(Name=local_aws.name("topic"), Attributes={"KmsMasterKeyId": key})["TopicArn"]
    publish = allow("sns:Publish", topic)
    local_aws.caller(publish, allow(["kms:GenerateDataKey", "kms:Decrypt"], key)).client("sns").publish(TopicArn=topic, Message="a")
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        local_aws.caller(publish).client("sns").publish(TopicArn=topic, Message="a")


def test_a_key_policy_that_names_nobody_denies_even_an_allowed_role(local_aws: LocalAws) -> None:
    statement = allow("kms:*", Principal={"AWS": "arn:aws:iam::000000000000:role/somebody-else"})
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    closed = local_aws.client("kms").create_key(Policy=policy, BypassPolicyLockoutSafetyCheck=True)["KeyMetadata"]["Arn"]
    caller = local_aws.caller(allow("kms:*"))
    with pytest.raises(ClientError, match="because no resource-based policy allows the kms:GenerateDataKey action"):
        caller.client("kms").generate_data_key(KeyId=closed, KeySpec="AES_256")


def test_a_log_group_takes_a_key_only_if_the_key_admits_cloudwatch_logs(local_aws: LocalAws) -> None:
    kms, logs = local_aws.client("kms"), local_aws.client("logs")
    root = allow("kms:*", Principal={"AWS": "arn:aws:iam::000000000000:root"})
    service = allow(
        ["kms:Encrypt*", "kms:Decrypt*", "kms:GenerateDataKey*"], Principal={"Service": "logs.us-east-1.amazonaws.com"},
        Condition={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:us-east-1:000000000000:log-group:/ours-*"}},
    )  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [root, service]})
    key = kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
    logs.create_log_group(logGroupName=local_aws.name("/ours"), kmsKeyId=key)
    with pytest.raises(ClientError, match="is not allowed to be used with LogGroup"):
        logs.create_log_group(logGroupName=local_aws.name("/theirs"), kmsKeyId=key)


def test_an_item_is_written_and_read_only_with_the_tables_key(local_aws: LocalAws, key: str) -> None:
    table = local_aws.name("table")
    local_aws.client("dynamodb").create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )  # fmt: skip
    items = allow(["dynamodb:PutItem", "dynamodb:GetItem"])
    via = {"StringEquals": {"kms:ViaService": "dynamodb.us-east-1.amazonaws.com"}}
    whole = local_aws.caller(items, allow("kms:Decrypt", key, Condition=via)).client("dynamodb")
    whole.put_item(TableName=table, Item={"k": {"S": "1"}})
    assert whole.get_item(TableName=table, Key={"k": {"S": "1"}})["Item"]
    without = local_aws.caller(items).client("dynamodb")
    with pytest.raises(ClientError, match="is not authorized to perform: kms:Decrypt on resource: " + key):
        without.get_item(TableName=table, Key={"k": {"S": "1"}})
    with pytest.raises(ClientError, match="kms:Decrypt"):
        without.put_item(TableName=table, Item={"k": {"S": "1"}})


def test_nobody_can_use_a_key_that_is_disabled_or_does_not_exist(local_aws: LocalAws) -> None:
    kms, sqs, sns, dynamodb = (local_aws.client(name) for name in ("kms", "sqs", "sns", "dynamodb"))
    key = kms.create_key()["KeyMetadata"]["Arn"]
    url = sqs.create_queue(QueueName=local_aws.name("queue"), Attributes={"KmsMasterKeyId": key})["QueueUrl"]
    topic = sns.create_topic(Name=local_aws.name("topic"), Attributes={"KmsMasterKeyId": key})["TopicArn"]
    table = local_aws.name("table")
    dynamodb.create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )  # fmt: skip
    caller = local_aws.caller(allow(["sqs:SendMessage", "sns:Publish", "dynamodb:PutItem"]), allow(["kms:GenerateDataKey", "kms:Decrypt"]))

    def send() -> None:
        caller.client("sqs").send_message(QueueUrl=url, MessageBody="a")

    def publish() -> None:
        caller.client("sns").publish(TopicArn=topic, Message="a")

    def put() -> None:
        caller.client("dynamodb").put_item(TableName=table, Item={"pk": {"S": "a"}})

    send()
    publish()
    kms.disable_key(KeyId=key)
    with pytest.raises(ClientError, match="because the key is disabled") as sent:
        send()
    assert "Disabled" in sent.value.response["Error"]["Code"]
    with pytest.raises(ClientError, match="because the key is disabled"):
        publish()
    with pytest.raises(ClientError, match="because the key is disabled"):
        put()
    kms.enable_key(KeyId=key)
    for use in (send, publish, put):
        use()
    gone = key.rsplit("/", 1)[0] + "/00000000-0000-0000-0000-000000000000"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": gone})
    with pytest.raises(ClientError, match="there is no such key"):
        send()
