"""Table rules of the quality gate, measured in one query over the rows that are about to be published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame

from lakehouse.audit import QualityRecord
from lakehouse.contracts.model import CompiledContract, Rule
from lakehouse.contracts.predicates import aggregate, holds, query, requirement
from lakehouse.spark.gate import COUNTS_IN_SCORE

SCORE_RULE = "quality_score"
"""Name under which the audit keeps the score."""

_VIEW = "lakehouse_judged"


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
    rows: DataFrame,
    contract: CompiledContract,
    *,
    known: Mapping[str, float],
    other: Callable[[str], str | None],
) -> tuple[Measured, ...]:
    """Measure every table rule.

    Args:
        rows: The table as it will be.
        contract: Its contract.
        known: Values that are known without looking, by rule id.
        other: Table in the catalog for a contract id that a relationship names; None if this job may not read it.
    """
    rules = [rule for rule in contract.quality.rules if rule.level == "table"]
    texts: dict[str, str] = {}
    aggregates: dict[str, str] = {}
    unread: dict[str, str] = {}
    for rule in rules:
        if rule.id in known:
            continue
        table = other(rule.args["to_table"]) if rule.kind == "relationship" else None
        measured = aggregate(rule, contract)
        if rule.kind == "relationship" and table is None:
            unread[rule.id] = f"not measured: this job may not read {rule.args['to_table']}"
        elif measured is not None:
            aggregates[rule.id] = measured
        else:
            texts[rule.id] = query(rule, contract, rows=_VIEW, other=table)
    values: dict[str, float | None] = dict(known)
    if texts or aggregates:
        rows.createOrReplaceTempView(_VIEW)
        values.update(_run(rows, texts, aggregates))
    return tuple(Measured(rule=rule, value=values.get(rule.id), message=unread.get(rule.id, "")) for rule in rules)


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
        dataset=dataset, rule=SCORE_RULE, level="table", severity="critical", action="halt", passed=value >= threshold, value=value, threshold=threshold
    )


def _run(rows: DataFrame, texts: Mapping[str, str], aggregates: Mapping[str, str]) -> dict[str, float | None]:
    spark = rows.sparkSession
    names = [*texts, *aggregates]
    columns = [f"({text}) AS r{place}" for place, text in enumerate(texts.values())]
    if aggregates:
        listed = ", ".join(f"{text} AS a{place}" for place, text in enumerate(aggregates.values()))
        columns += [f"a{place} AS r{len(texts) + place}" for place in range(len(aggregates))]
        source = f" FROM (SELECT {listed} FROM {_VIEW})"
    else:
        source = ""
    row = spark.sql(f"SELECT {', '.join(columns)}{source}").collect()[0]
    return {name: None if row[place] is None else float(row[place]) for place, name in enumerate(names)}
