"""Where constructs put things, and that two of them, or one beside somebody else's, do not get in each other's way."""

from __future__ import annotations

from typing import Any, cast

import pytest
from aws_cdk import Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from constructs_lib.catalog import CatalogDatabase, TableFunction
from constructs_lib.checks import InvalidProps
from constructs_lib.processing import CodeAssets, SecurityConfiguration
from constructs_lib.storage import DataLake, LakeBuckets
from lakehouse.naming import ZONES, Names
from tests.constructs_lib.conftest import Synth, of_type
from tests.stacks.conftest import flat


def test_two_security_configurations_of_one_content_have_names_of_their_own(stack: Stack, key: kms.IKey, synth: Synth) -> None:
    for place in ("First", "Second"):
        SecurityConfiguration(stack, place, name_prefix="lakehouse-test", key=key)
    names = {flat(properties["Name"]) for properties in of_type(synth(), "AWS::Glue::SecurityConfiguration")}
    assert len(names) == 2


def test_a_database_lies_in_the_bucket_of_its_lake(stack: Stack, names: Names, synth: Synth) -> None:
    lake = LakeBuckets(bucket_names={zone: f"imported-{zone}" for zone in ZONES}, key_arn="arn:aws:kms:us-east-1:111122223333:key/1")
    CatalogDatabase(stack, "Gold", names=names, zone="gold", domain="sales", lake=lake)
    (database,) = of_type(synth(), "AWS::Glue::Database")
    assert database["DatabaseInput"]["LocationUri"] == "s3://imported-gold/sales"


def test_ids_of_another_team_do_not_clash_with_those_of_shared_code(stack: Stack, names: Names, key: kms.IKey) -> None:
    for taken in ("FunctionCode", "JobCode", "Code"):
        Construct(stack, taken)
    TableFunction(stack, "Tables", names=names, log_key=key)
    assert CodeAssets.of(stack) is CodeAssets.of(stack)


@pytest.mark.parametrize("id", ["Lakehouse::FunctionCode", "Lakehouse::JobCode"])
def test_an_id_that_is_taken_all_the_same_is_named(stack: Stack, names: Names, key: kms.IKey, id: str) -> None:
    Construct(stack, id)
    with pytest.raises(InvalidProps, match=f"the id '{id}' belongs to the code of"):
        _ = TableFunction(stack, "Tables", names=names, log_key=key) if "Function" in id else CodeAssets.of(stack)


class TestAccessLogs:
    def receiver(self, stack: Stack, **options: Any) -> s3.IBucket:
        return cast("s3.IBucket", s3.Bucket(stack, "AccessLogs", object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED, **options))

    def test_each_zone_is_logged_and_s3_may_deliver_for_it_alone(self, stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
        receiver = self.receiver(stack, encryption=s3.BucketEncryption.S3_MANAGED)
        DataLake(stack, "Lake", names=names, key=key, access_logs=receiver)
        resources = synth()
        logged = [
            bucket["LoggingConfiguration"]["LogFilePrefix"] for bucket in of_type(resources, "AWS::S3::Bucket") if "BucketName" in bucket
        ]
        assert logged == [f"{zone}/" for zone in ZONES]
        policy = next(properties for name, properties in policies(resources) if name.startswith("AccessLogs"))
        statements = policy["PolicyDocument"]["Statement"]
        assert len(statements) == len(ZONES)
        raw = next(statement for statement in statements if statement["Sid"] == "AccessLogsOfRaw")
        assert raw["Principal"] == {"Service": "logging.s3.amazonaws.com"}
        assert flat(raw["Resource"]).endswith("/raw/*")
        assert flat(raw["Condition"]["ArnLike"]["aws:SourceArn"]).endswith(":::lakehouse-test-raw-<AWS::AccountId>-<AWS::Region>")
        assert "AccessControl" not in next(bucket for bucket in of_type(resources, "AWS::S3::Bucket") if "BucketName" not in bucket)

    def test_a_bucket_that_is_only_named_is_taken_as_it_is(self, stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
        DataLake(stack, "Lake", names=names, key=key, access_logs=s3.Bucket.from_bucket_name(stack, "Theirs", "their-logs"))
        receivers = {bucket["LoggingConfiguration"]["DestinationBucketName"] for bucket in of_type(synth(), "AWS::S3::Bucket")}
        assert receivers == {"their-logs"}

    def test_a_bucket_under_a_customer_key_is_refused(self, stack: Stack, names: Names, key: kms.IKey) -> None:
        with pytest.raises(InvalidProps, match="only to a bucket under its own"):
            DataLake(stack, "Lake", names=names, key=key, access_logs=self.receiver(stack, encryption=s3.BucketEncryption.KMS))


def policies(resources: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, resource["Properties"]) for name, resource in resources.items() if resource["Type"] == "AWS::S3::BucketPolicy"]
