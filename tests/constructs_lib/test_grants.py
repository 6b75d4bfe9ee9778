"""What a grant gives, and that none silently gives nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import App, DefaultStackSynthesizer, Environment, IStackSynthesizer, LegacyStackSynthesizer, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from constructs_lib.catalog import AthenaWorkgroup, CatalogGrants, CatalogTable, OptimizerRole
from constructs_lib.checks import InvalidProps
from constructs_lib.log_group import LogGroup
from constructs_lib.orchestration import GlueStep, Pipeline, RunTables
from constructs_lib.permissions import allow, service_principal
from constructs_lib.processing import CodeAssets, GlueSparkJob, JobCode, JobLogs, SecurityConfiguration
from constructs_lib.storage import DataLake, LakeBuckets
from lakehouse.naming import DatasetName, Names
from tests.constructs_lib.conftest import Synth, of_type
from tests.stacks.conftest import flat, listed


@pytest.fixture
def role(stack: Stack) -> iam.Role:
    return iam.Role(stack, "Someone", assumed_by=service_principal("glue.amazonaws.com"))


@pytest.fixture
def table(lake: LakeBuckets) -> CatalogTable:
    return CatalogTable(dataset=DatasetName.parse("silver.sales.orders"), lake=lake)


def plain(arn: Any) -> str:
    """Last part of an ARN."""
    return flat(arn).replace("<AWS::AccountId>", "ACCOUNT").replace("<AWS::Region>", "REGION").rpartition(":")[2]


def given(resources: dict[str, dict[str, Any]], role: str = "Someone") -> dict[str, set[str]]:
    """Resources and conditions by action of a role's policy."""
    found: dict[str, set[str]] = {}
    for name, resource in resources.items():
        if resource["Type"] == "AWS::IAM::Policy" and name.startswith(role):
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                condition = f" if {flat(statement['Condition'])}" if "Condition" in statement else ""
                names = {plain(resource) + condition for resource in listed(statement["Resource"])}
                for action in listed(statement["Action"]):
                    found.setdefault(action, set()).update(names)
    return found


def test_workgroup_and_table_together_give_what_a_query_needs(
    stack: Stack, role: iam.Role, table: CatalogTable, lake: LakeBuckets, synth: Synth
) -> None:
    AthenaWorkgroup(stack, "Workgroup", name="analysts", lake=lake).grants.run_queries(role)
    table.grants.query(role)
    actions = given(synth())
    silver = "lakehouse-test-silver-ACCOUNT-REGION"
    assert actions["glue:GetTable"] == {"catalog", "database/silver_sales", "table/silver_sales/orders"}
    assert actions["glue:GetDatabase"] == {"catalog", "database/silver_sales", "database/default"}
    assert f'{silver} if {{"StringLike": {{"s3:prefix": ["sales/orders/*"]}}}}' in actions["s3:ListBucket"]
    assert silver in actions["s3:GetBucketLocation"]
    assert f"{silver}/sales/orders/*" in actions["s3:GetObject"]
    assert {"kms:Decrypt", "athena:StartQueryExecution", "athena:GetQueryResults"} <= set(actions)


def test_whole_databases_can_be_queried_without_a_list_of_tables(role: iam.Role, lake: LakeBuckets, synth: Synth) -> None:
    CatalogGrants(lake, ["silver_sales"]).query(role)
    actions = given(synth())
    assert actions["glue:GetTable"] == {"catalog", "database/silver_sales", "table/silver_sales/*"} == actions["glue:GetDatabase"]
    assert {"s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation", "kms:Decrypt"} <= set(actions)


def test_each_kind_of_optimizer_may_write_its_log(stack: Stack, table: CatalogTable, synth: Synth) -> None:
    OptimizerRole(stack, "Optimizer", tables=[table])
    policies = [flat(policy) for policy in of_type(synth(), "AWS::IAM::Policy")]
    for kind in ("compaction", "retention", "orphan-file-deletion"):
        assert any(f"log-group:/aws-glue/iceberg-{kind}/logs:*" in policy for policy in policies), kind


@pytest.mark.parametrize("principal", [
    lambda: iam.AccountPrincipal("222222222222"),
    lambda: iam.ServicePrincipal("events.amazonaws.com"),
    lambda: iam.ArnPrincipal("arn:aws:iam::222222222222:role/analyst"),
])  # fmt: skip
def test_a_principal_without_a_policy_is_refused_with_the_way_out(lake: LakeBuckets, principal: Callable[[], Any]) -> None:
    with pytest.raises(InvalidProps, match="nothing would be granted: pass the role"):
        lake.grants.read(principal(), "gold")


def test_a_role_of_another_account_is_refused_and_one_of_this_account_is_not(app: App, lake: LakeBuckets) -> None:
    stack = Stack(app, "ours", env=Environment(account="111111111111", region="eu-west-1"))
    lake.grants.read(iam.Role.from_role_arn(stack, "Ours", "arn:aws:iam::111111111111:role/analyst"), "gold")
    with pytest.raises(InvalidProps, match="of account 222222222222, and a stack of account 111111111111"):
        lake.grants.read(iam.Role.from_role_arn(stack, "Theirs", "arn:aws:iam::222222222222:role/analyst"), "gold")


