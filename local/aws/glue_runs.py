"""Glue jobs and their runs: a run is a real Spark process that works as the job's role.

Replaces MiniStack's job store (which forgets properties) and its execution (which marks Spark jobs as succeeded). Runs
`glueetl` jobs of the versions in `glue_arguments.GLUE_VERSIONS`; everything else is refused by name.
"""

from __future__ import annotations

import contextvars
import json
import logging
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from local.aws import event_logs, glue_arguments, glue_connections, guard, seam, spark_runs
from local.aws.glue_arguments import InvalidJobError, JobArguments
from local.aws.run_logs import RunLog
from local.aws.spark_runs import FetchError, RunRole
from local.engines import host
from local.engines.spark import SparkWork

if TYPE_CHECKING:
    from local.aws.door import Response
    from local.engines.spark import SparkDriver

log = logging.getLogger("lake.glue")

SERVICE = "glue.amazonaws.com"
SESSION = "GlueJobRunnerSession"
"""Session name that Glue uses for a job's role."""

RUN_OPTIONS = ("JobName", "Arguments", "Timeout", "WorkerType", "NumberOfWorkers")
"""What a run may ask for."""

FAILED, STOPPED, STOPPING, SUCCEEDED, TIMEOUT = "FAILED", "STOPPED", "STOPPING", "SUCCEEDED", "TIMEOUT"
ACTIVE = frozenset({"STARTING", "RUNNING", STOPPING, "WAITING"})
"""States of a run that has not ended."""

TERMINAL_ERROR = "JobRunInTerminalStateException"

DEFAULTS: dict[str, Any] = {
    "Description": "", "LogUri": "", "DefaultArguments": {}, "NonOverridableArguments": {}, "Connections": {}, "MaxRetries": 0,
    "Timeout": 480, "GlueVersion": "5.1", "NumberOfWorkers": 10, "WorkerType": "G.1X", "MaxCapacity": None,
    "SecurityConfiguration": "", "ExecutionProperty": {"MaxConcurrentRuns": 1}, "NotificationProperty": {}, "ExecutionClass": "STANDARD",
    "JobMode": "SCRIPT", "JobRunQueuingEnabled": False, "MaintenanceWindow": "",
}  # fmt: skip
"""What Glue takes for a property that a job does not set."""

_glue = seam.module("services.glue")
_iam = seam.module("services.iam")
_responses = seam.module("core.responses")
_provisioners = seam.module("services.cloudformation.provisioners")

_lock = threading.RLock()
_running: dict[str, Run] = {}


# ---- jobs ----------------------------------------------------------------------------------------------------------


def _create_job(data: Mapping[str, Any]) -> Response:
    name = data.get("Name")
    if not name:
        return _error("InvalidInputException", "Job name must not be empty")
    with _lock:
        if name in _glue._jobs:
            return _error("AlreadyExistsException", f"Job already exists: {name}")
        try:
            job = _job(str(name), data)
        except InvalidJobError as refused:
            return _error("InvalidInputException", str(refused))
        _glue._jobs[name] = {**job, "CreatedOn": time.time(), "LastModifiedOn": time.time()}
        _glue._job_runs[name] = []
        if data.get("Tags"):
            _glue._tags[_arn(str(name))] = dict(data["Tags"])
    return _responses.json_response({"Name": name})


def _update_job(data: Mapping[str, Any]) -> Response:
    """Replace a job's definition: what the update leaves out goes back to its default, as on Glue."""
    name = data.get("JobName")
    with _lock:
        if name not in _glue._jobs:
            return _error("EntityNotFoundException", f"Job with name: {name} not found.")
        try:
            job = _job(str(name), data.get("JobUpdate") or {})
        except InvalidJobError as refused:
            return _error("InvalidInputException", str(refused))
        _glue._jobs[name] = {**job, "CreatedOn": _glue._jobs[name]["CreatedOn"], "LastModifiedOn": time.time()}
    return _responses.json_response({"JobName": name})


