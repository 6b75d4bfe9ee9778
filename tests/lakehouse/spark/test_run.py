"""A step's job as the audit sees it: it begins, and it ends one way or the other."""

from __future__ import annotations

from typing import Any

import pytest

from lakehouse.audit import AuditTrail
from lakehouse.errors import RunFailed
from lakehouse.run_ids import new_run_id
from lakehouse.spark.arguments import JobArguments
from lakehouse.spark.run import SparkRun
from tests.lakehouse.state_tables import state_tables

PIPELINE = "orders"


class Services:
    """The audit and nothing else: no test here gets as far as data."""

    def __init__(self, audit: AuditTrail) -> None:
        self._audit = audit

    def audit(self, arguments: JobArguments) -> AuditTrail:
        return self._audit


def run_of(audit: AuditTrail, run_id: str, job: str) -> SparkRun:
    services: Any = Services(audit)
    no_spark: Any = object()
    given = {
        "JOB_RUN_ID": job,
        "audit_table": "audit",
        "contracts": "contracts.json",
        "engine": "glue",
        "env": "test",
        "pipeline": PIPELINE,
        "project": "lakehouse",
        "run_id": run_id,
        "step": "ingest",
        "writes": "bronze.tpch.orders",
    }
    argv = [part for name, value in given.items() for part in (f"--{name}", value)]
    return SparkRun(JobArguments.parse(argv), services=services, spark=no_spark)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RunFailed(reason="quality_gate", message="no"), "quality_gate: no"),
        (KeyError("x"), "'x'"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_whatever_a_job_raises_is_recorded_and_raised(error: BaseException, message: str) -> None:
    with state_tables() as (dynamodb, clock):
        audit, run_id = AuditTrail(client=dynamodb, table="audit", clock=clock), new_run_id()
        audit.start_run(pipeline=PIPELINE, run_id=run_id, trigger="arrival")
        with pytest.raises(type(error)) as caught, run_of(audit, run_id, "jr1"):
            raise error
        assert caught.value is error
        with run_of(audit, run_id, "jr2"):
            assert audit.trail(run_id).steps[-1].status == "RUNNING"
        assert [(step.attempt, step.job_run_id, step.status, step.message) for step in audit.trail(run_id).steps] == [
            (1, "jr1", "FAILED", message),
            (2, "jr2", "SUCCEEDED", ""),
        ]
