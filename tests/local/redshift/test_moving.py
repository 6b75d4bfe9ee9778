"""COPY, UNLOAD, external tables and the warehouse's own loads, over objects in memory."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.io import FileIO, InputFile, OutputFile
from pyiceberg.io.pyarrow import _ConvertToIcebergWithoutIDs, visit_pyarrow
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import assign_fresh_schema_ids
from pyiceberg.serializers import ToOutputFile
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.metadata import new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import update_table_metadata

from lakehouse.warehouse.evolution import columns_found, columns_query
from lakehouse.warehouse.loads import mirror
from lakehouse.warehouse.tables import WarehouseColumn, WarehouseTable, create_statements
from local.redshift.errors import RefusedError, SqlError
from local.redshift.lake import ObjectsIO
from local.redshift.movers import RoleMover
from local.redshift.objects import Objects, Place
from local.redshift.session import Session
from local.redshift.warehouse import Warehouse

ROLE = "arn:aws:iam::000000000000:role/mover"
_COLUMNS = ("column_name", "data_type", "character_maximum_length", "numeric_precision", "numeric_scale")
COPY = f"IAM_ROLE '{ROLE}'"


class Memory(Objects):
    """S3 as a dictionary."""

    def __init__(self) -> None:
        super().__init__(client=None)
        self.files: dict[str, bytes] = {}

    def under(self, place: Place) -> list[tuple[str, int]]:
        found = {key.removeprefix(f"s3://{place.bucket}/"): content for key, content in self.files.items() if key.startswith(str(place))}
        return [(key, len(content)) for key, content in sorted(found.items())]

    def read(self, place: Place) -> bytes:
        return self.files[str(place)]

    def write(self, place: Place, data: bytes) -> None:
        self.files[str(place)] = data

    def remove(self, place: Place) -> None:
        del self.files[str(place)]


@dataclass
class Catalog:
    """Glue with the tables of a test."""

    tables: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def get_table(self, *, DatabaseName: str, Name: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        return {"Table": self.tables[DatabaseName, Name]}


@dataclass
class Bench:
    """A session and what it moves."""

    session: Session
    memory: Memory
    catalog: Catalog

    def run(self, *sqls: str) -> Any:
        """Run statements; the last outcome."""
        return [self.session.run(sql, is_in_transaction=True) for sql in sqls][-1]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    found = Warehouse(tmp_path_factory.mktemp("warehouse") / "server", database="dev", admin="admin")
    found.start()
    yield found
    found.remove()


@pytest.fixture
def bench(warehouse: Warehouse) -> Iterator[Bench]:
    memory, catalog, connection = Memory(), Catalog(), warehouse.connect("dev", "admin")
    mover = RoleMover(roles=[ROLE], default_role=ROLE, session_of=lambda _: memory, catalog_of=lambda _: catalog)
    platform = lambda: warehouse.platform_connection("dev")  # noqa: E731
    yield Bench(Session(connection, database="dev", user="admin", platform=platform, mover=mover), memory, catalog)
    connection.close()


def _parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


# ---- COPY ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("FORMAT AS PARQUET MAXERROR 10", "MAXERROR argument is not supported for PARQUET based COPY"),
        ("FORMAT AS PARQUET GZIP", "GZIP argument is not supported for PARQUET based COPY"),
        ("FORMAT AS PARQUET REGION 'us-east-1'", "REGION argument is not supported for PARQUET based COPY"),
        ("JSON 'auto' DELIMITER ','", "DELIMITER is not compatible with JSON format"),
        ("CSV JSON 'auto'", "conflicting or redundant options: CSV and JSON"),
        ("QUOTE '\"'", "QUOTE is only supported with CSV"),
        ("CSV MAXERROR 100001", "MAXERROR must be between 0 and 100000"),
        ("CSV SPEED 9", "COPY knows no option SPEED"),
    ],
)
def test_options_that_redshift_refuses_are_refused(bench: Bench, options: str, told: str) -> None:
    bench.memory.files["s3://b/in/a"] = b"1\n"
    with pytest.raises(SqlError, match=told):
        bench.run("CREATE TABLE t (a INT)", f"COPY t FROM 's3://b/in/' {COPY} {options}")


@pytest.mark.parametrize(
    "options", ["FIXEDWIDTH '3'", "FORMAT AS ORC", "JSON 's3://b/paths'", "CSV BZIP2", "ESCAPE", "CSV DATEFORMAT 'MM/DD/YYYY'"]
)
def test_options_that_are_not_served_are_refused_by_name(bench: Bench, options: str) -> None:
    bench.memory.files["s3://b/in/a"] = b"2024-01-01\n"
    with pytest.raises(RefusedError, match="COPY with"):
        bench.run("CREATE TABLE t (a DATE)", f"COPY t FROM 's3://b/in/' {COPY} {options}")


def test_values_are_read_as_redshift_reads_them(bench: Bench) -> None:
    bench.memory.files["s3://b/in/a"] = b"7|2.999|yes|2024-02-29 10:00:00||\n"
    bench.run("CREATE TABLE t (a INT, b DECIMAL(5,2), c BOOLEAN, d TIMESTAMP, e INT, f VARCHAR(3))", f"COPY t FROM 's3://b/in/' {COPY}")
    assert bench.run("SELECT * FROM t").rows == [["7", "2.99", "true", "2024-02-29 10:00:00", None, ""]]
    assert bench.run("DELETE FROM t", f"COPY t FROM 's3://b/in/' {COPY} ROUNDEC EMPTYASNULL").count == 1
    assert bench.run("SELECT b, f FROM t").rows == [["3.00", None]]


def test_json_is_read_by_name_and_csv_by_place(bench: Bench) -> None:
    bench.memory.files["s3://b/json"] = b'{"B": "x", "a": 12345678901234567890.5}\n{"a": null, "b": "y", "more": true}'
    bench.run("CREATE TABLE t (a DECIMAL(38,1), b VARCHAR(3))", f"COPY t FROM 's3://b/json' {COPY} JSON 'auto'")
    assert bench.run("SELECT * FROM t ORDER BY a").rows == [["12345678901234567890.5", None], [None, "y"]]
    bench.memory.files["s3://b/csv"] = b'"a ""quoted"", text",3\n'
    bench.run("CREATE TABLE u (n INT, s VARCHAR(30))", f"COPY u (s, n) FROM 's3://b/csv' {COPY} CSV")
    assert bench.run("SELECT * FROM u").rows == [["3", 'a "quoted", text']]


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        (b"1,2,3,4,5", 1202, "Extra column"),
        (b"1,2", 1214, "Delimiter not found"),
        (b"99999999999,x,2024-01-01,1", 1216, "Overflow"),
        (b",x,2024-01-01,1", 1213, "Missing data for not-null field"),
        (b"1,far too long,2024-01-01,1", 1204, "String length exceeds DDL length"),
        (b"1,x,01/02/2024,1", 1206, "Invalid Date Format"),
        (b"1,x,infinity,1", 1206, "Invalid Date Format"),
        (b"1,x,2024-01-01,maybe", 1210, "Invalid boolean"),
    ],
)  # fmt: skip
def test_a_bad_row_has_redshifts_number(bench: Bench, line: bytes, code: int, reason: str) -> None:
    bench.memory.files["s3://b/in/a"] = b"1,x,2024-01-01,1\n" + line + b"\n"
    table = f"bad_{code}_{len(line)}"
    bench.run(f"CREATE TABLE {table} (a INT NOT NULL, b VARCHAR(5), c DATE, d BOOLEAN)")
    with pytest.raises(SqlError, match=r"failed.  Check 'sys_load_error_detail'"):
        bench.run(f"COPY {table} FROM 's3://b/in/' {COPY} CSV")
    bench.session.connection.rollback()
    told = bench.run(f"SELECT line_number, error_code, error_message FROM sys_load_error_detail WHERE table_name = '{table}'").rows
    assert [(row[0], row[1], reason in str(row[2])) for row in told] == [("2", str(code), True)]


def test_parquet_goes_by_place_and_its_types_must_fit(bench: Bench) -> None:
    bench.memory.files["s3://b/p/1"] = _parquet(x=pa.array([1, None], pa.int32()), y=["a", "b"])
    bench.run("CREATE TABLE t (name_is_not_asked INT, other VARCHAR(1))", f"COPY t FROM 's3://b/p/' {COPY} PARQUET")
    assert bench.run("SELECT * FROM t ORDER BY 2").rows == [["1", "a"], [None, "b"]]
    with pytest.raises(SqlError, match=r"incompatible Parquet schema for column 'x'. Column type: BIGINT, Parquet schema: int32"):
        bench.run("CREATE TABLE wide (a BIGINT, b VARCHAR(1))", f"COPY wide FROM 's3://b/p/' {COPY} PARQUET")


def test_parquet_is_read_by_spectrum_which_passes_over_hidden_files(bench: Bench) -> None:
    one = _parquet(x=pa.array([1], pa.int32()))
    bench.memory.files |= {f"s3://b/h/{name}": one for name in ("part", "part_file=2/part", "_SUCCESS", ".part", "#part", "part~")}
    assert bench.run("CREATE TABLE t (x INT)", f"COPY t FROM 's3://b/h/' {COPY} PARQUET").count == 2
    bench.memory.files |= {"s3://b/h/_file=2/part": one}
    with pytest.raises(SqlError, match="COPY of Parquet from a folder named '_file=2' is not served"):
        bench.run(f"COPY t FROM 's3://b/h/' {COPY} PARQUET")


def test_a_manifest_names_the_files_and_parquet_their_sizes(bench: Bench) -> None:
    bench.memory.files |= {"s3://b/m/1": _parquet(x=pa.array([1], pa.int32())), "s3://b/m/2": _parquet(x=pa.array([2], pa.int32()))}
    size = len(bench.memory.files["s3://b/m/1"])
    bench.memory.files["s3://b/list"] = json.dumps(
        {"entries": [{"url": "s3://b/m/1", "mandatory": True, "meta": {"content_length": size}}]}
    ).encode()
    assert bench.run("CREATE TABLE t (x INT)", f"COPY t FROM 's3://b/list' {COPY} PARQUET MANIFEST").count == 1
    bench.memory.files["s3://b/list"] = json.dumps({"entries": [{"url": "s3://b/m/1"}]}).encode()
    with pytest.raises(SqlError, match=r"no meta.content_length"):
        bench.run(f"COPY t FROM 's3://b/list' {COPY} PARQUET MANIFEST")
    bench.memory.files["s3://b/list"] = json.dumps({"entries": [{"url": "s3://b/gone", "mandatory": True}]}).encode()
    with pytest.raises(SqlError, match="the mandatory file s3://b/gone does not exist"):
        bench.run(f"COPY t FROM 's3://b/list' {COPY} CSV MANIFEST")


# ---- UNLOAD ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("PARQUET HEADER", "HEADER is not supported with FORMAT PARQUET"),
        ("PARQUET GZIP", "GZIP is not supported with FORMAT PARQUET"),
        ("FORMAT PARQUET ADDQUOTES", "ADDQUOTES is not supported with FORMAT PARQUET"),
        ("JSON HEADER", "HEADER is not supported with FORMAT JSON"),
        ("CSV CLEANPATH ALLOWOVERWRITE", "CLEANPATH and ALLOWOVERWRITE cannot be used together"),
    ],
)
def test_options_of_unload_that_redshift_refuses_are_refused(bench: Bench, options: str, told: str) -> None:
    with pytest.raises(SqlError, match=told):
        bench.run(f"UNLOAD ('SELECT 1') TO 's3://b/out/' {COPY} {options}")
    with pytest.raises(SqlError, match="Limit clause"):
        bench.run(f"UNLOAD ('SELECT 1 LIMIT 1') TO 's3://b/out/' {COPY} CSV")


def test_unloaded_text_has_a_header_and_no_part_is_written_over(bench: Bench) -> None:
    query = "SELECT 1 AS a, ''x,y'' AS b, NULL AS c, true AS d"
    bench.run(f"UNLOAD ('{query}') TO 's3://b/out/' {COPY} CSV HEADER PARALLEL OFF")
    assert bench.memory.files == {"s3://b/out/000": b'a,b,c,d\n1,"x,y",,t\n'}
    with pytest.raises(SqlError, match="is not empty"):
        bench.run(f"UNLOAD ('{query}') TO 's3://b/out/' {COPY} JSON PARALLEL OFF")
    bench.run(f"UNLOAD ($${query.replace(chr(39) * 2, chr(39))}$$) TO 's3://b/out/' {COPY} JSON PARALLEL OFF ALLOWOVERWRITE")
    assert bench.memory.files["s3://b/out/000"] == b'{"a":1,"b":"x,y","c":null,"d":true}\n'


def test_unloaded_parquet_keeps_the_types(bench: Bench) -> None:
    bench.run("CREATE TABLE t (a INT, b DECIMAL(9,2), c DATE, d TIMESTAMPTZ, e VARCHAR(5))")
    bench.run(
        "INSERT INTO t VALUES (1, 2.5, '2024-02-29', '2024-01-01 00:00:00+00', 'x')",
        f"UNLOAD ('SELECT * FROM t') TO 's3://b/out/' {COPY} PARQUET",
    )
    table = pq.read_table(io.BytesIO(bench.memory.files["s3://b/out/0000_part_00.parquet"]))
    assert [str(kind) for kind in table.schema.types] == ["int32", "decimal128(9, 2)", "date32[day]", "timestamp[us, tz=UTC]", "string"]


# ---- the warehouse's own loads -----------------------------------------------------------------------------------------------


def test_a_mirror_of_the_lake_is_loaded_in_one_batch_and_again_changes_nothing(bench: Bench) -> None:
    columns = (
        WarehouseColumn(name="id", type="BIGINT", source_type="long", encoding="az64", description="Number of the thing"),
        WarehouseColumn(name="label", type="VARCHAR(10)", source_type="string"),
    )
    table = WarehouseTable(
        schema="gold_sales",
        name="things",
        columns=columns,
        keys=("id",),
        dist_style="key",
        dist_key="id",
        sort_keys=("id",),
        description="Things",
    )
    bench.run(*create_statements(table), *create_statements(table))
    told = columns_found([dict(zip(_COLUMNS, row, strict=True)) for row in bench.run(columns_query(table)).rows])
    assert told == {"id": "BIGINT", "label": "VARCHAR(10)"}
    bench.run("INSERT INTO gold_sales.things VALUES (1, 'old'), (9, 'gone')")
    bench.memory.files["s3://bucket/unload/1/part"] = _parquet(id=pa.array([1, 2], pa.int64()), label=["new", "two"])
    plan = mirror(table, source="s3://bucket/unload/1/", role_arn=ROLE)
    counts = [bench.run(statement) for statement in plan.statements][plan.counts_at].rows
    assert counts == [["2", "2", "2", "2"]]
    assert bench.run("SELECT * FROM gold_sales.things ORDER BY id").rows == [["1", "new"], ["2", "two"]]
    bench.session.connection.commit()
    bench.run("DROP TABLE IF EXISTS load_staged, load_gone, load_new")
    again = [bench.run(statement) for statement in plan.statements][plan.counts_at].rows
    assert again == [["2", "0", "0", "2"]]
    bench.run("DROP SCHEMA gold_sales CASCADE")
    bench.session.connection.commit()


# ---- external tables ---------------------------------------------------------------------------------------------------------


class _WritingIO(ObjectsIO):
    def __init__(self, memory: Memory) -> None:
        super().__init__(memory)
        self._memory = memory

    def new_output(self, location: str) -> OutputFile:
        return _Output(location, self._memory)


class _Output(OutputFile):
    def __init__(self, location: str, memory: Memory) -> None:
        super().__init__(location)
        self._memory = memory

    def __len__(self) -> int:
        return len(self._memory.files[self.location])

    def exists(self) -> bool:
        return self.location in self._memory.files

    def to_input_file(self) -> InputFile:
        return ObjectsIO(self._memory).new_input(self.location)

    def create(self, overwrite: bool = False) -> Any:
        files, location = self._memory.files, self.location

        class Sink(io.BytesIO):
            def close(self) -> None:
                if not self.closed:
                    files[location] = self.getvalue()
                super().close()

        return Sink()


class _OneTable(NoopCatalog):
    """A catalog that commits into the memory of a test."""

    def __init__(self, files: FileIO, catalog: Catalog, name: tuple[str, str]) -> None:
        super().__init__("test")
        self._files, self._catalog, self._name = files, catalog, name

    def put(self, metadata: Any, number: int) -> str:
        location = f"{metadata.location}/metadata/{number:05d}.metadata.json"
        ToOutputFile.table_metadata(metadata, self._files.new_output(location), overwrite=True)
        self._catalog.tables[self._name] = {"Parameters": {"table_type": "ICEBERG", "metadata_location": location}}
        return location

    def commit_table(self, table: Table, requirements: Any, updates: Any) -> CommitTableResponse:
        changed = update_table_metadata(table.metadata, updates)
        return CommitTableResponse.model_validate({"metadata": changed, "metadata-location": self.put(changed, len(changed.snapshots))})


def test_an_external_schema_shows_an_iceberg_table_of_the_lake(bench: Bench) -> None:
    rows = pa.table(
        {"day": pa.array([19782, 19783], pa.date32()), "revenue": pa.array([None, "2.50"]).cast(pa.decimal128(9, 2)), "name": ["a", "b"]}
    )
    schema = assign_fresh_schema_ids(visit_pyarrow(rows.schema, _ConvertToIcebergWithoutIDs()))
    metadata = new_table_metadata(schema, UNPARTITIONED_PARTITION_SPEC, UNSORTED_SORT_ORDER, "s3://b/gold/days", {})
    files = _WritingIO(bench.memory)
    commits = _OneTable(files, bench.catalog, ("gold_sales", "days"))
    Table(("gold_sales", "days"), metadata, commits.put(metadata, 0), files, commits).append(rows)
    bench.run(f"CREATE EXTERNAL SCHEMA IF NOT EXISTS lake FROM DATA CATALOG DATABASE 'gold_sales' IAM_ROLE '{ROLE}'")
    assert bench.run("SELECT d.name, days.day FROM lake.days AS d JOIN lake.days ON d.day = days.day ORDER BY 1").rows == [
        ["a", "2024-02-29"], ["b", "2024-03-01"],
    ]  # fmt: skip
    assert bench.run("SELECT SUM(revenue), COUNT(*) FROM lake.days").rows == [["2.50", "2"]]
    bench.run(
        "CREATE SCHEMA warm", "CREATE TABLE warm.days (day DATE, name VARCHAR(9))", "INSERT INTO warm.days VALUES ('2024-03-01', 'b')"
    )
    hot = "SELECT COALESCE(MIN(day), DATE '9999-12-31') FROM warm.days"
    view = f"SELECT day, name FROM warm.days UNION ALL SELECT day, name FROM lake.days WHERE day < ({hot}) WITH NO SCHEMA BINDING"
    bench.run(f"CREATE VIEW warm.days_of_all_time AS {view}")
    for rows_of_the_warehouse in ("b", "none"):
        bench.run(f"DELETE FROM warm.days WHERE name <> '{rows_of_the_warehouse}'")
        assert bench.run("SELECT name FROM warm.days_of_all_time ORDER BY day").rows == [["a"], ["b"]], rows_of_the_warehouse
    with pytest.raises(RefusedError, match=r"writing the external table lake.days"):
        bench.run("DELETE FROM lake.days")
    bench.catalog.tables["gold_sales", "plain"] = {"Parameters": {"classification": "parquet"}}
    with pytest.raises(RefusedError, match="which is no Iceberg table"):
        bench.run("SELECT * FROM lake.plain")