def _job(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A job's whole definition, checked."""
    job: dict[str, Any] = {"Name": name, **{key: given.get(key) or default for key, default in DEFAULTS.items()}}
    for number in ("MaxRetries", "Timeout", "NumberOfWorkers"):
        job[number] = int(job[number])
    command = dict(given.get("Command") or {})
    if command.get("Name") != glue_arguments.COMMAND:
        raise InvalidJobError(
            f"Command.Name must be {glue_arguments.COMMAND} on the laptop platform, got {command.get('Name')!r}: no other kind of job is served"
        )
    if not str(command.get("ScriptLocation") or "").startswith("s3://"):
        raise InvalidJobError(f"Command.ScriptLocation must be an s3:// address, got {command.get('ScriptLocation')!r}")
    if str(command.get("PythonVersion") or "3") != "3":
        raise InvalidJobError(f"Command.PythonVersion must be 3, got {command['PythonVersion']!r}")
    if job["GlueVersion"] not in glue_arguments.GLUE_VERSIONS:
        served = ", ".join(f"{version} ({what})" for version, what in glue_arguments.GLUE_VERSIONS.items())
        raise InvalidJobError(f"GlueVersion {job['GlueVersion']} is not served by the laptop platform; it serves {served}")
    if not given.get("Role"):
        raise InvalidJobError("Role must not be empty")
    if job["MaxRetries"]:
        raise InvalidJobError(f"MaxRetries {job['MaxRetries']} is not served by the laptop platform: use 0 and let the state machine retry")
    if job["SecurityConfiguration"] and job["SecurityConfiguration"] not in _glue._security_configs:
        raise InvalidJobError(f"SecurityConfiguration {job['SecurityConfiguration']} not found.")
    concurrent = int((job["ExecutionProperty"] or {}).get("MaxConcurrentRuns") or 1)
    job["ExecutionProperty"] = {"MaxConcurrentRuns": concurrent}
    glue_arguments.check({**job["DefaultArguments"], **job["NonOverridableArguments"]})
    return {**job, "Command": {"PythonVersion": "3", **command}, "Role": given["Role"], "AllocatedCapacity": job["NumberOfWorkers"]}


# ---- runs ----------------------------------------------------------------------------------------------------------


def _start_job_run(data: Mapping[str, Any]) -> Response:
    name = str(data.get("JobName") or "")
    with _lock:
        job = _glue._jobs.get(name)
        if job is None:
            return _error("EntityNotFoundException", "Failed to start job run due to missing metadata")
        if unserved := [option for option, value in data.items() if value and option not in RUN_OPTIONS]:
            return _error(
                "InvalidInputException",
                f"{', '.join(unserved)} of a job run is not served by the laptop platform; it serves {', '.join(RUN_OPTIONS)}",
            )
        runs: list[dict[str, Any]] = _glue._job_runs.setdefault(name, [])
        limit = job["ExecutionProperty"]["MaxConcurrentRuns"]
        if sum(run["JobRunState"] in ACTIVE for run in runs) >= limit:
            return _error("ConcurrentRunsExceededException", f"Concurrent runs exceeded for {name}")
        run_id = f"jr_{secrets.token_hex(32)}"
        try:
            arguments = _arguments(job, data, run_id)
        except InvalidJobError as refused:
            return _error("InvalidInputException", str(refused))
        record = _record(job, data, run_id, arguments)
        runs.append(record)
        run = Run(job=dict(job), record=record, arguments=arguments, role_arn=_role_arn(str(job["Role"])), job_arn=_arn(name))
        _running[run_id] = run
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run.execute,), name=f"glue-{run_id[:12]}", daemon=True).start()
    return _responses.json_response({"JobRunId": run_id})


def _arguments(job: Mapping[str, Any], data: Mapping[str, Any], run_id: str) -> JobArguments:
    own = {str(key): str(value) for key, value in (data.get("Arguments") or {}).items()}
    everything = glue_arguments.merged(job["DefaultArguments"], own, job["NonOverridableArguments"])
    return glue_arguments.parse(everything, job_name=job["Name"], run_id=run_id)


