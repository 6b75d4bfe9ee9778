"""`iam:PermissionsBoundary`, the condition by which a policy insists that roles and users are bounded; MiniStack never sets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.aws import seam

KEY = "iam:PermissionsBoundary"

_SETTING = frozenset({"CreateRole", "CreateUser", "PutRolePermissionsBoundary", "PutUserPermissionsBoundary"})
"""Operations that say which boundary there is going to be."""

_CHANGING = frozenset(
    f"{verb}{kind}{what}"
    for kind in ("Role", "User")
    for verb, what in (
        ("Attach", "Policy"),
        ("Delete", "PermissionsBoundary"),
        ("Delete", "Policy"),
        ("Detach", "Policy"),
        ("Put", "Policy"),
    )
)
"""Operations that the boundary which a role or user has is asked for."""

_iam = seam.module("services.iam")
_responses = seam.module("core.responses")


def condition_keys(action: str, *, name: str, asked: str) -> dict[str, str]:
    """The condition key of a call to IAM, as the service authorization reference lists it.

    Args:
        action: IAM action.
        name: Name or ARN of the role or user.
        asked: ARN of the boundary that the call sets; empty if it sets none.

    Returns:
        Nothing for calls that do not know the key, or where there is no boundary: a condition on it then fails.
    """
    operation = action.removeprefix("iam:")
    if operation in _SETTING:
        return {KEY: asked} if asked else {}
    if operation not in _CHANGING:
        return {}
    records = _iam._roles if "Role" in operation else _iam._users
    record: Mapping[str, Any] = records.get_scoped(_responses.get_account_id(), None, name.rsplit("/", 1)[-1]) or {}
    boundary = record.get("PermissionsBoundary") or asked
    return {KEY: str(boundary)} if boundary else {}
