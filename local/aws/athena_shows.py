"""What DESCRIBE and SHOW COLUMNS answer: Hive runs them in Athena, not Trino, so their columns, types and blanks are Hive's.

Sources: the DESCRIBE page of Athena's user guide; dacort/metabase-athena-driver#112 for Iceberg tables; PyAthena's test_show_columns;
ghdna/athena-express#78 for rows of one cell with tabs in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from local.aws import caller_objects, seam
from local.aws.athena_access import Caller
from local.aws.athena_sql import StatementError, TableName
from local.aws.glue_iceberg import hive_type

_WIDTH = 20
_HEADER = "# col_name            \tdata_type           \tcomment             "
_BLANK = "\t \t "

_glue = seam.module("services.glue")


def described(name: TableName, caller: Caller) -> list[str]:
    """Lines of DESCRIBE, fields by tab.

    Raises:
        StatementError: There is no such table.
    """
    table = _table(name)
    metadata = _metadata(table, caller)
    if metadata is not None:
        fields = _fields(metadata)
        lines = ["\t".join((field["name"], _spaced(hive_type(field["type"])), field.get("doc") or "")) for field in fields]
        return ["# Table schema:\t\t", "# col_name\tdata_type\tcomment", *lines, "\t\t", *_partition_spec(metadata)]
    keys = [_padded(key) for key in table.get("PartitionKeys") or []]
    lines = [*(_padded(column) for column in _columns(table)), *keys]
    return lines if not keys else [*lines, _BLANK, "# Partition Information\t \t ", _HEADER, _BLANK, *keys]


def columns_of(name: TableName, caller: Caller) -> list[str]:
    """Lines of SHOW COLUMNS.

    Raises:
        StatementError: There is no such table.
    """
    table = _table(name)
    metadata = _metadata(table, caller)
    if metadata is not None:
        return [f"{field['name']:<{_WIDTH}}" for field in _fields(metadata)]
    return [f"{column['Name']:<{_WIDTH}}" for column in [*_columns(table), *(table.get("PartitionKeys") or [])]]


def column_infos(names: Sequence[str]) -> list[dict[str, Any]]:
    """Columns as GetQueryResults describes them, though each row has one cell."""
    about = {"CatalogName": "hive", "SchemaName": "", "TableName": "", "Type": "string", "Precision": 0, "Scale": 0}
    return [{**about, "Name": name, "Label": name, "Nullable": "UNKNOWN", "CaseSensitive": False} for name in names]


def _table(name: TableName) -> dict[str, Any]:
    found: dict[str, Any] | None = _glue._tables.get(f"{name.database}/{name.table}")
    if found is None:
        raise StatementError(f"FAILED: SemanticException [Error 10001]: Table not found {name.database}.{name.table}")
    return found


def _metadata(table: Mapping[str, Any], caller: Caller) -> dict[str, Any] | None:
    """Iceberg's own metadata, read as the caller: what writers leave of the columns in Glue differs from writer to writer."""
    place = (table.get("Parameters") or {}).get("metadata_location")
    return json.loads(caller.get(*caller_objects.split(place))) if place else None


def _fields(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = next(
        schema["fields"] for schema in metadata["schemas"] if schema["schema-id"] == metadata["current-schema-id"]
    )
    return found


def _columns(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list((table.get("StorageDescriptor") or {}).get("Columns") or [])


def _padded(column: Mapping[str, Any]) -> str:
    return "\t".join(f"{text:<{_WIDTH}}" for text in (column["Name"], column.get("Type") or "", column.get("Comment") or ""))


def _spaced(kind: str) -> str:
    """A type as Iceberg tables show it: with a blank behind each colon and comma."""
    return re.sub(r"([:,])\s*", r"\1 ", kind)


def _partition_spec(metadata: Mapping[str, Any]) -> list[str]:
    spec = next(spec for spec in metadata["partition-specs"] if spec["spec-id"] == metadata["default-spec-id"])
    names = {field["id"]: field["name"] for field in _fields(metadata)}
    lines = ["\t".join((field["name"], field["transform"], names.get(field["source-id"], ""))) for field in spec["fields"]]
    return ["# Partition spec:\t\t", "# field_name\tfield_transform\tcolumn_name", *lines]
