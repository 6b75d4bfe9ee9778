"""The step of a pipeline that runs a Spark job on an EMR Serverless application."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from constructs_lib.arns import arn, rule_arn
from constructs_lib.orchestration.steps import (
    FINAL,
    JOB_GRACE_SECONDS,
    MachineStep,
    Permission,
    State,
    StepPlace,
    array_of,
    catch,
    check_arguments,
    run_arguments,
    tried_twice,
)

_RETRY = [
    {
        "ErrorEquals": [
            f"{service}.{name}"
            for service in ("EMRServerless", "EmrServerless")
            for name in (
                f"AWS{service}Exception",
                "ConflictException",
                "InternalServerException",
                "SdkClientException",
                "ServiceQuotaExceededException",
                "ThrottlingException",
            )
        ],
        "IntervalSeconds": 30,
        "MaxAttempts": 4,
        "BackoffRate": 2,
        "JitterStrategy": "FULL",
    },
]
"""An application that is just starting or stopping answers with a conflict; the client token makes a repeated start safe."""

_CANCELLED = ('*"State":"CANCELLED"*', '*"State":"CANCELLING"*')
"""What EMR Serverless says besides: its time was up, or somebody cancelled it."""

_STREAMS = ["STDERR", "STDOUT"]


@dataclass(frozen=True, kw_only=True)
class EmrServerlessStep(MachineStep):
    """A step that runs a Spark job on an EMR Serverless application; `EmrServerlessJob.step` makes it.

    A start that is repeated because its answer was lost finds the run that it began: every try has a client token of its own, made of the run's id.

    Attributes:
        job_name: Name of the job runs.
        application_id: Application.
        role_arn: Role that the job runs as.
        script: Address of the entry point.
        arguments: Arguments of every run besides those that say which run it is.
        submit_parameters: Options of spark-submit.
        log_group: Log group of driver and executors; the names of their streams begin with that of the job.
        queue_minutes: Longest that a run waits for its turn.
        tags: Tags of every run.
        event_logs: S3 folder of Spark's event logs; None keeps none.
        event_log_key: ARN of the key that encrypts them.
    """

    job_name: str
    application_id: str
    role_arn: str
    script: str
    submit_parameters: str
    log_group: str
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])
    queue_minutes: int = 0
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    event_logs: str | None = None
    event_log_key: str | None = None

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: The name is none, there is no time, or an argument is none or belongs to the machine.
        """
        super().__post_init__()
        check_arguments(self.name, self.arguments)

    def called(self, name: str) -> EmrServerlessStep:
        """The same step under another name."""
        return replace(self, name=name)

    def states(self, place: StepPlace) -> Mapping[str, State]:
        """See `MachineStep`."""
        tries = iter((1, 2))
        return tried_twice(
            self,
            place,
            final=(*FINAL, *_CANCELLED),
            task=lambda on_error: self._task(place, on_error=on_error, number=next(tries)),
        )

    def permissions(self) -> Sequence[Permission]:
        """See `MachineStep`."""
        application = arn("emr-serverless", f"/applications/{self.application_id}")
        runs = f"{application}/jobruns/*"
        return (
            Permission(actions=("emr-serverless:StartJobRun",), resources=(application,)),
            Permission(
                actions=(
                    "emr-serverless:CancelJobRun",
                    "emr-serverless:GetJobRun",
                    *(("emr-serverless:TagResource",) if self.tags else ()),
                ),
                resources=(runs,),
                because="Job runs are named by EMR Serverless; the application is the limit.",
            ),
            Permission(
                actions=("iam:PassRole",),
                resources=(self.role_arn,),
                conditions={"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}},
            ),
            Permission(
                actions=("events:DescribeRule", "events:PutRule", "events:PutTargets"),
                resources=(rule_arn("StepFunctionsGetEventsForEMRServerlessJobRule"),),
            ),
        )

    def _task(self, place: StepPlace, *, on_error: str, number: int) -> State:
        told = {**run_arguments(place), **self.arguments}
        logs = {
            "Enabled": True,
            "LogGroupName": self.log_group,
            "LogStreamNamePrefix": self.job_name,
            "LogTypes": {"SPARK_DRIVER": _STREAMS, "SPARK_EXECUTOR": _STREAMS},
        }
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:12]
        return {
            "Type": "Task",
            "Resource": f"arn:{place.functions.partition}:states:::emr-serverless:startJobRun.sync",
            "Parameters": {
                "ApplicationId": self.application_id,
                "ClientToken.$": f"States.Format('{{}}-{digest}-{number}', $.run_id)",
                "ConfigurationOverrides": {
                    "MonitoringConfiguration": {
                        "CloudWatchLoggingConfiguration": logs,
                        "ManagedPersistenceMonitoringConfiguration": {"Enabled": False},
                        **(
                            {"S3MonitoringConfiguration": {"EncryptionKeyArn": self.event_log_key, "LogUri": self.event_logs}}
                            if self.event_logs is not None
                            else {}
                        ),
                    }
                },
                "ExecutionRoleArn": self.role_arn,
                "ExecutionTimeoutMinutes": self.timeout_minutes,
                "JobDriver": {
                    "SparkSubmit": {
                        "EntryPoint": self.script,
                        "EntryPointArguments.$": array_of(told),
                        "SparkSubmitParameters": self.submit_parameters,
                    }
                },
                "Name": self.job_name,
                **({"Tags": dict(self.tags)} if self.tags else {}),
            },
            "ResultPath": None,
            "TimeoutSeconds": (self.timeout_minutes + self.queue_minutes) * 60 + JOB_GRACE_SECONDS,
            "Retry": _RETRY,
            "Catch": catch(on_error),
            "Next": place.next_,
        }
