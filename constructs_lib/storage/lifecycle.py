"""How long a bucket of the lake keeps things, and where they age."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_s3 as s3

from constructs_lib.checks import require, require_one_of, require_range
from lakehouse.naming import EVENT_LOGS

STORAGE_CLASSES = {
    "STANDARD_IA": s3.StorageClass.INFREQUENT_ACCESS,
    "INTELLIGENT_TIERING": s3.StorageClass.INTELLIGENT_TIERING,
    "GLACIER_IR": s3.StorageClass.GLACIER_INSTANT_RETRIEVAL,
    "GLACIER": s3.StorageClass.GLACIER,
    "DEEP_ARCHIVE": s3.StorageClass.DEEP_ARCHIVE,
}
"""Storage classes that objects may age into, by S3's own names; One Zone-IA is left out, as raw files cannot be made again.

The order is S3's waterfall: objects flow down it, over as many steps as one likes, and never up.
"""

MIN_INFREQUENT_ACCESS_DAYS = 30
ABORT_MULTIPART_DAYS = 7
NONCURRENT_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A step down the ladder.

    Attributes:
        storage_class: S3's name of the class, such as `GLACIER_IR`.
        after_days: Age at which objects move.
    """

    storage_class: str
    after_days: int


@dataclass(frozen=True, kw_only=True)
class RawLifecycle:
    """How raw files age: 30 days in Standard, Standard-IA, Glacier Instant Retrieval, Deep Archive, gone after seven years.

    Attributes:
        transitions: Steps in the order of age.
        expire_after_days: Age at which files are deleted; None keeps them for ever.
        noncurrent_after_days: Days for which a file version is kept after a newer one replaced it; its run may still have to read it.
    """

    transitions: tuple[Transition, ...] = (
        Transition(storage_class="STANDARD_IA", after_days=30),
        Transition(storage_class="GLACIER_IR", after_days=90),
        Transition(storage_class="DEEP_ARCHIVE", after_days=365),
    )
    expire_after_days: int | None = 2555
    noncurrent_after_days: int = 90

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: A step does not exist, comes too early or out of order, or leads up.
        """
        above, below, previous = "STANDARD", [*STORAGE_CLASSES], 0
        for step in self.transitions:
            require_one_of(step.storage_class, STORAGE_CLASSES, name="storage_class of a transition")
            require(
                step.storage_class != "STANDARD_IA" or step.after_days >= MIN_INFREQUENT_ACCESS_DAYS,
                f"objects move to STANDARD_IA after at least {MIN_INFREQUENT_ACCESS_DAYS} days (S3's floor), got {step.after_days}",
            )
            require(
                step.after_days > previous,
                f"transitions must be in the order of age: {step.storage_class} comes after {step.after_days} days, the step before it after {previous}",
            )
            require(
                step.storage_class in below,
                f"S3 moves nothing from {above} to {step.storage_class}: objects only move down, from {above} to {', '.join(below) or 'no other class'}",
            )
            above, below, previous = step.storage_class, below[below.index(step.storage_class) + 1 :], step.after_days
        require(
            self.expire_after_days is None or self.expire_after_days > previous,
            f"expire_after_days must be more than the last transition's {previous} days, got {self.expire_after_days}",
        )
        require_range(self.noncurrent_after_days, name="noncurrent_after_days", at_least=1)


def raw_rules(lifecycle: RawLifecycle) -> list[s3.LifecycleRule]:
    """Rules of the landing zone."""
    return [
        s3.LifecycleRule(
            id="age-files",
            transitions=[
                s3.Transition(storage_class=STORAGE_CLASSES[step.storage_class], transition_after=Duration.days(step.after_days))
                for step in lifecycle.transitions
            ]
            or None,
            expiration=None if lifecycle.expire_after_days is None else Duration.days(lifecycle.expire_after_days),
            noncurrent_version_expiration=Duration.days(lifecycle.noncurrent_after_days),
        ),
        *_housekeeping(),
    ]


def table_rules(*, noncurrent_days: int = NONCURRENT_DAYS) -> list[s3.LifecycleRule]:
    """Rules of a zone that holds tables: only what no table refers to goes.

    There is no way to ask for more: Iceberg decides which files a table needs, and a file that S3 archived or expired under it breaks every query.
    """
    return [
        s3.LifecycleRule(id="forget-deleted-files", noncurrent_version_expiration=Duration.days(noncurrent_days)),
        *_housekeeping(),
    ]


def scratch_rules(expire_after_days: int, *, noncurrent_days: int = NONCURRENT_DAYS) -> list[s3.LifecycleRule]:
    """Rules of a zone whose objects can be made again: they go after a while."""
    require_range(expire_after_days, name="expire_after_days", at_least=1)
    return [
        s3.LifecycleRule(
            id="expire-all",
            expiration=Duration.days(expire_after_days),
            noncurrent_version_expiration=Duration.days(noncurrent_days),
        ),
        *_housekeeping(expired_markers=False),
    ]


def event_log_rule(expire_after_days: int) -> s3.LifecycleRule:
    """Rule of the folder of event logs, whose plans hold literals of statements: they go sooner than what lies beside them."""
    require_range(expire_after_days, name="event_logs_days", at_least=1)
    return s3.LifecycleRule(
        id="expire-event-logs",
        prefix=EVENT_LOGS,
        expiration=Duration.days(expire_after_days),
    )


def _housekeeping(*, expired_markers: bool = True) -> list[s3.LifecycleRule]:
    rules = [s3.LifecycleRule(id="abort-uploads", abort_incomplete_multipart_upload_after=Duration.days(ABORT_MULTIPART_DAYS))]
    if expired_markers:
        rules.append(s3.LifecycleRule(id="drop-delete-markers", expired_object_delete_marker=True))
    return rules
