"""Alarms are in the state that their data say, and tell only whom they may."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow, wait_for

pytestmark = pytest.mark.platform


def alarm(local_aws: LocalAws, **more: Any) -> str:
    name = local_aws.name("alarm")
    plain: dict[str, Any] = {} if "Metrics" in more else {"Namespace": "Lakehouse", "MetricName": name, "Period": 60, "Statistic": "Sum"}
    local_aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name, EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanOrEqualToThreshold", **{**plain, **more}
    )
    return name


def state(local_aws: LocalAws, name: str) -> str:
    return str(local_aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])


def put(local_aws: LocalAws, name: str, value: float, **dimensions: str) -> None:
    data = {"MetricName": name, "Value": value, "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()]}
    local_aws.client("cloudwatch").put_metric_data(Namespace="Lakehouse", MetricData=[data])


@pytest.mark.parametrize(("missing", "expected"), [("missing", "INSUFFICIENT_DATA"), ("notBreaching", "OK"), ("breaching", "ALARM")])
def test_missing_data_count_as_the_alarm_says(local_aws: LocalAws, missing: str, expected: str) -> None:
    assert state(local_aws, alarm(local_aws, TreatMissingData=missing)) == expected


def test_an_alarm_watches_its_own_dimensions_and_no_others(local_aws: LocalAws) -> None:
    name = alarm(local_aws, TreatMissingData="notBreaching", Dimensions=[{"Name": "Pipeline", "Value": "orders"}])
    put(local_aws, name, 5, Pipeline="customer")
    put(local_aws, name, 5)
    assert state(local_aws, name) == "OK"
    put(local_aws, name, 5, Pipeline="orders")
    assert state(local_aws, name) == "ALARM"


def test_metric_math_is_evaluated_and_what_is_unknown_refused(local_aws: LocalAws) -> None:
    metric = local_aws.name("metric")
    stat = {"Metric": {"Namespace": "Lakehouse", "MetricName": metric}, "Period": 60, "Stat": "Sum"}
    queries = [{"Id": "a", "MetricStat": stat, "ReturnData": False}, {"Id": "b", "Expression": "FILL(a, 0) - 3", "ReturnData": True}]
    name = alarm(local_aws, Metrics=queries)
    assert state(local_aws, name) == "OK"
    put(local_aws, metric, 4)
    assert state(local_aws, name) == "ALARM"
    with pytest.raises(ClientError, match="is not implemented on the laptop platform; implemented"):
        alarm(local_aws, Metrics=[{"Id": "a", "Expression": "ANOMALY_DETECTION_BAND(m, 2)", "ReturnData": True}])


def test_queues_and_executions_publish_what_alarms_watch(local_aws: LocalAws) -> None:
    queue = local_aws.name("queue")
    url = local_aws.client("sqs").create_queue(QueueName=queue)["QueueUrl"]
    watch = {"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible", "Statistic": "Maximum"}
    name = alarm(local_aws, Dimensions=[{"Name": "QueueName", "Value": queue}], **watch)
    assert state(local_aws, name) == "OK"
    local_aws.client("sqs").send_message(QueueUrl=url, MessageBody="dead")
    assert state(local_aws, name) == "ALARM"
    states = local_aws.client("stepfunctions")
    failing = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Fail"}}})
    role = local_aws.role(service="states.amazonaws.com")
    machine = states.create_state_machine(name=local_aws.name("machine"), definition=failing, roleArn=role)["stateMachineArn"]
    dimensions = [{"Name": "StateMachineArn", "Value": machine}]
    failed = alarm(local_aws, Namespace="AWS/States", MetricName="ExecutionsFailed", Dimensions=dimensions)
    states.start_execution(stateMachineArn=machine)
    wait_for(lambda: state(local_aws, failed) == "ALARM")


def test_an_alarm_tells_only_topics_that_admit_cloudwatch(local_aws: LocalAws) -> None:
    sns, sqs = local_aws.client("sns"), local_aws.client("sqs")

    def topic(principal: str | None) -> tuple[str, str]:
        arn, queue = sns.create_topic(Name=local_aws.name("topic"))["TopicArn"], local_aws.name("queue")
        if principal:
            statement = allow("sns:Publish", arn, Principal={"Service": principal})
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
        queue_arn = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
        statement = allow("sqs:SendMessage", queue_arn, Principal={"Service": "sns.amazonaws.com"})
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        url = sqs.create_queue(QueueName=queue, Attributes={"Policy": policy})["QueueUrl"]
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
        return arn, url

    default, open_topic, closed = topic(None), topic("cloudwatch.amazonaws.com"), topic("events.amazonaws.com")
    name = alarm(local_aws, TreatMissingData="notBreaching", AlarmActions=[default[0], open_topic[0], closed[0]])
    put(local_aws, name, 5)
    assert state(local_aws, name) == "ALARM"
    for _, url in (default, open_topic):
        assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages")
    assert "Messages" not in sqs.receive_message(QueueUrl=closed[1], WaitTimeSeconds=1)
