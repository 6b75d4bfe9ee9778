"""Redshift's Data API over the workgroups of Redshift Serverless: statements on threads of their own, with real results.

A batch is one transaction unless it is run with AUTO_COMMIT. Statements and results are forgotten with the process; clusters
(`ClusterIdentifier`) are refused, and a workgroup takes no `DbUser`.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
import psycopg

from local.aws import guard, redshift_serverless, seam
from local.aws.modelled_service import Answer, Call, ModelledService, Operation, ServiceError, in_background, no_resource, paginated, serve
from local.engines import host
from local.redshift.errors import SqlError
from local.redshift.movers import RoleMover
from local.redshift.objects import Objects
from local.redshift.session import TYPE_NAMES, Outcome, ResultColumn, Session
from local.redshift.statements import kind_of
from local.redshift.warehouse import Warehouse

log = logging.getLogger("lake.redshift")

MOST_STATEMENTS, LONGEST_STATEMENT = 40, 100_000
"""Statements of a batch, and bytes of a statement."""

MOST_ACTIVE, KEPT_SECONDS, PAGE = 500, 86_400, 1000
LONGEST_KEEP_ALIVE = 86_400
FINAL = frozenset({"FINISHED", "FAILED", "ABORTED"})
LONGEST_RESULT = 500_000_000
"""Bytes of a result that the Data API gives."""

_responses = seam.module("core.responses")


@dataclass(kw_only=True)
class Part:
    """One SQL statement of an execution.

    Attributes:
        id: `<id>` of a single statement, `<id>:<n>` in a batch.
        sql: Its text.
    """

    id: str
    sql: str
    status: str = "SUBMITTED"
    error: str = ""
    outcome: Outcome | None = None
    size: int = -1
    duration: int = -1
    query_id: int = -1
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)

    def shown(self) -> dict[str, Any]:
        """The statement as DescribeStatement gives it."""
        outcome = self.outcome
        found = {
            "Id": self.id, "QueryString": self.sql, "Status": self.status, "CreatedAt": self.created_at, "UpdatedAt": self.updated_at,
            "HasResultSet": outcome is not None and outcome.has_result, "ResultRows": outcome.count if outcome is not None else -1,
            "ResultSize": self.size, "Duration": self.duration, "RedshiftQueryId": self.query_id,
        }  # fmt: skip
        return {**found, "Error": self.error} if self.error else found


@dataclass(kw_only=True)
class Target:
    """Whereto statements go.

    Attributes:
        workgroup: The workgroup.
        namespace: Its namespace.
        database: The database.
        user: Database user of the caller.
        secret: ARN of the secret that the user comes from; empty = the caller's own identity.
    """

    workgroup: dict[str, Any]
    namespace: dict[str, Any]
    database: str
    user: str
    secret: str = ""

    @property
    def warehouse(self) -> Warehouse:
        """Its databases."""
        return redshift_serverless.warehouse(self.namespace)


@dataclass(kw_only=True)
class Kept:
    """A connection that stays open between statements."""

    id: str
    target: Target
    owner: str
    seconds: int
    session: Session | None = None
    is_busy: bool = False
    has_begun: bool = False
    used_at: float = field(default_factory=time.time)


@dataclass(kw_only=True)
class Execution:
    """An ExecuteStatement or BatchExecuteStatement from its submission to its end."""

    id: str
    target: Target
    owner: str
    parts: list[Part]
    is_batch: bool
    given: dict[str, Any]
    kept: Kept | None = None
    status: str = "SUBMITTED"
    error: str = ""
    process_id: int = 0
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    duration: int = -1
    is_cancelled: bool = False
    connection: psycopg.Connection[Any] | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def is_atomic(self) -> bool:
        """Whether its statements are one transaction."""
        return self.is_batch and self.given.get("ExecutionMode", "TRANSACTION") != "AUTO_COMMIT"

    def move(self, status: str, error: str = "") -> None:
        """Go on to a state, unless it has ended."""
        with self.changed:
            if self.status not in FINAL:
                self.status, self.error, self.updated_at = status, error, time.time()
                if status in FINAL:
                    self.duration = int((time.time() - self.created_at) * 1e9)
            self.changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, at most so long."""
        with self.changed:
            self.changed.wait_for(lambda: self.status in FINAL, timeout=seconds)