def _record(job: Mapping[str, Any], data: Mapping[str, Any], run_id: str, arguments: JobArguments) -> dict[str, Any]:
    now = time.time()
    return {
        "Id": run_id,
        "Attempt": 0,
        "JobName": job["Name"],
        "JobMode": job["JobMode"],
        "StartedOn": now,
        "LastModifiedOn": now,
        "JobRunState": "STARTING",
        "Arguments": dict(data.get("Arguments") or {}),
        "PredecessorRuns": [],
        "AllocatedCapacity": int(data.get("NumberOfWorkers") or job["NumberOfWorkers"]),
        "ExecutionTime": 0,
        "Timeout": int(data.get("Timeout") or job["Timeout"]),
        "WorkerType": data.get("WorkerType") or job["WorkerType"],
        "NumberOfWorkers": int(data.get("NumberOfWorkers") or job["NumberOfWorkers"]),
        "LogGroupName": arguments.log_group,
        "GlueVersion": job["GlueVersion"],
        "ExecutionClass": job["ExecutionClass"],
        **({"SecurityConfiguration": job["SecurityConfiguration"]} if job["SecurityConfiguration"] else {}),
    }


def _get_job_run(data: Mapping[str, Any]) -> Response:
    record = find(str(data.get("JobName")), str(data.get("RunId")))
    if record is None:
        return _error("EntityNotFoundException", f"Job run {data.get('RunId')} not found")
    return _responses.json_response({"JobRun": _shown(record)})


def _get_job_runs(data: Mapping[str, Any]) -> Response:
    name = data.get("JobName")
    if name not in _glue._jobs:
        return _error("EntityNotFoundException", f"Job with name: {name} not found.")
    runs = list(reversed(_glue._job_runs.get(name, [])))
    start, size = int(data.get("NextToken") or 0), int(data.get("MaxResults") or 200)
    more = {"NextToken": str(start + size)} if start + size < len(runs) else {}
    return _responses.json_response({"JobRuns": [_shown(run) for run in runs[start : start + size]], **more})


def _batch_stop_job_run(data: Mapping[str, Any]) -> Response:
    name, done, errors = str(data.get("JobName")), [], []
    for run_id in data.get("JobRunIds") or []:
        record = find(name, str(run_id))
        which = {"JobName": name, "JobRunId": run_id}
        if record is None:
            errors.append({**which, "ErrorDetail": {"ErrorCode": "EntityNotFoundException", "ErrorMessage": f"Job run {run_id} not found"}})
        elif record["JobRunState"] not in ACTIVE:
            message = f"Job run {run_id} is in state {record['JobRunState']}"
            errors.append({**which, "ErrorDetail": {"ErrorCode": TERMINAL_ERROR, "ErrorMessage": message}})
        else:
            stop(str(run_id))
            done.append(which)
    return _responses.json_response({"SuccessfulSubmissions": done, "Errors": errors})


def stop(run_id: str) -> None:
    """Ask a run to end; it is STOPPING until its process is gone."""
    run = _running.get(run_id)
    if run is not None:
        run.stop()


def find(name: str, run_id: str) -> dict[str, Any] | None:
    """MiniStack's record of a run, or None."""
    return next((run for run in _glue._job_runs.get(name, []) if run["Id"] == run_id), None)


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(record)
    if shown["JobRunState"] in ACTIVE:
        shown["ExecutionTime"] = int(time.time() - shown["StartedOn"])
    return shown


