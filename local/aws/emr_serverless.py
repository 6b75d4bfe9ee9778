"""EMR Serverless: applications with their sizes and limits, and job runs by a real Spark of the release.

Served: Spark applications of the releases in `RELEASES`, batch jobs with Python entry points. Not here: Hive, streaming jobs, sessions and
notebooks, custom images, execution policies beside the role, trusted identities, Prometheus, the Spark UI; each is refused. Kept and
without effect on one machine: architecture, network, disk encryption, warm workers (they only count as capacity).
"""

from __future__ import annotations

import secrets
import string
import threading
import time
from collections.abc import Mapping
from typing import Any

from local.aws import emr_serverless_capacity as capacity
from local.aws import emr_serverless_runs as runs
from local.aws import modelled_service, seam, spark_submit
from local.aws.emr_serverless_capacity import Capacity
from local.aws.modelled_service import Answer, Call, ModelledService, Operation, ServiceError, paginated

RELEASES = {"emr-spark-8.0.0": "4.0"}
"""Release labels that run here, with the series of their Spark: 8.0.0 is Spark 4.0.2 with Iceberg 1.10.1."""

CREATED, STARTED, STOPPED, TERMINATED = "CREATED", "STARTED", "STOPPED", "TERMINATED"

DEFAULTS: dict[str, Any] = {
    "architecture": "X86_64",
    "autoStartConfiguration": {"enabled": True},
    "autoStopConfiguration": {"enabled": True, "idleTimeoutMinutes": 15},
    "schedulerConfiguration": {"maxConcurrentRuns": 15, "queueTimeoutMinutes": 360},
}
"""What an application gets that does not say otherwise."""

RUN_MINUTES = 720
"""Longest that a run may take, unless it says otherwise."""

MOST_ATTEMPTS = 10
"""Attempts that a batch job may ask for."""

SCHEDULER_LIMITS = {"maxConcurrentRuns": (1, 1000), "queueTimeoutMinutes": (15, 720)}

NOT_SERVED = {
    "CreateApplication": ("imageConfiguration", "workerTypeSpecifications", "identityCenterConfiguration"),
    "UpdateApplication": ("imageConfiguration", "workerTypeSpecifications", "identityCenterConfiguration"),
    "StartJobRun": ("executionIamPolicy",),
}
"""Parameters that would silently do nothing here, by operation."""

_ID_LETTERS = string.digits + "abcdefghijklmnopqrstuv"

_applications, _job_runs, _tokens = modelled_service.store(), modelled_service.store(), modelled_service.store()
_lock = threading.RLock()

_ec2 = seam.module("services.ec2")


# ---- applications --------------------------------------------------------------------------------------------------


def _create_application(call: Call) -> Answer:
    with _lock:
        known = _remembered(call)
        if known:
            return _shown(_applications[known], "applicationId", "arn", "name")
        kind = str(call.params["type"])
        if kind.upper() != "SPARK":
            raise _invalid(f"Applications of type {kind} are not served by the laptop platform; it serves Spark")
        _require_served(call)
        given = {name: value for name, value in call.params.items() if name != "clientToken"}
        number, now = _id(), time.time()
        application = {
            **DEFAULTS, "name": "", "tags": {}, **given, "type": "Spark", "applicationId": number, "createdAt": now, "updatedAt": now,
            "arn": f"arn:aws:emr-serverless:{call.region}:{call.account}:/applications/{number}", "state": CREATED, "stateDetails": "",
        }  # fmt: skip
        _fill(application)
        _check(application)
        _require_tagging(call, application)
        _applications[number] = application
        _remember(call, number)
        return _shown(application, "applicationId", "arn", "name")


def _get_application(call: Call) -> Answer:
    return {"application": _public(_application(call))}


def _list_applications(call: Call) -> Answer:
    wanted = call.params.get("states")
    found = [_settled(application) for application in _applications.values()]
    shown = [{**_public(one), "id": one["applicationId"]} for one in found if not wanted or one["state"] in wanted]
    return paginated(call, shown)


