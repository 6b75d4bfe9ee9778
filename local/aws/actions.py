"""IAM actions and condition keys of requests: Lambda's from its model, a name that no narrow policy allows where there is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.aws import boundaries, seam

UNNAMED = "UnnamedOperation"
"""Operation of a request whose action cannot be told: only a policy that allows everything lets it pass."""

_RENAMED = {
    "Invoke": "InvokeFunction",
    "InvokeAsync": "InvokeFunction",
    "InvokeWithResponseStream": "InvokeFunction",
    "GetLayerVersionByArn": "GetLayerVersion",
}


@dataclass(frozen=True, kw_only=True)
class Named:
    """What IAM is asked for a request; what is empty is left to MiniStack's tables.

    Attributes:
        action: IAM action.
        resource: ARN, or `*`.
    """

    action: str = ""
    resource: str = ""


Namer = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Named]
"""Names a request from (method, path, headers, body, query)."""

Parted = Callable[[str, Mapping[str, Any]], str]
"""Operation that a request, told by (method, query), asks for part by part; empty if it does not."""

KeysOf = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Condition keys of a request from (IAM action, members of its input)."""

_actions = seam.module("core.iam_actions")
_namers: dict[str, list[Namer]] = {}
_keys: dict[str, KeysOf] = {}
_parted: dict[str, Parted] = {}


def name_requests_of(service: str, namer: Namer) -> None:
    """Let *namer* say what the requests of a service ask for, before MiniStack's tables are asked; of several the first that knows a request does."""
    _namers.setdefault(service, []).append(namer)


def tell_condition_keys_of(service: str, keys: KeysOf) -> None:
    """Let *keys* say which condition keys the requests of a service of the json protocol carry."""
    _keys[service] = keys


def leave_to_the_service(service: str, parted: Parted) -> None:
    """Let a service ask for each part of these requests itself; at the front the caller's signature is checked, and no right."""
    _parted[service] = parted


def parted_operation(service: str, method: str, query: Mapping[str, Any]) -> str:
    """Operation of a request whose parts its service asks for; empty for all others."""
    return _parted[service](method, query) if service in _parted else ""


def condition_keys(service: str, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Condition keys of a request that never was one: of a service that calls another with a role."""
    return _keys[service](action, params) if service in _keys else {}


def register() -> None:
    """Name Lambda's actions from botocore's model and leave no request without an action."""
    _actions._BOTOCORE_SERVICE_MAP["lambda"] = ["lambda"]
    seam.replace("core.iam_actions._lambda_action", _lambda_action)
    seam.replace("core.iam_actions.extract_iam_action", _extract_iam_action)
    seam.replace("core.iam_actions.request_tag_context", _request_context)
    seam.original("core.iam_actions._match_rest_action")
    seam.replace("core.iam_actions.extract_resource_arn", _extract_resource_arn)
    if "logs" not in _namers:
        name_requests_of("logs", _log_groups)
        name_requests_of("iam", _instance_profiles)


def _lambda_action(method: str, path: str) -> str | None:
    """MiniStack's own table lets reads authorise writes and knows 58 of 88 operations."""
    query = {"find": ["LayerVersion"]} if "layers?" in path else {}
    operation = _actions._match_rest_action("lambda", method, path, query)
    return _RENAMED.get(operation, operation)


def _extract_iam_action(service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> str | None:  # noqa: PLR0917 - MiniStack's signature
    if parted_operation(service, method, query):
        return None
    named = _named(service, method, path, headers, body, query)
    if named.action:
        return named.action
    action = seam.original("core.iam_actions.extract_iam_action")(service, method, path, headers, body, query)
    if action:
        return str(action)
    if service == "ses":  # MiniStack authorises SES v2 itself, after this
        return None
    return f"{_actions.SERVICE_TO_IAM_NAMESPACE.get(service) or service}:{UNNAMED}"


def _extract_resource_arn(  # noqa: PLR0917 - MiniStack's signature
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any], region: str, account_id: str
) -> str:
    named = _named(service, method, path, headers, body, query_params)
    original = seam.original("core.iam_actions.extract_resource_arn")
    return named.resource or str(original(service, method, path, headers, body, query_params, region, account_id))


def _log_groups(_method: str, _path: str, headers: dict[str, str], _body: bytes, _query: dict[str, Any]) -> Named:
    """Who looks for log groups is asked on `log-group::log-stream:`, as AWS's denials show; MiniStack asks on `*`, which no ARN allows."""
    if not headers.get("x-amz-target", "").endswith(".DescribeLogGroups"):
        return Named()
    responses = seam.module("core.responses")
    return Named(resource=f"arn:aws:logs:{responses.get_region()}:{responses.get_account_id()}:log-group::log-stream:")


def _instance_profiles(_method: str, _path: str, _headers: dict[str, str], _body: bytes, query: dict[str, Any]) -> Named:
    """Who changes an instance profile is asked on the profile; MiniStack asks on its role, or on `*`."""
    name = _parameter(query, "InstanceProfileName")
    if not name:
        return Named()
    iam = seam.module("services.iam")
    known = iam._instance_profiles.get(name) or {}
    return Named(resource=known.get("Arn") or iam.instance_profile_arn(name, _parameter(query, "Path") or "/"))


def _named(service: str, *request: Any) -> Named:
    return next((named for namer in _namers.get(service, ()) if (named := namer(*request)) != Named()), Named())


def _request_context(service: str, action: str, body: bytes, query: dict[str, Any]) -> dict[str, Any]:
    """Condition keys of a request; MiniStack leaves out `cloudwatch:namespace`, by which PutMetricData is narrowed, and permissions boundaries."""
    keys: dict[str, Any] = seam.original("core.iam_actions.request_tag_context")(service, action, body, query)
    if action == "cloudwatch:PutMetricData":
        return {**keys, "cloudwatch:namespace": _namespace(body, query)}
    if service in _keys:
        return {**keys, **condition_keys(service, action, _members(body))}
    if service == "iam":
        name = _parameter(query, "RoleName") or _parameter(query, "UserName")
        return {**keys, **boundaries.condition_keys(action, name=name, asked=_parameter(query, "PermissionsBoundary"))}
    return keys


def _members(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _parameter(query: dict[str, Any], name: str) -> str:
    value = query.get(name) or ""
    return str(value[0] if isinstance(value, list) else value)


def _namespace(body: bytes, query: dict[str, Any]) -> str:
    named = _parameter(query, "Namespace")
    if named:
        return named
    try:
        return str(json.loads(body)["Namespace"])
    except (ValueError, KeyError, TypeError):
        return ""  # nobody's namespace: only a policy that names none lets it pass
