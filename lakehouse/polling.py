"""Looks at work that goes on elsewhere, until it is over or the time is."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pauses:
    """Waits between two looks.

    Attributes:
        first_seconds: The first wait.
        factor: Each next one is that much longer.
        longest_seconds: None is longer.
        jitter: Share of each that chance cuts off, so that many who began together do not go on looking together.
    """

    first_seconds: float = 2.0
    factor: float = 1.5
    longest_seconds: float = 30.0
    jitter: float = 0.1

    def __iter__(self) -> Iterator[float]:
        pause = self.first_seconds
        while True:
            yield pause
            pause = min(pause * self.factor, self.longest_seconds)


def looks(
    seconds: float,
    *,
    pauses: Pauses,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    chance: Callable[[], float] = random.random,
) -> Iterator[float]:
    """One item for each look at the work; the loop over them ends by itself when the time is over, and the caller then cancels the work.

    The first look is at once and the last one when the time is over, so that work which ended in time is never given up.

    Args:
        seconds: Time to wait in all.
        pauses: Waits between two looks.
        clock: Seconds that only go forward.
        sleep: Waits some seconds.
        chance: Gives a number from 0 to 1.

    Yields:
        Seconds that are left.
    """
    give_up = clock() + seconds
    for pause in pauses:
        left = give_up - clock()
        yield max(left, 0.0)
        left = min(left, give_up - clock())
        if left <= 0:
            return
        sleep(min(pause * (1 - pauses.jitter * chance()), left))
