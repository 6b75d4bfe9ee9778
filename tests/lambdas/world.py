"""A small world for the functions: moto's tables, buckets and topics, a fake of Step Functions that is strict, a clock that tests move, and crashes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
import moto

from lakehouse.audit import AuditTrail
from lakehouse.claims import Claims
from lakehouse.clock import to_text
from lakehouse.held_ends import HeldEnds
from lakehouse.leases import Leases
from lakehouse.manifests import Manifest, ManifestStore, read_manifest
from lambdas.arrival_starter.following import UpstreamJudge
from lambdas.arrival_starter.judging import FileJudge, Judge, ScheduleJudge
from lambdas.arrival_starter.launcher import Launcher
from lambdas.arrival_starter.starter import Message, Starter

REGION = "us-east-1"
RAW, LOGS = "raw-bucket", "logs-bucket"
AUDIT, CONTROL, LINEAGE, WATERMARKS = "audit", "control", "lineage", "watermarks"
PIPELINE, DATASET = "orders", "tpch.orders"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:lake-orders"
FOLDER = "tpch/orders/year=2026/month=11/day=22/"
QUEUE = "lake-arrivals-orders"
FUNCTION_SECONDS = 60
FORMATS = frozenset({"csv", "json", "parquet"})
UPSTREAM = ("upstream", "customer")
WAIT_MINUTES = 30


class Crash(BaseException):
    """The process dies here: nothing catches it."""


class Clock:
    """A clock that only tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class ExecutionAlreadyExists(Exception):
    """As Step Functions says it."""


@dataclass
class Execution:
    name: str
    input: dict[str, Any]
    text: str
    status: str = "RUNNING"


@dataclass
class States:
    """Step Functions as far as starting goes: a running execution with the same name and input is no new one, a closed one keeps its name."""

    executions: dict[str, Execution] = field(default_factory=dict)
    on_start: Callable[[Execution], None] | None = None
    failures: list[BaseException] = field(default_factory=list)

    class exceptions:  # noqa: N801 - as boto3 has it
        ExecutionAlreadyExists = ExecutionAlreadyExists

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, str]:  # noqa: N803 - as boto3 has it
        assert stateMachineArn == MACHINE
        assert len(name) <= 80
        if self.failures:
            raise self.failures.pop()
        held = self.executions.get(name)
        if held is not None and (held.status != "RUNNING" or held.text != input):
            raise ExecutionAlreadyExists(name)
        if held is None:
            self.executions[name] = Execution(name=name, input=json.loads(input), text=input)
            if self.on_start is not None:
                self.on_start(self.executions[name])
        return {"executionArn": f"arn:{name}"}


@dataclass
class Queue:
    """SQS as far as a function's messages to itself go: each comes when its delay is over, once."""

    clock: Clock
    sent: list[tuple[datetime, str]] = field(default_factory=list)

    def get_queue_url(self, *, QueueName: str) -> dict[str, str]:  # noqa: N803 - as boto3 has it
        assert QueueName == QUEUE
        return {"QueueUrl": f"https://sqs.us-east-1.amazonaws.com/123456789012/{QueueName}"}

    def send_message(self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int) -> dict[str, str]:  # noqa: N803 - as boto3 has it
        assert QueueUrl == self.get_queue_url(QueueName=QUEUE)["QueueUrl"]
        assert 0 <= DelaySeconds <= 900
        self.sent.append((self.clock() + timedelta(seconds=DelaySeconds), MessageBody))
        return {"MessageId": "m"}

    def due(self) -> list[str]:
        """Messages whose delay is over; they are handed out here and no more."""
        found = [body for at, body in self.sent if at <= self.clock()]
        self.sent = [(at, body) for at, body in self.sent if at > self.clock()]
        return found


