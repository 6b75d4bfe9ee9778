"""Reads why an execution failed out of what Step Functions, Glue, EMR and IAM say, as a reason code and a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from lakehouse.audit_records import Status
from lakehouse.warehouse.loads import purpose

_RUN_FAILED = re.compile(r"RunFailed: (?P<reason>[a-z][a-z0-9_]*): (?P<message>.*)", re.DOTALL)
_NOT_AUTHORIZED = re.compile(
    r"(?:User: (?P<who>\S+) )?is not authorized to perform: \"?(?P<action>[A-Za-z0-9-]+:[A-Za-z0-9*]+)\"?"
    r"(?: on (?:the )?resource: \"?(?P<resource>[^\s\"]+?)\"?(?=[\s,;)]|\.?$|\. ))?"
)
_DENIED = re.compile(r"access ?denied|AccessDeniedException|UnauthorizedException|not authorized|Status Code: 403|Forbidden", re.IGNORECASE)
_ASSUMED_ROLE = re.compile(r"assumed-role/([^/]+)/")
_TIMEOUTS = frozenset({"States.Timeout", "States.HeartbeatTimeout"})
_REDSHIFT = "Redshift.StatementFailed"
"""Error of a step that found its statement failed: the cause is the Data API's description of it."""

_WAREHOUSE = "RedshiftData."
"""How the errors begin that Step Functions gives for a call that the Data API refuses."""

_TIME_IS_UP = re.compile(r"timed? ?out|timeout|in the queue", re.IGNORECASE)
_VERDICT = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+: ")
"""How the message of a job begins that stopped for a reason of its own; reasons are those of docs/cli.md."""

_MEMBERS = ("Step", "Cluster")
"""Under which EMR describes what failed."""

_EXCEPTIONS = re.compile(r".*Last few exceptions:\s*", re.DOTALL)
"""What EMR Serverless says before it says what went wrong."""

