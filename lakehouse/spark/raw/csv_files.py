"""CSV files as bronze rows: one row a record, each value as text, records that cannot be read kept as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse.contracts.model import CompiledContract, Source
from lakehouse.contracts.tables import EXTRA_COLUMN, RECORD_COLUMN
from lakehouse.spark.raw import csv_text
from lakehouse.spark.raw.layout import Layout
from lakehouse.spark.raw.records import FILE_NAME, LINE, PLACE, TextProfile, is_blank, read_lines, with_place, without_return
from lakehouse.spark.raw.staging import StagedFile

ERROR_KEY = "_error"
"""Key in `_extra` of a record that could not be read: its reason code."""

MESSAGE_KEY = "_message"
"""Key in `_extra` of a record that could not be read: what is wrong with it."""

_CELLS = "_cells"
_ROW = "_row"
_PART = "_is_part"
_RECORD_FIRST = "_first"


def read_csv(
    spark: SparkSession,
    files: Sequence[StagedFile],
    *,
    profiles: Mapping[int, TextProfile],
    layouts: Mapping[int, Layout],
    contract: CompiledContract,
) -> DataFrame:
    """Records of CSV files.

    Args:
        spark: Session.
        files: The files.
        profiles: Profile of each, by index.
        layouts: Columns of each, by index.
        contract: Contract of the dataset.

    Returns:
        The raw columns (string), `_extra`, `_record`, `_file_name`, `_row`.
    """
    groups: dict[tuple[Layout, bool], list[StagedFile]] = {}
    for file in files:
        groups.setdefault((layouts[file.index], profiles[file.index].has_open_quotes), []).append(file)
    frames = [
        _read_group(spark, group, profiles=profiles, layout=layout, contract=contract, has_open_quotes=has_open)
        for (layout, has_open), group in groups.items()
    ]
    return reduce(DataFrame.unionByName, frames)


def _read_group(
    spark: SparkSession,
    files: Sequence[StagedFile],
    *,
    profiles: Mapping[int, TextProfile],
    layout: Layout,
    contract: CompiledContract,
    has_open_quotes: bool,
) -> DataFrame:
    source = contract.source
    assert source is not None
    lines = with_place(read_lines(spark, files), profiles, files)
    first_row = 1 if source.header else 0
    has_quotes = any(profiles[file.index].has_quotes for file in files)
    has_invalid = any(profiles[file.index].has_invalid_bytes for file in files)
    if has_open_quotes:
        records = _joined_lines(lines, source).withColumn(_ROW, F.col(PLACE) + (1 - first_row))
    else:
        records = (
            lines.withColumn(LINE, without_return(F.col(LINE)))
            .withColumn(_PART, F.lit(False))
            .withColumn(_ROW, F.col(PLACE) + (1 - first_row))
        )
    records = records.where((F.col(PLACE) >= first_row) & ~is_blank(F.col(LINE)))
    line = F.col(LINE)
    cells = csv_text.plain_cells(line, source)
    if has_quotes:
        # A line that a broken quote tore off its record is taken for a record only if it holds no quote itself.
        quoted = F.when(~F.col(_PART), csv_text.quoted_cells(line, source))
        cells = F.when(F.contains(line, F.lit(source.quote)), quoted).otherwise(cells)
    if has_invalid:
        cells = F.when(F.is_valid_utf8(line), cells)
    return _columns(records.withColumn(_CELLS, cells), layout=layout, contract=contract, has_quotes=has_quotes, has_invalid=has_invalid)


def _columns(records: DataFrame, *, layout: Layout, contract: CompiledContract, has_quotes: bool, has_invalid: bool) -> DataFrame:
    source = contract.source
    assert source is not None
    width = len(layout.columns)
    places = {name: place for place, name in enumerate(layout.columns)}
    fits = F.when(F.size(_CELLS) == width, F.col(_CELLS))
    fitted = records.withColumn("_fitted", fits)

    def value(name: str) -> Column:
        if name not in places:
            return F.lit(None).cast("string")
        return csv_text.cell_value(F.get("_fitted", F.lit(places[name])), source, may_be_quoted=has_quotes)

    is_unread = F.col("_fitted").isNull()
    extras = layout.extras(contract)
    known = F.lit(None).cast("map<string,string>")
    if extras:
        given = F.map_filter(
            F.create_map(*(part for name in extras for part in (F.lit(name), value(name)))), lambda _, text: text.isNotNull()
        )
        known = F.when(F.size(given) > 0, given)
    return fitted.select(
        *(value(column.name).alias(column.name) for column in contract.raw),
        F.when(is_unread, _error(width=width, has_invalid=has_invalid)).otherwise(known).alias(EXTRA_COLUMN),
        F.when(is_unread, F.col(LINE).cast("binary")).alias(RECORD_COLUMN),
        FILE_NAME,
        _ROW,
    )


def _error(*, width: int, has_invalid: bool) -> Column:
    is_malformed = F.col(_CELLS).isNull()
    code = F.when(is_malformed, "unparseable_record").otherwise("column_count")
    message = F.when(is_malformed, "a quote opens or closes where none may").otherwise(
        F.concat(F.size(_CELLS).cast("string"), F.lit(f" values, the file has {width} columns"))
    )
    if has_invalid:
        is_invalid = ~F.is_valid_utf8(LINE)
        code = F.when(is_invalid, "invalid_encoding").otherwise(code)
        message = F.when(is_invalid, "bytes that are not UTF-8").otherwise(message)
    return F.create_map(F.lit(ERROR_KEY), code, F.lit(MESSAGE_KEY), message)


def _joined_lines(lines: DataFrame, source: Source) -> DataFrame:
    """Join the lines of records whose quoted values hold line breaks.

    Each line either keeps the state (inside or outside quotes), flips it or sets it; so the state before a line follows from the last line that set
    it and the number of flips since. A record that is malformed, or never closed, falls apart into its lines again: one bad quote spoils one line.

    Returns:
        `_line` (a record, without its end), `_file_name`, `_place` (of its first line) and `_is_part` (a line of a record that fell apart).
    """
    order = Window.partitionBy(FILE_NAME).orderBy(PLACE)
    so_far = order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    text = without_return(F.col(LINE))
    has_quote = F.contains(F.col(LINE), F.lit(source.quote))
    from_outside = has_quote & csv_text.leaves_open(text, source)
    from_inside = ~has_quote | csv_text.leaves_open(F.concat(F.lit(source.quote), text), source)
    moves = lines.withColumn("_outside", from_outside).withColumn("_inside", from_inside)
    flips = moves.withColumn("_flips", F.count_if(F.col("_outside") & ~F.col("_inside")).over(so_far))
    is_set = F.col("_outside") == F.col("_inside")
    anchored = flips.withColumn("_set", F.last(F.when(is_set, F.struct("_outside", "_flips")), ignorenulls=True).over(so_far))
    was_inside = F.coalesce(F.col("_set._outside"), F.lit(False))
    flips_since = F.col("_flips") - F.coalesce(F.col("_set._flips"), F.lit(0))
    after = anchored.withColumn("_after", was_inside != (flips_since % 2 == 1))
    begins = ~F.coalesce(F.lag("_after").over(order), F.lit(False))
    numbered = after.withColumn("_begins", begins).withColumn(_RECORD_FIRST, F.max(F.when(F.col("_begins"), F.col(PLACE))).over(so_far))
    records = numbered.groupBy(FILE_NAME, _RECORD_FIRST).agg(
        F.array_sort(F.collect_list(F.struct(PLACE, LINE))).alias("_lines"), F.max_by("_after", PLACE).alias("_open")
    )
    joined = without_return(F.array_join(F.col(f"_lines.{LINE}"), "\n"))
    is_whole = ~F.col("_open") & ((F.size("_lines") == 1) | csv_text.quoted_cells(joined, source).isNotNull())
    whole = F.array(F.struct(F.col(_RECORD_FIRST).alias(PLACE), joined.alias(LINE), F.lit(False).alias(_PART)))
    parts = F.transform(
        "_lines", lambda part: F.struct(part[PLACE].alias(PLACE), without_return(part[LINE]).alias(LINE), F.lit(True).alias(_PART))
    )
    return records.select(FILE_NAME, F.inline(F.when(is_whole, whole).otherwise(parts)))
