"""CloudFormation conditions with every function inside: MiniStack leaves Join, Split, Sub and FindInMap as they are and compares the text."""

from __future__ import annotations

import copy
from typing import Any

from local.aws import seam

_engine = seam.module("services.cloudformation.engine")


def register() -> None:
    """Evaluate conditions here, wherever MiniStack does."""
    for where in ("engine", "stacks", "handlers", "changesets"):
        seam.replace(f"services.cloudformation.{where}._evaluate_conditions", evaluate)
    seam.original("services.cloudformation.engine._resolve_refs")


def evaluate(template: dict[str, Any], parameters: dict[str, Any]) -> dict[str, bool]:
    """Value of every condition of a template.

    Raises:
        ValueError: A condition names one that does not exist, or itself.
    """
    definitions: dict[str, Any] = template.get("Conditions") or {}
    found: dict[str, bool] = {}
    pending: list[str] = []

    def named(name: str) -> bool:
        if name not in found:
            if name not in definitions:
                raise ValueError(f"Template format error: Unresolved condition dependency {name} in the Conditions block of the template")
            if name in pending:
                raise ValueError(f"Template format error: Circular dependencies for condition {name}")
            pending.append(name)
            found[name] = truth(definitions[name])
            pending.pop()
        return found[name]

    def truth(expression: Any) -> bool:
        match expression:
            case {"Fn::Equals": [left, right]}:
                return str(value(left)) == str(value(right))
            case {"Fn::And": [*parts]}:
                return all([truth(part) for part in parts])  # noqa: C419 - every part is looked at, so that a wrong name is found
            case {"Fn::Or": [*parts]}:
                return any([truth(part) for part in parts])  # noqa: C419
            case {"Fn::Not": [part]}:
                return not truth(part)
            case {"Condition": str(name)}:
                return named(name)
            case _:
                return bool(value(expression))

    def value(expression: Any) -> Any:
        for name in _conditions_in(expression):
            named(name)
        return _engine._resolve_refs(copy.deepcopy(expression), {}, parameters, found, template.get("Mappings") or {}, "", "")

    for name in definitions:
        named(name)
    return found


def _conditions_in(expression: Any) -> list[str]:
    """Conditions that Fn::If asks inside an expression."""
    if isinstance(expression, dict):
        chosen = expression.get("Fn::If")
        own = [chosen[0]] if isinstance(chosen, list) and chosen and isinstance(chosen[0], str) else []
        return own + [name for part in expression.values() for name in _conditions_in(part)]
    if isinstance(expression, list):
        return [name for part in expression for name in _conditions_in(part)]
    return []
