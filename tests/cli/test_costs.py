"""`lake costs` reckons with what Glue, EMR Serverless and CloudWatch tell, and says what they do not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from cli import main
from cli.cost_results import JobCost
from cli.costs import CLUSTERS, NO_METRICS, costs, days_asked
from cli.errors import WrongUseError
from cli.progress import Progress
from cli.session import Session
from lakehouse.pipelines.spec import PipelineSpec

DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Pages:
    """A client whose every paginated call answers from a table, and that keeps what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.exceptions = SimpleNamespace(EntityNotFoundException=KeyError)

    def get_paginator(self, call: str) -> Any:
        def paginate(**request: Any) -> Any:
            self.asked.append((call, request))
            return self._answers[call](**request)

        return SimpleNamespace(paginate=paginate)

    def get_job_run(self, *, applicationId: str, jobRunId: str) -> Any:  # noqa: N803 - boto3's names
        return {"jobRun": self._answers["get_job_run"](jobRunId)}


def glue_run(seconds: int = 90, *, state: str = "SUCCEEDED", at: datetime = NOON, **more: Any) -> dict[str, Any]:
    usual = {"JobRunState": state, "StartedOn": at, "ExecutionTime": seconds, "WorkerType": "G.1X", "NumberOfWorkers": 10}
    return {**usual, "ExecutionClass": "STANDARD", **more}


def glue(**runs: list[dict[str, Any]]) -> Pages:
    """Glue with the runs of jobs of dev by `<pipeline>_<step>`, each a page."""

    def job_runs(*, JobName: str, **_: Any) -> Any:  # noqa: N803 - boto3's names
        name = JobName.removeprefix("lakehouse-dev-").replace("-", "_")
        if name not in runs:
            raise KeyError(JobName)
        return [{"JobRuns": [run]} for run in runs[name]]

    return Pages(get_job_runs=job_runs)


def metrics(needed: list[float], used: list[float]) -> Pages:
    def data(*, MetricDataQueries: list[Any], **_: Any) -> Any:  # noqa: N803 - boto3's names
        values = {"needed": needed, "used": used}
        return [{"MetricDataResults": [{"Id": query["Id"], "Values": values[query["Id"][:-1]]} for query in MetricDataQueries]}]

    return Pages(get_metric_data=data)


def asked(session: Session, progress: Progress, **clients: Any) -> Any:
    return costs(replace(session, _clients={"cloudwatch": metrics([], []), **clients}), first=DAY, last=DAY, progress=progress)


def test_a_job_costs_the_seconds_of_its_workers_a_minute_at_least(session: Session, progress: Progress) -> None:
    runs = [glue_run(3600), glue_run(10, state="FAILED"), glue_run(state="RUNNING")]
    found = asked(session, progress, glue=glue(orders_ingest=runs))
    (job,) = found.jobs
    assert (job.pipeline, job.step, job.dataset, job.engine) == ("orders", "ingest", "bronze.tpch.orders", "glue")
    assert (job.runs, job.failed, job.seconds, job.workers) == (2, 1, 3610, 10)
    assert job.dpu_hours == pytest.approx(10 + 10 * 60 / 3600, abs=1e-4)
    assert job.price == found.price == pytest.approx(job.dpu_hours * 0.44, abs=1e-3)
    assert (job.vcpu_hours, job.memory_gb_hours) == (None, None)


@pytest.mark.parametrize(("run", "hours", "price"), [
    (glue_run(3600, WorkerType="G.2X", NumberOfWorkers=3), 6, 2.64),
    (glue_run(3600, DPUSeconds=7200.0), 2, 0.88),
    (glue_run(3600, DPUSeconds=7200.0, ExecutionClass="FLEX"), 2, 0.58),
    (glue_run(0, state="STOPPED"), 0, 0),
    (glue_run(3600, WorkerType="R.1X"), None, None),
])  # fmt: skip
def test_what_glue_says_it_bills_wins_and_what_has_another_price_has_none(
    session: Session, progress: Progress, run: dict[str, Any], hours: float | None, price: float | None
) -> None:
    (job,) = asked(session, progress, glue=glue(orders_ingest=[run])).jobs
    assert (job.dpu_hours, job.price) == (hours, price)


def test_runs_of_other_days_are_not_read_further_back_than_needed(session: Session, progress: Progress) -> None:
    client = glue(orders_ingest=[
        glue_run(at=datetime(2026, 11, 21, tzinfo=UTC)), glue_run(at=datetime(2026, 11, 20, tzinfo=UTC)), glue_run(at=datetime(2026, 11, 19, 23, 59, tzinfo=UTC)),
    ])  # fmt: skip
    (job,) = asked(session, progress, glue=client).jobs
    assert job.runs == 1


