"""Kept queries, projected tables and workgroups of teams."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

from constructs_lib.catalog import (
    AthenaWorkgroup,
    CatalogDatabase,
    DateFolders,
    FederatedConnector,
    ListedFolders,
    NamedFolders,
    NumberFolders,
    ProjectedTable,
    SavedQueries,
)
from constructs_lib.checks import InvalidProps
from constructs_lib.permissions import account_principal
from constructs_lib.storage import LakeBuckets
from lakehouse.naming import Names
from lakehouse.saved_queries import SavedQuery
from tests.constructs_lib.conftest import Synth

NAMED = SavedQuery(name="sales_all", description="All.", sql='SELECT * FROM gold_sales.days, "gold_sales".weeks', databases=("gold_sales",))
PREPARED = SavedQuery(
    name="sales_one", description="One.", sql="SELECT * FROM gold_sales.days WHERE day = ?", databases=("gold_sales",), parameters=1
)


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in resources.values() if resource["Type"] == kind]


def actions(resources: dict[str, dict[str, Any]]) -> set[str]:
    found = [statement for policy in of_type(resources, "AWS::IAM::Policy") for statement in policy["PolicyDocument"]["Statement"]]
    return {
        action for statement in found for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }


def test_a_query_with_question_marks_is_prepared_and_another_one_is_named(stack: Stack, synth: Synth) -> None:
    SavedQueries(stack, "Queries", workgroup="team", queries=[NAMED, PREPARED])
    resources = synth()
    assert of_type(resources, "AWS::Athena::NamedQuery") == [
        {"Name": "sales_all", "WorkGroup": "team", "Description": "All.", "Database": "gold_sales", "QueryString": NAMED.sql}
    ]
    assert of_type(resources, "AWS::Athena::PreparedStatement") == [
        {"StatementName": "sales_one", "WorkGroup": "team", "Description": "One.", "QueryStatement": PREPARED.sql}
    ]


def test_running_prepared_queries_takes_no_more_than_looking_one_up(stack: Stack, synth: Synth) -> None:
    role = iam.Role(stack, "Analyst", assumed_by=account_principal())
    SavedQueries(stack, "Queries", workgroup="team", queries=[PREPARED]).grants.execute(role)
    assert actions(synth()) == {"athena:GetPreparedStatement"}


def test_databases_carry_the_environments_prefix(stack: Stack, synth: Synth) -> None:
    SavedQueries(stack, "Queries", workgroup="team", queries=[NAMED], database_prefix="test_")
    (kept,) = of_type(synth(), "AWS::Athena::NamedQuery")
    assert (kept["Database"], kept["QueryString"]) == ("test_gold_sales", 'SELECT * FROM test_gold_sales.days, "test_gold_sales".weeks')


def test_two_queries_of_one_name_are_refused(stack: Stack) -> None:
    with pytest.raises(InvalidProps, match="sales_all stands twice"):
        SavedQueries(stack, "Queries", workgroup="team", queries=[NAMED, NAMED])


def test_reading_kept_queries_ends_at_the_workgroup(stack: Stack, synth: Synth) -> None:
    role = iam.Role(stack, "Role", assumed_by=account_principal())
    SavedQueries(stack, "Queries", workgroup="team", queries=[NAMED]).grants.read(role)
    (policy,) = of_type(synth(), "AWS::IAM::Policy")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert str(statement["Resource"]).count("workgroup/team") == 1
    assert "athena:GetPreparedStatement" in statement["Action"]


def test_the_workgroup_that_belongs_to_nobody_is_refused(stack: Stack, lake: LakeBuckets) -> None:
    with pytest.raises(InvalidProps, match="name the team's own"):
        AthenaWorkgroup(stack, "Workgroup", name="primary", lake=lake)


def test_a_team_gets_its_own_workgroup_and_folder_alone(stack: Stack, lake: LakeBuckets, synth: Synth) -> None:
    role = iam.Role(stack, "Role", assumed_by=account_principal())
    AthenaWorkgroup(stack, "Mine", name="mine", lake=lake).grants.run_queries(role)
    AthenaWorkgroup(stack, "Theirs", name="theirs", lake=lake)
    resources = synth()
    (policy,) = of_type(resources, "AWS::IAM::Policy")
    text = str(policy)
    assert "workgroup/mine" in text
    assert "theirs" not in text
    assert (
        len(
            {
                str(group["WorkGroupConfiguration"]["ResultConfiguration"]["OutputLocation"])
                for group in of_type(resources, "AWS::Athena::WorkGroup")
            }
        )
        == 2
    )


def table(stack: Stack, names: Names, lake: LakeBuckets, **more: Any) -> ProjectedTable:
    database = CatalogDatabase(stack, "Database", names=names, zone="gold", domain="sales", lake=lake)
    given: dict[str, Any] = {"name": "clicks", "zone": "raw", "prefix": "sales/clicks", "columns": {"url": "string"}, **more}
    return ProjectedTable(stack, "Table", database=database, lake=lake, **given)


def test_partitions_follow_the_lakes_own_layout(stack: Stack, names: Names, lake: LakeBuckets, synth: Synth) -> None:
    table(stack, names, lake)
    (made,) = of_type(synth(), "AWS::Glue::Table")
    found = made["TableInput"]
    assert found["PartitionKeys"] == [{"Name": name, "Type": "string"} for name in ("year", "month", "day")]
    parameters = found["Parameters"]
    assert (parameters["projection.enabled"], parameters["projection.month.type"], parameters["projection.month.digits"]) == (
        "true",
        "integer",
        "2",
    )
    assert parameters["projection.year.range"] == "2020,2035"
    template = str(parameters["storage.location.template"])
    assert "sales/clicks/year=${year}/month=${month}/day=${day}/" in template
    assert found["TableType"] == "EXTERNAL_TABLE"


@pytest.mark.parametrize(
    ("name", "trio"),
    [
        ("parquet", ("MapredParquetInputFormat", "MapredParquetOutputFormat", "ParquetHiveSerDe")),
        ("orc", ("OrcInputFormat", "OrcOutputFormat", "OrcSerde")),
        ("json", ("TextInputFormat", "HiveIgnoreKeyTextOutputFormat", "JsonSerDe")),
        ("csv", ("TextInputFormat", "HiveIgnoreKeyTextOutputFormat", "OpenCSVSerde")),
    ],
)  # fmt: skip
def test_the_three_classes_of_a_format_go_together(  # noqa: PLR0917 - fixtures
    stack: Stack, names: Names, lake: LakeBuckets, synth: Synth, name: str, trio: tuple[str, str, str]
) -> None:  # fmt: skip
    table(stack, names, lake, format=name)
    storage = of_type(synth(), "AWS::Glue::Table")[0]["TableInput"]["StorageDescriptor"]
    found = (storage["InputFormat"], storage["OutputFormat"], storage["SerdeInfo"]["SerializationLibrary"])
    assert tuple(text.rsplit(".", 1)[1] for text in found) == trio


def test_every_rule_of_folders_becomes_athenas_words(stack: Stack, names: Names, lake: LakeBuckets, synth: Synth) -> None:
    folders = {
        "kind": ListedFolders(values=("web", "app")), "dt": DateFolders(first="NOW-3YEARS", last="NOW"), "shard": NumberFolders(first=1, last=12, digits=2),
        "device": NamedFolders(),
    }  # fmt: skip
    table(stack, names, lake, folders=folders, template="${kind}/${dt}/${shard}/${device}")
    parameters = of_type(synth(), "AWS::Glue::Table")[0]["TableInput"]["Parameters"]
    assert {name: value for name, value in parameters.items() if name.startswith("projection.")} == {
        "projection.enabled": "true", "projection.kind.type": "enum", "projection.kind.values": "web,app", "projection.dt.type": "date",
        "projection.dt.format": "yyyy-MM-dd", "projection.dt.range": "NOW-3YEARS,NOW", "projection.dt.interval": "1",
        "projection.dt.interval.unit": "DAYS", "projection.shard.type": "integer", "projection.shard.range": "1,12", "projection.shard.digits": "2",
        "projection.device.type": "injected",
    }  # fmt: skip
    assert str(parameters["storage.location.template"]).endswith("${kind}/${dt}/${shard}/${device}/']]}") or "${kind}/${dt}" in str(
        parameters
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"template": "${year}/${month}"}, r"\$\{day\} is missing"),
        ({"template": "${year}/${month}/${day}/${hour}"}, "hour} is no partition column"),
        ({"columns": {"year": "int"}}, "year is in both"),
        ({"columns": {}}, "at least one column"),
        ({"folders": {}}, "needs no projection"),
        ({"format": "avro"}, "format must be one of csv, json, orc, parquet"),
        ({"name": "Clicks"}, "small letters"),
        ({"folders": {"dt": DateFolders(first="2026-1-1")}}, "first must be a date of the format yyyy-MM-dd"),
        ({"folders": {"dt": DateFolders(first="2026-01-01", unit="FORTNIGHTS")}}, "unit must be one of"),
        ({"folders": {"n": NumberFolders(first=2, last=1)}}, "first must not be above last"),
        ({"folders": {"n": NumberFolders(first=1, last=100, digits=2)}}, "digits must be enough"),
        ({"folders": {"k": ListedFolders(values=("a,b",))}}, "without commas"),
    ],
)
def test_what_would_project_nothing_is_refused(stack: Stack, names: Names, lake: LakeBuckets, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidProps, match=said):
        table(stack, names, lake, **wrong)


def test_a_projected_table_is_queried_without_its_partitions_being_asked_for(
    stack: Stack, names: Names, lake: LakeBuckets, synth: Synth
) -> None:
    role = iam.Role(stack, "Role", assumed_by=account_principal())
    table(stack, names, lake).grants.query(role)
    assert {"glue:GetDatabase", "glue:GetTable", "s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket"} <= actions(synth())
    assert "glue:GetPartitions" not in actions(synth())


def connector(stack: Stack, lake: LakeBuckets, name: str = "shop_db") -> FederatedConnector:
    function = lambda_.Function.from_function_arn(stack, "Function", "arn:aws:lambda:us-east-1:111122223333:function:shop-connector")
    return FederatedConnector(stack, "Shop", name=name, function=function, lake=lake)


def test_a_source_outside_is_a_catalog_behind_a_function(stack: Stack, lake: LakeBuckets, synth: Synth) -> None:
    role = iam.Role(stack, "Role", assumed_by=account_principal())
    made = connector(stack, lake)
    made.grants.query(role)
    resources = synth()
    (catalog,) = of_type(resources, "AWS::Athena::DataCatalog")
    function = "arn:aws:lambda:us-east-1:111122223333:function:shop-connector"
    assert catalog == {"Name": "shop_db", "Type": "LAMBDA", "Parameters": {"function": function}}
    (policy,) = of_type(resources, "AWS::IAM::Policy")
    granted = {str(statement["Action"]): str(statement["Resource"]) for statement in policy["PolicyDocument"]["Statement"]}
    assert granted["lambda:InvokeFunction"] == function
    assert "datacatalog/shop_db" in granted["athena:GetDataCatalog"]
    assert "/spill/shop_db/" in str(policy)
    assert made.spill_location.endswith("/spill/shop_db/")


@pytest.mark.parametrize("name", ["AwsDataCatalog", "awsdatacatalog", "shop-db", "", "x" * 51])
def test_a_catalog_that_queries_could_not_name_is_refused(stack: Stack, lake: LakeBuckets, name: str) -> None:
    with pytest.raises(InvalidProps, match="name must be of small letters"):
        connector(stack, lake, name)
