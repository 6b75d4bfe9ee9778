"""What a statement does is told before it runs, and values are written as Athena writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.aws.athena_files import hive_type
from local.aws.athena_outputs import Deallocate, Execute, Prepare, prepared
from local.aws.athena_results import csv_line, read_csv, text_of
from local.aws.athena_reuse import is_stable
from local.aws.athena_sql import StatementError, TableName
from local.aws.athena_statements import bind, kind_of, look_at
from local.aws.glue_arguments import InvalidJobError, check, parse


def reads(sql: str) -> set[str]:
    return {f"{name.database}.{name.table}" for name in look_at(sql, database="d").reads}


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT * FROM a JOIN b.c USING (x)", {"d.a", "b.c"}),
        ("WITH w AS (SELECT * FROM a) SELECT * FROM w", {"d.a"}),
        ('SELECT * FROM "AwsDataCatalog"."b"."C$files"', {"b.c"}),
        ("(SELECT 1 FROM a) UNION SELECT 2 FROM b", {"d.a", "d.b"}),
        ("SELECT (SELECT max(x) FROM a) WHERE EXISTS (SELECT 1 FROM b)", {"d.a", "d.b"}),
        ("SELECT * FROM UNNEST(ARRAY[1]) AS t(x)", set()),
        ("EXPLAIN (TYPE LOGICAL) SELECT * FROM a", {"d.a"}),
        ("explain analyze verbose SELECT * FROM a", {"d.a"}),
        ("EXPLAIN (SELECT * FROM a)", {"d.a"}),
        ("EXPLAIN DELETE FROM a", {"d.a"}),
        ("DESCRIBE b.c", {"b.c"}),
        ("SHOW CREATE TABLE c", {"d.c"}),
        ("MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DELETE", {"d.a", "d.b"}),
    ],
)
def test_every_table_that_is_named_is_found(sql: str, tables: set[str]) -> None:
    assert reads(sql) == tables


def test_the_table_that_changes_is_told() -> None:
    assert look_at("INSERT INTO b.c SELECT * FROM a", database="d").writes == TableName(database="b", table="c")
    assert look_at("SELECT * FROM a", database="d").writes is None


@pytest.mark.parametrize("options", ["ANALYZE", "analyze verbose", "ANALYZE /* quickly */", "-- slowly\nANALYZE"])
@pytest.mark.parametrize("run", ["DELETE FROM a", "INSERT INTO a SELECT 1", "CREATE TABLE a AS SELECT 1", "EXPLAIN ANALYZE DELETE FROM a"])
def test_what_explaining_would_run_is_refused_unless_it_is_a_query(options: str, run: str) -> None:
    with pytest.raises(StatementError, match="NOT_SUPPORTED"):
        look_at(f"EXPLAIN {options} {run}", database="d")


@pytest.mark.parametrize("sql", ["EXPLAIN", "EXPLAIN DROP TABLE a", "EXPLAIN (FORMAT JSON SELECT 1", "EXPLAIN ANALYZE"])
def test_an_explanation_of_nothing_that_is_served_is_refused(sql: str) -> None:
    with pytest.raises(StatementError):
        look_at(sql, database="d")


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "DROP FUNCTION a",
        "CREATE TABLE a (x int)",
        "ALTER TABLE a ADD PARTITION (x = 1)",
        "SELECT * FROM TABLE(x())",
        "SELECT 1; SELECT 2",
        "SELECT * FROM lake.a.b",
        "SHOW GRANTS",
        "CALL x()",
    ],
)
def test_other_statements_are_refused(sql: str) -> None:
    with pytest.raises(StatementError):
        look_at(sql, database="d")


def test_only_literals_take_the_place_of_question_marks_outside_of_texts() -> None:
    assert (
        bind("SELECT '?' WHERE a = ? AND b > ?", ["'x''?'", "DATE '2026-01-01'"]) == "SELECT '?' WHERE a = 'x''?' AND b > DATE '2026-01-01'"
    )
    for parameters in ([], ["1"], ["1", "2", "3"], ["1", "a"], ["1", "1 OR 1 = 1"]):
        with pytest.raises(StatementError):
            bind("SELECT 1 WHERE 1 = ? + ?", parameters)


@pytest.mark.parametrize(
    "sql", ["SELECT ? FROM a", "SELECT a FROM b LIMIT ?", "UNLOAD (SELECT ? FROM a) TO 's3://bucket/x/' WITH (format = 'ORC')"]
)
def test_question_marks_stand_in_where_clauses_as_in_athena(sql: str) -> None:
    with pytest.raises(StatementError, match="WHERE clause only"):
        bind(sql, ["1"])
    bound = bind("UNLOAD (SELECT a FROM b WHERE c = ?) TO 's3://bucket/x/' WITH (format = 'ORC')", ["1"])
    assert bound == "UNLOAD (SELECT a FROM b WHERE c = 1) TO 's3://bucket/x/' WITH (format = 'ORC')"


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("-- why\nSELECT 1", "DML"), ("/* a */ ( SELECT 1 )", "DML"), ("/* SHOW */ INSERT INTO a VALUES (1)", "DML"), ("-- x\nSHOW TABLES", "UTILITY"),
        ("UNLOAD (SELECT 1) TO 's3://a/b' WITH (format = 'ORC')", "DML"), ("CREATE TABLE a AS SELECT 1 AS x", "DML"), ("DROP TABLE a", "DDL"),
        ("PREPARE a FROM SELECT 1", "DDL"), ("EXECUTE a", "DML"), ("CREATE OR REPLACE VIEW a AS SELECT 1 AS x", "DDL"),
        ("CREATE EXTERNAL TABLE a (b int) LOCATION 's3://x/as/'", "DDL"), ("ALTER TABLE a RENAME TO b", "DDL"),
    ],
)  # fmt: skip
def test_a_comment_in_front_does_not_change_what_a_statement_is(sql: str, kind: str) -> None:
    assert kind_of(sql) == kind


@pytest.mark.parametrize("sql", ["-- all of it\nSHOW TABLES 'a*'", "SHOW /* these */ TABLES IN d 'a*|b'", "SHOW TABLES FROM d LIKE 'a*|b'"])
def test_the_filter_of_show_tables_is_kept(sql: str) -> None:
    statement = look_at(sql, database="d")
    assert statement.sql == 'SHOW TABLES FROM "d"'
    assert statement.only is not None
    assert [name for name in ("abc", "cab", "a.c") if statement.only.fullmatch(name)] == ["abc", "a.c"]


def test_databases_are_filtered_by_a_regular_expression() -> None:
    statement = look_at("SHOW DATABASES LIKE 'sil.*'", database="d")
    assert statement.only is not None
    assert [name for name in ("silver_tpch", "bronze_tpch") if statement.only.fullmatch(name)] == ["silver_tpch"]
    for bad in ("SHOW DATABASES 'x'", "SHOW TABLES a b", "SHOW DATABASES LIKE '('"):
        with pytest.raises(StatementError):
            look_at(bad, database="d")


def test_an_unload_is_taken_apart() -> None:
    files = look_at(
        "UNLOAD (SELECT a, (b) AS b, c FROM t WHERE x = ')') TO 's3://bucket/folder/' WITH (format = 'parquet', compression='snappy', partitioned_by = ARRAY['b', 'c'])",
        database="d",
    ).files
    assert files is not None
    assert (files.query, files.location, files.format, files.compression) == (
        "SELECT a, (b) AS b, c FROM t WHERE x = ')'", "s3://bucket/folder/", "PARQUET", "SNAPPY",
    )  # fmt: skip
    assert files.partitioned_by == ("b", "c")
    assert reads("UNLOAD (SELECT * FROM a JOIN b.c USING (x)) TO 's3://bucket/f' WITH (format='ORC')") == {"d.a", "b.c"}


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UNLOAD (SELECT 1 AS a) TO 's3://bucket/f'", "Expecting: WITH"),
        ("UNLOAD (SELECT 1 AS a) TO 's3://bucket/f' WITH (compression = 'GZIP')", "needs the property format"),
        ("UNLOAD (SELECT 1 AS a) TO 's3://bucket/f' WITH (format = 'CSV')", "PARQUET, ORC"),
        ("UNLOAD (SELECT 1 AS a) TO 's3://bucket/f' WITH (format = 'PARQUET', compression = 'LZO')", "GZIP, SNAPPY"),
        ("UNLOAD (SELECT 1 AS a) TO 's3://bucket/f' WITH (format = 'AVRO', compression = 'GZIP')", "no compression"),
        ("UNLOAD (SELECT 1 AS a) TO 's3://bucket/f' WITH (format = 'TEXTFILE', field_delimiter = '||')", "one character"),
        ("UNLOAD (SELECT 1 AS a) TO 's3://bucket/f' WITH (format = 'ORC', bucketed_by = ARRAY['a'])", "not bucketed_by"),
        ("UNLOAD (SELECT 1 AS a) TO '/tmp/f' WITH (format = 'ORC')", "no folder in S3"),
        ("UNLOAD (DELETE FROM a) TO 's3://bucket/f' WITH (format = 'ORC')", "a query is expected"),
        ("CREATE TABLE a WITH (table_type = 'ICEBERG') AS SELECT 1 AS a", "is_external = false"),
        ("CREATE TABLE a WITH (table_type = 'ICEBERG', is_external = false) AS SELECT 1 AS a", "needs location"),
        ("CREATE TABLE a WITH (table_type = 'DELTA') AS SELECT 1 AS a", "HIVE or ICEBERG"),
        ("CREATE TABLE a WITH (bucket_count = 5) AS SELECT 1 AS a", "not bucket_count"),
        ("CREATE FUNCTION a", "does not run CREATE FUNCTION"),
        ("create or  replace table a AS SELECT 1 AS a", "does not run CREATE OR REPLACE TABLE"),
    ],
)
def test_what_unload_and_create_table_as_do_not_do_is_refused_by_name(sql: str, said: str) -> None:
    with pytest.raises(StatementError, match=said):
        look_at(sql, database="d")


def test_statements_about_kept_statements_are_taken_apart() -> None:
    assert prepared("PREPARE mine FROM SELECT * FROM a WHERE b = ?") == Prepare(name="mine", query="SELECT * FROM a WHERE b = ?")
    assert prepared("execute mine using 'a, b', DECIMAL '1.0', -5") == Execute(name="mine", values=("'a, b'", "DECIMAL '1.0'", "-5"))
    assert prepared("EXECUTE mine") == Execute(name="mine", values=())
    assert prepared("DEALLOCATE PREPARE mine") == Deallocate(name="mine")
    for bad in ("EXECUTE mine USING", "DEALLOCATE mine", "PREPARE mine", "EXECUTE"):
        with pytest.raises(StatementError):
            prepared(bad)


def test_only_a_query_that_gives_the_same_rows_again_may_be_reused() -> None:
    for sql in ("SELECT 1", "WITH a AS (SELECT 1) SELECT * FROM a", "SELECT a FROM b ORDER BY a LIMIT 5"):
        assert is_stable(sql), sql
    for sql in ("SELECT now()", "SELECT a FROM b LIMIT 5", "SELECT current_date", "INSERT INTO a SELECT 1", "SHOW TABLES"):
        assert not is_stable(sql), sql


def test_types_are_written_as_hive_writes_them() -> None:
    assert hive_type("array(row(a integer, b varchar))") == "array<struct<a:int,b:string>>"
    assert hive_type("map(varchar, decimal(15, 2))") == "map<string,decimal(15,2)>"
    assert [hive_type(kind) for kind in ("varchar", "varchar(5)", "timestamp(3)", "real")] == ["string", "varchar(5)", "timestamp", "float"]


def test_numbers_are_written_as_java_writes_them() -> None:
    double = {"rawType": "double", "arguments": []}
    assert [text_of(value, double) for value in (1, 1e7, 1.5e-4, 123456.789, 0.001, -2.5, "NaN")] == [
        "1.0", "1.0E7", "1.5E-4", "123456.789", "0.001", "-2.5", "NaN",
    ]  # fmt: skip
    assert text_of("YWI=", {"rawType": "varbinary", "arguments": []}) == "61 62"
    assert text_of(None, double) is None


@given(st.lists(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4), max_size=5))
def test_a_result_object_gives_back_every_text_and_every_null(lines: list[list[str | None]]) -> None:
    assert list(read_csv("".join(csv_line(line) for line in lines))) == lines


def test_job_arguments_are_sorted_out() -> None:
    found = parse(
        {"--conf": "spark.a=1 --conf spark.b=x y", "--extra-py-files": "s3://a/b.zip, s3://a/c.zip", "--datalake-formats": "iceberg", "--mine": "1"},
        job_name="j", run_id="jr_1",
    )  # fmt: skip
    assert (found.conf, found.py_files) == ({"spark.a": "1", "spark.b": "x y"}, ("s3://a/b.zip", "s3://a/c.zip"))
    assert found.script == ("--JOB_NAME", "j", "--JOB_RUN_ID", "jr_1", "--mine", "1")
    for bad in ({"--extra-files": "s3://a/b.jar"}, {"mine": "1"}, {"--big": "x" * 300_000}, {"--extra-py-files": "/tmp/x.zip"}):
        with pytest.raises(InvalidJobError):
            check(bad)
