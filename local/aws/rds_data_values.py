"""Values of the local RDS Data API: parameters as PostgreSQL is given them, fields and metadata of a result as the API gives them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg

from local.aws.modelled_service import ServiceError

VARCHAR = 1043

_HINTED: Mapping[str, tuple[int, re.Pattern[str]]] = {
    "DATE": (1082, re.compile(r"\d{4}-\d{2}-\d{2}")),
    "DECIMAL": (1700, re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")),
    "JSON": (114, re.compile(r".*", re.DOTALL)),
    "TIME": (1083, re.compile(r"\d{2}:\d{2}:\d{2}(\.\d{1,6})?")),
    "TIMESTAMP": (1114, re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d{1,6})?")),
    "UUID": (2950, re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
}
"""Hint -> PostgreSQL's number of the type, and the form that its text has."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A parameter as PostgreSQL is given it.

    Attributes:
        type: PostgreSQL's number of its type; 0 = the database finds out.
        data: Its value as text, or as bytes if it is binary; None = NULL.
        is_binary: Whether it is bytes.
    """

    type: int
    data: bytes | None
    is_binary: bool = False


def bad_request(message: str) -> ServiceError:
    """A request that the Data API does not take."""
    return ServiceError("BadRequestException", message)


# ---- parameters --------------------------------------------------------------------------------------------------------

_PIECES = re.compile(
    r"""(?P<skip>'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|\$(?P<tag>[A-Za-z_]\w*)?\$.*?\$(?(tag)(?P=tag))\$|::|:=)|(?<![\w:]):(?P<name>[A-Za-z_]\w*)""",
    re.DOTALL,
)


