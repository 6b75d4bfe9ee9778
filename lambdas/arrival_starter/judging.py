"""Judges arrivals: takes the claim of each, leaves aside what was there before, and says what is to be loaded.

Two functions may judge the same file, or two versions of one file, at the same moment. Each writes its own claim before it looks at the
others, so that at least one of two sees the other.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from lakehouse.audit import AuditTrail
from lakehouse.claims import SAME_CONTENT, Claim, Claims, Launch, Standing
from lakehouse.clock import Clock, to_text, utc_now
from lakehouse.errors import TransientError
from lakehouse.manifests import Compression, Format, Manifest, ManifestStore, batch_id_of
from lakehouse.naming import Names
from lakehouse.run_ids import new_run_id
from lambdas.arrival_starter.arrival import Arrival, FileArrival, ScheduledTime, Skip, format_of, skip_of
from lambdas.arrival_starter.content import content_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The batch that is being put together.

    Attributes:
        run_id: Run that it will be.
        pipeline: Pipeline.
        until: UTC text; claims taken for it are free again after this moment.
        read_until: Files are read until this moment; what is larger is told apart without.
    """

    run_id: str
    pipeline: str
    until: str
    read_until: datetime


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What follows from an arrival.

    Attributes:
        taken: Claims that the batch now holds: that of the arrival, and of later versions that it makes relevant again.
        resumed: A run that was decided upon and has to be started, with the arrival's claim on it; or None.
    """

    taken: tuple[Claim, ...] = ()
    resumed: tuple[Launch, Claim] | None = None


NOTHING = Verdict()


class Judge(ABC):
    """Judges arrivals of one kind for one pipeline."""

    def __init__(self, *, claims: Claims, audit: AuditTrail, clock: Clock) -> None:
        """
        Args:
            claims: The control table.
            audit: Where skipped files are noted.
            clock: Gives the present moment.
        """
        self._claims = claims
        self._audit = audit
        self._clock = clock

    @abstractmethod
    def read(self, event: Mapping[str, Any]) -> Arrival:
        """The arrival that an event tells of.

        Raises:
            RefusedEventError: The event is not meant for this function.
        """

    def due(self, arrivals: Mapping[Arrival, list[str]], batch: Batch) -> Mapping[Arrival, list[str]]:  # noqa: ARG002 - for those who wait
        """Arrivals that are judged now, each with the ids of the messages that answer for it; all of them, unless a judge lets some wait."""
        return arrivals

    def close(self, batch: Batch, settled: Collection[Arrival]) -> None:  # noqa: B027 - most judges keep nothing
        """Told at the end of a batch what became of the arrivals that were due.

        Args:
            batch: The batch.
            settled: Arrivals that need not be judged again.
        """

    @abstractmethod
    def judge(self, arrival: Any, batch: Batch) -> Verdict:
        """Take the claim of an arrival that `read` gave, unless nothing follows from it.

        Raises:
            TransientError: Somebody else is putting its batch together.
            TerminalError: It may not be read.
        """

    @abstractmethod
    def launch(self, batch: Batch, claims: Sequence[Claim]) -> Launch:
        """The run that the claims of a batch ask for, with everything written that it will read."""

    def _take(self, wanted: Claim) -> Verdict:
        """Take a claim, unless it is taken care of.

        Raises:
            TransientError: Somebody else is putting its batch together.
        """
        while True:
            seen = self._claims.get(bucket=wanted.bucket, key=wanted.key, version_id=wanted.version_id)
            if seen is None:
                if self._claims.write(wanted, over=None):
                    return Verdict(taken=(wanted,))
                continue
            if seen.status == "SKIPPED":
                self._note(seen)
                return NOTHING
            if seen.run_id == wanted.run_id and seen.status == "CLAIMED":
                return Verdict(taken=(seen,))
            match self._claims.standing(seen):
                case Standing.TAKEN_CARE_OF:
                    log.info("told again of what is taken care of", extra={"source": seen.uri, "run_id": seen.run_id})
                    return NOTHING
                case Standing.COMMITTED:
                    launch = self._claims.launch(pipeline=seen.pipeline, run_id=seen.run_id)
                    if launch is not None:
                        return Verdict(resumed=(launch, seen))
                case Standing.IN_HAND:
                    raise TransientError(
                        f"{seen.uri}, version {seen.version_id}, is in the hands of run {seen.run_id} until {seen.claimed_until}: trying again later"
                    )
                case Standing.FREE:
                    # A version never changes: what was found out about its bytes still holds.
                    again = replace(wanted, attempt=seen.attempt + 1, size=seen.size, digest=seen.digest)
                    if self._claims.write(again, over=seen):
                        return Verdict(taken=(again,))

    def _note(self, claim: Claim) -> None:
        """Note a skipped file in the audit; doing so again changes nothing."""
        self._audit.skip_run(
            pipeline=claim.pipeline,
            run_id=claim.run_id,
            reason=claim.reason,
            message=claim.message,
            source=claim.key,
            source_version=claim.version_id,
        )


class EventJudge(Judge):
    """Judges arrivals that bring no files: all of a batch start one run, which has no manifest."""

    trigger: ClassVar[str]
    """Word for it in runs."""

    def judge(self, arrival: Arrival, batch: Batch) -> Verdict:
        """Take the claim of what happened."""
        return self._take(self._wanted(arrival, batch))

    def launch(self, batch: Batch, claims: Sequence[Claim]) -> Launch:
        """One run for all of them."""
        return Launch(
            run_id=batch.run_id,
            pipeline=batch.pipeline,
            attempt=max(claim.attempt for claim in claims),
            trigger=self.trigger,
            manifest=None,
            batch_id=batch_id_of(claim.version_id for claim in claims),
            files=0,
            decided_at=to_text(self._clock()),
        )

    def _wanted(self, arrival: Arrival, batch: Batch) -> Claim:
        bucket, key, version_id = arrival.place
        return Claim(
            bucket=bucket,
            key=key,
            version_id=version_id,
            run_id=batch.run_id,
            pipeline=batch.pipeline,
            sequence=arrival.order,
            claimed_until=batch.until,
        )


class ScheduleJudge(EventJudge):
    """Judges times of a pipeline's schedule: each starts a run, and those that were held up together start one."""

    trigger = "schedule"

    def __init__(self, *, claims: Claims, audit: AuditTrail, pipeline: str, clock: Clock = utc_now) -> None:
        """
        Args:
            claims: The control table.
            audit: The audit.
            pipeline: Pipeline that is started.
            clock: Gives the present moment.
        """
        super().__init__(claims=claims, audit=audit, clock=clock)
        self._pipeline = pipeline

    def read(self, event: Mapping[str, Any]) -> ScheduledTime:
        """The time that a message of the schedule tells of."""
        return ScheduledTime.from_event(event, pipeline=self._pipeline)


