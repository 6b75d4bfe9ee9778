"""Versions of objects in a bucket: what a delete leaves behind, and the way to be rid of it.

Actions: s3:ListBucketVersions (list), s3:DeleteObjectVersion and s3:DeleteObject (delete).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakehouse.errors import LakehouseError, TerminalError, TransientError

BATCH = 1000
"""Most versions that one DeleteObjects takes."""

_KEPT = "KeptMarker"
"""Our own code: the marker was not asked to go."""

_PASSING = frozenset({"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown", _KEPT})
"""Codes of what is not deleted this time; to others, such as AccessDenied, S3 stays however often it is asked."""

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class NotDeleted:
    """A version that is still there, and S3's reason.

    Attributes:
        key: Key of the object.
        version_id: Version; "" if the object was to be hidden.
        code: S3's code.
        message: S3's sentence.
    """

    key: str
    version_id: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.code}: {self.message}"


class DeletionIncomplete(LakehouseError):
    """S3 did not delete everything that it was asked to.

    Attributes:
        deleted: How many are gone.
        left: Those that are not.
    """

    def __init__(self, bucket: str, *, deleted: int, left: Sequence[NotDeleted]) -> None:
        self.deleted, self.left = deleted, tuple(left)
        shown = "; ".join(map(str, left[:_SHOWN])) + (f"; and {len(left) - _SHOWN} more" if len(left) > _SHOWN else "")
        super().__init__(f"S3 did not delete {len(left)} of {deleted + len(left)} versions in {bucket}: {shown}")


class VersionsRefused(DeletionIncomplete, TerminalError):
    """At least one of them S3 will not delete, however often it is asked."""


class VersionsNotDeleted(DeletionIncomplete, TransientError):
    """All of them may be deleted another time."""


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
        VersionsRefused: S3 will not delete some of them; the others are gone.
        VersionsNotDeleted: S3 did not delete some of them this time; the others are gone.
    """
    doomed, markers = list[ObjectVersion](), list[ObjectVersion]()
    for version in versions:
        (markers if version.is_marker else doomed).append(version)
    # The old ones first, and a marker after what it hides: if we were stopped between the two, or S3 refused one of them, what nobody could see would be
    # back. S3 promises no order within a call, so markers have calls of their own.
    left = _delete(client, bucket, [_named(version) for version in sorted(doomed, key=lambda version: version.is_latest)])
    stuck = {one.key for one in left}
    left += [
        NotDeleted(key=marker.key, version_id=marker.version_id, code=_KEPT, message="the marker stays, as what it hides is still there")
        for marker in markers
        if marker.key in stuck
    ]
    left += _delete(client, bucket, [_named(marker) for marker in markers if marker.key not in stuck])
    return _all_gone(bucket, len(doomed) + len(markers), left)


def hide_objects(client: Any, *, bucket: str, keys: Sequence[str]) -> int:
    """Put delete markers over objects of a bucket that keeps versions: readers find them no more, and their versions stay.

    Args:
        client: boto3 S3 client.
        bucket: Bucket, with versions: in one without, they are gone.
        keys: Keys of the objects.

    Returns:
        How many there were.

    Raises:
        VersionsRefused: S3 will not hide some of them; the others are hidden.
        VersionsNotDeleted: S3 did not hide some of them this time; the others are hidden.
    """
    return _all_gone(bucket, len(keys), _delete(client, bucket, [{"Key": key} for key in keys]))


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


def _named(version: ObjectVersion) -> dict[str, str]:
    return {"Key": version.key, "VersionId": version.version_id}


def _delete(client: Any, bucket: str, objects: Sequence[Mapping[str, str]]) -> list[NotDeleted]:
    """Delete in batches, and tell every entry of `Errors`: what fails in one batch does not keep the next from being tried."""
    left: list[NotDeleted] = []
    for start in range(0, len(objects), BATCH):
        some = list(objects[start : start + BATCH])
        try:
            errors: Sequence[Mapping[str, str]] = client.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True}).get(
                "Errors", ()
            )
        except client.exceptions.ClientError as error:
            # The call as a whole was refused: what the calls before it did is told all the same.
            errors = [{**error.response["Error"], **one} for one in some]
        left += [
            NotDeleted(
                key=error["Key"], version_id=error.get("VersionId", ""), code=error.get("Code", ""), message=error.get("Message", "")
            )
            for error in errors
        ]
    return left


def _all_gone(bucket: str, asked: int, left: Sequence[NotDeleted]) -> int:
    """How many are gone.

    Raises:
        DeletionIncomplete: Not all of them.
    """
    if left:
        kind = VersionsNotDeleted if all(one.code in _PASSING for one in left) else VersionsRefused
        raise kind(bucket, deleted=asked - len(left), left=left)
    return asked
