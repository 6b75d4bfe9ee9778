"""The message that people get of a run that failed: what, why, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.audit_records import UNSUCCESSFUL, RunRecord, RunTrail

MAX_SUBJECT = 99
"""SNS takes fewer than 100 characters."""

MAX_MESSAGE = 500
"""Longest account of one thing, in characters; `lake show` has the rest. With at most `_SHOWN` of a kind, a text stays far below SNS's 256 KiB."""

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A subject of one line and a text."""

    subject: str
    text: str


def notice_of(trail: RunTrail, *, project: str, env: str) -> Notice:
    """Put a run in words whose execution failed, be it that it had ended well before."""
    run = trail.run
    verdict = _verdict(run)
    lines = [
        f"Pipeline {run.pipeline} {verdict} in {project}/{env}.",
        "",
        _why(run),
        f"Run:     {run.run_id} (attempt {run.attempt}, started by {run.trigger or 'unknown'})",
        f"When:    {run.started_at} to {run.ended_at}",
        *_rows(run),
        *_files(trail),
        *_steps(trail),
        *_warnings(run),
        "",
        "Next:",
        f"  lake show {run.run_id} --env {env}    what happened, step by step",
        f"  lake logs {run.run_id} --env {env}    what the jobs said",
        *_advice(run, env),
    ]
    subject = f"[{project}/{env}] {run.pipeline} {verdict}: {run.reason or ('unknown' if run.status in UNSUCCESSFUL else run.status)}"
    return Notice(subject=subject[:MAX_SUBJECT], text="\n".join(lines))


def _verdict(run: RunRecord) -> str:
    if run.status not in UNSUCCESSFUL:
        return "failed after its end"
    return "ran out of time" if run.status == "TIMED_OUT" else "failed"


def _why(run: RunRecord) -> str:
    if run.status in UNSUCCESSFUL:
        return f"Why:     {run.reason or 'unknown'}: {_cut(run.message) or 'nothing was said'}"
    return (
        f"Why:     the run ended {run.status} and what it brought stays, but its execution failed: see the warnings, or {run.execution_arn}"
    )


def _rows(run: RunRecord) -> list[str]:
    if not run.counts:
        return []
    reasons = f" ({', '.join(f'{code} {rows}' for code, rows in sorted(run.reasons.items()))})" if run.reasons else ""
    return [f"Rows:    {', '.join(f'{name} {rows}' for name, rows in run.counts.items())}{reasons}"]


def _files(trail: RunTrail) -> list[str]:
    rejected = [file for file in trail.files if file.outcome == "rejected"]
    lines = [f"  {file.source} ({file.version}): {file.reason} {_cut(file.message)}".rstrip() for file in rejected[:_SHOWN]]
    more = [f"  and {len(rejected) - _SHOWN} more"] if len(rejected) > _SHOWN else []
    return ["Rejected files:", *lines, *more] if rejected else []


def _steps(trail: RunTrail) -> list[str]:
    shown = trail.steps[-_SHOWN:]
    earlier = [f"  {len(trail.steps) - len(shown)} earlier attempts"] if len(trail.steps) > len(shown) else []
    lines = [f"  {step.step}, attempt {step.attempt}: {step.status} {_cut(_first_line(step.message))}".rstrip() for step in shown]
    return ["Steps:", *earlier, *lines] if lines else []


def _warnings(run: RunRecord) -> list[str]:
    return ["Warnings:", *(f"  {_cut(warning)}" for warning in run.warnings[:_SHOWN])] if run.warnings else []


def _advice(run: RunRecord, env: str) -> list[str]:
    if run.reason == "files_rejected":
        return ["  Correct the rejected files and drop them again; the others are loaded."]
    if run.reason in {"too_many_quarantined", "quality_gate"}:
        return [f"  lake quarantine DATASET --env {env}    the rows that were kept out, with reasons"]
    return []


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _cut(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 1]}…"
