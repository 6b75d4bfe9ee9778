"""Tables of run state in moto, for tests of the modules that keep it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import moto

from tests.lambdas.world import Clock, client, make_tables, make_tables_of_ends


@contextmanager
def state_tables() -> Iterator[tuple[Any, Clock]]:
    """Audit, control, watermarks and lineage; a client of them, and a clock."""
    with moto.mock_aws():
        dynamodb = client("dynamodb")
        make_tables(dynamodb)
        make_tables_of_ends(dynamodb)
        yield dynamodb, Clock()
