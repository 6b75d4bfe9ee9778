"""What may change between a locked contract and the one that is written now."""

from __future__ import annotations

from collections.abc import Iterator

from lakehouse.contracts.compiler.contract import AuthoredContract
from lakehouse.contracts.compiler.lock import Lock
from lakehouse.errors import Fault


def check_evolution(authored: AuthoredContract, old: Lock, new: Lock) -> Iterator[Fault]:
    """Faults of a change: what the table or its readers could not follow."""
    yield from ()
