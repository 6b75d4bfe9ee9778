"""Exact versions of raw files, laid out where Spark can read them: `<folder>/<index>.<format>[.gz]`.

Spark reads S3 by key, and a key may show a newer version by the time it is read. So each version of a manifest is first copied, inside S3 and by its
version id, to a folder that no one else writes; what Spark reads is then exactly what the manifest names. The folder is deleted at the end of the
step, and expires by the logs bucket's lifecycle if the driver is killed.

Actions: s3:GetObjectVersion on raw `<domain>/<dataset>/*`; s3:PutObject, s3:GetObject, s3:DeleteObject and s3:ListBucket on logs `staging/*`;
kms:Decrypt and kms:GenerateDataKey on both keys.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lakehouse.errors import RunFailed
from lakehouse.manifests import ManifestFile

ONE_CALL_BYTES = 5 * 1024**3
"""Largest object that one CopyObject copies; larger ones are copied in parts."""

_COPIES_AT_ONCE = 16
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed"})
_DENIED = frozenset({"AccessDenied", "403", "AllAccessDisabled"})
_ARCHIVED = "InvalidObjectState"


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Why a file is not loaded.

    Attributes:
        reason: Code of docs/cli.md.
        message: Sentence for people.
        outcome: `rejected`, or `skipped` if there is nothing to load.
    """

    reason: str
    message: str
    outcome: str = "rejected"


@dataclass(frozen=True, kw_only=True)
class StagedFile:
    """A file version where Spark can read it.

    Attributes:
        file: The file as the manifest names it.
        index: Its number in the manifest, which is also its staged name.
        path: Where Spark reads it.
    """

    file: ManifestFile
    index: int
    path: str


@dataclass(frozen=True, kw_only=True)
class Staged:
    """What became of the files of a manifest.

    Attributes:
        files: Those that can be read.
        rejected: Why the others cannot, by file.
    """

    files: tuple[StagedFile, ...] = ()
    rejected: Mapping[ManifestFile, Rejection] = field(default_factory=dict[ManifestFile, Rejection])


class Staging(Protocol):
    """A place where exact versions of raw files are laid out for Spark."""

    def stage(self, files: Iterable[ManifestFile]) -> Staged:
        """Lay out files; a file that is gone or archived is told of, the others go on."""
        ...

    def clear(self) -> None:
        """Take away what was laid out."""
        ...


class S3Staging:
    """Copies in S3, by version id."""

    def __init__(self, *, client: Any, bucket: str, prefix: str) -> None:
        """
        Args:
            client: boto3 S3 client.
            bucket: Bucket of the copies.
            prefix: Folder of this attempt alone, such as `staging/<run id>/1/`.
        """
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._keys: list[str] = []

    def stage(self, files: Iterable[ManifestFile]) -> Staged:
        """Copy each version; see `Staging.stage`.

        Raises:
            RunFailed: `access_denied`.
        """
        numbered = list(enumerate(files))
        with ThreadPoolExecutor(max_workers=_COPIES_AT_ONCE) as pool:
            outcomes = list(pool.map(lambda entry: self._copy(*entry), numbered))
        staged = tuple(outcome for outcome in outcomes if isinstance(outcome, StagedFile))
        rejected = {file: outcome for (_, file), outcome in zip(numbered, outcomes, strict=True) if isinstance(outcome, Rejection)}
        return Staged(files=staged, rejected=rejected)

    def clear(self) -> None:
        """Delete the copies."""
        for start in range(0, len(self._keys), 1000):
            keys = [{"Key": key} for key in self._keys[start : start + 1000]]
            self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True})
        self._keys.clear()

    def _copy(self, index: int, file: ManifestFile) -> StagedFile | Rejection:
        key = self._prefix + staged_name(index, file)
        source = {"Bucket": file.bucket, "Key": file.key, "VersionId": file.version_id}
        # Tags and metadata stay behind: to copy them would take further permissions.
        plain = {"TaggingDirective": "REPLACE", "MetadataDirective": "REPLACE"}
        try:
            if file.size <= ONE_CALL_BYTES:
                self._client.copy_object(Bucket=self._bucket, Key=key, CopySource=source, **plain)
            else:
                self._client.copy(source, self._bucket, key, ExtraArgs=plain)
        except self._client.exceptions.ClientError as error:
            return _rejection(error, file)
        self._keys.append(key)
        return StagedFile(file=file, index=index, path=f"s3://{self._bucket}/{key}")


class LocalStaging:
    """Links in a local folder, for tests and benchmarks: version `v` of `bucket/key` is the file `<root>/<bucket>/<key>@v`, or without `@v`."""

    def __init__(self, *, root: Path, folder: Path) -> None:
        """
        Args:
            root: Folder that stands for S3.
            folder: Folder of the links.
        """
        self._root = root
        self._folder = folder

    def stage(self, files: Iterable[ManifestFile]) -> Staged:
        """Link each version; see `Staging.stage`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        staged: list[StagedFile] = []
        rejected: dict[ManifestFile, Rejection] = {}
        for index, file in enumerate(files):
            plain = self._root / file.bucket / file.key
            versioned = plain.with_name(f"{plain.name}@{file.version_id}")
            source = versioned if versioned.exists() else plain
            if not source.exists():
                rejected[file] = _gone(file)
                continue
            path = self._folder / staged_name(index, file)
            path.unlink(missing_ok=True)
            os.link(source, path)
            staged.append(StagedFile(file=file, index=index, path=path.as_uri()))
        return Staged(files=tuple(staged), rejected=rejected)

    def clear(self) -> None:
        """Remove the links."""
        shutil.rmtree(self._folder, ignore_errors=True)


def staged_name(index: int, file: ManifestFile) -> str:
    """Name of a staged file; its end tells Spark the compression, whatever the file was called."""
    return f"{index:05d}.{file.format}{'.gz' if file.compression == 'gzip' else ''}"


def _rejection(error: Any, file: ManifestFile) -> Rejection:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _GONE:
        return _gone(file)
    if code == _ARCHIVED:
        return Rejection(
            reason="archived_object",
            message=f"{file.uri} (version {file.version_id}) is archived: restore it (`aws s3api restore-object`), then run it again",
        )
    if code in _DENIED:
        raise RunFailed("access_denied", f"the job's role may not copy {file.uri} (version {file.version_id}): {error}") from error
    raise error


def _gone(file: ManifestFile) -> Rejection:
    return Rejection(
        reason="object_gone",
        message=f"{file.uri} has no version {file.version_id} any more: it was deleted after it arrived; deliver it again",
    )
