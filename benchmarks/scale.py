"""Synth of projects of many pipelines: what one more pipeline costs, from 1 to 201, and the largest against hand-written L2."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from benchmarks.pairs import PAIRS, Figure
from benchmarks.synth import ENV, compared, resources_of, run
from lakehouse.contracts.compiler.project import update_locks

SIZES = (1, 51, 101, 201)
"""Pipelines of the projects; each has a dataset of its own that files bring, ingested and refined. From each to the next come whole domains."""

PIPELINES_OF_A_DOMAIN = 10

NOTES = f"""\
- A pipeline is ingest and refine of a dataset of its own, {PIPELINES_OF_A_DOMAIN} to a domain; contracts and pipelines are YAML, as people write them. Each domain has its two stacks,
  so no stack comes near CloudFormation's 500 resources however many pipelines there are.
- The cost of one more pipeline is the difference of two synths of whole processes, taken one after the other, divided by the pipelines between them.
"""

_LINKED = ("constructs_lib", "jobs", "lakehouse", "lambdas", "stacks")
_LIKE = "customer"


def measure(root: Path, *, pairs: int = PAIRS) -> list[Figure]:
    """Measure all sizes in turn.

    Args:
        root: The checkout.
        pairs: Rounds through the sizes.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        projects = {size: project_of(root, folder / f"of-{size}", size) for size in SIZES}
        seconds: dict[int, list[float]] = {size: [] for size in SIZES}
        for round_ in range(pairs + 1):
            for size, project in projects.items():
                taken = run(project, folder / "out" / str(size), "app.py", ENV)
                if round_:
                    seconds[size].append(taken)
        resources = resources_of(folder / "out" / str(SIZES[-1]))
        least, few, some, many = SIZES
        count, stacks = sum(map(len, resources.values())), len(resources)
        marginal = Figure(
            name=f"synth of one more pipeline between {some} and {many} ({count:,} resources in {stacks} stacks), against one more between {few} and {some}",
            unit="ms",
            ours=_marginal(seconds, some, many),
            peer=_marginal(seconds, few, some),
            limit=1.10,
        )
        start = Figure(
            name=f"synth of one more pipeline between {few} and {some}, against one more between {least} and {few}",
            unit="ms",
            ours=_marginal(seconds, few, some),
            peer=_marginal(seconds, least, few),
            limit=1.10,
        )
        largest = compared(root, projects[many], what=f"synth of {many} pipelines", pairs=pairs)
    return [start, marginal, largest]


def project_of(root: Path, folder: Path, pipelines: int) -> Path:
    """Write a project: the checkout's own code and environments, and pipelines that are alike.

    Args:
        root: The checkout.
        folder: Folder that receives it.
        pipelines: How many pipelines it has.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True)
    shutil.copy(root / "app.py", folder)
    shutil.copytree(root / "config", folder / "config")
    for name in _LINKED:
        (folder / name).symlink_to(root / name, target_is_directory=True)
    contract = (root / "contracts" / "tpch" / f"{_LIKE}.odcs.yaml").read_text(encoding="utf-8")
    pipeline = (root / "pipelines" / f"{_LIKE}.yaml").read_text(encoding="utf-8")
    for number in range(pipelines):
        domain, dataset = f"domain_{number // PIPELINES_OF_A_DOMAIN}", f"dataset_{number}"
        path = folder / "contracts" / domain / f"{dataset}.odcs.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_called(contract, domain, dataset), encoding="utf-8")
        path = folder / "pipelines" / f"{dataset}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(_called(pipeline, domain, dataset).replace(f"pipeline: {_LIKE}", f"pipeline: {dataset}"), encoding="utf-8")
    update_locks(folder / "contracts")
    return folder


def _called(text: str, domain: str, dataset: str) -> str:
    """A contract or pipeline of another dataset."""
    replaced = text.replace(f"tpch.{_LIKE}", f"{domain}.{dataset}").replace(f"/tpch/{_LIKE}/", f"/{domain}/{dataset}/")
    replaced = replaced.replace("silver_tpch", f"silver_{domain}").replace("domain: tpch", f"domain: {domain}")
    return replaced.replace(f"id: {_LIKE}\n", f"id: {dataset}\n").replace(f"name: {_LIKE}\n", f"name: {dataset}\n")


def _marginal(seconds: dict[int, list[float]], fewer: int, more: int) -> tuple[float, ...]:
    """Milliseconds of one more pipeline, round by round."""
    return tuple((b - a) * 1000 / (more - fewer) for a, b in zip(seconds[fewer], seconds[more], strict=True))
