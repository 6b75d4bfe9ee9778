"""Loads: the statements that bring rows of files into a table in one transaction, so that readers see all of a load or nothing of it.

Every load stages the files in a temporary table, checks them there, and then changes the target. It never truncates: in Redshift TRUNCATE commits what
came before it, and a failure after it leaves the table empty. Each statement begins with a comment that says what it is for; errors name it.
"""

# ruff: noqa: S608 - SQL is what this module writes: names are quoted from an allow-list, everything else is checked where it enters.
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.contracts.model import HotRows
from lakehouse.warehouse.copying import ParquetFiles, copy_statement
from lakehouse.warehouse.tables import WarehouseColumn, WarehouseTable
from lakehouse.warehouse.text import SqlRefused, literal, name, names

MAX_STATEMENTS = 40
"""Most statements that the Data API takes in one batch."""

COUNTS = ("rows_staged", "rows_removed", "rows_added", "rows_in_table")
"""What the last statement of a load answers, in this order."""

BATCH_COLUMN = "_batch_id"
"""Column by which rows of a batch are known in a table that is only appended to."""

FILE_COLUMN = "load_file"
"""Column by which Athena spreads rows over files; it becomes the folders' names and is in no file.

Its name does not begin with an underscore: COPY reads Parquet by Redshift Spectrum, which passes over names that do.
"""

MAX_FILES = 100
"""Folders that one UNLOAD of Athena may write, and so the most that it is asked to spread rows over."""

_LANDED, _STAGED, _GONE, _NEW = "load_landed", "load_staged", "load_gone", "load_new"
_PURPOSE = re.compile(r"/\* (.*?) \*/")


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """A load.

    Attributes:
        statements: Statements of one batch, which is one transaction.
        counts_at: Index of the statement that answers `COUNTS`.
    """

    statements: tuple[str, ...]
    counts_at: int


