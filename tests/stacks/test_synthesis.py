"""Synthesis as a person runs it: other processes, other folders, wrong input."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stacks.catalog_stack import tables_by_domain
from stacks.pipelines_stack import pipelines_by_domain
from stacks.platform_stack import of_domain
from stacks.synthesis import ROOT, synthesize
from tests.stacks.conftest import Assembly
from tests.stacks.projects import CHECKOUT

SOURCES = ("app.py", "cdk.json", "config", "contracts", "pipelines", "queries", "stacks", "constructs_lib", "lakehouse", "lambdas", "jobs")

CATALOGS = [of_domain("catalog", domain) for domain in tables_by_domain(CHECKOUT.contracts)]
PIPELINES = [of_domain("pipelines", domain) for domain in pipelines_by_domain(CHECKOUT.pipelines)]
TIERS = sorted([*CATALOGS, *PIPELINES, "compute", "foundation", "network", "operations", "sources", "warehouse"])


def checkout(folder: Path) -> Path:
    """A copy of what a synth reads."""
    folder.mkdir(exist_ok=True)
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.md"))
        else:
            shutil.copy(source, folder / name)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "job-jars").symlink_to(ROOT / ".cache" / "job-jars")  # what set-up fetched
    return folder


def run(folder: Path, outdir: Path, **context: str) -> subprocess.CompletedProcess[str]:
    """`cdk synth` without the CLI: the app in a process of its own."""
    environment = {**os.environ, "CDK_CONTEXT_JSON": json.dumps(context), "CDK_OUTDIR": str(outdir)}
    environment.pop("PYTHONPATH", None)
    return subprocess.run([sys.executable, "app.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120)


def authored(folder: Path) -> Path:
    """A copy of what people write, for a synth in this process."""
    for name in ("config", "contracts", "pipelines", "queries"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def templates(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.glob("*.template.json"))}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkout in another folder, and its assembly of production."""
    folder = checkout(tmp_path_factory.mktemp("a-folder-with-a-much-longer-name"))
    result = run(folder, folder / "cdk.out", env="prod")
    assert result.returncode == 0, result.stderr
    return folder, folder / "cdk.out"


def test_two_synths_in_two_folders_are_byte_identical(elsewhere: tuple[Path, Path], tmp_path: Path) -> None:
    assert run(ROOT, tmp_path / "out", env="prod").returncode == 0
    here, there = contents(tmp_path / "out"), contents(elsewhere[1])
    assert sorted(here) == sorted(there)
    assert [name for name in here if here[name] != there[name]] == []


def test_synth_says_nothing_when_all_is_well(elsewhere: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(elsewhere[0], tmp_path / "out", env="dev")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_change_of_job_code_shows_only_as_the_code_s_key(elsewhere: tuple[Path, Path], tmp_path: Path) -> None:
    folder = checkout(tmp_path / "changed")
    transforms = next(path for path in sorted((folder / "jobs" / "transforms").glob("*.py")) if path.name != "__init__.py")
    transforms.write_text(transforms.read_text() + "\n# another thought\n")
    assert run(folder, tmp_path / "out", env="prod").returncode == 0
    before, after = templates(elsewhere[1]), templates(tmp_path / "out")
    changed = {name for name in before if before[name] != after[name]}
    # A domain's catalog has a job too, the one that erases.
    assert changed == {f"{tier}.template.json" for tier in (*CATALOGS, *PIPELINES)}
    for name in changed:
        old, new = (re.sub(r"[0-9a-f]{64}\.zip", "KEY", version[name]) for version in (before, after))
        assert old == new


def test_a_change_of_one_contract_touches_no_other_pipeline(prod: Assembly, tmp_path: Path) -> None:
    folder = authored(tmp_path / "changed")
    contract = folder / "contracts" / "tpch" / "customer.odcs.yaml"
    contract.write_text(contract.read_text().replace("description: One row per customer.", "description: Newly worded."))
    after = json.loads((synthesize("prod", outdir=tmp_path / "out", root=folder) / "pipelines-tpch.template.json").read_text())["Resources"]
    before = prod.templates["pipelines-tpch"]["Resources"]
    changed = {after[id_]["Properties"]["Name"] for id_ in after if before[id_] != after[id_]}
    assert {name.split("-")[2] for name in changed} == {"customer", "daily_revenue", "orders"}  # lineitem never reads customers


def test_without_an_environment_the_error_lists_them(tmp_path: Path) -> None:
    result = run(ROOT, tmp_path / "out")
    assert result.returncode == 1
    assert "dev, local, prod, staging" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_config_is_one_error_with_file_key_and_fix(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "wrong")
    (folder / "config" / "dev.yaml").write_text("removal: burn\nglue: {workers: 1}\n")
    result = run(folder, tmp_path / "out", env="dev")
    assert result.returncode == 1
    assert "config/dev.yaml:1: removal" in result.stderr
    assert "config/dev.yaml:2: glue.workers" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("env", "flag", "policy"), [("dev", True, "Delete"), ("dev", False, "Retain"), ("prod", True, "Retain")])