def _update_application(call: Call) -> Answer:
    with _lock:
        application = _application(call)
        _require_state(application, CREATED, STOPPED)
        _require_served(call)
        given = {name: value for name, value in call.params.items() if name not in {"applicationId", "clientToken"}}
        updated = {**application, **given, "updatedAt": time.time()}
        _fill(updated)
        _check(updated)
        _applications[application["applicationId"]] = updated
        return {"application": _public(updated)}


def _start_application(call: Call) -> Answer:
    with _lock:
        application = _application(call)
        _require_state(application, CREATED, STOPPED, STARTED)
        if application["state"] != STARTED:
            _set(application, STARTED)


def _stop_application(call: Call) -> Answer:
    with _lock:
        application = _application(call)
        if runs.of_application(application["applicationId"]):
            raise _invalid(f"Application {application['applicationId']} has active job runs: cancel them, or wait for their end, first")
        _require_state(application, CREATED, STARTED, STOPPED)
        _set(application, STOPPED)


def _delete_application(call: Call) -> Answer:
    with _lock:
        application = _application(call)
        _require_state(application, CREATED, STOPPED)
        _set(application, TERMINATED)


def _check(application: Mapping[str, Any]) -> None:
    """Refuse an application that AWS would refuse, or that cannot run here.

    Raises:
        ServiceError: With the setting.
    """
    if application["releaseLabel"] not in RELEASES:
        raise _invalid(
            f"Release label {application['releaseLabel']} is not served by the laptop platform; it serves "
            f"{', '.join(f'{label} (Spark {series})' for label, series in RELEASES.items())}"
        )
    limit, warm = capacity.maximum(application), Capacity()
    for each in (application.get("initialCapacity") or {}).values():
        if each.get("workerConfiguration"):
            warm += capacity.worker(each["workerConfiguration"]).times(int(each["workerCount"]))
    if settings := capacity.exceeded(warm, limit):
        raise _invalid(f"The initial capacity is larger than the application's maximumCapacity settings: [{settings}]")
    for name, (least, most) in SCHEDULER_LIMITS.items():
        value = application["schedulerConfiguration"].get(name, least)
        if not least <= value <= most:
            raise _invalid(f"schedulerConfiguration.{name} must be from {least} to {most}, got {value}")
    if any((application.get("interactiveConfiguration") or {}).values()):
        raise _invalid("interactiveConfiguration is not served by the laptop platform: it runs jobs, no notebooks and no sessions")
    _check_monitoring(application.get("monitoringConfiguration"))
    _spark_defaults(application.get("runtimeConfiguration"), "runtimeConfiguration")
    network = application.get("networkConfiguration") or {}
    for subnet in network.get("subnetIds", ()):
        if subnet not in _ec2._subnets:
            raise _invalid(f"The subnet {subnet} does not exist")
    for group in network.get("securityGroupIds", ()):
        if group not in _ec2._security_groups:
            raise _invalid(f"The security group {group} does not exist")
    if network.get("subnetIds") and not network.get("securityGroupIds"):
        raise _invalid("networkConfiguration needs at least one security group beside its subnets")


def _check_monitoring(settings: Mapping[str, Any] | None) -> None:
    if (settings or {}).get("prometheusMonitoringConfiguration"):
        raise _invalid("prometheusMonitoringConfiguration is not served by the laptop platform")
    address = str(((settings or {}).get("s3MonitoringConfiguration") or {}).get("logUri") or "s3://")
    if not address.startswith("s3://"):
        raise _invalid(f"s3MonitoringConfiguration.logUri must be an s3:// address, got {address}")


def _fill(application: dict[str, Any]) -> None:
    """Complete settings that were given in part."""
    for name, whole in DEFAULTS.items():
        if isinstance(whole, dict):
            application[name] = {**whole, **(application.get(name) or {})}


def _settled(application: dict[str, Any]) -> dict[str, Any]:
    """An application as it is now: one that has been idle for long enough has stopped itself."""
    stopping = application["autoStopConfiguration"]
    with _lock:
        due = _idle_since(application) + 60 * int(stopping["idleTimeoutMinutes"])
        is_idle = application["state"] == STARTED and not runs.of_application(application["applicationId"])
        if stopping["enabled"] and is_idle and time.time() > due:
            application |= {"state": STOPPED, "stateDetails": "The application was idle and stopped itself", "updatedAt": due}
    return application


