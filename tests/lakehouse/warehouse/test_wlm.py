"""Queues of a provisioned cluster, and its nodes."""

from __future__ import annotations

import json

import pytest

from lakehouse.warehouse.nodes import NODE_TYPES, RETIRED, node_problem, slices
from lakehouse.warehouse.wlm import LOAD_QUEUE, InvalidQueues, Queue, problem, wlm_json


def test_queues_stand_in_their_order_and_the_default_queue_last() -> None:
    reports = Queue(name="reports", priority="low", user_roles=("analyst",), concurrency_scaling=True)
    first, second, default, short = json.loads(wlm_json([LOAD_QUEUE, reports], default_priority="normal"))
    assert first == {
        "name": "loads", "auto_wlm": True, "queue_type": "auto", "priority": "high", "concurrency_scaling": "off", "query_group": ["loads"],
    }  # fmt: skip
    assert (second["priority"], second["user_role"], second["concurrency_scaling"]) == ("low", ["analyst"], "auto")
    assert (default["name"], default["priority"]) == ("default", "normal")
    assert short == {"short_query_queue": True}


def test_eight_queues_are_taken_and_nine_are_not() -> None:
    queues = [Queue(name=f"q{number}", query_groups=(f"g{number}",)) for number in range(8)]
    assert problem(wlm_json(queues[:7])) == ""
    with pytest.raises(InvalidQueues, match="9 queues, and Redshift takes 8, the default queue included"):
        wlm_json(queues)


@pytest.mark.parametrize(
    ("queues", "told"),
    [
        ([Queue(name="idle")], "no query would ever get into it"),
        ([Queue(name="Loads", query_groups=("x",))], "lower-case"),
        ([Queue(name="a", query_groups=("x",)), Queue(name="a", query_groups=("y",))], "different names"),
        ([Queue(name="default", query_groups=("x",))], "none is 'default'"),
        ([Queue(name="a", query_groups=tuple("x" * 60 + str(n) for n in range(140)))], "more than 8000"),
        ([Queue(name="a", query_groups=("x",), priority="critical")], "priority is one of"),  # type: ignore[arg-type]
    ],
)
def test_queues_that_redshift_would_not_take(queues: list[Queue], told: str) -> None:
    with pytest.raises(InvalidQueues, match=told):
        wlm_json(queues)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([{"auto_wlm": False, "query_concurrency": 30, "query_group": ["a"]}, {"auto_wlm": False, "query_concurrency": 21}], "51 slots"),
        ([{"auto_wlm": True, "query_group": ["a"]}, {"auto_wlm": False, "query_concurrency": 5}], "all automatic or all manual"),
        ([{"auto_wlm": True, "query_concurrency": 5}], "has no slots"),
        ([{"auto_wlm": True, "user_group": ["a"]}], "takes no user groups"),
        ([{"short_query_queue": True}], "has no queue"),
        ({"auto_wlm": True}, "is a list"),
    ],
)
def test_values_that_redshift_would_not_take(value: object, told: str) -> None:
    assert told in problem(json.dumps(value))


@pytest.mark.parametrize("retired", sorted(RETIRED))
def test_a_retired_node_is_refused_with_what_takes_its_place(retired: str) -> None:
    assert f"use {RETIRED[retired]}" in node_problem(retired, 2)
    assert RETIRED[retired] in NODE_TYPES


def test_a_cluster_has_as_many_nodes_as_its_type_allows() -> None:
    assert [node_problem("ra3.4xlarge", nodes) == "" for nodes in (1, 2, 32, 33)] == [False, True, True, False]
    assert "no type of node" in node_problem("m5.large", 2)
    assert slices("ra3.4xlarge", 4) == 16
