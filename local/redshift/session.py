"""A connection to a Redshift database: runs statements one after the other, in transactions, and tells of errors as Redshift does."""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg

from local.redshift.errors import RefusedError, SqlError
from local.redshift.lake import postgres_type
from local.redshift.queries import Context, aliases
from local.redshift.statements import Plan, plan
from local.redshift.tables import quoted

TYPE_NAMES: Mapping[int, str] = {
    16: "bool", 18: "char", 19: "name", 20: "int8", 21: "int2", 23: "int4", 25: "varchar", 26: "oid", 700: "float4", 701: "float8",
    705: "varchar", 1042: "bpchar", 1043: "varchar", 1082: "date", 1114: "timestamp", 1184: "timestamptz", 1700: "numeric",
}  # fmt: skip
"""PostgreSQL's numbers of types -> Redshift's names; a result of another type is refused."""

_MOST_DIGITS = 38


@dataclass(frozen=True, kw_only=True)
class ResultColumn:
    """A column of a result.

    Attributes:
        name: Its name.
        type: Redshift's type, such as `int4`.
        length: Bytes of text; 0 for other types.
        precision: Digits of a number.
        scale: Digits behind the point.
    """

    name: str
    type: str
    length: int
    precision: int
    scale: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a statement gave.

    Attributes:
        kind: What it was.
        columns: Columns of its result; none = no result.
        rows: Values as text, None = NULL.
        count: Rows that it gave or changed; -1 if that says nothing.
    """

    kind: str
    columns: tuple[ResultColumn, ...] = ()
    rows: list[list[str | None]] = field(default_factory=list[list[str | None]])
    count: int = -1

    @property
    def has_result(self) -> bool:
        """Whether there is a result to fetch."""
        return bool(self.columns)


class Mover(Protocol):
    """Whoever moves rows between a database and S3."""

    def copy(self, sql: str, session: Session) -> int:
        """Run a COPY; returns the rows loaded."""
        ...

    def unload(self, sql: str, session: Session) -> int:
        """Run an UNLOAD; returns the rows unloaded."""
        ...

    def external(self, database: str, table: str, role: str) -> Any:
        """Rows of a table of the catalog, read with a role; None if there is no such table."""
        ...


class Session:
    """A user's connection to a database.

    Args:
        connection: PostgreSQL's connection.
        database: Database that it is connected to.
        user: Database user.
        platform: Gives a connection of the platform's own to the same database.
        mover: What runs COPY and UNLOAD.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        *,
        database: str,
        user: str,
        platform: Callable[[], psycopg.Connection[Any]],
        mover: Mover | None = None,
    ) -> None:
        self.connection, self.database, self.user = connection, database, user
        self._platform, self._mover = platform, mover

    @property
    def process_id(self) -> int:
        """Number of the process that serves the connection."""
        return self.connection.info.backend_pid

    def run(self, sql: str, parameters: Mapping[str, str] | None = None, *, is_in_transaction: bool = False, query_id: int = 0) -> Outcome:
        """Run one statement; nothing is committed but by what commits in Redshift.

        Args:
            sql: The statement.
            parameters: Values of `:name`.
            is_in_transaction: Whether other statements share its transaction.
            query_id: Number under which the system views tell of it.

        Raises:
            SqlError: It failed or is refused; the transaction must be rolled back.
        """
        began, kind = time.time(), ""
        try:
            context = self.context(parameters or {})
            found = plan(sql, context)
            kind = found.kind
            if found.is_alone and is_in_transaction:
                raise SqlError(f"{found.kind} cannot run inside a transaction block")
            outcome = self._outcome(found, sql)
        except psycopg.errors.QueryCanceled:
            self._note(sql, kind, "canceled", began, query_id, message="Query cancelled on user's request")
            raise
        except psycopg.Error as error:
            told = _told_alias(error, sql) or told_error(error)
            self._note(sql, kind, "failed", began, query_id, message=str(told))
            raise told from error
        except SqlError as error:
            self._note(sql, kind, "failed", began, query_id, message=str(error))
            raise
        self._note(sql, kind, "success", began, query_id, count=outcome.count)
        return outcome

    def context(self, parameters: Mapping[str, str]) -> Context:
        """What a translation may look at."""
        views: dict[tuple[str, str], str] = {}
        for schema, name, body in self.connection.execute("SELECT schema_name, view_name, sql FROM _rs.late_views"):
            views[str(schema), str(name)] = str(body)
        found = self.connection.execute("SELECT schema_name, database_name, role FROM _rs.external_schemas").fetchall()
        schemas = {str(schema): (str(database), str(role)) for schema, database, role in found}
        loaded: dict[tuple[str, str], str] = {}

        def external_table(schema: str, name: str) -> str | None:
            if schema not in schemas:
                return None
            if (schema, name) not in loaded:
                loaded[schema, name] = self._load(schema, name, *schemas[schema])
            return loaded[schema, name]

        return Context(
            database=self.database, parameters=parameters, columns_of=self._columns_of,
            late_view=lambda schema, name: views.get((schema, name)), external_table=external_table,
        )  # fmt: skip

    def _load(self, schema: str, name: str, database: str, role: str) -> str:
        """Put the rows of an external table into a temporary one; its name."""
        may = self.connection.execute("SELECT has_schema_privilege(current_user, %s, 'USAGE')", (schema,)).fetchone()
        if may is None or not may[0]:
            raise SqlError(f"permission denied for schema {schema}")
        rows = self._mover.external(database, name, role) if self._mover is not None else None
        if rows is None:
            raise SqlError(f'relation "{schema}.{name}" does not exist')
        target = f"_external_{uuid.uuid4().hex[:12]}"
        types = {field.name: postgres_type(field.type) for field in rows.schema}
        columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in types.items())
        self.connection.execute(f"CREATE TEMP TABLE {target} ({columns}) ON COMMIT DROP".encode())
        with self.connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN".encode()) as copy:
            for batch in rows.to_batches():
                values = [column.cast("string").to_pylist() for column in batch.columns]
                for row in zip(*values, strict=True):
                    copy.write_row(row)
        blanks = " OR ".join(f"{quoted(column)} ~ ' $'" for column, kind in types.items() if kind == "varchar")
        if blanks and self.connection.execute(f"SELECT 1 FROM {target} WHERE {blanks} LIMIT 1".encode()).fetchone():
            raise RefusedError(
                f"text that ends in blanks in the external table {schema}.{name}", instead="Redshift leaves the blanks out of comparisons"
            )
        return target

    def told(self, statement: str, values: Sequence[Any]) -> None:
        """Write into a system table, whatever becomes of the transaction."""
        with self._platform() as connection:
            connection.execute(statement.encode(), values)

    def _outcome(self, found: Plan, sql: str) -> Outcome:
        if found.kind in {"COPY", "UNLOAD"}:
            if self._mover is None:
                raise RefusedError(found.kind, instead="There is no S3 here")
            move = self._mover.copy if found.kind == "COPY" else self._mover.unload
            return Outcome(kind=found.kind, count=move(sql, self))
        if found.kind == "ROLLBACK":
            self.connection.rollback()
            return Outcome(kind=found.kind)
        if found.is_alone:
            return self._alone(found)
        count, outcome = 0, Outcome(kind=found.kind, count=0 if found.shows_count else -1)
        for statement in found.statements:
            with self.connection.cursor() as cursor:
                cursor.execute(statement.encode())
                count += max(cursor.rowcount, 0)
                if found.gives_rows:
                    outcome = self._result(found.kind, cursor)
                elif found.shows_count:
                    outcome = Outcome(kind=found.kind, count=max(cursor.rowcount, 0) if found.kind != "MERGE" else count)
        if found.commits:
            self.connection.commit()
        return outcome

    def _alone(self, found: Plan) -> Outcome:
        self.connection.rollback()
        is_vacuum = found.kind == "VACUUM"
        self.connection.autocommit = is_vacuum
        try:
            for statement in found.statements:
                self.connection.execute(statement.encode())
            if not is_vacuum:
                self.connection.commit()
        finally:
            if is_vacuum:
                self.connection.autocommit = False
        return Outcome(kind=found.kind)

    def _result(self, kind: str, cursor: psycopg.Cursor[Any]) -> Outcome:
        columns = tuple(_column(description) for description in cursor.description or [])
        result = cursor.pgresult
        rows: list[list[str | None]] = []
        if result is not None:
            for row in range(result.ntuples):
                values = [result.get_value(row, column) for column in range(result.nfields)]
                rows.append([None if value is None else value.decode() for value in values])
        shown = [[_shown(value, column) for value, column in zip(row, columns, strict=True)] for row in rows]
        return Outcome(kind=kind, columns=columns, rows=shown, count=len(rows))

    def _columns_of(self, query: str) -> list[str]:
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM ({query}) AS described LIMIT 0".encode())
            return [column.name for column in cursor.description or []]

    def _note(self, sql: str, kind: str, status: str, began: float, query_id: int, *, count: int = 0, message: str | None = None) -> None:
        with contextlib.suppress(psycopg.Error):
            self.told(
                "INSERT INTO _rs.query_history (query_id, session_id, database_name, query_type, status, start_time, end_time, elapsed_time, "
                "returned_rows, error_message, query_text) VALUES (%s, %s, %s, %s, %s, to_timestamp(%s) AT TIME ZONE 'UTC', "
                "statement_timestamp() AT TIME ZONE 'UTC', %s, %s, %s, %s)",
                (
                    query_id, self.process_id, self.database, kind or "OTHER", status, began, int((time.time() - began) * 1e6), max(count, 0),
                    message, sql[:4000],
                ),
            )  # fmt: skip


