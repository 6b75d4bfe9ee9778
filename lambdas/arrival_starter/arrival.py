"""What arrives: events turned into frozen arrivals at the door, and the rules by which a file is left aside."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from lakehouse.claims import AFTER, SCHEDULE
from lakehouse.clock import from_text, to_text
from lakehouse.errors import TerminalError
from lakehouse.manifests import Compression, Format, sequence_of

FORMATS: Mapping[str, Format] = {".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet"}
"""Format of a file by the end of its name."""

GZIP_SUFFIX = ".gz"
"""May follow the end of a text file's name; Parquet compresses inside."""

_DAY = re.compile(r"year=(\d{4})/month=(\d{2})/day=(\d{2})/")
_UPSTREAM_ENDS = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")
_UPSTREAM_SKIPPED = "SKIPPED"
_RESULT = "result"
"""Key of the output of a state machine that holds what its run came to."""


class RefusedEventError(TerminalError):
    """An event that this function must not get: it goes to the dead-letter queue, where people see it."""


@dataclass(frozen=True, kw_only=True)
class FileArrival:
    """A version of a file that landed in raw.

    Attributes:
        bucket: Bucket.
        key: Key, as it is (EventBridge does not encode it).
        version_id: Version of the object.
        size: Bytes, as the event says.
        sequence: Orders the versions of a file.
    """

    bucket: str
    key: str
    version_id: str
    size: int
    sequence: str

    @property
    def place(self) -> tuple[str, str, str]:
        """What tells it from every other arrival."""
        return self.bucket, self.key, self.version_id

    @property
    def order(self) -> str:
        """Of two arrivals the larger is the later."""
        return self.sequence

    @property
    def name(self) -> str:
        """Last part of its key."""
        return self.key.rpartition("/")[2]

    @classmethod
    def from_event(cls, event: Mapping[str, Any], *, bucket: str, prefix: str) -> FileArrival:
        """Read an EventBridge event of S3.

        Args:
            event: The event.
            bucket: Raw bucket.
            prefix: Folder of the dataset in it.

        Raises:
            RefusedEventError: The event is of another kind, bucket or folder, or lacks what every such event has.
        """
        if event.get("source") != "aws.s3" or event.get("detail-type") != "Object Created":
            raise RefusedEventError(
                f"expected an EventBridge event of aws.s3, 'Object Created', got {event.get('source')!r}, {event.get('detail-type')!r}"
                f" with keys {', '.join(sorted(event))}: point the rule's pattern, not a bucket notification, at this queue"
            )
        detail = cast("dict[str, Any]", event.get("detail") or {})
        thing = cast("dict[str, Any]", detail.get("object") or {})
        found_bucket, key = cast("dict[str, Any]", detail.get("bucket") or {}).get("name"), thing.get("key")
        if found_bucket != bucket or not isinstance(key, str) or not key.startswith(prefix):
            raise RefusedEventError(
                f"this function takes s3://{bucket}/{prefix}*, got s3://{found_bucket}/{key}: correct the bucket and prefix of the rule"
            )
        if not thing.get("version-id"):
            raise RefusedEventError(f"the event of s3://{bucket}/{key} names no version: switch versioning on for the bucket")
        if not thing.get("sequencer") or not event.get("time"):
            raise RefusedEventError(f"the event of s3://{bucket}/{key} has no time or sequencer, so its place among others is unknown")
        return cls(
            bucket=bucket,
            key=key,
            version_id=thing["version-id"],
            size=int(thing.get("size", 0)),
            sequence=sequence_of(time=event["time"], sequencer=thing["sequencer"]),
        )


