"""What a statement does is told before it runs, and values are written as Athena writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.aws.athena_results import csv_line, read_csv, text_of
from local.aws.athena_statements import StatementError, TableName, bind, look_at
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
    "sql", ["", "DROP TABLE a", "SELECT * FROM TABLE(x())", "SELECT 1; SELECT 2", "SELECT * FROM lake.a.b", "SHOW GRANTS", "CALL x()"]
)
def test_other_statements_are_refused(sql: str) -> None:
    with pytest.raises(StatementError):
        look_at(sql, database="d")


def test_only_literals_take_the_place_of_question_marks_outside_of_texts() -> None:
    assert (
        bind("SELECT '?' WHERE a = ? AND b > ?", ["'x''?'", "DATE '2026-01-01'"]) == "SELECT '?' WHERE a = 'x''?' AND b > DATE '2026-01-01'"
    )
    for parameters in (["1"], ["1", "2", "3"], ["1", "a"], ["1", "1 OR 1 = 1"]):
        with pytest.raises(StatementError):
            bind("SELECT ? + ?", parameters)


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
    for bad in ({"--extra-jars": "s3://a/b.jar"}, {"mine": "1"}, {"--big": "x" * 300_000}, {"--extra-py-files": "/tmp/x.zip"}):
        with pytest.raises(InvalidJobError):
            check(bad)
