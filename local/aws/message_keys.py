"""SQS and SNS: whoever sends to or reads from an encrypted queue or topic must be allowed to use its key, caller and service alike."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterable
from typing import Any

from local.aws import door, guard, key_use, seam

_ACTIONS = {
    "sqs": {"SendMessage": key_use.WRITE, "SendMessageBatch": key_use.WRITE, "ReceiveMessage": key_use.READ},
    "sns": {"Publish": key_use.WRITE, "PublishBatch": key_use.WRITE},
}
_CONTEXT = {"sqs": "aws:sqs:arn", "sns": "aws:sns:topicArn"}
"""Name of the pair that each service puts into the encryption context; its value is the ARN of the queue or topic."""

_actions = seam.module("core.iam_actions")
_responses = seam.module("core.responses")
_sns = seam.module("services.sns")
_sqs = seam.module("services.sqs")


def denied(caller: str, arn: str, actions: Iterable[str], *, key_id: str = "", via: str = "") -> guard.Denied | None:
    """Whether a caller may use the key of a queue or topic; other resources have none here.

    Args:
        caller: Access key of the caller.
        arn: Queue or topic.
        actions: What is asked of KMS: `key_use.WRITE` of a sender, `key_use.READ` of a reader.
        key_id: Another key than the one that the queue has now.
        via: How the call came about, for the record.
    """
    service = _service(arn)
    return key_use.ask(caller, key_id=key_id or key_of(arn), actions=actions, service=service, context=_context(arn), via=via)


def denied_to_service(principal: str, arn: str, *, source: str, via: str) -> guard.Denied | None:
    """Whether a service principal may send into a queue or topic as far as its key goes: the key's policy must admit it.

    Args:
        principal: Service, such as `events.amazonaws.com`.
        arn: Queue or topic.
        source: What the service acts for: `aws:SourceArn`.
        via: How the call came about, for the record.
    """
    return key_use.ask_for_service(principal, key_id=key_of(arn), actions=key_use.WRITE, source_arn=source, via=via, context=_context(arn))


def key_of(arn: str) -> str:
    """Key of a queue or topic as it names it; empty if it has none of KMS."""
    match _service(arn):
        case "sqs":
            found = _sqs._queue_by_arn(arn)
        case "sns":
            found = _sns._topic_by_arn_any_scope(arn)
        case _:
            return ""
    return str((found or {}).get("attributes", {}).get("KmsMasterKeyId") or "")


def keys_to_read(queue_arn: str) -> list[str]:
    """Keys that a reader of a queue needs: the queue's, and of dead letters those of the queues that they come from.

    A message that SQS moves to the dead letters stays under the key that it was sent with, so the move itself asks for no key.
    """
    queue = _sqs._queue_by_arn(queue_arn) or {}
    origins = {message.get("sys", {}).get("DeadLetterQueueSourceArn") for message in queue.get("messages", [])}
    keys = [key_of(queue_arn), *(key_of(origin) for origin in sorted(origin for origin in origins if origin))]
    return [key for key in dict.fromkeys(keys) if key]


def register() -> None:
    """Ask at the front door."""
    door.add_right(_right, refuse=_refuse)
    seam.original("services.sqs._queue_by_arn")
    seam.original("services.sns._topic_by_arn_any_scope")


def _right(request: door.Request) -> guard.Denied | None:
    actions = _ACTIONS.get(request.service, {}).get(request.operation)
    if actions is None:
        return None
    arn = _resource(request)
    keys = keys_to_read(arn) if actions == key_use.READ else [key_of(arn)]
    return next((found for key in keys if key and (found := denied(request.key, arn, actions, key_id=key))), None)


def _service(arn: str) -> str:
    parts = arn.split(":")
    return parts[2] if len(parts) == 6 else ""


def _context(arn: str) -> dict[str, Any]:
    name = _CONTEXT.get(_service(arn))
    return key_use.encryption_context({name: arn}) if name else {}


def _resource(request: door.Request) -> str:
    params = _with_body(request)
    return str(
        _actions.extract_resource_arn(
            request.service, request.method, request.path, request.headers, request.body, params, _responses.get_region(),
            _responses.get_account_id(),
        )
    )  # fmt: skip


def _with_body(request: door.Request) -> dict[str, Any]:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return request.query
    return {**urllib.parse.parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True), **request.query}


def _refuse(request: door.Request, refused: guard.Denied) -> door.Response:
    """The denial in the service's own error, which an SDK maps to its exception."""
    kind = key_use.refusal_kind(refused.resource)
    query_code, json_code = (f"KMS.{kind}Exception", f"Kms{kind}") if request.service == "sqs" else (f"KMS{kind}", f"KMS{kind}")
    if request.headers.get("x-amz-target"):
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "x-amzn-errortype": json_code,
            "x-amzn-query-error": f"{query_code};Sender",
        }
        return 400, headers, json.dumps({"__type": f"com.amazonaws.{request.service}#{json_code}", "message": str(refused)}).encode()
    return _actions.access_denied_response(
        request.service, refused.action, refused.principal, "lake", error_code=query_code, message=str(refused), headers=request.headers
    )
