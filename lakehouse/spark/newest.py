"""The newest row of each key: the order of rows, who wins, and who only repeats or contradicts the winner."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.contracts.model import CompiledContract

STANDING = "_standing"
"""Column that `with_standing` adds: `newest`, `superseded` or `conflict`."""

NEWEST, SUPERSEDED, CONFLICT = "newest", "superseded", "conflict"

_CONTENT_OPTIONS = {
    "ignoreNullFields": "false",
    # By default JSON keeps milliseconds only, and rows that differ in less would seem equal.
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
}

ARRIVAL_ORDER = ("_sequence", "_row", "_source_file", "_source_version")
"""What decides between rows of a key once `sequence_by` does not; two records never agree on all four."""


def order_columns(contract: CompiledContract) -> tuple[str, ...]:
    """Columns by which the larger row is the newer one, the strongest first; NULL is the smallest."""
    first = () if contract.write.sequence_by is None else (contract.write.sequence_by,)
    return (*first, *ARRIVAL_ORDER)


def with_standing(rows: DataFrame, contract: CompiledContract) -> DataFrame:
    """Tell the newest row of each key from the others.

    Rows of one file version that agree in key and `sequence_by` name no order: the last of them stands for them, a row equal to it is superseded, and a
    row that says something else is a conflict. Of what stands, the newest by `order_columns` wins, the others are superseded.

    Args:
        rows: Typed good rows.
        contract: Their contract.

    Returns:
        The rows with `_standing`.
    """
    order = [F.col(name).desc_nulls_last() for name in order_columns(contract)]
    same_moment = [*contract.keys, *order_columns(contract)[: -len(ARRIVAL_ORDER)], "_source_file", "_source_version"]
    of_key = Window.partitionBy(*contract.keys).orderBy(*order)
    of_moment = Window.partitionBy(*same_moment).orderBy(F.col("_row").desc())
    return (
        rows.withColumn("_content", content(contract))
        .withColumn("_last", F.first("_content").over(of_moment))
        .withColumn("_place", F.row_number().over(of_key))
        .withColumn(
            STANDING,
            F.when(F.col("_place") == 1, NEWEST).when(F.col("_content") == F.col("_last"), SUPERSEDED).otherwise(CONFLICT),
        )
        .drop("_content", "_last", "_place")
    )


def content(contract: CompiledContract) -> Column:
    """What a typed row says, as text: rows that agree in every column of the contract have equal texts."""
    return F.to_json(F.struct(*(column.name for column in contract.columns)), _CONTENT_OPTIONS)


def is_newer(*, left: str, right: str, contract: CompiledContract) -> Column:
    """Whether the row of one alias is newer than that of another."""
    return _order(left, order_columns(contract)) > _order(right, order_columns(contract))


def newer_condition(*, left: str, right: str, contract: CompiledContract) -> str:
    """The same as SQL text, for a MERGE."""
    names = order_columns(contract)
    return f"struct({_listed(left, names)}) > struct({_listed(right, names)})"


def same_key(*, left: str, right: str, contract: CompiledContract) -> str:
    """SQL condition that two aliases hold the same key."""
    return " AND ".join(f"{left}.`{key}` = {right}.`{key}`" for key in contract.keys)


def _order(alias: str, names: Sequence[str]) -> Column:
    return F.struct(*(F.col(f"{alias}.{name}") for name in names))


def _listed(alias: str, names: Sequence[str]) -> str:
    return ", ".join(f"{alias}.`{name}`" for name in names)
