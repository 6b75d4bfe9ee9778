"""Metrics that AWS services publish themselves and MiniStack does not: queues, beside those of executions and deliveries."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from local.aws import seam

REPEAT_SECONDS = 20.0
"""How often a value that has not changed is published again, so that a period of a minute always holds one."""

_published: dict[tuple[str, str], tuple[float, float]] = {}
_cloudwatch = seam.module("services.cloudwatch")
_responses = seam.module("core.responses")
_sqs = seam.module("services.sqs")


def register() -> None:
    """Note what this leans on; the alarm clock calls `sample`."""
    seam.original("services.cloudwatch.record_metric")


def sample() -> None:
    """Publish the state of every queue as AWS/SQS does each minute; here whenever alarms are looked at."""
    for account, region, queue in _queues():
        with _responses.request_scope(account, region):
            _sample_queue(queue)


def places() -> set[tuple[str, str]]:
    """Accounts and regions that have alarms."""
    keys = [*_cloudwatch._alarms._data, *_cloudwatch._composite_alarms._data]
    return {(key[0], key[1]) for key in keys if len(key) == 3}


def _queues() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for queue in list(_sqs._queues._data.values()):
        arn = queue.get("attributes", {}).get("QueueArn", "")
        parts = arn.split(":")
        if len(parts) == 6:
            yield parts[4], parts[3], queue


def _sample_queue(queue: dict[str, Any]) -> None:
    now, name = time.time(), queue["attributes"]["QueueArn"].rsplit(":", 1)[-1]
    visible = [message for message in queue["messages"] if message.get("visible_at", 0) <= now]
    oldest = min((message.get("sent_at", now) for message in queue["messages"]), default=now)
    dimensions = {"QueueName": name}
    for metric, value, unit in (
        ("ApproximateNumberOfMessagesVisible", len(visible), "Count"),
        ("ApproximateNumberOfMessagesNotVisible", len(queue["messages"]) - len(visible), "Count"),
        ("ApproximateAgeOfOldestMessage", int(now - oldest), "Seconds"),
    ):
        last, at = _published.get((name, metric), (None, 0.0))
        if value != last or now - at >= REPEAT_SECONDS:
            _published[name, metric] = (value, now)
            _cloudwatch.record_metric("AWS/SQS", metric, value, unit, dimensions)
