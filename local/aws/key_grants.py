"""KMS: grants give their grantees the operations that they name, and requests tell their encryption context to policies.

MiniStack keeps grants and never asks them. A grant gives rights besides the key's policy; an explicit denial, a permissions boundary and a
session policy still hold. Not served, and refused by name: grantees that are services, source ARNs as constraints, ListRetirableGrants.
"""

from __future__ import annotations

import contextvars
import json
import re
from collections.abc import Mapping
from typing import Any

from local.aws import actions, door, guard, seam

_PRINCIPAL = re.compile(
    r"arn:aws:(iam::\d{12}:(root|user/[\w+=,.@/-]+|role/[\w+=,.@/-]+)|sts::\d{12}:(assumed-role/[\w+=,.@/-]+|federated-user/[\w+=,.@-]+))"
)
_CONSTRAINTS = ("EncryptionContextEquals", "EncryptionContextSubset")
_UNBOUND = frozenset({"CreateGrant", "DescribeKey", "GetPublicKey", "RetireGrant"})
"""Operations that have no encryption context, so that a grant's constraints do not narrow them."""

_UNSERVED = ("GranteeServicePrincipal", "RetiringServicePrincipal")
_PREFIX = "kms:encryptioncontext:"

_evaluator = seam.module("core.iam_evaluator")
_kms = seam.module("services.kms")

_given: contextvars.ContextVar[list[dict[str, Any]] | None] = contextvars.ContextVar("lake_kms_grants", default=None)
"""Grants that gave the right of the request under way; None if policies gave it."""


def register() -> None:
    """Ask grants where policies do not allow, and check those that are made."""
    guard.add_grants("kms", is_granted)
    actions.tell_condition_keys_of("kms", condition_keys)
    actions.name_requests_of("kms", _key_of_token)
    door.add_check(_check)
    for name in ("_create_grant", "_retire_grant", "_is_asymmetric", "_is_hmac_key", "_resolve_key"):
        seam.original(f"services.kms.{name}")
    seam.original("core.iam_evaluator._names_caller")


def is_granted(key: str, action: str, resource: str, context: Mapping[str, Any]) -> bool:
    """Whether a grant on a key gives the holder of an access key an operation.

    Args:
        key: Access key.
        action: IAM action, such as `kms:Decrypt`.
        resource: ARN of the key.
        context: Condition keys of the request, its encryption context among them.
    """
    operation = action.partition(":")[2]
    found = [grant for grant in _grants_on(resource) if _gives(grant, key, operation, context)]
    _given.set(found)
    return bool(found)


