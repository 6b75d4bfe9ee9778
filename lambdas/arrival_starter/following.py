"""Follows upstream runs: what they published is put down until none of them is under way, and then becomes one run.

Every end is put down before anybody looks who is under way. So of two runs that end together, whoever is judged last finds what the other put
down: nothing is left lying. Whatever the end, the message of the last run to end brings it about; a reminder, sent while something is held, does
if that message never comes, and when the time to wait is over.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from math import ceil
from typing import Any

from lakehouse.audit import AuditTrail
from lakehouse.audit_records import UNSUCCESSFUL
from lakehouse.claims import AFTER, LOST_MINUTES, Claims, Launch, Standing
from lakehouse.clock import Clock, from_text, to_text, utc_now
from lakehouse.held_ends import HeldEnd, HeldEnds
from lakehouse.leases import Holder, Leases
from lambdas.arrival_starter.arrival import Arrival, Reminder, UpstreamEnd
from lambdas.arrival_starter.judging import Batch, EventJudge, Verdict

MAX_DELAY_SECONDS = 900
"""Longest that SQS holds a message back."""

TURN_SECONDS = 30
"""After so long one looks again who found another at it."""

log = logging.getLogger(__name__)


class UpstreamJudge(EventJudge):
    """Judges ends of upstream runs: all that published while some of them ran start one run."""

    trigger = AFTER

    def __init__(
        self,
        *,
        claims: Claims,
        audit: AuditTrail,
        held: HeldEnds,
        leases: Leases,
        sqs: Any,
        queue: str,
        pipeline: str,
        machine_arn: str,
        upstream: Collection[str],
        wait_minutes: int,
        clock: Clock = utc_now,
    ) -> None:
        """
        Args:
            claims: The control table.
            audit: The audit.
            held: What is put down.
            leases: Keep two copies of the function from following the same ends side by side.
            sqs: boto3 SQS client.
            queue: Name of the function's own queue, which reminders go to.
            pipeline: Pipeline that is started.
            machine_arn: Its state machine.
            upstream: Pipelines that it follows.
            wait_minutes: Longest that an end waits for other upstream runs.
            clock: Gives the present moment.
        """
        super().__init__(claims=claims, audit=audit, clock=clock)
        self._held = held
        self._leases = leases
        self._sqs = sqs
        self._queue = queue
        self._pipeline = pipeline
        self._machine_arn = machine_arn
        self._upstream = frozenset(upstream)
        self._wait = timedelta(minutes=wait_minutes)

    def read(self, event: Mapping[str, Any]) -> Arrival:
        """The end that an event of Step Functions tells of, or a reminder of this function's own."""
        if "remind_at" in event:
            return Reminder.from_event(event, pipeline=self._pipeline)
        return UpstreamEnd.from_event(event, pipeline=self._pipeline, machine_arn=self._machine_arn)

    def due(self, arrivals: Mapping[Arrival, list[str]], batch: Batch) -> dict[Arrival, list[str]]:
        """Put down what has published, and say what is followed now: all that is held, or nothing while an upstream run is under way.

        Every message of the batch answers for all that is followed: if that fails, they come again.
        """
        ids = [id_ for some in arrivals.values() for id_ in some]
        for end in arrivals:
            if isinstance(end, UpstreamEnd) and self._has_published(end):
                self._put_down(end)
        if not self._held.of(self._pipeline):
            return {}
        if not self._take_turn(batch):
            self._remind(TURN_SECONDS)
            return {}
        # Only now: the one who had the turn may have followed some of them.
        held = self._held.of(self._pipeline)
        ended = {arrival.execution_arn for arrival in arrivals if isinstance(arrival, UpstreamEnd)}
        if held and self._must_wait(held, ended):
            self._remind_in_time(held, told=[arrival.remind_at for arrival in arrivals if isinstance(arrival, Reminder)])
            held = [end for end in held if self._covering(end) is not None]
        return {_arrival(end): ids for end in held}

    def judge(self, arrival: Arrival, batch: Batch) -> Verdict:
        """Take the claim of an end, for the newest run if that was decided upon after it, else for this batch."""
        assert isinstance(arrival, UpstreamEnd)
        launch = self._covering(arrival)
        if launch is None:
            return super().judge(arrival, batch)
        verdict = self._take(replace(self._wanted(arrival, batch), run_id=launch.run_id))
        return Verdict(resumed=(launch, verdict.taken[0])) if verdict.taken else verdict

    def close(self, batch: Batch, settled: Collection[Arrival]) -> None:
        """Forget what is followed, and let the next one have its turn."""
        self._held.forget(self._pipeline, [end.execution_arn for end in settled if isinstance(end, UpstreamEnd)])
        self._leases.release(self._holder(batch))

    def _put_down(self, end: UpstreamEnd) -> None:
        known = self._claims.get(bucket=AFTER, key=self._pipeline, version_id=end.execution_arn)
        if known is not None and self._claims.standing(known) is Standing.TAKEN_CARE_OF:
            log.info("told again of what is followed", extra={"source": end.execution_arn, "run_id": known.run_id})
            return
        self._held.put(
            HeldEnd(
                pipeline=self._pipeline,
                execution_arn=end.execution_arn,
                ended_at=end.ended_at,
                upstream=end.upstream,
                run_id=end.run_id,
                held_since=to_text(self._clock()),
            )
        )

    def _has_published(self, end: UpstreamEnd) -> bool:
        """Whether something follows from an end: it succeeded with something to do, or failed because of rejected files beside good ones."""
        if end.status == "SUCCEEDED":
            return not end.is_skipped
        if end.status != "FAILED" or not (end.upstream and end.run_id):
            return False
        run = self._audit.get_run(end.run_id, pipeline=end.upstream)
        return run is not None and run.has_published

    def _covering(self, end: UpstreamEnd | HeldEnd) -> Launch | None:
        """The newest run of the pipeline, if it was decided upon after an end was recorded, and so reads what that brought; else None."""
        launch = self._claims.newest_launch(pipeline=self._pipeline)
        is_known = launch is not None and end.upstream and end.run_id
        upstream = self._audit.get_run(end.run_id, pipeline=end.upstream) if is_known else None
        if launch is None or upstream is None or upstream.ended_at is None or launch.decided_at <= upstream.ended_at:
            return None
        run = self._audit.get_run(launch.run_id, pipeline=self._pipeline)
        if run is None:
            return None if self._claims.is_lost(launch) else launch
        return None if run.status in UNSUCCESSFUL or run.is_lost(self._clock()) else launch

    def _must_wait(self, held: Sequence[HeldEnd], ended: Collection[str]) -> bool:
        if from_text(min(end.held_since for end in held)) + self._wait <= self._clock():
            return False
        return self._is_upstream_under_way(ended)

    def _is_upstream_under_way(self, ended: Collection[str]) -> bool:
        """Whether an upstream run goes on, was decided upon and has yet to begin, or is held itself.

        Args:
            ended: Executions that have ended, whatever the audit says: it is told of an abortion at the same time as this function.
        """
        now = self._clock()
        for found in self._audit.runs(statuses=("RUNNING",), limit=None):
            # The index lags: a run that has ended since sends no message any more that this could wait for.
            run = self._audit.get_run(found.run_id, pipeline=found.pipeline) if found.pipeline in self._upstream else None
            if run is not None and not (run.is_ended or run.is_lost(now) or run.execution_arn in ended):
                return True
        begun = now - timedelta(minutes=LOST_MINUTES)
        launches = [launch for pipeline in self._upstream for launch in self._claims.launches(pipeline=pipeline, since=begun)]
        return any(self._is_about_to_run(launch, ended) for launch in launches) or any(map(self._held.of, self._upstream))

    def _is_about_to_run(self, launch: Launch, ended: Collection[str]) -> bool:
        run = self._audit.get_run(launch.run_id, pipeline=launch.pipeline)
        return run is None or not (run.is_ended or run.is_lost(self._clock()) or run.execution_arn in ended)

    def _take_turn(self, batch: Batch) -> bool:
        holder = self._holder(batch)
        seconds = ceil((from_text(batch.until) - self._clock()).total_seconds())
        return self._leases.acquire(tables=[f"{AFTER}/{self._pipeline}"], holder=holder, seconds=seconds, is_over=lambda _: False) == holder

    def _holder(self, batch: Batch) -> Holder:
        return Holder(pipeline=self._pipeline, run_id=batch.run_id)

    def _remind_in_time(self, held: Sequence[HeldEnd], *, told: Collection[str]) -> None:
        """See to it that a reminder is on its way that comes when the time to wait is over, or as late as SQS can send one."""
        now = self._clock()
        over = from_text(min(end.held_since for end in held)) + self._wait
        at = min(over, now + timedelta(seconds=MAX_DELAY_SECONDS))
        known = self._held.reminder(self._pipeline)
        if known is not None and known not in told and to_text(now) < known <= to_text(at):
            return
        self._remind(max(1, ceil((at - now).total_seconds())))

    def _remind(self, seconds: int) -> None:
        # Sent before it is noted: who dies in between has it sent twice, never not at all.
        at = to_text(self._clock() + timedelta(seconds=seconds))
        body = json.dumps({"pipeline": self._pipeline, "remind_at": at})
        url = self._sqs.get_queue_url(QueueName=self._queue)["QueueUrl"]
        self._sqs.send_message(QueueUrl=url, MessageBody=body, DelaySeconds=seconds)
        self._held.note_reminder(self._pipeline, at)


def _arrival(end: HeldEnd) -> UpstreamEnd:
    return UpstreamEnd(
        pipeline=end.pipeline,
        execution_arn=end.execution_arn,
        ended_at=end.ended_at,
        status="SUCCEEDED",
        is_skipped=False,
        upstream=end.upstream,
        run_id=end.run_id,
    )
