"""The quality gate: which rows are good, why the others are not, and whether the table as a whole holds what its contract promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.contracts.model import CompiledContract, Rule
from lakehouse.contracts.predicates import requirement, row_predicate
from lakehouse.contracts.tables import EXTRA_COLUMN, RECORD_COLUMN
from lakehouse.spark.casts import raw_value, spark_type
from lakehouse.spark.raw.csv_files import ERROR_KEY, MESSAGE_KEY

IS_GOOD = "_is_good"
"""Column that says whether a row passed every rule that quarantines or halts."""

REASONS = "_reasons"
"""Column of the reasons for which a row is kept out."""

STOPS_ROW = frozenset({"quarantine", "halt"})
"""Actions of row rules that keep a row out of the table."""

COUNTS_IN_SCORE = frozenset({"error", "critical"})
"""Severities that the quality score is made of."""

_REASON_TYPE = "struct<code:string, column:string, rule:string, message:string>"
_MAX_SHOWN = 100
_RAW = "_raw_"


@dataclass(frozen=True, kw_only=True)
class RowGate:
    """Judges rows by the row rules of a contract.

    Attributes:
        contract: The contract.
    """

    contract: CompiledContract

    @property
    def stopping(self) -> tuple[Rule, ...]:
        """Row rules that keep a row out."""
        return tuple(rule for rule in self.contract.quality.rules if rule.level == "row" and rule.action in STOPS_ROW)

    @property
    def watching(self) -> tuple[Rule, ...]:
        """Row rules that only count."""
        return tuple(rule for rule in self.contract.quality.rules if rule.level == "row" and rule.action not in STOPS_ROW)

    def is_good(self) -> Column:
        """Whether a typed row passes; a predicate that yields NULL fails."""
        conditions = [
            F.col(RECORD_COLUMN).isNull(),
            *(~self._is_invalid(name) for name in self._castable),
            *(self.holds(rule) for rule in self.stopping),
        ]
        return _all(conditions)

    def holds(self, rule: Rule) -> Column:
        """Whether a typed row keeps a row rule; NULL is no."""
        return F.expr(row_predicate(rule, self.contract))

    def reasons(self) -> Column:
        """Every reason for which a typed row does not pass: one entry a reason."""
        unread = F.struct(
            F.col(EXTRA_COLUMN)[ERROR_KEY].alias("code"),
            F.lit(None).cast("string").alias("column"),
            F.lit(None).cast("string").alias("rule"),
            F.col(EXTRA_COLUMN)[MESSAGE_KEY].alias("message"),
        )
        casts = [F.when(self._is_invalid(name), self._cast_reason(name)) for name in self._castable]
        rules = [F.when(self._breaks(rule), _rule_reason(rule)) for rule in self.stopping]
        found = F.array_compact(F.array(*casts, *rules)).cast(f"array<{_REASON_TYPE}>")
        return F.when(F.col(RECORD_COLUMN).isNotNull(), F.array(unread).cast(f"array<{_REASON_TYPE}>")).otherwise(found)

    def raw_values(self) -> list[Column]:
        """Columns that keep what each typed value was made from, for telling a bad value from none."""
        return [raw_value(column).alias(_RAW + column.name) for column in self.contract.columns if column.name in self._castable]

    @property
    def _castable(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.contract.columns if column.type != "string" and (column.source or column.logic))

    def _is_invalid(self, name: str) -> Column:
        return F.col(name).isNull() & F.col(_RAW + name).isNotNull()

    def _breaks(self, rule: Rule) -> Column:
        broken = ~self.holds(rule)
        # A value that could not be cast is NULL only here: one fault, one reason.
        return broken & ~self._is_invalid(rule.column) if rule.column in self._castable else broken

    def _cast_reason(self, name: str) -> Column:
        column = self.contract.column(name)
        wanted = spark_type(column.type) + (f" written {column.format}" if column.format else "")
        message = F.concat(F.lit("'"), F.left(F.col(_RAW + name), F.lit(_MAX_SHOWN)), F.lit(f"' is no {wanted}"))
        return _reason(code="invalid_value", column=name, rule=f"{name}.type", message=message)


def _rule_reason(rule: Rule) -> Column:
    wanted = F.lit(requirement(rule))
    if rule.column is None:
        message = wanted
    else:
        shown = F.left(F.col(rule.column).cast("string"), F.lit(_MAX_SHOWN))
        message = F.concat(F.coalesce(F.concat(F.lit("'"), shown, F.lit("' ")), F.lit("")), wanted)
    return _reason(code=rule.code, column=rule.column, rule=rule.id, message=message)


def _reason(*, code: str, column: str | None, rule: str, message: Column) -> Column:
    return F.struct(
        F.lit(code).alias("code"), F.lit(column).cast("string").alias("column"), F.lit(rule).alias("rule"), message.alias("message")
    )


def _all(conditions: Sequence[Column]) -> Column:
    result = conditions[0]
    for condition in conditions[1:]:
        result &= condition
    return result
