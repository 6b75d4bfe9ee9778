"""A PostgreSQL server of the platform: starts, keeps its data through a kill, lets nobody in without a password, takes TLS."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import trustme

from local.engines import postgres
from local.engines.postgres import PostgresError, PostgresServer
from local.engines.postgres_tls import Tls


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    found = PostgresServer(folder=tmp_path / "server").start()
    yield found
    found.remove()


def test_rows_stay_when_the_server_is_killed_and_started_again(server: PostgresServer) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    first = server.address
    process = psutil.Process(postgres._postmaster(server.folder / "data"))
    process.kill()
    process.wait(5)
    deadline = time.monotonic() + 10
    while server.is_running() and time.monotonic() < deadline:
        time.sleep(0.05)
    with server.start().connect() as connection:
        assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]
    assert server.address[0] == first[0] == "127.0.0.1"


def test_nobody_gets_in_without_the_password(server: PostgresServer) -> None:
    host, port = server.address
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=host, port=port, user=postgres.SUPERUSER, dbname="postgres", password="guessed")


def test_a_stop_cuts_connections_and_ends_every_process(server: PostgresServer) -> None:
    connection = server.connect()
    family = psutil.Process(postgres._postmaster(server.folder / "data")).children(recursive=True)
    server.stop()
    assert not server.is_running()
    assert [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    with contextlib.suppress(psycopg.Error):
        connection.close()
    with pytest.raises(PostgresError, match="not running"):
        _ = server.address


def test_tls_is_required_where_it_is_asked_for_and_verified_by_the_authority(tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1", "localhost")
    certificate, key, root = tmp_path / "a.crt", tmp_path / "a.key", tmp_path / "root.crt"
    made.cert_chain_pems[0].write_to_path(str(certificate))
    made.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(root))
    server = PostgresServer(
        folder=tmp_path / "server", tls=Tls(certificate=certificate, key=key), settings={"wal_level": "logical"}
    ).start()
    try:
        with server.connect(is_autocommit=True) as connection:
            connection.execute("CREATE ROLE reader LOGIN PASSWORD 'secret'")
            assert connection.execute("SHOW wal_level").fetchall() == [("logical",)]
        host, port = server.address
        reader = f"host={host} port={port} user=reader password=secret dbname=postgres"
        with psycopg.connect(reader, sslmode="verify-full", sslrootcert=str(root)) as connection:
            wide = connection.execute("SELECT repeat('x', 1000) FROM generate_series(1, 20000)").fetchall()
            assert (len(wide), connection.pgconn.ssl_in_use) == (20000, True)
        with pytest.raises(psycopg.OperationalError, match="no encryption"):
            psycopg.connect(reader, sslmode="disable")
        stranger = tmp_path / "stranger.crt"
        trustme.CA().cert_pem.write_to_path(str(stranger))
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            psycopg.connect(reader, sslmode="verify-full", sslrootcert=str(stranger))
    finally:
        server.remove()


def test_a_lock_that_a_dead_server_left_behind_does_not_stop_the_next_start(server: PostgresServer) -> None:
    server.stop()
    (server.folder / "data" / "postmaster.pid").write_text("1\n/elsewhere\n0\n1\n\n*\n")  # process 1 is somebody else's
    with server.start().connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_setting_that_postgresql_does_not_know_is_told(tmp_path: Path) -> None:
    server = PostgresServer(folder=tmp_path / "server", settings={"no_such_setting": "1"})
    with pytest.raises(PostgresError, match="no_such_setting"):
        server.start()
    server.remove()
