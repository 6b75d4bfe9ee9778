"""Rows that the gate kept out, with their reasons: for the file versions of a run, quarantine holds exactly those, however often the run is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.spark.iceberg import IcebergTable
from lakehouse.spark.versions import Version, of_files

RECORD_KEY = ("_source_file", "_source_version", "_row")
"""What identifies a record of a file version."""


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """Rows of certain file versions in quarantine.

    Attributes:
        rows: Their number.
        reasons: Rows by reason code; a row with two reasons counts for both.
        by_rule: Rows by the rule that they break.
    """

    rows: int
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    by_rule: dict[str, int] = field(default_factory=dict[str, int])


def keep_out(bad: DataFrame | None, *, quarantine: IcebergTable, files: Sequence[Version] | None, properties: dict[str, str]) -> None:
    """Make quarantine hold exactly these rows of these file versions; no commit if it does already.

    Args:
        bad: Rows with columns of the table; None if there is none.
        quarantine: The table.
        files: File versions that were judged; None for all that there are.
        properties: Entries of the snapshot's summary.
    """
    columns = quarantine.columns
    is_new = quarantine.snapshot_id() is None
    held = None if is_new else _of(quarantine, files)
    has_held = held is not None and not held.isEmpty()
    if bad is None and not has_held:
        return
    if not has_held:
        assert bad is not None
        quarantine.append(quarantine.fitted(bad), properties=properties, options={"distribution-mode": "none", "fanout-enabled": "true"})
        return
    assert held is not None
    wanted = held.limit(0) if bad is None else quarantine.fitted(bad)
    wanted = wanted.persist()
    try:
        # Apart from the plan that made it: a MERGE takes neither a fence nor a branch in what it reads.
        changes = _changes(wanted, held).localCheckpoint()
        if changes.isEmpty():
            return
        changes.createOrReplaceTempView("lakehouse_kept_out")
        on = " AND ".join(f"t.`{name}` = s.`{name}`" for name in RECORD_KEY)
        quarantine.merge(
            f"MERGE INTO {{table}} t USING lakehouse_kept_out s ON {on} "  # noqa: S608 - names of our own
            "WHEN MATCHED AND s._gone THEN DELETE "
            f"WHEN MATCHED THEN UPDATE SET {', '.join(f't.`{name}` = s.`{name}`' for name in columns)} "
            f"WHEN NOT MATCHED THEN INSERT ({', '.join(f'`{name}`' for name in columns)}) VALUES ({', '.join(f's.`{name}`' for name in columns)})",
            properties=properties,
        )
    finally:
        wanted.unpersist()


def kept_out(quarantine: IcebergTable, files: Sequence[Version] | None) -> Quarantined:
    """What quarantine holds of certain file versions."""
    if quarantine.snapshot_id() is None:
        return Quarantined(rows=0)
    rows = _of(quarantine, files)
    kinds = rows.select(F.array_distinct("_reasons.code").alias("codes"), F.array_distinct("_reasons.rule").alias("rules"))
    reasons: dict[str, int] = {}
    by_rule: dict[str, int] = {}
    total = 0
    for row in kinds.groupBy("codes", "rules").count().collect():
        total += row["count"]
        for code in row["codes"]:
            reasons[code] = reasons.get(code, 0) + row["count"]
        for rule in row["rules"]:
            if rule is not None:
                by_rule[rule] = by_rule.get(rule, 0) + row["count"]
    return Quarantined(rows=total, reasons=dict(sorted(reasons.items())), by_rule=by_rule)


def _of(quarantine: IcebergTable, files: Sequence[Version] | None) -> DataFrame:
    return quarantine.read() if files is None else of_files(quarantine.read(), files)


def _changes(wanted: DataFrame, held: DataFrame) -> DataFrame:
    """Rows to write, and rows to take away (`_gone`): those whose reasons differ, that are new, or that are good by now."""
    old = held.select(*RECORD_KEY, F.col("_reasons").alias("_old_reasons"))
    changed = wanted.join(old, list(RECORD_KEY), "left").where(~F.col("_reasons").eqNullSafe(F.col("_old_reasons")))
    gone = held.join(wanted.select(*RECORD_KEY), list(RECORD_KEY), "left_anti")
    return changed.drop("_old_reasons").withColumn("_gone", F.lit(False)).unionByName(gone.withColumn("_gone", F.lit(True)))
