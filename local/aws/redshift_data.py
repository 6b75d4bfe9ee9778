"""Redshift's Data API, over workgroups of Redshift Serverless and over provisioned clusters, with real results.

A batch is one transaction unless it is run with AUTO_COMMIT. Statements and results are forgotten with the process. A workgroup takes no
`DbUser`; a cluster that is paused takes no statements.
"""

from __future__ import annotations

import csv
import io
import json
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from local.aws import guard, redshift_executions
from local.aws.modelled_service import Answer, Call, ModelledService, Operation, ServiceError, in_background, no_resource, paginated, serve
from local.aws.redshift_catalog import describe_table, field, list_databases, list_schemas, list_tables, metadata
from local.aws.redshift_executions import EXECUTIONS, FINAL, SESSIONS, Execution, Kept, Part
from local.aws.redshift_targets import arn_of, invalid, target_of
from local.redshift.session import Outcome

MOST_STATEMENTS, LONGEST_STATEMENT = 40, 100_000
"""Statements of a batch, and bytes of a statement."""

MOST_ACTIVE, PAGE = 500, 1000
LONGEST_KEEP_ALIVE = 86_400

_tokens: dict[tuple[str, str], tuple[str, str]] = {}
_lock = threading.RLock()


# ---- submission ------------------------------------------------------------------------------------------------------------


def _execute(call: Call) -> Answer:
    return _submit(call, [call.params["Sql"]], is_batch=False)


def _batch_execute(call: Call) -> Answer:
    sqls = list(call.params["Sqls"])
    if not 1 <= len(sqls) <= MOST_STATEMENTS:
        raise invalid(f"A batch takes from 1 to {MOST_STATEMENTS} SQL statements, got {len(sqls)}")
    return _submit(call, sqls, is_batch=True)


def _submit(call: Call, sqls: Sequence[str], *, is_batch: bool) -> Answer:
    given = dict(call.params)
    for sql in sqls:
        if len(sql.encode()) > LONGEST_STATEMENT:
            raise invalid(f"Cannot process a query string with more than {LONGEST_STATEMENT} bytes.")
    owner, token = _owner(call.key), given.get("ClientToken")
    with _lock:
        earlier = _tokens.get((owner, token)) if token else None
        asked = json.dumps({name: value for name, value in given.items() if name != "WaitTimeSeconds"}, sort_keys=True, default=str)
        if earlier is not None and earlier[0] in EXECUTIONS:
            if earlier[1] != asked:
                raise invalid("The client token was used with other parameters already: a token belongs to one request")
            execution = EXECUTIONS[earlier[0]]
        else:
            execution = _begin(call, given, sqls, is_batch=is_batch, owner=owner)
            if token:
                _tokens[owner, token] = (execution.id, asked)
    execution.wait(float(given.get("WaitTimeSeconds") or 0))
    shown: dict[str, Any] = {"Id": execution.id, "CreatedAt": execution.created_at, **execution.target.shown}
    if execution.kept is not None:
        shown["SessionId"] = execution.kept.id
    if given.get("WaitTimeSeconds"):
        shown |= {"Status": execution.status, "HasResultSet": execution.has_result}
    return shown


def _begin(call: Call, given: dict[str, Any], sqls: Sequence[str], *, is_batch: bool, owner: str) -> Execution:
    redshift_executions.forget_old()
    if sum(each.status not in FINAL for each in EXECUTIONS.values()) >= MOST_ACTIVE:
        raise ServiceError("ActiveStatementsExceededException", f"There are {MOST_ACTIVE} statements on their way already.")
    if given.get("ResultFormat") not in {None, "JSON", "CSV"}:
        raise invalid(f"ResultFormat {given['ResultFormat']} is not JSON or CSV")
    kept = _session_of(given, owner)
    target = kept.target if kept is not None else target_of(call, given)
    seconds = int(given.get("SessionKeepAliveSeconds") or 0)
    if not 0 <= seconds <= LONGEST_KEEP_ALIVE:
        raise invalid(f"SessionKeepAliveSeconds must be from 0 to {LONGEST_KEEP_ALIVE}, got {seconds}")
    if kept is None and seconds:
        kept = Kept(id=str(uuid.uuid4()), target=target, owner=owner, seconds=seconds)
        SESSIONS[kept.id] = kept
    if kept is not None:
        kept.is_busy, kept.used_at = True, time.time()
        kept.seconds = seconds or kept.seconds
    execution_id = str(uuid.uuid4())
    parts = [Part(id=f"{execution_id}:{number}" if is_batch else execution_id, sql=sql) for number, sql in enumerate(sqls, start=1)]
    execution = Execution(id=execution_id, target=target, owner=owner, parts=parts, is_batch=is_batch, given=given, kept=kept)
    EXECUTIONS[execution.id] = execution
    in_background(redshift_executions.run, execution, name=f"redshift-{execution_id[:8]}")
    return execution


