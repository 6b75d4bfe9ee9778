"""How results are shown: one way for people, one for programs; stdout carries nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import timedelta
from typing import Any, Protocol

from rich import box
from rich.console import Console
from rich.markup import escape as without_markup
from rich.table import Table as Grid

from cli.check_results import Checks
from cli.cost_results import Costs
from cli.erase_results import Erasure
from cli.results import Backfill, Done, Dropped, LogLine, Quarantine, QueryResult, Run, RunDetail, Runs, Status, Step, Tables, Waited
from cli.row_results import GroupRows
from cli.statement_results import StatementDetail, Statements
from cli.stop_results import Stopped
from cli.terminal import visible
from lakehouse.clock import from_text

PIPE_WIDTH = 240
"""Width of tables that do not go to a terminal: ids and reasons stay whole."""

WIDE = 160
"""Width at which whole ids fit into a list of runs."""

SHORT_ID = 18
"""Characters of an id that tell runs apart: the millisecond and 12 random bits."""

_COLOURS = {
    "SUCCEEDED": "green",
    "FINISHED": "green",
    "ABORTED": "red",
    "OK": "green",
    "PASSED": "green",
    "NOT_CHECKED": "yellow",
    "RUNNING": "cyan",
    "SKIPPED": "yellow",
    "NO_FILES": "yellow",
    "NOT_STARTED": "red",
    "DONE_BEFORE": "green",
    "INSUFFICIENT_DATA": "yellow",
    "FAILED": "red",
    "TIMED_OUT": "red",
    "ALARM": "red",
}


class Output(Protocol):
    """Shows the results of verbs."""

    def show(self, result: Any) -> None:
        """Write a result."""


class JsonOutput:
    """Writes a result as one JSON document."""

    def show(self, result: Any) -> None:
        """Write a result as docs/cli.md describes it."""
        document = asdict(result) if is_dataclass(result) and not isinstance(result, type) else result
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


class TextOutput:
    """Writes a result as tables and sentences."""

    def __init__(self, console: Console | None = None) -> None:
        """
        Args:
            console: Where to write; stdout if None.
        """
        plain = Console(highlight=False)
        self._console = console or (plain if plain.is_terminal else Console(highlight=False, width=PIPE_WIDTH))

    def show(self, result: Any) -> None:
        """Write a result in the way that fits its kind."""
        if isinstance(result, list):
            self._dropped([item for item in result if isinstance(item, Dropped)])  # pyright: ignore[reportUnknownVariableType] - isinstance says what it is
            return
        forms: dict[type, Callable[[Any], None]] = {
            Backfill: self._backfill,
            Checks: self._checks,
            Costs: self._costs,
            Done: self._done,
            Erasure: self._erasure,
            GroupRows: self._rows,
            Quarantine: self._quarantine,
            QueryResult: self._query,
            RunDetail: self._detail,
            Runs: self._listed,
            StatementDetail: self._statement,
            Statements: self._statements,
            Status: self._status,
            Stopped: self._stopped,
            Tables: self._tables,
            Waited: self._waited,
        }
        if type(result) not in forms:
            raise TypeError(f"no text form for {type(result).__name__}: add one to cli/output.py")
        forms[type(result)](result)

    def log_lines(self, lines: Iterable[LogLine]) -> None:
        """Write log lines as they come."""
        for line in lines:
            self._console.out(f"{line.at} {visible(line.text)}", highlight=False)

    def heading(self, text: str) -> None:
        """Write a line that begins a part."""
        self._console.print(f"\n[bold]{_plain(text)}[/bold]", soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()) -> None:
        """Write a table.

        Args:
            columns: Headings.
            rows: Cells; None shows as nothing.
            numbers: Headings of columns that are aligned to the right.
        """
        grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for name in columns:
            grid.add_column(_plain(name), justify="right" if name in numbers else "left", overflow="fold")
        for row in rows:
            grid.add_row(*(_cell(value) for value in row))
        self._console.print(grid)

    def _line(self, text: str) -> None:
        self._console.print(_plain(text), soft_wrap=True)

    def _done(self, done: Done) -> None:
        self._line(done.text + (f"; next: `{done.next}`" if done.next else ""))

    def _listed(self, found: Runs) -> None:
        if found.runs:
            self._runs(found.runs)
        else:
            self._line(f"no runs in {found.env} yet; drop a file: `lake drop DATASET FILE`")

    def _dropped(self, items: Sequence[Dropped]) -> None:
        for item in items:
            self._line(f"s3://{item.bucket}/{item.key} version {item.version_id} ({item.size} bytes)")
        self._line("next: `lake wait`")

    def _runs(self, runs: Sequence[Run]) -> None:
        """A line a run; a narrow terminal gets the beginning of the id, which `lake show` takes too."""
        is_wide = self._console.width >= WIDE
        self.table(
            ("run", "pipeline", "status", "started", "s", "rows", "silver", "superseded", "quarantined", "reason"),
            (
                (
                    run.run_id if is_wide else run.run_id[:SHORT_ID], run.pipeline, run.status, _moment(run.started_at), _seconds(run),
                    *((run.counts.rows_in, run.counts.silver, run.counts.superseded, run.counts.quarantined) if run.counts else ("",) * 4),
                    run.reason + (f" ({run.source.rsplit('/', 1)[-1]})" if run.source else ""),
                )
                for run in runs
            ),
            numbers=("s", "rows", "silver", "superseded", "quarantined"),
        )  # fmt: skip

    def _backfill(self, backfill: Backfill) -> None:
        self.table(
            ("day", "pipeline", "outcome", "files", "run", "s", "rows", "silver", "quarantined", "what there is to say"),
            (
                (
                    day.date,
                    day.pipeline,
                    day.outcome,
                    day.files,
                    day.run.run_id if day.run else "",
                    _seconds(day.run) if day.run else "",
                    *(
                        (day.run.counts.rows_in, day.run.counts.silver, day.run.counts.quarantined)
                        if day.run and day.run.counts
                        else ("",) * 3
                    ),
                    day.message or (day.run.reason if day.run else ""),
                )
                for day in backfill.days
            ),
            numbers=("files", "s", "rows", "silver", "quarantined"),
        )

    def _detail(self, detail: RunDetail) -> None:
        run = detail.run
        facts: list[tuple[str, object]] = [
            ("run", run.run_id),
            ("pipeline", run.pipeline),
            ("status", run.status),
            ("reason", f"{run.reason}: {run.message}" if run.reason else ""),
            ("trigger", f"{run.trigger}, attempt {run.attempt}"),
            ("time", f"{run.started_at} to {run.ended_at or 'now'}"),
            ("file", run.source),
            ("manifest", detail.manifest),
            ("execution", detail.execution_arn),
            ("files", _pairs(asdict(run.files)) if run.files else ""),
            ("records", _accounting(run)),
            ("quarantine", _pairs(detail.reasons)),
        ]
        width = max(len(name) for name, _ in facts)
        for name, value in facts:
            if value not in {None, ""}:
                self._console.print(f"{name:<{width}}  {_cell(value)}", soft_wrap=True)
        for warning in detail.warnings:
            self._console.print(f"{'warning':<{width}}  [yellow]{_plain(warning)}[/yellow]", soft_wrap=True)
        if detail.steps:
            self.heading("steps")
            self.table(
                ("step", "attempt", "status", "started", "s", "counts", "message"),
                (
                    (
                        step.step,
                        step.attempt,
                        step.status,
                        _moment(step.started_at),
                        _seconds(step),
                        _pairs(step.counts),
                        _beginning(step.message),
                    )
                    for step in detail.steps
                ),
                numbers=("attempt", "s"),
            )
        if detail.rows:
            self.heading("rows")
            self.table(
                ("row", "status", "run", "reason", "message"),
                ((row.row, row.status, row.run_id, row.reason, _beginning(row.message)) for row in detail.rows),
            )
        if detail.file_results:
            self.heading("files that were not plainly loaded")
            self.table(
                ("file", "outcome", "reason", "message"),
                ((file.file.rsplit("/", 1)[-1], file.outcome, file.reason, file.message) for file in detail.file_results),
            )
        if detail.quality:
            broken = [rule for rule in detail.quality if not rule.passed]
            self.heading(f"quality: {len(detail.quality) - len(broken)} of {len(detail.quality)} rules hold")
            if broken:
                self.table(
                    ("broken rule", "severity", "action", "value", "threshold", "failed rows", "message"),
                    (
                        (rule.rule, rule.severity, rule.action, rule.value, rule.threshold, rule.failed_rows, rule.message)
                        for rule in broken
                    ),
                    numbers=("value", "threshold", "failed rows"),
                )

    def _waited(self, waited: Waited) -> None:
        drops = f"{waited.drops} drop{'s' if waited.drops != 1 else ''} ended"
        if waited.runs:
            self._runs(waited.runs)
        self._line(f"{drops}, {len(waited.runs)} run{'s' if len(waited.runs) != 1 else ''}, {len(waited.failed)} failed")

    def _query(self, result: QueryResult) -> None:
        numbers = [
            column.name
            for column in result.columns
            if column.type in {"tinyint", "smallint", "integer", "bigint", "double", "float", "real", "decimal"}
        ]
        if result.columns:
            null = "[dim]NULL[/dim]"
            grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
            for column in result.columns:
                grid.add_column(_plain(column.name), justify="right" if column.name in numbers else "left", overflow="fold")
            for row in result.rows:
                grid.add_row(*(null if value is None else _plain(_text(value)) for value in row))
            self._console.print(grid)
        self._line(
            f"{len(result.rows)} row{'s' if len(result.rows) != 1 else ''}, {result.scanned_bytes} bytes read, {result.seconds:.1f} s"
        )

    def _quarantine(self, found: Quarantine) -> None:
        if not found.total:
            self._line(f"nothing of {found.dataset} is in quarantine")
            return
        for row in found.rows:
            self.heading(f"{row.source_file} row {row.row} (run {row.run_id})")
            for reason in row.reasons:
                about = " ".join(part for part in (reason.column, f"({reason.rule})" if reason.rule else "") if part)
                self._console.print(
                    f"  [red]{reason.code}[/red] {_plain(about)}{': ' if about and reason.message else ''}{_plain(reason.message or '')}",
                    soft_wrap=True,
                )
            content = (
                row.record
                if row.record is not None
                else ", ".join(f"{name}={'NULL' if value is None else value}" for name, value in (row.values | row.extra).items())
            )
            self._line(f"  {content}")
        self._line("")
        shown = f", the newest {len(found.rows)} are shown" if len(found.rows) < found.total else ""
        self._line(f"{found.total} row{'s' if found.total != 1 else ''} of {found.dataset} in quarantine{shown}: {_pairs(found.by_reason)}")

    def _erasure(self, found: Erasure) -> None:
        is_done = found.outcome != "PLANNED"
        self._line(f"{found.dataset}, key {', '.join(found.key_columns)} (sha256 {found.key_sha256[:16]}…): {found.outcome}")
        self.table(
            ("table", "rows with the key", "other rows", "data files", "old snapshots", "object versions", "unreadable", "young"),
            (
                (
                    table.table, table.rows, table.others, table.data_files, table.snapshots, table.object_versions, table.unreadable,
                    table.young,
                )
                for table in found.tables
            ),
            numbers=("rows with the key", "other rows", "data files", "old snapshots", "object versions", "unreadable", "young"),
        )  # fmt: skip
        for title, files in (
            (f"versions of raw files that {'are gone' if is_done else 'would go'}; bronze holds their other rows", found.files),
            ("versions of raw files that nobody could search", found.unsearched),
        ):
            if files:
                self.heading(title)
                self.table(
                    ("file", "version", "rows", "others", "why"),
                    ((file.file, file.version_id, file.rows, file.others, file.note) for file in files),
                    numbers=("rows", "others"),
                )
        if found.staged_versions:
            self._line(f"{found.staged_versions} versions of staged copies {'are gone' if is_done else 'would go'} from the logs bucket")
        self.heading("where else the rows may be")
        for sentence in found.elsewhere:
            self._line(f"- {sentence}")
        if found.runs:
            self.heading("computed anew")
            self._runs(found.runs)
        self._line(f"\nreport: {found.report}" if is_done else "\nnothing was changed; next: the same command with --yes")

    def _tables(self, found: Tables) -> None:
        if not found.tables:
            self._line(f"no tables in {found.env} yet; next: `lake deploy`")
            return
        self.table(
            ("table", "rows", "files", "bytes", "snapshots", "updated"),
            (
                (f"{table.database}.{table.name}", table.rows, table.files, table.bytes, table.snapshots, _moment(table.updated_at or ""))
                for table in found.tables
            ),
            numbers=("rows", "files", "bytes", "snapshots"),
        )

    def _costs(self, found: Costs) -> None:
        figures = ("runs", "failed", "seconds", "dpu_hours", "vcpu_hours", "memory_gb_hours", "price", "utilization")
        names = ("pipeline", "step", "engine", *figures, "advice")
        self.table(
            [name.replace("_", " ") for name in names],
            ([getattr(job, name) for name in names] for job in found.jobs),
            numbers=[name.replace("_", " ") for name in figures],
        )
        self._line(f"{found.first} to {found.last}: {found.price:g} {found.currency} at the prices of config/")
        if found.message:
            self._line(found.message)

    def _checks(self, found: Checks) -> None:
        self.table(
            ("table", "check", "outcome", "value", "limit", "what there is to say"),
            ((one.table, one.check, one.outcome, one.value, one.limit, one.message) for one in found.checks),
            numbers=("value", "limit"),
        )

    def _stopped(self, stopped: Stopped) -> None:
        self._runs([stopped.run])
        self._line(stopped.run.message)
        if stopped.goes_on:
            self._line(f"goes on: {stopped.goes_on}")

    def _rows(self, found: GroupRows) -> None:
        if not found.rows:
            self._line(f"no rows in {found.env} yet; next: `lake rows put GROUP FILE`")
            return
        self.table(
            ("group", "row", "active", "source", "target", "mode", "keys", "watermark", "priority", "fault"),
            (
                (
                    row.group, row.row, row.active, row.source, row.target, row.mode, ", ".join(row.keys), row.watermark, row.priority,
                    _beginning(row.fault),
                )
                for row in found.rows
            ),
            numbers=("priority",),
        )  # fmt: skip

    def _statements(self, found: Statements) -> None:
        if not found.statements:
            self._line(f"no such statements of the last day in {found.env}")
            return
        self.table(
            ("statement", "label", "status", "submitted", "updated", "text"),
            (
                (
                    entry.statement_id,
                    entry.label,
                    entry.status,
                    _moment(entry.submitted_at),
                    _moment(entry.updated_at),
                    _beginning(entry.sql, 80),
                )
                for entry in found.statements
            ),
        )

    def _statement(self, found: StatementDetail) -> None:
        self._line(f"statement {found.statement_id} {found.status}, {_moment(found.submitted_at)} to {_moment(found.updated_at)}")
        if found.error:
            self._line(found.error)
        self.table(
            ("status", "s", "rows", "text", "error"),
            ((part.status, f"{part.seconds:.1f}", part.rows, part.sql, part.error) for part in found.parts),
            numbers=("s", "rows"),
        )

    def _status(self, found: Status) -> None:
        where = f" on {found.endpoint}" if found.endpoint else ""
        self._line(f"{found.env}: platform {found.platform}{where}, {'deployed' if found.deployed else 'not deployed'}")
        if found.platform == "stopped":
            self._line("next: `lake up`")
            return
        if not found.deployed:
            self._line(f"next: `lake deploy --env {found.env}`")
        if found.stacks:
            self.heading("stacks")
            self.table(("stack", "status"), ((stack.name, stack.status) for stack in found.stacks))
        if found.queues:
            self.heading("arrivals")
            self.table(
                ("pipeline", "waiting", "in flight", "dead"),
                ((queue.pipeline, queue.waiting, queue.in_flight, queue.dead) for queue in found.queues),
                numbers=("waiting", "in flight", "dead"),
            )
        if found.deployed:
            self.heading("runs of the last 7 days")
            self._line(_pairs(found.runs))
        if found.alarms:
            self.heading("alarms")
            self.table(("alarm", "state"), ((alarm.name, alarm.state) for alarm in found.alarms))
        if found.tables:
            self.heading("tables")
            self.table(("table", "updated"), ((f"{table.database}.{table.name}", table.updated_at) for table in found.tables))


def _plain(text: str) -> str:
    """Text as it is: data is no markup, and no command to the terminal."""
    return without_markup(visible(text))


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = _plain(_text(value))
    colour = _COLOURS.get(text)
    return f"[{colour}]{text}[/{colour}]" if colour else text


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _accounting(run: Run) -> str:
    if run.counts is None:
        return ""
    # Rows of files are never deleted: a 0 there would only raise questions.
    known = {name: count for name, count in asdict(run.counts).items() if count is not None and (count or name != "deleted")}
    if None in asdict(run.counts).values():
        return f"{_pairs(known)}; the rest is not known"
    counts = run.counts
    deleted = f" + {counts.deleted} deleted" if counts.deleted else ""
    return f"{counts.rows_in} = {counts.silver} silver + {counts.superseded} superseded + {counts.quarantined} quarantined{deleted}"


def _seconds(entry: Run | Step) -> str:
    if entry.ended_at is None:
        return ""
    elapsed: timedelta = from_text(entry.ended_at) - from_text(entry.started_at)
    return f"{elapsed.total_seconds():.0f}"


def _moment(text: str) -> str:
    """A moment to the second."""
    return text[:19].replace("T", " ")


def _beginning(message: str, most: int = 300) -> str:
    """What a message begins with; `--json` and `lake logs` have all of it. The first line of an error from Java names only the call."""
    lines = [line.strip() for line in message.strip().splitlines()]
    first = " ".join(lines[:2])
    return f"{first[:most]}{' …' if len(lines) > 2 or len(first) > most else ''}"
