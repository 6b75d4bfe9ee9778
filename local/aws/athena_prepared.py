"""Athena's prepared statements and named queries, which belong to workgroups; MiniStack keeps them, this adds what it lacks.

It lacks UpdatePreparedStatement, BatchGetPreparedStatement, UpdateNamedQuery, pages, idempotent creation and every check.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

from local.aws import seam
from local.aws.athena_outputs import Deallocate, Execute, Prepare, prepared
from local.aws.athena_sql import StatementError, first_word
from local.aws.athena_statements import OUTPUTS, READS

LONGEST_NAME = {"statement": 256, "query": 128}
"""Characters of a name."""

LONGEST_SQL = 262_144
"""Bytes of a statement."""

LARGEST_PAGE = 50
"""Most that one page lists."""

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_@:]*")
_PREPARABLE = frozenset(READS | {"INSERT", "UPDATE", "DELETE", "MERGE"} | (OUTPUTS - {"DROP"}))

_athena = seam.module("services.athena")
_responses = seam.module("core.responses")


class InvalidRequestError(Exception):
    """A request that Athena refuses; `code` is the error's name."""

    def __init__(self, message: str, *, code: str = "InvalidRequestException") -> None:
        self.code = code
        super().__init__(message)


def run(statement: Prepare | Execute | Deallocate, *, workgroup: str) -> str:
    """Do what a PREPARE or DEALLOCATE says, or find what an EXECUTE runs.

    Args:
        statement: The statement.
        workgroup: Workgroup that the query runs in.

    Returns:
        The SQL to run with the values of an EXECUTE; empty for the others.

    Raises:
        StatementError: The name is taken or unknown, or the statement is none that can be prepared.
    """
    key = f"{workgroup}/{statement.name}"
    try:
        if isinstance(statement, Prepare):
            _put(workgroup, statement.name, statement.query, "", is_new=key not in _athena._prepared_statements)
            return ""
        found = _athena._prepared_statements.get(key)
        if found is None:
            raise StatementError(f"NOT_FOUND: Prepared statement not found: {statement.name} (workgroup {workgroup})")
        if isinstance(statement, Deallocate):
            del _athena._prepared_statements[key]
            return ""
        return str(found["QueryStatement"])
    except InvalidRequestError as refused:
        raise StatementError(f"INVALID_REQUEST: {refused}") from refused


def resolve(sql: str, *, workgroup: str) -> str:
    """A statement as it will run: what an EXECUTE names; others as they are, and an EXECUTE that cannot be resolved."""
    if first_word(sql) != "EXECUTE":
        return sql
    try:
        return run(prepared(sql), workgroup=workgroup) or sql
    except StatementError:
        return sql


# ---- prepared statements ------------------------------------------------------------------------------------------------


def create_prepared_statement(data: Mapping[str, Any]) -> Any:
    """CreatePreparedStatement."""
    name, workgroup = str(data.get("StatementName") or ""), _workgroup(data)
    if f"{workgroup}/{name}" in _athena._prepared_statements:
        raise InvalidRequestError(f"Prepared Statement {name} already exists in WorkGroup {workgroup}")
    _put(workgroup, name, str(data.get("QueryStatement") or ""), str(data.get("Description") or ""), is_new=True)
    return _responses.json_response({})


def update_prepared_statement(data: Mapping[str, Any]) -> Any:
    """UpdatePreparedStatement."""
    found = _statement(data)
    description = str(data["Description"]) if "Description" in data else found.get("Description", "")
    _put(found["WorkGroupName"], found["StatementName"], str(data.get("QueryStatement") or ""), description, is_new=False)
    return _responses.json_response({})


def get_prepared_statement(data: Mapping[str, Any]) -> Any:
    """GetPreparedStatement."""
    return _responses.json_response({"PreparedStatement": dict(_statement(data))})


def delete_prepared_statement(data: Mapping[str, Any]) -> Any:
    """DeletePreparedStatement."""
    found = _statement(data)
    del _athena._prepared_statements[f"{found['WorkGroupName']}/{found['StatementName']}"]
    return _responses.json_response({})


