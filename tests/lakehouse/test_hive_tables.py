"""Hive tables take more columns and lose nothing else; Iceberg's are left to their contracts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from lakehouse.hive_tables import HiveTables, InvalidChangeError, TablesNotTaken, TablesRefused
from lakehouse.partitions import Dropped

TABLE: dict[str, Any] = {
    "Name": "clicks",
    "Description": "Clicks of partners",
    "Owner": "partners",
    "Retention": 3,
    "TableType": "EXTERNAL_TABLE",
    "Parameters": {"classification": "parquet"},
    "PartitionKeys": [{"Name": "day", "Type": "string"}],
    "StorageDescriptor": {
        "Columns": [{"Name": "url", "Type": "string"}],
        "Location": "s3://lake/clicks/",
        "SerdeInfo": {"Parameters": {"a": "b"}},
    },
}


@pytest.fixture
def glue() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("glue", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
        client.create_database(DatabaseInput={"Name": "crawled"})
        yield client


@pytest.fixture
def tables(glue: Any) -> HiveTables:
    glue.create_table(DatabaseName="crawled", TableInput=TABLE)
    return HiveTables(client=glue, database="crawled")


def found(glue: Any) -> dict[str, Any]:
    return glue.get_table(DatabaseName="crawled", Name="clicks")["Table"]


def test_a_column_comes_behind_the_others_and_nothing_else_changes(glue: Any, tables: HiveTables) -> None:
    before = found(glue)
    assert tables.add_columns("clicks", {"discount_pct": "double", "url": "string"}) == ["discount_pct"]
    after = found(glue)
    assert after["StorageDescriptor"]["Columns"] == [{"Name": "url", "Type": "string"}, {"Name": "discount_pct", "Type": "double"}]
    for kept in ("Description", "Owner", "Retention", "TableType", "Parameters", "PartitionKeys"):
        assert after[kept] == before[kept] == TABLE[kept]
    assert after["StorageDescriptor"]["SerdeInfo"] == TABLE["StorageDescriptor"]["SerdeInfo"]
    assert len(glue.get_table_versions(DatabaseName="crawled", TableName="clicks")["TableVersions"]) == 2


def test_the_same_columns_again_change_nothing(glue: Any, tables: HiveTables) -> None:
    tables.add_columns("clicks", {"discount_pct": "double"})
    assert tables.add_columns("clicks", {"Discount_Pct": "double"}) == []
    assert len(glue.get_table_versions(DatabaseName="crawled", TableName="clicks")["TableVersions"]) == 2


def test_whoever_changes_the_table_meanwhile_keeps_what_they_did() -> None:
    client = boto3.client("glue", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")

    def answer(version: str, *names: str) -> dict[str, Any]:
        columns = [{"Name": name, "Type": "string"} for name in names]
        # Glue answers more than it takes back.
        more = {
            "VersionId": version,
            "DatabaseName": "crawled",
            "CreatedBy": "me",
            "IsRegisteredWithLakeFormation": False,
            "CatalogId": "1",
        }
        return {"Table": {"Name": "clicks", "StorageDescriptor": {"Columns": columns}, **more}}

    def asked(version: str, *names: str) -> dict[str, Any]:
        columns = [{"Name": name, "Type": "string"} for name in names]
        table = {"Name": "clicks", "StorageDescriptor": {"Columns": columns}}
        return {"DatabaseName": "crawled", "TableInput": table, "SkipArchive": False, "VersionId": version}

    with Stubber(client) as stub:
        stub.add_response("get_table", answer("1", "url"))
        stub.add_client_error("update_table", "ConcurrentModificationException", expected_params=asked("1", "url", "mine"))
        stub.add_response("get_table", answer("2", "url", "theirs"))
        stub.add_response("update_table", {}, asked("2", "url", "theirs", "mine"))
        assert HiveTables(client=client, database="crawled").add_columns("clicks", {"mine": "string"}) == ["mine"]
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"url": "int"}, "column url of crawled.clicks is string and would be int: add a column of another name"),
        ({"day": "string"}, "day is a partition key of crawled.clicks"),
        ({"size": ""}, "has no type"),
    ],
)
def test_a_column_that_breaks_readers_is_refused(glue: Any, tables: HiveTables, columns: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidChangeError, match=said):
        tables.add_columns("clicks", {"new": "string", **columns})
    assert len(found(glue)["StorageDescriptor"]["Columns"]) == 1


def test_iceberg_tables_are_their_contracts_affair(glue: Any, tables: HiveTables) -> None:
    glue.create_table(DatabaseName="crawled", TableInput={**TABLE, "Name": "orders", "Parameters": {"table_type": "ICEBERG"}})
    with pytest.raises(InvalidChangeError, match=r"crawled\.orders is an Iceberg table, whose columns are its contract's"):
        tables.add_columns("orders", {"new": "string"})
    with pytest.raises(InvalidChangeError, match="orders of crawled are Iceberg tables"):
        tables.drop(["clicks", "orders"])
    assert found(glue)


def test_tables_go_in_hundreds_and_what_is_not_there_is_no_error(glue: Any, tables: HiveTables) -> None:
    calls: list[int] = []
    glue.meta.events.register(
        "provide-client-params.glue.BatchDeleteTable", lambda params, **_: calls.append(len(params["TablesToDelete"]))
    )
    for number in range(150):
        glue.create_table(DatabaseName="crawled", TableInput={**TABLE, "Name": f"t{number}"})
    assert tables.drop([*(f"t{number}" for number in range(150)), "t0", "gone"]) == Dropped(dropped=150, unknown=1)
    assert calls == [100, 51]
    assert [table["Name"] for table in glue.get_tables(DatabaseName="crawled")["TableList"]] == ["clicks"]


@pytest.mark.parametrize(("code", "error"), [("AccessDeniedException", TablesRefused), ("InternalServiceException", TablesNotTaken)])
def test_what_glue_does_not_drop_is_told(code: str, error: type[Exception]) -> None:
    client = boto3.client("glue", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    with Stubber(client) as stub:
        stub.add_response("get_tables", {"TableList": []})
        stub.add_response(
            "batch_delete_table", {"Errors": [{"TableName": "clicks", "ErrorDetail": {"ErrorCode": code, "ErrorMessage": "why"}}]}
        )
        with pytest.raises(error, match=f"did not drop 1 tables of crawled: clicks: {code}: why"):
            HiveTables(client=client, database="crawled").drop(["clicks"])
