"""Job runs of EMR Serverless that failed and that no pipeline started: nobody waits for them, so people are told of the run itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambdas.notifier.message import MAX_SUBJECT, Notice


@dataclass(frozen=True, kw_only=True)
class FailedJobRun:
    """A job run that somebody started by hand, or by something that is no pipeline.

    Attributes:
        application_id: Application that it ran on.
        job_run_id: Its id.
        name: Name that it was given, or "".
        created_by: Who started it.
        before: State that it was in before it failed.
    """

    application_id: str
    job_run_id: str
    name: str
    created_by: str
    before: str

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> FailedJobRun:
        """Read the detail of EventBridge's event of a job run; it does not say why the run failed."""
        return cls(
            application_id=detail["applicationId"],
            job_run_id=detail["jobRunId"],
            name=str(detail.get("jobRunName") or ""),
            created_by=str(detail.get("createdBy") or "unknown"),
            before=str(detail.get("previousState") or "unknown"),
        )


def notice_of_job_run(run: FailedJobRun, *, project: str, env: str) -> Notice:
    """Put such a run in words."""
    ask = f"--application-id {run.application_id} --job-run-id {run.job_run_id}"
    lines = [
        f"Job run {run.name or run.job_run_id} of the EMR Serverless application of {project}/{env} failed. No pipeline started it.",
        "",
        f"Job run:     {run.job_run_id}, {run.before} before it failed",
        f"Application: {run.application_id}",
        f"Started by:  {run.created_by}",
        "",
        "Next:",
        f"  aws emr-serverless get-job-run {ask} --query jobRun.stateDetails    why it failed",
    ]
    return Notice(
        subject=f"[{project}/{env}] job run {run.name or run.job_run_id} failed: no pipeline"[:MAX_SUBJECT], text="\n".join(lines)
    )
