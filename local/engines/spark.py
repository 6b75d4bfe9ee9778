"""Spark behind the local Glue and EMR: starts one driver process a run, as a role, small, and never longer than the platform lives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from local.engines.role_endpoint import RoleEndpoint, Seat
from local.engines.spark_archive import SparkArchive, without_java_options
from local.engines.truststore import PASSWORD, write_trust_store
from local.toolchain import GLUE_SPARK, Toolchain

HERE = Path(__file__).resolve().parent

ICEBERG_JAR = "iceberg-spark-runtime"
"""Start of the name of the jar that a job gets only if it asks for the format, as on Glue."""


@dataclass(frozen=True, kw_only=True)
class SparkSize:
    """How big a driver is on a laptop; workers and worker types of the job are not looked at.

    Attributes:
        memory_mb: Heap of the driver, which is the executor too.
        cores: Tasks at a time.
    """

    memory_mb: int = 1536
    cores: int = 2


@dataclass(frozen=True, kw_only=True)
class SparkWork:
    """What a driver is to run.

    Attributes:
        script: Python script, on this machine.
        arguments: What the script sees behind its name in `sys.argv`.
        python_path: Archives and folders put before everything else on the Python path.
        conf: Spark properties of the job; they win over the platform's.
    """

    script: Path
    arguments: tuple[str, ...]
    python_path: tuple[Path, ...]
    conf: Mapping[str, str]


class SparkDriver:
    """A driver process, before or while it runs its one script."""

    def __init__(self, *, process: subprocess.Popen[bytes], seat: Seat, folder: Path, endpoint: RoleEndpoint) -> None:
        self._process, self._seat, self._endpoint = process, seat, endpoint
        self.folder = folder
        self._ended = threading.Event()

    @property
    def output(self) -> IO[bytes]:
        """What the driver prints, both streams in one; ends with the process."""
        if self._process.stdout is None:
            raise RuntimeError("the driver was started without a pipe for its output")
        return self._process.stdout

    @property
    def errors(self) -> IO[bytes]:
        """What the driver writes to its error stream, if that is a stream of its own."""
        if self._process.stderr is None:
            raise RuntimeError("the driver was started without a pipe for its errors")
        return self._process.stderr

    @property
    def pid(self) -> int:
        """Process that leads the driver's group."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def mark(self, run_id: str) -> None:
        """Leave a note in the working folder, `run.json`, of which run this process works for."""
        note = {"run_id": run_id, "pid": self.pid}
        (self.folder / "run.json").write_text(json.dumps(note), encoding="utf-8")

    def run(self, work: SparkWork, credentials: Callable[[], Mapping[str, str]]) -> None:
        """Hand the driver its script.

        Args:
            work: What to run.
            credentials: Gives the role's credentials, anew at each call, as a credentials endpoint answers them.
        """
        self._seat.assign(
            {
                "script": str(work.script),
                "arguments": list(work.arguments),
                "path": [str(path) for path in work.python_path],
                "conf": {
                    **{name: value for name, value in work.conf.items() if name.startswith("spark.")},
                    "spark.submit.pyFiles": ",".join(str(path) for path in work.python_path),
                },
            },
            credentials,
        )

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Exit code of the driver.

        Raises:
            TimeoutError: It still runs.
        """
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired as late:
            raise TimeoutError(f"the driver still runs after {timeout_seconds} s") from late

    @property
    def error(self) -> str:
        """What the script failed with, as far as it could say so; empty otherwise."""
        return str((self._seat.outcome or {}).get("error", ""))

    def stop(self) -> None:
        """End the driver and everything that it started."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(8)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)

    def close(self) -> None:
        """Forget the process, which has ended, and remove what it left."""
        self._endpoint.leave(self._seat)
        if self._process.stdin is not None:
            self._process.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class SparkEngine:
    """Starts drivers; one engine a platform.

    Attributes:
        endpoint: Loopback endpoint that gives the drivers their roles.
        folder: Where runs have their working folders.
    """

    def __init__(
        self, *, toolchain: Toolchain, aws_url: str, authorities: Path, region: str, folder: Path,
        size: SparkSize | None = None, class_list: Path | None = None,
    ) -> None:  # fmt: skip
        """
        Args:
            toolchain: Where Java, Spark and the jars are.
            aws_url: Address of the local AWS.
            authorities: PEM file of the authorities that drivers trust.
            region: Region of the local AWS.
            folder: Where runs have their working folders; they are removed when they end.
            size: How big a driver is.
            class_list: File that gets the names of the classes that a driver loads, to build the archive from.
        """
        self._toolchain, self._aws_url, self._region = toolchain, aws_url, region
        self._authorities, self.folder = authorities, folder
        self._size, self._class_list = size if size is not None else SparkSize(), class_list
        self.endpoint = RoleEndpoint()
        self._archives: dict[str, SparkArchive] = {}
        self._lock = threading.Lock()
        self._trust_store: Path | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def start_driver(
        self, *, iceberg: bool, series: str = GLUE_SPARK, jars: Sequence[Path] = (), environment: Mapping[str, str] | None = None,
        has_own_errors: bool = False,
    ) -> SparkDriver:  # fmt: skip
        """Start a driver that waits for its script.

        Args:
            iceberg: Whether Iceberg is on the class path (`--datalake-formats iceberg`).
            series: Which Spark.
            jars: Jars of the job, put behind ours on the class path.
            environment: Variables of the job; those of the platform win.
            has_own_errors: Whether the error stream is a stream of its own.

        Raises:
            ToolMissingError: That Spark is not installed.
        """
        archive = self._archive(series)
        seat = self.endpoint.seat()
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self.folder))
        command = [sys.executable, str(HERE / "lifeline.py"), *self._command(archive, folder, iceberg=iceberg, jars=jars)]
        process = subprocess.Popen(
            command, cwd=folder, env=self._environment(archive, seat, environment or {}), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if has_own_errors else subprocess.STDOUT,
        )  # fmt: skip
        return SparkDriver(process=process, seat=seat, folder=folder, endpoint=self.endpoint)

    def _archive(self, series: str) -> SparkArchive:
        with self._lock:
            if series not in self._archives:
                archive = SparkArchive(toolchain=self._toolchain, series=series)
                _ = archive.release  # not kept before it is installed
                self._archives[series] = archive
            return self._archives[series]

    def _command(self, archive: SparkArchive, folder: Path, *, iceberg: bool, jars: Sequence[Path]) -> Sequence[str]:
        class_path = [*(jar for jar in archive.class_path if iceberg or not jar.name.startswith(ICEBERG_JAR)), *jars]
        if self._class_list is not None:
            shared: tuple[str, ...] = (f"-XX:DumpLoadedClassList={self._class_list}",)
        else:
            shared = archive.options() if iceberg else ()  # jars behind the archive's own do no harm to it
        return (
            str(archive.java),
            f"-Xmx{self._size.memory_mb}m",
            *archive.java_options,
            *shared,
            f"-Djavax.net.ssl.trustStore={self._ensure_trust_store()}",
            f"-Djavax.net.ssl.trustStorePassword={PASSWORD}",
            f"-Dlog4j2.configurationFile={HERE / 'spark_log4j2.properties'}",
            f"-Djava.io.tmpdir={folder}",
            "-cp",
            os.pathsep.join(str(jar) for jar in class_path),
            "org.apache.spark.deploy.SparkSubmit",
            *(part for name, value in self._conf(folder).items() for part in ("--conf", f"{name}={value}")),
            str(HERE / "spark_driver.py"),
        )

    def _conf(self, folder: Path) -> dict[str, str]:
        """What is so because the cluster is this machine and AWS is the local one; a job's own properties win."""
        return {
            "spark.master": f"local[{self._size.cores}]",
            "spark.driver.memory": f"{self._size.memory_mb}m",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.eventLog.enabled": "false",
            "spark.local.dir": str(folder),
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.sql.catalogImplementation": "in-memory",
            "spark.sql.shuffle.partitions": str(self._size.cores),
            "spark.default.parallelism": str(self._size.cores),
            "spark.sql.session.timeZone": "UTC",
            "spark.pyspark.python": sys.executable,
            "spark.pyspark.driver.python": sys.executable,
            "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.endpoint": self._aws_url,
            "spark.hadoop.fs.s3a.endpoint.region": self._region,
            "spark.hadoop.fs.s3a.aws.credentials.provider": "software.amazon.awssdk.auth.credentials.ContainerCredentialsProvider",
            "spark.hadoop.fs.s3a.buffer.dir": str(folder),
        }

    def _environment(self, archive: SparkArchive, seat: Seat, own: Mapping[str, str]) -> dict[str, str]:
        """The process's environment; nothing of the server's own AWS settings gets through."""
        mine = without_java_options(os.environ)
        kept = {name: value for name, value in mine.items() if not name.startswith(("AWS_", "SPARK_", "PYSPARK_", "LAKE_", "PYTHON"))}
        path = [part for part in (own.get("PYTHONPATH"), str(archive.release.python or "")) if part]
        return {
            **kept,
            **own,
            **self.endpoint.environment(seat),
            "AWS_ENDPOINT_URL": self._aws_url,
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_CA_BUNDLE": str(self._authorities),
            "SSL_CERT_FILE": str(self._authorities),
            **({"PYTHONPATH": os.pathsep.join(path)} if path else {}),
            "SPARK_HOME": str(archive.release.home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": "localhost,127.0.0.1",
            "no_proxy": "localhost,127.0.0.1",
        }

    def _ensure_trust_store(self) -> Path:
        with self._lock:
            if self._trust_store is None:
                self._trust_store = write_trust_store(self._authorities, self.folder / "trust.p12")
            return self._trust_store

    def close(self) -> None:
        """Stop the endpoint; drivers end by themselves when this process does."""
        self.endpoint.close()
