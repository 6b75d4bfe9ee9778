"""Runs of Glue jobs for code that has no state machine: started, watched with a deadline, stopped when nobody waits any more.

Pipelines need none of it: Step Functions waits for their jobs, and no function waits for one.

Actions on the job: glue:StartJobRun, glue:GetJobRun, glue:BatchStopJobRun.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from lakehouse.errors import LakehouseError, TerminalError, TransientError
from lakehouse.polling import Pauses, looks

SUCCEEDED = "SUCCEEDED"
FAILED = ("FAILED", "ERROR", "TIMEOUT", "STOPPED", "EXPIRED")
"""States of a run that is over without success; EXPIRED: it waited in Glue's queue for too long."""

UNDER_WAY = ("STARTING", "RUNNING", "STOPPING", "WAITING")
"""States of a run that is not over; WAITING: it is in Glue's queue."""

PAUSES = Pauses(first_seconds=10.0, factor=1.5, longest_seconds=30.0)
"""Waits between two looks at a run."""

_PASSING = frozenset({"InternalServiceException", "OperationTimeoutException", "ThrottlingException"})
"""What keeps Glue from answering one look and not the next; the SDK has tried several times by then."""

_BUSY = "ConcurrentRunsExceededException"


class JobRunFailed(TerminalError):
    """A run is over without success.

    Attributes:
        run: The run.
    """

    def __init__(self, run: JobRun) -> None:
        self.run = run
        super().__init__(f"run {run.run_id} of {run.job} is {run.state}: {run.message or 'Glue gives no reason'}")


class JobBusy(TransientError):
    """The job runs as often at once as it may."""


class UnknownJobState(TerminalError):
    """A run is in a state that this client does not know; it is stopped."""


class JobRunTimeout(LakehouseError):
    """A run was not over when its time was, and is stopped."""


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """A run as Glue keeps it.

    Attributes:
        job: Name of the job.
        run_id: Id of the run.
        state: Its state.
        message: Why it is in it, in Glue's words; "" if Glue says nothing.
        seconds: Time that it consumed resources for, which is what is billed.
        dpu_seconds: What it consumed, which Glue tells only of jobs that scale by themselves and of Flex; None of others.
        completed_at: When it ended.
    """

    job: str
    run_id: str
    state: str
    message: str = ""
    seconds: int = 0
    dpu_seconds: float | None = None
    completed_at: datetime | None = None

    @classmethod
    def from_api(cls, run: Mapping[str, Any]) -> JobRun:
        """The run as GetJobRun tells it."""
        return cls(
            job=run["JobName"],
            run_id=run["Id"],
            state=run["JobRunState"],
            message=run.get("ErrorMessage") or run.get("StateDetail") or "",
            seconds=int(run.get("ExecutionTime", 0)),
            dpu_seconds=run.get("DPUSeconds"),
            completed_at=run.get("CompletedOn"),
        )


class JobRuns:
    """Runs of Glue jobs of an account and region."""

    def __init__(
        self,
        *,
        client: Any,
        pauses: Pauses = PAUSES,
        on_look: Callable[[JobRun], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Args:
            client: boto3 Glue client.
            pauses: Waits between two looks.
            on_look: Told how a run stands, at each look.
            clock: Seconds that only go forward.
            sleep: Waits some seconds.
        """
        self._client, self._pauses, self._on_look, self._clock, self._sleep = client, pauses, on_look, clock, sleep

    def run(self, job: str, *, arguments: Mapping[str, str] | None = None, seconds: float) -> JobRun:
        """Start a job and wait for its end. Not for a job that must not run twice: Glue takes no token, and a repeated start is a second run.

        Args:
            job: Name of the job.
            arguments: Its arguments, such as `--day`; nothing secret, Glue shows them.
            seconds: Longest that it may take; then it is stopped. An interrupt stops it as well.

        Raises:
            JobBusy: It runs as often at once as it may.
            JobRunFailed: It is over without success.
            JobRunTimeout: It took too long.
        """
        try:
            run_id: str = self._client.start_job_run(JobName=job, Arguments=dict(arguments or {}))["JobRunId"]
        except ClientError as error:
            if error.response["Error"]["Code"] != _BUSY:
                raise
            raise JobBusy(f"{job} runs as often at once as it may: wait for a run of it, or raise its concurrency") from error
        return self.wait(job, run_id, seconds=seconds)

    def wait(self, job: str, run_id: str, *, seconds: float) -> JobRun:
        """Wait for the end of a run, and stop it if that does not come.

        Args:
            job: Name of the job.
            run_id: Id of the run.
            seconds: Longest to wait; then it is stopped. An interrupt stops it as well.

        Raises:
            JobRunFailed: It is over without success.
            JobRunTimeout: It was not over.
            UnknownJobState: Glue has a state that this client does not know.
        """
        try:
            run = self._watched(job, run_id, seconds)
        except BaseException as error:
            self._stop(job, run_id, error)
            raise
        if run.state != SUCCEEDED:
            raise JobRunFailed(run)
        return run

    def _watched(self, job: str, run_id: str, seconds: float) -> JobRun:
        """The run, once it is over."""
        state = "not looked at"
        for _ in looks(seconds, pauses=self._pauses, clock=self._clock, sleep=self._sleep):
            try:
                run = JobRun.from_api(self._client.get_job_run(JobName=job, RunId=run_id)["JobRun"])
            except ClientError as error:
                if error.response["Error"]["Code"] not in _PASSING:
                    raise
                continue
            state = run.state
            self._on_look(run)
            if state == SUCCEEDED or state in FAILED:
                return run
            if state not in UNDER_WAY:
                raise UnknownJobState(
                    f"run {run_id} of {job} is {state!r}, which is no state that this client knows, and is stopped: update it"
                )
        raise JobRunTimeout(
            f"run {run_id} of {job} was still {state} after {seconds:.0f} s and is stopped: give it more time, or less to do"
        )

    def _stop(self, job: str, run_id: str, error: BaseException) -> None:
        """Stop a run; what went wrong first is what the caller has to know, and what goes wrong here is added to it."""
        try:
            refused = self._client.batch_stop_job_run(JobName=job, JobRunIds=[run_id]).get("Errors", ())
        except Exception as second:  # noqa: BLE001 - see above
            error.add_note(f"run {run_id} of {job} could not be stopped: {second}")
            return
        for one in refused:
            detail = one.get("ErrorDetail", {})
            error.add_note(f"run {run_id} of {job} could not be stopped: {detail.get('ErrorCode')}: {detail.get('ErrorMessage')}")
