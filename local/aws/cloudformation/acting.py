"""CloudFormation acts as the stack's role or its caller: every call it makes for a resource is authorised before it is made."""

from __future__ import annotations

import contextvars
import json
import urllib.parse
import uuid
from collections.abc import Callable
from typing import Any

from local.aws import boundaries, door, guard, key_use, recorder, seam
from local.aws.cloudformation import rights, schemas

SERVICE = "cloudformation.amazonaws.com"

_ROLE_OPERATIONS = frozenset({"CreateStack", "UpdateStack", "DeleteStack", "CreateChangeSet", "ContinueUpdateRollback", "RollbackStack"})

_cloudformation = seam.module("services.cloudformation")
_helpers = seam.module("services.cloudformation.helpers")
_provisioners = seam.module("services.cloudformation.provisioners")
_responses = seam.module("core.responses")

ResourceCheck = Callable[[dict[str, Any]], str]
"""What else a service looks at when CloudFormation creates or changes a resource: properties -> problem, or an empty string."""

Completion = Callable[[str, dict[str, Any], dict[str, Any] | None], None]
"""What is left to do once a resource is made or changed: (physical id, properties, properties before)."""

_checks: dict[str, list[ResourceCheck]] = {}
_completions: dict[str, Completion] = {}
_on_worker_thread: set[str] = set()
_caller: contextvars.ContextVar[str] = contextvars.ContextVar("lake_stack_caller", default="")
_asked_role: contextvars.ContextVar[str] = contextvars.ContextVar("lake_stack_asked_role", default="")
_actor: contextvars.ContextVar[str] = contextvars.ContextVar("lake_stack_actor", default="")
_change_set_roles: dict[tuple[str, str, str], str] = {}


def register() -> None:
    """Note who asks at the door, and ask before each resource is created, changed or deleted."""
    door.add_check(_note_caller)
    for where in ("stacks", "handlers", "changesets"):
        seam.replace(f"services.cloudformation.{where}._create_stack_task_in_region", _create_stack_task_in_region)
    seam.replace("services.cloudformation.stacks._provision_resource", _provision_resource)
    seam.replace("services.cloudformation.stacks._update_resource", _update_resource)
    seam.replace("services.cloudformation.stacks._delete_resource", _delete_resource)
    seam.replace("services.cloudformation.stacks._runs_on_worker_thread", _runs_on_worker_thread)
    seam.original("services.cloudformation.provisioners._physical_name")
    seam.original("services.cloudformation.provisioners._replacing_change")


def add_check(resource_type: str, check: ResourceCheck) -> None:
    """Run *check* before a resource of a type is created or changed; what it answers fails the resource."""
    _checks.setdefault(resource_type, []).append(check)


def add_completion(resource_type: str, completion: Completion) -> None:
    """Run *completion* after a resource of a type was created or changed; what it raises fails the resource."""
    _completions[resource_type] = completion


def run_on_worker_thread(resource_type: str) -> None:
    """Handle a type off the event loop: its handler calls back to this very server."""
    _on_worker_thread.add(resource_type)


def actor() -> str:
    """Access key that CloudFormation works with for the stack under way; empty outside of a stack."""
    return _actor.get()


def _runs_on_worker_thread(resource_type: str) -> bool:
    return resource_type in _on_worker_thread or bool(seam.original("services.cloudformation.stacks._runs_on_worker_thread")(resource_type))


# ---- who ---------------------------------------------------------------------------------------------------------


def _note_caller(request: door.Request) -> door.Response | None:
    if request.service != "cloudformation":
        return None
    _caller.set(request.key)
    _asked_role.set("")
    if request.operation not in _ROLE_OPERATIONS:
        return None
    parameters = _parameters(request)
    role, stack = parameters.get("RoleARN", ""), _stack_name(parameters.get("StackName", ""))
    if not role:
        return None
    record = guard.role_record(role)
    if record is None or not guard.trusts(record, SERVICE):
        return _helpers._error("ValidationError", f"Role {role} is invalid or cannot be assumed")
    _asked_role.set(role)
    if request.operation == "CreateChangeSet":
        _change_set_roles[_responses.get_account_id(), _responses.get_region(), stack] = role
    return None


def _create_stack_task_in_region(work: Any, stack: dict[str, Any] | None, stack_id: str | None = None) -> Any:
    """Settle who the stack's operation runs as; a stack keeps the role that it was given last."""
    role = _asked_role.get()
    if stack is not None:
        place = (_responses.get_account_id(), _responses.get_region(), stack.get("StackName", ""))
        role = role or _change_set_roles.pop(place, "") or stack.get("RoleARN", "")
        if role:
            stack["RoleARN"] = role
    _actor.set(guard.role_session(role, SERVICE, "AWSCloudFormation") if role else _caller.get())
    return seam.original("services.cloudformation.stacks._create_stack_task_in_region")(work, stack, stack_id)


def _parameters(request: door.Request) -> dict[str, str]:
    if request.body[:1] == b"{":
        return {name: value for name, value in json.loads(request.body).items() if isinstance(value, str)}
    form = urllib.parse.parse_qs(request.body.decode("utf-8", "replace")) | request.query
    return {name: value[0] for name, value in form.items() if value}


