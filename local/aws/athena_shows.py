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
    columns = _columns(table)
    place = (table.get("Parameters") or {}).get("metadata_location")
    if place:
        lines = ["\t".join((column["Name"], _spaced(column["Type"]), column.get("Comment") or "")) for column in columns]
        return ["# Table schema:\t\t", "# col_name\tdata_type\tcomment", *lines, "\t\t", *_partition_spec(place, caller)]
    keys = [_padded(key) for key in table.get("PartitionKeys") or []]
    lines = [*(_padded(column) for column in columns), *keys]
    return lines if not keys else [*lines, _BLANK, "# Partition Information\t \t ", _HEADER, _BLANK, *keys]


def columns_of(name: TableName) -> list[str]:
    """Lines of SHOW COLUMNS.

    Raises:
        StatementError: There is no such table.
    """
    table = _table(name)
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


def _columns(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Columns of today: writers of Iceberg leave those of the past in Glue, marked."""
    found = (table.get("StorageDescriptor") or {}).get("Columns") or []
    return [column for column in found if (column.get("Parameters") or {}).get("iceberg.field.current") != "false"]


def _padded(column: Mapping[str, Any]) -> str:
    return "\t".join(f"{text:<{_WIDTH}}" for text in (column["Name"], column.get("Type") or "", column.get("Comment") or ""))


def _spaced(kind: str) -> str:
    """A type as Iceberg tables show it: with a blank behind each colon and comma."""
    return re.sub(r"([:,])\s*", r"\1 ", kind)


def _partition_spec(place: str, caller: Caller) -> list[str]:
    metadata = json.loads(caller.get(*caller_objects.split(place)))
    spec = next(spec for spec in metadata["partition-specs"] if spec["spec-id"] == metadata["default-spec-id"])
    schema = next(schema for schema in metadata["schemas"] if schema["schema-id"] == metadata["current-schema-id"])
    names = {field["id"]: field["name"] for field in schema["fields"]}
    lines = ["\t".join((field["name"], field["transform"], names.get(field["source-id"], ""))) for field in spec["fields"]]
    return ["# Partition spec:\t\t", "# field_name\tfield_transform\tcolumn_name", *lines]
