"""Resource types driven by the schemas that cfn-lint ships and by the service's own API: a room adds one in a few lines.

```python
modelled.add(
    ModelledType(
        resource_type="AWS::Athena::NamedQuery", service="athena",
        create="CreateNamedQuery", read="GetNamedQuery", delete="DeleteNamedQuery",
        record=lambda answer: answer["NamedQuery"],
    )
)
```

in a `register()` of the adapter (local/aws/cloudformation/athena_types.py is this one, network_types.py has less simple ones), and
`supported.allow` for operations that nobody has allowed yet.
Everything else follows:

- properties are held to the schema, and the stack's deletion, replacement and rollback are CloudFormation's own;
- each API call is made over the front door as the stack's caller or role, so IAM is asked call by call, with the caller's own
  resources; nothing has to be written into `rights`;
- `Ref` is the schema's primary identifier, `Fn::GetAtt` its read-only properties, both from what the create call answered and what
  the read call says;
- a changed create-only property, nested ones too, replaces the resource; another change is one call of `update`, and a change that
  `update` cannot carry fails the resource;
- `add` refuses a type of which a property would be lost on the way to the API: name it in `left_out`, and templates that use it are
  refused by name, or carry it by `members` or `request`.

What the keyword arguments say is only what the schema and the model do not. A type whose service is not here needs the service first
(local/aws/modelled_service.py).
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import ClientError, ParamValidationError

from local.aws import seam, supported
from local.aws.cloudformation import acting, api, rights, schemas

Properties = dict[str, Any]
Answer = dict[str, Any]

Tagger = Callable[[Any, str, dict[str, str], list[str]], None]
"""Changes the tags of a resource: (client, physical id, tags to set, keys to remove)."""

_MISSING = ("NotFound", "NoSuch", "DoesNotExist", "EntityNotFound", "ResourceNotFound")
_DENIED = ("AccessDenied", "UnauthorizedOperation", "NotAuthorized")
_TAKEN = ("AlreadyExists", "Duplicate", "Conflict")

_provisioners = seam.module("services.cloudformation.provisioners")
_session = botocore.session.get_session()

TYPES: dict[str, ModelledType] = {}
"""Every modelled type by its name."""


class Unreachable(RuntimeError):
    """A property of a type has no way to the service's API, and nobody said so."""


def _same_request(operation: str, request: Properties) -> Properties:
    del operation
    return request


def _whole(answer: Answer) -> Any:
    return answer


