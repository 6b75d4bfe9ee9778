"""`lake costs`: what runs of jobs took and cost, and which jobs have more workers than they use, as the services themselves tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from cli.cost_results import Costs, JobCost
from cli.errors import WrongUseError
from cli.progress import Progress
from cli.session import Session
from lakehouse.job_costs import Prices, Spent, advice, of_emr_serverless, of_glue

DEFAULT_DAYS = 7
MAX_DAYS = 62
"""CloudWatch keeps values of five minutes for 63 days."""

_PERIOD_SECONDS = 3600
_QUERIES_A_CALL = 500
_ROWS = "rows"
"""Step of a group, whose one job runs all of its rows."""

NO_METRICS = "Glue told no executor metrics of these days, so nothing is said about workers; the laptop has none"
CLUSTERS = "steps on clusters of EMR are left out: EC2 bills their machines, which carry the tags `pipeline` and `run_id` for Cost Explorer"

_NEEDED = ("glue.driver.ExecutorAllocationManager.executors.numberMaxNeededExecutors", "Maximum", {})
_USED = ("glue.driver.workerUtilization", "Average", {"ObservabilityGroup": "resource_utilization"})


@dataclass(frozen=True, kw_only=True)
class _Job:
    name: str
    pipeline: str
    step: str
    dataset: str | None
    engine: Literal["glue", "emr-serverless"]


def days_asked(*, first: date | None, last: date | None, today: date) -> tuple[date, date]:
    """First and last day: those that are given, or the last seven.

    Raises:
        WrongUseError: They are in the wrong order, lie ahead, or are too many.
    """
    end = last if last is not None else today
    begin = first if first is not None else end - timedelta(days=DEFAULT_DAYS - 1)
    if begin > end:
        raise WrongUseError(f"--from {begin} lies after --to {end}: exchange them")
    if begin > today:
        raise WrongUseError(f"{begin} lies ahead, today is {today} in UTC: name days that have begun")
    if (end - begin).days >= MAX_DAYS:
        raise WrongUseError(f"{begin} to {end} are {(end - begin).days + 1} days, a command takes {MAX_DAYS} at most: split the range")
    return begin, end


def costs(session: Session, *, first: date, last: date, progress: Progress) -> Costs:
    """What the jobs took whose runs began on some days.

    Args:
        session: Environment.
        first: First day, UTC.
        last: Last day, UTC.
        progress: Where to show what is under way.
    """
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
    end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
    prices = session.config.prices
    rates = Prices(
        dpu=prices.glue_dpu_hour,
        flex_dpu=prices.glue_flex_dpu_hour,
        vcpu=prices.emr_serverless_vcpu_hour,
        memory_gb=prices.emr_serverless_memory_gb_hour,
        disk_gb=prices.emr_serverless_disk_gb_hour,
    )
    jobs = _jobs(session)
    progress.update(f"reading the runs of {len(jobs)} jobs")
    spent: dict[str, list[Spent]] = {job.name: [] for job in jobs}
    workers: dict[str, int] = {}
    for job in jobs:
        if job.engine == "glue":
            for run in _glue_runs(session.client("glue"), job.name, begin=begin, end=end):
                workers.setdefault(job.name, int(run.get("NumberOfWorkers") or 0))
                _note(spent, job.name, of_glue(run, rates))
    if any(job.engine == "emr-serverless" for job in jobs):
        for run in _emr_runs(session.client("emr-serverless"), session.names.emr_application, begin=begin, end=end):
            if run.get("name") in spent:
                _note(spent, str(run["name"]), of_emr_serverless(run, rates))
    ran = [job for job in jobs if spent[job.name]]
    metrics = _metrics(session.client("cloudwatch"), [job.name for job in ran if job.engine == "glue"], begin=begin, end=end)
    found = [_cost(job, spent[job.name], workers=workers.get(job.name), metrics=metrics.get(job.name, {})) for job in ran]
    message = [
        *([NO_METRICS] if any(job.engine == "glue" for job in ran) and not metrics else []),
        *([CLUSTERS] if any(spec.uses("emr") for spec in session.pipelines) else []),
    ]
    return Costs(
        env=session.env,
        first=first.isoformat(),
        last=last.isoformat(),
        currency=prices.currency,
        price=round(sum(cost.price or 0 for cost in found), 4),
        jobs=sorted(found, key=lambda cost: (-(cost.price or 0), cost.pipeline, cost.step)),
        message="; ".join(message),
    )


def _jobs(session: Session) -> list[_Job]:
    """Jobs of the project; steps on clusters have none."""
    names, found = session.names, list[_Job]()
    for spec in session.pipelines:
        if spec.rows is not None:
            found.append(_Job(name=names.job(spec.name, _ROWS), pipeline=spec.name, step=_ROWS, dataset=None, engine="glue"))
        for step in spec.steps:
            if step.engine != "emr":
                name = names.job(spec.name, step.name)
                found.append(_Job(name=name, pipeline=spec.name, step=step.name, dataset=str(step.writes), engine=step.engine))
    for domain in sorted({contract.domain for contract in session.contracts.values() if contract.source is not None}):
        found.append(_Job(name=names.eraser(domain), pipeline=f"erase/{domain}", step="erase", dataset=None, engine="glue"))
    return found


def _glue_runs(glue: Any, job: str, *, begin: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
    """Runs of a job that began in a span, the newest first, as Glue lists them; none of a job that is not deployed."""
    try:
        for page in glue.get_paginator("get_job_runs").paginate(JobName=job, PaginationConfig={"PageSize": 200}):
            for run in page["JobRuns"]:
                if run["StartedOn"] < begin:
                    return
                if run["StartedOn"] < end:
                    yield run
    except glue.exceptions.EntityNotFoundException:
        return


def _emr_runs(client: Any, application: str, *, begin: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
    """Runs of the environment's application that began in a span, each with what it is billed for."""
    for page in client.get_paginator("list_applications").paginate():
        for known in page["applications"]:
            if known.get("name") != application:
                continue
            runs = client.get_paginator("list_job_runs").paginate(
                applicationId=known["id"], createdAtAfter=begin, createdAtBefore=end - timedelta(microseconds=1)
            )
            for listed in (run for found in runs for run in found["jobRuns"]):
                yield client.get_job_run(applicationId=known["id"], jobRunId=listed["id"])["jobRun"]


