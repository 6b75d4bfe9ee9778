"""`lake check` asks Athena once a table and ends with 1 if a check fails."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cli import main
from cli.check import check
from cli.errors import CommandError, WrongUseError
from cli.progress import Progress
from cli.session import Session
from tests.cli.test_sql import Athena

Answer = tuple[list[tuple[str, str]], list[list[str | None]]]

CUSTOMERS: Answer = ([("_col0", "bigint"), ("_col1", "bigint"), ("_col2", "bigint")], [["3", "0", "3"]])
ORDERS: Answer = ([("_col0", "bigint"), ("_col1", "bigint"), ("_col2", "bigint"), ("_col3", "bigint")], [["3", "1", "100000", "4"]])


def _with(session: Session, athena: Athena) -> Session:
    return replace(session, _clients={"athena": athena})


def test_a_table_is_asked_once_and_told_in_four_lines(session: Session, progress: Progress) -> None:
    athena = Athena(ORDERS)
    found = check(_with(session, athena), datasets=["tpch.orders", "tpch.orders"], progress=progress)
    assert len(athena.statements) == 1
    assert {one.table for one in found.checks} == {"silver.tpch.orders"}
    assert [(one.check, one.outcome, one.value, one.limit) for one in found.checks] == [
        ("rows", "PASSED", 3, 1),
        ("null_keys", "FAILED", 1, 0),
        ("freshness", "FAILED", 100_000, 93_600),
        ("reconcile", "FAILED", 3, 4),
    ]


def test_an_unknown_dataset_is_refused_before_anything_is_asked(session: Session, progress: Progress) -> None:
    athena = Athena()
    with pytest.raises(WrongUseError, match=r"there is no dataset 'tpch\.order'"):
        check(_with(session, athena), datasets=["tpch.customer", "tpch.order"], progress=progress)
    assert athena.statements == []


def test_a_table_that_is_not_there_is_told_in_athenas_words(session: Session, progress: Progress) -> None:
    with pytest.raises(CommandError, match="TABLE_NOT_FOUND"):
        check(_with(session, Athena(state="FAILED")), datasets=["tpch.customer"], progress=progress)


@pytest.mark.parametrize(("dataset", "code"), [("tpch.customer", 0), ("tpch.orders", 1)])
def test_the_exit_code_tells_whether_a_check_failed(
    session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dataset: str, code: int
) -> None:
    answer = {"tpch.customer": CUSTOMERS, "tpch.orders": ORDERS}[dataset]
    monkeypatch.setattr(main, "open_session", lambda _: _with(session, Athena(answer)))
    assert main.run(["check", dataset, "--json"]) == code
    said = capsys.readouterr()
    assert len(json.loads(said.out)["checks"]) == 4
    assert ("3 of 4 checks failed: null_keys of silver.tpch.orders, freshness of" in said.err) is bool(code)
    assert main.run(["check", dataset]) == code
    assert "null_keys" in capsys.readouterr().out