def _session_of(given: Mapping[str, Any], owner: str) -> Kept | None:
    session_id = given.get("SessionId")
    if not session_id:
        return None
    if any(given.get(name) for name in ("WorkgroupName", "Database", "SecretArn", "DbUser", "ClusterIdentifier")):
        raise invalid("SessionId names the connection: leave WorkgroupName, Database, SecretArn and DbUser out")
    kept = SESSIONS.get(session_id)
    if kept is None or kept.owner != owner:
        raise ServiceError("ResourceNotFoundException", f"Session {session_id} does not exist.", ResourceId=session_id)
    if kept.is_busy:
        raise invalid(f"Session {session_id} is busy with another statement.")
    return kept


def _owner(key: str) -> str:
    """Whose statements they are: all sessions of a role see one another's."""
    arn = guard.principal_arn(key)
    return arn.rsplit("/", 1)[0] if ":assumed-role/" in arn else arn


# ---- what became of it -----------------------------------------------------------------------------------------------------


def _describe(call: Call) -> Answer:
    execution, part = _found(call)
    execution.wait(float(call.params.get("WaitTimeSeconds") or 0))
    if part is not None and execution.is_batch:
        return {**part.shown(), "Database": execution.target.database, "DbUser": execution.target.user}
    shown: dict[str, Any] = {
        "Id": execution.id, "Status": execution.status, "CreatedAt": execution.created_at, "UpdatedAt": execution.updated_at,
        **execution.target.shown, "Duration": execution.duration, "RedshiftPid": execution.process_id,
        "HasResultSet": execution.has_result, "ResultFormat": execution.given.get("ResultFormat") or "JSON",
        "ResultRows": -1, "ResultSize": -1, "RedshiftQueryId": -1,
    }  # fmt: skip
    if execution.error:
        shown["Error"] = execution.error
    if execution.kept is not None:
        shown["SessionId"] = execution.kept.id
    if execution.given.get("Parameters"):
        shown["QueryParameters"] = execution.given["Parameters"]
    if execution.is_batch:
        shown |= {
            "SubStatements": [each.shown() for each in execution.parts],
            "ExecutionMode": execution.given.get("ExecutionMode") or "TRANSACTION",
        }
    else:
        only = execution.parts[0].shown()
        shown |= {name: only[name] for name in ("QueryString", "ResultRows", "ResultSize", "RedshiftQueryId")}
    return shown


def _get_result(call: Call) -> Answer:
    part = _result_part(call)
    outcome, start, end, more = _page(call, part)
    return {
        "ColumnMetadata": [metadata(column) for column in outcome.columns],
        "Records": [[field(value, column) for value, column in zip(row, outcome.columns, strict=True)] for row in outcome.rows[start:end]],
        "TotalNumRows": len(outcome.rows),
        **more,
    }


def _get_result_v2(call: Call) -> Answer:
    part = _result_part(call, wanted="CSV")
    outcome, start, end, more = _page(call, part)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if start == 0:
        writer.writerow([column.name for column in outcome.columns])
    writer.writerows([["" if value is None else value for value in row] for row in outcome.rows[start:end]])
    return {
        "ColumnMetadata": [metadata(column) for column in outcome.columns], "Records": [{"CSVRecords": out.getvalue()}],
        "ResultFormat": "CSV", "TotalNumRows": len(outcome.rows), **more,
    }  # fmt: skip


def _result_part(call: Call, *, wanted: str = "JSON") -> Part:
    execution, part = _found(call)
    execution.wait(float(call.params.get("WaitTimeSeconds") or 0))
    name = call.params["Id"]
    if execution.status != "FINISHED":
        raise ServiceError(
            "ResourceNotFoundException", f"Query does not have result. Please check query status with DescribeStatement: {execution.status}.",
            ResourceId=name,
        )  # fmt: skip
    if part is None:
        raise invalid(f"Please specify the id of one statement of the batch, such as {execution.id}:1")
    if part.outcome is None or not part.outcome.has_result:
        raise ServiceError(
            "ResourceNotFoundException", "Query does not have result. Please check query status with DescribeStatement.", ResourceId=name
        )
    if (execution.given.get("ResultFormat") or "JSON") != wanted:
        other = "GetStatementResultV2" if wanted == "JSON" else "GetStatementResult"
        raise invalid(f"The result is not in the format {wanted}: fetch it by {other}")
    return part


