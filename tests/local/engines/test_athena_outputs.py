"""UNLOAD, CREATE TABLE AS, kept statements, reused results and projected partitions in the local Athena, on Trino and with the caller's rights."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet
import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import Caller, allow, wait_for
from tests.local.engines.lake import Lake, query, rows
from tests.local.engines.test_athena import RIGHTS, analyst

pytestmark = [pytest.mark.platform, pytest.mark.timeout(500)]

MAKER = (*RIGHTS, "glue:CreateTable", "glue:DeleteTable", "glue:GetPartitions", "glue:BatchCreatePartition", "s3:DeleteObject",
         "athena:CreatePreparedStatement", "athena:GetPreparedStatement", "athena:DeletePreparedStatement", "athena:UpdatePreparedStatement",
         "athena:ListPreparedStatements", "athena:BatchGetPreparedStatement")  # fmt: skip


def maker(lake: Lake, *denied: str) -> Caller:
    """Somebody who may also make tables, files and prepared statements."""
    return lake.aws.caller(allow([right for right in MAKER if right not in denied]))


@pytest.fixture(scope="module")
def made(lake: Lake) -> Lake:
    """The lake with a table `sales` of six rows."""
    lake.table(
        "sales", {"Id": 1, "Name": "id", "Type": "int", "Required": False}, {"Id": 2, "Name": "price", "Type": "decimal(9,2)", "Required": False},
        {"Id": 3, "Name": "at", "Type": "timestamp", "Required": False}, {"Id": 4, "Name": "region", "Type": "string", "Required": False},
    )  # fmt: skip
    execution = query(
        analyst(lake),
        "INSERT INTO sales SELECT n, CAST(n AS decimal(9,2)) / 4, TIMESTAMP '2026-01-02 03:04:05.000', CASE WHEN n < 4 THEN 'north' WHEN n = 6 THEN NULL ELSE '' END"
        " FROM UNNEST(sequence(1, 6)) AS t(n)",
        lake=lake,
    )
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    return lake


def folder(lake: Lake) -> str:
    """A folder of its own."""
    return f"s3://{lake.bucket}/unloaded/{uuid.uuid4().hex}/"


def objects(lake: Lake, address: str) -> Iterator[tuple[str, bytes]]:
    """Objects below an address."""
    s3, prefix = lake.aws.client("s3"), address.removeprefix(f"s3://{lake.bucket}/")
    for found in s3.list_objects_v2(Bucket=lake.bucket, Prefix=prefix).get("Contents", []):
        yield found["Key"], s3.get_object(Bucket=lake.bucket, Key=found["Key"])["Body"].read()


def text(lake: Lake, address: str) -> str:
    """An object's text."""
    return lake.aws.client("s3").get_object(Bucket=lake.bucket, Key=address.removeprefix(f"s3://{lake.bucket}/"))["Body"].read().decode()


def succeeded(execution: dict[str, Any]) -> dict[str, Any]:
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    return execution


def reason(execution: dict[str, Any]) -> str:
    return str(execution["Status"].get("StateChangeReason", ""))


UNLOAD = (
    "UNLOAD (SELECT id, price, CAST(at AS timestamp(3)) AS at, region FROM sales ORDER BY id) TO '{to}' WITH (format = '{format}'{more})"
)


