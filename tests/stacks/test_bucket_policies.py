"""What every bucket refuses, and what becomes of what nobody needs any more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.stacks.conftest import Assembly, flat, listed

ALGORITHM = "s3:x-amz-server-side-encryption"
KEY_ID = "s3:x-amz-server-side-encryption-aws-kms-key-id"
OWN_KEY = "s3:x-amz-server-side-encryption-customer-algorithm"


def buckets(assembly: Assembly) -> Iterator[tuple[str, dict[str, Any], dict[str, dict[str, Any]]]]:
    """Name, properties and denies by sid (CDK's own have none and go by their condition) of every bucket."""
    policies = {policy["Bucket"]["Ref"]: policy["PolicyDocument"]["Statement"] for policy in assembly.properties("AWS::S3::BucketPolicy")}
    for place, resource in assembly.resources("AWS::S3::Bucket").items():
        denies = {
            statement.get("Sid") or next(iter(next(iter(statement["Condition"].values())))): statement
            for statement in policies[place.split("/")[1]]
            if statement["Effect"] == "Deny"
        }
        yield flat(resource["Properties"]["BucketName"]), resource["Properties"], denies


def test_nobody_speaks_to_a_bucket_without_tls(assembly: Assembly) -> None:
    for name, _, denies in buckets(assembly):
        plain, old = denies["aws:SecureTransport"], denies["s3:TlsVersion"]
        assert plain["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}, name
        assert old["Condition"] == {"NumericLessThan": {"s3:TlsVersion": 1.2}}, name
        for deny in (plain, old):
            assert deny["Principal"] == {"AWS": "*"}
            assert listed(deny["Action"]) == ["s3:*"]
            arn = flat(deny["Resource"][0])
            assert [flat(resource) for resource in deny["Resource"]] == [arn, f"{arn}/*"]


def test_an_object_is_written_under_the_customer_key_or_not_at_all(assembly: Assembly) -> None:
    (key,) = [id_ for id_ in assembly.templates["foundation"]["Resources"] if id_.startswith("KeysLake") and "Alias" not in id_]
    for name, properties, denies in buckets(assembly):
        assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"] == {
            "KMSMasterKeyID": {"Fn::GetAtt": [key, "Arn"]},
            "SSEAlgorithm": "aws:kms",
        }, name
        assert {sid: deny["Condition"] for sid, deny in denies.items() if sid.startswith("Deny")} == {
            "DenyOtherEncryption": {"Null": {ALGORITHM: "false"}, "StringNotEquals": {ALGORITHM: "aws:kms"}},
            "DenyOtherKey": {"Null": {KEY_ID: "false"}, "StringNotEquals": {KEY_ID: {"Fn::GetAtt": [key, "Arn"]}}},
            "DenyCustomerProvidedKey": {"Null": {OWN_KEY: "false"}},
        }, name
        assert {flat(deny["Action"]) for sid, deny in denies.items() if sid.startswith("Deny")} == {"s3:PutObject"}


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),
        ({ALGORITHM: "aws:kms"}, False),
        ({ALGORITHM: "aws:kms", KEY_ID: "ours"}, False),
        ({ALGORITHM: "aws:kms", KEY_ID: "another"}, True),
        ({ALGORITHM: "AES256"}, True),
        ({OWN_KEY: "AES256"}, True),
    ],
)
def test_a_writer_may_leave_the_encryption_to_the_bucket_but_not_choose_another(
    prod: Assembly, headers: dict[str, str], refused: bool
) -> None:
    def applies(condition: dict[str, dict[str, Any]]) -> bool:
        is_there = all((header in headers) == (absent == "false") for header, absent in condition["Null"].items())
        # As IAM does: what is missing differs from everything.
        return is_there and all(headers.get(header) != allowed for header, allowed in condition.get("StringNotEquals", {}).items())

    for name, properties, denies in buckets(prod):
        key = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]
        conditions = [
            {
                operator: {header: "ours" if value == key else value for header, value in block.items()}
                for operator, block in condition.items()
            }
            for condition in (deny["Condition"] for sid, deny in denies.items() if sid.startswith("Deny"))
        ]
        assert any(map(applies, conditions)) is refused, name


def test_no_delete_marker_outlives_what_it_hides(assembly: Assembly) -> None:
    for name, properties, _ in buckets(assembly):
        rules = [rule for rule in properties["LifecycleConfiguration"]["Rules"] if rule["Id"] != "expire-event-logs"]  # of one folder
        assert all(rule["Status"] == "Enabled" and not {"Prefix", "Filter", "TagFilters"} & set(rule) for rule in rules), name
        # Expiring by age takes the markers along, and S3 refuses to be asked for both in one rule.
        assert any(rule.get("ExpiredObjectDeleteMarker") or "ExpirationInDays" in rule for rule in rules), name
