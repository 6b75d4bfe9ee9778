"""docs/cli.md says what the code does."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import typer

from cli import check_results, cost_results, results, row_results, statement_results, stop_results
from cli.main import app
from cli.reasons import REASON_CODES
from cli.reference import PAGE, SHAPES, commands, meanings_of, page
from cli.session import ROOT

INTERFACE = {
    "up": ["--env"],
    "deploy": ["--env"],
    "drop": ["DATASET", "FILE...", "--date", "--env"],
    "wait": ["--timeout", "--env"],
    "run": ["PIPELINE...", "--date", "--from", "--to", "--concurrency", "--again", "--timeout", "--json", "--env"],
    "stop": ["RUN", "--json", "--env"],
    "runs": ["--json", "--env"],
    "show": ["RUN", "--json", "--env"],
    "logs": ["RUN", "--env"],
    "sql": ["QUERY", "--engine", "--json", "--env"],
    "quarantine": ["DATASET", "--json", "--env"],
    "erase": ["DATASET", "COLUMN=VALUE...", "--yes", "--timeout", "--json", "--env"],
    "check": ["[DATASET...]", "--json", "--env"],
    "tables": ["--json", "--env"],
    "costs": ["--from", "--to", "--json", "--env"],
    "rows list": ["[GROUP]", "--json", "--env"],
    "rows put": ["GROUP", "FILE", "--env"],
    "rows enable": ["GROUP", "ROW", "--env"],
    "rows disable": ["GROUP", "ROW", "--env"],
    "statements list": ["--status", "--json", "--env"],
    "statements show": ["STATEMENT", "--json", "--env"],
    "statements cancel": ["STATEMENT", "--env"],
    "status": ["--json", "--env"],
    "down": ["--wipe", "--env"],
}
"""These verbs and flags are promised: they stay as they are."""


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "renew it: python -m cli.reference"


def test_verbs_and_flags_are_the_promised_ones() -> None:
    found = {
        name: [
            parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0]
            for parameter in command.params
            if parameter.name != "help"
        ]
        for name, command in commands(typer.main.get_command(app))
    }
    assert found == INTERFACE


def test_every_verb_with_json_has_a_described_shape() -> None:
    assert set(SHAPES) == {verb for verb, flags in INTERFACE.items() if "--json" in flags}


@pytest.mark.parametrize(
    "shape",
    [
        value
        for room in (results, check_results, cost_results, row_results, statement_results, stop_results)
        for _, value in inspect.getmembers(room, is_dataclass)
    ],
    ids=lambda shape: shape.__name__,
)
def test_every_key_of_every_shape_has_a_meaning(shape: type) -> None:
    assert list(meanings_of(shape)) == [entry.name for entry in fields(shape)]


def test_reason_codes_are_told_apart_and_say_what_to_do() -> None:
    codes = [reason.code for reason in REASON_CODES]
    assert len(codes) == len(set(codes))
    assert all(reason.meaning.endswith(".") and reason.remedy.endswith(".") for reason in REASON_CODES)


def test_no_remedy_says_that_the_same_bytes_again_are_judged_anew() -> None:
    """They are `same_content`, unless their run failed; and of a failed run one file dropped again leaves the others unloaded."""
    for reason in REASON_CODES:
        assert "drop a file again" not in reason.remedy
        if "contract's" in reason.remedy:
            assert "repeat the run (docs/operating.md)" in reason.remedy, reason.code


def test_every_reason_that_the_code_gives_is_in_the_list() -> None:
    known = {reason.code for reason in REASON_CODES}
    given = re.compile(r'RunFailed\(\s*"([a-z_]+)"|(?:reason|code)="([a-z_]+)"|lit\("([a-z_]+)"\)\.alias\("code"\)')
    found: dict[str, str] = {}
    for folder in ("lakehouse/spark", "lambdas", "jobs"):
        for path in (ROOT / folder).rglob("*.py"):
            for match in given.finditer(path.read_text(encoding="utf-8")):
                found[next(filter(None, match.groups()))] = path.name
    assert {"missing_column", "quality_gate", "duplicate_key", "timed_out"} <= set(found)
    assert {code: file for code, file in found.items() if code not in known} == {}


def test_every_row_code_of_a_compiled_rule_is_in_the_list(session: Any) -> None:
    known = {reason.code for reason in REASON_CODES if reason.scope == "row"}
    used = {rule.code for contract in session.contracts.values() for rule in contract.quality.rules if rule.level == "row"}
    assert used <= known
