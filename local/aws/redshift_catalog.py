"""What the Data API tells of databases, schemas and tables, and the shapes of its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local.aws.modelled_service import Answer, Call, ServiceError, paginated
from local.aws.redshift_targets import target_of
from local.redshift.errors import SqlError
from local.redshift.session import TYPE_NAMES, ResultColumn


def list_databases(call: Call) -> Answer:
    """ListDatabases."""
    return paginated(call, target_of(call, call.params).warehouse.databases())


def list_schemas(call: Call) -> Answer:
    """ListSchemas."""
    rows = _looked_up(
        call,
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_temp|pg_toast|_rs$)' AND nspname LIKE %s ORDER BY 1",
        [call.params.get("SchemaPattern") or "%"],
    )
    return paginated(call, [row[0] for row in rows])


def list_tables(call: Call) -> Answer:
    """ListTables."""
    rows = _looked_up(
        call,
        "SELECT table_schema, table_name, CASE table_type WHEN 'BASE TABLE' THEN 'TABLE' ELSE table_type END FROM _rs.svv_tables "
        "WHERE table_schema LIKE %s AND table_name LIKE %s ORDER BY 1, 2",
        [call.params.get("SchemaPattern") or "%", call.params.get("TablePattern") or "%"],
    )
    return paginated(call, [{"schema": row[0], "name": row[1], "type": row[2]} for row in rows])


def describe_table(call: Call) -> Answer:
    """DescribeTable."""
    schema, table = call.params.get("Schema") or "public", call.params.get("Table") or ""
    rows = _looked_up(
        call,
        "SELECT c.column_name, c.is_nullable, c.character_maximum_length, c.numeric_precision, c.numeric_scale, a.atttypid::int, c.column_default "
        "FROM _rs.svv_columns c JOIN pg_namespace n ON n.nspname = c.table_schema JOIN pg_class t ON t.relnamespace = n.oid AND t.relname = c.table_name "
        "JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = c.column_name WHERE c.table_schema = %s AND c.table_name = %s ORDER BY ordinal_position",
        [schema.lower(), table.lower()],
    )
    columns = [
        {
            **metadata(ResultColumn(name=row[0], type=_type_name(row[5]), length=row[2] or 0, precision=row[3] or 0, scale=row[4] or 0)),
            "schemaName": schema, "tableName": table, "nullable": int(row[1] == "YES"), **({"columnDefault": row[6]} if row[6] else {}),
        }
        for row in rows
    ]  # fmt: skip
    return {**paginated(call, columns), "TableName": table}


def _looked_up(call: Call, statement: str, values: Sequence[Any]) -> list[Any]:
    given = call.params
    target = target_of(call, given)
    database = given.get("ConnectedDatabase") or target.database
    try:
        connection = target.warehouse.connect(database, target.user)
    except SqlError as error:
        raise ServiceError("DatabaseConnectionException", str(error)) from error
    with connection:
        return connection.execute(statement.encode(), values).fetchall()


# ---- shapes ----------------------------------------------------------------------------------------------------------------


def _type_name(number: int) -> str:
    return TYPE_NAMES.get(number, "varchar")


def metadata(column: ResultColumn) -> dict[str, Any]:
    """A column as ColumnMetadata."""
    return {
        "name": column.name, "label": column.name, "typeName": column.type, "length": column.length, "precision": column.precision,
        "scale": column.scale, "nullable": 1, "isCaseSensitive": column.type in {"varchar", "bpchar", "char"}, "isCurrency": False,
        "isSigned": column.type in {"int2", "int4", "int8", "float4", "float8", "numeric"}, "schemaName": "", "tableName": "",
    }  # fmt: skip


def field(value: str | None, column: ResultColumn) -> dict[str, Any]:
    """A value as a Field."""
    if value is None:
        return {"isNull": True}
    converted = _FIELDS.get(column.type)
    return {"stringValue": value} if converted is None else {converted[0]: converted[1](value)}


_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), ("longValue", int)),
    **dict.fromkeys(("float4", "float8"), ("doubleValue", float)),
    "bool": ("booleanValue", lambda value: value == "true"),
}
