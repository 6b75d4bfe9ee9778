"""Rows of certain file versions, found without reading the whole table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.spark.values import table_of

_FEW = 8


class Version(Protocol):
    """Where records come from: one version of a file, or one extraction of a table."""

    @property
    def uri(self) -> str:
        """The file or table, as in `_source_file`."""
        ...

    @property
    def version_id(self) -> str:
        """The version, as in `_source_version`."""
        ...

    @property
    def sequence(self) -> str:
        """Its order among others, as in `_sequence`."""
        ...


@dataclass(frozen=True, kw_only=True)
class SourceVersion:
    """One extraction of a table.

    Attributes:
        uri: The table, `jdbc:<connection>/<schema>.<table>`.
        version_id: The run that read it.
        sequence: Order of its snapshot.
    """

    uri: str
    version_id: str
    sequence: str


def of_files(rows: DataFrame, files: Sequence[Version]) -> DataFrame:
    """Rows that came from these file versions.

    The range of sequences and the names let Iceberg skip files by their statistics; the versions decide.

    Args:
        rows: Rows with `_source_file`, `_source_version` and `_sequence`.
        files: The file versions; none gives no row.
    """
    if not files:
        return rows.where(F.lit(False))
    sequences = sorted(file.sequence for file in files)
    near = rows.where(F.col("_sequence").between(sequences[0], sequences[-1]))
    if len(files) <= _FEW:
        chosen = F.lit(False)
        for file in files:
            chosen |= (F.col("_source_version") == file.version_id) & (F.col("_source_file") == file.uri)
        return near.where(chosen)
    wanted = [(file.uri, file.version_id) for file in files]
    table = table_of(rows.sparkSession, wanted, "_source_file string, _source_version string")
    return near.join(F.broadcast(table), ["_source_file", "_source_version"], "left_semi")
