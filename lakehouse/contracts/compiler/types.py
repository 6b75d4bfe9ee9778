"""From ODCS logical types to Iceberg types; what the platform cannot hold is refused here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lakehouse.contracts.compiler.documents import Document, Place
from lakehouse.contracts.compiler.nodes import FieldNode, ListNode, MapNode, StructNode, TypeNode
from lakehouse.errors import Fault

INTEGERS: Mapping[str, str] = {
    "i8": "int",
    "i16": "int",
    "i32": "int",
    "u8": "int",
    "u16": "int",
    "u32": "long",
    "i64": "long",
    "u64": "decimal(20, 0)",
}
"""Iceberg type that holds each integer format."""

INTEGER_RANGES: Mapping[str, tuple[int, int]] = {
    "i8": (-(2**7), 2**7 - 1),
    "i16": (-(2**15), 2**15 - 1),
    "u8": (0, 2**8 - 1),
    "u16": (0, 2**16 - 1),
    "u32": (0, 2**32 - 1),
    "u64": (0, 2**64 - 1),
}
"""Bounds of the formats that are narrower than the Iceberg type that holds them: the gate checks them."""

FLOATS: Mapping[str, str] = {"f32": "float", "f64": "double"}
"""Iceberg type of each floating point format."""

STRING_FORMATS = ("email", "uri", "hostname", "ipv4", "ipv6", "password", "byte")
"""String formats that ODCS lists and that change nothing about the column: documentation."""

MAX_PRECISION = 38

NAME = re.compile(r"[a-z][a-z0-9_]*")
"""What a column, dataset or domain may be called: the same in Glue, Athena, Spark and S3."""

_DECIMAL = re.compile(r"decimal\(\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*\)")


def parse_type(node: Mapping[str, Any], *, place: Place, document: Document, faults: list[Fault]) -> TypeNode | None:
    """Iceberg type of a property, of the element of an array, or of a map's key or value.

    Args:
        node: The ODCS property.
        place: Where it stands.
        document: The contract.
        faults: Receives what is wrong.

    Returns:
        The type, or None if it has a fault.
    """
    return _Type(node=node, place=place, document=document, faults=faults).parse()


class _Type:
    """A type while it is read."""

    def __init__(self, *, node: Mapping[str, Any], place: Place, document: Document, faults: list[Fault]) -> None:
        raw_options = node.get("logicalTypeOptions")
        self.node = node
        self.place = place
        self.document = document
        self.faults = faults
        self.logical = node.get("logicalType")
        self.physical = node.get("physicalType")
        self.options: dict[str, Any] = raw_options if isinstance(raw_options, dict) else {}
        self.format = self.options.get("format")

    def parse(self) -> TypeNode | None:
        """The type, or None if it has a fault."""
        count = len(self.faults)
        if self.logical is None:
            self._fault(
                "",
                "has no logicalType",
                f"add logicalType, one of {', '.join(name for name in self._readers if name not in ('time', 'vector'))}",
            )
            return None
        if self.physical is not None and self.logical != "number":
            fix = "remove it: only decimals need a physicalType, every other type follows from logicalType"
            self._fault("physicalType", f"{self.physical!r} is set on a {self.logical}", fix)
        reader = self._readers.get(self.logical) if isinstance(self.logical, str) else None
        result = reader() if reader else None
        return result if len(self.faults) == count else None

    @property
    def _readers(self) -> dict[str, Callable[[], TypeNode | None]]:
        return {
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
            "boolean": lambda: "boolean",
            "date": lambda: "date",
            "timestamp": self._timestamp,
            "object": lambda: _struct(self.node, self.place, self.document, self.faults),
            "array": lambda: _list(self.node, self.place, self.document, self.faults),
            "map": lambda: _map(self.node, self.place, self.document, self.faults),
            "time": self._time,
            "vector": self._vector,
        }

    def _fault(self, key: str, problem: str, fix: str) -> None:
        self.faults.append(self.document.fault((*self.place, *key.split(".")) if key else self.place, problem, fix))

    def _string(self) -> TypeNode:
        if self.format is not None and self.format not in ("binary", "uuid", *STRING_FORMATS):
            self._fault(
                "logicalTypeOptions.format",
                f"{self.format!r} is not a format of a string",
                f"use binary, uuid or one of {', '.join(STRING_FORMATS)}",
            )
        return "binary" if self.format == "binary" else "string"

    def _integer(self) -> TypeNode | None:
        if self.format is None:
            place = "logicalTypeOptions.format" if self.options else ""
            self._fault(place, "is an integer without a format", "add logicalTypeOptions: {format: i64}, or i32")
        elif self.format in ("i128", "u128"):
            self._fault(
                "logicalTypeOptions.format",
                f"{self.format} fits no Iceberg type",
                'use logicalType: number with physicalType: "decimal(38,0)"',
            )
        return INTEGERS.get(str(self.format))

    def _number(self) -> TypeNode | None:
        if self.physical is None:
            if self.format is None:
                self._fault(
                    "", "is a number without a precision", 'add physicalType: "decimal(15,2)", or logicalTypeOptions: {format: f64}'
                )
            return FLOATS.get(str(self.format))
        if self.format is not None:
            fix = "keep one: physicalType for a decimal, format for a floating point number"
            self._fault("physicalType", f"{self.physical!r} stands beside the format {self.format!r}", fix)
            return None
        found = _DECIMAL.fullmatch(str(self.physical))
        if found is None:
            self._fault("physicalType", f"{self.physical!r} is not a decimal", 'write "decimal(precision,scale)", such as "decimal(15,2)"')
            return None
        precision, scale = int(found[1]), int(found[2])
        if not (1 <= precision <= MAX_PRECISION and scale <= precision):
            fix = f"the precision is 1 to {MAX_PRECISION} and the scale 0 to the precision"
            self._fault("physicalType", f"{self.physical!r} is out of bounds", fix)
        return f"decimal({precision}, {scale})"

    def _timestamp(self) -> TypeNode | None:
        zoned, default = self.options.get("timezone"), self.options.get("defaultTimezone")
        if default not in (None, "Etc/UTC", "UTC"):
            fix = "deliver UTC, or put the offset into the values; sessions run in UTC"
            self._fault("logicalTypeOptions.defaultTimezone", f"{default!r} is not UTC", fix)
        if zoned is None:
            place = "logicalTypeOptions" if self.options else ""
            self._fault(
                place, "is a timestamp that does not say whether it has a time zone", "add logicalTypeOptions: {timezone: true}, or false"
            )
        return "timestamptz" if zoned else "timestamp"

    def _time(self) -> None:
        self._fault("logicalType", "time has no type in Spark", "use a string with a pattern such as '^[0-2][0-9]:[0-5][0-9]$'")

    def _vector(self) -> None:
        fix = "use logicalType: array with items: {logicalType: number, logicalTypeOptions: {format: f32}, required: true}"
        self._fault("logicalType", "vector cannot be applied yet", fix)


def _struct(node: Mapping[str, Any], place: Place, document: Document, faults: list[Fault]) -> TypeNode | None:
    properties = node.get("properties")
    if not isinstance(properties, list) or not properties:
        faults.append(document.fault(place, "is an object without properties", "list its fields under properties"))
        return None
    fields: list[FieldNode] = []
    for index, item in enumerate(properties):
        if isinstance(item, dict):
            here = (*place, "properties", index)
            type_ = parse_type(item, place=here, document=document, faults=faults)
            name, id_ = item.get("name"), item.get("id")
            check_name(name, here, document, faults)
            if id_ is None:
                faults.append(document.fault(here, "has no id", f"add id: {name}; it stays when the field is renamed"))
            if isinstance(name, str) and isinstance(id_, str) and type_ is not None:
                fields.append(FieldNode(id=id_, name=name, required=item.get("required") is True, type=type_))
    for key in ("id", "name"):
        repeated(properties, key, (*place, "properties"), document, faults)
    return StructNode(fields=tuple(fields))


def _list(node: Mapping[str, Any], place: Place, document: Document, faults: list[Fault]) -> TypeNode | None:
    items = node.get("items")
    if not isinstance(items, dict):
        faults.append(document.fault(place, "is an array without items", "add items: {logicalType: ...}"))
        return None
    type_ = parse_type(items, place=(*place, "items"), document=document, faults=faults)
    return (
        None
        if type_ is None
        else ListNode(element=FieldNode(id="element", name="element", required=items.get("required") is True, type=type_))
    )


def _map(node: Mapping[str, Any], place: Place, document: Document, faults: list[Fault]) -> TypeNode | None:
    entry = node.get("map")
    if not isinstance(entry, dict) or not isinstance(entry.get("key"), dict) or not isinstance(entry.get("value"), dict):
        faults.append(
            document.fault(place, "is a map without key and value", "add map: {key: {logicalType: string}, value: {logicalType: string}}")
        )
        return None
    key = parse_type(entry["key"], place=(*place, "map", "key"), document=document, faults=faults)
    value = parse_type(entry["value"], place=(*place, "map", "value"), document=document, faults=faults)
    if key is None or value is None:
        return None
    if not isinstance(key, str):
        faults.append(document.fault((*place, "map", "key"), "is a nested type", "use a string or an integer as the key of a map"))
        return None
    return MapNode(
        key=FieldNode(id="key", name="key", required=True, type=key),
        value=FieldNode(id="value", name="value", required=entry["value"].get("required") is True, type=value),
    )


def check_name(name: Any, place: Place, document: Document, faults: list[Fault]) -> None:
    """A name must be the same word in every engine."""
    if isinstance(name, str) and not NAME.fullmatch(name):
        faults.append(
            document.fault((*place, "name"), f"{name!r} is not a name", "use lower-case letters, digits and underscores, a letter first")
        )


def repeated(items: list[Any], key: str, place: Place, document: Document, faults: list[Fault]) -> None:
    """Values of a key must differ among the items of a list."""
    first: dict[str, int] = {}
    for index, item in enumerate(items):
        value = item.get(key) if isinstance(item, dict) else None
        if not isinstance(value, str):
            continue
        if value in first:
            line = document.line((*place, first[value], key))
            faults.append(
                document.fault((*place, index, key), f"{value!r} is used twice, first at line {line}", f"give each its own {key}")
            )
        first.setdefault(value, index)
