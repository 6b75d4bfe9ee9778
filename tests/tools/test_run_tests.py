"""`make test` runs every test once, and fails if a part does."""

from __future__ import annotations

import itertools

import pytest

from tools.run_tests import LANES

MARKED: list[dict[str, object]] = [
    dict(zip(("spark", "platform", "e2e", "apart"), flags, strict=True))
    for flags in itertools.product([False, True], repeat=4)
    if flags[:2] != (True, True)  # a test has one engine
    and flags[2:] != (False, True)  # what is apart is a scenario
]


@pytest.mark.parametrize("marked", MARKED, ids=str)
def test_every_test_is_in_one_part(marked: dict[str, object]) -> None:
    parts = [part.name for lane in LANES for part in lane if eval(part.markers, {"bulk": False}, marked)]  # noqa: S307 - our own expressions
    assert len(parts) == 1
