"""Manifests: which versions of which files one run loads, as a document that the same files always give byte for byte.

Actions on `<logs bucket>/manifests/<domain>/<dataset>/*` and the bucket's key: s3:PutObject, kms:GenerateDataKey (write);
s3:GetObject, kms:Decrypt (read).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lakehouse.clock import from_text
from lakehouse.naming import Names

VERSION = 1
"""Version of the document; readers refuse any other."""

SEQUENCER_LENGTH = 32
"""Length to which sequencers are padded."""

EXECUTION_HASH_LENGTH = 40
"""Characters of the batch id in the name of an execution, which may have 80."""

Format = Literal["csv", "json", "parquet"]
Compression = Literal["gzip"]


@dataclass(frozen=True, kw_only=True)
class ManifestFile:
    """One version of one file.

    Attributes:
        bucket: Bucket.
        key: Key, decoded.
        version_id: Version of the object.
        size: Bytes.
        sha256: Hex digest of its bytes; None if they could not be read or are too many to digest.
        sequence: Orders versions by time, as text: see `sequence_of`.
        format: How it is read.
        compression: gzip or None.
    """

    bucket: str
    key: str
    version_id: str
    size: int
    sha256: str | None
    sequence: str
    format: Format
    compression: Compression | None

    @property
    def uri(self) -> str:
        """`s3://bucket/key`, as in `_source_file`."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The files of one batch, sorted by bucket, key and version.

    Attributes:
        batch_id: Identity of the batch: what files, in what versions.
        dataset: Contract id, `<domain>.<dataset>`.
        pipeline: Pipeline that loads them.
        files: The files.
        version: Version of the document.
    """

    batch_id: str
    dataset: str
    pipeline: str
    files: tuple[ManifestFile, ...]
    version: int = VERSION

    @classmethod
    def of(cls, *, dataset: str, pipeline: str, files: Iterable[ManifestFile]) -> Manifest:
        """The manifest of some files, each version once."""
        distinct = {(file.bucket, file.key, file.version_id): file for file in files}
        ordered = tuple(distinct[place] for place in sorted(distinct))
        batch_id = batch_id_of(f"{file.bucket}/{file.key}/{file.version_id}" for file in ordered)
        return cls(batch_id=batch_id, dataset=dataset, pipeline=pipeline, files=ordered)

    @property
    def key(self) -> str:
        """Where it is kept in the logs bucket."""
        return f"manifests/{Names.raw_prefix(self.dataset)}{self.batch_id}.json"

    def to_json(self) -> str:
        """The document."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read the document.

        Raises:
            ValueError: It has another version.
        """
        document = json.loads(text)
        if document.get("version") != VERSION:
            raise ValueError(
                f"this reads manifests of version {VERSION}, got {document.get('version')!r}: deploy functions and jobs together"
            )
        read: dict[str, Any] = {**document, "files": tuple(ManifestFile(**file) for file in document["files"])}
        return cls(**read)


class ManifestStore:
    """Manifests in the logs bucket."""

    def __init__(self, *, client: Any, bucket: str) -> None:
        """
        Args:
            client: boto3 S3 client.
            bucket: Logs bucket.
        """
        self._client = client
        self._bucket = bucket

    def write(self, manifest: Manifest) -> str:
        """Keep a manifest; the same again changes nothing.

        Returns:
            Its `s3://` address.
        """
        body = manifest.to_json().encode()
        self._client.put_object(Bucket=self._bucket, Key=manifest.key, Body=body, ContentType="application/json")
        return f"s3://{self._bucket}/{manifest.key}"


def read_manifest(client: Any, uri: str) -> Manifest:
    """Read the manifest at an `s3://` address.

    Args:
        client: boto3 S3 client.
        uri: What `ManifestStore.write` gave.

    Raises:
        ValueError: The address is not of S3, or the document has another version.
    """
    bucket, separator, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not separator:
        raise ValueError(f"{uri!r} is no address of a manifest: write s3://<bucket>/<key>")
    return Manifest.from_json(client.get_object(Bucket=bucket, Key=key)["Body"].read())


def batch_id_of(lines: Iterable[str]) -> str:
    """Identity of a batch: the SHA-256 of its sorted lines."""
    return hashlib.sha256("\n".join(sorted(set(lines))).encode()).hexdigest()


def execution_name(*, batch_id: str, attempt: int) -> str:
    """Name of the execution that a batch gets: the same batch and attempt never run twice."""
    return f"{batch_id[:EXECUTION_HASH_LENGTH]}-{attempt}"


def sequence_of(*, time: str, sequencer: str) -> str:
    """Order of a file version: of two texts the larger is the later version.

    Args:
        time: Event time, ISO 8601 with a zone; kept in UTC to the second, so that all compare.
        sequencer: S3's sequencer. S3 asks to pad the shorter one with zeros on the right before two are compared.
    """
    return f"{from_text(time):%Y-%m-%dT%H:%M:%SZ}#{sequencer.upper().ljust(SEQUENCER_LENGTH, '0')}"
