"""An environment with a provisioned warehouse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lakehouse.environments.environment import Environment
from lakehouse.environments.loading import load_environment
from lakehouse.errors import ConfigurationError
from stacks.platform import build
from stacks.project import Project
from stacks.synthesis import ROOT
from stacks.warehouse_stack import WarehouseStack
from tests.stacks.conftest import flat, listed
from tests.stacks.projects import CHECKOUT, empty_app, synthesized

CLUSTER = """
warehouse:
  kind: provisioned
  cluster:
    node_type: ra3.xlplus
    nodes: 4
    queues:
      loads: {priority: high, query_groups: [loads]}
      reports: {priority: low, user_roles: [analyst]}
    pause: cron(0 19 ? * MON-FRI *)
    resume: cron(0 5 ? * MON-FRI *)
    spectrum_tb: 5
    concurrency_scaling_minutes: 60
"""


def environment(folder: Path, warehouse: str) -> Environment:
    """Development with another warehouse."""
    base = [line for line in (ROOT / "config" / "base.yaml").read_text().splitlines() if not line.startswith("warehouse:")]
    (folder / "base.yaml").write_text("\n".join(base) + "\n")
    dev = [line for line in (ROOT / "config" / "dev.yaml").read_text().splitlines() if not line.startswith("warehouse:")]
    (folder / "dev.yaml").write_text("\n".join(dev) + "\n" + warehouse)
    return load_environment(folder, "dev")


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Templates of development with a provisioned cluster, by tier."""
    app = empty_app(tmp_path_factory.mktemp("provisioned"))
    build(app, environment=environment(tmp_path_factory.mktemp("config"), CLUSTER), project=Project.load(ROOT))
    return synthesized(app)


def resources(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == kind]


def test_a_cluster_is_what_the_config_says(provisioned: dict[str, dict[str, Any]]) -> None:
    template = provisioned["warehouse"]
    (cluster,) = resources(template, "AWS::Redshift::Cluster")
    assert (cluster["ClusterIdentifier"], cluster["NodeType"], cluster["NumberOfNodes"]) == ("lakehouse-dev", "ra3.xlplus", 4)
    (group,) = resources(template, "AWS::Redshift::ClusterParameterGroup")
    wlm = next(p["ParameterValue"] for p in group["Parameters"] if p["ParameterName"] == "wlm_json_configuration")
    assert [(queue["name"], queue["priority"]) for queue in json.loads(wlm)[:-1]] == [
        ("loads", "high"),
        ("reports", "low"),
        ("default", "normal"),
    ]
    assert len(resources(template, "AWS::Redshift::ScheduledAction")) == 2
    assert {limit["FeatureType"]: limit["Amount"] for limit in resources(template, "AWS::Redshift::UsageLimit")} == {
        "spectrum": 5,
        "concurrency-scaling": 60,
    }
    assert {alarm["AlarmName"] for alarm in resources(template, "AWS::CloudWatch::Alarm")} == {
        "lakehouse-dev-warehouse-unhealthy",
        "lakehouse-dev-warehouse-disk",
    }
    assert resources(template, "AWS::RedshiftServerless::Workgroup") == []


def test_the_operator_queries_a_cluster_by_its_own_rights(provisioned: dict[str, dict[str, Any]]) -> None:
    policies = [policy for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy") for policy in resources(provisioned["operations"], kind)]
    granted = {
        action: flat(statement["Resource"])
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
        if action.startswith("redshift")
    }
    assert granted["redshift:GetClusterCredentialsWithIAM"].endswith(":dbname:lakehouse-dev/lakehouse")
    assert granted["redshift-data:ExecuteStatement"].endswith(":cluster:lakehouse-dev")
    assert "redshift-serverless:GetCredentials" not in granted


@pytest.mark.parametrize(
    ("warehouse", "limits"),
    [
        ("{kind: serverless, rpu_hours: 500}", [500]),
        ("{kind: serverless}", []),
        ("{kind: provisioned, rpu_hours: 500}", []),
    ],
)
def test_a_month_of_redshift_serverless_has_a_limit_where_the_config_has_one(tmp_path: Path, warehouse: str, limits: list[int]) -> None:
    app = empty_app(tmp_path / "out")
    WarehouseStack(app, environment=environment(tmp_path, f"warehouse: {warehouse}\n"), contracts=CHECKOUT.contracts)
    template = synthesized(app)["warehouse"]
    assert [limit["RpuHours"] for limit in resources(template, "Custom::WarehouseUsageLimit")] == limits


@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        ("{node_type: dc2.large}", "dc2.large is retired.*use ra3.large"),
        ("{pause: cron(0 19 * * ? *)}", "pause and resume come together"),
        ("{queues: {idle: {priority: low}}}", "no query would ever get into it"),
        ("{queues: {a: {priority: critical, query_groups: [a]}}}", "priority"),
        ("{snapshot_days: 0}", "snapshot_days"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused_where_it_is_written(tmp_path: Path, cluster: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as raised:
        environment(tmp_path, f"warehouse: {{kind: provisioned, cluster: {cluster}}}\n")
    assert "dev.yaml" in str(raised.value)
