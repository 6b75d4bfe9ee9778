"""Properties that MiniStack's CloudFormation leaves out: they are applied by the service's API, and unknown ones refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.aws.cloudformation import acting, api

Properties = Mapping[str, Any]
Apply = Callable[[str, Any], None]
"""Applies a property: (physical id, value); the value is None where an update takes the property away."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What is done for a type besides MiniStack's own handler.

    Attributes:
        handled: Properties that MiniStack handles.
        applied: Property -> how it is applied.
    """

    handled: frozenset[str]
    applied: Mapping[str, Apply]


def register() -> None:
    """Complete resources after MiniStack has made them, off the event loop."""
    for resource_type, completion in COMPLETIONS.items():
        acting.add_check(resource_type, refuser(resource_type, completion))
        acting.add_completion(resource_type, _completer(completion))
        acting.run_on_worker_thread(resource_type)


def refuser(resource_type: str, completion: Completion) -> acting.ResourceCheck:
    """A check that refuses what nobody handles."""
    known = completion.handled | completion.applied.keys()

    def refuse(properties: dict[str, Any]) -> str:
        unknown = sorted(properties.keys() - known)
        if not unknown:
            return ""
        return f"{', '.join(unknown)} of {resource_type} is not implemented on the laptop platform. Implemented: {', '.join(sorted(known))}"

    return refuse


def _completer(completion: Completion) -> acting.Completion:
    def complete(physical_id: str, properties: Properties, before: Properties | None) -> None:
        for name, apply in completion.applied.items():
            value, earlier = properties.get(name), (before or {}).get(name)
            if value != earlier:
                apply(physical_id, value)

    return complete


# ---- buckets ---------------------------------------------------------------------------------------------------


def _encrypt_bucket(bucket: str, value: Any) -> None:
    s3 = api.client("s3")
    if value is None:
        s3.delete_bucket_encryption(Bucket=bucket)
        return
    rules = [
        {
            "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
            "BucketKeyEnabled": _true(rule.get("BucketKeyEnabled")),
        }
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})


def _tag_bucket(bucket: str, value: Any) -> None:
    own = [tag for tag in value or [] if not tag["Key"].startswith("aws:")]
    if own:
        api.client("s3").put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": own})
    else:
        api.client("s3").delete_bucket_tagging(Bucket=bucket)


def _own_bucket(bucket: str, value: Any) -> None:
    if value is None:
        api.client("s3").delete_bucket_ownership_controls(Bucket=bucket)
    else:
        api.client("s3").put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=value)


def _log_bucket(bucket: str, value: Any) -> None:
    status = {}
    if value:
        status["LoggingEnabled"] = {
            "TargetBucket": value.get("DestinationBucketName", bucket),
            "TargetPrefix": value.get("LogFilePrefix", ""),
        }
    api.client("s3").put_bucket_logging(Bucket=bucket, BucketLoggingStatus=status)


def _lifecycle_bucket(bucket: str, value: Any) -> None:
    if value is None:
        api.client("s3").delete_bucket_lifecycle(Bucket=bucket)
        return
    rules = [lifecycle_rule(rule) for rule in value.get("Rules", [])]
    api.client("s3").put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


_RULE_PROPERTIES = frozenset(
    {
        "Id", "Status", "Prefix", "ExpirationInDays", "ExpirationDate", "ExpiredObjectDeleteMarker", "Transitions", "Transition",
        "NoncurrentVersionExpiration", "NoncurrentVersionExpirationInDays", "NoncurrentVersionTransitions", "AbortIncompleteMultipartUpload",
        "TagFilters", "ObjectSizeGreaterThan", "ObjectSizeLessThan",
    }
)  # fmt: skip


def lifecycle_rule(rule: Properties) -> dict[str, Any]:
    """A lifecycle rule of a template in the words of the API.

    Raises:
        ValueError: It uses a property that is not known here.
    """
    unknown = sorted(rule.keys() - _RULE_PROPERTIES)
    if unknown:
        raise ValueError(f"{', '.join(unknown)} of a lifecycle rule is not implemented on the laptop platform")
    made: dict[str, Any] = {"Status": rule["Status"], "Filter": _filter(rule)}
    if "Id" in rule:
        made["ID"] = rule["Id"]
    expiration = {
        "Days": _number(rule.get("ExpirationInDays")),
        "Date": rule.get("ExpirationDate"),
        "ExpiredObjectDeleteMarker": _true(rule["ExpiredObjectDeleteMarker"]) if "ExpiredObjectDeleteMarker" in rule else None,
    }
    given = {key: item for key, item in expiration.items() if item is not None}
    if given:
        made["Expiration"] = given
    transitions = [*rule.get("Transitions", []), *([rule["Transition"]] if "Transition" in rule else [])]
    if transitions:
        made["Transitions"] = [
            {
                "StorageClass": item["StorageClass"],
                **({"Days": _number(item["TransitionInDays"])} if "TransitionInDays" in item else {"Date": item["TransitionDate"]}),
            }
            for item in transitions
        ]
    noncurrent = rule.get("NoncurrentVersionExpiration") or (
        {"NoncurrentDays": rule["NoncurrentVersionExpirationInDays"]} if "NoncurrentVersionExpirationInDays" in rule else None
    )
    if noncurrent:
        made["NoncurrentVersionExpiration"] = {key: _number(item) for key, item in noncurrent.items()}
    if rule.get("NoncurrentVersionTransitions"):
        made["NoncurrentVersionTransitions"] = [
            {"StorageClass": item["StorageClass"], "NoncurrentDays": _number(item["TransitionInDays"])}
            for item in rule["NoncurrentVersionTransitions"]
        ]
    if rule.get("AbortIncompleteMultipartUpload"):
        days = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        made["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": _number(days)}
    return made


def _filter(rule: Properties) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if rule.get("Prefix"):
        parts["Prefix"] = rule["Prefix"]
    for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan"):
        if name in rule:
            parts[name] = _number(rule[name])
    tags = list(rule.get("TagFilters") or [])
    if len(parts) + len(tags) > 1:
        return {"And": {**parts, **({"Tags": tags} if tags else {})}}
    if tags:
        return {"Tag": tags[0]}
    return parts or {"Prefix": ""}


# ---- tables and topics ------------------------------------------------------------------------------------------


def _encrypt_table(table: str, value: Any) -> None:
    specification = {"Enabled": _true((value or {}).get("SSEEnabled"))}
    specification |= {key: value[key] for key in ("SSEType", "KMSMasterKeyId") if value and key in value}
    api.client("dynamodb").update_table(TableName=table, SSESpecification=specification)


def _expire_table(table: str, value: Any) -> None:
    if value:
        specification = {"Enabled": _true(value["Enabled"]), "AttributeName": value["AttributeName"]}
        api.client("dynamodb").update_time_to_live(TableName=table, TimeToLiveSpecification=specification)


def _back_up_table(table: str, value: Any) -> None:
    specification: dict[str, Any] = {"PointInTimeRecoveryEnabled": _true((value or {}).get("PointInTimeRecoveryEnabled"))}
    if value and "RecoveryPeriodInDays" in value:
        specification["RecoveryPeriodInDays"] = _number(value["RecoveryPeriodInDays"])
    api.client("dynamodb").update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=specification)


def _protect_table(table: str, value: Any) -> None:
    api.client("dynamodb").update_table(TableName=table, DeletionProtectionEnabled=_true(value))


def _encrypt_topic(topic: str, value: Any) -> None:
    api.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue=value or "")


COMPLETIONS = {
    "AWS::S3::Bucket": Completion(
        handled=frozenset(
            {
                "BucketName", "VersioningConfiguration", "NotificationConfiguration", "PublicAccessBlockConfiguration", "CorsConfiguration",
                "AccessControl",
            }
        ),
        applied={
            "BucketEncryption": _encrypt_bucket, "OwnershipControls": _own_bucket, "LifecycleConfiguration": _lifecycle_bucket,
            "LoggingConfiguration": _log_bucket, "Tags": _tag_bucket,
        },
    ),
    "AWS::DynamoDB::Table": Completion(
        handled=frozenset(
            {
                "TableName", "AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes", "LocalSecondaryIndexes",
                "ProvisionedThroughput", "StreamSpecification", "Tags", "TableClass", "OnDemandThroughput",
            }
        ),
        applied={
            "SSESpecification": _encrypt_table, "TimeToLiveSpecification": _expire_table,
            "PointInTimeRecoverySpecification": _back_up_table, "DeletionProtectionEnabled": _protect_table,
        },
    ),
    "AWS::SNS::Topic": Completion(
        handled=frozenset({"TopicName", "DisplayName", "Subscription", "FifoTopic", "ContentBasedDeduplication", "Tags"}),
        applied={"KmsMasterKeyId": _encrypt_topic},
    ),
}  # fmt: skip
"""Types whose handler leaves properties out."""


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _number(value: Any) -> int | None:
    return None if value is None else int(value)
