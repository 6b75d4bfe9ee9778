"""EventBridge, SNS and S3 deliver only where the target's policy, or the role they were given, lets them; the rest goes to the DLQ."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from local.aws import guard, key_use, message_keys, seam

ACTIONS = {
    "lambda": "lambda:InvokeFunction", "sqs": "sqs:SendMessage", "sns": "sns:Publish", "states": "states:StartExecution",
    "events": "events:PutEvents",
}  # fmt: skip
"""What a delivery does to its target, by the target's service; targets of other services are refused."""

BY_POLICY = frozenset({"lambda", "sqs", "sns"})
"""Targets whose own policy decides, unless the source was given a role."""

_arn = seam.module("core.arn")
_cloudwatch = seam.module("services.cloudwatch")
_events = seam.module("services.eventbridge")
_lambda = seam.module("services.lambda_svc")
_responses = seam.module("core.responses")
_s3 = seam.module("services.s3")
_sns = seam.module("services.sns")
_sqs = seam.module("services.sqs")


def register() -> None:
    """Ask before each delivery."""
    seam.replace("services.eventbridge._invoke_target", _invoke_target)
    seam.replace("services.eventbridge._dispatch_to_lambda", _dispatch_to_lambda)
    seam.replace("services.lambda_svc._route_async_failure", _route_async_failure)
    seam.original("services.lambda_svc.invoke_async_with_retry")
    seam.replace("services.sns._deliver_to_sqs", _deliver_to_sqs)
    seam.replace("services.sns._deliver_to_lambda", _deliver_to_lambda)
    seam.replace("services.sns.topic_policy_allows", _topic_policy_allows)
    seam.replace("services.sqs.queue_policy_allows", _queue_policy_allows)
    seam.replace("services.s3._deliver_event_to_lambda", _deliver_event_to_lambda)
    seam.replace("services.s3._validate_notification_configs", _validate_notification_configs)
    seam.original("services.cloudwatch._store_datum")


# ---- EventBridge rules and schedules -------------------------------------------------------------------------------


