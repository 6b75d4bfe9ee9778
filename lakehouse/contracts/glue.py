"""Columns of a table as the Glue catalog shows them: Hive types, for display; Iceberg's own metadata decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.contracts.tables import TableDefinition

_HIVE = {
    "boolean": "boolean",
    "int": "int",
    "long": "bigint",
    "float": "float",
    "double": "double",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamp",
    "string": "string",
    "binary": "binary",
}
_MAX_COMMENT = 255


def glue_type(type_: str | Mapping[str, Any]) -> str:
    """Hive type of an Iceberg type, such as `array<struct<sku:string,qty:int>>`.

    Raises:
        ValueError: Iceberg knows no such type, or Hive cannot hold it.
    """
    if isinstance(type_, str):
        if type_.startswith("decimal("):
            return type_.replace(" ", "")
        if type_ not in _HIVE:
            raise ValueError(f"there is no Hive type for the Iceberg type {type_!r}: there is one for decimal(p, s), {', '.join(_HIVE)}")
        return _HIVE[type_]
    match type_["type"]:
        case "struct":
            return "struct<" + ",".join(f"{field['name']}:{glue_type(field['type'])}" for field in type_["fields"]) + ">"
        case "list":
            return f"array<{glue_type(type_['element'])}>"
        case "map":
            return f"map<{glue_type(type_['key'])},{glue_type(type_['value'])}>"
        case other:
            raise ValueError(f"there is no Hive type for the Iceberg type {other!r}: nested types are struct, list and map")


def glue_columns(table: TableDefinition) -> list[dict[str, str]]:
    """Columns of a table in the form of Glue's API: Name, Type and, where there is one, Comment."""
    columns: list[dict[str, str]] = []
    for field in table.fields:
        column = {"Name": str(field["name"]), "Type": glue_type(field["type"])}
        if field.get("doc"):
            column["Comment"] = str(field["doc"])[:_MAX_COMMENT]
        columns.append(column)
    return columns