_executions: dict[str, Execution] = {}
_sessions: dict[str, Kept] = {}
_tokens: dict[tuple[str, str], tuple[str, str]] = {}
_lock = threading.RLock()
_query_ids = iter(range(1000, 2**31))


# ---- submission ------------------------------------------------------------------------------------------------------------


def _execute(call: Call) -> Answer:
    return _submit(call, [call.params["Sql"]], is_batch=False)


def _batch_execute(call: Call) -> Answer:
    sqls = list(call.params["Sqls"])
    if not 1 <= len(sqls) <= MOST_STATEMENTS:
        raise _invalid(f"A batch takes from 1 to {MOST_STATEMENTS} SQL statements, got {len(sqls)}")
    return _submit(call, sqls, is_batch=True)


def _submit(call: Call, sqls: Sequence[str], *, is_batch: bool) -> Answer:
    given = dict(call.params)
    for sql in sqls:
        if len(sql.encode()) > LONGEST_STATEMENT:
            raise _invalid(f"Cannot process a query string with more than {LONGEST_STATEMENT} bytes.")
    owner, token = _owner(call.key), given.get("ClientToken")
    with _lock:
        earlier = _tokens.get((owner, token)) if token else None
        asked = json.dumps({name: value for name, value in given.items() if name != "WaitTimeSeconds"}, sort_keys=True, default=str)
        if earlier is not None and earlier[0] in _executions:
            if earlier[1] != asked:
                raise _invalid("The client token was used with other parameters already: a token belongs to one request")
            execution = _executions[earlier[0]]
        else:
            execution = _begin(call, given, sqls, is_batch=is_batch, owner=owner)
            if token:
                _tokens[owner, token] = (execution.id, asked)
    execution.wait(float(given.get("WaitTimeSeconds") or 0))
    shown = {
        "Id": execution.id, "CreatedAt": execution.created_at, "Database": execution.target.database, "DbUser": execution.target.user,
        "WorkgroupName": execution.target.workgroup["workgroupName"],
    }  # fmt: skip
    if execution.target.secret:
        shown["SecretArn"] = execution.target.secret
    if execution.kept is not None:
        shown["SessionId"] = execution.kept.id
    if given.get("WaitTimeSeconds"):
        shown |= {"Status": execution.status, "HasResultSet": _has_result(execution)}
    return shown


def _begin(call: Call, given: dict[str, Any], sqls: Sequence[str], *, is_batch: bool, owner: str) -> Execution:
    _forget_old()
    if sum(each.status not in FINAL for each in _executions.values()) >= MOST_ACTIVE:
        raise ServiceError("ActiveStatementsExceededException", f"There are {MOST_ACTIVE} statements on their way already.")
    if given.get("ResultFormat") not in {None, "JSON", "CSV"}:
        raise _invalid(f"ResultFormat {given['ResultFormat']} is not JSON or CSV")
    kept = _session_of(given, owner)
    target = kept.target if kept is not None else _target(call, given)
    seconds = int(given.get("SessionKeepAliveSeconds") or 0)
    if not 0 <= seconds <= LONGEST_KEEP_ALIVE:
        raise _invalid(f"SessionKeepAliveSeconds must be from 0 to {LONGEST_KEEP_ALIVE}, got {seconds}")
    if kept is None and seconds:
        kept = Kept(id=str(uuid.uuid4()), target=target, owner=owner, seconds=seconds)
        _sessions[kept.id] = kept
    if kept is not None:
        kept.is_busy, kept.used_at = True, time.time()
        kept.seconds = seconds or kept.seconds
    execution_id = str(uuid.uuid4())
    parts = [Part(id=f"{execution_id}:{number}" if is_batch else execution_id, sql=sql) for number, sql in enumerate(sqls, start=1)]
    execution = Execution(id=execution_id, target=target, owner=owner, parts=parts, is_batch=is_batch, given=given, kept=kept)
    _executions[execution.id] = execution
    in_background(_run, execution, name=f"redshift-{execution_id[:8]}")
    return execution


