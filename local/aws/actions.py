"""IAM actions of requests: Lambda's from its model, and a name that no narrow policy allows where there is none."""

from __future__ import annotations

from typing import Any

from local.aws import seam

UNNAMED = "UnnamedOperation"
"""Operation of a request whose action cannot be told: only a policy that allows everything lets it pass."""

_RENAMED = {
    "Invoke": "InvokeFunction",
    "InvokeAsync": "InvokeFunction",
    "InvokeWithResponseStream": "InvokeFunction",
    "GetLayerVersionByArn": "GetLayerVersion",
}

_actions = seam.module("core.iam_actions")


def register() -> None:
    """Name Lambda's actions from botocore's model and leave no request without an action."""
    _actions._BOTOCORE_SERVICE_MAP["lambda"] = ["lambda"]
    seam.replace("core.iam_actions._lambda_action", _lambda_action)
    seam.replace("core.iam_actions.extract_iam_action", _extract_iam_action)
    seam.original("core.iam_actions._match_rest_action")
    seam.original("core.iam_actions.extract_resource_arn")


def _lambda_action(method: str, path: str) -> str | None:
    """MiniStack's own table lets reads authorise writes and knows 58 of 88 operations."""
    query = {"find": ["LayerVersion"]} if "layers?" in path else {}
    operation = _actions._match_rest_action("lambda", method, path, query)
    return _RENAMED.get(operation, operation)


def _extract_iam_action(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> str:
    action = seam.original("core.iam_actions.extract_iam_action")(service, method, path, headers, body, query)
    if action:
        return str(action)
    if service == "ses":  # MiniStack authorises SES v2 itself, after this
        return action  # type: ignore[return-value]
    return f"{_actions.SERVICE_TO_IAM_NAMESPACE.get(service) or service}:{UNNAMED}"
