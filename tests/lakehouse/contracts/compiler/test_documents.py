"""YAML is read strictly: what it would silently turn into something else is a fault with a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.contracts.compiler.documents import MAX_BYTES, Document, dotted, nearest, read_document
from lakehouse.errors import Fault


def read(tmp_path: Path, text: str | bytes) -> tuple[Document | None, list[Fault]]:
    path = tmp_path / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    faults: list[Fault] = []
    return read_document(path, root=tmp_path, faults=faults), faults


def test_values_have_lines(tmp_path: Path) -> None:
    document, faults = read(tmp_path, "a: 1\nb:\n  - x\n  - {c: 2.5,\n     d: null}\n")
    assert faults == []
    assert document is not None
    assert document.value == {"a": 1, "b": ["x", {"c": 2.5, "d": None}]}
    assert [document.line(place) for place in ((), ("a",), ("b",), ("b", 0), ("b", 1, "d"), ("b", 1, "none"))] == [1, 1, 2, 3, 5, 4]
    assert dotted(("b", 1, "d")) == "b[1].d"
    assert dotted(()) == "(root)"


@pytest.mark.parametrize(
    ("text", "place", "problem", "fix"),
    [
        ("a: NO\n", "a", "NO is read by YAML as a boolean", '"NO"'),
        ("a: on\n", "a", "on is read by YAML as a boolean", '"on"'),
        ("a: 2024-01-01\n", "a", "is read by YAML as a date", '"2024-01-01"'),
        ("a: 2024-01-01T00:00:00Z\n", "a", "is read by YAML as a date", "quote it"),
        ("a: 12:30\n", "a", "a number of another base", '"12:30"'),
        ("a: 010\n", "a", "a number of another base", '"010"'),
        ("a: 0x1F\n", "a", "a number of another base", '"0x1F"'),
        ("a: 1_000\n", "a", "a number of another base", '"1_000"'),
        ("a: .inf\n", "a", "is not a plain number", "write digits"),
        ("a: .nan\n", "a", "is not a plain number", "write digits"),
        ("a: 1\na: 2\n", "a", "stands twice, first at line 1", "keep one"),
        ("1: a\n", "(root)", "has the key '1'", '"1"'),
        ("true: a\n", "(root)", "has the key 'true'", '"true"'),
        ("? [a]\n: b\n", "(root)", "does not read as text", "quote it"),
        ("a: &x [1]\nb: *x\n", "b", "is an alias", "write the value out"),
        ("a: &x {c: 1}\nb:\n  <<: *x\n", "b", "merges another mapping", "write the keys out"),
        ("a: !!python/object:os.system {}\n", "a", "", ""),
        ("a: !mine x\n", "a", "has the YAML tag !mine", "plain value"),
        ("a: &x [*x]\n", "a[0]", "is an alias", "write the value out"),
        ("a: " + "[" * 70 + "]" * 70 + "\n", "a" + "[0]" * 60, "is nested deeper than 60 levels", "flatten"),
    ],
)
def test_what_yaml_would_turn_into_something_else(tmp_path: Path, text: str, place: str, problem: str, fix: str) -> None:
    document, faults = read(tmp_path, text)
    if not problem:
        assert document is None or document.value == {"a": {}}
        return
    assert [(fault.place, fault.line > 0) for fault in faults] == [(place, True)]
    assert problem in faults[0].problem
    assert fix in faults[0].fix


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b"# nothing\n", "is empty"),
        (b"- a\n", "is not a mapping"),
        (b"a: 1\n---\nb: 2\n", "holds 2 YAML documents"),
        (b"a: [1\n", "is not valid YAML"),
        (b"a: 1\n\tb: 2\n", "is not valid YAML"),
        (b"a: \x00\n", "is not valid YAML"),
        (b"a: '\xff'\n", "is not UTF-8 (byte 4)"),
        (b"a: *nothing\n", "is not valid YAML"),
        (b"#" * (MAX_BYTES + 1), "more than"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, data: bytes, problem: str) -> None:
    document, faults = read(tmp_path, data)
    assert document is None
    assert len(faults) == 1
    assert problem in faults[0].problem
    assert faults[0].file == "a.yaml"


def test_a_file_that_is_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    faults: list[Fault] = []
    assert read_document(tmp_path / "a.yaml", root=tmp_path, faults=faults) is None
    assert "cannot be read" in faults[0].problem


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@settings(max_examples=150, deadline=None)
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    faults: list[Fault] = []
    document = read_document(path, root=path.parent, faults=faults)
    assert (document is None) <= bool(faults)


def test_the_nearest_word_comes_first() -> None:
    assert nearest("versoin", ["id", "version"]) == "did you mean 'version'? Allowed: id, version"
    assert nearest("x", []) == "remove it"
