"""Values of the RDS Data API: a parameter from a Python value, and a Python value from a field of a row."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

Value = None | bool | int | float | Decimal | str | bytes | date | time | datetime | UUID
"""What a parameter can be; a document of JSON is text that the statement casts: `CAST(:document AS jsonb)`."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_FRACTION = re.compile(r"(\.\d{6})\d+")
_MOST, _LEAST = 2**63 - 1, -(2**63)


def parameters_of(values: Mapping[str, Value]) -> list[dict[str, Any]]:
    """Values by name as the Data API takes them.

    Raises:
        TypeError: A value is of a type that has no parameter.
        ValueError: A name is none, or a value is out of the range of its type.
    """
    return [_parameter(name, value) for name, value in values.items()]


def _parameter(name: str, value: Value) -> dict[str, Any]:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a parameter: letters, digits and underscores, no digit first; the text says :name")
    return {"name": name, **_typed(name, value)}


def _typed(name: str, value: Value) -> dict[str, Any]:
    """Value and hint of a parameter."""
    match value:
        case None:
            return {"value": {"isNull": True}}
        case bool():
            return {"value": {"booleanValue": value}}
        case int():
            _refuse_unless(_LEAST <= value <= _MOST, name, value, "more than 64 bits: pass a Decimal")
            return {"value": {"longValue": value}}
        case float():
            _refuse_unless(math.isfinite(value), name, value, "nothing that the Data API can carry: pass None")
            return {"value": {"doubleValue": value}}
        case str():
            return {"value": {"stringValue": value}}
        case bytes():
            return {"value": {"blobValue": value}}
        case _:
            text, hint = _hinted(name, value)
            return {"value": {"stringValue": text}, "typeHint": hint}


def _hinted(name: str, value: Value) -> tuple[str, str]:
    """A value as text, with the hint without which the database would take it for text, and compare it to no date and no number."""
    match value:
        case Decimal():
            _refuse_unless(value.is_finite(), name, value, "nothing that the Data API can carry: pass None")
            return format(value, "f"), "DECIMAL"
        case UUID():
            return str(value), "UUID"
        case datetime():  # before date, which it is as well
            moment = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
            return moment.isoformat(sep=" "), "TIMESTAMP"
        case date():
            return value.isoformat(), "DATE"
        case time():
            _refuse_unless(value.tzinfo is None, name, value, "a time of day with a zone, which the Data API cannot carry: pass a datetime")
            return value.isoformat(), "TIME"
        case _:
            raise TypeError(
                f"the parameter {name} is a {type(value).__name__}: allowed are None, bool, int, float, Decimal, str, bytes, date, time, datetime and "
                "UUID. The Data API takes no arrays; pass a document as json.dumps(...) and write CAST(:name AS jsonb)"
            )


def _refuse_unless(fits: bool, name: str, value: Value, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not fits:
        raise ValueError(f"the parameter {name} = {value} is {what}")


def value_of(field: Mapping[str, Any], type_: str) -> Any:
    """A field of a row as Python.

    Args:
        field: The field as the Data API gives it.
        type_: The database's name of its column's type, such as `numeric`; `_numeric` or `numeric[]` is an array of it.
    """
    if field.get("isNull"):
        return None
    (value,) = field.values()
    name = type_.lower()
    if isinstance(value, Mapping):
        element = name.removeprefix("_").removesuffix("[]")
        (elements,) = value.values() if value else ([],)
        return [None if each is None else _python(each, element) for each in elements]
    return _python(value, name)


def _python(value: Any, type_: str) -> Any:
    read = _READ.get(type_)
    return read(value) if read is not None and isinstance(value, str) else value


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(_LONGEST_FRACTION.sub(r"\1", text))


def _utc(text: str) -> datetime:
    """A moment with a zone: the Data API gives it in UTC, and leaves the zone out."""
    moment = _moment(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_READ: Mapping[str, Callable[[str], Any]] = {
    "numeric": Decimal,
    "decimal": Decimal,
    "int8": int,
    "bigint": int,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timestamp": _moment,
    "datetime": _moment,
    "timestamptz": _utc,
    "uuid": UUID,
    "json": json.loads,
    "jsonb": json.loads,
}
"""Types that come as text, and what they are in Python; any other text is text."""
