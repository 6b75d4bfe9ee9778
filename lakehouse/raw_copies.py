"""Copies of rows outside the tables: versions of raw files, and what the ingest staged of them.

A version of a raw file is searched through bronze, which holds every record of every version that was loaded. Of a version that bronze does not hold,
its claim or the audit may say that it holds the same bytes as another, or no record at all; of any other nobody can tell what is in it.

Actions: s3:ListBucketVersions and s3:DeleteObjectVersion on both buckets; dynamodb:GetItem on the control table and the audit table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lakehouse.audit import AuditTrail
from lakehouse.claims import SAME_CONTENT, Claims
from lakehouse.erasures import FileErasure, own_folder, staging_of
from lakehouse.object_versions import ObjectVersion, delete_versions, versions_below

WITHOUT_RECORDS = frozenset({"empty_file", "header_only", "marker_file"})
"""Why a file was skipped that has nothing to search."""

Place = tuple[str, str]
"""`s3://` address and version of a raw file, as rows of bronze name them."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Versions of raw files that matter.

    Attributes:
        doomed: Those that hold rows with the key.
        unsearched: Those that nobody can look into.
    """

    doomed: tuple[FileErasure, ...] = ()
    unsearched: tuple[FileErasure, ...] = ()


class RawCopies:
    """Versions of the raw files of one dataset, and the staged copies of what its pipelines ingest."""

    def __init__(
        self, *, s3: Any, claims: Claims, audit: AuditTrail, raw_bucket: str, logs_bucket: str, dataset: str, ingests: Sequence[str]
    ) -> None:
        """
        Args:
            s3: boto3 S3 client.
            claims: Who dealt with which file version.
            audit: What became of files that were not loaded.
            raw_bucket: Bucket of raw files.
            logs_bucket: Bucket that copies are staged in.
            dataset: Contract id.
            ingests: Pipelines that ingest its files; none of them may be under way.
        """
        self._s3 = s3
        self._claims = claims
        self._audit = audit
        self._raw = raw_bucket
        self._logs = logs_bucket
        self._dataset = dataset
        self._ingests = tuple(ingests)

    def find(self, holding: Iterable[FileErasure], *, loaded: Collection[Place]) -> Found:
        """Versions in raw that hold rows of the key, and those that nobody can look into.

        Args:
            holding: Versions that hold rows of the key, by bronze.
            loaded: Every version that bronze holds.
        """
        by_place = {(file.uri, file.version): file for file in holding}
        doomed: list[FileErasure] = []
        unsearched: list[FileErasure] = []
        for place in self._versions():
            if place in by_place:
                doomed.append(replace(by_place[place], note="holds rows with the key"))
            elif place not in loaded:
                verdict = self._judge(place, by_place, loaded)
                if verdict is not None:
                    (doomed if verdict.rows else unsearched).append(verdict)
        return Found(doomed=tuple(sorted(doomed, key=_order)), unsearched=tuple(sorted(unsearched, key=_order)))

    def delete(self, files: Iterable[FileErasure]) -> None:
        """Delete versions of raw files, and see that they are gone.

        Raises:
            RuntimeError: S3 said that it deleted one that is still there.
        """
        places = {(file.uri, file.version) for file in files}
        delete_versions(
            self._s3, bucket=self._raw, versions=(version for version in self._all_versions() if self._place(version) in places)
        )
        left = places & {self._place(version) for version in self._all_versions()}
        if left:
            raise RuntimeError(
                f"{len(left)} versions of raw files are still there after they were deleted: {', '.join(map(str, sorted(left)[:3]))}"
            )

    def staged(self) -> list[ObjectVersion]:
        """Versions of staged copies; a step deletes its own at its end, which leaves noncurrent versions."""
        return [
            version for pipeline in self._ingests for version in versions_below(self._s3, bucket=self._logs, prefix=staging_of(pipeline))
        ]

    def delete_staged(self) -> int:
        """Delete all of them; answers how many there were."""
        return delete_versions(self._s3, bucket=self._logs, versions=self.staged())

    def _judge(self, place: Place, holding: Mapping[Place, FileErasure], loaded: Collection[Place]) -> FileErasure | None:
        """What a version is that bronze does not hold; None if there is nothing in it that was not searched."""
        uri, version = place
        claim = self._claims.get(bucket=self._raw, key=uri.removeprefix(f"s3://{self._raw}/"), version_id=version)
        if claim is None:
            return FileErasure(uri=uri, version=version, note="no arrival has claimed it: it waits in the queue, or its event was lost")
        if claim.is_content and claim.reason == SAME_CONTENT:
            twin = self._claims.content(claim, dataset=self._dataset)
            same = ("", "") if twin is None else (twin.uri, twin.version_id)
            if same in holding:
                return replace(holding[same], uri=uri, version=version, note=f"holds the same bytes as {same[0]}")
            if same in loaded:
                return None
        reason = claim.reason
        if not reason:
            record = self._audit.get_file(pipeline=claim.pipeline, run_id=claim.run_id, source=uri, version=version)
            reason = f"not loaded by run {claim.run_id}" if record is None else record.reason
        if reason in WITHOUT_RECORDS:
            return None
        return FileErasure(uri=uri, version=version, note=reason)

    def _versions(self) -> list[Place]:
        return [self._place(version) for version in self._all_versions() if not version.is_marker and version.size]

    def _all_versions(self) -> Iterable[ObjectVersion]:
        return versions_below(self._s3, bucket=self._raw, prefix=own_folder(self._dataset))

    def _place(self, version: ObjectVersion) -> Place:
        return f"s3://{self._raw}/{version.key}", version.version_id


def _order(file: FileErasure) -> Place:
    return file.uri, file.version
