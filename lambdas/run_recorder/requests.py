"""What the recorder is asked: payloads of state machines and EventBridge events, as frozen requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from lakehouse.clock import from_text, to_text
from lakehouse.errors import TerminalError

ACTIONS = ("start", "lease", "begin_step", "end_step", "explain", "finish", "fail")
"""Actions that a state machine may ask for."""

ENDINGS = ("FAILED", "TIMED_OUT", "ABORTED")
"""Ends of executions of which EventBridge tells."""


class UnknownRequestError(TerminalError):
    """The payload is none that this function understands."""


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """A run begins."""

    pipeline: str
    run_id: str
    trigger: str
    attempt: int
    manifest: str | None
    batch_id: str | None
    files: int
    execution_arn: str | None
    started_at: str | None
    seconds: int | None


@dataclass(frozen=True, kw_only=True)
class LeaseRequest:
    """A run wants to write tables."""

    pipeline: str
    run_id: str
    tables: tuple[str, ...]
    seconds: int


@dataclass(frozen=True, kw_only=True)
class BeginStepRequest:
    """A step that no job of ours records begins."""

    pipeline: str
    run_id: str
    step: str
    engine: str
    job_run_id: str


@dataclass(frozen=True, kw_only=True)
class EndStepRequest:
    """Such a step has succeeded.

    Attributes:
        counts: What it counted.
        source: What it read, for lineage.
        target: What it wrote.
    """

    pipeline: str
    run_id: str
    step: str
    attempt: int
    counts: Mapping[str, int]
    source: str
    target: str


@dataclass(frozen=True, kw_only=True)
class FinishRequest:
    """The steps of a run are over."""

    pipeline: str
    run_id: str


@dataclass(frozen=True, kw_only=True)
class FailRequest:
    """A task of a run failed for good."""

    pipeline: str
    run_id: str
    step: str
    error: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class ExplainRequest:
    """A job failed, and its engine knows no more than that."""

    pipeline: str
    run_id: str
    step: str
    error: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class EndingEvent:
    """An execution ended without success; its run may have been recorded, or not even begun."""

    start: StartRequest
    status: str
    error: str
    cause: str


Request = StartRequest | LeaseRequest | BeginStepRequest | EndStepRequest | ExplainRequest | FinishRequest | FailRequest | EndingEvent


def request_of(event: Mapping[str, Any]) -> Request:
    """Read a payload.

    Raises:
        UnknownRequestError: It is none that this function understands, or lacks something.
    """
    try:
        if event.get("source") == "aws.states":
            return _ending(event)
        match event.get("action"):
            case "start":
                return _start(event, execution_arn=event.get("execution_arn"), started_at=event.get("started_at"))
            case "lease":
                return LeaseRequest(
                    pipeline=event["pipeline"], run_id=event["run_id"], tables=tuple(event["tables"]), seconds=int(event["seconds"])
                )
            case "begin_step":
                return BeginStepRequest(**{key: str(event[key]) for key in ("pipeline", "run_id", "step", "engine", "job_run_id")})
            case "end_step":
                return _end_step(event)
            case "finish":
                return FinishRequest(pipeline=event["pipeline"], run_id=event["run_id"])
            case "explain":
                return ExplainRequest(**_failed(event))
            case "fail":
                return FailRequest(**_failed(event))
            case other:
                raise UnknownRequestError(
                    f"action {other!r} is unknown: this function knows {', '.join(ACTIONS)} and EventBridge's aws.states events"
                )
    except KeyError as error:
        raise UnknownRequestError(f"the payload has no {error}, it has {', '.join(sorted(event))}: pass every key of the action") from error


def _start(document: Mapping[str, Any], *, execution_arn: str | None, started_at: str | None) -> StartRequest:
    return StartRequest(
        pipeline=document["pipeline"],
        run_id=document["run_id"],
        trigger=document.get("trigger") or "manual",
        attempt=int(document.get("attempt") or 1),
        manifest=document.get("manifest"),
        batch_id=document.get("batch_id"),
        files=int(document.get("files") or 0),
        execution_arn=execution_arn,
        started_at=None if started_at is None else to_text(from_text(started_at)),
        seconds=None if document.get("seconds") is None else int(document["seconds"]),
    )


def _end_step(event: Mapping[str, Any]) -> EndStepRequest:
    """Read counts as the Data API answers them: a list of fields, each a mapping of its type to its value."""
    values: list[Any] = [next(iter(field.values())) for field in event["row"]]
    return EndStepRequest(
        pipeline=event["pipeline"],
        run_id=event["run_id"],
        step=event["step"],
        attempt=int(event["attempt"]),
        counts={name: int(value) for name, value in zip(event["count_names"], values, strict=True)},
        source=event["source"],
        target=event["target"],
    )


def _failed(event: Mapping[str, Any]) -> dict[str, str]:
    """Read what a Catch was given: an Error, and a Cause that a timeout may lack."""
    failure = cast("dict[str, Any]", event["failure"])
    return {
        "pipeline": event["pipeline"],
        "run_id": event["run_id"],
        "step": event.get("step") or "",
        "error": failure.get("Error") or "",
        "cause": failure.get("Cause") or "",
    }


def _ending(event: Mapping[str, Any]) -> EndingEvent:
    detail = cast("dict[str, Any]", event["detail"])
    if detail.get("status") not in ENDINGS:
        raise UnknownRequestError(f"status {detail.get('status')!r} needs no record: send {', '.join(ENDINGS)} only")
    try:
        document: object = json.loads(detail.get("input") or "null")
    except ValueError as error:
        raise UnknownRequestError(f"the input of {detail['executionArn']} is no JSON, so its run is not known") from error
    if not isinstance(document, dict):
        raise UnknownRequestError(
            f"the input of {detail['executionArn']} is no object, so its run is not known: give it as docs/operating.md says"
        )
    return EndingEvent(
        start=_start(cast("dict[str, Any]", document), execution_arn=detail["executionArn"], started_at=None),
        status=detail["status"],
        error=detail.get("error") or "",
        cause=detail.get("cause") or "",
    )
