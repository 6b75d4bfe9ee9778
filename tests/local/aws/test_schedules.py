"""EventBridge Scheduler: times in their own zone, sent with the schedule's role or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import schedules
from tests.fixtures.platform import LocalAws, allow, wait_for
from tests.local.aws.test_deliveries import queue, received


def times(expression: str, after: str, *, zone: str = "UTC", count: int = 2, **more: Any) -> list[str]:
    schedule = {"ScheduleExpression": expression, "ScheduleExpressionTimezone": zone, "CreationDate": "2026-01-01T00:00:00", **more}
    found: list[str] = []
    moment: datetime | None = datetime.fromisoformat(after).replace(tzinfo=UTC)
    while moment is not None and len(found) < count:
        moment = schedules.next_time(schedule, after=moment)
        found += [] if moment is None else [moment.strftime("%Y-%m-%dT%H:%M")]
    return found


def test_a_time_is_that_of_its_zone_through_the_year() -> None:
    assert times("cron(0 3 * * ? *)", "2026-01-10T12:00", zone="Europe/Berlin", count=1) == ["2026-01-11T02:00"]
    assert times("cron(0 3 * * ? *)", "2026-07-10T12:00", zone="Europe/Berlin", count=1) == ["2026-07-11T01:00"]
    assert times("cron(0 3 * * ? *)", "2026-07-10T12:00", count=1) == ["2026-07-11T03:00"]


def test_a_time_that_the_change_of_clocks_leaves_out_is_left_out_and_one_that_comes_twice_comes_once() -> None:
    spring = times("cron(30 2 * * ? *)", "2026-03-28T00:00", zone="Europe/Berlin")
    assert spring == ["2026-03-28T01:30", "2026-03-30T00:30"]  # there is no half past two on the 29th
    autumn = times("cron(30 2 * * ? *)", "2026-10-24T12:00", zone="Europe/Berlin")
    assert autumn == ["2026-10-25T00:30", "2026-10-26T01:30"]


def test_a_rate_counts_from_its_beginning_and_an_end_ends_it() -> None:
    assert times("rate(6 hours)", "2026-01-01T01:00") == ["2026-01-01T06:00", "2026-01-01T12:00"]
    assert times("rate(6 hours)", "2026-01-01T01:00", StartDate="2026-02-01T01:00:00", count=1) == ["2026-02-01T01:00"]
    assert times("rate(6 hours)", "2026-01-01T01:00", EndDate="2026-01-01T07:00:00") == ["2026-01-01T06:00"]
    assert times("at(2026-05-01T10:00:00)", "2026-01-01T01:00", zone="Asia/Tokyo") == ["2026-05-01T01:00"]
    assert times("cron(0 0 ? * 6L 2027)", "2026-01-01T01:00", count=1) == ["2027-01-29T00:00"]


def body(arn: str, role: str, expression: str, **target: Any) -> dict[str, Any]:
    return {
        "ScheduleExpression": expression, "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": arn, "RoleArn": role, "Input": '{"at": "<aws.scheduler.scheduled-time>"}', **target},
    }  # fmt: skip


def in_a_moment() -> str:
    """An expression that fires in two seconds."""
    return f"at({datetime.fromtimestamp(datetime.now(UTC).timestamp() + 2, UTC):%Y-%m-%dT%H:%M:%S})"


@pytest.mark.platform
def test_a_schedule_sends_with_its_role_the_time_that_was_meant_and_without_the_right_to_the_dead_letters(local_aws: LocalAws) -> None:
    key_policy = {"Version": "2012-10-17", "Statement": [allow("kms:*", Principal={"AWS": "arn:aws:iam::000000000000:root"})]}
    key = local_aws.client("kms").create_key(Policy=json.dumps(key_policy))["KeyMetadata"]["Arn"]
    (url, arn), (dead_url, dead_arn) = queue(local_aws, key=key), queue(local_aws)
    use = allow(["kms:GenerateDataKey", "kms:Decrypt"], key)
    send = allow("sqs:SendMessage", [arn, dead_arn])
    scheduler = local_aws.client("scheduler")

    def fire(role: str) -> str:
        name = local_aws.name("schedule")
        scheduler.create_schedule(Name=name, KmsKeyArn=key, **body(arn, role, in_a_moment(), DeadLetterConfig={"Arn": dead_arn}))
        return name

    allowed = local_aws.role(send, use, service="scheduler.amazonaws.com")
    fire(allowed)
    sent = json.loads(received(local_aws, url, seconds=10)[0]["Body"])["at"]
    assert datetime.fromisoformat(sent) <= datetime.now(UTC)
    assert {"sqs:SendMessage", "kms:GenerateDataKey"} <= {call["action"] for call in local_aws.calls(role=allowed)}

    for denied in ((allow("sqs:SendMessage", dead_arn), use), (send, allow("kms:Decrypt", key))):
        fire(local_aws.role(*denied, service="scheduler.amazonaws.com"))
        dead = received(local_aws, dead_url, seconds=10)[0]
        assert dead["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "AccessDeniedException"
        assert received(local_aws, url, seconds=1) == []
        local_aws.client("sqs").delete_message(QueueUrl=dead_url, ReceiptHandle=dead["ReceiptHandle"])

    nothing = local_aws.role(service="scheduler.amazonaws.com")
    fire(nothing)
    wait_for(lambda: local_aws.calls(role=nothing))
    assert received(local_aws, dead_url, seconds=1) == []  # its role may not send there either


@pytest.mark.platform
def test_a_schedule_that_is_switched_off_does_not_fire(local_aws: LocalAws) -> None:
    url, arn = queue(local_aws)
    role = local_aws.role(allow("sqs:SendMessage", arn), service="scheduler.amazonaws.com")
    local_aws.client("scheduler").create_schedule(Name=local_aws.name("off"), State="DISABLED", **body(arn, role, in_a_moment()))
    assert received(local_aws, url, seconds=5) == []


@pytest.mark.platform
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ScheduleExpression": "cron(0 3 * * *)"}, "Invalid Schedule Expression"),
        ({"ScheduleExpressionTimezone": "Middle/Earth"}, "Timezone Middle/Earth"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}}, "not implemented"),
        ({"KmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000"}, "does not exist"),
    ],
)
def test_a_schedule_that_could_not_fire_is_refused(local_aws: LocalAws, change: dict[str, Any], message: str) -> None:
    _, arn = queue(local_aws)
    role, scheduler = local_aws.role(service="scheduler.amazonaws.com"), local_aws.client("scheduler")
    good = body(arn, role, "rate(1 day)")
    with pytest.raises(ClientError, match=message):
        scheduler.create_schedule(Name=local_aws.name("bad"), **{**good, **change})
    scheduler.create_schedule(Name=local_aws.name("good"), **good)


@pytest.mark.platform
def test_a_role_that_does_not_trust_scheduler_or_another_group_is_refused(local_aws: LocalAws) -> None:
    _, arn = queue(local_aws)

    def trusting(source: str) -> str:
        principal, condition = {"Service": "scheduler.amazonaws.com"}, {"ArnLike": {"aws:SourceArn": source}}
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, "Condition": condition}
        return local_aws.role(trust={"Version": "2012-10-17", "Statement": [statement]})

    group = "arn:aws:scheduler:us-east-1:000000000000:schedule-group/default"
    scheduler = local_aws.client("scheduler")
    for role in (local_aws.role(service="events.amazonaws.com"), trusting(group + "x"), "arn:aws:iam::000000000000:role/nobody"):
        with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume the role"):
            scheduler.create_schedule(Name=local_aws.name("bad"), **body(arn, role, "rate(1 day)"))
    scheduler.create_schedule(Name=local_aws.name("good"), **body(arn, trusting(group), "rate(1 day)"))


@pytest.mark.platform
def test_cloudformation_keeps_every_property_of_a_schedule_and_refuses_what_scheduler_refuses(local_aws: LocalAws) -> None:
    _, arn = queue(local_aws)
    role, name = local_aws.role(service="scheduler.amazonaws.com"), local_aws.name("schedule")
    properties = {"Name": name, "ScheduleExpressionTimezone": "Europe/Berlin", "State": "DISABLED", **body(arn, role, "cron(0 3 * * ? *)")}
    stack = local_aws.stack({"Schedule": {"Type": schedules.TYPE, "Properties": properties}})
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    found = local_aws.client("scheduler").get_schedule(Name=name)
    assert {key: found[key] for key in properties} == properties

    changed = {**properties, "State": "ENABLED", "ScheduleExpressionTimezone": "UTC"}
    stack = local_aws.stack({"Schedule": {"Type": schedules.TYPE, "Properties": changed}}, name=stack["StackName"], update=True)
    found = local_aws.client("scheduler").get_schedule(Name=name)
    assert (found["State"], found["ScheduleExpressionTimezone"]) == ("ENABLED", "UTC")

    bad = {**properties, "Name": local_aws.name("bad"), "ScheduleExpression": "cron(0 3 * * *)"}
    stack = local_aws.stack({"Schedule": {"Type": schedules.TYPE, "Properties": bad}})
    assert "Invalid Schedule Expression" in stack["Failures"][0]
