"""The lake as its caller asks for it."""

from __future__ import annotations

from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_kms as kms

from constructs_lib.storage import DataLake, RawLifecycle, Transition
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
