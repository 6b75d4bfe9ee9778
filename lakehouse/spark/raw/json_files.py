"""JSON files, one document a line, as bronze rows: values as text, nested values as JSON text, lines that are no document kept as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import EXTRA_COLUMN, RECORD_COLUMN
from lakehouse.spark.raw.csv_files import ERROR_KEY, MESSAGE_KEY
from lakehouse.spark.raw.records import FILE_NAME, LINE, PLACE, TextProfile, is_blank, read_lines, with_place, without_return
from lakehouse.spark.raw.staging import StagedFile

_MARK = "\ue000"
"""Character for private use, put around numbers while Spark parses: it would rewrite 1.10 as 1.1 and round what a double cannot hold."""

_NUMBER = r'\G((?:[^"0-9-]++|"(?:[^"\\]++|\\.)*+")*+)(-?[0-9][0-9.eE+-]*+)'
_ROW = "_row"


def read_json(
    spark: SparkSession, files: Sequence[StagedFile], *, profiles: Mapping[int, TextProfile], contract: CompiledContract
) -> DataFrame:
    """Records of JSON files.

    Returns:
        The raw columns (string), `_extra`, `_record`, `_file_name`, `_row`.
    """
    lines = (
        with_place(read_lines(spark, files), profiles, files).withColumn(LINE, without_return(F.col(LINE))).where(~is_blank(F.col(LINE)))
    )
    line = F.col(LINE)
    # In brackets, a second document on the line, or anything else after the first, makes the whole malformed.
    parsed = F.from_json(F.concat(F.lit("["), _with_marked_numbers(line), F.lit("]")), "array<map<string,string>>", {"mode": "PERMISSIVE"})
    document = F.when(F.is_valid_utf8(line) & F.startswith(F.ltrim(line), F.lit("{")) & (F.size(parsed) == 1), F.get(parsed, F.lit(0)))
    read = lines.withColumn("_values", document)
    known = [column.name for column in contract.raw]
    is_unread = F.col("_values").isNull()
    extras = F.map_filter("_values", lambda name, value: ~name.isin(known) & value.isNotNull())
    shown = F.transform_values(extras, lambda _, value: _unmarked(value))
    code = F.when(F.is_valid_utf8(line), "unparseable_record").otherwise("invalid_encoding")
    message = F.when(F.is_valid_utf8(line), "not one JSON object").otherwise("bytes that are not UTF-8")
    return read.select(
        *(_unmarked(F.element_at("_values", name)).alias(name) for name in known),
        F.when(is_unread, F.create_map(F.lit(ERROR_KEY), code, F.lit(MESSAGE_KEY), message))
        .when(F.size(shown) > 0, shown)
        .alias(EXTRA_COLUMN),
        F.when(is_unread, line.cast("binary")).alias(RECORD_COLUMN),
        FILE_NAME,
        (F.col(PLACE) + 1).alias(_ROW),
    )


def _with_marked_numbers(line: Column) -> Column:
    return F.regexp_replace(line, F.lit("(?s)" + _NUMBER), F.lit(f'$1"{_MARK}$2{_MARK}"'))


def _unmarked(value: Column) -> Column:
    plain = F.replace(F.replace(value, F.lit(f'"{_MARK}'), F.lit("")), F.lit(f'{_MARK}"'), F.lit(""))
    return F.replace(plain, F.lit(_MARK), F.lit(""))
