"""A step of a cluster: a real Spark that works as the step's runtime role, or as the cluster's instances; its logs where EMR puts them."""

from __future__ import annotations

import gzip
import io
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.aws import emr_checks, emr_commands, emr_roles, guard, spark_runs
from local.aws.emr_commands import Command
from local.aws.run_logs import RunLog
from local.aws.spark_runs import FetchError, RunRole
from local.aws.spark_tasks import SparkTask, TaskError
from local.engines import host
from local.toolchain import ToolMissingError

if TYPE_CHECKING:
    from local.engines.spark import SparkDriver

log = logging.getLogger("lake.emr")

COMPLETED, FAILED, CANCELLED = "COMPLETED", "FAILED", "CANCELLED"

LOOK_SECONDS = 0.1

UNKNOWN = "Unknown Error."
"""What EMR says of a step whose log it cannot make out."""

APPLICATION_FAILED = 'Exception in thread "main" org.apache.spark.SparkException: Application {application} finished with failed status'
"""What EMR finds in the log of a step whose driver, elsewhere on the cluster, failed: of the job's own error it knows nothing."""

SIZES_OF_A_CLUSTER = ("spark.default.parallelism", "spark.sql.shuffle.partitions")
"""Spark defaults that are meant for the cores of many machines: hundreds of tasks for a handful of rows. What a step itself says holds."""

DEFAULT_LOG_TYPES = {"STEP_LOGS": ["STDOUT", "STDERR"], "SPARK_DRIVER": ["STDOUT", "STDERR"]}


class _StoppedError(Exception):
    """Somebody ended the step."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a step runs.

    Attributes:
        cluster: Record of the cluster.
        instance: Its primary instance.
        instances: Role of its instances.
        application: Id of the YARN application that the step becomes.
    """

    cluster: Mapping[str, Any]
    instance: str
    instances: RunRole
    application: str

    def container(self, attempt: int) -> str:
        """Container of the application's driver."""
        return f"{self.application.replace('application', 'container')}_{attempt:02d}_000001"

    @property
    def defaults(self) -> dict[str, str]:
        """Spark properties of the cluster, but for those that are as large as it is."""
        given = emr_checks.properties(self.cluster.get("Configurations") or (), "spark-defaults")
        return {name: value for name, value in given.items() if name not in SIZES_OF_A_CLUSTER}

    @property
    def has_iceberg(self) -> bool:
        """Whether the cluster puts Iceberg on the class path."""
        given = emr_checks.properties(self.cluster.get("Configurations") or (), "iceberg-defaults")
        return given.get("iceberg.enabled", "false").lower() == "true"


