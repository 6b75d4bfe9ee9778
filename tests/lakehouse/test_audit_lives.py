"""The life of a run in the audit, from its start to its end, and the lists that it appears in."""

from __future__ import annotations

from typing import Any

import pytest

from lakehouse.audit import AuditTrail
from lakehouse.audit_records import FileRecord, Status
from lakehouse.run_ids import new_run_id
from tests.lakehouse.state_tables import state_tables

PIPELINE = "orders"
COUNTS = {"rows_in": 10, "silver": 7, "superseded": 1, "quarantined": 2}


@pytest.mark.parametrize(
    ("status", "reason", "attempts"),
    [
        ("SUCCEEDED", "", ["SUCCEEDED"]),
        ("SUCCEEDED", "", ["FAILED", "SUCCEEDED"]),
        ("FAILED", "quality_gate", ["FAILED", "FAILED"]),
        ("FAILED", "files_rejected", ["SUCCEEDED"]),  # the good files of the run are loaded
        ("TIMED_OUT", "timed_out", ["TIMED_OUT"]),
        ("SKIPPED", "no_rows", ["SUCCEEDED"]),
    ],
)
def test_a_run_lives_from_its_start_through_its_attempts_to_one_end(status: Status, reason: str, attempts: list[Status]) -> None:
    with state_tables() as (dynamodb, clock):
        trail, run_id = AuditTrail(client=dynamodb, table="audit", clock=clock), new_run_id()
        begun = trail.start_run(pipeline=PIPELINE, run_id=run_id, trigger="arrival", manifest="s3://m", batch_id="b", files=2)
        assert (begun.status, begun.is_ended, begun.ended_at) == ("RUNNING", False, None)
        for number, end in enumerate(attempts, start=1):
            clock.pass_seconds(60)
            attempt = trail.start_step(pipeline=PIPELINE, run_id=run_id, step="ingest", engine="glue", job_run_id=f"jr{number}")
            clock.pass_seconds(26 * 3600)
            ended = trail.end_step(pipeline=PIPELINE, run_id=run_id, step="ingest", attempt=attempt, status=end, counts=COUNTS)
            assert (ended.attempt, ended.status) == (number, end)
        rejected = FileRecord(source="s3://raw/b.csv", version="v", outcome="rejected", reason="missing_column")
        trail.record_file(pipeline=PIPELINE, run_id=run_id, file=rejected)
        clock.pass_seconds(60)
        trail.end_run(pipeline=PIPELINE, run_id=run_id, status=status, reason=reason, message="x" * 5000, counts=COUNTS)

        whole = trail.trail(run_id)
        assert (whole.run.status, whole.run.reason, whole.run.counts, len(whole.run.message)) == (status, reason, COUNTS, 2000)
        assert (whole.run.manifest, whole.run.batch_id, whole.run.file_count) == ("s3://m", "b", 2)
        assert [step.status for step in whole.steps] == attempts
        assert whole.files == (rejected,)
        assert begun.started_at < whole.steps[0].started_at < (whole.run.ended_at or "")
        assert trail.runs(statuses=(status,))[0] == whole.run
        assert trail.runs(statuses=("RUNNING",)) == []


class PagedDynamoDb:
    """DynamoDB whose pages hold two items, as a page of a large table ends somewhere."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.pages = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def query(self, **request: Any) -> Any:
        self.pages += 1
        return self._client.query(**{**request, "Limit": 2})


def test_lists_of_runs_go_over_every_page() -> None:
    with state_tables() as (dynamodb, clock):
        paged = PagedDynamoDb(dynamodb)
        trail = AuditTrail(client=paged, table="audit", clock=clock)
        ids = list[str]()
        for number in range(9):
            clock.pass_seconds(3600)
            ids.append(new_run_id())
            trail.start_run(pipeline=("orders", "customer")[number % 2], run_id=ids[-1], trigger="arrival")
            trail.end_run(pipeline=("orders", "customer")[number % 2], run_id=ids[-1], status="FAILED")
        assert [run.run_id for run in trail.runs(limit=None)] == ids[::-1]
        assert [run.run_id for run in trail.runs(pipeline="orders", statuses=("FAILED",), limit=4)] == [ids[8], ids[6], ids[4], ids[2]]
        since = trail.runs(limit=4)[-1].started_at
        assert [run.run_id for run in trail.runs(statuses=("FAILED",), since=since)] == ids[:4:-1]
        assert paged.pages > 9
