"""What starts a pipeline: events and times are collected in a queue, and a function turns each batch into one run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from constructs_lib.arns import ACCOUNT, arn, key_arn, queue_arn, rule_arn, state_machine_arn
from constructs_lib.checks import InvalidProps, require, require_one_of, require_range
from constructs_lib.functions import PlatformFunction
from constructs_lib.orchestration.run_tables import RunTableNames
from constructs_lib.order import after
from constructs_lib.permissions import allow, service_principal, service_principal_conditions
from constructs_lib.security.data_keys import READ, USE
from constructs_lib.signals import Signal
from constructs_lib.storage.data_lake import LakeBuckets
from lakehouse.contracts.model import Source
from lakehouse.naming import Names
from lakehouse.schedules import InvalidScheduleError, check_schedule, check_time_zone

MAX_BATCH_SECONDS = 300
MAX_BATCH_SIZE = 10_000
MAX_RECEIVES = 5
DEAD_LETTER_DAYS = 14
STARTER_TIMEOUT_SECONDS = 120
MAX_WAIT_MINUTES = 24 * 60
MAX_SCHEDULE_NAME = 64
SCHEDULE_GROUP = "default"
"""Every account has this group; it is what Scheduler names as its source when it takes a schedule's role."""

SCHEDULE_RETRIES = 185
SCHEDULE_RETRY_SECONDS = 6 * 3600
"""A time that could not be put into the queue for so long goes to the dead letters."""

STARTER_CONCURRENCY = 2
"""Least that Lambda allows for an event source mapping; arrivals of one dataset gain nothing from more."""

_CONTRACT_ID = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """The queues that collect what starts a pipeline.

    Attributes:
        queue: Queue of arrivals.
        queue_name: Its name.
        dead_letters: Queue of what could not be delivered or start a run.
        dead_letter_name: Its name.
        message_key: Key of both.
    """

    queue: sqs.Queue
    queue_name: str
    dead_letters: sqs.Queue
    dead_letter_name: str
    message_key: kms.IKey


class Trigger(Protocol):
    """What kind of event starts a pipeline."""

    @property
    def kind(self) -> str:
        """Word for it in runs."""
        ...

    def bind(self, scope: Construct, *, names: Names, pipeline: str, arrivals: Arrivals) -> None:
        """Make what puts messages into the queue."""
        ...

    def environment(self, arrivals: Arrivals) -> dict[str, str]:
        """What the starter has to know."""
        ...

    def grant(self, starter: iam.IGrantable, *, tables: RunTableNames, arrivals: Arrivals) -> None:
        """What the starter has to be allowed."""
        ...


@dataclass(frozen=True, kw_only=True)
class FilesLanded:
    """Files of one dataset land in raw, in its folder `<domain>/<dataset>/`.

    Attributes:
        lake: Buckets of the lake.
        contract_id: Dataset, `<domain>.<dataset>`.
        formats: File formats that the dataset accepts; files of others are skipped.
        kind: Word for it in runs.
    """

    lake: LakeBuckets
    contract_id: str
    formats: tuple[str, ...] = Source.formats
    kind: str = "arrival"

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: The dataset is malformed, or no file could be of its formats.
        """
        require(
            _CONTRACT_ID.fullmatch(self.contract_id) is not None,
            f"contract_id must be <domain>.<dataset>, such as sales.orders, got {self.contract_id!r}",
        )
        require(bool(self.formats), f"formats is empty, so every file would be skipped: name some of {', '.join(Source.formats)}")
        for word in self.formats:
            require_one_of(word, Source.formats, name="formats")

    @property
    def prefix(self) -> str:
        """Folder of the raw bucket where its files land; the starter reads no other."""
        return Names.raw_prefix(self.contract_id)

    def bind(self, scope: Construct, *, names: Names, pipeline: str, arrivals: Arrivals) -> None:
        """A rule on objects created under the dataset's folder."""
        _rule(scope, self, self.event_pattern(), names=names, pipeline=pipeline, arrivals=arrivals)

    def event_pattern(self) -> dict[str, Any]:
        """Objects created under the dataset's folder."""
        return {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {"bucket": {"name": [self.lake.bucket_name("raw")]}, "object": {"key": [{"prefix": self.prefix}]}},
        }

    def environment(self, arrivals: Arrivals) -> dict[str, str]:  # noqa: ARG002 - as in Trigger
        """Dataset, its formats, and where files land and manifests go."""
        return {
            "DATASET": self.contract_id,
            "LOGS_BUCKET": self.lake.bucket_name("logs"),
            "RAW_BUCKET": self.lake.bucket_name("raw"),
            "SOURCE_FORMATS": ",".join(self.formats),
        }

    def grant(self, starter: iam.IGrantable, *, tables: RunTableNames, arrivals: Arrivals) -> None:  # noqa: ARG002 - as in Trigger
        """Reading the files, to tell one content from another, writing the manifest, and recording files that are skipped."""
        tables.grants.use(starter, "audit", actions=("GetItem", "PutItem"))
        tables.grants.use(starter, "control", actions=("GetItem", "PutItem", "Query", "UpdateItem"))
        self.lake.grants.read_versions(starter, "raw", prefix=self.prefix)
        self.lake.grants.tell_missing(starter, "raw")
        self.lake.grants.put(starter, "logs", prefix=f"manifests/{self.prefix}")


