"""Reuse of earlier results, as ResultReuseConfiguration asks for it, query by query."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from local.aws.athena_sql import first_word, tokens_of
from local.aws.athena_statements import READS

LONGEST_AGE_MINUTES = 10_080
"""Oldest result that may be asked for: seven days."""

DEFAULT_AGE_MINUTES = 60

_CHANGING = frozenset(
    {"NOW", "RAND", "RANDOM", "SHUFFLE", "UUID", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP",
     "CURRENT_USER", "TABLESAMPLE"}
)  # fmt: skip


def configuration(data: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a request, complete.

    Raises:
        ValueError: The age is out of range.
    """
    asked = (data.get("ResultReuseConfiguration") or {}).get("ResultReuseByAgeConfiguration") or {}
    if not asked.get("Enabled"):
        return {"ResultReuseByAgeConfiguration": {"Enabled": False}}
    age = int(asked.get("MaxAgeInMinutes", DEFAULT_AGE_MINUTES))
    if not 0 <= age <= LONGEST_AGE_MINUTES:
        raise ValueError(f"MaxAgeInMinutes must be between 0 and {LONGEST_AGE_MINUTES}, got {age}")
    return {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": age}}


def earlier(record: Mapping[str, Any], executions: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The newest execution whose result a query may be given, if it asks for that and there is one.

    Args:
        record: The query, its statement resolved.
        executions: What ran so far.
    """
    asked = record["ResultReuseConfiguration"]["ResultReuseByAgeConfiguration"]
    if not asked["Enabled"] or not is_stable(record["_resolved"]):
        return None
    since = time.time() - asked["MaxAgeInMinutes"] * 60
    found = [
        run
        for run in executions
        if run is not record
        and run["Status"]["State"] == "SUCCEEDED"
        and run["Status"]["CompletionDateTime"] >= since
        and "_rows_of" not in run
        and _identity(run) == _identity(record)
    ]
    return max(found, key=lambda run: run["Status"]["CompletionDateTime"], default=None)


def is_stable(sql: str) -> bool:
    """Whether a statement is a query that gives the same rows over the same data."""
    if first_word(sql) not in READS:
        return False
    words = [token.text.upper() for token in tokens_of(sql)]
    if not _CHANGING.isdisjoint(words):
        return False
    limited = any(word in {"LIMIT", "FETCH"} for word in words)
    return not limited or re.search(r"\bORDER\s+BY\b", sql, re.IGNORECASE) is not None


def _identity(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        record.get("_resolved"), tuple(record.get("ExecutionParameters") or ()), record.get("_values"), record["QueryExecutionContext"],
        record["WorkGroup"], record.get("_output"),
    )  # fmt: skip