@dataclass(frozen=True, kw_only=True)
class ModelledType:
    """One resource type.

    Attributes:
        resource_type: Name, such as `AWS::EC2::EIP`.
        service: boto3's name of the service.
        create: Operation that makes it.
        read: Operation that describes it.
        delete: Operation that removes it.
        update: Operation that changes it; empty if there is none.
        members: Property -> member of the API, where they are not called the same, letters' case aside.
        record: The one record in what `read` answers, None if there is none; the whole answer by default.
        identify: Physical id from (properties, what `create` answered); the schema's primary identifier by default.
        key: Members that name the resource to `read`, `update` and `delete`, from (physical id, properties); by default the primary identifier under
            the operation's own member names.
        request: Last touch to a request: (operation, request) -> request.
        carried: Properties, nested ones with dots, for which the API has no member, and that `request` puts where they belong.
        attributes: Attributes that the record does not hold under the schema's names: (physical id, record) -> name -> value.
        constants: Members that every `create` call carries.
        automatic_name: Property that CloudFormation makes up when the template leaves it out.
        longest_name: Longest such name.
        change: The whole request of `update`, from (physical id, properties before, properties after), where it is not the properties themselves.
        resets: Property -> value that `update` is given when a template takes the property away; others cannot be taken away.
        left_out: Property, nested ones with dots -> why it is refused here.
        tagger: How tags change; types whose service has TagResource need none (`tag_resource`).
        ready: Waits after a creation or change: (client, physical id).
        gone: Waits after a deletion: (client, physical id).
    """

    resource_type: str
    service: str
    create: str
    read: str
    delete: str
    update: str = ""
    members: Mapping[str, str] = field(default_factory=dict[str, str])
    record: Callable[[Answer], Any] = _whole
    identify: Callable[[Properties, Answer], str] | None = None
    key: Callable[[str, Properties], Properties] | None = None
    request: Callable[[str, Properties], Properties] = _same_request
    carried: frozenset[str] = frozenset()
    attributes: Callable[[str, Answer], Properties] | None = None
    constants: Mapping[str, Any] = field(default_factory=dict[str, Any])
    automatic_name: str = ""
    longest_name: int = 64
    change: Callable[[str, Properties, Properties], Properties] | None = None
    resets: Mapping[str, Any] = field(default_factory=dict[str, Any])
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    tagger: Tagger | None = None
    ready: Callable[[Any, str], None] | None = None
    gone: Callable[[Any, str], None] | None = None

    # ---- what the schema and the model say -------------------------------------------------------------------------

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Schema of the type."""
        found = schemas.schema(self.resource_type)
        if found is None:
            raise Unreachable(f"CloudFormation has no resource type {self.resource_type}")
        return found

    @cached_property
    def create_only(self) -> tuple[str, ...]:
        """Properties whose change replaces the resource, nested ones with slashes."""
        return _pointers(self.schema, "createOnlyProperties")

    @cached_property
    def read_only(self) -> tuple[str, ...]:
        """Properties that templates read and never set, nested ones with slashes."""
        return _pointers(self.schema, "readOnlyProperties")

    @cached_property
    def identifier(self) -> tuple[str, ...]:
        """Properties that make up the physical id."""
        return _pointers(self.schema, "primaryIdentifier")

    @cached_property
    def tag_property(self) -> str:
        """Property that holds the tags; empty if the type has none."""
        name = str((self.schema.get("tagging") or {}).get("tagProperty", "")).removeprefix("/properties/")
        return name if name in self.schema["properties"] else ""  # some schemas name one that they do not have

    def shape(self, operation: str) -> Any:
        """Input of an operation."""
        return _session.get_service_model(self.service).operation_model(operation).input_shape

    def unreachable(self) -> list[str]:
        """Properties that no member of the creating call takes, with dots between the levels."""
        shape, lost = self.shape(self.create), list[str]()
        for name, part in self.schema["properties"].items():
            if name in self.read_only or name in self.left_out or name in self.carried:
                continue
            member = _member(shape, self.members.get(name, name))
            if member is None:
                lost.append(name)
            elif name != self.tag_property:
                lost += _lost(part, self.schema, shape.members[member], f"{name}.", ())
        read_only = {pointer.replace("/*", "").replace("/", ".") for pointer in self.read_only}
        return [name for name in lost if name not in self.left_out and name not in self.carried and name not in read_only]

    # ---- what CloudFormation calls -------------------------------------------------------------------------------

    def create_resource(self, logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        """Handler of creations."""
        wanted = self._named(schemas.lenient(self.resource_type, properties), logical_id, stack)
        self._refuse_left_out(wanted)
        client = self._client()
        answer = self._call(client, self.create, {**self._request(self.create, wanted), **self.constants})
        physical_id = self.identify(wanted, answer) if self.identify else self._identifier(wanted, answer)
        try:
            if self.ready is not None:
                self.ready(client, physical_id)
            return physical_id, self._attributes(client, physical_id, wanted, answer)
        except ValueError:  # the half-made resource goes: the stack knows nothing of it, so its rollback would leave it
            with contextlib.suppress(ValueError):
                self.delete_resource(physical_id, wanted)
            raise

    def update_resource(
        self, physical_id: str, before: Properties, properties: Properties, stack: str, logical_id: str | None = None
    ) -> tuple[str, Properties]:
        """Handler of changes."""
        old, new = schemas.lenient(self.resource_type, before), schemas.lenient(self.resource_type, properties)
        self._refuse_left_out(new)
        if any(_at(old, pointer) != _at(new, pointer) for pointer in self.create_only if "/" in pointer):
            return _provisioners._replace_resource(self.resource_type, physical_id, before, properties, stack, logical_id)
        client = self._client()
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        if changed - {self.tag_property}:
            made = self.change(physical_id, old, new) if self.change else self._change(physical_id, new, changed - {self.tag_property})
            self._call(client, self.update, made)
            if self.ready is not None:
                self.ready(client, physical_id)
        if self.tag_property in changed:
            self._retag(client, physical_id, _tags(old.get(self.tag_property)), _tags(new.get(self.tag_property)))
        return physical_id, self._attributes(client, physical_id, new, {})

    def delete_resource(self, physical_id: str, properties: Properties) -> None:
        """Handler of deletions; what is gone already is gone."""
        client = self._client()
        try:
            self._call(
                client, self.delete, self._key(self.delete, physical_id, schemas.lenient(self.resource_type, properties)), missing_ok=True
            )
        except _Missing:
            return
        if self.gone is not None:
            self.gone(client, physical_id)

    # ---- requests ----------------------------------------------------------------------------------------------

    def _client(self) -> Any:
        return api.client(self.service)

    def _call(self, client: Any, operation: str, request: Properties, *, missing_ok: bool = False) -> Answer:
        """Call the API, with its errors in the words of CloudFormation's resource handlers.

        Raises:
            ValueError: The service refused.
            _Missing: There is no such resource, and the caller can live with that.
        """
        try:
            answer = getattr(client, xform_name(operation))(**request)
        except ClientError as error:
            code, status = error.response["Error"].get("Code", ""), error.response["ResponseMetadata"].get("HTTPStatusCode", 400)
            if missing_ok and any(word in code for word in _MISSING):
                raise _Missing from error
            service = self.resource_type.split("::")[1]
            told = f"{error.response['Error'].get('Message', code)} (Service: {service}, Status Code: {status}, Request ID: {uuid.uuid4()})"
            raise ValueError(handler_message(told, _handler_code(code))) from error
        except ParamValidationError as error:
            raise ValueError(handler_message(str(error), "InvalidRequest")) from error
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    def _request(self, operation: str, properties: Properties) -> Properties:
        """Properties as an operation's input, through `request`.

        Raises:
            ValueError: A property would be lost.
        """
        given = {name: value for name, value in properties.items() if name != self.tag_property}
        if self.tag_property and _tags(properties.get(self.tag_property)):
            given[self.tag_property] = [{"Key": key, "Value": value} for key, value in _tags(properties[self.tag_property]).items()]
        named = self.request(operation, {self.members.get(name, name): value for name, value in given.items()})
        lost: list[str] = []
        made = _to_api(named, self.shape(operation), lost, "")
        if lost:
            raise ValueError(
                f"{', '.join(lost)} of {self.resource_type} is not implemented on the laptop platform: {operation} has no such member"
            )
        return made

    def _change(self, physical_id: str, new: Properties, changed: set[str]) -> Properties:
        """The request of an update: every property that the operation knows, so that none falls back to a default.

        Raises:
            ValueError: A changed property is not among them, or one is taken away that has no way back.
        """
        shape = self.shape(self.update) if self.update else None
        known = {
            name: value
            for name, value in new.items()
            if name not in self.create_only and name != self.tag_property and shape and _member(shape, self.members.get(name, name))
        }
        known |= {name: self.resets[name] for name in changed - new.keys() if name in self.resets}
        stuck = sorted(changed - known.keys())
        if stuck:
            raise ValueError(
                f"{', '.join(stuck)} of {self.resource_type} cannot be changed or taken away on the laptop platform: "
                "give it the value that it has, or replace the resource under another logical id"
            )
        return {**self._request(self.update, known), **self._key(self.update, physical_id, new)}

    def _key(self, operation: str, physical_id: str, properties: Properties) -> Properties:
        """Members that name the resource, in a list where the operation takes several; those that it does not know are left away."""
        shape = self.shape(operation)
        if self.key is not None:
            given = self.key(physical_id, properties)
        else:
            parts = physical_id.split("|") if len(self.identifier) > 1 else [physical_id]
            given = {self.members.get(name, name): part for name, part in zip(self.identifier, parts, strict=True)}
        found = {_member(shape, name): value for name, value in given.items()}
        return {
            name: [value] if shape.members[name].type_name == "list" and not isinstance(value, list) else value
            for name, value in found.items()
            if name is not None
        }

    def _named(self, properties: Properties, logical_id: str, stack: str) -> Properties:
        if not self.automatic_name or properties.get(self.automatic_name):
            return properties
        return {**properties, self.automatic_name: _provisioners._physical_name(stack, logical_id, max_len=self.longest_name)}

    def _refuse_left_out(self, properties: Properties) -> None:
        """Refuse what would be lost.

        Raises:
            ValueError: A property is given that is left out here.
        """
        for name, reason in self.left_out.items():
            if any(True for _ in _values(properties, name.split("."))):
                raise ValueError(f"{name} of {self.resource_type} is not implemented on the laptop platform: {reason}")

    def _retag(self, client: Any, physical_id: str, old: dict[str, str], new: dict[str, str]) -> None:
        changed = {key: value for key, value in new.items() if old.get(key) != value}
        removed = sorted(old.keys() - new.keys())
        if not changed and not removed:
            return
        if self.tagger is None:
            raise ValueError(f"Tags of {self.resource_type} cannot be changed on the laptop platform")
        try:
            self.tagger(client, physical_id, changed, removed)
        except ClientError as error:
            code = error.response["Error"].get("Code", "")
            raise ValueError(handler_message(error.response["Error"].get("Message", code), _handler_code(code))) from error

    # ---- answers ------------------------------------------------------------------------------------------------

    def _identifier(self, properties: Properties, answer: Answer) -> str:
        parts: list[str] = []
        for name in self.identifier:
            found = _pick(answer, self.members.get(name, name))
            found = _pick(answer, name) if found is None else found
            parts.append(str(properties.get(name) if found is None else found))
        return "|".join(parts)

    def _attributes(self, client: Any, physical_id: str, properties: Properties, created: Answer) -> Properties:
        """What `Fn::GetAtt` gives.

        Raises:
            ValueError: The resource cannot be read.
        """
        read = self.record(self._call(client, self.read, self._key(self.read, physical_id, properties)))
        if read is None:
            raise ValueError(handler_message(f"{self.resource_type} {physical_id} was not found after it was made", "NotStabilized"))
        found: Properties = {}
        for pointer in dict.fromkeys((*self.read_only, *self.identifier)):
            first, *inner = pointer.split("/")
            if "*" in inner:
                continue
            value: Any = None
            for source, name in (
                (read, self.members.get(first, first)),
                (read, first),
                (created, self.members.get(first, first)),
                (properties, first),
            ):
                value = _pick(source, name) if value is None else value
            for step in inner:
                value = _pick(value, step)
            if value is not None:
                found[pointer.replace("/", ".")] = _plain(value)
        return found | (self.attributes(physical_id, read) if self.attributes else {})


def _plain(value: Any) -> Any:
    """A value as JSON: times of boto3 are text in stacks, which are kept as JSON."""
    match value:
        case datetime():
            return value.isoformat()
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case _:
            return value


def add(modelled: ModelledType) -> None:
    """Make a type known to CloudFormation.

    Raises:
        Unreachable: A property would be lost on the way to the API.
    """
    name = modelled.resource_type
    lost = modelled.unreachable()
    if lost:
        raise Unreachable(
            f"{name}: {modelled.create} has no member for {', '.join(lost)}. Name the member in `members`, carry the property in `request`, "
            "or say in `left_out` why templates that use it are refused."
        )
    TYPES[name] = modelled
    _provisioners._RESOURCE_HANDLERS[name] = {
        "create": modelled.create_resource,
        "update": modelled.update_resource,
        "update_with_logical_id": True,
        "delete": modelled.delete_resource,
    }
    _provisioners._REPLACING_PROPERTIES[name] = tuple(pointer for pointer in modelled.create_only if "/" not in pointer)
    if modelled.tag_property:
        kind = "list" if schemas.is_list(name, modelled.tag_property) else "map"
        _provisioners._STACK_TAG_PROPERTY.setdefault(name, (modelled.tag_property, kind))
    if modelled.automatic_name:
        _provisioners._CUSTOM_NAME_REPLACEMENT.setdefault(name, {"name": modelled.automatic_name})
    acting.run_on_worker_thread(name)
    rights.TYPES.setdefault(name, rights.Rights())  # the calls themselves are asked, at the door
    supported.allow_type(name)


def register() -> None:
    """Lean on what replaces resources; the types come with the adapters that own them."""
    seam.original("services.cloudformation.provisioners._replace_resource")


def tag_resource(arn: Callable[[Any, str], str]) -> Tagger:
    """The tagger of services with TagResource and UntagResource, whatever they call their members.

    Args:
        arn: ARN of a resource from (client, physical id).
    """

    def tag(client: Any, physical_id: str, changed: dict[str, str], removed: list[str]) -> None:
        where = arn(client, physical_id)
        for operation, value in (("UntagResource", removed), ("TagResource", changed)):
            if not value:
                continue
            shape = client.meta.service_model.operation_model(operation).input_shape
            resource, tags = sorted(shape.members, key=lambda name: "tag" in name.lower())[:2]
            as_list = operation == "TagResource" and shape.members[tags].type_name == "list"
            given = _tag_list(shape.members[tags].member, changed) if as_list else value
            getattr(client, xform_name(operation))(**{resource: where, tags: given})

    return tag


# ---- between templates and APIs --------------------------------------------------------------------------------------


class _Missing(Exception):
    """There is no such resource."""


def handler_message(message: str, code: str) -> str:
    """An error in the words of CloudFormation's resource handlers."""
    return f'Resource handler returned message: "{message}" (RequestToken: {uuid.uuid4()}, HandlerErrorCode: {code})'


