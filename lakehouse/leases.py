"""Leases of tables: one run at a time writes a table, and a lease that nobody gives back expires.

Items of the control table: partition `pk` = `lease`, sort `sk` = `<database>.<table>`, with holder (run), pipeline and until.

Actions on the control table: dynamodb:PutItem, GetItem, DeleteItem, Query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lakehouse.clock import Clock, to_text, utc_now
from lakehouse.state_table import StateTable

PARTITION = "lease"
"""Partition of all leases."""

TRIES = 3
"""How often a lease is tried that was given back between two looks."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a lease: a run of a pipeline."""

    pipeline: str
    run_id: str


NOBODY = Holder(pipeline="", run_id="")
"""Stands for holders that came and went while we looked."""


class Leases:
    """Leases of tables, all or none of those that a run asks for."""

    def __init__(self, *, client: Any, table: str, clock: Clock = utc_now) -> None:
        """
        Args:
            client: boto3 DynamoDB client.
            table: Name of the control table.
            clock: Gives the present moment.
        """
        self._table = StateTable(client=client, name=table)
        self._clock = clock

    def acquire(self, *, tables: Sequence[str], holder: Holder, seconds: int, is_over: Callable[[Holder], bool]) -> Holder:
        """Take the leases of all tables, or none of them.

        A lease is free if nobody holds it, it has expired, or its holder's run is over; who holds it already has it prolonged.

        Args:
            tables: Names in the catalog, `<database>.<table>`.
            holder: Who asks.
            seconds: How long the leases hold, if nobody gives them back.
            is_over: Tells whether the run of a holder has ended.

        Returns:
            Who holds them now: the one who asked, or the first other that was met.
        """
        taken: list[str] = []
        # In one order for everybody, so that of two runs that want the same tables one gets on.
        for table in sorted(set(tables)):
            other = self._take(table, holder=holder, seconds=seconds, is_over=is_over)
            if other is not None:
                for name in taken:
                    self._give_back(name, holder)
                return other
            taken.append(table)
        return holder

    def holder(self, table: str) -> Holder | None:
        """Who holds the lease of a table; None if nobody does, or it has expired."""
        found = self._table.get({"pk": PARTITION, "sk": table})
        if found is None or found["until"] <= to_text(self._clock()):
            return None
        return Holder(pipeline=found["pipeline"], run_id=found["holder"])

    def release(self, holder: Holder) -> None:
        """Give back every lease that a run holds; doing so twice is no matter."""
        for item in self._table.query("#pk = :pk", {"pk": PARTITION, "holder": holder.run_id}, where="#holder = :holder"):
            self._give_back(item["sk"], holder)

    def _take(self, table: str, *, holder: Holder, seconds: int, is_over: Callable[[Holder], bool]) -> Holder | None:
        now = self._clock()
        item = {
            "pk": PARTITION,
            "sk": table,
            "holder": holder.run_id,
            "pipeline": holder.pipeline,
            "taken_at": to_text(now),
            "until": to_text(now + timedelta(seconds=seconds)),
        }
        free = "attribute_not_exists(#pk) OR #holder = :me OR #until <= :now"
        for _ in range(TRIES):
            if self._table.put(item, condition=free, values={"me": holder.run_id, "now": to_text(now)}):
                return None
            found = self._table.get({"pk": PARTITION, "sk": table})
            if found is None:
                continue
            other = Holder(pipeline=found["pipeline"], run_id=found["holder"])
            if is_over(other) and self._table.put(item, condition="#holder = :other", values={"other": other.run_id}):
                return None
            return other
        return NOBODY

    def _give_back(self, table: str, holder: Holder) -> None:
        self._table.delete({"pk": PARTITION, "sk": table}, condition="#holder = :me", values={"me": holder.run_id})
