"""Nodes of provisioned clusters: which there are, how many a cluster may have, and how many slices load files side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NodeType:
    """A type of node.

    Attributes:
        slices: Slices of a node; each loads one file at a time.
        least: Least nodes of a cluster.
        most: Most nodes that a cluster can be made with.
    """

    slices: int
    least: int
    most: int


NODE_TYPES: Mapping[str, NodeType] = {
    "ra3.large": NodeType(slices=2, least=1, most=16),
    "ra3.xlplus": NodeType(slices=2, least=1, most=16),
    "ra3.4xlarge": NodeType(slices=4, least=2, most=32),
    "ra3.16xlarge": NodeType(slices=16, least=2, most=100),
    # Slices of rg nodes are those of the ra3 nodes with as many vCPUs; the documentation does not say them yet.
    "rg.xlarge": NodeType(slices=2, least=1, most=16),
    "rg.4xlarge": NodeType(slices=4, least=2, most=32),
}
"""Nodes with managed storage; CloudFormation takes at most 100 of them."""

RETIRED: Mapping[str, str] = {
    "dc1.large": "ra3.large",
    "dc1.8xlarge": "ra3.4xlarge",
    "dc2.large": "ra3.large",
    "dc2.8xlarge": "ra3.4xlarge",
    "ds2.xlarge": "ra3.xlplus",
    "ds2.8xlarge": "ra3.4xlarge",
}
"""Types that no new cluster can have, and what takes their place."""


def node_problem(node_type: str, nodes: int) -> str:
    """Why there is no such cluster, and what to write instead; empty if there is."""
    if node_type in RETIRED:
        return f"{node_type} is retired, and no new cluster can have it: use {RETIRED[node_type]}"
    found = NODE_TYPES.get(node_type)
    if found is None:
        return f"{node_type!r} is no type of node with managed storage: use one of {', '.join(NODE_TYPES)}"
    if not found.least <= nodes <= found.most:
        return f"a cluster of {node_type} has {found.least}-{found.most} nodes, got {nodes}"
    return ""


def slices(node_type: str, nodes: int) -> int:
    """Slices of a cluster: as many files are loaded at a time, and a load of fewer leaves some idle."""
    return NODE_TYPES[node_type].slices * nodes
