"""Crawls of Glue crawlers, started and waited for outside of a state machine: Glue has no waiter, and a crawler that is ready says nothing of how it went.

Actions on the crawler: glue:GetCrawler, StartCrawler, StopCrawler.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from lakehouse.errors import LakehouseError, TerminalError, TransientError
from lakehouse.polling import Pauses, looks

PAUSES = Pauses(first_seconds=15, factor=1, longest_seconds=15)
"""Waits between two looks at a crawler."""

DEADLINE_SECONDS = 600
"""Longest wait for a crawl, unless the caller says otherwise."""

_IDLE = "READY"
_RUNNING = "CrawlerRunningException"
_PASSING = frozenset({"InternalServiceException", "OperationTimeoutException", "ThrottlingException"})


@dataclass(frozen=True, kw_only=True)
class Crawl:
    """A crawl that is over.

    Attributes:
        crawler: Its crawler.
        status: SUCCEEDED, FAILED or CANCELLED.
        message: Why it failed, or "".
        started_at: When it began; None if Glue does not say.
        log: Where it logged, `<group>/<stream>`, or "".
    """

    crawler: str
    status: str
    message: str = ""
    started_at: datetime | None = None
    log: str = ""


class CrawlRefused(TerminalError):
    """There is no such crawler, or it may not be started."""


class CrawlFailed(TerminalError):
    """The crawl ended without success.

    Attributes:
        crawl: The crawl.
    """

    def __init__(self, message: str, *, crawl: Crawl) -> None:
        self.crawl = crawl
        super().__init__(message)


class CrawlCancelled(CrawlFailed):
    """Somebody stopped the crawl."""


class CrawlNotStarted(TransientError):
    """Glue did not start the crawl for now, or the crawler was busy with another one until the time was over."""


class CrawlTimedOut(TransientError):
    """The crawl was not over in time, and is stopped."""


class Crawler:
    """One crawler."""

    def __init__(
        self,
        glue: Any,
        name: str,
        *,
        pauses: Pauses = PAUSES,
        on_look: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Args:
            glue: boto3's client of Glue.
            name: Name of the crawler.
            pauses: Waits between two looks.
            on_look: Told the crawler's state, at each look.
            clock: Seconds that only go forward.
            sleep: Waits some seconds.
        """
        self._glue, self._name = glue, name
        self._pauses, self._on_look, self._clock, self._sleep = pauses, on_look, clock, sleep

    def crawl(self, *, deadline_seconds: float = DEADLINE_SECONDS) -> Crawl:
        """Crawl once, beginning now, to the end.

        A crawl that is under way already may have passed what the caller means, so it is let end, within the same time, and another one is started.

        Args:
            deadline_seconds: Longest to wait; then the crawl is stopped, if it is this call's own. An interrupt stops it as well.

        Returns:
            The crawl, which succeeded.

        Raises:
            CrawlRefused: There is no such crawler, or it may not be started.
            CrawlFailed: It failed, or was stopped (`CrawlCancelled`).
            CrawlNotStarted: It was not started in time.
            CrawlTimedOut: It was not over in time.
        """
        give_up = self._clock() + deadline_seconds
        before = self._start(give_up)
        state = ""
        try:
            for _ in looks(give_up - self._clock(), pauses=self._pauses, clock=self._clock, sleep=self._sleep):
                crawler = self._look()
                state = str(crawler.get("State", ""))
                # A crawler is STOPPING between RUNNING and READY, and READY before its last crawl is a new one: only the new one tells.
                if state == _IDLE and _identity(crawler) != before:
                    return self._succeeded(crawler["LastCrawl"])
                self._on_look(state)
        except CrawlFailed:
            raise
        except BaseException:
            self._stop()
            raise
        self._stop()
        raise CrawlTimedOut(
            f"the crawl of {self._name} was {state or 'not seen'} after {deadline_seconds:.0f} s and is stopped: exclude what it need not see, crawl new folders "
            "only, or wait longer"
        )

    def _start(self, give_up: float) -> tuple[Any, ...]:
        """Start a crawl as soon as none is under way; which one was the last before it."""
        for _ in looks(give_up - self._clock(), pauses=self._pauses, clock=self._clock, sleep=self._sleep):
            crawler = self._look()
            if crawler.get("State") == _IDLE:
                try:
                    self._glue.start_crawler(Name=self._name)
                except ClientError as error:
                    if error.response["Error"]["Code"] != _RUNNING:
                        raise _translated(error, f"{self._name} was not started") from error
                else:
                    return _identity(crawler)
            self._on_look(str(crawler.get("State", "")))
        raise CrawlNotStarted(f"{self._name} was busy with another crawl until the time was over: wait longer, or crawl less often")

    def _look(self) -> Mapping[str, Any]:
        try:
            return self._glue.get_crawler(Name=self._name)["Crawler"]
        except ClientError as error:
            raise _translated(error, f"{self._name} was not looked at") from error

    def _stop(self) -> None:
        """Stop the crawl that nobody waits for any more; what stopped the waiting is told, not what fails here."""
        with contextlib.suppress(Exception):
            self._glue.stop_crawler(Name=self._name)

    def _succeeded(self, last: Mapping[str, Any]) -> Crawl:
        crawl = Crawl(
            crawler=self._name,
            status=str(last.get("Status", "")),
            message=str(last.get("ErrorMessage", "")),
            started_at=last.get("StartTime"),
            log="/".join(filter(None, (str(last.get("LogGroup", "")), str(last.get("LogStream", ""))))),
        )
        if crawl.status == "SUCCEEDED":
            return crawl
        where = f"; {crawl.log} has more" if crawl.log else ""
        if crawl.status == "CANCELLED":
            raise CrawlCancelled(f"somebody stopped the crawl of {self._name}{where}", crawl=crawl)
        raise CrawlFailed(
            f"the crawl of {self._name} ended as {crawl.status or 'nothing'}: {crawl.message or 'Glue says no reason'}{where}", crawl=crawl
        )


def _identity(crawler: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells the last crawl of a crawler from another."""
    last: Mapping[str, Any] = crawler.get("LastCrawl") or {}
    return (last.get("StartTime"), last.get("MessagePrefix"))


def _translated(error: ClientError, what: str) -> LakehouseError:
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    kind: type[LakehouseError] = CrawlNotStarted if code in _PASSING else CrawlRefused
    return kind(f"{what}: {code}: {message}")
