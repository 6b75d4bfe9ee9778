"""Rows of groups: what they may say, every refusal, and which of them a run deals with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import RunFailed
from lakehouse.rows import KEYS, MAX_ROWS, InvalidRowError, Row, RowTable, parse_row, plan
from lakehouse.run_ids import child_run_id, moment_of, new_run_id
from tests.lakehouse.state_tables import state_tables
from tests.lambdas.world import CONTROL, Clock

GOOD = {"row": "customers", "table": "public.customers", "keys": ["customer_id"], "mode": "full"}
INCREMENTAL = {**GOOD, "mode": "incremental", "watermark": "updated_at", "overlap": "PT15M"}
RUN = "0190aaaa-0000-7000-8000-000000000000"


@pytest.fixture
def table() -> Iterator[tuple[RowTable, Any, Clock]]:
    with state_tables() as (dynamodb, clock):
        yield RowTable(client=dynamodb, table=CONTROL, clock=clock), dynamodb, clock


def faults(**changes: Any) -> dict[str, str]:
    document = {**GOOD, **changes}
    with pytest.raises(InvalidRowError) as refused:
        parse_row({key: value for key, value in document.items() if value is not ...})
    return {fault.key: fault.problem for fault in refused.value.faults}


def items(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**row, "pk": "rows#g", "sk": row["row"]} for row in rows]


def test_a_row_needs_four_keys_and_the_rest_follows() -> None:
    row = parse_row(GOOD)
    assert (row.schema, row.table, row.source) == ("public", "customers", "public.customers")
    assert (row.target, row.active, row.priority, row.watermark, row.overlap) == ("customers", True, 100, None, None)


@pytest.mark.parametrize(
    ("changes", "key", "problem"),
    [
        ({"colour": "red"}, "colour", "is not a key of a row"),
        ({"table": ...}, "table", "is missing"),
        ({"keys": ...}, "keys", "is missing"),
        ({"row": "Customers"}, "row", "is not a name"),
        ({"row": "c" * 41}, "row", "is not a name"),
        ({"row": 7}, "row", "is not a name"),
        ({"table": "customers"}, "table", "is not a table"),
        ({"table": "a.b.c"}, "table", "is not a table"),
        ({"table": ".customers"}, "table", "is not a table"),
        ({"table": "public." + "t" * 64}, "table", "is not a table"),
        ({"keys": []}, "keys", "is not a list"),
        ({"keys": "customer_id"}, "keys", "is not a list"),
        ({"keys": ["a", "a"]}, "keys", "is not a list"),
        ({"keys": [1]}, "keys", "is not a list"),
        ({"mode": "append"}, "mode", "is not a mode"),
        ({"watermark": "updated_at"}, "watermark", "has no meaning"),
        ({"overlap": 5}, "overlap", "has no meaning"),
        ({"mode": "incremental", "overlap": 5}, "watermark", "is not a column"),
        ({"mode": "incremental", "watermark": "u"}, "overlap", "is no overlap"),
        ({"mode": "incremental", "watermark": "u", "overlap": "15 minutes"}, "overlap", "is no overlap"),
        ({"mode": "incremental", "watermark": "u", "overlap": -1}, "overlap", "is no overlap"),
        ({"mode": "incremental", "watermark": "u", "overlap": True}, "overlap", "is no overlap"),
        ({"target": "bronze.other.customers"}, "target", "rows write bronze of their group's domain only"),
        ({"target": "Customers"}, "target", "is not the name of a table"),
        ({"target": None}, "target", "is empty"),
        ({"active": "yes"}, "active", "is neither true nor false"),
        ({"priority": -1}, "priority", "is not a priority"),
        ({"priority": True}, "priority", "is not a priority"),
        ({"owner": 3}, "owner", "is not a text"),
        ({"description": "x" * 501}, "description", "is not a text"),
    ],
)
def test_whatever_cannot_be_run_is_refused_with_its_key(changes: dict[str, Any], key: str, problem: str) -> None:
    assert problem in faults(**changes)[key]


def test_all_faults_of_a_row_are_told_at_once() -> None:
    assert set(faults(row="X", mode="sometimes", colour="red", active=1)) == {"row", "mode", "colour", "active"}


identifiers = st.text(st.characters(codec="utf-8", categories=("L", "N"), include_characters="_$ -"), min_size=1, max_size=15)
rows = st.builds(
    lambda name, schema, table, keys, mode, watermark, overlap, target, active, priority, owner: Row(
        row=name,
        schema=schema,
        table=table,
        keys=tuple(keys),
        mode=mode,
        watermark=watermark if mode == "incremental" else None,
        overlap=overlap if mode == "incremental" else None,
        target=target,
        active=active,
        priority=priority,
        owner=owner,
    ),
    st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True),
    identifiers,
    identifiers,
    st.lists(identifiers, min_size=1, max_size=16, unique=True),
    st.sampled_from(["full", "incremental"]),
    identifiers,
    st.one_of(st.integers(0, 10**9), st.sampled_from(["PT15M", "P1D", "P1DT2H"])),
    st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True),
    st.booleans(),
    st.integers(0, 1000),
    st.text(max_size=20),
)


@given(rows)
def test_what_is_written_is_read_back_the_same(row: Row) -> None:
    assert parse_row(row.to_document()) == row
    assert set(row.to_document()) <= set(KEYS)


@given(
    st.dictionaries(
        st.one_of(st.sampled_from(sorted(KEYS)), st.text(max_size=5)),
        st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.text()), st.lists),
    )
)
def test_nothing_that_the_table_may_hold_breaks_the_reader(document: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidRowError):
        parse_row(document)


def test_a_run_deals_with_active_rows_by_priority_and_refuses_what_is_broken_first() -> None:
    found = plan(
        items(
            {**GOOD, "row": "c"},
            {**GOOD, "row": "b", "priority": 5},
            {**GOOD, "row": "off", "active": False},
            {**GOOD, "row": "z", "mode": "never"},
            {**GOOD, "row": "d", "target": "c"},
        ),
        run_id=RUN,
    )
    assert [(row.row, bool(row.fault)) for row in found] == [("d", True), ("z", True), ("b", False), ("c", False)]
    assert "row c of the same group writes c already" in found[0].fault
    assert found[1].fault.startswith("mode: 'never' is not a mode")


def test_rows_keep_their_run_ids_however_often_the_run_is_asked() -> None:
    first, again = (plan(items(GOOD, {**GOOD, "row": "b"}), run_id=RUN) for _ in range(2))
    assert first == again
    assert len({RUN, *(row.run_id for row in first)}) == 3
    assert all(moment_of(row.run_id) == moment_of(RUN) for row in first)
    assert child_run_id(new_run_id(), "a") != child_run_id(RUN, "a")


def test_more_rows_than_an_execution_can_run_are_refused_and_as_many_fit_into_a_state() -> None:
    many = [{**GOOD, "row": f"row_{'x' * 30}{number:03d}", "mode": "né" * 200} for number in range(MAX_ROWS)]
    whole = plan(items(*many), run_id=RUN)
    handed_on = [{"row": row.row, "pipeline": f"{'g' * 24}.{row.row}", "run_id": row.run_id, "cause": row.fault} for row in whole]
    assert len(str(handed_on).encode()) < 200_000
    with pytest.raises(RunFailed, match="too_many_rows: the group has 201 active rows"):
        plan(items(*many, {**GOOD, "row": "last"}), run_id=RUN)


def test_a_row_is_kept_replaced_and_switched(table: tuple[RowTable, Any, Clock]) -> None:
    kept, _, clock = table
    kept.put("g", parse_row(INCREMENTAL))
    kept.put("other", parse_row(GOOD))
    (item,) = kept.all("g")
    assert parse_row(item) == parse_row(INCREMENTAL)
    clock.pass_seconds(60)
    assert kept.set_active("g", "customers", is_active=False)
    assert not kept.set_active("g", "nobody", is_active=False)
    switched = kept.get("g", "customers")
    assert switched is not None
    assert (switched["active"], switched["changed_at"] > item["changed_at"]) == (False, True)
    assert kept.get("g", "nobody") is None
    kept.put("g", parse_row(GOOD))
    assert parse_row(kept.all("g")[0]) == parse_row(GOOD)


def test_all_pages_of_a_group_are_read(table: tuple[RowTable, Any, Clock]) -> None:
    kept, _, _ = table
    for number in range(150):
        kept.put(
            "g", parse_row({**GOOD, "row": f"r{number:03d}", "description": "x" * 500, "keys": [f"k{i}{'y' * 55}" for i in range(16)]})
        )
    assert len(kept.all("g")) == 150
