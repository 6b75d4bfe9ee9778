"""Which tables need a VACUUM or an ANALYZE: Redshift does both by itself, so only what it has fallen behind with is named."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.warehouse.data_api import DataApi, Value
from lakehouse.warehouse.text import name

UNSORTED_PERCENT = 20.0
DELETED_PERCENT = 20.0
STATS_OFF_PERCENT = 10.0
SKEW = 4.0
"""From where a table is worth a word: the fullest slice has so many times the rows of the emptiest."""

_QUERY = 'SELECT "schema", "table", unsorted, stats_off, tbl_rows, estimated_visible_rows, skew_rows FROM svv_table_info ORDER BY "schema", "table"'


@dataclass(frozen=True, kw_only=True)
class TableState:
    """How a table lies on its disks.

    Attributes:
        schema: Schema.
        table: Table.
        unsorted_percent: Rows that are not in the order of the sort key; None without one.
        stats_off_percent: How far off the statistics are.
        rows: Rows on disk, those included that are deleted and not yet removed.
        visible_rows: Rows that queries see.
        skew: Rows of the fullest slice by those of the emptiest; None if all lie everywhere.
    """

    schema: str
    table: str
    unsorted_percent: float | None
    stats_off_percent: float
    rows: int
    visible_rows: int
    skew: float | None

    @property
    def deleted_percent(self) -> float:
        """Rows on disk that queries do not see."""
        return 100.0 * (self.rows - self.visible_rows) / self.rows if self.rows else 0.0


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to do about a table.

    Attributes:
        statement: Statement that helps; each runs alone, outside a transaction. "" if no statement does.
        why: What was found.
    """

    statement: str
    why: str


def table_states(api: DataApi) -> list[TableState]:
    """How every table lies on its disks; tables without rows are not known to Redshift's view."""
    return [
        TableState(
            schema=str(row["schema"]).strip(),
            table=str(row["table"]).strip(),
            unsorted_percent=None if row["unsorted"] is None else _number(row["unsorted"]),
            stats_off_percent=_number(row["stats_off"]),
            rows=int(_number(row["tbl_rows"])),
            visible_rows=int(_number(row["estimated_visible_rows"])),
            skew=None if row["skew_rows"] is None else _number(row["skew_rows"]),
        )
        for row in api.execute(_QUERY).records()
    ]


def advice(state: TableState) -> list[Advice]:
    """What is worth doing about a table; nothing, mostly."""
    found: list[Advice] = []
    table = f"{name(state.schema)}.{name(state.table)}"
    unsorted = (state.unsorted_percent or 0.0) >= UNSORTED_PERCENT
    deleted = state.deleted_percent >= DELETED_PERCENT
    if unsorted or deleted:
        kind = "FULL" if unsorted and deleted else "SORT ONLY" if unsorted else "DELETE ONLY"
        why = f"{state.unsorted_percent or 0.0:.0f} % of the rows are unsorted, {state.deleted_percent:.0f} % are deleted and still there"
        found.append(Advice(statement=f"VACUUM {kind} {table}", why=why))
    if state.stats_off_percent >= STATS_OFF_PERCENT:
        found.append(Advice(statement=f"ANALYZE {table}", why=f"statistics are {state.stats_off_percent:.0f} % off"))
    if state.skew is not None and state.skew >= SKEW:
        why = f"the fullest slice has {state.skew:.1f} times the rows of the emptiest: choose a distKey with more even values, or distStyle: even"
        found.append(Advice(statement="", why=why))
    return found


def _number(value: Value) -> float:
    return 0.0 if value is None else float(str(value))
