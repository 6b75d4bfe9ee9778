"""Migrations: SQL files that run once, in order, each in one transaction with the note that it ran; a file that has run may not change."""

# ruff: noqa: S608 - the statements are the project's own files; what we add is made of literals that are escaped.
from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import TerminalError
from lakehouse.warehouse.data_api import DataApi, check_batch, token_of
from lakehouse.warehouse.loads import MAX_STATEMENTS
from lakehouse.warehouse.text import literal

SCHEMA, TABLE = "lakehouse", "migrations"
"""Where it is noted what has run."""

_NAME = re.compile(r"[0-9]{4}_[a-z0-9_]{1,80}")
_PREPARE = (
    f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",
    f"CREATE TABLE IF NOT EXISTS {SCHEMA}.{TABLE} (name VARCHAR(100) NOT NULL, checksum CHAR(64) NOT NULL, applied_at TIMESTAMP NOT NULL)",
)


class MigrationRefused(TerminalError):
    """Migrations do not fit what the warehouse has seen; nothing was run."""


@dataclass(frozen=True, kw_only=True, order=True)
class Migration:
    """One file of SQL.

    Attributes:
        name: `0001_name`; they run in the order of their names.
        sql: Statements that end in semicolons.
    """

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of what it says; the kind of line ends does not matter."""
        return hashlib.sha256("\n".join(self.sql.splitlines()).encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """The statements one by one."""
        return split(self.sql)


def load_migrations(folder: Path) -> tuple[Migration, ...]:
    """Migrations of a folder in their order, checked; none if there is no folder.

    Raises:
        MigrationRefused: One cannot run.
    """
    found = tuple(Migration(name=path.stem, sql=path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.sql")))
    check(found)
    return found


def check(migrations: Sequence[Migration]) -> None:
    """Refuse migrations that cannot run, before anything is deployed.

    Raises:
        MigrationRefused: A name is malformed or used twice, a file holds no statement or too many, or one that ends transactions.
    """
    numbers: dict[str, str] = {}
    for migration in migrations:
        if not _NAME.fullmatch(migration.name):
            raise MigrationRefused(f"{migration.name!r} is no name of a migration: write 0001_what_it_does.sql, in lower-case letters")
        number = migration.name[:4]
        if number in numbers:
            raise MigrationRefused(f"{numbers[number]} and {migration.name} have the same number: give the newer one the next number")
        numbers[number] = migration.name
        statements = migration.statements
        if not 1 <= len(statements) <= MAX_STATEMENTS - 1:
            raise MigrationRefused(
                f"{migration.name} has {len(statements)} statements, 1-{MAX_STATEMENTS - 1} fit into one transaction: split it"
            )
        try:
            check_batch(statements)
        except TerminalError as error:
            raise MigrationRefused(f"{migration.name}: {error}") from error


def pending(migrations: Sequence[Migration], applied: dict[str, str]) -> list[Migration]:
    """Which migrations have still to run.

    Args:
        migrations: All that the project has.
        applied: Checksums by name of those that have run.

    Raises:
        MigrationRefused: One that has run is changed or gone, or a new one stands before one that has run.
    """
    known = {migration.name: migration for migration in migrations}
    gone = sorted(set(applied) - set(known))
    if gone:
        raise MigrationRefused(
            f"{gone[0]} has run in this warehouse and is not in the project: restore the file, and undo it by a new migration"
        )
    for name, checksum in sorted(applied.items()):
        if known[name].checksum != checksum:
            raise MigrationRefused(
                f"{name} has run in this warehouse and was changed since: restore the file, and write the change as a new migration"
            )
    waiting = [migration for migration in sorted(migrations) if migration.name not in applied]
    newest = max(applied, default="")
    late = [migration for migration in waiting if migration.name < newest]
    if late:
        raise MigrationRefused(f"{late[0].name} would run after {newest}, which has run already: give it a higher number")
    return waiting


def migrate(api: DataApi, migrations: Sequence[Migration]) -> list[str]:
    """Run what has not run yet.

    Args:
        api: The warehouse, as a user that may do what they say.
        migrations: All that the project has.

    Returns:
        Names of those that ran now.

    Raises:
        MigrationRefused: They do not fit what has run.
        StatementError: One failed: nothing of it stays, those before it do.
    """
    check(migrations)
    api.batch(_PREPARE)
    rows = api.execute(f"SELECT name, checksum FROM {SCHEMA}.{TABLE} ORDER BY name").rows
    waiting = pending(migrations, {str(row[0]): str(row[1]) for row in rows})
    for migration in waiting:
        noted = f"INSERT INTO {SCHEMA}.{TABLE} VALUES ({literal(migration.name)}, {literal(migration.checksum)}, GETDATE())"
        api.batch(
            [*migration.statements, noted],
            label=f"migration-{migration.name}",
            token=token_of("migration", migration.name, str(len(rows)), migration.checksum),
        )
    return [migration.name for migration in waiting]


def split(sql: str) -> list[str]:
    """Statements of a text: at semicolons that stand outside quotes, dollar quotes and comments."""
    statements: list[str] = []
    current: list[str] = []
    position = 0
    for found in _TOKENS.finditer(sql):
        current.append(sql[position : found.start()])
        position = found.end()
        part = found[0]
        if part == ";":
            statements.append("".join(current).strip())
            current = []
        elif not part.startswith(("--", "/*")):
            current.append(part)
        else:
            current.append(" ")
    current.append(sql[position:])
    statements.append("".join(current).strip())
    return [statement for statement in statements if statement]


_TOKENS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/|;""", re.DOTALL)
