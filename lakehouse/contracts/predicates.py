"""Rules of a contract as Spark SQL text: what a good row fulfils, and what is measured on the rows that survive.

NULL is judged by `not_null` and `null_count` alone: every other rule lets it pass. A row condition that yields NULL fails.
"""

# ruff: noqa: S608 - SQL is what this module writes: names are quoted, literals escaped, and the rest is the contract's own text.
from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from lakehouse.contracts.model import CompiledContract, Rule

_BOUNDS = (("minimum", ">="), ("exclusive_minimum", ">"), ("maximum", "<="), ("exclusive_maximum", "<"))
_WORDS = {"minimum": "at least", "exclusive_minimum": "more than", "maximum": "at most", "exclusive_maximum": "less than"}


def row_predicate(rule: Rule, contract: CompiledContract) -> str:
    """Spark SQL that is TRUE for a row that keeps a row rule and FALSE for any other; never NULL.

    Args:
        rule: A rule of level `row`.
        contract: The contract; the types of its columns decide how literals are written.

    Raises:
        ValueError: The rule is not a row rule.
    """
    return f"coalesce({_row(rule, contract)}, false)"


def aggregate(rule: Rule, contract: CompiledContract) -> str | None:
    """Aggregate expression that measures a table rule over the rows that are judged, or None if it needs a query of its own.

    All rules that have one can be measured in a single scan.
    """
    if rule.kind == "row_count":
        return "count(1)"
    if rule.kind in ("null_count", "invalid_count"):
        bad = f"NOT {_good_value(rule, contract)}"
        if rule.unit == "percent":
            return f"coalesce(100.0D * count_if({bad}) / nullif(count(1), 0), 0.0D)"
        return f"count_if({bad})"
    return None


def query(rule: Rule, contract: CompiledContract, *, rows: str, other: str | None = None) -> str:
    """Scalar query that measures a table rule.

    Args:
        rule: A rule of level `table`.
        contract: The contract.
        rows: Name of the view of the rows that are judged.
        other: Table that a relationship refers to, as the session knows it.

    Raises:
        ValueError: The rule is not a table rule, or `other` is missing.
    """
    measured = aggregate(rule, contract)
    if measured is not None:
        return f"SELECT {measured} FROM {rows}"
    if rule.kind == "sql":
        return str(rule.args["query"]).replace("{object}", rows)
    if rule.kind in ("unique", "duplicates"):
        names = [quoted(name) for name in rule.args["columns"]]
        present = " AND ".join(f"{name} IS NOT NULL" for name in names)
        repeated = f"SELECT count(1) AS n FROM {rows} WHERE {present} GROUP BY {', '.join(names)} HAVING count(1) > 1"
        if rule.unit == "percent":
            return f"SELECT coalesce(100.0D * sum(n) / nullif((SELECT count(1) FROM {rows}), 0), 0.0D) FROM ({repeated})"
        return f"SELECT count(1) FROM ({repeated})"
    if rule.kind == "relationship":
        if other is None:
            raise ValueError(f"the rule {rule.id!r} compares with {rule.args['to_table']}: pass that table as `other`")
        pairs = list(zip(map(quoted, rule.args["columns"]), map(quoted, rule.args["to_columns"]), strict=True))
        present = " AND ".join(f"mine.{mine} IS NOT NULL" for mine, _ in pairs)
        joined = " AND ".join(f"mine.{mine} = theirs.{theirs}" for mine, theirs in pairs)
        return f"SELECT count(1) FROM (SELECT * FROM {rows} AS mine WHERE {present}) AS mine LEFT ANTI JOIN {other} AS theirs ON {joined}"
    raise ValueError(f"the rule {rule.id!r} is of the kind {rule.kind!r}, which judges single rows: use row_predicate")


def holds(rule: Rule, measured: Any) -> bool:
    """Whether what was measured keeps a table rule; NULL or no result does not."""
    if measured is None or measured != measured:  # noqa: PLR0124 - NaN differs from itself
        return False
    threshold = Decimal(str(rule.threshold if rule.threshold is not None else 0))
    value = Decimal(str(measured))
    return {
        "eq": value == threshold,
        "ne": value != threshold,
        "lt": value < threshold,
        "le": value <= threshold,
        "gt": value > threshold,
        "ge": value >= threshold,
    }[rule.operator or "eq"]


