"""Queries as Athena keeps them, and their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lakehouse.athena.values import Value

LEAST_BILLED_BYTES = 10_000_000
"""Least that a query is billed for."""

USD_PER_TERABYTE = 5.0
"""What Athena asks for in most regions; capacity that is bought ahead costs otherwise."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a query took.

    Attributes:
        scanned_bytes: Data that it read.
        engine_seconds: Time that the engine took.
        queue_seconds: Time that it waited for its turn.
        total_seconds: Time from its start to its end.
        is_reused: Whether its answer is that of an earlier query.
    """

    scanned_bytes: int = 0
    engine_seconds: float = 0.0
    queue_seconds: float = 0.0
    total_seconds: float = 0.0
    is_reused: bool = False

    def estimated_usd(self, *, usd_per_terabyte: float = USD_PER_TERABYTE) -> float:
        """What the query cost, by the data it read; nothing if it read none, and never less than Athena's floor otherwise."""
        if not self.scanned_bytes:
            return 0.0
        return max(self.scanned_bytes, LEAST_BILLED_BYTES) / 1e12 * usd_per_terabyte


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One query, as Athena keeps it.

    Attributes:
        query_id: Athena's id.
        state: QUEUED, RUNNING, SUCCEEDED, FAILED or CANCELLED.
        statement_type: DML, DDL or UTILITY.
        output: Where its answer lies; what writes files or tables has none there.
        reason: Why it is in this state, in Athena's words.
        may_succeed_later: Whether Athena says that the same query may succeed later.
        manifest: List of the files that it wrote; empty if it wrote none.
        submitted_at: When it was started.
        statistics: What it took.
    """

    query_id: str
    state: str
    statement_type: str = ""
    output: str = ""
    reason: str = ""
    may_succeed_later: bool = False
    manifest: str = ""
    submitted_at: datetime | None = None
    statistics: Statistics = field(default_factory=Statistics)

    @classmethod
    def from_api(cls, found: Mapping[str, Any]) -> Execution:
        """A `QueryExecution` of Athena's API."""
        status, statistics = found["Status"], found.get("Statistics") or {}
        error = status.get("AthenaError") or {}
        return cls(
            query_id=found["QueryExecutionId"],
            state=status["State"],
            statement_type=found.get("StatementType", ""),
            output=(found.get("ResultConfiguration") or {}).get("OutputLocation", ""),
            reason=status.get("StateChangeReason") or error.get("ErrorMessage") or "",
            may_succeed_later=bool(error.get("Retryable", False)),
            manifest=statistics.get("DataManifestLocation", ""),
            submitted_at=status.get("SubmissionDateTime"),
            statistics=Statistics(
                scanned_bytes=int(statistics.get("DataScannedInBytes", 0)),
                engine_seconds=statistics.get("EngineExecutionTimeInMillis", 0) / 1000,
                queue_seconds=statistics.get("QueryQueueTimeInMillis", 0) / 1000,
                total_seconds=statistics.get("TotalExecutionTimeInMillis", 0) / 1000,
                is_reused=bool((statistics.get("ResultReuseInformation") or {}).get("ReusedPreviousResult", False)),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of an answer.

    Attributes:
        name: Its name.
        type: Athena's type, such as `decimal`.
    """

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A query's answer, whole.

    Attributes:
        execution: The query.
        columns: Columns in order; none if the statement has no rows.
        rows: Rows in order, values typed as `typed` says.
    """

    execution: Execution
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