@dataclass(frozen=True, kw_only=True)
class UpstreamEnd:
    """A run of an upstream pipeline that ended.

    Attributes:
        pipeline: Pipeline that it starts.
        execution_arn: The execution that ended.
        ended_at: When, as the event says.
        status: SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
        is_skipped: Whether it had nothing to do, so that nothing follows from it.
        upstream: Pipeline of the execution, "" if the event leaves its input out.
        run_id: Its run, "" if the event leaves its input out: the audit knows whether it published, and when it ended.
    """

    pipeline: str
    execution_arn: str
    ended_at: str
    status: str
    is_skipped: bool
    upstream: str = ""
    run_id: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """What tells it from every other arrival."""
        return AFTER, self.pipeline, self.execution_arn

    @property
    def order(self) -> str:
        """Of two arrivals the larger is the later."""
        return self.ended_at

    @classmethod
    def from_event(cls, event: Mapping[str, Any], *, pipeline: str, machine_arn: str) -> UpstreamEnd:
        """Read an EventBridge event of Step Functions.

        Args:
            event: The event.
            pipeline: Pipeline that it starts.
            machine_arn: That pipeline's own state machine, which must not start itself.

        Raises:
            RefusedEventError: The event is of another kind, of another end, or the pipeline's own.
        """
        detail = cast("dict[str, Any]", event.get("detail") or {})
        if event.get("source") != "aws.states" or detail.get("status") not in _UPSTREAM_ENDS or not detail.get("executionArn"):
            raise RefusedEventError(
                f"expected an EventBridge event of aws.states with status {' or '.join(_UPSTREAM_ENDS)}, got {event.get('source')!r} with status"
                f" {detail.get('status')!r}: correct the pattern of the rule"
            )
        if detail.get("stateMachineArn") == machine_arn:
            raise RefusedEventError(f"{pipeline} would start itself for ever: take it out of its own `after`")
        upstream, run_id = _run_of(detail.get("input"))
        return cls(
            pipeline=pipeline,
            execution_arn=detail["executionArn"],
            ended_at=event.get("time", ""),
            status=detail["status"],
            is_skipped=_status_of(detail.get("output")) == _UPSTREAM_SKIPPED,
            upstream=upstream,
            run_id=run_id,
        )


@dataclass(frozen=True, kw_only=True)
class ScheduledTime:
    """A moment at which the clock starts a pipeline.

    Attributes:
        pipeline: Pipeline that it starts.
        scheduled_at: The moment that was meant, as UTC text, however late the message is.
    """

    pipeline: str
    scheduled_at: str

    @property
    def place(self) -> tuple[str, str, str]:
        """What tells it from every other arrival."""
        return SCHEDULE, self.pipeline, self.scheduled_at

    @property
    def order(self) -> str:
        """Of two arrivals the larger is the later."""
        return self.scheduled_at

    @classmethod
    def from_event(cls, event: Mapping[str, Any], *, pipeline: str) -> ScheduledTime:
        """Read the message that the pipeline's schedule sends: `{"pipeline": …, "scheduled_at": …}`.

        Args:
            event: The message.
            pipeline: Pipeline of this function.

        Raises:
            RefusedEventError: The message is of another kind or pipeline, or holds no moment.
        """
        if event.get("pipeline") != pipeline or not isinstance(event.get("scheduled_at"), str):
            raise RefusedEventError(
                f"expected the message of a schedule of {pipeline}, got one for {event.get('pipeline')!r} with keys"
                f" {', '.join(sorted(event))}: correct the input of the schedule, or start a run with `lake run {pipeline}`"
            )
        try:
            moment = from_text(event["scheduled_at"])
        except ValueError as error:
            raise RefusedEventError(f"scheduled_at is no moment ({error}): let the schedule send <aws.scheduler.scheduled-time>") from error
        return cls(pipeline=pipeline, scheduled_at=to_text(moment))


@dataclass(frozen=True, kw_only=True)
class Reminder:
    """What the starter of a pipeline that follows others sends itself while it lets ends wait.

    Attributes:
        pipeline: Pipeline that follows.
        remind_at: When it was to come, UTC text.
    """

    pipeline: str
    remind_at: str

    @property
    def place(self) -> tuple[str, str, str]:
        """What tells it from every other arrival."""
        return "reminder", self.pipeline, self.remind_at

    @property
    def order(self) -> str:
        """Of two arrivals the larger is the later."""
        return self.remind_at

    @classmethod
    def from_event(cls, event: Mapping[str, Any], *, pipeline: str) -> Reminder:
        """Read the message: `{"pipeline": …, "remind_at": …}`.

        Args:
            event: The message.
            pipeline: Pipeline of this function.

        Raises:
            RefusedEventError: It is of another pipeline.
        """
        if event.get("pipeline") != pipeline:
            raise RefusedEventError(
                f"expected a reminder of {pipeline}, got one of {event.get('pipeline')!r}: it was sent to the wrong queue"
            )
        return cls(pipeline=pipeline, remind_at=str(event["remind_at"]))