class Run:
    """One run of a job, from its start to its end, on a thread of its own."""

    def __init__(self, *, job: Mapping[str, Any], record: dict[str, Any], arguments: JobArguments, role_arn: str, job_arn: str) -> None:
        self._job, self._record, self._arguments = job, record, arguments
        self._role = RunRole(arn=role_arn, service=SERVICE, session=SESSION, source_arn=job_arn)
        self._stopping = threading.Event()
        self._run_id: str = record["Id"]

    def stop(self) -> None:
        """Ask the run to end."""
        with _lock:
            if self._record["JobRunState"] in ACTIVE:
                self._set(STOPPING)
        self._stopping.set()

    def execute(self) -> None:
        """Run to the end; whatever happens, the run ends in a final state."""
        try:
            state, message = self._in_a_slot()
        except Exception as error:
            log.exception("run %s of job %s", self._run_id, self._job["Name"])
            state, message = FAILED, f"the laptop platform could not run the job: {error}"
        finally:
            _running.pop(self._run_id, None)
        self._end(state, message)

    def _in_a_slot(self) -> tuple[str, str]:
        """Execute once a driver may start, unless the run is stopped while it waits."""
        with spark_runs.place(self._stopping) as is_given:
            return self._execute() if is_given else (STOPPED, "")

    def _execute(self) -> tuple[str, str]:
        if self._stopping.is_set():
            return STOPPED, ""
        try:
            session = self._role.assume()
        except guard.Denied:
            return FAILED, (
                f"JobName:{self._job['Name']} and JobRunId:{self._run_id} failed to execute with exception "
                f"Role {self._role.arn} should be given assume role permissions for Glue Service."
            )
        try:
            glue_connections.join((self._job["Connections"] or {}).get("Connections") or (), session=session, key=self._role.key())
        except glue_connections.JoinError as error:
            return FAILED, f"JobName:{self._job['Name']} and JobRunId:{self._run_id} failed to execute with exception {error}"
        files = Path(tempfile.mkdtemp(prefix="glue-", dir=host.spark().folder))
        try:
            return self._execute_with(files, session)
        except FetchError as missing:
            return FAILED, f"LAUNCH ERROR | {missing}"
        finally:
            shutil.rmtree(files, ignore_errors=True)

    def _execute_with(self, files: Path, session: boto3.Session) -> tuple[str, str]:
        """Fetch what has to be there before the driver starts, then start it."""
        s3 = session.client("s3", config=spark_runs.CONFIG)
        jars = [spark_runs.fetch(s3, address, files / str(number)) for number, address in enumerate(self._arguments.jars)]
        driver = host.spark().start_driver(iceberg="iceberg" in self._arguments.formats, jars=jars)
        try:
            try:
                work = self._fetch(session, driver.folder)
            except FetchError as missing:
                return FAILED, f"LAUNCH ERROR | {missing}"
            with spark_runs.working_as(self._role.arn, driver):
                return self._drive(driver, work, session)
        finally:
            driver.stop()
            driver.close()

    def _drive(self, driver: SparkDriver, work: SparkWork, session: boto3.Session) -> tuple[str, str]:
        stream = f"{self._arguments.log_stream_prefix}-driver"
        run_log = RunLog(
            logs=session.client("logs", config=spark_runs.CONFIG), group=self._arguments.log_group, stream=stream,
            copy=host.folder() / "logs" / "jobs" / f"{self._run_id}.log",
        )  # fmt: skip
        follower = threading.Thread(target=run_log.follow, args=(driver.output,), daemon=True)
        follower.start()
        self._set("RUNNING", unless=STOPPING)
        driver.mark(self._run_id)
        driver.run(work, self._role.credentials())
        state, message = self._wait(driver)
        driver.stop()
        follower.join(30)
        self._ship(session, driver.folder)
        if run_log.problem:
            log.warning("the log of run %s did not reach CloudWatch Logs: %s", self._run_id, run_log.problem)
        return state, message

    def _ship(self, session: boto3.Session, folder: Path) -> None:
        """Bring the event logs to where the job wants them, a folder a run."""
        if self._arguments.event_logs:
            s3 = session.client("s3", config=spark_runs.CONFIG)
            problem = event_logs.ship(s3, folder, f"{self._arguments.event_logs.rstrip('/')}/{self._run_id}")
            if problem:
                log.warning("the event logs of run %s did not reach %s", self._run_id, problem)

    def _wait(self, driver: SparkDriver) -> tuple[str, str]:
        deadline = time.time() + 60 * self._record["Timeout"]  # what waiting for a free driver took does not count
        while driver.is_alive():
            if self._stopping.wait(0.1):
                return STOPPED, ""
            if time.time() > deadline:
                return TIMEOUT, "JobRun TIMEOUT: the run took longer than its timeout of " + f"{self._record['Timeout']} minutes"
        code = driver.wait()
        if code == 0:
            return SUCCEEDED, ""
        return FAILED, driver.error or f"Command failed with exit code {code}"

    def _fetch(self, session: boto3.Session, folder: Path) -> SparkWork:
        """Download the script and its archives as the job's role."""
        s3 = session.client("s3", config=spark_runs.CONFIG)
        script = spark_runs.fetch(s3, str(self._job["Command"]["ScriptLocation"]), folder / "script")
        archives = [
            spark_runs.fetch(s3, address, folder / "py-files" / str(number)) for number, address in enumerate(self._arguments.py_files)
        ]
        return SparkWork(
            script=script,
            arguments=self._arguments.script,
            python_path=spark_runs.on_python_path(archives),
            conf={
                **spark_runs.with_local_addressing(self._arguments.conf),
                **(event_logs.settings(folder) if self._arguments.event_logs else {}),
            },
        )

    def _set(self, state: str, *, unless: str = "") -> None:
        with _lock:
            if self._record["JobRunState"] != unless:
                self._record["JobRunState"] = state
                self._record["LastModifiedOn"] = time.time()

    def _end(self, state: str, message: str) -> None:
        with _lock:
            now = time.time()
            self._record |= {"CompletedOn": now, "ExecutionTime": int(now - self._record["StartedOn"])}
            if message:
                self._record["ErrorMessage"] = message
            self._set(state)
        _tell(self._record)


