"""A database: tables of a shop are extracted twice, with a day of changes in between, and gold is loaded into Redshift; everything is checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from local.demo.stage import ROOT, DemoError, Lake, Stage, Underway
from local.platform import Platform
from local.shop.database import DAYS, TABLES, Counted, change, counted, day_of, sales, seed
from local.shop.source import connected

PIPELINES = tuple(f"shop_{table}" for table in TABLES)
QUERY = "SELECT CAST(ordered_on AS VARCHAR) AS ordered_on, segment, product_id, product, orders, quantity, revenue FROM {table} ORDER BY 1, 2, 3"
GOLD = "gold_shop.daily_sales"
SHOWN = 8


class Shop:
    """The act of the database; its first extraction may begin while another act is played."""

    def __init__(self, *, stage: Stage, lake: Lake) -> None:
        """
        Args:
            stage: What it is played on.
            lake: The command line.
        """
        self._stage, self._lake = stage, lake
        self._underway: Underway | None = None

    def begin(self) -> None:
        """Fill the database if it is empty, and begin to extract it while the reader watches other things.

        Raises:
            LakehouseError: There is no database.
        """
        with connected(Platform(ROOT)) as database:
            day = day_of(database)
            if day:
                return
            self._stage.title("A shop's database gets its first rows, and their extraction begins; it is shown later")
            self._stage.say(_told(seed(database) if day is None else counted(database)))
        self._underway = self._lake.begin("run", *PIPELINES)

    def play(self) -> None:
        """Extract, change the source, extract again, compare.

        Raises:
            LakehouseError: Something failed or is not as it must be.
        """
        with connected(Platform(ROOT)) as database:
            if self._underway is not None:
                self._stage.title("The shop's three tables have been extracted")
                self._stage.console.print(self._underway.end().text, end="")
                self._compare(database)
            day = day_of(database)
            if day is None:
                raise DemoError("the shop's database has no tables: play the act from its beginning")
            if day < DAYS:
                self._stage.title(f"Day {day + 1} in the shop: rows come, change and go; one is dated back, one has no date")
                self._stage.say(_told(change(database, day=day + 1)))
                database.commit()
            else:
                self._stage.title("Every day of the shop's changes has been played: its tables are extracted as they are")
            self._lake("run", *PIPELINES, is_passed=True)
            self._compare(database)

    def _compare(self, database: Any) -> None:
        """Wait for what follows the extractions, then hold lake and warehouse against the database."""
        self._lake("wait", is_passed=True)
        faults = [*self._silver(counted(database)), *self._gold(sales(database))]
        database.commit()
        if faults:
            raise DemoError("the shop in the lake is not as its database:\n" + "\n".join(f"  {fault}" for fault in faults))

    def _silver(self, rows: Counted) -> Iterable[str]:
        statement = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM silver_shop.{table}" for table in TABLES)  # noqa: S608 - our own names
        found = dict(self._lake.rows(statement))
        wanted = {table: getattr(rows, table) for table in TABLES}
        self._stage.table(("table", "rows in the database", "rows in silver"), ((table, wanted[table], found[table]) for table in TABLES))
        for table in TABLES:
            if found[table] != wanted[table]:
                yield f"silver_shop.{table} holds {found[table]} rows, the database {wanted[table]}"

    def _gold(self, source: Iterable[tuple[Any, ...]]) -> Iterable[str]:
        wanted = [[str(value) for value in row] for row in source]
        equal = 0
        for engine in ("athena", "redshift"):
            found = [[str(value) for value in row] for row in self._lake.rows(QUERY.format(table=GOLD), engine=engine)]
            if found != wanted:
                yield f"{engine} answers {len(found)} rows of gold, the database's own SQL {len(wanted)}, or they differ"
                continue
            equal += 1
            if engine == "redshift":
                self._stage.table(("ordered_on", "segment", "product_id", "product", "orders", "quantity", "revenue"), found[-SHOWN:])
        if equal == 2:
            self._stage.say(f"The last {SHOWN} of {len(wanted)} rows; Athena, Redshift and the shop's own database give the same answer.")


def _told(rows: Counted) -> str:
    return f"In the database now: {rows.customers} customers, {rows.products} products, {rows.orders} orders."
