"""Schedules as EventBridge Scheduler writes them, checked before anybody deploys one.

`cron(minutes hours day-of-month month day-of-week year)`, one of the two days being `?`; `rate(n unit)`. A time zone is one of IANA's; when
clocks change, Scheduler leaves out a time that does not exist and runs one that comes twice once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import available_timezones

UTC = "UTC"
"""Time zone of a schedule that names none."""

EXAMPLE = "cron(0 3 * * ? *)"
"""Every day at three o'clock."""

_CRON = re.compile(r"cron\((.*)\)")
_RATE = re.compile(r"rate\(\s*(\S+)\s+(\S+)\s*\)")
_UNITS = ("minute", "hour", "day")
_MONTHS = {
    name: number
    for number, name in enumerate(["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], start=1)
}
_DAYS = {name: number for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], start=1)}


class InvalidScheduleError(ValueError):
    """A schedule that Scheduler would refuse.

    Attributes:
        problem: What is wrong and what was found.
        fix: What to write instead.
    """

    def __init__(self, problem: str, fix: str) -> None:
        self.problem, self.fix = problem, fix
        super().__init__(f"{problem}: {fix}")


@dataclass(frozen=True, kw_only=True)
class _Field:
    """One of the six fields of a cron expression."""

    name: str
    least: int
    most: int
    names: Mapping[str, int]
    special: re.Pattern[str]
    """Forms that only this field knows."""


_NONE = re.compile(r"(?!)")
_FIELDS = (
    _Field(name="minutes", least=0, most=59, names={}, special=_NONE),
    _Field(name="hours", least=0, most=23, names={}, special=_NONE),
    _Field(name="day-of-month", least=1, most=31, names={}, special=re.compile(r"\?|L|LW|([1-9]|[12][0-9]|3[01])W")),
    _Field(name="month", least=1, most=12, names=_MONTHS, special=_NONE),
    _Field(
        name="day-of-week",
        least=1,
        most=7,
        names=_DAYS,
        special=re.compile(r"\?|L|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5])"),
    ),
    _Field(name="year", least=1970, most=2199, names={}, special=_NONE),
)
_FORM = " ".join(field.name for field in _FIELDS)


def check_schedule(expression: str) -> None:
    """Refuse what Scheduler would refuse, or what is no recurring schedule.

    Raises:
        InvalidScheduleError: It is malformed, or a value is out of range.
    """
    cron, rate = _CRON.fullmatch(expression), _RATE.fullmatch(expression)
    if cron is not None:
        _check_cron(expression, cron[1].split())
    elif rate is not None:
        _check_rate(expression, rate[1], rate[2])
    elif expression.startswith("at("):
        raise InvalidScheduleError(
            f"{expression!r} happens once", f"write a schedule that comes again, such as {EXAMPLE}; `lake run` starts one run"
        )
    else:
        raise InvalidScheduleError(f"{expression!r} is no schedule", f"write {EXAMPLE} or rate(6 hours)")


def check_time_zone(name: str) -> None:
    """Refuse a time zone that IANA does not know.

    Raises:
        InvalidScheduleError: There is none of that name.
    """
    if name == UTC:
        return  # also where a machine has no zone files
    if name not in available_timezones() or name.startswith(("posix/", "right/", "localtime")):
        same = sorted(zone for zone in available_timezones() if zone.lower().rpartition("/")[2] == name.lower().rpartition("/")[2])
        raise InvalidScheduleError(
            f"there is no time zone {name!r}", f"write {same[0]}" if same else "write one of IANA's, such as Europe/Berlin or UTC"
        )


def _check_rate(expression: str, number: str, unit: str) -> None:
    if not number.isascii() or not number.isdigit() or int(number) < 1:
        raise InvalidScheduleError(
            f"{number!r} in {expression!r} is no number of {unit}", "write a whole number of 1 or more, such as rate(6 hours)"
        )
    words = _UNITS if int(number) == 1 else tuple(f"{word}s" for word in _UNITS)
    if unit not in words:
        raise InvalidScheduleError(f"{unit!r} in {expression!r} is no unit", f"write {', '.join(words)} with {number}")


def _check_cron(expression: str, given: Sequence[str]) -> None:
    if len(given) != len(_FIELDS):
        raise InvalidScheduleError(
            f"{expression!r} has {len(given)} fields, a schedule has {len(_FIELDS)}", f"write cron({_FORM}), such as {EXAMPLE}"
        )
    for field, text in zip(_FIELDS, given, strict=True):
        for part in text.upper().split(","):
            if not _is_part(field, part):
                raise InvalidScheduleError(f"{text!r} is no {field.name} of a schedule, in {expression!r}", _allowed(field))
    questions = (given[2], given[4]).count("?")
    if questions != 1:
        raise InvalidScheduleError(
            f"{expression!r} has {'no' if questions == 0 else 'both'} day-of-month {'or' if questions == 0 else 'and'} day-of-week `?`",
            f"write `?` for exactly one of the two: the other says the day, as in {EXAMPLE}",
        )


def _is_part(field: _Field, part: str) -> bool:
    if field.special.fullmatch(part) is not None:
        return True
    base, slash, step = part.partition("/")
    if slash and not (step.isascii() and step.isdigit() and 1 <= int(step) <= field.most):
        return False
    if base == "*":
        return True
    first, dash, last = base.partition("-")
    numbers = [_number(field, word) for word in ((first, last) if dash else (first,))]
    return all(number is not None for number in numbers)


def _number(field: _Field, word: str) -> int | None:
    if word in field.names:
        return field.names[word]
    if not (word.isascii() and word.isdigit()):
        return None
    number = int(word)
    return number if field.least <= number <= field.most else None


def _allowed(field: _Field) -> str:
    names = f" or {next(iter(field.names))}-{list(field.names)[-1]}" if field.names else ""
    more = {"day-of-month": ", `?`, `L`, `LW` or `15W`", "day-of-week": ", `?`, `6L` or `2#1`"}.get(field.name, "")
    return f"write {field.least}-{field.most}{names}, `*`, a list `1,2`, a range `1-2`, a step `1/2`{more}"
