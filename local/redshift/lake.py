"""External tables: the rows of an Iceberg table of the catalog, read with the role of the external schema.

Read are Iceberg tables of Parquet files without delete files and of plain types; other tables are refused by name.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, NoReturn, cast

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import StaticTable

from local.redshift.errors import RefusedError, SqlError
from local.redshift.objects import Objects, Place

_FIELD_ID = b"PARQUET:field_id"


class ObjectsIO(FileIO):
    """pyiceberg's view of S3 with a role's session.

    Args:
        objects: S3 with the session.
    """

    def __init__(self, objects: Objects) -> None:
        super().__init__()
        self._objects = objects

    def new_input(self, location: str) -> InputFile:
        """A file to read."""
        return _Input(location, self._objects)

    def new_output(self, location: str) -> OutputFile:
        """Nothing is written."""
        return _read_only(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Nothing is deleted."""
        _read_only(str(location))


class _Input(InputFile):
    def __init__(self, location: str, objects: Objects) -> None:
        super().__init__(location)
        self._objects = objects

    def __len__(self) -> int:
        return len(self._read())

    def exists(self) -> bool:
        return bool(self._objects.under(_place(self.location)))

    def open(self, seekable: bool = True) -> InputStream:  # noqa: FBT001, FBT002 - pyiceberg's signature
        del seekable
        return cast("InputStream", io.BytesIO(self._read()))

    def _read(self) -> bytes:
        return self._objects.read(_place(self.location))


def read_external(glue: Any, objects: Objects, *, database: str, table: str) -> Any:
    """Rows of a table of the catalog; None if there is no such table.

    Args:
        glue: boto3's client of Glue, with the role's session.
        objects: S3 with the same session.
        database: Database of the catalog.
        table: Name of the table.

    Raises:
        RefusedError: The table is of a kind that is not read here.
        SqlError: The role may not read it.
    """
    found = _catalog_table(glue, database, table)
    if found is None:
        return None
    parameters: Mapping[str, str] = found.get("Parameters") or {}
    if parameters.get("table_type", "").upper() != "ICEBERG":
        raise RefusedError(f"the external table {database}.{table}, which is no Iceberg table", instead="Served are Iceberg tables")
    files = ObjectsIO(objects)
    location = parameters["metadata_location"]
    metadata = FromInputFile.table_metadata(files.new_input(location))
    opened = StaticTable(identifier=(database, table), metadata=metadata, metadata_location=location, io=files, catalog=NoopCatalog("lake"))
    schema = schema_to_pyarrow(opened.schema())
    nested = next((field.name for field in schema if pa.types.is_nested(field.type) or pa.types.is_binary(field.type)), None)
    if nested is not None:
        raise RefusedError(f"the column {nested} of the external table {database}.{table}", instead="Served are columns of plain types")
    parts: list[Any] = []
    for task in opened.scan().plan_files():
        if task.delete_files:
            raise RefusedError(f"the external table {database}.{table}, which has delete files", instead="Compact the table")
        parts.append(_projected(pq.read_table(io.BytesIO(objects.read(_place(task.file.file_path)))), schema))
    return pa.concat_tables(parts) if parts else schema.empty_table()


def postgres_type(kind: Any) -> str:
    """PostgreSQL's type for a column of an external table.

    Raises:
        RefusedError: Redshift's external tables have none.
    """
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    name = _TYPES.get(str(kind))
    if name is None:
        raise RefusedError(f"the type {kind} in an external table", instead=f"Served are {', '.join(sorted(set(_TYPES.values())))}")
    return name


_TYPES = {
    "int32": "int", "int64": "bigint", "float": "float4", "double": "float8", "bool": "boolean", "date32[day]": "date", "string": "varchar",
    "large_string": "varchar",
}  # fmt: skip


def _catalog_table(glue: Any, database: str, table: str) -> dict[str, Any] | None:
    try:
        return dict(glue.get_table(DatabaseName=database, Name=table)["Table"])
    except ClientError as error:
        if error.response["Error"].get("Code") == "EntityNotFoundException":
            return None
        raise SqlError(f"External Catalog Error. Detail: {error.response['Error'].get('Message', error)}") from error


def _projected(part: Any, schema: Any) -> Any:
    """A file's columns under the table's names and types; Iceberg knows columns by their ids."""
    by_id = {(field.metadata or {}).get(_FIELD_ID): name for name, field in zip(part.column_names, part.schema, strict=True)}
    columns: list[Any] = []
    for field in schema:
        name = by_id.get((field.metadata or {}).get(_FIELD_ID))
        columns.append(pa.nulls(part.num_rows, field.type) if name is None else part[name].cast(field.type))
    return pa.table(columns, schema=schema)


def _place(location: str) -> Place:
    return Place.parse("s3://" + location.split("://", 1)[-1])


def _read_only(location: str) -> NoReturn:
    raise RefusedError(f"writing {location}", instead="External tables are read only here")
