"""How large Spark is on EMR Serverless, and what fits into a worker, there and on Glue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from constructs_lib.checks import require, require_range
from lakehouse.worker_sizes import serverless_fault

GLUE_MEMORY_GB: Mapping[str, int] = {
    "G.025X": 4,
    "G.1X": 16,
    "G.2X": 32,
    "G.4X": 64,
    "G.8X": 128,
    "G.12X": 192,
    "G.16X": 256,
    "R.1X": 32,
    "R.2X": 64,
    "R.4X": 128,
    "R.8X": 256,
}
"""Memory of Glue's workers."""

OVERHEAD_FACTOR = 0.1
MIN_OVERHEAD_MB = 384
"""What Spark takes beside the heap: a tenth of it, 384 MB at least."""

MIN_DISK_GB = 20
MAX_DISK_GB = 200

_MEMORY_SETTINGS = ("spark.driver.memory", "spark.executor.memory")
_SIZE = re.compile(r"(?P<number>\d+)(?P<unit>[kmgt]?)b?", re.IGNORECASE)
_MB = {"k": 1 / 1024, "": 1 / 1024 / 1024, "m": 1, "g": 1024, "t": 1024 * 1024}


@dataclass(frozen=True, kw_only=True)
class ServerlessWorker:
    """A worker of EMR Serverless, a driver or an executor.

    Attributes:
        vcpu: 1, 2, 4, 8 or 16.
        memory_gb: Memory of the worker, heap and overhead together.
        disk_gb: Its disk.
    """

    vcpu: int = 4
    memory_gb: int = 16
    disk_gb: int = MIN_DISK_GB

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: EMR Serverless has no such worker.
        """
        fault = serverless_fault(self.vcpu, self.memory_gb)
        require(fault is None, str(fault))
        require_range(self.disk_gb, name="disk_gb", at_least=MIN_DISK_GB, at_most=MAX_DISK_GB, why="EMR Serverless' standard disks")

    @property
    def heap_mb(self) -> int:
        """Largest heap that leaves room for what Spark takes beside it."""
        return largest_heap_mb(self.memory_gb)

    def configuration(self) -> dict[str, str]:
        """The worker as EMR Serverless writes it."""
        return {"cpu": f"{self.vcpu} vCPU", "memory": f"{self.memory_gb} GB", "disk": f"{self.disk_gb} GB"}


@dataclass(frozen=True, kw_only=True)
class ServerlessSize:
    """How large a job is: one driver, and executors as the job needs them up to a number.

    Attributes:
        worker: Worker of the driver and of each executor.
        executors: Executors that it starts with.
        max_executors: Most executors at a time.
    """

    worker: ServerlessWorker = field(default_factory=ServerlessWorker)
    executors: int = 1
    max_executors: int = 4

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: The numbers of executors do not fit each other.
        """
        require_range(self.executors, name="executors", at_least=1)
        require(
            self.executors <= self.max_executors,
            f"max_executors must be at least executors = {self.executors}, got {self.max_executors}",
        )

    @property
    def vcpu(self) -> int:
        """Most vCPU that a run takes."""
        return self.worker.vcpu * (self.max_executors + 1)

    @property
    def memory_gb(self) -> int:
        """Most memory that a run takes."""
        return self.worker.memory_gb * (self.max_executors + 1)

    @property
    def disk_gb(self) -> int:
        """Most disk that a run takes."""
        return self.worker.disk_gb * (self.max_executors + 1)

    def settings(self) -> dict[str, str]:
        """Spark settings of this size."""
        worker = self.worker
        return {
            "spark.driver.cores": str(worker.vcpu),
            "spark.driver.memory": f"{worker.heap_mb}m",
            "spark.dynamicAllocation.enabled": "true",
            "spark.dynamicAllocation.initialExecutors": str(self.executors),
            "spark.dynamicAllocation.maxExecutors": str(self.max_executors),
            "spark.dynamicAllocation.minExecutors": "1",
            "spark.emr-serverless.driver.disk": f"{worker.disk_gb}g",
            "spark.emr-serverless.executor.disk": f"{worker.disk_gb}g",
            "spark.executor.cores": str(worker.vcpu),
            "spark.executor.memory": f"{worker.heap_mb}m",
        }


SERVERLESS_SMALL = ServerlessSize(worker=ServerlessWorker(vcpu=2, memory_gb=8), executors=1, max_executors=2)
SERVERLESS_MEDIUM = ServerlessSize(worker=ServerlessWorker(vcpu=4, memory_gb=16), executors=2, max_executors=8)
SERVERLESS_LARGE = ServerlessSize(worker=ServerlessWorker(vcpu=8, memory_gb=60), executors=4, max_executors=32)
"""Sizes for up to a gigabyte, ten and a hundred of input."""


def largest_heap_mb(memory_gb: int) -> int:
    """Largest heap whose overhead fits into a worker beside it."""
    memory_mb = memory_gb * 1024
    heap = min(int(memory_mb / (1 + OVERHEAD_FACTOR)), memory_mb - MIN_OVERHEAD_MB)
    return heap - heap % 64


def check_heaps(settings: Mapping[str, str], *, memory_gb: int, worker: str) -> None:
    """Refuse settings whose heap does not fit into a worker with what Spark takes beside it.

    A worker that is too small for its heap is not used when it is warm, or is killed for the memory it takes.

    Args:
        settings: Spark settings.
        memory_gb: Memory of the worker.
        worker: Name of the worker, for people.

    Raises:
        InvalidProps: One does not fit, or cannot be read.
    """
    for name in _MEMORY_SETTINGS:
        if name not in settings:
            continue
        found = _SIZE.fullmatch(settings[name].strip())
        require(found is not None, f"{name} is {settings[name]!r}: write a size such as 8g or 8192m")
        assert found is not None
        heap = int(int(found["number"]) * _MB[found["unit"].lower()])
        overhead = max(int(heap * OVERHEAD_FACTOR), MIN_OVERHEAD_MB)
        require(
            heap + overhead <= memory_gb * 1024,
            f"{name} of {settings[name]} and the {overhead} MB that Spark takes beside it do not fit into {worker} with {memory_gb} GB: "
            f"write at most {largest_heap_mb(memory_gb)}m, or take a larger worker",
        )
