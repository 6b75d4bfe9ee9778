"""Lambda event source mappings of queues: they poll with the function's role, batch by window, and are checked as AWS checks them."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from local.aws import guard, key_use, message_keys, seam

SERVICE = "lambda.amazonaws.com"
ACTIONS = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
"""What Lambda does to a queue with the function's role."""

ASK_AGAIN_SECONDS = 2.0
"""How long an answer holds: policies may change while a mapping polls."""

MAX_BATCH_WITHOUT_WINDOW = 10
"""Largest batch that needs no batching window."""

_lambda = seam.module("services.lambda_svc")
_responses = seam.module("core.responses")
_sqs = seam.module("services.sqs")

_answers: dict[str, tuple[float, guard.Denied | None]] = {}
_windows: dict[str, float] = {}


def register() -> None:
    """Poll as the role, and refuse at creation what AWS refuses."""
    seam.replace("services.lambda_svc._iter_all_esms", _iter_all_esms)
    seam.replace("services.lambda_svc._create_esm", _create_esm)
    for name in ("_get_func_record_for_ref", "_poll_sqs"):
        seam.original(f"services.lambda_svc.{name}")
    seam.replace("services.sqs._receive_messages_for_esm", _receive_messages_for_esm)


def denied_action(function: str, queue_arn: str) -> guard.Denied | None:
    """The first thing that a function's role may not do, which its mapping would have to."""
    _, config, _ = _lambda._get_func_record_for_ref(function)
    if not config:
        return None
    name, via = config["FunctionName"], f"lambda:poll:{config['FunctionName']}"
    try:
        caller = guard.role_session(config.get("Role", ""), SERVICE, name, source_arn=config.get("FunctionArn", ""))
    except guard.Denied as denied:
        return denied
    for action in ACTIONS:
        if refused := guard.authorize(caller, action=action, resource=queue_arn, via=via):
            return refused
    for key in message_keys.keys_to_read(queue_arn):
        if refused := message_keys.denied(caller, queue_arn, key_use.READ, key_id=key, via=via):
            return refused
    return None


def _iter_all_esms() -> Generator[tuple[str, str, dict[str, Any]]]:
    for account, region, mapping in seam.original("services.lambda_svc._iter_all_esms")():
        source = mapping.get("EventSourceArn", "")
        if ":sqs:" in source:
            with _responses.request_scope(account, region):
                if not _may_poll(mapping, source) or not _is_due(mapping, source):
                    continue
        yield account, region, mapping


def _may_poll(mapping: dict[str, Any], source: str) -> bool:
    at, denied = _answers.get(mapping["UUID"], (0.0, None))
    if time.monotonic() - at > ASK_AGAIN_SECONDS:
        denied = denied_action(mapping["FunctionArn"], source)
        _answers[mapping["UUID"]] = (time.monotonic(), denied)
    if denied:
        mapping["LastProcessingResult"] = _problem(denied)
    return denied is None


def _is_due(mapping: dict[str, Any], source: str) -> bool:
    """Whether a batch is full or its window is over; MiniStack knows no window and takes each message at once."""
    window = int(mapping.get("MaximumBatchingWindowInSeconds") or 0)
    queue = _sqs._queue_by_arn(source)
    if not window or queue is None:
        return True
    now = time.time()
    waiting = sum(1 for message in queue["messages"] if message.get("visible_at", 0) <= now)
    if not waiting:
        _windows.pop(mapping["UUID"], None)
        return False
    opened = _windows.setdefault(mapping["UUID"], now)
    if waiting < int(mapping.get("BatchSize", 10)) and now - opened < window:
        return False
    _windows.pop(mapping["UUID"], None)
    return True


def _receive_messages_for_esm(queue_url: str, max_number: int) -> list[dict[str, Any]]:
    """Take a whole batch; MiniStack takes ten messages, whatever the mapping's batch size."""
    taken: list[dict[str, Any]] = []
    while len(taken) < max_number:
        more = seam.original("services.sqs._receive_messages_for_esm")(queue_url, max_number - len(taken))
        if not more:
            break
        taken += more
    return taken


def _create_esm(data: dict[str, Any]) -> Any:
    source = data.get("EventSourceArn", "")
    if ":sqs:" in source:
        problem = _creation_problem(data, source)
        if problem:
            return _responses.error_response_json("InvalidParameterValueException", problem, 400)
    return seam.original("services.lambda_svc._create_esm")(data)


def _creation_problem(data: dict[str, Any], source: str) -> str:
    batch, window = int(data.get("BatchSize") or 10), int(data.get("MaximumBatchingWindowInSeconds") or 0)
    if batch > MAX_BATCH_WITHOUT_WINDOW and window < 1:
        return "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
    queue = _sqs._queue_by_arn(source)
    _, config, _ = _lambda._get_func_record_for_ref(data.get("FunctionName", ""))
    if queue is not None and config:
        visible, timeout = int(queue["attributes"].get("VisibilityTimeout", 30)), int(config.get("Timeout", 3))
        if visible < timeout:
            return f"Queue visibility timeout: {visible} seconds is less than Function timeout: {timeout} seconds"
    denied = denied_action(data.get("FunctionName", ""), source)
    return _problem(denied) if denied else ""


def _problem(denied: guard.Denied) -> str:
    if denied.action == "sts:AssumeRole":
        return "The role defined for the function cannot be assumed by Lambda."
    service, _, action = denied.action.partition(":")
    return f"The function execution role does not have permissions to call {action} on {service.upper()}"
