"""Condition key `dynamodb:LeadingKeys`: the values of the partition key that a request names, which MiniStack leaves out.

A PartiQL statement names keys in its text, which nobody reads here: no right to single partitions lets it pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from local.aws import actions, seam

KEY = "dynamodb:LeadingKeys"
"""Name of the condition key."""

_UNREAD = ""
"""Stands for keys that are not read; no policy names it."""

_EQUALS = re.compile(r"(#?[A-Za-z_][\w.-]*)\s*=\s*(:\w+)")

_dynamodb = seam.module("services.dynamodb")


def register() -> None:
    """Tell IAM of the keys of DynamoDB's requests."""
    actions.tell_condition_keys_of("dynamodb", lambda _, data: {KEY: leading_keys(data)})


def leading_keys(data: Mapping[str, Any]) -> list[str]:
    """Values of the partition key that a request of DynamoDB names, each once; none for a Scan, which names no key."""
    if any(word in data for word in ("Statement", "Statements", "TransactStatements")):
        return [_UNREAD]
    return sorted(set(_values(data)))


def _values(data: Mapping[str, Any]) -> Iterator[str]:
    for request in _requests(data):
        table = str(request.get("TableName", "")).rsplit("/", 1)[-1]
        partition = _partition(table, str(request.get("IndexName", "")))
        for item in (request.get("Key"), request.get("Item")):
            if isinstance(item, dict) and partition in item:
                yield _text(item[partition])
        names = cast("dict[str, str]", request.get("ExpressionAttributeNames") or {})
        values = cast("dict[str, Any]", request.get("ExpressionAttributeValues") or {})
        for name, value in _EQUALS.findall(str(request.get("KeyConditionExpression", ""))):
            if names.get(name, name) == partition and value in values:
                yield _text(values[value])


def _requests(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Each table's part of a request, in the shape of a request for one item."""
    yield data
    for transacted in data.get("TransactItems") or []:
        yield from (part for part in transacted.values() if isinstance(part, dict))
    batches = data.get("RequestItems")
    for table, asked in cast("dict[str, Any]", batches if isinstance(batches, dict) else {}).items():
        if isinstance(asked, dict):
            yield from ({"TableName": table, "Key": key} for key in asked.get("Keys") or [])
        else:
            yield from ({"TableName": table, **part} for write in asked for part in write.values())


def _partition(table: str, index: str) -> str:
    """Name of the partition key of a table, or of one of its indexes."""
    found: dict[str, Any] = _dynamodb._tables.get(table) or {}
    described = [part for part in found.get("GlobalSecondaryIndexes") or [] if part.get("IndexName") == index] if index else [found]
    return next((str(key["AttributeName"]) for part in described for key in part.get("KeySchema", []) if key["KeyType"] == "HASH"), "")


def _text(value: Any) -> str:
    return str(next(iter(value.values()), "")) if isinstance(value, dict) else str(value)
