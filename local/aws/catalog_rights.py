"""Glue's catalog asks for every level: an operation on a table needs the catalog, the database and the table, not one of them."""

from __future__ import annotations

import json
from typing import Any

from local.aws import door, guard, seam

TABLE_OPERATIONS = frozenset(
    {
        "CreateTable", "GetTable", "UpdateTable", "DeleteTable", "GetTables", "BatchDeleteTable", "GetTableVersion", "GetTableVersions",
        "DeleteTableVersion", "BatchDeleteTableVersion", "CreatePartition", "GetPartition", "GetPartitions", "UpdatePartition",
        "DeletePartition", "BatchCreatePartition", "BatchDeletePartition", "BatchGetPartition", "BatchUpdatePartition",
    }
)  # fmt: skip
"""Operations that need catalog, database and table."""

DATABASE_OPERATIONS = frozenset({"CreateDatabase", "GetDatabase", "UpdateDatabase", "DeleteDatabase"})
"""Operations that need catalog and database."""

CATALOG_OPERATIONS = frozenset({"GetDatabases"})
"""Operations that need the catalog and, in AWS's list of resources, any database."""

_responses = seam.module("core.responses")


def register() -> None:
    """Ask at the front door; MiniStack has asked for the database already."""
    door.add_check(_check)


def resources(operation: str, data: dict[str, Any]) -> list[str]:
    """ARNs that an operation is asked on."""
    base = f"arn:aws:glue:{_responses.get_region()}:{_responses.get_account_id()}:"
    database = data.get("DatabaseName") or data.get("Name") or (data.get("DatabaseInput") or {}).get("Name") or "*"
    if operation in CATALOG_OPERATIONS:
        return [f"{base}catalog", f"{base}database/*"]
    if operation in DATABASE_OPERATIONS:
        return [f"{base}catalog", f"{base}database/{database}"]
    if operation in TABLE_OPERATIONS:
        database = data.get("DatabaseName") or "*"
        names = data.get("TablesToDelete") or [
            data.get("TableName") or data.get("Name") or (data.get("TableInput") or {}).get("Name") or "*"
        ]
        return [f"{base}catalog", f"{base}database/{database}", *(f"{base}table/{database}/{name}" for name in names)]
    return []


def _check(request: door.Request) -> door.Response | None:
    if request.service != "glue" or guard.is_root(request.key):
        return None
    try:
        data = json.loads(request.body or b"{}")
    except ValueError:
        return None
    for resource in resources(request.operation, data):
        denied = guard.authorize(request.key, action=request.action, resource=resource)
        if denied:
            return door.access_denied(request, denied)
    return None
