"""The white list of functions: what each of Redshift's names becomes in PostgreSQL; every other name is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from local.redshift.errors import RefusedError, SqlError

Arguments = Sequence[exp.Expr]
Build = Callable[[Arguments], exp.Expr]

DATE_PARTS: Mapping[str, str] = {
    name: part
    for part, names in {
        "year": "year years y yr yrs",
        "quarter": "quarter quarters qtr qtrs",
        "month": "month months mon mons",
        "week": "week weeks w",
        "day": "day days d",
        "hour": "hour hours h hr hrs",
        "minute": "minute minutes m min mins",
        "second": "second seconds s sec secs",
        "millisecond": "millisecond milliseconds ms msec msecs msecond mseconds millisec millisecs millisecon",
        "microsecond": "microsecond microseconds microsec microsecs usecond useconds us usec usecs",
    }.items()
    for name in names.split()
}
"""Redshift's names of date parts -> the one that is used here."""

EXTRACTED: Mapping[str, str] = {
    **{name: part for name, part in DATE_PARTS.items() if part not in {"millisecond", "microsecond"}},
    **dict.fromkeys(("dayofweek", "dow", "dw", "weekday"), "dow"),
    **dict.fromkeys(("dayofyear", "doy", "dy", "yearday"), "doy"),
    "epoch": "epoch",
}
"""Parts that DATE_PART and EXTRACT give; of milliseconds and microseconds the two give different things."""

TRUNCATED = frozenset({"year", "quarter", "month", "week", "day", "hour", "minute", "second"})

AGGREGATES = frozenset({
    "any_value", "avg", "bool_and", "bool_or", "count", "max", "median", "min", "stddev", "stddev_pop", "stddev_samp", "sum", "var_pop",
    "var_samp", "variance",
})  # fmt: skip
FRAMED = AGGREGATES | {"first_value", "last_value", "nth_value"}
"""Window functions that Redshift wants a frame of, if they are ordered."""

