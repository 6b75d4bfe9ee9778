"""The RDS Data API over the local Aurora clusters: real SQL as the user of a secret, single statements and transactions.

Transactions are forgotten with the process, three minutes after their last call, and 24 hours after their first. A cluster has a Data API if
it was switched on, has a writer, and that is of no T class.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import psycopg

from local.aws import rds_clusters, rds_servers, seam
from local.aws.caller_clients import caller_client
from local.aws.modelled_service import Answer, Call, ModelledService, Operation, ServiceError, serve
from local.aws.rds_data_statements import DataSession
from local.aws.rds_data_values import bad_request
from local.aws.rds_records import clusters

IDLE_SECONDS, LONGEST_SECONDS = 180.0, 86_400.0
"""How long a transaction waits for its next call, and how long it may be open."""

LONGEST_REQUEST = 4 * 1024 * 1024
DEFAULT_DATABASE = "postgres"

_app = seam.module("app")


@dataclass(kw_only=True)
class _Transaction:
    """A transaction that is open."""

    session: DataSession
    cluster: str
    database: str
    began_at: float = field(default_factory=time.monotonic)
    timer: threading.Timer | None = None


_transactions: dict[str, _Transaction] = {}
_lock = threading.RLock()


def register() -> None:
    """Serve the API."""
    # MiniStack serves it before it looks at services; ours is one like the others, behind the door.
    seam.original("app._handle_rds_data_request")
    _app._RDS_DATA_PATHS = ()
    serve(
        ModelledService(
            name="rds-data",
            invalid="BadRequestException",
            operations={
                "ExecuteStatement": Operation(_execute, on=_arn),
                "BatchExecuteStatement": Operation(_batch, on=_arn),
                "BeginTransaction": Operation(_begin, on=_arn),
                "CommitTransaction": Operation(_commit, on=_arn),
                "RollbackTransaction": Operation(_rollback, on=_arn),
            },
        )
    )


def _arn(call: Call) -> str:
    return str(call.params["resourceArn"])


# ---- operations --------------------------------------------------------------------------------------------------------


def _execute(call: Call) -> Answer:
    return _in_session(call, lambda session: session.execute(call.params))


def _batch(call: Call) -> Answer:
    _refuse_large(call)
    if not call.params.get("parameterSets"):
        return {"updateResults": []}

    def run(session: DataSession) -> dict[str, Any]:
        if call.params.get("transactionId"):
            return session.batch(call.params)
        session.command("BEGIN")
        answer = session.batch(call.params)
        session.command("COMMIT")
        return answer

    return _in_session(call, run)


def _in_session(call: Call, run: Any) -> dict[str, Any]:
    """Run on the connection of the transaction that a request names, or on one of its own."""
    _refuse_schema(call)
    transaction_id, goes_on = call.params.get("transactionId"), bool(call.params.get("continueAfterTimeout"))
    if transaction_id:
        transaction = _transaction(call, transaction_id)
        try:
            return run(transaction.session)
        except ServiceError as error:
            # The database did not fail here, the service did: it ends the transaction.
            is_over = error.code in {"StatementTimeoutException", "UnsupportedResultException"} and not goes_on
            if is_over or transaction.session.connection.closed:
                _forget(transaction_id)
            raise
    session = DataSession(connection=_connected(call))
    try:
        return run(session)
    finally:
        session.close(is_patient=goes_on)


def _begin(call: Call) -> Answer:
    _refuse_schema(call)
    session = DataSession(connection=_connected(call))
    session.command("BEGIN")
    transaction_id = uuid.uuid4().hex
    _transactions[transaction_id] = _Transaction(
        session=session, cluster=str(call.params["resourceArn"]), database=str(call.params.get("database") or DEFAULT_DATABASE)
    )
    _wait_for_next(transaction_id)
    return {"transactionId": transaction_id}


def _commit(call: Call) -> Answer:
    _end(call, "COMMIT")
    return {"transactionStatus": "Transaction Committed"}


def _rollback(call: Call) -> Answer:
    _end(call, "ROLLBACK")
    return {"transactionStatus": "Rollback Complete"}


def _end(call: Call, sql: str) -> None:
    transaction_id = str(call.params["transactionId"])
    transaction = _transaction(call, transaction_id)
    try:
        transaction.session.command(sql)
    except ServiceError as error:
        if error.message == "Transaction is still running a query":
            raise
        _forget(transaction_id)
        raise
    _forget(transaction_id)


# ---- transactions ----------------------------------------------------------------------------------------------------------


def _transaction(call: Call, transaction_id: str) -> _Transaction:
    _, given = _cluster(call), call.params
    _credentials(call)
    with _lock:
        found = _transactions.get(transaction_id)
        if found is None or found.cluster != given["resourceArn"]:
            raise ServiceError("TransactionNotFoundException", f"Transaction {transaction_id} is not found")
        if given.get("database") and given["database"] != found.database:
            raise bad_request("Database name is not the same as transaction's")
        _wait_for_next(transaction_id)
        return found


def _wait_for_next(transaction_id: str) -> None:
    """Undo a transaction unless it is used in time."""
    with _lock:
        transaction = _transactions[transaction_id]
        if transaction.timer is not None:
            transaction.timer.cancel()
        left = transaction.began_at + LONGEST_SECONDS - time.monotonic()
        transaction.timer = threading.Timer(min(IDLE_SECONDS, max(left, 0.0)), _forget, args=(transaction_id,))
        transaction.timer.daemon = True
        transaction.timer.start()


def _forget(transaction_id: str) -> None:
    with _lock:
        transaction = _transactions.pop(transaction_id, None)
    if transaction is not None:
        if transaction.timer is not None:
            transaction.timer.cancel()
        transaction.session.close()


# ---- connections -----------------------------------------------------------------------------------------------------------


def _connected(call: Call) -> psycopg.Connection[Any]:
    """A connection to the writer, as the user of the request's secret.

    Raises:
        ServiceError: The cluster has no Data API, the caller may not read the secret, or the database does not let its user in.
    """
    cluster = _cluster(call)
    user, password = _credentials(call)
    try:
        return psycopg.connect(
            host=rds_servers.ADDRESS, port=cluster["Port"], user=user, password=password, sslmode="require", autocommit=True, connect_timeout=20,
            dbname=str(call.params.get("database") or DEFAULT_DATABASE), application_name="rds-data",
        )  # fmt: skip
    except psycopg.OperationalError as error:
        lines = [line for line in str(error).splitlines() if "FATAL:" in line]
        told = lines[-1][lines[-1].index("FATAL:") :] if lines else str(error)
        raise ServiceError("DatabaseErrorException", " ".join(told.split())) from error


def _cluster(call: Call) -> dict[str, Any]:
    arn = str(call.params["resourceArn"])
    found = clusters.get(arn.rsplit(":", 1)[-1])
    if found is None or found["DBClusterArn"] != arn or not found["HttpEndpointEnabled"]:
        raise ServiceError("HttpEndpointNotEnabledException", f"HttpEndpoint is not enabled for resource {arn}")
    members = rds_clusters.members(found)
    if not members:
        raise ServiceError("DatabaseNotFoundException", f"The DB cluster {found['DBClusterIdentifier']} doesn't have a DB instance")
    if str(members[0]["DBInstanceClass"]).startswith("db.t"):
        raise ServiceError(
            "HttpEndpointNotEnabledException", f"The Data API isn't supported on T DB instance classes, got {members[0]['DBInstanceClass']}"
        )
    if members[0]["DBInstanceStatus"] != "available":
        raise ServiceError(
            "DatabaseUnavailableException", f"The writer {members[0]['DBInstanceIdentifier']} is {members[0]['DBInstanceStatus']}"
        )
    return found


def _credentials(call: Call) -> tuple[str, str]:
    """User and password of the request's secret, read as its caller.

    Raises:
        ServiceError: The caller may not read it, there is none, or it is none of a database.
    """
    arn = str(call.params["secretArn"])
    client = caller_client("secretsmanager", call.key)
    try:
        value = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])
        return str(value["username"]), str(value["password"])
    except client.exceptions.ClientError as error:
        code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", str(error))
        raise ServiceError("AccessDeniedException" if "AccessDenied" in code else "SecretsErrorException", message) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceError("InvalidSecretException", f"The secret {arn} has no username and password") from error


def _refuse_schema(call: Call) -> None:
    _refuse_large(call)
    if call.params.get("schema"):
        raise bad_request("Database schema parameter isn't supported: name the schema in the statement")


def _refuse_large(call: Call) -> None:
    if len(json.dumps(call.params, default=lambda value: " " * (len(value) * 4 // 3))) > LONGEST_REQUEST:
        raise bad_request("The request is larger than 4 MiB")
