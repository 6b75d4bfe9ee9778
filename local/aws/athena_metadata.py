"""Athena's look at the catalog: databases and tables as JDBC, ODBC and SQLAlchemy list them, with the caller's own rights in Glue.

MiniStack gives every name a table, knows neither pages nor filters, and asks Glue for nothing.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from local.aws import door, guard, seam
from local.aws.athena_prepared import InvalidRequestError
from local.aws.athena_sql import CATALOG

LARGEST_PAGE = 50
"""Most that one page lists, and what it lists if nobody says."""

_athena = seam.module("services.athena")
_glue = seam.module("services.glue")
_responses = seam.module("core.responses")


def get_database(data: Mapping[str, Any]) -> Any:
    """GetDatabase."""
    _ask(data, "GetDatabase", {"Name": data.get("DatabaseName")})
    return _responses.json_response({"Database": _shown_database(_database(data))})


def list_databases(data: Mapping[str, Any]) -> Any:
    """ListDatabases."""
    _ask(data, "GetDatabases", {})
    databases = [_shown_database(found) for _, found in sorted(_glue._databases.items())]
    return _page(data, "DatabaseList", databases)


def get_table_metadata(data: Mapping[str, Any]) -> Any:
    """GetTableMetadata."""
    database, table = str(data.get("DatabaseName")).lower(), str(data.get("TableName")).lower()
    _ask(data, "GetTable", {"DatabaseName": database, "Name": table})
    found = _glue._tables.get(f"{database}/{table}")
    if found is None:
        raise _metadata_error("Entity Not Found", "EntityNotFoundException")
    return _responses.json_response({"TableMetadata": _shown_table(found)})


def list_table_metadata(data: Mapping[str, Any]) -> Any:
    """ListTableMetadata."""
    _ask(data, "GetTables", {"DatabaseName": str(data.get("DatabaseName")).lower()})
    database = _database(data)["Name"]
    try:
        wanted = re.compile(str(data.get("Expression") or ".*"), re.IGNORECASE)
    except re.error as error:
        raise InvalidRequestError(f"Expression {data['Expression']!r} is no regular expression: {error}") from error
    tables = sorted((found for found in _glue._tables.values() if found["DatabaseName"] == database), key=lambda found: found["Name"])
    return _page(data, "TableMetadataList", [_shown_table(found) for found in tables if wanted.fullmatch(found["Name"])])


def _ask(data: Mapping[str, Any], operation: str, body: Mapping[str, Any]) -> None:
    """Ask for Glue's right behind an operation of Athena.

    Raises:
        InvalidRequestError: The catalog is another one, or the caller may not ask Glue.
    """
    named = str(data.get("CatalogName") or "")
    if not named:
        raise InvalidRequestError("CatalogName is missing: name AwsDataCatalog")
    if named.lower() != CATALOG:
        if named in _athena._data_catalogs:
            raise InvalidRequestError(f"Catalog {named} is not served by the laptop platform; it serves AwsDataCatalog")
        raise InvalidRequestError(f"Catalog {named} not found", code="MetadataException")
    headers = {"x-amz-target": f"AWSGlue.{operation}", "content-type": "application/x-amz-json-1.1"}
    denied = door.authorize_request(guard.caller.get(), scope="glue", headers=headers, body=json.dumps(body), via="athena:metadata")
    if denied:
        raise _metadata_error(str(denied), "AccessDeniedException")


def _database(data: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] | None = _glue._databases.get(str(data.get("DatabaseName")).lower())
    if found is None:
        raise _metadata_error(f"Database {data.get('DatabaseName')} not found.", "EntityNotFoundException")
    return found


def _metadata_error(message: str, code: str) -> InvalidRequestError:
    """Glue's error as Athena passes it on; clients read the code out of this very text."""
    told = f"{message} (Service: AmazonDataCatalog; Status Code: 400; Error Code: {code}; Request ID: {uuid.uuid4()}; Proxy: null)"
    return InvalidRequestError(told, code="MetadataException")


def _shown_database(database: Mapping[str, Any]) -> dict[str, Any]:
    told = {"Description": database["Description"]} if database.get("Description") else {}
    return {"Name": database["Name"], "Parameters": dict(database.get("Parameters") or {}), **told}


def _shown_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table of Glue in Athena's words; where and how it is stored stands among its parameters.

    Source: the example of `aws athena get-table-metadata` in the AWS CLI's reference.
    """
    stored = table.get("StorageDescriptor") or {}
    serde = stored.get("SerdeInfo") or {}
    parameters = {
        **(table.get("Parameters") or {}),
        "inputformat": stored.get("InputFormat"),
        "location": stored.get("Location"),
        "outputformat": stored.get("OutputFormat"),
        "serde.serialization.lib": serde.get("SerializationLibrary"),
        **{f"serde.param.{name}": value for name, value in (serde.get("Parameters") or {}).items()},
    }
    return {
        "Name": table["Name"],
        "CreateTime": table["CreateTime"],
        "LastAccessTime": table.get("LastAccessTime") or table["CreateTime"],
        "TableType": table.get("TableType") or "",
        "Columns": _shown_columns(stored.get("Columns") or []),
        "PartitionKeys": _shown_columns(table.get("PartitionKeys") or []),
        "Parameters": {name: value for name, value in parameters.items() if value is not None},
    }


def _shown_columns(columns: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: column[name] for name in ("Name", "Type", "Comment") if column.get(name)} for column in columns]


def _page(data: Mapping[str, Any], name: str, rows: list[dict[str, Any]]) -> Any:
    size, token = int(data.get("MaxResults") or LARGEST_PAGE), str(data.get("NextToken") or "0")
    if not 1 <= size <= LARGEST_PAGE:
        raise InvalidRequestError(f"MaxResults must be between 1 and {LARGEST_PAGE}, got {size}")
    if not token.isdigit():
        raise InvalidRequestError(f"NextToken {token!r} is not one that Athena gave")
    start = int(token)
    more = {"NextToken": str(start + size)} if start + size < len(rows) else {}
    return _responses.json_response({name: rows[start : start + size], **more})


OPERATIONS = {
    "GetDatabase": get_database, "ListDatabases": list_databases,
    "GetTableMetadata": get_table_metadata, "ListTableMetadata": list_table_metadata,
}  # fmt: skip
"""Operations, by name; they raise `InvalidRequestError`."""
