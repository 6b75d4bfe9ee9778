"""Projects that people could write, made from the checkout's own contracts and pipelines under other names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aws_cdk import App

from lakehouse.contracts.model import CompiledContract
from lakehouse.environments.loading import load_environment
from lakehouse.naming import DatasetName
from lakehouse.pipelines.spec import Arrival, PipelineSpec
from stacks.platform import build
from stacks.project import Project
from stacks.synthesis import CONTEXT, ROOT

CHECKOUT = Project.load(ROOT)


def contract(id: str, *, like: str = "tpch.customer") -> CompiledContract:
    """A dataset of any name."""
    domain, _, dataset = id.partition(".")
    return replace(CHECKOUT.contracts[like], id=id, domain=domain, dataset=dataset)


def pipeline(name: str, contract_id: str) -> PipelineSpec:
    """Ingest and refine of a dataset."""
    like = next(spec for spec in CHECKOUT.pipelines if spec.name == "customer")
    domain, _, dataset = contract_id.partition(".")
    steps = tuple(
        replace(
            step,
            writes=DatasetName(zone=step.writes.zone, domain=domain, dataset=dataset),
            reads=tuple(DatasetName(zone=read.zone, domain=domain, dataset=dataset) for read in step.reads),
        )
        for step in like.steps
    )
    return replace(like, name=name, trigger=Arrival(dataset=contract_id), steps=steps)


def jobs_on_glue(prefix: str) -> set[str]:
    """Names of the Glue jobs that the checkout's pipelines and contracts ask for."""
    steps = {f"{prefix}-{spec.name}-{step.name}" for spec in CHECKOUT.pipelines for step in spec.steps if step.engine == "glue"}
    erasers = {f"{prefix}-erase-{contract.domain}" for contract in CHECKOUT.contracts.values() if contract.source is not None}
    return steps | erasers | {f"{prefix}-{spec.name}-rows" for spec in CHECKOUT.pipelines if spec.rows is not None}


def templates(outdir: Path, contracts: Sequence[CompiledContract], pipelines: Sequence[PipelineSpec] = ()) -> dict[str, dict[str, Any]]:
    """Template of each stack of production, by tier."""
    app = empty_app(outdir)
    project = Project(contracts={contract.id: contract for contract in contracts}, pipelines=pipelines)
    build(app, environment=load_environment(ROOT / "config", "prod"), project=project)
    return synthesized(app)


def empty_app(outdir: Path) -> App:
    """An app that synthesizes as the platform's does."""
    return App(
        analytics_reporting=False,
        builtin_cloud_formation_validation=False,
        context=CONTEXT,
        outdir=str(outdir),
        tree_metadata=False,
    )


def synthesized(app: App) -> dict[str, dict[str, Any]]:
    """Template of each stack of an app, by tier."""
    outdir = Path(app.synth().directory)
    return {path.name.removesuffix(".template.json"): json.loads(path.read_text()) for path in outdir.glob("*.template.json")}


def names(template: dict[str, Any], kind: str, key: str) -> list[str]:
    """A property of every resource of a type, sorted."""
    return sorted(resource["Properties"][key] for resource in template["Resources"].values() if resource["Type"] == kind)
