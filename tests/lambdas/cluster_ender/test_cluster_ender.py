"""The function that ends clusters of runs; what it does to clusters is tried with whole machines in tests/constructs_lib/test_cluster_ends.py."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from lakehouse.emr import Clusters
from lambdas.cluster_ender.ender import ClusterEnder, EndRequest, UnknownRequestError
from tests.constructs_lib.test_cluster_ends import FakeEmr

STARTED = "2026-11-22T03:00:00.000Z"


def event(input_: Any, *, status: str = "ABORTED") -> dict[str, Any]:
    return {
        "source": "aws.states",
        "detail": {
            "status": status,
            "stateMachineArn": "arn:aws:states:us-east-1:1:stateMachine:lake-orders",
            "input": json.dumps(input_),
            "startDate": int(datetime(2026, 11, 22, 3, tzinfo=UTC).timestamp() * 1000),
        },
    }


def test_a_machine_and_eventbridge_speak_of_the_same_run() -> None:
    asked = EndRequest.from_event({"machine": "lake-orders", "run_id": "r-1", "started_at": STARTED})
    assert asked == EndRequest.from_event(event({"run_id": "r-1"}))
    assert asked is not None
    assert asked.started_at == datetime(2026, 11, 22, 3, tzinfo=UTC)


@pytest.mark.parametrize("input_", [None, [], {}, {"run_id": 3}, "text"])
def test_an_execution_that_names_no_run_never_had_a_cluster(input_: Any) -> None:
    emr = FakeEmr()
    emr.create("lake-orders-None")
    assert ClusterEnder(clusters=Clusters(client=emr)).end(EndRequest.from_event(event(input_))) == ()
    assert emr.live


@pytest.mark.parametrize("payload", [{}, {"machine": "m"}, {"source": "aws.states", "detail": {"input": '{"run_id": "r"}'}}])
def test_a_payload_that_lacks_something_is_an_error(payload: dict[str, Any]) -> None:
    with pytest.raises(UnknownRequestError, match="pass machine, run_id and started_at"):
        EndRequest.from_event(payload)


def test_told_twice_it_ends_once() -> None:
    emr = FakeEmr()
    emr.create("lake-orders-r-1")
    ender = ClusterEnder(clusters=Clusters(client=emr))
    request = EndRequest.from_event(event({"run_id": "r-1"}))
    assert ender.end(request) == ("j-1",)
    assert ender.end(request) == ()
