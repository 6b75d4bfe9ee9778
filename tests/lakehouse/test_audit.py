"""The audit holds one truth of each run, however often and by whomever it is told."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.audit import MAX_WARNINGS, AuditTrail, UnknownRunError
from lakehouse.audit_records import FileRecord, QualityRecord
from lakehouse.run_ids import new_run_id
from lakehouse.state_table import StateTable, from_attributes, is_storable, to_attributes
from tests.lakehouse.state_tables import state_tables
from tests.lambdas.world import Clock

PIPELINE = "orders"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def trail(clock: Clock) -> Iterator[AuditTrail]:
    with state_tables() as (dynamodb, _):
        yield AuditTrail(client=dynamodb, table="audit", clock=clock)


def _begun(trail: AuditTrail, *, pipeline: str = PIPELINE) -> str:
    run_id = new_run_id()
    trail.start_run(pipeline=pipeline, run_id=run_id, trigger="arrival", files=1)
    return run_id


def test_a_run_begins_once(trail: AuditTrail, clock: Clock) -> None:
    run_id = new_run_id()
    first = trail.start_run(pipeline=PIPELINE, run_id=run_id, trigger="arrival", manifest="s3://m", files=3)
    clock.pass_seconds(10)
    assert trail.start_run(pipeline=PIPELINE, run_id=run_id, trigger="manual") == first
    assert trail.get_run(run_id) == trail.get_run(run_id, pipeline=PIPELINE) == first
    assert first.expires_at == int(clock().timestamp()) - 10 + 90 * 24 * 3600


@pytest.mark.parametrize("second", ["SUCCEEDED", "FAILED", "SKIPPED", "TIMED_OUT"])
def test_the_first_end_of_a_run_stands(trail: AuditTrail, second: str) -> None:
    run_id = _begun(trail)
    ended = trail.end_run(pipeline=PIPELINE, run_id=run_id, status="FAILED", reason="quality_gate", message="no", counts={"rows_in": 1})
    assert (ended.status, ended.reason, ended.counts) == ("FAILED", "quality_gate", {"rows_in": 1})
    assert trail.end_run(pipeline=PIPELINE, run_id=run_id, status=second) == ended  # type: ignore[arg-type]


def test_many_enders_at_once_agree(trail: AuditTrail) -> None:
    run_id = _begun(trail)
    with ThreadPoolExecutor(max_workers=6) as pool:
        ends = list(
            pool.map(lambda number: trail.end_run(pipeline=PIPELINE, run_id=run_id, status="FAILED", reason=f"r{number}"), range(12))
        )
    assert len({end.reason for end in ends}) == 1


def test_nothing_ends_as_running_and_nothing_ends_that_never_began(trail: AuditTrail) -> None:
    run_id = _begun(trail)
    with pytest.raises(ValueError, match="nothing ends as RUNNING"):
        trail.end_run(pipeline=PIPELINE, run_id=run_id, status="RUNNING")
    with pytest.raises(UnknownRunError, match="holds no run 'x' of pipeline 'orders'"):
        trail.end_run(pipeline=PIPELINE, run_id="x", status="FAILED")
    with pytest.raises(UnknownRunError, match="attempt 7"):
        trail.end_step(pipeline=PIPELINE, run_id=run_id, step="ingest", attempt=7, status="FAILED")
    with pytest.raises(UnknownRunError):
        trail.trail("x")
    assert trail.get_run("x") is None
    assert trail.get_run("x", pipeline=PIPELINE) is None


def test_each_start_of_a_job_is_an_attempt_and_a_killed_one_stays_failed(trail: AuditTrail) -> None:
    run_id = _begun(trail)

    def start(job: str) -> int:
        return trail.start_step(pipeline=PIPELINE, run_id=run_id, step="ingest", engine="glue", job_run_id=job)

    assert [start("jr1"), start("jr1"), start("jr2"), start("jr3")] == [1, 1, 2, 3]
    assert trail.end_step(pipeline=PIPELINE, run_id=run_id, step="ingest", attempt=1, status="SUCCEEDED").status == "FAILED"
    last = trail.end_step(pipeline=PIPELINE, run_id=run_id, step="ingest", attempt=3, status="SUCCEEDED", counts={"rows_in": 5})
    assert (last.status, last.counts) == ("SUCCEEDED", {"rows_in": 5})
    assert [(step.attempt, step.status, step.message) for step in trail.trail(run_id).steps] == [
        (1, "FAILED", "superseded by attempt 2"),
        (2, "FAILED", "superseded by attempt 3"),
        (3, "SUCCEEDED", ""),
    ]
    assert start("jr4") == 4


def test_steps_whose_names_begin_alike_are_told_apart(trail: AuditTrail) -> None:
    run_id = _begun(trail)
    for step in ("load", "load_more", "load#2"):
        assert trail.start_step(pipeline=PIPELINE, run_id=run_id, step=step, engine="glue", job_run_id=step) == 1


def test_two_drivers_at_once_are_two_attempts_of_which_one_is_left(trail: AuditTrail) -> None:
    run_id = _begun(trail)
    with ThreadPoolExecutor(max_workers=4) as pool:
        numbers = list(
            pool.map(
                lambda job: trail.start_step(pipeline=PIPELINE, run_id=run_id, step="ingest", engine="glue", job_run_id=str(job)), range(6)
            )
        )
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
    assert sum(step.status == "RUNNING" for step in trail.trail(run_id).steps) >= 1


def test_more_than_nine_attempts_are_in_order(trail: AuditTrail) -> None:
    run_id = _begun(trail)
    for job in range(12):
        trail.start_step(pipeline=PIPELINE, run_id=run_id, step="ingest", engine="glue", job_run_id=str(job))
    assert [step.attempt for step in trail.trail(run_id, pipeline=PIPELINE).steps] == list(range(1, 13))


def test_quality_and_files_are_kept_by_what_they_are_about(trail: AuditTrail) -> None:
    run_id = _begun(trail)
    rule = QualityRecord(
        dataset="silver.tpch.orders",
        rule="o_total.range",
        level="row",
        severity="error",
        action="quarantine",
        passed=False,
        value=0.25,
        threshold=1,
        failed_rows=3,
    )
    unmeasured = QualityRecord(
        dataset="gold.tpch.revenue", rule="o_total.range", level="table", severity="critical", action="halt", passed=False
    )
    rejected = FileRecord(source="s3://raw/a.csv", version="v1", outcome="rejected", reason="missing_column", message="x" * 5000)
    for _ in range(2):
        trail.record_quality(pipeline=PIPELINE, run_id=run_id, results=[rule, unmeasured])
        trail.record_file(pipeline=PIPELINE, run_id=run_id, file=rejected)
    found = trail.trail(run_id)
    assert sorted(record.dataset for record in found.quality) == ["gold.tpch.revenue", "silver.tpch.orders"]
    assert rule in found.quality
    assert unmeasured in found.quality
    assert [(file.source, len(file.message)) for file in found.files] == [("s3://raw/a.csv", 2000)]
    assert trail.get_file(pipeline=PIPELINE, run_id=run_id, source="s3://raw/a.csv", version="v2") is None
    assert found.to_dict()["run"]["run_id"] == run_id


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e300, -1e126, 1e-131])
def test_a_measurement_that_cannot_be_kept_is_none_and_the_message_says_what_it_was(trail: AuditTrail, number: float) -> None:
    run_id = _begun(trail)
    odd = QualityRecord(
        dataset="d", rule="r", level="table", severity="error", action="halt", passed=False, value=number, threshold=1.5, message="too much"
    )
    trail.record_quality(pipeline=PIPELINE, run_id=run_id, results=[odd])
    (kept,) = trail.trail(run_id).quality
    assert (kept.value, kept.threshold) == (None, 1.5)
    assert kept.message == f"the value is {number!r}, which cannot be kept as a number. too much"


@pytest.mark.parametrize("number", [0.0, 9e125, -9e125, 1e-130])
def test_a_measurement_within_the_limits_of_dynamodb_is_kept(trail: AuditTrail, number: float) -> None:
    run_id = _begun(trail)
    rule = QualityRecord(dataset="d", rule="r", level="table", severity="error", action="halt", passed=False, value=number)
    trail.record_quality(pipeline=PIPELINE, run_id=run_id, results=[rule])
    (kept,) = trail.trail(run_id).quality
    assert kept.value is not None
    assert float(kept.value) == number


def test_all_that_belongs_to_a_run_goes_when_the_run_goes(clock: Clock) -> None:
    with state_tables() as (dynamodb, _):
        recorder, job = (AuditTrail(client=dynamodb, table="audit", ttl_days=days, clock=clock) for days in (365, 90))
        run_id = _begun(recorder)
        clock.pass_seconds(7200)
        for step in ("ingest", "refine"):
            job.start_step(pipeline=PIPELINE, run_id=run_id, step=step, engine="glue", job_run_id=step)
        rule = QualityRecord(dataset="d", rule="r", level="row", severity="error", action="quarantine", passed=True)
        job.record_quality(pipeline=PIPELINE, run_id=run_id, results=[rule])
        job.record_file(
            pipeline=PIPELINE, run_id=run_id, file=FileRecord(source="s3://raw/a", version="v", outcome="skipped", reason="header_only")
        )
        items = dynamodb.scan(TableName="audit")["Items"]
        assert sorted(item["kind"]["S"] for item in items) == ["file", "quality", "run", "step", "step"]
        assert {item["expires_at"]["N"] for item in items} == {str(int(clock().timestamp()) - 7200 + 365 * 24 * 3600)}


@pytest.mark.parametrize(("seconds", "longest"), [(3600, 3600), (None, 24 * 3600)])
def test_a_run_that_must_be_over_and_still_stands_running_is_lost(
    trail: AuditTrail, clock: Clock, seconds: int | None, longest: int
) -> None:
    run_id = new_run_id()
    run = trail.start_run(pipeline=PIPELINE, run_id=run_id, trigger="arrival", seconds=seconds)
    clock.pass_seconds(longest + 15 * 60)
    assert not run.is_lost(clock())
    clock.pass_seconds(1)
    assert run.is_lost(clock())
    assert not trail.end_run(pipeline=PIPELINE, run_id=run_id, status="SUCCEEDED").is_lost(clock())


def test_the_same_warning_twice_is_one_and_there_is_an_end_to_them(trail: AuditTrail) -> None:
    run_id = _begun(trail)
    for number in range(MAX_WARNINGS + 5):
        trail.warn(pipeline=PIPELINE, run_id=run_id, warning=f"column c{number:03}")
    trail.warn(pipeline=PIPELINE, run_id=run_id, warning="column c000")
    run = trail.get_run(run_id, pipeline=PIPELINE)
    assert run is not None
    assert run.warnings == [f"column c{number:03}" for number in range(MAX_WARNINGS)]
    trail.warn(pipeline=PIPELINE, run_id="unknown", warning="x")
    assert trail.get_run("unknown", pipeline=PIPELINE) is None


def test_warnings_in_any_script_fit_into_the_item_of_the_run(trail: AuditTrail) -> None:
    run_id = _begun(trail)
    for number in range(MAX_WARNINGS):
        trail.warn(pipeline=PIPELINE, run_id=run_id, warning=f"{number:03} " + "列" * 2000)
    run = trail.get_run(run_id, pipeline=PIPELINE)
    assert run is not None
    assert len(run.warnings) == MAX_WARNINGS
    assert all(warning.strip("0123456789 ").replace("列", "") == "" for warning in run.warnings)
    assert sum(len(warning.encode()) for warning in run.warnings) < 300_000


def test_runs_are_listed_newest_first_by_pipeline_status_and_time(trail: AuditTrail, clock: Clock) -> None:
    ids: list[str] = []
    for number in range(6):
        clock.pass_seconds(60)
        ids.append(_begun(trail, pipeline=("orders", "customer")[number % 2]))
        trail.start_step(pipeline=("orders", "customer")[number % 2], run_id=ids[-1], step="ingest", engine="glue", job_run_id="jr")
    trail.end_run(pipeline="orders", run_id=ids[0], status="FAILED")
    trail.end_run(pipeline="customer", run_id=ids[3], status="SUCCEEDED")
    assert [run.run_id for run in trail.runs()] == ids[::-1]
    assert [run.run_id for run in trail.runs(limit=2)] == [ids[5], ids[4]]
    assert [run.run_id for run in trail.runs(pipeline="orders")] == [ids[4], ids[2], ids[0]]
    assert [run.run_id for run in trail.runs(statuses=("FAILED", "SUCCEEDED"))] == [ids[3], ids[0]]
    assert [run.run_id for run in trail.runs(since="2026-11-22T05:05:00.000Z")] == [ids[5], ids[4]]


def test_a_skipped_file_is_a_run_of_its_own(trail: AuditTrail) -> None:
    run_id = new_run_id()
    first, run = (
        trail.skip_run(pipeline=PIPELINE, run_id=run_id, reason="empty_file", message="no bytes", source="a.csv", source_version="v")
        for _ in range(2)
    )
    assert first == run
    assert (run.status, run.reason, run.source, run.ended_at) == ("SKIPPED", "empty_file", "a.csv", run.started_at)
    assert len(trail.runs()) == 1


_VALUES = st.recursive(
    st.one_of(st.text(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(-1e15, 1e15).filter(is_storable)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(min_size=1), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(item=st.dictionaries(st.text(min_size=1, max_size=5), _VALUES, max_size=4))
def test_what_is_written_is_read_back(item: dict[str, object]) -> None:
    assert from_attributes(to_attributes(item)) == item


def test_reserved_words_and_all_pages_are_no_matter() -> None:
    with state_tables() as (dynamodb, _):
        table = StateTable(client=dynamodb, name="control")
        for number in range(25):
            table.put({"pk": "p", "sk": f"{number:02}", "status": "x", "size": number, "year": 1})
        found = table.query("#pk = :pk", {"pk": "p", "x": "x"}, where="#status = :x", page_size=4)
        assert [item["size"] for item in found] == list(range(25))
        assert table.update(
            {"pk": "p", "sk": "00"}, changes={"status": "y"}, remove=["year"], add={"size": 2}, condition="#status = :x", values={"x": "x"}
        )
        assert table.get({"pk": "p", "sk": "00"}) == {"pk": "p", "sk": "00", "status": "y", "size": 2}
        assert not table.delete({"pk": "p", "sk": "00"}, condition="#status = :x", values={"x": "x"})
        with pytest.raises(TypeError, match="DynamoDB cannot hold"):
            table.put({"pk": "p", "sk": "s", "thing": object()})
        with pytest.raises(ValueError, match="cannot hold the number inf"):
            table.put({"pk": "p", "sk": "s", "thing": float("inf")})
