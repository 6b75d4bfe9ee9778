"""How large a transient cluster is: its fleets, and how far it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from constructs_lib.checks import require, require_range
from lakehouse.worker_sizes import Machine, cluster_fault, machine_of

UNITS = "InstanceFleetUnits"
"""What managed scaling counts on a cluster of fleets; machines are counted on one of groups, which is not made here."""

SPOT_MINUTES = 5
"""How long Spot capacity is looked for before a cluster takes machines on demand."""


@dataclass(frozen=True, kw_only=True)
class ManagedScaling:
    """Between which sizes EMR moves a cluster, in units: the smallest machine of core and task fleet is one, a machine twice as large two.

    Attributes:
        min_units: Fewest.
        max_units: Most: the guard of the cost.
        max_on_demand_units: Most that are on demand; the rest is Spot.
        max_core_units: Most that are core machines.
    """

    min_units: int = 2
    max_units: int = 20
    max_on_demand_units: int = 5
    max_core_units: int = 5

    def policy(self) -> dict[str, Any]:
        """As EMR takes it."""
        return {
            "ComputeLimits": {
                "UnitType": UNITS,
                "MinimumCapacityUnits": self.min_units,
                "MaximumCapacityUnits": self.max_units,
                "MaximumOnDemandCapacityUnits": self.max_on_demand_units,
                "MaximumCoreCapacityUnits": self.max_core_units,
            }
        }


@dataclass(frozen=True, kw_only=True)
class ClusterSize:
    """How large a cluster is.

    The primary machine, whose loss ends the cluster, and core machines, which hold its files and the drivers, are on demand and nothing else. Task machines are Spot
    capacity of several types, with the price that Spot has: no bid.

    Attributes:
        primary_type: Type of the primary machine.
        core_type: Type of the core machines.
        core_units: Units of core machines that it starts with.
        task_types: Types of task machines, five at least.
        task_units: Units of task machines that it starts with.
        scaling: How far it grows and shrinks.
        disk_gb: Disk of each machine.
        executor_vcpu: vCPU of an executor.
        executor_memory_gb: Heap of an executor.
        driver_memory_gb: Heap of a driver.
    """

    primary_type: str = "m5.xlarge"
    core_type: str = "r5.xlarge"
    core_units: int = 2
    task_types: Sequence[str] = ("r5.xlarge", "r5a.xlarge", "r5b.xlarge", "r6i.xlarge", "r6a.xlarge", "m5.2xlarge")
    task_units: int = 2
    scaling: ManagedScaling = field(default_factory=ManagedScaling)
    disk_gb: int = 128
    executor_vcpu: int = 4
    executor_memory_gb: int = 8
    driver_memory_gb: int = 4

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidProps: It cannot work.
        """
        require_range(self.core_units, name="core_units", at_least=1)
        require_range(self.task_units, name="task_units", at_least=1, why="managed scaling grows a fleet that is there")
        require_range(self.scaling.min_units, name="min_units", at_least=1)
        require_range(self.disk_gb, name="disk_gb", at_least=32, at_most=16_384, why="gp3")
        fault = cluster_fault(
            primary=self.primary_type,
            core=self.core_type,
            task=self.task_types,
            core_units=self.core_units,
            task_units=self.task_units,
            min_units=self.scaling.min_units,
            max_units=self.scaling.max_units,
            max_on_demand_units=self.scaling.max_on_demand_units,
            max_core_units=self.scaling.max_core_units,
            executor_vcpu=self.executor_vcpu,
            executor_memory_gb=self.executor_memory_gb,
            driver_memory_gb=self.driver_memory_gb,
        )
        require(fault is None, str(fault))

    def fleets(self) -> list[dict[str, Any]]:
        """The fleets as EMR takes them."""
        on_demand = {"OnDemandSpecification": {"AllocationStrategy": "lowest-price"}}
        spot = {
            "SpotSpecification": {
                "AllocationStrategy": "price-capacity-optimized",
                "TimeoutAction": "SWITCH_TO_ON_DEMAND",
                "TimeoutDurationMinutes": SPOT_MINUTES,
            }
        }
        return [
            {
                "Name": "primary",
                "InstanceFleetType": "MASTER",
                "TargetOnDemandCapacity": 1,
                "InstanceTypeConfigs": [self._machines(self.primary_type, units=1)],
                "LaunchSpecifications": on_demand,
            },
            {
                "Name": "core",
                "InstanceFleetType": "CORE",
                "TargetOnDemandCapacity": self.core_units,
                "InstanceTypeConfigs": [self._machines(self.core_type, units=self._units(self.core_type))],
                "LaunchSpecifications": on_demand,
            },
            {
                "Name": "task",
                "InstanceFleetType": "TASK",
                "TargetSpotCapacity": self.task_units,
                "InstanceTypeConfigs": [self._machines(name, units=self._units(name)) for name in self.task_types],
                "LaunchSpecifications": spot,
            },
        ]

    def _units(self, name: str) -> int:
        return _machine(name).vcpu // min(_machine(other).vcpu for other in (self.core_type, *self.task_types))

    def _machines(self, name: str, *, units: int) -> dict[str, Any]:
        disk = {"VolumeSpecification": {"VolumeType": "gp3", "SizeInGB": self.disk_gb}, "VolumesPerInstance": 1}
        return {"InstanceType": name, "WeightedCapacity": units, "EbsConfiguration": {"EbsBlockDeviceConfigs": [disk]}}


def _machine(name: str) -> Machine:
    machine = machine_of(name)
    assert machine is not None
    return machine
