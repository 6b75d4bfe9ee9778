"""Paired measurement: ours and the peer take turns, so that whatever else the machine does falls on both."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

PAIRS = 9
"""Pairs that a figure rests on."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table.

    Attributes:
        name: What was measured.
        unit: Unit of both values.
        ours: Values of ours, in the order measured.
        peer: Values of the peer.
        limit: Largest ratio that is allowed.
    """

    name: str
    unit: str
    ours: tuple[float, ...]
    peer: tuple[float, ...]
    limit: float

    @property
    def ratio(self) -> float:
        """Median of the ratios of the pairs."""
        return statistics.median(self._ratios)

    @property
    def holds(self) -> bool:
        """Whether the limit holds."""
        return self.ratio <= self.limit

    def row(self) -> str:
        """Line of a Markdown table."""
        low, high = _quartiles(self._ratios)
        verdict = "holds" if self.holds else "**does not hold**"
        cells = (
            self.name,
            f"{statistics.median(self.ours):.4g} {self.unit}",
            f"{statistics.median(self.peer):.4g} {self.unit}",
            f"{self.ratio:.2f}",
            f"{low:.2f} - {high:.2f}",
            f"<= {self.limit:.2f}",
            str(len(self.ours)),
            verdict,
        )
        return "| " + " | ".join(cells) + " |"

    @property
    def _ratios(self) -> list[float]:
        return [ours / peer for ours, peer in zip(self.ours, self.peer, strict=True)]


HEADER = "| what | ours (median) | peer (median) | ratio | middle half of the ratios | limit | pairs | verdict |\n| --- | --- | --- | --- | --- | --- | --- | --- |"


def take_turns(ours: Callable[[], T], peer: Callable[[], T], *, pairs: int = PAIRS) -> tuple[list[T], list[T]]:
    """Run both in pairs, the first of each pair by turns, after one of each that does not count.

    Args:
        ours: Measures ours once.
        peer: Measures the peer once.
        pairs: How many pairs count.

    Returns:
        What each returned, in order.
    """
    ours()
    peer()
    first: list[T] = []
    second: list[T] = []
    for number in range(pairs):
        if number % 2:
            second.append(peer())
            first.append(ours())
        else:
            first.append(ours())
            second.append(peer())
    return first, second


def _quartiles(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    quarters = statistics.quantiles(values, n=4, method="inclusive")
    return quarters[0], quarters[2]
