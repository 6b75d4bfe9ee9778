"""Log groups under a customer key: CloudWatch Logs takes the key only if its policy admits the service for that group."""

from __future__ import annotations

import json
from typing import Any

from local.aws import door, guard, key_use, seam
from local.aws.cloudformation import acting

ACTIONS = ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey")
"""What the service does with the key."""

_responses = seam.module("core.responses")


def register() -> None:
    """Ask when a group gets its key, over the API and by CloudFormation."""
    door.add_check(_check_request)
    acting.add_check("AWS::Logs::LogGroup", _check_resource)


def problem(group: str, key_id: str) -> str:
    """Why a log group cannot have a key; empty if it can."""
    region, account = _responses.get_region(), _responses.get_account_id()
    arn = f"arn:aws:logs:{region}:{account}:log-group:{group}"
    refusal = f"The specified KMS key does not exist or is not allowed to be used with LogGroup '{arn}'"
    key = key_use.key_arn(key_id)
    if not key or not key_use.is_usable(key_id):
        return refusal
    context = {"kms:encryptioncontext:aws:logs:arn": arn, "kms:encryptioncontextkeys": ["aws:logs:arn"]}
    for action in ACTIONS:
        denied = guard.authorize_service(
            f"logs.{region}.amazonaws.com", action=action, resource=key, source_arn=arn, via="logs:key", context=context
        )
        if denied:
            return refusal
    return ""


def _check_request(request: door.Request) -> door.Response | None:
    if request.service != "logs" or request.operation not in {"CreateLogGroup", "AssociateKmsKey"}:
        return None
    data: dict[str, Any] = json.loads(request.body or b"{}")
    key = data.get("kmsKeyId")
    refusal = problem(str(data.get("logGroupName", "")), str(key)) if key else ""
    return door.refusal("InvalidParameterException", refusal) if refusal else None


def _check_resource(properties: dict[str, Any]) -> str:
    key = properties.get("KmsKeyId")
    return problem(str(properties.get("LogGroupName", "*")), str(key)) if key else ""
