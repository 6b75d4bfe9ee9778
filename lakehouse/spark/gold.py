"""From a transform's result to a gold table: judged as a whole, written only where it differs, published by a branch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.audit_records import QualityRecord
from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.predicates import row_predicate
from lakehouse.errors import RunFailed
from lakehouse.spark import newest
from lakehouse.spark.casts import spark_type
from lakehouse.spark.gate import STOPS_ROW
from lakehouse.spark.iceberg import STAGING_PREFIX, IcebergTable
from lakehouse.spark.progress import Reached
from lakehouse.spark.table_gate import Measured, listing, measure_table_rules, score, score_record


@dataclass(frozen=True, kw_only=True)
class Publication:
    """One publication of a gold table.

    Attributes:
        contract: Contract of the table.
        table: The table.
        run_id: Run, for the branch and the summary.
        other: Table in the catalog for a dataset, or None if this job may not read it.
        tell: Takes the results of the gate for the audit.
        reached: Told of each stage.
    """

    contract: CompiledContract
    table: IcebergTable
    run_id: str
    other: Callable[[str], str | None]
    tell: Callable[[Iterable[QualityRecord]], None]
    reached: Reached

    def run(self, rows: DataFrame) -> dict[str, int]:
        """Make the table hold exactly these rows; no commit if it does already.

        Args:
            rows: Everything that the table shall hold, with the contract's columns.

        Returns:
            Rows in all (`rows`), and those `inserted`, `updated` and `deleted`.

        Raises:
            RunFailed: `quality_gate`, or `job_failed` if the table is older than the contract; the table is as it was.
        """
        self.table.require_columns(column.name for column in self.contract.columns)
        wanted = self._shaped(rows).persist()
        try:
            judged = self._judge_rows(wanted)
            self._halt(judged)
            self.reached("publish: rows judged")
            changes = self._changes(wanted)
            if changes["inserted"] or changes["updated"] or changes["deleted"]:
                self._publish(wanted, judged)
            else:
                self._judge_table(self.table.read(), judged)
        finally:
            wanted.unpersist()
        return changes

    @property
    def _dataset(self) -> str:
        return f"gold.{self.contract.id}"

    def _shaped(self, rows: DataFrame) -> DataFrame:
        missing = [column.name for column in self.contract.columns if column.name not in rows.columns]
        if missing:
            raise RunFailed(
                "job_failed", f"the transform of {self.contract.id} gives no {', '.join(missing)}: it gives {', '.join(rows.columns)}"
            )
        return rows.select(*(F.col(column.name).cast(spark_type(column.type)).alias(column.name) for column in self.contract.columns))

    def _judge_rows(self, wanted: DataFrame) -> list[Measured]:
        rules = [rule for rule in self.contract.quality.rules if rule.level == "row"]
        counts = [F.count_if(~F.expr(row_predicate(rule, self.contract))) for rule in rules]
        repeated = F.count(F.lit(1)) - F.count_distinct(F.struct(*self.contract.keys))
        found = wanted.agg(repeated, *counts).collect()[0]
        if found[0]:
            keys = ", ".join(self.contract.keys)
            raise RunFailed("quality_gate", f"the transform of {self.contract.id} gives {found[0]} rows whose key ({keys}) another row has")
        return [Measured(rule=rule, value=float(found[place]), failed_rows=int(found[place])) for place, rule in enumerate(rules, start=1)]

    def _halt(self, judged: Sequence[Measured]) -> None:
        # A gold table has no quarantine: what is computed wrong is not published at all.
        broken = [result.record(self._dataset) for result in judged if result.rule.action in STOPS_ROW and result.failed_rows]
        if broken:
            self.tell(result.record(self._dataset) for result in judged)
            raise RunFailed("quality_gate", listing(broken))

    def _changes(self, wanted: DataFrame) -> dict[str, int]:
        if self.table.rows() == 0:
            total = wanted.count()
            return {"rows": total, "inserted": total, "updated": 0, "deleted": 0}
        ours = wanted.select("*", F.lit(True).alias("_wanted")).alias("s")
        theirs = self.table.read().select("*", F.lit(True).alias("_held")).alias("t")
        joined = ours.join(theirs, F.expr(newest.same_key(left="s", right="t", contract=self.contract)), "full")
        is_wanted, is_held = F.col("s._wanted").isNotNull(), F.col("t._held").isNotNull()
        found = joined.agg(
            F.count_if(is_wanted).alias("rows"),
            F.count_if(is_wanted & ~is_held).alias("inserted"),
            F.count_if(is_wanted & is_held & ~F.expr(self._same_content)).alias("updated"),
            F.count_if(is_held & ~is_wanted).alias("deleted"),
        ).collect()[0]
        return {name: int(found[name]) for name in ("rows", "inserted", "updated", "deleted")}

    @property
    def _same_content(self) -> str:
        return " AND ".join(f"s.`{column.name}` <=> t.`{column.name}`" for column in self.contract.columns)

    def _publish(self, wanted: DataFrame, judged: Sequence[Measured]) -> None:
        branch = STAGING_PREFIX + self.run_id.replace("-", "_")
        properties = {"run_id": self.run_id}
        is_first = self.table.rows() == 0
        self.table.create_branch(branch)
        self.reached("publish: branch created")
        try:
            if is_first:
                self.table.append(self.table.fitted(wanted), branch=branch, properties=properties)
            else:
                self.table.fitted(wanted).createOrReplaceTempView("lakehouse_wanted")
                self.table.merge(
                    f"MERGE INTO {{table}} t USING lakehouse_wanted s ON {newest.same_key(left='s', right='t', contract=self.contract)} "
                    f"WHEN MATCHED AND NOT ({self._same_content}) THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT * WHEN NOT MATCHED BY SOURCE THEN DELETE",
                    branch=branch,
                    properties=properties,
                )
            self.reached("publish: branch written")
            self._judge_table(self.table.read(branch), judged)
        except RunFailed:
            self.table.drop_branch(branch)
            raise
        self.reached("publish: gate passed")
        self.table.publish(branch)
        self.reached("publish: gold published")

    def _judge_table(self, rows: DataFrame, judged: Sequence[Measured]) -> None:
        # Rows were judged for their key before they were written, and the merge adds none: no need to look again.
        keys = set(self.contract.keys)
        known = {
            rule.id: 0.0
            for rule in self.contract.quality.rules
            if rule.level == "table" and rule.kind in {"unique", "duplicates"} and keys <= set(rule.args["columns"])
        }
        measured, _ = measure_table_rules(table=rows, batch=rows, contract=self.contract, known=known, other=self.other)
        results = [result.record(self._dataset) for result in (*judged, *measured)]
        scored = score_record(score(results), contract=self.contract, dataset=self._dataset)
        self.tell([*results, scored])
        broken = [result for result in (*results, scored) if result.level == "table" and result.action == "halt" and not result.passed]
        if broken:
            raise RunFailed("quality_gate", listing(broken))
