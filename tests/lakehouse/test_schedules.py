"""What EventBridge Scheduler would take, and what each fault is told."""

from __future__ import annotations

import pytest

from lakehouse.schedules import InvalidScheduleError, check_schedule, check_time_zone


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 3 * * ? *)", "cron(0/15 * * * ? *)", "cron(0 8-18/2 ? * MON-FRI *)", "cron(0 0 L * ? *)", "cron(0 0 LW * ? *)",
        "cron(0 0 15W * ? *)", "cron(0 0 ? * 6L *)", "cron(0 0 ? * TUE#1 *)", "cron(0 0 ? JAN,JUL 2#1 2026-2030)", "cron(5,35 14 * * ? *)",
        "cron(0 0 1 jan ? *)", "rate(1 minute)", "rate(5 minutes)", "rate(1 day)", "rate(6 hours)",
    ],
)  # fmt: skip
def test_a_schedule_as_scheduler_takes_it_passes(expression: str) -> None:
    check_schedule(expression)


@pytest.mark.parametrize(
    ("expression", "problem", "fix"),
    [
        ("0 3 * * *", "is no schedule", "cron(0 3 * * ? *)"),
        ("cron(0 3 * * *)", "has 5 fields", "cron(minutes hours day-of-month month day-of-week year)"),
        ("cron(0 3 * * ? * *)", "has 7 fields", "six"),
        ("cron(0 3 * * * *)", "has no day-of-month or day-of-week `?`", "exactly one"),
        ("cron(0 3 ? * ? *)", "has both day-of-month and day-of-week `?`", "exactly one"),
        ("cron(60 3 * * ? *)", "'60' is no minutes", "0-59"),
        ("cron(0 24 * * ? *)", "'24' is no hours", "0-23"),
        ("cron(0 3 0 * ? *)", "'0' is no day-of-month", "1-31"),
        ("cron(0 3 32W * ? *)", "'32W' is no day-of-month", "15W"),
        ("cron(0 3 * 13 ? *)", "'13' is no month", "JAN-DEC"),
        ("cron(0 3 ? * 0 *)", "'0' is no day-of-week", "SUN-SAT"),
        ("cron(0 3 ? * 2#6 *)", "'2#6' is no day-of-week", "2#1"),
        ("cron(0 3 * * ? 1969)", "'1969' is no year", "1970-2199"),
        ("cron(? 3 * * ? *)", "'?' is no minutes", "0-59"),
        ("cron(0/0 3 * * ? *)", "'0/0' is no minutes", "1/2"),
        ("cron(1-x 3 * * ? *)", "'1-x' is no minutes", "1-2"),
        ("cron(1, 3 * * ? *)", "'1,' is no minutes", "1,2"),
        ("rate(0 hours)", "is no number", "1 or more"),
        ("rate(1.5 hours)", "is no number", "whole"),
        ("rate(1 hours)", "'hours'", "minute, hour, day with 1"),
        ("rate(5 minute)", "'minute'", "minutes, hours, days with 5"),
        ("rate(2 weeks)", "'weeks'", "days"),
        ("at(2026-11-22T03:00:00)", "happens once", "lake run"),
        ("", "is no schedule", "rate(6 hours)"),
    ],
)
def test_every_other_schedule_is_refused_with_what_to_write(expression: str, problem: str, fix: str) -> None:
    with pytest.raises(InvalidScheduleError) as raised:
        check_schedule(expression)
    assert problem in raised.value.problem
    assert fix == "six" or fix in raised.value.fix


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"])
def test_time_zones_are_iana_s(zone: str) -> None:
    check_time_zone(zone)


@pytest.mark.parametrize(
    ("zone", "fix"), [("europe/berlin", "Europe/Berlin"), ("Berlin", "Europe/Berlin"), ("Middle/Earth", "IANA"), ("", "IANA")]
)
def test_another_time_zone_is_refused_with_the_one_that_was_meant(zone: str, fix: str) -> None:
    with pytest.raises(InvalidScheduleError) as raised:
        check_time_zone(zone)
    assert fix in raised.value.fix
