"""The one poller: looks at once, waits longer and longer, and looks once more when the time is over."""

from __future__ import annotations

import pytest

from lakehouse.polling import Pauses, looks

STEADY = Pauses(first_seconds=10, factor=2, longest_seconds=30, jitter=0)


class Work:
    """Work that is over when so many looks have been taken, and time that sleeping and looking move."""

    def __init__(self, *, states: list[str], look_seconds: float = 0.0) -> None:
        self.states, self.look_seconds = states, look_seconds
        self.now, self.slept, self.cancelled = 0.0, list[float](), False

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def look(self) -> str:
        self.now += self.look_seconds
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def wait(self, seconds: float, *, pauses: Pauses = STEADY, chance: float = 0.0) -> str:
        """As every waiter of the library does it."""
        state = ""
        for _ in looks(seconds, pauses=pauses, clock=lambda: self.now, sleep=self.sleep, chance=lambda: chance):
            state = self.look()
            if state == "DONE":
                return state
        self.cancelled = True
        return state


def test_work_that_is_over_is_not_waited_for() -> None:
    work = Work(states=["DONE"])
    assert (work.wait(60), work.slept, work.cancelled) == ("DONE", [], False)


def test_waits_grow_up_to_the_longest() -> None:
    work = Work(states=[*["RUNNING"] * 5, "DONE"])
    assert work.wait(1000) == "DONE"
    assert work.slept == [10, 20, 30, 30, 30]


def test_the_last_look_is_when_the_time_is_over_and_then_the_work_is_cancelled() -> None:
    work = Work(states=["RUNNING"])
    assert work.wait(75) == "RUNNING"
    assert work.slept == [10, 20, 30, 15]
    assert work.cancelled


def test_work_that_ended_during_the_last_wait_is_not_given_up() -> None:
    work = Work(states=["RUNNING", "RUNNING", "DONE"])
    assert work.wait(20) == "DONE"
    assert not work.cancelled


def test_the_time_that_looks_take_counts() -> None:
    work = Work(states=["RUNNING"], look_seconds=25)
    work.wait(60)
    assert work.now <= 60 + 25
    assert work.slept == [10]


def test_no_time_is_one_look() -> None:
    work = Work(states=["RUNNING"])
    assert (work.wait(0), work.slept) == ("RUNNING", [])


@pytest.mark.parametrize(("chance", "slept"), [(0.0, [10, 20]), (1.0, [8, 16]), (0.5, [9, 18])])
def test_chance_cuts_a_share_off_each_wait_and_never_adds_to_one(chance: float, slept: list[float]) -> None:
    work = Work(states=["RUNNING", "RUNNING", "DONE"])
    work.wait(1000, pauses=Pauses(first_seconds=10, factor=2, longest_seconds=30, jitter=0.2), chance=chance)
    assert work.slept == pytest.approx(slept)
