"""Athena's results: values as Athena writes them, the CSV object, and its pages."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from local.engines.trino import Column

_CELL = re.compile(r'"((?:[^"]|"")*)"|([^",\n]*)')
_BASES = {"timestamp with time zone", "time with time zone", "double precision"}
_PRECISIONS = {
    "integer": 10, "bigint": 19, "smallint": 5, "tinyint": 3, "double": 17, "real": 17, "varchar": 2147483647, "char": 0,
    "timestamp": 3, "timestamp with time zone": 3, "varbinary": 1073741824,
}  # fmt: skip


def text_of(value: Any, signature: Mapping[str, Any]) -> str | None:
    """A value of Trino's protocol as Athena's text; None for NULL."""
    if value is None:
        return None
    kind = str(signature.get("rawType", ""))
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind == "varbinary":
        return " ".join(f"{byte:02x}" for byte in base64.b64decode(value))
    if kind in {"double", "real"}:
        return _double(value, single=kind == "real")
    inner = [argument["value"] for argument in signature.get("arguments", [])]
    if kind == "array":
        return "[" + ", ".join(_nested(item, inner[0]) for item in value) + "]"
    if kind == "map":
        return "{" + ", ".join(f"{_nested(key, inner[0])}={_nested(item, inner[1])}" for key, item in value.items()) + "}"
    if kind == "row":
        return "{" + ", ".join(_field(item, field, number) for number, (item, field) in enumerate(zip(value, inner, strict=True))) + "}"
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return str(value)


def column_info(column: Column) -> dict[str, Any]:
    """A column as GetQueryResults describes it."""
    kind = str(column.signature.get("rawType") or column.type).lower()
    base = kind if kind in _BASES else kind.split("(")[0]
    precision, scale = _PRECISIONS.get(base, 0), 0
    numbers = [int(argument["value"]) for argument in column.signature.get("arguments", []) if argument.get("kind") == "LONG"]
    if base == "decimal" and len(numbers) == 2:
        precision, scale = numbers
    elif base in {"varchar", "char"} and numbers:
        precision = min(numbers[0], 2147483647)
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": column.name,
        "Label": column.name,
        "Type": base,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": base in {"varchar", "char"},
    }


def csv_line(cells: Sequence[str | None]) -> str:
    """A line of the CSV object: every value quoted, NULL empty and unquoted, so that it differs from an empty text."""
    return ",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in cells) + "\n"


def read_csv(text: str) -> Iterator[list[str | None]]:
    """Lines of such an object."""
    place, row = 0, []
    while place < len(text):
        match = _CELL.match(text, place)
        if match is None:
            raise ValueError(f"malformed result object at {place}")
        row.append(match[1].replace('""', '"') if match[1] is not None else None if match[2] == "" else match[2])
        place = match.end()
        end = text[place : place + 1]
        place += 1
        if end != ",":
            yield row
            row = []


def utility_text(rows: Sequence[Sequence[str | None]]) -> str:
    """The text object of a SHOW or DESCRIBE: columns by tab, without a header."""
    written = io.StringIO()
    csv.writer(written, delimiter="\t", quoting=csv.QUOTE_NONE, escapechar="\\", lineterminator="\n").writerows(
        [["" if cell is None else cell for cell in row] for row in rows]
    )
    return written.getvalue()


def _nested(value: Any, signature: Mapping[str, Any]) -> str:
    return text_of(value, signature) if value is not None else "null"  # type: ignore[return-value]


def _field(value: Any, field: Mapping[str, Any], number: int) -> str:
    name = (field.get("fieldName") or {}).get("name") or f"field{number}"
    signature = field.get("typeSignature") or {}
    if isinstance(signature, str):
        signature = {"rawType": signature}
    return f"{name}={_nested(value, signature)}"


def _double(value: Any, *, single: bool) -> str:
    """A floating-point number as Java writes it."""
    number = float(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "-0.0" if math.copysign(1, number) < 0 else "0.0"
    digits = f"{number:.9g}" if single else repr(number)
    mantissa, exponent = f"{float(digits):.17e}".split("e") if single else _scientific(number)
    if 1e-3 <= abs(number) < 1e7:
        plain = f"{float(digits):f}" if "e" in digits else digits
        return plain if "." in plain else f"{plain}.0"
    if single:
        mantissa, exponent = _scientific(float(digits))
    return f"{mantissa}E{int(exponent)}"


def _scientific(number: float) -> tuple[str, str]:
    shortest = repr(number)
    sign = "-" if shortest.startswith("-") else ""
    body = shortest.lstrip("-").lower()
    digits, _, exponent = body.partition("e")
    whole, _, fraction = digits.partition(".")
    power = int(exponent or 0) + len(whole) - 1
    figures = (whole + fraction).strip("0") if whole.strip("0") else fraction.lstrip("0").rstrip("0")
    if not whole.strip("0"):
        power = int(exponent or 0) - (len(fraction) - len(fraction.lstrip("0"))) - 1
    else:
        figures = (whole + fraction).rstrip("0")
    return f"{sign}{figures[0]}.{figures[1:] or '0'}", str(power)
