"""From a table of a database to rows of bronze: one snapshot, one commit, once a run.

What is read: all rows (a full extraction, or the first of an incremental one), or those that the watermark says. When keys are compared, records with
the operation `delete` are added for keys of silver that the source has no more, and rows are added that the source has, silver has not and the
watermark passed over. All of it is seen in one snapshot and appended in one commit, so a run that is repeated finds either nothing or everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import Column as ContractColumn
from lakehouse.contracts.model import CompiledContract, DatabaseSource
from lakehouse.contracts.tables import DELETE, EXTRA_COLUMN, OPERATION_COLUMN, RECORD_COLUMN
from lakehouse.errors import RunFailed
from lakehouse.extraction import postgresql as sql
from lakehouse.extraction.failures import COLUMN_MISSING, COLUMN_RETYPED, COLUMN_UNKNOWN, TABLE_MISSING
from lakehouse.extraction.marks import (
    begin,
    is_reconciliation_due,
    mark_name,
    moment_of,
    next_mark,
    reconciled_name,
    sequence_of,
    to_mark,
)
from lakehouse.spark.casts import typed
from lakehouse.spark.iceberg import IcebergTable
from lakehouse.spark.progress import Reached
from lakehouse.spark.source_session import SourceSession
from lakehouse.spark.versions import SourceVersion
from lakehouse.watermarks import Mark

MAX_MISSED = 10_000
"""Most rows that are fetched by their keys; if more were passed over, the whole table is read."""

_KEYS_A_QUERY = 1_000
_SEQUENCE, _RECONCILED, _REACHED, _RUN = "extraction_sequence", "extraction_reconciled", "extraction_reached", "run_id"
_IN_BATCH, _IN_SOURCE, _IN_SILVER = "_in_batch", "_in_source", "_in_silver"
_APPEND_OPTIONS = {"distribution-mode": "none", "fanout-enabled": "true"}


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What an extraction brought.

    Attributes:
        version: The extraction as the origin of its rows.
        rows: Records in bronze, deletes included.
        appended: Those that this attempt added: all or none.
        marks: Marks that the run may move once it has published, by name.
        extras: Columns of the source that the contract does not know.
    """

    version: SourceVersion
    rows: int
    appended: int
    marks: Mapping[str, Mark] = field(default_factory=dict[str, Mark])
    extras: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """One extraction.

    Attributes:
        spark: Session.
        contract: Contract of the dataset.
        bronze: Where records go.
        silver: Whose keys are compared with those of the source.
        quarantine: Rows of it that are as they were are not brought again by the comparison.
        session: Session with the source; it is entered only if there is something to do.
        marks: Marks that stand, by name.
        run_id: Run, which is the version of the rows.
        batch_id: Batch, for the rows.
        now: Moment of ingestion.
        reached: Told of each stage.
        kept: What of the rows that were read goes to bronze; all of them by default.
    """

    spark: SparkSession
    contract: CompiledContract
    bronze: IcebergTable
    silver: IcebergTable
    quarantine: IcebergTable
    session: SourceSession
    marks: Mapping[str, Mark]
    run_id: str
    batch_id: str
    now: datetime
    reached: Reached
    kept: Callable[[DataFrame], DataFrame] = lambda rows: rows

    def run(self) -> Extracted:
        """Extract, or tell what an earlier attempt of this run extracted.

        Raises:
            RunFailed: The source cannot be read as the contract says; the reason tells why. Bronze is as it was.
        """
        self.bronze.require_columns([*self.contract.raw_columns, OPERATION_COLUMN])
        held = self._held()
        extras: tuple[str, ...] = ()
        appended = 0
        if held is None:
            extras = self._extract()
            self.reached("ingest: bronze committed")
            held = self._held()
            if held is None:
                raise RunFailed("row_accounting", f"bronze of {self.contract.id} does not show the commit of run {self.run_id}")
            appended = int(held.get("added-records", "0"))
        rows = int(held.get("added-records", "0"))
        version = SourceVersion(uri=self._source.uri, version_id=self.run_id, sequence=held[_SEQUENCE])
        return Extracted(version=version, rows=rows, appended=appended, marks=self._next_marks(version, held, rows), extras=extras)

    @property
    def _source(self) -> DatabaseSource:
        source = self.contract.database
        if source is None:
            raise ValueError(f"{self.contract.id} is not read from a database")
        return source

    @property
    def _table(self) -> str:
        return sql.table_name(self._source.schema, self._source.table)

    @property
    def _key_columns(self) -> tuple[ContractColumn, ...]:
        return tuple(self.contract.column(name) for name in self.contract.keys)

    def _held(self) -> dict[str, str] | None:
        """Summary of the commit by which this run's extraction entered bronze."""
        return self.bronze.summary_where({_RUN: self.run_id})

    def _extract(self) -> tuple[str, ...]:
        source = self._source
        with self.session as session:
            columns = self._columns(session)
            extras = self._extras(columns)
            where = self._where()
            mark = self._mark(session)
            is_due = is_reconciliation_due(source, last=self.marks.get(reconciled_name(self.contract.id, source)), moment=session.moment)
            self.reached("ingest: snapshot taken")
            deleted: DataFrame | None = None
            missed: list[tuple[str, ...]] = []
            differences: DataFrame | None = None
            if is_due and self.silver.rows() == 0:
                where = None
            elif is_due:
                differences = self._differences(session, columns, where).persist()
            try:
                if differences is not None:
                    missed, deleted = self._missed(differences), differences.where(~F.col(_IN_SOURCE))
                if len(missed) > MAX_MISSED:
                    where, missed = None, []
                self.reached("ingest: keys compared")
                frames = [self._rows(session, columns, where, is_split=True)]
                if missed:
                    frames.append(self._fetched(session, columns, missed))
                if deleted is not None:
                    frames.append(self._deletes(deleted))
                records = self._with_origin(self.kept(reduce(DataFrame.unionByName, frames)), session.moment)
                self.bronze.append(
                    self.bronze.fitted(records),
                    properties={
                        _RUN: self.run_id,
                        "batch_id": self.batch_id,
                        _SEQUENCE: sequence_of(session.moment, self.run_id),
                        # Whoever reads all rows of an empty silver has compared all keys.
                        _RECONCILED: str(is_due).lower(),
                        **({} if mark is None else {_REACHED: str(mark)}),
                    },
                    options=_APPEND_OPTIONS,
                )
            except (PySparkException, Py4JJavaError) as error:
                raise session.translated(error) from error
            finally:
                if differences is not None:
                    differences.unpersist()
        return extras

    def _columns(self, session: SourceSession) -> tuple[sql.SourceColumn, ...]:
        """Columns of the source table, checked against the contract."""
        source, contract = self._source, self.contract
        found = session.query(sql.COLUMNS, source.schema, source.table)
        if not found:
            raise RunFailed(
                TABLE_MISSING,
                f"{source.uri}: the source has no table {source.schema}.{source.table}: correct the contract of {contract.id}, or bring the table back",
            )
        columns = tuple(sql.SourceColumn(name=str(name), type=str(type_), kind=str(kind)) for name, type_, kind in found)
        by_name = {column.name: column for column in columns}
        missing = [name for name in contract.raw_columns if name not in by_name]
        if missing:
            raise RunFailed(
                COLUMN_MISSING,
                f"{source.uri} lacks {', '.join(missing)}; it has {', '.join(by_name)}. Bring the column back, or take it out of the contract of {contract.id}",
            )
        unknown = self._extras(columns)
        if unknown and contract.source is not None and contract.source.on_extra_column == "halt":
            raise RunFailed(
                COLUMN_UNKNOWN,
                f"{source.uri} has {', '.join(unknown)}, which {contract.id} does not know: add it, or set onExtraColumn to warn",
            )
        for what, asked in (("watermarkColumn", source.watermark), ("partitionColumn", source.partitions)):
            fault = None if asked is None else sql.mark_fault(by_name.get(asked.column), asked.type)
            if fault is not None and asked is not None:
                raise RunFailed(
                    COLUMN_RETYPED,
                    f"{source.uri}: {asked.column} cannot be the {what} any more: {fault}. Correct its type in the contract of {contract.id}, or in the source",
                )
        return columns

    def _extras(self, columns: Sequence[sql.SourceColumn]) -> tuple[str, ...]:
        known = {column.name for column in self.contract.raw}
        return tuple(column.name for column in columns if column.name not in known)

    def _where(self) -> str | None:
        watermark = self._source.watermark
        if watermark is None:
            return None
        try:
            return sql.since(begin(self.marks.get(mark_name(self.contract.id, self._source)), watermark), watermark)
        except ValueError as error:
            raise RunFailed("job_failed", f"{self._source.uri}: {error}") from error

    def _mark(self, session: SourceSession) -> Mark | None:
        """Mark after this extraction. The source tells it in the snapshot that the rows are read from, mostly by an index: bronze need not be read for it."""
        watermark = self._source.watermark
        if watermark is None:
            return None
        held = self.marks.get(mark_name(self.contract.id, self._source))
        ((largest,),) = session.query(sql.largest(watermark, table=self._table, mark=held, moment=session.moment))
        return next_mark([_as_mark(largest, watermark.type)], watermark=watermark, moment=session.moment)

    def _predicates(self, session: SourceSession, where: str | None) -> tuple[str, ...]:
        partitions = self._source.partitions
        if partitions is None or partitions.count < 2:
            return ()
        ((least, most),) = session.query(sql.bounds(partitions, table=self._table, where=where))
        ((left,),) = session.query(sql.CAPACITY)
        count = max(1, min(partitions.count, int(left or 1)))
        return sql.ranges(partitions, least=least, most=most, count=count)

    def _read(
        self,
        session: SourceSession,
        columns: Sequence[sql.SourceColumn],
        where: str | None,
        *,
        extra: Sequence[str] = (),
        is_split: bool = True,
    ) -> DataFrame:
        """Columns `c0`, … and `x0`, … of rows, split as the contract says."""
        partition = self._source.partitions
        predicates = self._predicates(session, where) if is_split else ()
        query = sql.selection(
            columns,
            table=self._table,
            where=where,
            partition_column=partition.column if predicates and partition is not None else None,
            extra=extra,
        )
        return session.read(query, predicates).drop(sql.PARTITION)

    def _rows(self, session: SourceSession, columns: Sequence[sql.SourceColumn], where: str | None, *, is_split: bool) -> DataFrame:
        """Rows of the source as bronze has them: raw columns, `_extra`, `_operation`."""
        frame = self._read(session, columns, where, is_split=is_split)
        place = {column.name: F.col(f"c{number}") for number, column in enumerate(columns)}
        nothing = F.lit(None).cast("string")
        extras = self._extras(columns)
        extra: Column = F.lit(None).cast("map<string,string>")
        if extras:
            pairs = [part for name in extras for part in (F.lit(name), place[name])]
            given = F.map_filter(F.create_map(*pairs), lambda _, text: text.isNotNull())
            extra = F.when(F.size(given) > 0, given)
        return frame.select(
            *(place.get(column.name, nothing).alias(column.name) for column in self.contract.raw),
            extra.alias(EXTRA_COLUMN),
            nothing.alias(OPERATION_COLUMN),
        )

    def _differences(self, session: SourceSession, columns: Sequence[sql.SourceColumn], where: str | None) -> DataFrame:
        """Keys on one side only: those of the source that are in no batch, with their texts as they came, and those of silver.

        Returns:
            The raw columns of the key (string), `_in_source` (boolean).
        """
        by_name = {column.name: column for column in columns}
        keys = self._key_columns
        names = [str(key.source) for key in keys]
        in_batch = f"({where}) IS TRUE" if where else "true"
        source = self._read(session, [by_name[name] for name in names], None, extra=[in_batch])
        raw = source.select(*(F.col(f"c{place}").alias(name) for place, name in enumerate(names)), F.col("x0").alias(_IN_BATCH))
        ours = raw.select(
            *(F.col(name).alias(f"raw{place}") for place, name in enumerate(names)),
            *(typed(key).alias(f"key{place}") for place, key in enumerate(keys)),
            _IN_BATCH,
            F.lit(True).alias(_IN_SOURCE),
        )
        theirs = self.silver.read().select(
            *(F.col(key.name).alias(f"key{place}") for place, key in enumerate(keys)), F.lit(True).alias(_IN_SILVER)
        )
        joined = ours.join(theirs, [f"key{place}" for place in range(len(keys))], "full")
        one_side = F.col(_IN_SOURCE).isNull() | (F.col(_IN_SILVER).isNull() & ~F.col(_IN_BATCH))
        return joined.where(one_side).select(
            *(F.coalesce(f"raw{place}", F.col(f"key{place}").cast("string")).alias(name) for place, name in enumerate(names)),
            F.coalesce(_IN_SOURCE, F.lit(False)).alias(_IN_SOURCE),
        )

    def _missed(self, differences: DataFrame) -> list[tuple[str, ...]]:
        names = [str(key.source) for key in self._key_columns]
        found = differences.where(_IN_SOURCE).select(*names).distinct().limit(MAX_MISSED + 1).collect()
        # A key of which a part is NULL is found by no condition, and is no key.
        return sorted(tuple(row) for row in found if None not in tuple(row))

    def _fetched(self, session: SourceSession, columns: Sequence[sql.SourceColumn], missed: Sequence[tuple[str, ...]]) -> DataFrame:
        """Rows of these keys, but for those that quarantine holds just as they are."""
        by_name = {column.name: column for column in columns}
        keys = [by_name[str(key.source)] for key in self._key_columns]
        parts = [missed[start : start + _KEYS_A_QUERY] for start in range(0, len(missed), _KEYS_A_QUERY)]
        frames = [self._rows(session, columns, sql.with_keys(keys, part), is_split=False) for part in parts]
        rows = reduce(DataFrame.unionByName, frames)
        if self.quarantine.snapshot_id() is None:
            return rows
        names = [column.name for column in self.contract.raw]
        held = self.quarantine.read().where((F.col("_source_file") == self._source.uri) & F.col(OPERATION_COLUMN).isNull())
        theirs = held.select(*(F.col(name).alias(f"held_{place}") for place, name in enumerate(names))).distinct()
        same = F.lit(True)
        for place, name in enumerate(names):
            same &= F.col(name).eqNullSafe(F.col(f"held_{place}"))
        return rows.join(theirs, same, "left_anti")

    def _deletes(self, deleted: DataFrame) -> DataFrame:
        names = {str(key.source) for key in self._key_columns}
        nothing = F.lit(None).cast("string")
        return deleted.select(
            *((F.col(column.name) if column.name in names else nothing).alias(column.name) for column in self.contract.raw),
            F.lit(None).cast("map<string,string>").alias(EXTRA_COLUMN),
            F.lit(DELETE).alias(OPERATION_COLUMN),
        )

    def _with_origin(self, records: DataFrame, moment: datetime) -> DataFrame:
        return (
            records.withColumn(RECORD_COLUMN, F.lit(None).cast("binary"))
            .withColumn("_source_file", F.lit(self._source.uri))
            .withColumn("_source_version", F.lit(self.run_id))
            .withColumn("_row", F.monotonically_increasing_id() + 1)
            .withColumn("_sequence", F.lit(sequence_of(moment, self.run_id)))
            .withColumn("_batch_id", F.lit(self.batch_id))
            .withColumn("_ingested_at", F.lit(self.now.isoformat()).cast("timestamp"))
        )

    def _next_marks(self, version: SourceVersion, held: Mapping[str, str], rows: int) -> dict[str, Mark]:
        """Marks after this extraction, from the commit by which it entered bronze: an attempt that is repeated proposes the same."""
        source = self._source
        marks: dict[str, Mark] = {}
        if held.get(_RECONCILED) == "true":
            marks[reconciled_name(self.contract.id, source)] = to_mark(moment_of(version.sequence))
        reached = held.get(_REACHED)
        if source.watermark is not None and rows and reached is not None:
            marks[mark_name(self.contract.id, source)] = int(reached) if source.watermark.type in ("int", "long") else reached
        return marks


def extraction_of(bronze: IcebergTable, source: DatabaseSource, *, run_id: str) -> SourceVersion:
    """The extraction of a run, as bronze holds it.

    Raises:
        RunFailed: Bronze holds none of this run.
    """
    held = bronze.summary_where({_RUN: run_id})
    if held is None:
        raise RunFailed("job_failed", f"{bronze.name} holds no extraction of run {run_id}: the ingest of the same run comes first")
    return SourceVersion(uri=source.uri, version_id=run_id, sequence=held[_SEQUENCE])


def _as_mark(text: str | None, type_: str) -> Mark | None:
    if text is None or text.endswith(" BC"):
        # Before the year 1 nothing is marked: it is read every time.
        return None
    if type_ in ("int", "long"):
        return int(text)
    return text if type_ == "date" else to_mark(datetime.fromisoformat(text))
