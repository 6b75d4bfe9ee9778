"""Columns of a contract and the row rules that follow from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from lakehouse.contracts.compiler import types
from lakehouse.contracts.compiler.documents import Document, Place, nearest
from lakehouse.contracts.compiler.extensions import extension
from lakehouse.contracts.compiler.nodes import FieldNode, ListNode, MapNode, StructNode, TypeNode, kind
from lakehouse.contracts.model import Rule
from lakehouse.contracts.tables import PLATFORM_COLUMNS
from lakehouse.errors import Fault

CLASSIFICATIONS = ("public", "internal", "confidential", "restricted")
"""Ranks of classification, the least sensitive first."""

PARTITION_TRANSFORM = re.compile(r"identity|year|month|day|hour|(bucket|truncate)\[([1-9][0-9]{0,5})\]")

_PII = re.compile(r"pii:([a-z][a-z0-9_]*)")
_TEMPORAL = {
    "date": ("identity", "year", "month", "day"),
    "timestamp": ("year", "month", "day", "hour"),
    "timestamptz": ("year", "month", "day", "hour"),
}
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SPARK_LETTERS = "GyMLdEaHhKkmsSVzOXxZ"
_QUOTED_TEXT = re.compile(r"'[^']*'")
_LOOKS_TEMPORAL = re.compile(r"\d{4}-\d{2}-\d{2}.*|\d{1,2}:\d{2}(:\d{2})?")


@dataclass(frozen=True, kw_only=True)
class AuthoredColumn:
    """A column before the lock file numbers it.

    Attributes:
        field: Id, name, type and whether it is required.
        place: Where it stands in the contract.
        sources: Raw columns that feed it.
        logic: Spark SQL over the raw columns, or None.
        format: Pattern of dates and timestamps, or None.
        classification: Rank of sensitivity; a nested column has the highest of its leaves.
        pii: Kind of personal data, or None.
        description: Sentence for people.
        deprecated: Whether it is announced to go.
        key_position: Place in the primary key, or None.
        partition_position: Place in the partition spec, or None.
        transform: Partition transform.
        rules: Row and table rules that follow from type, options, enum, required and unique.
        references: Columns of other datasets that it refers to, as authored, with their places.
    """

    field: FieldNode
    place: Place
    sources: tuple[str, ...]
    logic: str | None
    format: str | None
    classification: str
    pii: str | None
    description: str
    deprecated: bool
    key_position: int | None
    partition_position: int | None
    transform: str
    rules: tuple[Rule, ...]
    references: tuple[tuple[str, str, Place], ...]

    @property
    def name(self) -> str:
        """Name in the table."""
        return self.field.name

    @property
    def type(self) -> TypeNode:
        """Type in the table."""
        return self.field.type


def parse_column(
    node: Mapping[str, Any], *, place: Place, document: Document, has_source: bool | None, faults: list[Fault]
) -> AuthoredColumn | None:
    """Read one property of the contract.

    Args:
        node: The ODCS property.
        place: Where it stands.
        document: The contract.
        has_source: Whether files feed the dataset; if not, a transform does. None if the contract does not say it.
        faults: Receives what is wrong.

    Returns:
        The column, or None if its name, id or type is missing or wrong.
    """

    def fault(key: str, problem: str, fix: str) -> None:
        faults.append(document.fault((*place, key) if key else place, problem, fix))

    name, id_ = node.get("name"), node.get("id")
    if isinstance(name, str) and name in PLATFORM_COLUMNS:
        fault("name", f"{name!r} is a column that the platform adds", "choose another name")
    else:
        types.check_name(name, place, document, faults)
    if id_ is None:
        fault("", "has no id", f"add id: {name}; it stays when the column is renamed")
    type_ = types.parse_type(node, place=place, document=document, faults=faults)
    is_key = node.get("primaryKey") is True
    required = node.get("required") is True
    if is_key and not required:
        fault("primaryKey", "is part of the primary key but not required", "add required: true")
    if is_key and type_ is not None and kind(type_) in ("struct", "list", "map", "float", "double", "binary"):
        fault("primaryKey", f"a {kind(type_)} cannot be part of a key", "use an integer, string, decimal, boolean, date or timestamp")
    classification = _classification(node, place, document, faults)
    sources, logic = _sources(node, place, document, has_source=has_source, faults=faults)
    raw_options = node.get("logicalTypeOptions")
    options: dict[str, Any] = raw_options if isinstance(raw_options, dict) else {}
    if not isinstance(name, str) or not isinstance(id_, str) or type_ is None:
        return None
    if type_ in ("date", "timestamp", "timestamptz") and isinstance(options.get("format"), str):
        check_format(options["format"], str(type_), (*place, "logicalTypeOptions", "format"), document, faults)
    transform = _transform(node, type_, place, document, faults)
    raw_format = options.get("format")
    pii = [found[1] for tag in _texts(node.get("tags")) if (found := _PII.fullmatch(tag))]
    raw_relationships = node.get("relationships")
    relationships: list[Any] = raw_relationships if isinstance(raw_relationships, list) else []
    return AuthoredColumn(
        field=FieldNode(id=id_, name=name, required=required or is_key, type=type_),
        place=place,
        sources=sources,
        logic=logic,
        format=raw_format if isinstance(raw_format, str) and type_ in ("date", "timestamp", "timestamptz") else None,
        classification=classification,
        pii=pii[0] if pii else None,
        description=str(node.get("description") or ""),
        deprecated=node.get("deprecated") is True,
        key_position=_position(node, "primaryKey", place, document, faults),
        partition_position=_position(node, "partitioned", place, document, faults),
        transform=transform,
        rules=tuple(_rules(node, id_, name, type_, options, required=required or is_key, place=place, document=document, faults=faults)),
        references=tuple(
            (str(item.get("id") or f"{id_}.relationship{index + 1 if index else ''}"), item["to"], (*place, "relationships", index, "to"))
            for index, item in enumerate(relationships)
            if isinstance(item, dict) and isinstance(item.get("to"), str)
        ),
    )


def _classification(node: Mapping[str, Any], place: Place, document: Document, faults: list[Fault], *, top: bool = True) -> str:
    own = node.get("classification")
    rank = 0
    if own is None:
        if top:
            faults.append(document.fault(place, "has no classification", f"add classification, one of {', '.join(CLASSIFICATIONS)}"))
    elif own not in CLASSIFICATIONS:
        faults.append(document.fault((*place, "classification"), f"{own!r} is not a classification", nearest(str(own), CLASSIFICATIONS)))
    else:
        rank = CLASSIFICATIONS.index(own)
        if own == "restricted":
            faults.append(
                document.fault(
                    (*place, "classification"),
                    "restricted needs masking, which cannot be applied yet",
                    "leave the column out, reduce it by transformLogic (a hash or a part of it), or classify it confidential if that is what it is",
                )
            )
    nested: list[tuple[Any, Place]] = []
    properties = node.get("properties")
    if isinstance(properties, list):
        nested += [(item, (*place, "properties", index)) for index, item in enumerate(properties)]
    entry = node.get("map")
    nested += [(node.get("items"), (*place, "items"))]
    if isinstance(entry, dict):
        nested += [(entry.get(key), (*place, "map", key)) for key in ("key", "value")]
    for item, where in nested:
        if isinstance(item, dict):
            rank = max(rank, CLASSIFICATIONS.index(_classification(item, where, document, faults, top=False)))
    return CLASSIFICATIONS[rank]


def _sources(
    node: Mapping[str, Any], place: Place, document: Document, *, has_source: bool | None, faults: list[Fault]
) -> tuple[tuple[str, ...], str | None]:
    raw = node.get("transformSourceObjects")
    logic = node.get("transformLogic")
    sources: list[str] = []
    if has_source is None:
        return (), None
    if not has_source:
        fix = "remove it: the transform of the publish step fills the column"
        faults += [
            document.fault((*place, key), "is set, but no raw server feeds this dataset", fix)
            for key in ("transformSourceObjects", "transformLogic")
            if node.get(key) is not None
        ]
        return (), None
    for index, item in enumerate(raw if isinstance(raw, list) else []):
        if not isinstance(item, str):
            continue
        zone, _, column = item.partition(".")
        here = (*place, "transformSourceObjects", index)
        if zone != "raw" or not types.NAME.fullmatch(column):
            faults.append(
                document.fault(
                    here, f"{item!r} does not name a raw column", "write raw.<column>, in lower-case letters, digits and underscores"
                )
            )
        else:
            sources.append(column)
    if not raw:
        faults.append(
            document.fault(place, "does not say which raw column feeds it", f"add transformSourceObjects: [raw.{node.get('name')}]")
        )
    elif logic is None and len(sources) > 1:
        faults.append(
            document.fault(
                (*place, "transformSourceObjects"), "has several raw columns but no transformLogic", "add transformLogic that combines them"
            )
        )
    return tuple(sources), logic if isinstance(logic, str) else None


def _transform(node: Mapping[str, Any], type_: TypeNode, place: Place, document: Document, faults: list[Fault]) -> str:
    authored = extension(node, "partitionTransform", str)
    if node.get("partitioned") is not True:
        if authored is not None:
            faults.append(
                document.fault(
                    (*place, "customProperties"),
                    "has a partitionTransform but is not partitioned",
                    "add partitioned: true and partitionKeyPosition",
                )
            )
        return "identity"
    transform = "identity" if authored is None else str(authored)
    word = kind(type_)
    found = PARTITION_TRANSFORM.fullmatch(transform)
    where = (*place, "customProperties") if authored is not None else (*place, "partitioned")
    if found is None:
        faults.append(
            document.fault(
                where, f"{transform!r} is not a partition transform", "use identity, year, month, day, hour, bucket[n] or truncate[n]"
            )
        )
    elif word in ("struct", "list", "map", "float", "double") or (word in ("timestamp", "timestamptz") and transform == "identity"):
        faults.append(
            document.fault(
                where,
                f"a {word} cannot be partitioned by {transform}",
                "partition by a date, a timestamp (year to hour), an integer, a string or a decimal",
            )
        )
    elif transform in ("year", "month", "day", "hour") and transform not in _TEMPORAL.get(word, ()):
        faults.append(
            document.fault(
                where,
                f"{transform} does not fit a {word}",
                f"use one of {', '.join(_TEMPORAL.get(word, ('identity', 'bucket[n]', 'truncate[n]')))}",
            )
        )
    elif found[1] == "truncate" and not (word in ("int", "long", "string", "binary") or word.startswith("decimal")):
        faults.append(document.fault(where, f"truncate does not fit a {word}", "use another transform"))
    elif found[1] == "bucket" and word == "boolean":
        faults.append(document.fault(where, "bucket does not fit a boolean", "use identity"))
    return transform


def _position(node: Mapping[str, Any], flag: str, place: Place, document: Document, faults: list[Fault]) -> int | None:
    key = {"primaryKey": "primaryKeyPosition", "partitioned": "partitionKeyPosition"}[flag]
    position = node.get(key)
    if node.get(flag) is not True:
        if position is not None:
            faults.append(document.fault((*place, key), f"is set, but {flag} is not", f"add {flag}: true or remove it"))
        return None
    if position is None:
        faults.append(document.fault((*place, flag), f"has no {key}", f"add {key}, counted from 1"))
        return None
    return position if isinstance(position, int) else None


def _rules(
    node: Mapping[str, Any],
    id_: str,
    name: str,
    type_: TypeNode,
    options: Mapping[str, Any],
    *,
    required: bool,
    place: Place,
    document: Document,
    faults: list[Fault],
) -> list[Rule]:
    rules: list[Rule] = []
    here = (*place, "logicalTypeOptions")

    def row(kind_: str, code: str, dimension: str, **args: Any) -> None:
        rules.append(
            Rule(
                id=f"{id_}.{kind_}",
                level="row",
                kind=kind_,
                code=code,
                column=name,
                severity="error",
                action="quarantine",
                dimension=dimension,
                args=args,
            )
        )

    if required:
        row("not_null", "missing_value", "completeness")
    nested = _nested_conditions(f"`{name}`", type_)
    if nested:
        args = {"expression": f"`{name}` IS NULL OR ({' AND '.join(nested)})"}
        rules.append(
            Rule(
                id=f"{id_}.nested_not_null",
                level="row",
                kind="predicate",
                code="missing_value",
                column=name,
                severity="error",
                action="quarantine",
                dimension="completeness",
                args=args,
            )
        )
    enum = node.get("enum")
    if isinstance(enum, list) and enum:
        values = [item.get("value") for item in enum if isinstance(item, dict)]
        if check_values(values, type_, (*place, "enum"), document, faults):
            row("in_set", "not_in_set", "conformity", values=values)
    pattern = options.get("pattern")
    if isinstance(pattern, str) and check_pattern(pattern, (*here, "pattern"), document, faults):
        row("pattern", "pattern", "conformity", pattern=pattern)
    bounds = _bounds(options, type_, here, document, faults)
    if bounds:
        row("range", "out_of_range", "accuracy", **bounds)
    lengths = {
        word: options[key] for key, word in (("minLength", "min_length"), ("maxLength", "max_length")) if isinstance(options.get(key), int)
    }
    if lengths:
        if lengths.get("min_length", 0) > lengths.get("max_length", 10**9):
            faults.append(document.fault((*here, "minLength"), "is more than maxLength", "swap them"))
        row("length", "length", "conformity", **lengths)
    if node.get("unique") is True:
        unique: Literal["table"] = "table"
        rules.append(
            Rule(
                id=f"{id_}.unique",
                level=unique,
                kind="unique",
                code="",
                column=name,
                severity="error",
                action="halt",
                dimension="uniqueness",
                args={"columns": [name]},
            )
        )
    return rules


def _nested_conditions(value: str, type_: TypeNode, depth: int = 0) -> list[str]:
    """What holds for a value that is not NULL if no required field inside it is NULL."""
    if isinstance(type_, StructNode):
        return [condition for field in type_.fields for condition in _inner_conditions(f"{value}.`{field.name}`", field, depth)]
    if isinstance(type_, ListNode | MapNode):
        inner = type_.element if isinstance(type_, ListNode) else type_.value
        values = value if isinstance(type_, ListNode) else f"map_values({value})"
        conditions = _inner_conditions(f"x{depth}", inner, depth + 1)
        return [f"forall({values}, x{depth} -> {' AND '.join(conditions)})"] if conditions else []
    return []


def _inner_conditions(value: str, field: FieldNode, depth: int) -> list[str]:
    below = _nested_conditions(value, field.type, depth)
    if field.required:
        return [f"{value} IS NOT NULL", *below]
    return [f"({value} IS NULL OR ({' AND '.join(below)}))"] if below else []


def _bounds(options: Mapping[str, Any], type_: TypeNode, here: Place, document: Document, faults: list[Fault]) -> dict[str, Any]:
    words = {"minimum": "minimum", "maximum": "maximum", "exclusiveMinimum": "exclusive_minimum", "exclusiveMaximum": "exclusive_maximum"}
    bounds: dict[str, Any] = {}
    for key, word in words.items():
        value = options.get(key)
        if value is None:
            continue
        if type_ in ("date", "timestamp", "timestamptz"):
            if not _is_temporal(value, str(type_)):
                example = {"date": '"1992-01-01"', "timestamp": '"1992-01-01T00:00:00"', "timestamptz": '"1992-01-01T00:00:00Z"'}[
                    str(type_)
                ]
                faults.append(document.fault((*here, key), f"{value!r} is not a {type_}", f"write it as {example}, quoted"))
                continue
        elif isinstance(value, bool) or not isinstance(value, int | float):
            continue
        bounds[word] = value
    low = bounds.get("minimum", bounds.get("exclusive_minimum"))
    high = bounds.get("maximum", bounds.get("exclusive_maximum"))
    faults += [
        document.fault((*here, key), f"stands beside exclusive{key.capitalize()}", "keep one of them")
        for key in ("minimum", "maximum")
        if key in bounds and f"exclusive_{key}" in bounds
    ]
    if low is not None and high is not None and low > high:
        faults.append(document.fault(here, f"the minimum {low} is more than the maximum {high}", "swap them"))
    form = options.get("format")
    for word, bound in zip(("minimum", "maximum"), types.INTEGER_RANGES.get(str(form), (None, None)), strict=True):
        if bound is not None and word not in bounds and f"exclusive_{word}" not in bounds:
            bounds[word] = bound
    return bounds


def _is_temporal(value: Any, type_: str) -> bool:
    if not isinstance(value, str):
        return False
    try:
        if type_ == "date":
            return date.fromisoformat(value).isoformat() == value
        moment = datetime.fromisoformat(value)
    except ValueError:
        return False
    return "T" in value and (moment.tzinfo is not None) == (type_ == "timestamptz")


def check_values(values: list[Any], type_: TypeNode, place: Place, document: Document, faults: list[Fault]) -> bool:
    """Whether a list of allowed values fits the type of the column."""
    count = len(faults)
    word = kind(type_)
    is_number = word in ("int", "long", "float", "double") or word.startswith("decimal")
    if not is_number and word != "string":
        faults.append(
            document.fault(place, f"a list of allowed values does not fit a {word}", "use minimum and maximum, or a rowCondition")
        )
        return False
    for index, value in enumerate(values):
        here = (*place, index)
        if value is None:
            faults.append(document.fault(here, "null is in the list", "leave it out: NULL is judged by required alone"))
        elif is_number and (isinstance(value, bool) or not isinstance(value, int | float)):
            faults.append(document.fault(here, f"{value!r} is not a number, but the column is a {word}", "write a number"))
        elif not is_number and not isinstance(value, str):
            faults.append(document.fault(here, f"{value!r} is not text, but the column is a string", f'quote it: "{value}"'))
        elif isinstance(value, str) and _LOOKS_TEMPORAL.fullmatch(value):
            faults.append(
                document.fault(
                    here,
                    f"{value!r} looks like a date or a time, which Glue Data Quality cannot hold in a list",
                    "use a pattern or a rowCondition",
                )
            )
        elif isinstance(value, str) and ('"' in value or value.endswith("\\") or not value.isprintable()):
            faults.append(document.fault(here, f"{value!r} holds a quote, a line break or ends in a backslash", "use a rowCondition"))
    if len({repr(value) for value in values}) != len(values):
        faults.append(document.fault(place, "lists a value twice", "keep it once"))
    return len(faults) == count


def check_pattern(pattern: str, place: Place, document: Document, faults: list[Fault]) -> bool:
    """Whether a pattern means the same in Spark, in Glue Data Quality and to its reader."""
    count = len(faults)
    if not (pattern.startswith("^") and pattern.endswith("$")) or pattern.endswith("\\$"):
        faults.append(
            document.fault(
                place,
                f"{pattern!r} is not anchored",
                f"write '^{pattern.removeprefix('^').removesuffix('$')}$': it has to match the whole value",
            )
        )
    elif _has_outer_alternative(pattern[1:-1]):
        faults.append(
            document.fault(
                place,
                f"{pattern!r} has an alternative outside parentheses, so the anchors belong to its ends only",
                f"write '^({pattern[1:-1]})$'",
            )
        )
    if '"' in pattern or pattern.endswith("\\") or "\n" in pattern:
        faults.append(
            document.fault(place, "holds a double quote, a line break or ends in a backslash", 'write \\x22 for ", \\n for a line break')
        )
    try:
        re.compile(pattern)
    except re.error as error:
        faults.append(document.fault(place, f"is not a regular expression: {error}", "correct it"))
    return len(faults) == count


def check_format(pattern: str, type_: str, place: Place, document: Document, faults: list[Fault]) -> None:
    """Whether a pattern of dates or timestamps says what its writer means, in the letters that Spark reads."""
    letters = set(_QUOTED_TEXT.sub("", pattern)) & set(_LETTERS)
    example = {"date": "yyyy-MM-dd", "timestamp": "yyyy-MM-dd HH:mm:ss", "timestamptz": "yyyy-MM-dd'T'HH:mm:ssXXX"}[type_]
    confused = {
        "Y": "the year of a week; yyyy is the year",
        "D": "the day of the year; dd is the day of the month",
        "h": "the hour of a half day; HH is the hour",
    }
    problem = ""
    if letters - set(_SPARK_LETTERS):
        problem = f"has {', '.join(sorted(letters - set(_SPARK_LETTERS)))}, which Spark does not read"
    for letter, meaning in confused.items():
        if letter in letters and not (letter == "h" and "a" in letters):
            problem = f"has {letter}, {meaning}"
    if not problem and type_ == "date" and letters & set("Hhms"):
        problem = "has a time of day (mm is minutes, MM is months)"
    missing = [
        letter
        for letter in ("y", "M", "d", *(() if type_ == "date" else ("H",)))
        if letter not in letters and not (letter == "H" and "h" in letters)
    ]
    if not problem and missing:
        problem = f"lacks {', '.join(missing)}"
    if not problem and type_ == "timestamp" and letters & set("VzOXxZ"):
        problem = "has a time zone, but the column has none (timezone: false)"
    if problem:
        faults.append(document.fault(place, f"{pattern!r} {problem}", f"write a pattern such as {example}"))


def _has_outer_alternative(pattern: str) -> bool:
    depth, index, in_class = 0, 0, False
    while index < len(pattern):
        char = pattern[index]
        if char == "\\":
            index += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "|" and depth == 0:
            return True
        index += 1
    return False


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