RANKING = frozenset({
    "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value",
    "ratio_to_report",
})  # fmt: skip
"""Functions that are nothing without an OVER clause."""


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function that is served.

    Attributes:
        build: PostgreSQL's expression for its arguments.
        least: Fewest arguments.
        most: Most arguments; -1 = any number.
    """

    build: Build
    least: int
    most: int


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of a PostgreSQL function."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def text(value: str) -> exp.Expr:
    """A string literal."""
    return exp.Literal.string(value)


def number(value: int) -> exp.Expr:
    """A number literal."""
    return exp.Literal.number(value)


def as_type(value: exp.Expr, name: str) -> exp.Expr:
    """A cast of PostgreSQL."""
    return exp.Cast(this=value, to=exp.DataType.build(name, dialect="postgres"))


def part_name(argument: exp.Expr, known: Mapping[str, str], *, of: str) -> str:
    """The date part that a function's first argument names, bare or as a string.

    Raises:
        RefusedError: It is none that is served.
    """
    name = argument.name.lower()
    if name not in known:
        raise RefusedError(f"{of} with the date part {argument.name!r}", instead=f"Served are {', '.join(sorted(set(known.values())))}")
    return known[name]


def safe_pattern(argument: exp.Expr, *, of: str, is_search: bool = False) -> None:
    """Let only patterns pass that mean the same, and match the same, in Redshift's POSIX expressions and PostgreSQL's.

    Args:
        argument: The pattern.
        of: Function or operator, for the message.
        is_search: Whether it is only asked if it matches, not what.

    Raises:
        RefusedError: It could match otherwise.
    """
    if not isinstance(argument, exp.Literal) or not argument.is_string:
        raise RefusedError(f"{of} with a pattern that is not a literal", instead="Write the pattern into the statement")
    pattern = argument.name
    if re.search(r"\\[^dDwWsS.^$*+?()\[\]{}|/\\-]|\(\?|[*+?}][?+*]", pattern):
        raise RefusedError(f"{of} with the pattern {pattern!r}", instead=_PATTERNS)
    if not is_search and re.search(r"(?<!\\)\||\)[*+?{]", pattern):
        raise RefusedError(f"{of} with the pattern {pattern!r}", instead=_PATTERNS + "; alternatives and repeated groups only with ~")


_PATTERNS = "Served are characters, classes, anchors, groups, greedy quantifiers, \\\\d \\\\w \\\\s and escaped signs"

# ---- builders ------------------------------------------------------------------------------------------------------------


def _native(name: str) -> Build:
    return lambda arguments: call(name, *arguments)


def _own(name: str) -> Build:
    return lambda arguments: call(f"_rs.{name}", *arguments)


def _double(name: str) -> Build:
    return lambda arguments: call(name, *(as_type(argument, "float8") for argument in arguments))


def _dated(name: str, parts: Mapping[str, str], *, of: str) -> Build:
    return lambda arguments: call(f"_rs.{name}", text(part_name(arguments[0], parts, of=of)), *arguments[1:])


def _date_part(arguments: Arguments) -> exp.Expr:
    part = part_name(arguments[0], EXTRACTED, of="DATE_PART")
    return as_type(exp.Extract(this=exp.var(part), expression=_moment(arguments[1])), "float8")


def _year(arguments: Arguments) -> exp.Expr:
    return as_type(exp.Extract(this=exp.var("year"), expression=_moment(arguments[0])), "int")


def _moment(argument: exp.Expr) -> exp.Expr:
    return as_type(argument, "timestamp") if isinstance(argument, exp.Literal) else argument


def _coalesce(arguments: Arguments) -> exp.Expr:
    return exp.Coalesce(this=arguments[0], expressions=list(arguments[1:]))


def _nvl2(arguments: Arguments) -> exp.Expr:
    is_set = exp.Not(this=exp.Is(this=arguments[0], expression=exp.Null()))
    return exp.Case(ifs=[exp.If(this=is_set, true=arguments[1])], default=arguments[2])


def _decode(arguments: Arguments) -> exp.Expr:
    """A CASE in which NULL equals NULL, as it does in DECODE."""
    value, rest = arguments[0], list(arguments[1:])
    default = rest.pop() if len(rest) % 2 else None
    pairs = [
        exp.If(this=exp.NullSafeEQ(this=value.copy(), expression=rest[at]), true=rest[at + 1]) for at in range(0, len(rest), 2)
    ]  # fmt: skip
    return exp.Case(ifs=pairs, default=default)


def _concat(arguments: Arguments) -> exp.Expr:
    return exp.Paren(this=exp.DPipe(this=arguments[0], expression=arguments[1]))


def _average(arguments: Arguments) -> exp.Expr:
    return call("_rs.quotient", call("_rs.sum", *arguments), call("count", *(argument.copy() for argument in arguments)))


def _position(arguments: Arguments) -> exp.Expr:
    return call("strpos", arguments[1], arguments[0])


def _convert_timezone(arguments: Arguments) -> exp.Expr:
    zones = list(arguments[:-1]) if len(arguments) == 3 else [text("UTC"), arguments[0]]
    return call("_rs.convert_timezone", *zones, arguments[-1])


_PLAIN_FORMAT = re.compile(
    r"YYYY|MM|DD|HH24|HH12|HH|MI|SS|US|MS|MONTH|Month|month|MON|Mon|mon|DAY|Day|day|DY|Dy|dy|Q|AM|PM|[-/.,:; ]|\"[^\"]*\"|T(?=HH24)"
)


def _formatted(name: str, *, value: str) -> Build:
    def build(arguments: Arguments) -> exp.Expr:
        given = arguments[1]
        is_strict = arguments[2] if len(arguments) == 3 else exp.false()
        if not isinstance(is_strict, exp.Boolean):
            raise RefusedError(f"{name.upper()} with a third argument that is not TRUE or FALSE", instead="Write TRUE or FALSE")
        if not isinstance(given, exp.Literal) or not given.is_string or _PLAIN_FORMAT.sub("", given.name):
            raise RefusedError(
                f"{name.upper()} with the format {given.name or given.sql()!r}",
                instead="Served are YYYY MM DD HH24 HH12 MI SS MS US Q MON MONTH DY DAY AM PM and signs between them",
            )
        fitting = re.sub(r"T(?=HH24)", '"T"', given.name)
        called = name if value or is_strict.this else f"_rs.{name}"
        return call(called, as_type(arguments[0], value) if value else arguments[0], text(fitting))

    return build


def _regexp(name: str, *, most: int) -> Function:
    def build(arguments: Arguments) -> exp.Expr:
        safe_pattern(arguments[1], of=name.upper())
        return call(name, *arguments)

    return Function(build=build, least=2, most=most)


def _regexp_substr(arguments: Arguments) -> exp.Expr:
    safe_pattern(arguments[1], of="REGEXP_SUBSTR")
    return call("_rs.regexp_substr", *arguments, *[number(1)] * (4 - len(arguments)))


def _regexp_replace(arguments: Arguments) -> exp.Expr:
    safe_pattern(arguments[1], of="REGEXP_REPLACE")
    replacement = arguments[2] if len(arguments) == 3 else text("")
    if not isinstance(replacement, exp.Literal) or re.search(r"[\\$&]", replacement.name):
        raise RefusedError("REGEXP_REPLACE with a replacement that refers to the match", instead="Give a plain string")
    return call("regexp_replace", arguments[0], arguments[1], replacement, text("g"))


def _json_path(arguments: Arguments) -> exp.Expr:
    silent = isinstance(arguments[-1], exp.Boolean)
    path = arguments[1:-1] if silent else arguments[1:]
    if not path:
        raise SqlError("function json_extract_path_text(character varying, boolean) does not exist")
    return call("_rs.json_path", arguments[0], arguments[-1] if silent else exp.false(), *path)


def _silent(name: str, *, arguments_before: int) -> Build:
    return lambda arguments: call(name, *arguments, *([] if len(arguments) > arguments_before else [exp.false()]))


def _f(build: Build, least: int, most: int | None = None) -> Function:
    return Function(build=build, least=least, most=least if most is None else most)


FUNCTIONS: Mapping[str, Function] = {
    # aggregates
    "any_value": _f(_native("any_value"), 1),
    "avg": _f(_average, 1),
    "bool_and": _f(_native("bool_and"), 1),
    "bool_or": _f(_native("bool_or"), 1),
    "count": _f(_native("count"), 1),
    "max": _f(_native("max"), 1),
    "median": _f(_own("median"), 1),
    "min": _f(_native("min"), 1),
    **{name: _f(_double(name), 1) for name in ("stddev", "stddev_pop", "stddev_samp", "var_pop", "var_samp", "variance")},
    "sum": _f(_own("sum"), 1),
    # windows
    "cume_dist": _f(_native("cume_dist"), 0),
    "dense_rank": _f(_native("dense_rank"), 0),
    "first_value": _f(_native("first_value"), 1),
    "lag": _f(_native("lag"), 1, 2),
    "last_value": _f(_native("last_value"), 1),
    "lead": _f(_native("lead"), 1, 2),
    "nth_value": _f(_native("nth_value"), 2),
    "ntile": _f(_native("ntile"), 1),
    "percent_rank": _f(_native("percent_rank"), 0),
    "rank": _f(_native("rank"), 0),
    "ratio_to_report": _f(_native("ratio_to_report"), 1),
    "row_number": _f(_native("row_number"), 0),
    # conditions
    "grouping": _f(_native("grouping"), 1),
    "coalesce": _f(_coalesce, 1, -1),
    "decode": _f(_decode, 3, -1),
    "greatest": _f(_native("greatest"), 1, -1),
    "least": _f(_native("least"), 1, -1),
    "nullif": _f(_native("nullif"), 2),
    "nvl": _f(_coalesce, 1, -1),
    "nvl2": _f(_nvl2, 3),
    # dates
    "add_months": _f(_own("add_months"), 2),
    "convert_timezone": _f(_convert_timezone, 2, 3),
    "date_part": _f(_date_part, 2),
    "date_part_year": _f(_year, 1),
    "date_trunc": _f(_dated("date_trunc", {n: p for n, p in DATE_PARTS.items() if p in TRUNCATED}, of="DATE_TRUNC"), 2),
    "dateadd": _f(_dated("dateadd", DATE_PARTS, of="DATEADD"), 3),
    "date_add": _f(_dated("dateadd", DATE_PARTS, of="DATE_ADD"), 3),
    "datediff": _f(_dated("datediff", DATE_PARTS, of="DATEDIFF"), 3),
    "date_diff": _f(_dated("datediff", DATE_PARTS, of="DATE_DIFF"), 3),
    "getdate": _f(_own("getdate"), 0),
    "last_day": _f(_own("last_day"), 1),
    "months_between": _f(_own("months_between"), 2),
    "next_day": _f(_own("next_day"), 2),
    "to_char": _f(_formatted("to_char", value="timestamp"), 2),
    "to_date": _f(_formatted("to_date", value=""), 2, 3),
    "to_timestamp": _f(_formatted("to_timestamp", value=""), 2, 3),
    # numbers
    "abs": _f(_native("abs"), 1),
    "ceil": _f(_own("ceil"), 1),
    "ceiling": _f(_own("ceil"), 1),
    **{name: _f(_double(name), 1) for name in ("acos", "asin", "atan", "cos", "cot", "degrees", "exp", "ln", "radians", "sin", "sqrt", "tan", "cbrt")},
    "atan2": _f(_double("atan2"), 2),
    "floor": _f(_own("floor"), 1),
    "log": _f(_double("log"), 1),
    "mod": _f(_native("mod"), 2),
    "pi": _f(_native("pi"), 0),
    "power": _f(_double("power"), 2),
    "pow": _f(_double("power"), 2),
    "random": _f(_native("random"), 0),
    "round": _f(_own("round"), 1, 2),
    "sign": _f(_own("sign"), 1),
    "trunc": _f(_own("trunc"), 1, 2),
    # text
    "ascii": _f(_native("ascii"), 1),
    "btrim": _f(_native("btrim"), 1, 2),
    "char_length": _f(_native("length"), 1),
    "character_length": _f(_native("length"), 1),
    "charindex": _f(_position, 2),
    "chr": _f(_native("chr"), 1),
    "concat": _f(_concat, 2),
    "initcap": _f(_native("initcap"), 1),
    "left": _f(_own("left"), 2),
    "len": _f(_native("length"), 1),
    "length": _f(_native("length"), 1),
    "lower": _f(_native("lower"), 1),
    "lpad": _f(_native("lpad"), 2, 3),
    "ltrim": _f(_native("ltrim"), 1, 2),
    "md5": _f(_native("md5"), 1),
    "regexp_count": _regexp("regexp_count", most=3),
    "regexp_instr": _regexp("regexp_instr", most=4),
    "regexp_replace": _f(_regexp_replace, 2, 3),
    "regexp_substr": _f(_regexp_substr, 2, 4),
    "repeat": _f(_native("repeat"), 2),
    "replace": _f(_native("replace"), 3),
    "replicate": _f(_native("repeat"), 2),
    "reverse": _f(_native("reverse"), 1),
    "right": _f(_own("right"), 2),
    "rpad": _f(_native("rpad"), 2, 3),
    "rtrim": _f(_native("rtrim"), 1, 2),
    "sha2": _f(_own("sha2"), 2),
    "split_part": _f(_own("split_part"), 3),
    "strpos": _f(_native("strpos"), 2),
    "strtol": _f(_own("strtol"), 2),
    "substr": _f(_native("substr"), 2, 3),
    "substring": _f(_native("substr"), 2, 3),
    "textlen": _f(_native("length"), 1),
    "translate": _f(_native("translate"), 3),
    "upper": _f(_native("upper"), 1),
    # JSON in text
    "is_valid_json": _f(_own("is_valid_json"), 1),
    "json_array_length": _f(_silent("_rs.json_length", arguments_before=1), 1, 2),
    "json_extract_array_element_text": _f(_silent("_rs.json_element", arguments_before=2), 2, 3),
    "json_extract_path_text": _f(_json_path, 2, 7),
    # who
    "current_database": _f(_native("current_database"), 0),
    "current_schema": _f(_native("current_schema"), 0),
}  # fmt: skip
"""Redshift's names, in lower case."""


def build(name: str, arguments: Arguments) -> exp.Expr:
    """What a call becomes.

    Raises:
        RefusedError: The function is not served.
        SqlError: It is not called with so many arguments.
    """
    found = FUNCTIONS.get(name)
    if found is None:
        raise RefusedError(f"the function {name.upper()}", instead=f"Served are {', '.join(sorted(each.upper() for each in FUNCTIONS))}")
    if len(arguments) < found.least or (found.most >= 0 and len(arguments) > found.most):
        raise SqlError(f"function {name} does not exist with {len(arguments)} arguments")
    return found.build(arguments)
