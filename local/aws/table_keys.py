"""DynamoDB tables under a customer key: whoever reads or writes items must be allowed to decrypt the table's key."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from local.aws import door, guard, key_use, seam

OPERATIONS = frozenset(
    {
        "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem", "BatchWriteItem", "TransactGetItems",
        "TransactWriteItems",
    }
)  # fmt: skip
"""Operations on items; DynamoDB decrypts the table's key with the caller's right for each of them."""

CACHE_SECONDS = 5.0
"""How long a caller's right holds; AWS keeps a table's key for a caller for five minutes."""

_dynamodb = seam.module("services.dynamodb")
_responses = seam.module("core.responses")

_granted: dict[tuple[str, str, str], float] = {}


def register() -> None:
    """Ask at the front door."""
    door.add_right(_right, refuse=door.access_denied)


def _right(request: door.Request) -> guard.Denied | None:
    if request.service != "dynamodb" or guard.is_root(request.key):
        return None
    operation = request.headers.get("x-amz-target", "").rsplit(".", 1)[-1]
    if operation not in OPERATIONS:
        return None
    for table in set(_tables(json.loads(request.body or b"{}"))):
        key = _key(table)
        if not key or _granted.get((request.key, table, key), 0.0) > time.monotonic():
            continue
        denied = key_use.ask(request.key, key_id=key, actions=key_use.READ, service="dynamodb", context=_context(table))
        if denied:
            return denied
        _granted[request.key, table, key] = time.monotonic() + CACHE_SECONDS
    return None


def _tables(data: dict[str, Any]) -> Iterator[str]:
    """Names of the tables that a request touches."""
    named = [data.get("TableName"), *(data.get("RequestItems") or {})]
    for item in data.get("TransactItems") or []:
        named += [inner.get("TableName") for inner in item.values() if isinstance(inner, dict)]
    for name in named:
        if name:
            yield str(name).rsplit("/", 1)[-1]


def _context(table: str) -> dict[str, Any]:
    """Condition keys of what DynamoDB binds a table's key to: the table's name and the account."""
    pairs = {"aws:dynamodb:tableName": table, "aws:dynamodb:subscriberId": _responses.get_account_id()}
    return key_use.encryption_context(pairs)


def _key(table: str) -> str:
    """Customer key of a table; empty if it has none."""
    record = _dynamodb._tables.get(table) or {}
    description = record.get("SSEDescription") or {}
    return str(description.get("KMSMasterKeyArn") or "") if description.get("Status") == "ENABLED" else ""
