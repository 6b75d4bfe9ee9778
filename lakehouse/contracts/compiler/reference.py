"""Tables of docs/contracts.md, written from the code that they describe."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.contracts.compiler.columns import CLASSIFICATIONS
from lakehouse.contracts.compiler.fields import NODES, Field
from lakehouse.contracts.compiler.quality import OPERATORS, ROW_ACTIONS, SEVERITIES, TABLE_ACTIONS
from lakehouse.contracts.compiler.types import FLOATS, INTEGERS
from lakehouse.contracts.tables import SILVER_PLATFORM_COLUMNS, TABLE_PROPERTIES

TITLES: Mapping[str, str] = {
    "contract": "The contract",
    "description": "`description`",
    "server": "`servers[]`",
    "server.glue": "`servers[]` of `type: glue`: the table",
    "server.s3": "`servers[]` of `type: s3`: the raw files",
    "server.postgresql": "`servers[]` of `type: postgresql`: the source table",
    "object": "`schema[]`: the table",
    "property": "`schema[].properties[]`: a column",
    "nested": "`properties[]` of an object: a nested field",
    "item": "`items`, `map.key` and `map.value`",
    "map": "`map`",
    "options.string": "`logicalTypeOptions` of a string",
    "options.date": "`logicalTypeOptions` of a date",
    "options.timestamp": "`logicalTypeOptions` of a timestamp",
    "options.integer": "`logicalTypeOptions` of an integer",
    "options.number": "`logicalTypeOptions` of a number",
    "options.object": "`logicalTypeOptions` of an object",
    "options.array": "`logicalTypeOptions` of an array",
    "enumValue": "`enum[]`",
    "relationship": "`relationships[]`",
    "quality": "`quality[]`",
    "customProperty": "`customProperties[]`",
    "sla": "`slaProperties[]`",
    "team": "`team`",
    "member": "`team.members[]`",
    "role": "`roles[]`",
    "support": "`support[]`",
    "price": "`price`",
    "synonym": "`synonyms[]`",
    "authoritativeDefinition": "`authoritativeDefinitions[]`",
}
"""Heading of each kind of node."""


def sections() -> dict[str, str]:
    """Generated parts of the page by name."""
    return {
        "fields": fields_reference(),
        "types": types_reference(),
        "actions": actions_reference(),
        "platform": platform_reference(),
        "properties": properties_reference(),
    }


def fields_reference() -> str:
    """What the platform does with every field of ODCS."""
    parts: list[str] = []
    for kind, title in TITLES.items():
        table = NODES[kind]
        lines = [f"### {title}", ""]
        applied = [f"| `{key}` | {field.note} |" for key, field in table.items() if field.disposition == "applied"]
        if applied:
            lines += ["| applied | to |", "|---|---|", *applied, ""]
        refused = [f"| `{key}` | {field.note} | {field.fix} |" for key, field in table.items() if field.disposition == "refused"]
        if refused:
            lines += ["| refused | why | instead |", "|---|---|---|", *refused, ""]
        documented = [_documented(key, field) for key, field in table.items() if field.disposition == "documentation"]
        if documented:
            lines += [f"Documentation only: {', '.join(documented)}.", ""]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def types_reference() -> str:
    """Types by format."""
    by_type: dict[str, list[str]] = {}
    for form, type_ in {**INTEGERS, **FLOATS}.items():
        by_type.setdefault(type_, []).append(form)
    return "\n".join(["| format | Iceberg type |", "|---|---|", *(f"| {', '.join(forms)} | {type_} |" for type_, forms in by_type.items())])


def actions_reference() -> str:
    """What follows from a broken rule."""
    rows = [f"| {severity} | {ROW_ACTIONS[severity]} | {TABLE_ACTIONS[severity]} |" for severity in SEVERITIES]
    operators = f"Operators: {', '.join(f'`{word}`' for word in OPERATORS)}. Classifications: {', '.join(CLASSIFICATIONS)}."
    return "\n".join(["| severity | a row rule is broken | a table rule is broken |", "|---|---|---|", *rows, "", operators])


def platform_reference() -> str:
    """Columns that the platform adds."""
    return "\n".join(
        [
            "| column | type | field id |",
            "|---|---|---|",
            *(f"| `{name}` | {type_} | {field_id} |" for field_id, name, type_ in SILVER_PLATFORM_COLUMNS),
        ]
    )


def properties_reference() -> str:
    """Properties of every table."""
    return "\n".join(
        ["| property | value |", "|---|---|", *(f"| `{name}` | `{value}` |" for name, value in sorted(TABLE_PROPERTIES.items()))]
    )


def _documented(key: str, field: Field) -> str:
    return f"`{key}`" + (f" ({field.note})" if field.note else "")
