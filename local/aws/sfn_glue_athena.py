"""Step Functions' integrations of Glue and Athena: `glue:startJobRun` and `athena:startQueryExecution`, plain and `.sync`.

The call itself is asked of the state machine's role by `states`; here the waiting asks what Step Functions asks: the job's or
query's state, and its end when the task times out or its execution stops.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from local.aws import athena, glue_runs, guard, seam, sfn_jobs, states

GLUE, ATHENA = "glue:startJobRun", "athena:startQueryExecution"

_glue = seam.module("services.glue")
_states = seam.module("services.stepfunctions")
_responses = seam.module("core.responses")


def register() -> None:
    """Serve the integrations."""
    _states._SERVICE_DISPATCH[f"arn:aws:states:::{GLUE}"] = _start_job_run
    _states._SERVICE_DISPATCH[f"arn:aws:states:::{ATHENA}"] = _start_query_execution


# ---- Glue ------------------------------------------------------------------------------------------------------------


def _start_job_run(resource: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Start a job run; with `.sync`, wait for its end and return it."""
    name = str(data.get("JobName") or "")
    started = _call(_glue._start_job_run, dict(data), prefix="Glue", service="AWSGlue")
    run_id = str(started["JobRunId"])
    if not sfn_jobs.is_sync(resource):
        return {"JobName": name, "JobRunId": run_id}
    arn = f"arn:aws:glue:{_responses.get_region()}:{_responses.get_account_id()}:job/{name}"

    def look() -> dict[str, Any]:
        record = glue_runs.find(name, run_id)
        if record is None:
            states.fail("Glue.EntityNotFoundException", f"Job run {run_id} not found")
        return record

    def end() -> None:
        if guard.authorize(states.session_key(), action="glue:BatchStopJobRun", resource=arn) is None:
            glue_runs.stop(run_id)

    record = sfn_jobs.wait(
        look, is_over=lambda found: found["JobRunState"] not in glue_runs.ACTIVE, end=end,
        ask=lambda: states.require(GLUE, action="glue:GetJobRun", resource=arn),
    )  # fmt: skip
    shown = _glue_output(record)
    if record["JobRunState"] == glue_runs.SUCCEEDED:
        return shown
    return states.fail("States.TaskFailed", json.dumps(shown))


def _glue_output(record: Mapping[str, Any]) -> dict[str, Any]:
    """A job run as Step Functions gives it to the next state: times in milliseconds."""
    times = ("StartedOn", "LastModifiedOn", "CompletedOn")
    return {**record, **{name: int(record[name] * 1000) for name in times if record.get(name)}}


# ---- Athena ----------------------------------------------------------------------------------------------------------


def _start_query_execution(resource: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Start a query; with `.sync`, wait for its end and return it."""
    started = _call(athena.start_query_execution, dict(data), prefix="Athena", service="AmazonAthena")
    query_id = str(started["QueryExecutionId"])
    if not sfn_jobs.is_sync(resource):
        return {"QueryExecutionId": query_id}
    workgroup = data.get("WorkGroup") or "primary"
    arn = f"arn:aws:athena:{_responses.get_region()}:{_responses.get_account_id()}:workgroup/{workgroup}"

    def end() -> None:
        if guard.authorize(states.session_key(), action="athena:StopQueryExecution", resource=arn) is None:
            athena.cancel(query_id)

    execution = sfn_jobs.wait(
        lambda: athena.find(query_id), is_over=lambda found: found["Status"]["State"] in athena.FINAL, end=end,
        ask=lambda: states.require(ATHENA, action="athena:GetQueryExecution", resource=arn),
    )  # fmt: skip
    shown = {"QueryExecution": athena.shown(execution)}
    for name in ("SubmissionDateTime", "CompletionDateTime"):
        shown["QueryExecution"]["Status"][name] = int(shown["QueryExecution"]["Status"][name] * 1000)
    if execution["Status"]["State"] == athena.SUCCEEDED:
        return shown
    return states.fail("States.TaskFailed", json.dumps(shown["QueryExecution"]))


# ---- both ------------------------------------------------------------------------------------------------------------


def _call(function: Callable[[dict[str, Any]], Any], data: dict[str, Any], *, prefix: str, service: str) -> dict[str, Any]:
    """Call an API function as the role; its error becomes the task's, named as the integration names it."""
    status, _, body = function(data)
    answer: dict[str, Any] = json.loads(body) if body else {}
    if status < 400:
        return answer
    code = str(answer.get("__type") or answer.get("code") or f"{service}Exception").rsplit("#", 1)[-1]
    message = answer.get("message") or answer.get("Message") or ""
    return _fail(prefix, code, str(message), service)


def _fail(prefix: str, code: str, message: str, service: str) -> NoReturn:
    name = code if code.endswith("Exception") else f"{code}Exception"
    states.fail(f"{prefix}.{name}", f"{message} (Service: {service}; Status Code: 400; Error Code: {code}; Request ID: -; Proxy: null)")
