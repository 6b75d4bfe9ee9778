"""From text to the types of a contract: a value that cannot be represented exactly becomes NULL, never something near it.

What is taken, by type; docs/jobs.md has the table with examples:

- integers: decimal digits with an optional sign, blanks around them; no fraction, no exponent.
- decimals: digits with an optional sign, point and exponent, ASCII only; more decimals than the column has only if they are zeros.
- float, double: the same, and NaN, Infinity, -Infinity.
- boolean: t, true, y, yes, 1 and f, false, n, no, 0, in any case.
- date: exactly the contract's format, yyyy-MM-dd if it names none; the day must exist.
- timestamps: exactly the contract's format, or ISO 8601 with date and time, at most six decimals of a second. A zone is allowed in `timestamptz`
  only; without one it is UTC.
- binary: base64. Structs, lists and maps: JSON that fits the type as a whole.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.contracts.model import Column as ContractColumn

_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_NUMBER = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_FLOAT = r"^\s*([+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|Infinity)|NaN)\s*$"
_ISO_TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?"
_ZONE = r" ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?$"
_ISO_DATE = "yyyy-MM-dd"
_WIDEST = 38
_EXPONENT_ROOM = 6  # digits that must be left beside a column's own to see whether 1.5e-3 fits it exactly; wider columns take no exponent
_SPARK_TYPES = {
    "boolean": "boolean",
    "int": "int",
    "long": "bigint",
    "float": "float",
    "double": "double",
    "date": "date",
    "string": "string",
    "binary": "binary",
    "timestamp": "timestamp_ntz",
    "timestamptz": "timestamp",
}


def typed(column: ContractColumn) -> Column:
    """The value of a contract column, from the raw columns; NULL if there is none or if it does not fit the type."""
    return _from_text(raw_value(column), column.type, column.format)


def value_of(text: str, column: ContractColumn) -> Column:
    """The value of a contract column that a person wrote as text, dates and timestamps in ISO 8601; NULL if it does not fit the type."""
    return _from_text(F.lit(text), column.type, None)


def raw_value(column: ContractColumn) -> Column:
    """What a contract column is made from, before the cast: its source, or its logic as text."""
    if column.logic is not None:
        return F.expr(f"CAST(({column.logic}) AS STRING)")
    if column.source is None:
        return F.lit(None).cast("string")
    return F.col(column.source)


def spark_type(type_: str | dict[str, Any]) -> str:
    """An Iceberg type in Spark's DDL."""
    if isinstance(type_, str):
        return _SPARK_TYPES.get(type_, type_)
    match type_["type"]:
        case "struct":
            return "struct<" + ", ".join(f"`{field['name']}`: {spark_type(field['type'])}" for field in type_["fields"]) + ">"
        case "list":
            return f"array<{spark_type(type_['element'])}>"
        case "map":
            return f"map<{spark_type(type_['key'])}, {spark_type(type_['value'])}>"
        case other:
            raise ValueError(
                f"no Spark type for the Iceberg type {json.dumps(other)}: known are {', '.join(_SPARK_TYPES)}, decimal, struct, list, map"
            )


def _from_text(text: Column, type_: str | dict[str, Any], pattern: str | None) -> Column:
    if isinstance(type_, dict):
        return _nested(text, type_)
    if found := _DECIMAL.fullmatch(type_):
        return _decimal(text, precision=int(found[1]), scale=int(found[2]))
    match type_:
        case "string":
            return text
        case "int" | "long" | "boolean":
            return text.try_cast(spark_type(type_))
        case "float" | "double":
            return F.when(text.rlike(_FLOAT), text.try_cast(type_))
        case "date":
            return _iso_date(text) if pattern in {None, _ISO_DATE} else F.try_to_timestamp(text, F.lit(pattern)).cast("date")
        case "timestamp":
            return _timestamp(text, pattern, with_zone=False)
        case "timestamptz":
            return _timestamp(text, pattern, with_zone=True)
        case "binary":
            return F.try_to_binary(text, F.lit("base64"))
        case other:
            raise ValueError(f"no cast from text to {other!r}: known are {', '.join(_SPARK_TYPES)}, decimal, struct, list, map")


def _decimal(text: Column, *, precision: int, scale: int) -> Column:
    # try_cast rounds 1.005 to 1.01 silently. Most values are settled by the length of what follows the point, without a pattern.
    value = text.try_cast(f"decimal({precision},{scale})")
    ascii_only = F.octet_length(text) == F.char_length(text)
    point = F.instr(text, ".")
    has_exponent = F.contains(text, F.lit("e")) | F.contains(text, F.lit("E"))
    is_short = ((point == 0) | (F.octet_length(text) - point <= scale)) & ~has_exponent
    is_exact = text.rlike(rf"^\s*[+-]?[0-9]*\.?[0-9]{{0,{scale}}}0*\s*$")
    if (spare := _WIDEST - precision) >= _EXPONENT_ROOM:
        is_exact |= text.rlike(_NUMBER) & (text.try_cast(f"decimal({_WIDEST},{scale + spare})") == value)
    return F.when(ascii_only & (is_short | is_exact), value)


def _iso_date(text: Column) -> Column:
    # Spark's cast also takes 1998, 1998-2-3 and 1998-02-3T...: the places of the dashes and of the last digit leave exactly yyyy-MM-dd.
    has_form = (
        (F.octet_length(text) == 10)
        & (F.substring(text, 5, 1) == "-")
        & (F.substring(text, 8, 1) == "-")
        & F.substring(text, 10, 1).between("0", "9")
    )
    return F.when(has_form, text.try_cast("date"))


def _timestamp(text: Column, pattern: str | None, *, with_zone: bool) -> Column:
    target = "timestamp" if with_zone else "timestamp_ntz"
    if pattern is not None:
        return F.try_to_timestamp(text, F.lit(pattern)).cast(target)
    return F.when(text.rlike(_ISO_TIMESTAMP + (_ZONE if with_zone else "$")), text.try_cast(target))


def _nested(text: Column, type_: dict[str, Any]) -> Column:
    schema = f"struct<v: {spark_type(type_)}, _corrupt: string>"
    options = {"columnNameOfCorruptRecord": "_corrupt"}
    parsed = F.from_json(F.concat(F.lit('{"v":'), text, F.lit("}")), schema, options)
    return F.when(parsed["_corrupt"].isNull(), parsed["v"])
