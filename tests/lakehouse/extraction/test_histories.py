"""Random histories of a source, with crashes of its extraction: in the end silver is the source, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.extraction.marks import reconciled_name
from lakehouse.extraction.postgresql import SESSION
from local.engines.postgres import PostgresServer
from tests.lakehouse.extraction.histories import World, histories

HISTORIES = 220


@pytest.fixture(scope="module")
def connections(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgresServer, list[psycopg.Connection[Any]]]]:
    server = PostgresServer(folder=tmp_path_factory.mktemp("postgres"))
    server.start()
    with ExitStack() as stack:
        opened = [stack.enter_context(server.connect()) for _ in range(6)]
        for connection in opened:
            connection.prepare_threshold = None
            for statement in SESSION:
                connection.execute(statement)
            connection.commit()
        yield server, opened
        for connection in opened:
            connection.rollback()
    server.stop()


@given(
    history=histories,
    is_number=st.booleans(),
    partitions=st.integers(1, 3),
    reconcile=st.sampled_from([0, 0, 1200, None]),
)
@settings(max_examples=HISTORIES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_happens_silver_is_what_the_source_is(
    connections: tuple[PostgresServer, list[psycopg.Connection[Any]]],
    history: Sequence[Any],
    is_number: bool,
    partitions: int,
    reconcile: int | None,
) -> None:
    _, opened = connections
    for connection in opened:
        connection.rollback()
    maker: Any
    maker, *others = opened
    world = World(is_number=is_number, partitions=partitions, reconcile=reconcile, writers=others[:2], readers=others[2:])
    world.prepare(maker)
    for operation in history:
        world.do(operation)
    for writer in (0, 1):
        world.end(writer, commits=True)
    world.wait(5)
    if reconcile:
        world.marks.pop(reconciled_name("t", world.source), None)
    world.run()
    truth = dict(maker.execute(f"SELECT id::text, value FROM {world.table}").fetchall())
    maker.rollback()
    held = {key: row[2] for key, row in world.silver.items()}
    if reconcile is None:
        # Deletes are not looked for; everything else is there.
        assert {key: held.get(key) for key in truth} == truth
    else:
        assert held == truth
    marks = dict(world.marks)
    before = dict(world.silver)
    world.run()
    assert world.silver == before, "a run over a source that did not change changed silver"
    assert {name: mark for name, mark in world.marks.items() if not name.endswith("#reconciled")} == {
        name: mark for name, mark in marks.items() if not name.endswith("#reconciled")
    }
