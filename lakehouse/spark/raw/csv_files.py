"""CSV files as bronze rows: one row a record, each value as text, records that cannot be read kept as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

_PARSED = "_parsed"
_CORRUPT = "_corrupt"
_STRICT = "_strict"
_VALUES = "_values"
_NOT_TEXT = "\ue000\ue001"  # stands for NULL while Spark parses: characters for private use, which no text holds in this order
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
    records = _joined_lines(lines, source) if has_open_quotes else lines.withColumn(_PART, F.lit(False))
    records = records.where((F.col(PLACE) >= first_row) & ~is_blank(F.col(LINE))).withColumn(_ROW, F.col(PLACE) + (1 - first_row))
    if not has_open_quotes:
        records = records.withColumn(LINE, without_return(F.col(LINE)))
    reader = _Reader(
        layout=layout,
        contract=contract,
        source=source,
        is_plain=not source.null_value and not any(profiles[file.index].has_odd_quotes for file in files),
        has_invalid_bytes=any(profiles[file.index].has_invalid_bytes for file in files),
    )
    return reader.read(records)


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Reads the values of records by Spark's own parser; what that parser is too lenient with is read a second time, strictly.

    Spark takes `"a"b` for the text that it is, and cannot tell a quoted NULL text from a bare one. Both show in what it returns; most files are
    plain, which a look at their lines told: neither can be in them.
    """

    layout: Layout
    contract: CompiledContract
    source: Source
    is_plain: bool
    has_invalid_bytes: bool

    def read(self, records: DataFrame) -> DataFrame:
        line = F.col(LINE)
        parsed = records.withColumn(_PARSED, F.when(self._is_readable, F.from_csv(line, self._schema, self._options)))
        if not self.is_plain:
            # No cell where a quote stands where none may, NULL where nothing was in doubt.
            strict = F.coalesce(csv_text.quoted_cells(line, self.source), F.array().cast("array<string>"))
            parsed = parsed.withColumn(_STRICT, F.when(self._is_doubtful, strict))
        # One column for all values: an expression for each would make the code of a row too long for the JVM to compile.
        judged = parsed.withColumn(_VALUES, F.when(self._is_read, self._values))
        is_read = F.col(_VALUES).isNotNull()
        known = F.lit(None).cast("map<string,string>")
        if extras := self.layout.extras(self.contract):
            given = F.create_map(*(part for name in extras for part in (F.lit(name), self._value(name))))
            filled = F.map_filter(given, lambda _, text: text.isNotNull())
            known = F.when(F.size(filled) > 0, filled)
        return judged.select(
            *(self._value(column.name).alias(column.name) for column in self.contract.raw),
            F.when(is_read, known).otherwise(self._error()).alias(EXTRA_COLUMN),
            F.when(~is_read, line.cast("binary")).alias(RECORD_COLUMN),
            FILE_NAME,
            _ROW,
        )

    @property
    def _width(self) -> int:
        return len(self.layout.columns)

    @property
    def _schema(self) -> str:
        return ", ".join(f"c{place} string" for place in range(self._width)) + f", {_CORRUPT} string"

    @property
    def _options(self) -> dict[str, str]:
        return {
            "sep": self.source.delimiter,
            "quote": self.source.quote,
            "escape": self.source.quote,
            "nullValue": _NOT_TEXT,
            "emptyValue": "",
            "mode": "PERMISSIVE",
            "columnNameOfCorruptRecord": _CORRUPT,
            "columnPruning": "false",
            "multiLine": "true",
        }

    @property
    def _is_readable(self) -> Column:
        # A line that a broken quote tore off its record is taken for a record only if it holds no quote itself.
        readable = ~F.col(_PART) | ~F.contains(LINE, F.lit(self.source.quote)) if not self.is_plain else F.lit(True)
        return readable & F.is_valid_utf8(LINE) if self.has_invalid_bytes else readable

    @property
    def _cells(self) -> Column:
        """Values as Spark's parser gives them."""
        return F.array(*(F.col(f"{_PARSED}.c{place}") for place in range(self._width)))

    @property
    def _is_doubtful(self) -> Column:
        null_value = self.source.null_value

        def looks_odd(cell: Column) -> Column:
            odd = F.startswith(cell, F.lit(self.source.quote))
            return F.coalesce(odd | (cell == null_value) if null_value else odd, F.lit(False))

        # Only a line with a quote can hold a value that stands in quotes.
        has_quote = F.contains(LINE, F.lit(self.source.quote))
        return has_quote & F.col(f"{_PARSED}.{_CORRUPT}").isNull() & F.exists(self._cells, looks_odd)

    @property
    def _is_read(self) -> Column:
        fits = F.col(_PARSED).isNotNull() & F.col(f"{_PARSED}.{_CORRUPT}").isNull()
        return fits if self.is_plain else fits & (F.col(_STRICT).isNull() | (F.size(_STRICT) == self._width))

    @property
    def _values(self) -> Column:
        if self.is_plain:
            return F.col(_PARSED)
        values = self._cells
        if null_value := self.source.null_value:
            values = F.transform(values, lambda cell: F.nullif(F.coalesce(cell, F.lit("")), F.lit(null_value)))
        strict = F.transform(_STRICT, lambda cell: csv_text.cell_value(cell, self.source))
        return F.when(F.col(_STRICT).isNotNull(), strict).otherwise(values)

    def _value(self, name: str) -> Column:
        if name not in self.layout.columns:
            return F.lit(None).cast("string")
        place = self.layout.columns.index(name)
        return F.col(f"{_VALUES}.c{place}") if self.is_plain else F.get(_VALUES, F.lit(place))

    def _error(self) -> Column:
        cells = csv_text.quoted_cells(F.col(LINE), self.source)
        is_torn = F.col(_PART) & F.contains(LINE, F.lit(self.source.quote))
        is_malformed = is_torn | cells.isNull()
        code = F.when(is_malformed, "unparseable_record").otherwise("column_count")
        count = F.concat(F.size(cells).cast("string"), F.lit(f" values, the file has {self._width} columns"))
        message = F.when(is_malformed, "a quote opens or closes where none may").otherwise(count)
        if self.has_invalid_bytes:
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
