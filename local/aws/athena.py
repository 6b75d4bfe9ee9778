"""Athena's queries, run by Trino: the engine that Athena itself is made of.

Replaces MiniStack's execution (DuckDB, which knows no Iceberg). Runs what `athena_statements` lists over the Iceberg and Hive
tables of the local Glue catalog; everything else is refused by name. Workgroups and tags stay MiniStack's.
"""

from __future__ import annotations

import contextvars
import copy
import json
import re
import threading
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from local.aws import athena_metadata, athena_prepared, athena_reuse, guard, seam
from local.aws.athena_access import AccessRefusedError, Caller
from local.aws.athena_execution import CANCELLED, ENCRYPTION, FAILED, QUEUED, SUCCEEDED, Execution, result_rows, running
from local.aws.athena_prepared import InvalidRequestError
from local.aws.athena_sql import first_word
from local.aws.athena_statements import WRITES, kind_of
from local.aws.caller_objects import NoSuchObjectError

if TYPE_CHECKING:
    from local.aws.door import Response

FINAL = frozenset({SUCCEEDED, FAILED, CANCELLED})
"""States in which a query has ended."""

ENGINE = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}
LOWEST_CUTOFF = 10_000_000
"""Least that a workgroup may limit a scan to, in bytes."""

LARGEST_PAGE = 1000
LONGEST_QUERY = 262_144
"""Bytes of a statement that Athena takes."""

_athena = seam.module("services.athena")
_responses = seam.module("core.responses")


# ---- the API ---------------------------------------------------------------------------------------------------------


def start_query_execution(data: Mapping[str, Any]) -> Response:
    """StartQueryExecution."""
    try:
        execution = _accept(data)
    except InvalidRequestError as refused:
        return _error(refused.code, str(refused))
    return _responses.json_response({"QueryExecutionId": execution["QueryExecutionId"]})


def _get_query_execution(data: Mapping[str, Any]) -> Response:
    execution = _athena._executions.get(data.get("QueryExecutionId"))
    if execution is None:
        return _error("InvalidRequestException", f"QueryExecution {data.get('QueryExecutionId')} was not found")
    return _responses.json_response({"QueryExecution": shown(execution)})


