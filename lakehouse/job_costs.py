"""What runs of jobs took and cost, and whether they had more workers than they could use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GLUE_DPU: Mapping[str, float] = {"G.025X": 0.25, "G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8, "G.12X": 12, "G.16X": 16}
"""Worker type -> DPU that Glue bills for it; types of the family R have a price of their own."""

GLUE_MIN_SECONDS = 60
"""Glue bills a minute at least."""

GLUE_MIN_WORKERS = 2
"""A driver and an executor."""

GLUE_ACTIVE = frozenset({"STARTING", "RUNNING", "STOPPING", "WAITING"})
"""States of a run that has not ended."""

EMR_ENDED = frozenset({"SUCCESS", "FAILED", "CANCELLED"})
"""States of a run of EMR Serverless that has ended."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices a unit and hour.

    Attributes:
        dpu: A DPU of Glue.
        flex_dpu: A DPU of Glue on spare capacity.
        vcpu: A vCPU of EMR Serverless.
        memory_gb: A GB of memory of EMR Serverless.
        disk_gb: A GB of disk of EMR Serverless, beyond the 20 that each worker has.
    """

    dpu: float
    flex_dpu: float
    vcpu: float
    memory_gb: float
    disk_gb: float


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a job run took.

    Attributes:
        seconds: Time for which it had its workers.
        dpu_hours: DPU hours that Glue bills; None if its workers are not billed in DPU, or not on Glue.
        vcpu_hours: vCPU hours that EMR Serverless bills; None elsewhere, or while it has not said.
        memory_gb_hours: The same in GB of memory.
        price: What it cost; None if nobody can tell.
        has_succeeded: Whether it ended well.
    """

    seconds: int
    dpu_hours: float | None
    vcpu_hours: float | None
    memory_gb_hours: float | None
    price: float | None
    has_succeeded: bool


def of_glue(run: Mapping[str, Any], prices: Prices) -> Spent | None:
    """What a run of a Glue job took, as GetJobRuns tells; None if it has not ended."""
    if run["JobRunState"] in GLUE_ACTIVE:
        return None
    seconds = int(run.get("ExecutionTime") or 0)
    billed = run.get("DPUSeconds")  # Glue says it of runs whose workers come and go: auto scaling and FLEX
    if billed is None and str(run.get("WorkerType")) in GLUE_DPU:
        billed = (max(seconds, GLUE_MIN_SECONDS) if seconds else 0) * int(run["NumberOfWorkers"]) * GLUE_DPU[str(run["WorkerType"])]
    hours = None if billed is None or str(run.get("WorkerType")).startswith("R.") else float(billed) / 3600
    price = prices.flex_dpu if run.get("ExecutionClass") == "FLEX" else prices.dpu
    return Spent(
        seconds=seconds,
        dpu_hours=hours,
        vcpu_hours=None,
        memory_gb_hours=None,
        price=None if hours is None else hours * price,
        has_succeeded=run["JobRunState"] == "SUCCEEDED",
    )


def of_emr_serverless(run: Mapping[str, Any], prices: Prices) -> Spent | None:
    """What a run of EMR Serverless took, as GetJobRun tells; None if it has not ended."""
    if run["state"] not in EMR_ENDED:
        return None
    billed: Mapping[str, float] = run.get("billedResourceUtilization") or {}
    vcpu, memory = billed.get("vCPUHour"), billed.get("memoryGBHour")
    price = None
    if vcpu is not None and memory is not None:
        price = vcpu * prices.vcpu + memory * prices.memory_gb + billed.get("storageGBHour", 0) * prices.disk_gb
    return Spent(
        seconds=int(run.get("totalExecutionDurationSeconds") or 0),
        dpu_hours=None,
        vcpu_hours=vcpu,
        memory_gb_hours=memory,
        price=price,
        has_succeeded=run["state"] == "SUCCESS",
    )


def advice(*, workers: int | None, needed_executors: float | None) -> str:
    """What to do about a Glue job that has more workers than it ever had work for; empty if there is nothing to say.

    Args:
        workers: Workers of the job, of which one is the driver.
        needed_executors: Most executors that its runs had work for at one time.
    """
    if workers is None or needed_executors is None:
        return ""
    enough = max(math.ceil(needed_executors) + 1, GLUE_MIN_WORKERS)
    if enough >= workers:
        return ""
    return f"could run with {enough} workers instead of {workers}: it never had work for more"