@pytest.mark.parametrize(("needed", "advice"), [
    ([3.0, 2.0], "could run with 4 workers instead of 10: it never had work for more"),
    ([0.0], "could run with 2 workers instead of 10: it never had work for more"),
    ([9.0], ""),
    ([40.0], ""),
])  # fmt: skip
def test_a_job_with_more_workers_than_work_is_told_so(session: Session, progress: Progress, needed: list[float], advice: str) -> None:
    watch = metrics(needed, [20.0, 40.0])
    found = asked(session, progress, glue=glue(orders_refine=[glue_run()]), cloudwatch=watch)
    (job,) = found.jobs
    assert (job.needed_executors, job.utilization, job.advice) == (max(needed), 30.0, advice)
    assert found.message == ""
    ((_, request),) = watch.asked
    named = {query["MetricStat"]["Metric"]["MetricName"]: query["MetricStat"] for query in request["MetricDataQueries"]}
    assert set(named) == {
        "glue.driver.ExecutorAllocationManager.executors.numberMaxNeededExecutors",
        "glue.driver.workerUtilization",
    }
    dimensions = {entry["Name"]: entry["Value"] for entry in named["glue.driver.workerUtilization"]["Metric"]["Dimensions"]}
    job_name = session.names.job("orders", "refine")
    assert dimensions == {"JobName": job_name, "JobRunId": "ALL", "Type": "gauge", "ObservabilityGroup": "resource_utilization"}


def test_without_metrics_nothing_is_said_about_workers_but_that(session: Session, progress: Progress) -> None:
    found = asked(session, progress, glue=glue(orders_refine=[glue_run()]))
    (job,) = found.jobs
    assert (job.needed_executors, job.utilization, job.advice) == (None, None, "")
    assert found.message == NO_METRICS


def _moved(session: Session, engine: Any) -> tuple[PipelineSpec, ...]:
    """The pipelines, with the steps of orders on another engine."""
    return tuple(
        replace(spec, steps=tuple(replace(step, engine=engine) for step in spec.steps)) if spec.name == "orders" else spec
        for spec in session.pipelines
    )


def test_emr_serverless_is_priced_by_what_it_bills(session: Session, progress: Progress) -> None:
    moved = replace(session)
    vars(moved).update(pipelines=_moved(session, "emr-serverless"), contracts=session.contracts)
    names = session.names
    billed = {"vCPUHour": 2.0, "memoryGBHour": 8.0, "storageGBHour": 1.0}
    runs = {
        "a": {
            "name": names.job("orders", "refine"),
            "state": "SUCCESS",
            "totalExecutionDurationSeconds": 100,
            "billedResourceUtilization": billed,
        },
        "b": {"name": names.job("orders", "ingest"), "state": "FAILED", "totalExecutionDurationSeconds": 7},
        "c": {"name": "somebody else's", "state": "SUCCESS"},
        "d": {"name": names.job("orders", "ingest"), "state": "RUNNING"},
    }
    applications = [{"applications": [{"id": "other", "name": "other"}]}, {"applications": [{"id": "00f", "name": names.emr_application}]}]
    emr = Pages(
        list_applications=lambda: applications,
        list_job_runs=lambda applicationId, **_: [{"jobRuns": [{"id": key}]} for key in runs if applicationId == "00f"],  # noqa: N803
        get_job_run=lambda run: runs[run],
    )
    clients = {"glue": glue(), "emr-serverless": emr, "cloudwatch": metrics([], [])}
    linked = replace(moved, _clients=clients)
    vars(linked).update(pipelines=moved.pipelines, contracts=session.contracts)
    found = costs(linked, first=DAY, last=DAY, progress=progress)
    shown = {job.step: job for job in found.jobs}
    assert shown["refine"].price == found.price == pytest.approx(2 * 0.052624 + 8 * 0.0057785 + 0.000111, abs=1e-4)
    assert (shown["refine"].vcpu_hours, shown["refine"].memory_gb_hours, shown["refine"].dpu_hours) == (2.0, 8.0, None)
    assert (shown["ingest"].failed, shown["ingest"].price) == (1, None)  # not billed yet, and no part of a sum is given as the sum
    assert found.message == ""


def test_clusters_are_left_out_and_that_is_said(session: Session, progress: Progress) -> None:
    linked = replace(session, _clients={"glue": glue(orders_ingest=[glue_run()]), "cloudwatch": metrics([], [])})
    vars(linked).update(pipelines=_moved(session, "emr"), contracts=session.contracts)
    found = costs(linked, first=DAY, last=DAY, progress=progress)
    assert (found.jobs, found.price, found.message) == (list[JobCost](), 0, CLUSTERS)


@pytest.mark.parametrize(("first", "last", "message"), [
    (date(2026, 11, 21), date(2026, 11, 20), "lies after"),
    (date(2026, 11, 24), None, "lies after|lies ahead"),
    (date(2026, 9, 1), date(2026, 11, 20), "62 at most: split"),
])  # fmt: skip
def test_days_that_cannot_be_are_refused(first: date, last: date | None, message: str) -> None:
    with pytest.raises(WrongUseError, match=message):
        days_asked(first=first, last=last, today=date(2026, 11, 23))


def test_days_left_out_are_the_last_seven() -> None:
    assert days_asked(first=None, last=None, today=date(2026, 11, 23)) == (date(2026, 11, 17), date(2026, 11, 23))


def test_the_verb_prints_both_kinds(session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clients = {"glue": glue(orders_ingest=[glue_run(3600)]), "cloudwatch": metrics([1.0], [])}
    linked = replace(session, _clients=clients)
    vars(linked).update(pipelines=session.pipelines, contracts=session.contracts)
    monkeypatch.setattr(main, "open_session", lambda _: linked)
    days = ["--from", "2026-11-20", "--to", "2026-11-20"]
    assert main.run(["costs", *days, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"][0]["advice"].startswith("could run with 2 workers")
    assert main.run(["costs", *days]) == 0
    assert "2026-11-20 to 2026-11-20: 4.4 USD" in capsys.readouterr().out
