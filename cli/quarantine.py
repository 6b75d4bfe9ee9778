"""`lake quarantine`: the rows of a dataset that broke a rule, and why."""

from __future__ import annotations

import base64
import json
from typing import Any

from cli.errors import WrongUseError
from cli.progress import Progress
from cli.results import Quarantine, QuarantinedRow, QueryResult, Reason
from cli.session import Session
from cli.sql import Value, query
from cli.terminal import visible
from lakehouse.naming import TABLE_ZONES

SHOWN = 1000
"""Most rows that are listed; the counts are of all."""


def quarantine(session: Session, *, dataset: str, progress: Progress) -> Quarantine:
    """Rows of a dataset in quarantine, newest first, and their number by reason.

    Raises:
        WrongUseError: There is no such dataset, or nothing lands in it.
    """
    contract = session.contract(_without_zone(dataset))
    if contract.source is None:
        raise WrongUseError(f"{contract.id} has no quarantine: a transform writes it, no file lands in it")
    table = f'"{session.names.database("quarantine", contract.domain)}"."{contract.dataset}"'
    raw = contract.raw_columns
    counts = query(session, statement=_count_statement(table), progress=progress)
    total, by_reason = _totals(counts)
    rows: list[QuarantinedRow] = []
    if total:
        answer = query(session, statement=_row_statement(table, raw), progress=progress)
        rows = [_row(values, raw) for values in answer.rows]
    return Quarantine(dataset=contract.id, total=total, by_reason=by_reason, rows=rows)


def _without_zone(dataset: str) -> str:
    zone, _, rest = dataset.partition(".")
    return rest if zone in TABLE_ZONES and "." in rest else dataset


def _count_statement(table: str) -> str:
    """Rows by reason, and all rows under NULL (a row with two reasons counts in both, so the sum says nothing)."""
    return (
        f"SELECT r.code, count(*) FROM {table} CROSS JOIN UNNEST(_reasons) AS r (code, col, rul, msg) GROUP BY 1"  # noqa: S608 - names of our own contracts
        f" UNION ALL SELECT NULL, count(*) FROM {table}"
    )


def _row_statement(table: str, raw: tuple[str, ...]) -> str:
    """One row of text a quarantined row: Athena's own text of nested values cannot be read back, so they leave as JSON.

    A row becomes a JSON array in Trino, not an object, hence the arrays by position.
    """
    columns = ", ".join(f'"{name}"' for name in raw)
    values = f"json_format(CAST(ARRAY[{columns}] AS JSON))" if raw else "'[]'"
    reasons = 'json_format(CAST(transform(_reasons, r -> ARRAY[r.code, r."column", r."rule", r.message]) AS JSON))'
    return (
        f"SELECT _source_file, _source_version, _row, {reasons}, {values}, json_format(CAST(_extra AS JSON)), to_base64(_record),"  # noqa: S608 - names of our own contracts
        f" _run_id, to_iso8601(_quarantined_at) FROM {table}"
        f" ORDER BY _quarantined_at DESC, _source_file, _source_version, _row LIMIT {SHOWN}"
    )


def _totals(counts: QueryResult) -> tuple[int, dict[str, int]]:
    by_reason = {str(code): int(rows or 0) for code, rows in counts.rows if code is not None}
    total = sum(int(rows or 0) for code, rows in counts.rows if code is None)
    return total, dict(sorted(by_reason.items()))


def _row(values: list[Value], raw: tuple[str, ...]) -> QuarantinedRow:
    source, version, row, reasons, cells, extra, record, run_id, at = values
    return QuarantinedRow(
        source_file=str(source),
        source_version=str(version),
        row=int(row or 0),
        reasons=[Reason(code=code, column=column, rule=rule, message=message) for code, column, rule, message in _load(reasons) or []],
        values=dict(zip(raw, _load(cells) or [], strict=False)),
        extra=_load(extra) or {},
        record=None if record is None else readable(_bytes(str(record))),
        run_id=str(run_id),
        quarantined_at=str(at),
    )


def _load(text: Value) -> Any:
    return None if text is None else json.loads(str(text))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def readable(record: bytes) -> str:
    r"""Bytes as text: what is not UTF-8, and control characters, as `\xNN`; nothing that a terminal would obey."""
    return visible(record.decode("utf-8", errors="backslashreplace"))
