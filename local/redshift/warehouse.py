"""A namespace's databases: one PostgreSQL server, its users, and connections of users to a database."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from local.engines.postgres import PostgresServer
from local.redshift.errors import SqlError

SETTINGS = {"max_connections": "80", "lock_timeout": "0"}
_TEMPLATE = "_rs_template"


class Warehouse:
    """The databases of one namespace.

    Args:
        folder: Where the server's files are.
        database: The first database.
        admin: The namespace's administrator, who may do everything.
    """

    def __init__(self, folder: Path, *, database: str, admin: str) -> None:
        self._server = PostgresServer(folder=folder, settings=SETTINGS)
        self._database, self._admin = database.lower(), admin.lower()
        self._lock = threading.RLock()
        self._is_ready = False

    def start(self) -> None:
        """Start the server unless it runs, and make what is missing."""
        with self._lock:
            if self._is_ready and self._server.is_running():
                return
            self._server.start()
            self._ensure_user(self._admin, is_admin=True)
            self._ensure_database(self._database)
            self._is_ready = True

    def stop(self) -> None:
        """End the server; its files stay."""
        with self._lock:
            self._is_ready = False
            self._server.stop()

    def remove(self) -> None:
        """End the server and remove its files."""
        with self._lock:
            self._is_ready = False
            self._server.remove()

    def databases(self) -> list[str]:
        """Names of the databases."""
        self.start()
        with self._server.connect() as connection:
            rows = connection.execute(
                "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1"
            ).fetchall()
        return [str(row[0]) for row in rows]

    def has_user(self, name: str) -> bool:
        """Whether there is a user of that name."""
        self.start()
        with self._server.connect() as connection:
            return connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name.lower(),)).fetchone() is not None

    def connect(self, database: str, user: str) -> psycopg.Connection[Any]:
        """A connection of a user; a user whom nobody knows yet is made, without rights of their own.

        Raises:
            SqlError: There is no such database.
        """
        self.start()
        if database.lower() not in self.databases():
            raise SqlError(f'FATAL: database "{database}" does not exist')
        self._ensure_user(user)
        connection = self._server.connect(database.lower())
        connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(user.lower())))
        connection.execute("SET default_transaction_isolation TO 'repeatable read'")
        connection.execute('SET search_path TO "$user", public')
        connection.execute("SET client_min_messages TO error")
        connection.commit()
        return connection

    def platform_connection(self, database: str) -> psycopg.Connection[Any]:
        """A connection of the platform's own, for what is told of statements that fail."""
        self.start()
        return self._server.connect(database.lower(), is_autocommit=True)

    def _ensure_user(self, name: str, *, is_admin: bool = False) -> None:
        user = name.lower()
        with self._lock, self._server.connect(is_autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone() is None:
                kind = sql.SQL("SUPERUSER" if is_admin else "NOSUPERUSER")
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN {}").format(sql.Identifier(user), kind))

    def _ensure_database(self, name: str) -> None:
        with self._server.connect(is_autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None:
                return
            # made under another name and renamed: a database that is there is whole, also if the platform died while it was made
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(_TEMPLATE)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
            with self._server.connect(_TEMPLATE) as inside:
                inside.execute(_compatibility())
                inside.execute("GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC")
            connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(_TEMPLATE), sql.Identifier(name)))


@cache
def _compatibility() -> bytes:
    return Path(__file__).with_name("compatibility.sql").read_bytes()