def _handler_code(error_code: str) -> str:
    for words, code in ((_DENIED, "AccessDenied"), (_MISSING, "NotFound"), (_TAKEN, "AlreadyExists")):
        if any(word in error_code for word in words):
            return code
    return "InvalidRequest"


def _pointers(schema: Mapping[str, Any], section: str) -> tuple[str, ...]:
    return tuple(pointer.removeprefix("/properties/") for pointer in schema.get(section) or ())


def _member(shape: Any, name: str) -> str | None:
    """Member of a structure by a property's name: in any case, in the singular or the plural."""
    known = {member.lower(): member for member in shape.members} if shape is not None and shape.type_name == "structure" else {}
    low = name.lower()
    return known.get(low) or known.get(f"{low}s") or (known.get(low[:-1]) if low.endswith("s") else None)


def _to_api(value: Any, shape: Any, lost: list[str], path: str) -> Any:
    """A value of a template in the form of the API; names that the API does not know are added to *lost*."""
    match shape.type_name:
        case "structure" if isinstance(value, dict):
            made: Properties = {}
            for name, item in value.items():
                member = _member(shape, name)
                if member is None:
                    lost.append(f"{path}{name}")
                    continue
                inner = shape.members[member]
                made[member] = _to_api(
                    [item] if inner.type_name == "list" and not isinstance(item, list) else item, inner, lost, f"{path}{name}."
                )
            return made
        case "list" if isinstance(value, list):
            if value and _is_tag(value[0]) and shape.member.type_name == "structure":
                return _tag_list(shape.member, _tags(value))
            return [_to_api(item, shape.member, lost, path) for item in value]
        case "map" if isinstance(value, list) and all(_is_tag(item) for item in value):
            pairs = _tags(value) if shape.value.type_name == "string" else {str(pair["Key"]): pair.get("Value") for pair in value}
            return {key: _to_api(item, shape.value, lost, path) for key, item in pairs.items()}
        case "map" if isinstance(value, dict):
            return {key: _to_api(item, shape.value, lost, path) for key, item in value.items()}
        case "string":
            return text(value)
        case "integer" | "long":
            return int(str(value))
        case "float" | "double":
            return float(str(value))
        case "boolean":
            return str(value).lower() == "true"
        case _:
            return value


