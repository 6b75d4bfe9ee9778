"""`python -m benchmarks.tpch --scale 1`: all eight tables of TPC-H through the platform, the 22 queries through Athena, answers compared.

The project is the checkout's own code with the contracts and pipelines of TPC-H alone, those of the three tables of the demo and
those of examples/tpch, deployed to a laptop platform of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakehouse.athena.runner import AthenaRunner
from lakehouse.errors import TerminalError
from lakehouse.polling import Pauses
from local.tpch.queries import NUMBERS, TABLES, Query, Summary, independent, published
from tests.e2e.conftest import COPIED, LINKED, Checkout
from tools.installation import ROOT

EXAMPLE = "examples/tpch"
"""Where the contracts and pipelines of the other five tables are."""

DAY = "1998-12-01"
"""Day of the one delivery."""

ROWS_A_FILE = 1_500_000
"""Rows of a table's files, about."""

ROWS = {
    "region": 5, "nation": 25, "supplier": 10_000, "part": 200_000, "partsupp": 800_000, "customer": 150_000, "orders": 1_500_000,
    "lineitem": 6_000_000,
}  # fmt: skip
"""Rows of each table at scale 1; those of the first two at every scale."""

HEAP_MB = 4096
"""Heap of Trino at scale 1 and above: its own 1200 MB are too few for the largest joins."""

LOAD_SECONDS = 3600


@dataclass(kw_only=True)
class Report:
    """What happened.

    Attributes:
        scale: Scale factor.
        seconds: Phase -> seconds.
        queries: Query -> seconds.
        wrong: What differs, in sentences; empty if nothing does.
        tell: Told what goes on.
    """

    scale: float
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    queries: dict[int, float] = field(default_factory=dict[int, float])
    wrong: list[str] = field(default_factory=list[str])
    tell: Callable[[str], None] = lambda _: None

    def note(self, fault: str) -> None:
        """Keep what differs, and tell it at once."""
        self.wrong.append(fault)
        self.tell(fault)

    def text(self) -> str:
        """The report for people."""
        phases = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())
        slowest = sorted(self.queries.items(), key=lambda item: -item[1])[:3]
        lines = [
            f"TPC-H at scale {self.scale:g}: {phases}; 22 queries {sum(self.queries.values()):.0f} s, the slowest "
            + ", ".join(f"Q{number} {seconds:.1f} s" for number, seconds in slowest)
        ]
        return "\n".join(
            [*lines, *(self.wrong or ["every answer is the published one" if self.scale == 1 else "every answer is DuckDB's"])]
        )


