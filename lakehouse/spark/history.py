"""The past of an Iceberg table: old snapshots, staging branches, what manifests still say of files that are gone; and the way to be rid of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import functions as F

from lakehouse.spark.iceberg import MAIN, STAGING_PREFIX, IcebergTable

_MANIFEST_SIZE = "commit.manifest.target-size-bytes"

_REFERRED = {"metadata_log_entries": "file", "snapshots": "manifest_list", "all_manifests": "path", "all_files": "file_path"}
"""Metadata tables and their columns that together name every file of a table: those of all its snapshots."""


class PastTable(IcebergTable):
    """A table whose past can be seen and forgotten. Only for who holds the table's lease: a run under way has a branch of its own."""

    @property
    def kept_references(self) -> tuple[str, ...]:
        """Branches and tags that keep a past which is not ours to forget: all but main and what runs stage."""
        self._table.refresh()
        names = sorted(str(name) for name in self._table.refs())
        return tuple(name for name in names if name != MAIN and not name.startswith(STAGING_PREFIX))

    @property
    def snapshots(self) -> int:
        """Number of its snapshots, on any branch or none."""
        self._table.refresh()
        return sum(1 for _ in self._table.snapshots())

    @property
    def dead_entries(self) -> int:
        """Files that are gone and of which manifests still tell the least and the largest value of each column."""
        return sum(int(dead) for _, _, dead in self._manifests())

    def referred(self) -> set[str]:
        """Addresses of everything that the table's metadata refers to: metadata files, manifest lists, manifests, data and delete files, statistics."""
        self._table.refresh()
        found: set[str] = set()
        for name, column in _REFERRED.items():
            rows = self._spark.table(f"{self.name}.{name}").select(F.col(column)).where(F.col(column).isNotNull()).distinct().collect()
            found |= {str(row[0]) for row in rows}
        for files in (self._table.statisticsFiles(), self._table.partitionStatisticsFiles()):
            found |= {str(file.path()) for file in files}
        return found

    def drop_staging(self) -> None:
        """Drop what killed runs left: branches that nobody will publish."""
        for name in self.branches:
            if name.startswith(STAGING_PREFIX):
                self.drop_branch(name)
        self._table.refresh()

    def forget_dead_entries(self) -> None:
        """Write the manifests anew without the files that are gone.

        A commit that takes a file away notes it as deleted, with the least and the largest value of each of its columns: the key may be one of them.
        """
        jvm: Any = self._spark.sparkContext._jvm  # pyright: ignore[reportPrivateUsage]
        actions = jvm.org.apache.iceberg.spark.actions.SparkActions.get(self._spark._jsparkSession)  # pyright: ignore[reportPrivateUsage]
        manifests = self._manifests()
        for spec in sorted({spec for spec, _, dead in manifests if dead}):
            sizes = [size for other, size, _ in manifests if other == spec]
            # Iceberg leaves a lone manifest that is small enough as it is: of this one it shall want two.
            with self._manifest_size((sizes[0] + 1) // 2 if len(sizes) == 1 else None):
                actions.rewriteManifests(self._table).specId(spec).option("use-caching", "false").execute()
                self._table.refresh()

    def expire(self) -> None:
        """Forget every snapshot but the one that readers see; no file is deleted."""
        self._table.refresh()
        newest = max((int(snapshot.timestampMillis()) for snapshot in self._table.snapshots()), default=None)
        if newest is not None:
            self._table.expireSnapshots().expireOlderThan(newest + 1).retainLast(1).cleanExpiredFiles(False).commit()
            self._table.refresh()

    def _manifests(self) -> list[tuple[int, int, int]]:
        """Partition spec, bytes and deleted entries of each manifest of the current snapshot."""
        self._table.refresh()
        rows = self._spark.table(f"{self.name}.manifests").select("partition_spec_id", "length", "deleted_data_files_count").collect()
        return [(int(spec), int(length), int(dead or 0)) for spec, length, dead in rows]

    @contextmanager
    def _manifest_size(self, size: int | None) -> Iterator[None]:
        """Have Iceberg want manifests of a size for a while; None leaves it as it is."""
        if size is None:
            yield
            return
        before = self.property(_MANIFEST_SIZE)
        self.set_property(_MANIFEST_SIZE, str(max(1, size)))
        try:
            yield
        finally:
            change = self._table.updateProperties()
            (change.remove(_MANIFEST_SIZE) if before is None else change.set(_MANIFEST_SIZE, before)).commit()
            self._table.refresh()
