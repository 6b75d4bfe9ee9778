"""Sizes of workers that the engines have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SERVERLESS_MEMORY_GB: Mapping[int, range] = {
    1: range(2, 9),
    2: range(4, 17),
    4: range(8, 31),
    8: range(16, 61, 4),
    16: range(32, 121, 8),
}
"""vCPU of a worker of EMR Serverless -> the memories that it has for it."""


def serverless_fault(vcpu: int, memory_gb: int) -> str | None:
    """What is wrong with a worker of EMR Serverless; None if there is one of this size."""
    if vcpu not in SERVERLESS_MEMORY_GB:
        return f"vcpu must be one of {', '.join(map(str, SERVERLESS_MEMORY_GB))}, got {vcpu}"
    memories = SERVERLESS_MEMORY_GB[vcpu]
    step = f" in steps of {memories.step}" if memories.step > 1 else ""
    return (
        None if memory_gb in memories else f"a worker of {vcpu} vCPU has {memories[0]}-{memories[-1]} GB of memory{step}, got {memory_gb}"
    )


MIN_TASK_TYPES = 5
"""Fewest types of machines among which Spot capacity is looked for: of one type there may be none, or all of it may go at once."""

MAX_TYPES = 15
"""Most types of machines of a fleet."""

YARN_SHARE = 0.75
"""Part of a machine's memory that EMR gives to jobs on its smallest machines; it is more on larger ones."""

_TYPE = re.compile(r"(?P<family>[cmr])\d(?P<attributes>[a-z]*)\.(?P<times>\d*)xlarge")
_GB_A_VCPU = {"c": 2, "m": 4, "r": 8}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A type of machines of a cluster.

    Attributes:
        type: Its name, such as r5.xlarge.
        vcpu: vCPU.
        memory_gb: Memory.
        is_arm: Whether its processor is a Graviton.
    """

    type: str
    vcpu: int
    memory_gb: int
    is_arm: bool


def machine_of(instance_type: str) -> Machine | None:
    """A type of machines by its name; None if it is none of the families c, m and r from xlarge on."""
    found = _TYPE.fullmatch(instance_type)
    if found is None:
        return None
    vcpu = 4 * int(found["times"] or 1)
    return Machine(
        type=instance_type, vcpu=vcpu, memory_gb=vcpu * _GB_A_VCPU[found["family"]], is_arm="g" in found["attributes"].partition("n")[0]
    )


def cluster_fault(
    *,
    primary: str,
    core: str,
    task: Sequence[str],
    core_units: int,
    task_units: int,
    min_units: int,
    max_units: int,
    max_on_demand_units: int,
    max_core_units: int,
    executor_vcpu: int,
    executor_memory_gb: int,
    driver_memory_gb: int,
) -> str | None:
    """What is wrong with the size of a cluster; None if it can work. A unit is the smallest machine of core and task fleet."""
    machines = {name: machine_of(name) for name in (primary, core, *task)}
    unknown = sorted(name for name, machine in machines.items() if machine is None)
    if unknown:
        return f"there is no machine {', '.join(unknown)} for clusters: take types of the families c, m and r from xlarge on, such as r5.xlarge"
    if len(set(task)) != len(task):
        return f"task_types names a type twice: {', '.join(task)}"
    if not MIN_TASK_TYPES <= len(task) <= MAX_TYPES:
        return f"task_types must name {MIN_TASK_TYPES}-{MAX_TYPES} types, as Spot capacity of few is often gone, got {len(task)}"
    known = {name: machine for name, machine in machines.items() if machine is not None}
    if len({machine.is_arm for machine in known.values()}) > 1:
        arm = sorted(name for name, machine in known.items() if machine.is_arm)
        return f"{', '.join(arm)} have Graviton processors and the others have not: take types of one kind, as a cluster runs one image"
    if not core_units <= max_core_units <= max_units:
        return f"core_units <= max_core_units <= max_units must hold, got {core_units}, {max_core_units} and {max_units}"
    if not core_units <= max_on_demand_units <= max_units:
        return f"core_units <= max_on_demand_units <= max_units must hold, as core machines are on demand, got {core_units}, {max_on_demand_units} and {max_units}"
    if not min_units <= core_units + task_units <= max_units:
        return f"a cluster starts with core_units + task_units = {core_units + task_units}, which must be between min_units = {min_units} and max_units = {max_units}"
    workers = [known[name] for name in (core, *task)]
    for what, memory_gb, fits in (
        ("an executor", executor_memory_gb, workers),
        ("the driver, which runs on a core machine,", driver_memory_gb, [known[core]]),
    ):
        needed = memory_gb + max(memory_gb * 0.1, 0.375)
        small = [machine for machine in fits if machine.memory_gb * YARN_SHARE < needed]
        if small:
            return f"{what} of {memory_gb} GB takes {needed:g} GB with what Spark takes beside it, and {small[0].type} gives {small[0].memory_gb * YARN_SHARE:g} GB to jobs: take less, or larger machines"
    few = [machine.type for machine in workers if machine.vcpu < executor_vcpu]
    if few:
        return f"an executor of {executor_vcpu} vCPU does not fit into {', '.join(few)}: take fewer, or larger machines"
    return None
