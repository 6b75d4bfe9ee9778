"""The shape of a contract: fields that exist and that this platform accepts, values of the right form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft201909Validator
from jsonschema.exceptions import ValidationError

from lakehouse.contracts.compiler import fields
from lakehouse.contracts.compiler.documents import Document, Place, dotted, nearest
from lakehouse.contracts.compiler.extensions import check_extensions
from lakehouse.errors import Fault

API_VERSIONS = ("v3.2.0", "v3.1.0")
"""Versions of ODCS that are read."""

SCHEMA_FILE = Path(__file__).parent / "odcs" / "odcs-json-schema-v3.2.0.json"
"""The vendored JSON schema; PROVENANCE.md beside it says where it is from."""

SCHEMA_SHA256 = "4b530540c9182db45ad879867d9c83a92feefc7c2d911b4b56338b0328070d7c"
"""Hash of the vendored schema: upstream calls the file rolling."""

UNKNOWN = "there is no field"
"""How the fault of an unknown field begins."""

_SINGLE = frozenset({"description", "team", "price", "item", "map"})
"""Kinds of nodes that stand alone; the others stand in lists. The schema tells of a value of the other form."""

_UNEVALUATED = ("unevaluatedProperties", "additionalProperties")
_TYPES: Mapping[str, str] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


def check_fields(document: Document, faults: list[Fault]) -> None:
    """Check every field of a contract against our tables: whether it exists and whether the platform accepts it."""
    version = document.value.get("apiVersion")
    if isinstance(version, str) and version not in API_VERSIONS:
        faults.append(document.fault(("apiVersion",), f"{version!r} is not read", f"write apiVersion: {API_VERSIONS[0]}"))
    _Walker(document=document, faults=faults).node(document.value, "contract", ())


def check_values(document: Document, faults: list[Fault], *, has_unknown_fields: bool) -> None:
    """Check every value of a contract against ODCS's own schema; what is already a fault is not repeated.

    Args:
        document: The contract.
        faults: Faults found so far; receives more.
        has_unknown_fields: Whether some field is unknown or refused; the schema would complain of its neighbours too.
    """
    errors = [leaf for error in odcs_validator().iter_errors(document.value) for leaf in _leaves(error)]
    plain = [error for error in errors if error.validator not in _UNEVALUATED]
    # A wrong value makes every field beside it "unevaluated", so these errors say something only when they stand alone.
    shown = plain if plain or has_unknown_fields else errors
    known = {fault.place for fault in faults if fault.file == document.file}
    typos = {place[:-1] for place in document.lines if dotted(place) in known and _is_typo(place, document, faults)}
    for error in shown:
        place: Place = tuple(error.absolute_path)
        if error.validator == "required":
            # A mistyped field is told as such, and a map without its parts by the profile.
            if error.validator_value == ["map"] or place in typos:
                continue
        elif dotted(place) in known:
            continue
        problem, fix = _explained(error)
        fault = document.fault(place, problem, fix)
        if fault not in faults:
            faults.append(fault)


@cache
def odcs_validator() -> Any:
    """Validator of the vendored schema with the correction of its known bug.

    The shipped `if` of `map` and `vector` holds for a property without a logicalType, which then must have a map block
    (bitol-io/open-data-contract-standard#322, corrected upstream after the package was made).
    """
    data = SCHEMA_FILE.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SCHEMA_SHA256:
        raise RuntimeError(f"{SCHEMA_FILE.name} has the hash {found}, expected {SCHEMA_SHA256}: restore the file from version control")
    schema = json.loads(data)
    for branch in schema["$defs"]["SchemaBaseProperty"]["allOf"]:
        condition = branch.get("if", {})
        if condition.get("properties", {}).get("logicalType", {}).get("const") in ("map", "vector"):
            condition["required"] = ["logicalType"]
    return Draft201909Validator(schema)


class _Walker:
    """Walks a contract by the tables of fields."""

    def __init__(self, *, document: Document, faults: list[Fault]) -> None:
        self.document = document
        self.faults = faults

    def node(self, value: Any, kind: str, place: Place) -> None:
        """Check the fields of one node and of all nodes below it."""
        if not isinstance(value, dict):
            return
        table = self._table(kind, value)
        if table is None:
            return
        check_extensions(value, kind, place=place, document=self.document, faults=self.faults)
        for key, item in value.items():
            here = (*place, key)
            field = table.get(key)
            if field is None:
                self.faults.append(
                    self.document.fault(
                        here, f"{UNKNOWN} {key!r} here", nearest(key, [k for k, f in table.items() if f.disposition != "refused"])
                    )
                )
            elif field.disposition == "refused":
                self.faults.append(self.document.fault(here, f"{key} is refused: {field.note}", field.fix))
            elif field.inside == "options":
                word = value.get("logicalType")
                self._options(item, str(word), here, nested=kind in ("nested", "item"))
            elif field.inside is not None:
                self._inside(item, field.inside, here)

    def _inside(self, item: Any, kind: str, place: Place) -> None:
        if isinstance(item, list) == (kind in _SINGLE):
            return
        if isinstance(item, list):
            for index, entry in enumerate(item):
                self.node(entry, kind, (*place, index))
        else:
            self.node(item, kind, place)

    def _options(self, value: Any, logical: str, place: Place, *, nested: bool) -> None:
        table = fields.NODES.get(f"options.{logical}")
        if not isinstance(value, dict) or table is None:
            return
        self.node(value, f"options.{logical}", place)
        if nested:
            for key in value:
                if key in table and table[key].disposition == "applied" and key not in fields.NESTED_OPTIONS:
                    self.faults.append(
                        self.document.fault(
                            (*place, key),
                            f"{key} cannot be applied to a nested field yet",
                            "write a rowCondition in the quality of the table",
                        )
                    )

    def _table(self, kind: str, value: Mapping[str, Any]) -> Mapping[str, fields.Field] | None:
        if kind != "server":
            return fields.NODES[kind]
        special = fields.NODES.get(f"server.{value.get('type')}")
        return None if special is None else {**fields.NODES["server"], **special}


def _is_typo(place: Place, document: Document, faults: list[Fault]) -> bool:
    return any(
        fault.place == dotted(place) and fault.problem.startswith(UNKNOWN) and "did you mean" in fault.fix
        for fault in faults
        if fault.file == document.file
    )


def _leaves(error: ValidationError) -> Iterable[ValidationError]:
    """The errors that say what is wrong: those inside a reference or `allOf`, not the frame around them."""
    inner = list(error.context or ())
    if error.validator in ("oneOf", "anyOf"):
        # Of several forms, the one that is meant is the only one whose outermost type fits.
        branches: dict[Any, list[ValidationError]] = {}
        for item in inner:
            branches.setdefault(item.schema_path[0], []).append(item)
        fitting = [
            items
            for items in branches.values()
            if not any(item.validator == "type" and item.absolute_path == error.absolute_path for item in items)
        ]
        inner = fitting[0] if len(fitting) == 1 else []
    if not inner:
        yield error
    for item in inner:
        yield from _leaves(item)


def _explained(error: ValidationError) -> tuple[str, str]:
    given: Any = error.instance
    rule: Any = error.validator_value
    if error.validator == "type":
        allowed = [rule] if isinstance(rule, str) else list(rule)
        words = " or ".join(_TYPES.get(word, word) for word in allowed)
        quote = f'quote it: "{given}"' if "string" in allowed and isinstance(given, int | float | bool) else f"write {words}"
        return f"{_shown(given)} is not {words}", quote
    if error.validator == "enum":
        return f"{_shown(given)} is not allowed", nearest(str(given), [str(word) for word in rule])
    if error.validator == "required":
        missing = [key for key in rule if key not in given]
        return f"{', '.join(missing)} is missing", f"add {', '.join(missing)}"
    if error.validator == "pattern":
        return f"{_shown(given)} has the wrong form", f"it has to match {rule}"
    if error.validator in _UNEVALUATED:
        return error.message, "remove what ODCS does not have here"
    if error.validator in ("oneOf", "anyOf"):
        if error.validator == "oneOf" and isinstance(given, dict) and any(str(key).startswith("must") for key in given):
            operators = [key for key in given if str(key).startswith("must")]
            return f"has {len(operators)} operators: {', '.join(operators)}", "keep exactly one; write a second rule for the other"
        if error.validator == "oneOf" and isinstance(given, dict) and "metric" in given:
            return "has no operator", "add one, such as mustBe: 0"
        return f"{_shown(given)} has none of the forms that ODCS allows here", "see the field in docs/contracts.md"
    return error.message, "correct the value"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
