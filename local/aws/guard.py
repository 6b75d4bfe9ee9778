"""Every authorisation decision passes here: callers over HTTP, roles used by services, and service principals.

MiniStack's own evaluator decides; the guard adds who asks on whose behalf, AWS's wording of a denial, and the record.
"""

from __future__ import annotations

import contextvars
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from local.aws import recorder, seam

_R = TypeVar("_R")

SESSION_SECONDS = 30 * 24 * 3600
"""Life of a service's session; AWS renews them, so that none ends within a run."""

caller: contextvars.ContextVar[str] = contextvars.ContextVar("lake_caller", default="")
"""Access key that the work under way is done with; empty for MiniStack's own."""

denials: contextvars.ContextVar[list[Denied] | None] = contextvars.ContextVar("lake_denials", default=None)
"""Collects the denials of a dry run."""

_evaluator = seam.module("core.iam_evaluator")
_responses = seam.module("core.responses")
_iam = seam.module("services.iam")
_sts = seam.module("services.sts")

Grants = Callable[[str, str, str, Mapping[str, Any]], bool]
"""Whether something else than a policy gives a right: (access key, action, resource, condition keys)."""

_grants: dict[str, Grants] = {}
_last_result: contextvars.ContextVar[Any] = contextvars.ContextVar("lake_last_result", default=None)
_last_denied: contextvars.ContextVar[Denied | None] = contextvars.ContextVar("lake_last_denied", default=None)
_sessions: dict[tuple[str, str, str], str] = {}


class Denied(Exception):
    """A call that IAM does not allow, worded as AWS words it.

    Attributes:
        principal: ARN of the caller, or a service principal.
        action: IAM action that was asked.
        resource: ARN that it was asked on, or `*`.
        reason: Closing clause, such as `because no identity-based policy allows the s3:GetObject action`.
    """

    def __init__(self, *, principal: str, action: str, resource: str, reason: str) -> None:
        self.principal, self.action, self.resource, self.reason = principal, action, resource, reason
        super().__init__(principal, action, resource, reason)

    def __str__(self) -> str:
        action, resource = _spelled(self.action), f'"{self.resource}"' if self.action.startswith("s3:") else self.resource
        reason = self.reason.replace(f"the {self.action} action", f"the {action} action")
        return f"User: {self.principal} is not authorized to perform: {action} on resource: {resource} {reason}"


# ---- a caller or a session, by access key ------------------------------------------------------------------------


def authorize(key: str, *, action: str, resource: str, context: Mapping[str, Any] | None = None, via: str = "") -> Denied | None:
    """Whether the holder of an access key may do *action* on *resource*.

    Args:
        key: Access key id of a user or a session.
        action: IAM action, such as `kms:Decrypt`.
        resource: ARN.
        context: Condition keys of the request, such as `iam:PassedToService`.
        via: How the call came about, for the record; what it is now if left out.

    Returns:
        The denial, or None.
    """
    found: list[Denied] = []

    def run() -> Any:
        denials.set(found)
        return _enforce(
            key,
            action,
            action.split(":", maxsplit=1)[0],
            _responses.get_region(),
            resource_arn=resource,
            service_context=dict(context or {}),
        )

    result = as_service(run, key=key, via=via)
    if isinstance(result, _evaluator.AuthError):
        return Denied(principal=key, action=action, resource=resource, reason=f"because {result.message}")
    return found[-1] if found else None


def authorize_role(
    role_arn: str,
    *,
    service: str,
    session: str,
    action: str,
    resource: str,
    context: Mapping[str, Any] | None = None,
    via: str = "",
    source_arn: str = "",
) -> Denied | None:
    """Whether *service*, having assumed a role, may do *action* on *resource*; a refused AssumeRole is the denial then."""
    try:
        key = role_session(role_arn, service, session, source_arn=source_arn)
    except Denied as denied:
        return denied
    return authorize(key, action=action, resource=resource, context=context, via=via)


