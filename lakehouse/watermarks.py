"""Watermarks: how far a pipeline has read a source; they only ever move forward.

Items of the watermarks table: partition `pk` = pipeline, sort `sk` = name of the mark, with value, run_id and moved_at.

Actions on the watermarks table: dynamodb:GetItem (read), UpdateItem (advance).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lakehouse.clock import Clock, to_text, utc_now
from lakehouse.state_table import StateTable

Mark = str | int
"""A mark: a whole number, or text that sorts as it should, such as a UTC timestamp of fixed length."""


@dataclass(frozen=True, kw_only=True)
class Watermark:
    """How far a pipeline has read.

    Attributes:
        value: Largest value that was read and published.
        run_id: Run that did.
        moved_at: UTC text.
    """

    value: Mark
    run_id: str
    moved_at: str


class Watermarks:
    """The watermarks table."""

    def __init__(self, *, client: Any, table: str, clock: Clock = utc_now) -> None:
        """
        Args:
            client: boto3 DynamoDB client.
            table: Name of the watermarks table.
            clock: Gives the present moment.
        """
        self._table = StateTable(client=client, name=table)
        self._clock = clock

    def get(self, *, pipeline: str, name: str) -> Watermark | None:
        """The mark, or None if nothing was read so far."""
        item = self._table.get({"pk": pipeline, "sk": name})
        return None if item is None else Watermark(value=item["value"], run_id=item["run_id"], moved_at=item["moved_at"])

    def advance(self, *, pipeline: str, name: str, to: Mark, run_id: str) -> bool:
        """Move a mark forward, once everything up to it is published.

        Args:
            pipeline: Pipeline.
            name: Name of the mark, such as the table that is read.
            to: Largest value that was seen, not the present time: what came in meanwhile would be lost.
            run_id: Run that saw it.

        Returns:
            Whether it moved; False if it is there or further already.

        Raises:
            ValueError: A mark that holds a number is moved to a text, or the other way round: they do not compare.
        """
        held = self.get(pipeline=pipeline, name=name)
        if held is not None and isinstance(held.value, int) != isinstance(to, int):
            raise ValueError(
                f"watermark {name} of {pipeline} holds {held.value!r} and cannot move to {to!r}: numbers and texts do not compare"
            )
        return self._table.update(
            {"pk": pipeline, "sk": name},
            changes={"value": to, "run_id": run_id, "moved_at": to_text(self._clock())},
            condition="attribute_not_exists(#value) OR #value < :to",
            values={"to": to},
        )