def _session_of(given: Mapping[str, Any], owner: str) -> Kept | None:
    session_id = given.get("SessionId")
    if not session_id:
        return None
    if any(given.get(name) for name in ("WorkgroupName", "Database", "SecretArn", "DbUser", "ClusterIdentifier")):
        raise _invalid("SessionId names the connection: leave WorkgroupName, Database, SecretArn and DbUser out")
    kept = _sessions.get(session_id)
    if kept is None or kept.owner != owner:
        raise ServiceError("ResourceNotFoundException", f"Session {session_id} does not exist.", ResourceId=session_id)
    if kept.is_busy:
        raise _invalid(f"Session {session_id} is busy with another statement.")
    return kept


def _target(call: Call, given: Mapping[str, Any]) -> Target:
    """Whereto a request goes, once the caller's right to connect was asked.

    Raises:
        ServiceError: There is no such workgroup or secret, or the caller may not connect.
    """
    if given.get("ClusterIdentifier"):
        raise _invalid("Provisioned clusters are not served by the laptop platform: name a WorkgroupName of Redshift Serverless")
    if not given.get("WorkgroupName"):
        raise _invalid("Either a ClusterIdentifier or a WorkgroupName must be provided.")
    if given.get("DbUser"):
        raise _invalid("DbUser is not supported with a serverless workgroup: the user is the caller's IAM identity, or that of SecretArn")
    group = redshift_serverless.workgroup(given["WorkgroupName"])
    if group is None:
        raise _invalid("Redshift endpoint doesn't exist in this region.")
    namespace = redshift_serverless.namespace_of(group)
    secret = str(given.get("SecretArn") or "")
    if secret:
        user = _secret_user(call, secret)
    else:
        call.require("redshift-serverless:GetCredentials", group["workgroupArn"])
        user = _identity(call.caller)
    return Target(
        workgroup=group, namespace=namespace, database=str(given.get("Database") or namespace["dbName"]), user=user, secret=secret
    )