def _metrics(client: Any, jobs: Sequence[str], *, begin: datetime, end: datetime) -> dict[str, dict[str, float]]:
    """Executors that jobs needed and the part of their workers that worked; only those that CloudWatch has values of."""
    queries: list[dict[str, Any]] = []
    meanings: dict[str, tuple[str, str]] = {}
    for number, job in enumerate(jobs):
        for word, (metric, statistic, more) in (("needed", _NEEDED), ("used", _USED)):
            dimensions = {"JobName": job, "JobRunId": "ALL", "Type": "gauge", **more}
            stat = {
                "Metric": {
                    "Namespace": "Glue",
                    "MetricName": metric,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
                },
                "Period": _PERIOD_SECONDS,
                "Stat": statistic,
            }
            queries.append({"Id": f"{word}{number}", "MetricStat": stat})
            meanings[f"{word}{number}"] = (job, word)
    values: dict[tuple[str, str], list[float]] = {}
    for at in range(0, len(queries), _QUERIES_A_CALL):
        pages = client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries[at : at + _QUERIES_A_CALL], StartTime=begin, EndTime=end
        )
        for result in (result for page in pages for result in page["MetricDataResults"]):
            values.setdefault(meanings[result["Id"]], []).extend(result["Values"])
    found: dict[str, dict[str, float]] = {}
    for (job, word), known in values.items():
        if known:
            found.setdefault(job, {})[word] = max(known) if word == "needed" else sum(known) / len(known)
    return found


def _note(spent: dict[str, list[Spent]], job: str, run: Spent | None) -> None:
    if run is not None:
        spent[job].append(run)


def _cost(job: _Job, runs: Sequence[Spent], *, workers: int | None, metrics: Mapping[str, float]) -> JobCost:
    needed, used = metrics.get("needed"), metrics.get("used")
    return JobCost(
        pipeline=job.pipeline,
        step=job.step,
        dataset=job.dataset,
        engine=job.engine,
        runs=len(runs),
        failed=sum(not run.has_succeeded for run in runs),
        seconds=sum(run.seconds for run in runs),
        dpu_hours=_total([run.dpu_hours for run in runs]),
        vcpu_hours=_total([run.vcpu_hours for run in runs]),
        memory_gb_hours=_total([run.memory_gb_hours for run in runs]),
        price=_total([run.price for run in runs]),
        workers=workers,
        needed_executors=needed,
        utilization=None if used is None else round(used, 3),
        advice=advice(workers=workers, needed_executors=needed),
    )


def _total(values: Sequence[float | None]) -> float | None:
    """Their sum; None if one of them is not known, as a part of a sum is no sum."""
    known = [value for value in values if value is not None]
    return round(sum(known), 4) if len(known) == len(values) else None
