"""The DynamoDB tables that hold the state of runs."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from constructs_lib.arns import key_arn, run_table_arn
from constructs_lib.checks import require_one_of
from constructs_lib.permissions import allow
from constructs_lib.security.data_keys import READ, through
from lakehouse.naming import RUN_TABLES, Names

TTL_ATTRIBUTE = "expires_at"
"""Attribute by which items expire."""


@dataclass(frozen=True, kw_only=True)
class _Index:
    name: str
    partition: str
    sort: str


@dataclass(frozen=True, kw_only=True)
class _Shape:
    partition: str
    sort: str
    indexes: tuple[_Index, ...] = ()


SHAPES = {
    "audit": _Shape(
        partition="pipeline",
        sort="sk",
        indexes=(
            _Index(name="by_run", partition="run_id", sort="sk"),
            _Index(name="by_status", partition="status", sort="started_at"),
        ),
    ),
    "control": _Shape(partition="pk", sort="sk"),
    "watermarks": _Shape(partition="pk", sort="sk"),
    "lineage": _Shape(
        partition="pk",
        sort="sk",
        indexes=(_Index(name="by_source", partition="source", sort="sk"), _Index(name="by_target", partition="target", sort="sk")),
    ),
}
"""Keys and indexes of each table, all strings."""


@dataclass(frozen=True, kw_only=True)
class RunTableNames:
    """Run tables by name, for a stack that did not make them.

    Attributes:
        names: Name of each table.
        key_arn: ARN of the key that encrypts them.
    """

    names: dict[str, str]
    key_arn: str

    @classmethod
    def from_names(cls, names: Names, *, key_arn: str) -> RunTableNames:
        """Tables as the names module spells them."""
        return cls(names={kind: names.run_table(kind) for kind in RUN_TABLES}, key_arn=key_arn)

    def name(self, kind: str) -> str:
        """Name of a table."""
        require_one_of(kind, self.names, name="kind of run table")
        return self.names[kind]

    @property
    def grants(self) -> RunTablesGrants:
        """Permissions on the tables."""
        return RunTablesGrants(self)


class RunTables(Construct):
    """Tables of run state, on demand, encrypted, with point-in-time recovery and expiry: `audit`, `control`, `watermarks`, `lineage`.

    Attributes:
        tables: Each table by kind.
        by_name: The same as plain names, as grants take them.
        grants: Permissions on the tables.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        key: kms.IKey,
        is_deletion_protected: bool = False,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment; tables are `<prefix>-<kind>`.
            key: Customer key of the tables.
            is_deletion_protected: Whether DynamoDB refuses to delete them.
            removal_policy: What happens to them when the stack goes.
        """
        super().__init__(scope, id)
        self.by_name = RunTableNames.from_names(names, key_arn=key_arn(key))
        self.tables: dict[str, dynamodb.Table] = {}
        for kind, shape in SHAPES.items():
            table = dynamodb.Table(
                self,
                kind.capitalize(),
                table_name=self.by_name.name(kind),
                partition_key=_attribute(shape.partition),
                sort_key=_attribute(shape.sort),
                billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
                deletion_protection=is_deletion_protected,
                encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
                encryption_key=key,
                point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True),
                removal_policy=removal_policy,
                time_to_live_attribute=TTL_ATTRIBUTE,
            )
            for index in shape.indexes:
                table.add_global_secondary_index(
                    index_name=index.name, partition_key=_attribute(index.partition), sort_key=_attribute(index.sort)
                )
            self.tables[kind] = table
        self.grants = self.by_name.grants


class RunTablesGrants:
    """Permissions on run tables; the key is included, through DynamoDB only."""

    def __init__(self, tables: RunTableNames) -> None:
        self._tables = tables

    def use(
        self,
        grantee: iam.IGrantable,
        kind: str,
        *,
        actions: tuple[str, ...],
        indexes: tuple[str, ...] = (),
        partitions: tuple[str, ...] = (),
    ) -> iam.Grant:
        """Let it do exactly some things with one table.

        Args:
            grantee: Who receives the permission.
            kind: Which table.
            actions: DynamoDB actions without their prefix, such as `GetItem`.
            indexes: Indexes that it may query.
            partitions: Values of the partition key that it is limited to; none = all of them.
        """
        arn = run_table_arn(self._tables.name(kind))
        # The table key that DynamoDB made at creation is all that the customer key ever has to open.
        allow(grantee, actions=READ, resources=[self._tables.key_arn], conditions=through("dynamodb"))
        conditions = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": list(partitions)}} if partitions else None
        grant = allow(grantee, actions=[f"dynamodb:{action}" for action in actions], resources=[arn], conditions=conditions)
        if indexes:
            allow(grantee, actions=["dynamodb:Query"], resources=[f"{arn}/index/{index}" for index in indexes])
        return grant


def _attribute(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
