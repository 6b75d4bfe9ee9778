"""Customer keys, one for each domain of data."""

from __future__ import annotations

from typing import cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.arns import ACCOUNT, PARTITION, REGION, URL_SUFFIX
from constructs_lib.checks import require_range
from constructs_lib.permissions import account_principal, allow, service_principal, service_principal_conditions
from lakehouse.naming import VENDED_LOGS, Names

MIN_ROTATION_DAYS = 90
MAX_ROTATION_DAYS = 2560
MIN_DELETION_DAYS = 7
MAX_DELETION_DAYS = 30

KEY_ACTIONS = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListAliases",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:ListRetirableGrants",
    "kms:PutKeyPolicy",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
"""What the account's own IAM policies may give on a key, named one by one: the use and the care of a symmetric key that KMS made.

Left out: data key pairs, imported material and replicas in other regions, which these keys have no use for.
"""

USE = ("kms:Decrypt", "kms:GenerateDataKey")
"""What a writer of encrypted data needs."""

READ = ("kms:Decrypt",)
"""What a reader of encrypted data needs."""


class DataKeys(Construct):
    """Customer keys that rotate: `lake` for data, `logs` for logs and run state, `messaging` for queues and topics, `secrets` for secrets.

    Attributes:
        lake: Key of every bucket of the lake.
        logs: Key of log groups and run tables.
        messaging: Key of queues and topics.
        secrets: Key of secrets.
        grants: Permissions on the keys.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        rotation_days: int = 365,
        deletion_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment; aliases are `alias/<prefix>-<domain>`, and the `logs` key encrypts its log groups only.
            rotation_days: Age at which a key takes new material, 90-2560 days.
            deletion_days: Days between a deletion and its end, 7-30.
            removal_policy: What happens to the keys when the stack goes; data under a destroyed key is lost.
        """
        super().__init__(scope, id)
        require_range(rotation_days, name="rotation_days", at_least=MIN_ROTATION_DAYS, at_most=MAX_ROTATION_DAYS, why="KMS's range")
        require_range(deletion_days, name="deletion_days", at_least=MIN_DELETION_DAYS, at_most=MAX_DELETION_DAYS, why="KMS's range")

        def key(id: str, domain: str, description: str, statements: list[iam.PolicyStatement]) -> kms.IKey:
            created = kms.Key(
                self,
                id,
                alias=f"alias/{names.prefix}-{domain}",
                description=description,
                enable_key_rotation=True,
                rotation_period=Duration.days(rotation_days),
                pending_window=Duration.days(deletion_days),
                policy=iam.PolicyDocument(statements=[_account_statement(), *statements]),
                removal_policy=removal_policy,
            )
            return cast("kms.IKey", created)  # the CDK's stubs do not fit each other, see permissions.service_principal

        self.lake = key("Lake", "lake", "Data of the lake", [])
        self.logs = key("Logs", "logs", "Log groups and run tables", [_logs_statement(names)])
        self.messaging = key("Messaging", "messaging", "Queues and topics", _messaging_statements())
        self.secrets = key("Secrets", "secrets", "Secrets", [])
        self.grants = DataKeysGrants(self)


class DataKeysGrants:
    """Permissions on the keys of a platform."""

    def __init__(self, keys: DataKeys) -> None:
        self._keys = keys

    def read_data(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it decrypt data of the lake."""
        return allow(grantee, actions=READ, resources=[self._keys.lake.key_arn])

    def write_data(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it encrypt and decrypt data of the lake."""
        return allow(grantee, actions=USE, resources=[self._keys.lake.key_arn])

    def use_run_state(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it read and write run tables, through DynamoDB only."""
        return allow(grantee, actions=READ, resources=[self._keys.logs.key_arn], conditions=through("dynamodb"))

    def use_messages(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it send to queues and topics, and receive from queues."""
        return allow(grantee, actions=USE, resources=[self._keys.messaging.key_arn])


def through(service: str) -> dict[str, dict[str, str]]:
    """Condition that a key is used by a service on the caller's behalf, never by the caller itself."""
    return {"StringEquals": {"kms:ViaService": f"{service}.{REGION}.{URL_SUFFIX}"}}


def _account_statement() -> iam.PolicyStatement:
    return iam.PolicyStatement(sid="AccountPoliciesDecide", principals=[account_principal()], actions=list(KEY_ACTIONS), resources=["*"])


def _logs_statement(names: Names) -> iam.PolicyStatement:
    platform = f"/{names.project}/{names.env}/*"
    arns = [f"arn:{PARTITION}:logs:{REGION}:{ACCOUNT}:log-group:{prefix}" for prefix in (platform, f"{VENDED_LOGS}{platform}")]
    return iam.PolicyStatement(
        sid="LogGroupsOfThisPlatform",
        principals=[service_principal(f"logs.{REGION}.amazonaws.com")],
        actions=["kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:DescribeKey"],
        resources=["*"],
        conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arns}},
    )


def _messaging_statements() -> list[iam.PolicyStatement]:
    conditions = service_principal_conditions(account=ACCOUNT)
    return [
        iam.PolicyStatement(
            sid=sid,
            principals=[service_principal(service)],
            actions=list(USE),
            resources=["*"],
            conditions=conditions,
        )
        for sid, service in (
            ("RulesSendToQueues", "events.amazonaws.com"),
            ("TopicsSendToQueues", "sns.amazonaws.com"),
            ("AlarmsPublishToTopics", "cloudwatch.amazonaws.com"),
        )
    ]
