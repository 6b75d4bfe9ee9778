"""Parquet files as bronze rows: every value as text, nested values as JSON text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, DataType, MapType, StructType, VariantType

from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import EXTRA_COLUMN, RECORD_COLUMN
from lakehouse.spark.raw.layout import Layout
from lakehouse.spark.raw.records import FILE_NAME, tasks_for
from lakehouse.spark.raw.staging import StagedFile

_JSON_OPTIONS = {
    # By default JSON keeps milliseconds only.
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss[.SSSSSS]XXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss[.SSSSSS]",
}


@dataclass(frozen=True, kw_only=True)
class ParquetProfile:
    """What the footer of a Parquet file tells.

    Attributes:
        schema: Its columns.
        rows: Its rows.
    """

    schema: StructType
    rows: int


def profile_parquet(spark: SparkSession, file: StagedFile) -> ParquetProfile:
    """Look at the footer of a Parquet file.

    Raises:
        PySparkException: It is no Parquet file, Spark cannot represent it, or it cannot be reached; `failures` tells which.
    """
    rows = spark.read.parquet(file.path)
    return ParquetProfile(schema=rows.schema, rows=rows.count())


def read_parquet(
    spark: SparkSession,
    files: Sequence[StagedFile],
    *,
    profiles: Mapping[int, ParquetProfile],
    layouts: Mapping[int, Layout],
    contract: CompiledContract,
) -> DataFrame:
    """Records of Parquet files.

    Returns:
        The raw columns (string), `_extra`, `_record` (NULL), `_file_name`, `_row`.
    """
    groups: dict[str, list[StagedFile]] = {}
    for file in files:
        groups.setdefault(profiles[file.index].schema.json(), []).append(file)
    frames = [
        _read_group(spark, group, schema=profiles[group[0].index].schema, layout=layouts[group[0].index], contract=contract)
        for group in groups.values()
    ]
    return reduce(DataFrame.unionByName, frames)


def _read_group(
    spark: SparkSession, files: Sequence[StagedFile], *, schema: StructType, layout: Layout, contract: CompiledContract
) -> DataFrame:
    types = {field.name: field.dataType for field in schema.fields}
    rows = spark.read.schema(schema).parquet(*(file.path for file in files))

    def value(name: str) -> Column:
        return _text(F.col(f"`{name.replace('`', '``')}`"), types[name]) if name in types else F.lit(None).cast("string")

    extras = layout.extras(contract)
    extra = F.lit(None).cast("map<string,string>")
    if extras:
        given = F.map_filter(
            F.create_map(*(part for name in extras for part in (F.lit(name), value(name)))), lambda _, text: text.isNotNull()
        )
        extra = F.when(F.size(given) > 0, given)
    return rows.select(
        *(value(column.name).alias(column.name) for column in contract.raw),
        extra.alias(EXTRA_COLUMN),
        F.lit(None).cast("binary").alias(RECORD_COLUMN),
        F.col("_metadata.file_name").alias(FILE_NAME),
        (F.col("_metadata.row_index") + 1).alias("_row"),
    ).coalesce(tasks_for(files))


def _text(value: Column, type_: DataType) -> Column:
    if isinstance(type_, (StructType, ArrayType, MapType, VariantType)):
        return F.to_json(value, _JSON_OPTIONS)
    if isinstance(type_, BinaryType):
        return F.when(F.is_valid_utf8(value.cast("string")), value.cast("string")).otherwise(F.base64(value))
    return value.cast("string")
