"""Ids of runs: UUIDs of version 7, which sort by the time they were made."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime

_VERSION = 0x7
_VARIANT = 0b10


def new_run_id(moment: datetime | None = None) -> str:
    """A fresh id; ids of later milliseconds sort after those of earlier ones.

    Args:
        moment: When the run begins; now if None.
    """
    milliseconds = int((moment or datetime.now(UTC)).timestamp() * 1000)
    random = secrets.randbits(74)
    number = (milliseconds & (1 << 48) - 1) << 80 | _VERSION << 76 | (random >> 62) << 64 | _VARIANT << 62 | random & (1 << 62) - 1
    return str(uuid.UUID(int=number))


def first_run_id(moment: datetime) -> str:
    """The least id that a run may have that begins at a moment: ids of earlier milliseconds sort before it, all others after it."""
    return str(uuid.UUID(int=(int(moment.timestamp() * 1000) & (1 << 48) - 1) << 80))


def moment_of(run_id: str) -> datetime:
    """When an id was made, to the millisecond.

    Raises:
        ValueError: The text is not an id of a run.
    """
    number = uuid.UUID(run_id)
    if number.version != _VERSION:
        raise ValueError(f"{run_id!r} is not the id of a run: those are UUIDs of version 7, this is version {number.version}")
    return datetime.fromtimestamp((number.int >> 80) / 1000, UTC)
