"""The front door: checks that run after authorisation and before a service, and dry runs of whole requests."""

from __future__ import annotations

import contextvars
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.aws import actions, guard, seam

Response = tuple[int, dict[str, str], Any]
"""What a MiniStack service answers: status, headers, body."""

Handler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Response]]
"""A MiniStack service: (method, path, headers, body, query)."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """An authorised request on its way to a service.

    Attributes:
        service: MiniStack's name of the service, such as `states`.
        action: IAM action, such as `states:StartExecution`; empty if it has none, or one for each of its parts.
        operation: Name of the API operation, the action without its prefix.
        method: HTTP method.
        path: HTTP path.
        headers: HTTP headers, lower case.
        body: HTTP body.
        query: Query parameters.
        key: Caller's access key.
    """

    service: str
    action: str
    operation: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    query: dict[str, Any]
    key: str


Check = Callable[[Request], Response | None]
"""A check at the door: a response refuses the request, None lets it pass."""

Look = Callable[[Request, Response], Response]
"""A look at a service's answer, on its way out; what it gives is sent instead."""

Right = Callable[[Request], guard.Denied | None]
"""A further right that a request needs, such as that to a key; dry runs ask for it too."""

_app = seam.module("app")
_actions = seam.module("core.iam_actions")
_router = seam.module("core.router")
_responses = seam.module("core.responses")

_checks: list[Check] = []
_looks: list[Look] = []
_rights: list[tuple[Right, Callable[[Request, guard.Denied], Response]]] = []
_dry: contextvars.ContextVar[bool] = contextvars.ContextVar("lake_dry", default=False)
_wrapped: set[str] = set()


def add_check(check: Check) -> None:
    """Run *check* on every authorised request, in the order of registration."""
    _checks.append(check)


def add_look(look: Look) -> None:
    """Let *look* see every answer of a service."""
    _looks.append(look)


def add_right(right: Right, *, refuse: Callable[[Request, guard.Denied], Response]) -> None:
    """Ask for *right* on every authorised request, dry runs included, after the checks.

    Args:
        right: Gives the denial, or None.
        refuse: Puts a denial into the words of the request's service; `access_denied` does so for most.
    """
    _rights.append((right, refuse))


def authorize_request(
    key: str,
    *,
    scope: str,
    headers: Mapping[str, str],
    body: bytes | str = b"",
    query: Mapping[str, Any] | None = None,
    method: str = "POST",
    path: str = "/",
    via: str = "",
) -> guard.Denied | None:
    """The denial that the holder of *key* would get for a request; nothing is executed.

    Use it where a service calls another one with a role: IAM's logic is never copied, the request is routed and named
    as if it had come over HTTP.

    Args:
        key: Access key, as from `guard.role_session`.
        scope: Credential scope, the service's signing name (`glue`, `dynamodb`).
        headers: Headers that name the operation (`x-amz-target`, `content-type`).
        body: Body as the SDK would send it.
        query: Query parameters, values in lists.
        method: HTTP method.
        path: HTTP path.
        via: How the call came about, for the record.
    """
    found: list[guard.Denied] = []
    signed = {**headers, "authorization": authorization(key, scope)}
    data = body.encode() if isinstance(body, str) else body

    def run() -> None:
        _dry.set(True)
        guard.denials.set(found)
        running = _app._dispatch_service_request(method, path, signed, data, dict(query or {}), str(uuid.uuid4()))
        try:
            running.send(None)
        except StopIteration:
            return
        running.close()
        raise RuntimeError("the front door awaited during a dry run")

    guard.as_service(run, key=key, via=via)
    return found[-1] if found else None


def authorization(key: str, scope: str) -> str:
    """An Authorization header that names the caller; calls inside the process carry no signature to check."""
    return f"AWS4-HMAC-SHA256 Credential={key}/20260101/{_responses.get_region()}/{scope}/aws4_request, SignedHeaders=host, Signature=0"


def access_denied(request: Request, denied: guard.Denied) -> Response:
    """A denial in the protocol of the request's service."""
    return _actions.access_denied_response(
        request.service, denied.action, denied.principal, str(uuid.uuid4()), headers=request.headers,
        message=str(denied), resource_arn=denied.resource,
    )  # fmt: skip


def refusal(code: str, message: str, *, status: int = 400) -> Response:
    """An error of a service that speaks JSON."""
    return (
        status,
        {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": code},
        json.dumps({"__type": code, "message": message}).encode(),
    )


def wrap(service: str, handler: Handler) -> Handler:
    """A service's handler behind the door; for services that other modules add."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Response:
        key = _router.extract_access_key_id(headers, query)
        params = _app._routing_params(method, path, headers, body, query)
        action = _actions.extract_iam_action(service, method, path, headers, body, params) or ""
        request = Request(
            service=service, action=action, operation=action.partition(":")[2] or actions.parted_operation(service, method, query),
            method=method, path=path, headers=headers, body=body, query=query, key=key,
        )  # fmt: skip
        if _dry.get():
            denials = guard.denials.get()
            if denials is not None:
                denials.extend(denied for _, denied in _missing_rights(request))
            return 299, {}, b""
        guard.caller.set(key)
        for check in _checks:
            refused = check(request)
            if refused is not None:
                return refused
        for refuse, denied in _missing_rights(request):
            return refuse(request, denied)
        answer = await handler(method, path, headers, body, query)
        for look in _looks:
            answer = look(request, answer)
        return answer

    _wrapped.add(service)
    return handle


def _missing_rights(request: Request) -> Iterator[tuple[Callable[[Request, guard.Denied], Response], guard.Denied]]:
    for right, refuse in _rights:
        denied = right(request)
        if denied is not None:
            yield refuse, denied


def register() -> None:
    """Put every service behind the door."""
    for name in ("_dispatch_service_request", "_routing_params"):
        seam.original(f"app.{name}")
    seam.replace("core.iam_actions.access_denied_response", _access_denied_response)
    seam.original("core.iam_actions.extract_iam_action")
    for name in list(_app.SERVICE_HANDLERS):
        if name not in _wrapped:
            _app.SERVICE_HANDLERS[name] = wrap(name, _app.SERVICE_HANDLERS[name])


def _access_denied_response(
    service: str, action: str, principal_arn: str, request_id: str, *, error_code: str = "", message: str = "", **more: Any
) -> Response:
    """MiniStack's denial with AWS's whole sentence: it leaves out the resource, the boundary and the session policy."""
    last = guard.last_denial()
    if not error_code and not message and last and last.action == action and last.principal == principal_arn:
        message = str(last)
        if service in {"ssm", "logs"}:  # MiniStack words these two itself, from the resource alone
            more["resource_arn"] = last.resource
    return seam.original("core.iam_actions.access_denied_response")(
        service, action, principal_arn, request_id, error_code=error_code, message=message, **more
    )
