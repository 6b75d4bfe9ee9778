"""Use of customer keys by services: whoever writes or reads encrypted data must be allowed to use the key as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from local.aws import guard, recorder, seam

WRITE = ("kms:GenerateDataKey", "kms:Decrypt")
"""What a sender into an encrypted queue or topic needs."""

READ = ("kms:Decrypt",)
"""What a reader needs."""

_kms = seam.module("services.kms")
_responses = seam.module("core.responses")


def key_arn(key_id: str) -> str:
    """ARN of a customer key, from its id, ARN or alias; empty if it is an AWS managed key or does not exist."""
    if not key_id or "alias/aws/" in key_id:
        return ""
    record = _kms._resolve_key(key_id)
    return str(record["Arn"]) if record else ""


def is_usable(key_id: str) -> bool:
    """Whether a key exists and is enabled; AWS managed keys always are."""
    if "alias/aws/" in key_id:
        return True
    record = _kms._resolve_key(key_id)
    return record is not None and record.get("KeyState") in (None, "Enabled")


def unusable(key_id: str, *, principal: str, action: str) -> guard.Denied | None:
    """Why nobody can use a key, whatever policies say: it does not exist, is disabled or waits for its deletion. None if it can be used."""
    if is_usable(key_id):
        return None
    record = _kms._resolve_key(key_id)
    why = "because there is no such key" if record is None else f"because the key is {str(record['KeyState']).lower()}"
    return guard.Denied(principal=principal, action=action, resource=str(record["Arn"]) if record else key_id, reason=why)


def refusal_kind(key_id: str) -> str:
    """What SQS and SNS call the refusal of a key: `KmsDisabled`, `KMSNotFound`, else `KmsAccessDenied`."""
    return "AccessDenied" if is_usable(key_id) else "Disabled" if key_arn(key_id) else "NotFound"


def encryption_context(pairs: Mapping[str, str]) -> dict[str, Any]:
    """Condition keys of an encryption context, such as that of the pair `aws:sqs:arn`."""
    return {**{f"kms:EncryptionContext:{name}": value for name, value in pairs.items()}, "kms:EncryptionContextKeys": list(pairs)}


def ask(
    key: str, *, key_id: str, actions: Iterable[str], service: str, context: Mapping[str, Any] | None = None, via: str = ""
) -> guard.Denied | None:
    """Whether a caller may use a resource's key through a service.

    Args:
        key: Caller's access key; an empty one is MiniStack's own and always may.
        key_id: Key as the resource names it; AWS managed keys are open to every caller of the service.
        actions: What is asked of KMS.
        service: Service that asks, such as `sqs`.
        context: More condition keys, such as an encryption context.
        via: How the call came about, for the record; through the service, from what it is now, if left out.
    """
    actions = tuple(actions)
    if not key or not key_id:
        return None
    if broken := unusable(key_id, principal=guard.principal_arn(key), action=actions[0]):
        return broken
    arn = key_arn(key_id)
    if not arn:
        return None
    keys = via_service(service) | dict(context or {})
    for action in actions:
        denied = guard.authorize(key, action=action, resource=arn, context=keys, via=via or f"{service}>{recorder.via.get()}")
        if denied:
            return denied
    return None


def ask_for_service(
    principal: str, *, key_id: str, actions: Iterable[str], source_arn: str, via: str, context: Mapping[str, Any] | None = None
) -> guard.Denied | None:
    """Whether a service principal may use a resource's key: only the key policy counts, and AWS managed keys admit no service."""
    actions = tuple(actions)
    if not key_id:
        return None
    if broken := unusable(key_id, principal=principal, action=actions[0]):
        return broken
    arn = key_arn(key_id)
    if not arn:
        return guard.Denied(
            principal=principal, action=actions[0], resource=key_id, reason="because an AWS managed key cannot be used by another service"
        )
    keys = {name.lower(): value for name, value in (context or {}).items()}
    for action in actions:
        denied = guard.authorize_service(principal, action=action, resource=arn, source_arn=source_arn, via=via, context=keys)
        if denied:
            return denied
    return None


def via_service(service: str) -> dict[str, Any]:
    """Condition keys of a call that a service makes on a caller's behalf."""
    return {"kms:ViaService": f"{service}.{_responses.get_region()}.amazonaws.com", "kms:CallerAccount": _responses.get_account_id()}


def for_resource(service: str) -> dict[str, Any]:
    """Condition keys of a call that a service makes to take a key for a resource, such as CreateGrant for a table."""
    return {**via_service(service), "kms:GrantIsForAWSResource": "true"}


def register() -> None:
    """Note what this leans on."""
    seam.original("services.kms._resolve_key")