def _batch_get_query_execution(data: Mapping[str, Any]) -> Response:
    found, missing = [], []
    for query_id in data.get("QueryExecutionIds") or []:
        execution = _athena._executions.get(query_id)
        if execution is None:
            missing.append(
                {"QueryExecutionId": query_id, "ErrorCode": "QUERY_NOT_FOUND", "ErrorMessage": f"QueryExecution {query_id} was not found"}
            )
        else:
            found.append(shown(execution))
    return _responses.json_response({"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing})


def _stop_query_execution(data: Mapping[str, Any]) -> Response:
    query_id = str(data.get("QueryExecutionId"))
    if query_id not in _athena._executions:
        return _error("InvalidRequestException", f"QueryExecution {query_id} was not found")
    cancel(query_id)
    return _responses.json_response({})


def _list_query_executions(data: Mapping[str, Any]) -> Response:
    workgroup = data.get("WorkGroup") or "primary"
    all_ids = [query_id for query_id, found in _athena._executions.items() if found.get("WorkGroup") == workgroup]
    ids = list(reversed(all_ids))
    start, size = int(data.get("NextToken") or 0), int(data.get("MaxResults") or 50)
    more = {"NextToken": str(start + size)} if start + size < len(ids) else {}
    return _responses.json_response({"QueryExecutionIds": ids[start : start + size], **more})


def _get_query_results(data: Mapping[str, Any]) -> Response:
    """A page of a result, read from its object in S3 with the caller's own permissions, as Athena does."""
    query_id = str(data.get("QueryExecutionId"))
    execution = _athena._executions.get(query_id)
    if execution is None:
        return _error("InvalidRequestException", f"QueryExecution {query_id} was not found")
    status = execution["Status"]
    if status["State"] in {FAILED, CANCELLED}:
        how = "Query has failed" if status["State"] == FAILED else "Query was cancelled"
        return _error("InvalidRequestException", f"{how}. Query exception: {status.get('StateChangeReason', '')}")
    if status["State"] != SUCCEEDED:
        return _error("InvalidRequestException", f"Query has not yet finished. Current state: {status['State']}")
    size = int(data.get("MaxResults") or LARGEST_PAGE)
    if not 1 <= size <= LARGEST_PAGE:
        return _error("InvalidRequestException", f"MaxResults must be between 1 and {LARGEST_PAGE}, got {size}")
    try:
        rows = result_rows(execution, Caller(key=guard.caller.get(), via=f"athena:{execution['WorkGroup']}"))
        start = int(data.get("NextToken") or 0)
    except (AccessRefusedError, NoSuchObjectError) as refused:
        return _error("InvalidRequestException", f"Could not find or read results: {refused}")
    except ValueError:
        return _error("InvalidRequestException", f"NextToken {data['NextToken']!r} is not one that GetQueryResults gave")
    page = [{"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]} for row in rows[start : start + size]]
    more = {"NextToken": str(start + size)} if start + size < len(rows) else {}
    result = {"Rows": page, "ResultSetMetadata": {"ColumnInfo": execution["_columns"]}}
    return _responses.json_response({"ResultSet": result, "UpdateCount": execution["_update_count"], **more})


# ---- for Step Functions ----------------------------------------------------------------------------------------------


def find(query_id: str) -> dict[str, Any]:
    """A query's record."""
    found: dict[str, Any] = _athena._executions[query_id]
    return found


def cancel(query_id: str) -> None:
    """Ask a query to end."""
    execution = running.get(query_id)
    if execution is not None:
        execution.cancel("Query was cancelled by user")


def shown(execution: Mapping[str, Any]) -> dict[str, Any]:
    """A query's record as the API gives it."""
    return copy.deepcopy({name: value for name, value in execution.items() if not name.startswith("_")})


# ---- accepting a query -----------------------------------------------------------------------------------------------


def _accept(data: Mapping[str, Any]) -> dict[str, Any]:
    sql = str(data.get("QueryString") or "")
    if not sql.strip():
        raise InvalidRequestError("Query string is empty")
    if len(sql.encode()) > LONGEST_QUERY:
        raise InvalidRequestError(f"Query string is too long: {len(sql.encode())} bytes, at most {LONGEST_QUERY}")
    token = data.get("ClientRequestToken")
    if token is not None and not 32 <= len(token) <= 128:
        raise InvalidRequestError(f"ClientRequestToken must have 32 to 128 characters, got {len(token)}")
    earlier = next((found for found in _athena._executions.values() if token and found.get("_token") == token), None)
    if earlier is not None:
        if (earlier["Query"], earlier.get("ExecutionParameters")) != (sql, data.get("ExecutionParameters") or None):
            raise InvalidRequestError("Idempotent parameters do not match")
        return dict(earlier)
    name, configuration = _workgroup(data)
    output = _output(data, configuration)
    context = data.get("QueryExecutionContext") or {}
    if str(context.get("Catalog") or "AwsDataCatalog").lower() != "awsdatacatalog":
        raise InvalidRequestError(f"Catalog {context['Catalog']} is not served by the laptop platform; it serves AwsDataCatalog")
    try:
        reuse = athena_reuse.configuration(data)
    except ValueError as error:
        raise InvalidRequestError(str(error)) from error
    caller = Caller(key=guard.caller.get(), via=f"athena:{name}")
    bucket = output["OutputLocation"].removeprefix("s3://").partition("/")[0]
    try:
        caller.ask_bucket(bucket)
    except AccessRefusedError as refused:
        raise InvalidRequestError(str(refused)) from refused
    query_id = str(uuid.uuid4())
    resolved = athena_prepared.resolve(sql, workgroup=name)
    kind, first = kind_of(resolved), first_word(resolved)
    has_no_rows = first in WRITES | {"UNLOAD"} or (first, kind) == ("CREATE", "DML")
    suffix = "" if has_no_rows else ".csv" if kind == "DML" else ".txt"
    record: dict[str, Any] = {
        "QueryExecutionId": query_id,
        "Query": sql,
        "StatementType": kind,
        "ResultConfiguration": {**output, "OutputLocation": f"{output['OutputLocation'].rstrip('/')}/{query_id}{suffix}"},
        "ResultReuseConfiguration": reuse,
        "QueryExecutionContext": {"Database": context.get("Database") or "default", "Catalog": "awsdatacatalog"},
        "Status": {"State": QUEUED, "SubmissionDateTime": time.time()},
        "Statistics": {},
        "WorkGroup": name,
        "EngineVersion": ENGINE,
        "SubstatementType": "CREATE_TABLE_AS_SELECT" if (first, kind) == ("CREATE", "DML") else first,
        **({"ExecutionParameters": list(data["ExecutionParameters"])} if data.get("ExecutionParameters") else {}),
        "_token": token,
        "_resolved": resolved,
        "_values": "",
        "_output": output,
        "_folder": output["OutputLocation"].rstrip("/"),
        "_enforced": _is_enforced(configuration),
        "_columns": [],
        "_update_count": 0,
        "_cutoff": int(configuration.get("BytesScannedCutoffPerQuery") or 0),
    }
    _athena._executions[query_id] = record
    execution = Execution(record=record, caller=caller)
    running[query_id] = execution
    context_copy = contextvars.copy_context()
    threading.Thread(target=context_copy.run, args=(execution.run,), name=f"athena-{query_id[:8]}", daemon=True).start()
    return record


def _workgroup(data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    _athena._ensure_default_workgroup()
    name = str(data.get("WorkGroup") or "primary")
    found = _athena._workgroups.get(name)
    if found is None:
        raise InvalidRequestError(f"WorkGroup {name} is not found.")
    if found.get("State", "ENABLED") != "ENABLED":
        raise InvalidRequestError(f"WorkGroup {name} is disabled.")
    return name, dict(found.get("Configuration") or {})


def _get_work_group(data: Mapping[str, Any]) -> Response:
    """GetWorkGroup, with what Athena says of a workgroup whose maker left it out; clients read it without asking whether it is there."""
    name = str(data.get("WorkGroup"))
    found = _athena._workgroups.get(name)
    if found is None:
        return _error("InvalidRequestException", f"WorkGroup {name} is not found.")
    configuration: dict[str, Any] = {
        "ResultConfiguration": {},
        "EnforceWorkGroupConfiguration": False,
        "PublishCloudWatchMetricsEnabled": False,
        "RequesterPaysEnabled": False,
        **(found.get("Configuration") or {}),
    }
    version = {**ENGINE, **(configuration.get("EngineVersion") or {})}
    return _responses.json_response({"WorkGroup": {**found, "Configuration": {**configuration, "EngineVersion": version}}})


def _output(data: Mapping[str, Any], configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Where results go: the workgroup's settings alone if it enforces them, otherwise the caller's first."""
    own, of_group = dict(data.get("ResultConfiguration") or {}), dict(configuration.get("ResultConfiguration") or {})
    chosen = of_group if _is_enforced(configuration) else {**of_group, **{name: value for name, value in own.items() if value}}
    location = str(chosen.get("OutputLocation") or "")
    if not location:
        raise InvalidRequestError(
            "No output location provided. An output location is required either through the Workgroup result configuration setting "
            "or as an API input."
        )
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/.*)?", location):
        raise InvalidRequestError(f"outputLocation is not a valid S3 path: {location}")
    option = (chosen.get("EncryptionConfiguration") or {}).get("EncryptionOption")
    if option and option not in ENCRYPTION:
        raise InvalidRequestError(f"EncryptionOption {option} is not served by the laptop platform; it serves {', '.join(ENCRYPTION)}")
    return chosen


def _is_enforced(configuration: Mapping[str, Any]) -> bool:
    location = (configuration.get("ResultConfiguration") or {}).get("OutputLocation")
    return bool(configuration.get("EnforceWorkGroupConfiguration", False)) and bool(location)


# ---- helpers -----------------------------------------------------------------------------------------------------------


def _error(code: str, message: str) -> Response:
    return _responses.error_response_json(code, message, 400)


def _off_the_loop(function: Any) -> Any:
    """MiniStack's Athena answers on its event loop; what calls S3 from there would wait for itself."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        operation = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
        answer = _OFF_LOOP.get(operation) or _about_what_is_kept(operation)
        if answer is None:
            return await function(method, path, headers, body, query)
        _athena._ensure_default_workgroup()
        _athena._ensure_default_data_catalog()
        try:
            data = json.loads(body) if body else {}
        except json.JSONDecodeError:
            return _error("SerializationException", "Invalid JSON")
        return await _concurrency.run_reentrant(answer, data, thread_name="athena-call")

    return handle


def _about_what_is_kept(operation: str) -> Any:
    """What answers an operation about prepared statements, named queries, databases and tables; None for others."""
    found = athena_prepared.OPERATIONS.get(operation) or athena_metadata.OPERATIONS.get(operation)
    if found is None:
        return None

    def answer(data: Mapping[str, Any]) -> Response:
        try:
            return found(data)
        except InvalidRequestError as refused:
            return _error(refused.code, str(refused))

    return answer


_concurrency = seam.module("core.concurrency")
_OFF_LOOP = {
    "StartQueryExecution": start_query_execution, "GetQueryExecution": _get_query_execution, "GetQueryResults": _get_query_results,
    "StopQueryExecution": _stop_query_execution, "ListQueryExecutions": _list_query_executions,
    "BatchGetQueryExecution": _batch_get_query_execution, "GetWorkGroup": _get_work_group,
}  # fmt: skip


def _load_persisted_state(data: Any) -> Any:
    """Restore Athena's state; a query that was under way has lost its engine with the server."""
    result = seam.original("services.athena.load_persisted_state")(data)
    for found in list(_athena._executions._data.values()):
        if found.get("Status", {}).get("State") not in FINAL:
            found["Status"] |= {"State": FAILED, "CompletionDateTime": time.time(), "StateChangeReason": "the laptop platform was stopped"}
    return result


def register() -> None:
    """Run queries on Trino."""
    seam.replace("services.athena.handle_request", _off_the_loop(seam.original("services.athena.handle_request")))
    seam.replace("services.athena.load_persisted_state", _load_persisted_state)