def _idle_since(application: Mapping[str, Any]) -> float:
    ends = [run.get("endedAt", 0) for run in _job_runs.values() if run["applicationId"] == application["applicationId"]]
    return max([application["updatedAt"], *ends])


# ---- job runs ------------------------------------------------------------------------------------------------------


def _start_job_run(call: Call) -> Answer:
    with _lock:
        application = _application(call)
        known = _remembered(call)
        if known:
            return _shown(_job_runs[known], "applicationId", "jobRunId", "arn")
        _require_served(call)
        record, submission = _job_run(call, application)
        _require_tagging(call, record)
        if application["state"] in {CREATED, STOPPED}:
            if not application["autoStartConfiguration"]["enabled"]:
                raise _wrong_state(application, STARTED)
            _set(application, STARTED)
        _require_state(application, STARTED)
        key = f"{application['applicationId']}/{record['jobRunId']}"
        _job_runs[key] = record
        _remember(call, key)
        run = runs.Run(application=application, record=record, submission=submission, series=RELEASES[application["releaseLabel"]])
    modelled_service.in_background(run.execute, name=f"emr-{record['jobRunId']}")
    return _shown(record, "applicationId", "jobRunId", "arn")


def _job_run(call: Call, application: Mapping[str, Any]) -> tuple[dict[str, Any], spark_submit.Submission]:
    """Record of a new run, and what it is to run.

    Raises:
        ServiceError: Something in it is refused.
    """
    params, number, now = call.params, _id(), time.time()
    driver = (params.get("jobDriver") or {}).get("sparkSubmit")
    if not driver:
        raise _invalid("jobDriver.sparkSubmit is required: the laptop platform runs Spark jobs only")
    if params.get("mode", "BATCH") != "BATCH":
        raise _invalid(f"Jobs of mode {params['mode']} are not served by the laptop platform; it runs BATCH")
    retry = {"maxAttempts": 1, **(params.get("retryPolicy") or {})}
    if not 1 <= retry["maxAttempts"] <= MOST_ATTEMPTS:
        raise _invalid(f"retryPolicy.maxAttempts must be from 1 to {MOST_ATTEMPTS} for a batch job, got {retry['maxAttempts']}")
    overrides = params.get("configurationOverrides") or {}
    _check_monitoring(overrides.get("monitoringConfiguration"))
    defaults = {
        **_spark_defaults(application.get("runtimeConfiguration"), "runtimeConfiguration"),
        **_spark_defaults(overrides.get("applicationConfiguration"), "configurationOverrides.applicationConfiguration"),
    }
    try:
        submission = spark_submit.read(
            driver["entryPoint"], driver.get("entryPointArguments") or (), driver.get("sparkSubmitParameters") or "", defaults=defaults
        )
    except spark_submit.SubmitError as refused:
        raise _invalid(str(refused)) from refused
    capacity.demand(submission.conf)
    record = {
        "applicationId": application["applicationId"], "jobRunId": number, "name": params.get("name", ""), "mode": "BATCH",
        "arn": f"{application['arn']}/jobruns/{number}", "createdBy": call.caller, "createdAt": now, "updatedAt": now,
        "executionRole": params["executionRoleArn"], "state": runs.SUBMITTED, "stateDetails": "", "retryPolicy": retry, "attempt": 1,
        "releaseLabel": application["releaseLabel"], "jobDriver": params["jobDriver"], "configurationOverrides": overrides,
        "tags": params.get("tags") or {}, "executionTimeoutMinutes": params.get("executionTimeoutMinutes", RUN_MINUTES),
        "networkConfiguration": application.get("networkConfiguration") or {}, "attemptCreatedAt": now, "attemptUpdatedAt": now, "_attempts": [],
    }  # fmt: skip
    return record, submission


def _get_job_run(call: Call) -> Answer:
    record = _run(call)
    attempt = int(call.params.get("attempt") or record["attempt"])
    if attempt == record["attempt"]:
        return {"jobRun": _public(record)}
    found = next((one for one in record["_attempts"] if one["attempt"] == attempt), None)
    if found is None:
        raise ServiceError("ResourceNotFoundException", f"Job run {record['jobRunId']} has no attempt {attempt}")
    states = {name: found[name] for name in ("attempt", "state", "stateDetails")}
    return {"jobRun": {**_public(record), **states, "attemptCreatedAt": found["createdAt"], "attemptUpdatedAt": found["updatedAt"]}}


