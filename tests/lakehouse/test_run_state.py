"""Leases, watermarks, lineage, manifests, ids and times of runs."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.clock import from_text, to_text
from lakehouse.leases import Holder, Leases
from lakehouse.lineage import Edge, Lineage
from lakehouse.manifests import Manifest, ManifestFile, execution_name, read_manifest, sequence_of
from lakehouse.metrics import RUN_METRICS
from lakehouse.run_ids import moment_of, new_run_id
from lakehouse.watermarks import Watermarks
from tests.lakehouse.state_tables import state_tables

FILE = ManifestFile(
    bucket="raw",
    key="tpch/orders/a.csv",
    version_id="v1",
    size=1,
    sha256="00",
    sequence="2026-11-22T05:00:00Z#1",
    format="csv",
    compression=None,
)


def test_of_many_runs_at_once_one_gets_all_tables_and_the_others_none() -> None:
    with state_tables() as (dynamodb, clock):
        leases = Leases(client=dynamodb, table="control", clock=clock)
        tables = ["silver_tpch.orders", "bronze_tpch.orders", "quarantine_tpch.orders"]

        def ask(number: int) -> bool:
            holder = Holder(pipeline="p", run_id=str(number))
            order = tables if number % 2 else tables[::-1]
            return leases.acquire(tables=order, holder=holder, seconds=60, is_over=lambda _: False) == holder

        with ThreadPoolExecutor(max_workers=6) as pool:
            winners = [number for number, won in enumerate(pool.map(ask, range(12))) if won]
        assert len(winners) == 1
        assert ask(winners[0])
        leases.release(Holder(pipeline="p", run_id="somebody else"))
        assert not ask(99)
        leases.release(Holder(pipeline="p", run_id=str(winners[0])))
        assert ask(99)


def test_who_gets_only_some_tables_gives_them_back() -> None:
    with state_tables() as (dynamodb, clock):
        leases = Leases(client=dynamodb, table="control", clock=clock)

        def ask(run_id: str, *tables: str) -> str:
            holder = Holder(pipeline="p", run_id=run_id)
            return leases.acquire(tables=tables, holder=holder, seconds=60, is_over=lambda _: False).run_id

        assert ask("one", "b") == "one"
        assert ask("two", "a", "b") == "one"
        assert ask("three", "a") == "three"


def test_a_watermark_only_moves_forward() -> None:
    with state_tables() as (dynamodb, clock):
        marks = Watermarks(client=dynamodb, table="watermarks", clock=clock)
        assert marks.get(pipeline="p", name="orders") is None
        steps = [("2026-11-02", True), ("2026-11-01", False), ("2026-11-02", False), ("2026-11-03", True)]
        for value, moves in steps:
            assert marks.advance(pipeline="p", name="orders", to=value, run_id=f"run of {value}") is moves
        held = marks.get(pipeline="p", name="orders")
        assert held is not None
        assert (held.value, held.run_id) == ("2026-11-03", "run of 2026-11-03")
        with pytest.raises(ValueError, match="do not compare"):
            marks.advance(pipeline="p", name="orders", to=7, run_id="r")
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda value: marks.advance(pipeline="p", name="ids", to=value, run_id="r"), [5, 100, 20, 99, 3]))
        numbers = marks.get(pipeline="p", name="ids")
        assert numbers is not None
        assert numbers.value == 100


def test_lineage_is_found_from_both_ends_newest_first() -> None:
    with state_tables() as (dynamodb, clock):
        lineage = Lineage(client=dynamodb, table="lineage", clock=clock)
        edges = [
            Edge(
                pipeline="orders",
                run_id=run_id,
                step="refine",
                source="bronze.tpch.orders",
                target="silver.tpch.orders",
                snapshot_id=str(number),
            )
            for number, run_id in enumerate(["01", "02"])
        ]
        for _ in range(2):
            lineage.record(edges)
        assert [edge.run_id for edge in lineage.from_source("bronze.tpch.orders")] == ["02", "01"]
        assert [edge.snapshot_id for edge in lineage.into_target("silver.tpch.orders", limit=1)] == ["1"]
        assert lineage.from_source("silver.tpch.orders") == []


def test_a_manifest_is_the_same_whatever_order_its_files_came_in() -> None:
    other = replace(FILE, key="tpch/orders/ü b.csv", version_id="v0", sha256=None, compression="gzip")
    one = Manifest.of(dataset="tpch.orders", pipeline="orders", files=[FILE, other, FILE])
    two = Manifest.of(dataset="tpch.orders", pipeline="orders", files=[other, FILE])
    assert one.to_json() == two.to_json()
    assert Manifest.from_json(one.to_json()) == one
    assert one.batch_id != Manifest.of(dataset="tpch.orders", pipeline="orders", files=[FILE]).batch_id
    assert len(execution_name(batch_id=one.batch_id, attempt=1_000_000)) <= 80
    with pytest.raises(ValueError, match="version 1, got 2"):
        Manifest.from_json(one.to_json().replace('"version":1', '"version":2'))
    with pytest.raises(ValueError, match="no address of a manifest"):
        read_manifest(None, "https://example")


@given(shorter=st.text("0123456789ABCDEF", min_size=1, max_size=18), longer=st.text("0123456789ABCDEF", min_size=1, max_size=18))
def test_sequences_compare_as_s3_says(shorter: str, longer: str) -> None:
    size = max(len(shorter), len(longer))
    time = "2026-11-22T05:00:00Z"
    assert (sequence_of(time=time, sequencer=shorter) < sequence_of(time=time, sequencer=longer)) == (
        shorter.ljust(size, "0") < longer.ljust(size, "0")
    )
    assert sequence_of(time="2026-11-22T05:00:01.5Z", sequencer="0") > sequence_of(time=time, sequencer=longer)
    assert sequence_of(time="2026-11-22T06:00:00.000+01:00", sequencer=longer) == sequence_of(time=time, sequencer=longer)


def test_ids_of_runs_are_uuids_that_sort_by_time_and_tell_it() -> None:
    moments = [datetime(2026, 11, 22, tzinfo=UTC) + timedelta(milliseconds=step) for step in (0, 1, 2, 1000, 10**9)]
    ids = [new_run_id(moment) for moment in moments]
    assert ids == sorted(ids)
    assert [moment_of(run_id) for run_id in ids] == moments
    assert {(uuid.UUID(run_id).version, uuid.UUID(run_id).variant) for run_id in ids} == {(7, uuid.RFC_4122)}
    assert len({new_run_id(moments[0]) for _ in range(1000)}) == 1000
    with pytest.raises(ValueError, match="version 4"):
        moment_of(str(uuid.uuid4()))


def test_times_are_written_in_one_way() -> None:
    moment = datetime(2026, 11, 22, 6, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
    assert to_text(moment) == "2026-11-22T05:00:00.123Z"
    assert from_text("2026-11-22T05:00:00.123Z") == moment.replace(microsecond=123000)
    for naive in (lambda: to_text(datetime(2026, 1, 1)), lambda: from_text("2026-01-01T00:00:00")):  # noqa: DTZ001 - what is refused
        with pytest.raises(ValueError, match="no time zone"):
            naive()


def test_metrics_have_distinct_names() -> None:
    assert len({metric.name for metric in RUN_METRICS}) == len(RUN_METRICS)
