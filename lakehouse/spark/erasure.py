"""Erasure: every row with a key leaves the tables of a dataset, their past and the raw files, and it ends only when that is verified.

The order is what makes a killed erasure safe to repeat: raw files go first, while bronze still says which of them hold the key; bronze goes last of the
tables. In each table the rows are deleted (whole files are written anew without them), then what manifests say of the files that are gone, then every
snapshot but the newest, then every object version below the table's folder that the table does not consist of: deleted objects live on as noncurrent
versions, which no commit ever touches.

Bronze and quarantine hold text: a row is found by what the text is read as, as refine reads it (`007` is 7). A row whose key cannot be read, or whose record
could not be parsed, is nobody's by its key; it is counted if it may hold the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts.model import Column as ContractColumn
from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import RECORD_COLUMN
from lakehouse.erasures import ErasureReport, ErasureRequest, FileErasure, TableErasure, own_folder
from lakehouse.errors import RunFailed
from lakehouse.naming import DatasetName
from lakehouse.object_versions import Sorted, delete_versions, sort_versions, versions_below
from lakehouse.raw_copies import Found, RawCopies
from lakehouse.spark.casts import raw_value, typed, value_of
from lakehouse.spark.history import PastTable
from lakehouse.spark.progress import Reached
from lakehouse.spark.quarantine import RECORD_KEY

ZONES = ("silver", "quarantine", "bronze")
"""Zones in the order in which they are erased."""

UNKNOWN_HOURS = 24
"""Age from which an object that no snapshot knows is nobody's; a compaction that began before the erasure may still commit a younger one."""

REFUSED, INCOMPLETE = "erasure_refused", "erasure_incomplete"
"""Reason codes."""

