"""Statements of the warehouse: what is written, and what cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import duckdb
import pytest
import sqlglot

from cli.session import ROOT
from lakehouse.contracts.model import CompiledContract, HotRows
from lakehouse.warehouse import loads, text
from lakehouse.warehouse.copying import CsvFiles, JsonFiles, ManifestEntry, ParquetFiles, copy_statement, manifest
from lakehouse.warehouse.data_api import check_batch
from lakehouse.warehouse.evolution import columns_found, evolution
from lakehouse.warehouse.tables import WarehouseColumn, WarehouseTable, create_statements, redshift_type, table_of
from lakehouse.warehouse.text import SqlRefused
from lakehouse.warehouse.unloading import CsvOutput, JsonOutput, ParquetOutput, unload_statement

ROLE = "arn:aws:iam::123456789012:role/loader"
FOLDER = "s3://bucket/unload/orders/run/1/"
ARCHIVE = "day < (SELECT COALESCE(MIN(day), DATE '9999-12-31') FROM {hot})"
"""Rows of the lake that the warehouse does not hold any more, as the view of docs/warehouse.md takes them."""


def column(name: str, type_: str, source_type: str, **more: str) -> WarehouseColumn:
    return WarehouseColumn(name=name, type=type_, source_type=source_type, **more)


TABLE = WarehouseTable(
    schema="gold_sales",
    name="daily",
    columns=(
        column("day", "DATE", "date", description="Day of the orders, 'as ordered'."),
        column("segment", "VARCHAR(40)", "string", encoding="zstd"),
        column("revenue", "DECIMAL(38,4)", "decimal(38, 4)"),
        column("closed_at", "TIMESTAMPTZ", "timestamptz"),
    ),
    keys=("day", "segment"),
    dist_style="key",
    dist_key="segment",
    sort_keys=("day",),
    description="Revenue by day.",
)


def plain() -> WarehouseTable:
    return replace(TABLE, columns=TABLE.columns[:3])


def test_a_table_is_made_with_types_keys_layout_and_comments() -> None:
    schema, table, *comments = create_statements(TABLE)
    assert schema == 'CREATE SCHEMA IF NOT EXISTS "gold_sales"'
    assert table == (
        'CREATE TABLE IF NOT EXISTS "gold_sales"."daily" ("day" DATE NOT NULL, "segment" VARCHAR(40) ENCODE ZSTD NOT NULL, '
        '"revenue" DECIMAL(38,4), "closed_at" TIMESTAMPTZ, PRIMARY KEY ("day", "segment")) DISTSTYLE KEY DISTKEY ("segment") COMPOUND SORTKEY ("day")'
    )
    assert comments == [
        """COMMENT ON TABLE "gold_sales"."daily" IS 'Revenue by day.'""",
        """COMMENT ON COLUMN "gold_sales"."daily"."day" IS 'Day of the orders, ''as ordered''.'""",
    ]


def test_what_the_contract_leaves_out_redshift_chooses() -> None:
    _, table, *_ = create_statements(replace(TABLE, dist_style="auto", dist_key=None, sort_keys=()))
    assert table.endswith("DISTSTYLE AUTO SORTKEY AUTO")


def test_a_table_survives_its_journey_to_the_custom_resource() -> None:
    assert WarehouseTable.from_dict(json.loads(json.dumps(TABLE.to_dict()))) == TABLE


@pytest.mark.parametrize(
    ("iceberg", "redshift"),
    [
        ("string", "VARCHAR(65535)"),
        ("int", "INTEGER"),
        ("long", "BIGINT"),
        ("float", "REAL"),
        ("double", "DOUBLE PRECISION"),
        ("boolean", "BOOLEAN"),
        ("date", "DATE"),
        ("timestamp", "TIMESTAMP"),
        ("timestamptz", "TIMESTAMPTZ"),
        ("decimal(15, 2)", "DECIMAL(15,2)"),
    ],
)
def test_types(iceberg: str, redshift: str) -> None:
    assert redshift_type(iceberg, column="sales.orders.x") == redshift


def test_lengths_are_bytes() -> None:
    assert redshift_type("string", column="x", max_length=10) == "VARCHAR(40)"
    assert redshift_type("string", column="x", max_length=60_000) == "VARCHAR(65535)"


@pytest.mark.parametrize("iceberg", ["binary", {"type": "list", "element": "string"}, {"type": "struct", "fields": []}, {"type": "map"}])
def test_a_type_that_no_column_holds_is_refused_with_the_way_out(iceberg: str) -> None:
    with pytest.raises(SqlRefused, match=r"sales\.orders\.x is .*: (give the gold dataset|write text)"):
        redshift_type(iceberg, column="sales.orders.x")


def test_a_contract_gives_its_table(contracts: dict[str, CompiledContract]) -> None:
    table = table_of(contracts["tpch.daily_revenue"])
    assert (table.schema, table.name, table.keys) == ("gold_tpch", "daily_revenue", ("o_orderdate", "c_mktsegment"))
    assert [c.type for c in table.columns] == ["DATE", "VARCHAR(65535)", "DECIMAL(38,4)", "BIGINT"]
    assert (table.dist_style, table.sort_keys) == ("auto", ())


def found(table: WarehouseTable) -> dict[str, str]:
    return {c.name: c.type for c in table.columns}


def test_a_table_that_is_as_it_should_be_only_gets_its_comments() -> None:
    change = evolution(TABLE, found(TABLE), before=TABLE)
    assert change.alone == ()
    assert all(statement.startswith("COMMENT") for statement in change.together)


def test_a_new_column_is_added_and_a_text_may_grow() -> None:
    grown = replace(TABLE, columns=(*TABLE.columns[:2], column("note", "VARCHAR(80)", "string"), *TABLE.columns[2:]))
    change = evolution(grown, {**found(TABLE)})
    assert change.together[0] == 'ALTER TABLE "gold_sales"."daily" ADD COLUMN "note" VARCHAR(80)'
    change = evolution(grown, {**found(TABLE), "note": "VARCHAR(40)"})
    assert change.alone == ('ALTER TABLE "gold_sales"."daily" ALTER COLUMN "note" TYPE VARCHAR(80)',)


def test_a_column_that_the_contract_dropped_stays() -> None:
    change = evolution(plain(), found(TABLE))
    assert not any("DROP" in statement for statement in (*change.together, *change.alone))


def test_rows_may_be_spread_and_sorted_otherwise_later() -> None:
    change = evolution(replace(TABLE, dist_style="even", dist_key=None, sort_keys=()), found(TABLE), before=TABLE)
    assert change.alone == (
        'ALTER TABLE "gold_sales"."daily" ALTER DISTSTYLE EVEN',
        'ALTER TABLE "gold_sales"."daily" ALTER SORTKEY AUTO',
    )


@pytest.mark.parametrize(
    ("is_", "said"),
    [
        ({"revenue": "DECIMAL(15,2)"}, "changes the length of VARCHAR only"),
        ({"closed_at": "TIMESTAMP"}, "changes the length of VARCHAR only"),
        ({"segment": "VARCHAR(20)"}, "part of the primary key"),
        ({"segment": "VARCHAR(80)"}, "may cut what it holds"),
    ],
)
def test_what_redshift_cannot_change_is_refused_with_the_way_out(is_: dict[str, str], said: str) -> None:
    with pytest.raises(SqlRefused, match=rf"{said}.*drop gold_sales.daily by a migration"):
        evolution(TABLE, {**found(TABLE), **is_})


def test_a_changed_key_is_refused() -> None:
    with pytest.raises(SqlRefused, match="primary key"):
        evolution(replace(TABLE, keys=("day",)), found(TABLE), before=TABLE)
    with pytest.raises(SqlRefused, match="new key column segment"):
        evolution(TABLE, {"day": "DATE"})


def test_the_catalog_is_read_in_its_own_words() -> None:
    rows = [
        {
            "column_name": "a",
            "data_type": "character varying",
            "character_maximum_length": 40,
            "numeric_precision": None,
            "numeric_scale": None,
        },
        {"column_name": "b", "data_type": "numeric", "character_maximum_length": None, "numeric_precision": 38, "numeric_scale": 4},
        {"column_name": "c", "data_type": "timestamp with time zone", "numeric_precision": None, "numeric_scale": None},
    ]
    assert columns_found(rows) == {"a": "VARCHAR(40)", "b": "DECIMAL(38,4)", "c": "TIMESTAMPTZ"}


def test_copy_of_parquet() -> None:
    assert copy_statement(into="daily", schema="gold_sales", source=FOLDER, role_arn=ROLE, files=ParquetFiles()) == (
        f"""COPY "gold_sales"."daily" FROM '{FOLDER}' IAM_ROLE '{ROLE}' FORMAT AS PARQUET"""
    )
    with_all = copy_statement(
        into="daily",
        source="s3://bucket/m.json",
        role_arn=ROLE,
        files=ParquetFiles(fill_record=True, replace_invalid="?"),
        has_manifest=True,
        explicit_ids=True,
        update_statistics=False,
    )
    assert with_all.endswith("FORMAT AS PARQUET FILLRECORD ACCEPTINVCHARS AS '?' MANIFEST EXPLICIT_IDS STATUPDATE OFF")


def test_copy_of_csv_and_json() -> None:
    files = CsvFiles(delimiter="\t", header_lines=1, compression="gzip", max_errors=10, truncate=True, null_as="NULL", region="eu-west-1")
    assert copy_statement(into="t", source=FOLDER, role_arn=ROLE, files=files, columns=("a", "b")) == (
        rf"""COPY "t" ("a", "b") FROM '{FOLDER}' IAM_ROLE '{ROLE}' FORMAT AS CSV DELIMITER '\t' QUOTE AS '"' IGNOREHEADER 1 NULL AS 'NULL' """
        "DATEFORMAT 'auto' TIMEFORMAT 'auto' TRUNCATECOLUMNS MAXERROR 10 GZIP REGION AS 'eu-west-1'"
    )
    assert copy_statement(into="t", source=FOLDER, role_arn=ROLE, files=JsonFiles(ignore_case=True)).endswith(
        "FORMAT AS JSON 'auto ignorecase'"
    )


@pytest.mark.parametrize(
    "option", ["max_errors", "region", "compression", "delimiter", "header_lines", "null_as", "date_format", "truncate"]
)
def test_parquet_has_no_option_that_copy_would_refuse(option: str) -> None:
    with pytest.raises(TypeError, match=option):
        ParquetFiles(**{option: 1})  # pyright: ignore[reportArgumentType]


REFUSED_COPIES: dict[str, tuple[Callable[[], object], str]] = {
    "columns of parquet": (
        lambda: copy_statement(into="t", source=FOLDER, role_arn=ROLE, files=ParquetFiles(), columns=("a",)),
        "fills columns by their place",
    ),
    "a prefix that takes its neighbours along": (
        lambda: copy_statement(into="t", source="s3://bucket/orders", role_arn=ROLE, files=ParquetFiles()),
        "end the prefix with a slash",
    ),
    "an odd table": (
        lambda: copy_statement(into='t"; DROP TABLE x', source=FOLDER, role_arn=ROLE, files=ParquetFiles()),
        "no name for a table",
    ),
    "an odd place": (
        lambda: copy_statement(into="t", source="s3://bucket/it's/", role_arn=ROLE, files=ParquetFiles()),
        "no address of objects",
    ),
    "an odd role": (lambda: copy_statement(into="t", source=FOLDER, role_arn="loader'", files=ParquetFiles()), "no ARN of a role"),
    "too many errors": (
        lambda: copy_statement(into="t", source=FOLDER, role_arn=ROLE, files=CsvFiles(max_errors=100_001)),
        "max_errors must be",
    ),
    "one character for two": (
        lambda: copy_statement(into="t", source=FOLDER, role_arn=ROLE, files=CsvFiles(delimiter='"')),
        "give two characters",
    ),
    "a long delimiter": (lambda: copy_statement(into="t", source=FOLDER, role_arn=ROLE, files=CsvFiles(delimiter="||")), "one printable"),
    "an odd region": (lambda: copy_statement(into="t", source=FOLDER, role_arn=ROLE, files=CsvFiles(region="x'")), "no region"),
    "a backslash": (lambda: copy_statement(into="t", source=FOLDER, role_arn=ROLE, files=CsvFiles(null_as="\\N'")), "backslash"),
    "a manifest of nothing": (lambda: manifest([]), "names no file"),
    "a manifest of a file twice": (
        lambda: manifest([ManifestEntry(url=f"{FOLDER}a", content_length=1)] * 2),
        "twice, so its rows would be loaded twice",
    ),
    "a manifest without sizes": (lambda: manifest([ManifestEntry(url=f"{FOLDER}a", content_length=0)]), "write its size"),
}


@pytest.mark.parametrize("case", REFUSED_COPIES)
def test_a_copy_that_redshift_would_refuse_is_not_written(case: str) -> None:
    build, said = REFUSED_COPIES[case]
    with pytest.raises(SqlRefused, match=said):
        build()


def test_a_manifest_holds_sizes() -> None:
    document = json.loads(manifest([ManifestEntry(url=f"{FOLDER}a", content_length=7)]))
    assert document == {"entries": [{"url": f"{FOLDER}a", "mandatory": True, "meta": {"content_length": 7}}]}


def test_unload() -> None:
    query = "SELECT * FROM t WHERE name = 'O''Brien'"
    assert unload_statement(query, to=FOLDER, role_arn=ROLE, output=ParquetOutput(), when_not_empty="clean", has_manifest=True) == (
        f"UNLOAD ($${query}$$) TO '{FOLDER}' IAM_ROLE '{ROLE}' FORMAT AS PARQUET MANIFEST CLEANPATH"
    )
    one = unload_statement("SELECT 1", to=FOLDER, role_arn=ROLE, output=CsvOutput(compression="gzip", one_at_a_time=True), max_file_mb=6200)
    assert one.endswith("FORMAT AS CSV DELIMITER AS ',' HEADER GZIP PARALLEL OFF MAXFILESIZE 6200 MB")
    assert unload_statement("SELECT 1", to=FOLDER, role_arn=ROLE, output=JsonOutput()).endswith("FORMAT AS JSON")


@pytest.mark.parametrize("option", ["header", "compression", "delimiter", "one_at_a_time", "null_as"])
def test_parquet_has_no_option_that_unload_would_refuse(option: str) -> None:
    with pytest.raises(TypeError, match=option):
        ParquetOutput(**{option: 1})  # pyright: ignore[reportArgumentType]


REFUSED_UNLOADS: dict[str, tuple[Callable[[], object], str]] = {
    "overwriting without knowing": (
        lambda: unload_statement("SELECT 1", to=FOLDER, role_arn=ROLE, output=JsonOutput(), when_not_empty="overwrite"),
        "leaves files of an earlier, larger answer",
    ),
    "a limit": (lambda: unload_statement("SELECT a FROM t LIMIT 10", to=FOLDER, role_arn=ROLE, output=JsonOutput()), "takes no LIMIT"),
    "dollars": (lambda: unload_statement("SELECT '$$'", to=FOLDER, role_arn=ROLE, output=JsonOutput()), "end the quotation"),
    "a verbose manifest that is none": (
        lambda: unload_statement("SELECT 1", to=FOLDER, role_arn=ROLE, output=JsonOutput(), is_manifest_verbose=True),
        "needs has_manifest",
    ),
    "files beyond the limit": (
        lambda: unload_statement("SELECT 1", to=FOLDER, role_arn=ROLE, output=JsonOutput(), max_file_mb=6201),
        "max_file_mb must be 5-6200",
    ),
    "folders of an unknown column": (
        lambda: unload_statement("SELECT a", to=FOLDER, role_arn=ROLE, output=ParquetOutput(partition_by=("b",)), columns=("a",)),
        "no column 'b'",
    ),
    "kept columns of no folders": (
        lambda: unload_statement("SELECT 1", to=FOLDER, role_arn=ROLE, output=ParquetOutput(keep_partition_columns=True)),
        "needs partition_by",
    ),
}


@pytest.mark.parametrize("case", REFUSED_UNLOADS)
def test_an_unload_that_goes_wrong_is_not_written(case: str) -> None:
    build, said = REFUSED_UNLOADS[case]
    with pytest.raises(SqlRefused, match=said):
        build()


@pytest.mark.parametrize("hostile", ['a"; DROP TABLE x; --', "a b", "A", "ä", "", "1a", "a" * 128, "a.b", "a;b"])
def test_hostile_names_are_refused(hostile: str) -> None:
    with pytest.raises(SqlRefused):
        text.name(hostile)


@pytest.mark.parametrize("hostile", ["2026-11-31", "2026-1-1", "20261122", "' OR 1=1 --", "2026-11-22'", ""])
def test_hostile_days_are_refused(hostile: str) -> None:
    with pytest.raises(SqlRefused):
        text.day(hostile)


def every_plan() -> dict[str, loads.LoadPlan]:
    with_batch = replace(TABLE, columns=(*TABLE.columns, column("_batch_id", "VARCHAR(64)", "string")))
    return {
        "mirror": loads.mirror(TABLE, source=FOLDER, role_arn=ROLE),
        "mirror of nothing": loads.mirror(TABLE, source=None, role_arn=ROLE),
        "mirror without timestamps": loads.mirror(plain(), source=FOLDER, role_arn=ROLE),
        "merge": loads.merge(TABLE, source=FOLDER, role_arn=ROLE),
        "replace": loads.replace_where(TABLE, column="day", value=text.day("2026-11-22"), source=FOLDER, role_arn=ROLE),
        "append": loads.append(with_batch, batch_id="it's", source=FOLDER, role_arn=ROLE),
    }


@pytest.mark.parametrize("plan", every_plan().values(), ids=every_plan())
def test_every_load_is_one_batch_that_redshift_can_read(plan: loads.LoadPlan) -> None:
    check_batch(plan.statements)
    assert not any("TRUNCATE" in statement for statement in plan.statements)
    assert all(loads.purpose(statement) and statement.startswith("/* ") for statement in plan.statements)
    assert all(f"AS {count}" in plan.statements[plan.counts_at] for count in loads.COUNTS)
    for statement in plan.statements:
        if " COPY " not in statement:
            sqlglot.parse_one(statement, read="redshift")


def test_a_mirror_checks_before_it_changes_and_changes_in_one_go() -> None:
    purposes = [loads.purpose(statement) for statement in loads.mirror(TABLE, source=FOLDER, role_arn=ROLE).statements]
    assert purposes == [
        "make the staging table",
        "copy the files",
        "read the timestamps",
        "check that every row has its key",
        "check that no key stands twice",
        "find rows that changed or left",
        "find rows that changed or came",
        "remove them",
        "add them",
        "check that the target has the rows of the files",
        "count",
    ]


def test_the_staging_table_has_the_columns_of_the_files_in_their_order() -> None:
    first, copied, typed, *_ = loads.mirror(TABLE, source=FOLDER, role_arn=ROLE).statements
    assert first.endswith(
        'CREATE TEMP TABLE "load_landed" ("day" DATE, "segment" VARCHAR(40), "revenue" DECIMAL(38,4), "closed_at" VARCHAR(40))'
    )
    assert 'COPY "load_landed" FROM' in copied
    assert """CAST("closed_at" || '+00' AS TIMESTAMPTZ) AS "closed_at" FROM "load_landed\"""" in typed
    assert loads.unload_select(TABLE, database="gold_sales") == (
        """SELECT "day", "segment", "revenue", CAST(CAST("closed_at" AT TIME ZONE 'UTC' AS timestamp(6)) AS varchar) AS "closed_at" """
        'FROM "gold_sales"."daily"'
    )