def make_project(to: Path, *, root: Path = ROOT) -> Path:
    """A checkout whose contracts and pipelines are those of the eight tables.

    Args:
        to: Empty folder.
        root: The checkout.
    """
    for name in COPIED:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)
    for name in LINKED:
        (to / name).symlink_to(root / name)
    for kind, suffix in (("contracts/tpch", ".odcs.yaml"), ("contracts/tpch", ".lock.json"), ("pipelines", ".yaml")):
        for path in (to / kind).glob(f"*{suffix}"):
            if path.name.removesuffix(suffix) not in TABLES:
                path.unlink()
    shutil.rmtree(to / "queries")
    for folder in (to / "contracts").iterdir():
        if folder.name != "tpch":
            shutil.rmtree(folder)
    shutil.copytree(root / EXAMPLE, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.md"))
    return to


def run(*, scale: float, folder: Path, tell: Callable[[str], None] = lambda _: None) -> Report:
    """Load the tables and run the queries.

    Args:
        scale: TPC-H scale factor.
        folder: Empty folder for the project and the data.
        tell: Told what goes on.

    Raises:
        TerminalError: The tables could not be loaded.
    """
    report = Report(scale=scale, tell=tell)
    if scale >= 1:
        os.environ["LAKE_TRINO_HEAP_MB"] = str(HEAP_MB)

    def timed(name: str, work: Callable[[], Any]) -> Any:
        tell(f"{name} ...")
        began = time.monotonic()
        result = work()
        report.seconds[name] = time.monotonic() - began
        return result

    data = folder / "data"
    timed("generate", lambda: _generate(data, scale=scale))
    (folder / "project").mkdir()
    checkout = Checkout(make_project(folder / "project"))
    try:
        timed("up", lambda: checkout.lake("up"))
        timed("deploy", lambda: checkout.lake("deploy"))
        timed("load", lambda: _load(checkout, data))
        _count(checkout, data, report)
        answers = timed("check", lambda: independent(data / "parquet"))
        _query(checkout, answers, report)
    finally:
        checkout.lake("down", "--wipe", code=None)
    return report


def _generate(data: Path, *, scale: float) -> None:
    """The same rows twice: as CSV files that producers deliver, and as Parquet files for the check."""
    executable = str(Path(sysconfig.get_path("scripts")) / "tpchgen-cli")
    for table in TABLES:
        parts = max(1, round(ROWS[table] * scale / ROWS_A_FILE))
        for kind in ("csv", "parquet"):
            command = [executable, kind, "-s", f"{scale:g}", "-T", table, "-o", str(data / kind), "--overwrite", "--quiet", "--no-progress"]
            subprocess.run([*command, *(["--parts", str(parts)] if parts > 1 else [])], check=True, capture_output=True)


def _load(checkout: Checkout, data: Path) -> None:
    for table in TABLES:
        whole = data / "csv" / f"{table}.csv"
        files = [whole] if whole.exists() else sorted((data / "csv" / table).glob("*.csv"))
        checkout.drop(f"tpch.{table}", files, day=DAY)
    call = checkout.lake("wait", "--timeout", str(LOAD_SECONDS), code=None)
    if call.code:
        raise TerminalError(f"the tables were not loaded:\n{call.out}\n{call.err}")


def _count(checkout: Checkout, data: Path, report: Report) -> None:
    import duckdb

    for table in TABLES:
        files = data / "parquet" / table / "*.parquet" if (data / "parquet" / table).is_dir() else data / "parquet" / f"{table}.parquet"
        counted = duckdb.execute(f"SELECT count(*) FROM read_parquet('{files}')").fetchall()
        expected = counted[0][0]
        found = checkout.sql(f"SELECT count(*) FROM silver_tpch.{table}")[0][0]
        if found != expected:
            report.note(f"{table} has {found} rows, {expected} were delivered")


def _query(checkout: Checkout, answers: dict[int, Summary], report: Report) -> None:
    runner = AthenaRunner(
        checkout.session.client("athena"),
        workgroup=checkout.names.workgroup,
        database="silver_tpch",
        pauses=Pauses(first_seconds=0.1, longest_seconds=1),
    )
    for number in NUMBERS:
        began = time.monotonic()
        try:
            answer = runner.query(Query.load(number).sql, deadline_seconds=900)
        except TerminalError as error:
            report.note(f"Q{number}: {error}")
            continue
        report.queries[number] = time.monotonic() - began
        report.tell(f"Q{number}: {len(answer.rows)} rows in {report.queries[number]:.1f} s")
        found = Summary.of(number, answer.rows)
        if not found.equals(answers[number]):
            report.note(f"Q{number} differs from DuckDB's: {found} instead of {answers[number]}; it begins {answer.rows[:3]}")
        if report.scale == 1 and not found.equals(published()[number]):
            report.note(f"Q{number} differs from the published answer: {found} instead of {published()[number]}")


def main(arguments: list[str]) -> int:
    """Run and report.

    Returns:
        Exit code: 0 if every answer is right, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tpch", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H scale factor; 1 is a gigabyte")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        report = run(scale=chosen.scale, folder=Path(folder), tell=lambda text: print(text, flush=True))
    print(report.text())
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
