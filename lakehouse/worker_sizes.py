"""Sizes of workers that the engines have."""

from __future__ import annotations

from collections.abc import Mapping

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
