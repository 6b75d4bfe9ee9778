"""A provisioned cluster and what belongs to it, as templates."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import App, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from cdk_nag import AwsSolutionsChecks

from constructs_lib.checks import InvalidProps
from constructs_lib.storage import LakeBuckets
from constructs_lib.warehouse import RedshiftCluster, RestHours, UsageLimit, WarehouseSchema, WarehouseSchemaFunction
from lakehouse.naming import Names
from lakehouse.warehouse.wlm import Queue
from tests.constructs_lib.conftest import Synth, of_type
from tests.constructs_lib.test_warehouse import NETWORK

Make = Callable[..., RedshiftCluster]
WORKING_HOURS = RestHours(pause="cron(0 19 ? * MON-FRI *)", resume="cron(0 5 ? * MON-FRI *)")


@pytest.fixture
def make(stack: Stack, names: Names, lake: LakeBuckets, key: kms.IKey) -> Make:
    def made(**changes: Any) -> RedshiftCluster:
        given: dict[str, Any] = {
            "name": names.warehouse,
            "database": "lakehouse",
            "network": NETWORK,
            "lake": lake,
            "data_key": key,
            "secret_key": key,
            "catalog_databases": ["gold_sales"],
        }
        return RedshiftCluster(stack, "Cluster", **{**given, **changes})

    return made


def test_it_is_private_encrypted_logged_kept_and_speaks_tls_only(make: Make, synth: Synth) -> None:
    make()
    resources = synth()
    (cluster,) = of_type(resources, "AWS::Redshift::Cluster")
    assert cluster["ManageMasterPassword"] is True
    assert "MasterUserPassword" not in cluster
    assert cluster["MasterPasswordSecretKmsKeyId"].startswith("arn:aws:kms:")
    assert (cluster["Encrypted"], cluster["PubliclyAccessible"], cluster["EnhancedVpcRouting"]) == (True, False, True)
    assert cluster["KmsKeyId"].startswith("arn:aws:kms:")
    assert cluster["LoggingProperties"] == {
        "LogDestinationType": "cloudwatch",
        "LogExports": ["userlog", "connectionlog", "useractivitylog"],
    }
    assert (cluster["ClusterType"], cluster["NumberOfNodes"], cluster["NodeType"]) == ("multi-node", 2, "ra3.large")
    assert (cluster["AutomatedSnapshotRetentionPeriod"], cluster["PreferredMaintenanceWindow"]) == (7, "sun:03:00-sun:03:30")
    (group,) = of_type(resources, "AWS::Redshift::ClusterParameterGroup")
    values = {parameter["ParameterName"]: parameter["ParameterValue"] for parameter in group["Parameters"]}
    assert (values["require_ssl"], values["enable_user_activity_logging"], values["statement_timeout"]) == ("true", "true", "3600000")
    assert [queue.get("name") for queue in json.loads(values["wlm_json_configuration"])] == ["loads", "default", None]
    (subnets,) = of_type(resources, "AWS::Redshift::ClusterSubnetGroup")
    assert subnets["SubnetIds"] == ["subnet-1", "subnet-2"]
    (walls,) = of_type(resources, "AWS::EC2::SecurityGroup")
    assert "SecurityGroupIngress" not in walls
    assert {r["DeletionPolicy"] for r in resources.values() if r["Type"] == "AWS::Redshift::Cluster"} == {"Retain"}


def test_a_single_node_is_said_so(make: Make, synth: Synth) -> None:
    make(nodes=1)
    (cluster,) = of_type(synth(), "AWS::Redshift::Cluster")
    assert cluster["ClusterType"] == "single-node"
    assert "NumberOfNodes" not in cluster


def test_it_rests_by_the_clock_with_two_rights_on_itself(make: Make, synth: Synth) -> None:
    make(rest=WORKING_HOURS)
    resources = synth()
    pause, resume = sorted(of_type(resources, "AWS::Redshift::ScheduledAction"), key=lambda action: action["ScheduledActionName"])
    assert (pause["Schedule"], list(pause["TargetAction"])) == (WORKING_HOURS.pause, ["PauseCluster"])
    assert (resume["Schedule"], list(resume["TargetAction"])) == (WORKING_HOURS.resume, ["ResumeCluster"])
    role = next(r for id_, r in resources.items() if id_.startswith("ClusterRestRole") and r["Type"] == "AWS::IAM::Role")
    assert role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "scheduler.redshift.amazonaws.com"}
    policy = next(r["Properties"] for id_, r in resources.items() if id_.startswith("ClusterRestRoleDefaultPolicy"))
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["redshift:PauseCluster", "redshift:ResumeCluster"]
    assert json.dumps(statement["Resource"]).endswith(':cluster:lakehouse-test"]]}')


def test_what_costs_extra_is_bounded(make: Make, synth: Synth) -> None:
    make(limits=[UsageLimit(feature="spectrum", amount=5), UsageLimit(feature="concurrency-scaling", amount=60, period="daily")])
    limits = {limit["FeatureType"]: limit for limit in of_type(synth(), "AWS::Redshift::UsageLimit")}
    spectrum, scaling = limits["spectrum"], limits["concurrency-scaling"]
    assert (spectrum["LimitType"], spectrum["Amount"], spectrum["Period"], spectrum["BreachAction"]) == (
        "data-scanned",
        5,
        "monthly",
        "disable",
    )
    assert (scaling["LimitType"], scaling["Amount"], scaling["Period"]) == ("time", 60, "daily")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"node_type": "dc2.large"}, "dc2.large is retired.*use ra3.large"),
        ({"node_type": "ds2.xlarge"}, "use ra3.xlplus"),
        ({"node_type": "ra3.16xlarge", "nodes": 1}, "2-100 nodes"),
        ({"queues": [Queue(name="idle")]}, "queues: queue idle"),
        ({"snapshot_days": 0}, "snapshot_days must be 1-35"),
        ({"maintenance_window": "sunday"}, "maintenance_window is"),
        ({"name": "Upper"}, "lower-case"),
        ({"limits": [UsageLimit(feature="spectrum", amount=1)] * 2}, "spectrum monthly stands twice"),
    ],
)
def test_what_redshift_would_refuse_stops_the_synth(make: Make, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidProps, match=told):
        make(**changes)


@pytest.mark.parametrize(("pause", "resume"), [("rate(1 day)", "cron(0 5 * * ? *)"), ("cron(0 25 * * ? *)", "cron(0 5 * * ? *)")])
def test_hours_of_rest_are_cron_expressions(pause: str, resume: str) -> None:
    with pytest.raises(InvalidProps, match="pause"):
        RestHours(pause=pause, resume=resume)


def test_the_function_of_the_schema_knows_the_secret_of_the_cluster(
    make: Make, synth: Synth, stack: Stack, names: Names, key: kms.IKey
) -> None:
    cluster = make()
    function = WarehouseSchemaFunction(stack, "Function", names=names, warehouse=cluster, secret_key=key, log_key=key)
    WarehouseSchema(stack, "Schema", warehouse=cluster, function=function)
    resources = synth()
    (made,) = of_type(resources, "AWS::Lambda::Function")
    told = made["Environment"]["Variables"]
    assert (told["CLUSTER"], told["ADMIN_SECRET_ARN"]["Fn::GetAtt"][1]) == ("lakehouse-test", "MasterPasswordSecretArn")
    assert "WORKGROUP" not in told
    policy = next(json.dumps(r["Properties"]) for id_, r in resources.items() if id_.startswith("FunctionRoleDefaultPolicy"))
    assert "MasterPasswordSecretArn" in policy
    assert "redshift-serverless:" not in policy


def test_whoever_may_query_comes_in_as_a_user_of_one_database(make: Make, synth: Synth, stack: Stack) -> None:
    role = iam.Role(stack, "Analyst", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))  # type: ignore[arg-type]
    make().grants.query(role)
    policy = next(r["Properties"] for id_, r in synth().items() if id_.startswith("AnalystDefaultPolicy"))
    found = {json.dumps(s["Action"]): json.dumps(s["Resource"]) for s in policy["PolicyDocument"]["Statement"]}
    assert found['"redshift:GetClusterCredentialsWithIAM"'].endswith(':dbname:lakehouse-test/lakehouse"]]}')
    assert found['"redshift-data:ExecuteStatement"'].endswith(':cluster:lakehouse-test"]]}')


def test_cdk_nag_finds_nothing(app: App, make: Make) -> None:
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    make(rest=WORKING_HOURS, limits=[UsageLimit(feature="spectrum", amount=5)])
    app.synth()
