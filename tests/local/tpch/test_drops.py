"""TPC-H drops: each day whole, nothing twice, and gold computed from the generator's own files."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest

from lakehouse.errors import TerminalError
from local.tpch.__main__ import main
from local.tpch.drops import Drops, generate
from local.tpch.expected import daily_revenue

COLUMNS = {
    "tpch.orders": 9,
    "tpch.customer": 8,
    "tpch.lineitem": 16,
}


@pytest.fixture(scope="module")
def drops(tmp_path_factory: pytest.TempPathFactory) -> Drops:
    return generate(scale=0.01, days=3, out=tmp_path_factory.mktemp("tpch"))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_last_order_dates_are_delivered(drops: Drops) -> None:
    assert drops.days == (date(1998, 7, 31), date(1998, 8, 1), date(1998, 8, 2))
    assert [file.dataset for file in drops.files[:3]] == ["tpch.customer", "tpch.orders", "tpch.lineitem"]


def test_every_file_has_a_header_and_the_rows_it_says(drops: Drops) -> None:
    for file in drops.files:
        rows = _rows(file.path)
        assert len(rows) == file.rows
        assert all(len(row) == COLUMNS[file.dataset] for row in rows)


def test_a_day_brings_its_orders_with_their_lines(drops: Drops) -> None:
    for orders, lines in zip(drops.of("tpch.orders"), drops.of("tpch.lineitem"), strict=True):
        keys = {row["o_orderkey"] for row in _rows(orders.path)}
        assert {row["o_orderdate"] for row in _rows(orders.path)} == {orders.day.isoformat()}
        assert {row["l_orderkey"] for row in _rows(lines.path)} == keys


def test_a_customer_comes_once_and_not_later_than_the_first_order(drops: Drops) -> None:
    delivered: set[str] = set()
    for orders, customers in zip(drops.of("tpch.orders"), drops.of("tpch.customer"), strict=True):
        new = [row["c_custkey"] for row in _rows(customers.path)]
        assert not delivered & set(new)
        delivered |= set(new)
        assert {row["o_custkey"] for row in _rows(orders.path)} <= delivered


def test_files_of_different_days_have_different_names(drops: Drops) -> None:
    names = [file.path.name for file in drops.files]
    assert len(names) == len(set(names))


def test_expected_gold_covers_every_delivered_order(drops: Drops) -> None:
    gold = daily_revenue(drops.source, days=drops.days)
    for orders in drops.of("tpch.orders"):
        assert sum(row.orders for row in gold if row.o_orderdate == orders.day) == orders.rows
    assert all(row.revenue.as_tuple().exponent == -4 for row in gold)


def test_the_same_scale_again_gives_the_same_bytes_and_does_not_generate_again(drops: Drops) -> None:
    stamp = drops.source / "orders.parquet"
    before, modified = {file.path: file.path.read_bytes() for file in drops.files}, stamp.stat().st_mtime_ns
    again = generate(scale=0.01, days=3, out=drops.source.parent)
    assert {file.path: file.path.read_bytes() for file in again.files} == before
    assert stamp.stat().st_mtime_ns == modified


def test_too_many_days_are_refused_with_a_sentence(drops: Drops) -> None:
    with pytest.raises(TerminalError, match="order dates, 5000 were asked for"):
        generate(scale=0.01, days=5000, out=drops.source.parent)


def test_the_command_writes_both_drops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scale", "0.001", "--days", "1", "--out", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3 + 10
    assert main(["--scale", "0", "--out", str(tmp_path)]) == 1
