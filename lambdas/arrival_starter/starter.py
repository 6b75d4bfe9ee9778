"""Puts a batch of messages together into one run: each message is judged alone, and fails alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lakehouse.claims import Claim, Launch
from lakehouse.clock import Clock, to_text, utc_now
from lakehouse.errors import TransientError
from lakehouse.run_ids import new_run_id
from lambdas.arrival_starter.arrival import Arrival, event_of, is_test_event
from lambdas.arrival_starter.judging import Batch, Judge, Verdict
from lambdas.arrival_starter.launcher import Launcher

WORKERS = 8
"""Files that are looked at side by side; versions of one file are not."""

RESERVE_SECONDS = 10
"""Kept of a function's time for the manifest and the start: no further file is looked at then."""

READ_SHARE = 0.5
"""Share of a function's time in which files may be read to learn their SHA-256; the rest is for judging all of the batch."""

GRACE_SECONDS = 5
"""Claims outlast the function that took them by this."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message of the queue: its id, by which it is asked for again, and its text."""

    id: str
    body: str


class Starter:
    """Starts runs of one pipeline."""

    def __init__(self, *, judge: Judge, launcher: Launcher, pipeline: str, workers: int = WORKERS, clock: Clock = utc_now) -> None:
        """
        Args:
            judge: Says what follows from an arrival.
            launcher: Starts executions.
            pipeline: Pipeline that is started.
            workers: Files that are looked at side by side.
            clock: Gives the present moment.
        """
        self._judge = judge
        self._launcher = launcher
        self._pipeline = pipeline
        self._workers = workers
        self._clock = clock

    def start(self, messages: Sequence[Message], *, deadline: datetime) -> list[str]:
        """Start what a batch of messages asks for: one run for all that is new, and runs that were decided upon before and not started.

        Args:
            messages: The batch.
            deadline: When the function is stopped.

        Returns:
            Ids of the messages that have to be delivered again.
        """
        failures = _Failures()
        now = self._clock()
        batch = Batch(
            run_id=new_run_id(now),
            pipeline=self._pipeline,
            until=to_text(deadline + timedelta(seconds=GRACE_SECONDS)),
            read_until=now + (deadline - now) * READ_SHARE,
        )
        arrivals: dict[Arrival, list[str]] = {}
        for message in messages:
            arrival = failures.attempt([message.id], lambda body=message.body: self._read(body))
            if arrival is not None:
                arrivals.setdefault(arrival, []).append(message.id)
        read = [id_ for ids in arrivals.values() for id_ in ids]
        due = failures.attempt(read, lambda: self._judge.due(arrivals, batch)) or {}
        verdicts = self._verdicts(due, batch, deadline=deadline, failures=failures)
        self._start_new(verdicts, due, batch, failures)
        self._start_decided(verdicts, due, failures)
        settled = [arrival for arrival in verdicts if failures.spared(due[arrival])]
        failures.attempt(read, lambda: self._judge.close(batch, settled))
        return failures.ids

    def _read(self, body: str) -> Arrival | None:
        event = event_of(body)
        if is_test_event(event):
            log.info("S3 tries whether its messages get through: they do")
            return None
        return self._judge.read(event)

    def _verdicts(
        self, arrivals: Mapping[Arrival, list[str]], batch: Batch, *, deadline: datetime, failures: _Failures
    ) -> dict[Arrival, Verdict]:
        files: dict[tuple[str, str], list[Arrival]] = {}
        for arrival in sorted(arrivals, key=lambda arrival: arrival.order):
            files.setdefault(arrival.place[:2], []).append(arrival)
        last_moment = deadline - timedelta(seconds=RESERVE_SECONDS)

        def judge_one(arrival: Arrival) -> Verdict:
            if self._clock() >= last_moment:
                raise TransientError("too little time is left in this invocation: trying again later")
            return self._judge.judge(arrival, batch)

        def judge_file(versions: Iterable[Arrival]) -> list[tuple[Arrival, Verdict | None]]:
            return [(arrival, failures.attempt(arrivals[arrival], lambda arrival=arrival: judge_one(arrival))) for arrival in versions]

        with ThreadPoolExecutor(max_workers=self._workers) as pool:
            judged = [pair for pairs in pool.map(judge_file, files.values()) for pair in pairs]
        return {arrival: verdict for arrival, verdict in judged if verdict is not None}

    def _start_new(
        self, verdicts: dict[Arrival, Verdict], arrivals: Mapping[Arrival, list[str]], batch: Batch, failures: _Failures
    ) -> None:
        claims = {(claim.bucket, claim.key, claim.version_id): claim for verdict in verdicts.values() for claim in verdict.taken}
        if not claims:
            return
        ids = [id_ for arrival, verdict in verdicts.items() if verdict.taken for id_ in arrivals[arrival]]

        def launch() -> None:
            if to_text(self._clock()) >= batch.until:
                raise TransientError("the claims of this batch have run out: trying again later")
            decided = self._judge.launch(batch, tuple(claims.values()))
            self._launcher.launch(decided, tuple(claims.values()))
            _log_start(decided)

        failures.attempt(ids, launch)

    def _start_decided(self, verdicts: dict[Arrival, Verdict], arrivals: Mapping[Arrival, list[str]], failures: _Failures) -> None:
        decided: dict[str, tuple[Launch, list[Claim], list[str]]] = {}
        for arrival, verdict in verdicts.items():
            if verdict.resumed is not None:
                launch, claim = verdict.resumed
                _, claims, ids = decided.setdefault(launch.run_id, (launch, [], []))
                claims.append(claim)
                ids.extend(arrivals[arrival])
        for launch, claims, ids in decided.values():

            def resume(launch: Launch = launch, claims: list[Claim] = claims) -> None:
                self._launcher.launch(launch, claims)
                _log_start(launch)

            failures.attempt(ids, resume)


class _Failures:
    """Messages that could not be dealt with, and why."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    @property
    def ids(self) -> list[str]:
        return list(self._ids)

    def spared(self, ids: Sequence[str]) -> bool:
        """Whether none of some messages has failed."""
        return self._ids.keys().isdisjoint(ids)

    def attempt(self, ids: Sequence[str], work: Callable[[], Any]) -> Any:
        """Do some work for some messages; what it raises fails them, and no others."""
        try:
            return work()
        except Exception as error:
            log.exception("messages have to be delivered again", extra={"message_ids": list(ids), "error": str(error)})
            self._ids.update(dict.fromkeys(ids))
            return None


def _log_start(launch: Launch) -> None:
    log.info(
        "run started",
        extra={"run_id": launch.run_id, "pipeline": launch.pipeline, "attempt": launch.attempt, "files": launch.files},
    )