def test_an_unload_writes_parquet_as_its_caller_and_a_list_of_its_files(made: Lake) -> None:
    to, caller = folder(made), maker(made)
    execution = succeeded(query(caller, UNLOAD.format(to=to, format="PARQUET", more=", compression = 'SNAPPY'"), lake=made))
    files = dict(objects(made, to))
    table = pyarrow.parquet.read_table(io.BytesIO(next(iter(files.values()))))
    assert table.num_rows == 6
    assert table.column("id").to_pylist() == [1, 2, 3, 4, 5, 6]
    assert [str(table.schema.field(name).type) for name in ("id", "price", "region")] == ["int32", "decimal128(9, 2)", "string"]
    assert table.column("region").to_pylist() == ["north", "north", "north", "", "", None]
    assert pyarrow.parquet.ParquetFile(io.BytesIO(next(iter(files.values())))).metadata.row_group(0).column(0).compression == "SNAPPY"
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DML", "UNLOAD")
    manifest = execution["Statistics"]["DataManifestLocation"]
    assert manifest == f"s3://{made.bucket}/results/{execution['QueryExecutionId']}-manifest.csv"
    assert text(made, manifest).splitlines() == [f"s3://{made.bucket}/{key}" for key in files]
    assert execution["ResultConfiguration"]["OutputLocation"] == f"s3://{made.bucket}/results/{execution['QueryExecutionId']}"
    assert rows(caller, execution) == []
    assert {call["resource"] for call in made.aws.calls(role=caller.arn, action="s3:PutObject")} >= {
        f"arn:aws:s3:::{made.bucket}/{key}" for key in files
    }
    head = made.aws.client("s3").head_object(Bucket=made.bucket, Key=next(iter(files)))
    assert head["SSEKMSKeyId"] == made.key


@pytest.mark.parametrize(("format", "begins"), [("ORC", b"ORC"), ("AVRO", b"Obj"), ("JSON", b"\x1f\x8b"), ("TEXTFILE", b"\x1f\x8b")])
def test_an_unload_writes_every_format_of_athenas(made: Lake, format: str, begins: bytes) -> None:
    to = folder(made)
    succeeded(query(maker(made), UNLOAD.format(to=to, format=format, more=""), lake=made))
    assert [content[: len(begins)] for _, content in objects(made, to)] == [begins]


def test_an_unload_makes_a_folder_a_value(made: Lake) -> None:
    to = folder(made)
    succeeded(query(maker(made), UNLOAD.format(to=to, format="PARQUET", more=", partitioned_by = ARRAY['region']"), lake=made))
    keys = {key.removeprefix(to.removeprefix(f"s3://{made.bucket}/")).rsplit("/", 1)[0] for key, _ in objects(made, to)}
    assert keys == {"region=north", "region=__HIVE_DEFAULT_PARTITION__"}


def test_an_unload_does_not_write_where_something_is(made: Lake) -> None:
    to, caller = folder(made), maker(made)
    succeeded(query(caller, UNLOAD.format(to=to, format="PARQUET", more=""), lake=made))
    before = dict(objects(made, to))
    again = query(caller, UNLOAD.format(to=to, format="PARQUET", more=""), lake=made)
    assert "HIVE_PATH_ALREADY_EXISTS" in reason(again)
    assert dict(objects(made, to)) == before


@pytest.mark.parametrize(
    "missing", ["s3:PutObject", "s3:ListBucket", "s3:GetBucketLocation", "kms:GenerateDataKey", "glue:GetTable", "s3:GetObject"]
)
def test_an_unload_needs_what_its_caller_may_do(made: Lake, missing: str) -> None:
    to = folder(made)
    if missing == "s3:GetBucketLocation":
        with pytest.raises(ClientError, match=missing):
            query(maker(made, missing), UNLOAD.format(to=to, format="PARQUET", more=""), lake=made)
    else:
        assert missing in reason(query(maker(made, missing), UNLOAD.format(to=to, format="PARQUET", more=""), lake=made))
    assert list(objects(made, to)) == []


def test_a_moment_with_a_zone_is_no_type_of_an_unloads_files(made: Lake) -> None:
    sql = f"UNLOAD (SELECT now() AS at) TO '{folder(made)}' WITH (format = 'PARQUET')"
    assert "Unsupported Hive type: timestamp(3) with time zone" in reason(query(maker(made), sql, lake=made))
    sql = f"UNLOAD (SELECT nothing\nFROM sales) TO '{folder(made)}' WITH (format = 'PARQUET')"
    assert "COLUMN_NOT_FOUND" in reason(query(maker(made), sql, lake=made))