def requirement(rule: Rule) -> str:
    """What a rule asks for, as the end of a sentence for people: "must be one of F, O, P"."""
    args = rule.args
    if rule.kind == "not_null":
        return f"must not be missing or one of {_listed(args['values'])}" if args.get("values") else "must not be missing"
    if rule.kind == "in_set":
        return f"must be one of {_listed(args['values'])}"
    if rule.kind == "pattern":
        return f"must match {args['pattern']}"
    if rule.kind == "range":
        return "must be " + " and ".join(f"{_WORDS[word]} {number(args[word])}" for word, _ in _BOUNDS if word in args)
    if rule.kind == "length":
        low, high = args.get("min_length"), args.get("max_length")
        if low is not None and high is not None:
            return f"must have {low} to {high} characters"
        return f"must have at least {low} characters" if low is not None else f"must have at most {high} characters"
    if rule.kind == "predicate":
        return f"must keep {args['expression']}"
    if rule.kind == "unique":
        return f"no two rows may have the same {', '.join(args['columns'])}"
    if rule.kind == "relationship":
        return f"must exist in {args['to_table']}.{', '.join(args['to_columns'])}"
    words = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
    what = {
        "null_count": "missing values",
        "invalid_count": "invalid values",
        "duplicates": "repeated keys",
        "row_count": "rows",
        "sql": "result of the query",
    }[rule.kind]
    unit = " percent" if rule.unit == "percent" else ""
    return f"{what} must be {words[rule.operator or 'eq']} {number(rule.threshold or 0)}{unit}"


def quoted(name: str) -> str:
    """A column name that may be a word of SQL."""
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    """A string literal. Spark joins 'a''b' into ab, so quotes are escaped by a backslash."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def number(value: Any) -> str:
    """A number, bound or date as plain text, without an exponent."""
    if isinstance(value, float):
        plain = format(Decimal(repr(value)), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    return str(value)


def literal(value: Any, type_: str | dict[str, Any]) -> str:
    """A value as a Spark literal of a column's type."""
    if type_ == "date":
        return f"DATE {text(str(value))}"
    if type_ == "timestamptz":
        return f"TIMESTAMP_LTZ {text(str(value))}"
    if type_ == "timestamp":
        return f"TIMESTAMP_NTZ {text(str(value))}"
    if isinstance(value, str):
        return text(value)
    return number(value)


def _row(rule: Rule, contract: CompiledContract) -> str:
    if rule.kind == "predicate":
        return f"({rule.args['expression']})"
    if rule.kind in ("not_null", "in_set", "pattern", "range", "length"):
        return _good_value(rule, contract)
    raise ValueError(f"the rule {rule.id!r} is of the kind {rule.kind!r}, which judges rows together: use aggregate or query")


def _good_value(rule: Rule, contract: CompiledContract) -> str:
    """A predicate over one column; `null_count` and `invalid_count` count the rows that break theirs."""
    if rule.column is None:
        raise ValueError(f"the rule {rule.id!r} names no column")
    column, type_ = quoted(rule.column), contract.column(rule.column).type
    args = rule.args
    if rule.kind in ("not_null", "null_count"):
        others = f" AND {column} NOT IN ({_literals(args['values'], type_)})" if args.get("values") else ""
        return f"({column} IS NOT NULL{others})"
    if "values" in args:
        return f"({column} IS NULL OR {column} IN ({_literals(args['values'], type_)}))"
    if "pattern" in args:
        # `$` would let a line break pass at the end, so the anchors are \A and \z.
        return f"({column} IS NULL OR {column} RLIKE {text(_whole(args['pattern']))})"
    if rule.kind == "range":
        # NaN is larger than every number for Spark, so a range would let it pass.
        not_nan = [f"NOT isnan({column})"] if type_ in ("float", "double") else []
        parts = [f"{column} {sign} {literal(args[word], type_)}" for word, sign in _BOUNDS if word in args]
        return f"({column} IS NULL OR ({' AND '.join([*not_nan, *parts])}))"
    if rule.kind == "length":
        parts = [
            f"char_length({column}) {sign} {args[word]}" for word, sign in (("min_length", ">="), ("max_length", "<=")) if word in args
        ]
        return f"({column} IS NULL OR ({' AND '.join(parts)}))"
    raise ValueError(f"the rule {rule.id!r} of the kind {rule.kind!r} lacks its arguments")


def unanchored(pattern: str) -> str:
    """A pattern without the anchors that the contract's profile asks for."""
    return pattern.removeprefix("^").removesuffix("$")


def _whole(pattern: str) -> str:
    return f"(?s)\\A(?:{unanchored(pattern)})\\z"


def _literals(values: Sequence[Any], type_: str | dict[str, Any]) -> str:
    return ", ".join(literal(value, type_) for value in values)


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(number(value) for value in values)
