"""Step Functions' integration of EMR Serverless: `startJobRun` and `startApplication`, plain and `.sync`, and the other four plain calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local.aws import emr_serverless, seam, sfn_jobs, states
from local.aws import emr_serverless_runs as runs

SERVICE = "emr-serverless"
START_JOB_RUN = f"{SERVICE}:startJobRun"
OPERATIONS = ("createApplication", "startApplication", "stopApplication", "deleteApplication", "startJobRun", "cancelJobRun")
"""The calls that Step Functions integrates."""

_states = seam.module("services.stepfunctions")
_responses = seam.module("core.responses")


def register() -> None:
    """Serve the integrations."""
    for name in OPERATIONS:
        states.INTEGRATIONS[f"{SERVICE}:{name}"] = states.Integration(
            scope=SERVICE, target="", error="EMRServerless.AWSEMRServerlessException", sdk="AWSEMRServerless", status=403, is_asked=False
        )
        _states._SERVICE_DISPATCH[f"arn:aws:states:::{SERVICE}:{name}"] = _start_job_run if name == "startJobRun" else _call


def _call(resource: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A call whose effect is there when it answers, hence one for both kinds; answers are as Step Functions documents them."""
    name = resource.split(f"{SERVICE}:", 1)[1].partition(".")[0]
    answer = sfn_jobs.call(SERVICE, name[:1].upper() + name[1:], data, integration=f"{SERVICE}:{name}")
    if name == "cancelJobRun" and sfn_jobs.is_sync(resource):
        return _wait(str(answer["ApplicationId"]), str(answer["JobRunId"]))
    return answer or {"ApplicationId": data.get("ApplicationId")}


def _start_job_run(resource: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Start a job run; with `.sync`, wait for its end and return it."""
    started = sfn_jobs.call(SERVICE, "StartJobRun", data, integration=START_JOB_RUN)
    if not sfn_jobs.is_sync(resource):
        return started
    shown = _wait(str(started["ApplicationId"]), str(started["JobRunId"]))
    return shown if shown["State"] == runs.SUCCESS else states.fail("States.TaskFailed", json.dumps(shown))


def _wait(application: str, run_id: str) -> dict[str, Any]:
    """A job run after its end, as Step Functions gives it to the next state."""
    place = f"arn:aws:emr-serverless:{_responses.get_region()}:{_responses.get_account_id()}"
    arn = f"{place}:/applications/{application}/jobruns/{run_id}"

    def look() -> dict[str, Any]:
        return emr_serverless.find_job_run(application, run_id) or {"state": runs.FAILED, "stateDetails": "the job run is gone"}

    def end() -> None:
        run = runs.running(run_id)
        if run is not None and sfn_jobs.may("emr-serverless:CancelJobRun", arn):
            run.stop("Step Functions ended the task that waited for the job run")

    found = sfn_jobs.wait(
        look, is_over=lambda run: run["state"] in runs.FINAL, end=end,
        ask=lambda: states.require(START_JOB_RUN, action="emr-serverless:GetJobRun", resource=arn),
    )  # fmt: skip
    return sfn_jobs.renamed(found, emr_serverless.SERVED.api.output_of("GetJobRun").members["jobRun"], is_upper=True)
