"""Trino behind the local Athena: one server on loopback, started at the first query, that only this process can talk to."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.engines.spark_archive import without_java_options
from local.engines.truststore import PASSWORD, write_trust_store
from local.toolchain import Toolchain

HERE = Path(__file__).resolve().parent

CATALOG = "awsdatacatalog"
"""Name of the one catalog, as in Athena."""

HIVE = "hive"
"""Name of the catalog that serves the tables of `CATALOG` which are no Iceberg tables; nobody names it, `CATALOG` sends its readers there."""

SCRATCH = "scratch"
"""Name of the catalog whose tables are files in a folder of this machine: what a query writes, before it goes to S3 as the caller."""

HEAP_MB = int(os.environ.get("LAKE_TRINO_HEAP_MB") or 1200)
"""Heap of the server, of which queries may have half; the variable is for data larger than a laptop's usual tests."""

START_SECONDS = 300
"""Longest that a start may take on a machine that is busy."""

FIRST_NODE_SECONDS = 60
"""Longest that a query waits for the node that a fresh server consists of."""

JAVA_OPTIONS = (
    f"-Xmx{HEAP_MB}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xss2m", "-XX:+ExitOnOutOfMemoryError",
    "-XX:ReservedCodeCacheSize=256M", "-Djdk.attach.allowAttachSelf=true", "-Djdk.nio.maxCachedBufferSize=2000000",
    "-Dfile.encoding=UTF-8", "-Duser.timezone=UTC", "--enable-native-access=ALL-UNNAMED",
)  # fmt: skip


class TrinoError(Exception):
    """A query that Trino refused or that failed.

    Attributes:
        name: Trino's name of the error, such as `SYNTAX_ERROR` or `TABLE_NOT_FOUND`.
        kind: `USER_ERROR`, `INTERNAL_ERROR`, `INSUFFICIENT_RESOURCES` or `EXTERNAL`.
        message: Trino's text, with the place in the statement where there is one.
    """

    def __init__(self, *, name: str, kind: str, message: str) -> None:
        self.name, self.kind, self.message = name, kind, message
        super().__init__(f"{name}: {message}")


