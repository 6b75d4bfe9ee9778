"""Values of rows, from Athena's texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Value = None | bool | int | float | str | Decimal | date | datetime | bytes
"""A value of a row."""

_INTEGERS = frozenset({"tinyint", "smallint", "integer", "int", "bigint"})
_FLOATS = frozenset({"float", "real", "double"})
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


def typed(kind: str, text: str | None) -> Value:
    """A value of Athena's text.

    Args:
        kind: Athena's type.
        text: The text; None is NULL, which an empty text is not.

    Returns:
        Integers, floats (NaN and the infinities too), booleans, decimals with their digits, dates, moments (with their zone, if the
        type has one) and bytes; all else is text: arrays, maps and rows, and moments that Python cannot hold.
    """
    if text is None:
        return None
    convert = _CONVERSIONS.get(kind)
    if convert is None:
        return text
    try:
        return convert(text)
    except (ValueError, ZoneInfoNotFoundError):
        return text


def _moment(text: str) -> datetime:
    if len(text.partition(".")[2]) > 6:
        raise ValueError("finer than a microsecond")
    return datetime.fromisoformat(text)


def _zoned(text: str) -> datetime:
    moment, _, zone = text.rpartition(" ")
    offset = _OFFSET.fullmatch(zone)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return _moment(moment).replace(tzinfo=timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes)))
    return _moment(moment).replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone))


_CONVERSIONS: Final[dict[str, Callable[[str], Value]]] = {
    **dict.fromkeys(_INTEGERS, int),
    **dict.fromkeys(_FLOATS, float),
    "boolean": lambda text: text.lower() == "true",
    "decimal": Decimal,
    "date": date.fromisoformat,
    "timestamp": _moment,
    "timestamp with time zone": _zoned,
    "varbinary": bytes.fromhex,
}