def authorize_service(
    service: str,
    *,
    action: str,
    resource: str,
    source_arn: str,
    source_account: str = "",
    via: str = "",
    context: Mapping[str, Any] | None = None,
) -> Denied | None:
    """Whether a service principal may call a resource: only the resource's own policy counts.

    Args:
        service: Principal, such as `events.amazonaws.com`.
        action: IAM action on the resource, such as `sqs:SendMessage`.
        resource: ARN of the queue, topic or function.
        source_arn: What the service acts for (a rule, a bucket, a topic): `aws:SourceArn`.
        source_account: `aws:SourceAccount`; the request's account if left out.
        via: How the call came about, for the record.
        context: More condition keys, in lower case.
    """
    found = _evaluator._resource_policy(action.split(":", maxsplit=1)[0], resource)
    keys = _service_context(service, source_arn, source_account) | dict(context or {})
    asked = _evaluator.EvalContext(
        "*", "Service", "", action, resource, _responses.get_region(), "192.0.2.1", secure_transport=True, service_context=keys
    )
    result = _evaluator.evaluate_resource_policy(found[0] if found else None, asked, service=service)
    token = recorder.via.set(via or recorder.via.get())
    recorder.record(
        principal=service, action=action, resource=resource, decision=result.decision, sid=result.matched_sid, source=source_arn
    )
    recorder.via.reset(token)
    if result.decision == "Allow":
        return None
    clause = (
        "with an explicit deny in a resource-based policy"
        if result.decision == "Deny"
        else f"because no resource-based policy allows the {action} action"
    )
    return Denied(principal=service, action=action, resource=resource, reason=clause)


# ---- sessions of roles that services assume ------------------------------------------------------------------------


def role_session(role_arn: str, service: str, session: str, *, source_arn: str = "", external_id: str = "") -> str:
    """Access key of a session of a role that a service assumes; its trust policy is evaluated.

    Args:
        role_arn: Role to assume.
        service: Principal that assumes it, such as `glue.amazonaws.com`.
        session: Session name; the same three give the same key until it is about to expire.
        source_arn: `aws:SourceArn` of the request.
        external_id: `sts:ExternalId` of the request.

    Raises:
        Denied: There is no such role, or it does not trust the service.
    """
    role = role_record(role_arn)
    trusted = role is not None and trusts(role, service, source_arn=source_arn, external_id=external_id)
    cached = _sessions.get((role_arn, service, session))
    if trusted and cached and _sts._sessions.get(cached, {}).get("Expiration", 0) > time.time() + 60:
        return cached
    recorder.record(
        principal=service, action="sts:AssumeRole", resource=role_arn, decision="Allow" if trusted else "ImplicitDeny", session=session
    )
    if not trusted or role is None:
        raise Denied(
            principal=service, action="sts:AssumeRole", resource=role_arn,
            reason="because no role trust policy allows the sts:AssumeRole action",
        )  # fmt: skip
    account, name, key = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1], _sts._gen_session_access_key()
    _sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
            "UserId": f"{role.get('RoleId', 'AROA')}:{session}",
            "SecretAccessKey": _sts._gen_secret(),
            "SessionToken": _sts._gen_session_token(),
            "AccountId": account,
            "Expiration": time.time() + SESSION_SECONDS,
            "PrincipalType": "AssumedRole",
        },
    )
    _sessions[role_arn, service, session] = key
    return key


def credentials(key: str) -> dict[str, str]:
    """A session's credentials as environment variables, for a process that works as the role."""
    session = _sts._sessions[key]
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }


def role_record(role_arn: str) -> dict[str, Any] | None:
    """MiniStack's record of a role, or None if no role has this very ARN."""
    parts = role_arn.split(":")
    if len(parts) < 6 or not parts[5].startswith("role/"):
        return None
    role = _iam._roles.get_scoped(parts[4], None, parts[5].rsplit("/", 1)[-1])
    return role if role and role.get("Arn") == role_arn else None


def trusts(role: Mapping[str, Any], service: str, *, source_arn: str = "", external_id: str = "") -> bool:
    """Whether a role's trust policy lets a service assume it, by its global or its regional principal."""
    region, document = _responses.get_region(), role.get("AssumeRolePolicyDocument")
    outside = {"sts:externalid": external_id} if external_id else {}
    decisions = [
        _evaluator.evaluate_resource_policy(
            document,
            _evaluator.EvalContext(
                "*", "Service", "", "sts:AssumeRole", "*", region, service_context={**_service_context(name, source_arn, ""), **outside}
            ),
            service=name,
        ).decision
        for name in (service, service.replace(".amazonaws.com", f".{region}.amazonaws.com"))
    ]
    return "Allow" in decisions and "Deny" not in decisions


