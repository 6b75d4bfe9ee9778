"""Files to S3 and back, and copies inside it, in sets: boto3's own transfer does the work, in parts and in parallel, and every outcome is looked at.

A set is not atomic: readers see one object after the other. What must appear as a whole is announced by an object that is written last, with
`ObjectStore.write(..., if_none_match="*")`, or is a table.

Actions: s3:PutObject and s3:AbortMultipartUpload (upload, and where a copy goes), s3:GetObject (download, and where a copy comes from); on the keys of the
buckets kms:GenerateDataKey and kms:Decrypt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from botocore.exceptions import ClientError

from lakehouse.errors import LakehouseError, TerminalError, TransientError
from lakehouse.objects.errors import UNREACHED, ObjectChanged, S3Unavailable, translated

MB = 1024 * 1024
SMALLEST_PART_MB = 5
LARGEST_PART_MB = 5 * 1024
"""Largest part, and largest object that one request uploads or copies."""

Progress = Callable[[str, int], None]
"""Told the key and how many more bytes are done; called from several threads."""

_CARRIED = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")
"""What an object has besides its bytes and metadata."""

_SHOWN = 3


class TransferFailed(LakehouseError):
    """Some of a set did not go through; the others did.

    Attributes:
        failed: What went wrong, by key.
        done: Keys of the others.
    """

    def __init__(self, verb: str, *, failed: Mapping[str, BaseException], done: tuple[str, ...]) -> None:
        self.failed, self.done = dict(failed), done
        shown = "; ".join(f"{key}: {error}" for key, error in list(failed.items())[:_SHOWN])
        more = f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        super().__init__(f"{len(failed)} of {len(failed) + len(done)} {verb}: {shown}{more}")


class TransferRefused(TransferFailed, TerminalError):
    """At least one of them will not go through if it is tried again."""


class TransferUnfinished(TransferFailed, TransientError):
    """All of them may go through if they are tried again."""


@dataclass(frozen=True, kw_only=True)
class TransferProfile:
    """How objects are cut up and how many requests run side by side.

    Attributes:
        threshold_mb: From this size on an object goes in parts.
        part_mb: Size of a part; boto3 takes larger ones where 10000 would not be enough.
        threads: Requests at once, over all objects of a set; more than ten want a client with as many `max_pool_connections`.
    """

    threshold_mb: int = 50
    part_mb: int = 50
    threads: int = 10

    def __post_init__(self) -> None:
        """
        Raises:
            ValueError: S3 takes no such parts, or nothing would run.
        """
        for name in ("threshold_mb", "part_mb"):
            if not SMALLEST_PART_MB <= getattr(self, name) <= LARGEST_PART_MB:
                raise ValueError(
                    f"{name} must be between {SMALLEST_PART_MB} and {LARGEST_PART_MB} (S3's limits), got {getattr(self, name)}"
                )
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {self.threads}")


class Transfers:
    """Sets of files and objects, to, from and inside one bucket."""

    def __init__(self, *, client: Any, bucket: str, profile: TransferProfile | None = None) -> None:
        """
        Args:
            client: boto3 S3 client.
            bucket: Bucket.
            profile: How they are cut up; None takes the defaults of `TransferProfile`.
        """
        self._client, self._bucket = client, bucket
        self._profile = profile if profile is not None else TransferProfile()

    def upload(
        self,
        files: Mapping[str, Path],
        *,
        content_type: str = "",
        metadata: Mapping[str, str] | None = None,
        on_progress: Progress | None = None,
    ) -> None:
        """Upload files; an object that is there gets a new version.

        Args:
            files: File by key.
            content_type: Media type of all of them; empty = S3's default, any bytes.
            metadata: Notes on all of them, ASCII text by name.
            on_progress: Told of bytes that are done.

        Raises:
            TransferFailed: Some did not go through; names them and the others.
        """
        extra = {**({"ContentType": content_type} if content_type else {}), **({"Metadata": dict(metadata)} if metadata else {})}

        def submit(manager: Any, key: str, listeners: list[Any]) -> Any:
            return manager.upload(str(files[key]), self._bucket, key, extra_args=extra, subscribers=listeners)

        self._all("files were not uploaded", {key: partial(submit, key=key) for key in files}, on_progress)

    def download(self, files: Mapping[str, Path], *, on_progress: Progress | None = None) -> None:
        """Download objects; a file appears, or is replaced, when it is whole.

        Args:
            files: File by key; its folder is made.
            on_progress: Told of bytes that are done.

        Raises:
            ValueError: Two objects would be the same file; nothing is downloaded.
            TransferFailed: Some did not go through; names them and the others.
        """
        _require_distinct(files, "file")
        for file in files.values():
            file.parent.mkdir(parents=True, exist_ok=True)

        def submit(manager: Any, key: str, listeners: list[Any]) -> Any:
            return manager.download(self._bucket, key, str(files[key]), subscribers=listeners)

        self._all("objects were not downloaded", {key: partial(submit, key=key) for key in files}, on_progress)

    def copy(
        self,
        keys: Mapping[str, str],
        *,
        metadata: Mapping[str, str] | Literal["COPY"],
        to_bucket: str | None = None,
        on_progress: Progress | None = None,
    ) -> None:
        """Copy objects inside S3, of any size, to promote a layer of files, say; not atomic, see above.

        Tags and storage class stay behind; a content type and the like go along. An object that changes while it is copied is not copied.

        Args:
            keys: New key by key.
            metadata: `COPY`: the copy has the notes of its source. Notes, ASCII text by name: it has these and no others.
            to_bucket: Where copies go, in the region of this bucket; None = this bucket.
            on_progress: Told of bytes that are done.

        Raises:
            ValueError: Two objects would be the same copy, or one its own; nothing is copied.
            TransferFailed: Some did not go through; names them and the others.
        """
        target = to_bucket or self._bucket
        _require_distinct(keys, "copy")
        own = [key for key, new in keys.items() if key == new and target == self._bucket]
        if own:
            raise ValueError(f"{own[0]!r} would be copied onto itself: name another key or bucket")
        found, failed = self._heads(keys)

        def submit(manager: Any, key: str, listeners: list[Any]) -> Any:
            head = found[key]
            extra = {
                # One request takes the source's properties by itself, a copy in parts did not before s3transfer 0.19: named, they go along in both.
                **{name: head[name] for name in _CARRIED if head.get(name)},
                "Metadata": dict(head.get("Metadata") or {}) if metadata == "COPY" else dict(metadata),
                "MetadataDirective": "REPLACE",
                # To copy tags would take further permissions.
                "TaggingDirective": "REPLACE",
                "CopySourceIfMatch": head["ETag"],
            }
            return manager.copy({"Bucket": self._bucket, "Key": key}, target, keys[key], extra_args=extra, subscribers=listeners)

        self._all("objects were not copied", {key: partial(submit, key=key) for key in found}, on_progress, failed=failed)

    def _heads(self, keys: Mapping[str, str]) -> tuple[dict[str, dict[str, Any]], dict[str, BaseException]]:
        """What S3 knows of objects, and what went wrong with the others."""

        def look(key: str) -> dict[str, Any] | BaseException:
            try:
                return self._client.head_object(Bucket=self._bucket, Key=key)
            except (ClientError, *UNREACHED) as error:
                return translated(error, self._address(key))

        with ThreadPoolExecutor(max_workers=self._profile.threads) as pool:
            looked = dict(zip(keys, pool.map(look, keys), strict=True))
        return (
            {key: head for key, head in looked.items() if not isinstance(head, BaseException)},
            {key: head for key, head in looked.items() if isinstance(head, BaseException)},
        )

    def _all(
        self,
        verb: str,
        submits: Mapping[str, Callable[..., Any]],
        on_progress: Progress | None,
        *,
        failed: Mapping[str, BaseException] | None = None,
    ) -> None:
        """Hand all to boto3, and look at what became of each.

        Raises:
            TransferFailed: Some did not go through.
        """
        from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager

        profile = self._profile
        config = TransferConfig(
            multipart_threshold=profile.threshold_mb * MB, multipart_chunksize=profile.part_mb * MB, max_concurrency=profile.threads
        )
        faults: dict[str, BaseException] = dict(failed or {})
        # An interrupt leaves the block by its error, and the manager then cancels what is under way and aborts its parts.
        with create_transfer_manager(self._client, config) as manager:
            futures = {
                key: submit(manager, listeners=[] if on_progress is None else [ProgressCallbackInvoker(partial(on_progress, key))])
                for key, submit in submits.items()
            }
            for key, future in futures.items():
                try:
                    future.result()
                except Exception as error:  # noqa: BLE001 - of one object: the others are told of as well
                    faults[key] = self._fault(error, key)
        if faults:
            kind = TransferUnfinished if all(isinstance(fault, TransientError) for fault in faults.values()) else TransferRefused
            raise kind(verb, failed=faults, done=tuple(key for key in submits if key not in faults)) from next(iter(faults.values()))

    def _fault(self, error: Exception, key: str) -> BaseException:
        from s3transfer import exceptions

        address = self._address(key)
        # Glue and Lambda bring a boto3 of their own, which may be older than one of these.
        changed = tuple(getattr(exceptions, name) for name in ("S3CopyFailedError", "S3DownloadFailedError") if hasattr(exceptions, name))
        if isinstance(error, changed):
            # What s3transfer makes of a 412: the object changed between two parts.
            return ObjectChanged(f"{address} is not the object that it was: {error}", address=address, code="PreconditionFailed")
        if isinstance(error, exceptions.RetriesExceededError):
            return S3Unavailable(f"the connection broke again and again over {address}: {error}", address=address, code="RetriesExceeded")
        return translated(error, address)

    def _address(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"


def _require_distinct(pairs: Mapping[str, Path] | Mapping[str, str], what: str) -> None:
    """
    Raises:
        ValueError: Two keys lead to the same place, and one of them would be lost.
    """
    seen: dict[object, str] = {}
    for key, place in pairs.items():
        if place in seen:
            raise ValueError(f"{seen[place]!r} and {key!r} would be the same {what}, {str(place)!r}: give each its own")
        seen[place] = key