def test_a_table_is_made_of_a_query_and_read_and_dropped(made: Lake) -> None:
    caller, name = maker(made), made.aws.name("made").replace("-", "_")
    sql = f"CREATE TABLE {name} WITH (format = 'PARQUET', write_compression = 'SNAPPY', partitioned_by = ARRAY['region']) AS SELECT id, price, region FROM sales WHERE id < 5"
    execution = succeeded(query(caller, sql, lake=made))
    table = made.aws.client("glue").get_table(DatabaseName=made.database, Name=name)["Table"]
    assert table["StorageDescriptor"]["Location"] == f"s3://{made.bucket}/results/tables/{execution['QueryExecutionId']}/"
    assert [(column["Name"], column["Type"]) for column in table["StorageDescriptor"]["Columns"]] == [
        ("id", "int"),
        ("price", "decimal(9,2)"),
    ]
    assert [(column["Name"], column["Type"]) for column in table["PartitionKeys"]] == [("region", "string")]
    found = rows(caller, succeeded(query(caller, f"SELECT id, price, region FROM {name} WHERE region = 'north' ORDER BY id", lake=made)))
    assert found == [["id", "price", "region"], ["1", "0.25", "north"], ["2", "0.50", "north"], ["3", "0.75", "north"]]
    assert "glue:GetPartitions" in reason(query(maker(made, "glue:GetPartitions"), f"SELECT * FROM {name}", lake=made))
    assert "TABLE_ALREADY_EXISTS" in reason(query(caller, sql, lake=made))
    assert "glue:DeleteTable" in reason(query(maker(made, "glue:DeleteTable"), f"DROP TABLE {name}", lake=made))
    succeeded(query(caller, f"DROP TABLE {name}", lake=made))
    assert list(objects(made, table["StorageDescriptor"]["Location"]))  # of a Hive table only the entry of the catalog goes
    assert "TABLE_NOT_FOUND" in reason(query(caller, f"DROP TABLE {name}", lake=made))
    succeeded(query(caller, f"DROP TABLE IF EXISTS {name}", lake=made))
    assert "glue:CreateTable" in reason(query(maker(made, "glue:CreateTable"), sql, lake=made))


def test_an_iceberg_table_is_made_of_a_query(made: Lake) -> None:
    caller, name, place = maker(made), made.aws.name("ice").replace("-", "_"), folder(made)
    sql = f"CREATE TABLE {name} WITH (table_type = 'ICEBERG', is_external = false, location = '{place}', partitioning = ARRAY['bucket(id, 4)']) AS SELECT id, at FROM sales"
    assert "s3:PutObject" in reason(query(maker(made, "s3:PutObject"), sql, lake=made))
    succeeded(query(caller, sql, lake=made))
    assert rows(caller, succeeded(query(caller, f"SELECT count(*), count(DISTINCT at) FROM {name}", lake=made)))[1] == ["6", "1"]
    succeeded(query(caller, f"UPDATE {name} SET id = 7 WHERE id = 1", lake=made))
    assert "s3:DeleteObject" in reason(query(maker(made, "s3:DeleteObject"), f"DROP TABLE {name}", lake=made))
    succeeded(query(caller, f"DROP TABLE {name}", lake=made))
    assert list(objects(made, place)) == []


