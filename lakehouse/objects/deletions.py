"""A folder of a bucket emptied, in two steps: a plan says what would go and whether anything brings it back, and only a plan is carried out.

Not for folders of tables, whose own maintenance knows what is needed, nor for rows of a person: `lake erase` finds every copy of those.

Actions: s3:ListBucketVersions (plan), s3:GetBucketVersioning (plan of what can be brought back, if an object has no version), s3:DeleteObject and, for all
versions, s3:DeleteObjectVersion (delete).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lakehouse.errors import TerminalError
from lakehouse.object_versions import ObjectVersion, delete_versions, hide_objects, versions_below
from lakehouse.objects.errors import our_words

Which = Literal["current", "all"]
"""`current`: objects are hidden behind delete markers, and their versions stay until the lifecycle of the bucket takes them. `all`: every version and
marker goes, and nothing brings them back."""

NO_VERSION = "null"
"""S3's word for the version of an object that was written while the bucket had no versions."""


class DeletionRefused(TerminalError):
    """Nothing was deleted, as it would not have been what was meant."""


@dataclass(frozen=True, kw_only=True)
class DeletionPlan:
    """What a deletion would do; `str` of it is a sentence for people.

    Attributes:
        bucket: Bucket.
        folder: Folder.
        which: Whether objects would be hidden, or all versions be gone.
        versions: What would be hidden or be gone.
    """

    bucket: str
    folder: str
    which: Which
    versions: tuple[ObjectVersion, ...]

    @property
    def objects(self) -> int:
        """Number of keys."""
        return len({version.key for version in self.versions})

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(version.size for version in self.versions)

    def __str__(self) -> str:
        where = f"s3://{self.bucket}/{self.folder}"
        if self.which == "current":
            return f"{self.objects} objects ({self.size} bytes) below {where} would be hidden; their versions stay"
        return (
            f"{len(self.versions)} versions and markers of {self.objects} objects ({self.size} bytes) below {where} would be gone for good"
        )


def plan_deletion(client: Any, *, bucket: str, folder: str, which: Which) -> DeletionPlan:
    """See what emptying a folder would do; nothing is touched.

    Args:
        client: boto3 S3 client.
        bucket: Bucket.
        folder: What keys begin with, up to and with a slash.
        which: Whether objects are hidden, or all versions go.

    Raises:
        DeletionRefused: It is no folder; or objects were to be hidden, and would be gone for good.
        S3Refused: The caller may not list the versions, or there is no such bucket.
    """
    if not folder.strip("/") or not folder.endswith("/"):
        raise DeletionRefused(
            f"folder must be a folder of the bucket, with a slash at its end, such as exports/2026/, got {folder!r}: without the slash "
            "its neighbours would go too, and the whole bucket is no folder"
        )
    address = f"s3://{bucket}/{folder}"
    with our_words(address):
        found = tuple(version for version in versions_below(client, bucket=bucket, prefix=folder) if which == "all" or version.is_current)
        if which == "current" and any(version.version_id == NO_VERSION for version in found):
            status = client.get_bucket_versioning(Bucket=bucket).get("Status", "never switched on")
            if status != "Enabled":
                raise DeletionRefused(
                    f"objects below {address} cannot be hidden: versioning of the bucket is {status}, and they would be gone for good. "
                    "Switch it on, or say so with which='all'"
                )
    return DeletionPlan(bucket=bucket, folder=folder, which=which, versions=found)


def delete(client: Any, plan: DeletionPlan) -> int:
    """Carry out a plan. All versions: exactly those that it names go, and what was written since stays. Current ones: what readers get by then is hidden.

    Returns:
        How many versions are gone, or objects hidden.

    Raises:
        VersionsRefused: S3 will not delete some of them; names them, and how many are gone.
        VersionsNotDeleted: S3 did not delete some of them this time.
    """
    if plan.which == "all":
        return delete_versions(client, bucket=plan.bucket, versions=plan.versions)
    return hide_objects(client, bucket=plan.bucket, keys=[version.key for version in plan.versions])