def _secret_user(call: Call, arn: str) -> str:
    client = boto3.client("secretsmanager", **_credentials(call.key))
    try:
        value = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])
        user = str(value["username"])
    except client.exceptions.ClientError as error:
        raise _invalid(f"The secret {arn} cannot be read: {error.response['Error'].get('Message', error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _invalid(f"The secret {arn} has no username and password") from error
    managed = [each for each in redshift_serverless.NAMESPACES.values() if each.get("adminPasswordSecretArn") == arn]
    if not managed:
        raise _invalid(
            f"The secret {arn} is not the administrator's of a namespace: nobody else logs in by password on the laptop platform"
        )
    return user


def _identity(arn: str) -> str:
    """Database user of an IAM identity: `IAMR:<role>` or `IAM:<user>`."""
    if ":assumed-role/" in arn:
        return f"IAMR:{arn.split('/')[1]}"
    return f"IAM:{arn.rsplit('/', maxsplit=1)[-1]}" if ":user/" in arn else "IAM:root"


def _owner(key: str) -> str:
    """Whose statements they are: all sessions of a role see one another's."""
    arn = guard.principal_arn(key)
    return arn.rsplit("/", 1)[0] if ":assumed-role/" in arn else arn


# ---- running ---------------------------------------------------------------------------------------------------------------


def _run(execution: Execution) -> None:
    """Run to the end; whatever happens, the execution ends in a final state."""
    session: Session | None = None
    try:
        execution.move("PICKED")
        session = _connected(execution)
        execution.process_id, execution.connection = session.process_id, session.connection
        execution.move("STARTED")
        _run_parts(execution, session)
    except psycopg.errors.QueryCanceled:
        _end(execution, "ABORTED", "Query cancelled on user's request")
    except (SqlError, psycopg.Error) as error:
        _end(execution, "ABORTED" if execution.is_cancelled else "FAILED", str(error))
    except Exception as error:
        log.exception("statement %s", execution.id)
        _end(execution, "FAILED", f"ERROR: the laptop platform could not run the statement: {error}")
    finally:
        execution.connection = None
        _let_go(execution, session)
    if execution.given.get("WithEvent"):
        _announce(execution)


def _connected(execution: Execution) -> Session:
    kept = execution.kept
    if kept is not None and kept.session is not None:
        return kept.session
    target = execution.target
    connection = target.warehouse.connect(target.database, target.user)
    namespace, external_id = target.namespace["namespaceArn"], _external_id(target)
    mover = RoleMover(
        roles=target.namespace["iamRoles"], default_role=target.namespace.get("defaultIamRoleArn", ""),
        session_of=lambda role: Objects(_role_client("s3", role, namespace, external_id)),
        catalog_of=lambda role: _role_client("glue", role, namespace, external_id),
    )  # fmt: skip
    session = Session(
        connection, database=target.database.lower(), user=target.user, mover=mover,
        platform=lambda: target.warehouse.platform_connection(target.database),
    )  # fmt: skip
    if kept is not None:
        kept.session = session
    return session


def _run_parts(execution: Execution, session: Session) -> None:
    parameters = {parameter["name"]: parameter["value"] for parameter in execution.given.get("Parameters") or []}
    failure: SqlError | psycopg.Error | None = None
    in_transaction = execution.is_atomic
    for part in execution.parts:
        if execution.is_cancelled:
            raise SqlError("Query cancelled on user's request")
        try:
            _run_part(part, session, parameters, is_in_transaction=in_transaction, is_kept=execution.kept is not None)
        except (SqlError, psycopg.Error) as error:
            session.connection.rollback()
            failure = error
            if execution.is_atomic or not execution.is_batch or execution.is_cancelled:
                raise
        else:
            if not in_transaction:
                _commit_unless_begun(part, session, execution.kept)
    if failure is not None:
        raise failure
    if in_transaction:
        session.connection.commit()
    execution.move("FINISHED")


def _commit_unless_begun(part: Part, session: Session, kept: Kept | None) -> None:
    """A statement of its own is a transaction of its own, but for one that BEGIN has opened in a session that stays."""
    kind = part.outcome.kind if part.outcome is not None else ""
    if kept is not None and kind in {"BEGIN", "COMMIT", "ROLLBACK"}:
        kept.has_begun = kind == "BEGIN"
    if kept is None or not kept.has_begun:
        session.connection.commit()


def _run_part(part: Part, session: Session, parameters: Mapping[str, str], *, is_in_transaction: bool, is_kept: bool) -> None:
    began = time.time()
    part.status, part.query_id = "STARTED", next(_query_ids)
    try:
        if kind_of(part.sql) in _TRANSACTIONS and (is_in_transaction or not is_kept):
            raise SqlError("Transaction control statements are for sessions that stay open: a batch is one transaction by itself")
        part.outcome = session.run(part.sql, parameters, is_in_transaction=is_in_transaction, query_id=part.query_id)
        part.size = sum(len(value or "") for row in part.outcome.rows for value in row) if part.outcome.has_result else -1
        if part.size > LONGEST_RESULT:
            raise SqlError(f"The result of {part.size} bytes is larger than the {LONGEST_RESULT} that the Data API gives: use UNLOAD")
        part.status = "FINISHED"
    except psycopg.errors.QueryCanceled:
        part.status, part.error = "ABORTED", "Query cancelled on user's request"
        raise
    except (SqlError, psycopg.Error) as error:
        part.status, part.error, part.outcome = "FAILED", str(error), None
        raise
    finally:
        part.duration, part.updated_at = int((time.time() - began) * 1e9), time.time()


_TRANSACTIONS = frozenset({"(?:BEGIN|START TRANSACTION)", "(?:COMMIT|END)", "(?:ROLLBACK|ABORT)"})


def _end(execution: Execution, status: str, error: str) -> None:
    for part in execution.parts:
        if part.status not in FINAL:
            part.status = "ABORTED"
        if execution.is_atomic and status != "FINISHED":
            part.outcome = None
    execution.move(status, error)


def _let_go(execution: Execution, session: Session | None) -> None:
    kept = execution.kept
    if session is None:
        if kept is not None:
            _sessions.pop(kept.id, None)
        return
    if kept is None:
        session.connection.close()
        return
    if execution.status != "FINISHED" and not session.connection.closed:
        session.connection.rollback()
        kept.has_begun = False
    if session.connection.closed:
        _sessions.pop(kept.id, None)
    kept.is_busy, kept.used_at = False, time.time()
    timer = threading.Timer(kept.seconds, _expire, args=(kept,))
    timer.daemon = True
    timer.start()


def _expire(kept: Kept) -> None:
    if not kept.is_busy and time.time() - kept.used_at >= kept.seconds - 0.01:
        _sessions.pop(kept.id, None)
        if kept.session is not None:
            kept.session.connection.close()


def _external_id(target: Target) -> str:
    """What Redshift gives as external id when it assumes a role: the database user for whom it does."""
    arn = target.workgroup["workgroupArn"].split(":")
    return f"arn:{arn[1]}:redshift:{arn[3]}:{arn[4]}:dbuser:{target.workgroup['workgroupName']}/{target.user}"


def _role_client(service: str, role: str, namespace_arn: str, external_id: str) -> Any:
    """A client with a role's session; the role trusts one of Redshift's principals."""
    refused: guard.Denied | None = None
    for principal in redshift_serverless.PRINCIPALS:
        try:
            key = guard.role_session(role, principal, "RedshiftIamRoleSession", source_arn=namespace_arn, external_id=external_id)
        except guard.Denied as denied:
            refused = denied
            continue
        return boto3.client(service, **_credentials(key))
    raise SqlError(f"User arn:aws:redshift-serverless is not authorized to assume IAM Role {role}: {refused}")


def _credentials(key: str) -> dict[str, str]:
    """Arguments of a client that works as the holder of an access key."""
    found = guard.credentials(key) if not guard.is_root(key) else host.engine_credentials()
    arguments = {
        "aws_access_key_id": found["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": found["AWS_SECRET_ACCESS_KEY"],
        "endpoint_url": host.aws_url(), "region_name": _responses.get_region(),
    }  # fmt: skip
    return {**arguments, "aws_session_token": found["AWS_SESSION_TOKEN"]} if found.get("AWS_SESSION_TOKEN") else arguments


def _announce(execution: Execution) -> None:
    detail = {
        "principal": execution.owner,
        "statementName": execution.given.get("StatementName") or "",
        "statementId": execution.id,
        "redshiftQueryId": execution.parts[-1].query_id,
        "state": execution.status,
        "rows": execution.parts[-1].outcome.count if execution.parts[-1].outcome is not None else -1,
        "expireAt": int(execution.created_at) + KEPT_SECONDS,
    }
    entry = {
        "Source": "aws.redshift-data", "DetailType": "Redshift Data Statement Status Change", "Detail": json.dumps(detail),
        "Resources": [execution.target.workgroup["workgroupArn"]],
    }  # fmt: skip
    try:
        seam.module("services.eventbridge")._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:
        log.exception("the end of statement %s was not announced", execution.id)


# ---- what became of it -----------------------------------------------------------------------------------------------------


def _describe(call: Call) -> Answer:
    execution, part = _found(call)
    execution.wait(float(call.params.get("WaitTimeSeconds") or 0))
    if part is not None and execution.is_batch:
        return {**part.shown(), "Database": execution.target.database, "DbUser": execution.target.user}
    shown: dict[str, Any] = {
        "Id": execution.id, "Status": execution.status, "CreatedAt": execution.created_at, "UpdatedAt": execution.updated_at,
        "Database": execution.target.database, "DbUser": execution.target.user, "Duration": execution.duration,
        "WorkgroupName": execution.target.workgroup["workgroupName"], "RedshiftPid": execution.process_id,
        "HasResultSet": _has_result(execution), "ResultFormat": execution.given.get("ResultFormat") or "JSON",
        "ResultRows": -1, "ResultSize": -1, "RedshiftQueryId": -1,
    }  # fmt: skip
    if execution.error:
        shown["Error"] = execution.error
    if execution.target.secret:
        shown["SecretArn"] = execution.target.secret
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
        "ColumnMetadata": [_metadata(column) for column in outcome.columns],
        "Records": [[_field(value, column) for value, column in zip(row, outcome.columns, strict=True)] for row in outcome.rows[start:end]],
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
        "ColumnMetadata": [_metadata(column) for column in outcome.columns], "Records": [{"CSVRecords": out.getvalue()}],
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
        raise _invalid(f"Please specify the id of one statement of the batch, such as {execution.id}:1")
    if part.outcome is None or not part.outcome.has_result:
        raise ServiceError(
            "ResourceNotFoundException", "Query does not have result. Please check query status with DescribeStatement.", ResourceId=name
        )
    if (execution.given.get("ResultFormat") or "JSON") != wanted:
        other = "GetStatementResultV2" if wanted == "JSON" else "GetStatementResult"
        raise _invalid(f"The result is not in the format {wanted}: fetch it by {other}")
    return part


def _page(call: Call, part: Part) -> tuple[Outcome, int, int, dict[str, str]]:
    outcome = part.outcome
    assert outcome is not None
    given = call.params.get("NextToken")
    prefix = f"{part.id}/"
    if given and not (str(given).startswith(prefix) and str(given).removeprefix(prefix).isdigit()):
        raise _invalid(f"NextToken {given} is not one that an earlier page of this result carried")
    start = int(str(given).removeprefix(prefix)) if given else 0
    end = start + PAGE
    return outcome, start, end, {"NextToken": f"{prefix}{end}"} if end < len(outcome.rows) else {}


def _cancel(call: Call) -> Answer:
    execution, _ = _found(call)
    with execution.changed:
        if execution.status in FINAL:
            raise _invalid(f"Could not cancel a query that is already in {execution.status} state with ID: {execution.id}")
        execution.is_cancelled = True
        connection = execution.connection
    if connection is not None:
        connection.cancel_safe(timeout=10)
    return {"Status": True}


def _list_statements(call: Call) -> Answer:
    given, owner = call.params, _owner(call.key)
    found = [
        execution for execution in sorted(_executions.values(), key=lambda each: -each.created_at)
        if execution.owner == owner
        and given.get("Status") in {None, "ALL", execution.status}
        and str(execution.given.get("StatementName") or "").startswith(given.get("StatementName") or "")
        and given.get("WorkgroupName") in {None, execution.target.workgroup["workgroupName"]}
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


# ---- the catalog -----------------------------------------------------------------------------------------------------------


def _list_databases(call: Call) -> Answer:
    return paginated(call, _target(call, call.params).warehouse.databases())


def _list_schemas(call: Call) -> Answer:
    rows = _looked_up(
        call,
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_temp|pg_toast|_rs$)' AND nspname LIKE %s ORDER BY 1",
        [call.params.get("SchemaPattern") or "%"],
    )
    return paginated(call, [row[0] for row in rows])


def _list_tables(call: Call) -> Answer:
    rows = _looked_up(
        call,
        "SELECT table_schema, table_name, CASE table_type WHEN 'BASE TABLE' THEN 'TABLE' ELSE table_type END FROM _rs.svv_tables "
        "WHERE table_schema LIKE %s AND table_name LIKE %s ORDER BY 1, 2",
        [call.params.get("SchemaPattern") or "%", call.params.get("TablePattern") or "%"],
    )
    return paginated(call, [{"schema": row[0], "name": row[1], "type": row[2]} for row in rows])


def _describe_table(call: Call) -> Answer:
    schema, table = call.params.get("Schema") or "public", call.params.get("Table") or ""
    rows = _looked_up(
        call,
        "SELECT c.column_name, c.is_nullable, c.character_maximum_length, c.numeric_precision, c.numeric_scale, a.atttypid::int, c.column_default "
        "FROM _rs.svv_columns c JOIN pg_namespace n ON n.nspname = c.table_schema JOIN pg_class t ON t.relnamespace = n.oid AND t.relname = c.table_name "
        "JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = c.column_name WHERE c.table_schema = %s AND c.table_name = %s ORDER BY ordinal_position",
        [schema.lower(), table.lower()],
    )
    columns = [
        {
            **_metadata(ResultColumn(name=row[0], type=_type_name(row[5]), length=row[2] or 0, precision=row[3] or 0, scale=row[4] or 0)),
            "schemaName": schema, "tableName": table, "nullable": int(row[1] == "YES"), **({"columnDefault": row[6]} if row[6] else {}),
        }
        for row in rows
    ]  # fmt: skip
    return {**paginated(call, columns), "TableName": table}


def _looked_up(call: Call, statement: str, values: Sequence[Any]) -> list[Any]:
    given = call.params
    target = _target(call, given)
    database = given.get("ConnectedDatabase") or target.database
    try:
        connection = target.warehouse.connect(database, target.user)
    except SqlError as error:
        raise ServiceError("DatabaseConnectionException", str(error)) from error
    with connection:
        return connection.execute(statement.encode(), values).fetchall()


# ---- shapes ----------------------------------------------------------------------------------------------------------------


def _type_name(number: int) -> str:
    return TYPE_NAMES.get(number, "varchar")


def _metadata(column: ResultColumn) -> dict[str, Any]:
    return {
        "name": column.name, "label": column.name, "typeName": column.type, "length": column.length, "precision": column.precision,
        "scale": column.scale, "nullable": 1, "isCaseSensitive": column.type in {"varchar", "bpchar", "char"}, "isCurrency": False,
        "isSigned": column.type in {"int2", "int4", "int8", "float4", "float8", "numeric"}, "schemaName": "", "tableName": "",
    }  # fmt: skip


def _field(value: str | None, column: ResultColumn) -> dict[str, Any]:
    if value is None:
        return {"isNull": True}
    converted = _FIELDS.get(column.type)
    return {"stringValue": value} if converted is None else {converted[0]: converted[1](value)}


_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), ("longValue", int)),
    **dict.fromkeys(("float4", "float8"), ("doubleValue", float)),
    "bool": ("booleanValue", lambda value: value == "true"),
}


