"""The buckets of a lake, one for each zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from constructs_lib.arns import ACCOUNT, bucket_arn, key_arn
from constructs_lib.checks import require, require_one_of, require_range
from constructs_lib.order import after
from constructs_lib.permissions import acknowledge, allow, service_principal, service_principal_conditions
from constructs_lib.security.data_keys import READ, USE
from constructs_lib.storage.lifecycle import NONCURRENT_DAYS, RawLifecycle, event_log_rule, raw_rules, scratch_rules, table_rules
from constructs_lib.storage.outside_reader import OutsideReader
from lakehouse.naming import TABLE_ZONES, ZONES, Names

MINIMUM_TLS_VERSION = 1.2

OBJECTS = "Objects are named by whoever writes them; the folder is the limit."
"""Why permissions on objects end in a star."""

_NO_ACCESS_LOGS = (
    "Server access logs cannot go to a bucket under a customer key, and every bucket of the lake is under one; give `access_logs` a bucket of your own, "
    "or let CloudTrail record data events."
)


@dataclass(frozen=True, kw_only=True)
class LakeBuckets:
    """Buckets of a lake by name, for a stack that did not make them.

    Attributes:
        bucket_names: Name of the bucket of each zone.
        key_arn: ARN of the key that encrypts them.
    """

    bucket_names: Mapping[str, str]
    key_arn: str

    @classmethod
    def from_names(cls, names: Names, *, key_arn: str) -> LakeBuckets:
        """Buckets as the names module spells them."""
        return cls(bucket_names={zone: names.bucket(zone) for zone in ZONES}, key_arn=key_arn)

    @property
    def grants(self) -> DataLakeGrants:
        """Permissions on the objects of the lake."""
        return DataLakeGrants(self)

    def bucket_name(self, zone: str) -> str:
        """Bucket of a zone."""
        require_one_of(zone, self.bucket_names, name="zone")
        return self.bucket_names[zone]

    def bucket_arn(self, zone: str) -> str:
        """ARN of the bucket of a zone."""
        return bucket_arn(self.bucket_name(zone))


class DataLake(Construct):
    """A bucket for each zone: private, versioned, encrypted with one customer key, TLS 1.2 or nothing.

    Raw files age down a ladder; zones of tables never lose a file to a lifecycle rule; what lands in raw is announced on EventBridge.

    Attributes:
        buckets: Bucket of each zone, as other constructs take them.
        by_name: The same as plain names and ARNs, as grants take them.
        grants: Permissions on the objects of the lake.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        key: kms.IKey,
        raw_lifecycle: RawLifecycle | None = None,
        noncurrent_days: int = NONCURRENT_DAYS,
        query_results_days: int = 7,
        logs_days: int = 90,
        event_logs_days: int = 30,
        access_logs: s3.IBucket | None = None,
        outside_readers: Sequence[OutsideReader] = (),
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment; buckets are `<prefix>-<zone>-<account>-<region>`.
            key: Customer key of the data.
            raw_lifecycle: How raw files age; None takes the defaults of `RawLifecycle`.
            noncurrent_days: Days for which overwritten and deleted objects of the other zones are kept.
            query_results_days: Days for which results of queries are kept.
            logs_days: Days for which manifests and what runs staged are kept.
            event_logs_days: Days for which Spark's event logs are kept.
            access_logs: Bucket that receives server access logs; S3 delivers them only to a bucket under its own key (SSE-S3), so none of the lake's can serve.
                One that this app makes is given the policy for it; one that it only names must have it.
            outside_readers: Roles and users of other accounts that read folders of it.
            removal_policy: What happens to the buckets when the stack goes. DESTROY fails on a bucket that is not empty.
        """
        super().__init__(scope, id)
        require_range(noncurrent_days, name="noncurrent_days", at_least=1)
        require(
            access_logs is None or access_logs.encryption_key is None,
            "access_logs is under a customer key, and S3 delivers server access logs only to a bucket under its own (SSE-S3): give it one of those",
        )
        self.by_name = LakeBuckets.from_names(names, key_arn=key_arn(key))
        self.buckets: dict[str, s3.IBucket] = {}
        rules = {
            "raw": raw_rules(raw_lifecycle if raw_lifecycle is not None else RawLifecycle()),
            "logs": [*scratch_rules(logs_days, noncurrent_days=noncurrent_days), event_log_rule(event_logs_days)],
            "query-results": scratch_rules(query_results_days, noncurrent_days=noncurrent_days),
            **{zone: table_rules(noncurrent_days=noncurrent_days) for zone in TABLE_ZONES},
        }
        for zone in ZONES:
            bucket = s3.Bucket(
                self,
                _construct_id(zone),
                bucket_name=self.by_name.bucket_name(zone),
                blocked_encryption_types=[s3.BlockedEncryptionType.SSE_C],
                block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
                bucket_key_enabled=True,
                encryption=s3.BucketEncryption.KMS,
                encryption_key=key,
                enforce_ssl=True,
                lifecycle_rules=rules[zone],
                minimum_tls_version=MINIMUM_TLS_VERSION,
                object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
                removal_policy=removal_policy,
                versioned=True,
            )
            policy = bucket.policy
            assert policy is not None  # enforce_ssl made it
            denies = _encryption_denies(self.by_name.bucket_arn(zone), self.by_name.key_arn)
            policy.document.add_statements(*map(iam.PolicyStatement.from_json, denies))
            if access_logs is None:
                acknowledge(bucket, "AwsSolutions-S1", reason=_NO_ACCESS_LOGS)
            else:
                self._log_access(bucket, zone, access_logs)
            self.buckets[zone] = bucket
            if zone == "raw":
                # The L2's event_bridge_enabled adds a custom resource with a function and a wide role; the property alone does the same.
                resource = bucket.node.default_child
                assert isinstance(resource, s3.CfnBucket)
                resource.add_property_override("NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True)  # noqa: FBT003
        for reader in outside_readers:
            reader.admit(self.buckets[reader.zone], key, bucket_arn=self.by_name.bucket_arn(reader.zone))
        self.grants = self.by_name.grants

    def _log_access(self, bucket: s3.Bucket, zone: str, receiver: s3.IBucket) -> None:
        """Have access to a bucket logged, by a bucket policy: the L2 would do it by an ACL, which a bucket that enforces its owner refuses."""
        resource = bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)
        resource.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
            destination_bucket_name=receiver.bucket_name, log_file_prefix=f"{zone}/"
        )
        result = receiver.add_to_resource_policy(
            iam.PolicyStatement(
                sid=f"AccessLogsOf{_construct_id(zone)}",
                principals=[service_principal("logging.s3.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[f"{receiver.bucket_arn}/{zone}/*"],
                conditions=service_principal_conditions(account=ACCOUNT, source_arn=self.by_name.bucket_arn(zone)),
            )
        )
        if result.policy_dependable is not None:
            after(bucket, result.policy_dependable)


class DataLakeGrants:
    """Permissions on the objects of a lake, a folder of a zone at a time; the key is included."""

    def __init__(self, lake: LakeBuckets) -> None:
        self._lake = lake

    def read(self, grantee: iam.IGrantable, zone: str, *, prefix: str = "") -> iam.Grant:
        """Let it read objects under a prefix as they are now."""
        self._key(grantee, READ)
        return allow(grantee, actions=["s3:GetObject"], resources=[self._objects(zone, prefix)], because=OBJECTS)

    def read_versions(self, grantee: iam.IGrantable, zone: str, *, prefix: str = "") -> iam.Grant:
        """Let it read the versions that it names of objects under a prefix."""
        self._key(grantee, READ)
        return allow(grantee, actions=["s3:GetObjectVersion"], resources=[self._objects(zone, prefix)], because=OBJECTS)

    def list(self, grantee: iam.IGrantable, zone: str, *, prefix: str) -> iam.Grant:
        """Let it list objects under a prefix."""
        conditions = {"StringLike": {"s3:prefix": [f"{prefix}*"]}}
        return allow(grantee, actions=["s3:ListBucket"], resources=[self._lake.bucket_arn(zone)], conditions=conditions)

    def list_versions(self, grantee: iam.IGrantable, zone: str, *, prefixes: Sequence[str]) -> iam.Grant:
        """Let it list the versions of objects under some prefixes."""
        conditions = {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}}
        return allow(grantee, actions=["s3:ListBucketVersions"], resources=[self._lake.bucket_arn(zone)], conditions=conditions)

    def tell_missing(self, grantee: iam.IGrantable, zone: str) -> iam.Grant:
        """Let it tell a missing object from a forbidden one: S3 answers 403 for both to whoever may not list the bucket."""
        return allow(grantee, actions=["s3:ListBucket"], resources=[self._lake.bucket_arn(zone)])

    def put(self, grantee: iam.IGrantable, zone: str, *, prefix: str = "") -> iam.Grant:
        """Let it write objects under a prefix, in one part or many."""
        self._key(grantee, USE)
        return allow(grantee, actions=["s3:PutObject"], resources=[self._objects(zone, prefix)], because=OBJECTS)

    def delete(self, grantee: iam.IGrantable, zone: str, *, prefix: str = "") -> iam.Grant:
        """Let it delete objects under a prefix; their old versions stay for a week."""
        return allow(grantee, actions=["s3:DeleteObject"], resources=[self._objects(zone, prefix)], because=OBJECTS)

    def delete_versions(self, grantee: iam.IGrantable, zone: str, *, prefix: str) -> iam.Grant:
        """Let it list and delete versions of objects under a prefix, for good: nothing brings them back, so nobody but an erasure should have it."""
        self.list_versions(grantee, zone, prefixes=[prefix])
        # S3's guide asks for s3:DeleteObject as well, whatever DeleteObjects names.
        return allow(
            grantee, actions=["s3:DeleteObject", "s3:DeleteObjectVersion"], resources=[self._objects(zone, prefix)], because=OBJECTS
        )

    def _objects(self, zone: str, prefix: str) -> str:
        return f"{self._lake.bucket_arn(zone)}/{prefix}*"

    def _key(self, grantee: iam.IGrantable, actions: tuple[str, ...]) -> None:
        allow(grantee, actions=actions, resources=[self._lake.key_arn])


def _encryption_denies(bucket_arn: str, key_arn: str) -> list[dict[str, Any]]:
    """Denies of a wrong key.

    A writer that names no encryption gets the bucket's own, so each deny asks first whether the header is there: a bare StringNotEquals would refuse
    every such writer, as a missing header is not equal to anything.
    """

    def deny(sid: str, header: str, allowed: str | None) -> dict[str, Any]:
        conditions: dict[str, Any] = {"Null": {header: "false"}}
        if allowed is not None:
            conditions["StringNotEquals"] = {header: allowed}
        return {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "s3:PutObject",
            "Resource": f"{bucket_arn}/*",
            "Condition": conditions,
        }

    return [
        deny("DenyOtherEncryption", "s3:x-amz-server-side-encryption", "aws:kms"),
        deny("DenyOtherKey", "s3:x-amz-server-side-encryption-aws-kms-key-id", key_arn),
        deny("DenyCustomerProvidedKey", "s3:x-amz-server-side-encryption-customer-algorithm", None),
    ]


def _construct_id(zone: str) -> str:
    return "".join(part.capitalize() for part in zone.split("-"))