def test_rows_are_spread_over_files_by_a_column_that_no_table_has_and_no_reader_hides() -> None:
    spread = loads.unload_select(TABLE, database="gold_sales", files=4)
    assert f', 4) AS "{loads.FILE_COLUMN}" FROM' in spread
    assert loads.FILE_COLUMN[0].isalpha()
    with pytest.raises(SqlRefused, match="has a column load_file, by which rows are spread"):
        loads.unload_select(replace(TABLE, columns=(replace(TABLE.columns[0], name="load_file"),)), database="gold_sales", files=4)


def test_only_rows_of_the_last_days_are_unloaded_where_the_contract_says_so() -> None:
    table = replace(TABLE, columns=(WarehouseColumn(name="day", type="DATE", source_type="date"),), keys=("day",))
    selected = loads.unload_select(table, database="gold_sales", hot=HotRows(column="day", days=90))
    assert selected == f'SELECT "day" FROM "gold_sales"."{table.name}" WHERE "day" > current_date - INTERVAL \'90\' DAY'


def test_each_row_is_hot_or_in_the_archive_and_none_is_both() -> None:
    """The view of docs/warehouse.md over the warehouse and the lake, whatever day it is; DuckDB reads these conditions as Athena does."""
    with duckdb.connect() as lake:
        lake.execute("CREATE TABLE lake AS SELECT CAST(current_date - n * INTERVAL 1 DAY AS DATE) AS day FROM range(-2, 200, 3) AS days(n)")
        lake.execute(f"CREATE TABLE hot AS SELECT * FROM lake WHERE {loads.hot_rows(HotRows(column='day', days=90))}")
        kept = lake.execute("SELECT MIN(current_date - day), MAX(current_date - day), COUNT(*) FROM hot").fetchall()
        assert kept == [(-2, 88, 31)]
        for emptied in (False, True):
            if emptied:
                lake.execute("DELETE FROM hot")
            both = f"SELECT day FROM hot UNION ALL SELECT day FROM lake WHERE {ARCHIVE.format(hot='hot')}"
            assert (
                lake.execute(f"SELECT day FROM ({both}) ORDER BY 1").fetchall()
                == lake.execute("SELECT day FROM lake ORDER BY 1").fetchall()
            )


