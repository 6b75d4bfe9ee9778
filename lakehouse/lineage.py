"""Lineage: which run made which table from what, one item an edge.

Items of the lineage table: partition `pk` = pipeline, sort `sk` = `<run_id>#<step>#<source>#<target>`. Indexes: `by_source` (source, sk) and
`by_target` (target, sk); run ids sort by time, and so do the edges of a dataset.

Actions on the lineage table: dynamodb:PutItem (record); Query on `index/by_source` and `index/by_target` (from_source, into_target).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from itertools import islice
from typing import Any

from lakehouse.clock import Clock, to_text, utc_now
from lakehouse.state_table import StateTable

BY_SOURCE = "by_source"
BY_TARGET = "by_target"


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A run read one thing and wrote another.

    Attributes:
        pipeline: Pipeline.
        run_id: Run.
        step: Step of the run.
        source: `bronze.sales.orders`, or `raw.sales.orders` for the files of a dataset.
        target: `silver.sales.orders`.
        snapshot_id: Iceberg snapshot of the target that holds the result, or "" if nothing changed.
        recorded_at: UTC text; set when it is recorded.
    """

    pipeline: str
    run_id: str
    step: str
    source: str
    target: str
    snapshot_id: str = ""
    recorded_at: str = ""


_FIELDS = tuple(entry.name for entry in fields(Edge))


class Lineage:
    """The lineage table."""

    def __init__(self, *, client: Any, table: str, clock: Clock = utc_now) -> None:
        """
        Args:
            client: boto3 DynamoDB client.
            table: Name of the lineage table.
            clock: Gives the present moment.
        """
        self._table = StateTable(client=client, name=table)
        self._clock = clock

    def record(self, edges: Iterable[Edge]) -> None:
        """Keep some edges; the same edge of a run again overwrites itself."""
        recorded_at = to_text(self._clock())
        for edge in edges:
            sort = f"{edge.run_id}#{edge.step}#{edge.source}#{edge.target}"
            self._table.put({**asdict(edge), "recorded_at": recorded_at, "pk": edge.pipeline, "sk": sort})

    def from_source(self, source: str, *, limit: int = 100) -> list[Edge]:
        """What was made of a dataset, the newest first; read from the index, a moment late."""
        return self._edges("source", source, index=BY_SOURCE, limit=limit)

    def into_target(self, target: str, *, limit: int = 100) -> list[Edge]:
        """What a dataset was made of, the newest first; read from the index, a moment late."""
        return self._edges("target", target, index=BY_TARGET, limit=limit)

    def _edges(self, name: str, value: str, *, index: str, limit: int) -> list[Edge]:
        items = self._table.query(f"#{name} = :{name}", {name: value}, index=index, newest_first=True)
        return [Edge(**{field: item[field] for field in _FIELDS}) for item in islice(items, limit)]
