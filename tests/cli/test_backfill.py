"""`lake run` for days: what a day consists of, in what order days run, and what is left alone when the command is repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from cli.backfill import Day, backfill, day_of, days_of
from cli.errors import CommandError, WrongUseError
from cli.main import run as command_line
from cli.progress import Progress
from cli.results import Backfill
from lakehouse.claims import SAME_CONTENT, Claim, Claims
from lakehouse.manifests import read_manifest
from lakehouse.run_ids import new_run_id
from tests.cli.conftest import Shop

TODAY = date(2026, 11, 22)
FIRST, SECOND, THIRD = date(1998, 8, 1), date(1998, 8, 2), date(1998, 8, 3)


@pytest.mark.parametrize(
    ("given", "days"),
    [
        ({}, 0),
        ({"day": TODAY}, 1),
        ({"first": FIRST, "last": FIRST}, 1),
        ({"first": FIRST, "last": THIRD}, 3),
        ({"first": date(2025, 11, 22), "last": TODAY}, 366),
    ],
)
def test_days_are_named_one_by_one_or_as_a_range_with_both_ends(given: dict[str, date], days: int) -> None:
    found = days_of(**{"day": None, "first": None, "last": None, **given}, today=TODAY)
    assert len(found) == days
    assert list(found) == sorted(found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"day": FIRST, "first": FIRST}, "--date names one day"),
        ({"day": FIRST, "last": FIRST}, "--date names one day"),
        ({"first": FIRST}, "give both"),
        ({"last": FIRST}, "give both"),
        ({"first": SECOND, "last": FIRST}, "--from 1998-08-02 lies after --to 1998-08-01"),
        ({"day": date(2026, 11, 23)}, "2026-11-23 lies ahead, today is 2026-11-22"),
        ({"first": date(2025, 11, 21), "last": TODAY}, "are 367 days"),
    ],
)
def test_a_range_that_is_none_is_refused(given: dict[str, date], message: str) -> None:
    with pytest.raises(WrongUseError, match=message):
        days_of(**{"day": None, "first": None, "last": None, **given}, today=TODAY)


@pytest.mark.parametrize(
    "words", [["--date", "1998-13-01"], ["--from", "1998-08-02", "--to", "1998-08-01"], ["--date", "1998-08-01", "--concurrency", "0"]]
)
def test_a_wrong_range_is_a_wrong_use(words: list[str]) -> None:
    assert command_line(["run", "orders", *words]) == 2


@dataclass
class Machines:
    """The machines of the environment: with every second that passes, what was started begins, and what had begun ends."""

    shop: Shop
    ends: dict[tuple[str, str], str] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    log: list[tuple[str, str]] = field(default_factory=list)
    most: int = 0
    now: float = 0.0
    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        begun = [arn for arn, given in self.known.items() if not given["ended"]]
        for arn in begun:
            self._end(arn)
        for arn, given in self._started():
            if arn not in self.known:
                self.known[arn] = {**given, "ended": False}
                self._begin(arn, given)
        self.most = max(self.most, sum(not given["ended"] for given in self.known.values()))

    def _begin(self, arn: str, given: dict[str, Any]) -> None:
        self.log.append((given["pipeline"], given["date"]))
        self.shop.audit.start_run(
            pipeline=given["pipeline"],
            run_id=given["run_id"],
            trigger=given["trigger"],
            attempt=given["attempt"],
            manifest=given["manifest"],
            batch_id=given["batch_id"],
            files=given["files"],
            execution_arn=arn,
            seconds=3600,
        )

    def _end(self, arn: str) -> None:
        given = self.known[arn]
        if given["pipeline"] in self.hangs:
            return
        given["ended"] = True
        status = self.ends.pop((given["pipeline"], given["date"]), "SUCCEEDED")
        rejected: dict[str, Any] = {"reason": "files_rejected", "files": {"loaded": 1, "rejected": 1}} if status == "REJECTED" else {}
        final: Any = "FAILED" if status == "REJECTED" else status
        self.shop.audit.end_run(pipeline=given["pipeline"], run_id=given["run_id"], status=final, **rejected)

    def _started(self) -> list[tuple[str, dict[str, Any]]]:
        states = self.shop.client("stepfunctions")
        found: list[tuple[str, dict[str, Any]]] = []
        for machine in states.list_state_machines()["stateMachines"]:
            for execution in states.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]:
                arn = execution["executionArn"]
                found.append((arn, json.loads(states.describe_execution(executionArn=arn)["input"])))
        return sorted(found, key=lambda pair: pair[1]["run_id"])


@pytest.fixture
def machines(shop: Shop) -> Machines:
    shop.client("s3").create_bucket(Bucket=shop.names.bucket("logs"))
    return Machines(shop)


def land(
    shop: Shop, name: str, *, day: date = FIRST, dataset: str = "tpch.orders", content: bytes = b"x", is_claimed: bool = True, **claim: Any
) -> str:
    """A file that lies in raw, and the claim that its arrival made."""
    bucket = shop.names.bucket("raw")
    key = f"{dataset.replace('.', '/')}/year={day.year}/month={day.month:02}/day={day.day:02}/{name}"
    version = shop.client("s3").put_object(Bucket=bucket, Key=key, Body=content)["VersionId"]
    if is_claimed:
        claims = Claims(client=shop.client("dynamodb"), table=shop.names.run_table("control"), audit=shop.audit)
        known: dict[str, Any] = {
            "status": "STARTED",
            "read_as": "csv",
            "size": len(content),
            "digest": "ab" * 32,
            "sequence": f"{day}#{name}",
            **claim,
        }
        made = Claim(bucket=bucket, key=key, version_id=version, run_id=new_run_id(), pipeline=dataset.partition(".")[2], **known)
        assert claims.write(made, over=None)
    return version


def fill(
    machines: Machines,
    progress: Progress,
    *pipelines: str,
    days: tuple[date, ...] = (FIRST, SECOND, THIRD),
    is_again: bool = False,
    concurrency: int = 2,
    seconds: float = 600,
    sleep: Callable[[float], None] | None = None,
) -> Backfill:
    return backfill(
        machines.shop.session,
        pipelines=pipelines,
        days=days,
        concurrency=concurrency,
        is_again=is_again,
        timeout_seconds=seconds,
        progress=progress,
        clock=machines.clock,
        sleep=sleep or machines.sleep,
    )


def outcomes(found: Backfill) -> list[tuple[str, str, str]]:
    return [(day.pipeline, day.date[-2:], day.outcome) for day in found.days]


def test_a_day_is_every_version_in_its_folder_that_an_arrival_has_claimed(shop: Shop) -> None:
    older = land(shop, "a.csv", content=b"1", sequence="1")
    newer = land(shop, "a.csv", content=b"2", sequence="2")
    packed = land(shop, "b.json.gz", read_as="json.gz", digest="etag:abc/1", sequence="3")
    land(shop, "_SUCCESS", status="SKIPPED", reason="marker_file", read_as="", digest=None)
    land(shop, "twin.csv", status="SKIPPED", reason=SAME_CONTENT)
    land(shop, "unknown.csv", is_claimed=False)
    land(shop, "other.csv", day=SECOND)
    land(shop, "other.csv", dataset="tpch.customer")
    day = day_of(shop.session, pipeline="orders", date=FIRST)
    assert day.manifest is not None
    assert (day.manifest.dataset, day.manifest.pipeline, day.unclaimed) == ("tpch.orders", "orders", 1)
    found = {file.version_id: (file.sequence, file.format, file.compression, file.sha256) for file in day.manifest.files}
    digest = "ab" * 32
    assert found == {older: ("1", "csv", None, digest), newer: ("2", "csv", None, digest), packed: ("3", "json", "gzip", None)}


def test_the_days_of_a_pipeline_run_in_order_one_at_a_time(shop: Shop, machines: Machines, progress: Progress) -> None:
    for day in (FIRST, SECOND, THIRD):
        land(shop, "a.csv", day=day)
    found = fill(machines, progress, "orders", concurrency=5)
    assert outcomes(found) == [("orders", "01", "SUCCEEDED"), ("orders", "02", "SUCCEEDED"), ("orders", "03", "SUCCEEDED")]
    assert machines.log == [("orders", f"1998-08-0{number}") for number in (1, 2, 3)]
    assert machines.most == 1
    assert [day.files for day in found.days] == [1, 1, 1]
    given = next(iter(machines.known.values()))
    assert (given["trigger"], given["attempt"], given["files"]) == ("backfill", 1, 1)
    assert read_manifest(shop.client("s3"), given["manifest"]).batch_id == given["batch_id"]


@pytest.mark.parametrize("concurrency", [1, 2, 3])
def test_so_many_pipelines_run_side_by_side(shop: Shop, machines: Machines, progress: Progress, concurrency: int) -> None:
    for dataset in ("orders", "customer", "lineitem"):
        for day in (FIRST, SECOND):
            land(shop, "a.csv", day=day, dataset=f"tpch.{dataset}")
    found = fill(machines, progress, "orders", "customer", "lineitem", "orders", days=(FIRST, SECOND), concurrency=concurrency)
    assert {day.outcome for day in found.days} == {"SUCCEEDED"}
    assert len(found.days) == 6
    assert machines.most == concurrency
    assert [(day.date, day.pipeline) for day in found.days] == sorted((day.date, day.pipeline) for day in found.days)


def test_a_day_without_files_says_so_and_is_no_error(shop: Shop, machines: Machines, progress: Progress) -> None:
    land(shop, "a.csv", day=SECOND)
    land(shop, "lost.csv", day=THIRD, is_claimed=False)
    found = fill(machines, progress, "orders")
    assert [day.outcome for day in found.days] == ["NO_FILES", "SUCCEEDED", "NO_FILES"]
    assert found.days[0].message == "no file of 1998-08-01 has arrived"
    assert "1 lie in raw that no arrival has claimed" in found.days[2].message
    assert found.days[0].run is None


def test_a_pipeline_that_no_file_starts_is_given_the_day(machines: Machines, progress: Progress) -> None:
    found = fill(machines, progress, "daily_revenue", days=(FIRST, SECOND))
    assert {day.outcome for day in found.days} == {"SUCCEEDED"}
    given = list(machines.known.values())
    assert [(run["date"], run["manifest"], run["batch_id"], run["files"]) for run in given] == [
        ("1998-08-01", None, None, 0),
        ("1998-08-02", None, None, 0),
    ]


def test_what_has_succeeded_is_left_alone_unless_it_is_asked_for_again(shop: Shop, machines: Machines, progress: Progress) -> None:
    land(shop, "a.csv")
    (first,) = fill(machines, progress, "orders", days=(FIRST,)).days
    (second,) = fill(machines, progress, "orders", days=(FIRST,)).days
    assert first.run is not None
    assert second.run is not None
    assert (second.outcome, second.run.run_id) == ("DONE_BEFORE", first.run.run_id)
    assert "--again repeats it" in second.message
    (third,) = fill(machines, progress, "orders", days=(FIRST,), is_again=True).days
    assert third.run is not None
    assert (third.outcome, third.run.attempt) == ("SUCCEEDED", 2)
    land(shop, "b.csv")
    (fourth,) = fill(machines, progress, "orders", days=(FIRST,)).days
    assert (fourth.outcome, fourth.files) == ("SUCCEEDED", 2), "a day that got another file is another request"
    assert len(machines.known) == 3


def test_a_day_that_publishes_nothing_ends_its_pipeline_and_the_command_goes_on_there(
    shop: Shop, machines: Machines, progress: Progress
) -> None:
    for dataset in ("orders", "customer"):
        for day in (FIRST, SECOND, THIRD):
            land(shop, "a.csv", day=day, dataset=f"tpch.{dataset}")
    machines.ends[("orders", "1998-08-02")] = "FAILED"
    found = fill(machines, progress, "orders", "customer")
    assert [day.outcome for day in found.days if day.pipeline == "orders"] == ["SUCCEEDED", "FAILED", "NOT_STARTED"]
    assert [day.outcome for day in found.days if day.pipeline == "customer"] == ["SUCCEEDED"] * 3
    again = fill(machines, progress, "orders")
    assert [day.outcome for day in again.days] == ["DONE_BEFORE", "SUCCEEDED", "SUCCEEDED"]
    assert again.days[1].run is not None
    assert again.days[1].run.attempt == 2


def test_a_day_with_a_rejected_file_has_failed_and_the_next_one_runs(shop: Shop, machines: Machines, progress: Progress) -> None:
    for day in (FIRST, SECOND):
        land(shop, "a.csv", day=day)
    machines.ends[("orders", "1998-08-01")] = "REJECTED"
    assert [day.outcome for day in fill(machines, progress, "orders", days=(FIRST, SECOND)).days] == ["FAILED", "SUCCEEDED"]


def test_a_command_that_was_interrupted_waits_for_what_runs_and_goes_on(shop: Shop, machines: Machines, progress: Progress) -> None:
    for day in (FIRST, SECOND, THIRD):
        land(shop, "a.csv", day=day)
    slept = 0

    def interrupted(seconds: float) -> None:
        nonlocal slept
        slept += 1
        if slept == 4:
            raise KeyboardInterrupt
        machines.sleep(seconds)

    with pytest.raises(KeyboardInterrupt):
        fill(machines, progress, "orders", sleep=interrupted)
    before = set(machines.known)
    assert 1 <= len(before) < 3
    assert any(not run["ended"] for run in machines.known.values())
    found = fill(machines, progress, "orders")
    assert [day.outcome for day in found.days] == ["DONE_BEFORE", "SUCCEEDED", "SUCCEEDED"]
    assert [date for _, date in machines.log] == ["1998-08-01", "1998-08-02", "1998-08-03"], "no day ran twice"


def test_two_commands_at_once_do_not_start_a_day_twice(shop: Shop, machines: Machines, progress: Progress) -> None:
    land(shop, "a.csv")

    def meanwhile(_: float) -> None:
        # The audit does not know the other's run yet.
        fill(machines, progress, "orders", days=(FIRST,))

    with pytest.raises(CommandError, match="was started by somebody else just now: repeat the command"):
        fill(machines, progress, "orders", days=(FIRST,), sleep=meanwhile)


def test_one_that_takes_too_long_goes_on_and_says_how_to_wait_for_it(shop: Shop, machines: Machines, progress: Progress) -> None:
    land(shop, "a.csv")
    machines.hangs.add("orders")
    with pytest.raises(CommandError, match=r"not finished after 5 s, what runs goes on: orders 1998-08-01\. Repeat the command"):
        fill(machines, progress, "orders", days=(FIRST,), seconds=5)


def test_an_unknown_pipeline_is_refused_before_anything_is_started(machines: Machines, progress: Progress) -> None:
    with pytest.raises(WrongUseError, match=r"there is no pipeline 'daily_revenu': did you mean daily_revenue\?"):
        fill(machines, progress, "daily_revenue", "daily_revenu")
    machines.sleep(1)
    assert machines.known == {}


def test_the_same_day_of_the_same_files_has_the_same_name(shop: Shop) -> None:
    land(shop, "a.csv")
    one, two = (day_of(shop.session, pipeline="orders", date=FIRST) for _ in range(2))
    assert one.name == two.name
    assert len(f"{one.name}{10**6}") <= 80
    assert Day(pipeline="orders", date=FIRST).name != one.name
