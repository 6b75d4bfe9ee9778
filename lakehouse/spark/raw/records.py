"""Lines of text files as Spark reads them, and what one pass over them tells before anything is written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import Source
from lakehouse.spark.raw import csv_text
from lakehouse.spark.raw.staging import StagedFile
from lakehouse.spark.values import table_of

LINE = "_line"
"""One line as it stands in the file, without its end; bytes that are not UTF-8 are still in it."""

FILE_NAME = "_file_name"
"""Staged name of the file."""

PLACE = "_place"
"""Number of the line in its file, from 0."""

SPLIT_BYTES = 128 * 1024**2
"""Bytes of one split; every split is a partition of its own, so that a line's number in its partition is its number in the split."""

_TASK_BYTES = 16 * 1024**2
_GZIP_RATIO = 6
_SPLIT = "_split"
_POSITION = "_position"
_PLAIN, _ODD, _OPEN = 0, 1, 2  # quotes of a line: around whole values, elsewhere too, or with one that the line does not close
_POSITION_BITS = 33  # monotonically_increasing_id: the partition stands above these bits, the place in the partition below


@dataclass(frozen=True, kw_only=True)
class TextProfile:
    """What one pass over a text file showed.

    Attributes:
        lines: Lines in all.
        blank: Lines with nothing on them.
        first: The first line.
        has_odd_quotes: Whether quotes of any line stand elsewhere than around whole values.
        has_open_quotes: Whether a line ends inside a quoted value, so that its record goes on.
        has_invalid_bytes: Whether any line is not UTF-8.
        offsets: Number of the first line of each split, by the split's first byte.
    """

    lines: int
    blank: int
    first: str
    has_odd_quotes: bool
    has_open_quotes: bool
    has_invalid_bytes: bool
    offsets: Mapping[int, int]


def read_lines(spark: SparkSession, files: Sequence[StagedFile]) -> DataFrame:
    """Lines of text files, with the name of the file, the split and the place in the split.

    Returns:
        `_line` string, `_file_name` string, `_split` long, `_position` long.
    """
    settings = {"spark.sql.files.maxPartitionBytes": SPLIT_BYTES, "spark.sql.files.openCostInBytes": SPLIT_BYTES}
    for key, value in settings.items():
        spark.conf.set(key, str(value))
    # Only \n ends a line: \r stays visible, so that quoted values keep theirs.
    text = spark.read.option("lineSep", "\n").text([file.path for file in files])
    position = F.monotonically_increasing_id().bitwiseAND(F.lit((1 << _POSITION_BITS) - 1))
    lines = text.select(
        F.col("value").alias(LINE),
        F.col("_metadata.file_name").alias(FILE_NAME),
        F.col("_metadata.file_block_start").alias(_SPLIT),
        position.alias(_POSITION),
    )
    return lines.coalesce(tasks_for(files))


def tasks_for(files: Iterable[StagedFile]) -> int:
    """Tasks that so many bytes are worth: thirty small files are one task and give one data file."""
    size = sum(file.file.size * (_GZIP_RATIO if file.file.compression else 1) for file in files)
    return max(1, math.ceil(size / _TASK_BYTES))


def profile(spark: SparkSession, files: Sequence[StagedFile], source: Source) -> dict[int, TextProfile]:
    """Profile text files in one pass.

    Returns:
        Profile by the index of the staged file; a file without a line has none.
    """
    line = F.col(LINE)
    # Quotes of JSON are its own matter.
    is_plain = ~F.contains(FILE_NAME, F.lit(".csv")) | csv_text.is_well_quoted(line, source)
    quoting = F.when(is_plain, _PLAIN).when(csv_text.leaves_open(without_return(line), source), _OPEN).otherwise(_ODD)
    shown = (
        read_lines(spark, files)
        .groupBy(FILE_NAME, _SPLIT)
        .agg(
            F.count(F.lit(1)).alias("lines"),
            F.count_if(is_blank(line)).alias("blank"),
            # A list, because Spark sorts all lines to find the first of each group: no text fits the memory of its hash aggregate.
            F.collect_list(F.when(F.col(_POSITION) == 0, line.cast("binary"))).alias("first"),
            F.max(quoting).alias("quoting"),
            F.count_if(~F.is_valid_utf8(line)).alias("invalid"),
        )
        .collect()
    )
    splits: dict[int, list[tuple[int, int, int, bytes, int, int]]] = {}
    for row in shown:
        entry = (row[_SPLIT], row["lines"], row["blank"], bytes(row["first"][0]), row["quoting"], row["invalid"])
        splits.setdefault(index_of(row[FILE_NAME]), []).append(entry)
    return {index: _combine(sorted(parts)) for index, parts in splits.items()}


def with_place(lines: DataFrame, profiles: Mapping[int, TextProfile], files: Iterable[StagedFile]) -> DataFrame:
    """Number the lines of each file.

    Returns:
        The lines with `_place` instead of split and position.
    """
    places = [
        (name_of(file), split, first)
        for file in files
        if len(profiles[file.index].offsets) > 1
        for split, first in profiles[file.index].offsets.items()
    ]
    if not places:
        return lines.withColumn(PLACE, F.col(_POSITION)).drop(_SPLIT, _POSITION)
    table = table_of(lines.sparkSession, places, f"{FILE_NAME} string, {_SPLIT} bigint, _first bigint")
    placed = lines.join(F.broadcast(table), [FILE_NAME, _SPLIT], "left")
    return placed.withColumn(PLACE, F.col(_POSITION) + F.coalesce("_first", F.lit(0))).drop(_SPLIT, _POSITION, "_first")


def is_blank(line: Column) -> Column:
    """Whether a line holds nothing at all: it is no record."""
    return (line == "") | (line == "\r")


def without_return(line: Column) -> Column:
    """A line without the carriage return that ends it."""
    # As bytes: substring counts characters, and would miscount where bytes are not UTF-8.
    data = line.cast("binary")
    return F.when(F.endswith(line, F.lit("\r")), F.substring(data, F.lit(1), F.octet_length(data) - 1).cast("string")).otherwise(line)


def name_of(file: StagedFile) -> str:
    """Staged name of a file."""
    return PurePosixPath(file.path).name


def index_of(name: str) -> int:
    """Index of the file with that staged name."""
    return int(name.split(".", 1)[0])


def _combine(parts: Sequence[tuple[int, int, int, bytes, int, int]]) -> TextProfile:
    offsets: dict[int, int] = {}
    total = 0
    for split, lines, *_ in parts:
        offsets[split] = total
        total += lines
    return TextProfile(
        lines=total,
        blank=sum(part[2] for part in parts),
        first=parts[0][3].decode("utf-8", errors="surrogateescape"),
        has_odd_quotes=any(part[4] != _PLAIN for part in parts),
        has_open_quotes=any(part[4] == _OPEN for part in parts),
        has_invalid_bytes=any(part[5] for part in parts),
        offsets=offsets,
    )
