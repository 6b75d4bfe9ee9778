"""The recorder on tables of its own, and what it sends to CloudWatch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from lakehouse.audit import AuditTrail
from lakehouse.leases import Leases
from lakehouse.lineage import Lineage
from lakehouse.metrics import MetricsEmitter
from lakehouse.rows import RowTable
from lakehouse.watermarks import Watermarks
from lambdas.run_recorder.recorder import Recorder
from lambdas.run_recorder.requests import request_of
from tests.lambdas.world import AUDIT, CONTROL, LINEAGE, WATERMARKS, Trap, World

Ask = Callable[..., dict[str, Any]]


@dataclass
class CloudWatch:
    """Keeps what it is sent, unless something is wrong with it."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None

    def put_metric_data(self, *, Namespace: str, MetricData: list[dict[str, Any]]) -> None:  # noqa: N803 - as boto3 has it
        if self.error is not None:
            raise self.error
        assert Namespace == "Lakehouse"
        assert all(
            [dimension["Name"] for dimension in datum["Dimensions"]] == ["Environment", "Pipeline"] and isinstance(datum["Value"], float)
            for datum in MetricData
        )
        self.sent.extend(MetricData)

    def total(self, name: str) -> float:
        return sum(datum["Value"] for datum in self.sent if datum["MetricName"] == name)


@pytest.fixture
def cloudwatch() -> CloudWatch:
    return CloudWatch()


@pytest.fixture
def stopped_by() -> dict[str, str]:
    """What Step Functions knows of executions that somebody stopped: the cause, by ARN."""
    return {}


@pytest.fixture
def ask(world: World, cloudwatch: CloudWatch, stopped_by: dict[str, str]) -> Ask:
    def asked(trap: Trap | None = None, **event: Any) -> dict[str, Any]:
        trap = trap or Trap()
        dynamodb = trap.around(world.dynamodb)
        recorder = Recorder(
            audit=AuditTrail(client=dynamodb, table=AUDIT, clock=world.clock),
            leases=Leases(client=dynamodb, table=CONTROL, clock=world.clock),
            lineage=Lineage(client=dynamodb, table=LINEAGE, clock=world.clock),
            watermarks=Watermarks(client=dynamodb, table=WATERMARKS, clock=world.clock),
            rows=RowTable(client=dynamodb, table=CONTROL, clock=world.clock),
            metrics=MetricsEmitter(client=trap.around(cloudwatch), env="test"),
            who_stopped=lambda execution: stopped_by.get(execution, ""),
            clock=world.clock,
        )
        return recorder.answer(request_of(event))

    return asked
