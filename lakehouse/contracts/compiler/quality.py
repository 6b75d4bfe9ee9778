"""From ODCS quality entries to the rules of the gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.contracts.compiler.columns import AuthoredColumn, check_pattern, check_values
from lakehouse.contracts.compiler.documents import Document, Place, nearest
from lakehouse.contracts.compiler.expressions import check_expression, check_query
from lakehouse.contracts.compiler.extensions import extension, extension_place
from lakehouse.contracts.compiler.fields import NODES
from lakehouse.contracts.model import Action, Rule, Severity
from lakehouse.errors import Fault

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")
"""Severities, the mildest first."""

ROW_ACTIONS: Mapping[Severity, Action] = {"info": "record", "warning": "warn", "error": "quarantine", "critical": "halt"}
"""What follows when a row breaks a rule."""

TABLE_ACTIONS: Mapping[Severity, Action] = {"info": "record", "warning": "warn", "error": "halt", "critical": "halt"}
"""What follows when the surviving rows break a rule."""

OPERATORS: Mapping[str, str] = {
    "mustBe": "eq",
    "mustNotBe": "ne",
    "mustBeGreaterThan": "gt",
    "mustBeGreaterOrEqualTo": "ge",
    "mustBeLessThan": "lt",
    "mustBeLessOrEqualTo": "le",
}
"""Operators that a rule may use."""

DIMENSIONS: Mapping[str, str] = {
    "nullValues": "completeness",
    "missingValues": "completeness",
    "invalidValues": "conformity",
    "duplicateValues": "uniqueness",
    "rowCount": "coverage",
    "sql": "consistency",
    "custom": "consistency",
}
"""Dimension of a rule that names none."""

_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "nullValues": (),
    "missingValues": ("missingValues",),
    "invalidValues": ("validValues", "pattern"),
    "duplicateValues": ("properties",),
    "rowCount": (),
}
_TYPES = ("library", "sql", "custom", "text")


def parse_quality(
    node: Mapping[str, Any],
    *,
    place: Place,
    column: AuthoredColumn | None,
    columns: Mapping[str, AuthoredColumn],
    document: Document,
    faults: list[Fault],
) -> Rule | None:
    """Read one quality entry.

    Args:
        node: The ODCS entry.
        place: Where it stands.
        column: Column that it stands at, or None at the table.
        columns: Every column by name.
        document: The contract.
        faults: Receives what is wrong.
    """
    return _Entry(node=node, place=place, column=column, columns=columns, document=document, faults=faults).rule()


class _Entry:
    """One quality entry while it is read."""

    def __init__(
        self,
        *,
        node: Mapping[str, Any],
        place: Place,
        column: AuthoredColumn | None,
        columns: Mapping[str, AuthoredColumn],
        document: Document,
        faults: list[Fault],
    ) -> None:
        self.node = node
        self.place = place
        self.column = column
        self.columns = columns
        self.document = document
        self.faults = faults

    def rule(self) -> Rule | None:
        """The rule, or None if the entry has a fault."""
        count = len(self.faults)
        kind = self.node.get("type", "library")
        if kind not in _TYPES or any(NODES["quality"][key].disposition == "refused" for key in self.node if key in NODES["quality"]):
            return None
        if not isinstance(self.node.get("id"), str):
            self._fault("", "has no id", "add an id; the audit names the rule by it")
        severity = self._severity()
        if kind == "text":
            self._fault("type", "text checks nothing", "write the sentence into the description, or use type: custom with a rowCondition")
            rule = None
        elif kind == "sql":
            rule = self._sql(severity)
        elif kind == "custom":
            rule = self._custom(severity)
        else:
            rule = self._library(severity)
        return rule if len(self.faults) == count else None

    def _fault(self, key: str, problem: str, fix: str) -> None:
        inside = [int(part) if part.isdigit() else part for part in key.split(".") if part]
        self.faults.append(self.document.fault((*self.place, *inside), problem, fix))

    def _severity(self) -> Severity:
        severity = self.node.get("severity", "error")
        for known in SEVERITIES:
            if severity == known:
                return known
        if isinstance(severity, str):
            self._fault("severity", f"{severity!r} is not a severity", nearest(severity, SEVERITIES))
        return "error"

    def _action(self, severity: Severity, level: str) -> Action:
        allowed: tuple[Action, ...] = ("record", "warn", "quarantine", "halt") if level == "row" else ("record", "warn", "halt")
        chosen = extension(self.node, "onFailure", str)
        if chosen is None:
            return (ROW_ACTIONS if level == "row" else TABLE_ACTIONS)[severity]
        for action in allowed:
            if chosen == action:
                return action
        here = extension_place(self.node, "onFailure", self.place)
        what = "judges the rows as a whole, so no row can be put aside" if chosen == "quarantine" else f"{chosen!r} is not an action"
        self.faults.append(self.document.fault(here, what, nearest(str(chosen), allowed)))
        return "halt"

    def _make(
        self, *, level: str, kind: str, severity: Severity, code: str = "", args: dict[str, Any] | None = None, compare: bool = False
    ) -> Rule:
        name = self.column.name if self.column else None
        prefix = f"{self.column.field.id}." if self.column else ""
        metric = str(self.node.get("metric") or self.node.get("type"))
        operator, threshold = self._operator() if compare else (None, None)
        unit = self.node.get("unit", "rows")
        return Rule(
            id=f"{prefix}{self.node.get('id')}",
            level="row" if level == "row" else "table",
            kind=kind,
            code=code,
            column=name,
            severity=severity,
            action=self._action(severity, level),
            dimension=str(self.node.get("dimension") or DIMENSIONS.get(metric, "consistency")),
            args=args or {},
            operator=operator,
            threshold=threshold,
            unit="percent" if unit == "percent" else "rows",
        )

    def _operator(self) -> tuple[str | None, float | None]:
        present = [key for key in OPERATORS if key in self.node]
        if len(present) != 1:
            self._fault(
                "", f"has {len(present)} operators ({', '.join(present) or 'none'})", f"write exactly one of {', '.join(OPERATORS)}"
            )
            return None, None
        value = self.node[present[0]]
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._fault(present[0], f"{value!r} is not a number", "write a number")
            return None, None
        return OPERATORS[present[0]], value

    def _unit(self, *allowed: str) -> None:
        unit = self.node.get("unit", "rows")
        if unit not in allowed:
            why = " (m means minutes to some tools and months to others)" if unit == "m" else ""
            self._fault("unit", f"{unit!r} does not fit here{why}", f"use {' or '.join(allowed)}")

    def _is_row_rule(self) -> bool:
        """Whether the rule says that no row may break it; then it judges each row."""
        return self.node.get("mustBe") == 0 and not isinstance(self.node.get("mustBe"), bool)

    def _library(self, severity: Severity) -> Rule | None:
        metric = self.node.get("metric")
        if not isinstance(metric, str):
            self._fault("", "has neither a metric nor a type", f"add metric, one of {', '.join(_ARGUMENTS)}")
            return None
        if metric not in _ARGUMENTS:
            return None
        raw = self.node.get("arguments")
        arguments: dict[str, Any] = raw if isinstance(raw, dict) else {}
        for key in arguments:
            if key not in _ARGUMENTS[metric]:
                self._fault(f"arguments.{key}", f"{key!r} is not an argument of {metric}", nearest(key, _ARGUMENTS[metric]))
        if metric == "rowCount":
            if self.column is not None:
                self._fault("metric", "rowCount stands at a column", "move it to the quality of the table")
            self._unit("rows")
            return self._make(level="table", kind="row_count", severity=severity, compare=True)
        if metric == "duplicateValues":
            return self._duplicates(severity, arguments)
        if self.column is None:
            self._fault("metric", f"{metric} stands at the table", "move it to the quality of the column that it judges")
            return None
        self._unit("rows", "percent")
        args = self._value_arguments(metric, arguments, self.column)
        if metric == "invalidValues":
            if self._is_row_rule():
                kind, code = ("pattern", "pattern") if "pattern" in args else ("in_set", "not_in_set")
                return self._make(level="row", kind=kind, code=code, severity=severity, args=args)
            return self._make(level="table", kind="invalid_count", severity=severity, args=args, compare=True)
        if self._is_row_rule():
            return self._make(level="row", kind="not_null", code="missing_value", severity=severity, args=args)
        return self._make(level="table", kind="null_count", severity=severity, args=args, compare=True)

    def _value_arguments(self, metric: str, arguments: Mapping[str, Any], column: AuthoredColumn) -> dict[str, Any]:
        here = (*self.place, "arguments")
        if metric == "missingValues":
            values = arguments.get("missingValues")
            if not isinstance(values, list) or not values:
                self._fault(
                    "arguments" if arguments else "",
                    "missingValues does not say which values mean missing",
                    "add arguments: {missingValues: ['N/A']}",
                )
                return {}
            listed = [value for value in values if value is not None]
            if listed and not check_values(listed, column.type, (*here, "missingValues"), self.document, self.faults):
                return {}
            return {"values": listed} if listed else {}
        if metric == "invalidValues":
            if len(arguments) != 1:
                self._fault(
                    "arguments" if arguments else "",
                    "invalidValues needs exactly one of validValues and pattern",
                    "add arguments: {validValues: [A, B]}",
                )
            elif isinstance(arguments.get("pattern"), str):
                if column.type != "string":
                    self._fault("arguments.pattern", "a pattern judges strings only", "use validValues or a rowCondition")
                check_pattern(arguments["pattern"], (*here, "pattern"), self.document, self.faults)
                return {"pattern": arguments["pattern"]}
            elif isinstance(arguments.get("validValues"), list):
                check_values(arguments["validValues"], column.type, (*here, "validValues"), self.document, self.faults)
                return {"values": list(arguments["validValues"])}
            else:
                self._fault("arguments", "has an argument of the wrong type", "write validValues as a list, or pattern as text")
        return {}

    def _duplicates(self, severity: Severity, arguments: Mapping[str, Any]) -> Rule | None:
        raw = arguments.get("properties")
        names = [str(item) for item in raw] if isinstance(raw, list) else [self.column.name] if self.column else []
        if not names:
            self._fault("", "duplicateValues does not say which columns", "add arguments: {properties: [order_id]}")
        for index, name in enumerate(names):
            if name not in self.columns:
                self._fault(f"arguments.properties.{index}", f"there is no column {name!r}", nearest(name, self.columns))
        self._unit("rows", "percent")
        if self._is_row_rule():
            return self._make(level="table", kind="unique", severity=severity, args={"columns": names})
        return self._make(level="table", kind="duplicates", severity=severity, args={"columns": names}, compare=True)

    def _sql(self, severity: Severity) -> Rule | None:
        query = self.node.get("query")
        if isinstance(query, str):
            if "{property}" in query:
                if self.column is None:
                    self._fault("query", "has {property}, but stands at the table", "name the column, or move the rule to it")
                else:
                    query = query.replace("{property}", self.column.name)
            check_query(query, columns=self.columns, place=(*self.place, "query"), document=self.document, faults=self.faults)
        self._unit("rows")
        return self._make(level="table", kind="sql", severity=severity, args={"query": query}, compare=True)

    def _custom(self, severity: Severity) -> Rule | None:
        engine = self.node.get("engine")
        if engine != "lakehouse":
            self._fault(
                "engine",
                f"{engine!r} is not run by this platform",
                "use engine: lakehouse with implementation: {rowCondition: ...}, or type: sql",
            )
            return None
        implementation = self.node.get("implementation")
        if (
            not isinstance(implementation, dict)
            or set(implementation) != {"rowCondition"}
            or not isinstance(implementation["rowCondition"], str)
        ):
            self._fault("implementation", "is not a row condition", 'write implementation: {rowCondition: "a IS NULL OR a > b"}')
            return None
        condition: str = implementation["rowCondition"]
        check_expression(
            condition,
            columns=self.columns,
            place=(*self.place, "implementation", "rowCondition"),
            document=self.document,
            faults=self.faults,
        )
        return self._make(level="row", kind="predicate", code="rule", severity=severity, args={"expression": condition})
