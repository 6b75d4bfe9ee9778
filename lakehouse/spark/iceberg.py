"""An Iceberg table as the jobs see it: snapshots, branches that are published in one commit, appends that name their run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, MapType, StructType

from lakehouse.errors import RunFailed
from lakehouse.naming import CATALOG

MAIN = "main"
"""Branch that readers see."""

STAGING_PREFIX = "run_"
"""Begin of the name of every branch on which a run prepares what it will publish."""

_ABSENT = ("42P01", "42704")
"""SQL states of a table and of a database that is not there: every release of Spark that is selectable tells them, not so the names of its errors."""

_PROPERTY_CONF = "spark.sql.iceberg.snapshot-property."


class IcebergTable:
    """One table of the catalog `lake`; metadata is read and committed through Iceberg's own API, so it costs no Spark job."""

    def __init__(self, spark: SparkSession, name: str) -> None:
        """
        Args:
            spark: Session with the catalog.
            name: Name in SQL without the catalog, `<database>.<table>`.

        Raises:
            RunFailed: `job_failed`: the catalog has no such table.
        """
        self._spark = spark
        self.name = f"{CATALOG}.{name}"
        jvm: Any = spark.sparkContext._jvm  # pyright: ignore[reportPrivateUsage]
        try:
            self._table: Any = jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, self.name)  # pyright: ignore[reportPrivateUsage]
        except AnalysisException as error:
            if error.getSqlState() not in _ABSENT:
                raise
            raise RunFailed(
                "job_failed",
                f"{self.name} is not in the catalog: its stack is not deployed, or somebody dropped it; deploy every stack, then repeat the run",
            ) from error

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns in order."""
        return tuple(field.name() for field in self._table.schema().columns())

    @property
    def branches(self) -> tuple[str, ...]:
        """Names of its branches."""
        self._table.refresh()
        references = self._table.refs()
        return tuple(str(name) for name in references if references[name].isBranch())

    def snapshot_id(self, branch: str = MAIN) -> int | None:
        """Id of the snapshot that a branch points to; None if the table was never written."""
        snapshot = self._snapshot(branch)
        return None if snapshot is None else int(snapshot.snapshotId())

    def rows(self, branch: str = MAIN) -> int | None:
        """Rows of a branch by its metadata alone; None if the metadata cannot tell (there are delete files)."""
        snapshot = self._snapshot(branch)
        if snapshot is None:
            return 0
        summary = snapshot.summary()
        if int(summary.get("total-delete-files") or 0) or summary.get("total-records") is None:
            return None
        return int(summary.get("total-records"))

    def summary(self, branch: str = MAIN) -> dict[str, str]:
        """Summary of the snapshot that a branch points to."""
        snapshot = self._snapshot(branch)
        return {} if snapshot is None else {str(key): str(snapshot.summary()[key]) for key in snapshot.summary()}

    def summary_where(self, entries: Mapping[str, str]) -> dict[str, str] | None:
        """Summary of the newest snapshot with these entries, on any branch; None if there is none."""
        self._table.refresh()
        for snapshot in sorted(self._table.snapshots(), key=lambda one: one.sequenceNumber(), reverse=True):
            summary = snapshot.summary()
            if all(summary.get(key) == value for key, value in entries.items()):
                return {str(key): str(summary[key]) for key in summary}
        return None

    def property(self, name: str) -> str | None:
        """A property of the table, or None."""
        self._table.refresh()
        value = self._table.properties().get(name)
        return None if value is None else str(value)

    def set_property(self, name: str, value: str) -> None:
        """Set a property of the table, in a commit of its own."""
        self._table.updateProperties().set(name, value).commit()
        self._table.refresh()

    def read(self, branch: str = MAIN) -> DataFrame:
        """The rows of a branch as of now, however the table changes while they are read, with the columns that the table has now."""
        snapshot = self._snapshot(branch)
        if snapshot is None:
            return self._spark.table(self.name)
        rows = self._spark.read.option("versionAsOf", int(snapshot.snapshotId())).table(self.name)
        if snapshot.schemaId() == self._table.schema().schemaId():
            return rows
        # A snapshot is read with the schema that it was written with; a branch with the table's own.
        self._spark.catalog.refreshTable(self.name)
        columns = self._columns_of(rows, self._table.schemas()[snapshot.schemaId()])
        return self._spark.read.option("branch", branch).table(self.name) if columns is None else rows.select(columns)

    def _columns_of(self, rows: DataFrame, held: Any) -> list[Column] | None:
        """The columns that the table has now, of rows that were written with an older schema; None if a type inside a type has changed.

        Spark plans no MERGE whose source is a view of a branch, so a branch is read only where nothing else tells the values.
        """
        now = self._table.schema()
        columns: list[Column] = []
        for field in self._spark.table(self.name).schema.fields:
            there = held.findField(now.findField(field.name).fieldId())
            if there is None:
                columns.append(F.lit(None).cast(field.dataType).alias(field.name))
                continue
            if isinstance(field.dataType, StructType | ArrayType | MapType) and field.dataType != rows.schema[there.name()].dataType:
                return None
            columns.append(F.col(f"`{there.name()}`").cast(field.dataType).alias(field.name))
        return columns

    def fitted(self, rows: DataFrame, *, beside: Sequence[str] = ()) -> DataFrame:
        """Rows with the columns of the table, in its order; a column that they lack is NULL.

        A table may be ahead of the job: a contract that goes back to an older version leaves the table's columns as they are.

        Args:
            rows: Rows to write; further columns of theirs are left out.
            beside: Further columns that are kept, for a MERGE to look at.
        """
        given = set(rows.columns)
        types = {field.name: field.dataType for field in self._spark.table(self.name).schema.fields}
        return rows.select(*(F.col(name) if name in given else F.lit(None).cast(types[name]).alias(name) for name in self.columns), *beside)

    def require_columns(self, names: Iterable[str]) -> None:
        """Refuse a table that is behind the job.

        Args:
            names: Columns that will be written.

        Raises:
            RunFailed: The table lacks some of them.
        """
        held = set(self.columns)
        missing = [name for name in names if name not in held]
        if missing:
            raise RunFailed(
                "job_failed",
                f"{self.name} has no column {', '.join(missing)}, which the contract has: the catalog is older than this job; deploy every stack, then repeat the run",
            )

    def append(
        self, rows: DataFrame, *, branch: str = MAIN, properties: Mapping[str, str], options: Mapping[str, str] | None = None
    ) -> None:
        """Add rows in one commit.

        Args:
            rows: Rows with the columns of the table.
            branch: Branch that receives them.
            properties: Entries of the snapshot's summary.
            options: Write options of Iceberg.
        """
        target = self.name if branch == MAIN else f"{self.name}.branch_{branch}"
        writer = rows.writeTo(target)
        for key, value in {**{f"snapshot-property.{key}": value for key, value in properties.items()}, **(options or {})}.items():
            writer = writer.option(key, value)
        writer.append()
        self._table.refresh()

    def merge(self, statement: str, *, branch: str = MAIN, properties: Mapping[str, str]) -> None:
        """Run a MERGE; `{table}` in the statement stands for the branch."""
        target = self.name if branch == MAIN else f"{self.name}.branch_{branch}"
        with _session_conf(self._spark, {_PROPERTY_CONF + key: value for key, value in properties.items()}):
            self._spark.sql(statement.replace("{table}", target))
        self._table.refresh()

    def create_branch(self, branch: str) -> None:
        """Branch off what main shows now; leftovers of killed runs are dropped in the same commit."""
        stale = [name for name in self.branches if name.startswith(STAGING_PREFIX)]
        change = self._table.manageSnapshots()
        for name in stale:
            change = change.removeBranch(name)
        if stale:
            change.commit()
            change = self._table.manageSnapshots()
        snapshot = self.snapshot_id()
        (change.createBranch(branch) if snapshot is None else change.createBranch(branch, snapshot)).commit()

    def publish(self, branch: str, *, properties: Mapping[str, str] | None = None) -> None:
        """Move main to a branch and drop the branch, in one commit; fails if main has moved since.

        Args:
            branch: The branch.
            properties: Properties that the table gets in the same commit.
        """
        change = self._table.newTransaction()
        if properties:
            update = change.updateProperties()
            for name, value in properties.items():
                update = update.set(name, value)
            update.commit()
        change.manageSnapshots().fastForwardBranch(MAIN, branch).removeBranch(branch).commit()
        change.commitTransaction()
        self._table.refresh()

    def drop_branch(self, branch: str) -> None:
        """Drop a branch if it is there; its snapshot expires with the table's others."""
        if branch in self.branches:
            self._table.manageSnapshots().removeBranch(branch).commit()

    def _snapshot(self, branch: str) -> Any:
        self._table.refresh()
        return self._table.snapshot(branch)


@contextmanager
def _session_conf(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    for key, value in settings.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key in settings:
            spark.conf.unset(key)
