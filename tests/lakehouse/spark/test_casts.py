"""From text to types: what is taken, what is not, and that nothing is taken for something near it."""

import base64
import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.spark.casts import typed
from tests.lakehouse.spark.small_contract import column

pytestmark = pytest.mark.spark

CASES: list[tuple[str | dict[str, Any], str | None, dict[str, Any]]] = [
    (
        "long",
        None,
        {
            "12": 12, " 12 ": 12, "+5": 5, "-5": -5, "007": 7, "9223372036854775807": 9223372036854775807,
            "9223372036854775808": None, "12.0": None, "12.7": None, "1e3": None, "1 000": None, "1,000": None, "": None, "NaN": None,
            "\u0661\u0662": None, "\uff11": None, "0x10": None, "1L": None,
        },
    ),
    ("int", None, {"2147483647": 2147483647, "2147483648": None}),
    (
        "decimal(15, 2)",
        None,
        {
            "1": Decimal("1.00"), "1.5": Decimal("1.50"), " 1.50 ": Decimal("1.50"), "+5": Decimal("5.00"), "007.10": Decimal("7.10"),
            "1.500": Decimal("1.50"), ".5": Decimal("0.50"), "5.": Decimal("5.00"), "1e3": Decimal("1000.00"), "1.5E1": Decimal("15.00"),
            "1.505": None, "0.001": None, "1e-3": None, "9999999999999.99": Decimal("9999999999999.99"), "10000000000000.00": None,
            "NaN": None, "Infinity": None, "1,5": None, "1.2.3": None, "1d": None, "": None, "-": None, "\u0661\u0662": None, "1e999999999": None,
        },
    ),
    ("decimal(38, 0)", None, {"99999999999999999999999999999999999999": Decimal("9" * 38), "0.5": None, "1.0": Decimal(1)}),
    ("double", None, {"1.5": 1.5, "1e3": 1000.0, "Infinity": float("inf"), "1d": None, "1f": None, "0x1p3": None, "abc": None, "": None}),
    (
        "boolean",
        None,
        {"true": True, "T": True, "yes": True, "1": True, "FALSE": False, "n": False, "0": False, "2": None, "maybe": None, "": None},
    ),
    (
        "date",
        None,
        {
            "1998-02-03": dt.date(1998, 2, 3), "1998-02-30": None, "1998-2-3": None, "1998-02-3 ": None, "1998": None, "1998-02": None,
            "1998-02-03T00:00:00": None, " 1998-02-03": None, "+1998-02-0": None, "1998/02/03": None, "yesterday": None, "": None,
            "2000-02-29": dt.date(2000, 2, 29), "1900-02-29": None, "1998-2-3T1": None, "0001-01-01": dt.date(1, 1, 1),
        },
    ),
    ("date", "dd/MM/yyyy", {"03/02/1998": dt.date(1998, 2, 3), "30/02/1998": None, "3/2/1998": None, "1998-02-03": None}),
    (
        "timestamptz",
        None,
        {
            "2026-01-02T03:04:05Z": "2026-01-02 03:04:05", "2026-01-02 03:04:05+02:00": "2026-01-02 01:04:05",
            "2026-01-02T03:04:05.123456Z": "2026-01-02 03:04:05.123456", "2026-01-02T03:04:05": "2026-01-02 03:04:05",
            "2026-01-02T03:04": "2026-01-02 03:04:00", "2026-01-02T03:04:05.1234567Z": None, "2026-01-02": None, "12:30": None,
            "T12:30": None, "2026-01-02T25:00:00Z": None, "2026-01-02T03:04:05 Europe/Berlin": None, "": None,
        },
    ),
    (
        "timestamp",
        None,
        {"2026-01-02T03:04:05": "2026-01-02 03:04:05", "2026-01-02T03:04:05Z": None, "2026-01-02T03:04:05+02:00": None, "2026-02-30T00:00:00": None},
    ),
    ("timestamptz", "yyyyMMdd HHmmss", {"20260102 030405": "2026-01-02 03:04:05", "2026-01-02T03:04:05Z": None}),
    ("binary", None, {base64.b64encode(b"\x00\xff").decode(): bytearray(b"\x00\xff"), "*": None}),
    ("string", None, {" a ": " a ", "": ""}),
    (
        {
            "type": "struct",
            "fields": [
                {"id": 1, "name": "a", "required": False, "type": "int"},
                {"id": 2, "name": "b", "required": False, "type": {"type": "list", "element-id": 3, "element": "string", "element-required": False}},
            ],
        },
        None,
        {'{"a": 1, "b": ["x"]}': (1, ["x"]), '{"a": "x"}': None, "{": None, "": None, "{}": (None, None)},
    ),
    (
        {"type": "map", "key-id": 1, "key": "string", "value-id": 2, "value": "long", "value-required": False},
        None,
        {'{"a": 1}': {"a": 1}, '{"a": "x"}': None, "[1]": None},
    ),
]  # fmt: skip


def test_every_text_becomes_its_exact_value_or_none(spark: SparkSession) -> None:
    wrong: list[str] = []
    for type_, pattern, cases in CASES:
        rows = spark.createDataFrame([(text,) for text in cases], "x string")
        value = typed(column("x", type_, format=pattern))
        shown = value.cast("string") if str(type_).startswith("timestamp") else value
        got = {row[0]: row[1] for row in rows.select("x", shown.alias("v")).collect()}
        for text, expected in cases.items():
            found = tuple(got[text]) if isinstance(expected, tuple) and got[text] is not None else got[text]
            if found != expected:
                wrong.append(f"{text!r} as {type_} {pattern or ''}: {found!r}, not {expected!r}")
    assert not wrong, "\n".join(wrong)


def test_nan_is_a_double(spark: SparkSession) -> None:
    row = spark.createDataFrame([("NaN",)], "x string").select(typed(column("x", "double"))).collect()[0]
    assert str(row[0]) == "nan"


def test_logic_is_computed_from_the_raw_columns_and_then_cast(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("a", " o "), ("b", None)], "x string, y string")
    upper = typed(column("z", "string", source=None, logic="upper(trim(y))"))
    length = typed(column("n", "int", source="y", logic="char_length(y)"))
    assert [tuple(row) for row in rows.select(upper, length).collect()] == [("O", 3), (None, None)]
