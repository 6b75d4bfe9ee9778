"""What a run came to, from what its steps and files left in the audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from lakehouse.audit_records import (
    ACCOUNTED,
    DELETED,
    FILES_REJECTED,
    NO_ROWS,
    PIPELINES,
    ROWS_FAILED,
    FileRecord,
    RowRecord,
    RunTrail,
    Status,
    StepRecord,
)

SHOWN_FILES = 5
"""Files that a message names; the others are counted."""

_GOOD: tuple[Status, ...] = ("SUCCEEDED", "SKIPPED")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ends.

    Attributes:
        status: SUCCEEDED, SKIPPED or FAILED.
        reason: Code of docs/cli.md, or "".
        message: Sentence for people, or "".
        counts: Rows.
        reasons: Quarantined rows by reason code.
        files: Files by outcome.
    """

    status: Status
    reason: str = ""
    message: str = ""
    counts: dict[str, int] = field(default_factory=dict[str, int])
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    files: dict[str, int] = field(default_factory=dict[str, int])


def outcome_of(trail: RunTrail) -> Outcome:
    """Judge a run whose steps are over.

    The last attempt of each step counts. The step that says what became of rows (`silver`, `superseded` or `quarantined`) does so for the
    run, and its sum is checked; of other counts the last step that gives one is kept.
    """
    steps = latest_attempts(trail.steps)
    files = _files(trail)
    counts = _counts(steps)
    reasons = _sum(step.reasons for step in steps)
    ended = partial(Outcome, counts=counts, reasons=reasons, files=files)
    unfinished = [step for step in steps if step.status not in _GOOD]
    if unfinished:
        step = unfinished[0]
        said = step.message or "its job ended without saying so in the audit"
        return ended(status="FAILED", reason="job_failed", message=f"step {step.step}, attempt {step.attempt}, is {step.status}: {said}")
    if not steps:
        return ended(status="FAILED", reason="job_failed", message="no step of this run left a trace in the audit")
    fault = accounting_fault(counts) or handover_fault(steps, counts)
    if fault:
        return ended(status="FAILED", reason="row_accounting", message=fault)
    failed = [row for row in trail.rows if row.status not in _GOOD]
    if failed:
        return ended(status="FAILED", reason=ROWS_FAILED, message=_failed_rows(failed, of=len(trail.rows)))
    if counts.get(PIPELINES) == 0:
        return ended(status="SKIPPED", reason=NO_ROWS, message="the group has no active row: `lake rows put` adds one")
    rejected = [file for file in trail.files if file.outcome == "rejected"]
    if rejected:
        return ended(status="FAILED", reason=FILES_REJECTED, message=_rejection(rejected, files))
    skipped = [file for file in trail.files if file.outcome == "skipped"]
    if skipped and not files["loaded"]:
        codes = sorted({file.reason for file in skipped})
        reason = codes[0] if len(codes) == 1 else "header_only"
        return ended(status="SKIPPED", reason=reason, message=f"nothing to load: {_names(skipped)}")
    return ended(status="SUCCEEDED")


def latest_attempts(steps: Iterable[StepRecord]) -> list[StepRecord]:
    """The last attempt of each step, in the order in which the steps began."""
    latest: dict[str, StepRecord] = {}
    for step in steps:
        if step.step not in latest or step.attempt > latest[step.step].attempt:
            latest[step.step] = step
    return list(latest.values())


def accounting_fault(counts: Mapping[str, int]) -> str:
    """What is wrong with the sum of rows, or "" if nothing is, or if no step accounts for rows."""
    if not any(name in counts for name in ACCOUNTED[1:]):
        return ""
    missing = [name for name in ACCOUNTED if name not in counts]
    if missing:
        return f"rows cannot be accounted for: {', '.join(missing)} is not counted"
    came, *went = (*(counts[name] for name in ACCOUNTED), counts.get(DELETED, 0))
    if came == sum(went):
        return ""
    deleted = f" + deleted {went[3]}" if DELETED in counts else ""
    return f"{came} rows came in, but silver {went[0]} + superseded {went[1]} + quarantined {went[2]}{deleted} = {sum(went)}"


def handover_fault(steps: Iterable[StepRecord], counts: Mapping[str, int]) -> str:
    """What is wrong between the steps that brought rows in and the step that accounts for them, or "" if nothing is."""
    for step in steps:
        if _is_accounting(step):
            return ""
        if step.counts.get("rows_in", counts.get("rows_in")) != counts.get("rows_in"):
            return f"step {step.step} brought {step.counts['rows_in']} rows, but only {counts.get('rows_in')} were accounted for later"
    return ""


def _is_accounting(step: StepRecord) -> bool:
    return any(name in step.counts for name in ACCOUNTED[1:])


def _counts(steps: Iterable[StepRecord]) -> dict[str, int]:
    counts: dict[str, int] = {}
    accounting: list[StepRecord] = []
    for step in steps:
        if _is_accounting(step):
            accounting.append(step)
        counts.update(step.counts)
    if accounting:
        for name in (*ACCOUNTED, DELETED):
            counts.pop(name, None)
        # A step that failed may know some of its numbers only; what one of them does not know, nobody can sum.
        known = [name for name in ACCOUNTED if all(name in step.counts for step in accounting)]
        counts.update(_sum({name: step.counts[name] for name in known} for step in accounting))
        counts.update(_sum({DELETED: step.counts[DELETED]} for step in accounting if DELETED in step.counts))
    return counts


def _files(trail: RunTrail) -> dict[str, int]:
    skipped = sum(file.outcome == "skipped" for file in trail.files)
    rejected = sum(file.outcome == "rejected" for file in trail.files)
    return {"loaded": max(trail.run.file_count - skipped - rejected, 0), "skipped": skipped, "rejected": rejected}


def _sum(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return total


def _failed_rows(failed: list[RowRecord], *, of: int) -> str:
    good = of - len(failed)
    others = f"; the other {good} are published" if good else ""
    return f"{len(failed)} of {of} rows failed: {', '.join(f'{row.row} ({row.reason})' for row in failed)}{others}"


def _rejection(rejected: list[FileRecord], files: Mapping[str, int]) -> str:
    good = f"; the other {files['loaded']} were loaded" if files["loaded"] else ""
    return f"{len(rejected)} of {sum(files.values())} files rejected{good}: {_names(rejected)}"


def _names(files: list[FileRecord]) -> str:
    shown = "; ".join(f"{file.source} ({file.reason}{': ' + file.message if file.message else ''})" for file in files[:SHOWN_FILES])
    more = len(files) - SHOWN_FILES
    return f"{shown}; and {more} more" if more > 0 else shown