def test_a_workgroup_that_enforces_its_place_takes_no_other_for_tables(made: Lake) -> None:
    group = made.aws.name("group")
    settings = {"EnforceWorkGroupConfiguration": True, "ResultConfiguration": {"OutputLocation": f"s3://{made.bucket}/enforced/"}}
    made.aws.client("athena").create_work_group(Name=group, Configuration=settings)
    sql = f"CREATE TABLE elsewhere WITH (external_location = '{folder(made)}') AS SELECT 1 AS one"
    assert "enforces a centralized output location" in reason(query(maker(made), sql, lake=made, WorkGroup=group))


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {to} WITH {hidden} AS (SELECT 1 AS id) SELECT id, (SELECT max(name) FROM {database}.{hidden}) FROM {hidden}",
        "INSERT INTO {to} SELECT * FROM {view}",
        "UPDATE {to} SET name = (SELECT max(name) FROM {view})",
        "MERGE INTO {to} t USING (SELECT * FROM {view}) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = s.name",
        "DELETE FROM {to} WHERE id IN (SELECT id FROM {view})",
        "UNLOAD (SELECT * FROM {view}) TO '{folder}' WITH (format = 'PARQUET')",
    ],
)
def test_what_a_change_reads_behind_a_view_or_a_name_of_its_own_is_asked_for(made: Lake, sql: str) -> None:
    hidden, to = made.table(made.aws.name("hidden").replace("-", "_")), made.table(made.aws.name("to").replace("-", "_"))
    view = made.aws.name("view").replace("-", "_")
    succeeded(query(analyst(made), f"INSERT INTO {hidden} VALUES (1, 'secret')", lake=made))
    succeeded(
        query(analyst(made), f"INSERT INTO {to} VALUES (1, 'open')", lake=made)
    )  # a plan leaves out what an empty table makes needless
    make_view(made, view, f'SELECT id, name FROM "{made.database}"."{hidden}"')
    inside = f"arn:aws:s3:::{made.bucket}"
    others = [right for right in MAKER if right != "s3:GetObject"]
    statement = sql.format(to=to, hidden=hidden, view=view, database=made.database, folder=folder(made))
    readable = allow("s3:GetObject", [f"{inside}/{made.database}/{to}/*", f"{inside}/results/*", f"{inside}/unloaded/*"])
    refused = reason(query(made.aws.caller(allow(others), readable), statement, lake=made))
    assert "s3:GetObject" in refused, refused
    assert f"/{hidden}/" in refused
    succeeded(query(maker(made), statement, lake=made))


def make_view(made: Lake, name: str, sql: str) -> None:
    """A view as Athena and Trino keep it in Glue."""
    import base64
    import json

    kept = {
        "originalSql": sql, "catalog": "awsdatacatalog", "schema": made.database,
        "columns": [{"name": "id", "type": "integer"}, {"name": "name", "type": "varchar"}],
    }  # fmt: skip
    columns = [{"Name": "id", "Type": "int"}, {"Name": "name", "Type": "string"}]
    made.aws.client("glue").create_table(
        DatabaseName=made.database,
        TableInput={
            "Name": name, "TableType": "VIRTUAL_VIEW", "Parameters": {"presto_view": "true", "comment": "Presto View"},
            "StorageDescriptor": {"Columns": columns, "Location": "", "SerdeInfo": {}},
            "ViewOriginalText": f"/* Presto View: {base64.b64encode(json.dumps(kept).encode()).decode()} */",
            "ViewExpandedText": "/* Presto View */",
        },
    )  # fmt: skip


def test_a_statement_is_kept_in_its_workgroup_and_run_with_values(made: Lake) -> None:
    caller, name = maker(made), f"s_{uuid.uuid4().hex[:8]}"
    athena = caller.client("athena")
    succeeded(query(caller, f"PREPARE {name} FROM SELECT id FROM sales WHERE id > ? AND region = ?", lake=made))
    assert rows(caller, succeeded(query(caller, f"EXECUTE {name} USING 1, 'north'", lake=made))) == [["id"], ["2"], ["3"]]
    again = succeeded(query(caller, f"EXECUTE {name}", lake=made, ExecutionParameters=["2", "'north'"]))
    assert rows(caller, again) == [["id"], ["3"]]
    assert again["StatementType"] == "DML"
    assert "expected 2 but found 1" in reason(query(caller, f"EXECUTE {name} USING 1", lake=made))
    assert "athena:GetPreparedStatement" in reason(
        query(maker(made, "athena:GetPreparedStatement"), f"EXECUTE {name} USING 1, 'x'", lake=made)
    )
    athena.update_prepared_statement(StatementName=name, WorkGroup="primary", QueryStatement="SELECT count(*) FROM sales WHERE id > ?")
    assert rows(caller, succeeded(query(caller, f"EXECUTE {name} USING 4", lake=made)))[1] == ["2"]
    assert name in [found["StatementName"] for found in athena.list_prepared_statements(WorkGroup="primary")["PreparedStatements"]]
    succeeded(query(caller, f"DEALLOCATE PREPARE {name}", lake=made))
    assert "NOT_FOUND" in reason(query(caller, f"EXECUTE {name} USING 4", lake=made))
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        athena.get_prepared_statement(StatementName=name, WorkGroup="primary")


