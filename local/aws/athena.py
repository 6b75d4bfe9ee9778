"""Athena's queries, run by Trino: the engine that Athena itself is made of.

Replaces MiniStack's execution (DuckDB, which knows no Iceberg). Runs what `athena_statements` lists over Iceberg tables of the
local Glue catalog; everything else is refused by name. Workgroups, named queries and tags stay MiniStack's.
"""

from __future__ import annotations

import collections
import contextvars
import copy
import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from local.aws import athena_results, guard, seam
from local.aws.athena_access import AccessRefusedError, Caller
from local.aws.athena_statements import Statement, StatementError, TableName, bind, look_at
from local.aws.caller_objects import NoSuchObjectError
from local.engines import host
from local.engines.trino import Query, TrinoError, TrinoUnavailableError

if TYPE_CHECKING:
    from local.aws.door import Response

log = logging.getLogger("lake.athena")

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = "QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"
FINAL = frozenset({SUCCEEDED, FAILED, CANCELLED})
"""States in which a query has ended."""

ENGINE = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}
OVER_LIMIT = "Bytes scanned limit was exceeded"
LOWEST_CUTOFF = 10_000_000
"""Least that a workgroup may limit a scan to, in bytes."""

LARGEST_PAGE = 1000
LONGEST_QUERY = 262_144
"""Bytes of a statement that Athena takes."""

KEPT_RESULTS = 16
"""Results whose pages are answered from memory; others are read from S3 again."""

_athena = seam.module("services.athena")
_responses = seam.module("core.responses")

_lock = threading.RLock()
_running: dict[str, Execution] = {}
_pages: collections.OrderedDict[str, list[list[str | None]]] = collections.OrderedDict()
_LINE = re.compile(r"\bline (\d+):")
_ENCRYPTION = {"SSE_S3": "AES256", "SSE_KMS": "aws:kms"}


# ---- the API ---------------------------------------------------------------------------------------------------------


def start_query_execution(data: Mapping[str, Any]) -> Response:
    """StartQueryExecution."""
    try:
        execution = _accept(data)
    except _RequestError as refused:
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
        rows = _result_rows(execution, Caller(key=guard.caller.get(), via=f"athena:{execution['WorkGroup']}"))
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
    execution = _running.get(query_id)
    if execution is not None:
        execution.cancel("Query was cancelled by user")


def shown(execution: Mapping[str, Any]) -> dict[str, Any]:
    """A query's record as the API gives it."""
    return copy.deepcopy({name: value for name, value in execution.items() if not name.startswith("_")})


# ---- accepting a query -----------------------------------------------------------------------------------------------


class _RequestError(Exception):
    """A request that Athena refuses at once."""

    def __init__(self, message: str, *, code: str = "InvalidRequestException") -> None:
        self.code = code
        super().__init__(message)