class FileJudge(Judge):
    """Judges files of one dataset: what is new in a batch goes into one manifest."""

    def __init__(
        self,
        *,
        claims: Claims,
        audit: AuditTrail,
        s3: Any,
        manifests: ManifestStore,
        bucket: str,
        dataset: str,
        formats: Collection[str],
        clock: Clock = utc_now,
    ) -> None:
        """
        Args:
            claims: The control table.
            audit: Where skipped files are noted.
            s3: boto3 S3 client.
            manifests: Where manifests are kept.
            bucket: Raw bucket.
            dataset: Contract id, `<domain>.<dataset>`.
            formats: Formats that its contract accepts.
            clock: Gives the present moment.
        """
        super().__init__(claims=claims, audit=audit, clock=clock)
        self._s3 = s3
        self._manifests = manifests
        self._bucket = bucket
        self._dataset = dataset
        self._prefix = Names.raw_prefix(dataset)
        self._formats = formats

    def read(self, event: Mapping[str, Any]) -> FileArrival:
        """The file version that an event of S3 tells of."""
        return FileArrival.from_event(event, bucket=self._bucket, prefix=self._prefix)

    def judge(self, arrival: FileArrival, batch: Batch) -> Verdict:
        """Take the claim of a file version, unless it is taken care of, left aside by the rules, or holds bytes that were there before."""
        wanted = Claim(
            bucket=arrival.bucket,
            key=arrival.key,
            version_id=arrival.version_id,
            run_id=batch.run_id,
            pipeline=batch.pipeline,
            sequence=arrival.sequence,
            read_as=_read_as(format_of(arrival.key, self._formats)),
            size=arrival.size,
            claimed_until=batch.until,
        )
        skip = skip_of(arrival, prefix=self._prefix, formats=self._formats)
        if skip is not None:
            return self._leave_aside(wanted, skip)
        verdict = self._take(wanted)
        if not verdict.taken:
            return verdict
        (claim,) = verdict.taken
        return self._judge_content(self._with_content(claim, arrival, batch) if claim.digest is None else claim)

    def launch(self, batch: Batch, claims: Sequence[Claim]) -> Launch:
        """One run for all the files, once their manifest is written."""
        manifest = Manifest.of(dataset=self._dataset, pipeline=batch.pipeline, files=[claim.manifest_file() for claim in claims])
        return Launch(
            run_id=batch.run_id,
            pipeline=batch.pipeline,
            attempt=max(claim.attempt for claim in claims),
            trigger="arrival",
            manifest=self._manifests.write(manifest),
            batch_id=manifest.batch_id,
            files=len(manifest.files),
            decided_at=to_text(self._clock()),
        )

    def _leave_aside(self, wanted: Claim, skip: Skip) -> Verdict:
        skipped = replace(wanted, status="SKIPPED", run_id=new_run_id(self._clock()), reason=skip.reason, message=skip.message)
        verdict = self._take(skipped)
        if not verdict.taken:
            return verdict
        self._note(skipped)
        return NOTHING

    def _with_content(self, claim: Claim, arrival: FileArrival, batch: Batch) -> Claim:
        content = content_of(self._s3, arrival, has_time=lambda: self._clock() < batch.read_until)
        known = replace(claim, size=content.size, digest=content.digest)
        self._replace(claim, known)
        return known

    def _judge_content(self, claim: Claim) -> Verdict:
        if claim.digest is None:
            return Verdict(taken=(claim,))
        while True:
            holder = self._claims.content(claim, dataset=self._dataset)
            if holder is None or holder.place == claim.place or not holder.is_content or self._claims.standing(holder) is Standing.FREE:
                if self._claims.point(claim, dataset=self._dataset, over=holder):
                    return Verdict(taken=(claim, *self._revive_after(claim)))
                continue
            if self._is_change(claim):
                if self._claims.point(claim, dataset=self._dataset, over=holder):
                    return Verdict(taken=(claim, *self._revive_after(claim)))
                continue
            return self._skip_same(claim, holder)

    def _skip_same(self, claim: Claim, holder: Claim) -> Verdict:
        where = "an earlier version" if holder.key == claim.key else holder.key
        message = f"holds the same bytes as {where} (version {holder.version_id}, run {holder.run_id}): nothing to load"
        skipped = replace(claim, status="SKIPPED", run_id=new_run_id(self._clock()), reason=SAME_CONTENT, message=message)
        self._replace(claim, skipped)
        # A version between the two may have been claimed since we looked: then these bytes are a change after all.
        if self._is_change(claim):
            revived = self._revive(skipped, claim)
            return Verdict(taken=() if revived is None else (revived,))
        self._note(skipped)
        return NOTHING

    def _is_change(self, claim: Claim) -> bool:
        """Whether the version before this one holds other bytes: A, then B, then A again says that A holds again."""
        before = [other for other in self._contents(claim) if other.sequence < claim.sequence]
        return bool(before) and before[-1].digest != claim.digest

    def _revive_after(self, claim: Claim) -> tuple[Claim, ...]:
        """Take the next version, if it was left aside because this one, which came late, was not known."""
        after = [other for other in self._contents(claim) if other.sequence > claim.sequence]
        if not after or after[0].status != "SKIPPED" or after[0].digest == claim.digest:
            return ()
        revived = self._revive(after[0], claim)
        return () if revived is None else (revived,)

    def _revive(self, skipped: Claim, claim: Claim) -> Claim | None:
        revived = replace(
            skipped,
            status="CLAIMED",
            run_id=claim.run_id,
            attempt=skipped.attempt + 1,
            reason="",
            message="",
            claimed_until=claim.claimed_until,
        )
        if not self._claims.write(revived, over=skipped):
            return None
        while not self._claims.point(revived, dataset=self._dataset, over=self._claims.content(revived, dataset=self._dataset)):
            continue
        return revived

    def _contents(self, claim: Claim) -> list[Claim]:
        versions = self._claims.versions(bucket=claim.bucket, key=claim.key)
        return [other for other in versions if other.is_content and other.place != claim.place]

    def _replace(self, claim: Claim, by: Claim) -> None:
        if not self._claims.write(by, over=claim):
            raise TransientError(f"the claim of {claim.uri}, version {claim.version_id}, went to another run meanwhile: trying again later")


def _read_as(found: tuple[Format, Compression | None] | None) -> str:
    """Format and compression in one word; "" for a file that is not read."""
    if found is None:
        return ""
    format_, compression = found
    return f"{format_}.gz" if compression == "gzip" else format_
