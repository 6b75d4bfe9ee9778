"""What crawlers look at: folders of buckets, and databases behind the library's own connections."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs

from constructs_lib.arns import key_arn
from constructs_lib.checks import require
from constructs_lib.ingestion.connection_reference import ConnectionReference
from constructs_lib.permissions import allow
from constructs_lib.processing.glue_job import connect
from constructs_lib.security.data_keys import READ
from constructs_lib.storage.data_lake import LakeBuckets
from lakehouse.naming import TABLE_ZONES

UNFINISHED = ("_temporary/**", "**/_temporary/**", "_spark_metadata/**", "**/_spark_metadata/**")
"""What Spark leaves beside its files: of a folder itself, and of those in it (Glue's `**/` asks for one in between)."""

MAX_EXCLUSIONS = 100
"""Most exclusions of a target."""

_CONSUME = (
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ListDeadLetterSourceQueues",
    "sqs:ListQueueTags",
    "sqs:PurgeQueue",
    "sqs:ReceiveMessage",
    "sqs:SetQueueAttributes",
)
"""What Glue asks of a crawler's role for a queue of events."""

_PREFIX = re.compile(r"[^/*?\s][^*?\s]*")
_JDBC_PATH = re.compile(r"[^/%\s]+(/[^/\s]+){1,2}")


@dataclass(frozen=True, kw_only=True)
class EventQueue:
    """Queue of what changed in a bucket; whoever owns the bucket has S3 send its notifications there, by itself or by a topic.

    Attributes:
        queue: The queue; a crawl takes up to 100,000 messages out of it.
        dead_letters: Queue of messages that could not be read; None if there is none.
        key: Customer key of both; None if they have none.
    """

    queue: sqs.IQueue
    dead_letters: sqs.IQueue | None = None
    key: kms.IKey | None = None


@dataclass(frozen=True, kw_only=True)
class S3Target:
    """A folder of a bucket.

    Attributes:
        lake: Buckets of the lake, or others by name.
        zone: Zone whose bucket holds it; zones of tables belong to contracts.
        prefix: The folder, such as `partners/clicks`.
        exclusions: Glob patterns of what is passed over, relative to the folder.
        events: Queue of what changed in it, for `CRAWL_EVENT_MODE`.
    """

    lake: LakeBuckets
    zone: str
    prefix: str
    exclusions: tuple[str, ...] = UNFINISHED
    events: EventQueue | None = None

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: The folder belongs to contracts, or is none.
        """
        require(
            self.zone not in TABLE_ZONES,
            f"zone {self.zone} holds Iceberg tables, which contracts own and whose own metadata says what is in them: a crawler would make other tables of their "
            "files; crawl raw, or a bucket of your own",
        )
        self.lake.bucket_name(self.zone)
        require(
            _PREFIX.fullmatch(self.prefix) is not None,
            f"prefix is a folder of the bucket, without a slash in front and without wildcards, such as partners/clicks, got {self.prefix!r}",
        )
        _check_exclusions(self.exclusions)

    def properties(self, *, with_events: bool) -> dict[str, Any]:
        """The target in CloudFormation's words."""
        events = self.events if with_events else None
        return {
            "path": f"s3://{self.lake.bucket_name(self.zone)}/{self._folder}/",
            "exclusions": list(self.exclusions) or None,
            "eventQueueArn": events.queue.queue_arn if events is not None else None,
            "dlqEventQueueArn": events.dead_letters.queue_arn if events is not None and events.dead_letters is not None else None,
        }

    def grant(self, role: iam.Role) -> None:
        """Let a crawler read what it looks at, and take events."""
        self.read(role)
        if self.events is not None:
            queues = [self.events.queue, *([self.events.dead_letters] if self.events.dead_letters is not None else [])]
            allow(role, actions=_CONSUME, resources=[queue.queue_arn for queue in queues])
            if self.events.key is not None:
                allow(role, actions=READ, resources=[key_arn(self.events.key)])

    def read(self, grantee: iam.IGrantable) -> None:
        """Let it list the folder and read its files."""
        self.lake.grants.read(grantee, self.zone, prefix=f"{self._folder}/")
        self.lake.grants.list(grantee, self.zone, prefix=self._folder)
        allow(grantee, actions=["s3:GetBucketLocation"], resources=[self.lake.bucket_arn(self.zone)])

    @property
    def _folder(self) -> str:
        return self.prefix.rstrip("/")


@dataclass(frozen=True, kw_only=True)
class JdbcTarget:
    """Tables of a database.

    Attributes:
        connection: The library's own connection: a reader, over TLS, opened by a secret.
        path: `database/schema/table` (PostgreSQL) or `database/table` (MySQL); `%` stands for any schema or table.
        exclusions: Glob patterns of tables that are passed over.
    """

    connection: ConnectionReference
    path: str
    exclusions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: The path would find nothing.
        """
        require(
            _JDBC_PATH.fullmatch(self.path) is not None,
            f"path is database/schema/table or, in MySQL, database/table, with % for any schema or table, such as shop/public/%, got {self.path!r}",
        )
        engine, parts = self.connection.address.partition("://")[0], self.path.count("/") + 1
        wanted = {"postgres": 3, "aurora-postgresql": 3, "mysql": 2, "aurora-mysql": 2}.get(engine, parts)
        require(
            parts == wanted,
            f"path of {engine} has {wanted} parts, {'database/schema/table' if wanted == 3 else 'database/table'}: it would find nothing, got {self.path!r}",
        )
        _check_exclusions(self.exclusions)

    def properties(self) -> dict[str, Any]:
        """The target in CloudFormation's words."""
        return {"connectionName": self.connection.glue_name, "path": self.path, "exclusions": list(self.exclusions) or None}

    def grant(self, role: iam.Role) -> None:
        """Let a crawler into the network of the connection, and open the database."""
        connect(role, [self.connection.glue_name])
        self.connection.grants.read_secret(role)


def _check_exclusions(exclusions: tuple[str, ...]) -> None:
    require(len(exclusions) <= MAX_EXCLUSIONS, f"a target has up to {MAX_EXCLUSIONS} exclusions, got {len(exclusions)}")
    for pattern in exclusions:
        require(
            bool(pattern) and not pattern.startswith(("/", "s3://")),
            f"an exclusion is a glob relative to the target, such as **/_temporary/**, got {pattern!r}",
        )