def _has_result(execution: Execution) -> bool:
    return any(part.outcome is not None and part.outcome.has_result for part in execution.parts)


def _found(call: Call) -> tuple[Execution, Part | None]:
    """The execution and, if the id names one, its statement; statements of others do not exist for the caller."""
    name = str(call.params["Id"])
    execution = _executions.get(name.partition(":")[0])
    if execution is None or execution.owner != _owner(call.key):
        raise ServiceError("ResourceNotFoundException", "Query does not exist.", ResourceId=name)
    if ":" not in name:
        return execution, None if execution.is_batch else execution.parts[0]
    part = next((each for each in execution.parts if each.id == name), None)
    if part is None:
        raise ServiceError("ResourceNotFoundException", "Query does not exist.", ResourceId=name)
    return execution, part


def _forget_old() -> None:
    limit = time.time() - KEPT_SECONDS
    for execution_id in [each.id for each in _executions.values() if each.status in FINAL and each.created_at < limit]:
        del _executions[execution_id]


def _invalid(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def _workgroup_arn(call: Call) -> str:
    """The workgroup that a request names, by itself or by its session."""
    kept = _sessions.get(call.params.get("SessionId") or "")
    if kept is not None:
        return str(kept.target.workgroup["workgroupArn"])
    found = redshift_serverless.workgroup(call.params.get("WorkgroupName") or "")
    if found is not None:
        return str(found["workgroupArn"])
    return f"arn:aws:redshift-serverless:{call.region}:{call.account}:workgroup/{call.params.get('WorkgroupName') or '*'}"


def register() -> None:
    """Serve the API."""
    serve(
        ModelledService(
            name="redshift-data",
            operations={
                "ExecuteStatement": Operation(_execute, on=_workgroup_arn),
                "BatchExecuteStatement": Operation(_batch_execute, on=_workgroup_arn),
                "DescribeStatement": Operation(_describe, on=no_resource),
                "GetStatementResult": Operation(_get_result, on=no_resource),
                "GetStatementResultV2": Operation(_get_result_v2, on=no_resource),
                "CancelStatement": Operation(_cancel, on=no_resource),
                "ListStatements": Operation(_list_statements, on=no_resource),
                "ListDatabases": Operation(_list_databases, on=_workgroup_arn),
                "ListSchemas": Operation(_list_schemas, on=_workgroup_arn),
                "ListTables": Operation(_list_tables, on=_workgroup_arn),
                "DescribeTable": Operation(_describe_table, on=_workgroup_arn),
            },
        )
    )