def as_service(function: Callable[..., _R], *args: Any, key: str = "", via: str = "", **kwargs: Any) -> _R:
    """Call *function* as a service would: its own address, no signature left over from a request, the given caller."""

    def run() -> _R:
        _evaluator._request_origin.set(("192.0.2.1", True))
        _evaluator._signed_request.set(None)
        _evaluator._anonymous.set(False)
        _evaluator._request_caller_arn.set(principal_arn(key) if key else "")
        caller.set(key)
        if via:
            recorder.via.set(via)
        return function(*args, **kwargs)

    return contextvars.copy_context().run(run)


def principal_arn(key: str) -> str:
    """ARN behind an access key; `unknown:<key>` if nobody holds it."""
    return getattr(_evaluator.resolve_credential(key, _account_of(key)), "principal_arn", "") or f"unknown:{key}"


def is_root(key: str) -> bool:
    """Whether a key belongs to the account's root, which no policy limits.

    MiniStack also takes twelve digits for the root of the account of that number; there is one account here.
    """
    return key in {"", os.environ.get("AWS_ACCESS_KEY_ID", "test")}


def add_grants(service: str, grants: Grants) -> None:
    """Let *grants* give the rights of a service that no policy gives, where none denies them.

    Args:
        service: IAM's name of the service, such as `kms`.
        grants: Says whether a right is granted; boundaries and session policies are asked besides.
    """
    _grants[service] = grants


def identity_allows(key: str, *, action: str, resource: str, context: Mapping[str, Any], limits_only: bool = False) -> bool:
    """Whether a caller's own policies allow an action, within its boundary and its session's policies.

    Args:
        key: Access key.
        action: IAM action.
        resource: ARN.
        context: Condition keys.
        limits_only: Whether only the boundary and the session's policies count.
    """
    principal = _evaluator.resolve_principal(key, _account_of(key))
    if isinstance(principal, _evaluator.AuthError):
        return False
    if principal.policies is None:
        return True
    asked = _evaluator.EvalContext(
        principal.arn, principal.type, principal.account, action, resource, _responses.get_region(), principal_keys=principal.keys,
        service_context={name.lower(): value for name, value in context.items()},
    )  # fmt: skip
    layers = [*([] if limits_only else [principal.policies]), *principal.limits]
    flat = [[statement for document in layer for statement in document] for layer in layers]
    return all(_evaluator._first_match(asked, statements, "Allow") for statements in flat)


def last_denial() -> Denied | None:
    """The latest denial of the request under way."""
    return _last_denied.get()


# ---- MiniStack's evaluator, watched ------------------------------------------------------------------------------


def register() -> None:
    """Record every decision that MiniStack takes and keep its reason."""
    seam.replace("core.iam_evaluator.evaluate", _evaluate)
    seam.replace("core.iam_evaluator.combine_resource_policy", _combine_resource_policy)
    seam.replace("core.iam_evaluator.enforce", _enforce)
    seam.replace("core.iam_evaluator._principal_matches", _principal_matches)
    for name in (
        "evaluate_resource_policy", "resolve_principal", "resolve_credential", "_resource_policy", "_first_match",
    ):  # fmt: skip
        seam.original(f"core.iam_evaluator.{name}")
    seam.replace("core.iam_evaluator.is_root_access_key", is_root)
    seam.replace("core.iam_evaluator._is_root_key", _needs_no_signature)
    for name in ("register_session", "_gen_session_access_key", "_gen_secret", "_gen_session_token"):
        seam.original(f"services.sts.{name}")


def _needs_no_signature(key: str) -> bool:
    """Whether a request without this key's signature is let through: MiniStack believes whoever names root's key."""
    return not key


def _principal_matches(principal: Any, caller_arn: str) -> bool:
    """Whether a policy names a caller; MiniStack lets root stand for every service."""
    named = {kind: names for kind, names in principal.items() if kind != "Service"} if isinstance(principal, dict) else principal
    return bool(seam.original("core.iam_evaluator._principal_matches")(named, caller_arn))


def _evaluate(*args: Any) -> Any:
    result = seam.original("core.iam_evaluator.evaluate")(*args)
    _last_result.set(result)
    return result


def _combine_resource_policy(*args: Any, **kwargs: Any) -> Any:
    result = seam.original("core.iam_evaluator.combine_resource_policy")(*args, **kwargs)
    _last_result.set(result)
    return result


