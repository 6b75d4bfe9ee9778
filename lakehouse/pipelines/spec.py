"""Pipelines as their specs describe them: what constructs build and the command line shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lakehouse.naming import DatasetName

Warehouse = Literal["redshift"]
Job = Literal["ingest", "refine", "publish"]
Engine = Literal["emr", "emr-serverless", "glue"]


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """Files that land in `raw/<domain>/<dataset>/` start the pipeline.

    Attributes:
        dataset: Id of the contract that the files follow.
    """

    dataset: str


@dataclass(frozen=True, kw_only=True)
class After:
    """A successful run of any of these pipelines starts the pipeline.

    Attributes:
        pipelines: Names of the pipelines.
    """

    pipelines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The clock starts the pipeline.

    Attributes:
        expression: `cron(…)` or `rate(…)` of EventBridge Scheduler.
        time_zone: IANA's name of the zone that the expression is read in.
    """

    expression: str
    time_zone: str


Trigger = Arrival | After | Schedule


@dataclass(frozen=True, kw_only=True)
class Step:
    """One job of a pipeline.

    Attributes:
        name: Name, unique in the pipeline.
        job: What it does: ingest (raw -> bronze), refine (bronze -> silver and quarantine) or publish (silver -> gold).
        writes: Dataset that it writes; its zone follows from the job.
        reads: Datasets that it reads, whether authored or implied (bronze of what refine writes, tables that its relationships name).
        transform: `<domain>.<function>` of jobs/transforms, for publish.
        engine: Where it runs.
    """

    name: str
    job: Job
    writes: DatasetName
    reads: tuple[DatasetName, ...]
    transform: str | None
    engine: Engine

    @property
    def outputs(self) -> tuple[DatasetName, ...]:
        """Every table that the step writes: refine writes quarantine as well as silver."""
        if self.job == "refine":
            return (self.writes, DatasetName(zone="quarantine", domain=self.writes.domain, dataset=self.writes.dataset))
        return (self.writes,)


@dataclass(frozen=True, kw_only=True)
class Load:
    """A step that loads a gold table into the warehouse.

    Attributes:
        name: Name, unique in the pipeline.
        into: Which warehouse.
        reads: Gold dataset; its table in the warehouse becomes the same.
    """

    name: str
    into: Warehouse
    reads: DatasetName


@dataclass(frozen=True, kw_only=True)
class PipelineSpec:
    """One pipeline.

    Attributes:
        name: Name; also that of its file.
        owner: Team that answers for it.
        description: Sentence for people.
        trigger: What starts it.
        timeout_minutes: A step that takes longer is stopped and the run is TIMED_OUT; waiting for other runs does not count.
        steps: Jobs in order.
        loads: Loads into the warehouse in order; they follow the jobs.
    """

    name: str
    owner: str
    description: str
    trigger: Trigger
    timeout_minutes: int
    steps: tuple[Step, ...]
    loads: tuple[Load, ...] = ()

    def uses(self, engine: Engine) -> bool:
        """Whether a step runs on an engine."""
        return any(step.engine == engine for step in self.steps)

    @property
    def outputs(self) -> tuple[DatasetName, ...]:
        """Every table that the pipeline writes."""
        return tuple(output for step in self.steps for output in step.outputs)

    @property
    def contract_ids(self) -> tuple[str, ...]:
        """Ids of the contracts that it reads or writes, sorted."""
        return tuple(sorted({dataset.contract_id for step in self.steps for dataset in (*step.reads, step.writes)}))