class Trap:
    """Counts the calls of several clients, and dies at one of them: before it is made, or after it was made and before it is answered."""

    def __init__(self, *, at: int | None = None, when: str = "before") -> None:
        self.calls: list[str] = []
        self.at = at
        self.when = when

    def around(self, client: Any) -> Any:
        return _Trapped(client, self)

    def call(self, name: str, function: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
        number = len(self.calls)
        self.calls.append(name)
        if number == self.at and self.when == "before":
            raise Crash(name)
        answer = function(**kwargs)
        if number == self.at:
            raise Crash(name)
        return answer


class _Trapped:
    def __init__(self, client: Any, trap: Trap) -> None:
        self._client = client
        self._trap = trap

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if name == "exceptions" or not callable(value):
            return value
        return lambda **kwargs: self._trap.call(name, value, kwargs)


@dataclass
class World:
    dynamodb: Any
    s3: Any
    clock: Clock = field(default_factory=Clock)
    states: States = field(default_factory=States)
    audit_table: str = AUDIT
    control_table: str = CONTROL
    sequencer: int = 0x1000
    queue: Queue = field(init=False)

    def __post_init__(self) -> None:
        self.queue = Queue(clock=self.clock)

    @property
    def audit(self) -> AuditTrail:
        return AuditTrail(client=self.dynamodb, table=self.audit_table, clock=self.clock)

    @property
    def claims(self) -> Claims:
        return Claims(client=self.dynamodb, table=self.control_table, audit=self.audit, clock=self.clock)

    @property
    def leases(self) -> Leases:
        return Leases(client=self.dynamodb, table=self.control_table, clock=self.clock)

    @property
    def held(self) -> HeldEnds:
        return HeldEnds(client=self.dynamodb, table=self.control_table)

    def starter(
        self,
        *,
        trap: Trap | None = None,
        trigger: str = "arrival",
        formats: frozenset[str] = FORMATS,
        workers: int = 1,
        s3: Any = None,
        dynamodb: Any = None,
        wait_minutes: int = WAIT_MINUTES,
    ) -> Starter:
        trap = trap or Trap()
        dynamodb, s3, states = trap.around(dynamodb or self.dynamodb), trap.around(s3 or self.s3), trap.around(self.states)
        audit = AuditTrail(client=dynamodb, table=self.audit_table, clock=self.clock)
        claims = Claims(client=dynamodb, table=self.control_table, audit=audit, clock=self.clock)
        judge: Judge
        if trigger == "schedule":
            judge = ScheduleJudge(claims=claims, audit=audit, pipeline=PIPELINE, clock=self.clock)
        elif trigger == "after":
            judge = UpstreamJudge(
                claims=claims,
                audit=audit,
                held=HeldEnds(client=dynamodb, table=self.control_table),
                leases=Leases(client=dynamodb, table=self.control_table, clock=self.clock),
                sqs=trap.around(self.queue),
                queue=QUEUE,
                pipeline=PIPELINE,
                machine_arn=MACHINE,
                upstream=UPSTREAM,
                wait_minutes=wait_minutes,
                clock=self.clock,
            )
        else:
            judge = FileJudge(
                claims=claims,
                audit=audit,
                s3=s3,
                manifests=ManifestStore(client=s3, bucket=LOGS),
                bucket=RAW,
                dataset=DATASET,
                formats=formats,
                clock=self.clock,
            )
        launcher = Launcher(claims=claims, audit=audit, states=states, machine_arn=MACHINE)
        return Starter(judge=judge, launcher=launcher, pipeline=PIPELINE, workers=workers, clock=self.clock)

    def deliver(self, events: Sequence[dict[str, Any] | str], **options: Any) -> list[str]:
        """Hand events to a starter; answers the ids ("0", "1", ...) that it asks for again."""
        messages = [
            Message(id=str(number), body=event if isinstance(event, str) else json.dumps(event)) for number, event in enumerate(events)
        ]
        return self.starter(**options).start(messages, deadline=self.clock() + timedelta(seconds=FUNCTION_SECONDS))

    def drop(self, name: str, content: bytes, *, folder: str = FOLDER) -> dict[str, Any]:
        """Put a file, one second after the last, and answer the event that S3 sends."""
        self.clock.pass_seconds(1)
        version = self.s3.put_object(Bucket=RAW, Key=folder + name, Body=content)["VersionId"]
        return self.event(folder + name, version=version, size=len(content))

    def event(self, key: str, *, version: str, size: int) -> dict[str, Any]:
        self.sequencer += 1
        return {
            "version": "0",
            "id": hashlib.sha256(f"{key}{version}".encode()).hexdigest()[:32],
            "source": "aws.s3",
            "detail-type": "Object Created",
            "account": "123456789012",
            "region": REGION,
            "time": to_text(self.clock())[:19] + "Z",
            "detail": {
                "version": "0",
                "bucket": {"name": RAW},
                "object": {"key": key, "size": size, "etag": "e", "version-id": version, "sequencer": f"{self.sequencer:018X}"},
                "reason": "PutObject",
            },
        }

    def loaded(self) -> list[list[tuple[str, str]]]:
        """Name and version of the files of every execution, in the order of the starts."""
        return [
            [(file.key.rpartition("/")[2], file.version_id) for file in self.manifest(execution).files]
            for execution in self.states.executions.values()
            if execution.input["manifest"]
        ]

    def names(self) -> list[list[str]]:
        """Names of the files of every execution."""
        return [[name for name, _ in files] for files in self.loaded()]

    def manifest(self, execution: Execution) -> Manifest:
        return read_manifest(self.s3, execution.input["manifest"])

    def record_start(self, execution: Execution) -> None:
        """What the recorder does as an execution's first task."""
        given = execution.input
        self.audit.start_run(
            pipeline=given["pipeline"],
            run_id=given["run_id"],
            trigger=given["trigger"],
            attempt=given["attempt"],
            manifest=given["manifest"],
            batch_id=given["batch_id"],
            files=given["files"],
            execution_arn=f"arn:{execution.name}",
        )

    def end(self, execution: Execution, status: Any = "SUCCEEDED", reason: str = "") -> None:
        """End an execution and its run."""
        self.record_start(execution)
        execution.status = "SUCCEEDED" if status in {"SUCCEEDED", "SKIPPED"} else "FAILED"
        self.audit.end_run(pipeline=execution.input["pipeline"], run_id=execution.input["run_id"], status=status, reason=reason)

    def skips(self) -> dict[str, str]:
        """Reason of each file that the audit has as skipped."""
        runs = self.audit.runs(statuses=("SKIPPED",), limit=None)
        return {(run.source or "").rpartition("/")[2]: run.reason for run in runs if run.source}


def make_tables(dynamodb: Any, *, audit: str = AUDIT, control: str = CONTROL) -> None:
    """The tables of runs and claims."""
    dynamodb.create_table(**_table(audit, ("pipeline", "sk"), by_run=("run_id", "sk"), by_status=("status", "started_at")))
    dynamodb.create_table(**_table(control, ("pk", "sk")))


def make_tables_of_ends(dynamodb: Any) -> None:
    """The tables that the end of a run writes."""
    dynamodb.create_table(**_table(WATERMARKS, ("pk", "sk")))
    dynamodb.create_table(**_table(LINEAGE, ("pk", "sk"), by_source=("source", "sk"), by_target=("target", "sk")))


def _table(name: str, keys: tuple[str, str], **indexes: tuple[str, str]) -> dict[str, Any]:
    def schema(partition: str, sort: str) -> list[dict[str, str]]:
        return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]

    attributes = dict.fromkeys((*keys, *(attribute for pair in indexes.values() for attribute in pair)))
    found = [{"IndexName": index, "KeySchema": schema(*pair), "Projection": {"ProjectionType": "ALL"}} for index, pair in indexes.items()]
    return {
        "TableName": name,
        "KeySchema": schema(*keys),
        "AttributeDefinitions": [{"AttributeName": attribute, "AttributeType": "S"} for attribute in attributes],
        "BillingMode": "PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": found} if found else {}),
    }


@cache
def client(service: str) -> Any:
    """One client for all tests: making one takes longer than most tests."""
    return _OneCallAtATime(boto3.client(service, region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing"))


class _OneCallAtATime:
    """Keeps threads apart inside a call, where moto loses conditions; between calls they go as they like."""

    _lock = threading.Lock()

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._wrapped, name)
        if name == "exceptions" or not callable(value):
            return value

        def call(**kwargs: Any) -> Any:
            with self._lock:
                return value(**kwargs)

        return call


@contextmanager
def a_world() -> Iterator[World]:
    with moto.mock_aws():
        dynamodb, s3 = client("dynamodb"), client("s3")
        make_tables(dynamodb)
        make_tables_of_ends(dynamodb)
        for bucket in (RAW, LOGS):
            s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=RAW, VersioningConfiguration={"Status": "Enabled"})
        world = World(dynamodb=dynamodb, s3=s3)
        world.states.on_start = world.record_start
        yield world