def _accept(data: Mapping[str, Any]) -> dict[str, Any]:
    sql = str(data.get("QueryString") or "")
    if not sql.strip():
        raise _RequestError("Query string is empty")
    if len(sql.encode()) > LONGEST_QUERY:
        raise _RequestError(f"Query string is too long: {len(sql.encode())} bytes, at most {LONGEST_QUERY}")
    token = data.get("ClientRequestToken")
    earlier = next((found for found in _athena._executions.values() if token and found.get("_token") == token), None)
    if earlier is not None:
        if earlier["Query"] != sql:
            raise _RequestError("Idempotent parameters do not match")
        return dict(earlier)
    name, configuration = _workgroup(data)
    output = _output(data, configuration)
    context = data.get("QueryExecutionContext") or {}
    if str(context.get("Catalog") or "AwsDataCatalog").lower() != "awsdatacatalog":
        raise _RequestError(f"Catalog {context['Catalog']} is not served by the laptop platform; it serves AwsDataCatalog")
    if (data.get("ResultReuseConfiguration") or {}).get("ResultReuseByAgeConfiguration", {}).get("Enabled"):
        raise _RequestError("ResultReuseConfiguration is not served by the laptop platform")
    caller = Caller(key=guard.caller.get(), via=f"athena:{name}")
    bucket = output["OutputLocation"].removeprefix("s3://").partition("/")[0]
    try:
        caller.ask_bucket(bucket)
    except AccessRefusedError as refused:
        raise _RequestError(str(refused)) from refused
    query_id = str(uuid.uuid4())
    kind = "DML" if re.match(r"\s*\(*\s*(select|with|values|insert|update|delete|merge|table)\b", sql, re.IGNORECASE) else "UTILITY"
    suffix = "csv" if kind == "DML" else "txt"
    record: dict[str, Any] = {
        "QueryExecutionId": query_id,
        "Query": sql,
        "StatementType": kind,
        "ResultConfiguration": {**output, "OutputLocation": f"{output['OutputLocation'].rstrip('/')}/{query_id}.{suffix}"},
        "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": False}},
        "QueryExecutionContext": {"Database": context.get("Database") or "default", "Catalog": "awsdatacatalog"},
        "Status": {"State": QUEUED, "SubmissionDateTime": time.time()},
        "Statistics": {},
        "WorkGroup": name,
        "EngineVersion": ENGINE,
        "SubstatementType": sql.split(None, 1)[0].upper(),
        **({"ExecutionParameters": list(data["ExecutionParameters"])} if data.get("ExecutionParameters") else {}),
        "_token": token,
        "_columns": [],
        "_update_count": 0,
        "_cutoff": int(configuration.get("BytesScannedCutoffPerQuery") or 0),
    }
    _athena._executions[query_id] = record
    execution = Execution(record=record, caller=caller)
    _running[query_id] = execution
    context_copy = contextvars.copy_context()
    threading.Thread(target=context_copy.run, args=(execution.run,), name=f"athena-{query_id[:8]}", daemon=True).start()
    return record