def test_an_alias_is_refused_wherever_a_key_is_asked_for(stack: Stack, names: Names, role: iam.Role) -> None:
    made = kms.Key(stack, "Own").add_alias("alias/made")
    named = kms.Alias.from_alias_name(stack, "Named", "alias/named")
    for number, alias in enumerate((made, named)):
        uses: list[Callable[[str, Any], object]] = [
            lambda name, key: DataLake(stack, name, names=names, key=key),
            lambda name, key: LogGroup(stack, name, name="/lakehouse/test/a", key=key),
            lambda name, key: RunTables(stack, name, names=names, key=key),
            lambda name, key: SecurityConfiguration(stack, name, name_prefix="a", key=key),
            lambda _, key: LakeBuckets.from_names(names, key_arn=key.key_arn).grants.read(role, "gold"),
            lambda _, key: allow(role, actions=["kms:Decrypt"], resources=[key.key_arn]),
        ]
        for position, use in enumerate(uses):
            with pytest.raises(InvalidProps, match="is an alias, and IAM matches keys only"):
                use(f"Bad{number}{position}", alias)


def job(stack: Stack, names: Names, key: kms.IKey) -> GlueSparkJob:
    logs = JobLogs(stack, "Logs", prefix=names.log_group("jobs", "orders"), key=key)
    security = SecurityConfiguration(stack, "Security", name_prefix=names.prefix, key=key)
    return GlueSparkJob(stack, "Job", name="load", code=JobCode.from_platform("ingest"), logs=logs, security_configuration=security)


def test_a_job_may_emit_glue_s_metrics_and_no_run_s(stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
    job(stack, names, key)
    assert given(synth(), "JobRole")["cloudwatch:PutMetricData"] == {'* if {"StringEquals": {"cloudwatch:namespace": "Glue"}}'}


@pytest.mark.parametrize(("synthesizer", "files"), [
    (DefaultStackSynthesizer, 2),
    (LegacyStackSynthesizer, 2),
    (lambda: DefaultStackSynthesizer(bucket_prefix="mine/"), 1),
])  # fmt: skip
def test_a_job_reads_its_own_code_and_nobody_else_s(
    app: App, names: Names, synthesizer: Callable[[], IStackSynthesizer], files: int
) -> None:
    stack = Stack(app, "coded", synthesizer=synthesizer())
    key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:us-east-1:111122223333:key/1")
    job(stack, names, key)
    template = app.synth().get_stack_by_name("coded").template["Resources"]
    readable = given(template, "JobRole")["s3:GetObject"]
    assert len(readable) == files
    assert {name.endswith("/mine/*") for name in readable} == {files == 1}
    assert {"*" in name for name in readable} == {files == 1}


def test_code_of_another_stack_is_not_granted(stack: Stack, role: iam.Role) -> None:
    with pytest.raises(InvalidProps, match=r"s3://elsewhere/code\.py is no code of this stack"):
        CodeAssets.of(stack).grants.read(role, ["s3://elsewhere/code.py"])


def test_a_machine_may_do_what_step_functions_asks_for_to_wait_for_a_job(stack: Stack, names: Names, key: kms.IKey, synth: Synth) -> None:
    step = GlueStep(name="load", job_name="loader", timeout_minutes=5)
    Pipeline(stack, "Orders", names=names, pipeline="orders", steps=[step], tables=["a.b"], log_key=key)
    actions = given(synth(), "OrdersRole")
    assert {action for action in actions if action.startswith("glue:")} == {
        "glue:BatchStopJobRun",
        "glue:GetJobRun",
        "glue:GetJobRuns",
        "glue:StartJobRun",
    }
    assert actions["glue:StartJobRun"] == {"job/loader"}


def test_a_job_with_a_connection_may_use_that_one_and_be_put_into_its_network(
    stack: Stack, names: Names, key: kms.IKey, synth: Synth
) -> None:
    logs = JobLogs(stack, "Logs", prefix=names.log_group("jobs", "orders"), key=key)
    security = SecurityConfiguration(stack, "Security", name_prefix=names.prefix, key=key)
    code = JobCode.from_platform("ingest")
    GlueSparkJob(stack, "Job", name="load", code=code, logs=logs, security_configuration=security, connections=["shop"])
    actions = given(synth(), "JobRole")
    assert actions["glue:GetConnection"] == {"catalog", "connection/shop"}
    assert actions["ec2:CreateNetworkInterface"] == {"network-interface/*", "security-group/*", "subnet/*"}
    assert actions["ec2:DeleteNetworkInterface"] == {"network-interface/*"}
    everywhere = {
        action
        for action, resources in actions.items()
        if not action.startswith("logs:") and any(name.startswith("*") for name in resources)
    }
    assert everywhere == {"cloudwatch:PutMetricData", *(f"ec2:Describe{what}" for what in _NETWORK)}


_NETWORK = ("NetworkInterfaces", "RouteTables", "SecurityGroups", "Subnets", "VpcAttribute", "VpcEndpoints")
