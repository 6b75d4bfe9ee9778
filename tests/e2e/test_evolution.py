"""A contract changes: what is compatible evolves the table and keeps its rows, what is not is refused before anything is deployed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.results import Run
from tests.e2e.conftest import Checkout

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


COLUMNS = "l_orderkey, l_linenumber, l_quantity, l_extendedprice, l_comment"

NEW_COLUMN = """      - {id: l_note, name: l_note, logicalType: string, classification: internal, description: Note of the packer.,
         transformSourceObjects: [raw.l_note]}
"""

LINE = """l_orderkey,l_partkey,l_suppkey,l_linenumber,l_quantity,l_extendedprice,l_discount,l_tax,l_returnflag,l_linestatus,\
l_shipdate,l_commitdate,l_receiptdate,l_shipinstruct,l_shipmode,l_comment,l_note
2000000001,1,1,1,1234567890123456.78,1.00,0.00,0.00,N,O,1998-08-05,1998-08-06,1998-08-07,NONE,AIR,fine,fragile
"""

REFUSED = """l_orderkey,l_partkey,l_suppkey,l_linenumber,l_quantity,l_extendedprice,l_discount,l_tax,l_returnflag,l_linestatus,\
l_shipdate,l_commitdate,l_receiptdate,l_shipinstruct,l_shipmode,l_comment
2000000002,1,1,1,1.00,1.00,0.00,0.00,X,O,1998-08-06,1998-08-06,1998-08-07,NONE,AIR,exchanged
"""
"""A line whose flag the contract does not know yet."""

REFUSED_DAY = "1998-08-06"


@pytest.fixture
def contract(checkout: Checkout) -> Iterator[Path]:
    """The contract of line items; a change that is refused is taken back."""
    path = checkout.root / "contracts" / "tpch" / "lineitem.odcs.yaml"
    before = path.read_text(encoding="utf-8")
    yield path
    path.write_text(before, encoding="utf-8")


def test_a_narrower_type_is_refused_with_the_way_out(checkout: Checkout, contract: Path, clean: list[Run]) -> None:
    contract.write_text(_replaced(contract.read_text(encoding="utf-8"), "format: i64", "format: i32"), encoding="utf-8")
    call = checkout.lake("deploy", code=1)
    assert "contracts/tpch/lineitem.odcs.yaml" in call.err
    assert "Fix:" in call.err
    assert "Traceback" not in call.err


def test_an_optional_column_a_wider_type_and_a_wider_rule_keep_every_row_and_take_what_was_refused(
    checkout: Checkout, clean: list[Run]
) -> None:
    checkout.drop("tpch.lineitem", [checkout.write("refused.csv", REFUSED)], day=REFUSED_DAY)
    checkout.wait()
    assert [reason.code for row in checkout.quarantine("tpch.lineitem") for reason in row.reasons] == ["not_in_set"]
    before = checkout.sql(f"SELECT {COLUMNS} FROM silver_tpch.lineitem ORDER BY 1, 2")
    path = checkout.root / "contracts" / "tpch" / "lineitem.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    text = _replaced(
        text,
        'name: l_quantity, logicalType: number, physicalType: "decimal(15,2)"',
        'name: l_quantity, logicalType: number, physicalType: "decimal(18,2)"',
    )
    text = _replaced(text, "    quality:\n", NEW_COLUMN + "    quality:\n")
    text = _replaced(text, "{value: R, label: returned}]", "{value: R, label: returned}, {value: X, label: exchanged}]")
    text = _replaced(text, "\nversion: 1.0.0", "\nversion: 1.1.0")
    path.write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "lakehouse.contracts.compiler", "lock"], cwd=checkout.root, check=True, capture_output=True)
    checkout.lake("deploy")
    assert checkout.sql(f"SELECT {COLUMNS} FROM silver_tpch.lineitem ORDER BY 1, 2") == before
    assert checkout.sql("SELECT count(l_note) FROM silver_tpch.lineitem") == [[0]]
    checkout.drop("tpch.lineitem", [checkout.write("evolved.csv", LINE)], day="1998-08-05")
    checkout.wait()
    found = checkout.sql("SELECT l_quantity, l_note FROM silver_tpch.lineitem WHERE l_orderkey = 2000000001")
    assert found == [["1234567890123456.78", "fragile"]]

    # The files of a day are judged again by the contract of today.
    (day,) = checkout.lake("run", "lineitem", "--date", REFUSED_DAY, "--json").json["days"]
    assert (day["outcome"], day["run"]["counts"]["silver"], day["run"]["counts"]["quarantined"]) == ("SUCCEEDED", 1, 0)
    assert checkout.sql("SELECT l_returnflag FROM silver_tpch.lineitem WHERE l_orderkey = 2000000002") == [["X"]]
    assert checkout.quarantine("tpch.lineitem") == []
    checkout.wait()


def _replaced(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)
