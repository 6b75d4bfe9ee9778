"""Which events start which pipeline, by the patterns that are deployed; moto's matcher stands for EventBridge's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.events.models import EventPattern

from tests.stacks.conftest import Assembly, flat, listed, plain

RAW, LOGS = "lakehouse-prod-raw-<AWS::AccountId>-<AWS::Region>", "lakehouse-prod-logs-<AWS::AccountId>-<AWS::Region>"
DAY = "year=2026/month=11/day=22"


def started_by(assembly: Assembly, event: dict[str, Any]) -> list[str]:
    """Names of the rules that send an event to a pipeline's queue."""
    return sorted(
        rule["Name"].removeprefix(f"lakehouse-{assembly.env}-")
        for rule in assembly.properties("AWS::Events::Rule", "pipelines")
        if EventPattern.load(json.dumps(plain(rule["EventPattern"]))).matches_event(event)  # type: ignore[arg-type]
    )


def landed(key: str, *, bucket: str = RAW, kind: str = "Object Created") -> dict[str, Any]:
    return {"source": "aws.s3", "detail-type": kind, "detail": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1}}}


def ended(assembly: Assembly, pipeline: str, *, status: str = "SUCCEEDED") -> dict[str, Any]:
    (machine,) = [
        flat(properties["StateMachineName"])
        for properties in assembly.properties("AWS::StepFunctions::StateMachine")
        if flat(properties["StateMachineName"]).endswith(f"-{pipeline}")
    ]
    arn = f"arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:stateMachine:{machine}"
    detail = {"status": status, "stateMachineArn": arn, "executionArn": f"{arn}:1"}
    return {"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": detail}


@pytest.mark.parametrize(
    ("event", "rules"),
    [
        (landed(f"tpch/orders/{DAY}/a.csv"), ["arrival-orders"]),
        (landed(f"tpch/orders/{DAY}/a b+c%20ü.json.gz"), ["arrival-orders"]),
        (landed(f"tpch/customer/{DAY}/a.csv"), ["arrival-customer"]),
        (landed("tpch/orders/_SUCCESS"), ["arrival-orders"]),  # the starter skips it, with a reason that people can look up
        (landed(f"tpch/orders_old/{DAY}/a.csv"), []),
        (landed(f"tpch/{DAY}/a.csv"), []),
        (landed(f"old/tpch/orders/{DAY}/a.csv"), []),
        (landed(f"tpch/orders/{DAY}/a.csv", bucket=LOGS), []),
        (landed(f"tpch/orders/{DAY}/a.csv", kind="Object Deleted"), []),
        ({**landed(f"tpch/orders/{DAY}/a.csv"), "source": "somebody.else"}, []),
    ],
)
def test_a_file_starts_the_pipeline_of_its_folder_and_no_other(prod: Assembly, event: dict[str, Any], rules: list[str]) -> None:
    assert started_by(prod, event) == rules


def test_what_follows_hears_of_the_end_of_each_before_it(assembly: Assembly) -> None:
    for pipeline in ("orders", "customer", "lineitem"):
        for status in ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"):  # the last one to end lets go what the others published
            assert started_by(assembly, ended(assembly, pipeline, status=status)) == ["after-daily_revenue"]
        assert started_by(assembly, ended(assembly, pipeline, status="RUNNING")) == []


def test_no_pipeline_starts_itself(assembly: Assembly) -> None:
    assert started_by(assembly, ended(assembly, "daily_revenue")) == []
    writers = {
        name
        for name, statement in assembly.statements()
        if "s3:PutObject" in listed(statement["Action"]) and any("-raw-" in flat(resource) for resource in listed(statement["Resource"]))
    }
    assert writers
    assert all("Operator" in name for name in writers)  # `lake drop`: nothing that a run does lands in raw


def test_only_rules_of_this_account_fill_the_queues(assembly: Assembly) -> None:
    rules = {f":rule/{rule['Name']}" for rule in assembly.properties("AWS::Events::Rule", "pipelines")}
    sending = set[str]()
    for policy in assembly.properties("AWS::SQS::QueuePolicy"):
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Allow":
                assert statement["Principal"] == {"Service": "events.amazonaws.com"}
                assert statement["Action"] == "sqs:SendMessage"
                assert flat(statement["Condition"]["StringEquals"]["aws:SourceAccount"]) == "<AWS::AccountId>"
                sending.add(flat(statement["Condition"]["ArnLike"]["aws:SourceArn"]).partition(":<AWS::AccountId>")[2])
    assert sending == rules


def test_somebody_hears_of_every_dead_letter(assembly: Assembly) -> None:
    dead = {queue["QueueName"] for queue in assembly.properties("AWS::SQS::Queue") if "RedrivePolicy" not in queue}
    watched = {
        alarm["Dimensions"][0]["Value"]: (alarm["Threshold"], alarm["ComparisonOperator"], alarm["Statistic"])
        for alarm in assembly.properties("AWS::CloudWatch::Alarm")
        if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"
    }
    assert dead
    # A gauge: summing its samples would count a message several times.
    assert watched == dict.fromkeys(dead, (1, "GreaterThanOrEqualToThreshold", "Maximum"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, True),
        ({"createdBy": "arn:<AWS::Partition>:iam::<AWS::AccountId>:user/ana"}, True),
        ({"createdBy": "arn:<AWS::Partition>:sts::<AWS::AccountId>:assumed-role/lakehouse-prod-orders-machine/x"}, False),
        ({"state": "CANCELLED"}, False),
        ({"state": "SUCCESS"}, False),
        ({"applicationId": "another"}, False),
    ],
)
def test_a_job_run_of_emr_serverless_that_failed_is_told_if_no_pipeline_started_it(
    prod: Assembly, change: dict[str, str], told: bool
) -> None:
    (rule,) = [one for one in prod.properties("AWS::Events::Rule", "operations") if flat(one["Name"]).endswith("serverless-backstop")]
    pattern = plain(rule["EventPattern"])
    (application,) = pattern["detail"]["applicationId"]
    detail = {
        "applicationId": application,
        "jobRunId": "00job",
        "state": "FAILED",
        "previousState": "RUNNING",
        "createdBy": "arn:<AWS::Partition>:sts::<AWS::AccountId>:assumed-role/Analyst/ana",
    }
    event = {"source": "aws.emr-serverless", "detail-type": "EMR Serverless Job Run State Change", "detail": {**detail, **change}}
    assert EventPattern.load(json.dumps(pattern)).matches_event(event) is told  # type: ignore[arg-type]
    (target,) = rule["Targets"]
    assert flat(target["Arn"]).endswith("-notifier")
    permissions = [flat(one["SourceArn"]) for one in prod.properties("AWS::Lambda::Permission", "operations")]
    assert sum(arn.endswith("rule/lakehouse-prod-serverless-backstop") for arn in permissions) == 1
