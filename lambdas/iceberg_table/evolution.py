"""How an Iceberg schema evolves: nothing that a table holds is ever lost or narrowed by a deployment, not even by a rollback."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.errors import TerminalError

Field = dict[str, Any]
Type = str | dict[str, Any]

_DECIMAL = re.compile(r"decimal\((\d+), ?(\d+)\)")
_WIDER = {("int", "long"), ("float", "double")}


class IncompatibleChangeError(TerminalError):
    """The table cannot become what is asked for without losing or breaking what it holds."""


def evolved_fields(current: Sequence[Field], wanted: Sequence[Field], *, path: str = "") -> list[Field]:
    """The fields that a struct gets: what is wanted, joined with what it holds.

    Fields are the same if their ids are. A field that is not wanted (any more) stays, optional, behind the others; a type never gets narrower;
    an optional field stays optional. So a rollback changes names, order and comments only, and rolling forward again finds everything in place.

    Args:
        current: Fields of the table.
        wanted: Fields of its definition.
        path: Place of the struct, for messages.

    Raises:
        IncompatibleChangeError: A type would change, or a new field is required though older rows lack it.
    """
    held = {field["id"]: field for field in current}
    evolved: list[Field] = []
    for field in wanted:
        name = f"{path}{field['name']}"
        before = held.pop(field["id"], None)
        if before is None:
            if field["required"]:
                raise IncompatibleChangeError(
                    f"column {name} is new and required, but the rows that the table holds have no value for it: make it optional"
                )
            evolved.append(dict(field))
            continue
        joined = {**field, "required": bool(field["required"] and before["required"]), "type": _joined(before["type"], field["type"], name)}
        evolved.append(joined)
    names = {field["name"] for field in evolved}
    for field in held.values():
        if field["name"] in names:
            raise IncompatibleChangeError(
                f"column {path}{field['name']} has id {field['id']} in the table and another in the definition: restore the lock file of the contract"
            )
        evolved.append({**field, "required": False})
    return evolved


def _joined(current: Type, wanted: Type, name: str) -> Type:
    if isinstance(current, str) or isinstance(wanted, str):
        return _wider(current, wanted, name)
    if current["type"] != wanted["type"]:
        raise _incompatible(current["type"], wanted["type"], name)
    match wanted["type"]:
        case "struct":
            return {**wanted, "fields": evolved_fields(current["fields"], wanted["fields"], path=f"{name}.")}
        case "list":
            return {
                **wanted,
                "element": _joined(current["element"], wanted["element"], f"{name}.element"),
                "element-required": bool(wanted["element-required"] and current["element-required"]),
            }
        case "map":
            return {
                **wanted,
                "key": _joined(current["key"], wanted["key"], f"{name}.key"),
                "value": _joined(current["value"], wanted["value"], f"{name}.value"),
                "value-required": bool(wanted["value-required"] and current["value-required"]),
            }
        case _:
            raise _incompatible(current["type"], wanted["type"], name)


def _wider(current: Type, wanted: Type, name: str) -> Type:
    if not isinstance(current, str) or not isinstance(wanted, str):
        raise _incompatible(current, wanted, name)
    if _spelled(current) == _spelled(wanted):
        return wanted
    if _is_widening(current, wanted):
        return wanted
    if _is_widening(wanted, current):
        return current
    raise _incompatible(current, wanted, name)


def _is_widening(old: str, new: str) -> bool:
    if (old, new) in _WIDER:
        return True
    before, after = _DECIMAL.fullmatch(old), _DECIMAL.fullmatch(new)
    return before is not None and after is not None and before[2] == after[2] and int(after[1]) > int(before[1])


def _spelled(type_: str) -> str:
    return type_.replace(" ", "")


def _incompatible(current: object, wanted: object, name: str) -> IncompatibleChangeError:
    return IncompatibleChangeError(
        f"column {name} is {_shown(current)} in the table and {_shown(wanted)} in the definition: allowed are int to long, float to double and a"
        " decimal of larger precision; add a new column instead"
    )


def _shown(type_: object) -> object:
    return type_.get("type") if isinstance(type_, Mapping) else type_
