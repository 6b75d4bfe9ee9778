"""Packages of the library say what they are and nothing else: what a parent imports, no import rule sees."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lakehouse

FOLDER = Path(lakehouse.__file__).parent


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("__init__.py")), ids=lambda path: path.parent.relative_to(FOLDER.parent).as_posix())
def test_a_package_holds_its_sentence_alone(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    assert [type(statement) for statement in body] == [ast.Expr]
