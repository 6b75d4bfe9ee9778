"""What an extraction says to PostgreSQL, asked of a real one: no row is lost between partitions, no text is changed, no name breaks out."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lakehouse.contracts.model import DatabaseSource, SourcePartitions, WatermarkColumn
from lakehouse.extraction import postgresql as sql
from lakehouse.extraction.failures import connected, is_transient, reason_of
from lakehouse.extraction.marks import begin, checked, is_reconciliation_due, mark_name, moment_of, next_mark, sequence_of, to_mark
from local.engines.postgres import PostgresServer, binaries

TIMESTAMP = WatermarkColumn(column="changed", type="timestamptz", overlap=900)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def opened(server: PostgresServer, *, is_autocommit: bool = False) -> Any:
    return server.connect(is_autocommit=is_autocommit)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(folder=tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def connection(server: PostgresServer) -> Iterator[Any]:
    with opened(server) as connection:
        for statement in sql.SESSION:
            connection.execute(statement)
        connection.commit()
        yield connection
        connection.rollback()


@pytest.mark.parametrize(
    ("type_", "contract_type", "values"),
    [
        ("bigint", "long", ["-9223372036854775808", "0", "5", "5", "9223372036854775807"]),
        ("integer", "int", ["1", "1", "1"]),
        ("smallint", "int", [str(i) for i in range(60)]),
        ("numeric", "decimal(12, 2)", ["NaN", "Infinity", "-Infinity", "1.5", "-3.25", "99999999999999999999.99"]),
        ("date", "date", ["0044-03-15 BC", "1970-01-01", "2026-11-22", "infinity", "-infinity", "9999-12-31"]),
        ("timestamp", "timestamp", ["infinity", "2026-01-01 00:00:00.000001", "2026-01-01 00:00:00.000002", "1815-12-10"]),
        ("timestamptz", "timestamptz", ["-infinity", "2026-01-01 00:00:00+14", "0001-01-01 00:00:00+00", "2026-01-01 00:00:00-12"]),
        ("bigint", "long", []),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 7, 50])
def test_every_row_is_in_exactly_one_partition(connection: Any, type_: str, contract_type: str, values: list[str], count: int) -> None:
    name = 'a "strange" name; DROP TABLE x'
    connection.execute(f"CREATE TEMP TABLE t (id serial, {sql.quoted(name)} {type_})")
    for value in [*values, None, None]:
        connection.execute(f"INSERT INTO t ({sql.quoted(name)}) VALUES (%s)", (value,))
    partitions = SourcePartitions(column=name, type=contract_type, count=count)
    least, most = connection.execute(sql.bounds(partitions, table="t", where=None)).fetchone() or (None, None)
    conditions = sql.ranges(partitions, least=least, most=most, count=count)
    assert len(conditions) <= count
    query = sql.selection([sql.SourceColumn(name="id", type="integer", kind="int4")], table="t", where=None, partition_column=name)
    found = [
        row[0]
        for condition in conditions or ["true"]
        for row in connection.execute(f"SELECT c0 FROM ({query}) AS q WHERE {condition}").fetchall()
    ]
    assert sorted(found, key=int) == [str(i) for i in range(1, len(values) + 3)]
    if len(set(values)) >= 6 and count > 1:
        assert len(conditions) > 1


@pytest.mark.parametrize(
    ("type_", "contract_type", "values", "mark", "expected"),
    [
        (
            "timestamptz",
            "timestamptz",
            ["infinity", "-infinity", "9999-01-01", "2026-11-22 11:59:00.5+00", "0044-03-15 BC"],
            None,
            "11:59:00.5+00",
        ),
        ("timestamptz", "timestamptz", ["2026-11-22 11:00:00+00"], "2026-11-22T11:30:00.000000", None),
        ("timestamptz", "timestamptz", ["2026-11-22 11:20:00+00"], "2026-11-22T11:30:00.000000", "11:20:00+00"),
        ("timestamp", "timestamp", ["2026-11-22 12:00:00", "2026-11-22 12:00:00.000001"], None, "12:00:00"),
        ("timestamp", "timestamp", ["0044-03-15 BC", "-infinity"], None, " BC"),
        ("date", "date", ["infinity", "2026-11-22", "2026-11-23"], None, "2026-11-22"),
        ("bigint", "int", ["5", "3000000000"], None, "5"),
        ("bigint", "long", ["5", "3000000000"], 7, "3000000000"),
        ("bigint", "long", [], 7, None),
    ],
)
def test_the_source_tells_the_mark_that_an_extraction_leaves(
    connection: Any, *, type_: str, contract_type: str, values: list[str], mark: Any, expected: str | None
) -> None:
    watermark = WatermarkColumn(column='a "strange" name', type=contract_type, overlap=900 if "time" in contract_type else 0)
    name = sql.quoted(watermark.column)
    connection.execute(f"CREATE TEMP TABLE w (id serial, {name} {type_})")
    for value in [*values, None]:
        connection.execute(f"INSERT INTO w ({name}) VALUES (%s)", (value,))
    ((found,),) = connection.execute(sql.largest(watermark, table="w", mark=mark, moment=NOW)).fetchall()
    assert found is None if expected is None else found.endswith(expected)


def test_an_index_tells_bounds_and_marks_of_a_large_table(connection: Any) -> None:
    connection.execute(
        "CREATE TEMP TABLE big AS SELECT i AS id, TIMESTAMPTZ '2026-01-01' + i * interval '1 second' AS changed FROM generate_series(1, 50000) i"
    )
    connection.execute("CREATE INDEX ON big (id)")
    connection.execute("CREATE INDEX ON big (changed)")
    connection.execute("ANALYZE big")
    whole = SourcePartitions(column="id", type="long", count=4)
    for query in (
        sql.bounds(whole, table="big", where=None),
        sql.bounds(SourcePartitions(column="changed", type="timestamptz", count=4), table="big", where=None),
        sql.largest(TIMESTAMP, table="big", mark=None, moment=NOW),
        sql.largest(TIMESTAMP, table="big", mark="2026-01-01T10:00:00.000000", moment=NOW),
    ):
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {query}").fetchall())
        assert "Seq Scan" not in plan, plan
    assert connection.execute(sql.bounds(whole, table="big", where="id > 49990")).fetchone() == ("49991", "50000")


def test_columns_of_a_table_with_their_kinds(connection: Any) -> None:
    connection.execute("CREATE DOMAIN money_amount AS numeric(12, 2)")
    connection.execute("CREATE TYPE pair AS (a int, b text)")
    connection.execute('CREATE TABLE "Odd" (id bigint, gone int, price money_amount, raw bytea, tags text[], two pair, at timestamptz)')
    connection.execute('ALTER TABLE "Odd" DROP COLUMN gone')
    found = connection.execute(sql.COLUMNS.replace("?", "%s"), ("public", "Odd")).fetchall()
    assert found == [
        ("id", "bigint", "int8"),
        ("price", "money_amount", "numeric"),
        ("raw", "bytea", "bytea"),
        ("tags", "text[]", "array"),
        ("two", "pair", "composite"),
        ("at", "timestamp with time zone", "timestamptz"),
    ]
    assert connection.execute(sql.COLUMNS.replace("?", "%s"), ("public", "odd")).fetchall() == []


def test_a_snapshot_is_shared_by_connections_and_shows_nothing_later(server: PostgresServer, connection: Any) -> None:
    connection.execute("CREATE TABLE shared (id int)")
    connection.commit()
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    snapshot, micros = connection.execute(sql.SNAPSHOT).fetchone() or ("", 0)
    assert abs(int(micros) / 1e6 - datetime.now(UTC).timestamp()) < 60
    with opened(server) as other:
        other.execute("INSERT INTO shared VALUES (1)")
        other.commit()
        assert other.execute("SELECT count(*) FROM shared").fetchone() == (1,)
        other.commit()
        other.execute(sql.import_snapshot(snapshot))
        assert other.execute("SELECT count(*) FROM shared").fetchone() == (0,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            other.execute("INSERT INTO shared VALUES (2)")


def test_a_snapshot_of_another_server_is_told_as_an_interruption(server: PostgresServer) -> None:
    with opened(server) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(sql.import_snapshot("00000003-0000001B-1"))
    assert reason_of(caught.value.sqlstate, str(caught.value)) == "source_interrupted"


def test_keys_are_found_whatever_they_hold(connection: Any) -> None:
    connection.execute("CREATE TEMP TABLE k (id bigint, code text)")
    awkward = [("1", "it's"), ("2", "\\'; DROP TABLE k; --"), ("3", ""), ("4", "äöü\n")]
    for row in awkward:
        connection.execute("INSERT INTO k VALUES (%s, %s)", row)
    columns = [sql.SourceColumn(name="id", type="bigint", kind="int8"), sql.SourceColumn(name="code", type="text", kind="text")]
    query = sql.selection(columns, table="k", where=sql.with_keys(columns, awkward), partition_column=None)
    assert sorted(connection.execute(query).fetchall()) == awkward
    with pytest.raises(ValueError, match="NUL"):
        sql.literal("a\0b")


@pytest.mark.parametrize(
    "mark", ["2026-01-01", "'; DROP TABLE x; --", "2026-02-30T00:00:00.000000", 5, True, "2026-01-01T00:00:00.000000Z", None]
)
def test_what_is_no_mark_never_gets_into_a_query(mark: Any) -> None:
    with pytest.raises(ValueError, match=r"no mark|day is out of range"):
        checked(mark, TIMESTAMP)


def test_the_next_read_begins_below_the_mark_and_takes_what_has_none() -> None:
    assert sql.since(begin(None, TIMESTAMP), TIMESTAMP) is None
    condition = sql.since(begin("2026-01-01T00:00:00.000000", TIMESTAMP), TIMESTAMP)
    assert condition == ('("changed" >= timestamptz \'2025-12-31T23:45:00.000000+00\' OR "changed" IS NULL OR "changed" = \'-infinity\')')
    day = WatermarkColumn(column="day", type="date", overlap=1)
    assert sql.since(begin("2026-03-01", day), day) == '("day" >= date \'2026-02-28\' OR "day" IS NULL OR "day" = \'-infinity\')'
    number = WatermarkColumn(column="n", type="long", overlap=10)
    assert sql.since(begin(5, number), number) == '("n" >= -5 OR "n" IS NULL)'
    assert begin(-(2**63) + 3, number) is None
    assert begin("0001-01-01T00:00:00.000000", TIMESTAMP) is None


def test_a_mark_never_passes_the_snapshot_it_was_read_from() -> None:
    values = ["2026-11-22T11:59:00.000000", "2026-11-22T12:00:00.000001", "9999-12-31T00:00:00.000000", None]
    assert next_mark(values, watermark=TIMESTAMP, moment=NOW) == "2026-11-22T11:59:00.000000"
    assert next_mark([None], watermark=TIMESTAMP, moment=NOW) is None
    assert next_mark([3, 10, 9], watermark=WatermarkColumn(column="n", type="long", overlap=0), moment=NOW) == 10


def test_extractions_are_ordered_by_their_snapshot_then_by_their_run() -> None:
    first, second = sequence_of(NOW, "0190-a"), sequence_of(NOW, "0190-b")
    assert first < second < sequence_of(NOW.replace(microsecond=1), "0190-a")
    assert moment_of(first) == NOW


@pytest.mark.parametrize(
    ("every", "last", "expected"),
    [
        (0, "2026-11-22T11:59:59.000000", True),
        (3600, None, True),
        (3600, "2026-11-22T11:00:00.000000", True),
        (3600, "2026-11-22T11:00:01.000000", False),
        (None, None, False),
    ],
)
def test_keys_are_compared_when_it_is_time(every: int | None, last: str | None, expected: bool) -> None:
    source = DatabaseSource(connection="c", engine="postgresql", schema="s", table="t", mode="full", reconcile_seconds=every)
    assert is_reconciliation_due(source, last=last, moment=NOW) is expected


def test_another_column_or_table_has_a_mark_of_its_own() -> None:
    source = DatabaseSource(connection="c", engine="postgresql", schema="s", table="t", mode="incremental", watermark=TIMESTAMP)
    assert mark_name("a.b", source) == "a.b/jdbc:c/s.t/changed"
    assert to_mark(NOW) == "2026-11-22T12:00:00.000000"


@pytest.mark.parametrize(
    ("state", "message", "reason", "transient"),
    [
        ("28P01", 'password authentication failed for user "x"', "source_denied", False),
        ("42501", "permission denied for table t", "source_denied", False),
        ("42P01", 'relation "t" does not exist', "source_table_missing", False),
        ("42703", 'column "c" does not exist', "source_column_missing", False),
        ("08001", "Connection to localhost:1 refused", "source_unreachable", True),
        ("08006", "SSL error: PKIX path building failed", "source_unreachable", False),
        ("57P03", "the database system is starting up", "source_unreachable", True),
        ("53300", "sorry, too many clients already", "source_unreachable", True),
        ("3D000", 'database "x" does not exist', "source_unreachable", False),
        ("40001", "canceling statement due to conflict with recovery", "source_interrupted", False),
        ("22P02", "invalid input syntax", None, False),
        (None, "anything", None, False),
    ],
)
def test_what_a_database_answers_has_a_reason(state: str | None, message: str, reason: str | None, transient: bool) -> None:
    assert (reason_of(state, message), is_transient(state, message)) == (reason, transient)


def test_a_connection_is_tried_through_a_failover_and_no_longer() -> None:
    now = [0.0]
    tries: list[float] = []

    def connect() -> str:
        tries.append(now[0])
        if now[0] < 100:
            raise ConnectionError("failover")
        return "open"

    def sleep(seconds: float) -> None:
        now[0] += seconds

    given: dict[str, Any] = {"clock": lambda: now[0], "sleep": sleep}
    assert connected(connect, may_try_again=lambda _: True, seconds=150, pause=3, **given) == "open"
    assert len(tries) == 35
    now[0] = 0.0
    with pytest.raises(ConnectionError):
        connected(connect, may_try_again=lambda _: True, seconds=50, pause=3, **given)
    assert now[0] <= 50
    with pytest.raises(ConnectionError):
        connected(connect, may_try_again=lambda _: False, **given)


def test_a_standby_shares_a_snapshot_whose_moment_is_that_of_the_primary(server: PostgresServer, tmp_path: Path) -> None:
    with opened(server, is_autocommit=True) as primary:
        primary.execute("CREATE TABLE replicated (id int)")
        primary.execute("INSERT INTO replicated VALUES (1)")
    standby = standby_of(server, tmp_path / "standby")
    try:
        with opened(server, is_autocommit=True) as primary:
            primary.execute("INSERT INTO replicated VALUES (2)")
            before = datetime.now(UTC)
        with opened(standby) as reader, opened(standby) as other:
            for _ in range(200):
                seen = reader.execute("SELECT count(*) FROM replicated").fetchone()
                reader.rollback()
                if seen == (2,):
                    break
                time.sleep(0.05)
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshot, micros = reader.execute(sql.SNAPSHOT).fetchone() or ("", 0)
            # The standby has replayed nothing since, so nothing that it shows is newer, however late it is asked.
            assert datetime.fromtimestamp(int(micros) / 1e6, UTC) <= before
            with opened(server, is_autocommit=True) as primary:
                primary.execute("INSERT INTO replicated VALUES (3)")
            other.execute(sql.import_snapshot(snapshot))
            assert other.execute("SELECT count(*) FROM replicated").fetchone() == (2,)
    finally:
        standby.stop()


def standby_of(primary: PostgresServer, folder: Path) -> PostgresServer:
    """A streaming standby."""
    folder.mkdir()
    data, password = folder / "data", primary.folder / "password"
    host, port = primary.address
    command = [str(binaries() / "pg_basebackup"), "-h", host, "-p", str(port), "-U", "platform", "-D", str(data), "-R", "-c", "fast"]
    subprocess.run(command, check=True, env={"PGPASSWORD": password.read_text(encoding="utf-8"), "PATH": os.environ["PATH"]})
    shutil.copy(password, folder / "password")
    if os.geteuid() == 0:
        owner = (primary.folder / "data").stat()
        for path in (data, *data.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
    return PostgresServer(folder=folder).start()
