"""docs/performance.md: one section a part, each with the day it was measured, so that a part is renewed without the others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.pairs import HEADER, Figure

INTRODUCTION = """\
# Performance

What the platform costs, each figure against a peer that does the same without it: ours and the peer take turns, the ratio is the median of the ratios of
the pairs, and a peer counts only because it leaves the same resources or the same tables (asserted at each run). `make bench` measures everything and
writes this page; `python -m benchmarks PART... --write` renews the sections of some parts and leaves the others as they are.
"""

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A part that was measured.

    Attributes:
        title: Heading of its section, by which an older one is found.
        how: Command that repeats it, when, and on what.
        figures: What was measured.
        notes: What a reader has to know, as Markdown.
    """

    title: str
    how: str
    figures: Sequence[Figure]
    notes: str

    def section(self) -> str:
        """Its section."""
        return f"## {self.title}\n\n{self.how}\n\n{table(self.figures)}\n\n{self.notes.strip()}\n"


def table(figures: Sequence[Figure]) -> str:
    """Figures as a Markdown table."""
    return "\n".join([HEADER, *(figure.row() for figure in figures)])


def renewed(page: str, measured: Sequence[Measurement], *, titles: Sequence[str]) -> str:
    """The page with the sections of these measurements; the others stay word for word.

    Args:
        page: The page as it is; may be empty.
        measured: What is new.
        titles: Every heading that the page may have, in order; sections of other titles go.
    """
    sections = {**_sections(page), **{measurement.title: measurement.section() for measurement in measured}}
    return "\n".join([INTRODUCTION, *(sections[title] for title in titles if title in sections)])


def _sections(page: str) -> Mapping[str, str]:
    found = list(_SECTION.finditer(page))
    ends = [match.start() for match in found[1:]] + [len(page)] * bool(found)
    return {match[1]: page[match.start() : end].rstrip() + "\n" for match, end in zip(found, ends, strict=True)}
