"""Why a database could not be read: its SQLSTATE as a reason of the audit, and whether a moment later may be different."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

UNREACHABLE = "source_unreachable"
DENIED = "source_denied"
TABLE_MISSING = "source_table_missing"
COLUMN_MISSING = "source_column_missing"
COLUMN_RETYPED = "source_column_retyped"
COLUMN_UNKNOWN = "source_column_unknown"
INTERRUPTED = "source_interrupted"

CONNECT_SECONDS = 150
"""How long a job tries to connect: a failover takes 60 to 120 s."""

PAUSE_SECONDS = 3

_BY_STATE: Mapping[str, str] = {
    "28P01": DENIED,
    "28000": DENIED,
    "42501": DENIED,
    "42P01": TABLE_MISSING,
    "3F000": TABLE_MISSING,
    "42703": COLUMN_MISSING,
    "3D000": UNREACHABLE,
    "53300": UNREACHABLE,
    "57P03": UNREACHABLE,
}
_BY_CLASS: Mapping[str, str] = {"08": UNREACHABLE, "57": INTERRUPTED, "40": INTERRUPTED, "25": INTERRUPTED}
_LOST_SNAPSHOT = re.compile(r"snapshot \S+ does not exist|invalid snapshot identifier", re.IGNORECASE)
_TRANSIENT = frozenset({"53300", "57P01", "57P02", "57P03"})
_TLS = re.compile(r"SSL|certificate|hostname|PKIX", re.IGNORECASE)

T = TypeVar("T")


def reason_of(state: str | None, message: str) -> str | None:
    """Reason code for what a database answered; None if it tells nothing of ours.

    Args:
        state: SQLSTATE.
        message: What it said.
    """
    if _LOST_SNAPSHOT.search(message):
        return INTERRUPTED
    if not state:
        return None
    return _BY_STATE.get(state) or _BY_CLASS.get(state[:2])


def is_transient(state: str | None, message: str) -> bool:
    """Whether a connection that failed so may succeed a moment later: a failover or a start is under way, or all connections are taken.

    A certificate that is not trusted stays so.
    """
    if state is None:
        return False
    return state in _TRANSIENT or (state.startswith("08") and not _TLS.search(message))


def connected(
    connect: Callable[[], T],
    *,
    may_try_again: Callable[[Exception], bool],
    seconds: float = CONNECT_SECONDS,
    pause: float = PAUSE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What `connect` opens, tried until it succeeds, fails for good, or the time is over; then its last error is raised.

    Args:
        connect: Opens the connection.
        may_try_again: Whether an error of it may pass.
        seconds: Time for all tries.
        pause: Time between two.
        clock: Gives seconds that never go back.
        sleep: Waits.
    """
    deadline = clock() + seconds
    while True:
        try:
            return connect()
        except Exception as error:
            if not may_try_again(error) or clock() + pause > deadline:
                raise
        sleep(pause)
