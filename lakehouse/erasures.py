"""Erasures: what is asked for, what was done, and where both are written down; the key itself stands in the request alone, which goes at the end.

Objects of the logs bucket, by the domain of the dataset:

- `erasures/requests/<domain>/<run id>.json`: what is asked for, the values of the key included. A job's arguments, the history of queries and
  CloudTrail keep what they are told for months; this object is deleted with all its versions by the job that has read it.
- `erasures/reports/<domain>/<run id>.json`: what was found and deleted, object by object, with a hash of the key.

In the audit an erasure is a run of the pipeline `erase/<dataset>`, and its batch the hash of the key.

Actions on the logs bucket: s3:PutObject, s3:GetObject, and to forget a request s3:ListBucketVersions and s3:DeleteObjectVersion.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from lakehouse.naming import Names
from lakehouse.object_versions import delete_versions, versions_below

FORMAT = "lakehouse.erasure/1"
"""Version of both documents; readers refuse any other."""

_MISSING = frozenset({"NoSuchKey", "AccessDenied", "403", "404"})

ABANDONED_DAYS = 2
"""Age of a request that no job will read any more: its job could not be started."""

TRIGGER = "manual"
"""What starts an erasure: a person."""

Outcome = Literal["PLANNED", "ERASED", "INCOMPLETE", "NOT_FOUND", "REFUSED"]
"""PLANNED: nothing was changed. ERASED: absence is verified. INCOMPLETE: what the tables hold is erased, something is left that the report names.
NOT_FOUND: no row has the key. REFUSED: nothing was changed, the message says why."""


@dataclass(frozen=True, kw_only=True)
class ErasureRequest:
    """What is asked for.

    Attributes:
        run_id: UUID of version 7.
        dataset: Contract id, `<domain>.<dataset>`.
        key: Values by key column, as text; all rows that have these values are meant.
        is_erasing: Whether to erase; False only looks.
        is_resumed: Whether an erasure of this key began before and did not end well: then no row may be left, and its past still has to go.
        requested_by: Who asks.
        ingests: Pipelines that ingest files of the dataset; copies of raw files lie in their staging folders.
    """

    run_id: str
    dataset: str
    key: Mapping[str, str]
    is_erasing: bool
    is_resumed: bool
    requested_by: str
    ingests: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        """Domain of the dataset."""
        return self.dataset.partition(".")[0]

    @property
    def key_sha256(self) -> str:
        """Hash of the key."""
        return key_digest(self.dataset, self.key)


@dataclass(frozen=True, kw_only=True)
class TableErasure:
    """What an erasure found in a table, and did.

    Attributes:
        table: `<zone>.<domain>.<dataset>`.
        rows: Rows with the key.
        others: Rows without it, which stay.
        unreadable: Rows of which nobody can tell the key: a record that could not be parsed, a key that cannot be read.
        files: Data files that hold rows with the key, as the table is now.
        snapshots: Snapshots besides the one that readers see: the table's past.
        versions: Object versions and delete markers below its folder that are of the past, which an erasure deletes.
        deleted: Those that were deleted, each `<key>?versionId=<version>`.
        young: Objects that no snapshot knows and that are too young to be nobody's.
    """

    table: str
    rows: int
    others: int
    unreadable: int
    files: int
    snapshots: int
    versions: int = 0
    deleted: tuple[str, ...] = ()
    young: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FileErasure:
    """A version of a raw file.

    Attributes:
        uri: `s3://bucket/key`.
        version: Version of the object.
        rows: Rows of it that have the key; 0 if it was not searched.
        others: Its other rows, which bronze holds.
        note: Why it is deleted or what keeps it from being searched.
    """

    uri: str
    version: str
    rows: int = 0
    others: int = 0
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ErasureReport:
    """What an erasure found and did.

    Attributes:
        run_id: Its run.
        dataset: Contract id.
        key_columns: Columns of the key that was given.
        key_sha256: Hash of the key.
        requested_by: Who asked.
        outcome: How it ended.
        message: Sentence for people, or "".
        tables: Table by table.
        files: Versions of raw files that hold rows with the key: deleted, or to be deleted.
        unsearched: Versions of raw files that no table holds, so that nobody can tell what is in them.
        staged: Versions of staged copies of raw files: deleted, or to be deleted.
        ended_at: UTC text.
    """

    run_id: str
    dataset: str
    key_columns: tuple[str, ...]
    key_sha256: str
    requested_by: str
    outcome: Outcome
    message: str = ""
    tables: tuple[TableErasure, ...] = ()
    files: tuple[FileErasure, ...] = ()
    unsearched: tuple[FileErasure, ...] = ()
    staged: int = 0
    ended_at: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """What the audit counts."""
        return {
            **{f"rows_{table.table.partition('.')[0]}": table.rows for table in self.tables},
            "raw_versions": len(self.files),
            "object_versions": sum(len(table.deleted) for table in self.tables) + self.staged,
            "unsearched": len(self.unsearched),
            "young": sum(len(table.young) for table in self.tables),
        }


class ErasureStore:
    """Requests and reports in the logs bucket."""

    def __init__(self, *, client: Any, bucket: str) -> None:
        """
        Args:
            client: boto3 S3 client.
            bucket: Logs bucket.
        """
        self._client = client
        self._bucket = bucket

    def ask(self, request: ErasureRequest) -> str:
        """Write a request; answers its key."""
        key = f"{requests_of(request.domain)}{request.run_id}.json"
        self._write(key, asdict(request))
        return key

    def asked(self, key: str) -> ErasureRequest:
        """Read a request.

        Raises:
            ValueError: The document has another format.
        """
        document = self._read(key)
        fields: dict[str, Any] = {**document, "ingests": tuple(document["ingests"])}
        return ErasureRequest(**fields)

    def forget(self, key: str, *, now: datetime) -> None:
        """Delete a request with all its versions, and those beside it that no job ever read.

        Args:
            key: The request.
            now: The present moment.
        """
        abandoned = now - timedelta(days=ABANDONED_DAYS)
        beside = versions_below(self._client, bucket=self._bucket, prefix=f"{key.rpartition('/')[0]}/")
        versions = (version for version in beside if version.key == key or version.modified_at < abandoned)
        delete_versions(self._client, bucket=self._bucket, versions=versions)

    def report(self, report: ErasureReport) -> str:
        """Write a report; answers its address."""
        key = report_key(report.dataset, report.run_id)
        self._write(key, asdict(report))
        return f"s3://{self._bucket}/{key}"

    def reported(self, dataset: str, run_id: str) -> ErasureReport | None:
        """Read a report; None if there is none: S3 says so, or denies it, to whoever may not list the bucket.

        Raises:
            ValueError: The document has another format.
        """
        try:
            document = self._read(report_key(dataset, run_id))
        except self._client.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") in _MISSING:
                return None
            raise
        tables: list[dict[str, Any]] = [
            {**table, "deleted": tuple(table["deleted"]), "young": tuple(table["young"])} for table in document["tables"]
        ]
        fields: dict[str, Any] = {
            **document,
            "key_columns": tuple(document["key_columns"]),
            "tables": tuple(TableErasure(**table) for table in tables),
            "files": tuple(FileErasure(**file) for file in document["files"]),
            "unsearched": tuple(FileErasure(**file) for file in document["unsearched"]),
        }
        return ErasureReport(**fields)

    def _write(self, key: str, document: Mapping[str, Any]) -> None:
        body = json.dumps({"format": FORMAT, **document}, sort_keys=True, ensure_ascii=False).encode()
        self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")

    def _read(self, key: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())
        if document.pop("format", None) != FORMAT:
            raise ValueError(f"s3://{self._bucket}/{key} is no document of format {FORMAT}: deploy jobs and command line together")
        return document


def pipeline_of(dataset: str) -> str:
    """What stands for the pipeline of the erasures of a dataset, in the audit and in leases."""
    return f"erase/{dataset}"


def requests_of(domain: str) -> str:
    """Folder of the requests of a domain."""
    return f"erasures/requests/{domain}/"


def reports_of(domain: str) -> str:
    """Folder of the reports of a domain."""
    return f"erasures/reports/{domain}/"


def report_key(dataset: str, run_id: str) -> str:
    """Key of a report."""
    return f"{reports_of(dataset.partition('.')[0])}{run_id}.json"


def staging_of(pipeline: str) -> str:
    """Folder of the copies of raw files that a pipeline reads."""
    return f"staging/{pipeline}/"


def key_digest(dataset: str, key: Mapping[str, str]) -> str:
    """Hash of a key: the same dataset, columns and values have the same, in whatever order they are given."""
    return hashlib.sha256(json.dumps([dataset, sorted(key.items())], ensure_ascii=False).encode()).hexdigest()


def own_folder(contract_id: str) -> str:
    """Folder of a dataset in raw and in the zones of tables."""
    return Names.raw_prefix(contract_id)


def summary(report: ErasureReport, *, tables: Sequence[TableErasure]) -> str:
    """One sentence for the audit."""
    rows = ", ".join(f"{table.rows} of {table.table.partition('.')[0]}" for table in tables)
    return f"{report.outcome}: {rows}; {len(report.files)} versions of raw files; asked for by {report.requested_by}"