def _workgroup(data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    _athena._ensure_default_workgroup()
    name = str(data.get("WorkGroup") or "primary")
    found = _athena._workgroups.get(name)
    if found is None:
        raise _RequestError(f"WorkGroup {name} is not found.")
    if found.get("State", "ENABLED") != "ENABLED":
        raise _RequestError(f"WorkGroup {name} is disabled.")
    return name, dict(found.get("Configuration") or {})


def _output(data: Mapping[str, Any], configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Where results go: the workgroup's settings alone if it enforces them, otherwise the caller's first."""
    own, of_group = dict(data.get("ResultConfiguration") or {}), dict(configuration.get("ResultConfiguration") or {})
    enforced = bool(configuration.get("EnforceWorkGroupConfiguration", False)) and bool(of_group.get("OutputLocation"))
    chosen = of_group if enforced else {**of_group, **{name: value for name, value in own.items() if value}}
    location = str(chosen.get("OutputLocation") or "")
    if not location:
        raise _RequestError(
            "No output location provided. An output location is required either through the Workgroup result configuration setting "
            "or as an API input."
        )
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/.*)?", location):
        raise _RequestError(f"outputLocation is not a valid S3 path: {location}")
    option = (chosen.get("EncryptionConfiguration") or {}).get("EncryptionOption")
    if option and option not in _ENCRYPTION:
        raise _RequestError(f"EncryptionOption {option} is not served by the laptop platform; it serves {', '.join(_ENCRYPTION)}")
    return chosen


# ---- running it ------------------------------------------------------------------------------------------------------


class _CancelledError(Exception):
    """The query was asked to end."""


class Execution:
    """One query, from QUEUED to its end, on a thread of its own."""

    def __init__(self, *, record: dict[str, Any], caller: Caller) -> None:
        self._record, self._caller = record, caller
        self._query: Query | None = None
        self._cancelled = ""
        self._lock = threading.Lock()

    def cancel(self, reason: str) -> None:
        """Ask the query to end."""
        with self._lock:
            self._cancelled = reason
            query = self._query
        if query is not None:
            query.cancel()

    def run(self) -> None:
        """Run to the end; whatever happens, the query ends in a final state."""
        try:
            self._run()
            self._end(SUCCEEDED)
        except _CancelledError:
            self._end(CANCELLED, self._cancelled)
        except (StatementError, AccessRefusedError) as refused:
            self._end(FAILED, str(refused), error_type=1006 if isinstance(refused, AccessRefusedError) else 1)
        except TrinoError as error:
            if error.name == "EXCEEDED_SCAN_LIMIT":
                self._end(CANCELLED, OVER_LIMIT)
            else:
                self._end(FAILED, f"{error.name}: {error.message}", error_type=1)
        except TrinoUnavailableError as error:
            self._end(FAILED, f"INTERNAL_ERROR: {error}", category=1)
        except Exception as error:
            log.exception("query %s", self._record["QueryExecutionId"])
            self._end(FAILED, f"INTERNAL_ERROR: {error}", category=1)
        finally:
            _running.pop(self._record["QueryExecutionId"], None)

    def _run(self) -> None:
        database = self._record["QueryExecutionContext"]["Database"]
        statement = look_at(bind(self._record["Query"], self._record.get("ExecutionParameters") or []), database=database)
        self._caller.ask_catalog(statement)
        self._set(RUNNING)
        statement = self._complete(statement, database)
        self._caller.ask_data(statement.reads)
        if statement.writes:
            self._caller.ask_data({statement.writes}, write=True)
        rows = self._rows(statement, database)
        self._write(statement, rows)

    def _complete(self, statement: Statement, database: str) -> Statement:
        """Add the tables that Trino itself says the statement touches (behind views, for one), and ask for them too."""
        if not statement.planned:
            return statement
        try:
            plan = self._send(f"EXPLAIN (TYPE IO, FORMAT JSON)\n{statement.planned}", database).rows()
        except TrinoError as error:
            message = _LINE.sub(lambda found: f"line {int(found[1]) - 1}:", error.message)  # the statement began on line 2
            raise TrinoError(name=error.name, kind=error.kind, message=message) from error
        if self._cancelled:
            raise _CancelledError
        found = {
            TableName(database=entry["table"]["schemaTable"]["schema"], table=entry["table"]["schemaTable"]["table"].split("$", 1)[0])
            for entry in json.loads(plan[0][0]).get("inputTableColumnInfos", [])
        }
        more = frozenset(name for name in found if name.database != "information_schema") - statement.reads
        if more:
            self._caller.ask_catalog(Statement(sql="", kind="DML", reads=more))
        return replace(statement, reads=statement.reads | more)

    def _send(self, sql: str, database: str) -> Query:
        if self._cancelled:
            raise _CancelledError
        query = host.trino().query(sql, schema=database, user=self._caller.arn)
        with self._lock:
            if not self._cancelled:
                self._query = query
                return query
        # It was asked to end while the engine started.
        query.cancel()
        raise _CancelledError

    def _rows(self, statement: Statement, database: str) -> list[list[str | None]]:
        query, cutoff = self._send(statement.sql, database), self._record["_cutoff"]
        found: list[list[str | None]] = []
        for page in query.pages():
            found += [
                [athena_results.text_of(cell, column.signature) for cell, column in zip(row, query.columns, strict=True)] for row in page
            ]
            if cutoff and query.progress.scanned_bytes > cutoff:
                self.cancel(OVER_LIMIT)
        self._count(query)
        if self._cancelled:
            raise _CancelledError
        self._record["_update_count"] = query.update_count or 0
        if statement.writes:
            self._record["_columns"] = []
            return []
        self._record["_columns"] = [athena_results.column_info(column) for column in query.columns]
        if statement.hides:
            found = [row for row in found if row[0] not in statement.hides]
        return found

    def _count(self, query: Query) -> None:
        progress, submitted = query.progress, self._record["Status"]["SubmissionDateTime"]
        total = int((time.time() - submitted) * 1000)
        self._record["Statistics"] = {
            "EngineExecutionTimeInMillis": progress.elapsed_ms,
            "DataScannedInBytes": progress.scanned_bytes,
            "TotalExecutionTimeInMillis": total,
            "QueryQueueTimeInMillis": progress.queued_ms,
            "QueryPlanningTimeInMillis": progress.planning_ms,
            "ServicePreProcessingTimeInMillis": 0,
            "ServiceProcessingTimeInMillis": max(total - progress.elapsed_ms - progress.queued_ms, 0),
            "ResultReuseInformation": {"ReusedPreviousResult": False},
        }

    def _write(self, statement: Statement, rows: list[list[str | None]]) -> None:
        """Write the result and its description, as the caller."""
        names = [column["Name"] for column in self._record["_columns"]]
        if statement.kind == "DML":
            rows = [names, *rows] if names else rows
            text = "".join(athena_results.csv_line(row) for row in rows)
        else:
            text = athena_results.utility_text(rows)
        location = self._record["ResultConfiguration"]["OutputLocation"]
        bucket, _, key = location.removeprefix("s3://").partition("/")
        kind = "text/csv" if statement.kind == "DML" else "text/plain"
        description = json.dumps(self._record["_columns"]).encode()
        try:
            self._caller.put(bucket, key, text.encode(), {"content-type": kind, **self._encryption()})
            self._caller.put(bucket, f"{key}.metadata", description, {"content-type": "application/json", **self._encryption()})
        except (AccessRefusedError, NoSuchObjectError) as refused:
            raise AccessRefusedError(
                f"Access denied when writing output to url: {location} . Please ensure you are allowed to access the S3 bucket. "
                f"If you are encrypting query results with KMS key, please ensure you are allowed to access your KMS key. {refused}"
            ) from refused
        _keep(self._record["QueryExecutionId"], rows)

    def _encryption(self) -> dict[str, str]:
        settings = self._record["ResultConfiguration"].get("EncryptionConfiguration") or {}
        option = settings.get("EncryptionOption")
        if not option:
            return {}
        key = {"x-amz-server-side-encryption-aws-kms-key-id": settings["KmsKey"]} if settings.get("KmsKey") else {}
        return {"x-amz-server-side-encryption": _ENCRYPTION[option], **key}

    def _set(self, state: str, reason: str = "") -> None:
        with _lock:
            self._record["Status"] = {**self._record["Status"], "State": state, **({"StateChangeReason": reason} if reason else {})}

    def _end(self, state: str, reason: str = "", *, category: int = 2, error_type: int = 0) -> None:
        with _lock:
            status = self._record["Status"]
            if not self._record["Statistics"]:
                total = int((time.time() - status["SubmissionDateTime"]) * 1000)
                self._record["Statistics"] = {
                    "TotalExecutionTimeInMillis": total,
                    "DataScannedInBytes": 0,
                    "EngineExecutionTimeInMillis": total,
                }
            error = (
                {"ErrorCategory": category, "ErrorType": error_type, "Retryable": False, "ErrorMessage": reason}
                if state == FAILED
                else None
            )
            self._record["Status"] = {**status, "CompletionDateTime": time.time(), **({"AthenaError": error} if error else {})}
            self._set(state, reason)


# ---- helpers -----------------------------------------------------------------------------------------------------------


def _result_rows(execution: Mapping[str, Any], caller: Caller) -> list[list[str | None]]:
    query_id = execution["QueryExecutionId"]
    bucket, _, key = execution["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").partition("/")
    if query_id in _pages:
        caller.get(bucket, key, first_byte=True)
        return _pages[query_id]
    text = caller.get(bucket, key).decode()
    is_csv = execution["StatementType"] == "DML"
    rows: list[list[str | None]] = list(athena_results.read_csv(text)) if is_csv else [list(line.split("\t")) for line in text.splitlines()]
    _keep(query_id, rows)
    return rows


def _keep(query_id: str, rows: list[list[str | None]]) -> None:
    with _lock:
        _pages[query_id] = rows
        while len(_pages) > KEPT_RESULTS:
            _pages.popitem(last=False)


def _error(code: str, message: str) -> Response:
    return _responses.error_response_json(code, message, 400)


def _off_the_loop(function: Any) -> Any:
    """MiniStack's Athena answers on its event loop; what calls S3 from there would wait for itself."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        operation = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
        answer = _OFF_LOOP.get(operation)
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


_concurrency = seam.module("core.concurrency")
_OFF_LOOP = {
    "StartQueryExecution": start_query_execution, "GetQueryExecution": _get_query_execution, "GetQueryResults": _get_query_results,
    "StopQueryExecution": _stop_query_execution, "ListQueryExecutions": _list_query_executions,
    "BatchGetQueryExecution": _batch_get_query_execution,
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