def test_an_unload_can_be_kept_too(made: Lake) -> None:
    caller, name, to = maker(made), f"u_{uuid.uuid4().hex[:8]}", folder(made)
    caller.client("athena").create_prepared_statement(
        StatementName=name,
        WorkGroup="primary",
        QueryStatement=f"UNLOAD (SELECT id FROM sales WHERE id < ?) TO '{to}' WITH (format = 'JSON')",
    )
    execution = succeeded(query(caller, f"EXECUTE {name} USING 3", lake=made))
    assert len(text(made, execution["Statistics"]["DataManifestLocation"]).splitlines()) == 1


REUSE = {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 60}}


def test_a_result_is_reused_when_the_query_asks_for_it(made: Lake) -> None:
    caller = maker(made)
    sql = f"SELECT count(*) AS n, '{uuid.uuid4().hex}' AS mark FROM sales"
    first = succeeded(query(caller, sql, lake=made, ResultReuseConfiguration=REUSE))
    assert first["Statistics"]["ResultReuseInformation"] == {"ReusedPreviousResult": False}
    second = succeeded(query(caller, sql, lake=made, ResultReuseConfiguration=REUSE))
    assert second["Statistics"]["ResultReuseInformation"] == {"ReusedPreviousResult": True}
    assert second["Statistics"]["DataScannedInBytes"] == 0
    assert second["ResultConfiguration"]["OutputLocation"] == first["ResultConfiguration"]["OutputLocation"]
    assert rows(caller, second) == rows(caller, first)
    for differently in (
        {},
        {"WorkGroup": other_group(made)},
        {"ResultConfiguration": {"OutputLocation": f"s3://{made.bucket}/results/elsewhere/"}},
    ):
        more: dict[str, Any] = {"ResultReuseConfiguration": REUSE, **differently} if differently else {}
        run = succeeded(query(caller, sql, lake=made, **more))
        assert run["Statistics"]["ResultReuseInformation"] == {"ReusedPreviousResult": False}
    assert "glue:GetTable" in reason(query(maker(made, "glue:GetTable"), sql, lake=made, ResultReuseConfiguration=REUSE))
    too_old = {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 20_000}}
    with pytest.raises(ClientError, match="between 0 and 10080"):
        query(caller, sql, lake=made, ResultReuseConfiguration=too_old)


def other_group(made: Lake) -> str:
    """Another workgroup."""
    name = made.aws.name("group")
    made.aws.client("athena").create_work_group(Name=name, Configuration={})
    return name


def test_the_same_token_starts_one_query(made: Lake) -> None:
    athena, token = maker(made).client("athena"), uuid.uuid4().hex
    place = {"OutputLocation": f"s3://{made.bucket}/results/"}
    ids = {
        athena.start_query_execution(QueryString="SELECT 1", ClientRequestToken=token, ResultConfiguration=place)["QueryExecutionId"]
        for _ in range(2)
    }
    assert len(ids) == 1
    with pytest.raises(ClientError, match="Idempotent"):
        athena.start_query_execution(QueryString="SELECT 2", ClientRequestToken=token, ResultConfiguration=place)
    wait_for(lambda: athena.get_query_execution(QueryExecutionId=next(iter(ids)))["QueryExecution"]["Status"]["State"] == "SUCCEEDED")


