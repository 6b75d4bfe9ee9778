"""One query of the local Athena from QUEUED to its end: asked for as its caller, run by Trino, its result or files written as the caller."""

from __future__ import annotations

import collections
import json
import logging
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from local.aws import athena_changes, athena_files, athena_metrics, athena_prepared, athena_results, athena_reuse, athena_shows, seam
from local.aws.athena_access import AccessRefusedError, Caller
from local.aws.athena_outputs import Execute, Files, TableAs, iceberg_sql, prepared
from local.aws.athena_sql import StatementError, TableName, first_word, quoted
from local.aws.athena_statements import DEFINED, DESCRIBED, FIELDS, PREPARED, Statement, bind, look_at
from local.aws.caller_objects import NoSuchObjectError, split
from local.engines import host
from local.engines.trino import CATALOG, Query, TrinoError, TrinoUnavailableError

log = logging.getLogger("lake.athena")

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = "QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"
OVER_LIMIT = "Bytes scanned limit was exceeded"
ENCRYPTION = {"SSE_S3": "AES256", "SSE_KMS": "aws:kms"}
"""Encryption of results, Athena's word -> S3's."""

KEPT_RESULTS = 16
"""Results whose pages are answered from memory; others are read from S3 again."""

running: dict[str, Execution] = {}
"""Queries under way, by their id."""

_athena = seam.module("services.athena")
_glue = seam.module("services.glue")

_lock = threading.RLock()
_kept: collections.OrderedDict[str, list[list[str | None]]] = collections.OrderedDict()
_LINE = re.compile(r"\bline (\d+):")


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
            running.pop(self._record["QueryExecutionId"], None)

    def _run(self) -> None:
        database = self._record["QueryExecutionContext"]["Database"]
        sql = self._sql()
        if not sql:
            self._set(RUNNING)
            self._write(Statement(sql="", kind="DDL"), [])
            return
        statement = look_at(sql, database=database)
        self._caller.ask_catalog(statement)
        if statement.defines:
            self._caller.ask_glue(athena_changes.rights(statement.defines))
        self._set(RUNNING)
        statement = self._complete(statement, database)
        if self._reuse():
            return
        if statement.defines:
            athena_changes.define(
                statement.defines, caller=self._caller, call=_glue_call, run=lambda sql, session: self._defined(sql, database, session)
            )
            self._write(Statement(sql="", kind="DDL"), [])
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
        elif statement.shows:
            self._write(statement, self._shown(statement))
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
            self._record["_columns"] = athena_shows.column_infos(DEFINED)
            return [[line] for row in found for line in str(row[0]).split("\n")]
        return [row for row in found if row[0] not in statement.hides and (statement.only is None or statement.only.fullmatch(str(row[0])))]

    def _shown(self, statement: Statement) -> list[list[str | None]]:
        """A table as its catalog has it: each row one cell, though there are as many columns as Hive has."""
        self._record["_columns"] = athena_shows.column_infos(statement.shows)
        (name,) = statement.reads
        lines = athena_shows.columns_of(name, self._caller) if statement.shows == FIELDS else athena_shows.described(name, self._caller)
        return [[line] for line in lines]

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

    def _defined(self, sql: str, database: str, session: Mapping[str, str]) -> None:
        try:
            self._watch(self._send(sql, database, session))
        except TrinoError as error:
            raise _one_line_up(error) from error

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
        elif statement.shows:
            text = "".join(f"{row[0]}\n" for row in rows)
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
        return {"x-amz-server-side-encryption": ENCRYPTION[option], **key}

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
        athena_metrics.publish(self._record)


def result_rows(execution: Mapping[str, Any], caller: Caller) -> list[list[str | None]]:
    """Rows of a query's result, its header first, read as the caller.

    Raises:
        AccessRefusedError: The caller may not read the result.
        NoSuchObjectError: It is gone.
    """
    query_id = execution.get("_rows_of") or execution["QueryExecutionId"]
    location = execution["ResultConfiguration"]["OutputLocation"]
    bucket, key = split(location)
    if not location.endswith((".csv", ".txt")):
        return []
    if query_id in _kept:
        caller.get(bucket, key, first_byte=True)
        return _kept[query_id]
    text = caller.get(bucket, key).decode()
    rows: list[list[str | None]]
    if location.endswith(".csv"):
        rows = list(athena_results.read_csv(text))
    else:
        is_one_cell = tuple(column["Name"] for column in execution["_columns"]) in {DEFINED, DESCRIBED, FIELDS}
        rows = [[line] if is_one_cell else list(line.split("\t")) for line in text.splitlines()]
    _keep(query_id, rows)
    return rows


def _keep(query_id: str, rows: list[list[str | None]]) -> None:
    with _lock:
        _kept[query_id] = rows
        while len(_kept) > KEPT_RESULTS:
            _kept.popitem(last=False)


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
