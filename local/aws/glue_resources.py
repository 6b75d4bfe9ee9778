"""Resources that Glue and Athena authorise: a table needs its catalog and its database allowed too; a query, its workgroup.

MiniStack names the database for a table and nothing at all for Athena.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from local.aws import actions, seam

_athena = seam.module("services.athena")
_evaluator = seam.module("core.iam_evaluator")
_responses = seam.module("core.responses")

_Name = Callable[[str, Mapping[str, Any], str], str | None]

_DATABASE = re.compile(r"(arn:[^:]+:glue:[^:]*:[^:]*):database/([^/]+)")
_TABLE = re.compile(r"(arn:[^:]+:glue:[^:]*:[^:]*):table/([^/]+)/.+")
_JOB_OPERATIONS = frozenset(
    {"StartJobRun", "GetJobRun", "GetJobRuns", "BatchStopJobRun", "GetJob", "UpdateJob", "DeleteJob", "GetJobBookmark"}
)
_DATABASE_OPERATIONS = frozenset({"GetDatabase", "UpdateDatabase", "DeleteDatabase"})

_enforce: Callable[..., Any] | None = None


def glue_resource(operation: str, data: Mapping[str, Any], prefix: str) -> str | None:
    """The most specific resource of a Glue request.

    Args:
        operation: Name of the API operation.
        data: Its input.
        prefix: Start of the ARN, `arn:aws:glue:<region>:<account>`.

    Returns:
        ARN, or None if MiniStack's own naming will do.
    """
    database = data.get("DatabaseName")
    if data.get("ResourceArn"):
        return str(data["ResourceArn"])
    if operation in _JOB_OPERATIONS and data.get("JobName"):
        return f"{prefix}:job/{data['JobName']}"
    if operation == "CreateJob":
        return f"{prefix}:job/{data.get('Name')}"
    if operation in {"GetJobs", "ListJobs", "BatchGetJobs"}:
        return f"{prefix}:job/*"
    if operation in _DATABASE_OPERATIONS:
        return f"{prefix}:database/{data.get('Name')}"
    if operation == "CreateDatabase":
        return f"{prefix}:database/{(data.get('DatabaseInput') or {}).get('Name')}"
    if operation == "GetDatabases":
        return f"{prefix}:catalog"
    if database and operation in {"CreateTable", "UpdateTable"}:
        return f"{prefix}:table/{database}/{data.get('Name') or (data.get('TableInput') or {}).get('Name')}"
    if database and operation in {"GetTable", "DeleteTable"}:
        return f"{prefix}:table/{database}/{data.get('Name')}"
    if database and (data.get("TableName") or operation in {"GetTables", "BatchDeleteTable"}):
        return f"{prefix}:table/{database}/{data.get('TableName') or '*'}"
    return None


def athena_resource(operation: str, data: Mapping[str, Any], prefix: str) -> str | None:
    """The resource of an Athena request; `prefix` is `arn:aws:athena:<region>:<account>`."""
    if data.get("ResourceARN"):
        return str(data["ResourceARN"])
    if "DataCatalog" in operation or operation in {"GetDatabase", "ListDatabases", "GetTableMetadata", "ListTableMetadata"}:
        name = data.get("CatalogName") or data.get("Name")
        return f"{prefix}:datacatalog/{name}" if name else None
    ids = [data["QueryExecutionId"]] if data.get("QueryExecutionId") else list(data.get("QueryExecutionIds") or [])
    if ids:
        found = _athena._executions.get(ids[0]) or {}
        return f"{prefix}:workgroup/{found.get('WorkGroup', 'primary')}"
    named = data.get("NamedQueryId") or next(iter(data.get("NamedQueryIds") or []), None)
    if named:
        found = _athena._named_queries.get(named) or {}
        return f"{prefix}:workgroup/{found.get('WorkGroup', 'primary')}"
    if operation == "CreateWorkGroup":
        return f"{prefix}:workgroup/{data.get('Name')}"
    if operation in {"ListWorkGroups", "ListEngineVersions", "ListDataCatalogs"}:
        return "*"
    return f"{prefix}:workgroup/{data.get('WorkGroup') or data.get('WorkGroupName') or 'primary'}"


def with_parents(resource: str) -> tuple[str, ...]:
    """A Glue catalog resource and everything above it, in the order in which Glue asks."""
    table = _TABLE.fullmatch(resource)
    if table:
        return (f"{table[1]}:catalog", f"{table[1]}:database/{table[2]}", resource)
    database = _DATABASE.fullmatch(resource)
    return (f"{database[1]}:catalog", resource) if database else (resource,)


def register() -> None:
    """Name the resources, and ask for the parents too; registers after the guard, whose enforcement it calls."""
    global _enforce  # noqa: PLW0603 - the guard's replacement, known at start
    _enforce = _evaluator.enforce
    seam.replace("core.iam_evaluator.enforce", _enforce_with_parents)
    for service, name in (("glue", glue_resource), ("athena", athena_resource)):
        actions.name_requests_of(service, partial(_named, service, name))


def _enforce_with_parents(  # noqa: PLR0917 - MiniStack's signature
    access_key_id: str, iam_action: str, service: str, region: str, resource_arn: str = "*", service_context: dict[str, Any] | None = None
) -> Any:
    if _enforce is None:
        raise RuntimeError("glue_resources is not registered")
    resources = with_parents(resource_arn) if service == "glue" else (resource_arn,)
    result = None
    for resource in resources:
        result = _enforce(access_key_id, iam_action, service, region, resource_arn=resource, service_context=service_context)
        if result is not None:
            return result
    return result


def _named(
    service: str, name: _Name, _method: str, path: str, headers: dict[str, str], body: bytes, _query: dict[str, Any]
) -> actions.Named:
    if path.startswith("/iceberg"):
        return actions.Named()
    try:
        data = json.loads(body) if body else {}
    except ValueError:
        data = {}
    operation = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
    prefix = f"arn:aws:{service}:{_responses.get_region()}:{_responses.get_account_id()}"
    return actions.Named(resource=name(operation, data if isinstance(data, dict) else {}, prefix) or "")
