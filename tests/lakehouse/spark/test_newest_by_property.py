"""Whatever the batches, their order and their repetition: the tables end as a model of twenty lines says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from tests.lakehouse.spark.small_contract import contract
from tests.spark_lake import Lake

pytestmark = pytest.mark.spark

TYPES: dict[str, str | dict[str, Any]] = {"id": "int", "name": "string", "version": "int"}
BAD = "x"

row = st.tuples(st.sampled_from(["1", "2", BAD]), st.sampled_from(["a", "b"]), st.sampled_from(["", "1", "2"]))
batches = st.lists(st.lists(row, min_size=1, max_size=4), min_size=1, max_size=3)


@dataclass(frozen=True)
class Arrival:
    place: int
    rows: Sequence[tuple[str, str, str]]


def expected(arrivals: Sequence[Arrival], *, has_version: bool) -> tuple[dict[int, tuple[str, str]], int]:
    """Winner of each key, and rows in quarantine."""
    best: dict[str, tuple[tuple[int, int, int], tuple[str, str]]] = {}
    quarantined = 0
    for arrival in arrivals:
        last = {(key, version if has_version else ""): (name, version) for key, name, version in arrival.rows if key != BAD}
        for number, (key, name, version) in enumerate(arrival.rows):
            if key == BAD or last[key, version if has_version else ""] != (name, version):
                quarantined += 1
                continue
            order = (int(version or -1) if has_version else 0, arrival.place, number)
            if key not in best or order > best[key][0]:
                best[key] = (order, (name, version))
    # The last row of a moment stands for it: the winner is never a row that contradicts a later one of its file.
    return {int(key): value for key, (_, value) in best.items()}, quarantined


@given(contents=batches, order=st.randoms(use_true_random=False), has_version=st.booleans())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
def test_tables_do_not_depend_on_order_or_repetition(
    spark: SparkSession, tmp_path: Path, contents: list[list[tuple[str, str, str]]], order, has_version: bool
) -> None:
    lake = Lake(spark=spark, contract=contract(types=TYPES, sequence_by="version" if has_version else None), folder=tmp_path)
    arrivals = [Arrival(place, rows) for place, rows in enumerate(contents)]
    files = []
    for arrival in arrivals:
        text = "id,name,version\n" + "".join(f"{','.join(values)}\n" for values in arrival.rows)
        files.append(lake.deliver("f.csv", text.encode(), sequence=f"2026#{arrival.place:04d}", version=f"{tmp_path.name}-{arrival.place}"))
    shuffled = list(files)
    order.shuffle(shuffled)
    for file in [*shuffled, shuffled[0]]:
        found = lake.run(file)
        assert found.counts["rows_in"] == sum(found.counts[name] for name in ("silver", "superseded", "quarantined"))
    winners, quarantined = expected(arrivals, has_version=has_version)
    shown = {key: (name, "" if version is None else str(version)) for key, name, version in lake.rows("silver", "id", "name", "version")}
    assert shown == winners
    assert lake.table("quarantine").read().count() == quarantined
