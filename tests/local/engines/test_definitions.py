"""Definitions of views, tables and databases are taken apart before anything is asked or done."""

from __future__ import annotations

import pytest

from local.aws.athena_definitions import (
    CSV_SERDE,
    STORED,
    AlterTable,
    Column,
    CreateDatabase,
    CreateTable,
    CreateView,
    Definition,
    DropDatabase,
    DropView,
    definition,
    trino_type,
)
from local.aws.athena_sql import StatementError, TableName

A = TableName(database="d", table="a")
B = TableName(database="e", table="b")


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ('create or replace view\n  "d"."a" as -- why\n select 1 as x', CreateView(name=A, query="select 1 as x", replaces=True)),
        ("CREATE VIEW a AS (SELECT 1 AS x)", CreateView(name=A, query="(SELECT 1 AS x)", replaces=False)),
        ("DROP VIEW IF EXISTS `e`.`b`", DropView(name=B, if_exists=True)),
        ("ALTER TABLE `a` RENAME TO `e`.`b`", AlterTable(name=A, action="rename", to=B)),
        (
            "alter table a add columns (`x` decimal(10, 2), y map<string, array<int>> comment 'it''s')",
            AlterTable(
                name=A,
                action="add",
                columns=(Column(name="x", type="decimal(10,2)"), Column(name="y", type="map<string,array<int>>", comment="it's")),
            ),
        ),
        (
            "ALTER TABLE a CHANGE COLUMN x Y bigint",
            AlterTable(name=A, action="change", column="x", columns=(Column(name="y", type="bigint"),)),
        ),
        ("ALTER TABLE a DROP COLUMN x", AlterTable(name=A, action="drop", column="x")),
        ("ALTER TABLE a SET TBLPROPERTIES ('a' = 'b', 'c'='d')", AlterTable(name=A, action="set", properties={"a": "b", "c": "d"})),
        ("CREATE SCHEMA IF NOT EXISTS `D` COMMENT 'x'", CreateDatabase(name="d", if_not_exists=True, comment="x")),
        ("DROP DATABASE d CASCADE", DropDatabase(name="d", if_exists=False, cascades=True)),
        ("CREATE TABLE a AS SELECT 1 AS x", None),
        ("CREATE TABLE a WITH (format = 'ORC') AS SELECT 1 AS x", None),
        ("DROP TABLE a", None),
    ],
)
def test_a_definition_is_taken_apart(sql: str, found: Definition | None) -> None:
    assert definition(sql, database="d") == found


def test_a_table_over_files_says_how_they_are_read() -> None:
    sql = """CREATE EXTERNAL TABLE IF NOT EXISTS e.b (`x` string, `y` string) COMMENT 'c' PARTITIONED BY (day date)
        ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde' WITH SERDEPROPERTIES ('separatorChar' = ';')
        LOCATION 's3://bucket/f/' TBLPROPERTIES ('skip.header.line.count'='1')"""
    found = definition(sql, database="d")
    assert isinstance(found, CreateTable)
    assert (found.name, found.if_not_exists, found.comment, found.location) == (B, True, "c", "s3://bucket/f/")
    assert [column.name for column in (*found.columns, *found.partitioned_by)] == ["x", "y", "day"]
    assert found.storage == (*STORED["TEXTFILE"][:2], CSV_SERDE)
    assert (found.serde_properties, found.properties) == ({"separatorChar": ";"}, {"skip.header.line.count": "1"})
    delimited = definition(
        "CREATE EXTERNAL TABLE a (x int) ROW FORMAT DELIMITED FIELDS TERMINATED BY '|' STORED AS TEXTFILE LOCATION 's3://bucket/f/'",
        database="d",
    )
    assert isinstance(delimited, CreateTable)
    assert delimited.serde_properties == {"field.delim": "|", "serialization.format": "|"}


def test_partition_transforms_of_an_iceberg_table_are_turned_into_trinos() -> None:
    found = definition(
        "CREATE TABLE a (id bigint, t timestamp) PARTITIONED BY (bucket(16, id), day(t)) LOCATION 's3://bucket/f' "
        "TBLPROPERTIES ('table_type'='iceberg')",
        database="d",
    )
    assert isinstance(found, CreateTable)
    assert [column.name for column in found.partitioned_by] == ["bucket(id, 16)", "day(t)"]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("ALTER VIEW a AS SELECT 1", "does not run ALTER VIEW"),
        ("ALTER TABLE a SET LOCATION 's3://x/y'", "RENAME TO, ADD COLUMNS"),
        ("ALTER TABLE a ADD COLUMNS (x text)", "does not know the type text"),
        ("ALTER TABLE a ADD COLUMNS (x int, X int)", "Duplicate column name: x"),
        ("ALTER TABLE a CHANGE COLUMN x y int AFTER z", "mismatched input 'AFTER'"),
        ("ALTER TABLE a SET TBLPROPERTIES ('a'='b', 'a'='c')", "a is given twice"),
        ("CREATE TABLE a (x int) LOCATION 's3://bucket/f'", "either CREATE EXTERNAL TABLE, or"),
        ("CREATE EXTERNAL TABLE a (x int)", "LOCATION is a folder in S3"),
        ("CREATE EXTERNAL TABLE a (x int) CLUSTERED BY (x) INTO 2 BUCKETS LOCATION 's3://bucket/f'", "in buckets"),
        ("CREATE EXTERNAL TABLE a (x int) STORED AS RCFILE LOCATION 's3://bucket/f'", "STORED AS PARQUET"),
        ("CREATE EXTERNAL TABLE a (x int) ROW FORMAT SERDE 'x.Y' LOCATION 's3://bucket/f'", "not x.Y"),
        ("CREATE EXTERNAL TABLE a (x int) ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde' LOCATION 's3://bucket/f'", "type string"),
        ("CREATE TABLE a (x int) LOCATION 's3://bucket/f' TBLPROPERTIES ('table_type'='ICEBERG', 'vacuum_max_snapshot_age_seconds'='1')", "not vacuum"),
        ("CREATE EXTERNAL TABLE a", r"Expecting: \("),
        ("DROP VIEW a CASCADE", "mismatched input 'CASCADE'"),
    ],
)  # fmt: skip
def test_what_is_not_served_is_refused_by_name(sql: str, said: str) -> None:
    with pytest.raises(StatementError, match=said):
        definition(sql, database="d")


def test_types_of_hive_are_said_in_trinos_words() -> None:
    assert trino_type("struct<a:string,b:array<decimal(10, 2)>>") == 'row("a" varchar, "b" array(decimal(10,2)))'
    assert trino_type("map<string,timestamp>") == "map(varchar, timestamp(6))"
