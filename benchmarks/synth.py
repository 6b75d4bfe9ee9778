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

from benchmarks.pairs import PAIRS, Figure, take_turns

ENV = "prod"


def measure(root: Path, *, pairs: int = PAIRS) -> list[Figure]:
    """Measure both, whole processes.

    Args:
        root: The checkout.
        pairs: Pairs that count.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = folder / "first"
        _run(root, first, "app.py", ENV)
        ours, peer = take_turns(
            lambda: _run(root, folder / "ours", "app.py", ENV),
            lambda: _run(root, folder / "peer", "-m", "benchmarks.synth_peer", str(folder / "peer"), str(first)),
            pairs=pairs,
        )
        resources = _resources(folder / "ours")
        if resources != _resources(folder / "peer"):
            raise RuntimeError("the peer's templates hold other resources than ours: mend benchmarks/synth_peer.py")
    name = f"synth of {ENV} ({len(resources)} resources), against hand-written L2 of the same resources"
    return [Figure(name=name, unit="s", ours=tuple(ours), peer=tuple(peer), limit=1.10)]


def _run(root: Path, output: Path, *arguments: str) -> float:
    environment = os.environ | {"CDK_OUTDIR": str(output), "JSII_NODE": str(root / ".venv" / "bin" / "node"), "CDK_VALIDATION": "false"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a person's second synth finds the byte code of the first
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=root, env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def _resources(folder: Path) -> dict[str, Any]:
    return {
        f"{file.name}/{name}": resource
        for file in folder.glob("*.template.json")
        for name, resource in json.loads(file.read_text())["Resources"].items()
    }
