"""The rules of a contract as a Glue Data Quality ruleset (DQDL): the same rules as the in-job gate judges, for a second opinion in AWS.

What DQDL would judge otherwise than the gate is written as CustomSql over the gate's own predicate: NaN, timestamps, percentages, missing
values, and whatever ignores NULL. `where` keeps NULL out of the other rules. Text inside `matches`, `where` and CustomSql is taken as it is, only
the words of a list lose their backslashes.
"""

# ruff: noqa: S608 - SQL is what this module writes: names are quoted, literals escaped, and the rest is the contract's own text.
from __future__ import annotations

import re
from collections.abc import Collection

from lakehouse.contracts.model import CompiledContract, Rule
from lakehouse.contracts.predicates import number, query, quoted, row_predicate, unanchored
from lakehouse.naming import DatasetName

MAX_CHARACTERS = 65_536
"""Longest ruleset that Glue takes."""

GATING = ("error", "critical")
"""Severities of the rules that the gate's score is made of."""

SEVERITIES = ("info", "warning", *GATING)
"""All severities of rules, the least first."""

_OPERATORS = {"eq": "=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_BOUNDS = (("minimum", ">="), ("exclusive_minimum", ">"), ("maximum", "<="), ("exclusive_maximum", "<"))
_PRIMARY = "primary"
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def ruleset(contract: CompiledContract, *, severities: Collection[str] = SEVERITIES) -> str:
    """The DQDL text of a contract.

    Args:
        contract: The contract.
        severities: Severities whose rules are in it.

    Raises:
        ValueError: It would be longer than Glue takes.
    """
    lines: list[str] = []
    for rule in _rules(contract, severities):
        lines.append(f"    # {rule.id}: {rule.severity} -> {rule.action}")
        lines += [f"    {text}," for text in dqdl_rules(rule, contract)]
    if lines:
        lines[-1] = lines[-1].removesuffix(",")
    text = "\n".join(["Rules = [", *lines, "]", ""])
    if len(text) > MAX_CHARACTERS:
        raise ValueError(
            f"the ruleset of {contract.id} has {len(text)} characters, Glue takes {MAX_CHARACTERS}: split the contract or remove rules"
        )
    return text


def aliases(contract: CompiledContract, *, severities: Collection[str] = SEVERITIES) -> dict[str, DatasetName]:
    """Datasets that the ruleset of these severities compares with, by the alias that it uses for them."""
    targets = (DatasetName.parse(rule.args["to_table"]) for rule in _rules(contract, severities) if rule.kind == "relationship")
    return {_alias(target): target for target in targets}


def dqdl_rules(rule: Rule, contract: CompiledContract) -> list[str]:
    """DQDL rules that judge what one rule of the contract judges; more than one if DQDL needs one for each bound."""
    if rule.level == "row":
        plain = _plain_row_rules(rule, contract)
        return plain or [f'CustomSql "select count(*) from {_PRIMARY} where not {row_predicate(rule, contract)}" = 0']
    operator, threshold = rule.operator or "eq", number(rule.threshold or 0)
    if rule.kind == "row_count" and operator in _OPERATORS:
        return [f"RowCount {_OPERATORS[operator]} {threshold}"]
    if rule.kind == "unique" and all(contract.column(name).required for name in rule.args["columns"]):
        word = "IsPrimaryKey" if tuple(rule.args["columns"]) == contract.keys else "IsUnique"
        return [f"{word} {' '.join(_name(name) for name in rule.args['columns'])}"]
    if rule.kind == "relationship":
        to = ",".join(rule.args["to_columns"])
        alias = _alias(DatasetName.parse(rule.args["to_table"]))
        return [f'ReferentialIntegrity "{",".join(rule.args["columns"])}" "{alias}.{{{to}}}" = 1.0']
    measured = " ".join(query(rule, contract, rows=_PRIMARY).split())
    if operator == "ne":
        return [f'CustomSql "select cast(({measured}) <> {threshold} as int)" = 1']
    return [f'CustomSql "{measured}" {_OPERATORS[operator]} {threshold}']


def _plain_row_rules(rule: Rule, contract: CompiledContract) -> list[str]:
    """Rules in DQDL's own words, or none if it has none that mean the same."""
    if rule.column is None:
        return []
    name, type_, args = _name(rule.column), contract.column(rule.column).type, rule.args
    where = f'where "{quoted(rule.column)} is not null"'
    if rule.kind == "not_null" and not args.get("values") and isinstance(type_, str):
        return [f"IsComplete {name}"]
    if rule.kind == "in_set":
        values = args["values"]
        if type_ == "string":
            listed = ", ".join('"' + value.replace("\\", "\\\\") + '"' for value in values)
            return [f"ColumnValues {name} in [{listed}] {where}"]
        if type_ in ("int", "long") and all(isinstance(value, int) and value >= 0 for value in values):
            return [f"ColumnValues {name} in [{', '.join(map(str, values))}] {where}"]
    if rule.kind == "pattern":
        return [f'ColumnValues {name} matches "{unanchored(args["pattern"])}" {where}']
    if rule.kind == "length":
        bounds = [(">=", args.get("min_length")), ("<=", args.get("max_length"))]
        return [f"ColumnLength {name} {sign} {bound} {where}" for sign, bound in bounds if bound is not None]
    if rule.kind == "range":
        bounds = [(sign, args[word]) for word, sign in _BOUNDS if word in args]
        if type_ == "date":
            return [f'ColumnValues {name} {sign} "{bound}" {where}' for sign, bound in bounds]
        is_number = type_ in ("int", "long") or str(type_).startswith("decimal")
        if is_number and all(_PLAIN_NUMBER.fullmatch(number(bound)) for _, bound in bounds):
            return [f"ColumnValues {name} {sign} {number(bound)} {where}" for sign, bound in bounds]
    return []


def _rules(contract: CompiledContract, severities: Collection[str]) -> list[Rule]:
    return [rule for rule in contract.quality.rules if rule.severity in severities]


def _name(column: str) -> str:
    return f'"{column}"'


def _alias(target: DatasetName) -> str:
    return f"{target.domain}_{target.dataset}"
