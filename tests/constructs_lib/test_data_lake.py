"""The lake as its caller asks for it."""

from __future__ import annotations

from typing import Any, cast

import pytest
from aws_cdk import Stack
from aws_cdk import aws_kms as kms

from constructs_lib.checks import InvalidProps
from constructs_lib.storage import DataLake, OutsideReader, RawLifecycle, Transition
from lakehouse.naming import Names
from tests.constructs_lib.conftest import Synth, of_type
from tests.stacks.conftest import flat


def rules_of(synth: Synth, zone: str) -> dict[str, dict[str, Any]]:
    (bucket,) = [properties for properties in of_type(synth(), "AWS::S3::Bucket") if f"-{zone}-<" in flat(properties["BucketName"])]
    return {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}


def test_raw_files_age_as_the_caller_says(stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
    lifecycle = RawLifecycle(
        transitions=(Transition(storage_class="STANDARD_IA", after_days=45), Transition(storage_class="DEEP_ARCHIVE", after_days=200)),
        expire_after_days=400,
        noncurrent_after_days=21,
    )
    DataLake(stack, "Lake", names=names, key=key, raw_lifecycle=lifecycle)
    ageing = rules_of(synth, "raw")["age-files"]
    assert [(step["StorageClass"], step["TransitionInDays"]) for step in ageing["Transitions"]] == [
        ("STANDARD_IA", 45),
        ("DEEP_ARCHIVE", 200),
    ]
    assert (ageing["ExpirationInDays"], ageing["NoncurrentVersionExpiration"]["NoncurrentDays"]) == (400, 21)


def test_raw_files_may_stay_for_ever(stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
    DataLake(stack, "Lake", names=names, key=key, raw_lifecycle=RawLifecycle(transitions=(), expire_after_days=None))
    assert not {"Transitions", "ExpirationInDays"} & set(rules_of(synth, "raw")["age-files"])


def test_what_can_be_made_again_goes_as_the_caller_says(stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
    DataLake(stack, "Lake", names=names, key=key, query_results_days=3, logs_days=5, noncurrent_days=2)
    for zone, days in (("query-results", 3), ("logs", 5)):
        rules = rules_of(synth, zone)
        expiring = rules["expire-all"]
        assert (expiring["ExpirationInDays"], expiring["NoncurrentVersionExpiration"]["NoncurrentDays"]) == (days, 2)
        assert rules["abort-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


def test_event_logs_go_before_what_lies_beside_them(stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
    DataLake(stack, "Lake", names=names, key=key, logs_days=365, event_logs_days=14)
    rule = rules_of(synth, "logs")["expire-event-logs"]
    assert (rule["Prefix"], rule["ExpirationInDays"]) == ("spark-events/", 14)
    with pytest.raises(InvalidProps, match="event_logs_days must be at least 1"):
        DataLake(stack, "Bad", names=names, key=key, event_logs_days=0)


READER = "arn:aws:iam::222222222222:role/reader"


def test_a_reader_of_another_account_gets_one_folder_and_what_decrypts_it(stack: Stack, names: Names, synth: Synth) -> None:
    reader = OutsideReader(arn=READER, zone="gold", folder="sales/orders/")
    key = cast("kms.IKey", kms.Key(stack, "Key"))
    DataLake(stack, "Lake", names=names, key=key, outside_readers=[reader])
    resources = synth()
    (policy,) = [
        found["PolicyDocument"]
        for found in of_type(resources, "AWS::S3::BucketPolicy")
        if any(statement.get("Principal") == {"AWS": READER} for statement in found["PolicyDocument"]["Statement"])
    ]
    read, listed = [statement for statement in policy["Statement"] if statement["Principal"] == {"AWS": READER}]
    assert (read["Effect"], read["Action"]) == ("Allow", "s3:GetObject")
    assert flat(read["Resource"]).endswith("-gold-<AWS::AccountId>-<AWS::Region>/sales/orders/*")
    assert (listed["Action"], listed["Condition"]) == ("s3:ListBucket", {"StringLike": {"s3:prefix": "sales/orders/*"}})
    (made,) = of_type(resources, "AWS::KMS::Key")
    (decrypt,) = [statement for statement in made["KeyPolicy"]["Statement"] if statement["Principal"] == {"AWS": READER}]
    assert decrypt["Action"] == "kms:Decrypt"
    assert sorted(decrypt["Condition"]["StringEquals"]) == ["kms:EncryptionContext:aws:s3:arn", "kms:ViaService"]
    assert flat(decrypt["Condition"]["StringEquals"]["kms:EncryptionContext:aws:s3:arn"]).endswith("-gold-<AWS::AccountId>-<AWS::Region>")


def test_nobody_of_another_account_reads_a_lake_by_itself(stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
    DataLake(stack, "Lake", names=names, key=key)
    allowed = [
        statement
        for found in of_type(synth(), "AWS::S3::BucketPolicy")
        for statement in found["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    assert allowed == []


def test_a_key_that_the_app_only_names_lets_nobody_in(stack: Stack, names: Names, key: kms.IKey) -> None:
    with pytest.raises(InvalidProps, match=r"cannot be let in: the key is only named in this app"):
        DataLake(stack, "Lake", names=names, key=key, outside_readers=[OutsideReader(arn=READER, zone="gold", folder="sales/")])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"arn": "*"}, "arn must be that of one role or user"),
        ({"arn": "arn:aws:iam::222222222222:root"}, "a whole account, or everybody"),
        ({"arn": "arn:aws:iam::222222222222:role/*"}, "arn must be that of one role or user"),
        ({"zone": "logs"}, "zone must be one of bronze, gold, raw, silver"),
        ({"zone": "quarantine"}, "zone must be one of bronze, gold, raw, silver"),
        ({"folder": ""}, "folder must be a folder of the zone"),
        ({"folder": "sales/orders"}, "with a slash at its end"),
        ({"folder": "*/"}, "folder must be a folder of the zone"),
    ],
)
def test_a_reader_is_somebody_and_reads_a_folder(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidProps, match=said):
        OutsideReader(**{"arn": READER, "zone": "gold", "folder": "sales/", **wrong})
