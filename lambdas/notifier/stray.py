"""Executions that ended badly and whose input does not name their run: the audit cannot be asked, so people are told of the execution itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambdas.notifier.message import MAX_SUBJECT, Notice

MAX_CAUSE = 2000
"""Longest cause that is told, in characters; the history of the execution has all of it."""


@dataclass(frozen=True, kw_only=True)
class StrayExecution:
    """An execution that somebody started with an input that lacks the pipeline or the run.

    Attributes:
        arn: The execution.
        machine: Name of its state machine.
        status: FAILED, TIMED_OUT or ABORTED.
        why: Error and cause that Step Functions gives, or "".
    """

    arn: str
    machine: str
    status: str
    why: str

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> StrayExecution:
        """Read the detail of EventBridge's event of an execution that ended."""
        why = ": ".join(part for part in (detail.get("error"), detail.get("cause")) if part)
        return cls(
            arn=detail["executionArn"],
            machine=str(detail.get("stateMachineArn", "")).rpartition(":")[2] or "unknown",
            status=str(detail.get("status", "")),
            why=why[:MAX_CAUSE],
        )


def notice_of_stray(execution: StrayExecution, *, project: str, env: str) -> Notice:
    """Put such an execution in words."""
    lines = [
        f"An execution of {execution.machine} in {project}/{env} ended {execution.status}, and its input does not name its pipeline and run.",
        "So the audit cannot be asked what became of it.",
        "",
        f"Why:       {execution.why or 'nothing was said'}",
        f"Execution: {execution.arn}",
        "",
        "Next:",
        "  Somebody started it by hand. Start it again with the whole input: docs/operating.md says which.",
    ]
    return Notice(subject=f"[{project}/{env}] {execution.machine} {execution.status}: no run"[:MAX_SUBJECT], text="\n".join(lines))
