"""Athena's queries, run by Trino: the engine that Athena itself is made of.

Replaces MiniStack's execution (DuckDB, which knows no Iceberg). Runs what `athena_statements` lists over the Iceberg and Hive
tables of the local Glue catalog; everything else is refused by name. Workgroups and tags stay MiniStack's.
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
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from local.aws import athena_files, athena_prepared, athena_results, athena_reuse, guard, seam
from local.aws.athena_access import AccessRefusedError, Caller
from local.aws.athena_outputs import Execute, Files, TableAs, iceberg_sql, prepared
from local.aws.athena_prepared import InvalidRequestError
from local.aws.athena_sql import StatementError, TableName, first_word, quoted
from local.aws.athena_statements import PREPARED, WRITES, Statement, bind, kind_of, look_at
from local.aws.caller_objects import NoSuchObjectError, split
from local.engines import host
from local.engines.trino import CATALOG, Query, TrinoError, TrinoUnavailableError

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
_glue = seam.module("services.glue")
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
    suffix = "" if first in WRITES | {"UNLOAD", "CREATE"} else ".csv" if kind == "DML" else ".txt"
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
    _running[query_id] = execution
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
    if option and option not in _ENCRYPTION:
        raise InvalidRequestError(f"EncryptionOption {option} is not served by the laptop platform; it serves {', '.join(_ENCRYPTION)}")
    return chosen


def _is_enforced(configuration: Mapping[str, Any]) -> bool:
    location = (configuration.get("ResultConfiguration") or {}).get("OutputLocation")
    return bool(configuration.get("EnforceWorkGroupConfiguration", False)) and bool(location)


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
            elif self._cancelled:
                self._end(CANCELLED, self._cancelled)
            else:
                self._end(FAILED, f"{error.name}: {error.message}", error_type=1)
        except TrinoUnavailableError as error:
            if self._cancelled:
                self._end(CANCELLED, self._cancelled)
            else:
                self._end(FAILED, f"INTERNAL_ERROR: {error}", category=1)
        except Exception as error:
            log.exception("query %s", self._record["QueryExecutionId"])
            self._end(FAILED, f"INTERNAL_ERROR: {error}", category=1)
        finally:
            _running.pop(self._record["QueryExecutionId"], None)

    def _run(self) -> None:
        database = self._record["QueryExecutionContext"]["Database"]
        sql = self._sql()
        if not sql:
            self._set(RUNNING)
            self._write(Statement(sql="", kind="DDL"), [])
            return
        statement = look_at(sql, database=database)
        self._caller.ask_catalog(statement)
        self._set(RUNNING)
        statement = self._complete(statement, database)
        if self._reuse():
            return
        self._caller.ask_data(statement.reads)
        if statement.writes:
            self._caller.ask_data({statement.writes}, write=True)
        if statement.files:
            self._unload(statement, database)
        elif statement.makes:
            self._make(statement.makes, database)
        elif statement.drops:
            self._drop(statement, statement.drops, database)
        else:
            self._write(statement, self._rows(statement, database))

    def _sql(self) -> str:
        """The statement to run with its values in place; empty for PREPARE and DEALLOCATE, which are done here."""
        sql, given = self._record["Query"], list(self._record.get("ExecutionParameters") or [])
        if first_word(sql) not in PREPARED:
            return bind(sql, given)
        asked, workgroup = prepared(sql), self._record["WorkGroup"]
        operation = {"Prepare": "CreatePreparedStatement", "Execute": "GetPreparedStatement", "Deallocate": "DeletePreparedStatement"}
        self._caller.ask_workgroup(operation[type(asked).__name__], workgroup)
        found = athena_prepared.run(asked, workgroup=workgroup)
        if not isinstance(asked, Execute):
            return ""
        values = [*asked.values, *given]
        self._record["_values"] = json.dumps(values)
        return bind(found, values)

    def _reuse(self) -> bool:
        """Point at an earlier result, if the query may and its caller can read that."""
        with _lock:
            found = athena_reuse.earlier(self._record, list(_athena._executions.values()))
        if found is None:
            return False
        location = found["ResultConfiguration"]["OutputLocation"]
        try:
            self._caller.get(*split(location), first_byte=True)
        except (AccessRefusedError, NoSuchObjectError):
            return False
        total = int((time.time() - self._record["Status"]["SubmissionDateTime"]) * 1000)
        self._record["ResultConfiguration"] = {**self._record["ResultConfiguration"], "OutputLocation": location}
        self._record["_columns"], self._record["_rows_of"] = found["_columns"], found["QueryExecutionId"]
        self._record["Statistics"] = {
            "EngineExecutionTimeInMillis": 0, "DataScannedInBytes": 0, "TotalExecutionTimeInMillis": total,
            "ServiceProcessingTimeInMillis": total, "ResultReuseInformation": {"ReusedPreviousResult": True},
        }  # fmt: skip
        return True

    def _complete(self, statement: Statement, database: str) -> Statement:
        """Add the tables that Trino itself says the statement touches (behind views, for one), and ask for them too."""
        if not statement.planned:
            return statement
        try:
            plan = self._send(f"EXPLAIN (TYPE IO, FORMAT JSON)\n{statement.planned}", database).rows()
        except TrinoError as error:
            raise _one_line_up(error) from error
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

    def _send(self, sql: str, database: str, session: Mapping[str, str] | None = None) -> Query:
        if self._cancelled:
            raise _CancelledError
        query = host.trino().query(sql, schema=database, user=self._caller.arn, session=session)
        with self._lock:
            if not self._cancelled:
                self._query = query
                return query
        # It was asked to end while the engine started.
        query.cancel()
        raise _CancelledError

    def _rows(self, statement: Statement, database: str) -> list[list[str | None]]:
        query = self._send(statement.sql, database)
        found: list[list[str | None]] = []
        for page in self._pages(query):
            found += [
                [athena_results.text_of(cell, column.signature) for cell, column in zip(row, query.columns, strict=True)] for row in page
            ]
        self._record["_update_count"] = query.update_count or 0
        if statement.writes:
            self._record["_columns"] = []
            return []
        self._record["_columns"] = [athena_results.column_info(column) for column in query.columns]
        if statement.is_text:
            return [[line] for row in found for line in str(row[0]).split("\n")]
        return [row for row in found if row[0] not in statement.hides and (statement.only is None or statement.only.fullmatch(str(row[0])))]

    def _pages(self, query: Query) -> Iterator[list[list[Any]]]:
        """Pages of a query, until it ends, is cancelled or has scanned too much."""
        cutoff = self._record["_cutoff"]
        for page in query.pages():
            yield page
            if cutoff and query.progress.scanned_bytes > cutoff:
                self.cancel(OVER_LIMIT)
        self._count(query)
        if self._cancelled:
            raise _CancelledError

    def _watch(self, query: Query) -> None:
        for _ in self._pages(query):
            pass
        self._record["_update_count"] = query.update_count or 0

    # ---- files and tables ----------------------------------------------------------------------------------------

    def _unload(self, statement: Statement, database: str) -> None:
        assert statement.files is not None
        self._manifest(self._files(statement.files, statement.files.location, database, with_data=True))

    def _files(self, files: Files, location: str, database: str, *, with_data: bool) -> athena_files.Written:
        return athena_files.write(
            files, query_id=self._record["QueryExecutionId"], location=location, with_data=with_data, caller=self._caller,
            headers=self._encryption(), send=lambda sql, session: self._send(sql, database, session), watch=self._watch, engine=host.trino,
        )  # fmt: skip

    def _manifest(self, written: athena_files.Written) -> None:
        """Write the list of the files that a query wrote, and say where it is."""
        bucket, prefix = split(self._record["_folder"])
        key = "/".join(part for part in (prefix, f"{self._record['QueryExecutionId']}-manifest.csv") if part)
        self._put(bucket, key, "".join(f"{address}\n" for address in written.addresses).encode(), "text/csv")
        self._record["Statistics"] = {**self._record["Statistics"], "DataManifestLocation": f"s3://{bucket}/{key}"}
        self._write(Statement(sql="", kind="DML"), [])

    def _make(self, made: TableAs, database: str) -> None:
        exists = _has_table(made.table)
        if exists and not made.if_not_exists:
            raise StatementError(
                f"TABLE_ALREADY_EXISTS: line 1:1: Destination table '{CATALOG}.{made.table.database}.{made.table.table}' already exists"
            )
        if exists:
            self._write(Statement(sql="", kind="DML"), [])
        elif made.files is None:
            bucket, prefix = split(made.location)
            self._caller.ask_bucket(bucket)
            for folder in ("data", "metadata"):
                self._caller.ask_write(bucket, f"{prefix}/{folder}/new")
            if self._caller.has_objects(bucket, prefix):
                raise StatementError(f"ICEBERG_FILESYSTEM_ERROR: Cannot create a table on a non-empty location: {made.location}")
            try:
                self._watch(self._send(iceberg_sql(made), database, {f"{CATALOG}.compression_codec": made.compression}))
            except TrinoError as error:
                raise _one_line_up(error) from error
            self._write(Statement(sql="", kind="DML"), [])
        else:
            self._make_hive(made, made.files, database)

    def _make_hive(self, made: TableAs, files: Files, database: str) -> None:
        if files.location and self._record["_enforced"]:
            raise StatementError(
                "INVALID_TABLE_PROPERTY: The Create Table As Select query failed because it was submitted with an 'external_location' property "
                "to an Athena Workgroup that enforces a centralized output location for all queries. Please remove the 'external_location' "
                "property and resubmit the query."
            )
        location = f"{(files.location or self._record['_folder'] + '/tables/' + self._record['QueryExecutionId']).rstrip('/')}/"
        if files.partitioned_by:
            self._caller.ask_partitions(made.table, write=True)
        written = self._files(files, location, database, with_data=made.with_data)
        table = athena_files.table_input(made.table.table, files=files, location=location, written=written)
        _glue_call(_glue._create_table, {"DatabaseName": made.table.database, "TableInput": table})
        inputs = athena_files.partition_inputs(table, location=location, written=written)
        if inputs:
            _glue_call(
                _glue._batch_create_partition,
                {"DatabaseName": made.table.database, "TableName": made.table.table, "PartitionInputList": inputs},
            )
        self._manifest(written)

    def _drop(self, statement: Statement, name: TableName, database: str) -> None:
        table = _glue._tables.get(f"{name.database}/{name.table}")
        if table is None and not statement.if_exists:
            raise StatementError(f"TABLE_NOT_FOUND: Table not found: {name.database}.{name.table}")
        if table is not None and "metadata_location" in (table.get("Parameters") or {}):
            self._caller.ask_delete(table["StorageDescriptor"]["Location"])
            self._watch(self._send(f"DROP TABLE {CATALOG}.{quoted(name)}", database))
        elif table is not None:
            _glue_call(_glue._delete_table, {"DatabaseName": name.database, "Name": name.table})
        self._write(Statement(sql="", kind="DDL"), [])

    # ---- results -------------------------------------------------------------------------------------------------

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
        bucket, key = split(self._record["ResultConfiguration"]["OutputLocation"])
        if self._has_result():
            self._put(bucket, key, text.encode(), "text/csv" if statement.kind == "DML" else "text/plain")
        self._put(bucket, f"{key}.metadata", json.dumps(self._record["_columns"]).encode(), "application/json")
        _keep(self._record["QueryExecutionId"], rows)

    def _has_result(self) -> bool:
        """Whether there is an object with rows: what writes tables or files has none."""
        return self._record["ResultConfiguration"]["OutputLocation"].endswith((".csv", ".txt"))

    def _put(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        try:
            self._caller.put(bucket, key, data, {"content-type": content_type, **self._encryption()})
        except (AccessRefusedError, NoSuchObjectError) as refused:
            raise AccessRefusedError(
                f"Access denied when writing output to url: s3://{bucket}/{key} . Please ensure you are allowed to access the S3 bucket. "
                f"If you are encrypting query results with KMS key, please ensure you are allowed to access your KMS key. {refused}"
            ) from refused

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
                    "ResultReuseInformation": {"ReusedPreviousResult": False},
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
    query_id = execution.get("_rows_of") or execution["QueryExecutionId"]
    location = execution["ResultConfiguration"]["OutputLocation"]
    bucket, key = split(location)
    if not location.endswith((".csv", ".txt")):
        return []
    if query_id in _pages:
        caller.get(bucket, key, first_byte=True)
        return _pages[query_id]
    text = caller.get(bucket, key).decode()
    is_csv = location.endswith(".csv")
    rows: list[list[str | None]] = list(athena_results.read_csv(text)) if is_csv else [list(line.split("\t")) for line in text.splitlines()]
    _keep(query_id, rows)
    return rows


def _keep(query_id: str, rows: list[list[str | None]]) -> None:
    with _lock:
        _pages[query_id] = rows
        while len(_pages) > KEPT_RESULTS:
            _pages.popitem(last=False)


def _one_line_up(error: TrinoError) -> TrinoError:
    """An error in a statement that was sent from line 2 on."""
    message = _LINE.sub(lambda found: f"line {max(int(found[1]) - 1, 1)}:", error.message)
    return TrinoError(name=error.name, kind=error.kind, message=message)


def _has_table(name: TableName) -> bool:
    return f"{name.database}/{name.table}" in _glue._tables


def _glue_call(function: Any, data: Mapping[str, Any]) -> None:
    """Call Glue for somebody who was asked for the right to it before."""
    status, _, body = function(dict(data))
    if status >= 400:
        raise StatementError(str(json.loads(body).get("message") or body))


def _error(code: str, message: str) -> Response:
    return _responses.error_response_json(code, message, 400)


def _off_the_loop(function: Any) -> Any:
    """MiniStack's Athena answers on its event loop; what calls S3 from there would wait for itself."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        operation = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
        answer = _OFF_LOOP.get(operation) or _about_statements(operation)
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


def _about_statements(operation: str) -> Any:
    """What answers an operation about prepared statements and named queries; None for others."""
    found = athena_prepared.OPERATIONS.get(operation)
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
