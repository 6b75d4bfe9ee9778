"""Statements of Redshift with known answers: each gives Redshift's answer, Redshift's error, or is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.redshift.errors import RefusedError, SqlError
from local.redshift.session import Session
from local.redshift.warehouse import Warehouse

CORPUS = Path(__file__).with_name("corpus")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A statement and what is known of it.

    Attributes:
        topic: File that it stands in.
        sql: The statement.
        known: `answer`, `error` or `refused` -> what it gives.
        before: Statements that run before it, in the same transaction.
    """

    topic: str
    sql: str
    known: dict[str, Any]
    before: list[str] = field(default_factory=list[str])


def _cases() -> list[Case]:
    found: list[Case] = []
    for path in sorted(CORPUS.glob("*.yaml")):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["cases"]:
            known = {name: entry[name] for name in ("answer", "error", "refused") if name in entry}
            before = [entry["before"]] if isinstance(entry.get("before"), str) else entry.get("before", [])
            found.append(Case(topic=path.stem, sql=entry["sql"], known=known, before=before))
    return found


CASES = _cases()


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    warehouse = Warehouse(tmp_path_factory.mktemp("warehouse") / "server", database="dev", admin="admin")
    warehouse.start()
    connection = warehouse.connect("dev", "admin")
    yield Session(connection, database="dev", user="admin", platform=lambda: warehouse.platform_connection("dev"))
    connection.close()
    warehouse.remove()


def test_the_corpus_is_large_and_each_case_says_what_is_known() -> None:
    assert len(CASES) >= 150
    assert [case.sql for case in CASES if len(case.known) != 1] == []
    assert [path.name for path in CORPUS.glob("*.yaml") if not yaml.safe_load(path.read_text(encoding="utf-8")).get("source")] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.topic}: {' '.join(case.sql.split())[:70]}")
def test_a_statement_gives_redshifts_answer_or_is_refused_by_name(session: Session, case: Case) -> None:
    try:
        for statement in case.before:
            session.run(statement, is_in_transaction=True)
        if "answer" in case.known:
            assert session.run(case.sql, is_in_transaction=True).rows == [
                [None if cell is None else str(cell) for cell in row] for row in case.known["answer"]
            ]
        elif "refused" in case.known:
            with pytest.raises(RefusedError) as refused:
                session.run(case.sql, is_in_transaction=True)
            assert case.known["refused"] in refused.value.name
        else:
            with pytest.raises(SqlError) as error:
                session.run(case.sql, is_in_transaction=True)
            assert not isinstance(error.value, RefusedError), error.value
            assert case.known["error"] in str(error.value)
    finally:
        session.connection.rollback()
