"""Claims of arrivals: each version of a file, success of an upstream run or time of a schedule starts one run and no more, however often it is told.

Items of the control table (partition `pk`, sort `sk`):

- `claim#<bucket>/<key>` / `<version id>`: who deals with a file version. CLAIMED while a batch is put together (until `claimed_until`,
  then it is free again), STARTED once its run was started, SKIPPED with a reason if it starts nothing.
- `claim#after/<pipeline>` / `<execution ARN>`: the same for the end of an upstream run that published (`lakehouse.held_ends` has those that wait).
- `claim#schedule/<pipeline>` / `<moment>`: the same for a time of the pipeline's schedule.
- `content#<domain>.<dataset>` / `<read as>:<digest>`: which file version holds these bytes, read in this way, so that the same bytes again
  are recognised. The same bytes read as another format are other rows.
- `launch#<pipeline>` / `<run id>`: a batch that is complete and has its manifest. From here on the run *will* start: whoever is told
  again of one of its arrivals, even after a crash, starts the very same execution.

The status of a claim's run is read from the audit. A claim whose run FAILED or TIMED_OUT may be taken again, as the next attempt; of a
run that failed with `files_rejected` only the rejected files may. A run that stands RUNNING though it must be over counts as failed.

Actions on the control table: dynamodb:GetItem, PutItem, UpdateItem, Query. On the audit table: dynamodb:GetItem.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Literal

from lakehouse.audit import TTL_DAYS, AuditTrail
from lakehouse.audit_records import FILES_REJECTED, UNSUCCESSFUL
from lakehouse.clock import Clock, from_text, to_text, utc_now
from lakehouse.manifests import ManifestFile
from lakehouse.run_ids import first_run_id, moment_of
from lakehouse.state_table import Item, StateTable

ClaimStatus = Literal["CLAIMED", "STARTED", "SKIPPED"]

SAME_CONTENT = "same_content"
"""Reason of a file that holds bytes which have arrived already."""

AFTER = "after"
"""Stands for the bucket in claims of upstream successes."""

SCHEDULE = "schedule"
"""Stands for the bucket in claims of scheduled times."""

TAG = "etag:"
"""Begins the identity of bytes that were not read: S3's entity tag follows, and the size."""

_GZIP = ".gz"

LOST_MINUTES = 15
"""A run that is not in the audit so long after it was decided upon never began: beginning is the first thing that it does."""