_GLUE_TIMEOUT = "TIMEOUT"
_STOPPED = frozenset({"STOPPED", "STOPPING", "CANCELLED", "CANCELLING"})
"""States of job runs that somebody, or the service, stopped: Glue's and EMR Serverless'."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """How a run failed.

    Attributes:
        status: FAILED or TIMED_OUT.
        reason: Code of docs/cli.md.
        message: Sentence for people.
        is_told: Whether the message says what happened, and not only that nobody could say it.
    """

    status: Status
    reason: str
    message: str
    is_told: bool = True


def failure_of(*, step: str, error: str, cause: str) -> Failure:
    """Why a task failed.

    Args:
        step: Name of the step, or "" if it was the machine itself.
        error: Error name that Step Functions gives.
        cause: Text that goes with it: the JSON of a job run of Glue or EMR Serverless or of a Lambda error, or prose.
    """
    where = f"step {step}: " if step else ""
    document = _document(cause)
    state = _state(document)
    told = _text_of(document, cause) or error or "no cause was given"
    found = _RUN_FAILED.search(told)
    if found is not None:
        return Failure(status="FAILED", reason=found["reason"], message=f"{where}{found['message'].strip()}")
    is_over = state in _STOPPED and "JobRunState" not in document and _TIME_IS_UP.search(told) is not None
    if error in _TIMEOUTS or state == _GLUE_TIMEOUT or is_over:
        detail = f": {told}" if told != error else ""
        return Failure(status="TIMED_OUT", reason="timed_out", message=f"{where}did not end in the time that it is given{detail}")
    if _DENIED.search(told) or _DENIED.search(error):
        return Failure(status="FAILED", reason="access_denied", message=f"{where}{_denial(told)}")
    if state in _STOPPED:
        why = f": {document['StateDetails']}" if document.get("StateDetails") else ""
        return Failure(status="FAILED", reason="aborted", message=f"{where}the job run {_id(document)} was stopped{why}")
    if error == _REDSHIFT:
        return Failure(status="FAILED", reason="job_failed", message=f"{where}{_redshift(document, told)}")
    if error.startswith(_WAREHOUSE):
        hint = "if it is a cluster that is paused, resume it, then start the pipeline again"
        return Failure(
            status="FAILED", reason="warehouse_unavailable", message=f"{where}the warehouse takes no statement: {told.rstrip('.')}; {hint}"
        )
    message = (
        told
        if state or "QueryExecution" in document or isinstance(document.get("Status"), dict) or not error or error in told
        else f"{error}: {told}"
    )
    return Failure(status="FAILED", reason="job_failed", message=f"{where}{message}")


def explained(*, error: str, cause: str, told: str) -> str:
    """Cause of a failed task, in the words of the job if it left any.

    Args:
        error: Error name that Step Functions gives.
        cause: Text that goes with it.
        told: Message of the last attempt of the step, if it ended FAILED, or "".
    """
    if error != "States.TaskFailed" or not told:
        return cause
    return f"RunFailed: {told}" if _VERDICT.match(told) else told


def _document(cause: str) -> Mapping[str, Any]:
    start = cause.find("{")
    if start < 0:
        return {}
    try:
        document: object = json.loads(cause[start:])
    except ValueError:
        return {}
    found = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    return next((found[name] for name in _MEMBERS if isinstance(found.get(name), dict)), found)


def _text_of(document: Mapping[str, Any], cause: str) -> str:
    if not document:
        return cause.strip()
    if "SubStatements" in document:
        return str(document.get("Error") or document)
    query = document.get("QueryExecution")
    if isinstance(query, dict):
        status = cast("dict[str, Any]", cast("dict[str, Any]", query).get("Status") or {})
        return f"Athena says: {status.get('StateChangeReason') or status.get('State') or cause.strip()}"
    status = document.get("Status")
    if isinstance(status, dict):
        return _emr(document, cast("dict[str, Any]", status), cause)
    message = document.get("ErrorMessage") or document.get("errorMessage") or _EXCEPTIONS.sub("", str(document.get("StateDetails") or ""))
    if message:
        kind = document.get("errorType")
        return f"{kind}: {message}" if kind else str(message)
    state = _state(document)
    return f"job run {_id(document)} ended {state} and gave no message" if state else cause.strip()


def _state(document: Mapping[str, Any]) -> str | None:
    return document.get("JobRunState") or (document.get("State") if "JobRunId" in document else None)


def _id(document: Mapping[str, Any]) -> str:
    return str(document.get("Id") or document.get("JobRunId") or "")


def _emr(document: Mapping[str, Any], status: Mapping[str, Any], cause: str) -> str:
    """What EMR says of a step or cluster that ended badly, and where the log of the step is."""
    details, change = (cast("dict[str, Any]", status.get(name) or {}) for name in ("FailureDetails", "StateChangeReason"))
    said = [details.get("Reason"), details.get("Message"), change.get("Code"), change.get("Message")]
    why = ": ".join(str(part).strip() for part in said if part)
    log = f" (log: {details['LogFile']})" if details.get("LogFile") else ""
    return f"{document.get('Id', 'EMR')} is {status.get('State')}: {why}{log}" if why else cause.strip()


def _redshift(document: Mapping[str, Any], told: str) -> str:
    """Which statement of a load failed, what it is for, and Redshift's own text."""
    statements = [cast("dict[str, Any]", statement) for statement in document.get("SubStatements") or ()]
    for number, statement in enumerate(statements, 1):
        if statement.get("Status") in ("FAILED", "ABORTED") and statement.get("Error"):
            what = purpose(str(statement.get("QueryString", "")))
            return f"statement {number} of {len(statements)} ({what}) {statement['Status']}: {statement['Error']}; the table is as it was"
    return f"the load {document.get('Status', 'failed')}: {told}; the table is as it was"


def _denial(text: str) -> str:
    found = _NOT_AUTHORIZED.search(text)
    if found is None:
        return text
    who = _ASSUMED_ROLE.search(found["who"] or "")
    role = f"role {who[1]}" if who else found["who"] or "the role"
    resource = f" on {found['resource']}" if found["resource"] else ""
    return f"{role} may not {found['action']}{resource}: {text}"
