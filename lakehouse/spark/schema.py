"""Spark schemas of contracts and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pyspark.sql import types as T

from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import TableDefinition

_PRIMITIVES: Mapping[str, T.DataType] = {
    "boolean": T.BooleanType(),
    "int": T.IntegerType(),
    "long": T.LongType(),
    "float": T.FloatType(),
    "double": T.DoubleType(),
    "date": T.DateType(),
    "timestamp": T.TimestampNTZType(),
    "timestamptz": T.TimestampType(),
    "string": T.StringType(),
    "binary": T.BinaryType(),
}
_DECIMAL = re.compile(r"decimal\((\d+), ?(\d+)\)")


def spark_type(type_: str | Mapping[str, Any]) -> T.DataType:
    """Spark type of an Iceberg type.

    Raises:
        ValueError: Iceberg knows no such type, or Spark cannot hold it.
    """
    if isinstance(type_, str):
        found = _DECIMAL.fullmatch(type_)
        if found:
            return T.DecimalType(int(found[1]), int(found[2]))
        if type_ not in _PRIMITIVES:
            raise ValueError(
                f"there is no Spark type for the Iceberg type {type_!r}: there is one for decimal(p, s), {', '.join(_PRIMITIVES)}"
            )
        return _PRIMITIVES[type_]
    if type_["type"] == "struct":
        return spark_struct(type_["fields"])
    if type_["type"] == "list":
        return T.ArrayType(spark_type(type_["element"]), containsNull=not type_["element-required"])
    if type_["type"] == "map":
        return T.MapType(spark_type(type_["key"]), spark_type(type_["value"]), valueContainsNull=not type_["value-required"])
    raise ValueError(f"there is no Spark type for the Iceberg type {type_['type']!r}: nested types are struct, list and map")


def spark_struct(fields: Iterable[Mapping[str, Any]]) -> T.StructType:
    """Spark schema of the fields of an Iceberg schema or struct."""
    return T.StructType([T.StructField(field["name"], spark_type(field["type"]), nullable=not field["required"]) for field in fields])


def table_schema(table: TableDefinition) -> T.StructType:
    """Spark schema of a table, the platform's columns included."""
    return spark_struct(table.fields)


def contract_schema(contract: CompiledContract) -> T.StructType:
    """Spark schema of a contract's own columns."""
    return T.StructType([T.StructField(column.name, spark_type(column.type), nullable=not column.required) for column in contract.columns])