class StepRun:
    """One step from its start to its end, on a thread of its own.

    Args:
        record: Record of the step.
        place: Where it runs.
        ended: Called with the step's last state, and why it failed.
    """

    def __init__(self, record: Mapping[str, Any], place: Place, *, ended: Callable[[StepRun, str, Mapping[str, str]], None]) -> None:
        self.record, self._place, self._ended = record, place, ended
        self._command: Command = emr_commands.read(record["_step"], defaults=place.defaults)
        self._stopping = threading.Event()
        self._began = time.time()
        arn = record.get("ExecutionRoleArn")
        self._role = emr_roles.RuntimeRole(arn=arn, instances=place.instances, session=record["Id"]) if arn else place.instances
        self._files: dict[str, bytes] = {}
        self._problems: list[str] = []

    def stop(self) -> None:
        """Ask the step to end, and everything that it started."""
        self._stopping.set()

    def execute(self) -> None:
        """Run to the end; whatever happens, the step ends in a final state, and its logs are where they belong."""
        failure: dict[str, str] = {}
        try:
            failure = self._execute()
            state = FAILED if failure else COMPLETED
        except _StoppedError:
            state = CANCELLED
        except Exception as error:
            log.exception("step %s", self.record["Id"])
            state, failure = FAILED, {"Reason": UNKNOWN, "Message": f"the laptop platform could not run the step: {error}"}
        try:
            self._ship(state, failure)
        except Exception:
            log.exception("logs of step %s", self.record["Id"])
        if failure and self._log_uri:
            failure["LogFile"] = f"{self._log_uri}/steps/{self.record['Id']}/stderr.gz"
        self._ended(self, state, failure)

    # ---- its driver ----------------------------------------------------------------------------------------------

    def _execute(self) -> dict[str, str]:
        """Start the driver until it succeeds, or was started often enough; why it failed."""
        failure: dict[str, str] = {}
        with spark_runs.place(self._stopping) as is_given:
            if not is_given:
                raise _StoppedError
            for attempt in range(1, self._command.attempts + 1):
                failure = self._attempt(attempt)
                if not failure:
                    return {}
        return failure

    def _attempt(self, attempt: int) -> dict[str, str]:
        place, is_cluster = self._place, self._command.deploy_mode == emr_commands.CLUSTER
        container = place.container(attempt)
        own = {} if is_cluster else {"EMR_STEP_ID": self.record["Id"]}  # by a CONTAINER_ID Spark would look for YARN's folders
        logs = {name: self._log(container, name) for name in ("stdout", "stderr")}
        try:
            task = SparkTask(
                submission=self._command.submission, series=emr_checks.RELEASES[place.cluster["ReleaseLabel"]], role=self._role,
                mark=self.record["Id"], application_id=place.application, has_iceberg=place.has_iceberg, environment=own,
            )  # fmt: skip
            with task.running(self._role.assume(), stdout=logs["stdout"], stderr=logs["stderr"]) as driver:
                code = self._wait(driver)
                told = driver.error or "the driver ended without a word, as if it were killed"
        except (FetchError, TaskError, ToolMissingError, PermissionError, guard.Denied) as error:
            return {"Reason": UNKNOWN, "Message": f'Exception in thread "main" {error}'}
        finally:
            folder = f"containers/{place.application}/{container}" if is_cluster else f"steps/{self.record['Id']}"
            self._files |= {f"{folder}/{name}": written.text() for name, written in logs.items()}
            self._problems += [written.problem for written in logs.values() if written.problem]
        if code == 0:
            return {}
        return {"Reason": UNKNOWN, "Message": APPLICATION_FAILED.format(application=place.application) if is_cluster else told}

    def _wait(self, driver: SparkDriver) -> int:
        while driver.is_alive():
            if self._stopping.wait(LOOK_SECONDS):
                raise _StoppedError
        return driver.wait()

    # ---- its logs ------------------------------------------------------------------------------------------------

    @property
    def _log_uri(self) -> str:
        """Folder of the cluster's logs in S3, without a slash at the end; empty if it has none."""
        address = str(self._place.cluster.get("LogUri") or "").rstrip("/")
        return f"{address}/{self._place.cluster['Id']}" if address else ""

    def _log(self, container: str, name: str) -> RunLog:
        """A log of the driver; it goes to CloudWatch Logs if the cluster says so, with the rights of its instances."""
        is_cluster = self._command.deploy_mode == emr_commands.CLUSTER
        folder = f"applications/{self._place.application}/{container}" if is_cluster else f"steps/{self.record['Id']}"
        return self._watched("SPARK_DRIVER" if is_cluster else "STEP_LOGS", f"{folder}/{name}", suffix=f"{container[-9:-7]}.{name}")

    def _watched(self, kind: str, stream: str, *, suffix: str) -> RunLog:
        settings = ((self._place.cluster.get("MonitoringConfiguration") or {}).get("CloudWatchLogConfiguration")) or {}
        wanted = (settings.get("LogTypes") or DEFAULT_LOG_TYPES).get(kind, ())
        is_wanted = settings.get("Enabled") and stream.rsplit("/", 1)[-1].upper() in wanted
        return RunLog(
            logs=self._place.instances.assume().client("logs", config=spark_runs.CONFIG) if is_wanted else None,
            group=settings.get("LogGroupName") or f"/aws/emr/{self._place.cluster['Id']}",
            stream=f"{settings.get('LogStreamNamePrefix') or ''}/{stream}", copy=self._folder / f"{self.record['Id']}.{suffix}",
        )  # fmt: skip

    @property
    def _folder(self) -> Path:
        return host.folder() / "logs" / "jobs"

    def _ship(self, state: str, failure: Mapping[str, str]) -> None:
        """Put the whole logs into S3 as the instances, and tell the platform's own log what did not arrive; a step ends without its logs too."""
        own, seconds = f"steps/{self.record['Id']}", int(time.time() - self._began)
        words = " ".join(self.record["Config"]["Args"])
        end = f"{'INFO' if state == COMPLETED else 'WARN'} Step {state.lower()} and took {seconds} seconds"
        files = {
            f"{own}/controller": f"INFO startExec 'hadoop jar {emr_commands.JAR} {words}'\n{end}\n".encode(),
            f"{own}/stdout": b"",
            f"{own}/stderr": (f"{failure['Message']}\n" if failure else "").encode(),
            **self._files,
        }
        if f"{own}/stderr" not in self._files and files[f"{own}/stderr"]:
            watched = self._watched("STEP_LOGS", f"{own}/stderr", suffix="step.stderr")
            watched.follow(io.BytesIO(files[f"{own}/stderr"]))
            self._problems += [watched.problem] if watched.problem else []
        for problem in self._problems:
            log.warning("a log of step %s did not reach CloudWatch Logs: %s", self.record["Id"], problem)
        if not self._log_uri:
            return
        bucket, _, prefix = self._log_uri.removeprefix("s3://").partition("/")
        key_id = self._place.cluster.get("LogEncryptionKmsKeyId")
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_id} if key_id else {}
        s3 = self._place.instances.assume().client("s3", config=spark_runs.CONFIG)
        for name, content in files.items():
            try:
                s3.put_object(Bucket=bucket, Key=f"{prefix}/{name}.gz".lstrip("/"), Body=gzip.compress(content), **encryption)
            except (ClientError, BotoCoreError) as error:
                log.warning("%s of cluster %s did not reach %s: %s", name, self._place.cluster["Id"], self._log_uri, error)
