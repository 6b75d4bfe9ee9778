"""Sizes of EMR Serverless workers, and what an application may still give: a job beyond its maximum gets no worker, as on AWS."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.aws.modelled_service import ServiceError

MEMORY_GB = {1: (2, 8, 1), 2: (4, 16, 1), 4: (8, 30, 1), 8: (16, 60, 4), 16: (32, 120, 8)}
"""vCPU of a worker -> least memory, most memory and increment, in GB."""

DISK_GB = {"STANDARD": (20, 200), "SHUFFLE_OPTIMIZED": (20, 2000)}
"""Kind of disk -> least and most of it, in GB."""

DEFAULTS = {
    "spark.driver.cores": "4", "spark.driver.memory": "14G", "spark.executor.cores": "4", "spark.executor.memory": "14G",
    "spark.emr-serverless.driver.disk": "20G", "spark.emr-serverless.executor.disk": "20G", "spark.executor.instances": "3",
    "spark.dynamicAllocation.enabled": "true",
}  # fmt: skip
"""What EMR Serverless takes for properties that size a job and that it does not set."""

OVERHEAD_SHARE, LEAST_OVERHEAD_GB = 0.1, 0.375
"""Memory that a worker has beside its heap, unless `memoryOverhead` says."""

_SIZE = re.compile(r"(\d+)\s*(?:vcpu|gb)?", re.IGNORECASE)
_MEMORY = re.compile(r"(\d+)\s*([kmgt]?)b?", re.IGNORECASE)
_GIGABYTES = {"k": 1 / 1024**2, "m": 1 / 1024, "": 1 / 1024, "g": 1.0, "t": 1024.0}


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """An amount of workers' resources.

    Attributes:
        cpu: vCPU.
        memory_gb: Memory.
        disk_gb: Disk.
    """

    cpu: float = 0
    memory_gb: float = 0
    disk_gb: float = 0

    def __add__(self, other: Capacity) -> Capacity:
        return Capacity(cpu=self.cpu + other.cpu, memory_gb=self.memory_gb + other.memory_gb, disk_gb=self.disk_gb + other.disk_gb)

    def times(self, count: float) -> Capacity:
        """The amount of *count* workers."""
        return Capacity(cpu=self.cpu * count, memory_gb=self.memory_gb * count, disk_gb=self.disk_gb * count)


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a job asks for at its start.

    Attributes:
        driver: Its driver.
        executor: One of its executors.
        executors: How many it asks for.
    """

    driver: Capacity
    executor: Capacity
    executors: int

    @property
    def least(self) -> Capacity:
        """Without it nothing runs: the driver and one executor."""
        return self.driver + self.executor


def worker(configuration: Mapping[str, Any]) -> Capacity:
    """A worker as `initialCapacity` describes it.

    Raises:
        ServiceError: EMR Serverless has no such worker.
    """
    disk = _number(configuration.get("disk") or "20 GB")
    found = Capacity(cpu=_number(configuration["cpu"]), memory_gb=_number(configuration["memory"]), disk_gb=disk)
    kind = str(configuration.get("diskType") or "STANDARD").upper()
    _require_worker(found, what=f"cpu {configuration['cpu']}, memory {configuration['memory']}", kind=kind)
    return found


def maximum(application: Mapping[str, Any]) -> Capacity | None:
    """The most that an application may have at a time; None if it sets none. A disk that is not limited is infinite."""
    given = application.get("maximumCapacity")
    if not given:
        return None
    disk = _number(given["disk"]) if given.get("disk") else math.inf
    return Capacity(cpu=_number(given["cpu"]), memory_gb=_number(given["memory"]), disk_gb=disk)


def demand(conf: Mapping[str, str]) -> Demand:
    """What a job with these Spark properties asks for.

    Raises:
        ServiceError: EMR Serverless has no such worker.
    """
    sized = {**DEFAULTS, **conf}
    if sized["spark.dynamicAllocation.enabled"].lower() == "true":
        first = conf.get("spark.dynamicAllocation.initialExecutors") or conf.get("spark.dynamicAllocation.minExecutors")
        count = int(first or sized["spark.executor.instances"])
        count = min(count, int(conf.get("spark.dynamicAllocation.maxExecutors", count)))
    else:
        count = int(sized["spark.executor.instances"])
    return Demand(driver=_sized(sized, "driver"), executor=_sized(sized, "executor"), executors=max(count, 1))