def test_the_page_of_the_warehouse_shows_that_view() -> None:
    assert ARCHIVE.format(hot="gold_sales.daily") in (ROOT / "docs" / "warehouse.md").read_text(encoding="utf-8")


def test_without_rows_there_is_nothing_to_copy() -> None:
    assert not any(" COPY " in statement for statement in loads.mirror(TABLE, source=None, role_arn=ROLE).statements)


@pytest.mark.parametrize("load", [loads.mirror, loads.merge])
def test_a_table_without_key_is_refused(load: Callable[..., object]) -> None:
    with pytest.raises(SqlRefused, match="no primary key"):
        load(replace(TABLE, keys=()), source=FOLDER, role_arn=ROLE)


@pytest.mark.parametrize("value", ["1 OR 1=1", "'a' OR 'b' = 'b'", "'it's'", "SELECT 1", "'a\\'"])
def test_only_a_literal_tells_the_part_that_is_replaced(value: str) -> None:
    with pytest.raises(SqlRefused, match="no literal"):
        loads.replace_where(TABLE, column="segment", value=value, source=FOLDER, role_arn=ROLE)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("TRUNCATE TABLE x", "use DELETE"),
        ("/* tidy */ truncate x", "use DELETE"),
        ("COMMIT", "transaction of its own"),
        ("vacuum x", "alone"),
    ],
)
def test_a_batch_does_not_end_its_transaction(statement: str, said: str) -> None:
    with pytest.raises(SqlRefused, match=said):
        check_batch(["SELECT 1", statement])
