"""Checks of a table after its loads, from its contract: it has rows, no NULL in a key, the promised freshness, and every key that bronze holds.

The quality gate judges what a run brings before it is published; this looks at the table as it stands, in one statement of Athena's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lakehouse.contracts.model import Column, CompiledContract
from lakehouse.contracts.tables import DELETE, OPERATION_COLUMN
from lakehouse.naming import Names

CheckName = Literal["rows", "null_keys", "freshness", "reconcile"]
Outcome = Literal["PASSED", "FAILED", "NOT_CHECKED"]

_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "y": 365 * 86_400}
_TIMES = ("date", "timestamp", "timestamptz")
_POSITION = ("_source_file", "_source_version", "_row")
"""Names a record of bronze, in quarantine as well."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        check: Which one.
        outcome: PASSED, FAILED or NOT_CHECKED.
        value: What was measured, or None.
        limit: What it was compared with, or None.
        message: What is wrong, or why it was not checked, or "".
    """

    check: CheckName
    outcome: Outcome
    value: int | None = None
    limit: int | None = None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """How old the newest row of a table may be.

    Attributes:
        level: Id of the service level.
        column: Column that says how old a row is; None if that cannot be known.
        seconds: Greatest age, or None if the contract's words are not understood.
    """

    level: str
    column: str | None
    seconds: int | None


def freshness_of(contract: CompiledContract) -> tuple[Freshness, ...]:
    """What a contract promises of the age of its newest row; without an element, the moment of ingestion counts, which gold has not."""
    found: list[Freshness] = []
    for level in contract.sla:
        if level.get("property") != "freshness":
            continue
        element, value, unit = level.get("element"), level.get("value"), level.get("unit")
        column = str(element).rpartition(".")[2] if element else ("_ingested_at" if contract.source is not None else None)
        if column is not None and element and contract.column(column).type not in _TIMES:
            column = None
        per_unit = _SECONDS.get(str(unit))
        seconds = None
        if per_unit is not None and isinstance(value, int | float) and not isinstance(value, bool):
            seconds = round(value * per_unit)
        found.append(Freshness(level=str(level.get("id") or "freshness"), column=column, seconds=seconds))
    return tuple(found)


def statement(contract: CompiledContract, names: Names) -> str:
    """The query that measures a table: one row with its rows, those with NULL in a key, an age in seconds for each promise, and the keys of bronze.

    Args:
        contract: Contract of the table.
        names: Names of the environment.
    """
    ages = "".join(
        f", date_diff('second', CAST(max({_quoted(level.column)}) AS timestamp(6) with time zone), current_timestamp)"
        if level.column is not None
        else ", CAST(NULL AS bigint)"
        for level in freshness_of(contract)
    )
    nulls = " OR ".join(f"{_quoted(key)} IS NULL" for key in contract.keys) or "false"
    bronze = "CAST(NULL AS bigint)" if _unreconciled(contract) else f"({_keys_of_bronze(contract, names)})"
    return f"SELECT count(*), count(*) FILTER (WHERE {nulls}){ages}, {bronze} FROM {_table(contract, contract.zone, names)}"  # noqa: S608 - names of our own contracts


def judge(contract: CompiledContract, row: Sequence[Any]) -> tuple[Finding, ...]:
    """What the answer to `statement` means.

    Args:
        contract: Contract of the table.
        row: The one row of the answer.
    """
    rows, null_keys, *ages, keys = row
    return (
        _limited("rows", rows, at_least=1, message="the table is empty"),
        _limited("null_keys", null_keys, at_most=0, message=f"rows have NULL in {', '.join(contract.keys)}"),
        *_freshness(contract, ages),
        _reconciled(contract, rows=rows, keys=keys),
    )


def _freshness(contract: CompiledContract, ages: Sequence[int | None]) -> tuple[Finding, ...]:
    levels = freshness_of(contract)
    if not levels:
        return (Finding(check="freshness", outcome="NOT_CHECKED", message="the contract promises none: add it to slaProperties"),)
    return tuple(_aged(level, age) for level, age in zip(levels, ages, strict=True))


def _aged(level: Freshness, age: int | None) -> Finding:
    if level.seconds is None:
        message = f"the value or unit of {level.level} is not understood: write a number and one of {', '.join(_SECONDS)}"
        return Finding(check="freshness", outcome="NOT_CHECKED", message=message)
    if level.column is None:
        message = f"{level.level} names no date or time of the table: write its element"
        return Finding(check="freshness", outcome="NOT_CHECKED", limit=level.seconds, message=message)
    if age is None:
        return Finding(check="freshness", outcome="FAILED", limit=level.seconds, message=f"no row has a {level.column}")
    return _limited("freshness", age, at_most=level.seconds, message=f"the newest {level.column} is older than {level.level} promises")


def _reconciled(contract: CompiledContract, *, rows: int, keys: int | None) -> Finding:
    unreconciled = _unreconciled(contract)
    if unreconciled or keys is None:
        return Finding(check="reconcile", outcome="NOT_CHECKED", value=rows, message=unreconciled)
    message = (
        f"bronze holds {keys} keys that are neither deleted nor in quarantine, the table {rows} rows: "
        "a run is under way or has failed since (`lake runs`), or the table was changed by hand"
    )
    is_even = rows == keys
    return Finding(check="reconcile", outcome="PASSED" if is_even else "FAILED", value=rows, limit=keys, message="" if is_even else message)


def _limited(check: CheckName, value: int, *, message: str, at_least: int | None = None, at_most: int | None = None) -> Finding:
    is_within = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    limit = at_least if at_least is not None else at_most
    return Finding(check=check, outcome="PASSED" if is_within else "FAILED", value=value, limit=limit, message="" if is_within else message)


def _unreconciled(contract: CompiledContract) -> str:
    """Why the keys of bronze cannot be counted by their raw text, or ""."""
    if contract.source is None:
        return "a transform computes the table: it has no bronze"
    computed = [key for key in contract.keys if _raw_key(contract.column(key)) is None]
    return (
        f"the text of bronze does not tell keys apart: {', '.join(computed)} is computed, or a number or time of many spellings"
        if computed
        else ""
    )


def _keys_of_bronze(contract: CompiledContract, names: Names) -> str:
    """Query for the number of keys of bronze that the table must hold: one record at least is not in quarantine, the newest such one is no delete."""
    keys = ", ".join(str(_raw_key(contract.column(key))) for key in contract.keys)
    same = " AND ".join(f"b.{name} = q.{name}" for name in _POSITION)
    is_deleted = (
        f"max_by(coalesce(b.{OPERATION_COLUMN}, ''), ROW(b._sequence, b._row)) = '{DELETE}'" if contract.database is not None else "false"
    )
    return (
        f"SELECT count(*) FILTER (WHERE NOT is_deleted) FROM (SELECT {is_deleted} AS is_deleted FROM {_table(contract, 'bronze', names)} b"  # noqa: S608 - names of our own contracts
        f" LEFT JOIN (SELECT DISTINCT {', '.join(_POSITION)} FROM {_table(contract, 'quarantine', names)}) q ON {same}"
        f" WHERE q._row IS NULL GROUP BY {keys})"
    )


def _raw_key(column: Column) -> str | None:
    """Expression over bronze that is the same for all spellings of a key, or None if there is none."""
    if column.source is None or column.logic is not None or column.format is not None:
        return None
    raw = f"b.{_quoted(column.source)}"
    kind = column.type if isinstance(column.type, str) else ""
    if kind == "string":
        return raw
    if kind in {"int", "long"}:
        kind = "bigint"
    elif kind != "date" and not kind.startswith("decimal("):
        return None
    return f"coalesce(CAST(TRY_CAST(trim({raw}) AS {kind}) AS varchar), {raw})"


def _table(contract: CompiledContract, zone: str, names: Names) -> str:
    return f"{_quoted(names.database(zone, contract.domain))}.{_quoted(contract.dataset)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
