"""Watermarks of an incremental extraction: how a mark is written, where the next read begins, and what the next mark is.

A mark is the largest value of the watermark column that was published and is not later than the snapshot it was read from: a row dated into the
future, or at infinity, must not carry the mark past rows that are yet to come. Rows above the mark are read again, as are those within the overlap
below it, because transactions commit in another order than that in which they took their timestamps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from lakehouse.contracts.model import DatabaseSource, WatermarkColumn
from lakehouse.watermarks import Mark

_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INTEGERS = ("int", "long")
_INTEGER_BOUNDS = (-(2**63), 2**63 - 1)


def mark_name(contract_id: str, source: DatabaseSource) -> str:
    """Name of the mark of a table by a column: another table or column begins anew."""
    column = "" if source.watermark is None else source.watermark.column
    return f"{contract_id}/{source.uri}/{column}"


def reconciled_name(contract_id: str, source: DatabaseSource) -> str:
    """Name of the mark that says when all keys were last compared."""
    return f"{contract_id}/{source.uri}#reconciled"


def checked(mark: Mark, watermark: WatermarkColumn) -> Mark:
    """A mark that is certain to be of the form of its type: what goes into SQL comes from here.

    Raises:
        ValueError: It is of another form.
    """
    if watermark.type in _INTEGERS:
        if isinstance(mark, int) and not isinstance(mark, bool):
            return mark
    elif isinstance(mark, str):
        form = _DATE if watermark.type == "date" else _TIMESTAMP
        if form.fullmatch(mark):
            (date if watermark.type == "date" else datetime).fromisoformat(mark)  # refuses a day that does not exist
            return mark
    raise ValueError(f"{mark!r} is no mark of a {watermark.type} column: reset it, and the next extraction reads everything")


def begin(mark: Mark | None, watermark: WatermarkColumn) -> Mark | None:
    """Smallest value that the next extraction reads; None = everything.

    Args:
        mark: Mark of what was published, or None if nothing was.
        watermark: The watermark column.

    Raises:
        ValueError: The mark is not of the column's type.
    """
    if mark is None:
        return None
    good = checked(mark, watermark)
    if isinstance(good, int):
        lower = good - watermark.overlap
        return lower if lower > _INTEGER_BOUNDS[0] else None
    try:
        if watermark.type == "date":
            return (date.fromisoformat(good) - timedelta(days=watermark.overlap)).isoformat()
        return to_mark(datetime.fromisoformat(good) - timedelta(seconds=watermark.overlap))
    except OverflowError:
        return None


def next_mark(values: Iterable[Mark | None], *, watermark: WatermarkColumn, moment: datetime) -> Mark | None:
    """Mark after an extraction: the largest of its values that is not later than its snapshot; None if there is none.

    Args:
        values: Values of the watermark column, as marks.
        watermark: The column.
        moment: Moment of the snapshot, in UTC.
    """
    most = ceiling(watermark, moment)
    reached: list[Mark] = [value for value in values if value is not None and _at_most(value, most)]
    return max(reached, key=lambda value: (0, value, "") if isinstance(value, int) else (1, 0, value), default=None)


def ceiling(watermark: WatermarkColumn, moment: datetime) -> Mark | None:
    """Largest mark that an extraction may leave; None if its type has no relation to time.

    A timestamp without a zone is taken as UTC: of a source that writes a zone ahead of it, some hours are read again.
    """
    if watermark.type in _INTEGERS:
        return None
    utc = moment.astimezone(UTC)
    return utc.date().isoformat() if watermark.type == "date" else to_mark(utc)


def to_mark(value: datetime) -> str:
    """A timestamp as a mark: one fixed text, which sorts; UTC if it has a zone."""
    plain = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    return plain.isoformat(timespec="microseconds")


def sequence_of(moment: datetime, run_id: str) -> str:
    """Order of an extraction among those of its table, as text: by the moment of its snapshot, then by its run."""
    return f"{to_mark(moment)}Z#{run_id}"


def moment_of(sequence: str) -> datetime:
    """Moment of the snapshot that a sequence names."""
    return datetime.fromisoformat(sequence.partition("#")[0].removesuffix("Z")).replace(tzinfo=UTC)


def is_reconciliation_due(source: DatabaseSource, *, last: Mark | None, moment: datetime) -> bool:
    """Whether an extraction compares all keys.

    Args:
        source: The table.
        last: When that was last done, as a mark; None = never.
        moment: Moment of the snapshot.
    """
    if source.reconcile_seconds is None:
        return False
    if source.reconcile_seconds == 0 or not isinstance(last, str):
        return True
    return moment.astimezone(UTC).replace(tzinfo=None) >= datetime.fromisoformat(last) + timedelta(seconds=source.reconcile_seconds)


def _at_most(value: Mark, most: Mark | None) -> bool:
    if most is None:
        return True
    return isinstance(value, str) and isinstance(most, str) and value <= most
