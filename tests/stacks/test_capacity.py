"""What the guide to deployment says there is room for fits within AWS's quotas."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from lakehouse.environments.loading import load_environment
from stacks.operations_stack import OperationsStack
from stacks.synthesis import ROOT
from tests.stacks.projects import contract, empty_app, pipeline, synthesized, templates

DATASETS_OF_A_DOMAIN = 30
PIPELINES_OF_A_DOMAIN = 15
PIPELINES_OF_AN_ENVIRONMENT = 120

MAX_RESOURCES = 500
MAX_TEMPLATE_BYTES = 1_000_000
MAX_POLICIES_OF_A_ROLE = 10

Templates = Mapping[str, dict[str, Any]]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """A domain that is full, of datasets as wide as a line item."""
    ids = [f"sales.dataset_number_{number}" for number in range(DATASETS_OF_A_DOMAIN)]
    specs = [pipeline(f"dataset_number_{number}", ids[number]) for number in range(PIPELINES_OF_A_DOMAIN)]
    return templates(tmp_path_factory.mktemp("full"), [contract(id_, like="tpch.lineitem") for id_ in ids], specs)


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The operations of a large environment."""
    app = empty_app(tmp_path_factory.mktemp("operations"))
    ids = [f"domain_{number // PIPELINES_OF_A_DOMAIN}.dataset_number_{number}" for number in range(PIPELINES_OF_AN_ENVIRONMENT)]
    OperationsStack(
        app,
        environment=load_environment(ROOT / "config", "prod"),
        contracts={id_: contract(id_) for id_ in ids},
        pipelines=[pipeline(id_.partition(".")[2], id_) for id_ in ids],
    )
    return synthesized(app)


def policies_by_role(template: Mapping[str, Any]) -> Counter[str]:
    """Managed policies that are attached to each role."""
    return Counter(
        json.dumps(role)
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::IAM::ManagedPolicy"
        for role in resource["Properties"]["Roles"]
    )


@pytest.mark.parametrize("tier", ["catalog-sales", "pipelines-sales"])
def test_a_domain_fits_into_its_stacks(full: Templates, tier: str) -> None:
    assert len(full[tier]["Resources"]) <= MAX_RESOURCES
    assert len(json.dumps(full[tier], separators=(",", ":"))) <= MAX_TEMPLATE_BYTES
    assert all(number <= MAX_POLICIES_OF_A_ROLE for number in policies_by_role(full[tier]).values())


def test_an_operator_looks_after_a_large_environment(operations: Templates) -> None:
    assert len(operations["operations"]["Resources"]) <= MAX_RESOURCES
    policies = policies_by_role(operations["operations"])
    assert 1 < max(policies.values()) <= MAX_POLICIES_OF_A_ROLE


def test_the_guide_names_what_there_is_room_for() -> None:
    page = (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
    for sentence in (
        f"{DATASETS_OF_A_DOMAIN} datasets and {PIPELINES_OF_A_DOMAIN} pipelines a domain",
        f"{PIPELINES_OF_AN_ENVIRONMENT} pipelines an environment",
    ):
        assert sentence in " ".join(page.split())
