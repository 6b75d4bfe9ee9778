"""What an extraction brings that bronze does not hold yet, where no silver would tell: a table of a group's row is its own memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.contracts.tables import DELETE, EXTRA_COLUMN, OPERATION_COLUMN
from lakehouse.errors import RunFailed
from lakehouse.spark.iceberg import IcebergTable

KEY_NOT_UNIQUE = "key_not_unique"
"""Reason of a row of a group whose keys do not identify a row of its table."""


class Changes:
    """Leaves of an extraction what differs from the newest record of its key in bronze; a whole extraction adds a delete for each key that is gone."""

    def __init__(self, *, bronze: IcebergTable, columns: Sequence[str], keys: Sequence[str], is_whole: bool) -> None:
        """
        Args:
            bronze: The table.
            columns: Raw columns of the source.
            keys: Those of them that identify a row.
            is_whole: Whether the extraction holds every row of the source.
        """
        self._bronze = bronze
        self._columns = tuple(columns)
        self._keys = tuple(keys)
        self._is_whole = is_whole
        self._held: DataFrame | None = None

    def __call__(self, rows: DataFrame) -> DataFrame:
        """
        Args:
            rows: Raw columns (string), `_extra`, `_operation`, as they were extracted; the source is read once.

        Returns:
            Rows of the same columns.

        Raises:
            RunFailed: Two rows of the extraction have one key.
        """
        self.close()
        self._held = ours = rows.persist()
        self._require_keys(ours)
        if self._bronze.snapshot_id() is None:
            return ours
        newest = self._newest().select(*(F.col(name).alias(f"held_{name}") for name in self._keys), F.struct(*self._columns).alias("held"))
        differs = ~F.col("held").eqNullSafe(F.struct(*self._columns))
        changed = ours.join(newest, self._same_key(), "left").where(differs).select(*rows.columns)
        return changed.unionByName(self._gone(ours, newest, rows)) if self._is_whole else changed

    def close(self) -> None:
        """Forget the rows that were read."""
        if self._held is not None:
            self._held.unpersist()
            self._held = None

    def _newest(self) -> DataFrame:
        """The newest record of each key, unless it says that the key is gone."""
        order = Window.partitionBy(*self._keys).orderBy(F.col("_sequence").desc(), F.col("_row").desc())
        ranked = self._bronze.read().withColumn("_place", F.row_number().over(order))
        return ranked.where((F.col("_place") == 1) & F.col(OPERATION_COLUMN).isNull())

    def _same_key(self) -> Column:
        return reduce(lambda left, right: left & right, (F.col(name).eqNullSafe(F.col(f"held_{name}")) for name in self._keys))

    def _gone(self, ours: DataFrame, newest: DataFrame, rows: DataFrame) -> DataFrame:
        gone = newest.join(ours.select(*self._keys), self._same_key(), "left_anti")
        nothing = F.lit(None).cast("string")
        values = {name: F.col(f"held_{name}") for name in self._keys}
        return gone.select(
            *(values.get(name, nothing).alias(name) for name in self._columns),
            F.lit(None).cast("map<string,string>").alias(EXTRA_COLUMN),
            F.lit(DELETE).alias(OPERATION_COLUMN),
        ).select(*rows.columns)

    def _require_keys(self, ours: DataFrame) -> None:
        twice = ours.groupBy(*self._keys).count().where(F.col("count") > 1).orderBy(*self._keys).limit(1).collect()
        if twice:
            key = ", ".join(f"{name}={twice[0][name]}" for name in self._keys)
            raise RunFailed(KEY_NOT_UNIQUE, f"the source has {twice[0]['count']} rows with {key}: name columns in keys that identify a row")