def list_prepared_statements(data: Mapping[str, Any]) -> Any:
    """ListPreparedStatements."""
    workgroup = _workgroup(data)
    found = sorted(
        (kept for kept in _athena._prepared_statements.values() if kept["WorkGroupName"] == workgroup),
        key=lambda kept: kept["StatementName"],
    )
    page, more = _page(found, data)
    shown = [{"StatementName": kept["StatementName"], "LastModifiedTime": kept["LastModifiedTime"]} for kept in page]
    return _responses.json_response({"PreparedStatements": shown, **more})


def batch_get_prepared_statement(data: Mapping[str, Any]) -> Any:
    """BatchGetPreparedStatement."""
    workgroup, found, missing = _workgroup(data), [], []
    for name in data.get("PreparedStatementNames") or []:
        kept = _athena._prepared_statements.get(f"{workgroup}/{name}")
        if kept is None:
            missing.append(
                {"StatementName": name, "ErrorCode": "STATEMENT_NOT_FOUND", "ErrorMessage": f"prepared statement {name} was not found"}
            )
        else:
            found.append(dict(kept))
    return _responses.json_response({"PreparedStatements": found, "UnprocessedPreparedStatementNames": missing})


def _put(workgroup: str, name: str, sql: str, description: str, *, is_new: bool) -> None:
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME["statement"]:
        raise InvalidRequestError(
            f"StatementName {name!r} is not valid: letters, digits, _ @ :, beginning with a letter or _, at most {LONGEST_NAME['statement']}"
        )
    _check_sql(sql, "QueryStatement")
    if first_word(sql) not in _PREPARABLE:
        raise InvalidRequestError(f"{first_word(sql) or 'nothing'} cannot be prepared: {', '.join(sorted(_PREPARABLE))} can")
    if not is_new and not sql:
        raise InvalidRequestError("QueryStatement is required")
    _athena._prepared_statements[f"{workgroup}/{name}"] = {
        "StatementName": name, "WorkGroupName": workgroup, "QueryStatement": sql, "Description": description,
        "LastModifiedTime": time.time(),
    }  # fmt: skip


def _statement(data: Mapping[str, Any]) -> dict[str, Any]:
    name, workgroup = str(data.get("StatementName") or ""), _workgroup(data)
    found = _athena._prepared_statements.get(f"{workgroup}/{name}")
    if found is None:
        raise InvalidRequestError(f"Prepared Statement {name} does not exist in WorkGroup {workgroup}", code="ResourceNotFoundException")
    return dict(found)


# ---- named queries ------------------------------------------------------------------------------------------------------


def create_named_query(data: Mapping[str, Any]) -> Any:
    """CreateNamedQuery."""
    token = data.get("ClientRequestToken")
    fields = {name: str(data.get(name) or "") for name in ("Name", "Description", "Database", "QueryString")}
    workgroup = _workgroup(data)
    earlier = next((kept for kept in _athena._named_queries.values() if token and kept.get("_token") == token), None)
    if earlier is not None:
        if any(earlier[name] != value for name, value in fields.items()):
            raise InvalidRequestError("Idempotent parameters do not match")
        return _responses.json_response({"NamedQueryId": earlier["NamedQueryId"]})
    if not 1 <= len(fields["Name"]) <= LONGEST_NAME["query"]:
        raise InvalidRequestError(f"Name must have 1 to {LONGEST_NAME['query']} characters")
    if not fields["Database"]:
        raise InvalidRequestError("Database is required")
    _check_sql(fields["QueryString"], "QueryString")
    query_id = str(uuid.uuid4())
    _athena._named_queries[query_id] = {"NamedQueryId": query_id, **fields, "WorkGroup": workgroup, "_token": token}
    return _responses.json_response({"NamedQueryId": query_id})


