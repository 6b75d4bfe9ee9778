"""Whatever people may call things, stacks synthesize and nothing gets in the way of anything else."""

from __future__ import annotations

from pathlib import Path

from tests.stacks.projects import contract, names, pipeline, templates

EVERYWHERE = ["compute", "foundation", "network", "operations", "sources", "warehouse"]
"""Tiers of production that hold no domain."""


def test_a_pipeline_may_be_called_like_anything_that_its_stack_holds(tmp_path: Path) -> None:
    specs = [pipeline(name, f"sales.{name}") for name in ("alarms", "function_code", "lake_key", "security")]
    found = templates(tmp_path, [contract(f"sales.{spec.name}") for spec in specs], specs)
    machines = names(found["pipelines-sales"], "AWS::StepFunctions::StateMachine", "StateMachineName")
    assert machines == [f"lakehouse-prod-{spec.name}" for spec in specs]


def test_pipelines_and_domains_that_differ_in_an_underscore_only_are_two(tmp_path: Path) -> None:
    specs = [pipeline("q1", "sales.q1"), pipeline("q_1", "sales.q_1")]
    datasets = ["sales.q1", "sales.q_1", "sales.returns", "sales_returns.returns", "sales_returns.q1"]
    found = templates(tmp_path, [contract(id_) for id_ in datasets], specs)
    assert names(found["pipelines-sales"], "AWS::Glue::Job", "Name") == [
        f"lakehouse-prod-{job}" for job in ("q1-ingest", "q1-refine", "q_1-ingest", "q_1-refine")
    ]
    tables = {
        (resource["Properties"]["Database"], resource["Properties"]["Table"])
        for template in found.values()
        for resource in template["Resources"].values()
        if resource["Type"] == "Custom::IcebergTable"
    }
    assert len(tables) == 3 * len(datasets)


def test_a_project_may_begin_with_nothing_but_contracts_or_nothing_at_all(tmp_path: Path) -> None:
    assert sorted(templates(tmp_path / "none", [])) == EVERYWHERE
    assert sorted(templates(tmp_path / "one", [contract("sales.q1")])) == ["catalog-sales", *EVERYWHERE]
