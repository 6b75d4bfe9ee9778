"""Tells people of a run once, whoever asks and however often."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from lakehouse.audit import AuditTrail, UnknownRunError
from lakehouse.errors import TerminalError, TransientError
from lambdas.notifier.job_run import FailedJobRun, notice_of_job_run
from lambdas.notifier.message import Notice, notice_of
from lambdas.notifier.stray import StrayExecution, notice_of_stray

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Run that somebody wants people to be told of."""

    pipeline: str
    run_id: str


Request = Wish | StrayExecution | FailedJobRun
"""What people may be told of."""


def request_of(event: Mapping[str, Any]) -> Request:
    """Read the payload of a state machine, or EventBridge's event of an execution that ended or of a job run that failed.

    Raises:
        TerminalError: It is none of them.
    """
    if event.get("source") == "aws.emr-serverless":
        return FailedJobRun.from_detail(event["detail"])
    document: object = event
    if event.get("source") == "aws.states":
        try:
            document = json.loads(event["detail"].get("input") or "null")
        except ValueError:
            document = None
    named = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    if named.get("pipeline") and named.get("run_id"):
        return Wish(pipeline=named["pipeline"], run_id=named["run_id"])
    if event.get("source") == "aws.states" and event["detail"].get("executionArn"):
        return StrayExecution.from_detail(event["detail"])
    raise TerminalError(f"the payload names no pipeline and run_id, it has {', '.join(sorted(event))}: pass both")


class Notifier:
    """Publishes to the critical topic."""

    def __init__(self, *, audit: AuditTrail, sns: Any, topic_arn: str, project: str, env: str) -> None:
        """
        Args:
            audit: The audit.
            sns: boto3 SNS client.
            topic_arn: Critical topic.
            project: Project, for the subject.
            env: Environment, for the subject and the commands.
        """
        self._audit = audit
        self._sns = sns
        self._topic_arn = topic_arn
        self._project = project
        self._env = env

    def notify(self, request: Request) -> bool:
        """Publish one message of a run whose execution failed, of an execution that is no run, or of a job run that is no pipeline's.

        Only executions that failed ask: if the audit says that the run ended well, its execution failed afterwards, and people are told so.
        A message of a run is published twice only if this function dies between publishing and noting it: better twice than never. Those of
        executions without a run and of job runs are published as often as their event comes, which is once unless EventBridge repeats it.

        Returns:
            Whether a message was published now.

        Raises:
            TransientError: The run is not recorded as ended yet, or another is publishing at this moment.
        """
        match request:
            case StrayExecution():
                notice = notice_of_stray(request, project=self._project, env=self._env)
                self._publish(notice, {"execution": request.arn, "status": request.status, "severity": "critical"})
                log.info("people were told of an execution without a run", extra={"execution": request.arn})
                return True
            case FailedJobRun():
                notice = notice_of_job_run(request, project=self._project, env=self._env)
                self._publish(notice, {"job_run": request.job_run_id, "status": "FAILED", "severity": "critical"})
                log.info("people were told of a job run without a pipeline", extra={"job_run": request.job_run_id})
                return True
            case Wish():
                return self._notify_of_run(request)

    def _notify_of_run(self, wish: Wish) -> bool:
        try:
            trail = self._audit.trail(wish.run_id, pipeline=wish.pipeline)
        except UnknownRunError as error:
            raise TransientError(f"run {wish.run_id} of {wish.pipeline} is not in the audit yet: trying again later") from error
        run = trail.run
        if not run.is_ended:
            raise TransientError(f"run {wish.run_id} of {wish.pipeline} is still {run.status} in the audit: trying again later")
        if run.notified_at is not None:
            return False
        if not self._audit.begin_notification(pipeline=run.pipeline, run_id=run.run_id):
            raise TransientError(f"another is telling people of run {wish.run_id} at this moment: looking again later")
        notice = notice_of(trail, project=self._project, env=self._env)
        attributes = {
            "pipeline": run.pipeline,
            "run_id": run.run_id,
            "status": run.status,
            "reason": run.reason or "unknown",
            "severity": "critical",
        }
        self._publish(notice, attributes)
        self._audit.mark_notified(pipeline=run.pipeline, run_id=run.run_id)
        log.info("people were told", extra={"run_id": run.run_id, "pipeline": run.pipeline})
        return True

    def _publish(self, notice: Notice, attributes: Mapping[str, str]) -> None:
        self._sns.publish(
            TopicArn=self._topic_arn,
            Subject=notice.subject,
            Message=notice.text,
            MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
        )
