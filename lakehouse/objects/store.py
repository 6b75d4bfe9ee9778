"""The objects of a bucket one at a time: looked at, read, written under a condition, waited for.

Actions: s3:GetObject (stat, read, and a write with if_match), s3:PutObject (write), their versions' s3:GetObjectVersion, and s3:ListBucket, without which
S3 answers 403 where an object is missing; on the key of the bucket kms:Decrypt and kms:GenerateDataKey.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from lakehouse.errors import LakehouseError, TerminalError
from lakehouse.objects.errors import MISSING, ObjectChanged, ObjectExists, ObjectMissing, S3Unavailable, bucket_missing, code_of, our_words
from lakehouse.polling import Pauses, looks

ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects cannot be read before they are restored; Glacier Instant Retrieval is none of them."""

PAUSES = Pauses(first_seconds=1.0, factor=1.5, longest_seconds=20.0)
"""Waits between two looks for an object."""

_RESTORED = 'ongoing-request="false"'


class InvalidDocument(TerminalError):
    """An object is not JSON."""


class ObjectTimeout(LakehouseError):
    """An object was not there when its time was up."""


@dataclass(frozen=True, kw_only=True)
class ObjectStat:
    """What S3 knows of an object without reading it.

    Attributes:
        key: Key.
        size: Bytes.
        modified_at: When it was written.
        etag: Identity of its content for conditions, quotes included; no MD5 if it was written in parts or is under a KMS key.
        version_id: Version; None if the bucket has no versions.
        content_type: Media type, as its writer said.
        storage_class: Storage class by S3's name.
        metadata: What its writer noted, such as a row count; names are lower case.
        is_archived: Whether it has to be restored before it can be read.
    """

    key: str
    size: int
    modified_at: datetime
    etag: str
    version_id: str | None
    content_type: str
    storage_class: str
    metadata: Mapping[str, str]
    is_archived: bool


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """An object that was read.

    Attributes:
        address: Its `s3://` address.
        content: Its bytes.
        etag: Identity of its content: what `if_match` takes.
        version_id: Version; None if the bucket has no versions.
    """

    address: str
    content: bytes = field(repr=False)
    etag: str
    version_id: str | None

    def json(self) -> Any:
        """What the document says.

        Raises:
            InvalidDocument: It is not JSON.
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise InvalidDocument(f"{self.address} is no JSON document: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Written:
    """An object that was written.

    Attributes:
        etag: Identity of its content: what `if_match` takes.
        version_id: Version; None if the bucket has no versions.
    """

    etag: str
    version_id: str | None


class ObjectStore:
    """The objects of one bucket."""

    def __init__(
        self,
        *,
        client: Any,
        bucket: str,
        pauses: Pauses = PAUSES,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Args:
            client: boto3 S3 client.
            bucket: Bucket.
            pauses: Waits between two looks for an object.
            clock: Seconds that only go forward.
            sleep: Waits some seconds.
        """
        self._client, self._bucket = client, bucket
        self._pauses, self._clock, self._sleep = pauses, clock, sleep
        self._is_bucket_known = False

    def stat(self, key: str, *, version_id: str | None = None) -> ObjectStat | None:
        """Look at an object; None if there is none.

        Args:
            key: Key.
            version_id: Version; None = the one that readers get.

        Raises:
            BucketMissing: There is not even the bucket.
            ObjectForbidden: The caller may not look, or may not be told that there is none.
            S3Unavailable: S3 does not answer this time.
        """
        try:
            with our_words(self.address(key)):
                found = self._client.head_object(**self._place(key, version_id))
        except ObjectMissing:
            self._require_bucket()
            return None
        self._is_bucket_known = True
        storage_class = str(found.get("StorageClass", "STANDARD"))
        return ObjectStat(
            key=key,
            size=int(found["ContentLength"]),
            modified_at=found["LastModified"],
            etag=str(found["ETag"]),
            version_id=found.get("VersionId"),
            content_type=str(found.get("ContentType", "")),
            storage_class=storage_class,
            metadata=dict(found.get("Metadata") or {}),
            is_archived="ArchiveStatus" in found or (storage_class in ARCHIVES and _RESTORED not in str(found.get("Restore", ""))),
        )

    def read(self, key: str, *, version_id: str | None = None) -> StoredObject:
        """Read an object whole, into memory: a document, not a data file (`Transfers.download`).

        Args:
            key: Key.
            version_id: Version; None = the one that readers get.

        Raises:
            ObjectMissing: There is none.
            ObjectForbidden: The caller may not read it, or may not be told that there is none.
            ObjectArchived: It has to be restored first.
        """
        with our_words(self.address(key)):
            found = self._client.get_object(**self._place(key, version_id))
            content: bytes = found["Body"].read()
        return StoredObject(address=self.address(key), content=content, etag=str(found["ETag"]), version_id=found.get("VersionId"))

    def write(
        self,
        key: str,
        content: bytes,
        *,
        if_none_match: Literal["*"] | None = None,
        if_match: str | None = None,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> Written:
        """Write an object; without a condition the last writer wins.

        Args:
            key: Key.
            content: All of its bytes.
            if_none_match: `*`: only if there is no object of this key. Of any number of writers one succeeds.
            if_match: Only if the object has this ETag: nobody's change is lost.
            content_type: Media type.
            metadata: Notes, ASCII text by name.

        Raises:
            ObjectExists: `if_none_match`, and there is one.
            ObjectChanged: `if_match`, and it is another one by now, or gone.
            WriteConflict: Another write of the key was under way.
            ObjectForbidden: The caller may not.
        """
        if if_none_match is not None and if_match is not None:
            raise ValueError("if_none_match wants no object and if_match a certain one: give one of the two")
        condition = {"IfNoneMatch": if_none_match, "IfMatch": if_match}
        address = self.address(key)
        try:
            with our_words(address):
                written = self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=content,
                    ContentType=content_type,
                    Metadata=dict(metadata or {}),
                    **{name: value for name, value in condition.items() if value is not None},
                )
        except ObjectChanged as unmet:
            if if_none_match is None:
                raise
            hint = "; the request was sent twice, so it may be this call's own: read it" if unmet.is_repeated else ""
            raise ObjectExists(
                f"{address} exists already, and was to be written only if not{hint}",
                address=address,
                code=unmet.code,
                is_repeated=unmet.is_repeated,
            ) from unmet
        except ObjectMissing as gone:
            if if_match is None:
                raise
            raise ObjectChanged(
                f"{address} is gone, and was to be written only if it is as it was", address=address, code=gone.code
            ) from gone
        return Written(etag=str(written["ETag"]), version_id=written.get("VersionId"))

    def write_json(
        self,
        key: str,
        value: object,
        *,
        if_none_match: Literal["*"] | None = None,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Written:
        """Write a JSON document, the same bytes for the same value. Arguments and errors as for `write`.

        Raises:
            ValueError: The value holds NaN or an infinity, which JSON has no word for.
            TypeError: It holds something else that JSON has no word for, such as a date: write its text.
        """
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
        return self.write(
            key, text.encode(), if_none_match=if_none_match, if_match=if_match, content_type="application/json", metadata=metadata
        )

    def wait_for(self, key: str, *, seconds: float) -> ObjectStat:
        """Wait until there is an object, such as the flag file of another team; not in a function, which pays for the wait: let an event start it.

        Args:
            key: Key.
            seconds: Longest to wait.

        Raises:
            ObjectTimeout: There was none when the time was up.
            ObjectForbidden: The caller may not look: waiting would not help.
        """
        for _ in looks(seconds, pauses=self._pauses, clock=self._clock, sleep=self._sleep):
            # S3 may be out of reach for one look and not for the next.
            with suppress(S3Unavailable):
                found = self.stat(key)
                if found is not None:
                    return found
        raise ObjectTimeout(f"{self.address(key)} was not there after {seconds:.0f} s: see whether its writer runs, or wait longer")

    def address(self, key: str) -> str:
        """`s3://` address of a key."""
        return f"s3://{self._bucket}/{key}"

    def _place(self, key: str, version_id: str | None) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": key, **({} if version_id is None else {"VersionId": version_id})}

    def _require_bucket(self) -> None:
        """Tell a missing bucket from a missing object: HEAD of an object answers a bare 404 to both, and a name with a typo must not read as "not yet".

        Raises:
            BucketMissing: It is the bucket.
        """
        if self._is_bucket_known:
            return
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if code_of(error) in MISSING | {"NoSuchBucket"}:
                raise bucket_missing(self.address(""), code=code_of(error)) from error
        self._is_bucket_known = True
