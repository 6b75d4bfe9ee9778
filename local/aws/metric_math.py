"""Metric math as alarms use it: numbers, metrics by id, + - * / and comparisons, and the functions that make one number of many."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence

FUNCTIONS = ("SUM", "MAX", "MIN", "AVG", "ABS", "CEIL", "FLOOR", "IF", "FILL")
"""Functions that are implemented."""

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Pow: operator.pow,
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip


class UnknownMath(ValueError):
    """An expression uses what is not implemented here."""


def evaluate(expression: str, values: Mapping[str, float | None]) -> float | None:
    """Value of an expression at one moment.

    Args:
        expression: Metric math, such as `(errors / calls) * 100` or `FILL(a, 0) + FILL(b, 0)`.
        values: Value of each metric by its id; None where there is no data.

    Returns:
        The value, or None if a metric that it needs has no data or a division is by zero.

    Raises:
        UnknownMath: The expression uses what is not implemented.
    """
    return _value(_parse(expression), values)


def check(expression: str) -> None:
    """Refuse an expression that `evaluate` does not know.

    Raises:
        UnknownMath: It uses what is not implemented.
    """
    for node in ast.walk(_parse(expression)):
        if isinstance(node, ast.Call):
            _function(node)
        elif not isinstance(node, _KNOWN):
            raise _unknown(expression)


_KNOWN = (
    ast.BinOp, ast.UnaryOp, ast.Compare, ast.Constant, ast.Name, ast.Load, ast.List, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow,
    ast.USub, ast.UAdd, *_COMPARE,
)  # fmt: skip


def _parse(expression: str) -> ast.expr:
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except SyntaxError:
        raise _unknown(expression) from None


def _value(node: ast.expr, values: Mapping[str, float | None]) -> float | None:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            if name not in values:
                raise UnknownMath(f"the expression names {name}, but the alarm has only {', '.join(sorted(values)) or 'no metrics'}")
            return values[name]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            found = _value(inner, values)
            return None if found is None else -found
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(op, _value(left, values), _value(right, values))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            one, other = _value(left, values), _value(right, values)
            return None if one is None or other is None else float(_COMPARE[type(op)](one, other))
        case ast.Call():
            return _call(node, values)
        case _:
            raise _unknown(ast.unparse(node))


def _binary(op: ast.operator, left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return None
    if isinstance(op, ast.Div):
        return left / right if right else None
    if type(op) not in _BINARY:
        raise _unknown(type(op).__name__)
    return _BINARY[type(op)](left, right)


def _call(node: ast.Call, values: Mapping[str, float | None]) -> float | None:
    name = _function(node)
    if name == "IF":
        condition = _value(node.args[0], values)
        chosen = node.args[1] if condition else node.args[2] if len(node.args) > 2 else None
        return None if condition is None or chosen is None else _value(chosen, values)
    if name == "FILL":
        found = _value(node.args[0], values)
        return _value(node.args[1], values) if found is None else found
    given = [_value(argument, values) for argument in _arguments(node)]
    numbers = [number for number in given if number is not None]
    return _reduced(name, numbers) if numbers else None


def _reduced(name: str, numbers: Sequence[float]) -> float:
    match name:
        case "SUM":
            return sum(numbers)
        case "MAX":
            return max(numbers)
        case "MIN":
            return min(numbers)
        case "AVG":
            return sum(numbers) / len(numbers)
        case "ABS":
            return abs(numbers[0])
        case "CEIL":
            return float(-(-numbers[0] // 1))
        case _:
            return float(numbers[0] // 1)


def _arguments(node: ast.Call) -> list[ast.expr]:
    """Arguments, of which `[a, b]` stands for several."""
    return [inner for argument in node.args for inner in (argument.elts if isinstance(argument, ast.List) else [argument])]


def _function(node: ast.Call) -> str:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in FUNCTIONS or node.keywords:
        raise _unknown(ast.unparse(node))
    return name


def _unknown(what: str) -> UnknownMath:
    return UnknownMath(
        f"metric math {what!r} is not implemented on the laptop platform; implemented: + - * / ** comparisons and {', '.join(FUNCTIONS)}"
    )
