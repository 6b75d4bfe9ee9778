"""Versions of objects in a bucket: what a delete leaves behind, and the way to be rid of it.

Actions: s3:ListBucketVersions (list), s3:DeleteObjectVersion and s3:DeleteObject (delete).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakehouse.errors import TransientError

BATCH = 1000
"""Most versions that one DeleteObjects takes."""


@dataclass(frozen=True, kw_only=True, order=True)
class ObjectVersion:
    """One version of an object, or the marker that a delete leaves.

    Attributes:
        key: Key of the object.
        version_id: Version.
        size: Bytes; 0 of a marker.
        modified_at: When it was written.
        is_latest: Whether readers who name no version see it.
        is_marker: Whether it only says that the object was deleted.
    """

    key: str
    version_id: str
    size: int
    modified_at: datetime
    is_latest: bool
    is_marker: bool

    @property
    def is_current(self) -> bool:
        """Whether it is what readers get."""
        return self.is_latest and not self.is_marker


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """The versions below the folder of a table.

    Attributes:
        kept: What the table consists of.
        doomed: What has to go.
        young: What no snapshot knows and somebody may be about to commit.
    """

    kept: tuple[ObjectVersion, ...]
    doomed: tuple[ObjectVersion, ...]
    young: tuple[ObjectVersion, ...]


def versions_below(client: Any, *, bucket: str, prefix: str) -> Iterator[ObjectVersion]:
    """Every version and every delete marker below a prefix.

    Args:
        client: boto3 S3 client.
        bucket: Bucket.
        prefix: What keys begin with.
    """
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for kind in ("Versions", "DeleteMarkers"):
            for found in page.get(kind, ()):
                yield ObjectVersion(
                    key=found["Key"],
                    version_id=found["VersionId"],
                    size=int(found.get("Size", 0)),
                    modified_at=found["LastModified"],
                    is_latest=bool(found["IsLatest"]),
                    is_marker=kind == "DeleteMarkers",
                )


def delete_versions(client: Any, *, bucket: str, versions: Iterable[ObjectVersion]) -> int:
    """Delete versions for good; one that is gone already is no matter.

    Args:
        client: boto3 S3 client.
        bucket: Bucket.
        versions: What to delete.

    Returns:
        How many there were.

    Raises:
        TransientError: S3 did not delete some of them; the first of its reasons is told.
    """
    # A marker goes after what it hides: if we were stopped between the two, the object would be back.
    ordered = sorted(versions, key=lambda version: version.is_marker)
    for start in range(0, len(ordered), BATCH):
        some = ordered[start : start + BATCH]
        objects = [{"Key": version.key, "VersionId": version.version_id} for version in some]
        errors: Sequence[dict[str, str]] = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}).get(
            "Errors", ()
        )
        if errors:
            first = errors[0]
            raise TransientError(
                f"S3 did not delete {len(errors)} of {len(some)} versions in {bucket}: {first['Key']}: {first.get('Code')}: {first.get('Message')}"
            )
    return len(ordered)


def sort_versions(versions: Iterable[ObjectVersion], *, live: Collection[str], known: Collection[str], unknown_before: datetime) -> Sorted:
    """Tell what a table consists of from what is left of its past.

    Noncurrent versions and delete markers are of the past whatever their key. A current object that no snapshot has ever known may be what a
    compaction is about to commit: it is of the past only when it is old.

    Args:
        versions: Versions below the table's folder.
        live: Keys that the table's metadata refers to.
        known: Keys that snapshots have referred to, and may no more.
        unknown_before: Objects that no snapshot knows are nobody's if they are older.
    """
    kept: list[ObjectVersion] = []
    doomed: list[ObjectVersion] = []
    young: list[ObjectVersion] = []
    for version in versions:
        if not version.is_current:
            doomed.append(version)
        elif version.key in live:
            kept.append(version)
        elif version.key in known or version.modified_at < unknown_before:
            doomed.append(version)
        else:
            young.append(version)
    return Sorted(kept=tuple(kept), doomed=tuple(doomed), young=tuple(young))
