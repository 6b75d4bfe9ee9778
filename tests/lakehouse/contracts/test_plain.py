"""Documents as plain Python."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts.plain import plain

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@dataclass(frozen=True)
class Inner:
    value: Any


@dataclass(frozen=True)
class Outer:
    first: Any
    second: tuple[Inner, ...]


values = st.recursive(
    leaves | st.builds(Inner, leaves),
    lambda part: st.lists(part) | st.lists(part).map(tuple) | st.dictionaries(st.text(), part) | st.builds(Inner, part),
    max_leaves=20,
)


@given(values, st.lists(st.builds(Inner, values)).map(tuple))
def test_it_is_what_the_standard_library_gives(first: Any, second: tuple[Inner, ...]) -> None:
    document = Outer(first, second)
    assert plain(document) == asdict(document)
    assert json.dumps(plain(document)) == json.dumps(asdict(document))


def test_what_is_changed_afterwards_is_a_copy() -> None:
    inner = {"a": [1]}
    document = plain(Outer(inner, ()))
    document["first"]["a"].append(2)
    assert inner == {"a": [1]}


def test_what_is_no_document_is_refused() -> None:
    with pytest.raises(TypeError, match="dataclass"):
        plain(Inner(object()))
