"""What a service delivers arrives only where the target lets it, else in the dead letters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fixtures.platform import LocalAws, allow, wait_for

pytestmark = pytest.mark.platform


def queue(local_aws: LocalAws, *senders: str, key: str = "") -> tuple[str, str]:
    """URL and ARN of a queue that these services may send to."""
    name, sqs = local_aws.name("queue"), local_aws.client("sqs")
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    attributes = {"KmsMasterKeyId": key} if key else {}
    if senders:
        statement = allow("sqs:SendMessage", arn, Principal={"Service": list(senders)})
        attributes["Policy"] = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], arn


def received(local_aws: LocalAws, url: str, *, seconds: int = 5) -> list[dict[str, Any]]:
    return local_aws.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=seconds, MessageAttributeNames=["All"]).get("Messages", [])


def send(local_aws: LocalAws, *targets: dict[str, Any]) -> str:
    """Put an event that a rule of its own takes to these targets; the rule's name."""
    name, events = local_aws.name("rule"), local_aws.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": str(number), **target} for number, target in enumerate(targets)])
    events.put_events(Entries=[{"Source": name, "DetailType": "t", "Detail": '{"a": 1}'}])
    return name


def test_an_event_reaches_a_queue_whose_policy_admits_eventbridge_and_no_other(local_aws: LocalAws) -> None:
    (open_url, open_arn), (closed_url, closed_arn), (dead_url, dead_arn) = (
        queue(local_aws, "events.amazonaws.com"), queue(local_aws), queue(local_aws, "events.amazonaws.com"),
    )  # fmt: skip
    rule = send(local_aws, {"Arn": open_arn}, {"Arn": closed_arn, "DeadLetterConfig": {"Arn": dead_arn}})
    assert json.loads(received(local_aws, open_url)[0]["Body"])["source"] == rule
    dead = received(local_aws, dead_url)[0]
    assert dead["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert received(local_aws, closed_url, seconds=1) == []
    metrics = local_aws.client("cloudwatch").list_metrics(Namespace="AWS/Events", Dimensions=[{"Name": "RuleName", "Value": rule}])[
        "Metrics"
    ]
    assert {"FailedInvocations", "InvocationsSentToDlq"} <= {metric["MetricName"] for metric in metrics}


def test_an_encrypted_queue_takes_events_only_if_its_key_admits_eventbridge(local_aws: LocalAws) -> None:
    def key(*services: str) -> str:
        root = allow("kms:*", Principal={"AWS": "arn:aws:iam::000000000000:root"})
        statements = [root, *(allow(["kms:GenerateDataKey", "kms:Decrypt"], Principal={"Service": service}) for service in services)]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        return str(local_aws.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"])

    open_url, open_arn = queue(local_aws, "events.amazonaws.com", key=key("events.amazonaws.com"))
    closed_url, closed_arn = queue(local_aws, "events.amazonaws.com", key=key())
    managed_url, managed_arn = queue(local_aws, "events.amazonaws.com", key="alias/aws/sqs")
    send(local_aws, {"Arn": open_arn}, {"Arn": closed_arn}, {"Arn": managed_arn})
    assert received(local_aws, open_url)
    assert received(local_aws, closed_url, seconds=1) == []
    assert received(local_aws, managed_url, seconds=1) == []


def test_an_event_starts_a_machine_only_with_a_role_that_may(local_aws: LocalAws) -> None:
    states = local_aws.client("stepfunctions")
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    machine = states.create_state_machine(
        name=local_aws.name("machine"), definition=definition, roleArn=local_aws.role(service="states.amazonaws.com")
    )["stateMachineArn"]
    allowed = local_aws.role(allow("states:StartExecution", machine), service="events.amazonaws.com")
    send(local_aws, {"Arn": machine, "RoleArn": local_aws.role(service="events.amazonaws.com")})
    send(local_aws, {"Arn": machine, "RoleArn": allowed})
    wait_for(lambda: states.list_executions(stateMachineArn=machine)["executions"])
    assert len(states.list_executions(stateMachineArn=machine)["executions"]) == 1


def test_an_event_invokes_a_function_only_with_its_permission_and_again_when_it_fails(local_aws: LocalAws) -> None:
    group = local_aws.name("/aws/lambda/x")
    logs = allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"])
    code = "def handler(e, c):\n    print('tried')\n    raise ValueError('no')"
    function = local_aws.function(code, role=local_aws.role(logs, service="lambda.amazonaws.com"))
    group = f"/aws/lambda/{function.rsplit(':', 1)[-1]}"
    local_aws.client("logs").create_log_group(logGroupName=group)

    def tries() -> int:
        events = local_aws.client("logs").filter_log_events(logGroupName=group)["events"]
        return sum(event["message"] == "tried" for event in events)

    send(local_aws, {"Arn": function})
    local_aws.client("lambda").add_permission(
        FunctionName=function, StatementId="events", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    assert tries() == 0
    send(local_aws, {"Arn": function})
    wait_for(lambda: tries() == 3, seconds=15)  # once, and twice more as Lambda retries asynchronous calls


def test_a_topic_delivers_to_a_queue_only_if_the_queue_admits_it(local_aws: LocalAws) -> None:
    sns = local_aws.client("sns")
    topic = sns.create_topic(Name=local_aws.name("topic"))["TopicArn"]
    open_url, open_arn = queue(local_aws, "sns.amazonaws.com")
    closed_url, closed_arn = queue(local_aws)
    for arn in (open_arn, closed_arn):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="hello")
    assert json.loads(received(local_aws, open_url)[0]["Body"])["Message"] == "hello"
    assert received(local_aws, closed_url, seconds=1) == []


def test_an_object_created_event_tells_version_size_etag_and_sequencer(local_aws: LocalAws) -> None:
    s3, bucket = local_aws.client("s3"), local_aws.name("bucket")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    url, arn = queue(local_aws, "events.amazonaws.com")
    rule, events = local_aws.name("rule"), local_aws.client("events")
    pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": [bucket]}}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": arn}])
    puts = [s3.put_object(Bucket=bucket, Key="a b/ü.csv", Body=body) for body in (b"1", b"22")]
    details = [json.loads(wait_for(lambda: received(local_aws, url))[0]["Body"])["detail"] for _ in puts]
    details.sort(key=lambda detail: detail["object"]["sequencer"].rjust(32, "0"))
    for put, detail, size in zip(puts, details, (1, 2), strict=True):
        assert detail["object"]["version-id"] == put["VersionId"]
        assert detail["object"]["etag"] == put["ETag"].strip('"')
        assert (detail["object"]["key"], detail["object"]["size"]) == ("a b/ü.csv", size)
        assert detail["reason"] == "PutObject"