@dataclass(frozen=True, kw_only=True)
class AfterPipelines:
    """Runs of other pipelines publish: they succeed, or fail only because some of their files were rejected.

    What they publish is followed by one run once none of them is under way.

    Attributes:
        names: Names of the environment, which the pipelines belong to as well.
        pipelines: The pipelines.
        wait_minutes: Longest that what is published waits for upstream runs that are under way; 0 = it does not.
        kind: Word for it in runs.
    """

    names: Names
    pipelines: tuple[str, ...]
    wait_minutes: int = 30
    kind: str = "after"

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: There is no pipeline to follow, or the wait is out of its range.
        """
        require(
            bool(self.pipelines),
            "pipelines is empty, and EventBridge takes no empty list: name the pipelines whose runs are followed",
        )
        require_range(
            self.wait_minutes, name="wait_minutes", at_least=0, at_most=MAX_WAIT_MINUTES, why="a day, the longest that a run takes"
        )

    def bind(self, scope: Construct, *, names: Names, pipeline: str, arrivals: Arrivals) -> None:
        """A rule on ends of their executions."""
        _rule(scope, self, self.event_pattern(), names=names, pipeline=pipeline, arrivals=arrivals)

    def event_pattern(self) -> dict[str, Any]:
        """Executions of those machines that ended, in whatever way: the last one to end lets go what the others published."""
        machines = [state_machine_arn(self.names.state_machine(name)) for name in self.pipelines]
        return {
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {"status": ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"], "stateMachineArn": machines},
        }

    def environment(self, arrivals: Arrivals) -> dict[str, str]:
        """The pipelines, how long to wait for them, and where reminders go."""
        return {
            "QUEUE": arrivals.queue_name,
            "UPSTREAM": ",".join(self.pipelines),
            "WAIT_MINUTES": str(self.wait_minutes),
        }

    def grant(self, starter: iam.IGrantable, *, tables: RunTableNames, arrivals: Arrivals) -> None:
        """Claiming ends of runs, putting down those that wait, looking up which runs have begun and how they ended, and reminding itself."""
        tables.grants.use(starter, "audit", actions=("GetItem",), indexes=("by_status",))
        tables.grants.use(starter, "control", actions=("DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"))
        allow(starter, actions=["sqs:GetQueueUrl", "sqs:SendMessage"], resources=[queue_arn(arrivals.queue_name)])
        allow(starter, actions=["kms:GenerateDataKey"], resources=[key_arn(arrivals.message_key)])


@dataclass(frozen=True, kw_only=True)
class OnSchedule:
    """The clock starts a pipeline: EventBridge Scheduler puts a message into the queue at each of its times.

    Attributes:
        expression: `cron(minutes hours day-of-month month day-of-week year)` or `rate(n unit)`.
        time_zone: IANA's name of the zone that the expression is read in.
        is_enabled: Whether it fires; one that does not is deployed all the same.
        kind: Word for it in runs.
    """

    expression: str
    time_zone: str = "UTC"
    is_enabled: bool = True
    kind: str = "schedule"

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: Scheduler would refuse the expression or the zone.
        """
        for name, check, text in (("expression", check_schedule, self.expression), ("time_zone", check_time_zone, self.time_zone)):
            try:
                check(text)
            except InvalidScheduleError as error:
                raise InvalidProps(f"{name}: {error}") from error

    def bind(self, scope: Construct, *, names: Names, pipeline: str, arrivals: Arrivals) -> None:
        """A schedule, and the role that it sends with."""
        name = f"{names.prefix}-{self.kind}-{pipeline}"
        require(
            len(name) <= MAX_SCHEDULE_NAME or "${Token[" in name,
            f"the name of a schedule has at most {MAX_SCHEDULE_NAME} characters, got {name!r}",
        )
        conditions = service_principal_conditions(account=ACCOUNT, source_arn=arn("scheduler", f"schedule-group/{SCHEDULE_GROUP}"))
        role = iam.Role(
            scope,
            "ScheduleRole",
            description=f"Sends what starts {pipeline} by the clock",
            assumed_by=service_principal("scheduler.amazonaws.com", conditions=conditions),
        )
        queues = [queue_arn(arrivals.queue_name), queue_arn(arrivals.dead_letter_name)]
        grant = allow(role, actions=["sqs:SendMessage"], resources=queues)
        allow(role, actions=USE, resources=[key_arn(arrivals.message_key)])
        schedule = scheduler.CfnSchedule(
            scope,
            "Schedule",
            name=name,
            description=f"What starts {pipeline}",
            group_name=SCHEDULE_GROUP,
            schedule_expression=self.expression,
            schedule_expression_timezone=self.time_zone,
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            kms_key_arn=key_arn(arrivals.message_key),
            state="ENABLED" if self.is_enabled else "DISABLED",
            target=scheduler.CfnSchedule.TargetProperty(
                arn=queues[0],
                role_arn=role.role_arn,
                # The time that was meant, not the time of the message: told twice, or late, it is the same run.
                input=json.dumps({"pipeline": pipeline, "scheduled_at": "<aws.scheduler.scheduled-time>"}),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=queues[1]),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=SCHEDULE_RETRY_SECONDS, maximum_retry_attempts=SCHEDULE_RETRIES
                ),
            ),
        )
        grant.apply_before(schedule)
        after(schedule, arrivals.queue, arrivals.dead_letters)

    def environment(self, arrivals: Arrivals) -> dict[str, str]:  # noqa: ARG002 - as in Trigger
        """Nothing besides the kind."""
        return {}

    def grant(self, starter: iam.IGrantable, *, tables: RunTableNames, arrivals: Arrivals) -> None:  # noqa: ARG002 - as in Trigger
        """Claiming times, and looking up which runs have begun and how they ended."""
        tables.grants.use(starter, "audit", actions=("GetItem",))
        tables.grants.use(starter, "control", actions=("GetItem", "PutItem", "UpdateItem"))


