"""Serve an AWS API from its botocore model: a room writes one plain function an operation, everything around it is here.

Requests are routed, parsed, validated and authorised, answers and errors serialised, by the service's own model, in the protocols
json, rest-json, query and rest-xml; state is kept with the platform's. Not here: event streams, and the waiters, which are the
client's. A service in a few lines:

    _APPLICATIONS = store()

    def _application_arn(call: Call) -> str:
        return f"arn:aws:emr-serverless:{call.region}:{call.account}:/applications/{call.params['applicationId']}"

    def _get_application(call: Call) -> Answer:
        found = _APPLICATIONS.get(call.params["applicationId"])
        if found is None:
            raise ServiceError("ResourceNotFoundException", f"Application {call.params['applicationId']} does not exist")
        return {"application": found}

    def _list_applications(call: Call) -> Answer:
        return paginated(call, _APPLICATIONS.values())

    def register() -> None:
        serve(
            ModelledService(
                name="emr-serverless",
                state={"applications": _APPLICATIONS},
                operations={
                    "GetApplication": Operation(_get_application, on=_application_arn),
                    "ListApplications": Operation(_list_applications, on=no_resource),
                    "StartJobRun": Operation(_start_job_run, on=_application_arn, passes={"executionRoleArn": "emr-serverless"}),
                },
            )
        )

An operation that the service does not list is refused by `supported`; of a service that MiniStack has too, it stays MiniStack's.
"""

from __future__ import annotations

import base64
import contextvars
import logging
import re
import sys
import threading
import types
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from local.aws import actions, door, guard, pass_role, seam, supported

log = logging.getLogger("lake.service")

Answer = Mapping[str, Any] | None
"""What an operation returns: members of its output shape (timestamps as seconds since 1970), or nothing."""

DEFAULT_PAGE = 50
"""Items of a page, if neither caller nor service says."""

_served: dict[str, ModelledService] = {}

_app = seam.module("app")
_actions = seam.module("core.iam_actions")
_concurrency = seam.module("core.concurrency")
_responses = seam.module("core.responses")
_router = seam.module("core.router")


class ServiceError(Exception):
    """An error of a service, as its model names it.

    Args:
        code: Name of the error shape, such as `ResourceNotFoundException`; its HTTP status is the model's.
        message: Text for the caller.
        members: Further members of the error shape.
    """

    def __init__(self, code: str, message: str, **members: Any) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message
        self.__dict__.update(members)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request of a service.

    Attributes:
        service: MiniStack's name of the service.
        operation: Name of the API operation.
        params: Members of its input shape.
        key: Caller's access key.
        account: Account that the request belongs to.
        region: Region that it was sent to.
        denial: Code of a refusal in this service's words.
    """

    service: str
    operation: str
    params: dict[str, Any]
    key: str
    account: str
    region: str
    denial: str = "AccessDeniedException"

    @property
    def caller(self) -> str:
        """ARN of the caller."""
        return guard.principal_arn(self.key)

    @property
    def tags(self) -> list[dict[str, str]]:
        """Tags that it gives, as RDS and Redshift keep them."""
        return [{"Key": tag["Key"], "Value": tag.get("Value", "")} for tag in self.params.get("Tags") or []]

    def require(self, action: str, resource: str, *, context: Mapping[str, Any] | None = None) -> None:
        """Ask for one more right of the caller, such as `secretsmanager:GetSecretValue` on a secret that the request names.

        Raises:
            ServiceError: The caller does not have it.
        """
        denied = guard.authorize(self.key, action=action, resource=resource, context=context, via=f"{self.service}:{self.operation}")
        if denied:
            raise ServiceError(self.denial, str(denied))


def no_resource(_: Call) -> str:
    """ARN of operations that IAM knows no resource of."""
    return "*"


@dataclass(frozen=True)
class Operation:
    """An operation that behaves.

    Attributes:
        run: What it does; called in a thread of its own.
        on: ARN that its IAM action is asked on (`no_resource` if IAM knows none); a missing parameter makes it `*`.
        passes: Path of a role in the request -> service that the role is passed to, for `iam:PassRole`.
    """

    run: Callable[[Call], Answer]
    on: Callable[[Call], str] = field(kw_only=True)
    passes: Mapping[str, str] = field(default_factory=dict[str, str], kw_only=True)


@dataclass(frozen=True, kw_only=True)
class ModelledService:
    """A service and its operations.

    Attributes:
        name: MiniStack's name of it, which is its signing name (`elasticmapreduce`).
        operations: By the API's names.
        model: botocore's name, if it is another one (`emr`).
        state: Stores that are kept over restarts, by name.
        restored: Called after kept state was loaded: what ran when the platform ended, runs no more.
        invalid: Code of a request that does not fit the model.
        condition_keys: What IAM is told of a request beside its action and resource; for services of the json protocol.
    """

    name: str
    operations: Mapping[str, Operation]
    model: str = ""
    state: Mapping[str, Any] = field(default_factory=dict[str, Any])
    restored: Callable[[], None] = lambda: None
    invalid: str = "ValidationException"
    condition_keys: actions.KeysOf | None = None

    @cached_property
    def api(self) -> _Api:
        """The service's model."""
        return _Api(self.model or self.name)

    @property
    def namespace(self) -> str:
        """Prefix of its IAM actions."""
        return self.api.namespace