class Standing(Enum):
    """What a claim means for somebody who is told of the arrival again."""

    TAKEN_CARE_OF = "its run goes on or has done its work"
    COMMITTED = "its run was decided upon, but perhaps not started: start that same run"
    IN_HAND = "somebody is putting its batch together"
    FREE = "its run failed, never began, or nobody knows how it ended: it may be taken again"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Who deals with an arrival.

    Attributes:
        bucket: Bucket, or `after`, or `schedule`.
        key: Key of the file, or the pipeline that the upstream success or the clock starts.
        version_id: Version of the object, the ARN of the upstream execution, or the scheduled moment.
        run_id: Run that deals with it.
        pipeline: Pipeline of that run.
        attempt: Number of times that the arrival was taken.
        status: CLAIMED, STARTED or SKIPPED.
        sequence: Orders the versions of a file.
        read_as: Format and compression that its name stands for, such as `csv` or `csv.gz`.
        size: Bytes.
        digest: Identity of the bytes, or None if they were not read; `sha256` in the table.
        reason: Why it was skipped, or "".
        message: Why it was skipped, for people, or "".
        batch_id: Batch that it went into, or None.
        claimed_until: When a CLAIMED one is free again.
    """

    bucket: str
    key: str
    version_id: str
    run_id: str
    pipeline: str
    sequence: str
    attempt: int = 1
    status: ClaimStatus = "CLAIMED"
    read_as: str = ""
    size: int = 0
    digest: str | None = None
    reason: str = ""
    message: str = ""
    batch_id: str | None = None
    claimed_until: str = ""

    @property
    def place(self) -> dict[str, str]:
        """Key of its item."""
        return _place(self.bucket, self.key, self.version_id)

    @property
    def uri(self) -> str:
        """`s3://bucket/key`, as in `_source_file`."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def is_content(self) -> bool:
        """Whether its bytes count when others are judged: it was loaded, or held the same bytes as what was."""
        return self.digest is not None and (self.status != "SKIPPED" or self.reason == SAME_CONTENT)

    def manifest_file(self) -> ManifestFile:
        """The file version as manifests name it.

        Raises:
            ValueError: It is of no format, so no job reads it.
        """
        if not self.read_as:
            raise ValueError(f"{self.uri} is of no format that a job reads: leave it out of manifests")
        known: Any = self.read_as.removesuffix(_GZIP)
        return ManifestFile(
            bucket=self.bucket,
            key=self.key,
            version_id=self.version_id,
            size=self.size,
            sha256=None if self.digest is None or self.digest.startswith(TAG) else self.digest,
            sequence=self.sequence,
            format=known,
            compression="gzip" if self.read_as.endswith(_GZIP) else None,
        )


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A run that was decided upon: all that its execution is started with.

    Attributes:
        run_id: Run.
        pipeline: Pipeline.
        attempt: Largest attempt of its arrivals.
        trigger: arrival, after or schedule.
        manifest: `s3://` address, or None.
        batch_id: Identity of the batch.
        files: Number of files in the manifest.
        decided_at: UTC text.
    """

    run_id: str
    pipeline: str
    attempt: int
    trigger: str
    manifest: str | None
    batch_id: str
    files: int
    decided_at: str


class Claims:
    """The control table as far as arrivals go; every change is conditional on what was seen before it."""

    def __init__(self, *, client: Any, table: str, audit: AuditTrail, audit_ttl_days: int = TTL_DAYS, clock: Clock = utc_now) -> None:
        """
        Args:
            client: boto3 DynamoDB client.
            table: Name of the control table.
            audit: Knows how runs ended.
            audit_ttl_days: Days for which the audit keeps runs.
            clock: Gives the present moment.
        """
        self._table = StateTable(client=client, name=table)
        self._audit = audit
        self._audit_ttl = timedelta(days=audit_ttl_days)
        self._clock = clock

    def get(self, *, bucket: str, key: str, version_id: str) -> Claim | None:
        """The claim of an arrival, or None."""
        item = self._table.get(_place(bucket, key, version_id))
        return None if item is None else _claim(item)

    def versions(self, *, bucket: str, key: str) -> list[Claim]:
        """Claims of all versions of a file, the oldest first."""
        claims = [_claim(item) for item in self._table.query("#pk = :pk", {"pk": _place(bucket, key, "")["pk"]})]
        return sorted(claims, key=lambda claim: claim.sequence)

    def write(self, claim: Claim, *, over: Claim | None) -> bool:
        """Write a claim in place of the one that was seen; False if somebody else came first.

        Args:
            claim: What to write.
            over: What was seen; None = nothing.
        """
        if over is None:
            return self._table.put(_item(claim), condition="attribute_not_exists(#sk)")
        return self._table.put(
            _item(claim),
            condition="#run_id = :run_id AND #status = :status AND #attempt = :attempt",
            values={"run_id": over.run_id, "status": over.status, "attempt": over.attempt},
        )

    def mark_started(self, claim: Claim, *, batch_id: str) -> None:
        """Note that the run of a claim was started; no matter if it was noted, or if the claim has gone to another run."""
        self._table.update(
            claim.place,
            changes={"status": "STARTED", "batch_id": batch_id},
            condition="#run_id = :run_id AND #status = :claimed",
            values={"run_id": claim.run_id, "claimed": "CLAIMED"},
        )

    def standing(self, claim: Claim) -> Standing:
        """What a claim means for somebody who is told of its arrival again."""
        if claim.status == "SKIPPED":
            return Standing.TAKEN_CARE_OF
        run = self._audit.get_run(claim.run_id, pipeline=claim.pipeline)
        if run is not None:
            if run.is_lost(self._clock()):
                return Standing.FREE
            if run.status not in UNSUCCESSFUL or (run.reason == FILES_REJECTED and not self._is_rejected(claim)):
                return Standing.TAKEN_CARE_OF
            return Standing.FREE
        if claim.status == "STARTED":
            return Standing.FREE if self._is_lost(moment_of(claim.run_id)) else Standing.TAKEN_CARE_OF
        launch = self.launch(pipeline=claim.pipeline, run_id=claim.run_id)
        if launch is not None:
            return Standing.FREE if self._is_lost(from_text(launch.decided_at)) else Standing.COMMITTED
        return Standing.IN_HAND if claim.claimed_until > to_text(self._clock()) else Standing.FREE

    def content(self, claim: Claim, *, dataset: str) -> Claim | None:
        """Claim of the file version that holds the bytes of a claim, read in the same way; None if no such bytes have arrived.

        Args:
            claim: Claim whose digest is known.
            dataset: Contract id.
        """
        pointer = self._table.get(_content_place(claim, dataset))
        if pointer is None:
            return None
        found = self.get(bucket=pointer["bucket"], key=pointer["key"], version_id=pointer["version_id"])
        # The claim is written before the pointer; one that is gone was deleted by hand, and its bytes with it.
        return found or replace(_claim(pointer), read_as=claim.read_as, digest=claim.digest)

    def point(self, claim: Claim, *, dataset: str, over: Claim | None) -> bool:
        """Make a file version the one that holds its bytes; False if somebody else came first.

        Args:
            claim: Claim of the version.
            dataset: Contract id.
            over: What `content` gave.
        """
        item = {
            **_content_place(claim, dataset),
            "bucket": claim.bucket,
            "key": claim.key,
            "version_id": claim.version_id,
            "run_id": claim.run_id,
            "pipeline": claim.pipeline,
            "sequence": claim.sequence,
        }
        if over is None:
            return self._table.put(item, condition="attribute_not_exists(#sk)")
        return self._table.put(
            item,
            condition="#bucket = :bucket AND #key = :key AND #version_id = :version_id",
            values={"bucket": over.bucket, "key": over.key, "version_id": over.version_id},
        )

    def decide(self, launch: Launch) -> None:
        """Write down that a run will start; the same again changes nothing."""
        self._table.put({**_launch_place(launch.pipeline, launch.run_id), **asdict(launch)}, condition="attribute_not_exists(#sk)")

    def launch(self, *, pipeline: str, run_id: str) -> Launch | None:
        """The decision to start a run, or None if there is none."""
        item = self._table.get(_launch_place(pipeline, run_id))
        return None if item is None else _launch(item)

    def newest_launch(self, *, pipeline: str) -> Launch | None:
        """The newest decision to start a run of a pipeline, or None."""
        found = self._table.query("#pk = :pk", {"pk": _launch_place(pipeline, "")["pk"]}, newest_first=True, page_size=1)
        return next((_launch(item) for item in found), None)

    def launches(self, *, pipeline: str, since: datetime) -> list[Launch]:
        """Decisions to start runs of a pipeline whose batches were begun at or after a moment, the newest first."""
        values = {"pk": _launch_place(pipeline, "")["pk"], "first": first_run_id(since)}
        return [_launch(item) for item in self._table.query("#pk = :pk AND #sk >= :first", values, newest_first=True)]

    def is_lost(self, launch: Launch) -> bool:
        """Whether a run that the audit does not know was decided upon so long ago that it never began."""
        return self._is_lost(from_text(launch.decided_at))

    def _is_rejected(self, claim: Claim) -> bool:
        outcome = self._audit.get_file(pipeline=claim.pipeline, run_id=claim.run_id, source=claim.uri, version=claim.version_id)
        return outcome is not None and outcome.outcome == "rejected"

    def _is_lost(self, decided: datetime) -> bool:
        # A run that is older than the audit's memory is absent because it was forgotten, not because it never began. It began after it
        # was decided upon, and DynamoDB deletes nothing before its time: the margin is for clocks that differ.
        margin = timedelta(minutes=LOST_MINUTES)
        return margin < self._clock() - decided < self._audit_ttl - margin


_LAUNCH_FIELDS = tuple(entry.name for entry in fields(Launch))
_CLAIM_FIELDS = tuple(entry.name for entry in fields(Claim))


def _place(bucket: str, key: str, version_id: str) -> dict[str, str]:
    return {"pk": f"claim#{bucket}/{key}", "sk": version_id}


def _content_place(claim: Claim, dataset: str) -> dict[str, str]:
    assert claim.digest is not None
    return {"pk": f"content#{dataset}", "sk": f"{claim.read_as}:{claim.digest}"}


def _launch_place(pipeline: str, run_id: str) -> dict[str, str]:
    return {"pk": f"launch#{pipeline}", "sk": run_id}


def _launch(item: Item) -> Launch:
    held: dict[str, Any] = {"manifest": None, **{name: item[name] for name in _LAUNCH_FIELDS if name in item}}
    return Launch(**held)


def _item(claim: Claim) -> Item:
    item = {**claim.place, **asdict(claim)}
    item["sha256"] = item.pop("digest")
    return item


def _claim(item: Item) -> Claim:
    return Claim(digest=item.get("sha256"), **{name: item[name] for name in _CLAIM_FIELDS if name in item})
