"""From bronze to silver: judge each record, keep the newest of each key, and publish the result only if it passes the gate.

Every record of the files or of the extraction of a run ends in exactly one place: silver, superseded by a newer record of its key, quarantine, or
deleted: it said that its key is gone, and it is. They are counted on the way in (from bronze) and again on the way out (from the tables), and a
difference stops the run before anything is published.

Rows of a database are told apart from those of files in three things. A record may be a delete. A record that says just what silver holds changes
nothing, as overlaps bring most rows more than once. And silver notes the newest extraction that entered it: one that is older, of a run that was
repeated after a later one, is superseded as a whole, as it might bring back rows that were deleted since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.audit_records import QualityRecord
from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import DELETE, OPERATION_COLUMN, SILVER_PLATFORM_COLUMNS
from lakehouse.errors import RunFailed
from lakehouse.spark import newest
from lakehouse.spark.casts import typed
from lakehouse.spark.gate import IS_GOOD, REASONS, RowGate
from lakehouse.spark.iceberg import STAGING_PREFIX, IcebergTable
from lakehouse.spark.progress import Reached
from lakehouse.spark.quarantine import RECORD_KEY, Quarantined, keep_out, kept_out
from lakehouse.spark.table_gate import Measured, listing, measure_table_rules, score, score_record
from lakehouse.spark.versions import Version, of_files

NEWEST_EXTRACTION = "lakehouse.newest-extraction"
"""Property of a silver table: sequence of the newest extraction that was published."""

_BRONZE = "_bronze"
_IS_DELETE = "_is_delete"
_AGAINST = "_against"
_FENCE = "_fence"
_PLATFORM = tuple(name for _, name, _ in SILVER_PLATFORM_COLUMNS)
_STANDINGS: Mapping[str, int] = dict.fromkeys(("new", "newer", "same", "corrected", "older", "unchanged", "gone", "absent"), 0)
_REASON_TYPE = "array<struct<code:string, column:string, rule:string, message:string>>"


@dataclass(frozen=True, kw_only=True)
class SilverTables:
    """The tables of one dataset.

    Attributes:
        bronze: Records as they came.
        silver: The newest good row of each key.
        quarantine: Records that were kept out.
    """

    bronze: IcebergTable
    silver: IcebergTable
    quarantine: IcebergTable


@dataclass(kw_only=True)
class Findings:
    """What a run has found so far; it is told of also when the run fails.

    Attributes:
        counts: rows_in, silver, superseded, quarantined, deleted, as far as they are known.
        reasons: Quarantined rows by reason code.
        written: Rows that this run wrote to silver: 0 if it changed nothing.
    """

    counts: dict[str, int] = field(default_factory=dict[str, int])
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    written: int = 0


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """One refinement of the files of a run.

    Attributes:
        spark: Session.
        contract: Contract of the dataset.
        tables: Its tables.
        files: File versions to refine, or the extraction; None for all that bronze holds.
        run_id: Run, for the branch and the summaries.
        batch_id: Batch, for the summaries.
        now: Moment of quarantine.
        other: Table in the catalog for a contract id, or None if this job may not read it.
        tell: Takes the results of the gate for the audit.
        reached: Told of each stage.
    """

    spark: SparkSession
    contract: CompiledContract
    tables: SilverTables
    files: Sequence[Version] | None
    run_id: str
    batch_id: str
    now: datetime
    other: Callable[[str], str | None]
    tell: Callable[[Iterable[QualityRecord]], None]
    reached: Reached

    def run(self, findings: Findings) -> None:
        """Refine; `findings` is filled on the way.

        Raises:
            RunFailed: `quality_gate`, `too_many_quarantined`, `row_accounting`, or `job_failed` if a table is older than the contract; silver is
                as it was.
        """
        for table in (self.tables.bronze, self.tables.quarantine):
            table.require_columns(self.contract.raw_columns)
        self.tables.silver.require_columns(column.name for column in self.contract.columns)
        if self.tables.bronze.snapshot_id() is None:
            findings.counts.update(self._nothing)
            return
        if self._is_outdated:
            self._supersede(findings)
            return
        judged = self._judged()
        counted = self._count(judged)
        findings.counts["rows_in"] = counted["rows_in"]
        self.reached("refine: rows judged")
        if counted["rows_in"] == 0:
            # Files without a record: there is nothing to judge, and a rule that asks for rows has nothing to say.
            findings.counts.update(self._nothing)
            self._note_extraction()
            return
        good = judged if counted["good"] == counted["rows_in"] else judged.where(F.col(IS_GOOD) & _behind_fence())
        ranked = newest.with_standing(self._repeatable_good(), self.contract).persist() if counted["contended"] else None
        try:
            self._run_ranked(findings, judged=judged, good=good, ranked=ranked, counted=counted)
        finally:
            if ranked is not None:
                ranked.unpersist()

    def _run_ranked(
        self, findings: Findings, *, judged: DataFrame, good: DataFrame, ranked: DataFrame | None, counted: Mapping[str, int]
    ) -> None:
        standings = {newest.NEWEST: counted["good"], newest.SUPERSEDED: 0, newest.CONFLICT: 0}
        if ranked is not None:
            standings = {**dict.fromkeys(standings, 0), **{row[0]: row[1] for row in ranked.groupBy(newest.STANDING).count().collect()}}
        winners = good if ranked is None else ranked.where(F.col(newest.STANDING) == newest.NEWEST)
        bad_rows = counted["rows_in"] - counted["good"]
        out = self._keep_out(judged, ranked, bad_rows=bad_rows, conflicts=standings[newest.CONFLICT])
        findings.counts["quarantined"] = out.rows
        findings.reasons.update(out.reasons)
        self.reached("refine: quarantine committed")
        measured = self._row_results(out, counted)
        self.tell(result.record(self._dataset) for result in measured)
        self._check_rows(out, measured, rows_in=counted["rows_in"], expected=bad_rows + standings[newest.CONFLICT])
        if not self._has_operations:
            against = self._corrected(winners, self._compare(winners, rows=standings[newest.NEWEST]))
            self._publish_against(
                findings, winners, against=against, standings=standings, measured=measured, is_repeatable=ranked is not None
            )
            return
        changes = self._against_silver(winners if ranked is not None else self._repeatable_good()).persist()
        try:
            against = self._compared(changes, rows=standings[newest.NEWEST])
            wanted = changes.where(F.col(_AGAINST).isin("new", "newer", "gone")).drop(_AGAINST)
            self._publish_against(findings, wanted, against=against, standings=standings, measured=measured, is_repeatable=True)
        finally:
            changes.unpersist()

    def _publish_against(
        self,
        findings: Findings,
        winners: DataFrame,
        *,
        against: Mapping[str, int],
        standings: Mapping[str, int],
        measured: Sequence[Measured],
        is_repeatable: bool,
    ) -> None:
        # Of one extraction, what silver says already gives way to it; of all that bronze holds, it is what stands there.
        in_silver, passed_over = (against["unchanged"], 0) if self.files is None else (0, against["unchanged"])
        findings.counts["silver"] = against["new"] + against["newer"] + against["same"] + against["corrected"] + in_silver
        findings.counts["superseded"] = standings[newest.SUPERSEDED] + against["older"] + passed_over
        if self._has_operations:
            findings.counts["deleted"] = against["gone"] + against["absent"]
        findings.written = against["new"] + against["newer"] + against["corrected"] + against["gone"]
        self._publish(findings, winners, against=against, measured=measured, is_repeatable=is_repeatable)

    @property
    def _dataset(self) -> str:
        return f"silver.{self.contract.id}"

    @property
    def _branch(self) -> str:
        return STAGING_PREFIX + self.run_id.replace("-", "_")

    @property
    def _properties(self) -> dict[str, str]:
        return {"run_id": self.run_id, "batch_id": self.batch_id}

    @property
    def _has_operations(self) -> bool:
        """Whether records may say that their key is gone: those of a database."""
        return self.contract.database is not None

    @property
    def _extraction(self) -> Version | None:
        """The extraction that is refined, or None if there are files, or everything that bronze holds."""
        return self.files[0] if self._has_operations and self.files else None

    @property
    def _is_outdated(self) -> bool:
        """Whether a later extraction than this one was published."""
        newest_one = self.tables.silver.property(NEWEST_EXTRACTION)
        return self._extraction is not None and newest_one is not None and self._extraction.sequence < newest_one

    @property
    def _nothing(self) -> dict[str, int]:
        counts = {"rows_in": 0, "silver": 0, "superseded": 0, "quarantined": 0}
        return {**counts, "deleted": 0} if self._has_operations else counts

    def _supersede(self, findings: Findings) -> None:
        """Count the records of an extraction that came too late; the tables stay as they are."""
        assert self.files is not None
        rows, held = self._records().count(), of_files(self.tables.silver.read(), self.files).count()
        out = kept_out(self.tables.quarantine, self.files)
        findings.counts.update(rows_in=rows, silver=held, superseded=rows - held - out.rows, quarantined=out.rows, deleted=0)
        findings.reasons.update(out.reasons)

    def _note_extraction(self) -> None:
        """Note in silver that this extraction is the newest one, if no publication did."""
        extraction = self._extraction
        if extraction is not None and self.tables.silver.property(NEWEST_EXTRACTION) != extraction.sequence:
            self.tables.silver.set_property(NEWEST_EXTRACTION, extraction.sequence)

    @property
    def _gate(self) -> RowGate:
        return RowGate(contract=self.contract)

    def _records(self) -> DataFrame:
        rows = self.tables.bronze.read()
        return rows if self.files is None else of_files(rows, self.files)

    def _repeatable_good(self) -> DataFrame:
        """Good rows by a plan that a MERGE accepts: it takes no fence, as it may read its source twice."""
        return self._judged(is_fenced=False).where(IS_GOOD).drop(_BRONZE, _FENCE)

    def _judged(self, *, is_fenced: bool = True) -> DataFrame:
        """Records with their typed values, what those were made from, and whether they are good."""
        bronze = self.tables.bronze.columns
        is_delete = F.col(OPERATION_COLUMN).eqNullSafe(DELETE) if self._has_operations else F.lit(False)
        values = self._records().select(
            F.struct(*bronze).alias(_BRONZE),
            *(typed(column).alias(column.name) for column in self.contract.columns),
            *self._gate.raw_values(),
            "_extra",
            "_record",
            *_PLATFORM,
            *([is_delete.alias(_IS_DELETE)] if self._has_operations else []),
            (F.monotonically_increasing_id() if is_fenced else F.lit(0)).alias(_FENCE),
        )
        is_good = self._gate.is_good()
        # A delete has a key and nothing else: the rules about rows have nothing to say.
        return values.withColumn(IS_GOOD, F.col(_IS_DELETE) | is_good if self._has_operations else is_good)

    def _count(self, judged: DataFrame) -> dict[str, int]:
        """Records, good ones, keys that more than one good row has, and how many good rows break each rule that only watches."""
        watching = self._gate.watching
        is_row = F.col(IS_GOOD) & ~F.col(_IS_DELETE) if self._has_operations else F.col(IS_GOOD)
        watched = [F.count_if(is_row & ~self._gate.holds(rule)).alias(f"w{place}") for place, rule in enumerate(watching)]
        by_key = judged.groupBy(*self.contract.keys).agg(F.count(F.lit(1)).alias("rows"), F.count_if(IS_GOOD).alias("good"), *watched)
        totals = by_key.agg(
            F.sum("rows").alias("rows_in"),
            F.sum("good").alias("good"),
            F.count_if(F.col("good") > 1).alias("contended"),
            *(F.sum(f"w{place}").alias(f"w{place}") for place in range(len(watching))),
        ).collect()[0]
        counts = {name: int(totals[name] or 0) for name in ("rows_in", "good", "contended")}
        return counts | {rule.id: int(totals[f"w{place}"] or 0) for place, rule in enumerate(watching)}

    def _keep_out(self, judged: DataFrame, ranked: DataFrame | None, *, bad_rows: int, conflicts: int) -> Quarantined:
        bad: DataFrame | None = None
        if bad_rows:
            bad = judged.where(~F.col(IS_GOOD) & _behind_fence()).select(f"{_BRONZE}.*", self._gate.reasons().alias(REASONS))
        if conflicts:
            assert ranked is not None
            which = ranked.where(F.col(newest.STANDING) == newest.CONFLICT).select(*RECORD_KEY)
            reason = F.struct(
                F.lit("duplicate_key").alias("code"),
                F.lit(", ".join(self.contract.keys)).alias("column"),
                F.lit("duplicate_key").alias("rule"),
                F.lit("a later row of the same file has this key and says something else").alias("message"),
            )
            clashing = self._records().join(which, list(RECORD_KEY), "left_semi").withColumn(REASONS, F.array(reason).cast(_REASON_TYPE))
            bad = clashing if bad is None else bad.unionByName(clashing)
        if bad is not None:
            bad = bad.withColumn("_run_id", F.lit(self.run_id)).withColumn("_quarantined_at", F.lit(self.now.isoformat()).cast("timestamp"))
        keep_out(bad, quarantine=self.tables.quarantine, files=self.files, properties=self._properties)
        return kept_out(self.tables.quarantine, self.files) if bad is not None else Quarantined(rows=0)

    def _row_results(self, out: Quarantined, counted: Mapping[str, int]) -> list[Measured]:
        rules = [rule for rule in self.contract.quality.rules if rule.level == "row"]
        broken = {rule.id: out.by_rule.get(rule.id, 0) for rule in self._gate.stopping} | {
            rule.id: counted[rule.id] for rule in self._gate.watching
        }
        return [Measured(rule=rule, value=float(broken[rule.id]), failed_rows=broken[rule.id]) for rule in rules]

    def _check_rows(self, out: Quarantined, measured: Sequence[Measured], *, rows_in: int, expected: int) -> None:
        if out.rows != expected:
            raise RunFailed(
                "row_accounting", f"quarantine of {self.contract.id} holds {out.rows} rows of this run's files, {expected} were kept out"
            )
        halted = [result for result in measured if result.rule.action == "halt" and result.failed_rows]
        if halted:
            raise RunFailed("quality_gate", listing(result.record(self._dataset) for result in halted))
        limit = self.contract.quality.max_quarantine_percent
        percent = 100.0 * out.rows / rows_in if rows_in else 0.0
        if percent > limit:
            raise RunFailed(
                "too_many_quarantined",
                f"{out.rows} of {rows_in} rows ({percent:.1f} %) went to quarantine, maxQuarantinePercent of {self.contract.id} is {limit:g}; nothing was published",
            )

    def _compare(self, winners: DataFrame, *, rows: int) -> dict[str, int]:
        """How the newest rows stand against silver as it is: new keys, newer, the very same record, older."""
        if rows == 0 or self.tables.silver.rows() == 0:
            return {**_STANDINGS, "new": rows}
        names = list(dict.fromkeys([*self.contract.keys, *newest.order_columns(self.contract)]))
        ours, theirs = (
            winners.select(*names).alias("s"),
            self.tables.silver.read().select(*names, F.lit(True).alias("_held")).alias("t"),
        )
        same = F.lit(True)
        for name in RECORD_KEY:
            same &= F.col(f"s.{name}").eqNullSafe(F.col(f"t.{name}"))
        is_newer = newest.is_newer(left="s", right="t", contract=self.contract)
        standing = F.when(F.col("t._held").isNull(), "new").when(same, "same").when(is_newer, "newer").otherwise("older")
        joined = ours.join(theirs, F.expr(newest.same_key(left="s", right="t", contract=self.contract)), "left").select(
            standing.alias("standing")
        )
        return self._counted(joined, "standing", rows=rows)

    def _corrected(self, winners: DataFrame, against: dict[str, int]) -> dict[str, int]:
        """Tell from the records that silver holds already those that say something else there: the contract or the code has changed since."""
        if not against["same"]:
            return against
        names = [*RECORD_KEY, *self.contract.keys]
        ours, theirs = (
            rows.select(*dict.fromkeys(names), newest.content(self.contract).alias("_content")).alias(alias)
            for rows, alias in ((winners, "s"), (self.tables.silver.read(), "t"))
        )
        same_record = f"{newest.same_key(left='s', right='t', contract=self.contract)} AND {_same_record(left='s', right='t')}"
        corrected = ours.join(theirs, F.expr(same_record)).where(F.col("s._content") != F.col("t._content")).count()
        return {**against, "same": against["same"] - corrected, "corrected": corrected}

    def _against_silver(self, winners: DataFrame) -> DataFrame:
        """The newest records of a database with `_against`, how they stand against silver as it is: new, newer, same record, unchanged content,
        older; or, of deletes, gone (the row is there) and absent (it is not).
        """
        names = [column.name for column in self.contract.columns]
        ours = winners.withColumn("_content", newest.content(self.contract)).alias("s")
        held = self.tables.silver.read()
        theirs = held.select(
            *dict.fromkeys([*names, *_PLATFORM]), newest.content(self.contract).alias("_content"), F.lit(True).alias("_held")
        )
        theirs = theirs.alias("t")
        same = F.lit(True)
        for name in RECORD_KEY:
            same &= F.col(f"s.{name}").eqNullSafe(F.col(f"t.{name}"))
        is_held, is_delete = F.col("t._held").isNotNull(), F.col(f"s.{_IS_DELETE}")
        standing = (
            F.when(~is_held & is_delete, "absent")
            .when(~is_held, "new")
            .when(same, "same")
            .when(~newest.is_newer(left="s", right="t", contract=self.contract), "older")
            .when(is_delete, "gone")
            .when(F.col("s._content") == F.col("t._content"), "unchanged")
            .otherwise("newer")
        )
        joined = ours.join(theirs, F.expr(newest.same_key(left="s", right="t", contract=self.contract)), "left")
        return joined.select("s.*", standing.alias(_AGAINST)).drop("_content")

    def _compared(self, changes: DataFrame, *, rows: int) -> dict[str, int]:
        return self._counted(changes, _AGAINST, rows=rows)

    def _counted(self, frame: DataFrame, column: str, *, rows: int) -> dict[str, int]:
        found = {row[0]: int(row[1]) for row in frame.groupBy(column).count().collect()}
        result = {**_STANDINGS, **found}
        if sum(result.values()) != rows:
            raise RunFailed(
                "row_accounting", f"{rows} rows met {sum(result.values())} in {self.tables.silver.name}: it holds a key more than once"
            )
        return result

    def _publish(
        self, findings: Findings, winners: DataFrame, *, against: Mapping[str, int], measured: Sequence[Measured], is_repeatable: bool
    ) -> None:
        silver = self.tables.silver
        if findings.written == 0:
            self._judge_table(findings, branch="main", known=self._known(branch="main", added=0), measured=measured)
            self._note_extraction()
            return
        silver.create_branch(self._branch)
        self.reached("refine: branch created")
        try:
            self._write(winners, against=against, is_repeatable=is_repeatable)
            self.reached("refine: branch written")
            self._judge_table(
                findings,
                branch=self._branch,
                known=self._known(branch=self._branch, added=against["new"] - against["gone"]),
                measured=measured,
            )
        except RunFailed:
            silver.drop_branch(self._branch)
            raise
        self.reached("refine: gate passed")
        extraction = self._extraction
        silver.publish(self._branch, properties=None if extraction is None else {NEWEST_EXTRACTION: extraction.sequence})
        self.reached("refine: silver published")

    def _write(self, winners: DataFrame, *, against: Mapping[str, int], is_repeatable: bool) -> None:
        silver = self.tables.silver
        touched = ("newer", "gone") if self._has_operations else ("newer", "same", "corrected", "older")
        if not any(against[name] for name in touched):
            silver.append(silver.fitted(winners), branch=self._branch, properties=self._properties)
            return
        # The merge reads its source twice, to find the files that it touches and to write: kept, it is computed once.
        source = winners if is_repeatable else self._repeatable_good()
        rows = silver.fitted(source, beside=[_IS_DELETE] if self._has_operations else []).persist()
        rows.createOrReplaceTempView("lakehouse_newest")
        newer = newest.newer_condition(left="s", right="t", contract=self.contract)
        if against["corrected"]:
            newer = f"({newer} OR {_same_record(left='s', right='t')})"
        delete, insert = (
            (f"WHEN MATCHED AND s.{_IS_DELETE} AND {newer} THEN DELETE ", f" AND NOT s.{_IS_DELETE}") if self._has_operations else ("", "")
        )
        try:
            silver.merge(
                f"MERGE INTO {{table}} t USING lakehouse_newest s ON {newest.same_key(left='s', right='t', contract=self.contract)} {delete}"
                f"WHEN MATCHED AND {newer} THEN UPDATE SET * WHEN NOT MATCHED{insert} THEN INSERT *",
                branch=self._branch,
                properties=self._properties,
            )
        finally:
            rows.unpersist()

    def _known(self, *, branch: str, added: int) -> dict[str, float]:
        """Values of rules about the key: rows were matched by key, so if the table grew by exactly the new ones less the deleted ones, no key repeats. Metadata tells it."""
        before, after = self.tables.silver.rows(), self.tables.silver.rows(branch)
        if before is None or after is None or after != before + added:
            return {}
        keys = set(self.contract.keys)
        rules = [rule for rule in self.contract.quality.rules if rule.level == "table" and rule.kind in {"unique", "duplicates"}]
        return {rule.id: 0.0 for rule in rules if keys <= set(rule.args["columns"])}

    def _judge_table(self, findings: Findings, *, branch: str, known: Mapping[str, float], measured: Sequence[Measured]) -> None:
        table = self.tables.silver.read(branch)
        # What an extraction brings is only what changed: its rules are about the table as it will be.
        batch = table if self.files is None or self._has_operations else of_files(table, self.files)
        judged, held = measure_table_rules(table=table, batch=batch, contract=self.contract, known=known, other=self.other)
        if self._has_operations and self.files is not None:
            held = of_files(table, self.files).count()
        self._check_sum(findings, held=held)
        results = [result.record(self._dataset) for result in (*measured, *judged)]
        scored = score_record(score(results), contract=self.contract, dataset=self._dataset)
        self.tell([*(result for result in results if result.level == "table"), scored])
        broken = [result for result in [*results, scored] if result.level == "table" and result.action == "halt" and not result.passed]
        if broken:
            raise RunFailed("quality_gate", listing(broken))

    def _check_sum(self, findings: Findings, *, held: int) -> None:
        counts = findings.counts
        deleted = counts.get("deleted", 0)
        if held != counts["silver"] or counts["rows_in"] != counts["silver"] + counts["superseded"] + counts["quarantined"] + deleted:
            raise RunFailed(
                "row_accounting",
                f"{self.contract.id}: {counts['rows_in']} rows in, {counts['silver']} in silver (the table holds {held}), "
                f"{counts['superseded']} superseded, {counts['quarantined']} quarantined, {deleted} deleted; nothing was published",
            )


def _same_record(*, left: str, right: str) -> str:
    """SQL condition that two aliases hold the same record."""
    return " AND ".join(f"{left}.`{name}` <=> {right}.`{name}`" for name in RECORD_KEY)


def _behind_fence() -> Column:
    """True, in a way that keeps a filter above the casts: pushed below them, it would repeat every cast for every rule about its value."""
    return F.col(_FENCE) >= 0