def store() -> Any:
    """A dictionary of which each account and region sees its own part."""
    return _responses.AccountRegionScopedDict()


def serve(service: ModelledService) -> None:
    """Put a service behind the platform's endpoint; call it from an adapter's `register`."""
    unknown = service.api.lacks(service.operations)
    if unknown:
        raise ValueError(f"{service.name} has no operations {', '.join(unknown)}: botocore's model names them otherwise")
    _served[service.name] = service
    # `get` has an answer to every name, so that services that nobody serves are refused by theirs.
    before = dict(_app.SERVICE_HANDLERS).get(service.name)
    _app.SERVICE_HANDLERS[service.name] = _handler(service, otherwise=before)
    if before is None:
        _router.SERVICE_PATTERNS[service.name] = service.api.pattern(service.name)
        _actions.SERVICE_TO_IAM_NAMESPACE[service.name] = service.namespace
        if service.api.protocol in {"query", "ec2"}:
            _actions._SERVICE_PROTOCOL[service.name] = f"{service.api.protocol}-xml"
    if service.state:
        _keep(service)
    actions.name_requests_of(service.name, lambda *request: _named(service, *request, is_shared=before is not None))
    if service.condition_keys is not None:
        actions.tell_condition_keys_of(service.name, service.condition_keys)
    supported.allow(service.name, *service.operations)
    for name, operation in service.operations.items():
        if operation.passes:
            pass_role.ROLES[service.name, name] = dict(operation.passes)


def served(service: str) -> ModelledService:
    """A service that is served here."""
    return _served[service]


def invoke(service: str, operation: str, params: dict[str, Any], *, key: str) -> Mapping[str, Any]:
    """Call an operation inside this process, as the holder of an access key: for services that call others with a role.

    Args:
        service: The service.
        operation: Its operation.
        params: Members of its input shape.
        key: Access key, as from `guard.role_session`.

    Raises:
        ServiceError: It refused, or IAM did.
    """
    called = _served[service]
    if faults := called.api.faults(operation, params):
        raise ServiceError(called.invalid, faults)
    known, call = called.operations[operation], _call(called, operation, params, key=key)
    action = f"{called.namespace}:{operation}"
    call.require(action, known.on(call), context=actions.condition_keys(service, action, params))
    for path, passed_to in known.passes.items():
        context = {"iam:PassedToService": f"{passed_to}.amazonaws.com"}
        for role in pass_role.roles(params, path):
            call.require("iam:PassRole", role, context=context)
    return guard.as_service(known.run, call, key=key) or {}


def paginated(call: Call, items: Iterable[Any], *, size: int = DEFAULT_PAGE) -> dict[str, Any]:
    """One page of a list, under the names that botocore's paginator of the operation gives.

    Args:
        call: The request.
        items: The whole list, in an order that lasts.
        size: Items of a page, if the caller does not say.

    Raises:
        ServiceError: The token is not one that an earlier page carried.
    """
    names = _served[call.service].api.pages[call.operation]
    result, token, limit = names["result_key"], names["output_token"], names.get("limit_key", "")
    everything, given = list(items), call.params.get(names["input_token"])
    try:
        start = int(base64.urlsafe_b64decode(given)) if given else 0
    except ValueError as wrong:
        raise ServiceError("ValidationException", f"{names['input_token']} is not one that {call.operation} answered: {given}") from wrong
    end = start + int(call.params.get(limit) or size)
    more = {token: base64.urlsafe_b64encode(str(end).encode()).decode()} if end < len(everything) else {}
    return {result: everything[start:end], **more}