_PLAIN = frozenset({"string", "int", "long"})
"""Types whose values stand in raw files as people write them."""


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """One erasure of one dataset; whoever runs it holds the leases of its tables.

    Attributes:
        spark: Session.
        contract: Contract of the dataset.
        request: What is asked for.
        database_prefix: Put before every database.
        s3: boto3 S3 client.
        bucket_of: Bucket of a zone.
        raw: Copies outside the tables; None for a dataset that no file brings.
        now: The present moment.
        reached: Told of each stage.
    """

    spark: SparkSession
    contract: CompiledContract
    request: ErasureRequest
    database_prefix: str
    s3: Any
    bucket_of: Callable[[str], str]
    raw: RawCopies | None
    now: datetime
    reached: Reached

    def look(self) -> ErasureReport:
        """What there is of the key; nothing is changed.

        Raises:
            RunFailed: `erasure_refused`: the key is none of this dataset, or a table has a past that is not ours to forget.
        """
        self._require_key()
        tables = tuple(self._look_at(zone) for zone in ZONES)
        found = self._raw_files() if any(table.rows for table in tables) or self.request.is_resumed else Found()
        report = ErasureReport(
            run_id=self.request.run_id,
            dataset=self.request.dataset,
            key_columns=tuple(self.request.key),
            key_sha256=self.request.key_sha256,
            requested_by=self.request.requested_by,
            outcome="PLANNED",
            tables=tables,
            files=found.doomed,
            unsearched=found.unsearched,
            staged=0 if self.raw is None else len(self.raw.staged()),
        )
        if any(table.rows for table in tables) or self.request.is_resumed:
            return report
        columns = ", ".join(self.request.key)
        return replace(report, outcome="NOT_FOUND", message=f"no row of {self.contract.id} has this {columns}")

    def erase(self, seen: ErasureReport) -> ErasureReport:
        """Delete what `look` found, and verify that it is gone.

        Args:
            seen: What `look` answered.

        Raises:
            RunFailed: `row_accounting`: other rows than those of the key would be missed.
        """
        staged = 0
        if self.raw is not None:
            self.raw.delete(seen.files)
            staged = self.raw.delete_staged()
            self.reached("erase: raw files deleted")
        before = {table.table: table for table in seen.tables}
        tables = tuple(self._erase_from(zone, before[str(self._dataset(zone))]) for zone in ZONES)
        report = replace(seen, outcome="ERASED", tables=tables, staged=staged)
        left = _left(report)
        return replace(report, outcome="INCOMPLETE", message=left) if left else report

    def _require_key(self) -> None:
        for name, text in self.request.key.items():
            if name not in self.contract.keys:
                raise RunFailed(REFUSED, f"{name} is no key column of {self.contract.id}: those are {', '.join(self.contract.keys)}")
            column = self.contract.column(name)
            is_readable = self.spark.range(1).select(value_of(text, column).isNotNull()).collect()[0][0]
            if not is_readable:
                raise RunFailed(REFUSED, f"the value of {name} cannot be read as {column.type}: write it as `lake sql` shows it")

    def _look_at(self, zone: str) -> TableErasure:
        table = self._table(zone)
        if table.kept_references:
            raise RunFailed(
                REFUSED,
                f"{table.name} has branches or tags that keep old rows: {', '.join(table.kept_references)}. Drop them, then erase again",
            )
        if table.rows() is None:
            raise RunFailed(
                REFUSED,
                f"{table.name} has delete files, which hide rows that its data files still hold: have the table compacted, then erase again",
            )
        past = sum(1 for version in self._versions(zone) if not version.is_current)
        if table.snapshot_id() is None:
            return TableErasure(table=str(self._dataset(zone)), rows=0, others=0, unreadable=0, files=0, snapshots=0, versions=past)
        has_key = self._has_key(zone)
        # The name of a file is told row by row, not inside an aggregate.
        rows = table.read().withColumn("_in", F.input_file_name()).withColumn("_has_key", F.coalesce(has_key, F.lit(False)))
        found = rows.agg(
            F.count_if("_has_key").alias("rows"),
            F.count(F.lit(1)).alias("all"),
            F.count_if(~F.col("_has_key") & F.coalesce(self._may_have_key(zone), F.lit(False))).alias("unreadable"),
            F.count_distinct(F.when(F.col("_has_key"), F.col("_in"))).alias("files"),
        ).collect()[0]
        return TableErasure(
            table=str(self._dataset(zone)),
            rows=found["rows"],
            others=found["all"] - found["rows"],
            unreadable=found["unreadable"],
            files=found["files"],
            snapshots=table.snapshots - 1,
            versions=past,
        )

    def _erase_from(self, zone: str, before: TableErasure) -> TableErasure:
        table = self._table(zone)
        if table.snapshot_id() is None:
            return self._purge(zone, before, live=table.referred(), known=set())
        table.drop_staging()
        if before.rows:
            doomed = table.read().where(self._has_key(zone)).select(*RECORD_KEY).distinct().localCheckpoint()
            doomed.createOrReplaceTempView("lakehouse_erased")
            on = " AND ".join(f"t.`{name}` = s.`{name}`" for name in RECORD_KEY)
            table.merge(
                f"MERGE INTO {{table}} t USING lakehouse_erased s ON {on} WHEN MATCHED THEN DELETE",
                properties={"run_id": self.request.run_id},
            )
            self.reached(f"erase: rows deleted from {zone}")
        table.forget_dead_entries()
        known = table.referred()
        table.expire()
        self.reached(f"erase: past of {zone} forgotten")
        self._verify_rows(zone, table, before)
        return self._purge(zone, before, live=table.referred(), known=known)

    def _verify_rows(self, zone: str, table: PastTable, before: TableErasure) -> None:
        left, others = table.read().agg(F.count_if(self._has_key(zone)), F.count(F.lit(1))).collect()[0]
        if left or others != before.others:
            raise RunFailed(
                "row_accounting",
                f"{table.name} holds {left} rows with the key and {others - left} others, there were {before.others} others before the erasure",
            )
        if table.snapshots != 1 or table.dead_entries or table.branches != ("main",):
            raise RunFailed(
                INCOMPLETE,
                f"{table.name} still has a past: {table.snapshots} snapshots, {table.dead_entries} dead entries in manifests, branches "
                f"{', '.join(table.branches)}. Somebody else writes it; repeat the erasure",
            )

    def _purge(self, zone: str, before: TableErasure, *, live: set[str], known: set[str]) -> TableErasure:
        bucket = self.bucket_of(zone)
        found = self._sorted(zone, live=live, known=known)
        delete_versions(self.s3, bucket=bucket, versions=found.doomed)
        left = self._sorted(zone, live=live, known=known)
        if left.doomed:
            raise RunFailed(
                INCOMPLETE,
                f"{len(left.doomed)} object versions of {before.table} are there again after they were deleted; repeat the erasure",
            )
        self.reached(f"erase: object versions of {zone} deleted")
        return replace(
            before,
            versions=len(found.doomed),
            deleted=tuple(f"{version.key}?versionId={version.version_id}" for version in found.doomed),
            young=tuple(version.key for version in left.young),
        )

    def _sorted(self, zone: str, *, live: set[str], known: set[str]) -> Sorted:
        address = f"s3://{self.bucket_of(zone)}/"
        return sort_versions(
            self._versions(zone),
            live={name.removeprefix(address) for name in live},
            known={name.removeprefix(address) for name in known},
            unknown_before=self.now - timedelta(hours=UNKNOWN_HOURS),
        )

    def _versions(self, zone: str) -> Any:
        return versions_below(self.s3, bucket=self.bucket_of(zone), prefix=own_folder(self.contract.id))

    def _raw_files(self) -> Found:
        """Versions of raw files by what bronze says of them."""
        if self.raw is None:
            return Found()
        bronze = self._table("bronze")
        if bronze.snapshot_id() is None:
            return self.raw.find((), loaded=set())
        place = ("_source_file", "_source_version")
        counted = (
            bronze.read().groupBy(*place).agg(F.count(F.lit(1)).alias("all"), F.count_if(self._has_key("bronze")).alias("rows")).collect()
        )
        holding = [FileErasure(uri=uri, version=version, rows=rows, others=all_ - rows) for uri, version, all_, rows in counted if rows]
        return self.raw.find(holding, loaded={(row[0], row[1]) for row in counted})

    def _has_key(self, zone: str) -> Column:
        """Whether a row has the key; NULL counts as no."""
        values = (self._value(zone, column) == value_of(text, column) for column, text in self._key)
        return reduce(Column.__and__, values)

    def _may_have_key(self, zone: str) -> Column:
        """Whether the key of a row cannot be read and the text of the row may hold it."""
        if zone == "silver":
            return F.lit(False)
        unread = reduce(Column.__or__, (self._value(zone, column).isNull() for column, _ in self._key))
        return unread & reduce(Column.__and__, (_may_hold(column, text) for column, text in self._key))

    def _value(self, zone: str, column: ContractColumn) -> Column:
        return F.col(column.name) if zone == "silver" else typed(column)

    @property
    def _key(self) -> Sequence[tuple[ContractColumn, str]]:
        return [(self.contract.column(name), text) for name, text in self.request.key.items()]

    def _dataset(self, zone: str) -> DatasetName:
        return DatasetName(zone=zone, domain=self.contract.domain, dataset=self.contract.dataset)

    def _table(self, zone: str) -> PastTable:
        return PastTable(self.spark, self._dataset(zone).table(self.database_prefix))