def _told_alias(error: psycopg.Error, sql: str) -> SqlError | None:
    """The refusal of a query that names an alias beside which it stands: Redshift lets later expressions of a SELECT list name it."""
    found = re.match(r'column "([^"]+)" does not exist', error.diag.message_primary or "")
    if found is None or not isinstance(error, psycopg.errors.UndefinedColumn):
        return None
    with contextlib.suppress(SqlError):
        if found[1] in aliases(sql):
            return RefusedError(f"the alias {found[1]} in the query that gives it", instead="Give it in a subquery, and name it outside")
    return None


def told_error(error: psycopg.Error) -> SqlError:
    """PostgreSQL's error in Redshift's words."""
    message, constraint = error.diag.message_primary or str(error), error.diag.constraint_name or ""
    found = re.match(r"rs_(length|blanks|single)_(\d*)", constraint)
    if found is None:
        if "is not served by the laptop platform." in message:
            return RefusedError(message.split(" is not served", maxsplit=1)[0], instead=message.split("platform. ", maxsplit=1)[1])
        return SqlError(f"ERROR: {message}")
    if found[1] == "length":
        return SqlError(f"ERROR: value too long for type character varying({found[2]})")
    if found[1] == "single":
        return SqlError("ERROR: CHAR string contains invalid ASCII character")
    return RefusedError(
        "a VARCHAR value that ends in blanks", instead="Redshift leaves them out of comparisons, PostgreSQL does not: store it without them"
    )


def _column(description: psycopg.Column) -> ResultColumn:
    name = TYPE_NAMES.get(description.type_code)
    if name is None:
        raise RefusedError(f"a result of the type of column {description.name!r}", instead="Cast it to one of Redshift's basic types")
    length = (description.internal_size or 0) if name in {"varchar", "bpchar"} else 0
    size = description.display_size if name in {"varchar", "bpchar"} else 0
    return ResultColumn(
        name=description.name, type=name, length=size or max(length, 0), precision=description.precision or 0, scale=description.scale or 0
    )


def _shown(value: str | None, column: ResultColumn) -> str | None:
    if value is None:
        return None
    if column.type == "numeric" and sum(character.isdigit() for character in value.lstrip("-0.")) > _MOST_DIGITS:
        raise SqlError("Numeric data overflow (result precision)")
    if column.type in {"date", "timestamp", "timestamptz"} and value.endswith("infinity"):
        raise SqlError(f"date/time value {value} is out of range")
    if column.type == "numeric" and value.lower() in {"nan", "infinity", "-infinity"}:
        raise SqlError(f"numeric value {value} is out of range")
    if column.type == "bool":
        return "true" if value == "t" else "false"
    return value