def in_background(function: Callable[..., None], *args: Any, name: str) -> threading.Thread:
    """Run *function* in a thread that belongs to the request's account and region."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(function, *args), name=name, daemon=True)
    thread.start()
    return thread


# ---- requests ----------------------------------------------------------------------------------------------------------


class _Api:
    """A botocore model and moto's router, parser and serialiser of it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._botocore = botocore.session.get_session().get_service_model(name)

    def lacks(self, operations: Iterable[str]) -> list[str]:
        known: Any = self._botocore.operation_names
        return sorted(set(operations).difference(known))

    @property
    def namespace(self) -> str:
        return str(self._botocore.signing_name)

    @property
    def protocol(self) -> str:
        return str(self._botocore.metadata["protocol"])

    def pattern(self, service: str) -> dict[str, Any]:
        prefix = self._botocore.metadata.get("targetPrefix")
        targets = {"target_prefixes": [f"{prefix}."]} if prefix else {}
        return {"host_patterns": [f"^{re.escape(service)}\\."], "credential_scope": service, **targets}

    @cached_property
    def pages(self) -> Mapping[str, Mapping[str, str]]:
        """Names of the members that lists are paged with, by operation."""
        loader = botocore.session.get_session().get_component("data_loader")
        return loader.load_service_model(self._name, "paginators-1")["pagination"]

    @cached_property
    def _errors(self) -> set[str]:
        shapes: Any = self._botocore.error_shapes
        return {name for shape in shapes for name in (shape.name, shape.metadata.get("error", {}).get("code"))}

    @cached_property
    def _moto(self) -> types.SimpleNamespace:
        from moto.core import parse, request, routing, serialize, utils

        return types.SimpleNamespace(parse=parse, request=request, routing=routing, serialize=serialize, utils=utils)

    @cached_property
    def _routes(self) -> Any:
        return self._moto.routing.get_service_router(self._name)

    def read(self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Operation and parameters of a request.

        Raises:
            UnreadableError: It is none of this service.
        """
        from werkzeug.exceptions import HTTPException

        address = f"https://{self._name}.amazonaws.com{urllib.parse.quote(path)}?{urllib.parse.urlencode(query, doseq=True)}"
        request = self._moto.request.Request.from_primitives(method, address, headers, body)
        model = self._moto.utils.get_service_model(self._name)
        try:
            operation, labels = self._routes.match(request)
            parser = _PARSERS[self._moto.request.determine_request_protocol(model, request.content_type)]
            params = getattr(self._moto.parse, parser)(operation).parse({
                "body": request.data, "headers": request.headers, "method": method, "url_path": path, "url_params": labels,
                "values": request.values,
            })  # fmt: skip
        except (HTTPException, NotImplementedError, KeyError) as error:
            raise _UnreadableError("UnknownOperationException", f"{method} {path} is no operation of {self._name}") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise _UnreadableError("SerializationException", f"the request cannot be read: {error}") from error
        # The parser makes an empty list of a list in the query string that nobody gave.
        return operation, {name: value for name, value in params.items() if value != [] or name.encode() in body}

    def input_of(self, operation: str) -> Any:
        """Shape of an operation's input, or None."""
        return self._botocore.operation_model(operation).input_shape

    def output_of(self, operation: str) -> Any:
        """Shape of an operation's output, or None."""
        return self._botocore.operation_model(operation).output_shape

    def faults(self, operation: str, params: Mapping[str, Any]) -> str:
        """What in *params* does not fit the operation's input, as AWS words it; empty if nothing."""
        shape = self.input_of(operation)
        if shape is None:
            return ""
        report = ParamValidator().validate(params, shape)
        found = [report.generate_report()] if report.has_errors() else list(_unmet(params, shape, ""))
        return f"{len(found)} validation error{'s' * (len(found) > 1)} detected: {'; '.join(found)}" if found else ""

    def write(self, operation: Any, result: Mapping[str, Any] | ServiceError) -> door.Response:
        """An answer or an error in the service's protocol; an error that its model does not name, as the front door writes errors."""
        if isinstance(result, ServiceError) and result.code not in self._errors:
            status = 403 if result.code.startswith("AccessDenied") else 500 if result.code.startswith("Internal") else 400
            words = {"error_code": result.code, "message": result.message}
            _, headers, body = _actions.access_denied_response(self._botocore.signing_name, "", "", str(uuid.uuid4()), headers={}, **words)
            return status, headers, body
        serialize = self._moto.serialize
        serializer = serialize.get_serializer_class(self._name, self.protocol)(operation, serialize.SerializationContext(str(uuid.uuid4())))
        written = serializer.serialize(result)
        content = written["body"]
        return written["status_code"], dict(written["headers"]), content if isinstance(content, bytes) else content.encode()


class _UnreadableError(ServiceError):
    """A request that is no operation of the service."""


_PARSERS = {
    "json": "JSONParser",
    "rest-json": "RestJSONParser",
    "query": "QueryParser",
    "rest-xml": "RestXMLParser",
    "ec2": "EC2QueryParser",
}


def _handler(service: ModelledService, *, otherwise: door.Handler | None) -> door.Handler:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> door.Response:
        try:
            operation, params = service.api.read(method, path, headers, body, query)
        except _UnreadableError as error:
            if otherwise:
                return await otherwise(method, path, headers, body, query)
            return door.refusal(error.code, error.message)
        if operation.name not in service.operations and otherwise:
            return await otherwise(method, path, headers, body, query)
        call = _call(service, operation.name, params, key=_router.extract_access_key_id(headers, query))
        # An answer may wait (long polls), or call this server again: on a pool of threads those that wait would keep out those that they wait for.
        return await _concurrency.run_reentrant(_answer, service, operation, call, thread_name=service.name)

    return handle


def _answer(service: ModelledService, operation: Any, call: Call) -> door.Response:
    try:
        faults = service.api.faults(call.operation, call.params)
        if faults:
            raise ServiceError(service.invalid, faults)
        return service.api.write(operation, service.operations[call.operation].run(call) or {})
    except ServiceError as error:
        return service.api.write(operation, error)
    except Exception:  # whatever a room forgot must reach the caller as an error, not end the connection
        log.exception("%s.%s", service.name, call.operation)
        return service.api.write(
            operation, ServiceError("InternalServerException", f"{call.operation} failed; the platform's log says why")
        )


def _named(  # noqa: PLR0917 - MiniStack's order
    service: ModelledService, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], *, is_shared: bool
) -> actions.Named:
    """Action and resource of a request, by the same reading that will serve it.

    MiniStack's own naming believes an `Action` in the query string before it looks at the path.
    """
    unnamed = actions.Named() if is_shared else actions.Named(action=f"{service.namespace}:{actions.UNNAMED}", resource="*")
    try:
        operation, params = service.api.read(method, path, headers, body, query)
    except _UnreadableError:
        return unnamed
    known = service.operations.get(operation.name)
    if known is None:
        return unnamed if is_shared else actions.Named(action=f"{service.namespace}:{operation.name}", resource="*")
    try:
        resource = known.on(_call(service, operation.name, params, key=_router.extract_access_key_id(headers, query)))
    except KeyError:
        resource = "*"  # validation will refuse it; until then only whoever may touch everything gets that far
    return actions.Named(action=f"{service.namespace}:{operation.name}", resource=resource)