class TrinoUnavailableError(RuntimeError):
    """Trino could not be started, or has ended."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a result.

    Attributes:
        name: Its name.
        type: Trino's type, such as `decimal(15,2)`.
        signature: The type taken apart, as Trino's protocol has it.
    """

    name: str
    type: str
    signature: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a query is.

    Attributes:
        scanned_bytes: Bytes read from storage so far.
        queued_ms: Time in the queue.
        elapsed_ms: Time since the query was sent.
        planning_ms: Time spent on analysis and planning.
    """

    scanned_bytes: int
    queued_ms: int
    elapsed_ms: int
    planning_ms: int = 0


class TrinoEngine:
    """Trino, one a platform."""

    def __init__(
        self, *, toolchain: Toolchain, aws_url: str, authorities: Path, region: str, folder: Path,
        credentials: Callable[[], Mapping[str, str]],
    ) -> None:  # fmt: skip
        """
        Args:
            toolchain: Where Java and Trino are.
            aws_url: Address of the local AWS.
            authorities: PEM file of the authorities that Trino trusts.
            region: Region of the local AWS.
            folder: Where its configuration and its log go.
            credentials: Gives the engine's own credentials, `AWS_ACCESS_KEY_ID` and so on; asked at each start.
        """
        self._toolchain, self._aws_url, self._region = toolchain, aws_url, region
        self._authorities, self._folder, self._credentials = authorities, folder, credentials
        self._secret = secrets.token_bytes(48)
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the server unless it runs; returns when it takes queries.

        Raises:
            TrinoUnavailableError: It did not come up; its last lines are in the text.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            self._port = _free_port()
            self._configure()
            log = (self._folder / "trino.log").open("wb")
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "lifeline.py"), *self._command()],
                cwd=self._folder, env=self._environment(), stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
            log.close()
            self._await()

    def is_running(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End the server."""
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(10)
            self._process = None

    @property
    def scratch(self) -> Path:
        """Folder of the files that `SCRATCH` writes; `local:///x` is `x` in it."""
        return self._folder / "scratch"

    def query(self, sql: str, *, schema: str, user: str, session: Mapping[str, str] | None = None) -> Query:
        """Send a statement; rows come as the result is read.

        Args:
            sql: One statement of Trino's SQL.
            schema: Database that names without one belong to.
            user: Who asks, for Trino's own log.
            session: Session properties, `catalog.name` -> value.
        """
        self.start()
        return Query(engine=self, sql=sql, schema=schema, user=user, session=session or {})

    def call(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
        """One call of Trino's protocol."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{path}",
            data=body, method=method,
            headers={
                **headers,
                "Authorization": f"Bearer {self._token()}",
                "X-Forwarded-Proto": "https",  # Trino takes authentication over HTTP only from behind a proxy that says so
                "X-Trino-Source": "athena",
            },
        )  # fmt: skip
        for attempt in range(40):
            try:
                with _OPENER.open(request, timeout=120) as answer:
                    data = answer.read()
                    return dict(json.loads(data)) if data else {}
            except urllib.error.HTTPError as error:
                if error.code not in {502, 503, 504} or attempt == 39:
                    text = error.read().decode("utf-8", "replace")[:500]
                    raise TrinoUnavailableError(
                        f"Trino answered {error.code} to {method} {path.split('?', maxsplit=1)[0]}: {text}"
                    ) from error
                time.sleep(0.1)
            except (OSError, urllib.error.URLError) as error:
                if not self.is_running() or attempt == 39:
                    raise TrinoUnavailableError(f"Trino has ended: {error}. {self._last_lines()}") from error
                time.sleep(0.1)
        raise AssertionError("unreachable")

    def _await(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.is_running():
                raise TrinoUnavailableError(f"Trino ended while it started. {self._last_lines()}")
            if self._is_up():
                return
            time.sleep(0.1)
        raise TrinoUnavailableError(f"Trino did not come up within {START_SECONDS} s. {self._last_lines()}")

    def _is_up(self) -> bool:
        try:
            with _OPENER.open(f"http://127.0.0.1:{self._port}/v1/info", timeout=5) as answer:
                return json.loads(answer.read()).get("starting") is False
        except (OSError, ValueError):
            return False

    def _last_lines(self) -> str:
        log = self._folder / "trino.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-6:] if log.is_file() else []
        return f"Its log, {log}, ends in: " + " | ".join(lines)

    def _token(self) -> str:
        """A JSON web token that Trino checks with the secret both know."""
        now = int(time.time())
        parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": "athena", "iat": now, "exp": now + 600})
        signed = b".".join(_base64url(json.dumps(part).encode()) for part in parts)
        return (signed + b"." + _base64url(hmac.new(self._secret, signed, hashlib.sha256).digest())).decode()

    def _command(self) -> Sequence[str]:
        home = self._toolchain.trino_home
        return (
            str(self._toolchain.java_trino),
            *JAVA_OPTIONS,
            f"-Djavax.net.ssl.trustStore={self._folder / 'trust.p12'}",
            f"-Djavax.net.ssl.trustStorePassword={PASSWORD}",
            f"-Djava.io.tmpdir={self._folder}",
            f"-Dconfig={self._folder / 'config.properties'}",
            f"-Dlog.levels-file={self._folder / 'log.properties'}",
            "-Dnode.environment=lake",
            f"-Dnode.data-dir={self._folder / 'data'}",
            "-cp",
            f"{home / 'lib'}/*",
            "io.trino.server.TrinoServer",
        )

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in without_java_options(os.environ).items() if not name.startswith(("AWS_", "LAKE_", "PYTHON"))}
        return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}

    def _configure(self) -> None:
        """Write the configuration; the files hold secrets and are readable by their owner alone."""
        catalogs, plugins = self._folder / "catalog", self._folder / "plugin"
        shutil.rmtree(self.scratch, ignore_errors=True)
        for part in (catalogs, plugins, self.scratch, self._folder / "data"):
            part.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        for name in ("iceberg", "hive"):
            link = plugins / name
            link.unlink(missing_ok=True)
            link.symlink_to(self._toolchain.trino_home / "plugin" / name)
        write_trust_store(self._authorities, self._folder / "trust.p12")
        own = self._credentials()
        keys = {"aws-access-key": own["AWS_ACCESS_KEY_ID"], "aws-secret-key": own["AWS_SECRET_ACCESS_KEY"]}
        (self._folder / "jwt.key").write_bytes(base64.b64encode(self._secret))
        self._write("log.properties", {"io.trino": "WARN", "io.airlift": "WARN", "org.apache": "WARN", "software.amazon": "ERROR"})
        self._write(
            "config.properties",
            {
                "coordinator": "true",
                "node-scheduler.include-coordinator": "true",
                "node.bind-ip": "127.0.0.1",
                "node.internal-address": "127.0.0.1",
                "http-server.http.port": str(self._port),
                "http-server.process-forwarded": "true",
                "http-server.authentication.type": "JWT",
                "http-server.authentication.jwt.key-file": str(self._folder / "jwt.key"),
                "http-server.authentication.allow-insecure-over-http": "false",
                "http-server.log.enabled": "false",
                "internal-communication.shared-secret": secrets.token_urlsafe(32),
                "discovery.uri": f"http://127.0.0.1:{self._port}",
                "web-ui.enabled": "false",
                "catalog.management": "static",
                "catalog.config-dir": str(catalogs),
                "plugin.dir": str(plugins),
                "query.max-memory": f"{HEAP_MB // 2}MB",
                "query.max-memory-per-node": f"{HEAP_MB // 2}MB",
                "memory.heap-headroom-per-node": "250MB",
                "task.concurrency": "2",
                "task.max-worker-threads": "4",
                "query.min-expire-age": "30s",
                "query.max-history": "20",
                "query.client.timeout": "10m",
            },
        )
        glue = {
            "hive.metastore.glue.region": self._region,
            "hive.metastore.glue.endpoint-url": self._aws_url,
            **{f"hive.metastore.glue.{name}": value for name, value in keys.items()},
            "fs.native-s3.enabled": "true",
            "s3.region": self._region,
            "s3.endpoint": self._aws_url,
            "s3.path-style-access": "true",
            **{f"s3.{name}": value for name, value in keys.items()},
        }
        self._write(
            f"catalog/{CATALOG}.properties",
            {
                "connector.name": "iceberg",
                "iceberg.catalog.type": "glue",
                "iceberg.unique-table-location": "true",
                "iceberg.metadata-cache.enabled": "false",
                "iceberg.glue.cache-table-metadata": "false",
                "iceberg.hive-catalog-name": HIVE,
                **glue,
            },
        )
        self._write(
            f"catalog/{HIVE}.properties",
            {
                "connector.name": "hive",
                "hive.metastore": "glue",
                "hive.partition-projection-enabled": "true",
                "hive.non-managed-table-writes-enabled": "true",
                "hive.recursive-directories": "true",
                **glue,
            },
        )
        self._write(
            f"catalog/{SCRATCH}.properties",
            {
                "connector.name": "hive",
                "hive.metastore": "file",
                "hive.metastore.catalog.dir": "local:///metastore",
                "hive.non-managed-table-creates-enabled": "true",
                "hive.non-managed-table-writes-enabled": "true",
                "fs.native-local.enabled": "true",
                "local.location": str(self.scratch),
            },
        )

    def _write(self, name: str, properties: Mapping[str, str]) -> None:
        path = self._folder / name
        path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()), encoding="utf-8")
        path.chmod(0o600)


class Query:
    """One statement on its way."""

    def __init__(self, *, engine: TrinoEngine, sql: str, schema: str, user: str, session: Mapping[str, str]) -> None:
        self._engine = engine
        headers = {
            "X-Trino-User": "athena",
            "X-Trino-Client-Info": user,
            "X-Trino-Catalog": CATALOG,
            "X-Trino-Time-Zone": "UTC",
            "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME",
            **({"X-Trino-Session": ",".join(f"{name}={value}" for name, value in session.items())} if session else {}),
        }
        self._statement = (sql.encode(), {**headers, "X-Trino-Schema": schema})
        self._give_up = time.monotonic() + FIRST_NODE_SECONDS
        self._answer = self._send()
        self.columns: tuple[Column, ...] = ()
        self.update_count: int | None = None
        self.progress = Progress(scanned_bytes=0, queued_ms=0, elapsed_ms=0)
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Ask Trino to end the query; reading it ends at once."""
        self._cancelled.set()

    def pages(self) -> Iterator[list[list[Any]]]:
        """Rows as they come; also when there are none yet, so that progress can be looked at.

        Raises:
            TrinoError: The query failed.
        """
        while True:
            answer = self._answer
            self._note(answer)
            if "error" in answer:
                # Trino takes queries before its own node has told of its catalogs; such a query has not begun and can be sent again.
                if answer["error"].get("errorName") == "NO_NODES_AVAILABLE" and time.monotonic() < self._give_up:
                    time.sleep(0.5)
                    self._answer = self._send()
                    continue
                raise _error(answer["error"])
            yield answer.get("data") or []
            next_uri = answer.get("nextUri")
            if self._cancelled.is_set():
                if next_uri:
                    with contextlib.suppress(TrinoUnavailableError):
                        self._engine.call("DELETE", _path(next_uri), None, {})
                return
            if not next_uri:
                return
            self._answer = self._engine.call("GET", _path(next_uri), None, {})

    def rows(self) -> list[list[Any]]:
        """All rows."""
        return [row for page in self.pages() for row in page]

    def _send(self) -> dict[str, Any]:
        sql, headers = self._statement
        return self._engine.call("POST", "/v1/statement", sql, headers)

    def _note(self, answer: Mapping[str, Any]) -> None:
        stats = answer.get("stats") or {}
        self.progress = Progress(
            scanned_bytes=int(stats.get("physicalInputBytes", 0)),
            queued_ms=int(stats.get("queuedTimeMillis", 0)),
            elapsed_ms=int(stats.get("elapsedTimeMillis", 0)),
            planning_ms=int(stats.get("planningTimeMillis", 0)),
        )
        if answer.get("columns") and not self.columns:
            self.columns = tuple(
                Column(name=column["name"], type=column["type"], signature=column.get("typeSignature") or {})
                for column in answer["columns"]
            )
        if answer.get("updateCount") is not None:
            self.update_count = int(answer["updateCount"])


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _error(error: Mapping[str, Any]) -> TrinoError:
    return TrinoError(name=str(error.get("errorName")), kind=str(error.get("errorType")), message=str(error.get("message")))


def _path(uri: str) -> str:
    """Path and query of an address that Trino gave: its host is that of the proxy it believes in."""
    parts = urllib.parse.urlsplit(uri)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