def test_data_goes_only_if_config_and_flag_agree(env: str, flag: bool, policy: str, tmp_path: Path) -> None:
    folder = synthesize(env, outdir=tmp_path, allow_destroy=flag)
    foundation = json.loads((folder / "foundation.template.json").read_text())["Resources"].values()
    assert {resource["DeletionPolicy"] for resource in foundation if resource["Type"] == "AWS::S3::Bucket"} == {policy}


def test_a_permissions_boundary_bounds_every_role(tmp_path: Path) -> None:
    folder = authored(tmp_path / "bounded")
    (folder / "config" / "dev.yaml").write_text("permissions_boundary: company-boundary\nnetwork: {cidr: 10.9.0.0/16, nat_gateways: 1}\n")
    roles = [
        resource["Properties"]
        for text in templates(synthesize("dev", outdir=tmp_path / "out", root=folder)).values()
        for resource in json.loads(text)["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role"
    ]
    assert len(roles) > 15
    assert all("policy/company-boundary" in json.dumps(role["PermissionsBoundary"]) for role in roles)


def test_production_is_protected_and_names_its_stacks(elsewhere: tuple[Path, Path]) -> None:
    manifest = json.loads((elsewhere[1] / "manifest.json").read_text())
    stacks = {a["properties"].get("stackName"): a for a in manifest["artifacts"].values() if a["type"] == "aws:cloudformation:stack"}
    assert sorted(stacks) == [f"lakehouse-prod-{tier}" for tier in TIERS]
    assert all(stack["properties"]["terminationProtection"] for stack in stacks.values())
    assert {stack["environment"] for stack in stacks.values()} == {"aws://unknown-account/unknown-region"}


def test_every_tier_waits_for_the_foundation_and_pipelines_for_their_tables(elsewhere: tuple[Path, Path]) -> None:
    manifest = json.loads((elsewhere[1] / "manifest.json").read_text())
    stacks = {name: a for name, a in manifest["artifacts"].items() if a["type"] == "aws:cloudformation:stack"}
    waits = {name: {other for other in a["dependencies"] if other in stacks} for name, a in stacks.items()}
    assert sorted(waits) == TIERS
    assert waits.pop("foundation") == set()
    assert all("foundation" in others for others in waits.values())
    assert {name: others - {"foundation"} for name, others in waits.items()} == {
        **{catalog: set() for catalog in CATALOGS},
        "network": set(),
        "compute": {"network"},
        "sources": {"network"},
        "warehouse": {"network", *CATALOGS},
        "operations": {"compute", "warehouse"},
        "pipelines-shop": {"catalog-shop", "sources", "warehouse"},
        "pipelines-tpch": {"catalog-tpch"},
    }
