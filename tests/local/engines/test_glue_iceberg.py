"""Glue's Iceberg API: tables are made and evolved with their caller's rights, and never by two at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import allow, deny
from tests.local.engines.lake import FIELDS, GLUE, Lake, iceberg_input, metadata, schema

pytestmark = pytest.mark.platform

CATALOG = ["glue:CreateTable", "glue:UpdateTable", "glue:GetTable"]
OBJECTS = ["s3:GetObject", "s3:PutObject"]
KEYS = ["kms:Decrypt", "kms:GenerateDataKey"]


def update(lake: Lake, name: str, *fields: dict[str, Any], client: Any = None, **more: Any) -> None:
    location = f"s3://{lake.bucket}/{lake.database}/{name}"
    whole = {"Schema": schema(*fields), "Location": location, **more}
    (client or lake.aws.client("glue")).update_table(
        DatabaseName=lake.database,
        Name=name,
        UpdateOpenTableFormatInput={"UpdateIcebergInput": {"UpdateIcebergTableInput": {"Updates": [whole]}}},
    )


def refusal(call: Any, *args: Any, **more: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(*args, **more)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_table_has_metadata_in_its_folder_and_keeps_the_ids_it_was_given(lake: Lake) -> None:
    nested = {"type": "list", "element-id": 12, "element-required": False, "element": {
        "type": "struct", "fields": [{"id": 13, "name": "code", "required": False, "type": "string"}]}}  # fmt: skip
    day = {"Id": 3, "Name": "day", "Type": "date", "Required": False}
    lake.table(
        "made", *FIELDS, day, {"Id": 11, "Name": "reasons", "Type": nested, "Required": False},
        PartitionSpec={"Fields": [{"SourceId": 3, "FieldId": 1000, "Transform": "month", "Name": "day_month"}]},
        WriteOrder={"OrderId": 1, "Fields": [{"SourceId": 1, "Transform": "identity", "Direction": "asc", "NullOrder": "nulls-first"}]},
        Properties={"owner": "me"},
    )  # fmt: skip
    table = lake.aws.client("glue").get_table(DatabaseName=lake.database, Name="made")["Table"]
    assert table["Parameters"]["table_type"] == "ICEBERG"
    assert table["Parameters"]["metadata_location"].startswith(f"s3://{lake.bucket}/{lake.database}/made/metadata/00000-")
    assert [column["Type"] for column in table["StorageDescriptor"]["Columns"]] == ["int", "string", "date", "array<struct<code:string>>"]
    found = metadata(lake.aws, lake.database, "made")
    assert [field["id"] for field in found["schemas"][0]["fields"]] == [1, 7, 3, 11]
    assert (found["last-column-id"], found["properties"], found["default-sort-order-id"]) == (13, {"owner": "me"}, 1)
    assert found["partition-specs"][0]["fields"][0]["transform"] == "month"


@pytest.mark.parametrize(("missing", "said"), [("s3:PutObject", "s3:PutObject"), ("kms:GenerateDataKey", "kms:GenerateDataKey")])
def test_metadata_is_written_with_the_callers_rights(lake: Lake, missing: str, said: str) -> None:
    name, location = lake.aws.name("t").replace("-", "_"), f"s3://{lake.bucket}/{lake.database}/rights"
    rights = [right for right in (*CATALOG, *OBJECTS, *KEYS) if right != missing]
    asked = {"DatabaseName": lake.database, "Name": name, "OpenTableFormatInput": iceberg_input(location)}
    code, message = refusal(lake.aws.caller(allow(rights)).client("glue").create_table, **asked)
    assert code == "AccessDeniedException"
    assert said in message
    assert refusal(lake.aws.client("glue").get_table, DatabaseName=lake.database, Name=name)[0] == "EntityNotFoundException"
    lake.aws.caller(allow([*rights, missing])).client("glue").create_table(**asked)


def test_a_table_asks_for_its_catalog_and_its_database_too(lake: Lake) -> None:
    lake.table("parents")
    table = f"{GLUE}:table/{lake.database}/parents"
    narrow = lake.aws.caller(allow("glue:GetTable", table)).client("glue")
    code, message = refusal(narrow.get_table, DatabaseName=lake.database, Name="parents")
    assert (code, f"{GLUE}:catalog" in message) == ("AccessDeniedException", True)
    whole = lake.aws.caller(allow("glue:GetTable", [f"{GLUE}:catalog", f"{GLUE}:database/{lake.database}", table])).client("glue")
    assert whole.get_table(DatabaseName=lake.database, Name="parents")["Table"]["Name"] == "parents"
    assert refusal(whole.get_table, DatabaseName=lake.database, Name="made")[0] == "AccessDeniedException"


def test_what_cannot_be_made_is_refused_with_the_reason(lake: Lake) -> None:
    client, location = lake.aws.client("glue"), f"s3://{lake.bucket}/{lake.database}/bad"
    lake.table("taken")

    def create(name: str, asked: dict[str, Any], database: str = lake.database) -> tuple[str, str]:
        return refusal(client.create_table, DatabaseName=database, Name=name, OpenTableFormatInput=asked)

    assert create("taken", iceberg_input(location)) == ("AlreadyExistsException", "Table already exists.")
    assert create("bad", iceberg_input(location), "nowhere")[0] == "EntityNotFoundException"
    wrong_type = {"Id": 1, "Name": "x", "Type": "varchar", "Required": False}
    wrong_place = {"PartitionSpec": {"Fields": [{"SourceId": 99, "Transform": "identity", "Name": "x"}]}}
    wrong_transform = {"PartitionSpec": {"Fields": [{"SourceId": 1, "Transform": "weekly", "Name": "x"}]}}
    for asked in (
        iceberg_input(location, wrong_type), iceberg_input(location, **wrong_place), iceberg_input(location, **wrong_transform),
        iceberg_input("file:///tmp/x"), iceberg_input(location, FIELDS[0], {**FIELDS[1], "Name": "ID"}),
        iceberg_input(location, FIELDS[0], {**FIELDS[1], "Id": 1}),
    ):  # fmt: skip
        assert create("bad", asked)[0] == "InvalidInputException"


def test_a_table_gains_a_column_and_widens_a_type(lake: Lake) -> None:
    lake.table("grows")
    before = metadata(lake.aws, lake.database, "grows")
    wider = ({**FIELDS[0], "Type": "long"}, FIELDS[1], {"Id": 8, "Name": "note", "Type": "string", "Required": False})
    spec = {"PartitionSpec": {"Fields": [{"SourceId": 1, "Transform": "bucket[4]", "Name": "id_bucket"}]}, "Properties": {"a": "b"}}
    update(lake, "grows", *wider, **spec)
    found = metadata(lake.aws, lake.database, "grows")
    current = next(entry for entry in found["schemas"] if entry["schema-id"] == found["current-schema-id"])
    assert [(field["id"], field["type"]) for field in current["fields"]] == [(1, "long"), (7, "string"), (8, "string")]
    assert (found["default-spec-id"], found["properties"], found["table-uuid"]) == (1, {"a": "b"}, before["table-uuid"])
    table = lake.aws.client("glue").get_table(DatabaseName=lake.database, Name="grows")["Table"]
    assert "/metadata/00001-" in table["Parameters"]["metadata_location"]
    assert [column["Type"] for column in table["StorageDescriptor"]["Columns"]] == ["bigint", "string", "string"]
    version = table["VersionId"]
    update(lake, "grows", *wider, **spec)
    assert lake.aws.client("glue").get_table(DatabaseName=lake.database, Name="grows")["Table"]["VersionId"] == version


@pytest.mark.parametrize(
    "fields",
    [
        ({**FIELDS[0], "Type": "string"}, FIELDS[1]),
        ({**FIELDS[0], "Required": True}, FIELDS[1]),
        (*FIELDS, {"Id": 9, "Name": "must", "Type": "string", "Required": True}),
    ],
)
def test_an_incompatible_change_is_refused(lake: Lake, fields: tuple[dict[str, Any], ...]) -> None:
    name = lake.table(lake.aws.name("kept").replace("-", "_"))
    assert refusal(update, lake, name, *fields)[0] == "InvalidInputException"
    assert len(metadata(lake.aws, lake.database, name)["schemas"]) == 1


def test_an_update_needs_the_tables_metadata_and_its_key(lake: Lake) -> None:
    name = lake.table(lake.aws.name("evolves").replace("-", "_"))
    fields = (*FIELDS, {"Id": 8, "Name": "note", "Type": "string", "Required": False})
    for missing in ("glue:UpdateTable", "s3:GetObject", "s3:PutObject", "kms:Decrypt"):
        client = lake.aws.caller(allow([*CATALOG, *OBJECTS, *KEYS]), deny(missing)).client("glue")
        code, message = refusal(update, lake, name, *fields, client=client)
        assert (code, missing in message) == ("AccessDeniedException", True)
    update(lake, name, *fields, client=lake.aws.caller(allow([*CATALOG, *OBJECTS, *KEYS])).client("glue"))


def test_of_two_commits_on_the_same_version_one_wins(lake: Lake) -> None:
    name = lake.table(lake.aws.name("raced").replace("-", "_"))
    glue = lake.aws.client("glue")
    table = glue.get_table(DatabaseName=lake.database, Name=name)["Table"]
    outcomes: list[str] = []

    def commit(number: int) -> None:
        changed = {**table["Parameters"], "metadata_location": f"s3://{lake.bucket}/{number}.metadata.json"}
        try:
            lake.aws.client("glue").update_table(
                DatabaseName=lake.database, SkipArchive=True, VersionId=table["VersionId"],
                TableInput={"Name": name, "TableType": "EXTERNAL_TABLE", "Parameters": changed, "StorageDescriptor": table["StorageDescriptor"]},
            )  # fmt: skip
            outcomes.append("won")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ConcurrentModificationException"] * 7 + ["won"]
    glue.delete_table(DatabaseName=lake.database, Name=name)


def test_a_table_may_be_given_by_the_catalogs_columns(lake: Lake) -> None:
    columns = [
        {"Name": "id", "Type": "bigint"},
        {"Name": "tags", "Type": "array<struct<k:string,v:decimal(5,2)>>", "Comment": "all of them"},
    ]
    place = {"Location": f"s3://{lake.bucket}/{lake.database}/declared", "Columns": columns}
    lake.aws.client("glue").create_table(
        DatabaseName=lake.database,
        OpenTableFormatInput={"IcebergInput": {"MetadataOperation": "CREATE", "Version": "2"}},
        TableInput={"Name": "declared", "TableType": "EXTERNAL_TABLE", "StorageDescriptor": place},
    )
    found = metadata(lake.aws, lake.database, "declared")["schemas"][0]["fields"]
    assert [field["type"] if isinstance(field["type"], str) else field["type"]["type"] for field in found] == ["long", "list"]
    assert found[1]["doc"] == "all of them"