def update_named_query(data: Mapping[str, Any]) -> Any:
    """UpdateNamedQuery."""
    found = _named(data)
    _check_sql(str(data.get("QueryString") or ""), "QueryString")
    changed = {"Name": str(data.get("Name") or found["Name"]), "QueryString": str(data["QueryString"])}
    description = {"Description": str(data["Description"])} if "Description" in data else {}
    _athena._named_queries[found["NamedQueryId"]] = {**found, **changed, **description}
    return _responses.json_response({})


def get_named_query(data: Mapping[str, Any]) -> Any:
    """GetNamedQuery."""
    return _responses.json_response({"NamedQuery": _shown(_named(data))})


def delete_named_query(data: Mapping[str, Any]) -> Any:
    """DeleteNamedQuery."""
    del _athena._named_queries[_named(data)["NamedQueryId"]]
    return _responses.json_response({})


def list_named_queries(data: Mapping[str, Any]) -> Any:
    """ListNamedQueries."""
    workgroup = _workgroup(data)
    page, more = _page([query_id for query_id, kept in _athena._named_queries.items() if kept["WorkGroup"] == workgroup], data)
    return _responses.json_response({"NamedQueryIds": page, **more})


def batch_get_named_query(data: Mapping[str, Any]) -> Any:
    """BatchGetNamedQuery."""
    found, missing = [], []
    for query_id in data.get("NamedQueryIds") or []:
        kept = _athena._named_queries.get(query_id)
        if kept is None:
            missing.append(
                {"NamedQueryId": query_id, "ErrorCode": "QUERY_NOT_FOUND", "ErrorMessage": f"named query {query_id} was not found"}
            )
        else:
            found.append(_shown(kept))
    return _responses.json_response({"NamedQueries": found, "UnprocessedNamedQueryIds": missing})


def _named(data: Mapping[str, Any]) -> dict[str, Any]:
    found = _athena._named_queries.get(data.get("NamedQueryId"))
    if found is None:
        raise InvalidRequestError(f"NamedQuery {data.get('NamedQueryId')} was not found")
    return dict(found)


def _shown(kept: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kept.items() if not name.startswith("_")}


# ---- both -----------------------------------------------------------------------------------------------------------------


def _workgroup(data: Mapping[str, Any]) -> str:
    name = str(data.get("WorkGroup") or data.get("WorkGroupName") or "primary")
    if name not in _athena._workgroups:
        raise InvalidRequestError(f"WorkGroup {name} is not found.")
    return name


def _check_sql(sql: str, what: str) -> None:
    if not sql.strip():
        raise InvalidRequestError(f"{what} is required")
    if len(sql.encode()) > LONGEST_SQL:
        raise InvalidRequestError(f"{what} is too long: {len(sql.encode())} bytes, at most {LONGEST_SQL}")


def _page(found: list[Any], data: Mapping[str, Any]) -> tuple[list[Any], dict[str, str]]:
    try:
        start, size = int(data.get("NextToken") or 0), int(data.get("MaxResults") or LARGEST_PAGE)
    except ValueError as error:
        raise InvalidRequestError(f"NextToken {data.get('NextToken')!r} is not one that this operation gave") from error
    if not 1 <= size <= LARGEST_PAGE:
        raise InvalidRequestError(f"MaxResults must be between 1 and {LARGEST_PAGE}, got {size}")
    return found[start : start + size], {"NextToken": str(start + size)} if start + size < len(found) else {}


OPERATIONS = {
    "CreatePreparedStatement": create_prepared_statement, "UpdatePreparedStatement": update_prepared_statement,
    "GetPreparedStatement": get_prepared_statement, "DeletePreparedStatement": delete_prepared_statement,
    "ListPreparedStatements": list_prepared_statements, "BatchGetPreparedStatement": batch_get_prepared_statement,
    "CreateNamedQuery": create_named_query, "UpdateNamedQuery": update_named_query, "GetNamedQuery": get_named_query,
    "DeleteNamedQuery": delete_named_query, "ListNamedQueries": list_named_queries, "BatchGetNamedQuery": batch_get_named_query,
}  # fmt: skip
"""Operations, by name; they raise `InvalidRequestError`."""