def _call(service: ModelledService, operation: str, params: dict[str, Any], *, key: str) -> Call:
    denial = "AccessDenied" if service.api.protocol in {"query", "ec2", "rest-xml"} else "AccessDeniedException"
    return Call(
        service=service.name, operation=operation, params=params, key=key, account=_responses.get_account_id(),
        region=_responses.get_region(), denial=denial,
    )  # fmt: skip


def _unmet(value: Any, shape: Any, path: str) -> Iterable[str]:
    """Constraints of the model that botocore leaves to AWS: allowed values, patterns, greatest lengths and numbers."""
    parts: list[tuple[Any, Any, str]] = []
    if shape.type_name == "structure":
        parts = [(value[name], member, f"{path}.{name}" if path else name) for name, member in shape.members.items() if name in value]
    elif shape.type_name == "list":
        parts = [(item, shape.member, f"{path}.{position}.member") for position, item in enumerate(value, start=1)]
    elif shape.type_name == "map":
        parts = [part for name, item in value.items() for part in ((name, shape.key, path), (item, shape.value, f"{path}.{name}.member"))]
    for part in parts:
        yield from _unmet(*part)
    rules, size = shape.metadata, value if isinstance(value, int | float) else len(value) if hasattr(value, "__len__") else 0
    told = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must"
    if rules.get("enum") and value not in rules["enum"]:
        yield f"{told} satisfy enum value set: [{', '.join(rules['enum'])}]"
    if rules.get("pattern") and isinstance(value, str) and not _fits(rules["pattern"], value):
        yield f"{told} satisfy regular expression pattern: {rules['pattern']}"
    if size > rules.get("max", size):
        yield f"{told} have {'value' if isinstance(value, int | float) else 'length'} less than or equal to {rules['max']}"


@cache
def _pattern(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:  # Java's dialect: the model's other rules still hold
        return None


def _fits(pattern: str, value: str) -> bool:
    found = _pattern(pattern)
    return found is None or found.fullmatch(value) is not None


def _keep(service: ModelledService) -> None:
    """Let MiniStack save and load the service's stores as it does its own."""
    name = f"lake_{service.name.replace('-', '_')}"
    module = types.ModuleType(f"ministack.services.{name}")

    def load(data: Mapping[str, Any] | None) -> None:
        for part, kept in (data or {}).items():
            if part in service.state:
                service.state[part].update(kept)
        service.restored()

    module.__dict__.update(
        get_state=lambda: dict(service.state), load_persisted_state=load, reset=lambda: [s.clear() for s in service.state.values()]
    )
    sys.modules[module.__name__] = module
    _app._loaded_modules[name] = module
    _app._state_map[name] = name
