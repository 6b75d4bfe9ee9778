"""A submission as a running driver: its files fetched as its role, its output followed, ended with everything that it started."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from local.aws import event_logs, spark_runs
from local.engines import host
from local.engines.spark import SparkWork

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from local.aws.run_logs import RunLog
    from local.aws.spark_submit import Submission
    from local.engines.spark import SparkDriver

APPLICATION_ID = "spark.test.appId"
"""Property that names a local Spark's application."""

FOLLOW_SECONDS = 30.0
"""How long the last lines of a driver that has ended may take."""


class TaskError(Exception):
    """The task could not begin; the text says why."""


class Role(Protocol):
    """Whom a task works as."""

    @property
    def arn(self) -> str:
        """Role."""
        ...

    def credentials(self) -> Callable[[], Mapping[str, str]]:
        """Gives the role's credentials, anew at each call."""
        ...


@dataclass(frozen=True, kw_only=True)
class SparkTask:
    """What a driver is to run, and as whom.

    Attributes:
        submission: The job.
        series: Which Spark.
        role: Whom it works as.
        mark: Id of the run, for whoever looks at the driver's folder.
        application_id: What the job sees as its application's id.
        has_iceberg: Whether Iceberg is on the class path.
        environment: Variables of the driver beside those of the submission.
        has_event_logs: Whether the driver writes event logs below its working folder.
    """

    submission: Submission
    series: str
    role: Role
    mark: str
    application_id: str
    has_iceberg: bool = True
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    has_event_logs: bool = False

    @contextmanager
    def running(self, session: boto3.Session, *, stdout: RunLog, stderr: RunLog) -> Iterator[SparkDriver]:
        """Start the driver on its script; its output has been followed to the end, and nothing of it is left, on the way out.

        Raises:
            TaskError: An archive cannot be unpacked, or a jar is not where it should be.
            spark_runs.FetchError: A file is not there, or the role may not read it.
            local.toolchain.ToolMissingError: That Spark cannot be installed.
        """
        host.install_spark(self.series)
        if self.submission.local_jars:  # release 8 has Iceberg on its class path, and nothing at the places of older releases
            raise TaskError(f"java.nio.file.NoSuchFileException: {self.submission.local_jars[0]}")
        s3 = session.client("s3", config=spark_runs.CONFIG)
        files = Path(tempfile.mkdtemp(prefix="task-", dir=host.spark().folder))
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, files, ignore_errors=True)
            script = spark_runs.fetch(s3, self.submission.entry_point, files / "script")
            jars = [spark_runs.fetch(s3, jar, files / "jars" / str(number)) for number, jar in enumerate(self.submission.jars)]
            driver = host.spark().start_driver(
                iceberg=self.has_iceberg, series=self.series, jars=jars, environment={**self.submission.environment, **self.environment},
                has_own_errors=True,
            )  # fmt: skip
            stack.callback(driver.close)
            stack.callback(driver.stop)
            work = self._work(s3, script, files, driver.folder)
            stack.enter_context(spark_runs.working_as(self.role.arn, driver))
            followers = [
                threading.Thread(target=log.follow, args=(stream,), daemon=True)
                for log, stream in ((stdout, driver.output), (stderr, driver.errors))
            ]
            for follower in followers:
                follower.start()
                stack.callback(follower.join, FOLLOW_SECONDS)
            stack.callback(driver.stop)  # before its last lines are waited for
            driver.mark(self.mark)
            driver.run(work, self.role.credentials())
            yield driver

    def _work(self, s3: Any, script: Path, files: Path, folder: Path) -> SparkWork:
        """Fetch everything else that the job names, as its role."""
        submission = self.submission
        modules = [spark_runs.fetch(s3, address, files / "py-files" / str(number)) for number, address in enumerate(submission.py_files)]
        for number, (address, name) in enumerate(submission.archives.items()):
            packed = spark_runs.fetch(s3, address, files / "archives" / str(number))
            try:
                _unpack(packed, folder / name)
            except (ValueError, OSError, shutil.ReadError, tarfile.TarError) as broken:
                raise TaskError(f"the archive {address} cannot be unpacked: {broken}") from broken
        return SparkWork(
            script=script, arguments=submission.arguments, python_path=spark_runs.on_python_path(modules),
            conf={
                **spark_runs.with_local_addressing(submission.conf),
                **(event_logs.settings(folder) if self.has_event_logs else {}),
                APPLICATION_ID: self.application_id,
            },
        )  # fmt: skip


def _unpack(packed: Path, folder: Path) -> None:
    if packed.suffix == ".zip":
        shutil.unpack_archive(packed, folder, "zip")
        return
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
