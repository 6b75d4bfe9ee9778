"""How a query ends without an answer.

A query's errors:

LakehouseError
├── TerminalError
│   └── QueryError               it ended without an answer; `execution` says how
│       ├── QueryRefusedError    Athena did not start it
│       ├── QueryFailedError     it failed
│       ├── ScanLimitError       it read more than its workgroup lets a query read
│       ├── QueryCancelledError  somebody stopped it
│       └── QueryTimedOutError   it took longer than the caller waits, and was stopped
└── TransientError
    └── QueryFailedForNowError   Athena says that the same query may succeed later
"""

from __future__ import annotations

from lakehouse.athena.executions import Execution
from lakehouse.errors import TerminalError, TransientError

OVER_SCAN_LIMIT = "Bytes scanned limit was exceeded"
"""Athena's words for a query over its workgroup's limit."""

SUCCEEDED, FAILED, CANCELLED = "SUCCEEDED", "FAILED", "CANCELLED"


class QueryError(TerminalError):
    """A query ended without an answer.

    Attributes:
        execution: The query; None if Athena never started it.
    """

    def __init__(self, message: str, *, execution: Execution | None = None) -> None:
        self.execution = execution
        super().__init__(message)


class QueryRefusedError(QueryError):
    """Athena did not start the query."""


class QueryFailedError(QueryError):
    """The query failed."""


class ScanLimitError(QueryError):
    """The query read more than its workgroup lets a query read."""


class QueryCancelledError(QueryError):
    """Somebody stopped the query."""


class QueryTimedOutError(QueryError):
    """The query took longer than the caller waits, and was stopped."""


class QueryFailedForNowError(TransientError):
    """The query failed, or was not started, and Athena says that the same one may succeed later.

    Attributes:
        execution: The query; None if Athena never started it.
    """

    def __init__(self, message: str, *, execution: Execution | None = None) -> None:
        self.execution = execution
        super().__init__(message)


def succeeded(execution: Execution) -> Execution:
    """The execution, if it succeeded.

    Raises:
        QueryError: It did not.
        QueryFailedForNowError: It did not, and may succeed later.
    """
    reason = execution.reason or "Athena gives no reason"
    text = f"the query {execution.state}: {reason}"
    if execution.state == SUCCEEDED:
        return execution
    if OVER_SCAN_LIMIT in reason:
        raise ScanLimitError(
            f"{text}: it read {execution.statistics.scanned_bytes:,} bytes, more than its workgroup lets a query read. Filter on a partition "
            "column, select fewer columns, or have the workgroup's limit raised",
            execution=execution,
        )
    if execution.state == CANCELLED:
        raise QueryCancelledError(text, execution=execution)
    if execution.state != FAILED:
        raise QueryFailedError(f"query {execution.query_id} is in a state that nobody knows: {execution.state}", execution=execution)
    if execution.may_succeed_later:
        raise QueryFailedForNowError(text, execution=execution)
    raise QueryFailedError(text, execution=execution)