def numbered(sql: str, parameters: Sequence[Mapping[str, Any]]) -> tuple[str, list[Bound]]:
    """A statement with `$1` for `:name`, and the values in their order; text, names in quotes, comments and casts stay as they are.

    Raises:
        ServiceError: A parameter that the text names is not given, or a value is none of its type.
    """
    values = {str(parameter.get("name", "")): bound(parameter) for parameter in parameters}
    places: dict[str, int] = {}

    def place(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return found[0]
        if name not in values:
            raise bad_request(f"Cannot find parameter: {name}")
        return f"${places.setdefault(name, len(places) + 1)}"

    text = _PIECES.sub(place, sql)
    return text, [values[name] for name in places]


def bound(parameter: Mapping[str, Any]) -> Bound:
    """A parameter of a request; text without a hint is text, which PostgreSQL compares to no date and no number.

    Raises:
        ServiceError: It has no value, is an array, or does not fit its hint.
    """
    name, value, hint = parameter.get("name", ""), parameter.get("value") or {}, parameter.get("typeHint")
    if len(value) != 1:
        raise bad_request(f"The parameter {name} must have one value, got {len(value)}")
    ((kind, content),) = value.items()
    if kind == "isNull" and content:
        return Bound(type=0, data=None)
    if hint is not None:
        number, form = _HINTED[hint]
        if kind != "stringValue" or not form.fullmatch(str(content)):
            raise bad_request(f"Cannot parse {hint} from the parameter {name}: {content!r}")
        return Bound(type=number, data=str(content).encode())
    match kind:
        case "booleanValue":
            return Bound(type=16, data=b"true" if content else b"false")
        case "longValue":
            return Bound(type=20, data=str(content).encode())
        case "doubleValue":
            return Bound(type=701, data=repr(float(content)).encode())
        case "stringValue":
            return Bound(type=VARCHAR, data=str(content).encode())
        case "blobValue":
            return Bound(type=17, data=_blob(content), is_binary=True)
        case "arrayValue":
            raise bad_request("Array parameters are not supported.")
        case _:
            raise bad_request(f"The parameter {name} has no value")


def _blob(content: Any) -> bytes:
    return content if isinstance(content, bytes) else base64.b64decode(content)


# ---- results -----------------------------------------------------------------------------------------------------------

_TYPES: Mapping[int, tuple[str, str, int]] = {
    16: ("bool", "boolean", -7), 17: ("bytea", "blob", -2), 18: ("char", "string", 1), 19: ("name", "string", 12), 20: ("int8", "long", -5),
    21: ("int2", "long", 5), 23: ("int4", "long", 4), 25: ("text", "string", 12), 114: ("json", "string", 1111), 650: ("cidr", "string", 1111),
    700: ("float4", "double", 7), 701: ("float8", "double", 8), 869: ("inet", "string", 1111), 1042: ("bpchar", "string", 1),
    1043: ("varchar", "string", 12), 1082: ("date", "string", 91), 1083: ("time", "string", 92), 1114: ("timestamp", "string", 93),
    1184: ("timestamptz", "string", 93), 1700: ("numeric", "decimal", 2), 2950: ("uuid", "string", 1111), 3802: ("jsonb", "string", 1111),
}  # fmt: skip
"""PostgreSQL's number of a type -> its name, the kind of its field, and JDBC's number of it."""

_ARRAYS: Mapping[int, int] = {
    1000: 16, 1005: 21, 1007: 23, 1016: 20, 1021: 700, 1022: 701, 1231: 1700, 1009: 25, 1015: 1043, 1014: 1042, 1003: 19, 1182: 1082,
    1183: 1083, 1115: 1114, 2951: 2950, 199: 114,
}  # fmt: skip
"""PostgreSQL's number of an array type -> that of its elements."""

_ARRAY_MEMBERS = {"boolean": "booleanValues", "long": "longValues", "double": "doubleValues"}
_JDBC_ARRAY = 2003


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a result, as PostgreSQL tells of it.

    Attributes:
        name: Its name.
        type: Number of its type.
        modifier: Modifier of the type, such as precision and scale.
        size: Bytes of a value; -1 = it varies.
        table: Number of the table that it comes from; 0 = of none.
        place: Its place in that table.
    """

    name: str
    type: int
    modifier: int
    size: int
    table: int
    place: int


@dataclass(frozen=True, kw_only=True)
class Options:
    """How numbers are given."""

    decimals: str = "STRING"
    longs: str = "LONG"


class Fields:
    """Fields of the rows of a result."""

    def __init__(self, columns: Sequence[Column], *, enums: frozenset[int], options: Options) -> None:
        """
        Args:
            columns: The columns.
            enums: Numbers of those types that are enumerations.
            options: How numbers are given.

        Raises:
            ServiceError: The Data API has no field for a column's type.
        """
        self._columns, self._options = columns, options
        self._enums = enums
        for column in columns:
            if column.type not in _TYPES and column.type not in _ARRAYS and column.type not in enums:
                raise ServiceError(
                    "UnsupportedResultException", f"The result contains the unsupported data type {type_name(column.type)}: cast it to text"
                )

    def record(self, row: Sequence[str | None]) -> list[dict[str, Any]]:
        """A row as fields."""
        return [self._field(column, value) for column, value in zip(self._columns, row, strict=True)]

    def plain(self, row: Sequence[str | None]) -> dict[str, Any]:
        """A row as JSON has it."""
        return {column.name: _json_value(field) for column, field in zip(self._columns, self.record(row), strict=True)}

    def _field(self, column: Column, value: str | None) -> dict[str, Any]:
        if value is None:
            return {"isNull": True}
        element = _ARRAYS.get(column.type)
        if element is None:
            kind, content = self._typed(column.type, value)
            return {f"{kind}Value": content}
        kind = self._kind(element)
        found = [None if each is None else self._typed(element, each)[1] for each in _elements(value)]
        return {"arrayValue": {_ARRAY_MEMBERS.get(kind, "stringValues"): found}}

    def _kind(self, type_: int) -> str:
        return "string" if type_ in self._enums or _TYPES[type_][1] == "decimal" else _TYPES[type_][1]

    def _typed(self, type_: int, value: str) -> tuple[str, Any]:
        """Kind and content of a field."""
        kind = "string" if type_ in self._enums else _TYPES[type_][1]
        match kind:
            case "boolean":
                return kind, value == "t"
            case "long" if self._options.longs == "LONG" or type_ != 20:
                return kind, int(value)
            case "double":
                return kind, float(value)
            case "blob":
                return kind, bytes.fromhex(value.removeprefix("\\x"))
            case "decimal" if self._options.decimals == "DOUBLE_OR_LONG":
                number = Decimal(value)
                return ("long", int(number)) if number == number.to_integral_value() else ("double", float(number))
            case _:
                # A moment with a zone is given in UTC, without it; the session's zone is UTC.
                return "string", value.removesuffix("+00") if type_ == 1184 else value


def metadata(columns: Sequence[Column], connection: psycopg.Connection[Any], enums: frozenset[int]) -> list[dict[str, Any]]:
    """Columns as the Data API tells of them."""
    known = _origins(columns, connection)
    found: list[dict[str, Any]] = []
    for column in columns:
        table, schema, is_required, is_automatic = known.get((column.table, column.place), ("", "", None, False))
        element = _ARRAYS.get(column.type, 0)
        precision, scale = _digits(column)
        found.append({
            "name": column.name, "label": column.name, "typeName": type_name(column.type), "type": _jdbc(column.type, enums), "tableName": table,
            "schemaName": schema, "nullable": 2 if is_required is None else int(not is_required), "isAutoIncrement": is_automatic,
            "isSigned": column.type in {20, 21, 23, 700, 701, 1700}, "isCurrency": False, "isCaseSensitive": column.type in {25, 1042, 1043, 19, 18},
            "precision": precision, "scale": scale, "arrayBaseColumnType": _jdbc(element, enums) if element else 0,
        })  # fmt: skip
    return found


def type_name(type_: int) -> str:
    """PostgreSQL's name of a type."""
    if type_ in _ARRAYS:
        return f"_{_TYPES[_ARRAYS[type_]][0]}"
    if type_ in _TYPES:
        return _TYPES[type_][0]
    known = psycopg.adapters.types.get(type_)
    return known.name if known is not None else f"number {type_}"


def _jdbc(type_: int, enums: frozenset[int]) -> int:
    if type_ in _ARRAYS:
        return _JDBC_ARRAY
    return 12 if type_ in enums else _TYPES[type_][2]


def _digits(column: Column) -> tuple[int, int]:
    if column.type == 1700 and column.modifier > 4:
        return (column.modifier - 4) >> 16, (column.modifier - 4) & 0xFFFF
    if column.type in {1042, 1043} and column.modifier > 4:
        return column.modifier - 4, 0
    return {16: 1, 21: 5, 23: 10, 20: 19, 700: 8, 701: 17, 1082: 13, 1083: 15, 1114: 29, 1184: 35}.get(column.type, 2**31 - 1), 0


def _origins(columns: Sequence[Column], connection: psycopg.Connection[Any]) -> dict[tuple[int, int], tuple[str, str, bool, bool]]:
    """Table, schema, whether it must be filled and whether it fills itself, of columns that come from tables."""
    tables = sorted({column.table for column in columns if column.table})
    if not tables:
        return {}
    rows = connection.execute(
        """
        SELECT a.attrelid::bigint, a.attnum, c.relname, n.nspname, a.attnotnull,
               a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%%', false)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = ANY(%s::oid[])
        """,
        (tables,),
    ).fetchall()
    return {(row[0], row[1]): (row[2], row[3], row[4], row[5]) for row in rows}


def _elements(text: str) -> list[str | None]:
    """Elements of an array as PostgreSQL writes it.

    Raises:
        ServiceError: It has several dimensions.
    """
    inner = text[1:-1]
    if text.startswith("[") or inner.startswith("{"):
        raise ServiceError("UnsupportedResultException", "The result contains a multidimensional array, which is not supported.")
    found: list[str | None] = []
    for piece in re.finditer(r'"((?:[^"\\]|\\.)*)"|([^,]+)', inner):
        quoted, bare = piece[1], piece[2]
        if quoted is not None:
            found.append(re.sub(r"\\(.)", r"\1", quoted))
        else:
            found.append(None if bare == "NULL" else bare)
    return found


def _json_value(field: Mapping[str, Any]) -> Any:
    ((kind, content),) = field.items()
    match kind:
        case "isNull":
            return None
        case "blobValue":
            return base64.b64encode(content).decode()
        case "arrayValue":
            return next(iter(content.values()))
        case _:
            return content


def size_of(rows: Sequence[Sequence[str | None]]) -> tuple[int, int]:
    """Bytes of all rows, and of the longest."""
    sizes = [sum(len(value.encode()) for value in row if value is not None) for row in rows]
    return sum(sizes), max(sizes, default=0)


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as one text of JSON."""
    return json.dumps(rows, separators=(",", ":"))
