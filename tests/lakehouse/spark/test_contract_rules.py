"""Rules and types of contracts as real Spark understands them."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as T

from lakehouse.contracts.compiler.project import compile_contracts
from lakehouse.contracts.compiler.spark_functions import NOT_REPEATABLE, RAISING, SPARK_FUNCTIONS
from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.predicates import holds, query, row_predicate
from lakehouse.contracts.tables import tables_of
from lakehouse.spark.schema import contract_schema, spark_type, table_schema

EXAMPLES = Path(__file__).resolve().parents[1] / "contracts" / "examples"
GOOD: dict[str, Any] = {
    "order_id": 1,
    "customer_id": 7,
    "order_status": "F",
    "total_price": Decimal("10.50"),
    "order_date": date(1995, 3, 1),
    "clerk_email": "a@b",
    "weight": 1.5,
    "parcels": 3,
    "token": Decimal(18446744073709551615),
    "is_gift": True,
    "label": bytearray(b"\xff"),
    "shipping": {"city": None, "zip": "1"},
    "lines": [{"sku": "a", "qty": None}],
    "attributes": {"a": None},
    "placed_at": None,
    "updated_at": datetime(2020, 1, 1, tzinfo=UTC),
    "full_name": None,
}
"""A row of sales.orders that keeps every row rule."""


@pytest.fixture(scope="module")
def orders() -> CompiledContract:
    return compile_contracts(EXAMPLES)["sales.orders"]


def all_optional(schema: T.StructType) -> T.StructType:
    """The schema of rows before the gate, where anything may be missing."""

    def loose(type_: T.DataType) -> T.DataType:
        if isinstance(type_, T.StructType):
            return T.StructType([T.StructField(field.name, loose(field.dataType)) for field in type_.fields])
        if isinstance(type_, T.ArrayType):
            return T.ArrayType(loose(type_.elementType))
        return type_

    loosened = loose(schema)
    assert isinstance(loosened, T.StructType)
    return loosened


BROKEN: dict[str, dict[str, Any]] = {
    "order_id.not_null": {"order_id": None},
    "order_id.range": {"order_id": 0},
    "customer_id.not_null": {"customer_id": None},
    "status.not_null": {"order_status": None},
    "status.in_set": {"order_status": "X"},
    "status.length": {"order_status": "FO"},
    "total_price.range": {"total_price": Decimal("-0.01")},
    "order_date.not_null": {"order_date": None},
    "order_date.range": {"order_date": date(1991, 12, 31)},
    "clerk_email.pattern": {"clerk_email": "a@b\n"},
    "clerk_email.length": {"clerk_email": "@"},
    "clerk_email.clerk_given": {"clerk_email": "n/a@n/a"},
    "weight.range": {"weight": math.nan},
    "parcels.range": {"parcels": 256},
    "token.range": {"token": Decimal(-1)},
    "shipping.nested_not_null": {"shipping": {"city": "x", "zip": None}},
    "lines.nested_not_null": {"lines": [{"sku": "a", "qty": 1}, None]},
    "updated_at.not_null": {"updated_at": None},
    "updated_at.range": {"updated_at": datetime(1991, 12, 31, 23, 59, 59, tzinfo=UTC)},
    "fulfilled_priced": {"total_price": None},
}
"""A value that breaks each row rule."""


def test_every_row_rule_is_kept_by_a_good_row_and_broken_by_its_bad_one(spark: SparkSession, orders: CompiledContract) -> None:
    rules = [rule for rule in orders.quality.rules if rule.level == "row"]
    assert {rule.id for rule in rules} == set(BROKEN)
    rows = [{"_case": "good", **GOOD}, *({"_case": id_, **GOOD, **change} for id_, change in BROKEN.items())]
    schema = T.StructType([T.StructField("_case", T.StringType()), *all_optional(contract_schema(orders)).fields])
    judged = spark.createDataFrame(rows, schema).selectExpr("_case", *(f"{row_predicate(rule, orders)} AS `{rule.id}`" for rule in rules))
    verdicts = {row["_case"]: row for row in judged.collect()}
    for rule in rules:
        assert verdicts["good"][rule.id] is True, rule.id
        assert verdicts[rule.id][rule.id] is False, rule.id


def test_null_breaks_only_the_rules_that_ask_for_a_value(spark: SparkSession, orders: CompiledContract) -> None:
    rules = [rule for rule in orders.quality.rules if rule.level == "row"]
    empty = spark.createDataFrame([dict.fromkeys(GOOD)], all_optional(contract_schema(orders)))
    row = empty.selectExpr(*(f"{row_predicate(rule, orders)} AS `{rule.id}`" for rule in rules)).collect()[0]
    asks = {rule.id for rule in rules if rule.kind == "not_null"} | {"fulfilled_priced"}
    assert {rule.id for rule in rules if row[rule.id] is False} == asks
    assert all(row[rule.id] is not None for rule in rules)


def test_table_rules_measure_what_they_say(spark: SparkSession, orders: CompiledContract) -> None:
    rows = [
        {**GOOD, "order_id": 1, "customer_id": 1},
        {**GOOD, "order_id": 1, "customer_id": 1, "total_price": None},
        {**GOOD, "order_id": 2, "customer_id": 2, "order_status": "O", "order_date": date(1994, 1, 1), "token": None},
        {**GOOD, "order_id": 3, "customer_id": 9, "total_price": Decimal("2.50"), "token": None},
    ]
    spark.createDataFrame(rows, all_optional(contract_schema(orders))).createOrReplaceTempView("rules_judged")
    spark.createDataFrame([(1,), (2,)], "customer_id bigint").createOrReplaceTempView("rules_customers")
    measured = {
        rule.id: spark.sql(query(rule, orders, rows="rules_judged", other="rules_customers")).collect()[0][0]
        for rule in orders.quality.rules
        if rule.level == "table"
    }
    assert measured == {
        "total_price.price_nulls": 25.0,
        "total_price.price_odd": 2,
        "token.unique": 1,
        "rows": 4,
        "not_ten_rows": 4,
        "key_unique": 1,
        "few_repeats": 50.0,
        "stale_open": 1,
        "customer_exists": 1,
    }
    failing = {rule.id for rule in orders.quality.rules if rule.level == "table" and not holds(rule, measured[rule.id])}
    assert failing == {"total_price.price_nulls", "token.unique", "key_unique", "stale_open", "customer_exists"}


def test_percentages_of_no_rows_are_zero(spark: SparkSession, orders: CompiledContract) -> None:
    spark.createDataFrame([], all_optional(contract_schema(orders))).createOrReplaceTempView("rules_nothing")
    for id_ in ("total_price.price_nulls", "few_repeats"):
        rule = next(rule for rule in orders.quality.rules if rule.id == id_)
        assert spark.sql(query(rule, orders, rows="rules_nothing")).collect()[0][0] == 0.0


def test_iceberg_makes_the_tables_with_the_types_that_we_say(spark: SparkSession, orders: CompiledContract) -> None:
    for table in tables_of(orders):
        name = f"lake.rules_{table.dataset.table()}"
        spark.sql(f"CREATE NAMESPACE IF NOT EXISTS lake.rules_{table.zone}_{table.domain}")
        columns = ", ".join(
            f"`{field.name}` {field.dataType.simpleString()}{'' if field.nullable else ' NOT NULL'}" for field in table_schema(table).fields
        )
        spark.sql(f"CREATE TABLE {name} ({columns}) USING iceberg")
        loose = all_optional(table_schema(table)) if table.zone == "silver" else table_schema(table)
        made = spark.table(name).schema
        assert [(field.name, field.dataType.simpleString()) for field in made.fields] == [
            (field.name, field.dataType.simpleString()) for field in loose.fields
        ]
        spark.sql(f"DROP TABLE {name}")


@pytest.mark.parametrize("type_", ["uuid", "fixed[16]", "decimal", {"type": "union"}])
def test_a_type_that_spark_cannot_hold_is_told(type_: Any) -> None:
    with pytest.raises(ValueError, match="there is no Spark type for the Iceberg type"):
        spark_type(type_)


def test_the_list_of_functions_is_that_of_this_spark(spark: SparkSession) -> None:
    here = {row[0] for row in spark.sql("SHOW SYSTEM FUNCTIONS").collect()}
    assert {name for name in here if name.replace("_", "").isalnum() and name.islower()} == SPARK_FUNCTIONS
    assert NOT_REPEATABLE <= SPARK_FUNCTIONS
    assert set(RAISING) <= SPARK_FUNCTIONS
