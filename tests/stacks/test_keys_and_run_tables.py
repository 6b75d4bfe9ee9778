"""The keys of an environment, and the tables that hold the state of its runs."""

from __future__ import annotations

from typing import Any

from tests.stacks.conftest import Assembly


def keys_of(schema: list[dict[str, str]]) -> tuple[str, ...]:
    return tuple(key["AttributeName"] for key in sorted(schema, key=lambda key: key["KeyType"]))


def run_tables(assembly: Assembly) -> dict[str, dict[str, Any]]:
    tables = assembly.properties("AWS::DynamoDB::Table")
    return {table["TableName"].removeprefix(f"lakehouse-{assembly.env}-"): table for table in tables}


def test_every_key_has_a_name_waits_a_month_before_it_goes_and_stays_when_its_stack_does(assembly: Assembly) -> None:
    aliases = {alias["TargetKeyId"]["Fn::GetAtt"][0]: alias["AliasName"] for alias in assembly.properties("AWS::KMS::Alias")}
    keys = assembly.resources("AWS::KMS::Key")
    assert {aliases[place.split("/")[1]] for place in keys} == {
        f"alias/lakehouse-{assembly.env}-{domain}" for domain in ("lake", "logs", "messaging", "secrets")
    }
    for key in keys.values():
        assert key["Properties"]["EnableKeyRotation"] is True
        assert key["Properties"]["RotationPeriodInDays"] == 365
        assert key["Properties"]["PendingWindowInDays"] == 30
        assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_every_service_that_uses_a_key_is_named_with_its_context(assembly: Assembly) -> None:
    services = {}
    for key in assembly.properties("AWS::KMS::Key"):
        for statement in key["KeyPolicy"]["Statement"]:
            if "Service" in statement["Principal"]:
                services[statement["Sid"]] = set(statement["Condition"])
    assert services == {
        "LogGroupsOfThisPlatform": {"ArnLike"},
        "RulesSendToQueues": {"StringEquals"},
        "TopicsSendToQueues": {"StringEquals"},
        "AlarmsPublishToTopics": {"StringEquals"},
    }


def test_run_tables_are_found_by_their_keys_and_indexes(assembly: Assembly) -> None:
    shapes = {
        kind: (
            keys_of(table["KeySchema"]),
            {index["IndexName"]: keys_of(index["KeySchema"]) for index in table.get("GlobalSecondaryIndexes", [])},
        )
        for kind, table in run_tables(assembly).items()
    }
    assert shapes == {
        "audit": (("pipeline", "sk"), {"by_run": ("run_id", "sk"), "by_status": ("status", "started_at")}),
        "control": (("pk", "sk"), {}),
        "watermarks": (("pk", "sk"), {}),
        "lineage": (("pk", "sk"), {"by_source": ("source", "sk"), "by_target": ("target", "sk")}),
    }


def test_run_tables_come_back_to_any_second_forget_and_are_encrypted(assembly: Assembly) -> None:
    for kind, table in run_tables(assembly).items():
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}, kind
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}, kind
        assert table["SSESpecification"]["SSEType"] == "KMS", kind
        assert table["SSESpecification"]["KMSMasterKeyId"]["Fn::GetAtt"][0].startswith("KeysLogs"), kind
        assert table["BillingMode"] == "PAY_PER_REQUEST", kind
        assert bool(table.get("DeletionProtectionEnabled")) is (assembly.env == "prod"), kind