class FileArrival(Construct):
    """Events or times -> queue with dead letters -> a function that starts one run for a batch.

    Attributes:
        queue: Queue that collects events.
        dead_letters: Queue of events that could not start a run, kept for two weeks.
        starter: The function.
        dead_letters_signal: Events that could not start a run and wait for a person, for alarms.
        oldest_arrival_signal: Age of the event that has waited longest, in seconds, for alarms.
        starter_errors_signal: Calls of the function that failed, for alarms.
        grants: Permissions on the queues.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Names,
        pipeline: str,
        trigger: Trigger,
        tables: RunTableNames,
        message_key: kms.IKey,
        log_key: kms.IKey,
        audit_ttl_days: int = 90,
        batch_seconds: int = 60,
        batch_size: int = 1000,
        log_retention_days: int = 30,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """
        Args:
            names: Names of the environment.
            pipeline: Pipeline that is started.
            trigger: What starts it.
            tables: Run tables.
            message_key: Customer key of the queues; its policy must let EventBridge use it.
            log_key: Key of the function's log group.
            audit_ttl_days: Days for which the audit keeps a run.
            batch_seconds: Time for which events are collected, 0-300.
            batch_size: Most events in a batch, 1-10000; more than 10 need a batch window.
            log_retention_days: Days for which the function's log is kept.
            removal_policy: What happens to the log when the stack goes.
        """
        super().__init__(scope, id)
        require_range(batch_seconds, name="batch_seconds", at_least=0, at_most=MAX_BATCH_SECONDS, why="Lambda's range")
        require_range(batch_size, name="batch_size", at_least=1, at_most=MAX_BATCH_SIZE, why="Lambda's range")
        require(
            batch_size <= 10 or batch_seconds >= 1,
            f"batch_seconds must be at least 1 for batches of more than 10, got batch_size {batch_size}",
        )
        queue_name, dead_letter_name = names.arrivals_queue(pipeline), names.dead_letter_queue(pipeline)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            queue_name=dead_letter_name,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=message_key,
            enforce_ssl=True,
            retention_period=_seconds(DEAD_LETTER_DAYS * 24 * 3600),
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=queue_name,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=MAX_RECEIVES),
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=message_key,
            enforce_ssl=True,
            # Lambda asks for six times the function's timeout, so that a batch is not handed out twice while it is at work.
            visibility_timeout=_seconds(6 * STARTER_TIMEOUT_SECONDS + batch_seconds),
        )
        arrivals = Arrivals(
            queue=self.queue,
            queue_name=queue_name,
            dead_letters=self.dead_letters,
            dead_letter_name=dead_letter_name,
            message_key=message_key,
        )
        self.starter = PlatformFunction(
            self,
            "Starter",
            name=names.function(f"arrival-starter-{pipeline}"),
            package="arrival_starter",
            description=f"Starts {pipeline}",
            log_group_name=names.log_group("functions", f"arrival-starter-{pipeline}"),
            log_key=log_key,
            environment={
                "AUDIT_TABLE": tables.name("audit"),
                "AUDIT_TTL_DAYS": str(audit_ttl_days),
                "CONTROL_TABLE": tables.name("control"),
                "LAKEHOUSE_ENV": names.env,
                "LAKEHOUSE_PROJECT": names.project,
                "MACHINE_ARN": state_machine_arn(names.state_machine(pipeline)),
                "PIPELINE": pipeline,
                "TRIGGER": trigger.kind,
                **trigger.environment(arrivals),
            },
            timeout_seconds=STARTER_TIMEOUT_SECONDS,
            memory_mb=512,
            log_retention_days=log_retention_days,
            removal_policy=removal_policy,
        )
        grant = self._grant(names.state_machine(pipeline), trigger, tables, arrivals)
        source = lambda_.CfnEventSourceMapping(
            self,
            "Source",
            function_name=self.starter.function_name,
            event_source_arn=queue_arn(queue_name),
            batch_size=batch_size,
            maximum_batching_window_in_seconds=batch_seconds,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config={"maximumConcurrency": STARTER_CONCURRENCY},
        )
        grant.apply_before(source)
        after(source, self.starter.resource, self.queue)
        trigger.bind(self, names=names, pipeline=pipeline, arrivals=arrivals)
        self.dead_letters_signal = _of_queue(dead_letter_name, "ApproximateNumberOfMessagesVisible")
        self.oldest_arrival_signal = _of_queue(queue_name, "ApproximateAgeOfOldestMessage")
        self.starter_errors_signal = Signal(
            namespace="AWS/Lambda", name="Errors", dimensions={"FunctionName": self.starter.function_name}, statistic="Sum"
        )
        self.grants = FileArrivalGrants(queue_name, dead_letter_name)

    def metric_dead_letters(self) -> cloudwatch.Metric:
        """Events that could not start a run and wait for a person."""
        return self.dead_letters_signal.metric()

    def metric_oldest_arrival_seconds(self) -> cloudwatch.Metric:
        """Age of the event that has waited longest, in seconds."""
        return self.oldest_arrival_signal.metric()

    def metric_starter_errors(self) -> cloudwatch.Metric:
        """Calls of the function that failed."""
        return self.starter_errors_signal.metric()

    def _grant(self, machine: str, trigger: Trigger, tables: RunTableNames, arrivals: Arrivals) -> iam.Grant:
        role = self.starter.role
        grant = allow(
            role, actions=["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], resources=[queue_arn(arrivals.queue_name)]
        )
        allow(role, actions=READ, resources=[key_arn(arrivals.message_key)])
        trigger.grant(role, tables=tables, arrivals=arrivals)
        allow(role, actions=["states:StartExecution"], resources=[state_machine_arn(machine)])
        return grant


class FileArrivalGrants:
    """Permissions on the queues of arrivals."""

    def __init__(self, queue_name: str, dead_letter_name: str) -> None:
        self._names = (queue_name, dead_letter_name)

    def watch(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it see how many events wait."""
        return allow(grantee, actions=["sqs:GetQueueAttributes", "sqs:GetQueueUrl"], resources=[queue_arn(name) for name in self._names])