def text(value: Any) -> str:
    """A value as an API takes text: documents as JSON."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _lost(part: Mapping[str, Any], root: Mapping[str, Any], shape: Any, path: str, seen: tuple[int, ...]) -> list[str]:
    """Nested properties of a schema that have no member in a shape."""
    part = schemas.resolved(part, root)
    if id(part) in seen:
        return []
    seen = (*seen, id(part))
    match shape.type_name:
        case "structure":
            found: list[str] = []
            for name, inner in part.get("properties", {}).items():
                member = _member(shape, name)
                found += [f"{path}{name}"] if member is None else _lost(inner, root, shape.members[member], f"{path}{name}.", seen)
            return found
        case "list":
            items = part.get("items", part)
            return _lost(items, root, shape.member, path, seen) if isinstance(items, dict) else []
        case _:
            return []


def _is_tag(value: Any) -> bool:
    return isinstance(value, dict) and {name.lower() for name in value} <= {"key", "value"} and "key" in {name.lower() for name in value}


def _tags(value: Any) -> dict[str, str]:
    """Tags of either form as a mapping, without CloudFormation's own."""
    if isinstance(value, dict):
        return {str(key): str(item) for key, item in value.items() if not str(key).startswith("aws:")}
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in value or [] if not str(tag["Key"]).startswith("aws:")}


def _tag_list(shape: Any, tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as a list of the pairs that an API knows."""
    key, value = (next(name for name in shape.members if name.lower().endswith(word)) for word in ("key", "value"))
    return [{key: name, value: item} for name, item in tags.items()]


def _pick(record: Any, name: str) -> Any:
    """A value of a record by its name in any case."""
    if not isinstance(record, dict):
        return None
    return next((value for key, value in record.items() if str(key).lower() == name.lower()), None)


def _at(properties: Any, pointer: str) -> Any:
    for step in pointer.split("/"):
        properties = properties.get(step) if isinstance(properties, dict) else None
    return properties


def _values(value: Any, path: list[str]) -> Iterator[Any]:
    """What is given at a path, in every element of the lists on the way."""
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _values(value[path[0]], path[1:])
