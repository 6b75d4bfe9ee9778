"""Pipelines that the clock starts: one schedule, one role that may do one thing, and the times that were meant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_kms as kms

from constructs_lib.checks import InvalidProps
from constructs_lib.ingestion import FileArrival, OnSchedule
from constructs_lib.orchestration import RunTableNames
from lakehouse.naming import Names
from lambdas.arrival_starter.arrival import ScheduledTime
from tests.constructs_lib.conftest import Synth, of_type


def arrival(stack: Stack, names: Names, key: kms.IKey, trigger: OnSchedule, *, pipeline: str = "orders") -> FileArrival:
    tables = RunTableNames.from_names(names, key_arn=key.key_arn)
    return FileArrival(stack, "Arrival", names=names, pipeline=pipeline, trigger=trigger, tables=tables, message_key=key, log_key=key)


def test_a_schedule_has_its_zone_no_window_retries_dead_letters_and_a_key(stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
    arrival(stack, names, key, OnSchedule(expression="cron(0 3 * * ? *)", time_zone="Europe/Berlin"))
    resources = synth()
    (schedule,) = of_type(resources, "AWS::Scheduler::Schedule")
    assert schedule["Name"] == "lakehouse-test-schedule-orders"
    assert (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]) == ("cron(0 3 * * ? *)", "Europe/Berlin")
    assert (schedule["State"], schedule["FlexibleTimeWindow"], schedule["KmsKeyArn"]) == ("ENABLED", {"Mode": "OFF"}, key.key_arn)
    target = schedule["Target"]
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 21600, "MaximumRetryAttempts": 185}
    assert json.dumps(target["Arn"]).endswith(':lakehouse-test-arrivals-orders"]]}')
    assert json.dumps(target["DeadLetterConfig"]["Arn"]).endswith(':lakehouse-test-arrivals-orders-dlq"]]}')
    assert not of_type(resources, "AWS::Events::Rule")
    policies = [policy["PolicyDocument"]["Statement"] for policy in of_type(resources, "AWS::SQS::QueuePolicy")]
    assert {statement["Effect"] for statements in policies for statement in statements} == {"Deny"}  # the role sends, nobody else is let in


def test_what_the_schedule_sends_is_what_the_starter_reads(stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
    arrival(stack, names, key, OnSchedule(expression="rate(6 hours)"))
    (schedule,) = of_type(synth(), "AWS::Scheduler::Schedule")
    message = json.loads(schedule["Target"]["Input"].replace("<aws.scheduler.scheduled-time>", "2026-03-22T18:59:43Z"))
    assert ScheduledTime.from_event(message, pipeline="orders").scheduled_at == "2026-03-22T18:59:43.000Z"


def test_the_role_of_a_schedule_may_send_and_use_the_key_and_only_schedules_of_the_account_take_it(
    stack: Stack, names: Names, key: kms.IKey, synth: Synth
) -> None:
    arrival(stack, names, key, OnSchedule(expression="rate(6 hours)"))
    resources = synth()
    role = next(value for id_, value in resources.items() if value["Type"] == "AWS::IAM::Role" and "ScheduleRole" in id_)
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert json.dumps(trust["Condition"]["ArnLike"]).endswith(':schedule-group/default"]]}}')
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    policy = next(value for id_, value in resources.items() if value["Type"] == "AWS::IAM::Policy" and "ScheduleRole" in id_)
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    assert [statement["Action"] for statement in statements] == [["kms:Decrypt", "kms:GenerateDataKey"], "sqs:SendMessage"] or [
        statement["Action"] for statement in statements
    ] == ["sqs:SendMessage", ["kms:Decrypt", "kms:GenerateDataKey"]]
    assert "*" not in json.dumps(statements)


def test_a_schedule_can_be_deployed_and_switched_off(stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
    arrival(stack, names, key, OnSchedule(expression="rate(6 hours)", is_enabled=False))
    assert of_type(synth(), "AWS::Scheduler::Schedule")[0]["State"] == "DISABLED"


def test_a_schedule_s_name_stays_within_scheduler_s_bound(stack: Stack, names: Names, key: kms.IKey) -> None:
    with pytest.raises(InvalidProps, match="at most 64 characters"):
        arrival(stack, names, key, OnSchedule(expression="rate(6 hours)"), pipeline="p" * 41)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expression": "0 3 * * *"}, r"expression: .* is no schedule"),
        ({"expression": "rate(6 hours)", "time_zone": "Berlin"}, "Europe/Berlin"),
    ],
)
def test_a_schedule_that_scheduler_would_refuse_is_refused_at_synth(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidProps, match=message):
        OnSchedule(**options)