def _page(call: Call, part: Part) -> tuple[Outcome, int, int, dict[str, str]]:
    outcome = part.outcome
    assert outcome is not None
    given = call.params.get("NextToken")
    prefix = f"{part.id}/"
    if given and not (str(given).startswith(prefix) and str(given).removeprefix(prefix).isdigit()):
        raise invalid(f"NextToken {given} is not one that an earlier page of this result carried")
    start = int(str(given).removeprefix(prefix)) if given else 0
    end = start + PAGE
    return outcome, start, end, {"NextToken": f"{prefix}{end}"} if end < len(outcome.rows) else {}


def _cancel(call: Call) -> Answer:
    execution, _ = _found(call)
    with execution.changed:
        if execution.status in FINAL:
            raise invalid(f"Could not cancel a query that is already in {execution.status} state with ID: {execution.id}")
        execution.is_cancelled = True
        connection = execution.connection
    if connection is not None:
        connection.cancel_safe(timeout=10)
    return {"Status": True}


def _list_statements(call: Call) -> Answer:
    given, owner = call.params, _owner(call.key)
    wanted = given.get("Status") or "FINISHED"  # only finished ones are shown unless others are asked for
    found = [
        execution for execution in sorted(EXECUTIONS.values(), key=lambda each: -each.created_at)
        if execution.owner == owner
        and wanted in {"ALL", execution.status}
        and str(execution.given.get("StatementName") or "").startswith(given.get("StatementName") or "")
        and all(given.get(name) in {None, execution.target.endpoint.shown.get(name)} for name in ("WorkgroupName", "ClusterIdentifier"))
        and given.get("Database") in {None, execution.target.database}
    ]  # fmt: skip
    return paginated(call, [_listed(execution) for execution in found], size=100)


def _listed(execution: Execution) -> dict[str, Any]:
    sqls = {"QueryStrings": [part.sql for part in execution.parts]} if execution.is_batch else {"QueryString": execution.parts[0].sql}
    optional = {
        "StatementName": execution.given.get("StatementName"), "SecretArn": execution.target.secret,
        "QueryParameters": execution.given.get("Parameters"), "SessionId": execution.kept.id if execution.kept else None,
    }  # fmt: skip
    return {
        "Id": execution.id, "Status": execution.status, "CreatedAt": execution.created_at, "UpdatedAt": execution.updated_at,
        "IsBatchStatement": execution.is_batch, "ResultFormat": execution.given.get("ResultFormat") or "JSON", **sqls,
        **{name: value for name, value in optional.items() if value},
    }  # fmt: skip


def _found(call: Call) -> tuple[Execution, Part | None]:
    """The execution and, if the id names one, its statement; statements of others do not exist for the caller."""
    name = str(call.params["Id"])
    execution = EXECUTIONS.get(name.partition(":")[0])
    if execution is None or execution.owner != _owner(call.key):
        raise ServiceError("ResourceNotFoundException", "Query does not exist.", ResourceId=name)
    if ":" not in name:
        return execution, None if execution.is_batch else execution.parts[0]
    part = next((each for each in execution.parts if each.id == name), None)
    if part is None:
        raise ServiceError("ResourceNotFoundException", "Query does not exist.", ResourceId=name)
    return execution, part


def _target_arn(call: Call) -> str:
    """What a request is sent to, by its name or by its session."""
    kept = SESSIONS.get(call.params.get("SessionId") or "")
    return kept.target.endpoint.arn if kept is not None else arn_of(call)


def register() -> None:
    """Serve the API."""
    serve(
        ModelledService(
            name="redshift-data",
            operations={
                "ExecuteStatement": Operation(_execute, on=_target_arn),
                "BatchExecuteStatement": Operation(_batch_execute, on=_target_arn),
                "DescribeStatement": Operation(_describe, on=no_resource),
                "GetStatementResult": Operation(_get_result, on=no_resource),
                "GetStatementResultV2": Operation(_get_result_v2, on=no_resource),
                "CancelStatement": Operation(_cancel, on=no_resource),
                "ListStatements": Operation(_list_statements, on=no_resource),
                "ListDatabases": Operation(list_databases, on=_target_arn),
                "ListSchemas": Operation(list_schemas, on=_target_arn),
                "ListTables": Operation(list_tables, on=_target_arn),
                "DescribeTable": Operation(describe_table, on=_target_arn),
            },
        )
    )
