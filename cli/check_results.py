"""What `lake check` returns; a stable shape as those of `cli.results`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["PASSED", "FAILED", "NOT_CHECKED"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """What one check of a table found.

    Attributes:
        table: Table, `<zone>.<domain>.<dataset>`.
        check: `rows`, `null_keys`, `freshness` or `reconcile`.
        outcome: PASSED, FAILED or NOT_CHECKED.
        value: Rows of the table, rows with NULL in a key, age of the newest row in seconds, keys that the table holds; null if nothing could be measured.
        limit: Least rows, most rows with NULL in a key, greatest age in seconds, keys of bronze that the table must hold; null if there is none.
        message: What is wrong, or why it was not checked, or "".
    """

    table: str
    check: Literal["rows", "null_keys", "freshness", "reconcile"]
    outcome: Outcome
    value: int | None
    limit: int | None
    message: str


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What the checks of tables found.

    Attributes:
        env: Environment.
        checks: Four a table, in this order: rows, null_keys, freshness, reconcile.
    """

    env: str
    checks: list[Check]
