"""What `lake costs` returns; a stable shape as those of `cli.results`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class JobCost:
    """What the runs of one job took.

    Attributes:
        pipeline: Pipeline, or `erase/<domain>` of a job behind `lake erase`.
        step: Step of the pipeline.
        dataset: Table that the step writes, `<zone>.<domain>.<dataset>`; null if it writes several.
        engine: `glue` or `emr-serverless`.
        runs: Runs that began in these days and have ended.
        failed: Those of them that did not succeed.
        seconds: Time for which they had their workers, all together.
        dpu_hours: DPU hours that Glue bills; null elsewhere.
        vcpu_hours: vCPU hours that EMR Serverless bills; null elsewhere.
        memory_gb_hours: GB hours of memory that EMR Serverless bills; null elsewhere.
        price: What they cost at the prices of the config; null if the service has not said what it bills for one of them.
        workers: Workers of the newest run, the driver included; null but on Glue.
        needed_executors: Most executors that they had work for at one time, by Glue's metrics; null if there are none.
        utilization: Mean of the hours of Glue's metric `glue.driver.workerUtilization`, the percentage of the workers that worked, as Glue gives it; null if there is none.
        advice: What would cost less, or "".
    """

    pipeline: str
    step: str
    dataset: str | None
    engine: Literal["glue", "emr-serverless"]
    runs: int
    failed: int
    seconds: int
    dpu_hours: float | None
    vcpu_hours: float | None
    memory_gb_hours: float | None
    price: float | None
    workers: int | None
    needed_executors: float | None
    utilization: float | None
    advice: str


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What the jobs of an environment took, by the prices of its config.

    Attributes:
        env: Environment.
        first: First day, UTC.
        last: Last day, UTC.
        currency: Currency of the prices.
        price: Sum of what has a price.
        jobs: Jobs that ran, the dearest first.
        message: What the figures leave out, or "".
    """

    env: str
    first: str
    last: str
    currency: str
    price: float
    jobs: list[JobCost]
    message: str
