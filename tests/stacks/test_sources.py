"""The databases of an environment, and the pipelines that read them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.checks import InvalidProps
from lakehouse.environments.loading import load_environment
from lakehouse.environments.sections import Database
from lakehouse.naming import DatasetName
from lakehouse.pipelines.spec import PipelineSpec, Schedule, Step
from stacks.pipelines_stack import PipelinesStack
from stacks.sources_stack import SourcesStack
from stacks.synthesis import ROOT
from tests.stacks.projects import CHECKOUT, empty_app, names, synthesized

THERE = Database(
    engine="aurora-postgresql",
    dbname="shop",
    secret_arn="arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop-AbCdEf",
    secret_key_arn="arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555",
    reader_endpoint="shop.cluster-ro-c1.eu-west-1.rds.amazonaws.com",
)


def orders(engine: str = "glue") -> PipelineSpec:
    """A pipeline that reads the orders of the shop every night."""
    bronze, silver = (DatasetName(zone=zone, domain="shop", dataset="orders") for zone in ("bronze", "silver"))
    step: dict[str, Any] = {"transform": None, "engine": engine}
    return PipelineSpec(
        name="shop_orders",
        owner="shop-data",
        description="",
        trigger=Schedule(expression="cron(0 3 * * ? *)", time_zone="Europe/Berlin"),
        timeout_minutes=90,
        steps=(
            Step(name="ingest", job="ingest", writes=bronze, reads=(), **step),
            Step(name="refine", job="refine", writes=silver, reads=(bronze,), **step),
        ),
    )


def sources(outdir: Path, **databases: Database) -> dict[str, Any]:
    app = empty_app(outdir)
    SourcesStack(app, environment=load_environment(ROOT / "config", "prod").model_copy(update={"databases": databases}))
    return synthesized(app)["sources"]


def reading(outdir: Path, spec: PipelineSpec, env: str = "prod", **change: Any) -> dict[str, Any]:
    app, environment = empty_app(outdir), load_environment(ROOT / "config", env)
    PipelinesStack(app, domain="shop", environment=environment.model_copy(update=change), contracts=CHECKOUT.contracts, pipelines=[spec])
    return synthesized(app)["pipelines-shop"]


def test_every_environment_has_the_shop_and_production_a_standby_and_a_reader(tmp_path: Path) -> None:
    app = empty_app(tmp_path)
    SourcesStack(app, environment=load_environment(ROOT / "config", "prod"))
    template = synthesized(app)["sources"]
    assert names(template, "AWS::RDS::DBInstance", "DBInstanceIdentifier") == ["lakehouse-prod-shop", "lakehouse-prod-shop-reader1"]
    writer = next(resource for resource in template["Resources"].values() if resource["Properties"].get("MultiAZ"))
    assert writer["Properties"]["DeletionProtection"] is True
    assert names(template, "AWS::SSM::Parameter", "Name") == [
        "/lakehouse/prod/databases/shop-address", "/lakehouse/prod/databases/shop-secret-arn", "/lakehouse/prod/databases/shop-secret-key-arn",
    ]  # fmt: skip


def test_the_connection_leads_to_the_replica_not_to_the_writer(tmp_path: Path) -> None:
    app = empty_app(tmp_path)
    SourcesStack(app, environment=load_environment(ROOT / "config", "prod"))
    template = synthesized(app)["sources"]["Resources"]
    reader = next(id_ for id_, resource in template.items() if "SourceDBInstanceIdentifier" in resource["Properties"])
    connection = next(resource for resource in template.values() if resource["Type"] == "AWS::Glue::Connection")
    address = json.dumps(connection["Properties"]["ConnectionInput"]["ConnectionProperties"]["JDBC_CONNECTION_URL"])
    assert f'"{reader}", "Endpoint.Address"' in address
    assert f'"{reader}", "Endpoint.Port"' in address


def test_a_database_that_is_there_is_only_connected_to(tmp_path: Path) -> None:
    template = sources(tmp_path, shop=THERE)
    assert {resource["Type"] for resource in template["Resources"].values()} == {"AWS::Glue::Connection", "AWS::SSM::Parameter"}
    where = next(
        resource["Properties"] for resource in template["Resources"].values() if str(resource["Properties"].get("Name")).endswith("address")
    )
    assert where["Value"] == "aurora-postgresql://shop.cluster-ro-c1.eu-west-1.rds.amazonaws.com:5432/shop"


def test_an_aurora_with_the_data_api_tells_which_cluster_to_ask(tmp_path: Path) -> None:
    ledger = Database(engine="aurora-postgresql", version="17.5", dbname="ledger", instance_class="db.r7g.large", data_api=True)
    template = sources(tmp_path, ledger=ledger)
    told = {
        resource["Properties"]["Name"]: resource["Properties"]["Value"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::SSM::Parameter"
    }
    assert json.dumps(told["/lakehouse/prod/databases/ledger-cluster-arn"]).endswith(':cluster:lakehouse-prod-ledger"]]}')
    assert told["/lakehouse/prod/databases/ledger-secret-arn"]["Fn::GetAtt"][1] == "MasterUserSecret.SecretArn"
    (cluster,) = [resource for resource in template["Resources"].values() if resource["Type"] == "AWS::RDS::DBCluster"]
    assert cluster["Properties"]["EnableHttpEndpoint"] is True


def test_an_ingest_from_a_database_runs_in_its_network_reads_its_secret_and_no_files(tmp_path: Path) -> None:
    template = reading(tmp_path, orders())["Resources"]
    jobs = {
        resource["Properties"]["Name"]: resource["Properties"] for resource in template.values() if resource["Type"] == "AWS::Glue::Job"
    }
    ingest, refine = jobs["lakehouse-prod-shop_orders-ingest"], jobs["lakehouse-prod-shop_orders-refine"]
    assert ingest["Connections"] == {"Connections": ["lakehouse-prod-shop"]}
    given = ingest["DefaultArguments"]
    assert (given["--connection"], given["--watermarks_table"]) == ("shop", "lakehouse-prod-watermarks")
    assert {"--source_address", "--source_secret_arn"} <= given.keys()
    assert "Connections" not in refine
    assert not {"--connection", "--source_secret_arn"} & refine["DefaultArguments"].keys()
    policies = json.dumps([resource for id_, resource in template.items() if "ingestJob" in id_ and resource["Type"] == "AWS::IAM::Policy"])
    assert "secretsmanager:GetSecretValue" in policies
    assert "-raw-" not in policies
    assert "manifests/" not in json.dumps([resource for resource in template.values() if resource["Type"] == "AWS::IAM::Policy"])


@pytest.mark.parametrize(("env", "state"), [("prod", "ENABLED"), ("local", "DISABLED"), ("dev", "DISABLED")])
def test_the_clock_starts_it_where_schedules_are_on(tmp_path: Path, env: str, state: str) -> None:
    template = reading(tmp_path, orders(), env)["Resources"]
    (schedule,) = [resource["Properties"] for resource in template.values() if resource["Type"] == "AWS::Scheduler::Schedule"]
    assert (schedule["State"], schedule["ScheduleExpressionTimezone"]) == (state, "Europe/Berlin")


def test_a_connection_that_an_environment_does_not_have_is_refused_with_where_to_add_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidProps, match=r"connection 'shop', which prod does not have: add shop to databases in config/base\.yaml"):
        reading(tmp_path, orders(), databases={})


def test_an_ingest_from_a_database_stays_on_glue(tmp_path: Path) -> None:
    spec = orders()
    moved = replace(spec, steps=(replace(spec.steps[0], engine="emr-serverless"), spec.steps[1]))
    with pytest.raises(InvalidProps, match="write engine: glue"):
        reading(tmp_path, moved)