def _enforce(  # noqa: PLR0917 - MiniStack's signature
    access_key_id: str, iam_action: str, service: str, region: str, resource_arn: str = "*", service_context: dict[str, Any] | None = None
) -> Any:
    key = access_key_id or ""
    caller.set(key)
    _last_result.set(None)
    result = seam.original("core.iam_evaluator.enforce")(
        access_key_id, iam_action, service, region, resource_arn=resource_arn, service_context=service_context
    )
    last, principal = _last_result.get(), principal_arn(key)
    granted = getattr(result, "decision", "") == "ImplicitDeny" and _is_granted(key, iam_action, service, resource_arn, service_context)
    if isinstance(result, _evaluator.AuthError):
        recorder.record(principal=principal, action=iam_action, resource=resource_arn, decision="AuthError", reason=result.code)
    elif result is None or granted:
        recorder.record(
            principal=principal, action=iam_action, resource=resource_arn, decision="Allow",
            sid="" if granted else getattr(last, "matched_sid", ""),
            reason="a grant" if granted else "" if last else "root or never denied", keys=service_context,
        )  # fmt: skip
        return None
    else:
        denied = Denied(
            principal=principal, action=iam_action, resource=resource_arn,
            reason=_clause(key, iam_action, service, region, resource_arn, service_context),
        )  # fmt: skip
        recorder.record(
            principal=principal, action=iam_action, resource=resource_arn, decision=result.decision,
            sid=result.matched_sid, reason=denied.reason, keys=service_context,
        )  # fmt: skip
        _last_denied.set(denied)
        found = denials.get()
        if found is not None:
            found.append(denied)
    return result


def _is_granted(key: str, action: str, service: str, resource: str, context: Mapping[str, Any] | None) -> bool:
    """Whether a grant gives what no policy gives; it does so within the boundary and the session's policies only."""
    if service not in _grants or not _grants[service](key, action, resource, context or {}):
        return False
    return identity_allows(key, action=action, resource=resource, context=context or {}, limits_only=True)


def _clause(key: str, action: str, service: str, region: str, resource: str, context: Mapping[str, Any] | None) -> str:  # noqa: PLR0917 - MiniStack's signature
    """The clause that AWS appends to a denial: which kind of policy denied, or did not allow."""
    principal = _evaluator.resolve_principal(key, _account_of(key))
    asked = _evaluator.EvalContext(
        principal.arn, principal.type, principal.account, action, resource, region, principal_keys=principal.keys,
        service_context={name.lower(): value for name, value in (context or {}).items()},
    )  # fmt: skip
    layers = [[statement for document in layer for statement in document] for layer in (principal.policies or [], *principal.limits)]
    kinds = ["identity-based policy", *_limit_names(key, len(principal.limits))]
    found = _evaluator._resource_policy(service, resource)
    if found and _evaluator.evaluate_resource_policy(found[0], asked).decision == "Deny":
        return "with an explicit deny in a resource-based policy"
    for kind, statements in zip(kinds, layers, strict=True):
        if _evaluator._first_match(asked, statements, "Deny"):
            return f"with an explicit deny in {'an' if kind[0] == 'i' else 'a'} {kind}"
    for kind, statements in zip(kinds, layers, strict=True):
        if not _evaluator._first_match(asked, statements, "Allow"):
            return f"because no {kind} allows the {action} action"
    return f"because no resource-based policy allows the {action} action"


def _limit_names(key: str, count: int) -> list[str]:
    """Names of the evaluation limits, in MiniStack's order: the boundary, then the session's policies."""
    session = _sts._sessions.get(key) or {}
    has_session_policy = session.get("SessionPolicies") is not None
    return (["permissions boundary"] if count > int(has_session_policy) else []) + (["session policy"] if has_session_policy else [])


def _service_context(service: str, source_arn: str, source_account: str) -> dict[str, Any]:
    return {
        "aws:sourcearn": source_arn or None,
        "aws:sourceaccount": source_account or _responses.get_account_id(),
        "aws:principalservicename": service,
        "aws:principalisawsservice": "true",
    }


def _account_of(key: str) -> str:
    return _responses._account_from_sts_session(key) or _responses.get_account_id()


def _spelled(action: str) -> str:
    """An action in the spelling of its service's denials."""
    if action.startswith("sqs:"):
        return action.lower()
    return "SNS:" + action[4:] if action.startswith("sns:") else action
