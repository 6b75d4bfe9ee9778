"""Values in a translated tree: what is compared, digits of decimals, casts, and LISTAGG."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from local.redshift import functions
from local.redshift.errors import RefusedError, SqlError
from local.redshift.functions import as_type, call, text

_NO_TEXT = (
    exp.Column, exp.Boolean, exp.Null, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.Subquery, exp.Select, exp.Any, exp.All,
    exp.CurrentDate, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.Interval,
)  # fmt: skip
_INTEGERS = {exp.DataType.Type.SMALLINT: "smallint", exp.DataType.Type.INT: "int", exp.DataType.Type.BIGINT: "bigint"}
_PLAIN_TYPES = {
    exp.DataType.Type.DATE: "date", exp.DataType.Type.DOUBLE: "float8",
    exp.DataType.Type.FLOAT: "float4", exp.DataType.Type.TIMESTAMP: "timestamp", exp.DataType.Type.TIMESTAMPTZ: "timestamptz",
}  # fmt: skip
_BOOLEANS = frozenset({"true", "t", "yes", "y", "1", "false", "f", "no", "n", "0"})
_POSTGRES_WORDS = frozenset({"now", "today", "tomorrow", "yesterday", "epoch", "infinity", "-infinity", "allballs"})
_WITHOUT_WORDS = frozenset({exp.DataType.Type.DATE, exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPTZ})
TYPES = (
    "SMALLINT", "INTEGER", "BIGINT", "DECIMAL", "REAL", "DOUBLE PRECISION", "BOOLEAN", "CHAR", "VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMPTZ",
)  # fmt: skip
"""Types that are served."""


def comparable(node: exp.Expr) -> exp.Expr:
    """An operand of a comparison without its trailing blanks, which Redshift does not look at; columns of tables have none."""
    if isinstance(node, exp.Literal):
        return text(node.name.rstrip(" ")) if node.is_string else node
    if isinstance(node, _NO_TEXT):
        return node
    if isinstance(node, exp.Cast) and node.to.this not in exp.DataType.TEXT_TYPES:
        return node
    if isinstance(node, exp.Paren):
        return exp.Paren(this=comparable(node.this))
    if isinstance(node, exp.Tuple):
        return exp.Tuple(expressions=[comparable(item) for item in node.expressions])
    return call("_rs.key", node)


def division(node: exp.Div) -> exp.Expr:
    """A division; of decimals, with the digits that Redshift gives."""
    left, right = _decimal(node.this), _decimal(node.expression)
    if left and right and (left.is_decimal or right.is_decimal):
        scale = max(4, left.scale + right.precision - right.scale + 1)
        precision = left.precision - left.scale + right.scale + scale
        if precision > 38:
            raise RefusedError(
                f"a division whose result would be DECIMAL({precision},{scale})", instead="Cast the operands to fewer digits"
            )
        return call("_rs.decimal_div", as_type(node.this, "numeric"), as_type(node.expression, "numeric"), functions.number(scale))
    return call("_rs.div", node.this, node.expression)


def cast(node: exp.Cast) -> exp.Expr:
    """A cast to a type that is served."""
    value, kind, sizes = node.this, node.to.this, [int(size.name) for size in node.to.expressions if size.name.isdigit()]
    types = exp.DataType.Type
    if kind in {types.SMALLINT, types.INT, types.BIGINT}:
        plain = isinstance(value, exp.Literal) and (value.is_string or value.is_int)
        return as_type(value if plain or isinstance(value, exp.Null) else call("_rs.whole", value), _INTEGERS[kind])
    if kind in {types.VARCHAR, types.NVARCHAR, types.TEXT}:
        if not sizes and node.to.expressions and node.to.expressions[0].name.upper() == "MAX":
            sizes = [65535]
        if isinstance(value, exp.Null):
            return as_type(value, "text")
        as_text = as_type(value, "text") if isinstance(value, exp.Literal) else call("_rs.as_text", value)
        return call("_rs.cut", as_text, functions.number(sizes[0])) if sizes else call("_rs.short", as_text)
    if kind in {types.CHAR, types.NCHAR}:
        as_text = as_type(value, "text") if isinstance(value, exp.Literal | exp.Null) else call("_rs.as_text", value)
        return as_type(call("_rs.single_bytes", as_text), f"char({sizes[0] if sizes else 1})")
    if kind == types.BOOLEAN and not sizes:
        return _as_boolean(value)
    if kind == types.DECIMAL:
        precision, scale = (*sizes, 18, 0)[:2] if not sizes else (sizes[0], sizes[1] if len(sizes) > 1 else 0)
        return as_type(value, f"numeric({precision},{scale})")
    if isinstance(value, exp.Literal) and value.name.strip().lower() in _POSTGRES_WORDS and kind in _WITHOUT_WORDS:
        raise SqlError(f"invalid value {value.name!r} for {node.to.sql(dialect='redshift')}")
    if kind in _PLAIN_TYPES and not sizes:
        return as_type(value, _PLAIN_TYPES[kind])
    raise RefusedError(f"the type {node.to.sql(dialect='redshift')}", instead=f"Served are {', '.join(TYPES)}")


def _as_boolean(value: exp.Expr) -> exp.Expr:
    """A cast to BOOLEAN: of text only literals, of those only the documented ones."""
    if isinstance(value, exp.Null | exp.Boolean):
        return as_type(value, "boolean")
    if not isinstance(value, exp.Literal):
        return call("_rs.as_boolean", value)
    if value.is_string and value.name.strip().lower() not in _BOOLEANS:
        raise SqlError(f'invalid input syntax for type boolean: "{value.name}"')
    return as_type(value, "boolean")


def listagg(node: exp.Anonymous, order: exp.Expr | None) -> exp.Expr:
    """LISTAGG as an array that is joined: a string aggregate of PostgreSQL cannot order numbers and drop their repetitions."""
    arguments = list(node.expressions)
    is_distinct = bool(arguments) and isinstance(arguments[0], exp.Distinct)
    if is_distinct:
        arguments = [*arguments[0].expressions, *arguments[1:]]
    if not 1 <= len(arguments) <= 2:
        raise SqlError(f"function listagg does not exist with {len(arguments)} arguments")
    value, separator = arguments[0], arguments[1] if len(arguments) == 2 else text("")
    if is_distinct and order is not None and any(ordered.this != value for ordered in order.expressions):
        raise RefusedError("LISTAGG(DISTINCT ...) ordered by something else", instead="Order by the expression that is aggregated")
    inner: exp.Expr = exp.Distinct(expressions=[value]) if is_distinct else value
    if order is not None:
        inner = exp.Order(this=inner, expressions=order.expressions)
    return call("_rs.fit", call("_rs.join", call("array_agg", inner), separator))


@dataclass(frozen=True)
class _Digits:
    precision: int
    scale: int
    is_decimal: bool


def _decimal(node: exp.Expr) -> _Digits | None:
    """Precision and scale of an operand, if the statement says them."""
    while isinstance(node, exp.Paren | exp.Neg):
        node = node.this
    if isinstance(node, exp.Literal) and not node.is_string:
        whole, dot, digits = node.name.partition(".")
        if not node.name.replace(".", "").isdigit():
            return None
        if not dot:
            return _Digits(10 if int(whole) < 2**31 else 19, 0, is_decimal=False)
        return _Digits(len(whole.lstrip("0")) + len(digits), len(digits), is_decimal=True)
    if isinstance(node, exp.Cast):
        if node.to.this == exp.DataType.Type.DECIMAL and len(node.to.expressions) == 2:
            return _Digits(*(int(size.name) for size in node.to.expressions), is_decimal=True)
        size = {exp.DataType.Type.SMALLINT: 5, exp.DataType.Type.INT: 10, exp.DataType.Type.BIGINT: 19}.get(node.to.this)
        return _Digits(size, 0, is_decimal=False) if size else None
    if isinstance(node, exp.Anonymous) and str(node.this).lower() == "count":
        return _Digits(19, 0, is_decimal=False)
    return None
