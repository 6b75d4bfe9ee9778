"""Resource schemas of CloudFormation, which cfn-lint ships, and the validation of properties against them."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema import validators

_REGION = "us-east-1"
_SECTIONS = ("properties", "required", "definitions", "additionalProperties", "oneOf", "anyOf", "allOf", "dependentRequired")
_WORDS = {
    "string": "String", "object": "JSONObject", "array": "JSONArray", "integer": "Integer", "number": "Number", "boolean": "Boolean",
}  # fmt: skip
_FOUND = {bool: "Boolean", str: "String", int: "Integer", float: "Double", dict: "JSONObject", list: "JSONArray", type(None): "null"}


@cache
def schema(resource_type: str) -> dict[str, Any] | None:
    """Schema of a resource type, or None if CloudFormation has no such type."""
    name = _index().get(resource_type)
    return json.loads((_folder() / "resources" / f"{name}.json").read_text(encoding="utf-8")) if name else None


def handler_actions(resource_type: str, handler: str) -> frozenset[str]:
    """IAM actions that a type's handler (`create`, `update`, `delete`) may call."""
    found = (schema(resource_type) or {}).get("handlers", {}).get(handler, {})
    return frozenset(found.get("permissions", ()))


def create_only(resource_type: str) -> tuple[str, ...]:
    """Top-level properties whose change replaces the resource."""
    return tuple(name for name in _pointers(resource_type, "createOnlyProperties") if "/" not in name)


def problems(resource_type: str, properties: Mapping[str, Any]) -> list[str]:
    """What CloudFormation would object to in resolved properties, in its own words.

    Args:
        resource_type: Type, such as `AWS::SQS::Queue`; types without a schema have no problems.
        properties: Properties with every intrinsic function resolved.
    """
    root = schema(resource_type)
    if root is None:
        return []
    read_only = {name for name in _pointers(resource_type, "readOnlyProperties") if "/" not in name}
    found = [f"Encountered unsupported property {name}" for name in properties if name in read_only and name in root["properties"]]
    given = _lenient(dict(properties), root, root)
    validator = _Validator({section: root[section] for section in _SECTIONS if section in root})
    for error in validator.iter_errors(given):
        found += _sentences(error)
    return list(dict.fromkeys(found))


def lenient(resource_type: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Properties as CloudFormation reads them: `"5"` is a number where one is wanted, `true` a string where one is."""
    root = schema(resource_type) or {}
    return _lenient(dict(properties), root, root)


def is_list(resource_type: str, name: str) -> bool:
    """Whether a property holds a list."""
    root = schema(resource_type) or {}
    return resolved(root["properties"][name], root).get("type") == "array"


def resolved(part: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part of a schema, its reference followed."""
    while "$ref" in part:
        found: Any = root
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def _sentences(error: Any) -> list[str]:
    at = "#" + "".join(f"/{part}" for part in error.absolute_path)
    match error.validator:
        case "additionalProperties":
            known, patterns = error.schema.get("properties", {}), error.schema.get("patternProperties", {})
            unknown = [name for name in error.instance if name not in known and not any(_search(p, name) for p in patterns)]
            return [f"{at}: extraneous key [{name}] is not permitted" for name in unknown]
        case "required":
            return [f"{at}: required key [{name}] not found" for name in error.validator_value if name not in error.instance]
        case "type":
            wanted = error.validator_value if isinstance(error.validator_value, str) else error.validator_value[0]
            return [f"{at}: expected type: {_WORDS.get(wanted, wanted)}, found: {_FOUND.get(type(error.instance), 'Unknown')}"]
        case "enum":
            return [f"{at}: {error.instance} is not a valid enum value"]
        case "oneOf":
            return [f"{at}: #: 0 subschemas matched instead of one"]
        case "anyOf":
            return [f"{at}: no subschema matched out of the total {len(error.validator_value)} subschemas"]
        case _:
            return [f"{at}: failed validation constraint for keyword [{error.validator}]"]


def _lenient(value: Any, part: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    part = resolved(part, root)
    types = part.get("type", [])
    types = [types] if isinstance(types, str) else types
    if isinstance(value, dict):
        inner = next(iter(part.get("patternProperties", {}).values()), {})
        return {name: _lenient(item, part.get("properties", {}).get(name) or inner, root) for name, item in value.items()}
    if isinstance(value, list):
        items = part.get("items", {})
        return [_lenient(item, items, root) if isinstance(items, dict) else item for item in value]
    if "string" in types and isinstance(value, bool):
        return str(value).lower()
    if "string" in types and isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        if "boolean" in types and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        if "integer" in types and re.fullmatch(r"-?\d+", value):
            return int(value)
        if "number" in types and re.fullmatch(r"-?\d+(\.\d+)?", value):
            return float(value)
    return value


def _pointers(resource_type: str, section: str) -> list[str]:
    return [pointer.removeprefix("/properties/") for pointer in (schema(resource_type) or {}).get(section) or []]


@cache
def _folder() -> Path:
    spec = importlib.util.find_spec("cfnlint")
    if spec is None or spec.origin is None:
        raise RuntimeError("cfn-lint is not installed, and the laptop platform reads CloudFormation's schemas from it. Run `make setup`.")
    return Path(spec.origin).parent / "data" / "schemas"


@cache
def _index() -> dict[str, str]:
    return json.loads((_folder() / "providers" / f"{_REGION}.json").read_text(encoding="utf-8"))


def _search(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return True  # a pattern of another dialect holds nothing back


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[jsonschema.ValidationError]:
    if isinstance(instance, str) and not _search(pattern, instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _schema: Any) -> Iterator[jsonschema.ValidationError]:
    if isinstance(instance, dict):
        for pattern, part in patterns.items():
            for name, value in instance.items():
                if _search(pattern, name):
                    yield from validator.descend(value, part, path=name, schema_path=pattern)


def _additional(validator: Any, allowed: Any, instance: Any, part: Any) -> Iterator[jsonschema.ValidationError]:
    if not isinstance(instance, dict):
        return
    extra = [
        name
        for name in instance
        if name not in part.get("properties", {}) and not any(_search(p, name) for p in part.get("patternProperties", {}))
    ]
    if allowed is False and extra:
        yield jsonschema.ValidationError("extraneous keys")
    elif isinstance(allowed, dict):
        for name in extra:
            yield from validator.descend(instance[name], allowed, path=name)


_Validator: Any = validators.extend(
    jsonschema.Draft7Validator,
    {"pattern": _pattern, "patternProperties": _pattern_properties, "additionalProperties": _additional, "format": lambda *_: iter(())},
)
