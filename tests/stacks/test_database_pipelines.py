"""A pipeline that reads a database: what its ingest is told, what it may do, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.environments.loading import load_environment
from lakehouse.errors import ConfigurationError
from lakehouse.pipelines.loader import load_pipelines
from lakehouse.pipelines.spec import PipelineSpec
from stacks.platform import build
from stacks.project import Project
from stacks.synthesis import ROOT
from tests.stacks.conftest import Assembly, flat, listed
from tests.stacks.projects import CHECKOUT, empty_app

SPEC = """\
pipeline: shop_orders
owner: shop-data
trigger: {schedule: "cron(0 2 * * ? *)"}
steps:
  - {job: ingest, writes: bronze.shop.orders, engine: ENGINE}
  - {job: refine, writes: silver.shop.orders}
"""


def spec(folder: Path, engine: str) -> PipelineSpec:
    (folder / "pipelines").mkdir()
    (folder / "pipelines" / "shop_orders.yaml").write_text(SPEC.replace("ENGINE", engine), encoding="utf-8")
    (loaded,) = load_pipelines(folder / "pipelines", CHECKOUT.contracts)
    return loaded


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    folder = tmp_path_factory.mktemp("shop")
    app = empty_app(folder)
    others = [pipeline for pipeline in CHECKOUT.pipelines if not pipeline.name.startswith("shop_")]
    project = Project(contracts=CHECKOUT.contracts, pipelines=[*others, spec(folder, "glue")])
    build(app, environment=load_environment(ROOT / "config", "prod"), project=project)
    return Assembly("prod", Path(app.synth().directory))


def rights(assembly: Assembly, step: str) -> set[tuple[str, str]]:
    return {
        (action, flat(resource))
        for name, statement in assembly.statements()
        if f"shoporders{step}JobRole" in name
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def test_the_ingest_may_open_its_database_and_look_at_what_it_compares(assembly: Assembly) -> None:
    may = rights(assembly, "ingest")
    secrets = {resource for action, resource in may if action == "secretsmanager:GetSecretValue"}
    assert len(secrets) == 1
    assert "shopsecretarn" in secrets.pop().lower()
    tables = {resource for action, resource in may if action == "glue:GetTable"}
    for zone in ("bronze", "silver", "quarantine"):
        assert any(f"table/{zone}_shop/orders" in resource for resource in tables), zone
    written = {resource for action, resource in may if action == "glue:UpdateTable"}
    assert not any("silver_shop" in resource or "quarantine_shop" in resource for resource in written)
    marks = {action for action, resource in may if resource.endswith("-watermarks")}
    assert marks == {"dynamodb:GetItem"}


def test_the_ingest_needs_nothing_of_raw_and_the_refine_nothing_of_the_database(assembly: Assembly) -> None:
    assert not any("-raw-" in resource for _, resource in rights(assembly, "ingest"))
    assert not any(
        action.startswith("secretsmanager:") or resource.endswith("-watermarks") for action, resource in rights(assembly, "refine")
    )


def test_the_job_is_told_where_the_database_is_and_nothing_secret(assembly: Assembly) -> None:
    text = str(assembly.templates["pipelines-shop"])
    assert "--source_address" in text
    assert "--source_secret_arn" in text
    assert "--watermarks_table" in text
    assert "password" not in text.lower()
    assert ".jar" in text


def test_an_engine_that_cannot_join_the_network_of_the_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="write engine: glue"):
        spec(tmp_path, "emr-serverless")
