"""The 22 queries, how their answers are compared, and that an independent engine answers all of them."""

from __future__ import annotations

import subprocess
import sysconfig
from decimal import Decimal
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from local.tpch.queries import NUMBERS, TABLES, Query, Summary, independent, published


@pytest.mark.parametrize("number", NUMBERS)
def test_a_query_is_one_of_athenas_over_the_eight_tables(number: int) -> None:
    (tree,) = sqlglot.parse(Query.load(number).sql, read="athena")
    assert tree is not None
    common = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    assert {table.name for table in tree.find_all(exp.Table)} - common <= set(TABLES)


def test_rows_are_compared_in_any_order_and_numbers_by_their_value() -> None:
    mine = Summary.of(3, [(1, Decimal("1.50"), "a"), (2, Decimal("2.00"), None)])
    assert mine.equals(Summary.of(3, [("2", "2", ""), ("1", "1.5", "a")]))
    assert not mine.equals(Summary.of(3, [("2", "2", ""), ("1", "1.51", "a")]))
    assert not mine.equals(Summary.of(3, [("1", "1.5", "a")]))


def test_ratios_are_compared_to_two_digits() -> None:
    assert Summary.of(14, [(Decimal("16.38"),)]).equals(Summary.of(14, [(16.380778626395543,)]))
    assert not Summary.of(14, [(Decimal("16.40"),)]).equals(Summary.of(14, [(16.380778626395543,)]))
    assert Summary.of(17, [(None,)]).equals(Summary.of(17, [(None,)]))
    assert not Summary.of(17, [(None,)]).equals(Summary.of(17, [(0,)]))


def test_every_query_has_a_published_answer() -> None:
    assert set(published()) == set(NUMBERS)
    assert {number: found.rows for number, found in published().items() if number in {1, 6, 11, 13, 16, 20, 22}} == {
        1: 4, 6: 1, 11: 1048, 13: 42, 16: 18314, 20: 186, 22: 7,
    }  # fmt: skip
    assert published()[14].ratios[0].startswith("16.38")


def test_an_independent_engine_answers_all_of_them(tmp_path: Path) -> None:
    command = [
        str(Path(sysconfig.get_path("scripts")) / "tpchgen-cli"),
        "parquet",
        "-s",
        "0.001",
        "-o",
        str(tmp_path),
        "--quiet",
        "--no-progress",
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert set(independent(tmp_path)) == set(NUMBERS)
