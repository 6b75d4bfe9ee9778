"""Athena shows the catalog as its drivers ask for it: with the caller's rights in Glue, page by page, and no table that is not there."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import LocalAws, allow

pytestmark = pytest.mark.platform

HIVE = {
    "Columns": [{"Name": "id", "Type": "bigint", "Comment": "the key"}],
    "Location": "s3://somewhere/t/",
    "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", "Parameters": {"field.delim": ","}},
}


@pytest.fixture
def database(local_aws: LocalAws) -> str:
    """A database of three tables."""
    glue, name = local_aws.client("glue"), local_aws.name("metadata").replace("-", "_")
    glue.create_database(DatabaseInput={"Name": name, "Description": "for drivers"})
    for table in ("orders", "orders_old", "people"):
        described = {"Name": table, "StorageDescriptor": HIVE, "PartitionKeys": [{"Name": "day", "Type": "date"}], "Parameters": {"a": "b"}}
        glue.create_table(DatabaseName=name, TableInput=described)
    return name


@pytest.mark.parametrize("catalog", ["AwsDataCatalog", "awsdatacatalog"])
def test_databases_and_tables_are_described(local_aws: LocalAws, database: str, catalog: str) -> None:
    athena = local_aws.client("athena")
    shown = athena.get_database(CatalogName=catalog, DatabaseName=database)["Database"]
    assert shown == {"Name": database, "Description": "for drivers", "Parameters": {}}
    assert shown in [one for page in athena.get_paginator("list_databases").paginate(CatalogName=catalog) for one in page["DatabaseList"]]
    table = athena.get_table_metadata(CatalogName=catalog, DatabaseName=database, TableName="Orders")["TableMetadata"]
    assert (table["Name"], table["TableType"]) == ("orders", "EXTERNAL_TABLE")
    assert table["Columns"] == [{"Name": "id", "Type": "bigint", "Comment": "the key"}]
    assert table["PartitionKeys"] == [{"Name": "day", "Type": "date"}]
    assert table["Parameters"] == {
        "a": "b", "location": "s3://somewhere/t/", "inputformat": "org.apache.hadoop.mapred.TextInputFormat",
        "serde.serialization.lib": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", "serde.param.field.delim": ",",
    }  # fmt: skip


def test_tables_are_listed_by_pages_and_by_a_pattern_of_their_whole_name(local_aws: LocalAws, database: str) -> None:
    athena, where = local_aws.client("athena"), {"CatalogName": "AwsDataCatalog", "DatabaseName": database}
    pages = list(athena.get_paginator("list_table_metadata").paginate(**where, PaginationConfig={"PageSize": 2}))
    assert [[table["Name"] for table in page["TableMetadataList"]] for page in pages] == [["orders", "orders_old"], ["people"]]
    for pattern, wanted in (("orders", ["orders"]), ("orders.*", ["orders", "orders_old"]), ("nothing", [])):
        found = athena.list_table_metadata(**where, Expression=pattern)["TableMetadataList"]
        assert [table["Name"] for table in found] == wanted


@pytest.mark.parametrize(
    ("operation", "more", "wanted"),
    [
        ("get_database", {"DatabaseName": "nowhere"}, ("MetadataException", "Error Code: EntityNotFoundException")),
        ("get_table_metadata", {"TableName": "nothing"}, ("MetadataException", "Error Code: EntityNotFoundException")),
        ("list_table_metadata", {"DatabaseName": "nowhere"}, ("MetadataException", "Error Code: EntityNotFoundException")),
        ("list_databases", {"CatalogName": "other"}, ("MetadataException", "Catalog other not found")),
        ("list_databases", {"NextToken": "guessed"}, ("InvalidRequestException", "is not one that Athena gave")),
        ("list_table_metadata", {"Expression": "("}, ("InvalidRequestException", "is no regular expression")),
    ],
)
def test_what_is_not_there_is_an_error(
    local_aws: LocalAws, database: str, operation: str, more: dict[str, Any], wanted: tuple[str, str]
) -> None:
    where = {"CatalogName": "AwsDataCatalog", **({} if operation == "list_databases" else {"DatabaseName": database})}
    with pytest.raises(ClientError) as refused:
        getattr(local_aws.client("athena"), operation)(**where | more)
    error = refused.value.response["Error"]
    assert error["Code"] == wanted[0]
    assert wanted[1] in error["Message"]


def test_a_caller_sees_what_glue_lets_them_see(local_aws: LocalAws, database: str) -> None:
    seen = ["catalog", f"database/{database}", f"table/{database}/orders"]
    caller = local_aws.caller(allow("athena:*"), allow("glue:GetTable", [f"arn:aws:glue:*:*:{name}" for name in seen]))
    athena, where = caller.client("athena"), {"CatalogName": "AwsDataCatalog", "DatabaseName": database}
    assert athena.get_table_metadata(**where, TableName="orders")["TableMetadata"]["Name"] == "orders"
    for ask in (
        lambda: athena.get_table_metadata(**where, TableName="people"),
        lambda: athena.list_table_metadata(**where),
        lambda: athena.get_database(**where),
        lambda: athena.list_databases(CatalogName="AwsDataCatalog"),
    ):
        with pytest.raises(ClientError, match=r"is not authorized to perform: glue:Get.* Error Code: AccessDeniedException") as refused:
            ask()
        assert refused.value.response["Error"]["Code"] == "MetadataException"


def test_a_workgroup_is_shown_with_what_its_maker_left_out(local_aws: LocalAws) -> None:
    athena, name = local_aws.client("athena"), local_aws.name("group")
    athena.create_work_group(Name=name, Configuration={"ResultConfiguration": {"OutputLocation": "s3://somewhere/"}})
    for group in (name, "primary"):
        shown = athena.get_work_group(WorkGroup=group)["WorkGroup"]["Configuration"]
        assert (shown["EnforceWorkGroupConfiguration"], shown["PublishCloudWatchMetricsEnabled"], shown["RequesterPaysEnabled"]) == (
            False,
        ) * 3
        assert shown["EngineVersion"] == {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}
    with pytest.raises(ClientError, match="is not found"):
        athena.get_work_group(WorkGroup="nowhere")


def test_a_table_can_be_given_back_as_it_was_got(local_aws: LocalAws, database: str) -> None:
    glue = local_aws.client("glue")
    given = ("Name", "Description", "Owner", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters")
    for _ in range(2):  # the second time, what an update left there
        table = glue.get_table(DatabaseName=database, Name="orders")["Table"]
        assert not {"Owner", "Description"} & set(table)
        glue.update_table(DatabaseName=database, TableInput={name: table[name] for name in given if name in table})
    glue.update_table(DatabaseName=database, TableInput={"Name": "orders", "Owner": "us", "StorageDescriptor": HIVE})
    assert glue.get_table(DatabaseName=database, Name="orders")["Table"]["Owner"] == "us"
