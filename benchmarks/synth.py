"""Synth of an environment, against the same resources written by hand with the CDK's own L2 classes; both must leave equal resources."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.logical_ids import as_peer
from benchmarks.pairs import PAIRS, Figure, take_turns

ENV = "prod"


def measure(root: Path, *, pairs: int = PAIRS) -> list[Figure]:
    """Measure both, whole processes.

    Args:
        root: The checkout.
        pairs: Pairs that count.
    """
    return [compared(root, root, what=f"synth of {ENV}", pairs=pairs)]


def compared(root: Path, project: Path, *, what: str, pairs: int) -> Figure:
    """Synth of a project against the peer.

    Args:
        root: The checkout.
        project: Folder with the app, what it imports, and what people wrote.
        what: What is synthesized, for the name of the figure.
        pairs: Pairs that count.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = folder / "first"
        run(project, first, "app.py", ENV)
        ours, peer = take_turns(
            lambda: run(project, folder / "ours", "app.py", ENV),
            lambda: run(root, folder / "peer", "-m", "benchmarks.synth_peer", str(folder / "peer"), str(first)),
            pairs=pairs,
        )
        resources = resources_of(folder / "ours")
        different = differences({file: as_peer(found) for file, found in resources.items()}, resources_of(folder / "peer"))
    if different:
        raise RuntimeError(f"the peer's templates hold other resources than ours, mend benchmarks/synth_peer.py: {different[:3]}")
    count, stacks = sum(map(len, resources.values())), len(resources)
    text = f"{what} ({count:,} resources in {stacks} stacks), against hand-written L2 of the same resources"
    return Figure(name=text, unit="s", ours=tuple(ours), peer=tuple(peer), limit=1.10)


def run(project: Path, output: Path, *arguments: str) -> float:
    """Seconds of a whole Python process that synthesizes into a folder."""
    node = Path(sys.executable).with_name("node")
    environment = os.environ | {"CDK_OUTDIR": str(output), "JSII_NODE": str(node), "CDK_VALIDATION": "false"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a person's second synth finds the byte code of the first
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], cwd=project, env=environment, check=False, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return seconds


def resources_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Resources of each template of an assembly."""
    return {file.name: json.loads(file.read_text())["Resources"] for file in sorted(folder.glob("*.template.json"))}


def differences(ours: dict[str, dict[str, Any]], peer: dict[str, dict[str, Any]]) -> list[str]:
    """What is not the same on both sides, as `template/resource: part`."""
    found = [f"{file}: only on one side" for file in sorted(set(ours) ^ set(peer))]
    for file in sorted(set(ours) & set(peer)):
        for name in sorted(set(ours[file]) | set(peer[file])):
            left, right = ours[file].get(name), peer[file].get(name)
            if left != right:
                found.append(f"{file}/{name}: {json.dumps(left, sort_keys=True)} | {json.dumps(right, sort_keys=True)}")
    return found
