"""The tables of docs/configuration.md."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from lakehouse.environments.environment import Environment
from lakehouse.environments.sections import section_in


def sections() -> dict[str, str]:
    """Generated parts of docs/configuration.md by name."""
    return {"keys": "\n".join(["| key | default | allowed | meaning |", "|---|---|---|---|", *_reference_rows(Environment, "")])}


def _reference_rows(section: type[BaseModel], prefix: str) -> list[str]:
    rows: list[str] = []
    for name, field in section.model_fields.items():
        annotation = field.annotation
        inner = section_in(annotation)
        if inner is not None:
            rows += _reference_rows(inner, f"{prefix}{name}.{'<name>.' if get_origin(annotation) is dict else ''}")
        elif name != "env":
            default = "required" if field.is_required() else _shown(field.get_default(call_default_factory=True))
            rows.append(f"| `{prefix}{name}` | {default} | {_allowed(annotation, field.metadata)} | {field.description} |")
    return rows


def _shown(value: Any) -> str:
    if value in (None, "", (), {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _allowed(annotation: Any, metadata: list[Any]) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(annotation))
    bounds = {key: getattr(item, key) for item in metadata for key in ("ge", "le") if getattr(item, key, None) is not None}
    if bounds:
        return f"{bounds.get('ge', '')} to {bounds['le']}" if "le" in bounds else f"{bounds['ge']} or more"
    return "true, false" if annotation is bool else ""
