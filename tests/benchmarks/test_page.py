"""The page of performance: parts are renewed one by one."""

from __future__ import annotations

import re

from benchmarks.__main__ import PAGE, PARTS
from benchmarks.page import INTRODUCTION, Measurement, renewed
from benchmarks.pairs import Figure

FIRST = """\
## First

`python -m benchmarks first --write`, some day.

| what |
| --- |
| put in by hand |

- A note.
"""
TITLES = ("First", "Second", "Third")


def measurement(title: str, value: float = 2.0) -> Measurement:
    figure = Figure(name="a thing", unit="s", ours=(value, value), peer=(1.0, 1.0), limit=1.05)
    return Measurement(title=title, how="`measured`, today.", figures=[figure], notes="- Mind this.\n")


def test_a_part_is_renewed_and_the_others_stay_word_for_word() -> None:
    page = renewed(f"{INTRODUCTION}\n{FIRST}", [measurement("Second")], titles=TITLES)
    assert page.startswith(INTRODUCTION)
    assert FIRST in page
    again = renewed(page, [measurement("Second", 1.0)], titles=TITLES)
    assert FIRST in again
    assert ("**does not hold**" in page, "**does not hold**" in again) == (True, False)
    assert again.count("## Second") == 1


def test_sections_keep_the_order_of_the_parts_and_unknown_ones_go() -> None:
    page = renewed("", [measurement("Third"), measurement("Gone")], titles=TITLES)
    page = renewed(page, [measurement("First")], titles=TITLES)
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == ["First", "Third"]
    assert renewed(page, [], titles=TITLES) == page


def test_the_page_of_the_checkout_is_one_that_parts_can_renew() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert renewed(page, [], titles=[part.title for part in PARTS.values()]) == page
