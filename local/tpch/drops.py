"""Daily drops of TPC-H: the last order dates, each as one CSV file of orders, customers and line items."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from lakehouse.errors import TerminalError

DATASETS = ("customer", "orders", "lineitem")
"""Datasets that are delivered, in the order of delivery."""

DOMAIN = "tpch"
"""Domain of the datasets: `tpch.orders` and so on."""

SOURCE = "source"
"""Folder below the drops that keeps the generator's own Parquet files, for independent checks."""

_SELECTION = {
    "orders": "SELECT * FROM orders WHERE o_orderdate = DATE '{day}' ORDER BY o_orderkey",
    "lineitem": (
        "SELECT lineitem.* FROM lineitem JOIN orders ON l_orderkey = o_orderkey "
        "WHERE o_orderdate = DATE '{day}' ORDER BY l_orderkey, l_linenumber"
    ),
    "customer": (
        "SELECT customer.* FROM customer JOIN "
        "(SELECT o_custkey, min(o_orderdate) AS first_day FROM orders WHERE o_orderdate >= DATE '{first}' GROUP BY o_custkey) "
        "ON c_custkey = o_custkey WHERE first_day = DATE '{day}' ORDER BY c_custkey"
    ),
}


@dataclass(frozen=True, kw_only=True)
class DropFile:
    """One file as a producer delivers it.

    Attributes:
        dataset: Contract id, such as `tpch.orders`.
        day: Day of delivery, which is also the order date of its rows.
        path: The file.
        rows: Records in it, without the header.
    """

    dataset: str
    day: date
    path: Path
    rows: int


@dataclass(frozen=True, kw_only=True)
class Drops:
    """What was generated.

    Attributes:
        scale: TPC-H scale factor.
        files: The files, by day and then by dataset.
        source: Folder of the generator's own Parquet files.
    """

    scale: float
    files: tuple[DropFile, ...]
    source: Path

    @property
    def days(self) -> tuple[date, ...]:
        """Days of delivery, oldest first."""
        return tuple(sorted({file.day for file in self.files}))

    def of(self, dataset: str) -> tuple[DropFile, ...]:
        """Files of one dataset, oldest first."""
        return tuple(file for file in self.files if file.dataset == dataset)


def generate(*, scale: float, days: int, out: Path) -> Drops:
    """Write the drops of the last order dates.

    Each day brings its orders, their line items, and those of its customers that no earlier day of the same delivery brought.

    Args:
        scale: TPC-H scale factor; 1 is a gigabyte, a day of it 600 orders.
        days: How many order dates, counted back from the newest.
        out: Folder to write to; `<out>/<day>/<dataset>-<day>.csv`.

    Raises:
        TerminalError: The generator is missing or failed, or there are fewer order dates than asked for.
    """
    if scale <= 0 or days < 1:
        raise TerminalError(f"scale must be above 0 and days at least 1, got scale {scale} and days {days}")
    source = out / SOURCE
    _generate_source(scale=scale, source=source)
    with duckdb.connect() as database:
        for table in DATASETS:
            database.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet({_literal(source / f'{table}.parquet')})")  # noqa: S608 - our own names
        newest = [row[0] for row in database.execute("SELECT DISTINCT o_orderdate FROM orders ORDER BY 1 DESC LIMIT ?", [days]).fetchall()]
        if len(newest) < days:
            raise TerminalError(f"scale {scale} has {len(newest)} order dates, {days} were asked for: ask for fewer days or a larger scale")
        chosen = sorted(newest)
        files = tuple(_write(database, dataset=dataset, day=day, first=chosen[0], out=out) for day in chosen for dataset in DATASETS)
    return Drops(scale=scale, files=files, source=source)


def _generate_source(*, scale: float, source: Path) -> None:
    """Run the generator, or keep what an earlier run of the same scale left."""
    stamp = source / "scale.json"
    if stamp.exists() and json.loads(stamp.read_text()) == scale:
        return
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    executable = Path(sysconfig.get_path("scripts")) / "tpchgen-cli"
    command = [
        str(executable),
        "parquet",
        "-s",
        str(scale),
        "-T",
        ",".join(DATASETS),
        "-o",
        str(source),
        "--overwrite",
        "--quiet",
        "--no-progress",
    ]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise TerminalError("the TPC-H generator tpchgen-cli is not installed: run `make setup`") from error
    if result.returncode != 0:
        raise TerminalError(f"tpchgen-cli failed with code {result.returncode}: {result.stderr.strip()[-500:]}")
    stamp.write_text(json.dumps(scale))


def _write(database: duckdb.DuckDBPyConnection, *, dataset: str, day: date, first: date, out: Path) -> DropFile:
    folder = out / day.isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{dataset}-{day.isoformat()}.csv"
    select = _SELECTION[dataset].format(day=day.isoformat(), first=first.isoformat())
    count = database.execute(f"COPY ({select}) TO {_literal(path)} (FORMAT csv, HEADER true)").fetchall()[0][0]
    return DropFile(dataset=f"{DOMAIN}.{dataset}", day=day, path=path, rows=count)


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
