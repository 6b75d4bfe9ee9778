"""A job run of EMR Serverless: admitted by its application's capacity, then a real Spark of the release that works as the execution role."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.aws import emr_serverless_capacity as capacity
from local.aws import event_logs, guard, seam, spark_runs
from local.aws.emr_serverless_capacity import Capacity
from local.aws.run_logs import RunLog
from local.aws.spark_runs import FetchError, RunRole
from local.aws.spark_tasks import SparkTask, TaskError
from local.engines import host
from local.toolchain import ToolMissingError

if TYPE_CHECKING:
    import boto3

    from local.aws.spark_submit import Submission
    from local.engines.spark import SparkDriver

log = logging.getLogger("lake.emr")

SERVICE = "emr-serverless.amazonaws.com"
DEFAULT_LOG_GROUP = "/aws/emr-serverless"

SUBMITTED, QUEUED, SCHEDULED, RUNNING = "SUBMITTED", "QUEUED", "SCHEDULED", "RUNNING"
SUCCESS, FAILED, CANCELLING, CANCELLED = "SUCCESS", "FAILED", "CANCELLING", "CANCELLED"
FINAL = frozenset({SUCCESS, FAILED, CANCELLED})
"""States of a run that has ended."""

FIRST_EXECUTOR_SECONDS = 1200
"""How long a driver waits for its first executor, as EMR Serverless lets it."""

LOOK_SECONDS = 0.1

MAXIMUM_EXCEEDED = "Worker could not be allocated as the application has exceeded maximumCapacity settings: [{settings}]"
FAILED_JOB = "Job failed, please check complete logs in configured logging destination. ExitCode: {code}. Last few exceptions: {error}"

_lock = threading.RLock()
_running: dict[str, Run] = {}


class _EndedError(Exception):
    """The run ends here, before or instead of its script's own end."""

    def __init__(self, state: str, details: str) -> None:
        super().__init__(state, details)
        self.state, self.details = state, details


def running(run_id: str) -> Run | None:
    """A run that has not ended."""
    return _running.get(run_id)


def of_application(application_id: str) -> list[Run]:
    """Runs of an application that have not ended, the oldest first."""
    return [run for run in list(_running.values()) if run.record["applicationId"] == application_id]