def mirror(table: WarehouseTable, *, source: str | None, role_arn: str) -> LoadPlan:
    """Make the target the same as the files: new rows come in, changed ones are replaced, rows that left the source leave the target.

    Only rows that differ are touched, so a load of the same files again changes nothing.

    Args:
        table: The target.
        source: Prefix of Parquet files with the columns of the contract in its order; None if the source has no rows.
        role_arn: Role that reads them.

    Raises:
        SqlRefused: The table has no key, or a part is not allowed.
    """
    _require_keys(table)
    columns, target = names(table.column_names), table.qualified
    return _plan(
        [
            *_staging(table, source=source, role_arn=role_arn),
            _said(
                "find rows that changed or left",
                f"CREATE TEMP TABLE {name(_GONE)} AS SELECT {columns} FROM {target} EXCEPT SELECT {columns} FROM {name(_STAGED)}",
            ),
            _said(
                "find rows that changed or came",
                f"CREATE TEMP TABLE {name(_NEW)} AS SELECT {columns} FROM {name(_STAGED)} EXCEPT SELECT {columns} FROM {target}",
            ),
            _said("remove them", f"DELETE FROM {target} USING {name(_GONE)} WHERE {_same_key(table, name(_GONE))}"),
            _said("add them", f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {name(_NEW)}"),
            _check(
                "check that the target has the rows of the files",
                f"SELECT ABS((SELECT COUNT(*) FROM {target}) - (SELECT COUNT(*) FROM {name(_STAGED)})) AS found",
                "rows by which the target would differ from the files",
            ),
        ],
        table,
        gone=name(_GONE),
        new=name(_NEW),
    )


def merge(table: WarehouseTable, *, source: str, role_arn: str) -> LoadPlan:
    """Take rows of the files over by key: known keys are updated, new ones inserted, the others stay.

    Args:
        table: The target.
        source: Prefix of Parquet files with the columns of the contract in its order.
        role_arn: Role that reads them.

    Raises:
        SqlRefused: The table has no key, or a part is not allowed.
    """
    _require_keys(table)
    columns, target, staged = table.column_names, table.qualified, name(_STAGED)
    values = ", ".join(f"{staged}.{name(column)}" for column in columns)
    others = [column for column in columns if column not in table.keys]
    # MERGE must say what becomes of a match; a table of keys only has nothing to update but a key by itself.
    updates = ", ".join(f"{name(column)} = {staged}.{name(column)}" for column in (others or table.keys[:1]))
    return _plan(
        [
            *_staging(table, source=source, role_arn=role_arn),
            _said(
                "find rows that changed or came",
                f"CREATE TEMP TABLE {name(_NEW)} AS SELECT {names(columns)} FROM {staged} EXCEPT SELECT {names(columns)} FROM {target}",
            ),
            _said(
                "merge by key",
                f"MERGE INTO {target} USING {staged} ON {_same_key(table, staged)} "
                f"WHEN MATCHED THEN UPDATE SET {updates} WHEN NOT MATCHED THEN INSERT ({names(columns)}) VALUES ({values})",
            ),
        ],
        table,
        gone=None,
        new=name(_NEW),
    )


def replace_where(table: WarehouseTable, *, column: str, value: str, source: str, role_arn: str) -> LoadPlan:
    """Replace the rows of one value of a column, such as a day, by those of the files; the same load again gives the same rows.

    Args:
        table: The target.
        column: Column that tells the part.
        value: SQL literal of the part, from `text.day` or `text.literal`.
        source: Prefix of Parquet files with the columns of the contract in its order.
        role_arn: Role that reads them.

    Raises:
        SqlRefused: The table has no such column, or the value is no literal.
    """
    _require_column(table, column)
    if not re.fullmatch(r"(DATE )?'[^'\\]*('')*[^'\\]*'|-?[0-9]+", value):
        raise SqlRefused(f"{value!r} is no literal: make it by text.day or text.literal")
    columns, target, staged = names(table.column_names), table.qualified, name(_STAGED)
    part = f"{name(column)} = {value}"
    return _plan(
        [
            *_staging(table, source=source, role_arn=role_arn),
            _check(
                "check that the files hold this part only",
                f"SELECT COUNT(*) AS found FROM {staged} WHERE {name(column)} IS NULL OR {name(column)} <> {value}",
                f"rows of the files that are of another part than {column} = {value}",
            ),
            _said("remember the part", f"CREATE TEMP TABLE {name(_GONE)} AS SELECT {columns} FROM {target} WHERE {part}"),
            _said("remove the part", f"DELETE FROM {target} WHERE {part}"),
            _said("add the part", f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {staged}"),
        ],
        table,
        gone=name(_GONE),
        new=staged,
    )


def append(table: WarehouseTable, *, batch_id: str, source: str, role_arn: str) -> LoadPlan:
    """Add the rows of a batch once: rows of the same batch that are there are replaced.

    Args:
        table: The target; it has a column `_batch_id` that the files fill.
        batch_id: The batch.
        source: Prefix of Parquet files with the columns of the contract in its order.
        role_arn: Role that reads them.

    Raises:
        SqlRefused: The table has no column `_batch_id`.
    """
    return replace_where(table, column=BATCH_COLUMN, value=literal(batch_id), source=source, role_arn=role_arn)


def purpose(statement: str) -> str:
    """What a statement of a load is for, or its beginning if it does not say it."""
    found = _PURPOSE.match(statement)
    return found[1] if found else " ".join(statement.split())[:60]


def in_query_group(plan: LoadPlan, group: str) -> LoadPlan:
    """The same load, in the queue of a query group."""
    return LoadPlan(
        statements=(_said("choose the queue", f"SET query_group TO {literal(group)}"), *plan.statements), counts_at=plan.counts_at + 1
    )


def unload_select(table: WarehouseTable, *, database: str, files: int = 0, hot: HotRows | None = None) -> str:
    """The SELECT by which Athena brings a table of the lake into the form that a load takes.

    Timestamps go as text with all their digits: Athena writes Parquet in milliseconds only, and none with a time zone.

    Args:
        table: The target.
        database: Catalog database of the table in the lake.
        files: Files that its rows are spread over by their key, each in a folder of its own, up to `MAX_FILES`; 0 = as Athena likes.
        hot: Rows that the warehouse holds; None: all.

    Raises:
        SqlRefused: The rows are to be spread, and a column has the name of what they are spread by.
    """
    if files and FILE_COLUMN in table.column_names:
        raise SqlRefused(
            f"{table.schema}.{table.name} has a column {FILE_COLUMN}, by which rows are spread over files: give it another name"
        )
    spread = [f"{_file_of(table, min(files, MAX_FILES))} AS {name(FILE_COLUMN)}"] if files else []
    selected = f"SELECT {', '.join([*map(_unloaded, table.columns), *spread])} FROM {name(database)}.{name(table.name)}"
    return selected if hot is None else f"{selected} WHERE {hot_rows(hot)}"


def hot_rows(hot: HotRows) -> str:
    """Condition of the rows that the warehouse holds, in Athena's SQL, by the day in UTC on which they are unloaded."""
    return f"{name(hot.column)} > current_date - INTERVAL '{hot.days}' DAY"


def _file_of(table: WarehouseTable, files: int) -> str:
    """Number of the file of a row: the same key always goes to the same one."""
    binary = {column.name for column in table.columns if column.source_type.startswith(("binary", "fixed"))}
    parts = [f"to_hex({name(key)})" if key in binary else f"CAST({name(key)} AS varchar)" for key in table.keys]
    # The sign is masked away, for the least of all numbers has no absolute value.
    hashed = f"from_big_endian_64(xxhash64(to_utf8(array_join(ARRAY[{', '.join(parts)}], '|'))))"
    return f"mod(bitwise_and({hashed}, 9223372036854775807), {files})"


def _staging(table: WarehouseTable, *, source: str | None, role_arn: str) -> list[str]:
    """Statements that put the rows of the files into the staging table, typed as the target, and check their keys."""
    has_texts = any(_is_text(column) for column in table.columns)
    landed = name(_LANDED if has_texts else _STAGED)
    defined = ", ".join(f"{name(column.name)} {_landed_type(column)}" for column in table.columns)
    # Columns stand in the order of the contract, whatever order the target has grown in: Parquet goes in by place.
    statements = [_said("make the staging table", f"CREATE TEMP TABLE {landed} ({defined})")]
    if source is not None:
        copied = copy_statement(into=_LANDED if has_texts else _STAGED, source=source, role_arn=role_arn, files=ParquetFiles())
        statements.append(_said("copy the files", copied))
    if has_texts:
        typed = ", ".join(f"{_typed(column)} AS {name(column.name)}" for column in table.columns)
        statements.append(_said("read the timestamps", f"CREATE TEMP TABLE {name(_STAGED)} AS SELECT {typed} FROM {landed}"))
    if table.keys:
        nulls = " OR ".join(f"{name(key)} IS NULL" for key in table.keys)
        statements.append(
            _check(
                "check that every row has its key",
                f"SELECT COUNT(*) AS found FROM {name(_STAGED)} WHERE {nulls}",
                f"rows without a value of {' or '.join(table.keys)}",
            )
        )
        statements.append(
            _check(
                "check that no key stands twice",
                f"SELECT COUNT(*) AS found FROM (SELECT 1 AS one FROM {name(_STAGED)} GROUP BY {names(table.keys)} HAVING COUNT(*) > 1) AS twice",
                f"keys ({', '.join(table.keys)}) that stand twice in the files",
            )
        )
    return statements


def _plan(statements: Sequence[str], table: WarehouseTable, *, gone: str | None, new: str) -> LoadPlan:
    removed = "0" if gone is None else f"(SELECT COUNT(*) FROM {gone})"
    counted = (
        f"SELECT (SELECT COUNT(*) FROM {name(_STAGED)}) AS rows_staged, {removed} AS rows_removed, "
        f"(SELECT COUNT(*) FROM {new}) AS rows_added, (SELECT COUNT(*) FROM {table.qualified}) AS rows_in_table"
    )
    all_ = (*statements, _said("count", counted))
    return LoadPlan(statements=all_, counts_at=len(all_) - 1)


def _said(purpose_: str, statement: str) -> str:
    return f"/* {purpose_} */ {statement}"


def _check(purpose_: str, count: str, complaint: str) -> str:
    """A statement that fails, and the transaction with it, if a count is not 0: a text that tells why is no number."""
    told = f"{literal(f'load refused: {complaint}: ')} || CAST(found AS VARCHAR(20))"
    return _said(purpose_, f"SELECT CASE WHEN found > 0 THEN CAST({told} AS INTEGER) ELSE 0 END AS checked FROM ({count}) AS counted")


def _same_key(table: WarehouseTable, other: str) -> str:
    return " AND ".join(f"{name(table.name)}.{name(key)} = {other}.{name(key)}" for key in table.keys)


def _require_keys(table: WarehouseTable) -> None:
    if not table.keys:
        raise SqlRefused(
            f"{table.schema}.{table.name} has no primary key, so nobody can tell its rows apart: add primaryKey to the contract"
        )


def _require_column(table: WarehouseTable, column: str) -> None:
    if column not in table.column_names:
        raise SqlRefused(f"{table.schema}.{table.name} has no column {column!r}: it has {', '.join(table.column_names)}")


def _is_text(column: WarehouseColumn) -> bool:
    """Whether files hold the column as text although the target does not."""
    return column.source_type in ("timestamp", "timestamptz")


def _landed_type(column: WarehouseColumn) -> str:
    return "VARCHAR(40)" if _is_text(column) else column.type


def _typed(column: WarehouseColumn) -> str:
    if column.source_type == "timestamptz":
        return f"CAST({name(column.name)} || '+00' AS TIMESTAMPTZ)"
    return f"CAST({name(column.name)} AS TIMESTAMP)" if column.source_type == "timestamp" else name(column.name)


def _unloaded(column: WarehouseColumn) -> str:
    quoted = name(column.name)
    if column.source_type == "timestamptz":
        return f"CAST(CAST({quoted} AT TIME ZONE 'UTC' AS timestamp(6)) AS varchar) AS {quoted}"
    if column.source_type == "timestamp":
        return f"CAST({quoted} AS varchar) AS {quoted}"
    return quoted
