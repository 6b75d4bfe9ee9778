"""Arrivals that wait to start a run, and those that could not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cli.results import Queue
from cli.session import Session


def queues(session: Session) -> Iterator[Queue]:
    """Queues of every pipeline; files or other pipelines start each of them."""
    for pipeline in session.pipelines:
        arrivals = _counts(session, session.names.arrivals_queue(pipeline.name))
        dead = _counts(session, session.names.dead_letter_queue(pipeline.name))
        yield Queue(
            pipeline=pipeline.name,
            # Delayed ones are reminders that starters send themselves: no arrivals.
            waiting=arrivals["ApproximateNumberOfMessages"],
            in_flight=arrivals["ApproximateNumberOfMessagesNotVisible"],
            dead=dead["ApproximateNumberOfMessages"] + dead["ApproximateNumberOfMessagesNotVisible"],
        )


_COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


def _counts(session: Session, name: str) -> dict[str, int]:
    sqs = session.client("sqs")
    url: str = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    attributes: dict[str, Any] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))["Attributes"]
    return {count: int(attributes[count]) for count in _COUNTS}