def table_names(dataset: str, *, database_prefix: str) -> Mapping[str, str]:
    """Tables of a dataset by zone, as leases name them."""
    domain, _, name = dataset.partition(".")
    return {zone: DatasetName(zone=zone, domain=domain, dataset=name).table(database_prefix) for zone in ZONES}


def _may_hold(column: ContractColumn, text: str) -> Column:
    """Whether a record that could not be parsed, or the text of the column, holds the text of a value; of other types than plain ones every record may."""
    if column.type not in _PLAIN or column.logic is not None:
        return F.lit(True)
    record = F.instr(F.col(RECORD_COLUMN).cast("string"), text) > 0
    return F.coalesce(record, F.lit(False)) | F.coalesce(F.instr(raw_value(column), text) > 0, F.lit(False))


def _left(report: ErasureReport) -> str:
    """What keeps an erasure from being whole, or ""."""
    parts: list[str] = []
    young = sum(len(table.young) for table in report.tables)
    # Those in quarantine are in bronze as well.
    unreadable = max((table.unreadable for table in report.tables), default=0)
    if young:
        parts.append(
            f"{young} objects that no snapshot knows are younger than {UNKNOWN_HOURS} hours and may be what a compaction is about to commit: repeat the erasure when they are older"
        )
    if report.unsearched:
        parts.append(
            f"{len(report.unsearched)} versions of raw files were never loaded, so nobody can tell what is in them: look into them"
        )
    if unreadable:
        parts.append(f"{unreadable} rows whose key cannot be read may hold it: look into them")
    return "; ".join(parts)
