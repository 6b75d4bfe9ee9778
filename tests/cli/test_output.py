"""What people see: data shows as it is, and commands nothing."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from cli.output import TextOutput
from cli.progress import Progress
from cli.results import LogLine, Quarantine, QuarantinedRow, QueryColumn, QueryResult, Reason, Runs
from cli.runs import detail_of, run_of
from cli.statement_results import Statement, StatementDetail, StatementPart, Statements
from cli.terminal import visible
from lakehouse.audit_records import QualityRecord, RunRecord, RunTrail
from lakehouse.clock import from_text

NOW = from_text("2026-11-22T06:00:00Z")
EVIL = "a\x1b]0;pwned\x07\x9b2J\r[red]b"
SHOWN = r"a\x1b]0;pwned\x07\x9b2J\x0d[red]b"

RUN = RunRecord(
    run_id="01a201a0-1c80-7c2b-be13-48e1e7f330c5",
    pipeline="orders",
    status="FAILED",
    started_at="2026-11-22T05:00:00.000Z",
    ended_at="2026-11-22T05:01:00.000Z",
    trigger="arrival",
)


def _shown(result: object) -> str:
    return _with(lambda output: output.show(result))


def _with(use: Callable[[TextOutput], None]) -> str:
    stream = io.StringIO()
    use(TextOutput(Console(file=stream, width=240, force_terminal=True, color_system=None, highlight=False)))
    return stream.getvalue()


def test_control_characters_and_stray_bytes_become_visible_and_nothing_else_changes() -> None:
    assert visible(EVIL) == SHOWN
    assert visible("tab\tline\nüñ列 \u2028") == "tab\tline\nüñ列 \u2028"
    assert visible(b"na\xefve".decode(errors="surrogateescape")) == r"na\xefve"


def test_quarantined_values_command_no_terminal() -> None:
    row = QuarantinedRow(
        source_file=f"s3://raw/{EVIL}",
        source_version="v",
        row=1,
        reasons=[Reason(code="invalid_value", column=EVIL, rule=EVIL, message=EVIL)],
        values={"name": EVIL},
        extra={EVIL: None},
        record=None,
        run_id="r",
        quarantined_at="2026-11-22T05:00:00Z",
    )
    for one in (row, replace(row, record=EVIL)):
        text = _shown(Quarantine(dataset="sales.orders", total=1, by_reason={"invalid_value": 1}, rows=[one]))
        assert "\x1b" not in text
        assert "\x9b" not in text
        assert SHOWN in text


def test_answers_of_queries_logs_messages_and_progress_command_no_terminal() -> None:
    columns = [QueryColumn(name=EVIL, type="varchar")]
    stream = io.StringIO()
    with Progress(EVIL, console=Console(file=stream, width=240)) as progress:
        progress.note(EVIL)
    for text in (
        _shown(QueryResult(query_id="q", columns=columns, rows=[[EVIL]], scanned_bytes=1, seconds=1.0)),
        _shown(Runs(env="dev", runs=[run_of(replace(RUN, reason=EVIL), now=NOW)])),
        _shown(detail_of(RunTrail(run=replace(RUN, reason="job_failed", message=EVIL, warnings=[EVIL])), now=NOW)),
        _with(lambda output: output.log_lines([LogLine(at="t", stream="s", text=EVIL)])),
        stream.getvalue(),
    ):
        assert "\x1b" not in text
        assert "\x9b" not in text
        assert r"a\x1b]0;pwned" in text


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"rows_in": 10, "silver": 7, "superseded": 1, "quarantined": 2}, "10 = 7 silver + 1 superseded + 2 quarantined"),
        ({"rows_in": 10, "quarantined": 2}, "rows_in 10, quarantined 2; the rest is not known"),
        ({"rows_in": 10}, "rows_in 10; the rest is not known"),
    ],
)
def test_only_numbers_that_are_known_are_shown(counts: dict[str, int], text: str) -> None:
    detail = detail_of(RunTrail(run=replace(RUN, counts=counts)), now=NOW)
    assert detail.run.counts is not None
    assert (detail.run.counts.silver, detail.run.counts.quarantined) == (counts.get("silver"), counts.get("quarantined"))
    assert text in _shown(detail)
    assert "None" not in _shown(Runs(env="dev", runs=[detail.run]))


def test_a_run_that_counted_nothing_has_no_numbers() -> None:
    assert run_of(replace(RUN, counts={"gold": 5}), now=NOW).counts is None


def test_a_rule_that_could_not_be_measured_says_why() -> None:
    rule = QualityRecord(
        dataset="d",
        rule="r",
        level="table",
        severity="error",
        action="halt",
        passed=False,
        message="the value is nan, which cannot be kept",
    )
    detail = detail_of(RunTrail(run=RUN, quality=(rule,)), now=NOW)
    assert detail.quality[0].message == rule.message
    assert "the value is nan" in _shown(detail)


def test_a_failed_run_names_its_manifest_in_text_and_json() -> None:
    detail = detail_of(RunTrail(run=replace(RUN, manifest="s3://logs/manifests/a/b/c.json", file_count=3)), now=NOW)
    assert (detail.manifest, detail.file_count) == ("s3://logs/manifests/a/b/c.json", 3)
    assert "s3://logs/manifests/a/b/c.json" in _shown(detail)


def test_statements_of_the_warehouse_are_shown_with_what_became_of_them() -> None:
    moment = "2026-11-22T06:00:00.000Z"
    entry = Statement(statement_id="s-1", label="lake-sql", status="FAILED", sql=f"SELECT {EVIL}", submitted_at=moment, updated_at=moment)
    listed = _shown(Statements(env="local", statements=[entry]))
    assert "s-1" in listed
    assert r"SELECT a\x1b]0;pwned\x07" in listed
    assert "no such statements of the last day in local" in _shown(Statements(env="local", statements=[]))
    part = StatementPart(status="FAILED", sql="SELECT x", error="ERROR: no x", rows=None, seconds=1.25)
    detail = StatementDetail(statement_id="s-1", status="FAILED", error="ERROR: no x", submitted_at=moment, updated_at=moment, parts=[part])
    shown = _shown(detail)
    assert "statement s-1 FAILED, 2026-11-22 06:00:00 to 2026-11-22 06:00:00\nERROR: no x" in shown
    assert "1.2" in shown
