"""Loads on the laptop's Redshift: after each the target is what the files say, or what it was; files are laid out by INSERT in place of COPY."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import pytest

from lakehouse.warehouse import loads
from lakehouse.warehouse.evolution import columns_found, columns_query, evolution
from lakehouse.warehouse.tables import WarehouseColumn, WarehouseTable, create_statements
from local.redshift.errors import SqlError
from local.redshift.session import Outcome, Session
from local.redshift.warehouse import Warehouse

ROLE, FOLDER = "arn:aws:iam::123456789012:role/loader", "s3://bucket/unload/run/1/"
TABLE = WarehouseTable(
    schema="gold_sales",
    name="daily",
    columns=(
        WarehouseColumn(name="day", type="DATE", source_type="date", description="Day of the orders, 'as ordered'."),
        WarehouseColumn(name="segment", type="VARCHAR(40)", source_type="string", encoding="zstd"),
        WarehouseColumn(name="revenue", type="DECIMAL(38,4)", source_type="decimal(38, 4)"),
        WarehouseColumn(name="closed_at", type="TIMESTAMPTZ", source_type="timestamptz"),
    ),
    keys=("day", "segment"),
    dist_style="key",
    dist_key="segment",
    sort_keys=("day",),
    description="Revenue by day.",
)
ROWS = f"SELECT * FROM {TABLE.qualified} ORDER BY day, segment"

Row = tuple[str | None, str | None, str | None, str | None]
Run = Callable[..., list[list[str | None]]]


def row(day: str | None, segment: str, revenue: str | None = None, closed_at: str | None = None) -> Row:
    return (day, segment, revenue, closed_at)


A = row("2026-01-01", "A", "1.5", "2026-01-01 10:00:00.123456")
B = row("2026-01-01", "B")
B_CHANGED = row("2026-01-01", "B", "7")
C = row("2026-01-02", "C", "3")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    server = Warehouse(tmp_path_factory.mktemp("loads") / "server", database="dev", admin="admin")
    server.start()
    yield server
    server.remove()


@pytest.fixture
def run(warehouse: Warehouse) -> Iterator[Run]:
    def ran(statements: Sequence[str], rows: Sequence[Row] = (), *, alone: bool = False) -> list[list[str | None]]:
        """Run statements as one batch of the Data API does: a session and a transaction of their own."""
        with closing(warehouse.connect("dev", "admin")) as connection:
            session = Session(connection, database="dev", user="admin", platform=lambda: warehouse.platform_connection("dev"))
            last: Outcome | None = None
            for statement in statements:
                if " COPY " in statement:
                    for values in rows:
                        told = ", ".join("NULL" if value is None else f"'{value}'" for value in values)
                        session.run(f"INSERT INTO load_landed VALUES ({told})", is_in_transaction=True)
                else:
                    last = session.run(statement, is_in_transaction=not alone)
            connection.commit()
            return last.rows if last is not None else []

    ran(create_statements(TABLE))
    yield ran
    ran([f"DROP TABLE {TABLE.qualified}"])


def mirrored(run: Run, *rows: Row) -> list[str | None]:
    (counts,) = run(loads.mirror(TABLE, source=FOLDER, role_arn=ROLE).statements, rows)
    return counts


def test_a_mirror_adds_changes_removes_and_a_second_one_does_nothing(run: Run) -> None:
    # rows_staged, rows_removed, rows_added, rows_in_table
    assert mirrored(run, A, B) == ["2", "0", "2", "2"]
    assert mirrored(run, A, B) == ["2", "0", "0", "2"]
    assert mirrored(run, A, B_CHANGED, C) == ["3", "1", "2", "3"]
    assert mirrored(run, B_CHANGED) == ["1", "2", "0", "1"]
    assert run([ROWS]) == [["2026-01-01", "B", "7.0000", None]]


def test_moments_keep_all_their_digits(run: Run) -> None:
    mirrored(run, A)
    assert run([ROWS]) == [["2026-01-01", "A", "1.5000", "2026-01-01 10:00:00.123456+00"]]


def test_a_source_without_rows_empties_the_target(run: Run) -> None:
    mirrored(run, A, B)
    assert run(loads.mirror(TABLE, source=None, role_arn=ROLE).statements) == [["0", "2", "0", "0"]]
    assert run([ROWS]) == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((A, A), r"load refused: keys \(day, segment\) that stand twice in the files: 1"),
        ((A, row(None, "B")), "load refused: rows without a value of day or segment: 1"),
        ((A, row("2026-01-02", "C", "not a number")), "numeric"),
        ((A, row("2026-01-02", "C" * 41)), "too long"),
    ],
)
def test_a_load_that_fails_says_why_and_leaves_the_table_as_it_was(run: Run, rows: tuple[Row, ...], said: str) -> None:
    mirrored(run, B)
    with pytest.raises(SqlError, match=said):
        mirrored(run, *rows)
    assert run([ROWS]) == [["2026-01-01", "B", None, None]]


def test_a_merge_keeps_what_the_files_do_not_name(run: Run) -> None:
    mirrored(run, A, B)
    assert run(loads.merge(TABLE, source=FOLDER, role_arn=ROLE).statements, [B_CHANGED, C]) == [["2", "0", "2", "3"]]
    assert [found[:3] for found in run([ROWS])] == [
        ["2026-01-01", "A", "1.5000"],
        ["2026-01-01", "B", "7.0000"],
        ["2026-01-02", "C", "3.0000"],
    ]


def test_a_part_is_replaced_and_files_of_another_part_are_refused(run: Run) -> None:
    mirrored(run, A, B, C)
    plan = loads.replace_where(TABLE, column="day", value="DATE '2026-01-01'", source=FOLDER, role_arn=ROLE)
    for _ in range(2):
        run(plan.statements, [B_CHANGED])
        assert [found[1] for found in run([ROWS])] == ["B", "C"]
    with pytest.raises(SqlError, match="rows of the files that are of another part"):
        run(plan.statements, [C])
    assert [found[1] for found in run([ROWS])] == ["B", "C"]


def test_whatever_the_histories_the_target_is_the_last_source(run: Run) -> None:
    chance = random.Random(5)  # noqa: S311 - a history that can be repeated
    for _ in range(40):
        keys = chance.sample([(f"2026-01-0{day}", segment) for day in range(1, 4) for segment in "ABC"], chance.randint(0, 9))
        rows = [row(day, segment, chance.choice([None, "1", "2"])) for day, segment in keys]
        before = run([ROWS])
        staged, removed, added, left = (int(count or 0) for count in mirrored(run, *rows))
        after = run([ROWS])
        assert after == sorted([day, segment, revenue and f"{revenue}.0000", None] for day, segment, revenue, _ in rows)
        assert (staged, left) == (len(rows), len(rows))
        assert (removed, added) == (len([r for r in before if r not in after]), len([r for r in after if r not in before]))


def test_a_table_that_is_there_is_made_again_without_harm_and_grows_with_its_contract(run: Run) -> None:
    mirrored(run, A)
    run(create_statements(TABLE))
    names = ("column_name", "data_type", "character_maximum_length", "numeric_precision", "numeric_scale")

    def found() -> dict[str, str]:
        return columns_found([dict(zip(names, values, strict=True)) for values in run([columns_query(TABLE)])])

    assert found() == {column.name: column.type for column in TABLE.columns}
    note = WarehouseColumn(name="note", type="VARCHAR(80)", source_type="string")
    grown = WarehouseTable.from_dict({**TABLE.to_dict(), "columns": [*TABLE.to_dict()["columns"], note.__dict__]})
    run(evolution(grown, found()).together)
    assert found()["note"] == "VARCHAR(80)"
    assert run([ROWS]) == [["2026-01-01", "A", "1.5000", "2026-01-01 10:00:00.123456+00", None]]
