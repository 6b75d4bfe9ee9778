"""The `warehouse` extension of a contract: how its table is spread, sorted and compressed in Redshift, and which rows it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

from lakehouse.contracts.compiler.columns import AuthoredColumn
from lakehouse.contracts.compiler.documents import Place, nearest
from lakehouse.contracts.model import WAREHOUSE_DIST_STYLES, WAREHOUSE_ENCODINGS, HotRows, Warehouse

KEYS = ("distStyle", "distKey", "sortKey", "encodings", "hot")
"""Keys of the extension."""

HOT_KEYS = ("column", "days")
"""Keys of `hot`."""

MAX_HOT_DAYS = 36_500

MAX_SORT_KEYS = 400
"""Most columns of a sort key."""

_NUMBERS = ("int", "long", "date", "timestamp", "timestamptz")

Complain = Callable[[Place, str, str], None]
"""Takes the place, the problem and the fix of a fault."""


def parse_warehouse(value: Mapping[str, Any], place: Place, columns: Mapping[str, AuthoredColumn], complain: Complain) -> Warehouse:
    """Read the extension; what is wrong becomes a fault.

    Args:
        value: What the author wrote.
        place: Where it stands.
        columns: Columns of the contract by name.
        complain: Takes the faults.
    """
    key = value.get("distKey")
    sort = _sort(value.get("sortKey", []), (*place, "sortKey"), columns, complain)
    return Warehouse(
        dist_style=_spread(value, key, place, columns, complain),
        dist_key=key if isinstance(key, str) else None,
        sort_keys=tuple(sort),
        encodings=_encodings(value.get("encodings", {}), (*place, "encodings"), columns, sort, complain),
        hot=_hot(value["hot"], (*place, "hot"), columns, complain) if "hot" in value else None,
    )


def _spread(
    value: Mapping[str, Any], key: Any, place: Place, columns: Mapping[str, AuthoredColumn], complain: Complain
) -> Literal["auto", "even", "all", "key"]:
    style = value.get("distStyle", "auto" if key is None else "key")
    if key is not None:
        _column(key, (*place, "distKey"), columns, complain)
    if style not in WAREHOUSE_DIST_STYLES:
        complain((*place, "distStyle"), f"{style!r} is not a way to spread rows", nearest(str(style), WAREHOUSE_DIST_STYLES))
        return "auto"
    if style == "key" and key is None:
        complain((*place, "distStyle"), "key needs a column to spread rows by", "add distKey: <column>")
    elif style != "key" and key is not None:
        complain((*place, "distStyle"), f"{style} takes no distKey", "remove distKey, or write distStyle: key")
    return style


def _sort(value: Any, place: Place, columns: Mapping[str, AuthoredColumn], complain: Complain) -> list[str]:
    if not isinstance(value, list):
        complain(place, f"{value!r} is not a list", "write sortKey: [order_date]")
        return []
    sort: list[str] = []
    for index, name in enumerate(cast("list[Any]", value)):
        if name in sort:
            complain((*place, index), f"{name!r} stands twice", "keep it once")
        elif _column(name, (*place, index), columns, complain):
            sort.append(name)
    if len(sort) > MAX_SORT_KEYS:
        complain(place, f"has {len(sort)} columns", f"name at most {MAX_SORT_KEYS}; a few leading ones do all the work")
    return sort


def _encodings(value: Any, place: Place, columns: Mapping[str, AuthoredColumn], sort: list[str], complain: Complain) -> dict[str, str]:
    if not isinstance(value, dict):
        complain(place, f"{value!r} is not a mapping", "write encodings: {comment: zstd}")
        return {}
    encodings: dict[str, str] = {}
    for name, encoding in cast("dict[Any, Any]", value).items():
        here = (*place, str(name))
        if not _column(name, here, columns, complain):
            continue
        allowed = WAREHOUSE_ENCODINGS[_kind(columns[name].type)]
        if encoding not in allowed:
            complain(here, f"{encoding!r} is no compression for {columns[name].type}", nearest(str(encoding), allowed))
        elif sort[:1] == [name] and encoding not in ("auto", "raw"):
            complain(
                here,
                f"{name} leads the sort key, and compressed it makes every range scan slower",
                "leave it out: the first column of a sort key stays raw",
            )
        encodings[name] = str(encoding)
    return encodings


def _hot(value: Any, place: Place, columns: Mapping[str, AuthoredColumn], complain: Complain) -> HotRows | None:
    given = cast("dict[Any, Any]", value) if isinstance(value, dict) else {}
    if set(given) != set(HOT_KEYS):
        complain(place, f"{value!r} does not say which rows are hot", "write hot: {column: order_date, days: 90}")
        return None
    name, days = given["column"], given["days"]
    if not _column(name, (*place, "column"), columns, complain):
        return None
    found = columns[name].field
    if found.type != "date" or not found.required:
        complain(
            (*place, "column"),
            f"{name} is {'' if found.required else 'an optional '}{found.type}, so nobody can tell how old every row is",
            "name a date that is required",
        )
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= MAX_HOT_DAYS:
        complain((*place, "days"), f"{days!r} is no number of days", f"write 1-{MAX_HOT_DAYS}, such as 90")
        return None
    return HotRows(column=str(name), days=days)


def _column(name: Any, place: Place, columns: Mapping[str, AuthoredColumn], complain: Complain) -> bool:
    if isinstance(name, str) and name in columns:
        return True
    complain(place, f"there is no column {name!r}", nearest(str(name), columns))
    return False


def _kind(type_: Any) -> str:
    if type_ == "string":
        return "string"
    return "number" if type_ in _NUMBERS or str(type_).startswith("decimal") else "other"
