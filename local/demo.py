"""The demo, `make demo`: TPC-H files travel raw -> bronze -> silver -> gold, then a drop full of faults; everything shown is checked."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lakehouse.errors import LakehouseError, TerminalError
from local.tpch.dirty import DIRTY_DAY, DIRTY_FILES, expected_reasons, write_dirty_drop
from local.tpch.drops import DATASETS, DOMAIN, Drops, generate
from local.tpch.expected import DailyRevenue, daily_revenue

ROOT = Path(__file__).resolve().parents[1]

ZONES = ("bronze", "silver", "quarantine")
"""Zones that each delivered dataset passes."""

GOLD_QUERY = "SELECT o_orderdate, c_mktsegment, revenue, orders FROM gold_tpch.daily_revenue ORDER BY 1, 2"
"""The query that is shown at the end."""

LINE = 150
"""Longest command line that is shown."""

FAILED = 1


class DemoError(TerminalError):
    """What the demo shows is not what it must be, or a verb failed."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a call of `lake` ended.

    Attributes:
        code: Its exit code.
        text: What it printed on stdout.
    """

    code: int
    text: str

    @property
    def document(self) -> Any:
        """Its stdout, read as JSON."""
        return json.loads(self.text)


class Lake:
    """Calls `lake` as the reader would, and shows each call."""

    def __init__(self, *, console: Console) -> None:
        """
        Args:
            console: Where to show what is called.
        """
        self._console = console

    def __call__(self, *arguments: str, is_shown: bool = True, is_passed: bool = False, may_fail: bool = False) -> Answer:
        """Run one verb; its progress goes to stderr.

        Args:
            arguments: The command line after `lake`.
            is_shown: Whether the reader sees the call.
            is_passed: Whether what it prints goes straight to the reader.
            may_fail: Whether exit code 1 is an answer too.

        Raises:
            DemoError: It failed.
        """
        if is_shown:
            self._console.print(f"[bold]$ lake {escape(_shortened(arguments))}[/bold]", soft_wrap=True)
        out = None if is_passed else subprocess.PIPE
        result = subprocess.run([sys.executable, "-m", "cli.main", *arguments], cwd=ROOT, stdout=out, text=True, check=False)
        if result.returncode != 0 and not (may_fail and result.returncode == FAILED):
            raise DemoError(f"`lake {_shortened(arguments)}` ended with exit code {result.returncode}, see above")
        return Answer(code=result.returncode, text=result.stdout or "")

    def rows(self, query: str) -> list[list[Any]]:
        """Rows that Athena answers."""
        return self("sql", query, "--json").document["rows"]

    def runs(self) -> list[dict[str, Any]]:
        """The newest runs, oldest first."""
        return list(reversed(self("runs", "--json", is_shown=False).document["runs"]))


class Demo:
    """The whole demonstration."""

    def __init__(self, *, scale: float, days: int) -> None:
        """
        Args:
            scale: TPC-H scale factor.
            days: Order dates that are delivered.
        """
        self._scale, self._days = scale, days
        self._console = Console(highlight=False, soft_wrap=True)
        self._lake = Lake(console=self._console)
        self._began = time.monotonic()

    def run(self) -> None:
        """Start, deploy, deliver, wait, show and check.

        Raises:
            LakehouseError: Something failed or is not as it must be.
        """
        self._title("Start the platform and deploy every stack")
        self._lake("up")
        self._lake("deploy")
        known = {run["run_id"] for run in self._lake.runs()}

        self._title(f"Deliver the last {self._days} days of TPC-H at scale {self._scale:g}")
        folder = ROOT / ".lake" / "demo"
        drops = generate(scale=self._scale, days=self._days, out=folder)
        dirty = [path for _, path in write_dirty_drop(folder / "dirty")]
        self._deliver(drops)
        self._wait_for_claims(known)

        self._title("Deliver files that are full of faults")
        for case in DIRTY_FILES:
            self._say(f"  {case.name:<22} {case.fault}")
        self._lake("drop", f"{DOMAIN}.orders", *map(str, dirty), "--date", DIRTY_DAY)
        waited = self._lake("wait", is_passed=True, may_fail=True)

        fresh = [run for run in self._lake.runs() if run["run_id"] not in known]
        self._title("The audit trail of each run")
        rejections = {run["run_id"]: self._show(run) for run in fresh}
        self._title("Rows per zone")
        counts = self._zones()
        self._title("Quarantined rows by reason")
        reasons = self._quarantine()
        self._title("Gold, as Athena answers it")
        gold = self._gold()
        self._title("Alarms")
        self._alarms()

        check(drops=drops, runs=fresh, rejections=rejections, counts=counts, reasons=reasons, gold=gold, wait_code=waited.code)
        self._farewell()

    def _deliver(self, drops: Drops) -> None:
        """Drop every day of a dataset at once, so that they become one run."""
        for dataset in DATASETS:
            files = drops.of(f"{DOMAIN}.{dataset}")
            with ThreadPoolExecutor(max_workers=len(files)) as pool:
                for answer in pool.map(lambda file: self._lake("drop", file.dataset, str(file.path), "--date", f"{file.day}"), files):
                    self._console.print(escape(answer.text.splitlines()[0]))

    def _wait_for_claims(self, known: set[str]) -> None:
        """Wait until the clean orders are a run of their own: a rejected file beside them would fail that run."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if any(run["pipeline"] == "orders" and run["run_id"] not in known for run in self._lake.runs()):
                return
            time.sleep(1)
        raise DemoError("the drop of orders started no run within 120 s: see `lake status`")

    def _show(self, run: dict[str, Any]) -> dict[str, str]:
        """Show the audit trail of a run.

        Returns:
            Reasons of its rejected files, by their names.
        """
        if run["source"]:  # a file that started nothing: all there is to say fits a line
            self._say(f"{run['run_id']} {run['pipeline']} {run['status']}: {run['message']}")
            return {}
        self._lake("show", run["run_id"], is_passed=True)
        if run["status"] != "FAILED":
            return {}
        files = self._lake("show", run["run_id"], "--json", is_shown=False).document["file_results"]
        return {Path(file["file"]).name: file["reason"] for file in files if file["outcome"] == "rejected"}

    def _zones(self) -> dict[str, int]:
        tables = [f"{zone}_{DOMAIN}.{dataset}" for zone in ZONES for dataset in DATASETS] + [f"gold_{DOMAIN}.daily_revenue"]
        statement = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in tables)  # noqa: S608 - our own names
        counts = {str(table): int(rows) for table, rows in self._lake.rows(f"{statement} ORDER BY 1")}
        self._table(("table", "rows"), ((table, counts[table]) for table in tables))
        return counts

    def _quarantine(self) -> dict[str, int]:
        found = self._lake("quarantine", f"{DOMAIN}.orders", "--json").document
        folder = f"/{_raw_folder(DIRTY_DAY)}/"
        mine = [row for row in found["rows"] if folder in row["source_file"]]
        codes = [reason["code"] for row in mine for reason in row["reasons"]]
        reasons = {code: codes.count(code) for code in sorted(set(codes))}
        self._table(("reason", "rows"), reasons.items())
        return reasons

    def _gold(self) -> tuple[DailyRevenue, ...]:
        rows = self._lake.rows(GOLD_QUERY)
        self._table(("o_orderdate", "c_mktsegment", "revenue", "orders"), rows)
        return tuple(
            DailyRevenue(o_orderdate=date.fromisoformat(day), c_mktsegment=segment, revenue=Decimal(revenue), orders=orders)
            for day, segment, revenue, orders in rows
        )

    def _alarms(self) -> None:
        alarms = self._lake("status", "--json").document["alarms"]
        self._table(("alarm", "state"), ((alarm["name"], alarm["state"]) for alarm in alarms))

    def _farewell(self) -> None:
        self._title(f"Done in {time.monotonic() - self._began:.0f} s; everything above was checked")
        for line in (
            "The orders run FAILED on purpose: a file without a column was rejected, its good neighbours were published.",
            "",
            "How to go on:",
            "  .venv/bin/lake status                                 what is deployed, what waits, what is alarmed",
            '  .venv/bin/lake sql "SELECT * FROM silver_tpch.orders LIMIT 5"',
            "  .venv/bin/lake quarantine tpch.orders                 the rows that broke a rule, and why",
            "  .venv/bin/lake drop tpch.orders FILE.csv              a file of your own, then: .venv/bin/lake wait",
            "  .venv/bin/lake down                                   stop (state is kept); with --wipe forget everything",
        ):
            self._say(line)

    def _title(self, text: str) -> None:
        self._console.print(f"\n[bold cyan]== {escape(text)}[/bold cyan] [dim]({time.monotonic() - self._began:.0f} s)[/dim]")

    def _say(self, text: str) -> None:
        self._console.print(escape(text))

    def _table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        grid = Table(*columns, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for row in rows:
            grid.add_row(*(escape(str(value)) for value in row))
        self._console.print(grid)


def check(
    *,
    drops: Drops,
    runs: Sequence[dict[str, Any]],
    rejections: Mapping[str, dict[str, str]],
    counts: dict[str, int],
    reasons: dict[str, int],
    gold: Sequence[DailyRevenue],
    wait_code: int,
) -> None:
    """Hold what was shown against what must be.

    Raises:
        DemoError: It differs; the text lists every difference.
    """
    faults = [*_run_faults(runs, rejections), *_count_faults(drops, counts)]
    wanted = daily_revenue(drops.source, days=drops.days)
    mine = tuple(row for row in gold if row.o_orderdate in drops.days)
    if mine != wanted:
        only = [f"got {row}" for row in mine if row not in wanted] + [f"missing {row}" for row in wanted if row not in mine]
        faults.append(f"gold differs from DuckDB's computation over the generator's files: {'; '.join(only[:4])}")
    if reasons != dict(sorted(expected_reasons().items())):
        faults.append(f"the dirty drop quarantined {reasons}, not {expected_reasons()}")
    if any(run["status"] == "FAILED" for run in runs) != bool(wait_code):
        faults.append(f"`lake wait` ended with {wait_code}, which does not fit the runs")
    if faults:
        listed = "\n".join(f"  {fault}" for fault in faults)
        hint = "If files of your own were dropped before: `lake down --wipe`, then `make demo` again."
        raise DemoError(f"the demo is not as it must be:\n{listed}\n{hint}")


def _run_faults(runs: Sequence[dict[str, Any]], rejections: Mapping[str, dict[str, str]]) -> Iterable[str]:
    wanted = {case.name: case.reason for case in DIRTY_FILES if case.outcome == "rejected"}
    for run in runs:
        name, counts = run["run_id"], run["counts"]
        # A run that failed may not know all of them.
        if counts and None not in counts.values() and counts["rows_in"] != counts["silver"] + counts["superseded"] + counts["quarantined"]:
            yield f"the rows of run {name} do not add up: {counts}"
        if run["status"] in {"RUNNING", "TIMED_OUT"}:
            yield f"run {name} of {run['pipeline']} is {run['status']}"
        if run["status"] == "FAILED" and (run["reason"] != "files_rejected" or rejections[name] != wanted):
            yield f"run {name} of {run['pipeline']} FAILED: {run['reason']}: {run['message']}"


def _count_faults(drops: Drops, counts: dict[str, int]) -> Iterable[str]:
    """Every record that was delivered is in bronze, and in silver or quarantine or superseded."""
    for dataset in DATASETS:
        mine = [case for case in DIRTY_FILES if case.dataset == f"{DOMAIN}.{dataset}"]
        clean = sum(file.rows for file in drops.of(f"{DOMAIN}.{dataset}"))
        wanted = {
            "bronze": clean + sum(case.rows_in for case in mine),
            "silver": clean + sum(case.silver for case in mine),
            "quarantine": sum(case.quarantined for case in mine),
        }
        for zone, rows in wanted.items():
            found = counts[f"{zone}_{DOMAIN}.{dataset}"]
            if found != rows:
                yield f"{zone}_{DOMAIN}.{dataset} holds {found} rows, not the {rows} that were delivered to it"


def _raw_folder(day: str) -> str:
    year, month, number = day.split("-")
    return f"year={year}/month={month}/day={number}"


def _shortened(arguments: Sequence[str], most: int = 4) -> str:
    """A command line with the paths of this checkout made short, and a long list of files cut."""
    words = [_quoted(word.removeprefix(f"{ROOT}/")) for word in arguments]
    files = [word for word in words if word.endswith(".csv")]
    if len(files) > most:
        folder = files[0].rsplit("/", 1)[0]
        first = words.index(files[0])
        words = [*words[:first], f"{folder}/*", *[word for word in words[first:] if word not in files]]
    line = " ".join(words)
    return line if len(line) <= LINE else f"{line[: LINE - 1]}…"


def _quoted(word: str) -> str:
    """As one would type it: double quotes keep the single quotes of SQL legible."""
    return f'"{word}"' if "'" in word and '"' not in word else shlex.quote(word)


def main(argv: list[str] | None = None) -> int:
    """Run the demo; exit code 1 if anything failed or is not as it must be."""
    parser = argparse.ArgumentParser(
        prog="python -m local.demo", description="Files travel raw -> bronze -> silver -> gold on this laptop."
    )
    parser.add_argument("--scale", type=float, default=0.1, help="TPC-H scale factor (default: %(default)s)")
    parser.add_argument("--days", type=int, default=3, help="order dates to deliver (default: %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        Demo(scale=arguments.scale, days=arguments.days).run()
    except KeyboardInterrupt:
        sys.stderr.write("\nmake demo: interrupted; `make demo` goes on from here, `.venv/bin/lake down --wipe` begins anew\n")
        return FAILED
    except LakehouseError as error:
        sys.stderr.write(
            f"\nmake demo: {error}\nThe platform stays up, so that you can look: .venv/bin/lake status, .venv/bin/lake runs, .venv/bin/lake logs RUN\n"
        )
        return FAILED
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
