"""From the files of a manifest to rows of bronze: each file version once, in one commit, with nothing left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import CompiledContract, Source
from lakehouse.contracts.tables import EXTRA_COLUMN, RECORD_COLUMN
from lakehouse.errors import RunFailed
from lakehouse.manifests import ManifestFile
from lakehouse.spark.iceberg import IcebergTable
from lakehouse.spark.progress import Reached
from lakehouse.spark.raw.csv_files import read_csv
from lakehouse.spark.raw.csv_text import parse_header
from lakehouse.spark.raw.failures import SPARK_ERRORS, cause_of, is_about_content, is_about_file
from lakehouse.spark.raw.json_files import read_json
from lakehouse.spark.raw.layout import Layout, layout_of
from lakehouse.spark.raw.parquet_files import ParquetProfile, profile_parquet, read_parquet
from lakehouse.spark.raw.records import FILE_NAME, TextProfile, name_of, profile
from lakehouse.spark.raw.staging import Rejection, StagedFile, Staging
from lakehouse.spark.values import table_of
from lakehouse.spark.versions import of_files

_APPEND_OPTIONS = {"distribution-mode": "none", "fanout-enabled": "true"}
"""Rows of one run share one day: no shuffle is needed to bring the rows of a partition together."""

_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """What became of the files of a manifest.

    Attributes:
        loaded: Files whose records bronze holds, with their number.
        rejected: Files that were skipped or rejected, with why.
        extras: Columns that the contract does not know, by file.
        appended: Rows that this run added.
    """

    loaded: Mapping[ManifestFile, int]
    rejected: Mapping[ManifestFile, Rejection]
    extras: Mapping[ManifestFile, tuple[str, ...]] = field(default_factory=dict[ManifestFile, tuple[str, ...]])
    appended: int = 0

    @property
    def rows(self) -> int:
        """Records of all loaded files."""
        return sum(self.loaded.values())


@dataclass(frozen=True, kw_only=True)
class _Readable:
    files: tuple[StagedFile, ...]
    profiles: Mapping[int, TextProfile]
    footers: Mapping[int, ParquetProfile]
    layouts: Mapping[int, Layout]

    def shown(self, file: StagedFile) -> TextProfile | ParquetProfile:
        """What a look at the file showed."""
        return self.footers.get(file.index) or self.profiles[file.index]


def ingest(
    spark: SparkSession,
    files: Sequence[ManifestFile],
    *,
    contract: CompiledContract,
    bronze: IcebergTable,
    staging: Staging,
    run_id: str,
    batch_id: str,
    now: datetime,
    reached: Reached,
) -> Ingested:
    """Append to bronze the records of those file versions that it does not hold yet, in one commit.

    Args:
        spark: Session.
        files: Files of the manifest.
        contract: Contract of the dataset.
        bronze: The table.
        staging: Where the files are laid out for Spark.
        run_id: Run, for the snapshot's summary.
        batch_id: Batch, for the rows and the summary.
        now: Moment of ingestion, the same for all rows.
        reached: Told of each stage.

    Raises:
        RunFailed: `row_accounting`: bronze holds other numbers of rows than the files have records; `job_failed`: bronze is older than the
            contract.
    """
    bronze.require_columns(contract.raw_columns)
    present = _held(bronze, files)
    wanted = [file for file in files if file not in present and file.size > 0]
    rejected: dict[ManifestFile, Rejection] = {file: _empty(file) for file in files if file.size == 0}
    try:
        staged = staging.stage(wanted)
        rejected.update(staged.rejected)
        readable = _examine(spark, staged.files, contract=contract, rejected=rejected)
        reached("ingest: files examined")
        if readable.files:
            readable = _append(
                spark, readable, contract=contract, bronze=bronze, run_id=run_id, batch_id=batch_id, now=now, rejected=rejected
            )
            reached("ingest: bronze committed")
    finally:
        staging.clear()
    known = _counted(bronze, readable, contract=contract, run_id=run_id)
    loaded, extras = _shown(bronze, [file for file in files if file not in rejected and file not in known])
    loaded |= known
    _check(loaded, readable, _source(contract))
    appended = sum(loaded[file.file] for file in readable.files)
    return Ingested(loaded=loaded, rejected=rejected, extras=extras, appended=appended)


def _append(
    spark: SparkSession,
    readable: _Readable,
    *,
    contract: CompiledContract,
    bronze: IcebergTable,
    run_id: str,
    batch_id: str,
    now: datetime,
    rejected: dict[ManifestFile, Rejection],
) -> _Readable:
    """Append what can be read; Parquet files whose pages turn out to be broken join `rejected`, and the others are appended without them."""

    def append(some: _Readable) -> None:
        rows = _rows(spark, some, contract=contract, batch_id=batch_id, now=now)
        bronze.append(bronze.fitted(rows), properties={"run_id": run_id, "batch_id": batch_id}, options=_APPEND_OPTIONS)

    try:
        append(readable)
        return readable
    except SPARK_ERRORS as error:
        if not is_about_content(error):
            raise
        for file in readable.files:
            try:
                alone = replace(readable, files=(file,))
                _rows(spark, alone, contract=contract, batch_id=batch_id, now=now).write.format("noop").mode("overwrite").save()
            except SPARK_ERRORS as its_own:
                if not is_about_file(its_own):
                    raise
                rejected[file.file] = _unreadable(file.file, cause_of(its_own))
        left = replace(readable, files=tuple(file for file in readable.files if file.file not in rejected))
        if left.files == readable.files:
            raise
    if left.files:
        append(left)
    return left


def _held(bronze: IcebergTable, files: Sequence[ManifestFile]) -> set[ManifestFile]:
    if bronze.snapshot_id() is None or not files:
        return set()
    rows = of_files(bronze.read(), files).select("_source_file", "_source_version").distinct().collect()
    held = {(row[0], row[1]) for row in rows}
    return {file for file in files if (file.uri, file.version_id) in held}


def _counted(bronze: IcebergTable, readable: _Readable, *, contract: CompiledContract, run_id: str) -> dict[ManifestFile, int]:
    """Records of the files that were appended, if the commit itself says that all are there; nothing if bronze has to be read to know."""
    counts = {file.file: _records(file, readable.shown(file), _source(contract)) for file in readable.files}
    known = {file: count for file, count in counts.items() if count is not None}
    # Objects of JSON may have columns of their own, which only bronze tells.
    may_have_extras = any(layout.extras(contract) for layout in readable.layouts.values()) or any(file.format == "json" for file in counts)
    if not counts or known != counts or may_have_extras:
        return {}
    summary = bronze.summary()
    is_whole = summary.get("run_id") == run_id and summary.get("added-records") == str(sum(known.values()))
    return known if is_whole else {}


def _shown(bronze: IcebergTable, files: Sequence[ManifestFile]) -> tuple[dict[ManifestFile, int], dict[ManifestFile, tuple[str, ...]]]:
    if bronze.snapshot_id() is None or not files:
        return {}, {}
    names = F.when(F.col(RECORD_COLUMN).isNull(), F.map_keys(EXTRA_COLUMN))
    rows = (
        of_files(bronze.read(), files)
        .groupBy("_source_file", "_source_version")
        .agg(F.count(F.lit(1)).alias("rows"), F.array_distinct(F.flatten(F.collect_set(names))).alias("extras"))
        .collect()
    )
    by_version = {(row["_source_file"], row["_source_version"]): row for row in rows}
    found = {file: by_version[file.uri, file.version_id] for file in files if (file.uri, file.version_id) in by_version}
    return (
        {file: int(row["rows"]) for file, row in found.items()},
        {file: tuple(sorted(row["extras"])) for file, row in found.items() if row["extras"]},
    )


def _examine(
    spark: SparkSession, staged: Sequence[StagedFile], *, contract: CompiledContract, rejected: dict[ManifestFile, Rejection]
) -> _Readable:
    """Look at each file once: profile and header of text, footer of Parquet; whatever cannot be loaded joins `rejected`."""
    source = _source(contract)
    text = [file for file in staged if file.file.format != "parquet"]
    profiles = _profiles(spark, text, source, rejected=rejected)
    footers: dict[int, ParquetProfile] = {}
    layouts: dict[int, Layout] = {}
    good: list[StagedFile] = []
    for file in staged:
        if file.file in rejected:
            continue
        names: Sequence[str] | Rejection
        if file.file.format == "parquet":
            try:
                footers[file.index] = profile_parquet(spark, file)
                names = footers[file.index].schema.names
            except SPARK_ERRORS as error:
                if not is_about_file(error):
                    raise
                names = _unreadable(file.file, cause_of(error))
        elif file.index not in profiles:
            names = _empty(file.file)
        else:
            names = _header(file.file, profiles[file.index], contract, source)
        layout = names if isinstance(names, Rejection) else layout_of(names, contract, uri=file.file.uri)
        if isinstance(layout, Rejection):
            rejected[file.file] = layout
        elif _records(file, footers.get(file.index) or profiles[file.index], source) == 0:
            rejected[file.file] = Rejection(
                reason="header_only", message=f"{file.file.uri} holds a header and no record", outcome="skipped"
            )
        else:
            layouts[file.index] = layout
            good.append(file)
    return _Readable(files=tuple(good), profiles=profiles, footers=footers, layouts=layouts)


def _header(file: ManifestFile, shown: TextProfile, contract: CompiledContract, source: Source) -> Sequence[str] | Rejection:
    if shown.lines == shown.blank or (shown.lines - shown.blank == 1 and shown.first.strip("\r") == _BYTE_ORDER_MARK):
        return _empty(file)
    if file.format == "json" or not source.header:
        return contract.raw_columns
    line = shown.first.removeprefix(_BYTE_ORDER_MARK).removesuffix("\r")
    try:
        line.encode()
    except UnicodeEncodeError:
        return _unreadable(file, "its header is not UTF-8")
    names = parse_header(line, source)
    if names is None:
        return _unreadable(file, "a quote of its header is not closed on the first line")
    return names


def _profiles(
    spark: SparkSession, files: Sequence[StagedFile], source: Source, *, rejected: dict[ManifestFile, Rejection]
) -> dict[int, TextProfile]:
    if not files:
        return {}
    try:
        return profile(spark, files, source)
    except SPARK_ERRORS as error:
        if not is_about_content(error):
            raise
        if len(files) == 1:
            rejected[files[0].file] = _unreadable(files[0].file, cause_of(error))
            return {}
    # One of them cannot be read: each alone tells which.
    profiles: dict[int, TextProfile] = {}
    for file in files:
        profiles.update(_profiles(spark, [file], source, rejected=rejected))
    return profiles


def _rows(spark: SparkSession, readable: _Readable, *, contract: CompiledContract, batch_id: str, now: datetime) -> DataFrame:
    by_format: dict[str, list[StagedFile]] = {}
    for file in readable.files:
        by_format.setdefault(file.file.format, []).append(file)
    frames: list[DataFrame] = []
    if csv := by_format.get("csv"):
        frames.append(read_csv(spark, csv, profiles=readable.profiles, layouts=readable.layouts, contract=contract))
    if json := by_format.get("json"):
        frames.append(read_json(spark, json, profiles=readable.profiles, contract=contract))
    if parquet := by_format.get("parquet"):
        frames.append(read_parquet(spark, parquet, profiles=readable.footers, layouts=readable.layouts, contract=contract))
    records = reduce(DataFrame.unionByName, frames)
    return (
        _with_origin(records, readable.files)
        .withColumn("_batch_id", F.lit(batch_id))
        .withColumn("_ingested_at", F.lit(now.isoformat()).cast("timestamp"))
    )


def _with_origin(records: DataFrame, files: Iterable[StagedFile]) -> DataFrame:
    origins = [(name_of(file), file.file.uri, file.file.version_id, file.file.sequence) for file in files]
    if len(origins) == 1:
        _, uri, version, sequence = origins[0]
        return (
            records.withColumn("_source_file", F.lit(uri))
            .withColumn("_source_version", F.lit(version))
            .withColumn("_sequence", F.lit(sequence))
            .drop(FILE_NAME)
        )
    table = table_of(records.sparkSession, origins, f"{FILE_NAME} string, _source_file string, _source_version string, _sequence string")
    return records.join(F.broadcast(table), FILE_NAME)


def _check(loaded: Mapping[ManifestFile, int], readable: _Readable, source: Source) -> None:
    for file in readable.files:
        found = loaded.get(file.file, 0)
        expected = _records(file, readable.shown(file), source)
        if expected not in {None, found}:
            raise RunFailed(
                "row_accounting",
                f"bronze holds {found} records of {file.file.uri} (version {file.file.version_id}), the file has {expected}",
            )


def _records(file: StagedFile, shown: TextProfile | ParquetProfile, source: Source) -> int | None:
    """Records of a file by its footer or its lines; None if lines do not tell."""
    if isinstance(shown, ParquetProfile):
        return shown.rows
    if file.file.format == "csv" and shown.has_open_quotes:
        return None
    header = 1 if file.file.format == "csv" and source.header else 0
    return shown.lines - shown.blank - header


def _source(contract: CompiledContract) -> Source:
    if contract.source is None:
        raise ValueError(f"{contract.id} has no source: only a transform writes it, no file is ingested for it")
    return contract.source


def _empty(file: ManifestFile) -> Rejection:
    return Rejection(reason="empty_file", message=f"{file.uri} holds nothing", outcome="skipped")


def _unreadable(file: ManifestFile, why: str) -> Rejection:
    return Rejection(
        reason="unreadable_file", message=f"{file.uri} cannot be read as {file.format}{' in gzip' if file.compression else ''}: {why}"
    )