def test_partitions_are_projected_and_the_catalog_is_not_asked(made: Lake) -> None:
    s3, name = made.aws.client("s3"), made.aws.name("projected").replace("-", "_")
    for day, kind, shard in (("2026-01-01", "a", "01"), ("2026-01-02", "a", "02"), ("2026-01-02", "b", "10")):
        key = f"projected/{name}/{kind}/{day.replace('-', '/')}/{shard}/x.csv"
        s3.put_object(Bucket=made.bucket, Key=key, Body=f"{day},{kind},{shard}\n".encode())
    projection = {
        "projection.enabled": "true", "projection.day.type": "date", "projection.day.format": "yyyy/MM/dd",
        "projection.day.range": "2026/01/01,2026/01/31", "projection.kind.type": "enum", "projection.kind.values": "a,b",
        "projection.shard.type": "integer", "projection.shard.range": "1,12", "projection.shard.digits": "2",
        "storage.location.template": f"s3://{made.bucket}/projected/{name}/${{kind}}/${{day}}/${{shard}}/",
    }  # fmt: skip
    create_text_table(made, name, projection, keys=("kind", "day", "shard"))
    caller = maker(made, "glue:GetPartitions")
    found = rows(
        caller, succeeded(query(caller, f"SELECT line, kind, day, shard FROM {name} WHERE day = '2026/01/02' ORDER BY kind", lake=made))
    )
    assert found[1:] == [["2026-01-02", "a", "2026/01/02", "02"], ["2026-01-02", "b", "2026/01/02", "10"]]
    assert rows(caller, succeeded(query(caller, f"SELECT count(*) FROM {name}", lake=made)))[1] == ["3"]
    narrow = allow("s3:GetObject", [f"arn:aws:s3:::{made.bucket}/results/*"])
    blind = made.aws.caller(allow([right for right in MAKER if right != "s3:GetObject"]), narrow)
    assert f"projected/{name}/" in reason(query(blind, f"SELECT count(*) FROM {name}", lake=made))


def test_an_injected_partition_must_be_named_by_the_query(made: Lake) -> None:
    name = made.aws.name("injected").replace("-", "_")
    made.aws.client("s3").put_object(Bucket=made.bucket, Key=f"injected/{name}/device-7/x.csv", Body=b"seven\n")
    projection = {
        "projection.enabled": "true", "projection.device.type": "injected",
        "storage.location.template": f"s3://{made.bucket}/injected/{name}/${{device}}",
    }  # fmt: skip
    create_text_table(made, name, projection, keys=("device",))
    caller = maker(made)
    assert rows(caller, succeeded(query(caller, f"SELECT line FROM {name} WHERE device = 'device-7'", lake=made)))[1:] == [["seven"]]
    assert query(caller, f"SELECT line FROM {name}", lake=made)["Status"]["State"] == "FAILED"


def create_text_table(made: Lake, name: str, parameters: dict[str, str], *, keys: tuple[str, ...]) -> None:
    made.aws.client("glue").create_table(
        DatabaseName=made.database,
        TableInput={
            "Name": name, "TableType": "EXTERNAL_TABLE", "Parameters": {"EXTERNAL": "TRUE", **parameters},
            "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
            "StorageDescriptor": {
                "Columns": [{"Name": "line", "Type": "string"}], "Location": f"s3://{made.bucket}/projected/{name}/",
                "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", "Parameters": {"field.delim": ","}},
            },
        },
    )  # fmt: skip


def test_the_definition_of_a_table_comes_line_by_line(made: Lake) -> None:
    caller = maker(made)
    shown = succeeded(query(caller, "-- how it was made\nSHOW CREATE TABLE sales", lake=made))
    answer = caller.client("athena").get_query_results(QueryExecutionId=shown["QueryExecutionId"])["ResultSet"]
    assert [column["Name"] for column in answer["ResultSetMetadata"]["ColumnInfo"]] == ["createtab_stmt"]
    found = rows(caller, shown)
    assert len(found) > 4
    assert all(len(row) == 1 and "\n" not in str(row[0]) for row in found)
    assert ["sales"] in rows(caller, succeeded(query(caller, "SHOW TABLES 'sal*|nothing'", lake=made)))
    assert ["sales"] not in rows(caller, succeeded(query(caller, "SHOW TABLES 'x*'", lake=made)))