def _list_job_runs(call: Call) -> Answer:
    application, params = _application(call), call.params
    earliest, latest = _moment(params.get("createdAtAfter"), 0.0), _moment(params.get("createdAtBefore"), float("inf"))
    found = [
        {**_public(run), "id": run["jobRunId"], "type": "Spark"}
        for run in reversed(_job_runs.values())
        if run["applicationId"] == application["applicationId"]
        and run["state"] in params.get("states", (run["state"],))
        and params.get("mode", "BATCH") == run["mode"]
        and earliest <= run["createdAt"] <= latest
    ]
    return paginated(call, found)


def _list_job_run_attempts(call: Call) -> Answer:
    record = _run(call)
    own = _public(record)
    shown = [{**own, "id": own["jobRunId"], "type": "Spark", "jobCreatedAt": own["createdAt"], **one} for one in record["_attempts"]]
    return paginated(call, shown)


def _cancel_job_run(call: Call) -> Answer:
    record = _run(call)
    run = runs.running(record["jobRunId"])
    if run is None:
        raise _invalid(f"Job run {record['jobRunId']} is in the state {record['state']} and cannot be cancelled")
    run.stop("The job run was cancelled")
    return _shown(record, "applicationId", "jobRunId")


# ---- for Step Functions --------------------------------------------------------------------------------------------


def find_job_run(application_id: str, run_id: str) -> dict[str, Any] | None:
    """A job run as the API shows it, or None."""
    found = _job_runs.get(f"{application_id}/{run_id}")
    return _public(found) if found else None


def find_application(application_id: str) -> dict[str, Any] | None:
    """An application as the API shows it, or None."""
    found = _applications.get(application_id)
    return _public(_settled(found)) if found else None


# ---- tags ----------------------------------------------------------------------------------------------------------


def _tag_resource(call: Call) -> Answer:
    _tagged(call)["tags"].update(call.params["tags"])


def _untag_resource(call: Call) -> Answer:
    tags = _tagged(call)["tags"]
    for name in call.params["tagKeys"]:
        tags.pop(name, None)


def _list_tags_for_resource(call: Call) -> Answer:
    return {"tags": _tagged(call)["tags"]}


def _tagged(call: Call) -> dict[str, Any]:
    arn = call.params["resourceArn"]
    found = next((one for one in (*_applications.values(), *_job_runs.values()) if one["arn"] == arn), None)
    if found is None:
        raise ServiceError("ResourceNotFoundException", f"{arn} does not exist")
    return found


# ---- helpers -------------------------------------------------------------------------------------------------------


def _application(call: Call) -> dict[str, Any]:
    found = _applications.get(call.params["applicationId"])
    if found is None:
        raise ServiceError("ResourceNotFoundException", f"Application {call.params['applicationId']} does not exist")
    return _settled(found)


def _run(call: Call) -> dict[str, Any]:
    found = _job_runs.get(f"{call.params['applicationId']}/{call.params['jobRunId']}")
    if found is None:
        raise ServiceError("ResourceNotFoundException", f"Job run {call.params['jobRunId']} does not exist")
    return found


def _require_state(application: Mapping[str, Any], *states: str) -> None:
    if application["state"] not in states:
        raise _wrong_state(application, *states)


def _wrong_state(application: Mapping[str, Any], *states: str) -> ServiceError:
    return _invalid(
        f"Application {application['applicationId']} must be in one of the following statuses [{', '.join(states)}]. "
        f"Current status: {application['state']}"
    )


def _require_tagging(call: Call, record: Mapping[str, Any]) -> None:
    """Whoever tags what they make needs the right to tag it."""
    if record["tags"]:
        call.require("emr-serverless:TagResource", record["arn"])


def _require_served(call: Call) -> None:
    given = [name for name in NOT_SERVED[call.operation] if call.params.get(name)]
    if given:
        raise _invalid(f"{', '.join(given)} is not served by the laptop platform")