# ---- helpers -------------------------------------------------------------------------------------------------------


def _tell(record: Mapping[str, Any]) -> None:
    """Glue Job State Change on the default bus, as Glue sends it when a run ends."""
    state = record["JobRunState"]
    detail = {
        "jobName": record["JobName"],
        "severity": "INFO" if state == SUCCEEDED else "ERROR",
        "state": state,
        "jobRunId": record["Id"],
        "message": record.get("ErrorMessage") or f"Job run {state.lower()}",
    }
    entry = {"Source": "aws.glue", "DetailType": "Glue Job State Change", "Detail": json.dumps(detail), "Resources": []}
    try:
        seam.module("services.eventbridge")._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:
        log.exception("the end of run %s was not announced", record["Id"])


def _role_arn(role: str) -> str:
    """A job names its role by ARN or by name."""
    if role.startswith("arn:"):
        return role
    found = _iam._roles.get(role)
    return str(found["Arn"]) if found else f"arn:aws:iam::{_responses.get_account_id()}:role/{role}"


def _arn(job_name: str) -> str:
    return f"arn:aws:glue:{_responses.get_region()}:{_responses.get_account_id()}:job/{job_name}"


def _error(code: str, message: str) -> Response:
    return _responses.error_response_json(code, message, 400)


def _load_persisted_state(data: Any) -> Any:
    """Restore Glue's state; a run that was active has lost its process with the server."""
    result = seam.original("services.glue.load_persisted_state")(data)
    for runs in list(_glue._job_runs._data.values()):
        for run in runs:
            if run.get("JobRunState") in ACTIVE:
                run |= {"JobRunState": FAILED, "CompletedOn": time.time(), "ErrorMessage": "the laptop platform was stopped during the run"}
    return result


def register() -> None:
    """Run jobs for real."""
    for name, replacement in {
        "_create_job": _create_job, "_update_job": _update_job, "_start_job_run": _start_job_run, "_get_job_run": _get_job_run,
        "_get_job_runs": _get_job_runs, "_batch_stop_job_run": _batch_stop_job_run, "load_persisted_state": _load_persisted_state,
    }.items():  # fmt: skip
        seam.replace(f"services.glue.{name}", replacement)
    _provisioners._GLUE_JOB_DEFAULTS.update(DEFAULTS)  # the properties that AWS::Glue::Job carries to the API
