"""A crawl is over when it is this one, and good when Glue says that it succeeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lakehouse.crawls import PAUSES, Crawl, CrawlCancelled, Crawler, CrawlFailed, CrawlNotStarted, CrawlRefused, CrawlTimedOut

NAME = {"Name": "clicks"}
EVEN = replace(PAUSES, jitter=0)
YESTERDAY, TODAY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def last(status: str = "SUCCEEDED", at: datetime = TODAY, **more: str) -> dict[str, Any]:
    return {"Status": status, "StartTime": at, "MessagePrefix": f"{at:%j}", "LogGroup": "/aws-glue/crawlers", "LogStream": "clicks", **more}


OLD = last(at=YESTERDAY)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class Glue(Stubber):
    """Glue's answers in their order; an answer that nobody fetched fails the test."""

    def __init__(self) -> None:
        super().__init__(boto3.client("glue", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"))

    def is_(self, state: str, crawl: dict[str, Any] | None = OLD) -> Glue:
        self.add_response("get_crawler", {"Crawler": {**NAME, "State": state, **({"LastCrawl": crawl} if crawl else {})}}, NAME)
        return self

    def starts(self) -> Glue:
        self.add_response("start_crawler", {}, NAME)
        return self

    def stops(self) -> Glue:
        self.add_response("stop_crawler", {}, NAME)
        return self

    def refuses(self, operation: str, code: str) -> Glue:
        self.add_client_error(operation, code, "why", expected_params=NAME)
        return self


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def glue() -> Iterator[Glue]:
    with Glue() as stubbed:
        yield stubbed
        stubbed.assert_no_pending_responses()


@pytest.fixture
def crawl(glue: Glue, clock: Clock) -> Callable[..., Crawl]:
    return Crawler(glue.client, "clicks", pauses=EVEN, clock=clock, sleep=clock.sleep).crawl


def test_a_crawl_is_looked_at_every_quarter_of_a_minute_until_it_is_over(glue: Glue, crawl: Callable[..., Crawl], clock: Clock) -> None:
    glue.is_("READY").starts().is_("RUNNING").is_("RUNNING").is_("STOPPING").is_("READY", last())
    assert crawl() == Crawl(crawler="clicks", status="SUCCEEDED", started_at=TODAY, log="/aws-glue/crawlers/clicks")
    assert clock.pauses == [15, 15, 15]


def test_a_crawler_that_never_crawled_has_no_last_crawl(glue: Glue, crawl: Callable[..., Crawl]) -> None:
    glue.is_("READY", None).starts().is_("READY", None).is_("READY", last())
    assert crawl().started_at == TODAY


def test_the_crawl_of_yesterday_is_not_taken_for_this_one(glue: Glue, crawl: Callable[..., Crawl], clock: Clock) -> None:
    glue.is_("READY", last("FAILED", YESTERDAY)).starts().is_("READY", last("FAILED", YESTERDAY)).is_("READY", last())
    assert crawl().status == "SUCCEEDED"
    assert clock.now == 15


def test_a_crawl_under_way_may_have_passed_what_is_new_so_another_one_is_made(glue: Glue, crawl: Callable[..., Crawl]) -> None:
    other = last(at=datetime(2026, 1, 1, 12, tzinfo=UTC))
    glue.is_("RUNNING").is_("STOPPING").is_("READY", other).starts().is_("RUNNING", other).is_("READY", last())
    assert crawl().started_at == TODAY


def test_a_crawl_that_somebody_starts_a_moment_before_is_let_end_too(glue: Glue, crawl: Callable[..., Crawl]) -> None:
    other = last(at=datetime(2026, 1, 1, 12, tzinfo=UTC))
    glue.is_("READY").refuses("start_crawler", "CrawlerRunningException").is_("RUNNING").is_("READY", other).starts().is_("READY", last())
    assert crawl().started_at == TODAY


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        ("FAILED", CrawlFailed, "the crawl of clicks ended as FAILED: no rights; /aws-glue/crawlers/clicks has more"),
        ("CANCELLED", CrawlCancelled, "somebody stopped the crawl of clicks"),
    ],
)
def test_a_ready_crawler_whose_crawl_failed_or_was_stopped_is_no_success(
    glue: Glue, crawl: Callable[..., Crawl], status: str, error: type[CrawlFailed], said: str
) -> None:
    glue.is_("READY").starts().is_("READY", last(status, ErrorMessage="no rights"))
    with pytest.raises(CrawlFailed, match=said) as raised:
        crawl()
    assert type(raised.value) is error
    assert raised.value.crawl.status == status


def test_a_status_that_nobody_knows_is_no_success(glue: Glue, crawl: Callable[..., Crawl]) -> None:
    glue.is_("READY").starts().is_("READY", last("COMPLETED"))
    with pytest.raises(CrawlFailed, match="ended as COMPLETED: Glue says no reason"):
        crawl()


def test_a_crawl_that_takes_too_long_is_stopped(glue: Glue, crawl: Callable[..., Crawl], clock: Clock) -> None:
    glue.is_("READY").starts()
    for _ in range(41):
        glue.is_("RUNNING")
    glue.stops()
    with pytest.raises(CrawlTimedOut, match="was RUNNING after 600 s and is stopped"):
        crawl()
    assert clock.now == 600


def test_a_crawl_of_somebody_else_is_not_stopped(glue: Glue, crawl: Callable[..., Crawl]) -> None:
    glue.is_("RUNNING").is_("RUNNING").is_("RUNNING")
    with pytest.raises(CrawlNotStarted, match="busy with another crawl until the time was over"):
        crawl(deadline_seconds=30)


def test_an_interrupt_stops_the_crawl_and_is_what_is_told(glue: Glue, clock: Clock) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    glue.is_("READY").starts().is_("RUNNING").refuses("stop_crawler", "CrawlerStoppingException")
    with pytest.raises(KeyboardInterrupt):
        Crawler(glue.client, "clicks", pauses=EVEN, clock=clock, sleep=interrupt).crawl()


@pytest.mark.parametrize(
    ("operation", "code", "error"),
    [
        ("get_crawler", "EntityNotFoundException", CrawlRefused),
        ("get_crawler", "ThrottlingException", CrawlNotStarted),
        ("start_crawler", "AccessDeniedException", CrawlRefused),
        ("start_crawler", "OperationTimeoutException", CrawlNotStarted),
    ],
)
def test_what_glue_refuses_says_whether_a_retry_helps(
    glue: Glue, crawl: Callable[..., Crawl], operation: str, code: str, error: type[Exception]
) -> None:
    if operation == "start_crawler":
        glue.is_("READY")
    glue.refuses(operation, code)
    with pytest.raises(error, match=f"clicks was not .*: {code}: why"):
        crawl()
