"""A state machine's calls are made with its role, and fail with AWS's error names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow, wait_for

pytestmark = pytest.mark.platform

LOGS = allow(["logs:CreateLogStream", "logs:PutLogEvents", "logs:CreateLogGroup"])


def run(local_aws: LocalAws, definition: dict[str, Any], role: str, *, seconds: float = 20, **more: Any) -> dict[str, Any]:
    states = local_aws.client("stepfunctions")
    machine = states.create_state_machine(name=local_aws.name("machine"), definition=json.dumps(definition), roleArn=role, **more)
    execution = states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
    return wait_for(lambda: ended(states.describe_execution(executionArn=execution)), seconds=seconds)


def ended(execution: dict[str, Any]) -> dict[str, Any] | None:
    return None if execution["status"] == "RUNNING" else execution


def task(resource: str, parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"StartAt": "Do", "States": {"Do": {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True, **more}}}


def test_a_function_is_invoked_only_with_the_machines_right_to(local_aws: LocalAws) -> None:
    function = local_aws.function("def handler(e, c): return {'got': e}", role=local_aws.role(LOGS, service="lambda.amazonaws.com"))
    invoke = task("arn:aws:states:::lambda:invoke", {"FunctionName": function, "Payload": {"a": 1}})
    allowed = local_aws.role(allow("lambda:InvokeFunction", function), service="states.amazonaws.com")
    answer = run(local_aws, invoke, allowed)
    assert answer["status"] == "SUCCEEDED"
    assert json.loads(answer["output"])["Payload"] == {"got": {"a": 1}}
    assert [line["action"] for line in local_aws.calls(role=allowed)] == ["lambda:InvokeFunction"]
    refused = run(local_aws, invoke, local_aws.role(service="states.amazonaws.com"))
    assert (refused["status"], refused["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert "is not authorized to perform: lambda:InvokeFunction on resource: " + function in refused["cause"]


def test_an_sdk_integration_is_called_with_the_machines_rights(local_aws: LocalAws) -> None:
    put = task("arn:aws:states:::aws-sdk:ssm:putParameter", {"Name": f"/{local_aws.name('p')}", "Value": "1", "Type": "String"})
    assert run(local_aws, put, local_aws.role(allow("ssm:PutParameter"), service="states.amazonaws.com"))["status"] == "SUCCEEDED"
    refused = run(local_aws, put, local_aws.role(service="states.amazonaws.com"))
    assert refused["error"] == "Ssm.AccessDeniedException"
    assert "is not authorized to perform: ssm:PutParameter" in refused["cause"]


def test_a_functions_own_error_is_named_by_its_class(local_aws: LocalAws) -> None:
    function = local_aws.function(
        "class Broken(Exception): ...\ndef handler(e, c): raise Broken('no')", role=local_aws.role(LOGS, service="lambda.amazonaws.com")
    )
    invoke = task("arn:aws:states:::lambda:invoke", {"FunctionName": function})
    failed = run(local_aws, invoke, local_aws.role(allow("lambda:InvokeFunction", function), service="states.amazonaws.com"))
    assert failed["error"] == "Broken"
    assert json.loads(failed["cause"])["errorMessage"] == "no"


def test_an_integration_that_is_not_implemented_fails_and_says_so(local_aws: LocalAws) -> None:
    failed = run(local_aws, task("arn:aws:states:::batch:submitJob.sync", {}), local_aws.role(allow("*"), service="states.amazonaws.com"))
    assert failed["status"] == "FAILED"
    assert "is not implemented on the laptop platform. Implemented: lambda:invoke, " in failed["cause"]


def test_a_machine_times_out_and_stays_timed_out(local_aws: LocalAws) -> None:
    waiting = {"TimeoutSeconds": 1, "StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3, "End": True}}}
    role = local_aws.role(service="states.amazonaws.com")
    queue, events = local_aws.name("queue"), local_aws.client("events")
    url = local_aws.client("sqs").create_queue(QueueName=queue)["QueueUrl"]
    queue_arn = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
    events.put_rule(Name=queue, EventPattern=json.dumps({"source": ["aws.states"], "detail": {"status": ["TIMED_OUT"]}}))
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue_arn,
    }]}  # fmt: skip
    local_aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    events.put_targets(Rule=queue, Targets=[{"Id": "1", "Arn": queue_arn}])
    ended = run(local_aws, waiting, role)
    assert ended["status"] == "TIMED_OUT"
    message = wait_for(lambda: local_aws.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=3).get("Messages"))[0]
    assert json.loads(message["Body"])["detail"]["executionArn"] == ended["executionArn"]
    wait_for(lambda: True, seconds=3)
    assert local_aws.client("stepfunctions").describe_execution(executionArn=ended["executionArn"])["status"] == "TIMED_OUT"


def test_a_stopped_execution_tries_nothing_again(local_aws: LocalAws) -> None:
    function = local_aws.function("def handler(e, c): raise ValueError(e)", role=local_aws.role(LOGS, service="lambda.amazonaws.com"))
    role = local_aws.role(allow("lambda:InvokeFunction", function), service="states.amazonaws.com")
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": 3, "BackoffRate": 1}]
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Cleanup"}]
    invoke = task("arn:aws:states:::lambda:invoke", {"FunctionName": function}, Retry=retry, Catch=catch)
    invoke["States"]["Cleanup"] = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function},
        "End": True,
    }
    states = local_aws.client("stepfunctions")
    machine = states.create_state_machine(name=local_aws.name("machine"), definition=json.dumps(invoke), roleArn=role)["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine)["executionArn"]
    wait_for(lambda: "TaskFailed" in str(states.get_execution_history(executionArn=execution)["events"]))
    states.stop_execution(executionArn=execution)
    calls = len(local_aws.calls(role=role))
    with pytest.raises(AssertionError):
        wait_for(lambda: len(local_aws.calls(role=role)) > calls, seconds=8)


def test_a_task_that_runs_out_of_time_says_so_and_gives_no_cause(local_aws: LocalAws) -> None:
    slow = "import time\ndef handler(e, c): time.sleep(5)"
    function = local_aws.function(slow, role=local_aws.role(LOGS, service="lambda.amazonaws.com"))
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Told"}]
    invoke = task("arn:aws:states:::lambda:invoke", {"FunctionName": function}, TimeoutSeconds=1, Catch=catch)
    invoke["States"]["Told"] = {"Type": "Pass", "End": True}
    answer = run(local_aws, invoke, local_aws.role(allow("lambda:InvokeFunction", function), service="states.amazonaws.com"))
    assert json.loads(answer["output"])["failure"] == {"Error": "States.Timeout"}


def test_a_definition_that_aws_would_refuse_is_refused(local_aws: LocalAws) -> None:
    role, states = local_aws.role(service="states.amazonaws.com"), local_aws.client("stepfunctions")
    lost = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "C": {"Type": "Succeed"}}}
    with pytest.raises(ClientError) as refused:
        states.create_state_machine(name=local_aws.name("machine"), definition=json.dumps(lost), roleArn=role)
    assert refused.value.response["Error"]["Code"] == "InvalidDefinition"
    assert "Missing 'Next' target: B" in str(refused.value)
    assert 'State "C" is not reachable' in str(refused.value)


def test_a_machine_that_may_not_log_is_not_created_and_one_that_may_logs(local_aws: LocalAws) -> None:
    group, states, logs = f"/{local_aws.name('log')}", local_aws.client("stepfunctions"), local_aws.client("logs")
    logs.create_log_group(logGroupName=group)
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{group}:*"
    logging = {"level": "ALL", "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}]}
    passing = {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}
    with pytest.raises(ClientError, match="not authorized to access the Log Destination"):
        run(local_aws, passing, local_aws.role(service="states.amazonaws.com"), loggingConfiguration=logging)
    role = local_aws.role(allow(["logs:*LogDeliver*", "logs:*ResourcePolic*", "logs:DescribeLogGroups"]), service="states.amazonaws.com")
    run(local_aws, passing, role, loggingConfiguration=logging)
    types = [json.loads(event["message"])["type"] for event in logs.filter_log_events(logGroupName=group)["events"]]
    assert types[-1] == "ExecutionSucceeded"
    assert states