def _stack_name(name_or_arn: str) -> str:
    return name_or_arn.split("/")[1] if name_or_arn.startswith("arn:") else name_or_arn


# ---- what -------------------------------------------------------------------------------------------------------


def _provision_resource(resource_type: str, logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
    _require_valid(resource_type, logical_id, properties)
    _require(resource_type, "create", properties=properties, name=_future_name(stack_name, logical_id))
    _require_accepted(resource_type, properties)
    make = seam.original("services.cloudformation.stacks._provision_resource")
    made = _as_actor(make, resource_type, logical_id, properties, stack_name)
    if resource_type in _completions:
        try:
            _as_actor(lambda _: _completions[resource_type](made[0], properties, None), resource_type)
        except Exception:  # the half-made resource goes: the stack knows nothing of it, so its rollback would leave it
            _as_actor(seam.original("services.cloudformation.stacks._delete_resource"), resource_type, made[0], properties)
            raise
    return made


def _update_resource(
    resource_type: str, physical_id: str, before: dict[str, Any], properties: dict[str, Any], stack_name: str, *more: Any
) -> Any:
    if before != properties:
        _require_valid(resource_type, str(more[0]) if more else physical_id, properties)
        if _provisioners._replacing_change(resource_type, before, properties):
            _require(resource_type, "create", properties=properties, name=_future_name(stack_name, str(more[0]) if more else physical_id))
        else:
            _require(resource_type, "update", properties=properties, before=before, name=physical_id)
        _require_accepted(resource_type, properties)
    change = seam.original("services.cloudformation.stacks._update_resource")
    made = _as_actor(change, resource_type, physical_id, before, properties, stack_name, *more)
    if resource_type in _completions and before != properties:
        earlier = before if made[0] == physical_id else None
        _as_actor(lambda _: _completions[resource_type](made[0], properties, earlier), resource_type)
    return made


def _delete_resource(resource_type: str, physical_id: str, properties: dict[str, Any], *more: Any) -> Any:
    _require(resource_type, "delete", properties=properties, name=physical_id)
    return _as_actor(seam.original("services.cloudformation.stacks._delete_resource"), resource_type, physical_id, properties, *more)


def _as_actor(function: Any, resource_type: str, *args: Any) -> Any:
    """Run a handler with the actor as the caller, in this very context: handlers leave things in it for the engine."""
    token, via = guard.caller.set(_actor.get()), recorder.via.set(f"cloudformation:{resource_type}")
    try:
        return function(resource_type, *args)
    finally:
        recorder.via.reset(via)
        guard.caller.reset(token)


def _require(resource_type: str, handler: str, *, properties: dict[str, Any], name: str, before: dict[str, Any] | None = None) -> None:
    """Fail the resource, in AWS's words, if the actor may not make the calls that it takes.

    Raises:
        ValueError: A call is denied.
    """
    key = _actor.get()
    if not key:
        return
    place = rights.Place(account=_responses.get_account_id(), region=_responses.get_region())
    wanted = rights.calls(resource_type, handler, properties=properties, before=before, name=name, place=place)
    if wanted is None:
        wanted = rights.fallback(resource_type, schemas.handler_actions(resource_type, handler))
    for call in wanted:
        context: dict[str, Any] = {"iam:PassedToService": f"{call.passed_to}.amazonaws.com"} if call.passed_to else {}
        context |= key_use.for_resource(call.key_for) if call.key_for else {}
        context |= boundaries.condition_keys(call.action, name=call.resource, asked=str(properties.get("PermissionsBoundary") or ""))
        denied = guard.authorize(key, action=call.action, resource=call.resource, context=context, via=f"cloudformation:{resource_type}")
        if denied:
            service = resource_type.split("::")[1] if resource_type.startswith("AWS::") else "Lambda"
            raise ValueError(
                f'Resource handler returned message: "{denied} (Service: {service}, Status Code: 403, Request ID: {uuid.uuid4()})" '
                f"(RequestToken: {uuid.uuid4()}, HandlerErrorCode: AccessDenied)"
            )


def _require_valid(resource_type: str, logical_id: str, properties: dict[str, Any]) -> None:
    """Hold resolved properties to the type's schema.

    Raises:
        ValueError: They break it.
    """
    found = schemas.problems(resource_type, properties)
    if found:
        raise ValueError(f"Properties validation failed for resource {logical_id} with message:\n" + "\n".join(found))


def _require_accepted(resource_type: str, properties: dict[str, Any]) -> None:
    """Ask what the service itself would object to.

    Raises:
        ValueError: It objects.
    """
    for check in _checks.get(resource_type, ()):
        problem = check(properties)
        if problem:
            raise ValueError(
                f'Resource handler returned message: "{problem}" (RequestToken: {uuid.uuid4()}, HandlerErrorCode: InvalidRequest)'
            )


def _future_name(stack_name: str, logical_id: str) -> str:
    """Name that a resource without one is going to get."""
    return str(_provisioners._physical_name(stack_name, logical_id))