def condition_keys(action: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Condition keys of a request to KMS itself: its encryption context, and of CreateGrant what it grants.

    Args:
        action: IAM action.
        data: Members of its input.
    """
    _given.set(None)
    pairs = data.get("EncryptionContext") or {}
    keys: dict[str, Any] = {f"kms:EncryptionContext:{name}": value for name, value in pairs.items()}
    if pairs:
        keys["kms:EncryptionContextKeys"] = list(pairs)
    if action != "kms:CreateGrant":
        return keys
    keys["kms:GrantOperations"] = list(data.get("Operations") or [])
    keys["kms:GrantIsForAWSResource"] = "false"
    named = {"kms:GranteePrincipal": data.get("GranteePrincipal"), "kms:RetiringPrincipal": data.get("RetiringPrincipal")}
    constraint = next((name for name in _CONSTRAINTS if (data.get("Constraints") or {}).get(name)), None)
    return {**keys, **{name: value for name, value in {**named, "kms:GrantConstraintType": constraint}.items() if value}}


def _grants_on(resource: str) -> list[dict[str, Any]]:
    record = _kms._resolve_key(resource)
    return [grant for grant in list(_kms._grants.values()) if record is not None and grant["KeyId"] == record["Arn"]]


def _gives(grant: Mapping[str, Any], key: str, operation: str, context: Mapping[str, Any]) -> bool:
    if operation == "RetireGrant" and _is(grant.get("RetiringPrincipal"), key, grant["KeyId"], context):
        return True
    if operation not in grant["Operations"] or not _is(grant["GranteePrincipal"], key, grant["KeyId"], context, operation=operation):
        return False
    return operation in _UNBOUND or _fits(grant.get("Constraints") or {}, _pairs(context))


def _is(principal: str | None, key: str, resource: str, context: Mapping[str, Any], *, operation: str = "RetireGrant") -> bool:
    """Whether a principal of a grant is the holder of an access key; an account stands for those whom its own policies let."""
    if not principal:
        return False
    caller = guard.principal_arn(key)
    if principal.endswith(":root"):
        is_same = caller.split(":")[4:5] == principal.split(":")[4:5]
        return is_same and guard.identity_allows(key, action=f"kms:{operation}", resource=resource, context=context)
    return bool(_evaluator._names_caller({"AWS": principal}, caller))


def _pairs(context: Mapping[str, Any]) -> dict[str, str]:
    """The encryption context that condition keys tell."""
    return {name[len(_PREFIX) :]: str(value) for name, value in context.items() if name.lower().startswith(_PREFIX)}


def _fits(constraints: Mapping[str, Any], pairs: Mapping[str, str]) -> bool:
    equals, subset = constraints.get("EncryptionContextEquals"), constraints.get("EncryptionContextSubset")
    return (not equals or dict(pairs) == equals) and (not subset or subset.items() <= pairs.items())


def _key_of_token(_method: str, _path: str, headers: dict[str, str], body: bytes, _query: dict[str, Any]) -> actions.Named:
    """RetireGrant may name the grant by its token alone; it is asked on the grant's key."""
    if not headers.get("x-amz-target", "").endswith(".RetireGrant"):
        return actions.Named()
    grant = _named_grant(_data(body))
    return actions.Named(resource=grant["KeyId"]) if grant else actions.Named()


def _named_grant(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """The grant that a RetireGrant is about, or None."""
    token, grants = data.get("GrantToken"), list(_kms._grants.values())
    if token:
        return next((grant for grant in grants if token in grant["_tokens"]), None)
    record = _kms._resolve_key(str(data.get("KeyId") or ""))
    return next((grant for grant in grants if record and grant["GrantId"] == data.get("GrantId") and grant["KeyId"] == record["Arn"]), None)


def _data(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# ---- what is checked beyond the right itself -------------------------------------------------------------------------


def _check(request: door.Request) -> door.Response | None:
    if request.service != "kms":
        return None
    data = _data(request.body)
    tokens = {token for grant in list(_kms._grants.values()) for token in grant["_tokens"]}
    if not tokens.issuperset(data.get("GrantTokens") or ()):
        return door.refusal("InvalidGrantTokenException", "Invalid grant token.")
    match request.operation:
        case "CreateGrant":
            return _refused_grant(data)
        case "RetireGrant":
            return _refused_retirement(request, data)
        case _:
            return None


def _refused_grant(data: Mapping[str, Any]) -> door.Response | None:
    constraints: dict[str, Any] = data.get("Constraints") or {}
    unserved = [name for name in _UNSERVED if data.get(name)] + [name for name in constraints if name not in _CONSTRAINTS]
    if unserved:
        served = f"GranteePrincipal, RetiringPrincipal and the constraints {', '.join(_CONSTRAINTS)}"
        return door.refusal(
            "ValidationException", f"{', '.join(unserved)} of a grant is not implemented on the laptop platform. Implemented: {served}"
        )
    for name in ("GranteePrincipal", "RetiringPrincipal"):
        if data.get(name) and not _PRINCIPAL.fullmatch(str(data[name])):
            return door.refusal("InvalidArnException", f"{name} {data[name]} is not the ARN of an account, a user, a role or a session.")
    record = _kms._resolve_key(str(data.get("KeyId") or ""))
    if record and constraints and (_kms._is_asymmetric(record) or _kms._is_hmac_key(record)):
        return door.refusal("ValidationException", "Encryption context constraints are for symmetric encryption keys only.")
    parents = _given.get()
    if parents is not None and not any(_is_within(data, grant) for grant in parents):
        return door.refusal("AccessDeniedException", "A grant made by right of a grant may not give more than that grant gives.")
    return None


def _is_within(data: Mapping[str, Any], parent: Mapping[str, Any]) -> bool:
    """Whether a grant gives no more than the one by whose right it is made."""
    asked, limits = data.get("Constraints") or {}, parent.get("Constraints") or {}
    equals, subset = limits.get("EncryptionContextEquals"), limits.get("EncryptionContextSubset") or {}
    narrowed = asked.get("EncryptionContextEquals") or asked.get("EncryptionContextSubset") or {}
    return (
        set(data.get("Operations") or ()) <= set(parent["Operations"])
        and (not equals or asked.get("EncryptionContextEquals") == equals)
        and subset.items() <= narrowed.items()
    )


def _refused_retirement(request: door.Request, data: Mapping[str, Any]) -> door.Response | None:
    """Only the grant says who may retire it, and the account that made it; a policy that allows kms:RetireGrant does not suffice."""
    grant = _named_grant(data)
    if grant is None or guard.is_root(request.key) or _gives(grant, request.key, "RetireGrant", {}):
        return None
    denied = guard.Denied(
        principal=guard.principal_arn(request.key), action="kms:RetireGrant", resource=grant["KeyId"],
        reason="because the grant does not name it as one that may retire the grant",
    )  # fmt: skip
    return door.access_denied(request, denied)
