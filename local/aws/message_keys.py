"""SQS and SNS: sending to and reading from an encrypted queue or topic asks the caller's permission for its key."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

from local.aws import door, guard, key_use, seam

_QUEUE_ACTIONS = {
    "SendMessage": key_use.WRITE,
    "SendMessageBatch": key_use.WRITE,
    "ReceiveMessage": key_use.READ,
}
_TOPIC_ACTIONS = {"Publish": key_use.WRITE, "PublishBatch": key_use.WRITE}

_actions = seam.module("core.iam_actions")
_sns = seam.module("services.sns")
_sqs = seam.module("services.sqs")


def queue_key(queue_arn: str) -> str:
    """Key of a queue; empty if it has none of KMS."""
    queue = _sqs._queue_by_arn(queue_arn)
    return str((queue or {}).get("attributes", {}).get("KmsMasterKeyId") or "")


def topic_key(topic_arn: str) -> str:
    """Key of a topic; empty if it has none."""
    topic = _sns._topic_by_arn_any_scope(topic_arn)
    return str((topic or {}).get("attributes", {}).get("KmsMasterKeyId") or "")


def register() -> None:
    """Ask at the front door."""
    door.add_check(_check)
    seam.original("services.sqs._queue_by_arn")
    seam.original("services.sns._topic_by_arn_any_scope")


def _check(request: door.Request) -> door.Response | None:
    if request.service == "sqs" and request.operation in _QUEUE_ACTIONS:
        key = queue_key(_resource(request))
        denied = key_use.ask(request.key, key_id=key, actions=_QUEUE_ACTIONS[request.operation], service="sqs")
        what = _kind(key)
        return _refuse(request, denied, f"KMS.{what}Exception", f"Kms{what}") if denied else None
    if request.service == "sns" and request.operation in _TOPIC_ACTIONS:
        key = topic_key(_resource(request))
        denied = key_use.ask(request.key, key_id=key, actions=_TOPIC_ACTIONS[request.operation], service="sns")
        return _refuse(request, denied, f"KMS{_kind(key)}", f"KMS{_kind(key)}") if denied else None
    return None


def _kind(key: str) -> str:
    """What both services call the refusal: `KmsDisabled`, `KMSNotFound`."""
    return "AccessDenied" if key_use.is_usable(key) else "Disabled" if key_use.key_arn(key) else "NotFound"


def _resource(request: door.Request) -> str:
    responses = seam.module("core.responses")
    params = _with_body(request)
    return str(
        _actions.extract_resource_arn(
            request.service, request.method, request.path, request.headers, request.body, params, responses.get_region(),
            responses.get_account_id(),
        )
    )  # fmt: skip


def _with_body(request: door.Request) -> dict[str, Any]:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return request.query
    return {**urllib.parse.parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True), **request.query}


def _refuse(request: door.Request, denied: guard.Denied, query_code: str, json_code: str) -> door.Response:
    """The denial in the service's own error, which an SDK maps to its exception."""
    if request.headers.get("x-amz-target"):
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "x-amzn-errortype": json_code,
            "x-amzn-query-error": f"{query_code};Sender",
        }
        return 400, headers, json.dumps({"__type": f"com.amazonaws.{request.service}#{json_code}", "message": str(denied)}).encode()
    return _actions.access_denied_response(
        request.service, denied.action, denied.principal, "lake", error_code=query_code, message=str(denied), headers=request.headers
    )