class Run:
    """One job run from its submission to its end, on a thread of its own.

    Args:
        application: Record of the application.
        record: Record of the run; its state is kept here.
        submission: What to run.
        series: Which Spark.
    """

    def __init__(self, *, application: Mapping[str, Any], record: dict[str, Any], submission: Submission, series: str) -> None:
        self._application, self.record, self._submission, self._series = application, record, submission, series
        self.used, self._spent = Capacity(), Capacity()
        self.has_slot = False
        self._stopping = threading.Event()
        self._why_stopped = ""
        self._role = RunRole(
            arn=record["executionRole"], service=SERVICE, session=f"emr-serverless-{record['jobRunId']}"[:64],
            source_arn=application["arn"],
        )  # fmt: skip
        self._attempts: list[dict[str, Any]] = record["_attempts"]
        _running[record["jobRunId"]] = self

    def stop(self, why: str) -> None:
        """Ask the run to end; it is CANCELLING until its process is gone."""
        with _lock:
            if self.record["state"] in FINAL:
                return
            self._why_stopped = self._why_stopped or why
            self._set(CANCELLING, self._why_stopped)
        self._stopping.set()

    def execute(self) -> None:
        """Run to the end; whatever happens, the run ends in a final state."""
        try:
            state, details = self._execute()
        except _EndedError as ended:
            state, details = ended.state, ended.details
        except Exception as error:
            log.exception("job run %s", self.record["jobRunId"])
            state, details = FAILED, f"the laptop platform could not run the job: {error}"
        finally:
            _running.pop(self.record["jobRunId"], None)
        with _lock:
            now = time.time()
            self.record["endedAt"] = now
            seconds = int(now - self.record.get("startedAt", now))
            self.record["totalExecutionDurationSeconds"] = seconds
            spent = {"vCPUHour": self._spent.cpu, "memoryGBHour": self._spent.memory_gb, "storageGBHour": self._spent.disk_gb}
            used = {name: round(seconds_of_it / 3600, 3) for name, seconds_of_it in spent.items()}
            self.record |= {"totalResourceUtilization": used, "billedResourceUtilization": used}
            self._set(state, details)

    # ---- its way to a driver -------------------------------------------------------------------------------------

    def _execute(self) -> tuple[str, str]:
        self._wait_in_queue()
        most = int((self.record.get("retryPolicy") or {}).get("maxAttempts") or 1)
        for attempt in range(1, most + 1):
            began = time.time()
            self.record |= {"attempt": attempt, "attemptCreatedAt": began, "attemptUpdatedAt": began}
            try:
                state, details = self._attempt()
            except _EndedError as ended:
                state, details = ended.state, ended.details
            self._attempts.append({
                "attempt": attempt, "state": state, "stateDetails": details, "createdAt": began, "updatedAt": time.time(),
            })  # fmt: skip
            if state != FAILED or attempt == most:
                return state, details
        raise AssertionError("a job has at least one attempt")

    def _wait_in_queue(self) -> None:
        """Wait until the application runs fewer jobs than it may."""
        limits = self._application.get("schedulerConfiguration") or {}
        began, most = time.time(), int(limits.get("maxConcurrentRuns") or 15)
        deadline = began + 60 * int(limits.get("queueTimeoutMinutes") or 360)
        while True:
            with _lock:
                if sum(run.has_slot for run in of_application(self._application["applicationId"])) < most:
                    self.has_slot = True
                    self.record["queuedDurationMilliseconds"] = int((time.time() - began) * 1000)
                    return
                self._set(QUEUED, unless=CANCELLING)
            if time.time() > deadline:
                raise _EndedError(CANCELLED, f"The job was in the queue for longer than {(deadline - began) / 60:.0f} minutes")
            self._pause()

    def _attempt(self) -> tuple[str, str]:
        self._set(SCHEDULED, unless=CANCELLING)
        began = time.time()
        try:
            self._take_capacity()
            began = time.time()
            try:
                session = self._role.assume()
            except guard.Denied as denied:
                raise _EndedError(FAILED, f"The execution role {self._role.arn} could not be assumed: {denied}") from denied
            with spark_runs.place(self._stopping) as is_given:
                if not is_given:
                    raise _EndedError(CANCELLED, self._why_stopped)
                return self._launch(session)
        finally:
            with _lock:
                self._spent += self.used.times(time.time() - began)
                self.used = Capacity()

    def _take_capacity(self) -> None:
        """Take a driver at once or fail, then wait for the first executor, as EMR Serverless does."""
        limit, asked = capacity.maximum(self._application), capacity.demand(self._submission.conf)
        if settings := capacity.exceeded(asked.least, limit):  # AWS lets the driver wait for an executor that cannot come
            raise _EndedError(FAILED, f"Job failed: {MAXIMUM_EXCEEDED.format(settings=settings)}; it needs {_shown(asked.least)} at least")
        deadline = time.time() + FIRST_EXECUTOR_SECONDS
        while True:
            with _lock:
                others = self._used_by_others()
                settings = capacity.exceeded(others + asked.driver, limit)
                if settings and not self.used.cpu:
                    raise _EndedError(FAILED, f"Job failed: {MAXIMUM_EXCEEDED.format(settings=settings)}; other jobs have {_shown(others)}")
                self.used = asked.driver + asked.executor.times(capacity.executors_that_fit(asked, others, limit))
                if self.used != asked.driver:
                    return
            if time.time() > deadline:
                settings = capacity.exceeded(others + asked.least, limit)
                raise _EndedError(
                    FAILED,
                    f"Job failed: no executor was launched within {FIRST_EXECUTOR_SECONDS} s: {MAXIMUM_EXCEEDED.format(settings=settings)}",
                )
            self._pause()

    def _used_by_others(self) -> Capacity:
        runs = of_application(self._application["applicationId"])
        return sum((run.used for run in runs if run is not self), start=Capacity())

    def _pause(self) -> None:
        if self._stopping.wait(LOOK_SECONDS):
            raise _EndedError(CANCELLED, self._why_stopped)

    # ---- its driver ----------------------------------------------------------------------------------------------

    def _launch(self, session: boto3.Session) -> tuple[str, str]:
        task = SparkTask(
            submission=self._submission, series=self._series, role=self._role, mark=self.record["jobRunId"],
            application_id=self.record["jobRunId"], has_event_logs=bool(self._monitoring("s3MonitoringConfiguration")),
        )  # fmt: skip
        logs = self._logs(session)
        try:
            with task.running(session, stdout=logs["stdout"], stderr=logs["stderr"]) as driver:
                self._set(RUNNING, unless=CANCELLING)
                self.record.setdefault("startedAt", time.time())
                try:
                    return self._wait(driver)
                finally:
                    driver.stop()
                    self._ship_events(session, driver.folder)
        except ToolMissingError as missing:
            raise _EndedError(FAILED, str(missing)) from missing
        except TaskError as broken:
            raise _EndedError(FAILED, FAILED_JOB.format(code=1, error=broken)) from broken
        except FetchError as missing:
            raise _EndedError(
                FAILED,
                f"Job failed: S3 access failed. Please check S3 access permissions of the runtime role on the required S3 resources. {missing}",
            ) from missing
        finally:
            self._ship(session, logs)

    def _wait(self, driver: SparkDriver) -> tuple[str, str]:
        minutes = int(self.record["executionTimeoutMinutes"])
        deadline = self.record["startedAt"] + 60 * minutes
        while driver.is_alive():
            if minutes and time.time() > deadline:
                self.stop(f"The job run exceeded its execution timeout of {minutes} minutes")
            self._pause()
        code = driver.wait()
        if code == 0:
            return SUCCESS, ""
        return FAILED, FAILED_JOB.format(code=code, error=driver.error or "the driver ended without a word, as if it were killed")

    # ---- its logs ------------------------------------------------------------------------------------------------

    @property
    def log_folder(self) -> str:
        """Where the logs of the running attempt are, in a log group and in S3."""
        attempt = f"/attempts/{self.record['attempt']}" if self.record["attempt"] > 1 else ""
        return f"applications/{self.record['applicationId']}/jobs/{self.record['jobRunId']}{attempt}/SPARK_DRIVER"

    def _monitoring(self, kind: str) -> Mapping[str, Any]:
        own = (self.record.get("configurationOverrides") or {}).get("monitoringConfiguration") or {}
        return own.get(kind) or (self._application.get("monitoringConfiguration") or {}).get(kind) or {}

    def _logs(self, session: boto3.Session) -> dict[str, RunLog]:
        """The two logs of the driver; they go to CloudWatch Logs if the job says so."""
        settings = self._monitoring("cloudWatchLoggingConfiguration")
        wanted = (settings.get("logTypes") or {"SPARK_DRIVER": ["STDOUT", "STDERR"]}).get("SPARK_DRIVER", ())
        group, prefix = settings.get("logGroupName") or DEFAULT_LOG_GROUP, settings.get("logStreamNamePrefix") or ""
        client = self._log_client(session, group) if settings.get("enabled") else None
        return {
            name: RunLog(
                logs=client if name.upper() in wanted else None, group=group,
                stream=f"{prefix}/{self.log_folder}/{name}", copy=host.folder() / "logs" / "jobs" / f"{self.record['jobRunId']}.{name}",
            )
            for name in ("stdout", "stderr")
        }  # fmt: skip

    def _log_client(self, session: boto3.Session, group: str) -> Any:
        """A client of CloudWatch Logs, once the role was let look for the group, as EMR Serverless does first; None if it was not."""
        client = session.client("logs", config=spark_runs.CONFIG)
        try:
            client.describe_log_groups(logGroupNamePrefix=group)
            client.describe_log_streams(logGroupName=group, limit=1)
        except client.exceptions.ResourceNotFoundException:
            return client  # the log makes it, if the role may
        except (ClientError, BotoCoreError) as error:
            log.warning("job run %s does not log to CloudWatch Logs: %s", self.record["jobRunId"], error)
            return None
        return client

    def _ship(self, session: boto3.Session, logs: Mapping[str, RunLog]) -> None:
        """Put the whole logs into S3, and tell the platform's own log what did not arrive; a run ends without its logs too."""
        address = str(self._monitoring("s3MonitoringConfiguration").get("logUri") or "").removeprefix("s3://").strip("/")
        bucket, _, prefix = address.partition("/")
        for name, written in logs.items():
            if written.problem:
                log.warning("the %s of job run %s did not reach CloudWatch Logs: %s", name, self.record["jobRunId"], written.problem)
            if not bucket:
                continue
            key = f"{prefix}/{self.log_folder}/{name}.gz".lstrip("/")
            try:
                session.client("s3", config=spark_runs.CONFIG).put_object(Bucket=bucket, Key=key, Body=gzip.compress(written.text()))
            except (ClientError, BotoCoreError) as error:
                log.warning("the %s of job run %s did not reach %s/%s: %s", name, self.record["jobRunId"], bucket, key, error)

    def _ship_events(self, session: boto3.Session, folder: Path) -> None:
        """Put Spark's event logs beside the logs in S3."""
        address = str(self._monitoring("s3MonitoringConfiguration").get("logUri") or "")
        if address:
            whole = f"{address.rstrip('/')}/{self.log_folder.removesuffix('/SPARK_DRIVER')}/sparklogs"
            problem = event_logs.ship(session.client("s3", config=spark_runs.CONFIG), folder, whole)
            if problem:
                log.warning("the event logs of job run %s did not reach %s", self.record["jobRunId"], problem)

    # ---- its state -----------------------------------------------------------------------------------------------

    def _set(self, state: str, details: str = "", *, unless: str = "") -> None:
        with _lock:
            before = self.record["state"]
            if before in {state, unless}:
                return
            self.record |= {"state": state, "stateDetails": details, "updatedAt": time.time(), "attemptUpdatedAt": time.time()}
        _tell(self.record, before)


def _shown(amount: Capacity) -> str:
    return f"{amount.cpu:g} vCPU, {amount.memory_gb:g} GB of memory and {amount.disk_gb:g} GB of disk"


def _tell(record: Mapping[str, Any], before: str) -> None:
    """EMR Serverless Job Run State Change on the default bus, as EMR Serverless sends it."""
    shown = ("jobRunId", "applicationId", "releaseLabel", "state", "createdBy", "executionRole")
    detail = {**{name: record[name] for name in shown}, "jobRunName": record.get("name", ""), "previousState": before}
    entry = {
        "Source": "aws.emr-serverless", "DetailType": "EMR Serverless Job Run State Change", "Detail": json.dumps(detail),
        "Resources": [record["arn"]],
    }  # fmt: skip
    try:
        seam.module("services.eventbridge")._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:
        log.exception("the state of job run %s was not announced", record["jobRunId"])
