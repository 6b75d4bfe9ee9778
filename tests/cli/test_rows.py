"""`lake rows`: what is written goes through the checks of a run, and nothing is written unless all of it is sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.errors import WrongUseError
from cli.main import app, run
from cli.rows import list_rows, put_rows, switch_row
from lakehouse.errors import ConfigurationError
from tests.cli.conftest import Shop

GROUP = "shop_tables"
GOOD = """\
rows:
  - {row: suppliers, table: public.suppliers, keys: [supplier_id], mode: full, owner: shop-data}
  - row: stock
    table: public.stock
    keys: [product_id, store_id]
    mode: incremental
    watermark: updated_at
    overlap: PT15M
    target: stock_levels
    priority: 10
"""


def put(shop: Shop, tmp_path: Path, text: str) -> str:
    file = tmp_path / "rows.yaml"
    file.write_text(text, encoding="utf-8")
    return put_rows(shop.session, group=GROUP, file=file).text


def faults(shop: Shop, tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        put(shop, tmp_path, text)
    return str(refused.value)


def test_rows_are_written_shown_switched_and_replaced(shop: Shop, tmp_path: Path) -> None:
    assert list_rows(shop.session, group=None).rows == []
    assert put(shop, tmp_path, GOOD) == "2 rows of shop_tables written: suppliers, stock"
    first, second = list_rows(shop.session, group=GROUP).rows
    assert (first.row, first.target, first.mode, first.watermark, first.overlap) == (
        "stock", "bronze_shop.stock_levels", "incremental", "updated_at", "PT15M",
    )  # fmt: skip
    assert (second.row, second.source, second.target, second.active, second.owner) == (
        "suppliers", "public.suppliers", "bronze_shop.suppliers", True, "shop-data",
    )  # fmt: skip
    assert switch_row(shop.session, group=GROUP, row="stock", is_active=False).text == "row stock of shop_tables is switched off"
    assert [row.active for row in list_rows(shop.session, group=GROUP).rows] == [False, True]
    put(shop, tmp_path, GOOD)
    assert [row.active for row in list_rows(shop.session, group=None).rows] == [True, True]


def test_all_faults_are_told_with_their_lines_and_nothing_is_written(shop: Shop, tmp_path: Path) -> None:
    text = (
        GOOD
        + "  - {row: bad, table: nowhere, keys: [id], mode: full}\n  - just a text\n  - {row: stock, table: a.b, keys: [id], mode: full, colour: red}\nmore: true\n"
    )
    said = faults(shop, tmp_path, text)
    for part in (
        "rows.yaml:11: rows[2].table: 'nowhere' is not a table",
        "rows.yaml:12: rows[3]: 'just a text' is not a row",
        "rows.yaml:13: rows[4].colour: is not a key of a row",
        "there is no key 'more'",
    ):
        assert part in said, said
    assert list_rows(shop.session, group=GROUP).rows == []


def test_a_table_that_a_contract_or_another_row_writes_is_refused(shop: Shop, tmp_path: Path) -> None:
    put(shop, tmp_path, GOOD)
    said = faults(shop, tmp_path, "rows:\n  - {row: orders, table: public.orders, keys: [order_id], mode: full}\n")
    assert "orders is taken: the contract shop.orders owns it" in said
    said = faults(shop, tmp_path, "rows:\n  - {row: again, table: public.stock, keys: [id], mode: full, target: suppliers}\n")
    assert "rows[0].target: suppliers is taken: the row suppliers of shop_tables writes it" in said
    said = faults(
        shop, tmp_path, "rows:\n  - {row: a, table: s.a, keys: [id], mode: full}\n  - {row: a, table: s.b, keys: [id], mode: full}\n"
    )
    assert "a stands twice" in said


@pytest.mark.parametrize("text", ["rows: []\n", "rows: {row: a}\n", "row: a\n"])
def test_a_file_without_rows_is_refused(shop: Shop, tmp_path: Path, text: str) -> None:
    assert "is not a list of rows" in faults(shop, tmp_path, text)


def test_a_row_that_was_written_by_other_hands_is_shown_with_its_fault(shop: Shop) -> None:
    item = {"pk": {"S": f"rows#{GROUP}"}, "sk": {"S": "odd"}, "row": {"S": "odd"}, "mode": {"S": "weekly"}}
    shop.client("dynamodb").put_item(TableName=shop.names.run_table("control"), Item=item)
    (row,) = list_rows(shop.session, group=GROUP).rows
    assert (row.row, row.active, "mode: 'weekly' is not a mode" in row.fault) == ("odd", True, True)


def test_what_is_no_group_or_no_row_is_told(shop: Shop, tmp_path: Path) -> None:
    put(shop, tmp_path, GOOD)
    with pytest.raises(WrongUseError, match="orders is no group"):
        list_rows(shop.session, group="orders")
    with pytest.raises(WrongUseError, match="there is no group 'shop_table'"):
        list_rows(shop.session, group="shop_table")
    with pytest.raises(WrongUseError, match="shop_tables has no row 'stocks': did you mean stock"):
        switch_row(shop.session, group=GROUP, row="stocks", is_active=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rows", "--help"], "list"),
        (["rows", "put", "--help"], "FILE"),
        (["rows", "list", "--help"], "[GROUP]"),
    ],
)
def test_the_verbs_explain_themselves(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words, application=app) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("words", [["rows"], ["rows", "shop_tables"], ["rows", "--json"], ["rows", "shop_tables", "--env", "nowhere"]])
def test_the_list_need_not_be_asked_for_by_name(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    # There is no such environment, or no platform: what counts is that the words are understood.
    env = [] if "--env" in words else ["--env", "nowhere"]
    assert run([*words, *env], application=app) == 2
    assert "there is no environment 'nowhere'" in capsys.readouterr().err
