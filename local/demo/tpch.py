"""Files: TPC-H travels raw -> bronze -> silver -> gold, then a drop full of faults; everything shown is checked."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.markup import escape

from local.demo.stage import ROOT, DemoError, Lake, Stage
from local.tpch.dirty import DIRTY_DAY, DIRTY_FILES, expected_reasons, write_dirty_drop
from local.tpch.drops import DATASETS, DOMAIN, Drops, generate
from local.tpch.expected import DailyRevenue, daily_revenue

PIPELINES = (*DATASETS, "daily_revenue")
"""Pipelines of this act; another act may be under way beside it."""

ZONES = ("bronze", "silver", "quarantine")
"""Zones that each delivered dataset passes."""

GOLD_QUERY = "SELECT o_orderdate, c_mktsegment, revenue, orders FROM gold_tpch.daily_revenue ORDER BY 1, 2"
"""The query that is shown at the end."""


class Files:
    """The act of the files."""

    def __init__(self, *, stage: Stage, lake: Lake, scale: float, days: int) -> None:
        """
        Args:
            stage: What it is played on.
            lake: The command line.
            scale: TPC-H scale factor.
            days: Order dates that are delivered.
        """
        self._stage, self._lake = stage, lake
        self._scale, self._days = scale, days

    def play(self) -> None:
        """Deliver, wait, show and check.

        Raises:
            LakehouseError: Something failed or is not as it must be.
        """
        known = {run["run_id"] for run in self._lake.runs()}
        self._stage.title(f"Deliver the last {self._days} days of TPC-H at scale {self._scale:g}")
        folder = ROOT / ".lake" / "demo"
        drops = generate(scale=self._scale, days=self._days, out=folder)
        dirty = [path for _, path in write_dirty_drop(folder / "dirty")]
        self._deliver(drops)
        self._wait_for_claims(known)

        self._stage.title("Deliver files that are full of faults")
        for case in DIRTY_FILES:
            self._stage.say(f"  {case.name:<22} {case.fault}")
        self._lake("drop", f"{DOMAIN}.orders", *map(str, dirty), "--date", DIRTY_DAY)
        waited = self._lake("wait", is_passed=True, may_fail=True)

        fresh = [run for run in self._lake.runs() if run["run_id"] not in known and run["pipeline"] in PIPELINES]
        self._stage.title("The audit trail of each run")
        rejections = {run["run_id"]: self._show(run) for run in fresh}
        self._stage.title("Rows per zone")
        counts = self._zones()
        self._stage.title("Quarantined rows by reason")
        reasons = self._quarantine()
        self._stage.title("Gold, as Athena answers it")
        gold = self._gold()
        check(drops=drops, runs=fresh, rejections=rejections, counts=counts, reasons=reasons, gold=gold, wait_code=waited.code)

    def _deliver(self, drops: Drops) -> None:
        """Drop every day of a dataset at once, so that they become one run."""
        for dataset in DATASETS:
            files = drops.of(f"{DOMAIN}.{dataset}")
            with ThreadPoolExecutor(max_workers=len(files)) as pool:
                for answer in pool.map(lambda file: self._lake("drop", file.dataset, str(file.path), "--date", f"{file.day}"), files):
                    self._stage.console.print(escape(answer.text.splitlines()[0]))

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
            self._stage.say(f"{run['run_id']} {run['pipeline']} {run['status']}: {run['message']}")
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
        self._stage.table(("table", "rows"), ((table, counts[table]) for table in tables))
        return counts

    def _quarantine(self) -> dict[str, int]:
        found = self._lake("quarantine", f"{DOMAIN}.orders", "--json").document
        folder = f"/{_raw_folder(DIRTY_DAY)}/"
        mine = [row for row in found["rows"] if folder in row["source_file"]]
        codes = [reason["code"] for row in mine for reason in row["reasons"]]
        reasons = {code: codes.count(code) for code in sorted(set(codes))}
        self._stage.table(("reason", "rows"), reasons.items())
        return reasons

    def _gold(self) -> tuple[DailyRevenue, ...]:
        rows = self._lake.rows(GOLD_QUERY)
        self._stage.table(("o_orderdate", "c_mktsegment", "revenue", "orders"), rows)
        return tuple(
            DailyRevenue(o_orderdate=date.fromisoformat(day), c_mktsegment=segment, revenue=Decimal(revenue), orders=orders)
            for day, segment, revenue, orders in rows
        )


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