def _rule(scope: Construct, trigger: Trigger, pattern: dict[str, Any], *, names: Names, pipeline: str, arrivals: Arrivals) -> None:
    """A rule that sends events to the queue, which admits it and no other."""
    name = f"{names.prefix}-{trigger.kind}-{pipeline}"
    for queue, queue_name in ((arrivals.queue, arrivals.queue_name), (arrivals.dead_letters, arrivals.dead_letter_name)):
        queue.add_to_resource_policy(_rule_statement(queue_name, name))
    target = {"id": "queue", "arn": queue_arn(arrivals.queue_name), "deadLetterConfig": {"arn": queue_arn(arrivals.dead_letter_name)}}
    rule = events.CfnRule(scope, "Rule", name=name, description=f"What starts {pipeline}", event_pattern=pattern, targets=[target])
    after(rule, arrivals.queue, arrivals.dead_letters)


def _rule_statement(queue_name: str, rule_name: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="RuleSends",
        principals=[service_principal("events.amazonaws.com")],
        actions=["sqs:SendMessage"],
        resources=[queue_arn(queue_name)],
        conditions=service_principal_conditions(account=ACCOUNT, source_arn=rule_arn(rule_name)),
    )


@cache
def _seconds(count: int) -> Duration:
    # A duration belongs to no app: one serves all queues.
    return Duration.seconds(count)


def _of_queue(queue_name: str, metric: str) -> Signal:
    return Signal(namespace="AWS/SQS", name=metric, dimensions={"QueueName": queue_name}, statistic="Maximum")