def _spark_defaults(configurations: Any, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in configurations or ():
        if one["classification"] != "spark-defaults" or one.get("configurations"):
            raise _invalid(
                f"{where}: the classification {one['classification']} is not served by the laptop platform; it serves spark-defaults"
            )
        found |= one.get("properties") or {}
    return found


def _remembered(call: Call) -> str:
    """What an earlier request with the same token made; the same token for something else is refused."""
    token = call.params.get("clientToken")
    kept = _tokens.get(f"{call.operation}/{call.params.get('applicationId', '')}/{token}")
    if kept is None:
        return ""
    if kept["params"] != _comparable(call.params):
        raise ServiceError("ConflictException", f"The client token {token} was used before, with other parameters")
    return str(kept["made"])


def _remember(call: Call, made: str) -> None:
    token = f"{call.operation}/{call.params.get('applicationId', '')}/{call.params.get('clientToken')}"
    _tokens[token] = {"made": made, "params": _comparable(call.params)}


def _comparable(params: Mapping[str, Any]) -> str:
    return repr(sorted((name, value) for name, value in params.items() if name != "clientToken"))


def _set(application: dict[str, Any], state: str) -> None:
    application |= {"state": state, "stateDetails": "", "updatedAt": time.time()}


def _id() -> str:
    return "00" + "".join(secrets.choice(_ID_LETTERS) for _ in range(14))


def _public(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if not name.startswith("_")}


def _shown(record: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: record[name] for name in names}


def _moment(given: Any, otherwise: float) -> float:
    return given.timestamp() if hasattr(given, "timestamp") else float(given) if given is not None else otherwise


def _invalid(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def _restored() -> None:
    """Runs that were active have lost their process with the server."""
    for record in _job_runs.all_values():
        if record["state"] not in runs.FINAL:
            details = "the laptop platform was stopped during the run"
            record |= {"state": runs.FAILED, "stateDetails": details, "endedAt": time.time(), "updatedAt": time.time()}


# ---- registration --------------------------------------------------------------------------------------------------


def applications_arn(call: Call) -> str:
    """What a request that names no application is asked on: AWS's own examples allow it on `arn:…:/*`."""
    return f"arn:aws:emr-serverless:{call.region}:{call.account}:/applications"


def application_arn(call: Call) -> str:
    """ARN of the application that a request names."""
    return f"arn:aws:emr-serverless:{call.region}:{call.account}:/applications/{call.params['applicationId']}"


def job_run_arn(call: Call) -> str:
    """ARN of the job run that a request names."""
    return f"{application_arn(call)}/jobruns/{call.params['jobRunId']}"


def _resource_arn(call: Call) -> str:
    return str(call.params["resourceArn"])


SERVED = ModelledService(
    name="emr-serverless",
    state={"applications": _applications, "job_runs": _job_runs, "tokens": _tokens},
    restored=_restored,
    operations={
        "CreateApplication": Operation(_create_application, on=applications_arn),
        "GetApplication": Operation(_get_application, on=application_arn),
        "ListApplications": Operation(_list_applications, on=applications_arn),
        "UpdateApplication": Operation(_update_application, on=application_arn),
        "StartApplication": Operation(_start_application, on=application_arn),
        "StopApplication": Operation(_stop_application, on=application_arn),
        "DeleteApplication": Operation(_delete_application, on=application_arn),
        "StartJobRun": Operation(_start_job_run, on=application_arn, passes={"executionRoleArn": "emr-serverless"}),
        "GetJobRun": Operation(_get_job_run, on=job_run_arn),
        "ListJobRuns": Operation(_list_job_runs, on=application_arn),
        "ListJobRunAttempts": Operation(_list_job_run_attempts, on=job_run_arn),
        "CancelJobRun": Operation(_cancel_job_run, on=job_run_arn),
        "TagResource": Operation(_tag_resource, on=_resource_arn),
        "UntagResource": Operation(_untag_resource, on=_resource_arn),
        "ListTagsForResource": Operation(_list_tags_for_resource, on=_resource_arn),
    },
)


def register() -> None:
    """Serve EMR Serverless."""
    modelled_service.serve(SERVED)
