"""Ends of upstream runs that a pipeline has yet to follow: they are put down until no other run of its upstream pipelines is under way.

Items of the control table (partition `pk`, sort `sk`):

- `held#<pipeline>` / `<execution ARN>`: a run that the pipeline follows has published. The item goes when the run that follows it was started.
- `reminder#<pipeline>` / `next`: when the starter is reminded to look again at what is held.

Actions on the control table: dynamodb:GetItem, PutItem, DeleteItem, Query.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from lakehouse.state_table import StateTable


@dataclass(frozen=True, kw_only=True)
class HeldEnd:
    """The end of an upstream run that has published.

    Attributes:
        pipeline: Pipeline that follows.
        execution_arn: Execution that ended.
        ended_at: When, UTC text.
        upstream: Pipeline of that execution, "" if that is not known.
        run_id: Its run, "" if that is not known.
        held_since: When it was put down, UTC text.
    """

    pipeline: str
    execution_arn: str
    ended_at: str
    upstream: str
    run_id: str
    held_since: str


class HeldEnds:
    """The control table as far as ends go that are not followed yet."""

    def __init__(self, *, client: Any, table: str) -> None:
        """
        Args:
            client: boto3 DynamoDB client.
            table: Name of the control table.
        """
        self._table = StateTable(client=client, name=table)

    def put(self, end: HeldEnd) -> None:
        """Put an end down; one that is held already stays, with the moment since when."""
        self._table.put({**_place(end.pipeline, end.execution_arn), **asdict(end)}, condition="attribute_not_exists(#sk)")

    def of(self, pipeline: str) -> list[HeldEnd]:
        """What a pipeline has yet to follow, read consistently, the oldest end first."""
        items = self._table.query("#pk = :pk", {"pk": _place(pipeline, "")["pk"]})
        ends = [HeldEnd(**{name: item[name] for name in _FIELDS}) for item in items]
        return sorted(ends, key=lambda end: (end.ended_at, end.execution_arn))

    def forget(self, pipeline: str, executions: Iterable[str]) -> None:
        """Take away ends that a run follows now; doing so twice is no matter."""
        for execution_arn in executions:
            self._table.delete(_place(pipeline, execution_arn))

    def reminder(self, pipeline: str) -> str | None:
        """When the starter of a pipeline is reminded, UTC text, or None if it never was."""
        item = self._table.get(_reminder_place(pipeline))
        return None if item is None else str(item["at"])

    def note_reminder(self, pipeline: str, at: str) -> None:
        """Note that a reminder is on its way."""
        self._table.put({**_reminder_place(pipeline), "at": at})


_FIELDS = tuple(entry.name for entry in fields(HeldEnd))


def _place(pipeline: str, execution_arn: str) -> dict[str, str]:
    return {"pk": f"held#{pipeline}", "sk": execution_arn}


def _reminder_place(pipeline: str) -> dict[str, str]:
    return {"pk": f"reminder#{pipeline}", "sk": "next"}
