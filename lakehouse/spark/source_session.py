"""A session with a source database from the driver's JVM, and reads by Spark that see the very snapshot of that session.

The session holds one read-only transaction open and exports its snapshot; every partition of every read imports it. Counts, bounds, keys and rows of
an extraction are therefore of one moment, however long they take and whatever is written meanwhile. It works on a standby as well.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession

from lakehouse.databases import CredentialCache, Credentials, DatabaseAddress, tls_properties
from lakehouse.errors import RunFailed
from lakehouse.extraction import postgresql
from lakehouse.extraction.failures import DENIED, UNREACHABLE, connected, is_transient, reason_of

DRIVER = "org.postgresql.Driver"
"""The JDBC driver; its jar is one of the job's."""

ROOTS_FILE = "lakehouse-database-roots.pem"
"""Name under which executors find the trusted roots."""

_CONNECT_TIMEOUT_SECONDS = "20"
_STATE_IN_TEXT = re.compile(r"(?:org\.postgresql\.util\.)?PSQLException: (?P<message>[^\n]*)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SourceSession:
    """One session with a PostgreSQL database, as a context manager.

    Attributes:
        moment: Moment of the snapshot, in UTC.
    """

    def __init__(
        self,
        spark: SparkSession,
        *,
        address: DatabaseAddress,
        credentials: CredentialCache,
        fetch_size: int,
        application: str = "lakehouse",
        connect: Callable[..., Any] = connected,
    ) -> None:
        """
        Args:
            spark: Session with the driver's jar.
            address: Where the database is read.
            credentials: Reads the secret of the address.
            fetch_size: Rows that are fetched at a time.
            application: What the database shows as name of the sessions.
            connect: Tries to connect for a while; see `connected`.
        """
        self._spark = spark
        self._address = address
        self._credentials = credentials
        self._fetch_size = fetch_size
        self._application = application
        self._connect = connect
        self._connection: Any = None
        self._user = ""
        self._password = ""
        self._snapshot = ""
        self._roots, self._roots_of_executors = trusted_roots(spark)
        self.moment = _EPOCH

    def __enter__(self) -> Self:
        self._connection = self._opened()
        try:
            for statement in (*postgresql.SESSION, postgresql.BEGIN):
                self._execute(statement)
            (found,) = self.query(postgresql.SNAPSHOT)
            self._snapshot = str(found[0])
            self.moment = _EPOCH + timedelta(microseconds=int(found[1] or 0))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def query(self, sql: str, *parameters: str) -> list[tuple[str | None, ...]]:
        """Rows of a query in the session's snapshot, every value as text.

        Raises:
            RunFailed: The database refuses it.
        """
        try:
            statement = self._connection.prepareStatement(sql)
            for place, value in enumerate(parameters, start=1):
                statement.setString(place, value)
            result = statement.executeQuery()
            width = result.getMetaData().getColumnCount()
            rows: list[tuple[str | None, ...]] = []
            while result.next():
                rows.append(tuple(result.getString(place) for place in range(1, width + 1)))
            statement.close()
        except Py4JJavaError as error:
            raise self._translated(error) from error
        return rows

    def read(self, query: str, predicates: Sequence[str] = ()) -> DataFrame:
        """A query as a DataFrame in the session's snapshot; it is run, once a partition, when the frame is.

        Args:
            query: A query without a semicolon.
            predicates: Conditions over its columns, one a partition; none = one partition.
        """
        properties = {
            **self._properties(self._roots_of_executors),
            "driver": DRIVER,
            "user": self._user,
            "password": self._password,
            "fetchsize": str(self._fetch_size),
            "sessionInitStatement": "; ".join([postgresql.import_snapshot(self._snapshot), *postgresql.SESSION]),
        }
        table = f"({query}) AS lakehouse_source"
        try:
            if predicates:
                return self._spark.read.jdbc(self._address.jdbc_url, table, predicates=list(predicates), properties=properties)
            return self._spark.read.jdbc(self._address.jdbc_url, table, properties=properties)
        except Py4JJavaError as error:
            raise self._translated(error) from error

    def translated(self, error: Exception) -> Exception:
        """What an error of a Spark action over the source means; the error itself if it does not come from there."""
        found = _STATE_IN_TEXT.search(str(error))
        if found is None:
            return error
        state = _state_in(error)
        reason = reason_of(state, found["message"])
        return error if reason is None else RunFailed(reason, f"{self._address}: {found['message'].strip()}")

    def _opened(self) -> Any:
        jvm: Any = self._spark.sparkContext._jvm  # pyright: ignore[reportPrivateUsage]
        try:
            driver = jvm.org.postgresql.Driver()
        except TypeError as error:
            raise RunFailed(
                "job_failed",
                "the job has no PostgreSQL driver: put the jar org.postgresql:postgresql among its extra jars and deploy again",
            ) from error

        def once(credentials: Credentials) -> Any:
            properties = jvm.java.util.Properties()
            given = {**self._properties(self._roots), "user": credentials.username, "password": credentials.password}
            for name, value in given.items():
                properties.setProperty(name, value)
            connection = driver.connect(self._address.jdbc_url, properties)
            # What is read for the partitions is what opened this one.
            self._user, self._password = credentials.username, credentials.password
            return connection

        try:
            return self._connect(
                lambda: self._credentials.use(self._address.secret_arn, once, is_auth_error=lambda error: _reason(error) == DENIED),
                may_try_again=lambda error: isinstance(error, Py4JJavaError) and is_transient(_state_of(error), _message_of(error)),
            )
        except Py4JJavaError as error:
            raise self._translated(error, otherwise=UNREACHABLE) from error

    def _properties(self, roots: str) -> dict[str, str]:
        return {
            **tls_properties(self._address.engine, roots=roots),
            "ApplicationName": self._application,
            "connectTimeout": _CONNECT_TIMEOUT_SECONDS,
            "tcpKeepAlive": "true",
        }

    def _execute(self, sql: str) -> None:
        try:
            statement = self._connection.createStatement()
            statement.execute(sql)
            statement.close()
        except Py4JJavaError as error:
            raise self._translated(error) from error

    def _translated(self, error: Py4JJavaError, *, otherwise: str | None = None) -> Exception:
        reason = reason_of(_state_of(error), _message_of(error)) or otherwise
        return error if reason is None else RunFailed(reason, f"{self._address}: {_message_of(error)}")

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # A connection that is broken already need not be closed.
            with contextlib.suppress(Py4JJavaError):
                connection.close()


def trusted_roots(spark: SparkSession) -> tuple[str, str]:
    """File of the certificates that databases are trusted by, on the driver and on executors.

    They are the certification authorities of RDS, which the bundle carries, and those that AWS_CA_BUNDLE names.
    """
    texts = [entry.read_text(encoding="utf-8") for entry in resources.files("lakehouse").iterdir() if entry.name.endswith("-ca-bundle.pem")]
    named = os.environ.get("AWS_CA_BUNDLE")
    if named:
        texts.append(Path(named).read_text(encoding="utf-8"))
    if not texts:
        raise RunFailed(
            "job_failed",
            "no certificates are there to trust a database by: name a file of PEM certificates in AWS_CA_BUNDLE, or deploy a bundle with them",
        )
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-roots-"))
    file = folder / ROOTS_FILE
    file.write_text("\n".join(texts), encoding="utf-8")
    if str(spark.sparkContext.master).startswith("local"):
        return str(file), str(file)
    # Executors find added files in the folder that they run in.
    spark.sparkContext.addFile(str(file))
    return str(file), ROOTS_FILE


def _reason(error: Exception) -> str | None:
    return reason_of(_state_of(error), _message_of(error)) if isinstance(error, Py4JJavaError) else None


def _state_of(error: Py4JJavaError) -> str | None:
    """SQLSTATE of an error of the driver."""
    cause: Any = error.java_exception
    while cause is not None:
        if "SQLException" in cause.getClass().getName() or cause.getClass().getName().endswith("PSQLException"):
            return cause.getSQLState()
        cause = cause.getCause()
    return None


def _message_of(error: Py4JJavaError) -> str:
    return str(error.java_exception.getMessage()).strip()


def _state_in(error: Exception) -> str | None:
    """SQLSTATE of what failed on an executor: its exception comes as text, in which only the message is left."""
    text = str(error)
    by_words = {
        "password authentication failed": "28P01",
        "permission denied": "42501",
        "does not exist": "42P01" if "relation" in text else "42703",
        "conflict with recovery": "40001",
        "terminating connection": "57P01",
        "canceling statement": "57014",
        "too many connections": "53300",
        "remaining connection slots": "53300",
        "I/O error": "08006",
        "Connection to": "08001",
        "connection attempt failed": "08001",
    }
    return next((state for words, state in by_words.items() if words in text), None)
