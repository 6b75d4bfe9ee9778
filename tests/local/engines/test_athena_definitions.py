"""Views, tables and databases are defined through Athena, with their caller's rights, and stand in the catalog as Athena leaves them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.platform import Caller, allow
from tests.local.engines.lake import Lake, query, rows
from tests.local.engines.test_athena import RIGHTS, analyst

pytestmark = [pytest.mark.platform, pytest.mark.timeout(500)]

DEFINER = (
    *RIGHTS, "glue:CreateTable", "glue:DeleteTable", "glue:UpdateTable", "glue:CreateDatabase", "glue:DeleteDatabase", "s3:DeleteObject",
)  # fmt: skip


def definer(lake: Lake, *denied: str) -> Caller:
    """Somebody who may also define tables."""
    return lake.aws.caller(allow([right for right in DEFINER if right not in denied]))


def done(lake: Lake, caller: Caller, sql: str) -> dict[str, Any]:
    execution = query(caller, sql, lake=lake)
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    return execution


def refused(lake: Lake, caller: Caller, sql: str) -> str:
    execution = query(caller, sql, lake=lake)
    assert execution["Status"]["State"] == "FAILED", execution["Status"]
    return str(execution["Status"]["StateChangeReason"])


def name(lake: Lake, prefix: str) -> str:
    return lake.aws.name(prefix).replace("-", "_")


def columns(lake: Lake, table: str) -> list[tuple[str, str]]:
    """Columns as the catalog tells them."""
    found = lake.aws.client("glue").get_table(DatabaseName=lake.database, Name=table)["Table"]
    return [(column["Name"], column["Type"]) for column in found["StorageDescriptor"]["Columns"]]


def test_a_view_is_made_read_replaced_listed_and_dropped(lake: Lake) -> None:
    somebody, table, view = definer(lake), lake.table(name(lake, "base")), name(lake, "view")
    done(lake, somebody, f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b')")
    made = done(lake, somebody, f"CREATE VIEW {view} AS SELECT id, name AS called, now() AS at FROM {table}")
    assert made["StatementType"] == "DDL"
    found = lake.aws.client("glue").get_table(DatabaseName=lake.database, Name=view)["Table"]
    assert (found["TableType"], found["ViewOriginalText"][:16]) == ("VIRTUAL_VIEW", "/* Presto View: ")
    assert columns(lake, view)[:2] == [("id", "int"), ("called", "string")]
    assert rows(analyst(lake), done(lake, analyst(lake), f"SELECT called FROM {view} WHERE id = 2"))[1:] == [["b"]]
    assert "already exists" in refused(lake, somebody, f"CREATE VIEW {view} AS SELECT 1 AS x")
    done(lake, somebody, f"CREATE OR REPLACE VIEW {view} AS SELECT 7 AS x")
    assert columns(lake, view) == [("x", "int")]
    listed = rows(analyst(lake), done(lake, analyst(lake), f"SHOW VIEWS IN {lake.database} LIKE '{view}'"))
    assert [view] in listed
    assert [table] not in listed
    done(lake, somebody, f"DROP VIEW {view}")
    done(lake, somebody, f"DROP VIEW IF EXISTS {view}")
    assert view in refused(lake, somebody, f"DROP VIEW {view}")


@pytest.mark.parametrize(
    ("missing", "sql"),
    [
        ("glue:CreateTable", "CREATE VIEW {new} AS SELECT 1 AS x"),
        ("glue:GetTable", "CREATE VIEW {new} AS SELECT * FROM {table}"),
        ("glue:UpdateTable", "ALTER TABLE {table} ADD COLUMNS (x int)"),
        ("glue:DeleteTable", "ALTER TABLE {table} RENAME TO {new}"),
        ("s3:PutObject", "ALTER TABLE {table} ADD COLUMNS (x int)"),
        ("glue:CreateTable", "CREATE EXTERNAL TABLE {new} (x string) LOCATION 's3://{bucket}/files/'"),
        ("s3:ListBucket", "CREATE EXTERNAL TABLE {new} (x string) LOCATION 's3://{bucket}/files/'"),
        ("glue:CreateDatabase", "CREATE DATABASE {new}"),
        ("glue:DeleteDatabase", "DROP DATABASE {new}"),
    ],
)
def test_a_definition_needs_its_callers_rights(lake: Lake, missing: str, sql: str) -> None:
    table = lake.table(name(lake, "base"))
    statement = sql.format(table=table, new=name(lake, "new"), bucket=lake.bucket)
    assert missing in refused(lake, definer(lake, missing), statement)


def test_an_iceberg_table_is_defined_changed_and_renamed(lake: Lake) -> None:
    somebody, table, other = definer(lake), name(lake, "t"), name(lake, "other")
    place = f"s3://{lake.bucket}/defined/{table}"
    done(
        lake,
        somebody,
        f"CREATE TABLE {table} (`id` bigint COMMENT 'Number', at timestamp, name string) PARTITIONED BY (bucket(4, id), day(at)) "
        f"LOCATION '{place}' TBLPROPERTIES ('table_type'='ICEBERG', 'format'='parquet')",
    )
    assert columns(lake, table) == [("id", "bigint"), ("at", "timestamp"), ("name", "string")]
    done(lake, somebody, f"INSERT INTO {table} VALUES (1, TIMESTAMP '2026-01-02 03:04:05', 'a')")
    done(lake, somebody, f"ALTER TABLE {table} ADD COLUMNS (n int, more struct<a:string,b:array<int>>)")
    done(lake, somebody, f"ALTER TABLE {table} CHANGE COLUMN n many bigint COMMENT 'How many'")
    done(lake, somebody, f"ALTER TABLE {table} DROP COLUMN more")
    assert columns(lake, table) == [("id", "bigint"), ("at", "timestamp"), ("name", "string"), ("many", "bigint")]
    done(lake, somebody, f"ALTER TABLE `{lake.database}`.`{table}` RENAME TO `{lake.database}`.`{other}`")
    assert rows(analyst(lake), done(lake, analyst(lake), f"SELECT id, many FROM {other}"))[1:] == [["1", None]]
    assert table in refused(lake, somebody, f"SELECT * FROM {table}")
    assert "SET TBLPROPERTIES (a)" in refused(lake, somebody, f"ALTER TABLE {other} SET TBLPROPERTIES ('a'='b')")
    assert "non-empty" in refused(
        lake, somebody, f"CREATE TABLE {table} (id int) LOCATION '{place}' TBLPROPERTIES ('table_type'='ICEBERG')"
    )


def test_a_table_over_files_is_defined_read_and_changed_and_its_versions_are_kept(lake: Lake) -> None:
    somebody, table, glue = definer(lake), name(lake, "csv"), lake.aws.client("glue")
    lake.aws.client("s3").put_object(Bucket=lake.bucket, Key=f"files/{table}/a.csv", Body=b'x,y\n1,"a, b"\n2,\n')
    define = (
        f"create external table `{lake.database}`.`{table}` (`x` string, `y` string) row format serde "
        f"'org.apache.hadoop.hive.serde2.OpenCSVSerde' location 's3://{lake.bucket}/files/{table}/' tblproperties ('skip.header.line.count'='1')"
    )
    done(lake, somebody, define)
    assert "already exists" in refused(lake, somebody, define)
    assert rows(analyst(lake), done(lake, analyst(lake), f"SELECT CAST(x AS int) + 1, y FROM {table} ORDER BY x"))[1] == ["2", "a, b"]
    done(lake, somebody, f"ALTER TABLE {table} SET TBLPROPERTIES ('classification' = 'csv')")
    done(lake, somebody, f"ALTER TABLE {table} ADD COLUMNS (z string COMMENT 'new')")
    found = glue.get_table(DatabaseName=lake.database, Name=table)["Table"]
    assert (found["Parameters"]["classification"], found["Parameters"]["skip.header.line.count"]) == ("csv", "1")
    assert columns(lake, table) == [("x", "string"), ("y", "string"), ("z", "string")]
    assert "is for Iceberg tables" in refused(lake, somebody, f"ALTER TABLE {table} RENAME TO other")
    named = {"DatabaseName": lake.database, "TableName": table}
    versions = glue.get_table_versions(**named)["TableVersions"]
    assert [len(version["Table"]["StorageDescriptor"]["Columns"]) for version in versions] == [3, 2, 2]
    oldest = versions[-1]["VersionId"]
    assert "classification" not in glue.get_table_version(**named, VersionId=oldest)["TableVersion"]["Table"]["Parameters"]
    glue.delete_table_version(**named, VersionId=oldest)
    assert len(glue.get_table_versions(**named)["TableVersions"]) == 2
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        glue.delete_table_version(**named, VersionId=oldest)
    with pytest.raises(ClientError, match="current version"):
        glue.delete_table_version(**named, VersionId=versions[0]["VersionId"])


def test_a_database_is_made_and_dropped_with_what_is_in_it(lake: Lake) -> None:
    somebody, database = definer(lake), name(lake, "db")
    done(lake, somebody, f"CREATE DATABASE IF NOT EXISTS `{database}` COMMENT 'of a test'")
    done(lake, somebody, f"create schema if not exists `{database}`")
    assert lake.aws.client("glue").get_database(Name=database)["Database"]["Description"] == "of a test"
    done(lake, somebody, f"CREATE VIEW {database}.v AS SELECT 1 AS x")
    assert "is not empty" in refused(lake, somebody, f"DROP DATABASE {database}")
    done(lake, somebody, f"DROP DATABASE {database} CASCADE")
    done(lake, somebody, f"DROP SCHEMA IF EXISTS {database}")
    with pytest.raises(ClientError, match="EntityNotFound"):
        lake.aws.client("glue").get_database(Name=database)


def test_the_catalog_tells_the_columns_of_a_table_after_a_change_of_its_rows(lake: Lake) -> None:
    table = lake.table(name(lake, "kept"))
    before = columns(lake, table)
    done(lake, definer(lake), f"INSERT INTO {table} VALUES (1, 'a')")
    assert columns(lake, table) == before == [("id", "int"), ("name", "string")]