def exceeded(used: Capacity, limit: Capacity | None) -> str:
    """The settings of an application that *used* goes beyond, as EMR Serverless lists them; empty if there are none."""
    if limit is None:
        return ""
    parts = (
        ("cpu", used.cpu, limit.cpu, "vCPU"), ("memory", used.memory_gb, limit.memory_gb, "GB"), ("disk", used.disk_gb, limit.disk_gb, "GB"),
    )  # fmt: skip
    return ", ".join(f"{name}: {most:g} {unit}" for name, wanted, most, unit in parts if wanted > most)


def executors_that_fit(asked: Demand, used: Capacity, limit: Capacity | None) -> int:
    """How many of a job's executors an application can give now, its driver counted."""
    return next((n for n in range(asked.executors, 0, -1) if not exceeded(used + asked.driver + asked.executor.times(n), limit)), 0)


def _sized(conf: Mapping[str, str], role: str) -> Capacity:
    cores = conf[f"spark.{role}.cores"]
    heap = _gigabytes(conf[f"spark.{role}.memory"], f"spark.{role}.memory")
    given = conf.get(f"spark.{role}.memoryOverhead")
    share = float(conf.get(f"spark.{role}.memoryOverheadFactor", OVERHEAD_SHARE))
    overhead = _gigabytes(given, f"spark.{role}.memoryOverhead") if given else max(LEAST_OVERHEAD_GB, share * heap)
    if not cores.isdigit() or int(cores) not in MEMORY_GB:
        raise ServiceError("ValidationException", f"spark.{role}.cores must be one of {', '.join(map(str, MEMORY_GB))}, got {cores}")
    step = MEMORY_GB[int(cores)][2]
    disk = _gigabytes(conf[f"spark.emr-serverless.{role}.disk"], f"spark.emr-serverless.{role}.disk")
    found = Capacity(cpu=int(cores), memory_gb=math.ceil((heap + overhead) / step) * step, disk_gb=disk)
    what = f"spark.{role}.cores {cores}, spark.{role}.memory {conf[f'spark.{role}.memory']} and {overhead:g} GB beside it"
    _require_worker(found, what=what, kind=conf.get(f"spark.emr-serverless.{role}.disk.type", "STANDARD").upper())
    return found


def _require_worker(found: Capacity, *, what: str, kind: str) -> None:
    limits = MEMORY_GB.get(int(found.cpu))
    if limits is None:
        raise ServiceError("ValidationException", f"A worker has {', '.join(map(str, MEMORY_GB))} vCPU, got {what}")
    least, most, step = limits
    if not least <= found.memory_gb <= most or found.memory_gb % step:
        raise ServiceError(
            "ValidationException",
            f"A worker of {found.cpu:g} vCPU has {least} to {most} GB of memory in steps of {step} GB, got {found.memory_gb:g} GB ({what})",
        )
    low, high = DISK_GB.get(kind, DISK_GB["STANDARD"])
    if not low <= found.disk_gb <= high:
        raise ServiceError(
            "ValidationException", f"A worker has {low} to {high} GB of disk of type {kind}, got {found.disk_gb:g} GB ({what})"
        )


def _number(text: Any) -> int:
    found = _SIZE.fullmatch(str(text).strip())
    if found is None:
        raise ServiceError("ValidationException", f"{text!r} is no size such as `4 vCPU` or `16 GB`")
    return int(found[1])


def _gigabytes(text: str, name: str) -> float:
    found = _MEMORY.fullmatch(text.strip())
    if found is None:
        raise ServiceError("ValidationException", f"{name} must be a size such as 4g or 512m, got {text!r}")
    return int(found[1]) * _GIGABYTES[found[2].lower()]