def _invoke_target(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> Any:
    source, name = rule.get("Arn", ""), rule.get("Name", "")
    scheduler = source.startswith("arn:aws:scheduler:")
    principal, via = ("scheduler" if scheduler else "events") + ".amazonaws.com", f"{'scheduler' if scheduler else 'events'}:{name}"
    # Scheduler takes a role in the name of the schedule's group, as AWS's guide to the confused deputy has it.
    origin = schedule_group_arn(rule.get("GroupName", "default")) if scheduler else source
    denied = _payload_denied(target, rule, origin, via=via) if scheduler else None
    denied = denied or _event_denied(target, source=origin, principal=principal, via=via)
    if denied is None:
        if not scheduler:
            _count("AWS/Events", "Invocations", RuleName=name)
        return guard.as_service(seam.original("services.eventbridge._invoke_target"), target, event, rule, view, via=via)
    _events.logger.warning("EventBridge: %s not delivered to %s: %s", source, target.get("Arn"), denied)
    space, dimensions = (
        ("AWS/Scheduler", {"ScheduleGroup": rule.get("GroupName", "default")}) if scheduler else ("AWS/Events", {"RuleName": name})
    )
    _count(space, "TargetErrorCount" if scheduler else "FailedInvocations", **dimensions)
    _to_dead_letters(
        target, event, view, denied=denied, source=source, origin=origin, principal=principal, via=via, space=space, dimensions=dimensions
    )
    return None


def schedule_group_arn(group: str) -> str:
    """ARN of a group of schedules."""
    return f"arn:aws:scheduler:{_responses.get_region()}:{_responses.get_account_id()}:schedule-group/{group}"


def _role_denied(role: str, *, principal: str, arn: str, source: str, via: str, session: str = "") -> guard.Denied | None:
    """Whether a role that the target was given may do what a delivery does, the key of an encrypted queue or topic included."""
    service = _arn.parse_arn(arn).service
    try:
        key = guard.role_session(role, principal, session or _responses.new_uuid().replace("-", ""), source_arn=source)
    except guard.Denied as denied:
        return denied
    refused = guard.authorize(key, action=ACTIONS.get(service, f"{service}:Send"), resource=arn, via=via)
    return refused or message_keys.denied(key, arn, key_use.WRITE, via=f"{service}>{via}")


def _payload_denied(target: dict[str, Any], schedule: dict[str, Any], origin: str, *, via: str) -> guard.Denied | None:
    """Whether the role of a schedule may decrypt what the schedule sends, if it is kept under a customer key."""
    key_id = str(schedule.get("KmsKeyArn") or "")
    if not key_id:
        return None
    try:
        key = guard.role_session(target.get("RoleArn", ""), "scheduler.amazonaws.com", "payload", source_arn=origin)
    except guard.Denied as denied:
        return denied
    return key_use.ask(key, key_id=key_id, actions=key_use.READ, service="scheduler", via=f"scheduler>{via}")


def _event_denied(target: dict[str, Any], *, source: str, principal: str, via: str) -> guard.Denied | None:
    arn, role = target.get("Arn", ""), target.get("RoleArn", "")
    service = _arn.parse_arn(arn).service
    action = ACTIONS.get(service)
    if action is None:
        return guard.Denied(
            principal=principal, action=f"{service}:*", resource=arn,
            reason=f"because targets of {service} are not implemented on the laptop platform; implemented: {', '.join(sorted(ACTIONS))}",
        )  # fmt: skip
    if role:
        return _role_denied(role, principal=principal, arn=arn, source=source, via=via)
    if service == "events":
        return None  # another bus of the account; its policy is asked by MiniStack
    if service not in BY_POLICY or principal.startswith("scheduler"):
        return guard.Denied(principal=principal, action=action, resource=arn, reason="because the target has no role")
    denied = guard.authorize_service(principal, action=action, resource=arn, source_arn=source, via=via)
    return denied or message_keys.denied_to_service(principal, arn, source=source, via=via)


def _denied_to_queue(principal: str, queue: str, *, source: str, via: str, account: str = "") -> guard.Denied | None:
    """Whether a service may send into a queue: the queue's policy and the policy of its key must admit the service."""
    denied = guard.authorize_service(
        principal, action="sqs:SendMessage", resource=queue, source_arn=source, source_account=account, via=via
    )
    return denied or message_keys.denied_to_service(principal, queue, source=source, via=via)


def _to_dead_letters(
    target: dict[str, Any], event: dict[str, Any], view: Any, *, denied: guard.Denied, source: str, origin: str, principal: str, via: str,
    space: str, dimensions: dict[str, str],
) -> None:  # fmt: skip
    queue = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue:
        return
    scheduler = principal.startswith("scheduler")
    refused = (
        _role_denied(target.get("RoleArn", ""), principal=principal, arn=queue, source=origin, via=via)
        if scheduler
        else _denied_to_queue(principal, queue, source=source, via=via)
    )
    payload = target.get("Input") or json.dumps((view or _events._pattern_event_view(event)).event_with_detail())
    attributes = {
        "SCHEDULE_ARN" if scheduler else "RULE_ARN": source,
        "TARGET_ARN": target.get("Arn", ""),
        "ERROR_CODE": "AccessDeniedException" if scheduler else "NO_PERMISSIONS",
        "ERROR_MESSAGE": str(denied),
    }
    sent = refused is None and send(queue, payload, attributes)
    if scheduler:
        _count(space, "InvocationsSentToDeadLetterCount" if sent else "InvocationsFailedToBeSentToDeadLetterCount", **dimensions)
    else:
        _count(space, "InvocationsSentToDlq" if sent else "InvocationsFailedToBeSentToDlq", **dimensions)


def _dispatch_to_lambda(arn: str, payload: str) -> None:
    """Invoke asynchronously, as EventBridge does: a failed function is tried again, then goes to its own dead letters."""
    try:
        event = json.loads(payload)
    except (json.JSONDecodeError, TypeError):
        event = {"body": payload}
    function, config, name = _lambda._get_func_record_for_ref(arn)
    if not function or not config:
        _events.logger.warning("EventBridge: function %s does not exist", name)
        return
    _lambda.invoke_async_with_retry(_lambda._execution_record_for_config(function, config), event)


def _route_async_failure(destination: str, function: str, event: Any, result: Any) -> Any:
    """An event that failed for good goes to the function's dead letters, if the function's role may send there and use the key."""
    _, config, _ = _lambda._get_func_record_for_ref(function)
    denied = _role_denied(
        (config or {}).get("Role", ""), principal="lambda.amazonaws.com", arn=destination, source="", via=f"lambda:{function}",
        session=function,
    )  # fmt: skip
    if denied:
        _count("AWS/Lambda", "DeadLetterErrors", FunctionName=function)
        _lambda.logger.warning("Lambda: %s", denied)
        return None
    return seam.original("services.lambda_svc._route_async_failure")(destination, function, event, result)


# ---- SNS subscriptions -----------------------------------------------------------------------------------------------


def _deliver_to_sqs(endpoint: str, envelope: str, raw: bool, raw_message: str, *args: Any, topic_arn: str = "", **kwargs: Any) -> Any:  # noqa: FBT001
    denied = _denied_to_queue("sns.amazonaws.com", endpoint, source=topic_arn, via=f"sns:{topic_arn}")
    if denied:
        return _not_notified(topic_arn, endpoint, raw_message if raw else envelope, denied)
    return seam.original("services.sns._deliver_to_sqs")(endpoint, envelope, raw, raw_message, *args, topic_arn=topic_arn, **kwargs)


def _deliver_to_lambda(endpoint: str, envelope: str, topic_arn: str, *args: Any) -> Any:
    via = f"sns:{topic_arn}"
    denied = guard.authorize_service("sns.amazonaws.com", action="lambda:InvokeFunction", resource=endpoint, source_arn=topic_arn, via=via)
    if denied:
        return _not_notified(topic_arn, endpoint, envelope, denied)
    return guard.as_service(seam.original("services.sns._deliver_to_lambda"), endpoint, envelope, topic_arn, *args, via=via)


def _not_notified(topic_arn: str, endpoint: str, body: str, denied: guard.Denied) -> None:
    _sns.logger.warning("SNS: %s", denied)
    _count("AWS/SNS", "NumberOfNotificationsFailed", TopicName=topic_arn.rsplit(":", 1)[-1])
    subscriptions = (_sns._topic_by_arn_any_scope(topic_arn) or {}).get("subscriptions", [])
    attributes = next((s.get("attributes", {}) for s in subscriptions if s.get("endpoint") == endpoint), {})
    queue = json.loads(attributes.get("RedrivePolicy") or "{}").get("deadLetterTargetArn")
    if not queue:
        return
    refused = _denied_to_queue("sns.amazonaws.com", queue, source=topic_arn, via=f"sns:{topic_arn}")
    sent = refused is None and send(queue, body, {})
    metric = "NumberOfNotificationsRedrivenToDlq" if sent else "NumberOfNotificationsFailedToRedriveToDlq"
    _count("AWS/SNS", metric, TopicName=topic_arn.rsplit(":", 1)[-1])


def _topic_policy_allows(topic_arn: str, service: str, source_arn: str, source_account: str) -> bool:
    via = f"{service.split('.', maxsplit=1)[0]}:{source_arn}"
    denied = guard.authorize_service(
        service, action="sns:Publish", resource=topic_arn, source_arn=source_arn, source_account=source_account, via=via
    ) or message_keys.denied_to_service(service, topic_arn, source=source_arn, via=via)
    if denied:
        _sns.logger.warning("SNS: %s", denied)
    return denied is None


def _queue_policy_allows(queue_arn: str, service: str, source_arn: str, source_account: str) -> bool:
    """Whether S3 or SNS may send into a queue; MiniStack asks for the queue's policy, not for its key."""
    via = f"{service.split('.', maxsplit=1)[0]}:{source_arn}"
    denied = _denied_to_queue(service, queue_arn, source=source_arn, via=via, account=source_account)
    if denied:
        _sqs.logger.warning("SQS: %s", denied)
    return denied is None


# ---- S3 notifications straight to functions; queues and topics are asked above ----------------------------------------


def _deliver_event_to_lambda(arn: str, payload: dict[str, Any], bucket_region: str) -> Any:
    bucket = payload["Records"][0]["s3"]["bucket"]["name"]
    if not _bucket_may_invoke(arn, bucket):
        _s3.logger.warning("S3 notification: %s may not invoke %s", bucket, arn)
        return None
    return guard.as_service(seam.original("services.s3._deliver_event_to_lambda"), arn, payload, bucket_region, via=f"s3:{bucket}")


def _validate_notification_configs(
    configs: list[dict[str, Any]],
    bucket_region: str,
    bucket_name: str = "",
    skip_destination_validation: bool = False,  # noqa: FBT001, FBT002
) -> Any:
    error = seam.original("services.s3._validate_notification_configs")(configs, bucket_region, bucket_name, skip_destination_validation)
    if error is None and not skip_destination_validation:
        for config in configs:
            if config["type"] == "lambda" and not _bucket_may_invoke(config["arn"], bucket_name):
                return _s3._error("InvalidArgument", "Unable to validate the following destination configurations", 400)
    return error


def _bucket_may_invoke(function: str, bucket: str) -> bool:
    denied = guard.authorize_service(
        "s3.amazonaws.com", action="lambda:InvokeFunction", resource=function, source_arn=f"arn:aws:s3:::{bucket}",
        source_account=_s3._bucket_owner_account(bucket), via=f"s3:{bucket}",
    )  # fmt: skip
    return denied is None


# ---- what deliveries are made with ---------------------------------------------------------------------------------


def send(queue_arn: str, body: str, attributes: dict[str, str]) -> bool:
    """Put a message into a queue as a service does; whether there is such a queue."""
    queue = _sqs._queue_by_arn(queue_arn)
    if queue is None:
        return False
    typed = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    now = time.time()
    message = {
        "id": _responses.new_uuid(), "body": body, "md5": hashlib.md5(body.encode()).hexdigest(),  # noqa: S324 - SQS's checksum
        "message_attributes": typed, "md5_attrs": _sqs._md5_msg_attrs(typed), "receipt_handle": None, "sent_at": now,
        "visible_at": now, "receive_count": 0,
    }  # fmt: skip
    _sqs._ensure_msg_fields(message)
    queue["messages"].append(message)
    return True


def _count(namespace: str, name: str, **dimensions: str) -> None:
    _cloudwatch._store_datum(namespace, name, dimensions, time.time(), "Count", 1.0, None, None, None)
