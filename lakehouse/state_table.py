"""A DynamoDB table of run state: plain Python items in and out, conditional writes that answer yes or no."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

Item = dict[str, Any]

_NAME = re.compile(r"#(\w+)")
_LARGEST, _SMALLEST = 9.99e125, 1e-130


class StateTable:
    """One table; every read of an item is consistent, every write may carry a condition.

    Expressions name attributes as `#name` (so that reserved words are no matter) and values as `:name`; both are looked up by that name.
    """

    def __init__(self, *, client: Any, name: str) -> None:
        """
        Args:
            client: boto3 DynamoDB client.
            name: Name of the table.
        """
        self._client = client
        self.name = name

    def get(self, key: Mapping[str, Any]) -> Item | None:
        """The item of that key, read consistently, or None."""
        found = self._client.get_item(TableName=self.name, Key=to_attributes(key), ConsistentRead=True).get("Item")
        return None if found is None else from_attributes(found)

    def put(self, item: Mapping[str, Any], *, condition: str | None = None, values: Mapping[str, Any] | None = None) -> bool:
        """Write a whole item; False if the condition did not hold."""
        return self._conditional(self._client.put_item, condition, values or {}, [], Item=to_attributes(item))

    def update(
        self,
        key: Mapping[str, Any],
        *,
        changes: Mapping[str, Any] | None = None,
        remove: Sequence[str] = (),
        add: Mapping[str, Any] | None = None,
        condition: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """Change attributes of an item; False if the condition did not hold.

        Args:
            key: Key of the item; without a condition a missing item is created.
            changes: Attributes to set.
            remove: Attributes to take away.
            add: Numbers to add, or sets of texts to join.
            condition: Expression that must hold.
            values: Values of the condition.
        """
        changes, add = changes or {}, add or {}
        clauses = [
            "SET " + ", ".join(f"#{name} = :set_{name}" for name in changes) if changes else "",
            "REMOVE " + ", ".join(f"#{name}" for name in remove) if remove else "",
            "ADD " + ", ".join(f"#{name} :add_{name}" for name in add) if add else "",
        ]
        expression = " ".join(clause for clause in clauses if clause)
        everything = {
            **{f"set_{name}": value for name, value in changes.items()},
            **{f"add_{name}": value for name, value in add.items()},
            **(values or {}),
        }
        return self._conditional(
            self._client.update_item, condition, everything, [expression], Key=to_attributes(key), UpdateExpression=expression
        )

    def delete(self, key: Mapping[str, Any], *, condition: str | None = None, values: Mapping[str, Any] | None = None) -> bool:
        """Delete an item; False if the condition did not hold."""
        return self._conditional(self._client.delete_item, condition, values or {}, [], Key=to_attributes(key))

    def query(
        self,
        condition: str,
        values: Mapping[str, Any],
        *,
        index: str | None = None,
        where: str | None = None,
        newest_first: bool = False,
        page_size: int | None = None,
    ) -> Iterator[Item]:
        """Items of one partition, all pages, lazily.

        Args:
            condition: Key condition.
            values: Values of both expressions.
            index: Secondary index, read with a delay; None reads the table itself, consistently.
            where: Filter on what the key condition found.
            newest_first: Largest sort key first.
            page_size: Most items to look at in one call.
        """
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": condition,
            "ScanIndexForward": not newest_first,
            "ExpressionAttributeNames": _names(condition, where or ""),
            "ExpressionAttributeValues": _values(values),
        }
        if index is None:
            request["ConsistentRead"] = True
        else:
            request["IndexName"] = index
        if where is not None:
            request["FilterExpression"] = where
        if page_size is not None:
            request["Limit"] = page_size
        while True:
            page = self._client.query(**request)
            yield from map(from_attributes, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _conditional(self, call: Any, condition: str | None, values: Mapping[str, Any], expressions: Sequence[str], **request: Any) -> bool:
        names = _names(condition or "", *expressions)
        if condition is not None:
            request["ConditionExpression"] = condition
        if names:
            request["ExpressionAttributeNames"] = names
        if values:
            request["ExpressionAttributeValues"] = _values(values)
        try:
            call(TableName=self.name, **request)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def is_storable(number: float) -> bool:
    """Whether DynamoDB can hold a number: it has neither NaN nor infinities, and its numbers end at 9.99e125 and at 1e-130."""
    return math.isfinite(number) and (number == 0 or _SMALLEST <= abs(number) <= _LARGEST)


def to_attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item in DynamoDB's notation; attributes that are None are left out."""
    return {name: _encode(value) for name, value in item.items() if value is not None}


def from_attributes(attributes: Mapping[str, Any]) -> Item:
    """An item in plain Python: whole numbers as int, others as float, sets of texts as sorted lists."""
    return {name: _decode(value) for name, value in attributes.items()}


def _names(*expressions: str) -> dict[str, str]:
    return {f"#{name}": name for expression in expressions for name in _NAME.findall(expression)}


def _values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f":{name}": _encode(value) for name, value in values.items()}


def _encode(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int() | Decimal():
            return {"N": str(value)}
        case float():
            if not is_storable(value):
                raise ValueError(f"DynamoDB cannot hold the number {value!r}: leave it out, and say so in words")
            return {"N": format(Decimal(repr(value)), "f")}
        case str():
            return {"S": value}
        case set() | frozenset():
            return {"SS": sorted(value)}
        case list() | tuple():
            return {"L": [_encode(entry) for entry in value]}
        case Mapping():
            return {"M": {str(name): _encode(entry) for name, entry in value.items()}}
        case _:
            raise TypeError(f"DynamoDB cannot hold {value!r} of {type(value).__name__}: pass text, numbers, booleans, lists or mappings")


def _decode(attribute: Mapping[str, Any]) -> Any:
    kind, value = next(iter(attribute.items()))
    match kind:
        case "N":
            number = Decimal(value)
            return int(number) if number == number.to_integral_value() else float(number)
        case "NULL":
            return None
        case "SS":
            return sorted(value)
        case "L":
            return [_decode(entry) for entry in value]
        case "M":
            return from_attributes(value)
        case _:
            return value
