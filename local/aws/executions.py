"""Life of an execution: the machine's timeout, states that stay final, metrics, and the log with the machine's role."""

from __future__ import annotations

import contextvars
import json
import threading
import time
from datetime import UTC, datetime
from typing import Any

from local.aws import guard, seam, states

LOG_ACTIONS = (
    "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery", "logs:ListLogDeliveries",
    "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
)  # fmt: skip
"""What a machine's role must be allowed, on any resource, for the machine to write a log."""

TRACE_ACTIONS = ("xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets")
"""What a traced machine does with its role; without it there is no trace, and no error."""

_METRICS = {
    "RUNNING": "ExecutionsStarted", "SUCCEEDED": "ExecutionsSucceeded", "FAILED": "ExecutionsFailed", "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}  # fmt: skip
_LEVELS = {
    "ERROR": ("Failed", "TimedOut", "Aborted"),
    "FATAL": ("ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"),
}

_cloudwatch = seam.module("services.cloudwatch")
_logs = seam.module("services.cloudwatch_logs")
_responses = seam.module("core.responses")
_states = seam.module("services.stepfunctions")


def register() -> None:
    """Watch executions."""
    seam.replace("services.stepfunctions._fail_execution", _fail_execution)
    seam.replace("services.stepfunctions._emit_execution_status_event", _emit_execution_status_event)
    seam.replace("services.stepfunctions._add_event", _add_event)
    seam.original("services.stepfunctions._stop_execution")
    seam.original("services.cloudwatch.record_metric")
    seam.original("services.cloudwatch_logs._append_log_events")


def logging_problem(role_arn: str, configuration: dict[str, Any] | None, *, machine_arn: str) -> str:
    """Why a machine with this role may not write the log that it is configured for; empty if it may."""
    level, group = _logging(configuration)
    if level == "OFF":
        return ""
    for action in LOG_ACTIONS:
        denied = guard.authorize_role(
            role_arn, service=states.SERVICE, session="logging", action=action, resource="*", via="states:logging", source_arn=machine_arn
        )
        if denied:
            return "The state machine IAM Role is not authorized to access the Log Destination"
    return "" if group in _logs._log_groups else f"The log group {group} does not exist"


def ask_tracing(role_arn: str, *, machine_arn: str) -> None:
    """Ask what tracing would do with the role, for the record; a trace that is not written fails nothing in AWS either."""
    for action in TRACE_ACTIONS:
        guard.authorize_role(
            role_arn, service=states.SERVICE, session="tracing", action=action, resource="*", via="states:tracing", source_arn=machine_arn
        )


# ---- final states and the machine's timeout ---------------------------------------------------------------------------


def _fail_execution(execution: dict[str, Any], error: str, cause: str) -> None:
    """An execution that was stopped or timed out stays so, whatever its last task still answers."""
    if execution["status"] == "RUNNING":
        seam.original("services.stepfunctions._fail_execution")(execution, error, cause)


def _emit_execution_status_event(execution: dict[str, Any]) -> None:
    status, machine = execution["status"], execution["stateMachineArn"]
    dimensions = {"StateMachineArn": machine}
    if status in _METRICS:
        _cloudwatch.record_metric("AWS/States", _METRICS[status], 1, "Count", dimensions)
        if status != "RUNNING":
            _cloudwatch.record_metric("AWS/States", "ExecutionTime", _milliseconds(execution), "Milliseconds", dimensions)
    if status == "RUNNING":
        _watch(execution)
    seam.original("services.stepfunctions._emit_execution_status_event")(execution)


def _watch(execution: dict[str, Any]) -> None:
    """Time the execution out when its machine says so; MiniStack knows no timeout of a machine."""
    machine = _states._state_machines.get(execution["stateMachineArn"])
    try:
        seconds = float(json.loads(machine["definition"]).get("TimeoutSeconds", 0)) if machine else 0
    except (ValueError, TypeError):
        return
    if seconds > 0:
        watchdog = threading.Timer(seconds, contextvars.copy_context().run, args=(_time_out, execution))
        watchdog.daemon = True
        watchdog.start()


def _time_out(execution: dict[str, Any]) -> None:
    if execution["status"] != "RUNNING":
        return
    execution["status"] = "TIMED_OUT"
    execution["stopDate"] = _responses.now_iso()
    execution["error"] = "States.Timeout"
    _states._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {"error": "States.Timeout"}})
    _states._emit_execution_status_event(execution)


def _milliseconds(execution: dict[str, Any]) -> float:
    began, ended = _states._iso_to_epoch_ms(execution.get("startDate")), _states._iso_to_epoch_ms(execution.get("stopDate"))
    return float(ended - began) if began and ended else 0.0


# ---- the log ----------------------------------------------------------------------------------------------------


def _add_event(execution: dict[str, Any], event_type: str, details: dict[str, Any] | None = None) -> Any:
    event = seam.original("services.stepfunctions._add_event")(execution, event_type, details)
    machine = _states._state_machines.get(execution.get("stateMachineArn", ""))
    if machine:
        configuration = machine.get("loggingConfiguration")
        level, group = _logging(configuration)
        if level == "ALL" or any(word in event_type for word in _LEVELS.get(level, ())):
            with_data = bool((configuration or {}).get("IncludeExecutionData", (configuration or {}).get("includeExecutionData")))
            _write(group, machine["name"], execution, event, with_data=with_data)
    return event


def _write(group_name: str, machine: str, execution: dict[str, Any], event: dict[str, Any], *, with_data: bool) -> None:
    group = _logs._log_groups.get(group_name)
    if group is None:
        return
    now = datetime.now(UTC)
    name = f"states/{machine}/{now:%Y-%m-%d-%H}/{execution['name'][:8]}"
    stream = group["streams"].setdefault(
        name,
        {
            "events": [], "uploadSequenceToken": "1", "creationTime": int(time.time() * 1000), "firstEventTimestamp": None,
            "lastEventTimestamp": None, "lastIngestionTime": None,
        },
    )  # fmt: skip
    details = next((value for value in event.values() if isinstance(value, dict)), {})
    shown = {key: value for key, value in details.items() if with_data or key not in {"input", "output", "parameters"}}
    at = int(now.timestamp() * 1000)
    line = {
        "id": str(event["id"]), "type": event["type"], "details": shown, "execution_arn": execution["executionArn"],
        "event_timestamp": str(at),
    }  # fmt: skip
    _logs._append_log_events(stream, [{"timestamp": at, "message": json.dumps(line), "ingestionTime": at}])


def _logging(configuration: dict[str, Any] | None) -> tuple[str, str]:
    """Level and log group of a configuration, in the API's or in CloudFormation's spelling."""
    given = configuration or {}
    level = str(given.get("level") or given.get("Level") or "OFF")
    for destination in given.get("destinations") or given.get("Destinations") or []:
        inner = destination.get("cloudWatchLogsLogGroup") or destination.get("CloudWatchLogsLogGroup") or {}
        arn = str(inner.get("logGroupArn") or inner.get("LogGroupArn") or "")
        if ":log-group:" in arn:
            return level, arn.split(":log-group:", 1)[1].removesuffix(":*")
    return "OFF", ""