Arrival = FileArrival | UpstreamEnd | ScheduledTime | Reminder
"""Whatever can start a run, or remind of one."""


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Why a file is left aside: code of docs/cli.md and sentence for people."""

    reason: str
    message: str


def event_of(body: str) -> Any:
    """The event in a message of the queue, taken out of the envelope that SNS puts around it unless its subscription delivers raw.

    Raises:
        ValueError: It is no JSON.
    """
    event: Any = json.loads(body)
    if isinstance(event, dict):
        envelope = cast("dict[str, Any]", event)
        if envelope.get("Type") == "Notification" and envelope.get("TopicArn"):
            return json.loads(envelope["Message"])
    return event


def is_test_event(event: Mapping[str, Any]) -> bool:
    """Whether S3 only tries whether its messages get through."""
    return event.get("Event") == "s3:TestEvent"


def format_of(key: str, formats: Collection[str]) -> tuple[Format, Compression | None] | None:
    """How a file is read, by the end of its name, or None if that is not one of the formats.

    Args:
        key: Key of the file.
        formats: Formats that its contract accepts.
    """
    name = key.rpartition("/")[2].lower()
    is_gzip = name.endswith(GZIP_SUFFIX)
    stem = name.removesuffix(GZIP_SUFFIX)
    found = FORMATS.get(stem[stem.rfind(".") :] if "." in stem else "")
    if found is None or found not in formats or (is_gzip and found == "parquet"):
        return None
    return found, "gzip" if is_gzip else None


def skip_of(arrival: FileArrival, *, prefix: str, formats: Collection[str]) -> Skip | None:
    """Why a file is left aside by what the event says of it, or None.

    Args:
        arrival: The file.
        prefix: Folder of the dataset.
        formats: Formats that its contract accepts.
    """
    path = arrival.key.removeprefix(prefix)
    if _is_marker(path):
        return Skip(reason="marker_file", message=f"{arrival.name or path} is a marker, hidden or checksum file: such files hold no rows")
    if not _is_in_layout(path):
        return Skip(
            reason="outside_layout",
            message=f"{arrival.key} is not below {prefix}year=YYYY/month=MM/day=DD/ with a date that exists: put it there",
        )
    if format_of(arrival.key, formats) is None:
        accepted = sorted(suffix for suffix, name in FORMATS.items() if name in formats)
        return Skip(
            reason="unknown_suffix",
            message=f"{arrival.name} ends in none of {', '.join(accepted)} (text files also with {GZIP_SUFFIX}): name it after its format",
        )
    if arrival.size == 0:
        return Skip(reason="empty_file", message=f"{arrival.name} has no bytes")
    return None


def _is_marker(path: str) -> bool:
    if not path or path.endswith(("/", "_$folder$", ".crc")):
        return True
    return any(part.startswith(("_", ".")) for part in path.split("/"))


def _is_in_layout(path: str) -> bool:
    match = _DAY.match(path)
    if match is None or match.end() == len(path):
        return False
    try:
        date(*map(int, match.groups()))
    except ValueError:
        return False
    return True


def _status_of(output: object) -> object:
    """How the run of an execution ended, by its output; None if the event leaves it out, as it does with long ones."""
    if not isinstance(output, str):
        return None
    try:
        document: object = json.loads(output)
    except ValueError:
        return None
    result: object = cast("dict[str, object]", document).get(_RESULT) if isinstance(document, dict) else None
    return cast("dict[str, object]", result).get("status") if isinstance(result, dict) else None


def _run_of(given: object) -> tuple[str, str]:
    """Pipeline and run that an execution was started for, by its input; empty if the event leaves it out, as it does with long ones."""
    document: object = None
    with suppress(ValueError):
        document = json.loads(given) if isinstance(given, str) else None
    found = cast("dict[str, object]", document) if isinstance(document, dict) else {}
    return str(found.get("pipeline", "")), str(found.get("run_id", ""))
