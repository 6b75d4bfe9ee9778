"""Definitions of views, tables and databases, carried out: in Glue what is Hive's, by Trino what is a view or Iceberg's."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from local.aws import seam
from local.aws.athena_access import Caller
from local.aws.athena_definitions import (
    AlterTable,
    Column,
    CreateDatabase,
    CreateTable,
    CreateView,
    Definition,
    DropDatabase,
    DropView,
    trino_type,
)
from local.aws.athena_files import hive_type
from local.aws.athena_sql import CATALOG, StatementError, TableName, quoted
from local.aws.caller_objects import split

Run = Callable[[str, Mapping[str, str]], None]
"""Has Trino run a statement to its end, with settings of the session."""

GlueCall = Callable[[Any, Mapping[str, Any]], None]
"""Calls Glue for somebody who was asked for the right to it before."""

_glue = seam.module("services.glue")


def define(asked: Definition, *, caller: Caller, run: Run, call: GlueCall) -> None:
    """Carry out a definition, for whose rights in Glue its caller was asked before.

    Raises:
        StatementError: It does not fit what there is.
        AccessRefusedError: The caller may not write the table's folder.
        TrinoError: Trino refuses it.
    """
    match asked:
        case CreateView():
            run(f"CREATE {'OR REPLACE ' if asked.replaces else ''}VIEW {_sql_name(asked.name)} AS\n{asked.query}", {})
            _tell_columns(asked.name)
        case DropView():
            run(f"DROP VIEW {'IF EXISTS ' if asked.if_exists else ''}{_sql_name(asked.name)}", {})
        case CreateTable():
            _create_table(asked, caller=caller, run=run, call=call)
        case AlterTable():
            _alter_table(asked, caller=caller, run=run, call=call)
        case CreateDatabase():
            _create_database(asked, call=call)
        case DropDatabase():
            _drop_database(asked, call=call)


def rights(asked: Definition) -> list[tuple[str, dict[str, Any]]]:
    """Operations of Glue that a definition needs, each with what it is asked on."""
    match asked:
        case CreateView():
            replaced = [("UpdateTable", _input(asked.name))] if asked.replaces and _table(asked.name) is not None else []
            return [*_reads(asked.name), *(replaced or [("CreateTable", _input(asked.name))])]
        case DropView():
            return [*_reads(asked.name), ("DeleteTable", {"DatabaseName": asked.name.database, "Name": asked.name.table})]
        case CreateTable():
            return [*_reads(asked.name), ("CreateTable", _input(asked.name))]
        case AlterTable(to=TableName() as to):
            gone = ("DeleteTable", {"DatabaseName": asked.name.database, "Name": asked.name.table})
            return [*_reads(asked.name), *_reads(to), ("CreateTable", _input(to)), gone]
        case AlterTable():
            return [*_reads(asked.name), ("UpdateTable", _input(asked.name))]
        case CreateDatabase():
            return [("GetDatabase", {"Name": asked.name}), ("CreateDatabase", {"DatabaseInput": {"Name": asked.name}})]
        case DropDatabase():
            inside = [("GetTables", {"DatabaseName": asked.name})]
            tables = [
                ("DeleteTable", {"DatabaseName": asked.name, "Name": name}) for name in (_tables_of(asked.name) if asked.cascades else [])
            ]
            return [("GetDatabase", {"Name": asked.name}), *inside, *tables, ("DeleteDatabase", {"Name": asked.name})]


# ---- tables --------------------------------------------------------------------------------------------------------------


def _create_table(asked: CreateTable, *, caller: Caller, run: Run, call: GlueCall) -> None:
    if _table(asked.name) is not None:
        if asked.if_not_exists:
            return
        raise StatementError(
            f"FAILED: Execution Error, return code 1. AlreadyExistsException(message:Table {asked.name.table} already exists)"
        )
    if asked.name.database not in _glue._databases:
        raise StatementError(f"FAILED: SemanticException [Error 10072]: Database does not exist: {asked.name.database}")
    bucket, prefix = split(asked.location)
    caller.ask_bucket(bucket)
    is_empty = not caller.has_objects(bucket, prefix)
    if asked.is_external:
        call(_glue._create_table, {"DatabaseName": asked.name.database, "TableInput": _table_input(asked)})
        return
    if not is_empty:
        raise StatementError(f"ICEBERG_FILESYSTEM_ERROR: Cannot create a table on a non-empty location: {asked.location}")
    for folder in ("data", "metadata"):
        caller.ask_write(bucket, f"{prefix}/{folder}/new")
    columns = ", ".join(_sql_column(column) for column in asked.columns)
    settings = [f"format = '{asked.properties.get('format', 'parquet').upper()}'", f"location = '{asked.location.rstrip('/')}'"]
    if asked.partitioned_by:
        settings.append(f"partitioning = ARRAY[{', '.join(_text(column.name) for column in asked.partitioned_by)}]")
    comment = f" COMMENT {_text(asked.comment)}" if asked.comment else ""
    compression = asked.properties.get("write_compression", "zstd").upper()
    run(
        f"CREATE TABLE {_sql_name(asked.name)} (\n{columns}){comment} WITH ({', '.join(settings)})",
        {f"{CATALOG}.compression_codec": compression},
    )


def _table_input(asked: CreateTable) -> dict[str, Any]:
    reads, writes, serde = asked.storage
    return {
        "Name": asked.name.table,
        "TableType": "EXTERNAL_TABLE",
        **({"Description": asked.comment} if asked.comment else {}),
        "PartitionKeys": [_glue_column(column) for column in asked.partitioned_by],
        "Parameters": {"EXTERNAL": "TRUE", **asked.properties},
        "StorageDescriptor": {
            "Columns": [_glue_column(column) for column in asked.columns],
            "Location": asked.location,
            "InputFormat": reads,
            "OutputFormat": writes,
            "SerdeInfo": {"SerializationLibrary": serde, "Parameters": {"serialization.format": "1", **asked.serde_properties}},
        },
    }


def _alter_table(asked: AlterTable, *, caller: Caller, run: Run, call: GlueCall) -> None:
    table = _table(asked.name)
    if table is None:
        raise StatementError(f"FAILED: SemanticException [Error 10001]: Table not found {asked.name.database}.{asked.name.table}")
    if table.get("TableType") == "VIRTUAL_VIEW":
        raise StatementError(f"FAILED: SemanticException Cannot alter the view {asked.name.table} as a table: use CREATE OR REPLACE VIEW")
    if "metadata_location" in (table.get("Parameters") or {}):
        _alter_iceberg(asked, table, caller=caller, run=run)
        return
    if asked.action in {"rename", "drop"}:
        what = "RENAME TO" if asked.action == "rename" else "DROP COLUMN"
        raise StatementError(f"NOT_SUPPORTED: ALTER TABLE {what} is for Iceberg tables, and {asked.name.table} is none")
    storage = dict(table["StorageDescriptor"])
    storage["Columns"] = _hive_columns(asked, list(storage.get("Columns") or []))
    kept = {name: table[name] for name in ("Description", "Owner", "Retention", "PartitionKeys", "TableType") if name in table}
    changed = {
        **kept, "Name": asked.name.table, "StorageDescriptor": storage, "Parameters": {**(table.get("Parameters") or {}), **asked.properties}
    }  # fmt: skip
    call(_glue._update_table, {"DatabaseName": asked.name.database, "TableInput": changed})


def _hive_columns(asked: AlterTable, columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    new, names = [_glue_column(column) for column in asked.columns], [str(column["Name"]).lower() for column in columns]
    if asked.action == "add":
        twice = sorted(set(names) & {str(column["Name"]) for column in new})
        if twice:
            raise StatementError(f"FAILED: Execution Error, return code 1. Duplicate column name: {twice[0]}")
        return [*columns, *new]
    if asked.action == "replace":
        return new
    if asked.action == "change":
        if asked.column.lower() not in names:
            raise StatementError(f"FAILED: SemanticException [Error 10002]: Invalid column reference {asked.column}")
        return [new[0] if name == asked.column.lower() else column for name, column in zip(names, columns, strict=True)]
    return columns


def _alter_iceberg(asked: AlterTable, table: Mapping[str, Any], *, caller: Caller, run: Run) -> None:
    bucket, prefix = split(table["StorageDescriptor"]["Location"])
    caller.get(*split(table["Parameters"]["metadata_location"]), first_byte=True)
    caller.ask_write(bucket, f"{prefix}/metadata/new")
    name = _sql_name(asked.name)
    if asked.to is not None:
        run(f"ALTER TABLE {name} RENAME TO {_sql_name(asked.to)}", {})
    elif asked.action == "add":
        for column in asked.columns:
            run(f"ALTER TABLE {name} ADD COLUMN {_sql_column(column)}", {})
    elif asked.action == "drop":
        run(f"ALTER TABLE {name} DROP COLUMN {_quoted(asked.column)}", {})
    elif asked.action == "change":
        _change_column(asked, table, name, run)
    else:
        what = "REPLACE COLUMNS" if asked.action == "replace" else f"SET TBLPROPERTIES ({', '.join(asked.properties)})"
        raise StatementError(
            f"NOT_SUPPORTED: the laptop platform does not run ALTER TABLE {what} of an Iceberg table in Athena; it runs RENAME TO, "
            "ADD COLUMNS, CHANGE COLUMN and DROP COLUMN"
        )


def _change_column(asked: AlterTable, table: Mapping[str, Any], name: str, run: Run) -> None:
    (new,) = asked.columns
    current = {str(column["Name"]).lower(): str(column["Type"]) for column in table["StorageDescriptor"].get("Columns") or []}
    if current.get(asked.column.lower()) != new.type:
        run(f"ALTER TABLE {name} ALTER COLUMN {_quoted(asked.column)} SET DATA TYPE {trino_type(new.type)}", {})
    if new.name != asked.column.lower():
        run(f"ALTER TABLE {name} RENAME COLUMN {_quoted(asked.column)} TO {_quoted(new.name)}", {})
    if new.comment:
        run(f"COMMENT ON COLUMN {name}.{_quoted(new.name)} IS {_text(new.comment)}", {})


# ---- databases and views -------------------------------------------------------------------------------------------------


def _create_database(asked: CreateDatabase, *, call: GlueCall) -> None:
    if asked.name in _glue._databases:
        if asked.if_not_exists:
            return
        raise StatementError(f"FAILED: Execution Error, return code 1. Database {asked.name} already exists")
    given = {"Description": asked.comment, "LocationUri": asked.location, "Parameters": dict(asked.properties)}
    call(_glue._create_database, {"DatabaseInput": {"Name": asked.name, **{name: value for name, value in given.items() if value}}})


def _drop_database(asked: DropDatabase, *, call: GlueCall) -> None:
    if asked.name not in _glue._databases:
        if asked.if_exists:
            return
        raise StatementError(f"FAILED: SemanticException [Error 10072]: Database does not exist: {asked.name}")
    if _tables_of(asked.name) and not asked.cascades:
        raise StatementError(f"FAILED: Execution Error, return code 1. InvalidOperationException(message:Database {asked.name} is not empty. One or more tables exist.)")  # fmt: skip
    call(_glue._delete_database, {"Name": asked.name})


def _tell_columns(name: TableName) -> None:
    """Put a view's columns into the catalog, where Athena has them and Trino leaves them out."""
    table = _table(name)
    found = re.fullmatch(r"/\* Presto View: (\S+) \*/", (table or {}).get("ViewOriginalText") or "")
    if table is None or found is None:
        return
    columns = json.loads(base64.b64decode(found[1]))["columns"]
    told = [{"Name": column["name"], "Type": hive_type(re.sub(r"timestamp\(\d+\)", "timestamp", column["type"]))} for column in columns]
    table["StorageDescriptor"] = {**(table.get("StorageDescriptor") or {}), "Columns": told}


def _table(name: TableName) -> dict[str, Any] | None:
    found: dict[str, Any] | None = _glue._tables.get(f"{name.database}/{name.table}")
    return found


def _tables_of(database: str) -> list[str]:
    return sorted(str(key).partition("/")[2] for key in _glue._tables if str(key).startswith(f"{database}/"))


def _reads(name: TableName) -> list[tuple[str, dict[str, Any]]]:
    return [("GetDatabase", {"Name": name.database}), ("GetTable", {"DatabaseName": name.database, "Name": name.table})]


def _input(name: TableName) -> dict[str, Any]:
    return {"DatabaseName": name.database, "TableInput": {"Name": name.table}}


def _glue_column(column: Column) -> dict[str, str]:
    return {"Name": column.name, "Type": column.type, **({"Comment": column.comment} if column.comment else {})}


def _sql_column(column: Column) -> str:
    return f"{_quoted(column.name)} {trino_type(column.type)}{f' COMMENT {_text(column.comment)}' if column.comment else ''}"


def _sql_name(name: TableName) -> str:
    return f"{CATALOG}.{quoted(name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
