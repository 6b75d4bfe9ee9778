"""Types of authored columns before the lock file gives them field ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Allocate = Callable[[str], int]
"""Gives the field id of a path."""


@dataclass(frozen=True, kw_only=True)
class FieldNode:
    """A column, a field of a struct, the element of a list, or the key or value of a map.

    Attributes:
        id: Stable id of the property in its parent; `element`, `key` and `value` for parts of lists and maps.
        name: Name in the table.
        required: Whether it can never be NULL.
        type: Iceberg name of a primitive type, or a nested type.
    """

    id: str
    name: str
    required: bool
    type: TypeNode


@dataclass(frozen=True, kw_only=True)
class StructNode:
    """A struct."""

    fields: tuple[FieldNode, ...]


@dataclass(frozen=True, kw_only=True)
class ListNode:
    """A list."""

    element: FieldNode


@dataclass(frozen=True, kw_only=True)
class MapNode:
    """A map."""

    key: FieldNode
    value: FieldNode


TypeNode = str | StructNode | ListNode | MapNode


def children(node: TypeNode) -> tuple[FieldNode, ...]:
    """Fields directly inside a type."""
    if isinstance(node, StructNode):
        return node.fields
    if isinstance(node, ListNode):
        return (node.element,)
    if isinstance(node, MapNode):
        return (node.key, node.value)
    return ()


def walk(fields: tuple[FieldNode, ...], parent: str = "") -> Iterator[tuple[str, FieldNode]]:
    """Every field with its path of ids (`shipping.zip`), in the order in which Iceberg numbers a new schema.

    Iceberg's `AssignFreshIds` numbers all fields of a struct before it descends into any of them.
    """
    paths = [f"{parent}.{field.id}" if parent else field.id for field in fields]
    yield from zip(paths, fields, strict=True)
    for path, field in zip(paths, fields, strict=True):
        yield from walk(children(field.type), path)


def type_json(node: TypeNode, *, path: str, allocate: Allocate) -> str | dict[str, Any]:
    """A type as Iceberg schema JSON.

    Args:
        node: The type.
        path: Path of the field that has it.
        allocate: Field id of a path.
    """
    if isinstance(node, str):
        return node
    parts = {
        field.id: (allocate(f"{path}.{field.id}"), type_json(field.type, path=f"{path}.{field.id}", allocate=allocate))
        for field in children(node)
    }
    if isinstance(node, StructNode):
        return {
            "type": "struct",
            "fields": [
                {"id": parts[field.id][0], "name": field.name, "required": field.required, "type": parts[field.id][1]}
                for field in node.fields
            ],
        }
    if isinstance(node, ListNode):
        element = parts["element"]
        return {"type": "list", "element-id": element[0], "element": element[1], "element-required": node.element.required}
    key, value = parts["key"], parts["value"]
    return {"type": "map", "key-id": key[0], "key": key[1], "value-id": value[0], "value": value[1], "value-required": node.value.required}


def kind(node: TypeNode) -> str:
    """A type in one word, primitives as they are: `struct`, `list`, `map`, `long`."""
    if isinstance(node, str):
        return node
    return {StructNode: "struct", ListNode: "list", MapNode: "map"}[type(node)]
