"""A database: tables of a shop are extracted twice, with a day of changes in between, and gold is loaded into Redshift; everything is checked."""

from __future__ import annotations

from typing import Any

from local.demo.stage import ROOT, DemoError, Lake, Stage
from local.platform import Platform
from local.shop.database import DAYS, TABLES, Counted, change, counted, day_of, sales, seed
from local.shop.source import connected

PIPELINES = tuple(f"shop_{table}" for table in TABLES)
QUERY = "SELECT CAST(ordered_on AS VARCHAR) AS ordered_on, segment, product_id, product, orders, quantity, revenue FROM {table} ORDER BY 1, 2, 3"
SHOWN = 8


class Shop:
    """The act of the database."""

    def __init__(self, *, stage: Stage, lake: Lake) -> None:
        """
        Args:
            stage: What it is played on.
            lake: The command line.
        """
        self._stage, self._lake = stage, lake

    def play(self) -> None:
        """Extract, change the source, extract again, compare.

        Raises:
            LakehouseError: Something failed or is not as it must be.
        """
        platform = Platform(ROOT)
        with connected(platform) as database:
            day = day_of(database)
            if day is None:
                self._stage.title("A database: three tables of a shop are extracted into the lake")
                self._extract(database, seed(database))
                day = 0
            if day == DAYS:
                self._stage.title("A database: every day of the shop's changes has been played")
                self._extract(database, counted(database))
                return
            self._stage.title(f"Day {day + 1} in the shop: rows come, change and go; one is dated back, one has no date")
            self._extract(database, change(database, day=day + 1))

    def _extract(self, database: Any, rows: Counted) -> None:
        database.commit()
        self._lake("run", *PIPELINES, is_passed=True)
        self._lake("wait", is_passed=True)
        faults = [*self._silver(rows), *self._gold(database)]
        if faults:
            raise DemoError("the shop in the lake is not as its database:\n" + "\n".join(f"  {fault}" for fault in faults))

    def _silver(self, rows: Counted) -> list[str]:
        wanted = {table: getattr(rows, table) for table in TABLES}
        statement = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM silver_shop.{table}" for table in TABLES)  # noqa: S608 - our own names
        found = dict(self._lake.rows(statement))
        self._stage.table(("table", "rows in the database", "rows in silver"), ((table, wanted[table], found[table]) for table in TABLES))
        return [
            f"silver_shop.{table} holds {found[table]} rows, the database {wanted[table]}"
            for table in TABLES
            if found[table] != wanted[table]
        ]

    def _gold(self, database: Any) -> list[str]:
        wanted = [[str(value) for value in row] for row in sales(database)]
        faults: list[str] = []
        for engine in ("athena", "redshift"):
            rows = self._lake.rows(QUERY.format(table="gold_shop.daily_sales"), engine=engine)
            found = [[str(value) for value in row] for row in rows]
            if found != wanted:
                faults.append(f"{engine} answers {len(found)} rows of gold, the database's own SQL {len(wanted)}, or they differ")
            elif engine == "athena":
                self._stage.table(("ordered_on", "segment", "product_id", "product", "orders", "quantity", "revenue"), found[:SHOWN])
        if not faults:
            self._stage.say(f"{len(wanted)} rows; Athena, Redshift and the shop's own database give the same answer.")
        return faults
