"""Table rules of the quality gate, measured in one query over the rows that are about to be published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from lakehouse.audit_records import QualityRecord
from lakehouse.contracts.model import CompiledContract, Rule
from lakehouse.contracts.predicates import aggregate, holds, query, requirement
from lakehouse.spark.gate import COUNTS_IN_SCORE

SCORE_RULE = "quality_score"
"""Name under which the audit keeps the score."""

_TABLE_VIEW = "lakehouse_table"
_BATCH_VIEW = "lakehouse_batch"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a rule measured.

    Attributes:
        rule: The rule.
        value: What was measured; None if nothing could be.
        failed_rows: Rows that broke it.
        message: Why nothing could be measured, or "".
    """

    rule: Rule
    value: float | None
    failed_rows: int = 0
    message: str = ""

    def record(self, dataset: str) -> QualityRecord:
        """The line of the audit."""
        passed = self.failed_rows == 0 if self.rule.level == "row" else holds(self.rule, self.value)
        return QualityRecord(
            dataset=dataset,
            rule=self.rule.id,
            level=self.rule.level,
            severity=self.rule.severity,
            action=self.rule.action,
            passed=passed,
            value=self.value,
            threshold=self.rule.threshold,
            failed_rows=self.failed_rows,
            dimension=self.rule.dimension,
            column=self.rule.column,
            message=self.message or ("" if passed else requirement(self.rule)),
        )


def measure_table_rules(
    *,
    table: DataFrame,
    batch: DataFrame,
    contract: CompiledContract,
    known: Mapping[str, float],
    other: Callable[[str], str | None],
) -> tuple[tuple[Measured, ...], int]:
    """Measure every table rule in one query.

    Rules that count rows or values look at the rows that this run brings: a bad delivery does not drown in a large table, and the cost is that of the
    delivery. Rules that compare rows (`unique`, `duplicates`, `sql`) look at the table as it will be.

    Args:
        table: The table as it will be.
        batch: Those rows of it that this run brings.
        contract: Its contract.
        known: Values that are known without looking, by rule id.
        other: Table in the catalog for a dataset that a relationship names; None if this job may not read it.

    Returns:
        What the rules measured, and the number of rows of the batch.
    """
    rules = [rule for rule in contract.quality.rules if rule.level == "table"]
    queries: dict[str, str] = {}
    aggregates: dict[str, str] = {}
    unread: dict[str, str] = {}
    for rule in rules:
        if rule.id in known:
            continue
        measured = aggregate(rule, contract)
        if measured is not None:
            aggregates[rule.id] = measured
        elif rule.kind != "relationship":
            queries[rule.id] = query(rule, contract, rows=_TABLE_VIEW)
        elif (to_table := other(rule.args["to_table"])) is not None:
            queries[rule.id] = query(rule, contract, rows=_BATCH_VIEW, other=to_table)
        else:
            unread[rule.id] = f"not measured: this job may not read {rule.args['to_table']}"
    table.createOrReplaceTempView(_TABLE_VIEW)
    batch.createOrReplaceTempView(_BATCH_VIEW)
    found, rows = _run(table.sparkSession, queries, aggregates)
    values: dict[str, float | None] = {**known, **found}
    return tuple(Measured(rule=rule, value=values.get(rule.id), message=unread.get(rule.id, "")) for rule in rules), rows


def listing(results: Iterable[QualityRecord]) -> str:
    """Rules that do not hold, as a sentence for people."""
    said: list[str] = []
    for result in results:
        if result.level == "row":
            shown = f"{result.failed_rows} rows break it"
        else:
            shown = "no result" if result.value is None else f"got {result.value:g}"
        said.append(f"{result.rule} ({result.severity}): {result.message or 'below the threshold'}, {shown}")
    return "; ".join(said)


def score(records: Iterable[QualityRecord]) -> float:
    """Share of the error and critical rules that hold on the rows that survive, 0-100; a row rule that quarantines holds on them by its effect."""
    counted = [record for record in records if record.severity in COUNTS_IN_SCORE]
    if not counted:
        return 100.0
    held = [record for record in counted if record.passed or (record.level == "row" and record.action == "quarantine")]
    return 100.0 * len(held) / len(counted)


def score_record(value: float, *, contract: CompiledContract, dataset: str) -> QualityRecord:
    """The audit's line of the score."""
    threshold = contract.quality.score_threshold
    return QualityRecord(
        dataset=dataset,
        rule=SCORE_RULE,
        level="table",
        severity="critical",
        action="halt",
        passed=value >= threshold,
        value=value,
        threshold=threshold,
    )


def _run(spark: SparkSession, queries: Mapping[str, str], aggregates: Mapping[str, str]) -> tuple[dict[str, float | None], int]:
    listed = ", ".join(["count(1) AS held", *(f"{text} AS a{place}" for place, text in enumerate(aggregates.values()))])
    shown = ", ".join(["held", *(f"a{place}" for place in range(len(aggregates))), *(f"({text})" for text in queries.values())])
    row = spark.sql(f"SELECT {shown} FROM (SELECT {listed} FROM {_BATCH_VIEW})").collect()[0]  # noqa: S608 - rules of the contract
    names = [*aggregates, *queries]
    return {name: None if row[place] is None else float(row[place]) for place, name in enumerate(names, start=1)}, int(row[0])
