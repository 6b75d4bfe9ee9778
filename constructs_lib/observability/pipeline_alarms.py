"""The alarms of a pipeline."""

from __future__ import annotations

from typing import Protocol

from constructs import Construct

from constructs_lib.checks import require_range
from constructs_lib.observability.alert_topics import AlertTopicNames
from constructs_lib.observability.watching import Watch, alarm
from constructs_lib.signals import Signal
from lakehouse.metrics import ENVIRONMENT, PIPELINE, ROWS_QUARANTINED, RUNS_FAILED, RUNS_TIMED_OUT, Metric
from lakehouse.naming import METRICS_NAMESPACE, Names


class WatchedArrival(Protocol):
    """What starts a pipeline, as far as alarms care."""

    @property
    def dead_letters_signal(self) -> Signal:
        """Events that could not start a run."""
        ...

    @property
    def oldest_arrival_signal(self) -> Signal:
        """Age of the event that has waited longest, in seconds."""
        ...

    @property
    def starter_errors_signal(self) -> Signal:
        """Failed calls of the function that starts runs."""
        ...


class PipelineAlarms(Construct):
    """Alarms of a pipeline: a run failed or timed out, rows went to quarantine, an arrival could not start it, arrivals wait too long.

    Attributes:
        alarms: The alarms by id.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        pipeline: str,
        topics: AlertTopicNames,
        arrival: WatchedArrival | None,
        max_wait_minutes: int = 60,
        max_quarantined_rows: int = 0,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            pipeline: Pipeline that is watched.
            topics: Topics of alerts.
            arrival: What starts it, or None if a schedule does.
            max_wait_minutes: Longest time that an arrival may wait in the queue.
            max_quarantined_rows: Most rows that may go to quarantine in five minutes without anybody being told.
        """
        super().__init__(scope, id)
        require_range(max_wait_minutes, name="max_wait_minutes", at_least=1)
        require_range(max_quarantined_rows, name="max_quarantined_rows", at_least=0)

        def of_runs(metric: Metric) -> Signal:
            dimensions = {ENVIRONMENT: names.env, PIPELINE: pipeline}
            return Signal(namespace=METRICS_NAMESPACE, name=metric.name, dimensions=dimensions, statistic="Sum")

        watches = [
            Watch(
                id="RunFailed",
                name=f"{names.prefix}-{pipeline}-run-failed",
                severity="critical",
                signal=of_runs(RUNS_FAILED),
                threshold=1,
                text=f"A run of {pipeline} failed. Next: lake runs --env {names.env}, then lake show RUN.",
            ),
            Watch(
                id="RunTimedOut",
                name=f"{names.prefix}-{pipeline}-run-timed-out",
                severity="critical",
                signal=of_runs(RUNS_TIMED_OUT),
                threshold=1,
                text=f"A run of {pipeline} took too long and was stopped. Next: lake runs --env {names.env}, then lake logs RUN.",
            ),
            Watch(
                id="Quarantine",
                name=f"{names.prefix}-{pipeline}-quarantine",
                severity="warning",
                signal=of_runs(ROWS_QUARANTINED),
                threshold=max_quarantined_rows + 1,
                text=f"{pipeline} put rows into quarantine. Next: lake quarantine DATASET --env {names.env}.",
            ),
        ]
        if arrival is not None:
            watches += [
                Watch(
                    id="DeadLetters",
                    name=f"{names.prefix}-{pipeline}-dead-letters",
                    severity="critical",
                    signal=arrival.dead_letters_signal,
                    threshold=1,
                    text=f"An arrival could not start {pipeline} and went to the dead letters. Next: lake status --env {names.env}.",
                ),
                Watch(
                    id="ArrivalsWait",
                    name=f"{names.prefix}-{pipeline}-arrivals-wait",
                    severity="warning",
                    signal=arrival.oldest_arrival_signal,
                    threshold=max_wait_minutes * 60,
                    text=f"Arrivals of {pipeline} have waited for over {max_wait_minutes} minutes. Next: lake status --env {names.env}.",
                ),
                Watch(
                    id="StarterErrors",
                    name=f"{names.prefix}-{pipeline}-starter-errors",
                    severity="warning",
                    signal=arrival.starter_errors_signal,
                    threshold=1,
                    text=f"The function that starts {pipeline} fails; its arrivals are tried again. Next: lake status --env {names.env}.",
                ),
            ]
        self.alarms = {watch.id: alarm(self, watch, topics) for watch in watches}
